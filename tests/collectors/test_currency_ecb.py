"""The ECB's rates: its file as it is, and files that are not its."""

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.raw_server import body, raw_server, sends
from unitcost.collectors.currency_ecb import (
    MAX_BYTES,
    MAX_CURRENCIES,
    MAX_DAYS,
    MAX_PROBLEMS,
    SOURCE,
    EcbRates,
    parse,
    read_file,
    read_url,
)
from unitcost.collectors.price_contract import PriceSourceError
from unitcost.pricing.currency import NS_PER_DAY, Rates, day_ns

TODAY = date(2024, 6, 30)  # a Sunday
FRIDAY = date(2024, 6, 28)
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
\t<gesmes:subject>Reference rates</gesmes:subject>
\t<gesmes:Sender>
\t\t<gesmes:name>European Central Bank</gesmes:name>
\t</gesmes:Sender>
\t<Cube>
"""
TAIL = "\t</Cube>\n</gesmes:Envelope>\n"
# As published for 28 June 2024; some of its thirty currencies.
REAL = {
    "USD": "1.0705",
    "JPY": "171.94",
    "GBP": "0.84638",
    "HUF": "395.10",
    "IDR": "17487.21",
    "INR": "89.2495",
}
DOLLAR = {"USD": "1.5"}


def day(time_text: str, rows: list[tuple[str, str]]) -> str:
    """One day of the file."""
    lines = [f"\t\t\t<Cube currency='{name}' rate='{rate}'/>" for name, rate in rows]
    return "\n".join([f"\t\t<Cube time='{time_text}'>", *lines, "\t\t</Cube>\n"])


def page(*days: str) -> bytes:
    """The whole file."""
    return (HEAD + "".join(days) + TAIL).encode()


def one_day(rows: dict[str, str], time_text: str = "2024-06-28") -> bytes:
    """A file of one day."""
    return page(day(time_text, list(rows.items())))


def details(found: EcbRates) -> str:
    """What could not be used, as one text."""
    assert all(problem.kind == "currency_rate" for problem in found.problems)
    return "; ".join(problem.detail for problem in found.problems)


def test_the_bank_s_file_is_read_exactly() -> None:
    """Every currency against the dollar by way of the euro; nothing rounded on the way."""
    found = parse(one_day(REAL), TODAY)
    assert found.problems == ()
    assert {rate.currency: (rate.units, rate.usd) for rate in found.rates} == {
        "EUR": (Decimal(1), Decimal("1.0705")),
        **{
            name: (Decimal(text), Decimal("1.0705")) for name, text in REAL.items() if name != "USD"
        },
    }
    saturday = day_ns(FRIDAY) + NS_PER_DAY
    assert {(rate.on, rate.from_ns, rate.source) for rate in found.rates} == {
        (FRIDAY, saturday, SOURCE)
    }
    assert not any(rate.pegged for rate in found.rates)
    yen = Rates(found.rates).to_usd(Decimal("1719.4"), "JPY", saturday)
    assert yen is not None
    assert yen.usd == Decimal("10.705")


def test_the_history_s_days_follow_each_other() -> None:
    """The same form with several days, the latest first; a day's are used from its end on.

    A weekend has Friday's, and so has Monday, until its own are out.
    """
    body_of_three = page(
        day("2024-07-01", [("USD", "1.0746")]),
        day("2024-06-28", [("USD", "1.0705")]),
        day("2024-06-27", [("USD", "1.0696")]),
    )
    rates = Rates(parse(body_of_three, date(2024, 7, 1)).rates)
    for on, expected in (
        (date(2024, 6, 28), "1.0696"),
        (date(2024, 6, 29), "1.0705"),
        (date(2024, 6, 30), "1.0705"),
        (date(2024, 7, 1), "1.0705"),
        (date(2024, 7, 2), "1.0746"),
    ):
        for instant in (day_ns(on), day_ns(on) + NS_PER_DAY - 1):
            rate = rates.at("EUR", instant)
            assert rate is not None
            assert rate.usd == Decimal(expected)
    assert rates.at("EUR", day_ns(date(2024, 6, 28)) - 1) is None


def test_the_longest_holidays_leave_no_rate_stale() -> None:
    """Easter: Thursday's rate is used until Wednesday, when Tuesday's is; a missing day is told."""
    thursday, easter_tuesday = date(2024, 3, 28), date(2024, 4, 2)
    body_of_two = page(*(day(str(on), [("USD", "1.08")]) for on in (easter_tuesday, thursday)))
    rates = Rates(parse(body_of_two, easter_tuesday).rates)
    last = rates.at("EUR", day_ns(date(2024, 4, 3)) - 1)
    assert last is not None
    assert last.on == thursday
    assert not last.is_stale(day_ns(date(2024, 4, 3)) - 1)
    tuesdays = rates.at("EUR", day_ns(date(2024, 4, 10)))
    assert tuesdays is not None
    assert tuesdays.is_stale(day_ns(date(2024, 4, 10)))


@pytest.mark.parametrize(
    ("prolog", "name"),
    [
        ("<!DOCTYPE x>", "a document type alone"),
        ("<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>", "entities in entities"),
        ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", "a file of this host"),
        ("<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'>", "a document type of somewhere else"),
        ("<!DOCTYPE x [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/x'> %p;]>", "a parameter entity"),
    ],
)
def test_a_document_type_is_refused(prolog: str, name: str) -> None:
    """And with it every entity: nothing is expanded, opened or asked for."""
    text = one_day(REAL).decode().replace("?>\n", f"?>\n{prolog}\n", 1)
    with pytest.raises(PriceSourceError, match="a document type is refused"):
        parse(text.encode(), TODAY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not XML"),
        (b"{}", "not XML"),
        (b"<html><body>404</body></html>", "no rates in it"),
        (b"<a>&b;</a>", "not XML"),
        (b"\xff\xfe\x00", "not XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "not XML: unknown encoding"),
        (b'<?xml version="1.0" encoding="big5"?><a/>', "not XML: unknown encoding"),
        (b"<a>" * 5, "nested too deep"),
        (one_day(REAL)[:-20], "not XML"),
        (one_day({}), "2024-06-28: no rate of the dollar"),
        (one_day({"JPY": "171.94"}), "2024-06-28: no rate of the dollar"),
        (one_day({"USD": "0"}), "'USD' at '0' is no rate"),
        (one_day(DOLLAR, "2024-07-02"), "'2024-07-02' is no day, or one of the future"),
        (one_day(DOLLAR, "2024-02-30"), "is no day"),
        (one_day(DOLLAR, "20240628"), "is no day"),
        (one_day(DOLLAR, "1998-12-31"), "is no day"),
        (one_day(DOLLAR, ""), "'' is no day"),
        (page(), "no rates in it"),
        (b" " * (MAX_BYTES + 1), "more than 524288 bytes"),
    ],
)
def test_what_is_not_the_bank_s_file_is_an_error(content: bytes, message: str) -> None:
    """In one line."""
    with pytest.raises(PriceSourceError, match=message) as caught:
        parse(content, TODAY)
    assert str(caught.value).startswith(SOURCE)
    assert "\n" not in str(caught.value)


def test_the_first_day_of_the_euro_and_tomorrow_are_days() -> None:
    """The bank's day may have begun before ours."""
    for text in ("1999-01-01", "2024-07-01"):
        assert len(parse(one_day(DOLLAR, text), TODAY).rates) == 1


