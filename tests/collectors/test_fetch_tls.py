"""The HTTP client over TLS, with a certificate made here."""

import contextlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import unitcost.collectors.connection as connection_module
from tests.collectors.raw_server import RawServer, body, raw_server
from unitcost.collectors.fetch import FetchError, FetchKind, fetch


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """What a server needs of it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@pytest.fixture(scope="module")
def certificate(
    tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]
) -> Certificate:
    """Made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = [str(real_tool("openssl")), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return made


@contextlib.contextmanager
def tls_server(certificate: Certificate) -> Iterator[RawServer]:
    """A server that speaks TLS and answers with one sample."""
    context = certificate.server_context()
    with raw_server(body(b"a 1\n")) as server:
        plain = server.handle

        def handle(connection: ssl.SSLSocket) -> None:
            with contextlib.suppress(OSError):
                plain(context.wrap_socket(connection, server_side=True))

        server.handle = handle  # type: ignore[method-assign,assignment] # TLS around what it does
        yield server


def test_a_certificate_that_is_trusted_is_accepted(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's trust, here made to hold that one certificate."""
    trusting = ssl.create_default_context(cafile=str(certificate.certificate))
    monkeypatch.setattr(connection_module, "_tls", lambda: trusting)
    with tls_server(certificate) as server:
        url = server.url.replace("http://", "https://")
        assert fetch(url, timeout=30) == b"a 1\n"
        assert server.requests
        with pytest.raises(FetchError) as caught:
            fetch(url.replace("127.0.0.1", "localhost"), timeout=30)  # another name
    assert caught.value.kind == FetchKind.TLS


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Certificate) -> None:
    """And nothing is asked for, so no token is shown to a stranger."""
    with tls_server(certificate) as server:
        with pytest.raises(FetchError) as caught:
            fetch(server.url.replace("http://", "https://"), timeout=30, bearer_token="secret")  # noqa: S106 - none
        assert server.requests == [] or server.requests == [b""]
    assert caught.value.kind == FetchKind.TLS
