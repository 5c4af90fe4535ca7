"""The only HTTP client: one request, bounded in time and size, that goes where it is told only.

One limit holds for everything together, from the look-up of the name to the last byte: a server
that sends one byte a second is cut off. No redirects, no proxies from the environment, no cookies.
Every request has a connection of its own: common servers close an idle one after 5 s, which is
our period, and a kept one would save 0.1 ms of CPU (bench/parse.py).
"""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from unitcost.collectors.address import Place, parse_url
from unitcost.collectors.connection import FetchError as FetchError
from unitcost.collectors.connection import FetchKind as FetchKind
from unitcost.collectors.connection import connect, named, remaining, secured

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DEFAULT_TIMEOUT = 2.0
DEFAULT_CAP = 4 * 1024 * 1024
_TOLD = 8
"""So many characters of a secret give it away."""
MAX_TOKEN_LENGTH = 16 * 1024
_HEADER_ALLOWANCE = 64 * 1024
_PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """A body, and whether the server is on this host (its address is our own)."""

    body: bytes
    local: bool


def check_url(url: str) -> None:
    """Check a URL as a configuration has it. Raises ValueError that says what is wrong."""
    parse_url(url)


def fetch(
    url: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    cap: int = DEFAULT_CAP,
    bearer_token: str | None = None,
    ca_file: str = "",
) -> bytes:
    """GET a URL; `timeout` in seconds for everything, `cap` in bytes. Raises FetchError.

    With a `ca_file` the authorities in it, and no others, say which server is to be trusted.
    """
    return get(url, timeout=timeout, cap=cap, bearer_token=bearer_token, ca_file=ca_file).body


