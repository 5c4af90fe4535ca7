"""The built-in rate card: what it says, that it is well-formed, and for whom its prices hold."""

import csv
import itertools
import os
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.collectors.price_sources import rate_card
from unitcost.collectors.price_sources.rate_card import (
    COLUMNS,
    CardRow,
    Options,
    make_source,
    parse_rate_card,
    read_rate_card,
)
from unitcost.collectors.reference.siblings import read_siblings
from unitcost.collectors.reference.table import BadTable, start_ns
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, Quote
from unitcost.pricing.resolve import Offered, Rank, Resolution, Why, resolve

NOW = datetime(2026, 11, 26, tzinfo=UTC)
AWS, AZURE, GCP, TPU = "2026-07-20", "2026-06-18", "2026-07-30", "2024-12-23"

# Facts, written down apart from the card: provider, region, instance type, USD an hour, as of.
FACTS = [
    ("aws", "us-east-1", "p5.48xlarge", "55.04", AWS),
    ("aws", "us-east-1", "p5.4xlarge", "6.88", AWS),
    ("aws", "us-east-1", "p5en.48xlarge", "63.296", AWS),
    ("aws", "us-east-1", "p4d.24xlarge", "21.957642", AWS),
    ("aws", "us-east-1", "p4de.24xlarge", "27.44705", AWS),
    ("aws", "us-east-1", "p3.2xlarge", "3.06", AWS),
    ("aws", "us-east-1", "p3dn.24xlarge", "31.212", AWS),
    ("aws", "us-east-1", "g6e.xlarge", "1.861", AWS),
    ("aws", "us-east-1", "g6e.48xlarge", "30.13118", AWS),
    ("aws", "us-east-1", "g6.xlarge", "0.8048", AWS),
    ("aws", "us-east-1", "g6.12xlarge", "4.6016", AWS),
    ("aws", "us-east-1", "g5.xlarge", "1.006", AWS),
    ("aws", "us-east-1", "g5.48xlarge", "16.288", AWS),
    ("aws", "us-east-1", "g4dn.xlarge", "0.526", AWS),
    ("aws", "us-east-1", "g4dn.metal", "7.824", AWS),
    ("aws", "us-east-1", "inf2.48xlarge", "12.98127", AWS),
    ("aws", "us-east-1", "inf1.24xlarge", "4.721", AWS),
    ("aws", "us-east-1", "trn1.32xlarge", "21.5", AWS),
    ("aws", "us-east-1", "trn1n.32xlarge", "24.78", AWS),
    ("aws", "us-east-1", "dl1.24xlarge", "13.10904", AWS),
    ("aws", "us-east-1", "m5.xlarge", "0.192", AWS),
    ("aws", "us-east-1", "c7i.4xlarge", "0.714", AWS),
    ("azure", "eastus", "Standard_NC4as_T4_v3", "0.526", AZURE),
    ("azure", "eastus", "Standard_NC24ads_A100_v4", "3.673", AZURE),
    ("azure", "eastus", "Standard_NC40ads_H100_v5", "6.98", AZURE),
    ("azure", "eastus", "Standard_ND96isr_H100_v5", "98.32", AZURE),
    ("azure", "eastus", "Standard_ND96asr_v4", "27.197", AZURE),
    ("azure", "eastus", "Standard_ND40rs_v2", "22.032", AZURE),
    ("azure", "eastus", "Standard_NV36ads_A10_v5", "3.2", AZURE),
    ("azure", "eastus", "Standard_D8s_v5", "0.384", AZURE),
    ("azure", "westeurope", "Standard_ND96isr_H100_v5", "127.816", AZURE),
    ("azure", "westeurope", "Standard_NC24ads_A100_v4", "4.775", AZURE),
    ("azure", "uaenorth", "Standard_ND96isr_H100_v5", "140.598", AZURE),
    ("azure", "uaenorth", "Standard_ND96isr_H200_v5", "121.264", AZURE),
    ("azure", "uaenorth", "Standard_ND96isr_MI300X_v5", "68.64", AZURE),
    ("azure", "uaenorth", "Standard_NC40ads_H100_v5", "9.98", AZURE),
    ("azure", "uaecentral", "Standard_ND96amsr_A100_v4", "60.919", AZURE),
    ("azure", "qatarcentral", "Standard_NV36ads_A10_v5", "4.576", AZURE),
    ("azure", "israelcentral", "Standard_NC4as_T4_v3", "0.724", AZURE),
    ("azure", "swedencentral", "Standard_ND96isr_H200_v5", "110.272", AZURE),
    ("gcp", "us-central1", "a2-highgpu-1g", "3.673385", GCP),
    ("gcp", "us-central1", "a2-ultragpu-8g", "40.550383123", GCP),
    ("gcp", "us-central1", "a3-highgpu-8g", "88.489999903", GCP),
    ("gcp", "us-central1", "g2-standard-4", "0.706832255", GCP),
    ("gcp", "us-central1", "g2-standard-96", "8.003330296", GCP),
    ("gcp", "us-central1", "n2-standard-8", "0.388472", GCP),
    ("gcp", "us-central1", "ct5lp-hightpu-4t", "4.8", TPU),
    ("gcp", "us-east5", "ct5p-hightpu-4t", "16.8", TPU),
    ("gcp", "europe-west4", "a2-ultragpu-1g", "5.580918479", GCP),
    ("gcp", "europe-west4", "ct5lp-hightpu-8t", "12.48", TPU),
    ("gcp", "me-central1", "a3-highgpu-8g", "107.515357406", GCP),
    ("gcp", "me-central2", "a3-highgpu-8g", "141.583993643", GCP),
    ("gcp", "me-central2", "a2-ultragpu-1g", "8.110076625", GCP),
    ("gcp", "me-west1", "g2-standard-4", "0.777515508", GCP),
]

