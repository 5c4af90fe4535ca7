"""Rules: what the configuration means in the pricing core's own terms."""

from decimal import Decimal

import pytest

from unitcost.exporter.config.instants import instant_ns
from unitcost.exporter.config.owned_settings import Electricity, Owned
from unitcost.exporter.config.settings import (
    Endpoint,
    Host,
    Match,
    Price,
    PriceChange,
    Reserve,
    Settings,
    SplitWeights,
    UnitCosts,
    WorkloadSettings,
)
from unitcost.exporter.settling.rules import matcher_of, price_book, rules_of
from unitcost.pricing.metered import NOT_METERED
from unitcost.pricing.price import HOURS_PER_YEAR, Component, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT, GIB
from unitcost.pricing.sample import NS_PER_SECOND, Process
from unitcost.pricing.workload import Account, WorkloadKind

NOON = 1_767_268_800 * NS_PER_SECOND
"""2026-01-01T12:00:00Z."""


def usd(price: Price, component: Component, at_ns: int = NOON) -> Decimal | None:
    """Dollars an hour of a component of the host at an instant."""
    found = price_book(price).at(component, at_ns)
    return found.usd_per_hour if found else None


def test_a_host_without_a_price_is_unpriced() -> None:
    """Its rent is unknown; it is not zero."""
    assert price_book(Price()).components == (Component.RENT,)
    assert usd(Price(), Component.RENT) is None


def test_a_rented_host_costs_its_rent_from_change_to_change() -> None:
    """Half-open: at the instant of a change the new price holds."""
    changes = (
        PriceChange(at="2026-01-01T12:00:00Z", usd_per_hour=Decimal(2)),
        PriceChange(at="2026-01-01T17:00:00+04:00", usd_per_hour=Decimal(3)),
    )
    price = Price(usd_per_hour=Decimal(1), changes=changes)
    hour = 3600 * NS_PER_SECOND
    found = [usd(price, Component.RENT, NOON + n) for n in (-1, 0, hour - 1, hour, 10**6 * hour)]
    assert found == [1, 2, 2, 3, 3]
    assert {each.model for each in price_book(price).prices} == {PriceModel.OVERRIDE}


def test_an_owned_host_costs_amortisation_overhead_and_electricity() -> None:
    """By the hours of its life; watts by PUE and tariff."""
    power = Electricity(usd_per_kwh=Decimal("0.30"), pue=Decimal("1.5"), watts=Decimal(400))
    owned = Owned(
        purchase_usd=Decimal(9760),
        residual_usd=Decimal(1000),
        life_years=Decimal(4),
        electricity=power,
        overhead_usd_per_hour=Decimal("0.05"),
    )
    price = Price(owned=owned)
    assert usd(price, Component.AMORTISATION) == Decimal(8760) / (4 * HOURS_PER_YEAR)
    assert usd(price, Component.ELECTRICITY) == Decimal("0.18")
    assert usd(price, Component.OVERHEAD) == Decimal("0.05")
    assert usd(price, Component.RENT) is None
    assert Component.RENT not in price_book(price).components


def test_without_a_stated_draw_electricity_is_charged_by_energy() -> None:
    """It has no price by the hour then; nor where there is said to be none, nor beside an agent."""
    tariff = Electricity(usd_per_kwh=Decimal("0.30"), pue=Decimal("1.2"))
    stated = Electricity(usd_per_kwh=Decimal("0.30"), watts=Decimal(100))
    for electricity, by_hour, by_energy in (
        (tariff, False, True),
        (stated, True, False),
        ("none", False, False),
    ):
        owned = Owned(
            purchase_usd=Decimal(100),
            life_years=Decimal(1),
            electricity=electricity,  # type: ignore[arg-type]  # one of the two that may be
        )
        settings = Settings(price=Price(owned=owned))
        found = rules_of(settings)
        assert (Component.ELECTRICITY in found.book.components) is by_hour
        assert (found.metered.electricity is not None) is by_energy
        beside = Settings(price=Price(owned=owned), host=Host(scope="units"))
        assert rules_of(beside).metered == NOT_METERED


def test_an_agent_that_only_counts_units_charges_nothing() -> None:
    """Another one beside it does."""
    settings = Settings(host=Host(scope="units"), price=Price(usd_per_hour=Decimal(1)))
    assert rules_of(settings).book.components == ()


def test_instants_need_an_offset() -> None:
    """Local time of which place?"""
    assert instant_ns("2026-01-01T12:00:00Z") == NOON
    assert instant_ns("2026-01-01T12:00:00.000001+00:00") == NOON + 1000
    with pytest.raises(ValueError, match="offset"):
        instant_ns("2026-01-01T12:00:00")


def test_a_compressed_time_scale_shortens_windows() -> None:
    """Twenty times faster: 15 seconds instead of five minutes."""
    found = rules_of(Settings(time_scale=20.0, unit_costs=UnitCosts(minimum_units=2.5)))
    assert found.window_ns == 15 * NS_PER_SECOND
    assert found.retire_after_ns == 45 * NS_PER_SECOND
    assert found.minimum_micro == 2_500_000


def test_own_weights_are_named_as_such() -> None:
    """The exposition says whose rule splits the price."""
    assert rules_of(Settings()).split == DEFAULT_SPLIT
    own = SplitWeights(usd_per_core_hour=Decimal(1), rest_usd_per_hour=Decimal(2))
    split = rules_of(Settings(price=Price(split=own))).split
    assert split.name == "configured_weights"
    assert (split.usd_per_core_hour, split.rest_usd_per_hour) == (Decimal(1), Decimal(2))


def test_a_workload_reserves_matches_and_has_endpoints_as_written() -> None:
    """One rule for each; without a `match` nothing is tied to it."""
    chat = WorkloadSettings(
        name="chat",
        owner="team-a",
        match=Match(command="vllm serve"),
        endpoints=(Endpoint(url="http://127.0.0.1:8000/metrics"),),
        reserve=Reserve(cpu=Decimal("1.5"), memory_gib=Decimal("0.5")),
    )
    settings = Settings(workloads=(chat, WorkloadSettings(name="nightly", kind="training")))
    found = rules_of(settings).workloads
    assert found["chat"].reservation.milli_cores == 1500
    assert found["chat"].reservation.memory_bytes == GIB // 2
    assert (found["chat"].has_endpoint, found["nightly"].has_endpoint) == (True, False)
    assert found["nightly"].kind is WorkloadKind.TRAINING
    matcher = matcher_of(settings)
    process = Process(7, 1, 1, 0, 0, 0, command="python -m vllm serve tiny")
    assert matcher.match(process, frozenset()) == Account("chat")
    assert matcher.match(Process(8, 1, 1, 0, 0, 0, command="nightly"), frozenset()) is None
