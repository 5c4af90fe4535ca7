"""Asks one collector by its own code, in bounded time; and tells what any collector answered."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from unitcost.collectors.base import Collector, Context, Found, NoData, Problem, Reading
from unitcost.exporter.doctor.host import Finding, fail, ok, warn
from unitcost.exporter.gathering.sources import make_sources
from unitcost.exporter.gathering.validate import validate

COLLECT_SECONDS = 5.0
GRACE_SECONDS = 1.0
APART_SECONDS = 1.0
TWICE = frozenset({"nvml", "rapl"})
"""Collectors that tell some things only at their second reading: what is a mean since the first."""
MAX_PROBLEMS = 5
"""How many problems of one collector are told; of the others only the number."""

Result = Reading | NoData | str
"""What came of asking: a reading, that there is nothing to read, or in words what went wrong."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where this host is seen: its /proc, its /sys, its other files, and our environment."""

    proc: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def option(self, collector: str, name: str, default: Any) -> Any:
        """An option of a collector as it is configured."""
        return getattr(self.options.get(collector), name, default)


Explain = Callable[[str, Result, Scene], Iterator[Finding]]
"""Turns what a collector answered into findings; the text is their subject."""


def ask(found: Found, options: Mapping[str, Any], context: Context) -> Result:
    """One reading by the collector's own code, of some the second one."""
    (source,) = make_sources([found], options, context)
    collector = source.collector
    if collector is None:
        return f"cannot be used: {source.error}"
    answers: SimpleQueue[Result] = SimpleQueue()
    again = found.name in TWICE
    # A thread, as in the exporter: one that hangs is left behind and ends with the process.
    thread = Thread(target=_run, args=(collector, again, answers), daemon=True)
    thread.start()
    last: Result = f"gave no answer within {COLLECT_SECONDS:g} s"
    for extra in (0.0, APART_SECONDS)[: 1 + again]:
        try:
            last = answers.get(timeout=COLLECT_SECONDS + GRACE_SECONDS + extra)
        except Empty:
            return last
        if not _is_worth_another(last):
            break
    thread.join(GRACE_SECONDS)
    return last


def _run(collector: Collector, again: bool, answers: SimpleQueue[Result]) -> None:
    first = _answer(collector)
    answers.put(first)
    if again and isinstance(first, Reading) and _is_worth_another(first):
        time.sleep(APART_SECONDS)
        answers.put(_joined(first, _answer(collector)))
    getattr(collector, "close", lambda: None)()


def _answer(collector: Collector) -> Result:
    try:
        return validate(collector.collect(time.monotonic() + COLLECT_SECONDS))
    except NoData as nothing:
        return nothing
    except BaseException as error:  # noqa: BLE001 - whatever a collector raises is a finding
        return f"{type(error).__name__}: {error}"


def _is_worth_another(result: Result) -> bool:
    """Not where there is nothing to compare, and not where a driver hangs."""
    if not isinstance(result, Reading) or not (result.devices or result.meters):
        return False
    return all(problem.kind != "timeout" for problem in result.problems)


def _joined(first: Reading, second: Result) -> Reading:
    """The second reading with the problems of both: some are told only once."""
    if not isinstance(second, Reading):
        return first
    problems = dict.fromkeys((*first.problems, *second.problems))
    return replace(second, problems=tuple(problems))


def explain(subject: str, result: Result, scene: Scene) -> Iterator[Finding]:
    """What any collector answered: what there is, and its problems."""
    if not isinstance(result, Reading):
        yield unread(subject, result)
        return
    yield ok(subject, _contents(result))
    yield from problem_findings(subject, result.problems)


def unread(subject: str, result: NoData | str, mend: str = "") -> Finding:
    """That a collector gave no reading."""
    if isinstance(result, NoData):
        return ok(subject, f"nothing to read: {result}")
    off = f"set collectors.{subject.removeprefix('read ')}.enabled: false"
    return fail(subject, result, f"{mend}, or {off}" if mend else f"mend it or {off}")


def _contents(reading: Reading) -> str:
    counts = {
        "samples": len(reading.samples),
        "processes": len(reading.processes),
        "servers and runs": len(reading.subjects),
    }
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "empty"


def problem_findings(
    subject: str, problems: tuple[Problem, ...], mend: Callable[[Problem], str] = lambda _: ""
) -> Iterator[Finding]:
    """A line for each problem, up to a number; `mend` says what to do about one, if it can."""
    for problem in problems[:MAX_PROBLEMS]:
        yield warn(subject, f"{problem.kind}: {problem.detail}", mend(problem))
    if len(problems) > MAX_PROBLEMS:
        yield warn(subject, f"and {len(problems) - MAX_PROBLEMS} more problems")