# Prices that really changed: type, old price, its last day, new price, its first day.
CHANGES = [
    ("aws", "us-east-1", "p5.48xlarge", "98.32", "2025-05-31", "55.04", "2025-06-01"),
    ("aws", "us-east-1", "p4d.24xlarge", "32.7726", "2025-05-31", "21.957642", "2025-06-01"),
    ("aws", "us-east-1", "p4de.24xlarge", "40.96575", "2025-05-31", "27.44705", "2025-06-01"),
    ("aws", "us-east-1", "p5en.48xlarge", "84.8", "2025-05-31", "63.296", "2025-06-01"),
    (
        *("azure", "uaenorth", "Standard_ND96isr_MI300X_v5"),
        *("126.538", "2024-12-13", "68.64", "2025-05-16"),
    ),
    (
        *("azure", "swedencentral", "Standard_ND96isr_H200_v5"),
        *("153.44", "2024-12-13", "110.272", "2025-05-16"),
    ),
]


def ns(day: str) -> int:
    """When a day begins, in nanoseconds of Unix time."""
    return start_ns(date.fromisoformat(day))


def host(
    provider: str,
    region: str,
    sku: str,
    model: PriceModel | None = PriceModel.ON_DEMAND,
    zone: str = "",
) -> HostIdentity:
    """A host of which everything that matters is known."""
    return HostIdentity(provider=provider, region=region, zone=zone, sku=sku, model=model)


def offered(identity: HostIdentity) -> Sequence[Quote]:
    """What the source, made as the exporter makes it, says to a host."""
    source = make_source(Options(), SourceContext(Path("/"), lambda: 0))
    assert (source.name, source.rank) == ("rate_card", Rank.RATE_CARD)
    return source.quotes(identity, 0.0)


def resolved(identity: HostIdentity) -> Resolution:
    """What becomes of that."""
    return resolve(identity, [Offered(Rank.RATE_CARD, offered(identity))])


def priced_now(resolution: Resolution) -> Quote | None:
    """The price in force today."""
    chosen = resolution.at(int(NOW.timestamp()) * 1_000_000_000)
    return None if chosen is None else chosen.quote


@pytest.fixture(scope="module")
def card() -> tuple[CardRow, ...]:
    """The card that comes with the exporter."""
    return read_rate_card()


def test_there_are_facts_enough_of_all_three_clouds() -> None:
    """At least forty, and no cloud with a few for show."""
    assert len({fact[:3] for fact in FACTS}) == len(FACTS) >= 40
    for provider in ("aws", "azure", "gcp"):
        assert sum(fact[0] == provider for fact in FACTS) >= 10


@pytest.mark.parametrize(("provider", "region", "sku", "price", "as_of"), FACTS)
def test_a_real_instance_type_has_its_real_price(
    provider: str, region: str, sku: str, price: str, as_of: str
) -> None:
    """To the last digit, with where it comes from and of which day it is."""
    quote = priced_now(resolved(host(provider, region, sku)))
    assert quote is not None
    assert (quote.per_hour, quote.key.currency) == (Decimal(price), "USD")
    assert (quote.as_of_ns, quote.known_at_ns) == (ns(as_of), ns(as_of))
    assert quote.source.endswith(f" {as_of}")


