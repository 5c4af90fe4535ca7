"""Hostile prices and rates, from the configuration to the book: told, and what was known stays."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.collectors.prices.web import Web, ok, web
from tests.collectors.test_currency_ecb import day, one_day, page
from unitcost.exporter.config.load import ConfigError, load, loads
from unitcost.exporter.prices.book import book_of
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.prices.make import make_lookup
from unitcost.pricing.currency import NS_PER_DAY, day_ns
from unitcost.pricing.price import Component, PriceBook

HEADER = "provider,region,sku,model,currency,per_hour,as_of,valid_from,valid_to\n"
ROW = "acme,here,big,on_demand,{currency},{per_hour},2026-01-01,{start},{end}\n"
TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
INSTANCE = "instance: {provider: acme, region: here, type: big, terms: on_demand}"
METADATA = (302, b"", {"Location": "http://169.254.169.254/latest/meta-data/iam/"})


def row(per_hour: str = "4", currency: str = "USD", start: str = "", end: str = "") -> str:
    """A price of this host's."""
    return ROW.format(per_hour=per_hour, currency=currency, start=start, end=end)


@dataclass
class Host:
    """A host whose price is in a file, or at a URL; the bank's rates likewise."""

    folder: Path
    server: Web
    prices: str
    rates: str

    def __post_init__(self) -> None:
        self.put(HEADER + row())
        self.put_rates(one_day({"USD": "1.25"}, str(YESTERDAY)))
        source = f"{{url: '{self.server.url}/prices'}}" if self.prices == "url" else "{path: p}"
        bank = f"ecb: {{url: '{self.server.url}/rates'}}" if self.rates == "url" else "ecb_file: r"
        file = self.folder / "unitcost.yaml"
        sources = f"sources: {{price_file: {source}}}"
        file.write_text(
            f"price:\n  lookup: {{{INSTANCE}, metadata: false, {sources}}}\n"
            f"  currency: {{{bank}}}\n"
        )
        loaded = load(file)
        self.lookup = make_lookup(loaded.settings.price, loaded.price_sources, self.folder)

    def put(self, text: str | bytes) -> None:
        """This is what the prices are."""
        self.body = text.encode() if isinstance(text, str) else text
        (self.folder / "p").write_bytes(self.body)
        self._serve()

    def put_rates(self, text: bytes) -> None:
        """This is what the rates are."""
        self.rates_body = text
        (self.folder / "r").write_bytes(text)
        self._serve()

    def _serve(self) -> None:
        self.server.answer = lambda asked: ok(
            self.rates_body if asked.target == "/rates" else self.body
        )

    def ask(self) -> Looked:
        """Ask everybody."""
        return self.lookup.ask_all()

    def usd(self, at_ns: int | None = None) -> Decimal | None:
        """What the host costs an hour at an instant; None while that is unpriced."""
        book: PriceBook = book_of(self.lookup.current())
        now_ns = at_ns or int(datetime.now(UTC).timestamp()) * 10**9
        price = book.at(Component.RENT, now_ns)
        return None if price is None else price.usd_per_hour


@pytest.fixture(params=["file", "url"])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host with a good price of 4 dollars an hour, and a euro at 1.25."""
    served = request.getfixturevalue("server")
    made = Host(tmp_path, served, request.param, request.param)
    made.ask()
    assert made.usd() == 4
    return made


@pytest.fixture
def server() -> object:
    """A server that says what a test wants."""
    with web(ok("")) as served:
        yield served


def error(looked: Looked) -> str:
    """What the price file's error is."""
    return next(each.error for each in looked.sources if each.name == "price_file")


