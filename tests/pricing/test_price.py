"""Prices: what holds when, and how a host's price becomes the prices of its resources."""

import itertools
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.currency import DOLLAR, Rate, day_ns
from unitcost.pricing.money import to_pico
from unitcost.pricing.price import (
    HOURS_PER_YEAR,
    Component,
    Price,
    PriceBook,
    PriceModel,
    PriceUnit,
    UnitPrice,
    electricity_per_hour,
    straight_line,
    unit_price,
)
from unitcost.pricing.price_list import unit_prices
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
)
from unitcost.pricing.timeline import Period, cut

RENT, POWER = Component.RENT, Component.ELECTRICITY
AMOUNTS = st.decimals(0, 1_000_000, places=6)


def price(
    usd: str | Decimal = "1",
    start: int = 0,
    end: int | None = None,
    component: Component = RENT,
) -> Price:
    """A price that holds from `start` until `end`."""
    return Price(component, Decimal(usd), PriceModel.OVERRIDE, "test", start, end)


@st.composite
def books(draw: st.DrawFn) -> PriceBook:
    """A book with prices one after another, with holes between them and maybe no end."""
    edges = sorted(draw(st.lists(st.integers(0, 200), min_size=2, max_size=9, unique=True)))
    spans = [(start, end) for start, end in itertools.pairwise(edges) if draw(st.booleans())]
    prices = [price(draw(AMOUNTS), start, end) for start, end in spans]
    if draw(st.booleans()):
        prices.append(price(draw(AMOUNTS), edges[-1], None))
    return PriceBook((RENT,), tuple(draw(st.permutations(prices))))


@given(books(), st.integers(0, 200), st.integers(0, 100))
def test_between_its_changes_a_price_stays_the_same(
    book: PriceBook, start: int, length: int
) -> None:
    """So a period cut at the changes has one price in each of its parts."""
    period = Period(start, start + length)
    changes = book.changes(period)
    assert list(changes) == sorted(set(changes))
    assert all(period.start_ns < at < period.end_ns for at in changes)
    for part in cut(period, changes):
        found = {book.at(RENT, at) for at in range(part.start_ns, part.end_ns)}
        assert len(found) == 1


@given(books(), st.integers(0, 200))
def test_the_price_at_an_instant_is_the_one_that_covers_it(book: PriceBook, at: int) -> None:
    """Half-open: at the instant of a change the new price holds. Outside of all: unpriced."""
    covering = [
        each
        for each in book.prices
        if each.valid_from_ns <= at and (each.valid_to_ns is None or at < each.valid_to_ns)
    ]
    assert book.at(RENT, at) == (covering[0] if covering else None)
    assert len(covering) <= 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, None), (0, None)),
        ((0, None), (0, 5)),
        ((0, 5), (0, None)),
        ((0, 5), (4, None)),
        ((0, None), (7, 8)),
        ((3, 9), (3, 9)),
        ((0, 10), (2, 3)),
    ],
)
def test_two_prices_for_the_same_time_are_refused(
    first: tuple[int, int | None], second: tuple[int, int | None]
) -> None:
    """Which of them would be charged must not depend on their order."""
    for spans in ((first, second), (second, first)):
        with pytest.raises(ValueError, match="two prices of rent for the same time"):
            PriceBook((RENT,), tuple(price("1", *span) for span in spans))


def test_prices_of_two_components_may_hold_at_once() -> None:
    """Rent and electricity are both owed."""
    book = PriceBook((RENT, POWER), (price(), price(component=POWER)))
    assert book.at(POWER, 5) == price(component=POWER)


def test_a_price_of_a_component_that_the_host_does_not_have_is_refused() -> None:
    """It would never be charged."""
    with pytest.raises(ValueError, match="which this host does not have"):
        PriceBook((RENT,), (price(component=POWER),))


@pytest.mark.parametrize("usd", ["-0.01", "NaN", "Infinity"])
def test_a_price_that_is_none_is_refused(usd: str) -> None:
    """Negative or not finite."""
    with pytest.raises(ValueError, match="finite and not negative"):
        price(usd)


def test_a_price_valid_for_no_time_is_refused() -> None:
    """It could hide that another one is missing."""
    with pytest.raises(ValueError, match=r"^a price must be valid for some time$"):
        price("1", 5, 5)


NO_LIFE = r"^amortisation needs a positive life and 0 <= residual <= purchase$"
NO_PUE = r"^PUE is the facility's energy over the host's: it is never below 1$"


