"""Training runs: what an epoch cost is what was charged between its marks."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.runs import (
    Cost,
    Place,
    Run,
    begin,
    charge,
    is_later,
    last_known_ns,
    mark,
    resume,
    spoil,
)
from unitcost.pricing.sample import EpochMark

START = 1_000


def born() -> Run:
    """A run seen from its birth at `START`."""
    return begin("job", "r1", 0, 0.0, START, from_birth=True)


def at(epoch: float, wall_ns: int = START + 1) -> EpochMark:
    """An epoch's end."""
    return EpochMark("run:1", epoch, wall_ns)


def spend(run: Run, pico: int | None, used: int | None = 0) -> Run:
    """Charge so much."""
    return charge(run, Cost(pico, used), START)


COSTS = st.tuples(st.just("charge"), st.integers(0, 10**15), st.integers(0, 10**15))
MARKS = st.tuples(st.just("mark"), st.integers(1, 3), st.just(0))
TROUBLE = st.tuples(st.sampled_from(["spoil", "unpriced", "unsignalled"]), st.just(1), st.just(0))


@given(st.lists(st.one_of(COSTS, COSTS, MARKS, MARKS, TROUBLE), max_size=30))
def test_epochs_sum_to_the_run_between_its_first_and_last_mark(
    events: list[tuple[str, int, int]],
) -> None:
    """Each cost is in one epoch; one that was not metered or priced throughout has no cost."""
    run, total, used = born(), 0, 0
    epoch, since, spoiled, silent = 0, (0, 0), False, False
    for what, amount, busy in events:
        if what == "charge":
            run = spend(run, amount, min(amount, busy))
            total, used = total + amount, used + min(amount, busy)
        elif what == "unsignalled":
            run, total, silent = spend(run, amount, None), total + amount, True
        elif what == "unpriced":
            run, spoiled = spend(run, None, None), True
        elif what == "spoil":
            run, spoiled = spoil(run), True
        else:
            epoch += amount
            run = mark(run, at(epoch))
            assert run.epochs_in_cost == amount
            if spoiled or run.total.pico is None:
                assert run.epoch_cost is None
            else:
                expected = None if silent else used - since[1]
                assert run.epoch_cost == Cost(total - since[0], expected)
            since, spoiled, silent = (total, used), False, False
        assert (run.total.pico or 0) == total
        priced = any(each in ("charge", "unsignalled") for each, _, _ in events)
        assert priced or run.total.pico is None


def test_what_is_not_priced_is_not_zero() -> None:
    """A run's cost is unknown until something of it is priced; then that is what is known."""
    run = born()
    assert run.total == Cost(None, None)
    run = spend(run, None, None)
    assert run.total.pico is None
    assert spend(run, 5, 1).total == Cost(5, 1)


def test_an_epoch_that_cost_nothing_cost_zero() -> None:
    """A price of zero is a price."""
    run = mark(spend(born(), 0, 0), at(1))
    assert run.epoch_cost == Cost(0, 0)


def test_n_epochs_between_two_readings_share_equally() -> None:
    """Three epochs for 30."""
    run = mark(spend(born(), 30, 15), at(3))
    assert run.epoch_cost is not None
    assert run.epoch_cost.per(run.epochs_in_cost) == (10, 5)
    assert Cost(30, None).per(3) == (10, None)
    assert Cost(None, None).per(3) == (None, None)


def test_a_mark_seen_again_changes_nothing() -> None:
    """The state file holds all marks of the run at every reading."""
    run = mark(spend(born(), 30), at(1))
    assert mark(run, at(1)) is run
    assert mark(run, at(0.5)) is run


def test_marks_from_before_the_run_was_metered_say_only_where_it_is() -> None:
    """The first epoch with a cost is the first between two marks that were seen."""
    run = begin("job", "r1", 0, 0.0, START, from_birth=False)
    run = mark(run, at(1, START - 50))
    run = mark(run, at(2, START - 10))
    assert (run.last_epoch, run.epoch_cost) == (2, None)
    run = mark(spend(run, 7), at(3))
    assert run.epoch_cost is None
    run = mark(spend(run, 9, 4), at(4))
    assert run.epoch_cost == Cost(9, 4)
    # A clock that was set back: which epoch the last cost was of is not known any more.
    assert mark(run, at(5, START - 3)).epoch_cost is None


