"""The only way to a cloud's metadata service: fixed addresses, plain HTTP, a second at most.

collectors/fetch.py reaches no such address, since they hand out credentials. This client reaches
no other, asks only what its callers in this folder ask, follows no redirect, knows no proxy, and
reads no more than `CAP` bytes. Whoever calls it chooses a place, never an address.
"""

import http.client
import io
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from unitcost.collectors.fetch import FetchError, FetchKind

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LIMIT = 1.0
"""Seconds for all questions to one cloud together."""
CAP = 64 * 1024
_HEAD = 32 * 1024
_VALUE = re.compile(r"[!-~]{1,1024}")
NOT_FOUND = 404


class Place(StrEnum):
    """Where metadata services are: all clouds' address, and Amazon's for hosts without IPv4."""

    IPV4 = "169.254.169.254"
    AMAZON_IPV6 = "fd00:ec2::254"


ADDRESSES: Mapping[Place, tuple[str, int]] = {place: (str(place), 80) for place in Place}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with status 200: its text, and its headers by their names in lower case."""

    text: str
    headers: Mapping[str, str]


def limited(deadline: float) -> float:
    """The instant until which one cloud may be asked, of ``time.monotonic()``."""
    return min(deadline, time.monotonic() + LIMIT)


def ask(
    target: str,
    headers: Mapping[str, str],
    *,
    deadline: float,
    method: str = "GET",
    place: Place = Place.IPV4,
) -> Answer:
    """One request to a metadata service. Raises FetchError, with the status where it is not 200."""
    for name, value in headers.items():
        if not _VALUE.fullmatch(value):
            raise FetchError(FetchKind.PROTOCOL, f"no value of a header: {name}")
    try:
        with _connected(ADDRESSES[place], deadline) as sock:
            return _exchanged(sock, method, target, headers, deadline)
    except FetchError:
        raise
    except TimeoutError:
        raise FetchError(FetchKind.TIMEOUT, "no whole answer in time") from None
    except (http.client.HTTPException, ValueError) as error:
        raise FetchError(FetchKind.PROTOCOL, f"not HTTP: {type(error).__name__}") from None
    except OSError as error:
        raise FetchError(FetchKind.REFUSED, error.strerror or type(error).__name__) from None


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _connected(address: tuple[str, int], deadline: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(_remaining(deadline))
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class _Wire(io.RawIOBase):
    """Reads from a socket until a deadline and a number of bytes, whatever arrives."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._left = 2 * CAP + _HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        self._sock.settimeout(_remaining(self._deadline))
        count = self._sock.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise FetchError(FetchKind.TOO_LARGE, "the answer is too large")
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks of a socket."""
        return io.BufferedReader(self)


def _exchanged(
    sock: socket.socket, method: str, target: str, headers: Mapping[str, str], deadline: float
) -> Answer:
    lines = {"Host": "169.254.169.254", "User-Agent": "unitcost", "Accept": "*/*"}
    lines |= {**headers, "Connection": "close"}
    if method == "PUT":
        lines["Content-Length"] = "0"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    sock.settimeout(_remaining(deadline))
    sock.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("ascii"))
    response = http.client.HTTPResponse(cast(socket.socket, _Wire(sock, deadline)), method=method)
    with response:
        response.begin()
        if response.status != http.client.OK:
            kind = FetchKind.REDIRECT if 300 <= response.status < 400 else FetchKind.STATUS
            raise FetchError(kind, f"HTTP {response.status}", response.status)
        body = response.read(CAP + 1)
        if len(body) > CAP:
            raise FetchError(FetchKind.TOO_LARGE, f"the body is larger than {CAP} bytes")
        if response.length:
            raise http.client.IncompleteRead(b"")
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(body.decode("utf-8"), found)
