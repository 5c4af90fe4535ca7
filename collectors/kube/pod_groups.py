"""Whether pods came or went, by their control groups: cheaper to see than to ask the kubelet."""

import os

_TREES = ("", "cpu,cpuacct", "cpuacct", "memory", "pids", "systemd", "unified")
"""The tree of version 2, or one of version 1's."""
_PODS = ("kubepods.slice", "kubepods")
_CLASSES = (
    "",
    "kubepods-burstable.slice",
    "kubepods-besteffort.slice",
    "burstable",
    "besteffort",
)


class PodGroups:
    """The folders that hold the control groups of this node's pods; `root`: where they are seen."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._places: list[str] = []
        self._before: frozenset[str] | None = None

    def names(self) -> frozenset[str] | None:
        """What is in them; None where they cannot be seen, so that nothing can be told."""
        now = self._listed()
        if now is None or now != self._before:
            # One of the classes may have come with it.
            self._places = self._found()
            now = self._listed()
        self._before = now
        return now

    def _listed(self) -> frozenset[str] | None:
        found: list[str] = []
        try:
            for place in self._places:
                found += os.listdir(place)
        except OSError:
            return None
        return frozenset(found) if self._places else None

    def _found(self) -> list[str]:
        for tree in _TREES:
            for pods in _PODS:
                top = os.path.join(self._root, tree, pods)
                if os.path.isdir(top):
                    return [place for name in _CLASSES if os.path.isdir(place := f"{top}/{name}")]
        return []
