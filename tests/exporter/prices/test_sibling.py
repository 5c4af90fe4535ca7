"""The sibling's price is looked up beside the host's: same place, same terms, never in its way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from tests.exporter.prices.test_lookup import DAY, NOW, Source
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.exporter.prices.book import book_of
from unitcost.exporter.prices.explain import explain
from unitcost.exporter.prices.looked import Looked, believed, to_remember
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.pricing.discount import Discount
from unitcost.pricing.money import to_pico
from unitcost.pricing.price import PriceModel
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank
from unitcost.pricing.resource import CPU, DEFAULT_SPLIT, MEMORY, MICRO, Resource
from unitcost.pricing.sibling import Sibling

HOST = HostIdentity("aws", "us-east-1", "us-east-1a", "g5.xlarge", PriceModel.ON_DEMAND, "i-1")
KEY = PriceKey("aws", "us-east-1", "g5.xlarge", PriceModel.ON_DEMAND)
RENT = Quote(KEY, Decimal("1.006"), "list", as_of_ns=NOW - DAY)
M5AD = Quote(replace(KEY, sku="m5ad.xlarge"), Decimal("0.206"), "list", as_of_ns=NOW - DAY)
RESOURCES = (
    Resource(CPU, 4 * MICRO),
    Resource(MEMORY, 16 * MICRO),
    Resource("gpu:GPU-1", MICRO),
)
BY_SIBLING = ("sibling:m5ad.xlarge", Decimal("0.206"))
BY_WEIGHTS = ("default_weights", Decimal("0.1936"))


@dataclass
class Both(Source):
    """A source that is asked of the host and of its sibling one after the other."""

    of_sibling: Sequence[Quote] | Exception = ()

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """What it says of that one."""
        if identity.sku == HOST.sku:
            return super().quotes(identity, deadline)
        self.asked.append(identity)
        if isinstance(self.of_sibling, Exception):
            raise self.of_sibling
        return self.of_sibling


@dataclass
class Together(Source):
    """A source that reads one list for all."""

    lists: list[tuple[str, ...]] = field(default_factory=list)

    def quotes_of(self, identities: Sequence[HostIdentity], deadline: float) -> Sequence[Quote]:
        """What it says of all of them."""
        self.lists.append(tuple(each.sku for each in identities))
        return super().quotes(identities[0], deadline)


def lookup(
    *sources: Source, identity: HostIdentity = HOST, discounts: Sequence[Discount] = ()
) -> PriceLookup:
    """The lookup of a g5.xlarge whose sibling is known."""
    return PriceLookup(
        lambda: (identity, ()),
        sources,
        lambda: NOW,
        sibling_of=lambda _: Sibling("m5ad.xlarge"),
        discounts=discounts,
    )


def split(looked: Looked, at: int = NOW) -> tuple[str, Decimal]:
    """The rule by which it is split, and what CPU and memory cost, USD an hour."""
    listed = unit_prices(book_of(looked), RESOURCES, DEFAULT_SPLIT, at)
    (rule,) = {each.rule for _, each in listed}
    pico = sum(each.pico_per_unit or 0 for resource, each in listed if not resource.is_gpu)
    assert sum(each.pico_per_unit or 0 for _, each in listed) == to_pico(Decimal("1.006"))
    return rule, Decimal(pico) / 10**12


@pytest.mark.parametrize("kind", [Both, Together])
def test_the_sibling_is_asked_for_like_the_host_but_for_its_type(kind: type[Source]) -> None:
    """Of the same provider, region, zone and terms: nothing else is its measure."""
    source = Both("live", Rank.LIVE, [RENT], of_sibling=[M5AD])
    if kind is Together:
        together = Together("live", Rank.LIVE, [RENT, M5AD])
        looked = lookup(together).ask_all()
        assert together.lists == [("g5.xlarge", "m5ad.xlarge")]
        assert len(together.asked) == 1
    else:
        looked = lookup(source).ask_all()
        assert source.asked == [HOST, replace(HOST, sku="m5ad.xlarge", instance_id="")]
    assert split(looked) == BY_SIBLING
    assert looked.sources[0].quotes == (RENT,)
    assert looked.resolution.rejected == ()


@pytest.mark.parametrize(
    "error", [PriceSourceError("no answer in time"), ZeroDivisionError(), NotHere()]
)
def test_what_fails_for_the_sibling_does_not_fail_for_the_host(error: Exception) -> None:
    """The price stays, the source is up, and the weights split it."""
    looked = lookup(Both("live", Rank.LIVE, [RENT], of_sibling=error)).ask_all()
    assert split(looked) == BY_WEIGHTS
    (state,) = looked.sources
    assert (state.errors, state.error, state.last_success_ns) == (0, "", NOW)


def test_a_source_that_fails_keeps_what_it_said_of_the_sibling() -> None:
    """As it does of the host; but one that has nothing of it any more, has nothing."""
    source = Both("live", Rank.LIVE, [RENT], of_sibling=[M5AD])
    found = lookup(source)
    found.ask_all()
    source.of_sibling = PriceSourceError("away")
    assert split(found.ask_all()) == BY_SIBLING
    source.says = PriceSourceError("away")
    assert split(found.ask_all()) == BY_SIBLING
    source.says, source.of_sibling = [RENT], ()
    assert split(found.ask_all()) == BY_WEIGHTS


def test_one_that_prices_this_very_host_alone_is_not_asked_of_the_sibling() -> None:
    """It would say the same of both; whoever else knows the sibling is believed."""

    class HostOnly(Together):
        """As OpenCost's file: counts of resources, whatever the type."""

        host_only = True

    only = HostOnly("only", Rank.LIVE, [RENT])
    looked = lookup(only, Both("card", Rank.RATE_CARD, [], of_sibling=[M5AD])).ask_all()
    assert only.asked == [HOST]
    assert only.lists == []
    assert split(looked) == BY_SIBLING