def get(
    url: str,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    cap: int = DEFAULT_CAP,
    bearer_token: str | None = None,
    ca_file: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """As `fetch`, and says whether the server is on this host. Raises FetchError.

    `headers` are sent besides ours, or instead of those of the same name; they may be secrets.
    """
    deadline = time.monotonic() + timeout
    with _unseen(bearer_token, headers), _told():
        ours = _headers(bearer_token, headers, body)
        with (
            _opened(url, deadline, ca_file) as (sock, place, local),
            _asked(sock, place, ours, deadline, cap, body) as response,
        ):
            return Response(_read_body(response, cap), local)


def post(
    url: str,
    body: bytes,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    cap: int = DEFAULT_CAP,
    bearer_token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """As `fetch`, with JSON to be POSTed: for what cannot be asked otherwise. Raises FetchError."""
    return get(
        url, timeout=timeout, cap=cap, bearer_token=bearer_token, body=body, headers=headers
    ).body


@contextmanager
def stream(
    url: str, *, timeout: float, cap: int, headers: Mapping[str, str] | None = None
) -> Iterator[Iterator[bytes]]:
    """GET what is too large to hold, in pieces as they come. Raises FetchError, also on the way.

    `timeout` holds until the last piece is read. A body that ends early raises at its end, so
    what was read of it is not to be used before.
    """
    deadline = time.monotonic() + timeout
    with _unseen(None, headers), ExitStack() as open_until_read:
        with _told():
            ours = _headers(None, headers, None)
            opened = open_until_read.enter_context(_opened(url, deadline, ""))
            asked = _asked(opened[0], opened[1], ours, deadline, cap, None)
            response = open_until_read.enter_context(asked)
        yield _pieces(response, cap)


@contextmanager
def _opened(url: str, deadline: float, ca_file: str) -> Iterator[tuple[socket.socket, Place, bool]]:
    """A connection to where the URL leads, and whether that is this host."""
    try:
        place = parse_url(url)
    except ValueError as error:
        raise FetchError(FetchKind.FORBIDDEN, str(error)) from None
    with connect(place, deadline) as sock:
        local = sock.getsockname()[0] == sock.getpeername()[0]
        with secured(sock, place, deadline, ca_file) as safe:
            yield safe, place, local


@contextmanager
def _unseen(bearer_token: str | None, headers: Mapping[str, str] | None) -> Iterator[None]:
    """Keep what was told to a server out of errors: it may say it back."""
    try:
        yield
    except FetchError as error:
        # Of a long text the rest was cut off, and with it the rest of what it shows.
        if bearer_token and bearer_token[:_TOLD] in str(error):
            why = "an error that shows the bearer token"
            raise FetchError(error.kind, why, error.status) from None
        given = (headers or {}).values()
        if any(len(value) > _TOLD and value[:_TOLD] in str(error) for value in given):
            why = "an error that shows a header we sent"
            raise FetchError(error.kind, why, error.status) from None
        raise


@contextmanager
def _told() -> Iterator[None]:
    """Turn whatever goes wrong on the wire into a FetchError."""
    try:
        yield
    except FetchError:
        raise
    except TimeoutError:
        raise FetchError(FetchKind.TIMEOUT, "no whole answer in time") from None
    except ssl.SSLError as error:
        raise FetchError(FetchKind.TLS, f"TLS: {error.reason or error}") from None
    except http.client.IncompleteRead:
        raise FetchError(FetchKind.PROTOCOL, "the answer ended early") from None
    except OSError as error:
        raise FetchError(FetchKind.PROTOCOL, f"the connection broke: {named(error)}") from None
    except (http.client.HTTPException, ValueError) as error:
        raise FetchError(FetchKind.PROTOCOL, f"not HTTP: {named(error)}") from None


def _headers(
    bearer_token: str | None, more: Mapping[str, str] | None, body: bytes | None
) -> dict[str, str]:
    headers = {
        "Accept": "text/plain;version=0.0.4,*/*;q=0.1",
        "Accept-Encoding": "identity",
        "User-Agent": "unitcost",
        "Connection": "close",
    }
    if bearer_token is not None:
        # http.client would put a bad header value, the secret, into its error.
        if not 0 < len(bearer_token) <= MAX_TOKEN_LENGTH or not all(
            "!" <= character <= "~" for character in bearer_token
        ):
            raise FetchError(FetchKind.FORBIDDEN, "the bearer token is empty or has odd characters")
        headers["Authorization"] = f"Bearer {bearer_token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    for name, value in (more or {}).items():
        if not (0 < len(value) <= MAX_TOKEN_LENGTH and value.isascii() and value.isprintable()):
            raise FetchError(
                FetchKind.FORBIDDEN, f"the header {name} is empty or has odd characters"
            )
        headers[name] = value
    return headers


class _Wire(io.RawIOBase):
    """Reads from a socket until a deadline and a number of bytes, whatever arrives."""

    def __init__(self, sock: socket.socket, deadline: float, limit: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        self._sock.settimeout(remaining(self._deadline))
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise FetchError(FetchKind.TOO_LARGE, "the answer is too large")
        return count


class _Transport:
    """What http.client needs of a socket. Closing is left to the owner of the real one."""

    def __init__(self, sock: socket.socket, deadline: float, limit: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._wire = _Wire(sock, deadline, limit)

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(remaining(self._deadline))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._wire)

    def close(self) -> None:
        """Nothing: the answer is still to be read from it."""


@contextmanager
def _asked(
    sock: socket.socket,
    place: Place,
    headers: dict[str, str],
    deadline: float,
    cap: int,
    body: bytes | None,
) -> Iterator[http.client.HTTPResponse]:
    """Send the request; the answer to it, if its head is acceptable."""
    connection = http.client.HTTPConnection(place.host, place.port)
    connection.default_port = 443 if place.scheme == "https" else 80
    # A chunked body may cost more on the wire than it holds; twice is enough for any server.
    transport = _Transport(sock, deadline, 2 * cap + _HEADER_ALLOWANCE)
    connection.sock = cast(socket.socket, transport)
    method = "GET" if body is None else "POST"
    connection.request(method, place.target, body=body, headers=headers)
    with connection.getresponse() as response:
        _check_head(response, cap)
        yield response


def _check_head(response: http.client.HTTPResponse, cap: int) -> None:
    """Accept only a 200 with a body that is framed in one way, as it is, and small enough."""
    status = response.status
    if 300 <= status < 400:
        where = response.headers.get("Location", "").partition("?")[0]
        raise FetchError(FetchKind.REDIRECT, f"HTTP {status} to {where!r}: name the final URL")
    if status != 200:
        hint = ": a bearer token is needed or wrong" if status in (401, 403) else ""
        raise FetchError(FetchKind.STATUS, f"HTTP {status} {response.reason}{hint}", status)
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise FetchError(FetchKind.PROTOCOL, f"sent as {coding!r} though none was asked for")
    transfer = response.headers.get("Transfer-Encoding")
    lengths = set(response.headers.get_all("Content-Length", []))
    if transfer is not None:
        if transfer.strip().lower() != "chunked" or lengths:
            raise FetchError(FetchKind.PROTOCOL, "the length of the body is stated in two ways")
    elif len(lengths) > 1 or not all(_is_length(length) for length in lengths):
        raise FetchError(FetchKind.PROTOCOL, "the Content-Length is no number")
    elif lengths and int(lengths.pop()) > cap:
        raise FetchError(FetchKind.TOO_LARGE, f"the body is larger than {cap} bytes")


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _read_body(response: http.client.HTTPResponse, cap: int) -> bytes:
    body = response.read(cap + 1)
    if len(body) > cap:
        raise FetchError(FetchKind.TOO_LARGE, f"the body is larger than {cap} bytes")
    if response.length:
        raise http.client.IncompleteRead(b"")
    return body


def _pieces(response: http.client.HTTPResponse, cap: int) -> Iterator[bytes]:
    """The body in pieces; no more of it is ever held."""
    left = cap
    while True:
        with _told():
            piece = response.read1(_PIECE)
            left -= len(piece)
            if left < 0:
                raise FetchError(FetchKind.TOO_LARGE, f"the body is larger than {cap} bytes")
            if not piece and response.length:
                raise http.client.IncompleteRead(b"")
        if not piece:
            return
        yield piece
