"""Bad web configurations: each is one line that names file and key, and nothing starts."""

import re
import threading
from pathlib import Path

import pytest

from tests.exporter.web.certificates import hashed
from unitcost.exporter import app, cli
from unitcost.exporter.config.load import loads

TLS = "tls_server_config: {cert_file: %s, key_file: %s, %s}"
AUTH = "client_auth_type: RequireAndVerifyClientCert"
BOTH = f"client_ca_file: ca.pem, {AUTH}"
TYPE, SANS, NAMES = "client_auth_type", "client_allowed_sans", "http_server_config.headers"
SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
HASH = "$2y$04$" + "a" * 21 + "e" + "b" * 31
SALTED = HASH[:28] + "z" + HASH[29:]
COST = HASH.replace("04", "%02d", 1)
HEADERS = "http_server_config: {headers: {%s}}"

# name: (file, key that must be named, part of the message)
BAD: dict[str, tuple[str, str, str]] = {
    "not YAML": ("basic_auth_users: [1", "YAML", "not YAML"),
    "text": ("CANARY", "document", "expected a mapping of keys"),
    "a list": ("- CANARY", "document", "expected a mapping of keys"),
    "an unknown section": ("tls_config: {}", "tls_config", "unknown key, expected one of tls_s"),
    "a key twice": ("rate_limit: {}\nrate_limit: {}", "rate_limit", "given twice"),
    # users
    "a list of users": ("basic_auth_users: [CANARY]", "basic_auth_users", "a mapping of user"),
    "no space after the colon": ("basic_auth_users:\n  a:CANARY", "basic_auth_users", "mapping"),
    "the same inline": ("basic_auth_users: {a:CANARY}", "basic_auth_users", "have no colon"),
    "a plain password": ("basic_auth_users: {a: CANARY}", "basic_auth_users.a", "a bcrypt hash"),
    "a number for a password": ("basic_auth_users: {a: 1234}", "basic_auth_users.a", "bcrypt"),
    "a tag for a password": ("basic_auth_users:\n  a: !CANARY x", "basic_auth_users", "quotes"),
    "an alias for a password": ("basic_auth_users: {a: *CANARY}", "YAML", "needs quotes"),
    "a password that is no token": ("basic_auth_users: {a: @CANARY}", "YAML", "needs quotes"),
    "a hash of MD5": ("basic_auth_users: {a: $apr1$CANARY}", "basic_auth_users.a", "a bcrypt"),
    "half a hash": (f"basic_auth_users: {{a: {HASH[:40]}}}", "basic_auth_users.a", "60 char"),
    "too much salt": (f"basic_auth_users: {{a: {SALTED}}}", "basic_auth_users.a", "bcrypt"),
    "for years": (f"basic_auth_users: {{a: {COST % 31}}}", "basic_auth_users.a", "15, is 31"),
    "too cheap": (f"basic_auth_users: {{a: {COST % 3}}}", "basic_auth_users.a", "between 4 and"),
    "no name": (f"basic_auth_users: {{'': {HASH}}}", "basic_auth_users", "must not be empty"),
    "a user twice": (f"basic_auth_users: {{a: {HASH}, a: {HASH}}}", "basic_auth_users", "twice"),
    # HTTP
    "HTTP/2": ("http_server_config: {http2: true}", "http_server_config.http2", "not served"),
    "any header": (HEADERS % "Server: x", f"{NAMES}.Server", "cannot be set"),
    "a header's value": (HEADERS % "X-Frame-Options: x", f"{NAMES}.X-Frame-Options", "deny or"),
    "two headers": (HEADERS % '"X-XSS-Protection": "a\\r\\nb"', f"{NAMES}.X-XSS-Protection", "one"),
    "no unit": ("rate_limit: {interval: 5, burst: 1}", "rate_limit.interval", "such as 100ms"),
    "backwards": ("rate_limit: {interval: -1s, burst: 1}", "rate_limit.interval", "a duration"),
    "no burst": ("rate_limit: {interval: 1s}", "rate_limit.burst", "refuse every request"),
}

# name: (the section but for certificate and key, key below it, part of the message)
BAD_TLS: dict[str, tuple[str, str, str]] = {
    "a key inline": ("key: CANARY", "key", "put it into a file"),
    "a certificate inline": ("cert: CANARY", "cert", "name that cert_file"),
    "an authority inline": ("client_ca: CANARY", "client_ca", "name that client_ca_file"),
    "an unknown key": ("cert_path: x", "cert_path", "unknown key"),
    "TLS 1.1": ("min_version: TLS11", "min_version", "TLS11 is broken"),
    "TLS 1.0 at most": ("max_version: TLS10", "max_version", "broken"),
    "an invented version": ("min_version: TLS14", "min_version", "TLS13"),
    "upside down": ("min_version: TLS13, max_version: TLS12", "max_version", "below min_version"),
    "an invented cipher": ("cipher_suites: [TLS_NEW]", "cipher_suites", "unknown cipher suite"),
    "a weak cipher": ("cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]", "cipher_suites", "unknown"),
    "one of TLS 1.3": (f"cipher_suites: [{SUITES[0]}]", "cipher_suites", "cannot be chosen"),
    "none for TLS 1.2": (f"cipher_suites: [{', '.join(SUITES)}]", "cipher_suites", "none for TLS"),
    "ciphers of no use": (
        "min_version: TLS13, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
        "cipher_suites",
        "no use",
    ),
    "an invented curve": ("curve_preferences: [P1]", "curve_preferences", "expected CurveP256"),
    "two curves": ("curve_preferences: [CurveP256, X25519]", "curve_preferences", "one curve"),
    "a client unverified": ("client_auth_type: RequireAnyClientCert", TYPE, "nobody verified"),
    "the same by its old name": ("client_auth_type: RequireClientCert", TYPE, "nobody verified"),
    "a client only asked": ("client_auth_type: RequestClientCert", TYPE, "nobody verified"),
    "an invented policy": ("client_auth_type: Require", TYPE, "expected NoClientCert or"),
    "an authority of no use": ("client_ca_file: ca.pem", "client_ca_file", "no use without"),
    "any public authority": (AUTH, "client_ca_file", "any public authority"),
    "an authority not there": (f"{AUTH}, client_ca_file: no.pem", "client_ca_file", "cannot be"),
    "no authority": (f"{AUTH}, client_ca_file: server.key", "client_ca_file", "no certificate"),
    "names of nobody": ("client_allowed_sans: [a]", SANS, "RequireAndVerify"),
    "names of who may have none": (
        "client_ca_file: ca.pem, client_auth_type: VerifyClientCertIfGiven, "
        "client_allowed_sans: [a]",
        SANS,
        "RequireAndVerify",
    ),
    "no names": (f"{BOTH}, client_allowed_sans: []", SANS, "refuse every client"),
    "an empty name": (f"{BOTH}, client_allowed_sans: ['']", f"{SANS}[0]", "expected a DNS name"),
}

