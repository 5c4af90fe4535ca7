"""Remembers pods: those there are, those just gone, and what others of a controller were like."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from unitcost.collectors.kube.names import stem
from unitcost.pricing.container import Pod
from unitcost.pricing.workload import clean_name

MAX_REMEMBERED = 4_096
_KEPT_TAKES = 2

Name = tuple[str, str]
"""Of a pod: namespace and name."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class KnownPods:
    """The pods of this node as they were last listed. For one thread at a time.

    A pod that is gone is told of twice more: what it held to its end may be read after that.
    """

    def __init__(self) -> None:
        self.listed = False
        self._current: dict[str, Pod] = {}
        self._gone: dict[str, tuple[Pod, int]] = {}
        self._siblings: dict[Name, Pod] = {}

    def names(self) -> set[Name]:
        """Those that were listed last."""
        return {(pod.namespace, pod.name) for pod in self._current.values()}

    def update(self, pods: Iterable[Pod]) -> None:
        """These are all there are now."""
        before, self._current = self._current, {pod.uid: pod for pod in pods}
        self.listed = True
        for uid, pod in before.items():
            if uid not in self._current:
                # Its address may be another pod's soon.
                self._gone[uid] = replace(pod, address="", scrape=None), _KEPT_TAKES
        for pod in self._current.values():
            put_last(self._siblings, (pod.namespace, stem(pod.name)), pod)
            self._gone.pop(pod.uid, None)
        for _ in range(len(self._gone) - MAX_REMEMBERED):
            del self._gone[next(iter(self._gone))]

    def take(
        self, holders: Iterable[Name], logged: Callable[[], Mapping[Name, str]]
    ) -> tuple[Pod, ...]:
        """All pods that are known, and one for each of `holders` that is not.

        `logged` finds the UIDs of pods that have logs here; these are all we have where no pods
        were ever listed. Of several pods by one name the newest comes last.
        """
        known = [pod for pod, _ in self._gone.values()] + list(self._current.values())
        self._gone = {uid: (pod, left - 1) for uid, (pod, left) in self._gone.items() if left > 1}
        names = {(pod.namespace, pod.name) for pod in known}
        missing = set(holders) - names
        if missing or not self.listed:
            uids = logged()
            if not self.listed:
                missing |= uids.keys() - names
            known += [self._guess(name, uids.get(name, "")) for name in sorted(missing)]
        return tuple(known)

    def _guess(self, name: Name, uid: str) -> Pod:
        """A pod we know by its name alone: like others of that controller, if there were any."""
        namespace, pod = name
        base = stem(pod)
        sibling = self._siblings.get((namespace, base))
        if sibling is not None:
            return replace(sibling, uid=uid, name=pod, containers=(), address="", scrape=None)
        return Pod(uid, namespace, pod, clean_name(f"{namespace}/pod/{base}"))


def put_last(memory: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    """Remember something as the newest, and forget the oldest where that is too much."""
    memory.pop(key, None)
    memory[key] = value
    if len(memory) > MAX_REMEMBERED:
        del memory[next(iter(memory))]
