"""AWS's price list of EC2, from files made by hand with the columns of the real ones.

The price is real (p5.48xlarge in us-east-1: 55.04); around it stand the rows that the list has for
the same type and that are not the price of a plain one.
"""

import json
import time
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.collectors.prices.asking import NOW_NS, context, failure, ns, quotes, said
from tests.collectors.prices.web import Answer, Asked, Web, ok, web
from unitcost.collectors.aws.offers import NEEDED
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_sources.aws_bulk import Options, make_source
from unitcost.pricing.conversion import in_dollars
from unitcost.pricing.currency import Rates
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Offered, resolve

HOST = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.ON_DEMAND)
METAL = HostIdentity("aws", "us-east-1", "", "g4dn.metal", PriceModel.ON_DEMAND)
CHINA = HostIdentity("aws", "cn-north-1", "", "p4d.24xlarge", PriceModel.ON_DEMAND)
VERSION = "/offers/v1.0/aws/AmazonEC2/20261115170000/us-east-1"
COLUMNS = [
    "SKU",
    "OfferTermCode",
    "RateCode",
    "PriceDescription",
    "StartingRange",
    "EndingRange",
    "Location",
    "vCPU",
    "Memory",
    "GPU",
    *NEEDED,
]
PREAMBLE = (
    '"FormatVersion","v1.0"\n'
    '"Disclaimer","This pricing list is for informational purposes only, and ""so on"""\n'
    '"Publication Date","2026-11-15T17:00:00Z"\n'
    '"Version","20261115170000"\n'
    '"OfferCode","AmazonEC2"\n'
)


def row(**other: str) -> str:
    """A row; the names of columns have _ for what a Python name cannot hold."""
    cells = dict.fromkeys(COLUMNS, "")
    cells |= {
        "SKU": "ABCDEFGH12345678",
        "OfferTermCode": "JRTCKXETXF",
        "PriceDescription": "$55.04 per On Demand Linux p5.48xlarge Instance Hour",
        "TermType": "OnDemand",
        "EffectiveDate": "2025-06-05",
        "Unit": "Hrs",
        "PricePerUnit": "55.0400000000",
        "Currency": "USD",
        "Product Family": "Compute Instance",
        "Instance Type": "p5.48xlarge",
        "Tenancy": "Shared",
        "Operating System": "Linux",
        "Pre Installed S/W": "NA",
        "CapacityStatus": "Used",
        "MarketOption": "OnDemand",
        "Region Code": "us-east-1",
    }
    names = {name.replace(" ", "_").replace("/", "_"): name for name in COLUMNS}
    cells |= {names[name]: value for name, value in other.items()}
    return ",".join(f'"{cells[name]}"' for name in COLUMNS) + "\n"


def listed(*rows: str) -> str:
    """A file with these rows."""
    return PREAMBLE + ",".join(f'"{name}"' for name in COLUMNS) + "\n" + "".join(rows)


RESERVED = {"TermType": "Reserved", "LeaseContractLength": "3yr", "OfferingClass": "standard"}
DECOYS = {
    "not Shared": row(Tenancy="Dedicated", PricePerUnit="58.3424"),
    "not Linux": row(Operating_System="Windows", PricePerUnit="63.872"),
    "with software": row(Pre_Installed_S_W="SQL Ent", PricePerUnit="127.0"),
    "not capacity in use": row(CapacityStatus="UnusedCapacityReservation", PricePerUnit="55.04"),
    "capacity block or another market": row(MarketOption="CapacityBlock", PricePerUnit="31.464"),
    "another region": row(Region_Code="us-east-2"),
    "another product": row(Product_Family="Dedicated Host", PricePerUnit="60.5"),
    "another unit": row(Unit="Quantity", PricePerUnit="250000"),
    "another currency": row(Currency="CNY", PricePerUnit="390.1"),
    "another kind of price": row(TermType="Free"),
    "a commitment of another term than ours": row(
        **RESERVED, PurchaseOption="No Upfront", PricePerUnit="23.9"
    ),
    "a price of 0": row(PricePerUnit="0.0000000000"),
    "negative": row(PricePerUnit="-55.04"),
    "no number": row(PricePerUnit="NaN"),
    "too large to be a price": row(PricePerUnit="99999999"),
    "no instant": row(EffectiveDate="once"),
    "cells that do not fit the columns": '"p5.48xlarge","55.04"\n',
}


def serving(text: str | bytes, version: str = VERSION) -> Callable[[Asked], Answer]:
    """The index of regions and, where it leads, this list."""
    index = {"formatVersion": "v1.0", "publicationDate": "2026-11-15T17:00:00Z", "regions": {}}
    region = version.rpartition("/")[2]
    leads = {"regionCode": region, "currentVersionUrl": f"{version}/index.json"}
    index["regions"] = {region: leads}

    def answer(asked: Asked) -> Answer:
        if asked.target.endswith("/current/region_index.json"):
            return ok(json.dumps(index))
        return ok(text) if asked.target == f"{version}/index.csv" else (404, b"", {})

    return answer


