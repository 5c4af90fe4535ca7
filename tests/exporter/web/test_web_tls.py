"""TLS handshakes by real clients: Python's, openssl's, curl's."""

import gc
import logging
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.exporter.web.certificates import Pair, World, hashed
from tests.exporter.web.served import ask, ask_tls, basic, client, served
from tests.exporter.web_source import LOOPBACK, PATIENCE, FakeSource, closed, connect, wait_until
from unitcost.exporter.serving import connections
from unitcost.exporter.serving.handshakes import Arriving, is_allowed

PAIR = "cert_file: server.pem, key_file: server.key"
TLS = f"tls_server_config: {{{PAIR}}}"
REQUIRED = f"{PAIR}, client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert"
IF_GIVEN = f"{PAIR}, client_ca_file: ca.pem, client_auth_type: VerifyClientCertIfGiven"


def section(inside: str) -> str:
    """A web configuration with TLS alone."""
    return f"tls_server_config: {{{inside}}}"


def refused(port: int, context: ssl.SSLContext) -> bool:
    """Whether a client gets no answer at all, be it in the handshake or just after."""
    try:
        ask_tls(port, context)
    except (OSError, EOFError):
        return True
    return False


def s_client(port: int, *options: str) -> tuple[int, str]:
    """What `openssl s_client` says of a handshake and of one request."""
    command = ["openssl", "s_client", "-connect", f"{LOOPBACK}:{port}", "-ign_eof", *options]
    request = b"GET /metrics HTTP/1.0\r\n\r\n"
    done = subprocess.run(
        command, input=request, capture_output=True, timeout=PATIENCE, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def curl(real_tool: Callable[[str], Path]) -> Callable[..., str]:
    """`curl` with these options: status, version of HTTP, and body."""
    program = real_tool("curl")

    def run(*options: str | Path) -> str:
        command = [str(program), "-sS", "-w", " %{http_code} %{http_version}", *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


def test_metrics_are_served_over_tls_and_nothing_without(
    here: Path, certificates: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Also bodies of many pieces; what is no TLS is closed and not logged."""
    body = b"x" * 5_000_000
    with served(here, TLS, source=FakeSource(body)) as running, caplog.at_level(logging.INFO):
        status, headers, got = ask_tls(running.port, client(certificates))
        assert (status, got) == (200, body)
        assert headers["x-content-type-options"] == "nosniff"
        with pytest.raises(ConnectionError):
            ask(running.port)
        assert refused(running.port, ssl.create_default_context())  # who does not trust it
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize(
    ("versions", "option", "good"),
    [
        ("", "-tls1_3", True),
        ("", "-tls1_2", True),
        ("", "-tls1_1", False),
        ("", "-tls1", False),
        ("min_version: TLS13", "-tls1_2", False),
        ("min_version: TLS13", "-tls1_3", True),
        ("max_version: TLS12", "-tls1_3", False),
        ("max_version: TLS12", "-tls1_2", True),
    ],
)
def test_versions_that_openssl_may_speak(
    here: Path, versions: str, option: str, good: bool
) -> None:
    """With a client that is allowed to speak the broken ones, too."""
    with served(here, section(f"{PAIR}, {versions}")) as running:
        code, said = s_client(running.port, option, "-cipher", "DEFAULT@SECLEVEL=0")
    assert (code == 0, "metric 1.0" in said) == (good, good), said


def test_a_suite_and_a_curve_are_what_was_asked_for(here: Path) -> None:
    """And a client without them is refused."""
    suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    asked = f"{PAIR}, max_version: TLS12, cipher_suites: [{suite}], curve_preferences: [CurveP384]"
    with served(here, section(asked)) as running:
        code, said = s_client(running.port)
        assert code == 0
        assert re.search(r"Cipher is ECDHE-ECDSA-AES256-GCM-SHA384", said)
        assert re.search(r"Server Temp Key: ECDH, (P-384|secp384r1)", said)
        assert s_client(running.port, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")[0] != 0
        assert s_client(running.port, "-curves", "X25519")[0] != 0


@pytest.mark.parametrize("server_first", [True, False])
def test_whose_order_of_suites_counts(here: Path, server_first: bool) -> None:
    """The server's, unless it leaves that to the client."""
    suites = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    asked = f"{PAIR}, max_version: TLS12, cipher_suites: [{suites}]"
    asked += f", prefer_server_cipher_suites: {str(server_first).lower()}"
    clients = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    with served(here, section(asked)) as running:
        _, said = s_client(running.port, "-cipher", clients)
    assert f"Cipher is ECDHE-ECDSA-AES{'256' if server_first else '128'}" in said


@pytest.mark.parametrize(
    ("asked", "who", "good"),
    [
        (REQUIRED, "client", True),
        (REQUIRED, "nameless", True),
        (REQUIRED, None, False),
        (REQUIRED, "stranger", False),
        (REQUIRED, "server", False),  # may serve, and not ask
        (IF_GIVEN, "client", True),
        (IF_GIVEN, None, True),
        (IF_GIVEN, "stranger", False),
        (f"{REQUIRED}, client_allowed_sans: [prometheus.example]", "client", True),
        (f"{REQUIRED}, client_allowed_sans: [other, '0:0::1']", "client", True),
        (f"{REQUIRED}, client_allowed_sans: [who@example.com]", "client", True),
        (f"{REQUIRED}, client_allowed_sans: ['spiffe://example/p']", "client", True),
        (f"{REQUIRED}, client_allowed_sans: [other.example]", "client", False),
        (f"{REQUIRED}, client_allowed_sans: ['*.example']", "client", False),
        (f"{REQUIRED}, client_allowed_sans: [client]", "client", False),  # its common name
        (f"{REQUIRED}, client_allowed_sans: [prometheus.example]", "nameless", False),
        (f"{REQUIRED}, client_allowed_sans: [prometheus.example]", "stranger", False),
    ],
)
def test_which_clients_are_let_in(
    asked: str, who: str | None, good: bool, here: Path, certificates: World
) -> None:
    """By a certificate of our authority, and by one of its names; with both versions of TLS."""
    pair: Pair | None = getattr(certificates, who) if who else None
    with served(here, section(asked)) as running:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client(certificates, pair)
            context.minimum_version = context.maximum_version = version
            assert refused(running.port, context) is not good


def test_a_clients_own_certificate_may_be_the_authority(here: Path, certificates: World) -> None:
    """As in Go: whatever is in the file is trusted, and nothing that it did not sign."""
    (here / "ca.pem").write_bytes(certificates.client.cert.read_bytes())
    with served(here, section(REQUIRED)) as running:
        assert not refused(running.port, client(certificates, certificates.client))
        assert refused(running.port, client(certificates, certificates.nameless))


def test_a_session_that_goes_on_is_looked_at_again(here: Path, certificates: World) -> None:
    """A ticket does not replace the certificate's name."""
    context = client(certificates, certificates.client)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    asked = f"{REQUIRED}, client_allowed_sans: [prometheus.example]"
    sessions: list[ssl.SSLSession | None] = [None]
    with served(here, section(asked)) as running:
        for _ in range(2):
            with (
                socket.create_connection((LOOPBACK, running.port), PATIENCE) as sock,
                context.wrap_socket(
                    sock, server_hostname="localhost", session=sessions[-1]
                ) as wrapped,
            ):
                wrapped.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                assert wrapped.recv(100).startswith(b"HTTP/1.1 200 ")
                sessions.append(wrapped.session)
        assert sessions[-1] is not None


def test_an_rsa_certificate_and_a_chain_are_served(here: Path, certificates: World) -> None:
    """The chain as it is in the file."""
    pair = certificates.rsa_server
    (here / "server.pem").write_bytes(pair.cert.read_bytes() + certificates.good.cert.read_bytes())
    (here / "server.key").write_bytes(pair.key.read_bytes())
    with served(here, TLS) as running:
        assert ask_tls(running.port, client(certificates))[0] == 200
        _, said = s_client(running.port, "-showcerts")
    assert said.count("BEGIN CERTIFICATE") == 2


@pytest.mark.real
def test_curl_with_certificate_and_password(
    here: Path, certificates: World, curl: Callable[..., str]
) -> None:
    """Over HTTP/1.1, also where it would rather speak HTTP/2."""
    text = f"{section(REQUIRED)}\nbasic_auth_users: {{me: '{hashed('pw')}'}}"
    pair = certificates.client
    with served(here, text) as running:
        url = f"https://localhost:{running.port}/metrics"
        mine = ("--cacert", certificates.good.cert, "--cert", pair.cert, "--key", pair.key)
        assert curl("--http2", *mine, "-u", "me:pw", url) == "metric 1.0\n 200 1.1"
        assert curl(*mine, "-u", "me:no", url) == "unauthorized\n 401 1.1"
        assert curl(*mine, url) == "unauthorized\n 401 1.1"
        with pytest.raises(subprocess.CalledProcessError):
            curl("--cacert", certificates.good.cert, "-u", "me:pw", url)
        with pytest.raises(subprocess.CalledProcessError):
            curl(*mine, "--tls-max", "1.1", "-u", "me:pw", url)


def test_a_request_sent_right_behind_the_handshake_is_answered(
    here: Path, certificates: World
) -> None:
    """In one segment with its end, as some clients do."""
    context = client(certificates)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with served(here, TLS) as running, connect(running.port) as sock:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65_536))
        tls.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        sock.sendall(outgoing.read())
        got = b""
        while b"metric 1.0" not in got:
            try:
                got += tls.read(65_536)
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65_536))
    assert got.startswith(b"HTTP/1.1 200 ")


