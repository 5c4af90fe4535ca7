"""AWS's Price List API, from answers made by hand in the documented shape: JSON within JSON."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.collectors.prices.asking import NOW, NOW_NS, context, failure, ns, quotes, said
from tests.collectors.prices.web import Answer, Asked, ok, web
from unitcost.collectors.aws.sigv4 import Credentials, signed
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_sources.aws_price_list import AwsPriceList, Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

HOST = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.ON_DEMAND)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cr3tEXAMPLEKEY"}


def dimension(price: Any = "55.0400000000", unit: str = "Hrs", **other: Any) -> dict[str, Any]:
    """One price."""
    return {
        "unit": unit,
        "endRange": "Inf",
        "description": "$55.04 per On Demand Linux p5.48xlarge Instance Hour",
        "appliesTo": [],
        "rateCode": "X.JRTCKXETXF.6YS6EN2CT7",
        "beginRange": "0",
        "pricePerUnit": {"USD": price},
        **other,
    }


def term(*dimensions: dict[str, Any], **attributes: str) -> dict[str, Any]:
    """Terms with these prices."""
    return {
        "priceDimensions": {str(index): each for index, each in enumerate(dimensions)},
        "sku": "X",
        "effectiveDate": "2025-06-05T00:00:00Z",
        "offerTermCode": "JRTCKXETXF",
        "termAttributes": attributes,
    }


def offer(
    *on_demand: dict[str, Any], reserved: tuple[dict[str, Any], ...] = (), **other: str
) -> dict[str, Any]:
    """One product."""
    attributes = {
        "instanceType": "p5.48xlarge",
        "regionCode": "us-east-1",
        "vcpu": "192",
        "memory": "2048 GiB",
        "gpu": "8",
        "tenancy": "Shared",
        "operatingSystem": "Linux",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
        "preInstalledSw": "NA",
        "usagetype": "BoxUsage:p5.48xlarge",
        "operation": "RunInstances",
        **other,
    }
    family = attributes.pop("productFamily", "Compute Instance")
    terms: dict[str, Any] = {
        "OnDemand": {
            f"X.{index}": each for index, each in enumerate(on_demand or (term(dimension()),))
        }
    }
    if reserved:
        terms["Reserved"] = {f"X.R{index}": each for index, each in enumerate(reserved)}
    return {
        "product": {"productFamily": family, "attributes": attributes, "sku": "X"},
        "serviceCode": "AmazonEC2",
        "terms": terms,
        "version": "20261115170000",
        "publicationDate": "2026-11-15T17:00:00Z",
    }


def page(*offers: Any, following: str | None = None) -> str:
    """An answer: each product is a text that holds JSON."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in offers]
    return json.dumps({"FormatVersion": "aws_v1", "PriceList": texts, "NextToken": following})


DECOYS = {
    "not Shared": offer(tenancy="Dedicated"),
    "not Linux": offer(operatingSystem="Windows"),
    "with software": offer(preInstalledSw="SQL Web"),
    "not capacity in use": offer(capacitystatus="AllocatedCapacityReservation"),
    "capacity block or another market": offer(marketoption="CapacityBlock"),
    "another region": offer(regionCode="us-east-2"),
    "another product": offer(productFamily="Dedicated Host"),
    "another instance type": offer(instanceType="p5.4xlarge"),
    "another unit": offer(term(dimension(unit="Quantity"))),
    "another currency": offer(term(dimension(pricePerUnit={"CNY": "390.1"}))),
    "a price by amounts": offer(term(dimension(beginRange="100"))),
    "a price of 0": offer(term(dimension("0.0000000000"))),
    "negative": offer(term(dimension("-1"))),
    "no number": offer(term(dimension("NaN"))),
    "too large to be a price": offer(term(dimension("1e9"))),
    "not as documented": "no JSON",
}


def asking(url: str, **options: Any) -> AwsPriceList:
    """The source that asks there."""
    stated = msgspec.convert({"url": url, **options}, Options)
    return AwsPriceList(stated, context(), KEYS, lambda _: None)


def asked_of(answer: Callable[[Asked], Answer] | Answer, **options: Any) -> Any:
    """What the source says where the API answers so, and the source."""
    with web(answer) as server:
        source = asking(server.url, **options)
        return quotes(source, HOST), source


def test_the_price_of_a_plain_instance_wins_over_every_decoy() -> None:
    """Whatever the order; each decoy is counted under its reason."""
    for ordered in ([*DECOYS.values(), offer()], [offer(), *DECOYS.values()]):
        found, source = asked_of(ok(page(*ordered)))
        assert said(found) == [("on_demand", "", "USD", "55.0400000000", ns("2025-06-05"), None)]
        assert source.dropped == dict.fromkeys(DECOYS, 1)
    assert (found[0].as_of_ns, found[0].known_at_ns) == (ns("2026-11-15T17:00:00"), NOW_NS)
    assert asked_of(ok(page(*DECOYS.values())))[0] == ()


