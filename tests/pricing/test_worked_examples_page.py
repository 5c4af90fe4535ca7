"""docs/worked-examples.md: every number on it, computed from the page's own inputs."""

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.pricing.examples_computed import COMPUTED
from tests.pricing.examples_page import NUMBER, PAGE, Page, number, parse, plain

D = Decimal


@pytest.fixture(scope="module")
def page(root: Path) -> Page:
    """The page as it is."""
    return parse((root / PAGE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("heading", COMPUTED)
def test_each_row_is_what_the_code_computes(page: Page, heading: str) -> None:
    """From the row's first cell and the assumptions; all other cells are results."""
    table = page.tables[heading]
    assert table.rows
    for row in table.rows:
        results = COMPUTED[heading](page, row)
        shown = [each if isinstance(each, str) else plain(each) for each in results]
        assert [row[0], *shown] == row


def test_every_table_is_computed_or_assumed(page: Page) -> None:
    """There is no other number on the page."""
    assumed = {name for name, table in page.tables.items() if table.header[0] == "assumption"}
    assert set(page.tables) == assumed | set(COMPUTED)
    assert not assumed & set(COMPUTED)


def test_every_number_in_the_text_is_in_a_table(page: Page) -> None:
    """Or in the header of one, or is a year; what is said in words is the same as in figures."""
    cells = [cell for table in page.tables.values() for row in table.rows for cell in row]
    cells += [cell for table in page.tables.values() for cell in table.header]
    known = {number(each) for cell in cells for each in NUMBER.findall(cell)}
    # 40 % is 2 over the life; 0.30 is the clocks' tariff, read from the text by its test.
    known |= {D(2) / page.given("The owned host", "life, years") * 100, D("0.30")}
    told = {number(each) for each in NUMBER.findall(page.prose)}
    assert {each for each in told - known if not 2000 <= each <= 2100} == set()


def short_rows(page: Page) -> list[list[str]]:
    """The summary's."""
    return page.tables["In short"].rows


def test_what_the_field_says_is_on_the_page(page: Page) -> None:
    """The ranges that people quote, each with what it comes to."""

    def firsts(heading: str) -> list[Decimal]:
        return [number(row[0]) for row in page.tables[heading].rows]

    months = [row[2] for row in page.tables["Requests at scale"].rows]
    assert months == ["300,000", "3,000,000"]
    gpus = firsts("From the GPU-hour to the request")
    assert (min(gpus), max(gpus)) == (D(2), D(10))
    kwh = firsts("From the kilowatt-hour to the GPU-hour")
    assert (min(kwh), max(kwh)) == (D("0.10"), D("0.30"))
    off = firsts("What is left of a discount")
    assert (min(off), max(off)) == (D(60), D(80))
    saved = firsts("What that is worth a month")
    assert (min(saved), max(saved)) == (D(50), D(90))
    grids = [row[1] for row in page.tables["What it emits"].rows]
    assert f"{grids[0]} to {grids[-1]} grams" in short_rows(page)[-1][0]
    ends = [re.findall(r"[\d.]+", row[0].partition(" to ")[0])[-1] for row in short_rows(page)]
    assert ends == ["0.001", "2", "60", "0.10", "50", grids[0]]


def test_the_price_of_the_spot_example_is_on_the_rate_card(page: Page, root: Path) -> None:
    """It is a real one, of that type and region, from that month on."""
    with open(root / "collectors/price_sources/rate_card.csv", encoding="utf-8") as card:
        (row,) = (
            each
            for each in csv.DictReader(card)
            if (each["region"], each["sku"]) == ("us-east-1", "p5.48xlarge")
            and each["valid_from"] == "2025-06-01"
        )
    assert D(row["per_hour"]) == page.given("Spot", "on demand, USD an hour")


def test_a_wrong_number_on_the_page_is_found(root: Path) -> None:
    """The checks above are not blind."""
    text = (root / PAGE).read_text(encoding="utf-8")
    wrong = parse(text.replace("| 300,000 |", "| 300,001 |"))
    with pytest.raises(AssertionError):
        test_each_row_is_what_the_code_computes(wrong, "Requests at scale")
    with pytest.raises(AssertionError):
        test_every_number_in_the_text_is_in_a_table(parse(text + "\nAbout 123.4 USD.\n"))
