"""Exchange rates beside the ticks: read, kept when a reading fails, and never made up."""

import logging
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collectors.prices.web import Asked, ok, web
from tests.collectors.test_currency_ecb import day, one_day, page
from unitcost.collectors.price_contract import PriceSourceError
from unitcost.exporter.config.settings import Currency, Ecb, FixedRate
from unitcost.exporter.prices.exchange import (
    FRESH_NS,
    Exchange,
    RateSource,
    Read,
    make_exchange,
)
from unitcost.pricing.currency import NS_PER_DAY, Rate, day_ns

MONDAY = date(2024, 7, 1)
NOON = NS_PER_DAY // 2
NOW = day_ns(MONDAY) + NOON


def euro(usd: str, on: date, known: int = 0) -> Rate:
    """A euro in dollars, used from the next day on."""
    start = day_ns(on) + NS_PER_DAY
    return Rate("EUR", Decimal(1), Decimal(usd), on, start, "bank", known_at_ns=known)


FRIDAY = euro("1.07", date(2024, 6, 28))


@dataclass
class Bank:
    """Says what it is told to, or raises it; keeps what it was asked."""

    says: Read | Exception
    asked: list[tuple[date, bool]] = field(default_factory=list)

    def read(self, today: date, gap: bool) -> Read:
        """What it says."""
        self.asked.append((today, gap))
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@dataclass
class Clock:
    """A clock that is set."""

    ns: int = NOW

    def __call__(self) -> int:
        """The time."""
        return self.ns


def exchange(bank: Bank, clock: Clock) -> Exchange:
    """One that reads this bank."""
    return Exchange((), RateSource("bank", 3600.0, bank.read), clock)


def usd(found: Exchange, at: int = NOW) -> Decimal | None:
    """What a euro is."""
    rate = found.rates.at("EUR", at)
    return rate.usd if rate else None


