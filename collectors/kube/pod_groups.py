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

    def names(self) -> frozenset[str] | None:
        """What is in them; None where they cannot be seen, so that nothing can be told."""
        for tree in _TREES:
            for pods in _PODS:
                place = os.path.join(self._root, tree, pods)
                if os.path.isdir(place):
                    return frozenset(_listed(place))
        return None


def _listed(place: str) -> list[str]:
    found: list[str] = []
    for name in _CLASSES:
        try:
            found += os.listdir(os.path.join(place, name))
        except OSError:
            continue
    return found
