"""The watch: what is out of its own scatter, since when, and when it is over."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from unitcost.pricing.drift import Factor, Sums, together
from unitcost.pricing.drift_watch import (
    DAY_SLOTS,
    SLOTS_PER_HOUR,
    WEEK_SLOTS,
    Memory,
    Verdict,
    WatchRules,
    baseline_slots,
    default_limits,
    watch,
)

MICRO = 10**6
RULES = WatchRules(default_limits())
USUAL = Sums(
    cost=10**12,
    active=6 * 10**11,
    idle=4 * 10**11,
    attempted=400 * MICRO,
    succeeded=400 * MICRO,
    input=400_000 * MICRO,
    output=80_000 * MICRO,
    prefill=80 * MICRO,
    decode=800 * MICRO,
)
Change = Callable[[Sums], Sums]


def dearer(sums: Sums) -> Sums:
    """A price a fifth higher."""
    return replace(sums, cost=sums.cost * 6 // 5)


def longer(sums: Sums) -> Sums:
    """Requests a third longer, on a machine that has room for them."""
    return replace(
        sums,
        input=sums.input * 4 // 3,
        output=sums.output * 4 // 3,
        active=sums.active * 4 // 3,
        idle=sums.idle - sums.active // 3,
    )


def failing(sums: Sums) -> Sums:
    """A quarter of what is attempted fails."""
    return replace(sums, succeeded=sums.succeeded * 3 // 4)


def slower(sums: Sums) -> Sums:
    """A third more busy time for the same work."""
    return replace(sums, active=sums.active * 4 // 3, idle=sums.idle - sums.active // 3)


def idling(sums: Sums) -> Sums:
    """Twice the machine for the same work."""
    return replace(sums, cost=sums.cost * 2, idle=sums.idle + sums.held)


def loading(sums: Sums) -> Sums:
    """A replica that is loaded again and again."""
    return replace(sums, cost=sums.cost * 3 // 2, loading=sums.held // 2)


def noisy(seed: int) -> Iterator[Sums]:
    """Slots like any other, but for a little chance."""
    chance = random.Random(seed)
    while True:
        by = 1 + chance.uniform(-0.02, 0.02)
        yield replace(USUAL, output=int(USUAL.output * by), input=int(USUAL.input * by))


def run(
    changes: Sequence[tuple[int, Change]], rules: WatchRules = RULES, end: int = DAY_SLOTS
) -> list[Verdict]:
    """The verdicts of some slots, in which each change begins at its slot and the next ends it."""
    slots: list[Sums] = []
    memory: Memory = {}
    found = []
    for slot, sums in zip(range(end), noisy(1), strict=False):
        now = next((change for at, change in reversed(changes) if slot >= at), lambda same: same)
        slots.append(now(sums))
        verdict = watch(rules, memory, slot, slots[-SLOTS_PER_HOUR:], lambda _: USUAL)
        memory = verdict.memory
        found.append(verdict)
    return found


AT = DAY_SLOTS - 40


@pytest.mark.parametrize(
    ("change", "factor", "minutes"),
    [
        (dearer, Factor.PRICE, 30),
        (longer, Factor.MIX, 30),
        (failing, Factor.FAILURES, 30),
        (slower, Factor.SPEED, 30),
        (idling, Factor.IDLE, 60),
        (loading, Factor.LOADING, 60),
    ],
)
def test_each_factor_is_found_soon_and_is_the_one_named(
    change: Change, factor: Factor, minutes: int
) -> None:
    """It costs the most of those that are out, since about when it began."""
    verdicts = run([(AT, change)])
    first = next(slot for slot, each in enumerate(verdicts) if each.raised)
    assert AT <= first < AT + minutes // 5
    drift = verdicts[first].drift
    assert drift is not None
    raised = verdicts[first].raised
    assert max(raised, key=drift.pico_per_unit) is factor
    since = verdicts[first].memory[factor].since
    assert since is not None
    assert abs(since - AT) <= SLOTS_PER_HOUR


def test_nothing_is_said_of_a_usual_day() -> None:
    """Nor of one that is cheaper."""
    assert not any(each.raised for each in run([]))

    def cheaper(sums: Sums) -> Sums:
        return replace(sums, cost=sums.cost // 2)

    assert not any(each.raised for each in run([(AT, cheaper)]))


def test_it_is_over_after_it_was_back_for_a_while() -> None:
    """A moment's calm does not end it."""
    verdicts = run([(AT, dearer), (AT + 15, lambda same: same)])
    out = [slot for slot, each in enumerate(verdicts) if each.raised]
    assert out == list(range(out[0], out[-1] + 1))
    assert AT + 15 + RULES.calm_slots <= out[-1] < AT + 15 + 12
    again = run([(AT, dearer), (AT + 12, lambda same: same), (AT + 14, dearer)])
    assert [bool(each.raised) for each in again].count(True) >= 24