@pytest.mark.parametrize(("provider", "region", "sku", "price", "as_of"), FACTS)
def test_a_neighbour_of_it_has_not(
    provider: str, region: str, sku: str, price: str, as_of: str
) -> None:
    """Neither in another region, nor as spot or under unknown terms, nor in another size."""
    nowhere = resolved(host(provider, "us-nowhere-9", sku))
    assert nowhere.chosen == ()
    assert {rejected.why for rejected in nowhere.rejected} == {Why.REGION}
    for model in (PriceModel.SPOT, PriceModel.RESERVED, PriceModel.CAPACITY_BLOCK):
        other_terms = resolved(host(provider, region, sku, model))
        assert other_terms.chosen == ()
        assert Why.MODEL in {rejected.why for rejected in other_terms.rejected}
    assert resolved(host(provider, region, sku, None)).chosen == ()
    assert resolved(host(provider, region, f"{sku}0")).chosen == ()
    assert resolved(host(provider, region, sku.swapcase())).chosen == ()


def test_the_same_type_costs_what_its_own_region_says() -> None:
    """Three regions, three prices, and the other two are told as what they are."""
    resolution = resolved(host("azure", "uaenorth", "Standard_ND96isr_H100_v5"))
    assert [chosen.quote.per_hour for chosen in resolution.chosen] == [Decimal("140.598")]
    others = {(each.quote.key.region, each.why) for each in resolution.rejected}
    assert {("eastus", Why.REGION), ("westeurope", Why.REGION)} <= others


def test_a_zone_has_the_price_of_its_region() -> None:
    """On-demand prices are a whole region's."""
    quote = priced_now(resolved(host("aws", "us-east-1", "p5.48xlarge", zone="us-east-1d")))
    assert quote is not None
    assert quote.per_hour == Decimal("55.04")


@pytest.mark.parametrize(("provider", "region", "sku", "old", "last", "new", "first"), CHANGES)
def test_a_price_that_changed_holds_when_it_held(
    provider: str, region: str, sku: str, old: str, last: str, new: str, first: str
) -> None:
    """The old one until it ended, the new one from its first instant; in a gap none."""
    resolution = resolved(host(provider, region, sku))
    day_ns = 86_400 * 1_000_000_000
    before, after = resolution.at(ns(last) + day_ns - 1), resolution.at(ns(first))
    assert before is not None
    assert before.quote.per_hour == Decimal(old)
    assert after is not None
    assert after.quote.per_hour == Decimal(new)
    if ns(first) > ns(last) + day_ns:
        assert resolution.at(ns(last) + day_ns) is None
        assert resolution.at(ns(first) - 1) is None
    assert resolution.at(0) is None


def test_a_host_of_nobody_we_know_is_not_here() -> None:
    """A laptop, another provider, and one that is not asked for by the name we know it under."""
    for provider in ("", "lambda", "AWS"):
        with pytest.raises(NotHere):
            offered(host(provider, "us-east-1", "p5.48xlarge"))


def test_machine_types_that_may_have_more_than_they_say_are_not_in_the_card(
    card: tuple[CardRow, ...],
) -> None:
    """GPUs are attached to GCP's N1 and are not in its price."""
    assert not [row for row in card if row.quote.key.sku.startswith("n1-")]
    assert resolved(host("gcp", "us-central1", "n1-standard-8")).chosen == ()


