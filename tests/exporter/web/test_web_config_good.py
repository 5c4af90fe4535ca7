"""Good web configurations: those of exporter-toolkit that we can honour, and what they come to."""

import ssl
from pathlib import Path

import pytest

from tests.exporter.web.certificates import hashed
from unitcost.exporter import cli
from unitcost.exporter.config.web.ciphers import TLS12, TLS13
from unitcost.exporter.config.web.load import WebConfig, load_web
from unitcost.exporter.config.web.settings import ClientAuth, RateLimit

PAIR = "cert_file: server.pem, key_file: server.key"
AUTH = f"{PAIR}, client_ca_file: ca.pem, client_auth_type"
HASH = hashed("pw")
ALL_SUITES = ", ".join([*TLS12, *sorted(TLS13)])

GOOD = {
    "nothing": "",
    "empty sections": "tls_server_config: {}\nbasic_auth_users: {}\nrate_limit: {}",
    "sections of nothing": "tls_server_config:\nbasic_auth_users:\nhttp_server_config:",
    "TLS": f"tls_server_config: {{{PAIR}}}",
    "no client certificate": f"tls_server_config: {{{PAIR}, client_auth_type: NoClientCert}}",
    "one that is verified": f"tls_server_config: {{{AUTH}: VerifyClientCertIfGiven}}",
    "one that is required": f"tls_server_config: {{{AUTH}: RequireAndVerifyClientCert}}",
    "names": (
        f"tls_server_config: {{{AUTH}: RequireAndVerifyClientCert, "
        "client_allowed_sans: [prometheus.example, '::1', 10.0.0.1]}"
    ),
    "TLS 1.3 alone": f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS13}}",
    "TLS 1.2 alone": f"tls_server_config: {{{PAIR}, min_version: TLS12, max_version: TLS12}}",
    "all of Go's suites": f"tls_server_config: {{{PAIR}, cipher_suites: [{ALL_SUITES}]}}",
    "a suite": (
        f"tls_server_config: {{{PAIR}, prefer_server_cipher_suites: false, "
        "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}"
    ),
    "a curve": f"tls_server_config: {{{PAIR}, curve_preferences: [X25519]}}",
    "another curve": f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP384]}}",
    "users": f"basic_auth_users:\n  alice: {HASH}\n  bob: {HASH.replace('$2b', '$2y')}\n",
    "headers": (
        "http_server_config: {http2: false, headers: {X-Frame-Options: deny, "
        "X-Content-Type-Options: nosniff, X-XSS-Protection: '', "
        "Strict-Transport-Security: max-age=31536000; includeSubDomains, "
        "Content-Security-Policy: default-src 'none'}}"
    ),
    "a limit": "rate_limit: {interval: 1m0.5s, burst: 20}",
    "a limit switched off": "rate_limit: {interval: 0, burst: 0}",
}


def loaded(folder: Path, name: str) -> WebConfig:
    """What a good one comes to."""
    (folder / "web.yml").write_text(GOOD[name])
    return load_web(str(folder / "web.yml"))


@pytest.mark.parametrize("name", GOOD)
def test_a_good_web_configuration_is_taken(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0; its paths are relative to its own folder."""
    folder = here / "elsewhere"
    folder.mkdir()
    (here / "web.yml").write_text(GOOD[name])
    file = folder / "unitcost.yaml"
    file.write_text("web: {config_file: ../web.yml, address: 127.0.0.1}\nprice: {usd_per_hour: 1}")
    (here / "web.yml").chmod(0o600)
    assert cli.main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out.endswith(f"{file}: ok\n")


def test_there_are_enough_good_web_configurations() -> None:
    """The promise is ten at least."""
    assert len(GOOD) >= 15


@pytest.mark.parametrize("name", ["nothing", "empty sections", "sections of nothing"])
def test_an_empty_file_lets_anybody_in(name: str, here: Path) -> None:
    """As in exporter-toolkit."""
    config = loaded(here, name)
    assert (config.tls, config.users, config.scheme, config.protected) == (None, {}, "http", False)


@pytest.mark.parametrize(
    ("name", "auth", "mode"),
    [
        ("TLS", ClientAuth.NONE, ssl.CERT_NONE),
        ("no client certificate", ClientAuth.NONE, ssl.CERT_NONE),
        ("one that is verified", ClientAuth.VERIFIED_IF_GIVEN, ssl.CERT_OPTIONAL),
        ("one that is required", ClientAuth.REQUIRED, ssl.CERT_REQUIRED),
    ],
)
def test_what_is_asked_of_clients(
    name: str, auth: ClientAuth, mode: ssl.VerifyMode, here: Path
) -> None:
    """Only one that is required keeps people out."""
    config = loaded(here, name)
    assert config.tls is not None
    assert (config.tls.client_auth, config.tls.context.verify_mode) == (auth, mode)
    assert config.protected is (auth is ClientAuth.REQUIRED)
    assert config.scheme == "https"


def test_suites_are_in_the_order_that_was_asked_for(here: Path) -> None:
    """All of Go's, in OpenSSL's words; those of TLS 1.3 come by themselves."""
    config = loaded(here, "all of Go's suites")
    assert config.tls is not None
    names = [each["name"] for each in config.tls.context.get_ciphers()]
    assert [name for name in names if not name.startswith("TLS_")] == list(TLS12.values())
    assert {name for name in names if name.startswith("TLS_")} == TLS13


def test_the_usual_suites_are_few_and_good(here: Path) -> None:
    """Forward secrecy and authenticated encryption, TLS 1.2 at least."""
    config = loaded(here, "TLS")
    assert config.tls is not None
    context = config.tls.context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert all(each["aead"] for each in context.get_ciphers())


def test_users_headers_and_limits(here: Path) -> None:
    """A header without a value is none."""
    users = loaded(here, "users").users
    assert users == {b"alice": HASH.encode(), b"bob": HASH.replace("$2b", "$2y").encode()}
    headers = dict(loaded(here, "headers").headers)
    assert headers[b"strict-transport-security"] == b"max-age=31536000; includeSubDomains"
    assert b"x-xss-protection" not in headers
    assert loaded(here, "a limit").rate_limit == RateLimit(60.5, 20)
    assert loaded(here, "a limit switched off").rate_limit is None


def test_what_looks_wrong_is_a_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords in the open, secrets that all can read."""
    (here / "server.key").chmod(0o644)
    (here / "web.yml").write_text(f"{GOOD['users']}{GOOD['TLS']}")
    (here / "open.yml").write_text(GOOD["users"])
    for name, address in (("web", "127.0.0.1"), ("open", "::"), ("open", "127.0.0.1")):
        file = here / "unitcost.yaml"
        file.write_text(f"web: {{config_file: {name}.yml, address: '{address}'}}\n")
        assert cli.main(["check-config", str(file)]) == 0
    warned = capsys.readouterr().err
    assert warned.count("passwords are sent unencrypted") == 1
    assert f"every user can read {here / 'server.key'}" in warned
    assert warned.count(f"every user can read {here / 'open.yml'}") == 2
