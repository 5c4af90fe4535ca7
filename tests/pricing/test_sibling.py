"""The split by the sibling: what the machine costs without GPUs is what CPU and memory cost."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.currency import Rate
from unitcost.pricing.money import to_pico
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.price_list import list_prices, sibling_pico, unit_prices
from unitcost.pricing.resource import (
    CPU,
    DEFAULT_SPLIT,
    GIB,
    MEMORY,
    MICRO,
    REST,
    Resource,
    SplitRule,
    split_host,
    takes_sibling,
)
from unitcost.pricing.sibling import Shape, Sibling
from unitcost.pricing.timeline import Period

RENT = Component.RENT
M5AD = Sibling("m5ad.xlarge")
BYTES = st.integers(GIB, 4096 * GIB).map(lambda size: Resource(MEMORY, size * MICRO // GIB))
CORES = st.integers(1, 512).map(lambda cores: Resource(CPU, cores * MICRO))
PRICES = st.integers(0, 2 * 10**14)
RULES = st.one_of(
    st.just(DEFAULT_SPLIT),
    st.builds(
        SplitRule,
        st.just("test"),
        st.decimals(0, 10, places=4),
        st.decimals(0, 1, places=4),
        st.one_of(st.just(Decimal(0)), st.decimals(0, 20, places=4)),
    ),
)


@st.composite
def hosts(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Any set of resources; some GPUs may never have been seen."""
    found = [draw(CORES)] if draw(st.booleans()) else []
    found += [draw(BYTES)] if draw(st.booleans()) else []
    found += [Resource(f"gpu:GPU-{index}", MICRO) for index in range(draw(st.integers(0, 8)))]
    unseen = draw(st.integers(0, 2))
    return (*found, *([Resource(REST, unseen * MICRO)] if unseen else []))


def host(gpus: int = 1) -> tuple[Resource, ...]:
    """Four cores, 16 GiB and some GPUs."""
    devices = tuple(Resource(f"gpu:GPU-{index}", MICRO) for index in range(gpus))
    return (Resource(CPU, 4 * MICRO), Resource(MEMORY, 16 * MICRO), *devices)


def price(
    usd: str, start: int = 0, end: int | None = None, model: PriceModel = PriceModel.ON_DEMAND
) -> Price:
    """A price of a whole machine."""
    return Price(RENT, Decimal(usd), model, "test", start, end)


def together(parts: dict[str, int]) -> int:
    """CPU and memory."""
    return parts.get(CPU, 0) + parts.get(MEMORY, 0)


@given(PRICES, hosts(), RULES, st.none() | PRICES)
def test_the_parts_sum_to_the_price_and_none_is_negative(
    total: int, resources: tuple[Resource, ...], rule: SplitRule, sibling: int | None
) -> None:
    """Exactly, whatever the sibling costs."""
    parts = split_host(total, resources, rule, sibling)
    assert sum(parts.values()) == total
    assert all(part >= 0 for part in parts.values())


@given(PRICES, hosts(), RULES, PRICES)
def test_a_sibling_that_fits_is_what_cpu_and_memory_cost(
    total: int, resources: tuple[Resource, ...], rule: SplitRule, sibling: int
) -> None:
    """To the last pico-dollar, and GPUs have equal parts of the rest; else the weights hold."""
    parts = split_host(total, resources, rule, sibling)
    if not takes_sibling(total, resources, rule, sibling):
        assert parts == split_host(total, resources, rule)
        return
    assert together(parts) == sibling
    gpus = [parts[each.id] for each in resources if each.is_gpu]
    assert not gpus or max(gpus) - min(gpus) <= 1


@given(PRICES, hosts(), RULES, PRICES)
def test_one_that_costs_as_much_or_more_is_not_taken(
    total: int, resources: tuple[Resource, ...], rule: SplitRule, more: int
) -> None:
    """Nor a free one, nor one beside whose price the fixed rest leaves nothing."""
    left = max(total - to_pico(rule.rest_usd_per_hour), 0)
    for sibling in (left, left + more, 0, None):
        assert not takes_sibling(total, resources, rule, sibling)
        assert split_host(total, resources, rule, sibling) == split_host(total, resources, rule)


@pytest.mark.parametrize(
    "resources",
    [host(gpus=0), (Resource("gpu:a", MICRO),), (), (Resource(REST, MICRO),)],
)
def test_without_gpus_or_without_the_rest_of_the_host_it_is_not_taken(
    resources: tuple[Resource, ...],
) -> None:
    """There would be nobody to have the one part or the other."""
    assert not takes_sibling(10**12, resources, DEFAULT_SPLIT, 10**11)


