"""Bodies too large to hold, and headers of the caller's own."""

import socket
import tracemalloc

import pytest

from tests.collectors.prices.web import ok, web
from tests.collectors.raw_server import Answer, body, raw_server, sends
from unitcost.collectors.fetch import FetchError, FetchKind, get, post, stream

OK = b"HTTP/1.1 200 OK\r\n"
SIZE = 48 * 1024 * 1024


def large(connection: socket.socket) -> None:
    """48 MiB."""
    connection.sendall(OK + f"Content-Length: {SIZE}\r\n\r\n".encode())
    for _ in range(SIZE // 65536):
        connection.sendall(b"x" * 65536)


def test_a_large_body_is_never_held_as_a_whole() -> None:
    """Memory stays at some pieces of it."""
    with raw_server(large) as server:
        tracemalloc.start()
        with stream(server.url, timeout=60, cap=SIZE) as pieces:
            read = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert read == SIZE
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (body(b"x" * 101), FetchKind.TOO_LARGE),
        (sends(OK + b"\r\n", b"x" * 101), FetchKind.TOO_LARGE),
        (sends(OK + b"Content-Length: 50\r\n\r\n", b"x" * 49), FetchKind.PROTOCOL),
        (sends(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nabc"), FetchKind.PROTOCOL),
        (
            sends(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n"),
            FetchKind.REDIRECT,
        ),
        (lambda connection: connection.recv(1), FetchKind.TIMEOUT),
    ],
    ids=["too long", "too long without a length", "short", "broken chunks", "redirect", "silent"],
)
def test_what_goes_wrong_on_the_way_has_its_kind(answer: Answer, kind: FetchKind) -> None:
    """As for a body that is held."""
    with (
        raw_server(answer) as server,
        pytest.raises(FetchError) as caught,
        stream(server.url, timeout=0.5, cap=100) as pieces,
    ):
        list(pieces)
    assert caught.value.kind is kind


def test_the_readers_own_errors_are_not_explained_away() -> None:
    """A ValueError of who reads is theirs."""
    with (
        raw_server(body(b"abc")) as server,
        pytest.raises(ValueError, match=r"^mine$"),
        stream(server.url, timeout=10, cap=100),
    ):
        raise ValueError("mine")


def test_headers_of_the_callers_own_are_sent() -> None:
    """Besides ours, or instead of them."""
    form = "application/x-www-form-urlencoded"
    with web(ok("ok")) as server:
        get(server.url, headers={"X-Mine": "1"})
        post(server.url, b"a=1", headers={"Content-Type": form})
    assert server.asked[0].headers["x-mine"] == "1"
    assert (server.asked[1].body, server.asked[1].headers["content-type"]) == (b"a=1", form)


@pytest.mark.parametrize("value", ["", "a\r\nX-Other: b", "ü", "a\x00"])
def test_a_header_that_is_none_is_not_sent_nor_shown(value: str) -> None:
    """It would begin another header, or be a secret in an error."""
    with raw_server(body(b"ok")) as server, pytest.raises(FetchError, match="X-Mine") as caught:
        get(server.url, headers={"X-Mine": value})
    assert not server.requests
    assert caught.value.kind is FetchKind.FORBIDDEN


def test_a_secret_header_that_is_said_back_is_not_repeated() -> None:
    """As for the bearer token."""
    answer = body(b"", status="403 no s3cr3t-key-1 here")
    with raw_server(answer) as server, pytest.raises(FetchError) as caught:
        get(server.url, headers={"X-Goog-Api-Key": "s3cr3t-key-1"})
    assert "s3cr3t" not in str(caught.value)
