"""The table of CPU-only siblings: facts, checked against the rate card, and strict."""

from decimal import Decimal

import pytest

from unitcost.collectors.gcp_machines import machine
from unitcost.collectors.price_sources.rate_card import read_rate_card
from unitcost.collectors.reference.siblings import (
    COLUMNS,
    MAX_ROWS,
    SiblingRow,
    parse_siblings,
    read_siblings,
    sibling_of,
)
from unitcost.collectors.reference.table import BadTable
from unitcost.pricing.money import PICO, to_pico
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resource import DEFAULT_SPLIT
from unitcost.pricing.sibling import Shape, Sibling

Prices = dict[tuple[str, str, str], Decimal]


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, str], SiblingRow]:
    """The table that comes with the exporter, by provider and type."""
    return {(row.provider, row.sku): row for row in read_siblings()}


@pytest.fixture(scope="module")
def prices() -> Prices:
    """What the rate card says now, by provider, region and type."""
    quotes = (row.quote for row in read_rate_card())
    current = (quote for quote in quotes if quote.valid_to_ns is None)
    return {(q.key.provider, q.key.region, q.key.sku): q.per_hour for q in current}


def by_sibling(prices: Prices, row: SiblingRow, region: str) -> Decimal | None:
    """What CPU and memory cost an hour by the sibling's price there; None where it has none."""
    price = prices.get((row.provider, region, row.sibling.sku))
    if price is None:
        return None
    pico = row.sibling.cpu_and_memory(to_pico(price), DEFAULT_SPLIT)
    return None if pico is None else Decimal(pico) / PICO


def test_a_sibling_is_found_by_provider_and_type_alone() -> None:
    """Of another provider's type of that name, of an unknown host and of a CPU host: none."""
    shape = Shape(Decimal(4), Decimal(16))
    found = sibling_of(HostIdentity("aws", "us-east-1", "", "g5.xlarge"))
    assert found == Sibling("m5ad.xlarge", shape, shape)
    assert sibling_of(HostIdentity("gcp", "us-east-1", "", "g5.xlarge")) is None
    assert sibling_of(HostIdentity("aws", "us-east-1", "", "m5.xlarge")) is None
    assert sibling_of(HostIdentity()) is None


def test_no_sibling_has_one_and_sizes_are_near(table: dict[tuple[str, str], SiblingRow]) -> None:
    """A sibling is no GPU instance; of what it lacks in memory at most two thirds are weighed."""
    assert len(table) >= 90
    for row in table.values():
        assert (row.provider, row.sibling.sku) not in table
        ours, theirs = row.sibling.host, row.sibling.shape
        assert ours is not None
        assert theirs is not None
        ratio = (ours.memory_gib / ours.vcpus) / (theirs.memory_gib / theirs.vcpus)
        assert Decimal("0.5") <= ratio <= Decimal("2.5"), row


def test_google_s_machines_are_as_large_as_the_catalogue_says(
    table: dict[tuple[str, str], SiblingRow],
) -> None:
    """Two tables of one fact."""
    compared = 0
    for row in table.values():
        for sku, shape in ((row.sku, row.sibling.host), (row.sibling.sku, row.sibling.shape)):
            made_of = machine(sku) if row.provider == "gcp" else None
            if made_of is not None and shape is not None:
                assert Shape(Decimal(made_of.cores), made_of.ram_gib) == shape, sku
                compared += 1
    assert compared > 40


def test_every_gpu_instance_of_the_card_whose_sibling_is_priced_costs_more(
    table: dict[tuple[str, str], SiblingRow], prices: Prices
) -> None:
    """In its region; and most of them have one there."""
    priced = missing = 0
    for provider, region, sku in prices:
        row = table.get((provider, sku))
        together = by_sibling(prices, row, region) if row else None
        if together is None:
            missing += row is not None
            continue
        priced += 1
        assert 0 < together < prices[provider, region, sku], (region, sku)
    assert priced > 120
    assert missing < 12


# What one GPU costs by the sibling, USD an hour in us-east-1: the same in every size. Of g4dn's
# sizes with one GPU the two largest cost more, which buys a larger disk or network.
AWS_GPUS = {"g4dn": "0.3", "g5": "0.8", "g6": "0.632", "p3": "2.528"}
DEARER = {"g4dn.8xlarge": "0.368", "g4dn.16xlarge": "0.736"}


