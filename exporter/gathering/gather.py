"""Runs all collectors side by side, and is not harmed by any of them.

Each collector has one thread of its own. A gathering asks all of them and waits until a deadline.
One that is late is not asked again until it has answered; its answer is used at the next
gathering. Whatever a collector raises or returns counts as its own error and as nothing else.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from threading import Thread
from types import MappingProxyType

from unitcost.collectors.base import (
    Collector,
    NeedsRestart,
    Neighbours,
    NoData,
    Reading,
)
from unitcost.exporter.clock import Clock
from unitcost.exporter.gathering.errors import (
    IMPORT,
    JUNK,
    RAISED,
    RESTART,
    TIMEOUT,
    CollectorErrors,
)
from unitcost.exporter.gathering.sources import Source, described
from unitcost.exporter.gathering.validate import Junk, validate
from unitcost.exporter.log import fields

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CollectorState:
    """How a collector is doing. `errors` counts by kind since the start.

    `up`: it answered this gathering in time and its answer can be used, if only to say that there
    is nothing to read (`no_data`, which is no error). `late`: what it gave to this gathering had
    been asked for by an earlier one. `last_success_wall_ns` is None until it first succeeds.
    `needs_restart`: why only a new process can go on reading, empty if this one can.
    """

    up: bool
    duration_seconds: float
    last_success_wall_ns: int | None
    errors: Mapping[str, int]
    no_data: bool = False
    late: bool = False
    needs_restart: str = ""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of one gathering, by collector: readings of those that gave one, states of all."""

    readings: Mapping[str, Reading]
    states: Mapping[str, CollectorState]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one run of a collector came to. `error` is its kind, "" where all went well."""

    name: str
    seconds: float
    wall_ns: int
    reading: Reading | None = None
    error: str = ""
    detail: str = ""


@dataclass(slots=True)
class _Round:
    """What one gathering has got so far."""

    asked: set[str] = field(default_factory=set)
    answered: dict[str, _Answer] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)


class Gatherer:
    """Owns the collectors' threads. Its methods are for one thread at a time.

    What a stuck collector holds cannot be freed; its thread ends with the process.
    """

    def __init__(self, sources: Iterable[Source], clock: Clock) -> None:
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._workers: dict[str, _Worker] = {}
        self._asked_at: dict[str, float] = {}
        self._last_success: dict[str, int] = {}
        self._errors: dict[str, CollectorErrors] = {}
        self._neighbours = Neighbours()
        for source in sources:
            self._errors[source.name] = CollectorErrors(source.name)
            if source.collector is None:
                self._errors[source.name].count(IMPORT, source.error)
            else:
                worker = _Worker(source.name, source.collector, clock, self._answers)
                self._workers[source.name] = worker

    def gather(self, limit_seconds: float) -> Gathered:
        """Ask all collectors that are free, and wait for these, `limit_seconds` at most."""
        deadline = time.monotonic() + limit_seconds
        round_ = _Round()
        self._receive(round_, until=None)
        for name, worker in self._workers.items():
            if name not in self._asked_at:
                round_.asked.add(name)
                self._asked_at[name] = time.monotonic()
                worker.ask(deadline, self._neighbours)
        self._receive(round_, until=deadline)
        for name in self._asked_at:
            self._errors[name].fail(TIMEOUT, "did not answer in time")
        states = {name: self._state(name, round_) for name in self._errors}
        self._neighbours = _neighbours(round_.readings.values())
        return Gathered(MappingProxyType(round_.readings), MappingProxyType(states))

    def pause(self, paused: bool) -> None:
        """Have collectors that can let go of their devices do so, or take them up again."""
        for worker in self._workers.values():
            worker.pause(paused)

    def free(self, patience: float = 1.0) -> dict[str, Collector]:
        """The collectors by name that are not at work just now, after so many seconds at most.

        What those answer meanwhile that were late is dropped.
        """
        self._receive(_Round(asked=set(self._asked_at)), until=time.monotonic() + patience)
        names = self._workers.keys() - self._asked_at.keys()
        return {name: self._workers[name].collector for name in names}

    def close(self, staying: Iterable[Collector] = ()) -> None:
        """End the threads of the collectors that are free; waits a second at most.

        `staying`: those of them that are to be used on, so that they are not closed.
        """
        deadline = time.monotonic() + 1
        kept = {id(each) for each in staying}
        for worker in self._workers.values():
            worker.end(close=id(worker.collector) not in kept)
        for name in self._workers.keys() - self._asked_at.keys():
            self._workers[name].join(max(0.0, deadline - time.monotonic()))

    def _receive(self, round_: _Round, until: float | None) -> None:
        """Take the answers that are there, and wait for those to what was asked."""
        while True:
            waiting = until is not None and not round_.asked <= round_.answered.keys()
            left = max(0.0, until - time.monotonic()) if until is not None and waiting else 0.0
            try:
                answer = self._answers.get(timeout=left) if left else self._answers.get_nowait()
            except Empty:
                return
            self._take(answer, round_)

    def _take(self, answer: _Answer, round_: _Round) -> None:
        name = answer.name
        del self._asked_at[name]
        round_.answered[name] = answer
        if answer.error:
            self._errors[name].fail(answer.error, answer.detail)
            return
        self._last_success[name] = answer.wall_ns
        if name in round_.asked:
            self._errors[name].answered()
        if answer.reading is None:
            return
        for problem in answer.reading.problems:
            self._errors[name].count(problem.kind, problem.detail)
        earlier = round_.readings.get(name)
        round_.readings[name] = _joined(earlier, answer.reading) if earlier else answer.reading
        if name in round_.asked:
            round_.late.discard(name)
        else:
            round_.late.add(name)

    def _state(self, name: str, round_: _Round) -> CollectorState:
        answer = round_.answered.get(name)
        asked_at = self._asked_at.get(name)
        in_time = answer is not None and asked_at is None and name in round_.asked
        if asked_at is not None:
            seconds = time.monotonic() - asked_at
        else:
            seconds = answer.seconds if answer else 0.0
        return CollectorState(
            up=in_time and answer is not None and not answer.error,
            duration_seconds=seconds,
            last_success_wall_ns=self._last_success.get(name),
            errors=self._errors[name].counts(),
            no_data=in_time and answer is not None and not answer.error and not answer.reading,
            late=name in round_.late,
            needs_restart=answer.detail if answer and answer.error == RESTART else "",
        )


def _neighbours(readings: Iterable[Reading]) -> Neighbours:
    """What collectors may be told of what the others saw."""
    found = list(readings)
    return Neighbours(
        processes=tuple(process for reading in found for process in reading.processes),
        pods=tuple(pod for reading in found for pod in reading.pods or ()),
    )


def _joined(late: Reading, fresh: Reading) -> Reading:
    """Of two readings the later one holds: its counters contain the other's. Marks are events."""
    return replace(fresh, marks=late.marks + fresh.marks)