def test_an_epoch_s_cost_stands_until_the_next_mark() -> None:
    """Whatever is charged meanwhile."""
    run = spend(mark(spend(born(), 30), at(1)), 99)
    assert run.epoch_cost == Cost(30, 0)


def test_a_resumed_run_goes_on_in_cost_and_anew_in_its_epoch() -> None:
    """What was spent since the last mark was lost with it; it is the run's all the same."""
    run = spend(mark(spend(born(), 30), at(1)), 12)
    run = resume(run, 1, Place(epochs=1.0))
    assert (run.attempt, run.last_epoch, run.total.pico) == (1, 1.0, 42)
    assert run.epoch_cost == Cost(30, 0)
    run = mark(spend(run, 20, 5), at(2))
    assert run.epoch_cost == Cost(20, 5)
    assert run.total.pico == 62


def test_a_run_resumed_before_anything_was_priced_can_be_priced_yet() -> None:
    """Prices may come later than the run."""
    run = resume(spend(born(), None), 1, Place(epochs=1.0))
    assert mark(spend(run, 20, 5), at(2)).epoch_cost == Cost(20, 5)


def test_an_earlier_epoch_without_a_signal_leaves_the_later_ones_their_used_cost() -> None:
    """One silent tick is not for ever."""
    run = mark(spend(spend(born(), 10, 5), 10, None), at(1))
    assert run.epoch_cost == Cost(20, None)
    assert mark(spend(run, 8, 3), at(2)).epoch_cost == Cost(8, 3)


def test_costs_of_which_a_part_is_unknown_are_unknown() -> None:
    """In sums and in differences."""
    assert Cost(1, 2).plus(Cost(3, 4)) == Cost(4, 6)
    assert Cost(1, 2).plus(Cost(None, 4)) == Cost(None, 6)
    assert Cost(5, 2).minus(Cost(3, None)) == Cost(2, None)


def test_an_attempt_is_later_by_its_number() -> None:
    """An earlier one's file that is still there is no resumption; nor is another rank's."""
    run = replace(spend(born(), 5), attempt=2, last_charged_ns=900)
    assert is_later(run, 3, None, running=False)
    assert not is_later(run, 2, 950, running=True)
    assert not is_later(run, 1, 800, running=False)
    assert not is_later(run, 1, None, running=True)


def test_an_attempt_is_later_though_its_number_began_anew() -> None:
    """After a reboot the files in /run are gone: the attempts are counted from 0 again."""
    run = replace(spend(born(), 5), attempt=2, last_charged_ns=900)
    assert is_later(run, 0, 950, running=True)
    assert not is_later(run, 0, 950, running=False)
    assert not is_later(run, 0, 900, running=True)
    since = replace(run, since_ns=920)
    assert is_later(since, 2, 950, running=True, joins=False)
    assert not is_later(since, 2, 950, running=True, joins=True)
    assert not is_later(since, 2, 910, running=True, joins=False)
    assert is_later(since, 2, 950, running=None, joins=False)
    assert not is_later(since, 2, 950, running=False, joins=False)


def test_a_run_was_last_worked_on_when_it_was_charged_or_began() -> None:
    """Whichever is later."""
    run = begin("job", "r", 0, 0.0, 500, from_birth=True)
    assert last_known_ns(run) == 500
    assert last_known_ns(replace(run, last_charged_ns=499)) == 500
    assert last_known_ns(replace(run, last_charged_ns=501)) == 501


def test_what_a_run_cost_includes_what_prices_learnt_late_change() -> None:
    """Nothing is known of it until something is; its epochs stay as they were charged."""
    run = begin("job", "r", 0, 0.0, START, from_birth=True)
    assert run.cost_pico is None
    assert replace(run, corrected_pico=7).cost_pico == 7
    spent = charge(run, Cost(100, 50), START + 1)
    assert spent.cost_pico == 100
    corrected = replace(spent, corrected_pico=-40)
    assert corrected.cost_pico == 60
    assert mark(corrected, at(1)).epoch_cost == Cost(100, 50)
