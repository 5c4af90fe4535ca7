"""Who held which device for how long, from views of the kubelet taken again and again."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

MAX_CARRY_NS = 300 * 10**9
"""A view counts on for this long while no newer one can be had."""
MAX_HOLDINGS = 10_000
"""More grants than this in one span: nobody takes the spans, or the kubelet is out of order."""


class Holding(NamedTuple):
    """A device that a container was given. `claimed`: by a claim (DRA), which others may share."""

    namespace: str
    pod: str
    container: str
    resource: str
    device: str
    claimed: bool = False

    @property
    def of_pod(self) -> tuple[str, str]:
        """Namespace and name of the pod."""
        return self.namespace, self.pod


@dataclass(frozen=True, slots=True)
class Span:
    """For how long each was held in the `span_ns` up to `end_ns`, in ns."""

    end_ns: int
    span_ns: int
    held: Mapping[Holding, int]


class Presence:
    """Adds up how long each holding lasted: from the view that shows it to the one that does not.

    Kubelets before 1.34 go on listing pods that have ended, so one device may be under two pods.
    Ended pods (`finish`) hold nothing; of others the newest holds it, equally new ones share it.
    Safe to use from several threads; instants are of the monotonic clock, in ns.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listed: frozenset[Holding] = frozenset()
        self._finished: frozenset[tuple[str, str]] = frozenset()
        self._first_seen: dict[tuple[str, str], int] = {}
        self._holders: dict[Holding, int] = {}
        self._held: dict[Holding, int] = {}
        self._seen_ns: int | None = None
        self._since_ns = self._start_ns = 0

    def saw(self, listed: frozenset[Holding], now_ns: int) -> bool:
        """A view of the kubelet; returns whether it differs from the one before."""
        with self._lock:
            now_ns = self._advance(now_ns)
            if listed == self._listed:
                return False
            self._add_up(now_ns)
            self._listed = listed
            pods = {holding.of_pod for holding in listed}
            self._first_seen = {pod: self._first_seen.get(pod, now_ns) for pod in pods}
            self._finished &= pods
            self._holders = self._who_holds()
            return True

    def seen_again(self, now_ns: int) -> None:
        """The kubelet says the same as before."""
        with self._lock:
            self._advance(now_ns)

    def finish(self, pods: Iterable[tuple[str, str]], now_ns: int) -> None:
        """These pods have ended, and no other of those listed has."""
        with self._lock:
            finished = frozenset(pods) & self._first_seen.keys()
            if finished != self._finished:
                self._add_up(max(now_ns, self._since_ns))
                self._finished = finished
                self._holders = self._who_holds()

    def take(self, now_ns: int) -> Span | None:
        """The span since the last one was taken or skipped; None before the first view."""
        with self._lock:
            if self._seen_ns is None:
                return None
            end_ns = max(min(now_ns, self._seen_ns + MAX_CARRY_NS), self._since_ns)
            self._add_up(end_ns)
            span = Span(end_ns, end_ns - self._start_ns, self._held)
            self._restart(max(now_ns, end_ns))
            return span

    def skip(self, now_ns: int) -> None:
        """Forget the span until now."""
        with self._lock:
            self._restart(max(now_ns, self._since_ns))

    def _advance(self, now_ns: int) -> int:
        """A view can be had: whether the last one counts until now, or is too old for that."""
        now_ns = max(now_ns, self._since_ns)
        if self._seen_ns is None or now_ns - self._seen_ns > MAX_CARRY_NS:
            self._restart(now_ns)
        self._seen_ns = now_ns
        return now_ns

    def _restart(self, now_ns: int) -> None:
        self._held = {}
        self._since_ns = self._start_ns = now_ns

    def _add_up(self, now_ns: int) -> None:
        elapsed = now_ns - self._since_ns
        if not elapsed:
            return
        self._since_ns = now_ns
        for holding, sharers in self._holders.items():
            self._held[holding] = self._held.get(holding, 0) + elapsed // sharers
        if len(self._held) > MAX_HOLDINGS:
            self._restart(now_ns)

    def _who_holds(self) -> dict[Holding, int]:
        """Who of those listed holds its device, and with how many others it shares it."""
        holders: dict[Holding, int] = {}
        by_device: dict[tuple[str, str], list[Holding]] = defaultdict(list)
        for holding in self._listed:
            if holding.of_pod in self._finished:
                continue
            if holding.claimed:
                holders[holding] = 1
            else:
                by_device[holding.resource, holding.device].append(holding)
        for rivals in by_device.values():
            newest = max(self._first_seen[rival.of_pod] for rival in rivals)
            kept = [rival for rival in rivals if self._first_seen[rival.of_pod] == newest]
            holders.update(dict.fromkeys(kept, len(kept)))
        return holders
