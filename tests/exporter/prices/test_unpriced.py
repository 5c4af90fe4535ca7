"""Unpriced, loudly: each reason is said once, and so is that there is a price again."""

import logging
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.prices.test_lookup import CARD, HOST, KEY, LIVE, NOW, Source, lookup
from tests.fakes import FakeClock
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.exporter.config.load import loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.prices.book import book_of
from unitcost.exporter.prices.unpriced import UnpricedNews, why
from unitcost.pricing.price import Component, PriceBook
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Rank
from unitcost.pricing.timeline import ClockReading

UNPRICED = [(("cpu", "rent"), 1.0), (("memory", "rent"), 1.0)]
PRICED = [(labels, 0.0) for labels, _ in UNPRICED]
NOTHING = PriceBook((Component.RENT,))


def at(seconds: float, wall_ns: int = NOW) -> ClockReading:
    """So many seconds after the start."""
    return ClockReading(wall_ns, round(seconds * 1e9), round(seconds * 1e9), "boot")


def said(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What was logged, message and fields."""
    found = [
        {"msg": record.message, **record.__dict__["fields"]}
        for record in caplog.records
        if record.name.endswith("prices.unpriced")
    ]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_region_that_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    """The line says what this host is, and what there is instead."""
    elsewhere = replace(HOST, region="me-central-1", zone="")
    looked = lookup(Source("card", Rank.RATE_CARD, [CARD]), identity=elsewhere).ask_all()
    news = UnpricedNews()
    for seconds in (0, 5, 10):
        news.look(UNPRICED, NOTHING, looked, at(seconds))
    assert said(caplog) == [
        {
            "msg": "unpriced: dollars are unknown",
            "component": "rent",
            "resources": "cpu memory",
            "provider": "aws",
            "region": "me-central-1",
            "zone": "unknown",
            "type": "p5.48xlarge",
            "terms": "on_demand",
            "detail": "no source has a price of exactly this host; rejected: another region",
        }
    ]


def test_priced_again_and_unpriced_again(caplog: pytest.LogCaptureFixture) -> None:
    """Each time once."""
    looked = lookup(Source("live", Rank.LIVE, [LIVE])).ask_all()
    none = lookup(Source("live", Rank.LIVE)).ask_all()
    book = book_of(looked)
    news = UnpricedNews()
    for points, its_book, its_looked in [
        (UNPRICED, NOTHING, none),
        (PRICED, book, looked),
        (PRICED, book, looked),
        (UNPRICED, NOTHING, none),
    ]:
        news.look(points, its_book, its_looked, at(0))
    messages = said(caplog)
    assert [each["msg"] for each in messages] == [
        "unpriced: dollars are unknown",
        "priced again",
        "unpriced: dollars are unknown",
    ]
    assert (messages[1]["usd_per_hour"], messages[1]["source"]) == ("55.04", "price list")


def test_each_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    """A source that fails and answers in turn does not fill the log."""
    looked = lookup(Source("live", Rank.LIVE)).ask_all()
    failed = lookup(Source("live", Rank.LIVE, PriceSourceError("away"))).ask_all()
    news = UnpricedNews()
    for each in (looked, failed, looked, failed):
        news.look(UNPRICED, NOTHING, each, at(0))
    assert [each["detail"] for each in said(caplog)] == [
        "no source has a price of exactly this host",
        "no source has a price of exactly this host; failed: live",
    ]


def test_sources_are_waited_for_and_then_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """At a start nobody has answered yet; a list of 400 MB takes minutes."""
    asked = lookup(Source("live", Rank.LIVE, [LIVE]))
    unknown = asked.current()
    asked.identify()
    news = UnpricedNews()
    for looked, seconds in ((unknown, 0), (asked.current(), 30), (asked.current(), 59)):
        news.look(UNPRICED, NOTHING, looked, at(seconds))
    assert said(caplog) == []
    news.look(UNPRICED, NOTHING, asked.current(), at(60))
    (line,) = said(caplog)
    assert line["detail"] == "no source has a price of exactly this host; no answer yet: live"


def test_what_is_not_known_of_the_host_is_named() -> None:
    """As soon as it was asked what it is."""
    asked = lookup(Source("live", Rank.LIVE), identity=replace(HOST, region="", model=None))
    assert why(asked.current(), NOW, patient=True) == ""
    detail = "not known of this host: region, price model"
    assert why(asked.ask_all(), NOW, patient=True) == detail
    nobody = lookup(Source("live", Rank.LIVE), identity=HostIdentity())
    assert why(nobody.ask_all(), NOW, patient=True).startswith("not known of this host: provider")


def test_a_gap_between_two_prices_and_a_price_that_is_still_to_come() -> None:
    """Both instants are named."""
    hour = 3600 * 10**9
    ended = replace(LIVE, valid_from_ns=NOW - 9 * hour, valid_to_ns=NOW - hour)
    coming = replace(LIVE, valid_from_ns=NOW + hour)
    both = lookup(Source("live", Rank.LIVE, [ended, coming])).ask_all()
    assert why(both, NOW, patient=True) == (
        "no price holds now; the last one ended 2024-10-03T23:00:00+00:00; "
        "the next one begins 2024-10-04T01:00:00+00:00"
    )
    only = lookup(Source("live", Rank.LIVE, [coming])).ask_all()
    assert why(only, NOW, patient=True) == (
        "no price holds now; the next one begins 2024-10-04T01:00:00+00:00"
    )


def test_a_currency_without_a_rate_is_told_by_the_lookup_already() -> None:
    """With the currency's name, and what to do."""
    dirhams = replace(CARD, key=replace(KEY, currency="CNY"))
    looked = lookup(Source("card", Rank.RATE_CARD, [dirhams]), Source("x", Rank.LIVE, NotHere()))
    assert why(looked.ask_all(), NOW, patient=True) == ""


def test_without_a_lookup_it_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """For each component."""
    news = UnpricedNews()
    points = [(("cpu", "rent"), 1.0), (("cpu", "electricity"), 1.0), (("cpu", "overhead"), 1.0)]
    news.look(points, NOTHING, None, at(0))
    details = {each["component"]: each["detail"] for each in said(caplog)}
    assert "price.lookup" in details["rent"]
    assert "neither stated nor measured" in details["electricity"]
    assert details["overhead"] == "no price is known of it"
    news.look([(("cpu", "electricity"), 0.0)], NOTHING, None, at(5))
    assert {each["component"] for each in said(caplog)} == {"rent", "electricity", "overhead"}


CONFIGURATION = """
price:
  lookup:
    instance: {provider: aws, region: %s, type: p5.48xlarge, terms: on_demand}
    metadata: false
"""


def test_the_whole_exporter_in_an_unknown_region(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No dollars at all, unpriced is 1, one line; with a price from the past it has cost that."""
    clock, path = FakeClock(), tmp_path / "ledger.db"
    exporter = Exporter(
        loads(CONFIGURATION % "mars-north-1"), clock, Keeper(path, "h", "host", 400)
    )
    try:
        for _ in range(14):
            exporter.tick()
            clock.advance(5.0)
        body = exporter.exposition().body.decode()
        families = [line for line in body.splitlines() if not line.startswith("#")]
        dollars = [line for line in families if "_usd" in line.split("{")[0]]
        assert [line.split()[0] for line in dollars] == ["unitcost_conservation_residual_usd"]
        assert 'unitcost_resource_unpriced{resource="cpu",component="rent"} 1' in body
        lines = said(caplog)
        assert [each["region"] for each in lines] == ["mars-north-1"]
        exporter.reload(loads("price: {usd_per_hour: 0}"))
        exporter.tick()
        assert [each["msg"] for each in said(caplog)] == ["priced again"]
        clock.advance(5.0)
        exporter.tick()
        body = exporter.exposition().body.decode()
        assert 'unitcost_resource_unpriced{resource="cpu",component="rent"} 0' in body
        free = [x for x in body.splitlines() if x.startswith("unitcost_cost_usd_total{")]
        assert free
        assert all(float(line.rsplit(" ", 1)[1]) == 0 for line in free)
    finally:
        exporter.close()
    assert check(path) == []


def test_the_whole_exporter_corrects_what_a_reload_says_of_the_past(tmp_path: Path) -> None:
    """From no price to one that holds since the morning, in the real ledger."""
    clock, path = FakeClock(), tmp_path / "ledger.db"
    exporter = Exporter(loads(""), clock, Keeper(path, "h", "host", 400))
    try:
        for _ in range(13):
            exporter.tick()
            clock.advance(300.0)
        exporter.reload(
            loads(
                "price: {usd_per_hour: 1, changes: "
                "[{at: '2026-01-01T00:30:00Z', usd_per_hour: 36}]}"
            )
        )
        exporter.tick()
        body = exporter.exposition().body.decode().splitlines()
    finally:
        exporter.close()
    gauge = (line for line in body if line.startswith("unitcost_cost_correction_usd{"))
    corrected = sum((Decimal(line.rsplit(" ", 1)[1]) for line in gauge), Decimal(0))
    assert abs(corrected - 18) < Decimal("1e-9")
    assert check(path) == []
