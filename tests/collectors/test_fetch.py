"""The HTTP client against servers that do what servers should not. Every error has its kind."""

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unitcost.collectors.address as address
import unitcost.collectors.fetch as fetch_module
from tests.collectors.raw_server import Answer, body, raw_server, sends
from unitcost.collectors.fetch import FetchError, FetchKind, fetch, get

OK = b"HTTP/1.1 200 OK\r\n"
LONG = 30.0
"""Seconds no fetch here may come near, whatever the server does."""
SHORT = 0.5


def failure(answer: Answer, *, timeout: float = LONG, cap: int = 100_000) -> FetchError:
    """The error of one fetch from a server that answers so."""
    with raw_server(answer) as server, pytest.raises(FetchError) as caught:
        fetch(server.url, timeout=timeout, cap=cap)
    assert server.url not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 160
    return caught.value


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Answer:
    """Send a head, then the same piece for ever."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (OK + b"Content-Length: 4\r\n\r\n", b"a 1\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n3\r\n 1\n\r\n0\r\n\r\n"),
        (OK + b"\r\n", b"a 1\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"a 1\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length:4\r\n\r\n", b"a 1\n"),
    ],
)
def test_a_body_arrives_however_it_is_framed(head: bytes, content: bytes) -> None:
    """By length, in chunks, until the connection closes, after a 100."""
    with raw_server(sends(head, content)) as server:
        assert fetch(server.url) == b"a 1\n"


def test_bytes_that_are_no_text_arrive_as_they_are() -> None:
    """What they mean is for the reader to say."""
    with raw_server(body(b"\xff\xfe\x00")) as server:
        assert fetch(server.url) == b"\xff\xfe\x00"


def test_the_request_asks_for_plain_text_and_says_nothing_else() -> None:
    """No cookies, no compression, the path and query as configured."""
    with raw_server(body(b"")) as server:
        fetch(f"{server.url}?model=a%20b")
    (head,) = server.requests
    assert head.startswith(b"GET /metrics?model=a%20b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n".encode() in head
    assert b"Accept-Encoding: identity\r\n" in head
    assert b"Accept: text/plain" in head
    assert b"Authorization" not in head
    assert b"Cookie" not in head


def test_a_server_on_this_host_is_known_as_such() -> None:
    """Its address is the one we speak from."""
    with raw_server(body(b"")) as server:
        assert get(server.url).local


HOSTILE_IN_TIME = {
    "says nothing": endless(b"", b"", 0.05),
    "one byte at a time, headers": endless(OK + b"X: ", b"a", 0.05),
    "one byte at a time, body": endless(OK + b"Content-Length: 9999\r\n\r\n", b"a", 0.05),
    "one byte at a time, chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 0.05
    ),
    "half a head, then silence": endless(OK + b"Content-Le", b"", 0.05),
    "100 Continue for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
}


@pytest.mark.parametrize("name", HOSTILE_IN_TIME)
def test_one_limit_holds_for_everything_together(name: str) -> None:
    """A server that always sends a little more is cut off all the same."""
    started = time.monotonic()
    assert failure(HOSTILE_IN_TIME[name], timeout=SHORT).kind == FetchKind.TIMEOUT
    assert time.monotonic() - started < LONG


def test_a_connection_that_is_never_accepted_times_out() -> None:
    """A full backlog: the system drops the attempt without a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            with pytest.raises(FetchError) as caught:
                fetch(f"http://127.0.0.1:{port}/", timeout=SHORT)
        finally:
            for sock in waiting:
                sock.close()
    assert caught.value.kind == FetchKind.TIMEOUT


TOO_LARGE = {
    "a length beyond the cap": sends(OK + b"Content-Length: 100001\r\n\r\n"),
    "an endless body": endless(OK + b"\r\n", b"a" * 65536),
    "endless chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"a" * 4096 + b"\r\n"
    ),
    "endless tiny chunks": endless(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 1000
    ),
    "100 Continue without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_not_read(name: str) -> None:
    """Neither as a body nor as what is around it."""
    assert failure(TOO_LARGE[name]).kind == FetchKind.TOO_LARGE


def test_a_body_as_large_as_the_cap_is_read() -> None:
    """And one byte more is not."""
    with raw_server(body(b"a" * 1000)) as server:
        assert len(fetch(server.url, cap=1000)) == 1000
        with pytest.raises(FetchError):
            fetch(server.url, cap=999)


