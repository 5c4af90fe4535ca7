"""The European Central Bank's reference rates: one small XML file, from a disk or from the bank.

Units for one euro, once on each working day about 16:00 in Frankfurt. A day's rates are used from
the end of that day (UTC) on, until those of the next working day are: so they are known before they
are used, and each day has one. The same form serves the daily file and that of the last 90 days. A
document type, and with it every entity, is refused.
"""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from xml.parsers import expat

from unitcost.collectors.base import Problem
from unitcost.collectors.fetch import FetchError, fetch
from unitcost.collectors.price_contract import PriceSourceError
from unitcost.collectors.whole_file import read_whole
from unitcost.pricing.currency import NS_PER_DAY, USD, Rate, day_ns, is_code

DAILY_URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
HISTORY_URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist-90d.xml"
SOURCE = "ECB euro reference rates"
MAX_BYTES = 512 * 1024
MAX_DAYS = 100
MAX_CURRENCIES = 64
MAX_PROBLEMS = 20
_PATH = ("Envelope", "Cube", "Cube", "Cube")
_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EcbRates:
    """What a file had: rates, and what in it could not be used."""

    rates: tuple[Rate, ...]
    problems: tuple[Problem, ...] = ()


def read_file(path: Path, today: date) -> EcbRates:
    """Read a file. Raises PriceSourceError if it is none, too large, or not the bank's."""
    return parse(read_whole(path, MAX_BYTES), today)


def read_url(today: date, timeout: float, url: str = DAILY_URL) -> EcbRates:
    """Ask the bank, for so many seconds at most. Raises PriceSourceError."""
    try:
        body = fetch(url, timeout=timeout, cap=MAX_BYTES)
    except FetchError as error:
        raise PriceSourceError(f"{SOURCE}: {error}") from None
    return parse(body, today)


def parse(body: bytes, today: date) -> EcbRates:
    """The rates in a file; `today` (UTC) tells what is of the future.

    Raises PriceSourceError where it is not XML, has a document type, is too large, or has no rate
    that can be used.
    """
    if len(body) > MAX_BYTES:
        raise PriceSourceError(f"{SOURCE}: more than {MAX_BYTES} bytes")
    document = _Document()
    try:
        document.read(body)
    except expat.ExpatError as error:
        raise PriceSourceError(f"{SOURCE}: not XML: {error}") from None
    except (ValueError, LookupError):  # an encoding that expat, or that nobody, has
        raise PriceSourceError(f"{SOURCE}: not XML: unknown encoding") from None
    rates = [rate for day, rows in document.days for rate in _rates_of(day, rows, today, document)]
    if not rates:
        why = document.problems[0].detail if document.problems else "no rates in it"
        raise PriceSourceError(f"{SOURCE}: {why}")
    return EcbRates(tuple(rates), tuple(document.problems))


@dataclass(slots=True)
class _Document:
    """What is seen while reading: days, each with its rows of currency and rate as text."""

    days: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _at: list[str] = field(default_factory=list)
    _full: bool = False

    def read(self, body: bytes) -> None:
        """Take in a whole file. Raises ExpatError, PriceSourceError."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.Parse(body, True)

    def reject(self, detail: str) -> None:
        """Note something that cannot be used."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem("currency_rate", detail))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._at.append(name.rpartition(" ")[2])
        if len(self._at) > len(_PATH):
            raise PriceSourceError(f"{SOURCE}: nested too deep")
        if tuple(self._at) == _PATH[:3] and "time" in attributes:
            self._full = len(self.days) == MAX_DAYS
            if self._full:
                self.reject(f"more than {MAX_DAYS} days")
            else:
                self.days.append((attributes["time"], []))
        elif tuple(self._at) == _PATH and self.days and not self._full:
            row = (attributes.get("currency", ""), attributes.get("rate", ""))
            self.days[-1][1].append(row)

    def _end(self, _name: str) -> None:
        self._at.pop()


def _refuse_doctype(*_details: object) -> None:
    raise PriceSourceError(f"{SOURCE}: a document type is refused")


def _rates_of(
    text: str, rows: list[tuple[str, str]], today: date, document: _Document
) -> list[Rate]:
    """The rates of one day; none where the day or its dollar cannot be used."""
    day = _day(text, today)
    if day is None:
        document.reject(f"{text[:20]!r} is no day, or one of the future")
        return []
    if len(rows) > MAX_CURRENCIES:
        document.reject(f"{day}: more than {MAX_CURRENCIES} currencies")
        return []
    per_euro = _per_euro(day, rows, document)
    dollars = per_euro.pop(USD, None)
    if dollars is None:
        document.reject(f"{day}: no rate of the dollar")
        return []
    start = day_ns(day) + NS_PER_DAY
    return [
        Rate(currency, units, dollars, day, start, SOURCE)
        for currency, units in {"EUR": Decimal(1), **per_euro}.items()
    ]


def _per_euro(day: date, rows: list[tuple[str, str]], document: _Document) -> dict[str, Decimal]:
    """Units for one euro. A currency that is there twice is not believed at all."""
    names = [currency for currency, _ in rows]
    found: dict[str, Decimal] = {}
    for currency, text in rows:
        rate = Decimal(text) if _RATE.fullmatch(text) else Decimal(0)
        if not is_code(currency) or currency == "EUR" or not rate:
            document.reject(f"{day}: {currency[:10]!r} at {text[:20]!r} is no rate")
        elif names.count(currency) > 1:
            document.reject(f"{day}: {currency} is there twice")
        else:
            found[currency] = rate
    return found


def _day(text: str, today: date) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # The bank's day may have begun before UTC's.
    return day if date(1999, 1, 1) <= day <= today + timedelta(days=1) else None
