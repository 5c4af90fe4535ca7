"""Windows: their running sums are those of the slices in them, whatever comes and goes."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.money import PICO
from unitcost.pricing.resource import MICRO
from unitcost.pricing.sample import Outcome, Quantity
from unitcost.pricing.unit_cost import (
    DECODE,
    INPUT,
    OUTPUT,
    PREFILL,
    SAMPLES,
    STEPS,
    SUCCEEDED,
    Basis,
    Slice,
    Unit,
    UnitCost,
    UnitKey,
    Window,
    total_usd,
)

LENGTH = 300
KEYS: tuple[UnitKey, ...] = (SUCCEEDED, INPUT, OUTPUT, PREFILL, DECODE, STEPS, SAMPLES)
FAILED: UnitKey = (Quantity.REQUESTS, Outcome.FAILED)
UNITS = st.dictionaries(
    st.sampled_from((*KEYS, FAILED)), st.one_of(st.just(0), st.integers(0, 10**12)), max_size=4
)
PARTS = st.lists(
    st.tuples(
        st.integers(0, LENGTH),
        st.none() | st.integers(0, 10**15),
        st.none() | st.integers(0, 100),
        UNITS,
    ),
    max_size=15,
)


def slices(parts: list[tuple[int, int | None, int | None, dict[UnitKey, int]]]) -> list[Slice]:
    """One slice after the other."""
    at, found = 0, []
    for length, pico, percent, units in parts:
        at += length
        used = None if pico is None or percent is None else pico * percent // 100
        found.append(Slice(at, pico, used, units))
    return found


def filled(*parts: Slice, length: int = LENGTH, minimum: int = MICRO) -> Window:
    """A window that has taken in these slices."""
    window = Window(length, minimum)
    for part in parts:
        window.add(part)
    return window


def costs(window: Window) -> dict[tuple[Unit, str, Basis], UnitCost]:
    """Its unit costs."""
    return {(cost.unit, cost.type, cost.basis): cost for cost in window.costs()}


@given(PARTS)
def test_running_sums_are_the_sums_of_the_slices_in_the_window(
    parts: list[tuple[int, int | None, int | None, dict[UnitKey, int]]],
) -> None:
    """Recomputed from scratch after each tick: what enters and leaves cancels exactly."""
    window, taken, started = Window(LENGTH), list[Slice](), False
    for part in slices(parts):
        window.add(part)
        started = started or any(
            part.units.get(key) for key in KEYS if key not in (PREFILL, DECODE)
        )
        taken = [*taken, part] if started else []
        inside = [each for each in taken if each.end_ns > part.end_ns - LENGTH]
        metered = [each for each in inside if each.pico is not None]
        assert list(window.slices) == inside
        assert window.pico == sum(each.pico or 0 for each in metered)
        assert window.used_pico == sum(each.used_pico or 0 for each in metered)
        assert window.without_used == sum(each.used_pico is None for each in metered)
        for key in (*KEYS, FAILED):
            assert window.seen.get(key, 0) == sum(each.units.get(key, 0) for each in inside)
            assert window.covered.get(key, 0) == sum(each.units.get(key, 0) for each in metered)


@given(PARTS, st.integers(1, 10**9))
def test_a_unit_cost_is_cost_over_units(
    parts: list[tuple[int, int | None, int | None, dict[UnitKey, int]]], minimum: int
) -> None:
    """Exactly, of metered and priced slices alone; with too few units there is none."""
    window = filled(*slices(parts), minimum=minimum)
    found = costs(window)
    for unit, key in ((Unit.REQUEST, SUCCEEDED), (Unit.STEP, STEPS), (Unit.SAMPLE, SAMPLES)):
        micro = window.covered.get(key, 0)
        cost = found.get((unit, "", Basis.ALLOCATED))
        assert (cost is not None) == (micro >= minimum)
        if cost is not None:
            exact = Fraction(window.pico, PICO) / Fraction(micro, MICRO)
            assert abs(Fraction(cost.usd) - exact) <= exact / 10**25
            assert cost.units == Decimal(micro) / MICRO
    assert {basis for _, _, basis in found} <= set(Basis)
    if window.without_used:
        assert Basis.USED not in {basis for _, _, basis in found}


@given(PARTS)
def test_input_and_output_tokens_together_cost_what_all_do(
    parts: list[tuple[int, int | None, int | None, dict[UnitKey, int]]],
) -> None:
    """By prefill and decode seconds; used cost is never above allocated cost."""
    found = costs(filled(*slices(parts), minimum=1))
    for basis in Basis:
        priced = [found.get((Unit.TOKEN, name, basis)) for name in ("input", "output")]
        whole = found.get((Unit.TOKEN, "all", basis))
        if whole is None or None in priced:
            continue
        total = sum(Fraction(cost.usd) * Fraction(cost.units) for cost in priced if cost)
        exact = Fraction(whole.usd) * Fraction(whole.units)
        assert abs(total - exact) <= exact / 10**24
    for (unit, name, basis), cost in found.items():
        if basis is Basis.USED:
            assert cost.usd <= found[unit, name, Basis.ALLOCATED].usd


def one(pico: int | None, units: dict[UnitKey, int], at: int = 1, used: int | None = 0) -> Slice:
    """A slice."""
    return Slice(at, pico, used, units)


def test_the_window_grows_from_the_first_unit_on() -> None:
    """What was spent before anything was asked is idle cost, not the first request's."""
    window = filled(one(100, {SUCCEEDED: 0}), one(100, {FAILED: MICRO}, 2))
    assert not window.slices
    window.add(one(7, {SUCCEEDED: 2 * MICRO}, 3))
    assert costs(window)[Unit.REQUEST, "", Basis.ALLOCATED].usd == Decimal("3.5e-12")