@given(PRICES, PRICES, PRICES, hosts(), RULES)
def test_a_dearer_host_makes_no_part_cheaper(
    one: int, other: int, sibling: int, resources: tuple[Resource, ...], rule: SplitRule
) -> None:
    """While the rule is the same: CPU and memory stay, GPUs rise."""
    low, high = sorted((one, other))
    if not takes_sibling(low, resources, rule, sibling):
        return
    before, after = (split_host(total, resources, rule, sibling) for total in (low, high))
    assert takes_sibling(high, resources, rule, sibling)
    assert all(after[name] >= before[name] for name in before)


@given(PRICES, PRICES, PRICES, hosts(), RULES)
def test_a_dearer_sibling_makes_gpus_cheaper_and_the_others_dearer(
    total: int, one: int, other: int, resources: tuple[Resource, ...], rule: SplitRule
) -> None:
    """By the same amount."""
    low, high = sorted((one, other))
    if not takes_sibling(total, resources, rule, low) or low == 0:
        return
    if not takes_sibling(total, resources, rule, high):
        return
    before, after = (split_host(total, resources, rule, each) for each in (low, high))
    assert together(after) - together(before) == high - low
    # One pico-dollar may go to either where a part does not divide evenly.
    assert all(after[each.id] <= before[each.id] + 1 for each in resources if each.is_gpu)


# A sibling of another size.


def test_a_sibling_of_the_same_size_is_taken_as_it_is() -> None:
    """Known to be, or said to be."""
    shape = Shape(Decimal(4), Decimal(16))
    for same in (M5AD, replace(M5AD, shape=shape, host=shape), replace(M5AD, shape=shape)):
        assert same.cpu_and_memory(206 * 10**9, DEFAULT_SPLIT) == 206 * 10**9


@given(st.integers(1, 64), PRICES, RULES.filter(lambda rule: rule.usd_per_core_hour > 0))
def test_twice_the_size_is_twice_the_price(times: int, pico: int, rule: SplitRule) -> None:
    """Of the same kind of machine, whatever the weights."""
    shape = Shape(Decimal(4), Decimal(16))
    larger = Shape(shape.vcpus * times, shape.memory_gib * times)
    assert replace(M5AD, shape=shape, host=larger).cpu_and_memory(pico, rule) == pico * times
    back = replace(M5AD, shape=larger, host=shape).cpu_and_memory(pico * times, rule)
    assert back == pico


def test_more_memory_is_weighed() -> None:
    """p5.48xlarge has 192 vCPUs as r6a.48xlarge has, and 2048 GiB where that has 1536."""
    sizes = Shape(Decimal(192), Decimal(1536)), Shape(Decimal(192), Decimal(2048))
    weights = [192 * Decimal("0.0316") + each * Decimal("0.0042") for each in (1536, 2048)]
    expected = Fraction(10_886_400_000_000) * Fraction(weights[1]) / Fraction(weights[0])
    found = Sibling("r6a.48xlarge", *sizes).cpu_and_memory(10_886_400_000_000, DEFAULT_SPLIT)
    assert found is not None
    assert abs(found - expected) <= Fraction(1, 2)
    assert 12 * 10**12 < found < 13 * 10**12


def test_without_weights_sizes_cannot_be_compared() -> None:
    """Then there is no price by the sibling."""
    rule = SplitRule("none", Decimal(0), Decimal(0))
    sizes = Shape(Decimal(4), Decimal(16)), Shape(Decimal(8), Decimal(16))
    assert Sibling("x", *sizes).cpu_and_memory(5, rule) is None
    assert Sibling("x", sizes[0], sizes[0]).cpu_and_memory(5, rule) == 5


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_a_machine_without_cpus_or_memory_is_none(amount: str) -> None:
    """It could not be compared with."""
    for shape in ((Decimal(amount), Decimal(1)), (Decimal(1), Decimal(amount))):
        with pytest.raises(ValueError, match="a machine has"):
            Shape(*shape)


# In the price book.


def book(*siblings: Price, rent: Price | None = None) -> PriceBook:
    """A g5.xlarge and what its sibling costs."""
    return PriceBook((RENT,), (rent or price("1.006"),), M5AD, siblings)


def rules_used(prices: PriceBook, at: int, gpus: int = 1) -> tuple[set[str], int]:
    """The rules by which it is split at an instant, and what CPU and memory cost."""
    listed = unit_prices(prices, host(gpus), DEFAULT_SPLIT, at)
    parts = {resource.id: found.pico_per_unit or 0 for resource, found in listed}
    return {found.rule for _, found in listed}, together(parts)


def test_each_unit_price_names_the_rule_it_was_split_by() -> None:
    """It changes with the sibling's price: known, unknown, known again, too high."""
    siblings = (price("0.206", 10, 20), price("0.3", 30, 40), price("1.006", 40, 50))
    prices = book(*siblings)
    weights = ({"default_weights"}, to_pico(Decimal("0.1936")))
    assert rules_used(prices, 5) == weights
    assert rules_used(prices, 10) == ({"sibling:m5ad.xlarge"}, to_pico(Decimal("0.206")))
    assert rules_used(prices, 20) == weights
    assert rules_used(prices, 39) == ({"sibling:m5ad.xlarge"}, to_pico(Decimal("0.3")))
    assert rules_used(prices, 45) == weights
    assert rules_used(prices, 15, gpus=0) == ({"default_weights"}, to_pico(Decimal("1.006")))