@pytest.mark.parametrize(
    "row",
    [
        ("JPY", ""),
        ("JPY", "-1"),
        ("JPY", "0.000"),
        ("JPY", "1e3"),
        ("JPY", "1,5"),
        ("JPY", " 1"),
        ("JPY", "NaN"),
        ("JPY", "١٢"),
        ("JPY", "1."),
        ("JPY", "9999999999"),
        ("JPY", "1.0000000001"),
        ("jpy", "1"),
        ("YEN!", "1"),
        ("", "1"),
        ("EUR", "1"),
    ],
)
def test_a_row_that_is_no_rate_is_left_out_and_told(row: tuple[str, str]) -> None:
    """The others are used."""
    found = parse(page(day("2024-06-28", [("USD", "1.5"), row, ("GBP", "0.8")])), TODAY)
    assert [rate.currency for rate in found.rates] == ["EUR", "GBP"]
    assert details(found).endswith("is no rate")


def test_the_ends_of_rates_are_rates() -> None:
    """Nine digits on each side of the point."""
    found = parse(one_day({"USD": "1", "AAA": "999999999.999999999", "BBB": "0.000000001"}), TODAY)
    assert [rate.units for rate in found.rates] == [
        *(Decimal(1), Decimal("999999999.999999999"), Decimal("0.000000001"))
    ]


def test_a_currency_that_is_there_twice_is_not_believed() -> None:
    """Neither of the two; and without a dollar there is nothing."""
    rows = [("USD", "1.5"), ("GBP", "0.8"), ("GBP", "0.8"), ("JPY", "170")]
    found = parse(page(day("2024-06-28", rows)), TODAY)
    assert [rate.currency for rate in found.rates] == ["EUR", "JPY"]
    assert details(found) == "2024-06-28: GBP is there twice; 2024-06-28: GBP is there twice"
    with pytest.raises(PriceSourceError, match="USD is there twice"):
        parse(page(day("2024-06-28", [*rows, ("USD", "1.6")])), TODAY)