def test_a_card_that_is_broken_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a card without the bad row."""
    monkeypatch.setattr(rate_card, "FILE", "no_such_card.csv")
    with pytest.raises(PriceSourceError, match=r"no_such_card\.csv"):
        offered(host("aws", "us-east-1", "p5.48xlarge"))


# What the card as a whole must be.


def test_the_card_is_small_and_each_row_says_who_and_when(card: tuple[CardRow, ...]) -> None:
    """At most 300 rows, written from facts; the accelerators of the field are among them."""
    assert 200 <= len(card) <= 300
    for row in card:
        assert row.quote.source.endswith(f" {row.as_of}")
        assert date(2022, 1, 1) <= row.as_of <= NOW.date()
        assert row.quote.key.model is PriceModel.ON_DEMAND
        assert row.note
    notes = " ".join(row.note for row in card)
    accelerators = "H200 H100 A100 A10 A10G L4 L40S T4 V100 MI300X Gaudi"
    for name in [*accelerators.split(), "TPU v5e", "TPU v5p", "Inferentia", "Trainium"]:
        assert f"x {name}" in notes


def test_the_card_is_sorted_without_overlaps(card: tuple[CardRow, ...]) -> None:
    """Of one kind of host there is one price at a time, and the last one has no end."""
    quotes = [row.quote for row in card]
    assert quotes == sorted(quotes, key=lambda each: (each.key, each.valid_from_ns))
    of_kind: dict[object, list[Quote]] = defaultdict(list)
    for quote in quotes:
        of_kind[quote.key].append(quote)
    for several in of_kind.values():
        for before, after in itertools.pairwise(several):
            assert before.valid_to_ns is not None
            assert before.valid_to_ns <= after.valid_from_ns
        assert several[-1].valid_to_ns is None
    assert sum(len(several) > 1 for several in of_kind.values()) >= 6


def test_the_page_says_how_much_is_in_the_card(root: Path, card: tuple[CardRow, ...]) -> None:
    """And in which regions."""
    page = (root / "docs/prices.md").read_text(encoding="utf-8")
    assert f"{len(card)} list prices" in page
    assert f"price {len(FACTS)} instance" in page
    assert {row.quote.key.region for row in card if row.quote.key.region not in page} == set()


# What is refused.

GOOD = "aws,us-east-1,p5.48xlarge,on_demand,USD,55.04,2025-06-01,,2026-07-20,List 2026-07-20,H100"
OLDER = (
    "aws,us-east-1,p5.48xlarge,on_demand,USD,98.32,2023-12-11,2025-06-01,2025-04-28,L 2025-04-28,"
)
HEADER = ",".join(COLUMNS)


def card_of(*lines: str) -> str:
    """A card with these rows."""
    return "\n".join((HEADER, *lines)) + "\n"


def test_a_good_card_is_read() -> None:
    """What the bad ones below differ from by one thing."""
    older, newer = parse_rate_card(card_of(OLDER, GOOD))
    assert (older.quote.valid_to_ns, newer.quote.valid_from_ns) == (ns("2025-06-01"),) * 2
    assert (newer.quote.per_hour, newer.note) == (Decimal("55.04"), "H100")


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("55.04", "-55.04", "per_hour"),
        ("55.04", "NaN", "per_hour"),
        ("55.04", "inf", "per_hour"),
        ("55.04", "5.5e1", "per_hour"),
        ("55.04", "55,04", "cells"),
        ("55.04", '"55,04"', "per_hour"),
        ("55.04", "055.04", "per_hour"),
        ("55.04", "$55.04", "per_hour"),
        ("55.04", " 55.04", "per_hour"),
        ("55.04", "\u0665\u0665", "per_hour"),
        ("55.04", "", "per_hour is empty"),
        ("55.04", "0", "free"),
        ("55.04", "99999999", "1000000"),
        ("on_demand", "spot", "on-demand"),
        ("on_demand", "On_Demand", "on-demand"),
        ("on_demand", "", "model is empty"),
        ("USD", "usd", "currency"),
        ("USD", "US", "currency"),
        ("us-east-1", "", "region is empty"),
        ("p5.48xlarge", "", "sku is empty"),
        ("p5.48xlarge", "p5\x07", "plain text"),
        ("p5.48xlarge", "p" * 161, "plain text"),
        ("p5.48xlarge", "p" * 150, "too long"),
        ("aws", "", "provider is empty"),
        ("2025-06-01", "2025-02-30", "valid_from"),
        ("2025-06-01", "20250601", "valid_from"),
        ("2025-06-01", "2025-W23-1", "valid_from"),
        ("2025-06-01", "1969-12-31", "valid_from"),
        ("2025-06-01", "2026-07-21", "holds"),
        ("2025-06-01", "", "valid_from is empty"),
        (",,2026-07-20", ",2026-07-20,2026-07-20", "holds"),
        (",,2026-07-20", ",,", "as_of is empty"),
        ("List 2026-07-20", "List", "source must end"),
        ("List 2026-07-20", "", "source is empty"),
        ("List 2026-07-20", '"List 2026-07-20', "line 2"),
        (",H100", "", "cells"),
        (",H100", ",H100,more", "cells"),
    ],
)
def test_one_bad_cell_and_the_card_is_refused(good: str, bad: str, said: str) -> None:
    """Nothing is mended or guessed; the line and the mistake are told."""
    assert GOOD.count(good) == 1 or good == ",,2026-07-20"
    with pytest.raises(BadTable, match=r"rate_card\.csv.*line 2") as error:
        parse_rate_card(card_of(GOOD.replace(good, bad)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((GOOD, GOOD), "not sorted"),
        ((GOOD, OLDER), "not sorted"),
        ((GOOD.replace("aws", "gcp"), OLDER), "not sorted"),
        ((OLDER.replace(",2025-06-01,", ",2025-06-02,"), GOOD), "begins before"),
        ((OLDER.replace(",2025-06-01,", ",,"), GOOD), "begins before"),
        ((), "no rows"),
        ((GOOD, ""), "cells"),
    ],
)
def test_rows_that_do_not_go_together_are_refused(lines: tuple[str, ...], said: str) -> None:
    """Twice the same, out of order, two prices at a time, or nothing at all."""
    with pytest.raises(BadTable, match=said):
        parse_rate_card(card_of(*lines))


def test_other_columns_and_too_many_rows_are_refused() -> None:
    """The card is what it says it is, and small."""
    with pytest.raises(BadTable, match="columns"):
        parse_rate_card(card_of(GOOD).replace("per_hour", "price"))
    with pytest.raises(BadTable, match="no rows"):
        parse_rate_card("")
    many = [GOOD.replace("p5.48xlarge", f"p5.{size:04}") for size in range(301)]
    assert len(parse_rate_card(card_of(*many[:300]))) == 300
    with pytest.raises(BadTable, match="more than 300"):
        parse_rate_card(card_of(*many))


@given(st.text(max_size=200))
def test_junk_is_refused_and_nothing_else_happens(junk: str) -> None:
    """Whatever is in the place of the card, or under its header."""
    for text in (junk, f"{HEADER}\n{junk}"):
        with pytest.raises(BadTable):
            parse_rate_card(text)


# The card against the tables its figures were picked from, where those are at hand.


@pytest.fixture(scope="module")
def tables() -> Path:
    """The folder with them."""
    folder = os.environ.get("UNITCOST_PRICE_TABLES")
    if not folder:
        pytest.skip("UNITCOST_PRICE_TABLES names no folder with large price tables")
    return Path(folder)


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of one of them."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_row_that_holds_now_is_in_the_large_table(
    tables: Path, card: tuple[CardRow, ...]
) -> None:
    """Same price on the same day; a TPU host costs its chips."""
    known = {
        (row["cloud"], row["region"], row["instance_type"]): row
        for row in table(tables, "gpu_instances.csv")
    }
    chips = {"ct5lp": "tpu-v5litepod-1", "ct5p": "tpu-v5p-1chip"}
    # Siblings of GPU instances, which nobody asks for by themselves, are not in the large table.
    alone = {(row.provider, row.sibling.sku) for row in read_siblings()}
    current = [
        row
        for row in card
        if row.quote.valid_to_ns is None
        and (
            (row.quote.key.provider, row.quote.key.sku) not in alone
            or (row.quote.key.provider, row.quote.key.region, row.quote.key.sku) in known
        )
    ]
    for row in current:
        key, count = row.quote.key, Decimal(1)
        family, sku = key.sku.split("-")[0], key.sku
        if family in chips:
            sku, count = chips[family], Decimal(key.sku.rsplit("-", 1)[1].removesuffix("t"))
        fact = known[(key.provider, key.region, sku)]
        assert row.quote.per_hour == Decimal(fact["price_usd_hour"]) * count, key
        assert str(row.as_of) == fact["as_of"], key
    assert len(current) > 200


def test_each_row_agrees_with_what_was_observed_over_time(
    tables: Path, card: tuple[CardRow, ...]
) -> None:
    """It holds on each day on which its price was seen, and on no day on which another was."""
    seen: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for fact in table(tables, "price_history.csv"):
        if fact["price_model"] == "ondemand":
            seen[(fact["cloud"], fact["region"], fact["instance_type"])].append(fact)
    checked = 0
    for row in card:
        key, quote = row.quote.key, row.quote
        for fact in seen[(key.provider, key.region, key.sku)]:
            first, last = ns(fact["first_observed"]), ns(fact["last_observed"])
            same = quote.per_hour == Decimal(fact["price_usd_hour"])
            overlap = first < (quote.valid_to_ns or 2**63) and quote.valid_from_ns <= last
            assert same == overlap, (key, fact)
            assert not same or (quote.covers(first) and quote.covers(last)), (key, fact)
            checked += same
    assert checked >= 50