def test_time_is_cut_where_the_sibling_s_price_changes() -> None:
    """So that each part has one split."""
    prices = book(price("0.206", 10, 20), price("0.3", 30))
    assert prices.changes(Period(0, 100)) == (10, 20, 30)
    assert prices.changes(Period(10, 20)) == ()
    ids = {
        found.id
        for at in (5, 15, 35)
        for _, found in unit_prices(prices, host(), DEFAULT_SPLIT, at)
    }
    assert len(ids) == 9


def test_other_terms_or_another_currency_are_no_measure() -> None:
    """Nor is a sibling of a host that has no price itself, or whose sibling is nobody."""
    spot = price("0.1", model=PriceModel.SPOT)
    rate = Rate("CNY", Decimal(7), Decimal(1), date(2026, 11, 20), 0, "test")
    yuan = replace(price("0.1"), rate=rate)
    for prices in (
        book(spot),
        book(yuan),
        replace(book(price("0.1")), prices=()),
        replace(book(price("0.1")), sibling=None),
        book(price("0.1", 7)),
    ):
        assert sibling_pico(prices, DEFAULT_SPLIT, 5) is None
    assert sibling_pico(book(spot, rent=replace(spot, usd_per_hour=Decimal(1))), DEFAULT_SPLIT, 5)


def test_two_prices_of_a_sibling_at_a_time_are_refused() -> None:
    """Which of them is taken must not depend on their order."""
    with pytest.raises(ValueError, match="two prices of the sibling"):
        book(price("0.2"), price("0.3", 5))


# Real prices: AWS, us-east-1, on demand, January 2026.
G4DN = {
    "xlarge": ("0.526", "0.226", 1),
    "2xlarge": ("0.752", "0.452", 1),
    "4xlarge": ("1.204", "0.904", 1),
    "12xlarge": ("3.912", "2.712", 4),
    "metal": ("7.824", "5.424", 8),
}


@pytest.mark.parametrize("size", G4DN)
def test_by_its_sibling_a_t4_costs_the_same_in_every_size(size: str) -> None:
    """30 cents an hour: AWS's own prices of g4dn are those of m5d and so much for each GPU."""
    usd, sibling, gpus = G4DN[size]
    prices = PriceBook((RENT,), (price(usd),), Sibling(f"m5d.{size}"), (price(sibling),))
    listed = unit_prices(prices, host(gpus), DEFAULT_SPLIT, 0)
    found = {each.pico_per_unit for resource, each in listed if resource.is_gpu}
    assert found == {3 * 10**11}


# List prices.


@given(
    st.decimals(0, 100_000, places=6),
    st.decimals(0, 100, places=2),
    hosts(),
    RULES,
    st.none() | st.decimals(0, 100_000, places=6),
)
def test_the_list_price_is_split_as_what_is_paid(
    usd: Decimal,
    percent: Decimal,
    resources: tuple[Resource, ...],
    rule: SplitRule,
    sibling: Decimal | None,
) -> None:
    """It sums to the whole list price exactly, in the same parts to a pico-dollar."""
    paid = replace(price("0"), usd_per_hour=usd * (100 - percent) / 100, list_usd_per_hour=usd)
    siblings = () if sibling is None else (replace(price("0"), usd_per_hour=sibling),)
    prices = PriceBook((RENT,), (paid,), M5AD, siblings)
    listed = unit_prices(prices, resources, rule, 0)
    found = list_prices(listed)
    assert sum(found.values()) == to_pico(usd)
    assert found.keys() == {resource.id for resource, _ in listed}
    total = paid.pico_per_hour
    for resource, each in listed if total else ():
        share = Fraction(each.pico_per_unit or 0, total)
        assert abs(found[resource.id] - share * to_pico(usd)) <= 1


def test_without_a_list_price_of_each_component_there_is_none() -> None:
    """A price that is stated is what is paid; nobody said what it was before."""
    both = (RENT, Component.ELECTRICITY)
    stated = PriceBook((RENT,), (price("1"),))
    half = PriceBook(both, (replace(price("1"), list_usd_per_hour=Decimal(2)),))
    for prices in (stated, half, PriceBook((RENT,))):
        listed = unit_prices(prices, host(), DEFAULT_SPLIT, 0)
        assert list_prices(listed) == {}
    power = replace(price("3"), component=Component.ELECTRICITY, list_usd_per_hour=Decimal(4))
    whole = PriceBook(both, (*half.prices, power))
    listed = unit_prices(whole, host(), DEFAULT_SPLIT, 0)
    assert sum(list_prices(listed).values()) == 6 * 10**12
