"""The price looked up beside the ticks: who is believed, what fails, what is remembered."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from threading import Event

import pytest

from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.exporter.prices.book import book_of
from unitcost.exporter.prices.explain import explain
from unitcost.exporter.prices.looked import Looked, believed
from unitcost.exporter.prices.lookup import PriceLookup
from unitcost.pricing.price import Component, PriceModel
from unitcost.pricing.quote import HostIdentity, PriceKey, Quote
from unitcost.pricing.resolve import Rank

DAY = 24 * 3600 * 10**9
NOW = 20_000 * DAY
HOST = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.ON_DEMAND)
KEY = PriceKey("aws", "us-east-1", "p5.48xlarge", PriceModel.ON_DEMAND)
CARD = Quote(KEY, Decimal("98.32"), "card", as_of_ns=NOW - 300 * DAY)
LIVE = Quote(KEY, Decimal("55.04"), "price list", NOW - 30 * DAY, as_of_ns=NOW - DAY)


@dataclass
class Source:
    """A source that says what it is told to, or raises it."""

    name: str
    rank: Rank
    says: Sequence[Quote] | Exception = ()
    refresh_seconds: float = 3600.0
    asked: list[HostIdentity] = field(default_factory=list)

    def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
        """What it says."""
        assert deadline > time.monotonic()
        self.asked.append(identity)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


def lookup(*sources: Source, identity: HostIdentity = HOST) -> PriceLookup:
    """A lookup of a host that knows what it is."""
    return PriceLookup(lambda: (identity, ()), sources, lambda: NOW)


def usd(looked: Looked, at: int = NOW) -> Decimal | None:
    """The price now."""
    chosen = looked.resolution.at(at)
    return chosen.quote.per_hour if chosen else None


def both() -> tuple[Source, Source]:
    """A built-in card and a live source."""
    return Source("card", Rank.RATE_CARD, [CARD]), Source("live", Rank.LIVE, [LIVE])


def test_a_live_price_comes_before_the_card_from_its_day_on() -> None:
    """And the card's holds before."""
    looked = lookup(*both()).ask_all()
    assert usd(looked) == Decimal("55.04")
    assert usd(looked, NOW - 31 * DAY) == Decimal("98.32")
    book = book_of(looked)
    price = book.at(Component.RENT, NOW)
    assert price is not None
    assert (price.sku, price.region, price.source) == ("p5.48xlarge", "us-east-1", "price list")


@pytest.mark.parametrize("error", [PriceSourceError("no answer in time"), ZeroDivisionError()])
def test_a_source_that_fails_keeps_what_it_said_with_its_date(error: Exception) -> None:
    """It is no reason to take another's price, and its age can be seen."""
    card, live = both()
    found = lookup(card, live)
    found.ask_all()
    live.says = error
    looked = found.ask_all()
    assert usd(looked) == Decimal("55.04")
    state = looked.sources[1]
    assert state.errors == 1
    assert state.quotes[0].as_of_ns == NOW - DAY
    assert any("failed, last good" in line for line in explain(looked, NOW))


def test_what_was_believed_outlives_a_restart_before_the_card_does() -> None:
    """The live source is away when the exporter comes back."""
    card, live = both()
    known = believed(lookup(card, live).ask_all(), NOW)
    assert known == (LIVE,)
    assert known is not None
    again = lookup(card, replace(live, says=PriceSourceError("away")))
    again.remember(known)
    looked = again.ask_all()
    assert usd(looked) == Decimal("55.04")
    assert looked.resolution.at(NOW) is not None
    assert [each.rank for each in looked.resolution.chosen][-1] is Rank.SNAPSHOT
    assert believed(looked, NOW) == (LIVE,)


def test_nothing_is_forgotten_while_the_host_does_not_know_what_it_is() -> None:
    """The metadata service is away at a start: what was remembered must outlive that."""
    found = lookup(*both(), identity=HostIdentity())
    found.remember((LIVE,))
    assert believed(found.ask_all(), NOW) is None


