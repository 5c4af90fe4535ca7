"""Watches the kubelet: asks it every second, so that what comes and goes between ticks is seen."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from unitcost.collectors.base import NoData
from unitcost.collectors.kube.grants import Patterns, allocatable, holdings
from unitcost.collectors.kube.kubelet import KubeletClient, KubeletError
from unitcost.collectors.kube.pod_groups import PodGroups
from unitcost.collectors.kube.presence import Holding, Presence, Span
from unitcost.collectors.kube.repeater import Repeater
from unitcost.pricing.container import Allocatable

_ALLOCATABLE_NS = 60 * 10**9
_EAGER = 3
"""How many times in a row the kubelet is asked after pods came or went."""
_CALM = 5
"""One of how many times it is asked while none does."""
_MARGIN = 0.25
"""Seconds before the deadline of a tick at which waiting ends."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What was given to whom over a span; `allocatable` is None where it cannot be asked."""

    span: Span
    allocatable: tuple[Allocatable, ...] | None


class KubeletWatch:
    """Asks the kubelet in a thread of its own, from the first `take` on until it is closed.

    `poll` and `timeout` are in seconds. While `groups` tells that no pod comes or goes, the kubelet
    is asked more seldom: its answer costs more than a look at them. What is seen goes into
    `presence`; `changed` is called, in that thread, with what is listed whenever that differs.
    """

    def __init__(
        self,
        path: str,
        patterns: Patterns,
        poll: float,
        timeout: float,
        presence: Presence,
        changed: Callable[[frozenset[Holding]], None],
        groups: PodGroups,
    ) -> None:
        self._presence = presence
        self._path = path
        self._patterns = patterns
        self._timeout = timeout
        self._changed = changed
        self._client = KubeletClient(path)
        self._groups = groups
        self._names: frozenset[str] | None = None
        self._quiet = 0
        self._thread = Repeater("kubelet-poll", self._look, poll, poll, self._client.close)
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._error: KubeletError | None = None
        self._fresh = self._ever = False
        self._answer: bytes | None = None
        self._allocatable: tuple[Allocatable, ...] | None = None
        self._allocatable_ns: int | None = None

    def take(self, deadline: float) -> Watched:
        """The span since the last `take`; the first is empty. Waits for the first answer only.

        Raises NoData where there is no kubelet, KubeletError where it did not answer since the
        last `take`: that span is then nobody's.
        """
        if not self._ever and not _is_there(self._path):
            raise NoData(f"no kubelet here: there is no {self._path}")
        self._thread.start()
        # A little longer than the thread waits itself, so that it can say what is wrong.
        left = min(deadline - time.monotonic(), self._timeout + 2 * _MARGIN) - _MARGIN
        self._asked.wait(max(0.0, left))
        now = time.monotonic_ns()
        with self._lock:
            error, fresh, self._fresh = self._error, self._fresh, False
            given_out = self._allocatable
        if error is not None and not fresh:
            self._presence.skip(now)
            raise error.with_traceback(None)
        span = self._presence.take(now)
        if span is None:
            raise KubeletError("the kubelet has not answered yet")
        return Watched(span, given_out)

    def close(self, timeout: float = 0.0) -> None:
        """End the thread, and wait until it has ended, `timeout` seconds at most."""
        self._thread.close(timeout)

    def _look(self) -> None:
        """Ask the kubelet, unless it is known to have nothing new to say."""
        names, before = self._groups.names(), self._names
        self._names = names
        calm = names is not None and names == before and self._error is None
        self._quiet = self._quiet + 1 if calm else 0
        if self._quiet < _EAGER or self._quiet % _CALM == 0:
            self._poll()
        if self._quiet:
            self._client.rest()

    def _poll(self) -> None:
        try:
            self._ask()
        except KubeletError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - the thread must live on
            self._failed(KubeletError(f"{type(error).__name__}: {error}"[:200]))
        self._asked.set()

    def _failed(self, error: KubeletError) -> None:
        with self._lock:
            self._error = error
        self._answer = None

    def _ask(self) -> None:
        answer, reconnected = self._client.list_pods(self._timeout)
        now = time.monotonic_ns()
        if answer == self._answer:
            self._presence.seen_again(now)
        else:
            # The kubelet lists pods in any order, so another answer may say the same.
            listed = holdings(answer, self._patterns)
            if self._presence.saw(listed, now):
                self._changed(listed)
            self._answer = answer
        with self._lock:
            self._error, self._fresh, self._ever = None, True, True
        due = self._allocatable_ns is None or now - self._allocatable_ns >= _ALLOCATABLE_NS
        if reconnected or due:
            self._ask_allocatable(now)

    def _ask_allocatable(self, now: int) -> None:
        self._allocatable_ns = now
        answer = self._client.allocatable(self._timeout)
        found = None if answer is None else allocatable(answer, self._patterns)
        with self._lock:
            self._allocatable = found


def _is_there(path: str) -> bool:
    """Whether there is a socket; one that we may not see counts, too."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True
