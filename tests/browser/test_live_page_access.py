"""The live page behind a password and TLS: whoever knows it sees figures, and they move."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Show, served
from tests.exporter.web.certificates import hashed, world
from tests.harness import wait_for
from tests.live_hosts import Watched, small
from unitcost.exporter.serving.pages import LIVE
from unitcost.exporter.serving.web import WebFile

pytestmark = pytest.mark.real

Hosts = Callable[[Callable[[int], Watched]], Watched]
TLS = "tls_server_config: {{cert_file: {0.cert}, key_file: {0.key}}}\n"


def test_the_page_polls_with_the_password_that_opened_it(
    show: Show, hosts: Hosts, tmp_path: Path
) -> None:
    """The browser asks once; the page's script knows nothing of it."""
    path = tmp_path / "web.yml"
    users = f"basic_auth_users: {{me: '{hashed('pw')}'}}"
    path.write_text(TLS.format(world(tmp_path / "certificates").server) + users)
    host: Any = small
    with served(hosts(host), WebFile(str(path))) as (base, _, server):
        assert base.startswith("https://")
        known = {"username": "me", "password": "pw"}
        opened = show(base, http_credentials=known, ignore_https_errors=True)
        before = server.answered().get((LIVE, 304), 0)

        def polled() -> bool:
            opened.ask_now()
            return server.answered().get((LIVE, 304), 0) > before

        wait_for(polled, "the page to poll")
        assert server.answered().get((LIVE, 401), 0) <= 1
        opened.check_quiet()