def hello(certificates: World) -> bytes:
    """The first half of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client(certificates).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("half", [False, True])
def test_half_open_connections_neither_stop_a_scrape_nor_hold_threads(
    half: bool, here: Path, certificates: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them are turned away; those that are kept are bounded."""
    monkeypatch.setattr(connections, "EXCHANGE_SECONDS", 600.0)
    sent = hello(certificates) if half else b""
    context = client(certificates)
    with served(here, TLS) as running, ExitStack() as stack:
        assert ask_tls(running.port, context)[0] == 200
        threads = threading.active_count()
        slow = [stack.enter_context(connect(running.port, sent)) for _ in range(400)]
        assert [ask_tls(running.port, context)[0] for _ in range(5)] == [200] * 5
        assert threading.active_count() == threads
        limit = connections.MAX_CONNECTIONS
        assert wait_until(lambda: sum(not closed(sock) for sock in slow) <= limit)
        assert closed(slow[0])
        assert not closed(slow[-1])


@pytest.mark.parametrize("half", [False, True])
def test_a_handshake_that_never_ends_is_ended(
    half: bool, here: Path, certificates: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a request that never ends is."""
    monkeypatch.setattr(connections, "EXCHANGE_SECONDS", 1.5)
    sent = hello(certificates) if half else b""
    with served(here, TLS) as running, connect(running.port, sent) as sock:
        assert wait_until(lambda: closed(sock))
        assert ask_tls(running.port, client(certificates))[0] == 200


def arriving() -> int:
    """How many connections are in their handshake, or were and are kept."""
    gc.collect()
    return sum(isinstance(each, Arriving) for each in gc.get_objects())


def test_handshakes_that_fail_leave_nothing_behind(here: Path, certificates: World) -> None:
    """Whether they are no TLS, break off, or have the wrong certificate."""
    with served(here, section(REQUIRED)) as running:
        for sent in (b"GET / HTTP/1.0\r\n\r\n", b"", hello(certificates)):
            for _ in range(5):
                connect(running.port, sent).close()
        assert refused(running.port, client(certificates))
        assert refused(running.port, client(certificates, certificates.stranger))
        assert wait_until(lambda: arriving() == 0)


def test_stopping_waits_neither_for_handshakes_nor_for_passwords(
    here: Path, certificates: World, caplog: pytest.LogCaptureFixture
) -> None:
    """And leaves nothing behind in the log."""
    users = f"basic_auth_users: {{me: '{hashed('pw', 12)}'}}"
    with served(here, f"{TLS}\n{users}") as running, ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(connect(running.port, hello(certificates)))
        context, wrong = client(certificates), basic("me", "wrong")
        asking = [
            threading.Thread(target=refused_late, args=(running.port, context, wrong))
            for _ in range(5)
        ]
        for each in asking:
            each.start()
        assert wait_until(
            lambda: any("web-password" in each.name for each in threading.enumerate())
        )
        running.server.stop()
        assert "web" not in {each.name for each in threading.enumerate()}
        for each in asking:
            each.join()
    assert [record.message for record in caplog.records] == []


def refused_late(port: int, context: ssl.SSLContext, authorization: str) -> None:
    """Ask with a bad password of a server that stops meanwhile."""
    try:
        assert ask_tls(port, context, Authorization=authorization)[0] in (401, 503)
    except (OSError, EOFError):
        return


@pytest.mark.parametrize(
    ("names", "allowed"),
    [
        ((("DNS", "a"),), True),
        ((("DNS", "b"), ("DNS", "a")), True),
        ((("DirName", "a"),), False),
        ((("othername", "a"), ("Registered ID", "a")), False),
        ((("IP Address", "0:0:0:0:0:0:0:1\n"),), True),
        ((("IP Address", "<invalid>"), ("IP Address", "a")), False),
        ((), False),
    ],
)
def test_which_names_of_a_certificate_count(names: tuple[object, ...], allowed: bool) -> None:
    """DNS, address, e-mail and URI."""
    from unitcost.exporter.config.web.settings import ClientAuth, ServerTls

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls = ServerTls(context, ClientAuth.REQUIRED, frozenset({"a", "::1"}))
    assert is_allowed(tls, {"subjectAltName": names}) is allowed
    assert not is_allowed(tls, None)
