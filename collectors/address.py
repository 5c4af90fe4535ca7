"""Where a configured URL leads: what may stand in one, and which addresses are never read.

The rules are a guard against being used to read what only this host can reach: the metadata
services of clouds answer on link-local addresses and hand out credentials.
"""

import ipaddress
import re
import socket
import threading
import urllib.parse
from dataclasses import dataclass
from typing import cast

MAX_URL_LENGTH = 2048
MAX_HOST_LENGTH = 253
MAX_LOOKUPS = 16

_LOOKUP_THREAD = "unitcost-lookup"

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", re.ASCII)
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?", re.ASCII | re.IGNORECASE)

# Metadata services that do not answer on a link-local address: Amazon and Google over IPv6,
# Alibaba, Oracle (classic).
_METADATA = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")

Address = tuple[str, int]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: `target` is path and query as they go on the wire."""

    scheme: str
    host: str
    port: int
    target: str


def parse_url(url: str) -> Place:
    """Take a URL apart. Raises ValueError that says what is wrong; its text holds no secret."""
    if not url or len(url) > MAX_URL_LENGTH:
        raise ValueError(f"a URL must have 1 to {MAX_URL_LENGTH} characters")
    if not (url.isascii() and url.isprintable()) or set(url) & set(' \\"<>^`{|}'):
        raise ValueError("a URL must be plain ASCII without spaces, backslashes and control codes")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("the URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("the URL must hold no user name and no password: use bearer_token_file")
    if "#" in url:
        raise ValueError("the URL must have no #fragment")
    host, port = _host(parts), _port(parts)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(parts.scheme, host, port, target)


def _host(parts: urllib.parse.SplitResult) -> str:
    host = parts.hostname or ""
    if parts.netloc.rpartition("]")[2].partition(":")[0] and "[" in parts.netloc:
        raise ValueError("the URL has no valid host name")
    if ":" in host:
        address = _literal(host)
        if address is None:
            raise ValueError("the URL's host is no IPv6 address")
    elif not _HOST.fullmatch(host) or len(host) > MAX_HOST_LENGTH or ".." in host:
        raise ValueError("the URL has no valid host name")
    else:
        address = _literal(host)
        if address is None and _NUMERIC.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise ValueError("an IPv4 address must have four decimal parts")
    if address is not None and (why := refused(host)):
        raise ValueError(f"{host} is never read: {why}")
    return host


def _port(parts: urllib.parse.SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the URL's port must be a number from 1 to 65535") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("the URL's port must be a number from 1 to 65535")
    return port or (443 if parts.scheme == "https" else 80)


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def refused(address: str) -> str | None:
    """Why an IP address is never read, if so: link-local, metadata service, multicast, none."""
    for ip in _meanings(ipaddress.ip_address(address)):
        if ip.is_link_local:
            return "a link-local address"
        if ip in _METADATA:
            return "a cloud's metadata service"
        if ip.is_multicast:
            return "a multicast address"
        if ip.is_unspecified:
            return "no address of a server (use 127.0.0.1)"
    return None


def _meanings(ip: IPAddress) -> list[IPAddress]:
    """The address and every IPv4 address that is written inside it."""
    meanings: list[IPAddress] = [ip]
    if isinstance(ip, ipaddress.IPv6Address):
        meanings += [inner for inner in (ip.ipv4_mapped, ip.sixtofour) if inner is not None]
        meanings += ip.teredo or ()
        low = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip in _NAT64 or (ip in _IPV4_COMPATIBLE and int(ip) > 1):
            meanings.append(low)
    return meanings


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this host by its name or address alone, without looking it up."""
    address = _literal(host)
    if address is None:
        return host.rstrip(".").lower() == "localhost"
    return any(ip.is_loopback for ip in _meanings(address))


def resolve(host: str, port: int, timeout: float) -> list[Address]:
    """The addresses of a host, looked up within `timeout` seconds. Raises OSError."""
    if _literal(host) is not None:
        return [(host, port)]
    # The system's look-up takes no limit, so it gets a thread, which may outlive this call.
    running = sum(thread.name == _LOOKUP_THREAD for thread in threading.enumerate())
    if running >= MAX_LOOKUPS:
        raise OSError("too many names are being looked up without an answer")
    answers: list[list[Address] | Exception] = []

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.append([cast(Address, item[4][:2]) for item in found])
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=look_up, name=_LOOKUP_THREAD, daemon=True)
    thread.start()
    thread.join(timeout)
    if not answers:
        raise OSError("no answer from the name service in time")
    answer = answers[0]
    if isinstance(answer, Exception):
        raise OSError(getattr(answer, "strerror", None) or str(answer))
    return list(dict.fromkeys(answer))
