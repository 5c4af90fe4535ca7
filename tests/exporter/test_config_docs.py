"""docs/configuration.md has every key with its default, and every example in the docs loads."""

import re
import typing
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from unitcost.collectors.base import discover
from unitcost.collectors.tables import Series
from unitcost.exporter.config.decode import fields
from unitcost.exporter.config.load import NEEDS_RESTART, ConfigError, load, loads
from unitcost.exporter.config.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "configuration.md"
ROW = re.compile(r"^\| `([^`]+)` \|([^|]*)\|", re.MULTILINE)
BLOCK = re.compile(r"^```yaml\n(# unitcost\.yaml.*?)^```", re.MULTILINE | re.DOTALL)


def documented() -> dict[str, str]:
    """The keys of the page's tables, and the default that stands beside each."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) == len({key for key, _ in rows}), "a key is documented twice"
    return {key: default.strip() for key, default in rows}


def shown(value: Any) -> str:
    """A default as the page writes it."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return f"{Decimal(str(value)).normalize():f}"
    return str(value) if isinstance(value, str) else "none"


def members(type_: Any) -> Iterator[Any]:
    """The type itself, or those it is made of."""
    arguments = typing.get_args(type_)
    if arguments and typing.get_origin(type_) is not typing.Literal:
        for argument in arguments:
            yield from members(argument)
    else:
        yield type_


def keys(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str]]:
    """Each key of a section and those below it, with its default as the page writes it."""
    for field in msgspec.structs.fields(struct):
        key = prefix + field.name
        type_ = fields(struct)[field.name]
        structs = [
            m for m in members(type_) if isinstance(m, type) and issubclass(m, msgspec.Struct)
        ]
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        section = isinstance(default, msgspec.Struct)
        if not section:
            yield key, "required" if field.required else shown(default)
        origin = typing.get_origin(type_)
        mark = {tuple: "[]", dict: ".<name>"}.get(origin, "")
        for inner in structs:
            below = "servers.<name>.<quantity>[]" if inner is Series else key + mark
            yield from keys(inner, f"{below}.")


def expected() -> dict[str, str]:
    """Every key there is, collectors' options included."""
    found = dict(keys(Settings, ""))
    del found["collectors"]
    found["collectors.<name>.enabled"] = "true"
    for collector in discover():
        options = getattr(collector.module, "Options", None)
        if options is not None:
            found.update(keys(options, f"collectors.{collector.name}."))
    return {
        key: default
        for key, default in found.items()
        if not re.match(r"collectors\.\w+\.enabled", key)
    }


def test_every_key_is_documented_with_its_default() -> None:
    """And no key is documented that does not exist."""
    assert documented() == expected()


def test_the_check_of_the_keys_is_not_blind() -> None:
    """It sees keys in lists, in tables by name, and of collectors."""
    found = expected()
    assert found["workloads[].endpoints[].url"] == "required"
    assert found["servers.<name>.<quantity>[].scale"] == "1"
    assert found["price.split.usd_per_core_hour"] == "0.0316"
    assert found["collectors.host.procfs"] == "/proc"
    assert len(found) > 60


def test_what_needs_a_restart_is_documented() -> None:
    """In the words of the code."""
    section = PAGE.read_text(encoding="utf-8").partition("## Reload")[2].partition("## ")[0]
    assert set(re.findall(r"`([a-z_.]+)`", section)) == set(NEEDS_RESTART)


def pages() -> list[Path]:
    """All Markdown pages of the checkout."""
    folders = ("docs", "client", "bench", "deploy")
    inner = [page for folder in folders for page in (ROOT / folder).rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *inner])


BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{index}")
    for page in pages()
    for index, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user with a state folder of its own."""
    return {"XDG_STATE_HOME": str(tmp_path)}


@pytest.mark.parametrize("block", BLOCKS)
def test_every_configuration_in_the_pages_loads(
    block: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    """With an empty token, or an empty web configuration, wherever it names one."""
    for name in re.findall(r"(?:bearer_token|token|config)_file: ([^\s,}]+)", block):
        (tmp_path / name).touch(mode=0o600)
    loads(block, source="unitcost.yaml", folder=tmp_path, environ=environ)


def test_the_pages_have_configurations() -> None:
    """The test above has something to do."""
    assert len(BLOCKS) >= 4


EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_every_example_file_loads(example: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    """As it lies there, from a folder of the user's own."""
    file = tmp_path / "unitcost.yaml"
    file.write_bytes(example.read_bytes())
    load(file, environ=environ)


def test_the_page_lists_every_example() -> None:
    """And there are those that were promised."""
    text = PAGE.read_text(encoding="utf-8")
    names = {file.name for file in EXAMPLES}
    assert names >= {
        "vllm-host.yaml",
        "training-box.yaml",
        "owned-workstation.yaml",
        "mlserver.yaml",
    }
    assert set(re.findall(r"examples/([\w-]+\.yaml)", text)) == names


def test_the_page_shows_a_message_as_it_is() -> None:
    """The mistake in the text is the one that the loader makes of it."""
    text = PAGE.read_text(encoding="utf-8")
    (line,) = re.findall(r"^unitcost\.yaml:3: .*$", text, re.MULTILINE)
    with pytest.raises(ConfigError) as caught:
        loads("\nprice:\n  usd_per_hr: 1\n", source="unitcost.yaml")
    assert str(caught.value) == line