class _Worker:
    """One collector and its thread: takes a deadline, puts an answer, waits for the next."""

    def __init__(
        self, name: str, collector: Collector, clock: Clock, answers: "SimpleQueue[_Answer]"
    ) -> None:
        self._name = name
        self.collector = collector
        self._closes = True
        self._clock = clock
        self._answers = answers
        self._questions: SimpleQueue[tuple[float, Neighbours] | bool | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=f"collector-{name}", daemon=True)
        self._thread.start()

    def ask(self, deadline: float, neighbours: Neighbours) -> None:
        """Have the collector run; its answer comes through the queue."""
        self._questions.put((deadline, neighbours))

    def pause(self, paused: bool) -> None:
        """Have the collector let go of its devices, or take them up again, in its own thread."""
        self._questions.put(paused)

    def end(self, *, close: bool = True) -> None:
        """Let the thread end when it is through with what it has been asked."""
        self._closes = close
        self._questions.put(None)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, `timeout` seconds at most."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while (asked := self._questions.get()) is not None:
            if isinstance(asked, bool):
                self._pause(asked)
            else:
                self._answers.put(self._answer(*asked))
        if self._closes:
            self._call("close")

    def _pause(self, paused: bool) -> None:
        self._call("pause" if paused else "resume")

    def _call(self, name: str) -> None:
        """Call a method that a collector may have; its trouble is its own."""
        try:
            getattr(self.collector, name, lambda: None)()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this collector's
            detail = f"{name}: {described(error)}"
            _log.warning("collector error", extra=fields(collector=self._name, detail=detail))

    def _answer(self, deadline: float, neighbours: Neighbours) -> _Answer:
        started = time.monotonic()
        reading, error, detail = None, "", ""
        try:
            getattr(self.collector, "meet", lambda _: None)(neighbours)
            reading = validate(self.collector.collect(deadline))
        except NoData:
            pass
        except NeedsRestart as needs:
            error, detail = RESTART, str(needs) or "it says so"
        except Junk as junk:
            error, detail = JUNK, str(junk)
        except BaseException as raised:  # noqa: BLE001 - whatever it is, it is this collector's
            error, detail = RAISED, described(raised)
        seconds = time.monotonic() - started
        return _Answer(self._name, seconds, self._clock.read().wall_ns, reading, error, detail)
