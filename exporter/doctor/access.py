"""Who can read what is served, as `unitcost doctor` says it, and whether unitcost serves it now."""

import socket
import ssl
from pathlib import Path

from unitcost.collectors.address import is_loopback
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.config.web.settings import ClientAuth, WebConfig
from unitcost.exporter.doctor.host import Finding, fail, ok, warn

SUBJECT = "access"
_TITLE, _REALM = b"<title>unitcost</title>", b'realm="unitcost"'
_SECONDS = 2.0


def access_finding(loaded: Loaded) -> Finding:
    """Whether somebody on another host reads what workloads cost without being asked who it is."""
    address, port, web = loaded.settings.web.address, loaded.settings.web.port, loaded.web
    if web is not None and web.protected:
        how = _how(web)
        if web.tls is None and not is_loopback(address):
            mend = "add tls_server_config (docs/web.md)"
            return warn(SUBJECT, f"{how}, but unencrypted", mend)
        return ok(SUBJECT, how)
    if is_loopback(address):
        return ok(SUBJECT, f"only this host reaches {address} port {port}")
    text = f"whoever reaches {address} port {port} reads /metrics and the live page"
    return warn(SUBJECT, text, "set web.config_file (docs/web.md), or web.address to 127.0.0.1")


def _how(web: WebConfig) -> str:
    asked = ["a password"] if web.users else []
    if web.tls is not None and web.tls.client_auth is ClientAuth.REQUIRED:
        asked.append("a client certificate")
    return f"/metrics needs {' and '.join(asked)}"


def port_finding(settings: Settings, web: WebConfig | None) -> Finding:
    """Whether the port is free, or unitcost's."""
    from unitcost.exporter.serving.connections import ListenError, listen

    address, port = settings.web.address, settings.web.port
    try:
        listen(address, port).close()
    except ListenError as error:
        if is_unitcost(address, port, web):
            return ok("port", f"{address} port {port}: unitcost is running there")
        return fail("port", str(error), "set web.address and web.port to what is free")
    return ok("port", f"{address} port {port} is free")


def is_unitcost(address: str, port: int, web: WebConfig | None = None) -> bool:
    """Whether what listens there answers as we do, or has our certificate."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - looked up
    try:
        if web is not None and web.tls is not None:
            return _has_certificate(host, port, web.cert_file)
        request = f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                said = answer.read(4096)
    except (OSError, ValueError):
        return False
    return _TITLE in said or (web is not None and _REALM in said)


def _has_certificate(host: str, port: int, cert_file: str) -> bool:
    """Whether what is served there is the first certificate of a file."""
    served = ssl.get_server_certificate((host, port), timeout=_SECONDS)
    begin, end = ssl.PEM_HEADER, ssl.PEM_FOOTER
    text = Path(cert_file).read_text(encoding="ascii", errors="replace")
    first = text[text.index(begin) : text.index(end) + len(end)]
    return ssl.PEM_cert_to_DER_cert(first) == ssl.PEM_cert_to_DER_cert(served)
