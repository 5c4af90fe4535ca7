"""Each default limit of the watch by itself: where its bound lies, and what it takes to be over."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import (
    Verdict,
    Watched,
    WatchRules,
    baseline_slots,
    default_limits,
    watch,
)
from unitcost.pricing.money import PICO

MICRO = 10**6
SLOT = 100_000
USUAL = Sums(
    cost=10**15,
    active=6 * 10**14,
    idle=4 * 10**14,
    attempted=400 * MICRO,
    succeeded=400 * MICRO,
    input=400_000 * MICRO,
    output=80_000 * MICRO,
    prefill=80 * MICRO,
    decode=800 * MICRO,
)
SURE = Watched(seen=10**12)
"""Never off by anything, for as long as one likes: the bound is the floor."""


def usual_rules() -> WatchRules:
    """Made in each test, so that a test that looks at a default is seen to."""
    return WatchRules(default_limits())


def only(factor: Factor, off: float) -> Sums:
    """A slot in which one factor is off by that logarithm, and all others are as usual."""
    by = math.exp(off)

    def times(*names: str) -> Sums:
        return replace(USUAL, **{name: round(getattr(USUAL, name) * by) for name in names})

    if factor is Factor.PRICE:
        return times("cost")
    if factor is Factor.MIX:
        return times("cost", "active", "idle", "input", "output")
    if factor is Factor.FAILURES:
        return replace(USUAL, succeeded=round(USUAL.succeeded / by))
    if factor is Factor.SPEED:
        return times("cost", "active", "idle")
    if factor is Factor.LOADING:
        return replace(times("cost"), loading=round(USUAL.held * (by - 1)))
    return replace(times("cost"), idle=round(USUAL.held * by) - USUAL.active)


def judged(
    factor: Factor,
    recent: Sequence[Sums],
    known: Watched = SURE,
    rules: WatchRules | None = None,
) -> Verdict:
    """The verdict on these slots by someone who remembers that of the factor."""
    return watch(rules or usual_rules(), {factor: known}, SLOT, recent, lambda _: USUAL)


def raises(
    factor: Factor, recent: Sequence[Sums], known: Watched = SURE, rules: WatchRules | None = None
) -> bool:
    """Whether the factor is out of its scatter now."""
    return factor in judged(factor, recent, known, rules).raised


LIMITS = [
    # floor, guess, long window and short one, whether requests count, whether it is followed
    (Factor.PRICE, 0.05, 0.005, 5, 2, False, False),
    (Factor.MIX, 0.08, 0.05, 5, 2, True, True),
    (Factor.FAILURES, 0.05, 0.02, 5, 2, True, False),
    (Factor.LOADING, 0.10, 0.05, 12, 3, False, True),
    (Factor.IDLE, 0.35, 0.10, 12, 4, False, True),
    (Factor.SPEED, 0.08, 0.03, 5, 2, True, True),
]
FLOORS = {row[0]: row[1] for row in LIMITS}
every = pytest.mark.parametrize(("factor", "floor"), [row[:2] for row in LIMITS])


def test_no_factor_is_without_a_limit() -> None:
    """In the order of the identity."""
    assert list(default_limits()) == list(Factor) == [row[0] for row in LIMITS]


@every
def test_the_test_changes_one_factor_alone(factor: Factor, floor: float) -> None:
    """So that no other limit can hold in its place."""
    drift = judged(factor, [only(factor, floor)] * 12).drift
    assert drift is not None
    for each in Factor:
        expected = math.exp(floor) if each is factor else 1.0
        assert drift.factors[each] == pytest.approx(expected, rel=1e-6)


@every
def test_the_floor(factor: Factor, floor: float) -> None:
    """A hundredth above it is out, a hundredth below is not."""
    assert raises(factor, [only(factor, floor * 1.01)] * 12)
    assert not raises(factor, [only(factor, floor * 0.99)] * 12)


@pytest.mark.parametrize(("factor", "guess", "counted"), [(r[0], r[2], r[5]) for r in LIMITS])
def test_the_guess_holds_before_anything_was_seen(
    factor: Factor, guess: float, counted: bool
) -> None:
    """Four times it; of counted ones that of 500 requests, and less for more of them."""
    limit = replace(default_limits()[factor], floor=1e-9)
    rules = WatchRules({factor: limit}, learnt_slots=0, least_pico_per_day=0)
    requests = 400 * limit.slots
    bound = 4 * guess * (math.sqrt(500 / requests) if counted else 1.0)
    for by, out in ((1.02, True), (0.98, False)):
        assert raises(factor, [only(factor, bound * by)] * 12, Watched(), rules) is out


@pytest.mark.parametrize(("factor", "guess", "counted"), [(r[0], r[2], r[5]) for r in LIMITS])
def test_the_guess_weighs_an_hour_beside_what_was_seen(
    factor: Factor, guess: float, counted: bool
) -> None:
    """With 24 slots seen, of which none was off, a third of its square is left."""
    limit = replace(default_limits()[factor], floor=1e-9)
    rules = WatchRules({factor: limit}, learnt_slots=24, least_pico_per_day=0)
    scale = math.sqrt(500 / (400 * limit.slots)) if counted else 1.0
    bound = 4 * guess * scale * math.sqrt(12 / 36)
    for by, out in ((1.02, True), (0.98, False)):
        assert raises(factor, [only(factor, bound * by)] * 12, Watched(seen=24), rules) is out


@pytest.mark.parametrize(("factor", "slots"), [(row[0], row[3]) for row in LIMITS])
def test_the_long_window(factor: Factor, slots: int) -> None:
    """All of it must be out on average: one slot less is not, one more need not be."""
    off = only(factor, FLOORS[factor] * 1.02)
    calm = [USUAL] * 13
    assert raises(factor, calm[slots:] + [off] * slots)
    assert not raises(factor, calm[slots - 1 :] + [off] * (slots - 1))


@pytest.mark.parametrize(("factor", "slots", "short"), [(row[0], row[3], row[4]) for row in LIMITS])
def test_the_short_window(factor: Factor, slots: int, short: int) -> None:
    """What is over for so long is not told any more, however far off it was; for one less it is."""
    far = only(factor, 1.5)
    for calm, out in ((short, False), (short - 1, True)):
        assert raises(factor, [far] * (slots - calm) + [USUAL] * calm) is out


@every
def test_the_short_window_must_be_half_as_far_off(factor: Factor, floor: float) -> None:
    """Of the bound."""
    limit = default_limits()[factor]
    for by, out in ((0.51, True), (0.49, False)):
        brief = [only(factor, floor * by)] * limit.short
        far = [only(factor, 1.5)] * (limit.slots - limit.short)
        assert raises(factor, far + brief) is out


@pytest.mark.parametrize(("factor", "counted"), [(row[0], row[5]) for row in LIMITS])
def test_requests_that_prove_nothing(factor: Factor, counted: bool) -> None:
    """Fewer than 100 in the short window, where requests count."""
    limit = default_limits()[factor]

    def few(total: float) -> list[Sums]:
        part = total / limit.short / 400
        off = only(factor, 1.0)
        return [Sums(*(round(getattr(off, n) * part) for n in Sums.__slots__))] * 12

    assert raises(factor, few(100))
    assert raises(factor, few(100.01))
    assert raises(factor, few(99.9)) is not counted


@pytest.mark.parametrize(("factor", "counted"), [(row[0], row[5]) for row in LIMITS])
def test_four_sigmas_of_its_own_scatter(factor: Factor, counted: bool) -> None:
    """Remembered times the root of the requests where these count."""
    limit = default_limits()[factor]
    scale = math.sqrt(400 * limit.slots) if counted else 1.0
    known = replace(SURE, square=(0.2 * scale) ** 2)
    for off, out in ((0.81, True), (0.79, False)):
        assert raises(factor, [only(factor, off)] * 12, known) is out


@pytest.mark.parametrize(
    ("factor", "counted", "follows"), [(row[0], row[5], row[6]) for row in LIMITS]
)
def test_what_is_learnt_of_a_slot(factor: Factor, counted: bool, follows: bool) -> None:
    """How far it was off, squared; and where it stands, if it is followed, over six hours."""
    off = FLOORS[factor] / 2
    limit = default_limits()[factor]
    scale = 400 * limit.slots if counted else 1.0
    known = Watched(square=3.0, seen=99)
    after = judged(factor, [only(factor, off)] * 12, known).memory[factor]
    assert after.seen == 100
    assert after.square == pytest.approx(3.0 + (off**2 * scale - 3.0) / 100, rel=1e-4)
    assert after.level == pytest.approx(off / 72 if follows else 0.0, rel=1e-4)
    young = judged(factor, [only(factor, off)] * 12, Watched(seen=9)).memory[factor]
    assert young.level == pytest.approx(off / 10 if follows else 0.0, rel=1e-4)


@every
def test_a_level_is_what_it_is_judged_against(factor: Factor, floor: float) -> None:
    """In both windows."""
    known = replace(SURE, level=0.2)
    assert raises(factor, [only(factor, 0.2 + floor * 1.02)] * 12, known)
    assert not raises(factor, [only(factor, 0.2 + floor * 0.98)] * 12, known)
    limit = default_limits()[factor]
    brief = [only(factor, 0.2 + floor * 0.49)] * limit.short
    assert not raises(factor, [only(factor, 1.9)] * (limit.slots - limit.short) + brief, known)


def test_a_level_moves_from_where_it_stood() -> None:
    """By a part of how far off it is."""
    known = Watched(seen=99, level=0.5)
    after = judged(Factor.MIX, [only(Factor.MIX, 0.14)] * 12, known).memory[Factor.MIX]
    assert after.level == pytest.approx(0.5 + (0.14 - 0.5) / 72, rel=1e-4)


def test_a_level_follows_the_long_window() -> None:
    """Not the short one at its end."""
    recent = [only(Factor.SPEED, 0.04)] * 3 + [USUAL] * 2
    after = judged(Factor.SPEED, recent, Watched(seen=99)).memory[Factor.SPEED]
    long = math.log((3 * math.exp(0.04) + 2) / 5)
    assert after.level == pytest.approx(long / 72, rel=1e-4)
    assert after.square == pytest.approx(long**2 * 2000 / 100, rel=1e-4)


def test_memory_goes_back_a_week() -> None:
    """Then the new weighs as much as 2,016 slots let it."""
    known = Watched(square=1.0, seen=2016)
    after = judged(Factor.PRICE, [USUAL] * 12, known).memory[Factor.PRICE]
    assert after.seen == 2016
    assert after.square == pytest.approx(1 - 1 / 2016)
    young = judged(Factor.PRICE, [USUAL] * 12, replace(known, seen=2014)).memory[Factor.PRICE]
    assert young.seen == 2015


def test_half_a_day_must_have_been_seen() -> None:
    """144 slots, of which none was off."""
    far = [only(Factor.PRICE, 1.0)] * 12
    assert not raises(Factor.PRICE, far, Watched(seen=143))
    assert raises(Factor.PRICE, far, Watched(seen=144))


@every
def test_what_costs_less_than_a_dollar_a_day_is_not_told(factor: Factor, floor: float) -> None:
    """Of this factor, at the requests of the last hour; and it is learnt of no more for that."""
    recent = [only(factor, 2 * floor)] * 12
    drift = judged(factor, recent).drift
    assert drift is not None
    daily = drift.pico_per_unit(factor) * recent[0].succeeded / MICRO * 288
    for dollars, out in ((1.01, True), (0.99, False)):
        scale = dollars * PICO / daily

        def priced(sums: Sums, scale: float = scale) -> Sums:
            return replace(sums, cost=round(sums.cost * scale))

        against = partial(_same, priced(USUAL))
        now = [priced(each) for each in recent]
        verdict = watch(usual_rules(), {factor: SURE}, SLOT, now, against)
        assert (factor in verdict.raised) is out
        assert verdict.memory[factor].seen == SURE.seen


def _same(sums: Sums, _: int) -> Sums:
    return sums


@pytest.mark.parametrize(("factor", "slots"), [(row[0], row[3]) for row in LIMITS])
def test_since_when(factor: Factor, slots: int) -> None:
    """The beginning of the long window; it stays, whatever follows."""
    far = [only(factor, 1.0)] * 12
    first = judged(factor, far)
    assert first.memory[factor].since == SLOT - slots + 1
    again = watch(usual_rules(), first.memory, SLOT + 1, far, lambda _: USUAL)
    assert again.memory[factor].since == SLOT - slots + 1
    assert again.memory[factor].seen == SURE.seen
    assert again.raised == (factor,)


@every
def test_it_is_over_after_three_slots_within_half_of_the_bound(
    factor: Factor, floor: float
) -> None:
    """In a row: one that is not begins anew."""
    out = replace(SURE, since=SLOT - 50)
    near, far = [only(factor, floor * 0.49)] * 12, [only(factor, floor * 0.51)] * 12
    seen = []
    for recent in (near, near, far, near, near, near, near):
        out = judged(factor, recent, out).memory[factor]
        seen.append((out.since is not None, out.calm))
    assert seen == [
        (True, 1),
        (True, 2),
        (True, 0),
        (True, 1),
        (True, 2),
        (False, 0),
        (False, 0),
    ]


def test_it_may_be_told_anew_from_a_clean_slate() -> None:
    """Calm slots of before do not count."""
    out = judged(Factor.PRICE, [only(Factor.PRICE, 1.0)] * 12, replace(SURE, calm=2))
    assert out.memory[Factor.PRICE].calm == 0


def test_the_difference_in_dollars_is_that_of_a_day() -> None:
    """At the requests of the last hour, or of as much of it as there is; cheaper is below 0."""
    for recent in (
        [only(Factor.PRICE, math.log(1.5))] * 12,
        [only(Factor.PRICE, math.log(1.5))] * 3,
    ):
        found = judged(Factor.PRICE, recent).pico_per_day
        assert found == pytest.approx(0.5 * USUAL.cost * 288, rel=1e-6)
    cheaper = judged(Factor.PRICE, [only(Factor.PRICE, math.log(0.5))] * 12)
    assert cheaper.pico_per_day == pytest.approx(-0.5 * USUAL.cost * 288, rel=1e-6)
    long = judged(Factor.PRICE, [only(Factor.PRICE, 3.0)] * 4 + [USUAL] * 12)
    assert long.pico_per_day == pytest.approx(0.0, abs=1.0)


def test_each_length_has_a_baseline_of_its_own() -> None:
    """The hour for the whole, each long window for its factors."""
    asked: list[int] = []

    def baseline(slots: int) -> Sums:
        asked.append(slots)
        return USUAL

    watch(usual_rules(), {}, SLOT, [USUAL] * 12, baseline)
    assert asked == [12, 5, 5, 5, 12, 12, 5]


def test_a_factor_without_a_baseline_of_its_length_is_left_alone() -> None:
    """The others are judged."""
    known = {factor: Watched(seen=5) for factor in Factor}

    def by_length(slots: int) -> Sums:
        return Sums() if slots == 5 else USUAL

    after = watch(usual_rules(), known, SLOT, [USUAL] * 12, by_length)
    assert {factor for factor in Factor if after.memory[factor].seen == 6} == {
        Factor.LOADING,
        Factor.IDLE,
    }
    assert after.drift is not None


def test_nothing_in_the_short_window_is_no_verdict() -> None:
    """Also for what requests do not count for."""
    idle = replace(Sums(), idle=10**12, cost=10**12)
    known = {factor: Watched(seen=5) for factor in Factor}
    after = watch(usual_rules(), known, SLOT, [USUAL] * 8 + [idle] * 4, lambda _: USUAL)
    assert {each.seen for each in after.memory.values()} == {5}
    assert after.raised == ()


def test_without_a_baseline_there_is_no_difference() -> None:
    """Not even a small one."""
    assert watch(usual_rules(), {}, SLOT, [USUAL] * 12, lambda _: Sums()).pico_per_day == 0.0


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [
        (0, [(20160 - 288, 20172 - 288)]),
        (1, [(20160 - 2016, 20172 - 2016)]),
        (3, [(20160 - 2016 * week, 20172 - 2016 * week) for week in (1, 2, 3)]),
        (5, [(20160 - 2016 * week, 20172 - 2016 * week) for week in (1, 2, 3, 4)]),
    ],
)
def test_the_hour_around_the_same_time(weeks: int, expected: list[tuple[int, int]]) -> None:
    """Of twelve slots that end now it is those twelve; of weeks as far as they are known."""
    assert baseline_slots(20171, 12, weeks) == expected


def test_a_short_window_has_an_hour_around_its_middle() -> None:
    """Five slots: three and a half on either side of them, the odd one before."""
    assert baseline_slots(20171, 5, 0) == [(20164 - 288, 20176 - 288)]
