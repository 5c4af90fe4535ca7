"""A host that is billed in another currency than dollars, in an exporter that runs."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collectors.test_currency_ecb import one_day
from tests.harness import parse, wait_for
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import load
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.prices.report import report
from unitcost.pricing.money import to_usd

INSTANCE = "instance: {provider: acme, region: here, type: big, terms: on_demand}"
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
ASKED = "provider,region,sku,model,currency,per_hour,as_of\n"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A host whose price is in a file of its owner's; the bank's rates are in another."""
    file = tmp_path / "unitcost.yaml"
    configure(file, "ecb_file: rates.xml")
    (tmp_path / "rates.xml").write_bytes(one_day({"USD": "1.25", "GBP": "0.8"}, str(YESTERDAY)))
    return file


def configure(file: Path, currency: str) -> None:
    """With that section of exchange rates."""
    source = "sources: {price_file: {path: prices.csv}}"
    file.write_text(
        f"price:\n  lookup: {{{INSTANCE}, metadata: false, {source}}}\n  currency: {{{currency}}}\n"
    )


def price(folder: Path, currency: str, per_hour: str) -> None:
    """What the file says the host costs."""
    row = f"acme,here,big,on_demand,{currency},{per_hour},2026-01-01\n"
    (folder / "prices.csv").write_text(ASKED + row)


@contextmanager
def running(configuration: Path, ledger: Path) -> Iterator[Exporter]:
    """An exporter, to be ticked."""
    keeper = Keeper(ledger, "h", "host", 400)
    exporter = Exporter(load(configuration), SystemClock(), keeper)
    try:
        yield exporter
    finally:
        exporter.close()


def host_price(exporter: Exporter) -> float | None:
    """What all of the host costs an hour after another tick; None while it is unpriced."""
    exporter.tick()
    page = parse(exporter.exposition().body.decode())
    return page.total("unitcost_price_usd_per_hour") or None


def rate_day(exporter: Exporter, currency: str) -> date | None:
    """The day of the rate that is shown."""
    page = parse(exporter.exposition().body.decode())
    stamp = page.one("unitcost_fx_rate_as_of_timestamp_seconds", currency=currency)
    return None if stamp is None else datetime.fromtimestamp(stamp, UTC).date()


@pytest.mark.parametrize(
    ("currency", "per_hour", "usd", "rate", "as_of"),
    [
        ("EUR", "4", 5.0, 0.8, YESTERDAY),
        ("GBP", "4", 6.25, 0.64, YESTERDAY),
        ("AED", "36.725", 10.0, 3.6725, date(2026, 11, 22)),
    ],
)
def test_a_host_is_charged_in_dollars_and_what_is_billed_stays_to_be_seen(
    configuration: Path,
    tmp_path: Path,
    currency: str,
    per_hour: str,
    usd: float,
    rate: float,
    as_of: date,
) -> None:
    """In the metrics, and in each row of the ledger."""
    price(tmp_path, currency, per_hour)
    ledger = tmp_path / "ledger.db"
    with running(configuration, ledger) as exporter:
        wait_for(lambda: host_price(exporter) == pytest.approx(usd), "a price")
        host_price(exporter)
        page = parse(exporter.exposition().body.decode())
        assert page.one("unitcost_fx_rate", currency=currency) == rate
        assert rate_day(exporter, currency) == as_of
    assert check(ledger) == []
    with closing(sqlite3.connect(ledger)) as rows:
        query = "SELECT DISTINCT currency, rate, pico IS NULL FROM charge WHERE pico > 0"
        assert rows.execute(query).fetchall() == [(currency, str(Decimal(str(rate))), 0)]
        (kept,) = rows.execute(
            "SELECT DISTINCT currency, rate, rate_as_of_ns FROM price WHERE pico_per_unit > 0"
        ).fetchall()
        assert kept[:2] == (currency, str(Decimal(str(rate))))
        assert datetime.fromtimestamp(kept[2] / 10**9, UTC).date() == as_of
        query = "SELECT SUM(pico_per_unit) FROM price WHERE pico_per_unit > 0"
        assert to_usd(rows.execute(query).fetchone()[0]) == Decimal(str(usd))


