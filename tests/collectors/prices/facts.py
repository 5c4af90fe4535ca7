"""Real prices (`facts.csv`), as each live source's own API would state them, among decoys."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.collectors.prices import test_aws_bulk as bulk
from tests.collectors.prices import test_aws_price_list as price_list
from tests.collectors.prices import test_azure_retail as azure
from tests.collectors.prices import test_gcp_catalogue as gcp
from tests.collectors.prices.asking import context, quotes
from tests.collectors.prices.web import Answer, Asked, ok, web
from unitcost.collectors.price_contract import PriceSource
from unitcost.collectors.price_sources import aws_bulk, azure_retail
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Offered, Resolution, resolve

HERE = Path(__file__).parent
PAGE_ROWS = 6


@dataclass(frozen=True)
class Fact:
    """One line of ``facts.csv``."""

    provider: str
    region: str
    sku: str
    terms: str
    currency: str
    per_hour: str
    source: str
    as_of: str

    @property
    def host(self) -> HostIdentity:
        """A host of that kind."""
        return HostIdentity(self.provider, self.region, "", self.sku, PriceModel(self.terms))

    @property
    def less(self) -> str:
        """What a decoy costs: a little less, so that whoever looks for the cheapest takes it."""
        return str(Decimal(self.per_hour) * Decimal("0.9"))

    def __str__(self) -> str:
        return f"{self.sku} {self.region} {self.terms}"


def table(name: str) -> list[dict[str, str]]:
    """The rows of a table beside this file."""
    with (HERE / name).open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


FACTS = [Fact(**row) for row in table("facts.csv")]
PARTS = table("facts_gcp_parts.csv")
Rows = dict[str, Any]
"""Decoys by class."""


# AWS, by its bulk list and by its Price List API: the same columns.


def aws_columns(fact: Fact) -> dict[str, dict[str, str]]:
    """By class: in which columns a decoy differs from the plain price."""
    metal = fact.sku.endswith(".metal")
    return {
        "Dedicated": {"tenancy": "Host" if metal else "Dedicated"},
        "Windows": {"system": "Windows"},
        "with software": {"software": "SQL Ent"},
        "Reservation": {"term": "Reserved"},
        "Capacity Block": {"market": "CapacityBlock"},
        "capacity reserved and unused": {"capacity": "UnusedCapacityReservation"},
        "another region": {"region": "us-east-2"},
        "another zone": {"region": f"{fact.region}-lax-1"},
        "another currency": {"currency": "CNY"},
        "another type": {"sku": f"{fact.sku}0"},
        "another unit": {"unit": "Quantity"},
        "another product": {"family": "Dedicated Host"},
        "free": {"price": "0.0000000000"},
    }


def bulk_row(fact: Fact, usd: str, **other: str) -> str:
    """A line of the bulk list."""
    metal = fact.sku.endswith(".metal")
    family = "Compute Instance (bare metal)" if metal else "Compute Instance"
    reserved = bulk.RESERVED if other.get("term") == "Reserved" else {}
    return bulk.row(
        **{
            "Instance_Type": other.get("sku", fact.sku),
            "Region_Code": other.get("region", fact.region),
            "PricePerUnit": other.get("price", usd),
            "Tenancy": other.get("tenancy", "Dedicated" if metal else "Shared"),
            "Product_Family": other.get("family", family),
            "Operating_System": other.get("system", "Linux"),
            "Pre_Installed_S_W": other.get("software", "NA"),
            "MarketOption": other.get("market", "OnDemand"),
            "CapacityStatus": other.get("capacity", "Used"),
            "Currency": other.get("currency", "USD"),
            "Unit": other.get("unit", "Hrs"),
            "PurchaseOption": "No Upfront" if reserved else "",
            **reserved,
        }
    )


def bulk_source(
    fact: Fact, rows: Sequence[str], folder: Path
) -> Iterator[tuple[PriceSource, Callable[[], int]]]:
    """The source, and how many pages it has read."""
    version = f"/offers/v1.0/aws/AmazonEC2/20261115170000/{fact.region}"
    with web(bulk.serving(bulk.listed(*rows), version)) as server:
        source = aws_bulk.make_source(aws_bulk.Options(url=server.url), context(folder))
        yield source, lambda: 1


def offer(fact: Fact, usd: Any, **other: str) -> Any:
    """A product of the Price List API."""
    metal = fact.sku.endswith(".metal")
    family = "Compute Instance (bare metal)" if metal else "Compute Instance"
    dimension = price_list.dimension(
        unit=other.get("unit", "Hrs"),
        pricePerUnit={other.get("currency", "USD"): other.get("price", usd)},
    )
    terms = price_list.term(dimension)
    attributes: dict[str, Any] = {
        "instanceType": other.get("sku", fact.sku),
        "regionCode": other.get("region", fact.region),
        "tenancy": other.get("tenancy", "Dedicated" if metal else "Shared"),
        "operatingSystem": other.get("system", "Linux"),
        "preInstalledSw": other.get("software", "NA"),
        "marketoption": other.get("market", "OnDemand"),
        "capacitystatus": other.get("capacity", "Used"),
        "productFamily": other.get("family", family),
    }
    if other.get("term") != "Reserved":
        return price_list.offer(terms, **attributes)
    terms["termAttributes"] = {
        "LeaseContractLength": "1yr",
        "OfferingClass": "standard",
        "PurchaseOption": "No Upfront",
    }
    found = price_list.offer(terms, reserved=(terms,), **attributes)
    del found["terms"]["OnDemand"]
    return found


def paged(rows: Sequence[Any], answer: Callable[[Sequence[Any], str], Answer]) -> Iterator[Answer]:
    """The answers of an API that gives some rows a page; the second argument names the next."""
    pages = [rows[at : at + PAGE_ROWS] for at in range(0, len(rows), PAGE_ROWS)]
    for number, some in enumerate(pages, start=1):
        yield answer(some, str(number) if number < len(pages) else "")


def price_list_source(
    fact: Fact, rows: Sequence[Any], folder: Path
) -> Iterator[tuple[PriceSource, Callable[[], int]]]:
    """The source, and how many pages it has read."""
    pages = list(paged(rows, lambda some, token: ok(price_list.page(*some, following=token))))

    def answer(asked: Asked) -> Answer:
        return pages[int(json.loads(asked.body).get("NextToken") or 0)]

    with web(answer) as server:
        yield price_list.asking(server.url), lambda: len(server.asked)


# Azure.


def azure_item(fact: Fact, usd: Any, **other: Any) -> Any:
    """A row of the Retail Prices API."""
    name = fact.sku.removeprefix("Standard_").replace("_", " ")
    return azure.item(
        **{
            "armSkuName": fact.sku,
            "armRegionName": fact.region,
            "meterName": name,
            "skuName": name,
            "productName": "Virtual Machines Series",
            "retailPrice": float(usd),
            **other,
        }
    )


def azure_decoys(fact: Fact) -> Rows:
    """What the API says of the same type besides."""

    def decoy(**other: Any) -> Any:
        return azure_item(fact, fact.less, **other)

    return {
        "Windows": decoy(productName="Virtual Machines Series Windows"),
        "Dedicated": decoy(productName="Dedicated Host Series"),
        "Cloud Services": decoy(productName="Virtual Machines Series Cloud Services"),
        "Low Priority": decoy(meterName="X Low Priority"),
        "Spot": decoy(meterName="X Spot", skuName="X Spot"),
        "Reservation": decoy(type="Reservation", reservationTerm="1 Year"),
        "dev/test": decoy(type="DevTestConsumption"),
        "promotional": decoy(type="Promotion"),
        "another region": decoy(armRegionName="eastus2"),
        "another currency": decoy(currencyCode="EUR"),
        "another type": decoy(armSkuName=f"{fact.sku}_v9"),
        "another service": decoy(serviceName="Virtual Machines Licenses"),
        "another unit": decoy(unitOfMeasure="1/Month"),
        "for large amounts": decoy(tierMinimumUnits=100.0),
        "not yet": decoy(effectiveStartDate="2027-01-01T00:00:00Z"),
        "over": decoy(
            effectiveStartDate="2024-01-01T00:00:00Z", effectiveEndDate="2025-01-01T00:00:00Z"
        ),
        "free": azure_item(fact, 0),
    }


def azure_source(
    fact: Fact, rows: Sequence[Any], folder: Path
) -> Iterator[tuple[PriceSource, Callable[[], int]]]:
    """The source, and how many pages it has read."""

    def answer(asked: Asked) -> Answer:
        at = int(parse_qs(urlsplit(asked.target).query).get("$skip", ["0"])[0])
        more = at + PAGE_ROWS < len(rows)
        link = f"http://{asked.headers['host']}/?$skip={at + PAGE_ROWS}" if more else None
        return ok(azure.page(*rows[at : at + PAGE_ROWS], following=link))

    with web(answer) as server:
        source = azure_retail.make_source(azure_retail.Options(url=server.url), context(folder))
        yield source, lambda: len(server.asked)


# Google Cloud: a machine is put together from its parts.


def gcp_parts(fact: Fact) -> list[Any]:
    """The parts that the catalogue has in the region."""
    return [
        gcp.sku(
            row["description"],
            row["price"],
            row["usage"],
            row["unit"],
            regions=[fact.region],
            since="2026-01-01T00:00:00Z",
        )
        for row in PARTS
        if row["region"] == fact.region
    ]


def gcp_decoys(fact: Fact) -> Rows:
    """Rows that look like the core of each family, and are not its price."""
    cores = (
        "N2 Instance Core",
        "A2 Instance Core",
        "E2 Instance Core",
        "N1 Predefined Instance Core",
    )
    here: dict[str, Any] = {"regions": [fact.region]}

    def each(name: str, usage: str = "OnDemand", **other: Any) -> list[Any]:
        rows = [name.format(core=core) for core in cores]
        return [gcp.sku(row, "0.000001", usage, **{**here, **other}) for row in rows]

    tiers = [{"startUsageAmount": 9, "unitPrice": {"currencyCode": "USD"}}]
    return {
        "Dedicated": each("Sole Tenancy {core} running in Americas"),
        "Premium": each("{core} Sole Tenancy Premium running in Americas"),
        "made to measure": each("Custom {core} running in Americas"),
        "Reservation": each("Reserved {core} in Americas in Calendar Mode"),
        "flex start": each("DWS Defined Duration {core} running in Americas"),
        "Windows": each("Licensing Fee for Windows Server on {core}"),
        "preemptible by use": each("{core} running in Americas", "Preemptible"),
        "another term": each("Commitment v1: {core} in Americas for 3 Year", "Commit3Yr"),
        "another region": each("{core} running in Frankfurt", regions=["europe-west3"]),
        "another zone": each("{core} running in Americas", regions=[f"{fact.region}-a"]),
        "another currency": each("{core} running in Americas", money={"currencyCode": "EUR"}),
        "another unit": each("{core} running in Americas", unit="mo"),
        "by amounts": each("{core} running in Americas", tiers=tiers),
        "not yet": each("{core} running in Americas", since="2027-01-01T00:00:00Z"),
        "free": [gcp.sku(f"{core} running in Americas", "0.0", **here) for core in cores],
    }


def gcp_source(
    fact: Fact, rows: Sequence[Any], folder: Path
) -> Iterator[tuple[PriceSource, Callable[[], int]]]:
    """The source, and how many pages it has read."""
    pages = list(paged(rows, lambda some, token: ok(gcp.page(*some, following=token))))

    def answer(asked: Asked) -> Answer:
        return pages[int(parse_qs(urlsplit(asked.target).query).get("pageToken", ["0"])[0])]

    with web(answer) as server:
        options = {"commitment_years": 1, "attached_gpus": 0}
        yield gcp.source(server.url, folder, **options), lambda: len(server.asked)


# All of them alike.


@dataclass(frozen=True)
class Way:
    """A live source: its rows of a fact, its decoys, and how it is asked."""

    name: str
    provider: str
    right: Callable[[Fact], list[Any]]
    decoys: Callable[[Fact], Rows]
    ask: Callable[[Fact, Sequence[Any], Path], Iterator[tuple[PriceSource, Callable[[], int]]]]
    as_text: Callable[[Fact], list[Any]] | None = None
    """The right rows with numbers where texts are usual, or texts for numbers."""


def aws_decoys(row: Callable[..., Any]) -> Callable[[Fact], Rows]:
    """Rows that differ from the plain price in one column."""

    def decoys(fact: Fact) -> Rows:
        return {name: row(fact, fact.less, **other) for name, other in aws_columns(fact).items()}

    return decoys


def price_list_decoys(fact: Fact) -> Rows:
    """The same, and a product that is not JSON within JSON but twice within."""
    twice = json.dumps(json.dumps(offer(fact, fact.less)))
    return {**aws_decoys(offer)(fact), "double-encoded JSON": twice}


WAYS = (
    Way("aws_bulk", "aws", lambda f: [bulk_row(f, f.per_hour)], aws_decoys(bulk_row), bulk_source),
    Way(
        "aws_price_list",
        "aws",
        lambda f: [offer(f, f.per_hour)],
        price_list_decoys,
        price_list_source,
        lambda f: [offer(f, float(f.per_hour))],
    ),
    Way(
        "azure_retail",
        "azure",
        lambda f: [azure_item(f, f.per_hour)],
        azure_decoys,
        azure_source,
        lambda f: [azure_item(f, 1, retailPrice=f.per_hour)],
    ),
    Way(
        "gcp_catalogue",
        "gcp",
        gcp_parts,
        gcp_decoys,
        gcp_source,
        lambda f: [texts(row) for row in gcp_parts(f)],
    ),
)
CASES = [
    (way, fact)
    for way in WAYS
    for fact in FACTS
    if fact.provider == way.provider
    and not (way.name == "aws_price_list" and fact.region.startswith("us-gov-"))
]
"""Each fact by each source of its provider; GovCloud has no Price List API."""


def texts(row: Any) -> Any:
    """A row of Google's whose nanos are a text, too."""
    changed = json.loads(json.dumps(row))
    expression = changed["pricingInfo"][0]["pricingExpression"]
    for rate in expression["tieredRates"]:
        rate["unitPrice"]["nanos"] = str(rate["unitPrice"]["nanos"])
    return changed


def flat(rows: Rows) -> list[Any]:
    """All decoys, of all classes."""
    return [one for each in rows.values() for one in (each if isinstance(each, list) else [each])]


def resolved(
    way: Way, fact: Fact, rows: Sequence[Any], folder: Path, host: HostIdentity | None = None
) -> tuple[Resolution, int]:
    """What becomes of an answer of these rows, and over how many pages it was read."""
    for source, pages in way.ask(fact, rows, folder):
        found = quotes(source, host or fact.host)
        return resolve(host or fact.host, [Offered(source.rank, found)]), pages()
    raise AssertionError("a way asks")
