"""From `tls_server_config` to a context of Python's ssl; what that cannot do is refused."""

import ipaddress
import ssl
from pathlib import Path

from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.web.ciphers import openssl_ciphers
from unitcost.exporter.config.web.files import Files
from unitcost.exporter.config.web.settings import ClientAuth, ServerTls, TlsServerConfig

SECTION = "tls_server_config"

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH = {
    "": ClientAuth.NONE,
    "NoClientCert": ClientAuth.NONE,
    "VerifyClientCertIfGiven": ClientAuth.VERIFIED_IF_GIVEN,
    "RequireAndVerifyClientCert": ClientAuth.REQUIRED,
}
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
_VERIFY = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.VERIFIED_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


def server_tls(config: TlsServerConfig, folder: Path, files: Files) -> ServerTls | None:
    """The context and what it asks of clients; None for an empty section. Raises Mistake."""
    if config == TlsServerConfig():
        return None
    _refuse_inline(config)
    client_auth = _client_auth(config)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _set_versions(context, config)
    _set_ciphers(context, config)
    _set_curve(context, config.curve_preferences)
    _load_chain(context, config, folder, files)
    if client_auth is not ClientAuth.NONE:
        _load_client_ca(context, str(folder / config.client_ca_file), files)
    context.verify_mode = _VERIFY[client_auth]
    return ServerTls(context, client_auth, _allowed_sans(config.client_allowed_sans))


def _wrong(key: str, problem: str) -> Mistake:
    return Mistake((SECTION, key), problem)


def _refuse_inline(config: TlsServerConfig) -> None:
    for key in ("cert", "key", "client_ca"):
        if getattr(config, key) is not None:
            problem = f"not taken from the text: put it into a file and name that {key}_file"
            raise _wrong(key, problem)


def _client_auth(config: TlsServerConfig) -> ClientAuth:
    name, has_ca = config.client_auth_type, bool(config.client_ca_file)
    if name in _UNVERIFIED:
        problem = f"{name} lets in a certificate that nobody verified, which Python's TLS does not"
        raise _wrong("client_auth_type", f"{problem}: use RequireAndVerifyClientCert")
    if name not in _CLIENT_AUTH:
        expected = " or ".join(known for known in _CLIENT_AUTH if known)
        raise _wrong("client_auth_type", f"expected {expected}, got {shown(name)}")
    client_auth = _CLIENT_AUTH[name]
    if has_ca and client_auth is ClientAuth.NONE:
        raise _wrong("client_ca_file", "has no use without client_auth_type")
    if client_auth is not ClientAuth.NONE and not has_ca:
        problem = "missing: without one a certificate of any public authority would do"
        raise _wrong("client_ca_file", f"{problem}, so {name} needs it")
    if config.client_allowed_sans is not None and client_auth is not ClientAuth.REQUIRED:
        problem = "needs client_auth_type: RequireAndVerifyClientCert"
        raise _wrong("client_allowed_sans", problem)
    return client_auth


def _set_versions(context: ssl.SSLContext, config: TlsServerConfig) -> None:
    for key, name in (("min_version", config.min_version), ("max_version", config.max_version)):
        if name not in _VERSIONS:
            raise _wrong(key, f"{name} is broken and not served, expected TLS12 or TLS13")
    low, high = _VERSIONS[config.min_version], _VERSIONS[config.max_version]
    if low > high:
        raise _wrong("max_version", f"below min_version ({config.min_version})")
    context.minimum_version, context.maximum_version = low, high


def _set_ciphers(context: ssl.SSLContext, config: TlsServerConfig) -> None:
    versions = config.min_version, config.max_version
    try:
        context.set_ciphers(openssl_ciphers(config.cipher_suites, *versions))
    except ValueError as error:
        raise _wrong("cipher_suites", str(error)) from None
    except ssl.SSLError:
        raise _wrong("cipher_suites", "this host's OpenSSL allows none of them") from None
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _set_curve(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in _CURVES:
            expected = " or ".join(_CURVES)
            raise _wrong("curve_preferences", f"expected {expected}, got {shown(name)}")
    if len(names) > 1:
        problem = "Python's TLS can be held to one curve only, or takes the usual ones"
        raise _wrong("curve_preferences", f"{problem}: name one, or leave it out")
    for name in names:
        try:
            context.set_ecdh_curve(_CURVES[name])
        except (ValueError, ssl.SSLError):
            problem = f"this host's OpenSSL does not have {name}"
            raise _wrong("curve_preferences", problem) from None


def _load_chain(
    context: ssl.SSLContext, config: TlsServerConfig, folder: Path, files: Files
) -> None:
    for key in ("cert_file", "key_file"):
        if not getattr(config, key):
            raise _wrong(key, "missing, expected the name of a PEM file")
    cert, key = str(folder / config.cert_file), str(folder / config.key_file)
    _check_certificates(files.read(cert, (SECTION, "cert_file")), cert, "cert_file")
    data = files.read(key, (SECTION, "key_file"))
    if b"PRIVATE KEY-----" not in data:
        raise _wrong("key_file", f"{key} holds no private key in PEM")
    if b"ENCRYPTED" in data:
        raise _wrong("key_file", f"{key} is encrypted, expected a key without a passphrase")
    try:
        # Without a password OpenSSL could ask for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except OSError as error:
        problem = f"{key} cannot be used with {cert}"
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            problem = f"{key} does not belong to the certificate in {cert}"
        raise _wrong("key_file", problem) from None


def _check_certificates(data: bytes, path: str, key: str) -> None:
    """Whether a file holds certificates that can be read, and nothing else."""
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trial.load_verify_locations(cadata=data.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        raise _wrong(key, f"{path} holds no certificate in PEM that can be read") from None


def _load_client_ca(context: ssl.SSLContext, path: str, files: Files) -> None:
    data = files.read(path, (SECTION, "client_ca_file"))
    _check_certificates(data, path, "client_ca_file")
    context.load_verify_locations(cadata=data.decode("ascii", "replace"))
    # As Go does: whatever is in the file is trusted, be it an intermediate or a client's own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _allowed_sans(names: tuple[str, ...] | None) -> frozenset[str] | None:
    if names is None:
        return None
    if not names:
        raise _wrong("client_allowed_sans", "is empty, which would refuse every client")
    for index, name in enumerate(names):
        if not name or not name.isprintable():
            problem = f"expected a DNS name, address, e-mail or URI, got {shown(name)}"
            raise Mistake((SECTION, "client_allowed_sans", index), problem)
    return frozenset(map(_canonical, names))


def _canonical(name: str) -> str:
    """An address as it is usually written; anything else as it is."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