def asked_of(text: str, host: HostIdentity = HOST, **options: Any) -> Any:
    """What the source says where this is the list, and the source."""
    with web(serving(text)) as server:
        source = make_source(Options(url=server.url, **options), context())
        return quotes(source, host), source


def why_not(answer: Callable[[Asked], Answer] | Answer, host: HostIdentity = HOST) -> str:
    """Why the source says nothing."""
    with web(answer) as server:
        return failure(make_source(Options(url=server.url), context()), host)


def test_the_price_of_a_plain_instance_wins_over_every_decoy() -> None:
    """Whatever the order; each decoy is counted under its reason."""
    others = [
        row(Instance_Type="p5.4xlarge", PricePerUnit="6.88"),
        row(Instance_Type="p5en.48xlarge"),
    ]
    rows = [*DECOYS.values(), *others, row(), row(PriceDescription="again")]
    for ordered in (rows, rows[::-1]):
        found, source = asked_of(listed(*ordered))
        assert said(found) == [
            ("on_demand", "", "USD", "55.0400000000", ns("2025-06-05"), None),
        ]
        assert source.dropped == dict.fromkeys(DECOYS, 1)
    (quote,) = found
    assert (quote.as_of_ns, quote.known_at_ns) == (ns("2026-11-15T17:00:00"), NOW_NS)
    chosen = resolve(HOST, [Offered(source.rank, found)]).at(NOW_NS)
    assert chosen is not None
    assert chosen.quote.per_hour == Decimal("55.04")


def test_only_decoys_are_no_price() -> None:
    """Nothing is better than a Dedicated price."""
    assert asked_of(listed(*DECOYS.values()))[0] == ()


def test_two_plain_prices_are_none() -> None:
    """Where the columns do not tell them apart, neither is believed."""
    found, source = asked_of(listed(row(), row(PricePerUnit="58.3424")))
    assert found == ()
    assert source.dropped == {"contradicts another row": 2}


def test_a_machine_without_a_hypervisor_is_listed_as_dedicated() -> None:
    """That is its plain price, and only there."""
    metal = {"Instance_Type": "g4dn.metal", "Product_Family": "Compute Instance (bare metal)"}
    rows = (
        row(**metal, Tenancy="Dedicated", PricePerUnit="7.824"),
        row(**metal, Tenancy="Host", PricePerUnit="0.5"),
        row(Instance_Type="g4dn.metal", Tenancy="Shared", PricePerUnit="1"),
    )
    found, _ = asked_of(listed(*rows), METAL)
    assert [str(each.per_hour) for each in found] == ["7.824"]


def test_a_reservation_is_of_the_term_that_was_stated() -> None:
    """Without an upfront payment: only that has a price by the hour."""
    rows = (
        row(),
        row(**RESERVED, PurchaseOption="No Upfront", PricePerUnit="23.9"),
        row(**RESERVED, PurchaseOption="Partial Upfront", PricePerUnit="11.2"),
        row(**{**RESERVED, "OfferingClass": "convertible"}, PurchaseOption="No Upfront"),
        row(**{**RESERVED, "LeaseContractLength": "1yr"}, PurchaseOption="No Upfront"),
    )
    found, source = asked_of(listed(*rows), commitment_years=3)
    prices = {str(each.key.model): str(each.per_hour) for each in found}
    assert prices == {"on_demand": "55.0400000000", "reserved": "23.9"}
    assert source.dropped["a commitment with an upfront payment"] == 1


def test_china_is_billed_in_yuan() -> None:
    """Its price is not one in USD: without a rate it is none."""
    version = "/offers/v1.0/cn/AmazonEC2/20261115170000/cn-north-1"
    own = {"Instance_Type": "p4d.24xlarge", "Region_Code": "cn-north-1"}
    rows = listed(row(**own, Currency="CNY", PricePerUnit="220.5"), row(**own))
    with web(serving(rows, version)) as server:
        source = make_source(Options(url=server.url), context())
        found = quotes(source, CHINA)
    assert server.asked[0].target == "/offers/v1.0/cn/AmazonEC2/current/region_index.json"
    assert [(each.key.currency, str(each.per_hour)) for each in found] == [("CNY", "220.5")]
    (chosen,) = resolve(CHINA, [Offered(source.rank, found)]).chosen
    assert in_dollars(chosen.quote, Rates()) == ()


def test_a_list_is_read_once() -> None:
    """Until AWS publishes another; a type that is asked for anew is looked for."""

    def downloads(server: Web) -> int:
        return sum(asked.target.endswith(".csv") for asked in server.asked)

    with web(serving(listed(row()))) as server:
        source = make_source(Options(url=server.url), context())
        assert quotes(source, HOST) == quotes(source, HOST)
        assert downloads(server) == 1
        assert quotes(source, METAL) == ()
        assert downloads(server) == 2
        newer = VERSION.replace("20261115", "20261118")
        server.answer = serving(listed(row(PricePerUnit="50", EffectiveDate="2026-11-18")), newer)
        assert [str(each.per_hour) for each in quotes(source, HOST)] == ["50"]
        assert downloads(server) == 3


