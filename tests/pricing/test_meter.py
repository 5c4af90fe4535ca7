"""The meter against an oracle that knows what was truly done."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.meter import MAX_USAGE, Event, Point, Usage, read_counter, to_micro
from unitcost.pricing.resource import MICRO

WRAPS_AT = 2**32


@dataclass
class Counter:
    """A counter somewhere; `named`: a restart shows in its generation.

    `done` is what it truly counted since it was last read, less what a restart took with it:
    that nobody can see.
    """

    named: bool
    wraps: bool
    value: int = 0
    life: int = 0
    now: int = 1
    done: int = 0
    read: int | None = None
    point: Point | None = None
    usages: list[Usage] = field(default_factory=list)

    @property
    def generation(self) -> str:
        """What the server says of its start."""
        return f"life-{self.life}" if self.named else ""

    def work(self, amount: int) -> None:
        """It counts up, round its end if it wraps."""
        self.value += amount
        if self.wraps and self.value >= WRAPS_AT:
            self.value -= WRAPS_AT
        if self.read is not None:
            self.done += amount

    def restart(self) -> None:
        """It starts anew from zero; what was not read yet is lost."""
        self.life += 1
        self.value = self.done = 0

    def take(self, value: float, at: int) -> Usage:
        """One reading."""
        self.point, usage = read_counter(
            self.point,
            value,
            at,
            generation=self.generation,
            wraps_at=float(WRAPS_AT) if self.wraps else None,
        )
        self.usages.append(usage)
        return usage

    def look(self) -> None:
        """The present value; what it adds is all that was done since the last reading."""
        self.now += 1
        restarted = self.read is not None and self.point is not None
        usage = self.take(float(self.value), self.now)
        if restarted and not self.named and usage.event is Event.COUNTED:
            # A restart that cannot be told from work: what stood there before is not seen twice.
            assert usage.micro <= self.done * MICRO
        else:
            assert usage.micro == (self.done * MICRO if self.read is not None else 0)
        self.read, self.done = self.value, 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("work"), st.integers(0, WRAPS_AT // 3)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("twice"), st.integers(-3, 0)),
        st.tuples(st.just("junk"), st.integers(0, 3)),
    ),
    max_size=30,
)
JUNK = (float("nan"), float("inf"), -1.0, -float("inf"))


@given(STEPS, st.booleans())
def test_exactly_what_was_done_is_counted(steps: list[tuple[str, int]], named: bool) -> None:
    """Through restarts, readings twice or out of order, and junk: never negative, never twice."""
    counter = Counter(named=named, wraps=False)
    run(counter, steps)
    assert all(usage.micro >= 0 for usage in counter.usages)


@given(STEPS.map(lambda steps: [step for step in steps if step[0] != "restart"]))
def test_a_counter_that_wraps_loses_nothing(steps: list[tuple[str, int]]) -> None:
    """If it is read often enough: less than half its range goes by between two readings."""
    counter = Counter(named=False, wraps=True)
    for step in steps:
        run(counter, [step])
        if step[0] == "work":
            run(counter, [("look", 0)])


def run(counter: Counter, steps: list[tuple[str, int]]) -> None:
    """Let it happen; each reading is compared with the truth as it is taken."""
    for what, amount in steps:
        before = counter.point
        if what == "work":
            counter.work(amount)
        elif what == "restart":
            counter.restart()
        elif what == "look":
            counter.look()
        elif before is not None:
            value, at = float(counter.value), counter.now + amount
            event = Event.DUPLICATE if amount == 0 else Event.DISORDER
            if what == "junk":
                value, at, event = JUNK[amount], counter.now + 1, Event.JUNK
            usage = counter.take(value, at)
            assert (usage.micro, usage.event, counter.point) == (0, event, before)


@pytest.mark.parametrize("value", JUNK)
def test_junk_at_first_sight_is_no_baseline(value: float) -> None:
    """Not even for a counter that was born just now."""
    assert read_counter(None, value, 5, born=True) == (None, Usage(0, 5, 5, Event.JUNK))


def test_first_sight_bills_nothing_unless_birth_is_proven() -> None:
    """A server with a history, and one that was born since it was last seen to be without."""
    point, usage = read_counter(None, 1000.0, 9)
    assert (point, usage) == (Point(1000 * MICRO, 9), Usage(0, 9, 9, Event.FIRST))
    point, usage = read_counter(None, 1000.0, 9, born=True)
    assert usage == Usage(1000 * MICRO, 9, 9, Event.BORN)


def test_a_new_generation_counts_from_zero_even_where_its_value_is_higher() -> None:
    """It is known to have started anew."""
    _, usage = read_counter(Point(10, 1, "a"), 50.0, 2, generation="b")
    assert usage == Usage(50 * MICRO, 1, 2, Event.RESET)


def test_a_fall_by_more_than_half_the_range_is_a_restart_not_a_wrap() -> None:
    """A device that was reset would else be billed nearly its whole range."""
    low, high = to_micro(100.0), to_micro(WRAPS_AT - 100.0)
    _, usage = read_counter(Point(high, 1), 100.0, 2, wraps_at=float(WRAPS_AT))
    assert usage == Usage(200 * MICRO, 1, 2, Event.WRAP)
    _, usage = read_counter(Point(2 * low, 1), 100.0, 2, wraps_at=float(WRAPS_AT))
    assert usage == Usage(low, 1, 2, Event.RESET)


def test_a_leap_that_nothing_can_do_is_junk() -> None:
    """A broken server's 10**15 tokens would be in the totals, and in the prices, for ever."""
    point = Point(7, 1)
    leap = float(MAX_USAGE // MICRO * 2)
    assert read_counter(point, leap, 2) == (point, Usage(0, 2, 2, Event.JUNK))
    assert read_counter(None, leap, 2, born=True) == (None, Usage(0, 2, 2, Event.JUNK))
    assert read_counter(Point(9, 1, "a"), leap, 2, generation="b")[1].event is Event.JUNK
    large = Point(to_micro(leap), 1)
    assert read_counter(large, leap + 5, 2)[1] == Usage(5 * MICRO, 1, 2, Event.COUNTED)
    assert read_counter(None, leap, 1) == (large, Usage(0, 1, 1, Event.FIRST))


@given(st.floats(0, 2.0**53))
def test_a_reading_is_exact_to_the_millionth(value: float) -> None:
    """And whole numbers are exact."""
    assert abs(to_micro(value) / MICRO - value) <= max(1e-6, value * 1e-15)
    assert to_micro(float(int(value))) == int(value) * MICRO


@pytest.mark.parametrize(
    ("value", "event", "added"),
    [
        (11, Event.COUNTED, 1),
        (10, Event.COUNTED, 0),
        (9, Event.COUNTED, 0),
        (5, Event.COUNTED, 0),
        (4.999999, Event.RESET, 4.999999),
        (0, Event.RESET, 0),
    ],
)
def test_a_difference_of_two_counters_may_fall_a_little(
    value: float, event: Event, added: float
) -> None:
    """It stays where it was then; below half of that it began anew."""
    last = Point(10 * MICRO, 1)
    point, usage = read_counter(last, value, 2, derived=True)
    assert (usage.event, usage.micro) == (event, round(added * MICRO))
    expected = 10 * MICRO if 5 <= value < 10 else round(value * MICRO)
    assert point == Point(expected, 2)
    plain, fell = read_counter(last, value, 2)
    assert plain == Point(round(value * MICRO), 2)
    assert (fell.event is Event.RESET) == (value < 10)


def test_a_difference_of_another_generation_is_another() -> None:
    """Though it is only a little less; and there is no fall at first sight."""
    point, usage = read_counter(Point(10 * MICRO, 1, "a"), 9, 2, generation="b", derived=True)
    assert (point, usage.event, usage.micro) == (Point(9 * MICRO, 2, "b"), Event.RESET, 9 * MICRO)
    assert read_counter(None, 9, 2, derived=True)[0] == Point(9 * MICRO, 2)


def test_a_reading_of_the_same_instant_or_an_earlier_one_adds_nothing() -> None:
    """And changes nothing of what is known."""
    last = Point(10 * MICRO, 7)
    for at, event in ((7, Event.DUPLICATE), (6, Event.DISORDER)):
        assert read_counter(last, 50, at) == (last, Usage(0, 7, 7, event))


@pytest.mark.parametrize(
    ("value", "event", "added"),
    [
        (0, Event.WRAP, 10),
        (117, Event.WRAP, 127),
        (118, Event.RESET, 118),
        (245, Event.RESET, 245),
    ],
)
def test_a_wrap_is_below_half_of_the_range(value: float, event: Event, added: int) -> None:
    """A counter of 8 bits that stood at 246."""
    point, usage = read_counter(Point(246 * MICRO, 1), value, 2, wraps_at=256.0)
    assert (usage.event, usage.micro) == (event, added * MICRO)
    assert point == Point(round(value * MICRO), 2)


def test_a_counter_that_wraps_to_where_it_stood_at_its_end_added_nothing() -> None:
    """It stood at its range, which is its zero."""
    _, usage = read_counter(Point(256 * MICRO, 1), 0, 2, wraps_at=256.0)
    assert (usage.event, usage.micro) == (Event.WRAP, 0)


def test_as_much_as_can_be_is_no_junk() -> None:
    """A millionth more is."""
    at_most = MAX_USAGE // MICRO
    _, usage = read_counter(Point(0, 1), at_most, 2)
    assert (usage.event, usage.micro) == (Event.COUNTED, MAX_USAGE)
    _, usage = read_counter(Point(0, 1), at_most + 1, 2)
    assert usage.event is Event.JUNK
