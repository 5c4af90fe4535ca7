"""Money lost in training runs: waiting and repeating are parts of the cost, each counted once."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.lost_money import Lost, Spent, repeated, stall
from unitcost.pricing.projection import Progress
from unitcost.pricing.runs import Cost, Place, Run, begin, charge, counts_again, reach, resume

REASONS = ("data_loading", "checkpoint", "straggler")
WAITS = st.dictionaries(st.sampled_from(REASONS), st.integers(0, 10**12), max_size=3)
PERIODS = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 10**12)), st.integers(1, 10**11)), max_size=3
)


@given(st.lists(st.tuples(WAITS, PERIODS), max_size=20))
def test_what_waiting_cost_is_never_more_than_the_run_cost(
    ticks: list[tuple[dict[str, int], list[tuple[int | None, int]]]],
) -> None:
    """Whatever is reported, and whenever; what was not declared is what is left, to the last."""
    lost, cost, priced_ns = Lost(), 0, 0
    for waits, periods in ticks:
        spent = Spent()
        for pico, span_ns in periods:
            spent = spent.plus(pico, span_ns)
        cost, priced_ns = cost + spent.pico, priced_ns + spent.priced_ns
        before, lost = lost, stall(lost, waits, spent)
        assert lost.stalled.keys() == before.stalled.keys() | waits.keys()
        assert all(lost.stalled[each] >= pico for each, pico in before.stalled.items())
        assert sum(lost.stalled.values()) + lost.free_pico == cost
        assert lost.free_pico >= 0
        assert 0 <= lost.free_ns <= priced_ns


def test_a_tick_spent_waiting_is_lost_by_the_time_waited() -> None:
    """Two of five seconds for data, one for a checkpoint."""
    lost = stall(Lost(), {"data_loading": 2, "checkpoint": 1}, Spent(500, 5, 5))
    assert lost == Lost({"data_loading": 200, "checkpoint": 100}, free_ns=2, free_pico=200)
    assert stall(lost, {"data_loading": 0}, Spent()) == lost


def test_a_wait_told_when_it_is_over_is_of_the_ticks_before() -> None:
    """Twelve seconds in a tick of five: seven at the mean cost of earlier ones."""
    lost = stall(Lost(free_ns=14, free_pico=2800), {"checkpoint": 12}, Spent(500, 5, 5))
    assert lost == Lost({"checkpoint": 500 + 1400}, free_ns=7, free_pico=1400)


def test_waiting_in_time_without_a_price_costs_nothing_known() -> None:
    """Nor does it use up time that had one."""
    unpriced = Spent().plus(None, 5)
    lost = stall(Lost(free_ns=5, free_pico=500), {"straggler": 5}, unpriced)
    assert lost == Lost({"straggler": 0}, free_ns=5, free_pico=500)
    half = Spent().plus(None, 5).plus(600, 5)
    assert stall(Lost(), {"straggler": 4}, half).stalled == {"straggler": 240}


def test_two_attempts_in_a_tick_do_not_make_it_longer() -> None:
    """What both cost is lost in full if they waited all the time."""
    both = Spent(100, 5, 5).beside(Spent(50, 5, 0), within_ns=5)
    assert both == Spent(150, 5, 5)


@given(st.integers(0, 10**15), st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_is_repeated_is_a_part(pico: int, before: float, more: float, peak: float) -> None:
    """None beyond the peak, all below it."""
    found = repeated(pico, before, before + more, peak)
    assert 0 <= found <= pico
    if before >= peak:
        assert found == 0
    elif before + more <= peak:
        assert found == pico


def test_a_step_across_the_peak_counts_by_its_parts() -> None:
    """From 90 to 110 with the peak at 95: a quarter."""
    assert repeated(1000, 90, 110, 95) == 250
    assert repeated(1000, 90, 90, 95) == 1000
    assert repeated(1000, 95, 95, 95) == 0
    assert repeated(1001, 0.5, 2.0, 1.0) == 333


def _spent(run: Run, pico: int, to: Place, *, at_work: bool = False) -> Run:
    return reach(charge(run, Cost(pico), 1), to, pico, at_work=at_work)


def _crashed(at: Place) -> Run:
    """A run whose first attempt got so far, for 1000."""
    run = _spent(begin("job", "r1", 0, 0.0, 0, from_birth=True), 0, Place(0, 0.0))
    return _spent(run, 1000, at)


def test_an_attempt_repeats_from_its_first_step_to_the_peak() -> None:
    """Loading is not repetition, nor is what is new."""
    run = resume(_crashed(Place(100, 1.5)), 1, Place(60, 1.0))
    assert (run.peak, run.place, run.attempts) == (Place(100, 1.5), Place(60, 1.0), 2)
    run = _spent(run, 500, Place(60, 1.0))
    assert run.lost.repeated == 0
    for to, sofar in ((70, 100), (70, 200), (100, 300), (110, 300)):
        run = _spent(run, 100, Place(to, 1.0))
        assert run.lost.repeated == sofar
    assert run.total.pico == 1900


def test_a_third_attempt_repeats_what_any_before_had_done() -> None:
    """The second had not come as far as the first; each repetition is counted as it happens."""
    run = resume(_crashed(Place(100)), 1, Place(60))
    run = _spent(run, 40, Place(80))
    run = resume(run, 2, Place(60))
    assert run.peak.steps == 100
    run = _spent(run, 80, Place(140))
    assert run.lost.repeated == 40 + 40
    assert run.attempts == 3


def test_where_no_steps_are_counted_epochs_tell() -> None:
    """Another host counts them, or nobody: 0 for ever."""
    for nothing in (None, 0.0):
        run = resume(_crashed(Place(nothing, 3.0)), 1, Place(nothing, 1.0))
        assert counts_again(run) is Progress.EPOCHS
        run = _spent(run, 100, Place(nothing, 1.0), at_work=True)
        run = _spent(run, 100, Place(nothing, 5.0))
        assert run.lost.repeated == 100 + 50


@pytest.mark.parametrize(
    ("steps", "epochs", "tells"), [(290.0, 0.0, False), (290.0, 2.0, True), (0.0, 0.0, True)]
)
def test_epochs_that_count_from_a_step_on_tell_nothing(
    steps: float, epochs: float, tells: bool
) -> None:
    """On a host without rank 0: nobody counts steps there, and its epochs begin at 0 again."""
    run = replace(begin("job", "r1", 0, 0.0, 0, from_birth=True), place=Place(None, 3.0))
    run = resume(run, 1, Place(steps, epochs))
    assert run.tells_again == tells
    counted = replace(run, place=Place(300.0, 3.0), tells_again=True)
    assert resume(counted, 2, Place(steps, epochs)).tells_again


def test_nothing_is_called_new_by_who_does_not_tell_what_is_done_again() -> None:
    """A sink that holds its counts at their peak, and does not know where the run resumed."""
    run = resume(_crashed(Place(100, 1.0)), 1, Place(0, 0.0))
    assert (run.place, run.tells_again) == (Place(), True)
    run = _spent(run, 100, Place(), at_work=True)
    again = _spent(run, 100, Place(5, 0.1))
    assert (again.lost.repeated, again.tells_again) == (100, True)
    held = _spent(run, 100, Place(100, 1.0))
    assert (held.lost.repeated, held.tells_again) == (0, False)


def test_a_run_does_not_go_back_within_an_attempt() -> None:
    """A rank that was not heard for a tick repeats nothing."""
    run = _spent(_crashed(Place(100)), 10, Place(90))
    assert run.place.steps == 100
    assert reach(run, Place(), 10, at_work=True) == run


def test_attempts_are_counted_though_their_numbers_begin_anew() -> None:
    """By their numbers where these rise, one each where they do not."""
    run = begin("job", "r1", 2, 0.0, 0, from_birth=True)
    assert run.attempts == 3
    assert resume(run, 5, Place()).attempts == 6
    assert resume(run, 0, Place()).attempts == 4


OLD = (
    '{"workload":"job","run":"r1","attempt":3,"total":{"pico":42,"used_pico":7},"last_epoch":2.0,'
    '"at_mark":{"pico":40,"used_pico":7},"whole":true,"used_whole":true,"epoch_cost":null,'
    '"epochs_in_cost":1.0,"last_charged_ns":9,"since_ns":1}'
)


def test_a_run_of_an_older_ledger_goes_on() -> None:
    """It knew no attempts before its own number, no place and no pace."""
    run = msgspec.json.decode(OLD, type=Run)
    expected = Run("job", "r1", 3, Cost(42, 7), 2.0, Cost(40, 7), last_charged_ns=9, since_ns=1)
    assert run == expected
    assert resume(run, 4, Place(10, 2.0)) == replace(
        expected, attempt=4, attempts=5, at_mark=Cost(42, 7), moved=False
    )


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 50)), max_size=40))
def test_a_run_is_the_same_after_the_ledger(advances: list[tuple[int, int]]) -> None:
    """Nothing of it is lost or changed by writing it down."""
    run = begin("job", "r1", 0, 0.0, 0, from_birth=True)
    steps = 0.0
    for pico, more in advances:
        steps += more
        run = _spent(run, pico, Place(steps))
        run = replace(run, lost=stall(run.lost, {"checkpoint": more}, Spent(pico, 60, 60)))
        if more == 7:
            run, steps = resume(run, run.attempt + 1, Place(steps / 2)), steps / 2
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run
    assert run.lost.repeated <= (run.total.pico or 0)