def test_no_request_no_cost_per_request() -> None:
    """Neither infinite nor zero: the figure is not there."""
    window = filled(one(5, {SUCCEEDED: MICRO}, 1), one(5, {SUCCEEDED: 0}, LENGTH + 1))
    assert window.pico == 5
    assert costs(window) == {}


def test_too_few_units_no_cost() -> None:
    """A minimum of ten requests."""
    nine = filled(one(5, {SUCCEEDED: 9 * MICRO}), minimum=10 * MICRO)
    ten = filled(one(5, {SUCCEEDED: 10 * MICRO}), minimum=10 * MICRO)
    assert (costs(nine), len(costs(ten))) == ({}, 2)


def test_units_outside_of_metered_and_priced_time_only_lower_the_coverage() -> None:
    """A quarter of the requests fell into a gap."""
    window = filled(one(90, {SUCCEEDED: 3 * MICRO}), one(None, {SUCCEEDED: MICRO}, 2))
    assert window.coverage == Decimal("0.75")
    assert costs(window)[Unit.REQUEST, "", Basis.ALLOCATED].usd == Decimal("3e-11")


def test_without_units_there_is_no_coverage() -> None:
    """It would be 0 of 0."""
    assert Window(LENGTH).coverage is None
    gone = filled(one(5, {SUCCEEDED: MICRO}, 1), one(5, {}, LENGTH + 1))
    assert gone.coverage is None


def test_without_phase_seconds_tokens_are_not_priced_apart() -> None:
    """There is only `all`; so there is where a server reports but one of the two."""
    tokens = {INPUT: MICRO, OUTPUT: MICRO}
    for units in (tokens, tokens | {PREFILL: MICRO}, tokens | {PREFILL: 0, DECODE: 0}):
        found = costs(filled(one(6, units)))
        assert {name for unit, name, _ in found if unit is Unit.TOKEN} == {"all"}
        assert found[Unit.TOKEN, "all", Basis.ALLOCATED].usd == Decimal("3e-12")


def test_phase_seconds_price_input_and_output_apart() -> None:
    """A quarter of the time was prefill: a quarter of the dollars over the tokens it read."""
    units = {INPUT: 8 * MICRO, OUTPUT: 3 * MICRO, PREFILL: 10 * MICRO, DECODE: 30 * MICRO}
    found = costs(filled(one(24, units)))
    allocated = {name: cost.usd for (_, name, basis), cost in found.items() if basis == "allocated"}
    assert allocated["input"] == Decimal("0.75e-12")
    assert allocated["output"] == Decimal("6e-12")


def test_one_slice_that_does_not_tell_busy_from_idle_leaves_no_used_basis() -> None:
    """Until it has left the window."""
    window = filled(one(5, {SUCCEEDED: MICRO}, 1, used=None), one(5, {SUCCEEDED: MICRO}, 2, used=3))
    assert {basis for _, _, basis in costs(window)} == {Basis.ALLOCATED}
    window.add(one(5, {SUCCEEDED: MICRO}, LENGTH + 1, used=4))
    assert costs(window)[Unit.REQUEST, "", Basis.USED].usd == Decimal("3.5e-12")
    assert total_usd(window) == Decimal("1e-11")


def test_steps_and_samples_have_costs_like_requests() -> None:
    """On both bases, without a type."""
    units = {STEPS: 4 * MICRO, SAMPLES: 8 * MICRO, SUCCEEDED: 2 * MICRO}
    found = costs(filled(one(16, units, used=8)))
    assert {key: cost.usd for key, cost in found.items()} == {
        (Unit.REQUEST, "", Basis.ALLOCATED): Decimal("8e-12"),
        (Unit.STEP, "", Basis.ALLOCATED): Decimal("4e-12"),
        (Unit.SAMPLE, "", Basis.ALLOCATED): Decimal("2e-12"),
        (Unit.REQUEST, "", Basis.USED): Decimal("4e-12"),
        (Unit.STEP, "", Basis.USED): Decimal("2e-12"),
        (Unit.SAMPLE, "", Basis.USED): Decimal("1e-12"),
    }
    assert {cost.basis for cost in found.values()} == set(Basis)
    assert {(cost.unit, cost.type) for cost in found.values()} == {
        (unit, "") for unit in (Unit.REQUEST, Unit.STEP, Unit.SAMPLE)
    }


def test_phases_that_took_as_long_as_each_other_price_apart_too() -> None:
    """Half and half."""
    units = {INPUT: 4 * MICRO, OUTPUT: MICRO, PREFILL: 10 * MICRO, DECODE: 10 * MICRO}
    found = costs(filled(one(16, units)))
    assert found[Unit.TOKEN, "input", Basis.ALLOCATED].usd == Decimal("2e-12")
    assert found[Unit.TOKEN, "output", Basis.ALLOCATED].usd == Decimal("8e-12")


def test_any_part_of_a_unit_has_a_cost_where_no_minimum_is_set() -> None:
    """A millionth of an epoch's step is one; nothing of it is none."""
    assert costs(filled(one(5, {STEPS: 1}), minimum=0))[Unit.STEP, "", Basis.ALLOCATED]
    assert costs(filled(one(5, {STEPS: 1}), one(5, {STEPS: 0}, LENGTH + 1), minimum=0)) == {}