NOT_BELIEVED: dict[str, tuple[str | bytes, str]] = {
    "no number": (HEADER + row("NaN"), "line 2: no number"),
    "without end": (HEADER + row("Infinity"), "line 2: no number"),
    "negative": (HEADER + row("-4"), "line 2: negative"),
    "a comma for a point": (HEADER + row('"4,5"'), "line 2: no number"),
    "other digits": (HEADER + row("٤"), "line 2: no number"),
    "too dear": (HEADER + row("1000001"), "line 2: too large"),
    "a wrong currency": (HEADER + row(currency="dollar"), "line 2: no currency is called"),
    "a currency in lower case": (HEADER + row(currency="eur"), "line 2: no currency is called"),
    "a currency of another script": (HEADER + row(currency="\u0415UR"), "no currency is called"),
    "over before it begins": (
        HEADER + row(start="2026-02-01", end="2026-01-01"),
        "line 2: a price must be valid for some time",
    ),
    "overlapping periods": (
        HEADER + row("4", end="2027-01-01") + row("5", start="2026-06-01"),
        "two prices of big are for the same time",
    ),
    "two prices at once": (HEADER + row("4") + row("5"), "two prices of big"),
    "stated in the future": (
        HEADER + row().replace("2026-01-01", "2199-01-01"),
        "line 2: as_of is in the future",
    ),
    "stated never": (HEADER + row().replace("2026-01-01", ""), "line 2: as_of is missing"),
    "10 MB of junk": (b"\xff\x00junk" * 2_000_000, "larger than 8388608 bytes"),
    "8 MB of lines": (HEADER + "a\n" * 4_000_000, "line 2: 1 cells, 9 columns"),
    "8 MB in one cell": (HEADER + '"' + "a" * 8_000_000, "line 2: "),
    "half of a line": ((HEADER + row())[:-30], "cells, 9 columns"),
    "nothing": ("", "the file is empty"),
    "no text": (b"\xff\xfe\x00", "no text in UTF-8"),
    "a page to sign in": ("<html><body>Sign in</body></html>", "no column is called '<html>"),
    "a page of several lines": ("<html>\n<body>\n</html>\n", "no column is called '<html>'"),
    "another table": ("region,sku\nhere,4\n", "the column 'provider' is missing"),
    "no price": ((HEADER + row()).replace("per_hour", "discount_percent"), "'per_hour' is missing"),
}


@pytest.mark.parametrize("name", NOT_BELIEVED)
def test_a_price_file_that_is_wrong_is_an_error_and_the_last_price_stays(
    host: Host, name: str
) -> None:
    """In one line that says why; and the next good file is taken."""
    text, why = NOT_BELIEVED[name]
    host.put(text)
    looked = host.ask()
    assert why in error(looked)
    assert error(looked)
    assert error(looked).isprintable()
    assert len(error(looked)) < 300
    assert host.usd() == 4
    host.put(HEADER + row("5"))
    assert error(host.ask()) == ""
    assert host.usd() == 5


def test_nobody_is_led_to_another_address(tmp_path: Path, server: Web) -> None:
    """Above all not to a cloud's metadata service: neither for prices nor for rates."""
    host = Host(tmp_path, server, "url", "url")
    host.put(HEADER + row("4", "EUR"))
    host.ask()
    assert host.usd() == 5
    server.answer = lambda asked: METADATA
    looked = host.ask()
    assert "HTTP 302" in error(looked)
    assert "HTTP 302" in looked.exchange.error
    assert host.usd() == 5


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
        "http://[::ffff:169.254.169.254]/",
    ],
)
def test_a_metadata_service_is_no_source_of_prices_or_rates(url: str) -> None:
    """However its address is written."""
    source = f"sources: {{price_file: {{url: '{url}'}}}}"
    for section, key in (
        (f"lookup: {{{source}}}", r"price\.lookup\.sources\.price_file"),
        (f"lookup: {{}}, currency: {{ecb: {{url: '{url}'}}}}", r"price\.currency\.ecb\.url"),
    ):
        with pytest.raises(ConfigError, match=f"{key}: .*(never read|four decimal parts)"):
            loads(f"price: {{{section}}}")


def euros(usd: str, on: date = YESTERDAY) -> bytes:
    """What a euro is on a day."""
    return one_day({"USD": usd}, str(on))


