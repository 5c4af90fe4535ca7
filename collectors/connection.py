"""Connections to where a URL leads: by a deadline, to addresses that were checked, with TLS."""

import functools
import os
import socket
import ssl
import time
from enum import StrEnum

from unitcost.collectors.address import Address, Place, refused, resolve

_MAX_DETAIL = 160


class FetchKind(StrEnum):
    """What went wrong, in one word; the whole set, so it can be a label."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    STATUS = "status"
    PROTOCOL = "protocol"
    DNS = "dns"
    TLS = "tls"
    FORBIDDEN = "forbidden"


class FetchError(Exception):
    """Nothing could be fetched; the text says why, on one line, without secrets.

    `status` is the HTTP status where it is that which is wrong, else 0.
    """

    def __init__(self, kind: FetchKind, detail: str, status: int = 0) -> None:
        super().__init__(_printable(detail))
        self.kind = kind
        self.status = status


def remaining(deadline: float) -> float:
    """Seconds until an instant of ``time.monotonic()``. Raises TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def connect(place: Place, deadline: float) -> socket.socket:
    """Connect to the first address that answers, of those that were checked.

    Raises FetchError, TimeoutError.
    """
    addresses = _addresses(place, deadline)
    for address in addresses:
        if why := refused(address[0].partition("%")[0]):
            raise FetchError(FetchKind.FORBIDDEN, f"{address[0]} is never read: {why}")
    failure = ""
    for index, address in enumerate(addresses):
        # Each gets its part of the time, so that a dead one leaves some for the next.
        patience = remaining(deadline) / (len(addresses) - index)
        try:
            return _connected(address, patience)
        except TimeoutError:
            failure = ""
        except OSError as error:
            failure = named(error)
    if failure:
        raise FetchError(FetchKind.REFUSED, f"cannot connect: {failure}")
    raise TimeoutError


def _connected(address: Address, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(place: Place, deadline: float) -> list[Address]:
    left = remaining(deadline)
    try:
        return resolve(place.host, place.port, left)
    except OSError as error:
        raise FetchError(FetchKind.DNS, f"{place.host}: {named(error)}") from None


@functools.cache  # a pure value, and 20 ms to make
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@functools.lru_cache(maxsize=4)
def _tls_by(ca_file: str, _changed_ns: int) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _trust(ca_file: str) -> ssl.SSLContext:
    """The authorities in the file as it is now (it may be replaced), or those of the system."""
    if not ca_file:
        return _tls()
    try:
        return _tls_by(ca_file, os.stat(ca_file).st_mtime_ns)
    except OSError as error:  # ssl.SSLError, for a file with none in it, is one
        raise FetchError(FetchKind.TLS, f"{ca_file} cannot be used: {named(error)}") from None


def secured(sock: socket.socket, place: Place, deadline: float, ca_file: str) -> socket.socket:
    """The socket, under TLS where the place asks for it. Raises FetchError, OSError."""
    if place.scheme != "https":
        return sock
    sock.settimeout(remaining(deadline))
    return _trust(ca_file).wrap_socket(sock, server_hostname=place.host)


def named(error: Exception) -> str:
    """What went wrong, in the system's words."""
    text = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return text or type(error).__name__


def _printable(text: str) -> str:
    plain = "".join(ch if ch.isprintable() else "?" for ch in text[:_MAX_DETAIL])
    return plain if len(text) <= _MAX_DETAIL else f"{plain[:-1]}…"