def test_a_bad_day_leaves_the_good_ones() -> None:
    """And is told."""
    found = parse(
        page(day("2025-01-01", [("USD", "2")]), day("2024-06-27", [("USD", "1.5")])), TODAY
    )
    assert [(rate.currency, rate.on) for rate in found.rates] == [("EUR", date(2024, 6, 27))]
    assert details(found) == "'2025-01-01' is no day, or one of the future"


def test_there_are_limits_to_days_currencies_and_problems() -> None:
    """What is beyond them is left out and told."""
    names = [f"{a}{b}C" for a in "ABCDEFGH" for b in "ABCDEFGHI"]
    most = [("USD", "1.5"), *((name, "2") for name in names[: MAX_CURRENCIES - 1])]
    assert len(parse(page(day("2024-06-28", most)), TODAY).rates) == MAX_CURRENCIES
    with pytest.raises(PriceSourceError, match=f"more than {MAX_CURRENCIES} currencies"):
        parse(page(day("2024-06-28", [*most, ("ZZZ", "2")])), TODAY)
    days = [day(f"2023-{1 + n // 28:02}-{1 + n % 28:02}", [("USD", "1")]) for n in range(101)]
    assert parse(page(*days[:MAX_DAYS]), TODAY).problems == ()
    found = parse(page(*days), TODAY)
    assert (len(found.rates), details(found)) == (MAX_DAYS, f"more than {MAX_DAYS} days")
    bad = [(f"x{n}", "1") for n in range(MAX_PROBLEMS + 1)]
    found = parse(page(day("2024-06-28", [("USD", "1.5"), *bad])), TODAY)
    assert len(found.problems) == MAX_PROBLEMS


def test_rates_are_where_the_bank_puts_them() -> None:
    """Rows that stand elsewhere, outside of a day or in another element, are none."""
    row = "<Cube currency='USD' rate='1.5'/>"
    for text in (row, f"<Cube>{row}</Cube>", f"<Box time='2024-06-28'>{row}</Box>"):
        with pytest.raises(PriceSourceError, match="no rates in it"):
            parse(page(text), TODAY)


def usable(content: bytes) -> bool:
    """Whether anything could be used of it; an error is in one line."""
    try:
        found = parse(content, TODAY)
    except PriceSourceError as error:
        return not str(error).isprintable()
    return all(rate.units > 0 and rate.usd > 0 for rate in found.rates)


@given(st.binary(min_size=1, max_size=300))
def test_junk_is_an_error_and_nothing_else(junk: bytes) -> None:
    """Alone, in the middle of a good file, and after half of one."""
    good = one_day(REAL)
    assert usable(good)
    assert not usable(junk)
    assert not usable(good[: len(good) // 2] + junk)
    usable(good[:400] + junk + good[400:])


def test_a_file_is_read_from_a_disk(tmp_path: Path) -> None:
    """As it was downloaded."""
    file = tmp_path / "eurofxref-daily.xml"
    file.write_bytes(one_day(REAL))
    assert read_file(file, TODAY) == parse(one_day(REAL), TODAY)


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Nothing there, a folder, a pipe that nobody writes to, too large."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b" " * (MAX_BYTES + 1))
    for name, message in (
        ("none", "none cannot be read: No such file"),
        ("pipe", "pipe is no file"),
        ("large", "large is larger than 524288 bytes"),
    ):
        with pytest.raises(PriceSourceError, match=message):
            read_file(tmp_path / name, TODAY)
    with pytest.raises(PriceSourceError):
        read_file(tmp_path, TODAY)


def test_the_bank_is_asked_through_the_one_client() -> None:
    """In time, or not at all."""
    with raw_server(body(one_day(REAL))) as server:
        found = read_url(TODAY, 30, server.url)
        assert found == parse(one_day(REAL), TODAY)
        with pytest.raises(PriceSourceError, match="no whole answer in time"):
            read_url(TODAY, 0, server.url)


def test_an_answer_that_is_too_large_or_leads_elsewhere_is_an_error() -> None:
    """Never followed, never read to its end."""
    elsewhere = (
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    )
    for answer, message in (
        (sends(elsewhere), "HTTP 302 to"),
        (body(b" " * (MAX_BYTES + 1)), "larger than 524288 bytes"),
    ):
        with raw_server(answer) as server, pytest.raises(PriceSourceError, match=message):
            read_url(TODAY, 30, server.url)