def test_a_product_that_is_no_text_and_a_price_that_is_a_number_are_read() -> None:
    """As some tools write them; digit by digit."""
    answer = page().replace("[]", f"[{json.dumps(offer(term(dimension(55.04))))}]")
    assert asked_of(ok(answer))[0][0].per_hour == Decimal("55.04")


def test_the_question_is_narrow_and_signed() -> None:
    """By all columns that tell a plain instance."""
    with web(ok(page(offer()))) as server:
        quotes(asking(server.url), HOST)
    (asked,) = server.asked
    question = json.loads(asked.body)
    assert question["ServiceCode"] == "AmazonEC2"
    assert {each["Field"]: each["Value"] for each in question["Filters"]} == {
        "regionCode": "us-east-1",
        "instanceType": "p5.48xlarge",
        "tenancy": "Shared",
        "productFamily": "Compute Instance",
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    given = {"Content-Type": "application/x-amz-json-1.1"}
    given["X-Amz-Target"] = "AWSPriceListService.GetProducts"
    expected = signed(
        "POST",
        asked.headers["host"],
        given,
        asked.body,
        region="us-east-1",
        service="pricing",
        credentials=Credentials("AKIDEXAMPLE", "s3cr3tEXAMPLEKEY"),
        at=NOW,
    )
    for name, value in expected.items():
        assert asked.headers[name.lower()] == value


def test_a_reservation_is_of_the_term_that_was_stated() -> None:
    """Without an upfront payment."""
    plain = {"LeaseContractLength": "1yr", "OfferingClass": "standard"}
    reserved = (
        term(dimension("35.2"), **plain, PurchaseOption="No Upfront"),
        term(
            dimension("16"),
            dimension("150000", "Quantity"),
            **plain,
            PurchaseOption="Partial Upfront",
        ),
        term(
            dimension("30"), **{**plain, "LeaseContractLength": "3yr"}, PurchaseOption="No Upfront"
        ),
    )
    found, source = asked_of(ok(page(offer(reserved=reserved))), commitment_years=1)
    prices = {str(each.key.model): str(each.per_hour) for each in found}
    assert prices == {"on_demand": "55.0400000000", "reserved": "35.2"}
    assert source.dropped == {
        "a commitment with an upfront payment": 1,
        "another unit": 1,
        "a commitment of another term than ours": 1,
    }


def test_all_pages_are_read_but_not_for_ever() -> None:
    """By the token of the page before."""

    def paged(asked: Asked) -> Answer:
        number = int(json.loads(asked.body).get("NextToken", "0"))
        if number == 2:
            return ok(page(offer()))
        return ok(page(DECOYS["not Linux"], following=str(number + 1)))

    found, source = asked_of(paged)
    assert len(found) == 1
    assert source.dropped == {"not Linux": 2}
    with web(ok(page(following="again"))) as server:
        assert "more than 20 pages" in failure(asking(server.url), HOST)


BROKEN: dict[str, tuple[Answer, str]] = {
    "not allowed": ((403, b"", {}), "pricing:GetProducts is not allowed"),
    "expired": ((400, b'{"__type":"ExpiredTokenException"}', {}), "wrong or old"),
    "redirect": ((302, b"", {"Location": "http://169.254.169.254/"}), "302"),
    "junk": (ok(b"\x00\xff" * 1000), "not as documented"),
    "10 MB of junk": (ok(b"x" * 10_000_000), "larger than"),
    "another shape": (ok('{"PriceList": "x"}'), "not as documented"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none_is_an_error(name: str) -> None:
    """In one line, without a secret."""
    answer, expected = BROKEN[name]
    with web(answer) as server:
        why = failure(asking(server.url), HOST)
    assert expected in why
    assert "s3cr3t" not in why


def test_other_hosts_are_not_asked_for() -> None:
    """Another cloud's, and GovCloud's, which has no such service."""
    with web(ok(page())) as server:
        with pytest.raises(NotHere):
            quotes(asking(server.url), HostIdentity("gcp", "us-east1", "", "a3-highgpu-8g"))
        gov = HostIdentity("aws", "us-gov-west-1", "", "p4d.24xlarge")
        assert "use aws_bulk" in failure(asking(server.url), gov)
    assert not server.asked
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://pricing.example/"}, Options)
    assert make_source(Options(), context()).name == "aws_price_list"
