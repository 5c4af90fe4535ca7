"""Targets that nobody configured: servers discovered here, and pods that say where theirs is.

Sockets are asked one after the other, a few at each tick, in a thread of its own: one that hangs
holds up the next one, and no endpoint that is known.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from unitcost.collectors.address import is_loopback, parse_url
from unitcost.collectors.base import Neighbours, Problem, Target
from unitcost.collectors.discovery.hints import Hints
from unitcost.collectors.discovery.pod_targets import own_ports, pod_targets
from unitcost.collectors.discovery.probe import TIMEOUT, Answer, Get, Outcome, ask, get
from unitcost.collectors.discovery.search import Candidate, Discovery, Scope
from unitcost.collectors.discovery.sockets import is_own_address
from unitcost.collectors.page.recognise import Recogniser
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.container import Pod
from unitcost.pricing.sample import Process

AT_ONCE = 4
"""Most sockets that are asked at one tick."""
_BATCH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Found:
    """A target, and the process it is of where that is known."""

    target: Target
    owner: Process | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be looked for: `sockets` here, and `pods` of this node."""

    sockets: bool = True
    pods: bool = True
    scope: Scope = field(default_factory=Scope)


class Finder:
    """Looks at each tick for what is new. Its methods are for one thread at a time."""

    def __init__(
        self,
        wanted: Wanted,
        tables: Iterable[ServerTable],
        recogniser: Recogniser,
        configured: Sequence[Target],
        environ: Mapping[str, str] = os.environ,
        get: Get = get,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._recogniser = recogniser
        self._configured = tuple(configured)
        self._reserved = frozenset(filter(None, map(_local_port, self._configured)))
        self._in_cluster = bool(environ.get("KUBERNETES_SERVICE_HOST"))
        self._get = get
        self._clock = clock
        self._discovery = Discovery(Hints(tables), wanted.scope)
        self._processes: tuple[Process, ...] = ()
        self._pods: tuple[Pod, ...] = ()
        self._of_pods: tuple[Target, ...] = ()
        self._pod_ports: frozenset[int] = frozenset()
        self._told: set[Problem] = set()
        self._problems: list[Problem] = []
        self._met = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="openmetrics-probe")
        self._asking: Future[list[tuple[Candidate, Answer]]] | None = None

    def meet(self, neighbours: Neighbours) -> None:
        """Take over what the others see. Nothing at all means they failed: what was, stays."""
        if neighbours.processes:
            self._met = True
            self._processes = neighbours.processes
        if neighbours.pods and neighbours.pods != self._pods and self._wanted.pods:
            self._pods = neighbours.pods
            self._of_pods, problems = pod_targets(self._pods, self._configured)
            self._pod_ports = own_ports(self._pods)
            self._tell(problems)

    def begin(self, starts: Iterable[float] = ()) -> None:
        """Look around if it is time to, and begin to ask who is due.

        `starts`: when the servers that are configured started, as far as they say.
        """
        if not self._wanted.sockets or not self._met:
            return
        self._hear(starts)
        now = self._clock()
        scope = self._wanted.scope
        self._discovery.scope = replace(scope, in_pod=self._in_cluster and not self._pods)
        self._discovery.look(self._processes, self._reserved | self._pod_ports, now)
        due = self._discovery.due(now)[:AT_ONCE]
        if due and self._asking is None:
            self._asking = self._pool.submit(self._ask, due)

    def settle(self, seconds: float, starts: Iterable[float] = ()) -> None:
        """Wait for those that are being asked, so many seconds at most."""
        if self._asking is not None:
            wait([self._asking], max(0.0, seconds))
            self._hear(starts)

    def look_again(self) -> None:
        """See at once what listens: a server that was discovered does not answer."""
        self._discovery.look_again()
        self.begin()

    def found(self) -> list[Found]:
        """All there are now, those of pods first."""
        here = [Found(each.target, each.owner) for each in self._discovery.servers()]
        return [Found(target) for target in self._of_pods] + here

    def problems(self) -> tuple[Problem, ...]:
        """What there is to tell since the last time; each thing is told once."""
        problems, self._problems = self._problems, []
        return (*problems, *self._discovery.take_problems())

    def close(self) -> None:
        """Let the thread go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Answer]]:
        """In the thread of its own."""
        deadline = time.monotonic() + _BATCH_SECONDS
        answers = []
        for each in candidates:
            if time.monotonic() + TIMEOUT > deadline:
                break  # the others stay due, and come first then
            try:
                answer = ask(each.question, self._recogniser, deadline, self._get)
            except Exception as error:  # noqa: BLE001 - whatever a stranger sent: it is not ours
                answer = Answer(Outcome.UNKNOWN, detail=type(error).__name__)
            answers.append((each, answer))
        return answers

    def _hear(self, starts: Iterable[float]) -> None:
        if self._asking is None or not self._asking.done():
            return
        answers, self._asking = self._asking.result(), None
        known = list(starts)
        for candidate, answer in answers:
            self._discovery.heard(candidate, answer, self._clock(), known)

    def _tell(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            if problem not in self._told and len(self._told) < 256:
                self._told.add(problem)
                self._problems.append(problem)


def _local_port(target: Target) -> int:
    """The port of a configured endpoint if it is, or may be, one of this host; else 0."""
    try:
        place = parse_url(target.url)
    except ValueError:
        return 0
    elsewhere = _is_address(place.host) and not is_loopback(place.host)
    return 0 if elsewhere and not is_own_address(place.host) else place.port


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
