"""A running exporter whose price is looked up: from none to one, over a reload and a restart."""

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

import unitcost.collectors.price_sources as price_sources
from tests.harness import wait_for
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import ConfigError, loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper

SOURCE = '''"""A source for a test."""

from decimal import Decimal

import msgspec

from unitcost.collectors.price_contract import PriceSourceError
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Rank


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`usd`: what it says; empty: it fails."""

    usd: str = ""


class Source:
    """Says one price."""

    name = "tested"
    rank = Rank.LIVE
    refresh_seconds = 3600.0

    def __init__(self, options):
        self.usd = options.usd

    def quotes(self, identity, deadline):
        """The price."""
        if not self.usd:
            raise PriceSourceError("away")
        key = PriceKey("acme", "here", "big", PriceModel.ON_DEMAND)
        return (Quote(key, Decimal(self.usd), "acme's list", as_of_ns=1_700_000_000 * 10**9),)


def make_source(options, context):
    """Make it."""
    return Source(options)
'''
INSTANCE = "instance: {provider: acme, region: here, type: big, terms: on_demand}"


@pytest.fixture(autouse=True)
def _tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is one of the built-in ones."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "tested.py").write_text(SOURCE)
    monkeypatch.setattr(price_sources, "__path__", [*price_sources.__path__, str(folder)])


def configuration(usd: str, **more: Any) -> str:
    """A host of acme's, looked up."""
    sources = f"sources: {{tested: {{usd: '{usd}'}}}}"
    return f"price: {{lookup: {{{INSTANCE}, metadata: false, {sources}}}}}\nperiod: 5\n"


def price(exporter: Exporter) -> str:
    """The line of the CPU's price, if there is one."""
    lines = exporter.exposition().body.decode().splitlines()
    found = [
        line
        for line in lines
        if line.startswith("unitcost_price_usd_per_hour{") and '"cpu"' in line
    ]
    return found[0] if found else ""


def ticked(exporter: Exporter) -> str:
    """The price after another tick."""
    exporter.tick()
    return price(exporter)


def test_a_price_is_found_shown_with_its_source_and_remembered(tmp_path: Path) -> None:
    """After a restart the source is away: the last price holds, with the date it has."""
    path = tmp_path / "ledger.db"
    exporter = Exporter(loads(configuration("3")), SystemClock(), Keeper(path, "h", "host", 400))
    try:
        wait_for(lambda: bool(ticked(exporter)), "a price")
        line = price(exporter)
        assert 'sku="big",price_region="here",price_model="on_demand"' in line
        assert "acme's list" in line
        exporter.reload(loads(configuration("4")))
        wait_for(lambda: ticked(exporter) not in ("", line), "another price")
    finally:
        exporter.close()
    again = Exporter(loads(configuration("")), SystemClock(), Keeper(path, "h", "host", 400))
    try:
        wait_for(lambda: bool(ticked(again)), "the last price")
        assert price(again) != line
    finally:
        again.close()


def test_without_a_quote_the_host_is_unpriced(tmp_path: Path) -> None:
    """Dollars are absent, which is told."""
    ledger = Keeper(tmp_path / "ledger.db", "h", "host", 400)
    exporter = Exporter(loads(configuration("")), SystemClock(), ledger)
    try:
        assert not ticked(exporter)
        assert not ticked(exporter)
        body = exporter.exposition().body.decode()
        assert 'unitcost_resource_unpriced{resource="cpu",component="rent"} 1' in body
        assert "\nunitcost_cost_usd_total{" not in body
    finally:
        exporter.close()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("price: {usd_per_hour: 1, lookup: {}}", "price.lookup"),
        ("price: {lookup: {sources: {nobody: {}}}}", "price.lookup.sources.nobody"),
        ("price: {lookup: {sources: {tested: {eur: 1}}}}", "price.lookup.sources.tested.eur"),
        ("price: {lookup: {sources: {tested: {enabled: 1}}}}", "price.lookup.sources.tested"),
        ("price: {lookup: {instance: {terms: cheap}}}", "price.lookup.instance.terms"),
        ('price: {lookup: {instance: {region: " "}}}', "price.lookup.instance.region"),
    ],
)
def test_mistakes_are_named(text: str, key: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError) as error:
        loads(text)
    assert error.value.key.startswith(key)


