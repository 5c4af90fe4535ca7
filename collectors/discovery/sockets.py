"""Listening sockets of this host or pod, as places that may be asked; and whose they are."""

import ipaddress
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unitcost.collectors import procfs
from unitcost.collectors.address import refused
from unitcost.pricing.sample import Process

LOOPBACK, LOOPBACK_6 = "127.0.0.1", "[::1]"


@dataclass(frozen=True, slots=True)
class Place:
    """A port that is listened on, by one or more sockets.

    `hosts`: where to reach it, as it stands in a URL, the one to try first first. `inodes` name the
    sockets: other ones are those of another server, or of the same started anew.
    """

    hosts: tuple[str, ...]
    port: int
    inodes: frozenset[bytes]

    @property
    def key(self) -> tuple[str, int]:
        """What stays the same while servers come and go."""
        return self.hosts[0], self.port


def listening_places(root: str) -> list[Place]:
    """What listens on loopback, on all addresses or on one of our own, by port. Raises OSError.

    An address that is listened on is one of our own. Those that are never read are left out.
    """
    hosts: dict[tuple[str, int], tuple[str, ...]] = {}
    inodes: dict[tuple[str, int], set[bytes]] = {}
    for address, port, inode in procfs.listening_sockets(root):
        reached = _hosts(address)
        if reached:
            key = reached[0], port
            # Of several sockets on one port that which surely answers there says where to ask.
            hosts[key] = min(hosts.get(key, reached), reached, key=len)
            inodes.setdefault(key, set()).add(inode)
    return [Place(hosts[key], key[1], frozenset(found)) for key, found in sorted(inodes.items())]


def _hosts(address: procfs.IPAddress) -> tuple[str, ...]:
    """Where a socket on this address is reached; nowhere if such addresses are never read."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _hosts(address.ipv4_mapped)
        if address.is_unspecified:
            return LOOPBACK, LOOPBACK_6  # mostly it takes both, unless told to take IPv6 alone
        return () if refused(str(address)) else (f"[{address}]",)
    if address.is_unspecified:
        return (LOOPBACK,)
    return () if refused(str(address)) else (str(address),)


def is_own_address(address: str) -> bool:
    """Whether an IP address is one of this host's or pod's own: only such can be bound."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def own_inodes() -> set[bytes]:
    """The inodes of this process's own sockets."""
    try:
        return procfs.socket_inodes("/proc", os.getpid())
    except (procfs.Gone, OSError):
        return set()


def owners_of(
    root: str, processes: Iterable[Process], wanted: frozenset[bytes]
) -> dict[bytes, Process]:
    """Which of `processes` has each socket open, the first of several; as far as we may look."""
    found: dict[bytes, Process] = {}
    for process in processes:
        if wanted <= found.keys():
            break
        try:
            opened = procfs.socket_inodes(root, process.pid)
        except (procfs.Gone, OSError):
            continue
        for inode in opened & wanted:
            found.setdefault(inode, process)
    return found


def unseen(root: str, processes: Sequence[Process], wanted: frozenset[bytes]) -> frozenset[bytes]:
    """Those sockets that no process we may look at has open. Reads every process: ask seldom."""
    return wanted - owners_of(root, processes, wanted).keys()