def test_straight_line_spreads_what_is_lost_over_the_hours_of_its_life() -> None:
    """Purchase less residual value."""
    assert straight_line(Decimal(8760), Decimal(0), Decimal(1)) == 1
    hourly = straight_line(Decimal(10_000), Decimal(1240), Decimal(4))
    assert hourly * 4 * HOURS_PER_YEAR == 8760
    assert straight_line(Decimal(5), Decimal(5), Decimal(1)) == 0
    assert straight_line(Decimal(0), Decimal(0), Decimal(1)) == 0
    for purchase, residual, life in ((1, 0, 0), (1, 2, 1), (1, -1, 1)):
        with pytest.raises(ValueError, match=NO_LIFE):
            straight_line(Decimal(purchase), Decimal(residual), Decimal(life))


def test_electricity_is_watts_times_pue_times_tariff() -> None:
    """500 W at a PUE of 1.2 and 0.30 USD a kWh: 18 cents an hour."""
    assert electricity_per_hour(Decimal(500), Decimal("0.30"), Decimal("1.2")) == Decimal("0.18")
    assert electricity_per_hour(Decimal(500), Decimal("0.30"), Decimal(1)) == Decimal("0.15")
    with pytest.raises(ValueError, match=NO_PUE):
        electricity_per_hour(Decimal(1), Decimal(1), Decimal("0.99"))


CORES = st.integers(1, 512).map(lambda cores: Resource(CPU, cores * MICRO))
BYTES = st.integers(1, 4096 * GIB).map(lambda size: Resource(MEMORY, size * MICRO // GIB))


@st.composite
def hosts(draw: st.DrawFn) -> tuple[Resource, ...]:
    """Any set of resources: with GPUs or without, without a CPU, with nothing at all."""
    found = [draw(CORES)] if draw(st.booleans()) else []
    found += [draw(BYTES)] if draw(st.booleans()) else []
    gpus = draw(st.integers(0, 8))
    return (*found, *(Resource(f"gpu:GPU-{index}", MICRO) for index in range(gpus)))


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
TOTALS = st.one_of(st.just(0), st.integers(0, 10**7), st.integers(0, 2 * 10**14))


@given(TOTALS, hosts(), RULES)
def test_the_parts_of_a_host_sum_to_its_price(
    total: int, resources: tuple[Resource, ...], rule: SplitRule
) -> None:
    """Exactly, with GPUs or without, whatever the weights; the rest never has more than its own."""
    parts = split_host(total, resources, rule)
    assert sum(parts.values()) == total
    assert all(part >= 0 for part in parts.values())
    assert {resource.id for resource in resources} <= parts.keys() or not resources
    if resources:
        assert parts.get(REST, 0) <= to_pico(rule.rest_usd_per_hour)


@given(st.integers(1, 2 * 10**14), hosts(), RULES)
def test_gpus_get_equal_parts_of_the_remainder(
    total: int, resources: tuple[Resource, ...], rule: SplitRule
) -> None:
    """Where the weights leave one; CPU and memory then cost exactly their weights."""
    parts = split_host(total, resources, rule)
    gpus = [parts[each.id] for each in resources if each.is_gpu]
    assert not gpus or max(gpus) - min(gpus) <= 1
    if any(gpus):
        others = {each.id: rule.weight(each) for each in resources if not each.is_gpu}
        assert {name: parts[name] for name in others} == others


def test_without_gpus_the_weights_are_scaled_to_the_price() -> None:
    """Half the price, half of each weight."""
    host = (Resource(CPU, 4 * MICRO), Resource(MEMORY, 16 * MICRO))
    whole = sum(DEFAULT_SPLIT.weight(each) for each in host)
    parts = split_host(whole // 2, host, DEFAULT_SPLIT)
    assert parts == {each.id: DEFAULT_SPLIT.weight(each) // 2 for each in host}


def test_weights_above_the_price_leave_nothing_to_the_gpus() -> None:
    """A cheap host with a GPU: its price goes to CPU and memory, and not a cent more."""
    host = (Resource(CPU, 64 * MICRO), Resource(MEMORY, 64 * MICRO), Resource("gpu:a", MICRO))
    parts = split_host(10**12, host, DEFAULT_SPLIT)
    assert parts["gpu:a"] == 0
    assert parts[CPU] + parts[MEMORY] == 10**12


def test_weights_of_nothing_split_in_equal_parts() -> None:
    """A rule without weights still charges everything."""
    rule = SplitRule("none", Decimal(0), Decimal(0))
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO))
    assert split_host(9, host, rule) == {CPU: 5, MEMORY: 4}


@given(
    st.dictionaries(st.sampled_from(list(Component)), st.none() | AMOUNTS, min_size=1),
    hosts(),
    RULES,
)
def test_unit_prices_of_a_component_sum_to_its_price(
    amounts: dict[Component, Decimal | None], resources: tuple[Resource, ...], rule: SplitRule
) -> None:
    """Each by itself; one without a price is unpriced on every resource, and on no other."""
    prices = tuple(price(usd, component=c) for c, usd in amounts.items() if usd is not None)
    listed = unit_prices(PriceBook(tuple(amounts), prices), resources, rule, 5)
    for component, usd in amounts.items():
        found = [each.pico_per_unit for _, each in listed if each.component is component]
        if usd is None:
            assert found
            assert set(found) == {None}
        else:
            assert sum(pico for pico in found if pico is not None) == to_pico(usd)
            assert None not in found
    places = [(resource.id, each.component) for resource, each in listed]
    assert len(set(places)) == len(places)


@given(AMOUNTS.filter(lambda usd: usd > 1), AMOUNTS.filter(lambda usd: usd > 1), hosts())
def test_components_are_split_alike(
    first: Decimal, second: Decimal, resources: tuple[Resource, ...]
) -> None:
    """By the parts of the whole price, within a pico-dollar."""
    book = PriceBook((RENT, POWER), (price(first), price(second, component=POWER)))
    listed = unit_prices(book, resources, DEFAULT_SPLIT, 5)
    rent = [each.pico_per_unit or 0 for _, each in listed if each.component is RENT]
    power = [each.pico_per_unit or 0 for _, each in listed if each.component is POWER]
    for a, b in zip(rent, power, strict=True):
        assert abs(Fraction(a) / to_pico(first) - Fraction(b) / to_pico(second)) < Fraction(
            2, to_pico(min(first, second))
        )


def test_a_host_of_unknown_resources_has_its_whole_price_on_the_rest() -> None:
    """A dollar is not lost because nobody can say what it is for."""
    (only,) = unit_prices(PriceBook((RENT,), (price("2"),)), (), DEFAULT_SPLIT, 0)
    assert (only[0].id, only[1].pico_per_unit) == (REST, 2 * 10**12)


def test_a_configured_rest_is_a_resource_of_its_own() -> None:
    """Its fixed amount comes off the price first; nobody can hold it."""
    rule = SplitRule("test", Decimal("0.1"), Decimal("0.1"), Decimal("0.5"))
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO))
    listed = unit_prices(PriceBook((RENT,), (price("2"),)), host, rule, 0)
    assert {each.id: found.pico_per_unit for each, found in listed} == {
        CPU: 75 * 10**10,
        MEMORY: 75 * 10**10,
        REST: 50 * 10**10,
    }


