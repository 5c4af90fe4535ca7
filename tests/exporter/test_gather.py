"""Collectors that are broken in any way harm nobody but themselves."""

import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.fakes import FakeClock
from unitcost.collectors.base import Collector, Context, Found, NoData, Problem, Reading, discover
from unitcost.exporter.gathering.errors import MAX_DETAILS, MAX_KINDS
from unitcost.exporter.gathering.gather import (
    CollectorState,
    Gathered,
    Gatherer,
)
from unitcost.exporter.gathering.sources import Source, make_sources
from unitcost.pricing.sample import EpochMark, Quantity, Sample

PATIENCE = 30.0
SHORT = 0.2
"""For those that are meant to be late."""
LONG_ENOUGH = 2.0
"""For those that are not, beside one that is, on a busy machine."""


def reading(value: float, *marks: EpochMark) -> Reading:
    """A reading that can be told from others by its one value."""
    return Reading(samples=(Sample("host", Quantity.CPU_SECONDS, value, 1),), marks=marks)


def value_of(gathered: Gathered, name: str) -> float:
    """The value it was told by."""
    return gathered.readings[name].samples[0].value


class Does:
    """A collector that does what it is told, and counts how often it was asked."""

    def __init__(self, act: Callable[[], object], name: str = "odd") -> None:
        self.name = name
        self.calls = 0
        self._act = act

    def collect(self, deadline: float) -> Reading:
        """Whatever the test wants it to return, typed or not."""
        self.calls += 1
        result: object = self._act()
        return result  # type: ignore[return-value]  # junk is what some of the tests are about


class Good(Does):
    """A collector that works: its value is how often it was asked."""

    def __init__(self) -> None:
        super().__init__(lambda: reading(self.calls), "good")


class Slow(Does):
    """A collector that answers when it is let."""

    def __init__(self) -> None:
        super().__init__(self._wait, "slow")
        self.may_answer = threading.Semaphore(0)
        self.answers: list[Reading] = []

    def _wait(self) -> Reading:
        assert self.may_answer.acquire(timeout=PATIENCE)
        return self.answers.pop(0)

    def answer(self, value: float, *marks: EpochMark) -> None:
        """Let one run end, with this."""
        self.answers.append(reading(value, *marks))
        self.may_answer.release()


@pytest.fixture
def gatherer_of() -> Iterator[Callable[..., Gatherer]]:
    """Makes gatherers, and ends their threads after the test."""
    made: list[Gatherer] = []

    def make(*collectors: Collector | Source) -> Gatherer:
        sources = [c if isinstance(c, Source) else Source(c.name, c) for c in collectors]
        made.append(Gatherer(sources, FakeClock()))
        return made[-1]

    yield make
    for gatherer in made:
        gatherer.close()


Make = Callable[..., Gatherer]


def settled(gatherer: Gatherer, name: str) -> Gathered:
    """Gatherings until one brings a reading of `name`."""
    end = time.monotonic() + PATIENCE
    while name not in (gathered := gatherer.gather(SHORT)).readings:
        assert time.monotonic() < end
    return gathered