@pytest.mark.parametrize("family", AWS_GPUS)
def test_by_its_sibling_aws_asks_the_same_for_a_gpu_in_every_size(
    family: str, table: dict[tuple[str, str], SiblingRow], prices: Prices
) -> None:
    """So that it is the right sibling: AWS made the price of just these two."""
    gpus = {
        row.quote.key.sku: int(row.note.split(" x ")[0])
        for row in read_rate_card()
        if row.quote.key.provider == "aws" and " x " in row.note
    }
    rows = [row for row in table.values() if row.sku.startswith(f"{family}.")]
    assert len(rows) >= 3
    for row in rows:
        together = by_sibling(prices, row, "us-east-1")
        assert together is not None
        each = (prices["aws", "us-east-1", row.sku] - together) / gpus[row.sku]
        assert each == Decimal(DEARER.get(row.sku, AWS_GPUS[family])), row.sku


# Google states what a vCPU and a GiB of its GPU machines cost: us-central1, USD an hour.
GOOGLE = {
    "a2-highgpu-1g": (12 * Decimal("0.031611") + 85 * Decimal("0.004237"), "0.001"),
    "g2-standard-32": (32 * Decimal("0.024988") + 128 * Decimal("0.002927"), "0.1"),
}


@pytest.mark.parametrize("sku", GOOGLE)
def test_google_s_own_prices_of_cpu_and_memory_are_near(
    sku: str, table: dict[tuple[str, str], SiblingRow], prices: Prices
) -> None:
    """A2's are N2's; G2's are between those of E2 and N2D."""
    stated, near = GOOGLE[sku]
    together = by_sibling(prices, table["gcp", sku], "us-central1")
    assert together is not None
    assert abs(together / stated - 1) < Decimal(near)


# What is refused.

HEADER = ",".join(COLUMNS)
GOOD = "aws,g5.xlarge,4,16,m5ad.xlarge,4,16,2026-07-20,List 2026-07-20,alike"
LATER = GOOD.replace("g5.xlarge", "g6.xlarge")


def table_of(*lines: str) -> str:
    """A table with these rows."""
    return "\n".join((HEADER, *lines)) + "\n"


def test_a_good_table_is_read() -> None:
    """What the bad ones below differ from by one thing."""
    one, other = parse_siblings(table_of(GOOD, LATER))
    assert (one.sku, one.sibling.sku, other.sku) == ("g5.xlarge", "m5ad.xlarge", "g6.xlarge")


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        (",4,16,m5ad", ",0,16,m5ad", "a machine has CPUs"),
        (",4,16,2026", ",4,0,2026", "a machine has CPUs"),
        (",4,16,m5ad", ",-4,16,m5ad", "vcpus"),
        (",4,16,m5ad", ",four,16,m5ad", "vcpus"),
        ("m5ad.xlarge", "g5.xlarge", "own sibling"),
        ("m5ad.xlarge", "", "sibling is empty"),
        ("aws", "", "provider is empty"),
        ("List 2026-07-20", "List", "source must end"),
        ("alike", "", "note is empty"),
        ("g5.xlarge", "", "sku is empty"),
    ],
)
def test_one_bad_cell_and_the_table_is_refused(good: str, bad: str, said: str) -> None:
    """With the line and the mistake."""
    assert GOOD.count(good) == 1
    with pytest.raises(BadTable, match=r"^cpu_siblings\.csv, line 2: ") as error:
        parse_siblings(table_of(GOOD.replace(good, bad)))
    assert said in str(error.value)
    assert str(error.value).count("line") == 1


@pytest.mark.parametrize("lines", [(GOOD, GOOD), (LATER, GOOD)])
def test_a_type_has_one_sibling(lines: tuple[str, ...]) -> None:
    """Sorted, so that a reader sees it."""
    with pytest.raises(BadTable, match="not sorted"):
        parse_siblings(table_of(*lines))


def test_too_many_rows_are_refused() -> None:
    """The table is written by hand."""
    many = [GOOD.replace("g5.xlarge", f"g5.{size:04}") for size in range(MAX_ROWS + 1)]
    assert len(parse_siblings(table_of(*many[:-1]))) == MAX_ROWS
    with pytest.raises(BadTable, match="more than"):
        parse_siblings(table_of(*many))