def test_a_price_s_id_changes_with_whatever_was_charged_by() -> None:
    """And only then: a restart with the same configuration goes on in the same row."""
    cpu = Resource(CPU, 4 * MICRO)
    base = unit_price(cpu, RENT, 5, price(), "rule")
    assert unit_price(cpu, RENT, 5, price(), "rule") == base
    others = (
        unit_price(Resource(CPU, 8 * MICRO), RENT, 5, price(), "rule"),
        unit_price(cpu, RENT, 6, price(), "rule"),
        unit_price(cpu, RENT, None, None, "rule"),
        unit_price(cpu, RENT, 5, price(start=1), "rule"),
        unit_price(cpu, RENT, 5, price(), "other rule"),
        unit_price(cpu, POWER, 5, price(), "rule"),
    )
    assert len({base.id, *(each.id for each in others)}) == 1 + len(others)


def test_gpus_that_nobody_has_seen_take_their_part_of_the_price_as_the_rest() -> None:
    """One of three: CPU and memory have their weights, the rest a third of the remainder."""
    resources = [
        Resource("cpu", 4 * MICRO),
        Resource("gpu:1", MICRO),
        Resource("gpu:2", MICRO),
        Resource(REST, MICRO),
    ]
    parts = split_host(10 * 10**12, resources, DEFAULT_SPLIT)
    cpu = to_pico(4 * DEFAULT_SPLIT.usd_per_core_hour)
    assert parts["cpu"] == cpu
    assert sum(parts.values()) == 10 * 10**12
    assert all(abs(3 * parts[name] - (10 * 10**12 - cpu)) <= 3 for name in ("gpu:1", "gpu:2", REST))
    fixed = replace(DEFAULT_SPLIT, rest_usd_per_hour=Decimal(1))
    assert split_host(10 * 10**12, resources, fixed)[REST] > 10**12


def test_a_host_that_is_free_is_free_in_all_its_parts() -> None:
    """0 is a price: none of them is unpriced."""
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO))
    listed = unit_prices(PriceBook((RENT,), (price("0"),)), host, DEFAULT_SPLIT, 0)
    assert {each.id: found.pico_per_unit for each, found in listed} == {CPU: 0, MEMORY: 0}


def test_parts_too_small_to_split_are_equal() -> None:
    """A component beside one that makes up all of the price."""
    weightless = SplitRule("test", Decimal(0), Decimal(0), Decimal(0))
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO))
    listed = unit_prices(PriceBook((RENT,), (price("2"),)), host, weightless, 0)
    assert {found.pico_per_unit for _, found in listed} == {10**12}