class Rude(Exception):
    """An exception that fails at saying what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raising(error: BaseException) -> Callable[[], object]:
    """Something that raises it."""

    def act() -> object:
        raise error

    return act


def test_readings_and_states_come_by_name(gatherer_of: Make) -> None:
    """Of a collector that works: up, how long it took, when it last succeeded, no errors."""
    gathered = gatherer_of(Good()).gather(PATIENCE)
    assert value_of(gathered, "good") == 1
    state = gathered.states["good"]
    assert (state.up, state.no_data, state.late, dict(state.errors)) == (True, False, False, {})
    assert 0 <= state.duration_seconds < PATIENCE
    assert state.last_success_wall_ns == FakeClock().wall_ns


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        OSError(5, "Input/output error"),
        SystemExit(2),
        KeyboardInterrupt(),
        GeneratorExit(),
        RecursionError(),
        Rude(),
        BaseExceptionGroup("two", [ValueError(), SystemExit()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_collector_raises_the_others_are_served(
    error: BaseException, gatherer_of: Make
) -> None:
    """It is down, its error counted each time; it is asked again, for it may get well."""
    gatherer = gatherer_of(Does(raising(error)), Good())
    gatherer.gather(PATIENCE)
    gathered = gatherer.gather(PATIENCE)
    assert value_of(gathered, "good") == 2
    assert "odd" not in gathered.readings
    state = gathered.states["odd"]
    assert (state.up, state.last_success_wall_ns, dict(state.errors)) == (
        False,
        None,
        {"raised": 2},
    )
    assert gathered.states["good"].up


@pytest.mark.parametrize("junk", [None, 7, [], {}, "text", (), object(), Reading, Sample])
def test_junk_is_refused_and_counted(junk: object, gatherer_of: Make) -> None:
    """What is no reading is no reading."""
    gathered = gatherer_of(Does(lambda: junk), Good()).gather(PATIENCE)
    assert gathered.readings.keys() == {"good"}
    assert (gathered.states["odd"].up, gathered.states["odd"].errors) == (False, {"junk": 1})


def test_a_reading_with_one_impossible_value_is_refused_whole(gatherer_of: Make) -> None:
    """Who errs once cannot be trusted with the rest."""
    gathered = gatherer_of(Does(lambda: reading(-1.0))).gather(PATIENCE)
    assert gathered.readings == {}
    assert gathered.states["odd"].errors == {"junk": 1}


def test_nothing_to_read_is_no_error(gatherer_of: Make) -> None:
    """Up, without a reading, and said to be so."""
    state = gatherer_of(Does(raising(NoData("no such device")))).gather(PATIENCE).states["odd"]
    assert (state.up, state.no_data, dict(state.errors)) == (True, True, {})
    assert state.last_success_wall_ns is not None


def test_a_collector_that_hangs_is_asked_once_and_the_others_are_served(gatherer_of: Make) -> None:
    """However often is gathered: one thread hangs, not one more each time."""
    slow, good = Slow(), Good()
    gatherer = gatherer_of(slow, good)
    states = []
    for round_ in range(1, 4):
        gathered = gatherer.gather(LONG_ENOUGH)
        assert value_of(gathered, "good") == round_
        states.append(gathered.states["slow"])
    assert [(state.up, dict(state.errors)) for state in states] == [
        (False, {"timeout": 1}),
        (False, {"timeout": 2}),
        (False, {"timeout": 3}),
    ]
    assert slow.calls == 1
    assert LONG_ENOUGH <= states[0].duration_seconds < states[-1].duration_seconds
    slow.answer(1)


def test_a_late_reading_is_kept_for_the_next_gathering_and_marked(gatherer_of: Make) -> None:
    """Its collector is still not up: it did not answer this gathering."""
    slow = Slow()
    gatherer = gatherer_of(slow)
    gatherer.gather(SHORT)
    slow.answer(41)
    gathered = settled(gatherer, "slow")
    assert value_of(gathered, "slow") == 41
    assert (gathered.states["slow"].late, gathered.states["slow"].up) == (True, False)
    assert gathered.states["slow"].last_success_wall_ns is not None
    slow.answer(42)


def test_a_fresh_reading_beats_a_late_one_but_no_epoch_mark_is_lost(gatherer_of: Make) -> None:
    """Counters of the later one contain the other's; marks are events."""
    slow = Slow()
    gatherer = gatherer_of(slow, Good())
    gatherer.gather(SHORT)
    slow.answer(41, EpochMark("s", 1, 10))
    slow.answer(42, EpochMark("s", 2, 20))
    end = time.monotonic() + PATIENCE
    while slow.may_answer._value == 2 or gatherer._answers.empty():  # until the late one is there
        assert time.monotonic() < end
        time.sleep(0.005)
    gathered = gatherer.gather(PATIENCE)
    assert value_of(gathered, "slow") == 42
    assert [mark.epoch for mark in gathered.readings["slow"].marks] == [1, 2]
    assert (gathered.states["slow"].late, gathered.states["slow"].up) == (False, True)