def test_before_enough_was_seen_nothing_is_judged() -> None:
    """A scatter that nobody saw is no scatter."""
    early = run([(40, dearer)], end=80)
    assert not any(each.raised for each in early)


def test_few_requests_prove_nothing_of_what_is_counted_by_them() -> None:
    """The price does not hang on them."""

    def few(change: Change) -> Change:
        def thin(sums: Sums) -> Sums:
            part = {"attempted": 40 * MICRO, "succeeded": 40 * MICRO}
            return replace(change(sums), **part, input=40_000 * MICRO, output=8_000 * MICRO)

        return thin

    found = {factor for each in run([(AT, few(failing))])[AT:] for factor in each.raised}
    assert Factor.FAILURES not in found


def test_a_wandering_factor_has_a_wider_bound() -> None:
    """A mix that is off by a tenth every other hour is not out of its scatter when it is again."""
    chance = random.Random(2)
    by = 1.0
    memory: Memory = {}
    slots: list[Sums] = []
    raised: list[Factor] = []
    for slot in range(3 * DAY_SLOTS):
        if slot % SLOTS_PER_HOUR == 0:
            by = chance.choice([0.9, 1.0, 1.11])
        longer = {name: int(getattr(USUAL, name) * by) for name in ("input", "output")}
        slots.append(replace(USUAL, **longer))
        verdict = watch(RULES, memory, slot, slots[-SLOTS_PER_HOUR:], lambda _: USUAL)
        memory = verdict.memory
        raised.extend(verdict.raised)
    assert raised == []
    assert math.sqrt(memory[Factor.MIX].square) > 0.5  # times the root of some 2,000 requests


def test_what_costs_little_is_not_worth_a_word() -> None:
    """A fifth of less than a dollar a day."""

    def cheap(sums: Sums) -> Sums:
        return replace(sums, cost=sums.cost // 1000)

    changes = [(0, cheap), (AT, lambda sums: dearer(cheap(sums)))]
    found = {factor for each in run(changes) for factor in each.raised}
    assert found == set()


def test_no_verdict_without_a_baseline() -> None:
    """Nothing is remembered either."""
    verdict = watch(RULES, {}, 5, [USUAL] * 5, lambda _: Sums())
    assert verdict.drift is None
    assert verdict.memory == {}
    assert verdict.raised == ()


def test_what_a_slot_is_compared_with() -> None:
    """The hour around the same time of past weeks, else of yesterday."""
    slot = 5 * WEEK_SLOTS
    weeks = baseline_slots(slot, SLOTS_PER_HOUR, 2)
    back = WEEK_SLOTS, 2 * WEEK_SLOTS
    assert weeks == [(slot - 11 - far, slot + 1 - far) for far in back]
    (day,) = baseline_slots(slot, 5, 0)
    middle = slot - DAY_SLOTS + 1 - 5 / 2
    assert abs((day[0] + day[1]) / 2 - middle) <= 1
    assert day[1] - day[0] == SLOTS_PER_HOUR
    assert len(baseline_slots(slot, 5, 9)) == 4


def test_judging_keeps_nothing_of_what_was_given() -> None:
    """The memory handed in is not changed."""
    memory = run([], end=30)[-1].memory
    before = dict(memory)
    watch(RULES, memory, 30, [USUAL] * SLOTS_PER_HOUR, lambda _: USUAL)
    assert dict(memory) == before
    assert together([]) == Sums()