@pytest.mark.parametrize("error", [PriceSourceError("no answer"), ZeroDivisionError("x")])
def test_a_failure_keeps_the_old_rate_and_its_date(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, and once more when it fails again after having worked."""
    caplog.set_level(logging.WARNING)
    clock, bank = Clock(), Bank(Read((FRIDAY,)))
    found = exchange(bank, clock)
    found.refresh()
    for _ in range(2):
        bank.says = error
        found.refresh()
        found.refresh()
        assert (found.state.errors > 0, usd(found)) == (True, Decimal("1.07"))
        assert found.state.last_success_ns == NOW
        bank.says = Read((FRIDAY,))
        found.refresh()
        assert found.state.error == ""
    assert len([each for each in caplog.records if each.levelname == "WARNING"]) == 2
    assert found.state.errors == 4


def test_a_rate_is_known_from_when_it_was_first_read() -> None:
    """Whenever it is read again."""
    clock, bank = Clock(), Bank(Read((FRIDAY,)))
    found = exchange(bank, clock)
    found.refresh()
    clock.ns += NOON
    bank.says = Read((FRIDAY, euro("1.08", MONDAY)))
    found.refresh()
    assert [(each.usd, each.known_at_ns) for each in sorted(found.rates.rates, key=str)] == [
        (Decimal("1.07"), NOW),
        (Decimal("1.08"), NOW + NOON),
    ]
    assert usd(found, NOW + NOON) == Decimal("1.08")


def test_the_days_that_may_have_been_missed_are_asked_for() -> None:
    """At the start, after failures of a day, and after a clock that was set back."""
    clock, bank = Clock(), Bank(Read((FRIDAY,)))
    found = exchange(bank, clock)
    for moved, gap in ((0, True), (FRESH_NS - 1, False), (FRESH_NS, True), (-1, True), (0, False)):
        clock.ns += moved
        found.refresh()
        assert bank.asked[-1][1] is gap
    assert bank.asked[0][0] == MONDAY


def test_what_was_read_before_a_restart_holds_until_the_bank_says_otherwise() -> None:
    """Its rates join those that are read; where they differ the bank's hold."""
    clock, bank = Clock(), Bank(PriceSourceError("away"))
    found = exchange(bank, clock)
    found.remember((replace(FRIDAY, known_at_ns=5), euro("1.06", date(2024, 6, 27), 4)))
    found.refresh()
    assert usd(found) == Decimal("1.07")
    bank.says = Read((euro("1.0705", date(2024, 6, 28)), euro("1.06", date(2024, 6, 27))))
    found.refresh()
    found.remember((replace(FRIDAY, known_at_ns=5),))
    assert [(each.usd, each.known_at_ns) for each in sorted(found.rates.rates, key=str)] == [
        (Decimal("1.06"), 4),
        (Decimal("1.0705"), NOW),
    ]


def test_without_a_source_nothing_is_remembered_or_asked() -> None:
    """A rate that nobody keeps up to date any more is not used on and on."""
    found = Exchange()
    found.remember((FRIDAY,))
    found.refresh()
    assert (found.rates.rates, found.state.name, usd(found)) == ((), "", None)
    assert found.rates.at("AED", NOW) is not None


def test_what_is_left_out_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A row that is no rate, in words."""
    caplog.set_level(logging.WARNING)
    found = exchange(Bank(Read((FRIDAY,), ("'JPY' at '0' is no rate",))), Clock())
    found.refresh()
    found.refresh()
    assert found.state.problems == ("'JPY' at '0' is no rate",)
    assert [each.message for each in caplog.records] == ["exchange rate left out"]


def test_the_bank_is_asked_for_one_day_once_its_history_is_known() -> None:
    """By default two files of the bank's; a mirror is one."""

    def serve(asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        return ok(one_day({"USD": "1.0705"}))

    clock = Clock()
    with web(serve) as server:
        found = make_exchange(Currency(ecb=Ecb(url=f"{server.url}/a")), Path("/"), clock)
        assert found.source is not None
        assert (found.source.name, found.source.refresh_seconds) == ("ecb", 21600.0)
        found.refresh()
        assert usd(found) == Decimal("1.0705")
        assert [each.target for each in server.asked] == ["/a"]


def test_the_bank_s_own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last 90 days first, then the day's."""
    asked: list[str] = []

    def fetch(url: str, **_: object) -> bytes:
        asked.append(url)
        return one_day({"USD": "1.0705"})

    monkeypatch.setattr("unitcost.collectors.currency_ecb.fetch", fetch)
    found = make_exchange(Currency(ecb=Ecb()), Path("/"), Clock())
    found.refresh()
    found.refresh()
    assert [url.rpartition("/")[2] for url in asked] == [
        "eurofxref-hist-90d.xml",
        "eurofxref-daily.xml",
    ]


def test_a_file_is_read_again_and_what_it_said_stays_if_it_goes(tmp_path: Path) -> None:
    """Its path is relative to the configuration."""
    file = tmp_path / "rates.xml"
    file.write_bytes(one_day({"USD": "1.0705"}))
    found = make_exchange(Currency(ecb_file="rates.xml"), tmp_path, Clock())
    found.refresh()
    two = page(day("2024-06-28", [("USD", "1.0705")]), day("2024-06-30", [("USD", "1.09")]))
    file.write_bytes(two)
    found.refresh()
    assert usd(found) == Decimal("1.09")
    file.write_bytes(b"junk" * 300_000)
    found.refresh()
    file.unlink()
    found.refresh()
    assert (usd(found), found.state.errors) == (Decimal("1.09"), 2)
    assert found.state.error == "rates.xml cannot be read: No such file or directory"


def test_what_the_user_fixed_comes_first() -> None:
    """Whatever the bank says."""
    fixed = FixedRate(currency="EUR", valid_from="2024-06-01", usd_per_unit=Decimal("1.2"))
    found = make_exchange(Currency(rates=(fixed,)), Path("/"))
    assert usd(found) == Decimal("1.2")
    assert found.source is None


@pytest.mark.parametrize("now", [-(10**18), 0, 2**62])
def test_no_clock_breaks_it(now: int) -> None:
    """One that was never set, or set far too far: an error at worst, never a rate."""
    clock = Clock(now)
    found = exchange(Bank(Read((FRIDAY,))), clock)
    found.refresh()
    assert found.state.errors == 0