def test_a_large_list_is_never_held_as_a_whole() -> None:
    """Other types are passed over; the memory that takes is that of some pieces."""
    others = "".join(row(Instance_Type=f"m7i.{size}xlarge") for size in range(1000))
    text = listed(*[others] * 50, row()).encode()
    assert len(text) > 12_000_000
    with web(serving(text)) as server:
        source = make_source(Options(url=server.url), context())
        tracemalloc.start()
        found = quotes(source, HOST)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [str(each.per_hour) for each in found] == ["55.0400000000"]
    assert peak < 4_000_000


WRONG_LISTS = {
    "empty": ("", "no columns"),
    "junk": ("\x00\x01" * 1000 + "\n", "no columns"),
    "10 MB without a line's end": ("x" * 10_000_000, "no lines"),
    "10 MB of lines": ("x\n" * 5_000_000, "no columns"),
    "no such column": (listed(row()).replace('"MarketOption"', '"Other"'), "'MarketOption'"),
    "not dated": (listed(row()).replace('"Publication Date"', '"Other"'), "when it was published"),
    "wrongly dated": (listed(row()).replace("2026-11-15T17:00:00Z", "soon"), "publication date"),
    "endless": (listed(row() * 10_001), "more than 10000 rows"),
}


@pytest.mark.parametrize("name", WRONG_LISTS)
def test_what_is_no_price_list_is_an_error(name: str) -> None:
    """In one line."""
    text, why = WRONG_LISTS[name]
    assert why in why_not(serving(text))


def leading(url: str) -> Answer:
    """An index whose list is there."""
    return ok(json.dumps({"regions": {"us-east-1": {"currentVersionUrl": url}}}))


WRONG_INDICES: dict[str, tuple[Answer, str]] = {
    "redirect": ((302, b"", {"Location": "http://169.254.169.254/"}), "302"),
    "failure": ((503, b"", {}), "503"),
    "junk": (ok(b"\xff" * 1000), "not as documented"),
    "10 MB": (ok(b"x" * 10_000_000), "larger than"),
    "unknown region": (ok('{"regions": {}}'), "no price list of the region us-east-1"),
    "elsewhere": (leading("//evil.example/offers/v1.0/index.json"), "not on its server"),
    "upwards": (leading("/offers/v1.0/../../x/index.json"), "not on its server"),
    "metadata": (leading("http://169.254.169.254/index.json"), "not on its server"),
    "user name": (leading("@169.254.169.254/offers/v1.0/a/index.json"), "not on its server"),
}


@pytest.mark.parametrize("name", WRONG_INDICES)
def test_an_index_that_leads_nowhere_is_an_error(name: str) -> None:
    """Above all one that leads elsewhere."""
    answer, why = WRONG_INDICES[name]
    assert why in why_not(answer)


def test_a_list_that_ends_early_is_not_believed() -> None:
    """Nor the rows that came."""
    serve = serving(listed(row()))

    def short(asked: Asked) -> Answer:
        status, body, _ = serve(asked)
        more = {"Content-Length": str(len(body) + 1)} if asked.target.endswith("csv") else {}
        return status, body, more

    assert "ended early" in why_not(short)


def test_other_hosts_are_not_asked_for() -> None:
    """A host of another cloud, and names that are none."""
    source = make_source(Options(url="http://127.0.0.1:9"), context())
    with pytest.raises(NotHere):
        quotes(source, HostIdentity("azure", "uaenorth", "", "Standard_ND96asr_v4"))
    assert "no region has" in failure(source, HostIdentity("aws", "../x", "", "p5.48xlarge"))
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://169.254.169.254"}, Options)


def test_one_reading_is_enough_for_several_types() -> None:
    """Each by its own rows; what was left out is told of the first."""
    sibling = HostIdentity("aws", "us-east-1", "us-east-1a", "r6a.48xlarge", PriceModel.ON_DEMAND)
    own = {"Instance_Type": "r6a.48xlarge", "PricePerUnit": "10.8864"}
    rows = (row(), row(**own), row(**own, Tenancy="Dedicated"), DECOYS["not Linux"])
    with web(serving(listed(*rows))) as server:
        source = make_source(Options(url=server.url), context())
        found = source.quotes_of((HOST, sibling), time.monotonic() + 30)
        assert source.quotes_of((HOST, sibling), time.monotonic() + 30) == found
    prices = {each.key.sku: str(each.per_hour) for each in found}
    assert prices == {"p5.48xlarge": "55.0400000000", "r6a.48xlarge": "10.8864"}
    assert source.dropped == {"not Linux": 1}
    assert sum(asked.target.endswith(".csv") for asked in server.asked) == 1
