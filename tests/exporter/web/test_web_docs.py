"""docs/web.md: its web configuration loads, and it has every key."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.exporter.web.certificates import World
from unitcost.exporter.config.web.load import load_web
from unitcost.exporter.config.web.settings import (
    HttpServerConfig,
    RateLimitSettings,
    TlsServerConfig,
    WebFileSettings,
)

INLINE = {"cert", "key", "client_ca"}
"""Known so that they can be refused; the page says so elsewhere."""


def keys() -> Iterator[str]:
    """Every key by its own name."""
    for section in (TlsServerConfig, HttpServerConfig, RateLimitSettings):
        yield from (name for name in section.__struct_fields__ if name not in INLINE)
    yield from WebFileSettings.__struct_fields__


def test_the_page_has_every_key(root: Path) -> None:
    """In the table of keys, or in that of what is refused."""
    page = (root / "docs" / "web.md").read_text(encoding="utf-8")
    assert [key for key in keys() if not re.search(rf"`[a-z_.]*\b{key}\b", page)] == []


def test_the_pages_web_configuration_loads(root: Path, here: Path, certificates: World) -> None:
    """With certificates by the names that it has."""
    page = (root / "docs" / "web.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(# web-config\.yml.*?)^```", page, re.MULTILINE | re.DOTALL)
    (here / "clients-ca.pem").write_bytes(certificates.good.cert.read_bytes())
    (here / "web-config.yml").write_text(text)
    loaded = load_web(str(here / "web-config.yml"))
    assert loaded.tls is not None
    assert loaded.protected
    assert list(loaded.users) == [b"prometheus"]