def test_dollars_are_not_touched_by_rates(configuration: Path, tmp_path: Path) -> None:
    """No rate is shown, and none is in the ledger."""
    price(tmp_path, "USD", "4")
    ledger = tmp_path / "ledger.db"
    with running(configuration, ledger) as exporter:
        wait_for(lambda: host_price(exporter) == pytest.approx(4), "a price")
        host_price(exporter)
        assert "\nunitcost_fx_rate{" not in exporter.exposition().body.decode()
    with closing(sqlite3.connect(ledger)) as rows:
        query = "SELECT DISTINCT currency, rate FROM charge"
        assert rows.execute(query).fetchall() == [("USD", "1")]


def test_without_a_rate_the_host_is_unpriced_which_is_told_once(
    configuration: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Never one to one; and no other source instead: the price is known, its dollars are not."""
    caplog.set_level(logging.WARNING)
    price(tmp_path, "XTS", "4")
    with running(configuration, tmp_path / "ledger.db") as exporter:
        wait_for(lambda: host_price(exporter) is None and bool(caplog.records), "a warning")
        host_price(exporter)
        body = exporter.exposition().body.decode()
        assert 'unitcost_resource_unpriced{resource="cpu",component="rent"} 1' in body
        assert "\nunitcost_cost_usd_total{" not in body
        told = [each for each in caplog.records if "XTS" in each.message]
        assert len(told) == 1
        assert "has no exchange rate: the host stays unpriced" in told[0].message
        configure(
            configuration, "rates: [{currency: XTS, valid_from: 2026-01-01, usd_per_unit: 2}]"
        )
        exporter.reload(load(configuration))
        wait_for(lambda: host_price(exporter) == pytest.approx(8), "a price")


def test_the_last_rate_outlives_a_restart_without_the_bank(
    configuration: Path, tmp_path: Path
) -> None:
    """With the date it has; not where no bank is configured any more."""
    price(tmp_path, "EUR", "4")
    ledger = tmp_path / "ledger.db"
    with running(configuration, ledger) as exporter:
        wait_for(lambda: host_price(exporter) == pytest.approx(5), "a price")
    (tmp_path / "rates.xml").write_text("<html>gone</html>")
    with running(configuration, ledger) as exporter:
        wait_for(lambda: host_price(exporter) == pytest.approx(5), "the last price")
        assert rate_day(exporter, "EUR") == YESTERDAY
    configure(configuration, "")
    with running(configuration, ledger) as exporter:
        wait_for(lambda: host_price(exporter) is None, "no price")


def test_the_explanation_shows_what_is_billed_and_the_rate(
    configuration: Path, tmp_path: Path
) -> None:
    """Its source, its day, and what is wrong with it."""
    price(tmp_path, "EUR", "4")
    words = "\n".join(report(load(configuration)))
    assert "price: 4 EUR an hour, on_demand, from 2026-01-01" in words
    assert (
        f"= 5 USD an hour, at 0.8 EUR for a dollar (ECB euro reference rates, of {YESTERDAY})"
        in words
    )
    assert f"ecb_file: 2 currencies, the latest of {YESTERDAY}" in words
    (tmp_path / "rates.xml").write_bytes(one_day({"USD": "1.25"}, "2026-01-02"))
    words = "\n".join(report(load(configuration)))
    assert "! the price is in EUR, whose exchange rate is stale: of 2026-01-02" in words
    (tmp_path / "rates.xml").unlink()
    words = "\n".join(report(load(configuration)))
    assert "price: none in US dollars: it is unpriced. Billed at 4 EUR an hour" in words
    assert "! the price is in EUR, which has no exchange rate" in words
    assert "ecb_file: failed: rates.xml cannot be read: No such file" in words