OTHERS = {
    "another region": replace(M5AD, key=replace(M5AD.key, region="us-east-2")),
    "other terms": replace(M5AD, key=replace(M5AD.key, model=PriceModel.SPOT)),
    "another currency": replace(M5AD, key=replace(M5AD.key, currency="CNY")),
    "another type": replace(M5AD, key=replace(M5AD.key, sku="m5ad.2xlarge")),
    "as dear as the host": replace(M5AD, per_hour=Decimal("1.006")),
    "ended": replace(M5AD, valid_to_ns=NOW),
    "not yet": replace(M5AD, valid_from_ns=NOW + 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_is_taken_for_the_sibling_s_price(name: str) -> None:
    """Then the weights hold."""
    looked = lookup(Both("live", Rank.LIVE, [RENT], of_sibling=[OTHERS[name]])).ask_all()
    assert split(looked) == BY_WEIGHTS


def test_the_split_follows_the_sibling_s_price_over_time() -> None:
    """Dearer from an instant on, unknown from another on."""
    dearer = replace(M5AD, per_hour=Decimal("0.3"), valid_from_ns=NOW, valid_to_ns=NOW + DAY)
    siblings = [replace(M5AD, valid_to_ns=NOW), dearer]
    looked = lookup(Both("live", Rank.LIVE, [RENT], of_sibling=siblings)).ask_all()
    assert split(looked, NOW - 1) == BY_SIBLING
    assert split(looked, NOW) == (BY_SIBLING[0], Decimal("0.3"))
    assert split(looked, NOW + DAY) == BY_WEIGHTS


def test_a_restart_without_its_sources_goes_on_with_the_same_split() -> None:
    """Both prices are remembered, and neither is taken for the other."""
    known = to_remember(lookup(Both("live", Rank.LIVE, [RENT], of_sibling=[M5AD])).ask_all(), NOW)
    assert known == ((RENT,), (), (M5AD,))
    assert known is not None
    away = PriceSourceError("away")
    again = lookup(Both("live", Rank.LIVE, away, of_sibling=away))
    again.remember(*known)
    looked = again.ask_all()
    assert split(looked) == BY_SIBLING
    assert to_remember(looked, NOW) == known
    assert looked.resolution.rejected == ()


def test_without_a_sibling_nobody_is_asked_for_one() -> None:
    """And what was remembered of one is not used."""
    together = Together("live", Rank.LIVE, [RENT])
    found = PriceLookup(lambda: (HOST, ()), [together], lambda: NOW)
    found.remember((RENT,), (), (M5AD,))
    looked = found.ask_all()
    assert split(looked) == BY_WEIGHTS
    assert together.lists == []


def test_an_explanation_says_by_what_the_price_is_split() -> None:
    """The sibling with its price and its source, or why not."""

    def words(*siblings: Quote, discounts: Sequence[Discount] = ()) -> str:
        source = Both("live", Rank.LIVE, [RENT], of_sibling=siblings)
        looked = lookup(source, discounts=discounts).ask_all()
        (line,) = (each for each in explain(looked, NOW) if each.startswith("split: "))
        return line

    assert "0.206 USD an hour for CPU and memory by m5ad.xlarge, the remainder" in words(M5AD)
    assert "by list (live source), as of" in words(M5AD)
    assert "no source prices m5ad.xlarge" in words()
    assert "would leave nothing to the GPUs" in words(OTHERS["as dear as the host"])
    tenth = Discount("ours", Decimal(10))
    assert "0.1854 USD an hour for CPU and memory" in words(M5AD, discounts=[tenth])
    alone = PriceLookup(lambda: (HOST, ()), [Source("live", Rank.LIVE, [RENT])], lambda: NOW)
    assert any("no type without GPUs" in each for each in explain(alone.ask_all(), NOW))


# Discounts, and what it would cost on demand.


def test_a_discount_is_taken_off_once_and_both_prices_are_kept() -> None:
    """What is remembered is the list price: another configuration may know another discount."""
    tenth = Discount("price.discounts[0]", Decimal(10), sku="g5.xlarge")
    looked = lookup(Source("live", Rank.LIVE, [RENT]), discounts=[tenth]).ask_all()
    (price,) = book_of(looked).prices
    assert (price.usd_per_hour, price.list_usd_per_hour) == (Decimal("0.9054"), Decimal("1.006"))
    assert believed(looked, NOW) == (RENT,)
    again = lookup(Source("live", Rank.LIVE, PriceSourceError("away")), discounts=[tenth])
    again.remember((RENT,))
    assert book_of(again.ask_all()).prices == (replace(price, precedence=2),)
    line = next(each for each in explain(looked, NOW) if each.startswith("price: "))
    assert "0.9054 USD an hour" in line
    assert "list price 1.006 less price.discounts[0]" in line


SPOT_HOST = replace(HOST, model=PriceModel.SPOT)
SPOT = replace(RENT, key=replace(KEY, model=PriceModel.SPOT, zone="us-east-1a"))


@pytest.mark.parametrize(("usd", "dear"), [("1.2", True), ("1.006", False), ("0.4", False)])
def test_spot_above_on_demand_is_told_once_and_never_corrected(
    usd: str, dear: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The dearer one is what is paid."""
    spot = replace(SPOT, per_hour=Decimal(usd))
    found = lookup(Source("live", Rank.LIVE, [RENT, spot]), identity=SPOT_HOST)
    found.identify()
    for _ in range(3):
        found.refresh("live")
    looked = found.current()
    (price,) = book_of(looked).prices
    assert price.usd_per_hour == Decimal(usd)
    on_demand = looked.on_demand.at(NOW)
    assert on_demand is not None
    assert on_demand.quote.per_hour == Decimal("1.006")
    told = [record for record in caplog.records if "Spot costs more" in record.message]
    assert len(told) == dear
    words = list(explain(looked, NOW))
    assert any(each.startswith("on demand it would cost: 1.006 USD") for each in words)
    assert any("Spot costs more" in each for each in words) is dear


def test_nothing_is_compared_that_cannot_be() -> None:
    """Another zone's Spot price, another currency, or a host that is on demand anyway."""
    assert lookup(Source("live", Rank.LIVE, [RENT])).ask_all().on_demand.chosen == ()
    yuan = replace(RENT, key=replace(KEY, currency="CNY"))
    elsewhere = replace(SPOT, key=replace(SPOT.key, zone="us-east-1b"))
    for quotes in ([yuan, SPOT], [RENT, elsewhere]):
        looked = lookup(Source("live", Rank.LIVE, quotes), identity=SPOT_HOST).ask_all()
        assert not any("Spot costs more" in each for each in explain(looked, NOW))