BAD_RATES: dict[str, tuple[bytes, str]] = {
    "a rate of 0": (euros("0"), "is no rate"),
    "negative": (euros("-1.25"), "is no rate"),
    "no number": (euros("NaN"), "is no rate"),
    "of the future": (euros("2", TODAY + timedelta(days=30)), "one of the future"),
    "of no day": (one_day({"USD": "2"}, "2026-02-30"), "is no day"),
    "twice": (page(day(str(YESTERDAY), [("USD", "2"), ("USD", "3")])), "there twice"),
    "without dollars": (one_day({"JPY": "170"}, str(YESTERDAY)), "no rate of the dollar"),
    "10 MB of junk": (b"<Cube/>" * 1_500_000, "524288"),
    "half a file": (euros("2")[:-40], "not XML"),
    "with entities": (
        euros("2").replace(b"?>\n", b"?>\n<!DOCTYPE x [<!ENTITY a 'b'>]>\n", 1),
        "document type",
    ),
    "a page to sign in": (b"<html/>", "no rates in it"),
}


@pytest.mark.parametrize("name", BAD_RATES)
def test_a_rate_that_is_wrong_is_an_error_and_the_last_one_stays(host: Host, name: str) -> None:
    """With its date; nothing is converted at it."""
    host.put(HEADER + row("4", "EUR"))
    host.ask()
    assert host.usd() == 5
    text, why = BAD_RATES[name]
    host.put_rates(text)
    looked = host.ask()
    assert why in looked.exchange.error
    assert looked.exchange.error.isprintable()
    assert host.usd() == 5
    host.put_rates(euros("1.5"))
    assert host.ask().exchange.error == ""
    assert host.usd() == 6


def test_a_price_in_a_currency_without_a_rate_is_not_one_in_dollars(host: Host) -> None:
    """Nor is what was known before in dollars: what the host costs has changed."""
    host.put(HEADER + row("4", "XTS"))
    host.ask()
    assert host.usd() is None


def test_weekends_and_holidays_have_the_last_rate_and_no_day_is_missing(host: Host) -> None:
    """Christmas: the bank is closed on the 25th, the 26th and the weekend after."""
    host.put(HEADER + row("4", "EUR", start="2025-01-01"))
    rates = {"2025-12-23": "1.10", "2025-12-24": "1.20", "2025-12-29": "1.30", "2025-12-30": "1.40"}
    host.put_rates(page(*(day(on, [("USD", usd)]) for on, usd in reversed(rates.items()))))
    host.ask()
    expected = {
        **dict.fromkeys(range(25, 30), "4.8"),  # until the 29th's is out, on its evening
        24: "4.4",
        30: "5.2",
        31: "5.6",
    }
    for number, usd in expected.items():
        start = day_ns(date(2025, 12, number))
        for instant in (start, start + NS_PER_DAY - 1):
            assert host.usd(instant) == Decimal(usd), number
    assert host.usd(day_ns(date(2025, 12, 24)) - 1) is None


def test_a_file_that_somebody_writes_just_now_is_not_half_believed(
    tmp_path: Path, server: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A half of it would be a good file with other prices."""
    host = Host(tmp_path, server, "file", "file")
    host.ask()
    grown: list[Callable[[float], None]] = []

    def more(_: float) -> None:
        """Meanwhile another line is written."""
        with open(tmp_path / "p", "a") as file:
            file.write(row(str(5 + len(grown)), start=f"20{30 + len(grown)}-01-01"))
        grown.append(more)

    slept = SimpleNamespace(time_ns=time.time_ns, sleep=more)  # other threads sleep, too
    monkeypatch.setattr("unitcost.collectors.whole_file.time", slept)
    os.utime(tmp_path / "p")
    looked = host.ask()
    assert error(looked) == "p changed while it was read"
    assert host.usd() == 4
    monkeypatch.undo()
    assert error(host.ask()) == ""
    assert host.usd(day_ns(date(2031, 1, 1))) == 6
