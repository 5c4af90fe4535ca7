"""`unitcost doctor` says who can read what is served, and knows its own server behind TLS."""

from pathlib import Path

import pytest

from tests.exporter.web.certificates import hashed
from tests.exporter.web.served import served
from unitcost.exporter.config.load import Loaded, loads
from unitcost.exporter.doctor.access import access_finding, port_finding
from unitcost.exporter.doctor.host import Status

TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
MUTUAL = TLS.replace("}", ", client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert}")
ANYWHERE = "0.0.0.0"  # noqa: S104 - only looked at
USERS = f"basic_auth_users: {{me: '{hashed('pw')}'}}\n"


def loaded(folder: Path, address: str, text: str | None, port: int = 9841) -> Loaded:
    """A configuration with this web configuration, or none."""
    web = f"address: '{address}', port: {port}"
    if text is not None:
        (folder / "web.yml").write_text(text)
        web += ", config_file: web.yml"
    environ = {"XDG_STATE_HOME": str(folder)}
    return loads(f"web: {{{web}}}", folder=folder, environ=environ)


@pytest.mark.parametrize(
    ("address", "text", "status", "said"),
    [
        (ANYWHERE, None, Status.WARN, "whoever reaches 0.0.0.0 port 9841 reads /metrics"),
        ("::", "", Status.WARN, "set web.config_file"),
        ("10.0.0.1", TLS, Status.WARN, "whoever reaches 10.0.0.1"),
        (ANYWHERE, USERS, Status.WARN, "needs a password, but unencrypted"),
        (ANYWHERE, TLS + USERS, Status.OK, "/metrics needs a password"),
        (ANYWHERE, MUTUAL, Status.OK, "/metrics needs a client certificate"),
        (ANYWHERE, MUTUAL + USERS, Status.OK, "needs a password and a client certificate"),
        ("127.0.0.1", None, Status.OK, "only this host reaches 127.0.0.1"),
        ("::1", "", Status.OK, "only this host reaches ::1"),
        ("127.0.0.1", USERS, Status.OK, "/metrics needs a password"),
    ],
)  # fmt: skip
def test_who_can_read_is_said(
    address: str, text: str | None, status: Status, said: str, here: Path
) -> None:
    """What nobody is asked for is a warning wherever others reach it."""
    finding = access_finding(loaded(here, address, text))
    assert (finding.status, said in finding.line()) == (status, True), finding


@pytest.mark.parametrize("text", [USERS, TLS, MUTUAL, MUTUAL + USERS])
def test_its_own_server_is_known_behind_tls_and_passwords(text: str, here: Path) -> None:
    """By its certificate, else by what it asks for; another's is not."""
    with served(here, text) as running:
        config = loaded(here, "127.0.0.1", text, running.port)
        finding = port_finding(config.settings, config.web)
        assert finding.text.endswith("unitcost is running there")
        if "tls" in text:
            (here / "server.pem").write_bytes((here / "ca.pem").read_bytes())
            assert port_finding(config.settings, config.web).status is Status.FAIL