# name: (cert_file, key_file, key that must be named, part of the message)
BAD_PAIRS: dict[str, tuple[str, str, str, str]] = {
    "no certificate": ("", "server.key", "cert_file", "missing"),
    "no key": ("server.pem", "", "key_file", "missing"),
    "a certificate not there": ("no.pem", "server.key", "cert_file", "no.pem cannot be read: No "),
    "a key not there": ("server.pem", "no.key", "key_file", "no.key cannot be read"),
    "a folder": (".", "server.key", "cert_file", "not a regular file"),
    "a key for a certificate": ("server.key", "server.key", "cert_file", "no certificate"),
    "a certificate for a key": ("server.pem", "server.pem", "key_file", "no private key"),
    "half a certificate": ("half.pem", "server.key", "cert_file", "no certificate in PEM that"),
    "another's key": ("server.pem", "other.key", "key_file", "does not belong to the cert"),
    "a key with a passphrase": ("server.pem", "locked.key", "key_file", "encrypted"),
    "junk for a key": ("server.pem", "junk.key", "key_file", "cannot be used"),
}


@pytest.fixture
def folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files to be named, and no app that could start."""
    monkeypatch.setattr(app, "run", lambda _loaded: pytest.fail("it started"))
    return here


def said(folder: Path, text: str, command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command refuses a web configuration."""
    (folder / "web.yml").write_text(text)
    file = folder / "unitcost.yaml"
    file.write_text(f"web: {{config_file: web.yml}}\nledger: {{path: {folder / 'l.db'}}}")
    option = [str(file)] if command == "check-config" else ["--config", str(file)]
    assert cli.main([command, *option]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


EVERY = (
    BAD
    | {
        name: (TLS % ("server.pem", "server.key", text), f"tls_server_config.{key}", problem)
        for name, (text, key, problem) in BAD_TLS.items()
    }
    | {
        name: (TLS % (repr(cert), repr(key), ""), f"tls_server_config.{wrong}", problem)
        for name, (cert, key, wrong, problem) in BAD_PAIRS.items()
    }
)


@pytest.mark.parametrize("command", ["check-config", "run"])
@pytest.mark.parametrize("name", EVERY)
def test_a_bad_web_configuration_is_one_line_with_file_and_key_and_nothing_starts(
    name: str, command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and no word of what may be a secret."""
    text, key, problem = EVERY[name]
    line = said(folder, text, command, capsys)
    place = re.escape(str(folder / "web.yml")) + r"(?::\d+)?"
    found = re.fullmatch(rf"{place}: {re.escape(key)}: (.+)", line)
    assert found, line
    assert problem in found[1]
    assert "CANARY" not in line
    assert "1234" not in line


def test_there_are_enough_bad_web_configurations() -> None:
    """The promise is twenty at least."""
    assert len(EVERY) >= 60


@pytest.mark.parametrize("path", ["no.yml", ".", '"a\\0b"'])
def test_a_file_that_is_not_there_is_named_by_the_configuration(
    path: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mistake is in the file that names it."""
    file = here / "unitcost.yaml"
    file.write_text(f"web: {{config_file: {path}}}")
    assert cli.main(["check-config", str(file)]) == 2
    assert f"{file}:1: web.config_file: " in capsys.readouterr().err


def test_open_health_is_of_no_use_without_a_web_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody believes that there is a password."""
    file = tmp_path / "unitcost.yaml"
    file.write_text("web: {health_without_auth: true}")
    assert cli.main(["check-config", str(file)]) == 2
    assert "web.health_without_auth: has no use without" in capsys.readouterr().err


def test_one_that_is_bad_by_the_time_it_is_used_is_said_and_nothing_starts(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It was good when the configuration was checked."""
    (here / "web.yml").write_text("")
    text = f"{{web: {{config_file: web.yml}}, ledger: {{path: {here / 'l.db'}}}}}"
    loaded = loads(text, folder=here)
    (here / "web.yml").write_text("nonsense: 1")
    before = threading.active_count()
    assert app.run(loaded) == 2
    assert f"cannot start: {here / 'web.yml'}:1: nonsense: unknown key" in caplog.text
    assert threading.active_count() == before
    assert not (here / "l.db").exists()


def test_a_secret_shows_in_no_repr(here: Path) -> None:
    """Of what was loaded."""
    from unitcost.exporter.config.web.load import load_web

    secret = hashed("pw")
    (here / "web.yml").write_text(f"basic_auth_users: {{me: '{secret}'}}")
    assert secret not in repr(load_web(str(here / "web.yml")))
