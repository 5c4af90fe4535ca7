"""What a web configuration allows and yet looks wrong."""

import os
import stat
from collections.abc import Iterator

from unitcost.collectors.address import is_loopback
from unitcost.exporter.config.web.settings import WebConfig


def web_warnings(web: WebConfig | None, address: str) -> Iterator[str]:
    """One line each, for a server that listens at `address`."""
    if web is None:
        return
    if web.users and web.tls is None and not is_loopback(address):
        yield "web.config_file: without tls_server_config passwords are sent unencrypted"
    for path in (web.key_file, web.source if web.users else ""):
        if path and _world_readable(path):
            yield f"web.config_file: every user can read {path}, expected mode 0600 or 0640"


def _world_readable(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
