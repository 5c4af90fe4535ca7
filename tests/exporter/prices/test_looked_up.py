"""A running exporter whose price is looked up: from none to one, over a reload and a restart."""

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
        wait_for(lambda: ticked(exporter) != line, "another price")
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
