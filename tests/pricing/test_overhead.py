"""Overheads and energy: PUE once, kinds apart, and allocations that sum."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.overhead import (
    TYPICAL_PUE,
    AtMeter,
    AtServer,
    Overhead,
    OverheadKind,
    Per,
    Pue,
    allocate,
    overhead_usd,
)
from unitcost.pricing.price import electricity_per_hour

D = Decimal
RACK, STAFF, COOLING = OverheadKind.RACK, OverheadKind.STAFF, OverheadKind.COOLING
WEIGHTS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4), st.decimals(0, 1000, places=6), max_size=12
)


def test_pue_leads_from_the_server_to_the_meter() -> None:
    """6.5 kW for two hours in a building that needs a fifth more."""
    energy = AtServer.of(D(6500), D(2))
    assert energy.kwh == 13
    metered = Pue(D("1.2"), "measured").at_meter(energy)
    assert metered == AtMeter(D("15.6"))
    assert metered.usd(D("0.10")) == D("1.56")


def test_pue_is_never_applied_twice() -> None:
    """Not by the type checker's leave, nor without it."""
    pue = Pue(D("1.5"), "measured")
    once = pue.at_meter(AtServer(D(1)))
    with pytest.raises(TypeError, match=r"^PUE is applied to energy at the server, and once only$"):
        pue.at_meter(once)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        once * pue.value  # type: ignore[operator]
    assert not hasattr(AtServer(D(1)), "usd")


@given(st.decimals(0, 10_000, places=3), st.decimals(1, 3, places=2), st.decimals(0, 2, places=4))
def test_it_is_what_the_plain_formula_says(watts: Decimal, pue: Decimal, tariff: Decimal) -> None:
    """Of one hour."""
    cost = Pue(pue, "test").at_meter(AtServer.of(watts, D(1))).usd(tariff)
    assert cost == electricity_per_hour(watts, tariff, pue)


def test_the_typical_pue_says_that_it_is_one() -> None:
    """A default carries its source."""
    assert TYPICAL_PUE.value == D("1.54")
    assert "Uptime" in TYPICAL_PUE.source


@pytest.mark.parametrize("value", ["0.99", "10.01", "NaN"])
def test_a_pue_that_cannot_be_is_refused(value: str) -> None:
    """A building never uses less than what stands in it."""
    with pytest.raises(ValueError, match="PUE, the facility's energy over the servers', is from 1"):
        Pue(D(value), "test")
    assert [Pue(D(good), "x").value for good in (1, 10)] == [1, 10]


@pytest.mark.parametrize("value", ["-0.001", "1000000000001", "Infinity"])
def test_energy_that_cannot_be_is_refused(value: str) -> None:
    """At the server and at the meter."""
    for kind in (AtServer, AtMeter):
        with pytest.raises(ValueError, match=r"^energy in kWh"):
            kind(D(value))
        assert kind(D(10**12)).kwh == 10**12
        assert kind(D(0)).kwh == 0


ITEMS = (
    Overhead(RACK, D("0.40")),
    Overhead(STAFF, D("0.25")),
    Overhead(COOLING, D("0.01"), Per.KWH),
    Overhead(RACK, D("0.02"), Per.KWH),
)


def test_overheads_grow_with_hours_or_energy() -> None:
    """Kinds are told apart; of one kind they are summed."""
    sums = overhead_usd(ITEMS, D(2), AtServer(D(10)))
    assert sums == {RACK: D("1.00"), STAFF: D("0.50"), COOLING: D("0.1")}
    assert overhead_usd((), D(2), None) == {}


def test_without_energy_what_counts_it_is_unknown() -> None:
    """And so is the sum; hours alone need none."""
    assert overhead_usd(ITEMS, D(2), None) is None
    assert overhead_usd(ITEMS[:2], D(2), None) == {RACK: D("0.80"), STAFF: D("0.50")}


def test_overheads_are_by_energy_at_the_server() -> None:
    """Never by the meter's, which has PUE in it."""
    with pytest.raises(TypeError, match=r"^overheads are by energy at the server$"):
        overhead_usd(ITEMS, D(2), AtMeter(D(10)))  # type: ignore[arg-type]


def test_overheads_that_cannot_be_are_refused() -> None:
    """Negative amounts and negative hours."""
    with pytest.raises(ValueError, match=r"^an overhead in USD"):
        Overhead(RACK, D("-0.01"))
    for hours in (D(-1), D(10**9 + 1)):
        with pytest.raises(ValueError, match=r"^a time in hours"):
            overhead_usd(ITEMS, hours, None)
    assert Overhead(RACK, D(10**9)).usd == 10**9
    assert overhead_usd((), D(10**9), None) == {}
    assert overhead_usd(ITEMS[:1], D(0), None) == {RACK: D(0)}
    with pytest.raises(ValueError, match=r"^an overhead in USD"):
        Overhead(RACK, D(10**9 + 1))


@given(st.decimals(0, 10**9, places=12), WEIGHTS)
def test_an_allocation_sums_to_the_last_pico_dollar(
    usd: Decimal, weights: dict[str, Decimal]
) -> None:
    """Each part is its exact share to a pico-dollar, and no host is forgotten."""
    whole = sum(weights.values(), D(0))
    if not whole:
        if usd:
            with pytest.raises(ValueError, match="nothing to distribute by"):
                allocate(usd, weights)
        return
    parts = allocate(usd, weights)
    assert sum(parts.values()) == usd
    assert list(parts) == list(weights)
    for name, part in parts.items():
        assert abs(part * whole - usd * weights[name]) <= whole * D(1).scaleb(-12)


@given(st.decimals(0, 10**6, places=12), st.lists(st.decimals(0, 9, places=2), min_size=2))
def test_more_weight_never_gets_less(usd: Decimal, weights: list[Decimal]) -> None:
    """Whoever takes more of the rack pays no less of it."""
    if not any(weights):
        return
    named = {str(index): weight for index, weight in enumerate(sorted(weights, reverse=True))}
    parts = list(allocate(usd, named).values())
    assert all(more >= less for more, less in itertools.pairwise(parts))


def test_an_allocation_of_what_cannot_be_is_refused() -> None:
    """A negative amount, a negative weight, one that is no number."""
    assert allocate(D(6), {"a": D(1), "b": D(2)}) == {"a": 2, "b": 4}
    assert allocate(D(10**9), {"a": D(10**9)}) == {"a": 10**9}
    with pytest.raises(ValueError, match=r"^an overhead in USD"):
        allocate(D(-1), {"a": D(1)})
    for wrong in ("-1", "NaN", "1000000001"):
        with pytest.raises(ValueError, match=r"^a weight"):
            allocate(D(1), {"a": D(1), "b": D(wrong)})


def test_an_overhead_may_be_cents() -> None:
    """And nothing at all."""
    assert overhead_usd((Overhead(RACK, D("0.05")),), D(2), None) == {RACK: D("0.1")}
    assert Overhead(RACK, D(0)).usd == 0
