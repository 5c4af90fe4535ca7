"""Finds the control groups of containers, again and again without listing what did not change."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from unitcost.pricing.container_path import container_of

MAX_DEPTH = 8
MAX_CONTAINERS = 2_000
MAX_DIRECTORIES = 8_000
# What runtimes and the kubelet put containers into; kind has a kubelet in a container.
_HOLDS_CONTAINERS = re.compile(
    r"(?:kubepods|kubelet|burstable$|besteffort$|guaranteed$|pod[0-9a-f]"
    r"|(?:system|machine)\.slice$|containerd\.service$|docker$|libpod_parent$)"
)


@dataclass(frozen=True, slots=True)
class Container:
    """One container: its control group's path below the root, its id, its pod's UID or ""."""

    path: str
    id: str
    pod_uid: str


@dataclass(slots=True)
class _Group:
    """A control group that holds containers or is one, as it was when last looked at.

    `links`: its link count, for the kernel counts a directory's children in it (its time of
    change stays as it is). 0: must be listed. `others`: it has children that are of no interest.
    """

    path: str
    identity: tuple[str, str] | None
    links: int = 0
    others: bool = False
    children: dict[str, "_Group"] = field(default_factory=dict)


class ContainerTree:
    """The containers below one root; remembers the tree between looks."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._top = _Group("", None)
        self._directories = 0

    def look(self) -> tuple[list[Container], bool]:
        """The containers there are now, and whether these are all (there is a limit).

        A container that holds other ones of its own is left out, for what it used is theirs as
        well. Raises OSError where the root cannot be listed.
        """
        self._directories = 0
        _links(self._root)
        self._refresh(self._top, 0)
        found = list(_containers(self._top))
        complete = len(found) <= MAX_CONTAINERS and self._directories < MAX_DIRECTORIES
        return found[:MAX_CONTAINERS], complete

    def _refresh(self, group: _Group, depth: int) -> bool:
        """Bring what is known of a group and those below up to date; False where it is gone.

        Where one of its children is gone another may have come, which the link count does not
        show; neither does it where some children are of no interest.
        """
        self._directories += 1
        if self._directories > MAX_DIRECTORIES:
            return True
        try:
            links = _links(self._root + group.path)
            # Some file systems count no links (always 1).
            if links != group.links or links < 2 or group.others:
                self._list(group, links)
        except OSError:
            return False
        if depth < MAX_DEPTH:
            gone = [n for n, c in group.children.items() if not self._refresh(c, depth + 1)]
            for name in gone:
                del group.children[name]
                group.links = 0
        return True

    def _list(self, group: _Group, links: int) -> None:
        """Find the children that hold containers or are some. Raises OSError."""
        known, group.children = group.children, {}
        group.links, group.others = links, False
        if links == 2:
            return
        with os.scandir(self._root + group.path) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    continue
                child = known.get(entry.name) or _child(group, entry.name)
                if child:
                    group.children[entry.name] = child
                else:
                    group.others = True


def _links(path: str) -> int:
    return os.stat(path).st_nlink


def _child(group: _Group, name: str) -> _Group | None:
    """A child that is another container than its parent, or may hold some; else None."""
    path = f"{group.path}/{name}"
    identity = container_of(path)
    if identity != group.identity or _HOLDS_CONTAINERS.match(name):
        return _Group(path, identity)
    return None


def _containers(group: _Group, above: tuple[str, str] | None = None) -> Iterator[Container]:
    """The innermost containers of a group that are not the one it lies in."""
    inner = [
        each for child in group.children.values() for each in _containers(child, group.identity)
    ]
    if inner:
        yield from inner
    elif group.identity and group.identity != above:
        yield Container(group.path, group.identity[1], group.identity[0])