def test_a_source_is_a_module_with_options() -> None:
    """So that the configuration can check them."""
    for module in (each for each in vars(price_sources).values() if isinstance(each, ModuleType)):
        assert issubclass(module.Options, msgspec.Struct)


def series(exporter: Exporter, name: str) -> dict[str, float]:
    """The values of a metric, by their labels as they are served."""
    lines = exporter.exposition().body.decode().splitlines()
    found = (line.removeprefix(name).rpartition(" ") for line in lines if line.startswith(name))
    return {labels: float(value) for labels, _, value in found if labels.startswith("{")}


def test_list_and_effective_prices_are_both_served_and_so_is_who_says_them(tmp_path: Path) -> None:
    """A tenth off everything: the same parts of both; the source answered, and when."""
    text = configuration("3").replace("price: {", "price: {discounts: [{percent: 10}], ")
    ledger = Keeper(tmp_path / "ledger.db", "h", "host", 400)
    exporter = Exporter(loads(text), SystemClock(), ledger)
    try:
        wait_for(lambda: bool(ticked(exporter)), "a price")
        paid = series(exporter, "unitcost_price_usd_per_hour")
        listed = series(exporter, "unitcost_list_price_usd_per_hour")
        assert paid.keys() == listed.keys()
        assert sum(paid.values()) == pytest.approx(2.7)
        assert sum(listed.values()) == pytest.approx(3)
        assert all(paid[each] == pytest.approx(listed[each] * 0.9) for each in paid)
        tested = '{source="tested"}'
        assert series(exporter, "unitcost_price_source_up")[tested] == 1
        assert series(exporter, "unitcost_price_source_errors_total")[tested] == 0
        asked = series(exporter, "unitcost_price_source_last_success_timestamp_seconds")[tested]
        assert asked == pytest.approx(time.time(), abs=120)
        assert '{source="rate_card"}' not in series(exporter, "unitcost_price_source_up")
        assert series(exporter, "unitcost_on_demand_price_usd_per_hour") == {}
    finally:
        exporter.close()


def test_a_source_that_fails_is_down(tmp_path: Path) -> None:
    """It has not answered yet: there is no time at which it did."""
    ledger = Keeper(tmp_path / "ledger.db", "h", "host", 400)
    exporter = Exporter(loads(configuration("")), SystemClock(), ledger)

    def up() -> dict[str, float]:
        exporter.tick()
        return series(exporter, "unitcost_price_source_up")

    try:
        assert wait_for(up, "an answer") == {'{source="tested"}': 0}
        assert series(exporter, "unitcost_price_source_errors_total")['{source="tested"}'] >= 1
        assert series(exporter, "unitcost_price_source_last_success_timestamp_seconds") == {}
    finally:
        exporter.close()


def test_a_host_on_spot_shows_what_it_would_cost_on_demand(tmp_path: Path) -> None:
    """By the same source."""
    text = configuration("3").replace("terms: on_demand", "terms: spot")
    ledger = Keeper(tmp_path / "ledger.db", "h", "host", 400)
    exporter = Exporter(loads(text), SystemClock(), ledger)

    def on_demand() -> dict[str, float]:
        exporter.tick()
        return series(exporter, "unitcost_on_demand_price_usd_per_hour")

    try:
        labels = '{sku="big",price_region="here",source="acme\'s list"}'
        assert wait_for(on_demand, "the price on demand") == {labels: 3}
        assert series(exporter, "unitcost_price_usd_per_hour") == {}
        assert set(series(exporter, "unitcost_resource_unpriced").values()) == {1}
    finally:
        exporter.close()