def test_a_collector_that_answers_again_is_up_again(
    gatherer_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failure and its recovery are logged once each, its errors stay counted."""
    sick = [True, True, True, False, False, True]
    does = Does(lambda: raising(ValueError("sick"))() if sick.pop(0) else reading(1))
    gatherer = gatherer_of(does)
    with caplog.at_level(logging.INFO):
        states = [gatherer.gather(PATIENCE).states["odd"] for _ in range(6)]
    assert [state.up for state in states] == [False, False, False, True, True, False]
    assert states[-1].errors == {"raised": 4}
    assert [r.message for r in caplog.records] == [
        "collector error",
        "collector answers again",
        "collector error",
    ]


def test_problems_are_counted_by_kind_and_logged_once(
    gatherer_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A reading with problems is a reading: the collector is up."""
    partly = Reading(problems=(Problem("hidden", "some"), Problem("hidden", "others")))
    gatherer = gatherer_of(Does(lambda: partly))
    with caplog.at_level(logging.WARNING):
        gatherer.gather(PATIENCE)
        state = gatherer.gather(PATIENCE).states["odd"]
    assert (state.up, dict(state.errors)) == (True, {"hidden": 4})
    details = [getattr(record, "fields", {}).get("detail") for record in caplog.records]
    assert details == ["some", "others"]


def test_kinds_and_log_lines_are_bounded_whatever_is_reported(
    gatherer_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A kind is a label: few of them, of plain letters; the rest is `other`."""
    many = tuple(Problem(f"kind{n}", f"detail {n}") for n in range(500))
    odd = tuple(Problem(kind, "x" * 10_000) for kind in ("", "A b", "é", "x" * 99, 'a"b\n'))
    gatherer = gatherer_of(Does(lambda: Reading(problems=odd + many)))
    with caplog.at_level(logging.WARNING):
        errors = gatherer.gather(PATIENCE).states["odd"].errors
        gatherer.gather(PATIENCE)
    assert len(errors) == MAX_KINDS
    assert sum(errors.values()) == 505
    assert errors["other"] == 505 - (MAX_KINDS - 1)
    assert len(caplog.records) == MAX_DETAILS
    assert all(len(str(getattr(r, "fields", ""))) < 500 for r in caplog.records)


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[ModuleType]:
    """A package of collectors on disk, most of them broken in their own way."""
    files = {
        "absent": "import a_module_that_is_not_there",
        "typo": "def make_collector(:",
        "leaves": "raise SystemExit(1)",
        "refuses": "class Options: pass\ndef make_collector(o, c): raise ValueError('no')",
        "exits": "class Options: pass\ndef make_collector(o, c): raise SystemExit(1)",
        "optionless": "def make_collector(o, c): return None",
        "fine": "from unitcost.collectors.base import Reading\n"
        "class Options: pass\n"
        "class Fine:\n    name = 'fine'\n    def collect(self, deadline): return Reading()\n"
        "def make_collector(options, context): return Fine()",
        "helper": "x = 1",
    }
    folder = tmp_path / "plugins_of_a_test"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    yield importlib.import_module(folder.name)
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == folder.name]:
        del sys.modules[name]


def test_collectors_that_cannot_be_imported_or_made_are_down_and_the_others_served(
    plugins: ModuleType, gatherer_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """From files on disk to the states that are exported."""
    with caplog.at_level(logging.WARNING):
        sources = make_sources(discover(plugins), {}, Context())
        gathered = gatherer_of(*sources).gather(PATIENCE)
    states = {name: (state.up, dict(state.errors)) for name, state in gathered.states.items()}
    broken = ("absent", "exits", "leaves", "optionless", "refuses", "typo")
    assert states == {name: (False, {"import": 1}) for name in broken} | {"fine": (True, {})}
    assert gathered.readings.keys() == {"fine"}
    details = " ".join(str(getattr(record, "fields", "")) for record in caplog.records)
    assert "a_module_that_is_not_there" in details


def test_a_collector_that_cannot_be_imported_is_counted_once(gatherer_of: Make) -> None:
    """It is not tried again, so its count stays."""
    gatherer = gatherer_of(Source("absent", None, "ImportError: no"), Good())
    gatherer.gather(PATIENCE)
    state = gatherer.gather(PATIENCE).states["absent"]
    assert state == CollectorState(False, 0.0, None, {"import": 1})


def test_options_reach_their_collector() -> None:
    """Those of the configuration where it has them, defaults else."""
    module = ModuleType("m")
    seen = []
    vars(module)["Options"] = lambda: "defaults"
    vars(module)["make_collector"] = lambda options, context: seen.append((options, context))
    context = Context(ports=frozenset({1}))
    make_sources([Found("m", module, None)], {"m": "given"}, context)
    make_sources([Found("m", module, None)], {"other": "given"}, context)
    assert seen == [("given", context), ("defaults", context)]


def test_no_collector_waits_for_another(gatherer_of: Make) -> None:
    """Two that need each other to answer do answer: each has a thread of its own."""
    barrier = threading.Barrier(2)

    def meet() -> Reading:
        barrier.wait(PATIENCE)
        return reading(1)

    gathered = gatherer_of(Does(meet, "one"), Does(meet, "two")).gather(PATIENCE)
    assert gathered.readings.keys() == {"one", "two"}


def test_a_collector_is_told_until_when_it_is_waited_for(gatherer_of: Make) -> None:
    """An instant of the monotonic clock."""
    told: list[float] = []

    class Asks:
        name = "asks"

        def collect(self, deadline: float) -> Reading:
            told.append(deadline)
            return Reading()

    before = time.monotonic()
    gatherer_of(Asks()).gather(PATIENCE)
    assert before + PATIENCE <= told[0] <= time.monotonic() + PATIENCE


def test_no_thread_is_left_of_collectors_that_work() -> None:
    """Closed means closed; those that hang end with the process."""
    slow = Slow()
    gatherer = Gatherer([Source("slow", slow), Source("good", Good())], FakeClock())
    gatherer.gather(LONG_ENOUGH)
    gatherer.close()
    left = {t.name: t.daemon for t in threading.enumerate() if t.name.startswith("collector-")}
    assert left == {"collector-slow": True}
    slow.answer(1)


class Stays(Good):
    """A collector that stays as long as its options are the same."""

    def __init__(self, options: object) -> None:
        super().__init__()
        self.options = options
        self.closed = False

    def stays(self, options: object, context: Context) -> bool:
        """Whether they are."""
        return options == self.options

    def close(self) -> None:
        """It is over."""
        self.closed = True


def test_a_collector_that_says_so_stays_over_a_reload(gatherer_of: Make) -> None:
    """It is not closed, and goes on; with other options it is closed, and another is made."""
    module = ModuleType("good")
    vars(module)["make_collector"] = lambda options, context: Stays(options)
    found = [Found("good", module, None)]
    (first,) = make_sources(found, {"good": 1}, Context())
    gatherer = gatherer_of(first)
    gatherer.gather(PATIENCE)
    (second,) = make_sources(found, {"good": 1}, Context(), gatherer.free())
    assert isinstance(first.collector, Stays)
    assert second.collector is first.collector
    gatherer.close(staying=[first.collector])
    assert not first.collector.closed
    after = gatherer_of(second)
    assert value_of(after.gather(PATIENCE), "good") == 2
    (third,) = make_sources(found, {"good": 2}, Context(), after.free())
    assert third.collector is not first.collector
    after.close(staying=[third.collector] if third.collector else [])
    assert first.collector.closed


def test_a_collector_that_is_at_work_does_not_stay(gatherer_of: Make) -> None:
    """Two threads would be in it; but one that is a little late is waited for."""
    slow = Slow()
    gatherer = gatherer_of(slow)
    gatherer.gather(SHORT)
    assert gatherer.free(SHORT) == {}
    threading.Timer(SHORT, slow.answer, [1]).start()
    assert gatherer.free(PATIENCE) == {"slow": slow}


def test_without_collectors_there_is_nothing_to_wait_for(gatherer_of: Make) -> None:
    """And nothing to report."""
    gathered = gatherer_of().gather(PATIENCE)
    assert (dict(gathered.readings), dict(gathered.states)) == ({}, {})
