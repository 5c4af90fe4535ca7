"""Whether a collector keeps its contract (collectors/base.py), by having it collect."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from unitcost.collectors.base import Context, NeedsRestart, Neighbours, NoData, Reading
from unitcost.exporter.conformance.calls import Caller, Outcome, described
from unitcost.exporter.conformance.options import given_options
from unitcost.exporter.conformance.readings import pair_violations, reading_violations
from unitcost.exporter.conformance.report import Report, Violation
from unitcost.exporter.gathering.validate import Junk, validate

DEADLINE_SECONDS = 2.5
GRACE_SECONDS = 0.5
"""How much later than its deadline a collector may come without being called late."""
END_SECONDS = 3.0


def check_collector(
    module: Any,
    options: Any = None,
    context: Context | None = None,
    *,
    name: str = "",
    seconds: float = DEADLINE_SECONDS,
    between: Callable[[], object] = lambda: None,
) -> Report:
    """Make the collector of a module, have it collect twice, and say what breaks the contract.

    `options`: an instance of the module's ``Options``, a section of the configuration as plain
    values, or None for the defaults. `name`: what it must be called, that of its entry point.
    `seconds`: what each `collect` has. `between` is called between the two readings: have the
    source count on there, so that the check sees counters rise.
    """
    found = _Check(name or _name(module))
    given, violations = given_options(module, options)
    found.violations += violations
    if given is not None:
        found.run(module, given, context or Context(), name, seconds, between)
    return found.report()


def _name(module: Any) -> str:
    return str(getattr(module, "__name__", "collector"))


@dataclass(slots=True)
class _Check:
    """One run over one collector, and what it has found so far."""

    subject: str
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def report(self) -> Report:
        """All of it, each thing once."""
        unique = tuple(dict.fromkeys(self.violations))
        return Report(f"collector {self.subject}", unique, tuple(dict.fromkeys(self.notes)))

    def add(self, rule: str, detail: str) -> None:
        """A rule that does not hold."""
        self.violations.append(Violation(rule, detail))

    def run(
        self,
        module: Any,
        options: Any,
        context: Context,
        name: str,
        seconds: float,
        between: Callable[[], object],
    ) -> None:
        """Make it, use it as the exporter does, and close it."""
        threads = set(threading.enumerate())
        began = time.monotonic()
        try:  # in this thread: the exporter, too, makes collectors in the one that starts it
            made = module.make_collector(options, context)
        except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
            self.add("make", described(error))
            return
        if (took := time.monotonic() - began) > END_SECONDS:
            self.add("make", f"took {took:.1f} s: what may take long belongs into collect")
        caller = Caller()
        use = _Use(self, caller, made, seconds)
        self._shape(made, name)
        if callable(getattr(made, "collect", None)) and use.all(between):
            caller.end(END_SECONDS)
            self._threads(threads | {caller.thread})

    def _shape(self, collector: Any, name: str) -> None:
        called = getattr(collector, "name", None)
        if not isinstance(called, str) or not called:
            self.add("name", "the collector has no name")
        elif name and called != name:
            self.add("name", f"the collector is called {called!r}, expected {name!r}")
        if not callable(getattr(collector, "collect", None)):
            self.add("collect", "the collector has no method collect")
        halves = [callable(getattr(collector, each, None)) for each in ("pause", "resume")]
        if any(halves) and not all(halves):
            self.add("pause", "it has one of pause and resume, and must have both or none")

    def _threads(self, known: set[threading.Thread]) -> None:
        """What still runs would keep a process that ends from ending."""
        deadline = time.monotonic() + END_SECONDS
        for thread in set(threading.enumerate()) - known:
            if not thread.daemon:
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    self.add("close", f"the thread {thread.name!r} runs on after close")


@dataclass(slots=True)
class _Use:
    """A collector in use. Each method says whether it may be used on."""

    check: _Check
    caller: Caller
    collector: Any
    seconds: float

    def all(self, between: Callable[[], object]) -> bool:
        """Two readings, a pause, the end."""
        good, first = self._collect()
        if not good:
            return False
        between()
        good, second = self._collect()
        if not good:
            return False
        if first is not None and second is not None:
            self.check.violations += pair_violations(first, second)
        if first is None and second is None:
            self.check.notes.append("it had nothing to read here: give options with which it has")
        return self._pause(second is not None) and self._close()

    def _collect(self) -> tuple[bool, Reading | None]:
        meet = getattr(self.collector, "meet", None)
        if callable(meet) and not self._plain("meet", lambda: meet(Neighbours())):
            return False, None
        deadline = time.monotonic() + self.seconds
        limit = self.seconds + GRACE_SECONDS
        outcome = self.caller.call(lambda: self.collector.collect(deadline), limit)
        if outcome.late:
            self.check.add("collect.late", f"no answer {GRACE_SECONDS} s after its deadline")
            return False, None
        if isinstance(outcome.error, NoData):
            return True, None
        if isinstance(outcome.error, NeedsRestart):
            self.check.notes.append(f"it asks for a new process: {outcome.error}")
            return True, None
        if outcome.error is not None:
            self.check.add("collect.raises", described(outcome.error))
            return True, None
        return True, self._reading(outcome)

    def _reading(self, outcome: Outcome) -> Reading | None:
        try:
            reading = validate(outcome.result)
        except Junk as junk:
            self.check.add("reading", str(junk))
            return None
        self.check.violations += reading_violations(
            reading, before_ns=outcome.before_ns, after_ns=outcome.after_ns
        )
        return reading

    def _pause(self, has_data: bool) -> bool:
        pause = getattr(self.collector, "pause", None)
        resume = getattr(self.collector, "resume", None)
        if not callable(pause) or not callable(resume):
            return True
        if not (self._plain("pause", pause) and self._plain("pause", pause)):
            return False
        good, reading = self._collect()
        if good and reading is not None:
            self.check.add("pause", "it collects while it is paused: expected NoData")
        if not (good and self._plain("resume", resume)):
            return False
        good, reading = self._collect()
        if good and has_data and reading is None:
            self.check.add("resume", "it has nothing to read after a pause, and had before")
        return good

    def _close(self) -> bool:
        close = getattr(self.collector, "close", None)
        if not callable(close):
            return True
        return self._plain("close", close) and self._plain("close", close)

    def _plain(self, rule: str, function: Callable[[], Any]) -> bool:
        """Call what must return soon and raise nothing."""
        outcome = self.caller.call(function, END_SECONDS)
        if outcome.late:
            self.check.add(rule, f"takes more than {END_SECONDS:g} s")
        elif outcome.error is not None:
            self.check.add(rule, described(outcome.error))
        return not outcome.late