PROTOCOL = {
    "not HTTP": sends(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing at all": sends(b""),
    "half a status line": sends(b"HTTP/1.1 2"),
    "half a head": sends(OK + b"Content-Length: 4\r\n"),
    "a giant header": sends(OK + b"X: " + b"a" * 70_000 + b"\r\n\r\n"),
    "a thousand headers": sends(OK + b"X: a\r\n" * 1000 + b"\r\n"),
    "less than it says": sends(OK + b"Content-Length: 9\r\n\r\na 1\n"),
    "nothing of what it says": sends(OK + b"Content-Length: 9\r\n\r\n"),
    "half a chunk": sends(OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\na 1\n"),
    "no last chunk": sends(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n"),
    "a chunk of no size": sends(OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\na 1\n\r\n"),
    "a chunk of negative size": sends(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\na 1\n\r\n"),
    "a negative length": sends(OK + b"Content-Length: -1\r\n\r\na 1\n"),
    "a length that is a word": sends(OK + b"Content-Length: many\r\n\r\na 1\n"),
    "two lengths": sends(OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\na 1\n\n"),
    "a length and chunks": sends(
        OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n"
    ),
    "gzip in chunks": sends(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "gzip nobody asked for": body(gzip.compress(b"a 1\n"), "Content-Encoding: gzip"),
    "a gzip bomb": body(gzip.compress(b"a" * 10_000_000), "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("name", PROTOCOL)
def test_an_answer_that_is_not_whole_or_not_http_is_none(name: str) -> None:
    """A part of a body is a wrong body: the sums would be too small."""
    assert failure(PROTOCOL[name]).kind == FetchKind.PROTOCOL


def test_a_reset_is_an_error_of_the_connection() -> None:
    """The server's process may have been killed."""

    def reset(connection: socket.socket) -> None:
        connection.sendall(OK + b"Content-Length: 9\r\n\r\na")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert failure(reset).kind == FetchKind.PROTOCOL


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_and_says_so(status: str) -> None:
    """It would lead where the configuration does not."""
    with raw_server(body(b"a 1\n")) as other:
        location = f"Location: {other.url}?secret=1"
        error = failure(body(b"", location, status=status))
        assert error.kind == FetchKind.REDIRECT
        assert "secret" not in str(error)
        assert other.requests == []


@pytest.mark.parametrize(
    "status", ["204 No Content", "206 Partial Content", "404 Not Found", "500 Oops", "503 Loading"]
)
def test_only_200_has_metrics(status: str) -> None:
    """The error says what it was."""
    error = failure(body(b"", status=status))
    assert error.kind == FetchKind.STATUS
    assert status[:3] in str(error)


def test_a_server_that_wants_a_token_is_told_apart() -> None:
    """The mend is in the text."""
    assert "bearer token" in str(failure(body(b"", status="401 Unauthorized")))


def test_control_codes_of_a_server_do_not_reach_the_log() -> None:
    """Nor do they make lines of their own."""
    error = failure(body(b"", status="500 \x1b[31mred\x07" + "x" * 500))
    assert str(error).isprintable()


def test_a_closed_port_refuses() -> None:
    """Nobody listens there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(FetchError) as caught:
            fetch(f"http://127.0.0.1:{probe.getsockname()[1]}/")
    assert caught.value.kind == FetchKind.REFUSED


def test_tls_to_a_server_without_it_is_an_error_of_tls() -> None:
    """The connection is made and the handshake fails."""
    answer = sends(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with raw_server(answer, listens=False) as server, pytest.raises(FetchError) as caught:
        fetch(server.url.replace("http://", "https://"), timeout=LONG)
    assert caught.value.kind == FetchKind.TLS


def test_a_server_that_never_shakes_hands_times_out() -> None:
    """TLS has no time of its own."""
    with raw_server(endless(b"", b"", 0.05)) as server, pytest.raises(FetchError) as caught:
        fetch(server.url.replace("http://", "https://"), timeout=SHORT)
    assert caught.value.kind == FetchKind.TIMEOUT


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics endpoints are on this host or in this cluster."""
    with raw_server(body(b"proxy")) as proxy, raw_server(body(b"direct")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(server.url) == b"direct"
        assert proxy.requests == []


# --- names ---------------------------------------------------------------------------------------


def resolver(*addresses: str) -> Callable[..., list[tuple[int, int, int, str, tuple[str, int]]]]:
    """A name service that knows one answer."""

    def getaddrinfo(
        _host: str, port: int, **_: int
    ) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (item, port)) for item in addresses]

    return getaddrinfo


def fetch_named(monkeypatch: pytest.MonkeyPatch, port: int, *addresses: str) -> bytes:
    """Fetch from a name that leads to these addresses."""
    monkeypatch.setattr(socket, "getaddrinfo", resolver(*addresses))
    return fetch(f"http://model-server:{port}/metrics", timeout=LONG)


def test_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is looked up once, and stands in the Host header."""
    with raw_server(body(b"a 1\n")) as server:
        assert fetch_named(monkeypatch, server.port, "127.0.0.1") == b"a 1\n"
    assert f"Host: model-server:{server.port}".encode() in server.requests[0]


def test_the_next_address_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with localhost, which is ::1 first, and a server that listens on 127.0.0.1 only."""
    with raw_server(body(b"a 1\n")) as server:
        assert fetch_named(monkeypatch, server.port, "::1", "127.0.0.1") == b"a 1\n"


@pytest.mark.parametrize(
    "found",
    ["169.254.169.254", "fe80::1%lo", "fd00:ec2::254", "::ffff:169.254.169.254", "100.100.100.200"],
)
def test_a_name_that_leads_to_a_metadata_service_is_refused(
    found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if another of its addresses is harmless: which one is used could change."""
    with raw_server(body(b"a 1\n")) as server:
        with pytest.raises(FetchError) as caught:
            fetch_named(monkeypatch, server.port, "127.0.0.1", found)
        assert server.requests == []
    assert caught.value.kind == FetchKind.FORBIDDEN


def test_a_name_nobody_knows_is_an_error_of_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's words are in the text."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError) as caught:
        fetch("http://nosuch.example/metrics")
    assert caught.value.kind == FetchKind.DNS
    assert "Name or service not known" in str(caught.value)


def test_a_name_service_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the look-ups that hang are bounded in number."""
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(LONG)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    errors = []
    try:
        for _ in range(address.MAX_LOOKUPS + 4):
            with pytest.raises(FetchError) as caught:
                fetch("http://model-server/metrics", timeout=0.02)
            errors.append(caught.value)
    finally:
        release.set()
    assert {error.kind for error in errors} == {FetchKind.DNS}
    assert "too many" in str(errors[-1])
    assert "too many" not in str(errors[0])


# --- secrets -------------------------------------------------------------------------------------

CANARY = "canary-5e3c2e7f"


def test_a_bearer_token_is_sent() -> None:
    """As it is."""
    with raw_server(body(b"")) as server:
        fetch(server.url, bearer_token=CANARY)
    assert f"Authorization: Bearer {CANARY}\r\n".encode() in server.requests[0]


@pytest.mark.parametrize(
    "token", [f"{CANARY}\r\nX: y", f"{CANARY} x", "", f"{CANARY}\u00e9", "a" * 20_000]
)
def test_a_token_that_is_none_is_refused_without_being_shown(token: str) -> None:
    """http.client would put it into its error."""
    with pytest.raises(FetchError) as caught:
        fetch("http://127.0.0.1:9/", bearer_token=token)
    assert caught.value.kind == FetchKind.FORBIDDEN
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize("before", [0, 100, 140, 147])
@pytest.mark.parametrize("long", [False, True])
def test_no_error_shows_the_begin_of_a_token(before: int, long: bool) -> None:
    """A server may say it back where the text is cut off, or with something in it."""
    token = CANARY + "x" * (300 if long else 0)
    said = "a" * before + token[: len(CANARY) - 4] + ("" if long else "-") + token[-4:]
    with raw_server(body(b"", status=f"400 {said}")) as server, pytest.raises(FetchError) as caught:
        fetch(server.url, timeout=LONG, bearer_token=token)
    assert CANARY[:8] not in repr(caught.value)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", PROTOCOL)
def test_no_error_shows_the_token(name: str) -> None:
    """Whatever the server does."""
    with raw_server(PROTOCOL[name]) as server, pytest.raises(FetchError) as caught:
        fetch(server.url, timeout=LONG, cap=100_000, bearer_token=CANARY)
    assert CANARY not in repr(caught.value)
    assert CANARY not in str(caught.value.__cause__)


# --- anything ------------------------------------------------------------------------------------

_PIECES = st.sampled_from(
    [
        OK,
        b"HTTP/1.1 ",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n",
        b"Location: http://[\r\n",
        b": \r\n",
        b" folded\r\n",
        b"-1",
        b"99999999999999999999",
        b"\x00\xff",
    ]
)


@given(st.lists(_PIECES | st.binary(max_size=20), max_size=10))
def test_any_bytes_give_a_body_or_a_typed_error(pieces: list[bytes]) -> None:
    """No other exception, whatever a server sends."""
    with raw_server(sends(*pieces)) as server:
        try:
            content = fetch(server.url, timeout=LONG, cap=1000)
        except FetchError:
            return
    assert len(content) <= 1000


def test_no_descriptor_is_left_open() -> None:
    """Neither after an answer nor after an error."""

    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    answers = [body(b"a 1\n"), *PROTOCOL.values()]
    with raw_server(answers[0]) as server:
        before = opened()
        for answer in answers * 3:
            server.answer = answer
            try:
                fetch(server.url, cap=100_000)
            except FetchError:
                continue
        deadline = time.monotonic() + LONG
        while opened() > before and time.monotonic() < deadline:
            time.sleep(0.01)  # the server's threads close their ends on their own time
        assert opened() <= before


def test_the_time_left_is_all_there_is() -> None:
    """No time, no connection."""
    with raw_server(body(b"")) as server:
        with pytest.raises(FetchError) as caught:
            fetch(server.url, timeout=0.0)
        assert server.requests == []
    assert caught.value.kind == FetchKind.TIMEOUT
    assert fetch_module.DEFAULT_TIMEOUT == 2.0