def test_what_ended_long_ago_is_not_remembered_for_ever() -> None:
    """Spot prices end by the minute."""
    ended = replace(LIVE, valid_from_ns=NOW - 9 * DAY, valid_to_ns=NOW - 8 * DAY)
    recent = replace(LIVE, valid_from_ns=NOW - 8 * DAY, valid_to_ns=NOW - DAY)
    looked = lookup(Source("live", Rank.LIVE, [ended, recent])).ask_all()
    assert believed(looked, NOW) == (recent,)


def test_nobody_is_asked_before_the_host_knows_its_provider() -> None:
    """Sources filter by it."""
    card, live = both()
    looked = lookup(card, live, identity=HostIdentity()).ask_all()
    assert usd(looked) is None
    assert not card.asked
    words = "\n".join(explain(looked, NOW))
    assert "provider, region, instance type, price model" in words
    assert "stays unpriced" in words


def test_a_source_of_another_provider_is_no_error() -> None:
    """It just knows nothing of this host."""
    looked = lookup(Source("azure", Rank.LIVE, NotHere())).ask_all()
    assert looked.sources[0].errors == 0
    assert any("knows no hosts of this provider" in line for line in explain(looked, NOW))


def test_an_explanation_names_what_was_rejected_and_why() -> None:
    """So that nobody wonders why the near price was not taken."""
    spot = replace(CARD, key=replace(KEY, model=PriceModel.SPOT), per_hour=Decimal(20))
    away = replace(CARD, key=replace(KEY, region="us-east-2"))
    looked = lookup(Source("card", Rank.RATE_CARD, [CARD, spot, away])).ask_all()
    words = "\n".join(explain(looked, NOW))
    assert "98.32 USD an hour, on_demand" in words
    assert "1 of another price model" in words
    assert "us-east-2 on_demand 98.32 USD: another region" in words


def test_contradictions_of_what_the_host_is_are_said() -> None:
    """By whoever puts the identity together."""
    found = PriceLookup(
        lambda: (HOST, ("labels say us-east-2, metadata us-east-1",)), (), lambda: 0
    )
    assert any("labels say us-east-2" in line for line in explain(found.ask_all(), NOW))


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_asks_by_itself_and_stops() -> None:
    """In a thread of its own, first for the identity, then the sources, again and again."""
    card, live = both()
    live.refresh_seconds = 0.05
    found = lookup(card, live)
    found.start()
    try:
        wait_for(lambda: usd(found.current()) == Decimal("55.04"))
        asked = len(live.asked)
        wait_for(lambda: len(live.asked) > asked + 2)
        live.says = [replace(LIVE, per_hour=Decimal(50), as_of_ns=NOW)]
        wait_for(lambda: usd(found.current()) == Decimal(50))
    finally:
        found.close()


def test_a_host_that_is_known_while_a_source_is_asked_is_asked_for_next() -> None:
    """Not only after hours, because it was being asked just then; and never by two at once."""
    known, answered = [replace(HOST, sku="p4d.24xlarge")], Event()
    live = Source("live", Rank.LIVE, [LIVE])

    class Slow(Source):
        """One that waits before its first answer."""

        def quotes(self, identity: HostIdentity, deadline: float) -> Sequence[Quote]:
            self.asked.append(identity)
            assert answered.wait(60)
            return live.quotes(identity, deadline)

    slow = Slow("live", Rank.LIVE)
    found = PriceLookup(lambda: (known[0], ()), [slow], lambda: NOW)
    found.start()
    try:
        wait_for(lambda: len(slow.asked) == 1)
        known[0] = HOST
        found.identify()
        assert len(slow.asked) == 1
        answered.set()
        wait_for(lambda: slow.asked[-1] == HOST)
        assert slow.asked[0].sku == "p4d.24xlarge"
        wait_for(lambda: usd(found.current()) == Decimal("55.04"))
    finally:
        answered.set()
        found.close()