def test_gpus_that_nobody_has_seen_are_the_rest_s() -> None:
    """They take the remainder like any, and nothing where CPU and memory exceed the price."""
    rule = SplitRule("test", Decimal("0.1"), Decimal("0.2"), Decimal("0.5"))
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO), Resource("gpu:a", MICRO))
    unseen = Resource(REST, 2 * MICRO)
    cents = {CPU: 10, MEMORY: 20, "gpu:a": 40, REST: 50 + 80}
    assert split_host(200 * 10**10, (*host, unseen), rule) == {
        name: part * 10**10 for name, part in cents.items()
    }
    dear = {CPU: 5, MEMORY: 10, "gpu:a": 0, REST: 50}
    assert split_host(65 * 10**10, (*host, unseen), rule) == {
        name: part * 10**10 for name, part in dear.items()
    }
    alone = {REST: 200}
    assert split_host(200 * 10**10, (unseen,), rule) == {n: p * 10**10 for n, p in alone.items()}


def test_a_unit_price_tells_the_rate_it_was_converted_at() -> None:
    """Units for a dollar, whose rate, and of which day; another rate is another price."""
    cpu, day = Resource(CPU, MICRO), date(2026, 11, 20)
    rate = Rate("EUR", Decimal(1), Decimal("1.25"), day, day_ns(day), "ECB")
    found = unit_price(cpu, RENT, 5, replace(price(), rate=rate), "rule")
    told = (found.currency, found.rate, found.rate_source, found.rate_as_of_ns)
    assert told == ("EUR", "0.8", "ECB", day_ns(day))
    others = [replace(rate, source="me"), replace(rate, units=Decimal(2)), DOLLAR]
    ids = {unit_price(cpu, RENT, 5, replace(price(), rate=each), "rule").id for each in others}
    assert len({found.id, *ids}) == 4
    plain = unit_price(cpu, RENT, 5, price(), "rule")
    assert (plain.currency, plain.rate, plain.rate_source, plain.rate_as_of_ns) == (
        "USD",
        "1",
        "",
        0,
    )


def test_a_price_that_is_only_stated_again_is_the_same_price() -> None:
    """When its source said it last is kept; when it was first stated and learnt stays."""
    first = replace(price("1", 5, 9), as_of_ns=10, known_at_ns=11, precedence=2)
    later = replace(first, as_of_ns=20, known_at_ns=21, precedence=1)
    again = first.again(later)
    assert again == replace(first, precedence=1)
    assert again is not None
    assert (again.stated_ns, again.as_of_ns, again.known_at_ns) == (20, 10, 11)
    for other in (replace(later, usd_per_hour=Decimal(2)), replace(later, valid_to_ns=None)):
        assert first.again(other) is None
    assert replace(first, restated_ns=99) == first


def test_a_unit_price_tells_everything_that_it_was_charged_by() -> None:
    """What, whose, by which model and source; from when to when, stated and learnt when."""
    whole = Price(RENT, Decimal(1), PriceModel.SPOT, "list", 10, 90, 20, 30)
    found = unit_price(Resource(CPU, MICRO), RENT, 5, whole, "rule")
    assert found == UnitPrice(
        CPU, RENT, 5, "spot", "list", 10, 90, 20, 30, "USD", "rule", found.id, PriceUnit.HOUR
    )
    assert re.fullmatch("[0-9a-f]{16}", found.id)


def test_a_unit_price_without_a_price_tells_nothing_of_one() -> None:
    """Nobody said it, of no time: it is unpriced."""
    found = unit_price(Resource(CPU, MICRO), RENT, None, None, "rule")
    assert found == UnitPrice(CPU, RENT, None, "", "", 0, None, 0, 0, "USD", "rule", found.id)


def test_unit_prices_say_whose_price_they_are_parts_of() -> None:
    """Of each component its own; of one that has none, nobody's."""
    power = replace(price("3", component=POWER), source="meter")
    book = PriceBook((RENT, POWER, Component.OVERHEAD), (price("2"), power))
    host = (Resource(CPU, MICRO), Resource(MEMORY, MICRO))
    listed = unit_prices(book, host, DEFAULT_SPLIT, 0)
    said = {(found.component, found.source, found.model) for _, found in listed}
    assert said == {
        (RENT, "test", "override"),
        (POWER, "meter", "override"),
        (Component.OVERHEAD, "", ""),
    }


def test_what_a_list_price_would_have_been_is_a_part_of_the_price() -> None:
    """Another one before the discount is another price; none is none."""
    cpu = Resource(CPU, MICRO)
    found = [unit_price(cpu, RENT, 5, price(), "rule", each) for each in (None, 5, 6)]
    assert [each.list_pico_per_unit for each in found] == [None, 5, 6]
    assert len({each.id for each in found}) == 3
    assert found[0] == unit_price(cpu, RENT, 5, price(), "rule")
