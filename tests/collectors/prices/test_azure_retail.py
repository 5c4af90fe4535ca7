"""Azure's retail prices, from answers made by hand in the documented shape.

Prices are real ones (MI300X in UAE North: 126.54, then 68.64); the rows around them are decoys of
every kind that the API gives for a type.
"""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tests.collectors.prices.asking import NOW_NS, context, failure, ns, quotes, said
from tests.collectors.prices.web import Answer, Asked, ok, web
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_sources.azure_retail import PAGE_BYTES, URL, Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Offered, resolve

SKU = "Standard_ND96isr_MI300X_v5"
HOST = HostIdentity("azure", "uaenorth", "", SKU, PriceModel.ON_DEMAND)


def item(**other: Any) -> dict[str, Any]:
    """One row, as the API documents it."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": 68.64,
        "unitPrice": 68.64,
        "armRegionName": "uaenorth",
        "location": "AE North",
        "effectiveStartDate": "2025-03-01T00:00:00Z",
        "meterId": "11111111-2222-3333-4444-555555555555",
        "meterName": "ND96isr MI300X v5",
        "productId": "DZH318Z0BQ4L",
        "skuId": "DZH318Z0BQ4L/00A1",
        "availabilityId": None,
        "productName": "Virtual Machines NDisrMI300Xv5 Series",
        "skuName": "ND96isr MI300X v5",
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": SKU,
        "reservationTerm": None,
        **other,
    }


def page(*items: dict[str, Any], following: str | None = None) -> bytes:
    """An answer with these rows."""
    envelope = {
        "BillingCurrency": "USD",
        "CustomerEntityId": "Default",
        "CustomerEntityType": "Retail",
        "Items": items,
        "NextPageLink": following,
        "Count": len(items),
    }
    return json.dumps(envelope).encode()


SPOT = item(meterName="ND96isr MI300X v5 Spot", skuName="ND96isr MI300X v5 Spot", retailPrice=24.5)
DECOYS = {
    "Windows": item(productName="Virtual Machines NDisrMI300Xv5 Series Windows", retailPrice=72.9),
    "Dedicated or Cloud Services": item(
        productName="Virtual Machines NDisrMI300Xv5 Series Cloud Services", retailPrice=68.0
    ),
    "Low Priority": item(meterName="ND96isr MI300X v5 Low Priority", retailPrice=27.4),
    "DevTest": item(type="DevTestConsumption", retailPrice=60.1),
    "a commitment of another term than ours": item(
        type="Reservation", reservationTerm="1 Year", retailPrice=400_000.0
    ),
    "a price of 0": item(retailPrice=0.0),
    "another currency": item(currencyCode="AED", retailPrice=252.1),
    "another instance type": item(armSkuName="Standard_ND96asr_v4", retailPrice=27.2),
    "another service": item(serviceName="Virtual Machines Licenses", retailPrice=4.4),
    "another kind of price": item(type="Promotion", retailPrice=1.0),
    "another unit": item(unitOfMeasure="1/Month", retailPrice=50_000.0),
    "the meter of another region": item(isPrimaryMeterRegion=False, retailPrice=70.0),
    "a price for large amounts": item(tierMinimumUnits=100.0, retailPrice=60.0),
    "negative": item(retailPrice=-68.64),
    "too large to be a price": item(retailPrice=1e9),
    "no number": item(retailPrice="NaN"),
    "no instant": item(effectiveStartDate="soon"),
    "not as documented": {"retailPrice": 1.0},
}
DECOYS_AGAIN = (
    item(productName="Dedicated Host NDisrMI300Xv5", retailPrice=69.0),
    item(productName="NDisrMI300Xv5 Series CloudServices", retailPrice=69.0),
    item(skuName="ND96isr MI300X v5 Low Priority", retailPrice=27.4),
)


def asked_of(answer: Callable[[Asked], Answer] | Answer, **options: Any) -> Any:
    """What the source says where the API answers so, and the source."""
    with web(answer) as server:
        source = make_source(Options(url=server.url, **options), context())
        return quotes(source, HOST), source


def why_not(answer: Callable[[Asked], Answer] | Answer, seconds: float = 30.0) -> str:
    """Why the source says nothing."""
    with web(answer) as server:
        return failure(make_source(Options(url=server.url), context()), HOST, seconds)


def test_the_price_of_the_machine_alone_wins_over_every_decoy() -> None:
    """Whatever the order; each decoy is counted under its reason."""
    rows = [*DECOYS.values(), item(), SPOT, *DECOYS_AGAIN]
    for ordered in (rows, rows[::-1]):
        found, source = asked_of(ok(page(*ordered)))
        assert sorted(said(found)) == [
            ("on_demand", "", "USD", "68.64", ns("2025-03-01"), None),
            ("spot", "", "USD", "24.5", ns("2025-03-01"), None),
        ]
        expected = dict.fromkeys(DECOYS, 1)
        expected["Dedicated or Cloud Services"] += 2
        expected["Low Priority"] += 1
        assert source.dropped == expected
        chosen = resolve(HOST, [Offered(source.rank, found)]).at(NOW_NS)
        assert chosen is not None
        assert chosen.quote.per_hour == Decimal("68.64")
        assert (chosen.quote.as_of_ns, chosen.quote.known_at_ns) == (NOW_NS, NOW_NS)


def test_only_decoys_are_no_price() -> None:
    """Nothing is better than something else's price."""
    alone = {**DECOYS}
    del alone["the meter of another region"]  # which without another is ours
    found, _ = asked_of(ok(page(*alone.values(), *DECOYS_AGAIN)))
    assert found == ()


def test_the_question_is_for_this_type_in_this_region() -> None:
    """In USD, in the letters of the API."""
    with web(ok(page(item()))) as server:
        quotes(make_source(Options(url=server.url), context()), HOST)
    query = parse_qs(urlsplit(server.asked[0].target).query)
    assert query == {
        "api-version": ["2023-01-01-preview"],
        "currencyCode": ["'USD'"],
        "$filter": [
            "serviceName eq 'Virtual Machines' and armRegionName eq 'uaenorth' "
            f"and armSkuName eq '{SKU}'"
        ],
    }


def test_a_meter_whose_home_is_another_region_is_a_price_where_there_is_no_other() -> None:
    """As for most older types; with one of its own there it is none."""
    abroad = item(isPrimaryMeterRegion=False, retailPrice=0.096)
    found, source = asked_of(ok(page(abroad)))
    assert [str(each.per_hour) for each in found] == ["0.096"]
    assert source.dropped == {}
    found, source = asked_of(ok(page(abroad, item())))
    assert [str(each.per_hour) for each in found] == ["68.64"]
    assert source.dropped == {"the meter of another region": 1}


def test_a_change_takes_effect_when_it_took_effect() -> None:
    """The row before it ends there, though it does not say so."""
    before = item(retailPrice=126.538, effectiveStartDate="2024-06-01T00:00:00Z")
    after = item(effectiveStartDate="2025-03-01T00:00:00Z")
    future = item(retailPrice=60, effectiveStartDate="2027-01-01T00:00:00Z")
    found, _ = asked_of(ok(page(future, after, before)))
    assert said(found) == [
        ("on_demand", "", "USD", "126.538", ns("2024-06-01"), ns("2025-03-01")),
        ("on_demand", "", "USD", "68.64", ns("2025-03-01"), ns("2027-01-01")),
        ("on_demand", "", "USD", "60", ns("2027-01-01"), None),
    ]
    ended = item(effectiveEndDate="9999-12-31T00:00:00Z")
    assert asked_of(ok(page(ended)))[0][0].valid_to_ns is None


def test_rows_that_contradict_each_other_are_not_believed() -> None:
    """Of the same instant, or for times that overlap; the same row twice is one."""
    found, source = asked_of(ok(page(item(), item(retailPrice=70.0), SPOT)))
    assert [str(each.key.model) for each in found] == ["spot"]
    assert source.dropped == {"contradicts another row": 2}
    overlapping = item(retailPrice=90.0, effectiveStartDate="2024-01-01T00:00:00Z")
    overlapping["effectiveEndDate"] = "2025-06-01T00:00:00Z"
    assert asked_of(ok(page(item(), overlapping)))[0] == ()
    assert len(asked_of(ok(page(item(), item())))[0]) == 1


def test_a_commitment_is_of_the_term_that_was_stated() -> None:
    """A reservation's price is of its whole term; a savings plan's of an hour."""
    rows = [
        item(
            savingsPlan=[
                {"unitPrice": 44.0, "retailPrice": 44.0, "term": "3 Years"},
                {"unitPrice": 55.0, "retailPrice": 55.0, "term": "1 Year"},
                {"unitPrice": 55.0, "retailPrice": -55.0, "term": "3 Years"},
            ]
        ),
        item(type="Reservation", reservationTerm="1 Year", retailPrice=438_000),
        item(type="Reservation", reservationTerm="3 Years", retailPrice=1_051_200),
    ]
    found, source = asked_of(ok(page(*rows)), commitment_years=3)
    prices = {str(each.key.model): each.per_hour for each in found}
    assert prices == {
        "on_demand": Decimal("68.64"),
        "savings_plan": Decimal(44),
        "reserved": Decimal(40),
    }
    assert source.dropped == {"a commitment of another term than ours": 2, "negative": 1}


def test_numbers_are_read_as_they_are_written() -> None:
    """Also where they are texts, or have more digits than a float."""
    body = page(item(retailPrice="12.3")).replace(b'"12.3"', b"12.300000000000000000001")
    (quote,) = asked_of(ok(body))[0]
    assert quote.per_hour == Decimal("12.300000000000000000001")
    (quote,) = asked_of(ok(page(item(retailPrice="140.598"))))[0]
    assert quote.per_hour == Decimal("140.598")


def paged(asked: Asked) -> Answer:
    """Three pages with one row each: the last has the price."""
    skip = int(parse_qs(urlsplit(asked.target).query).get("$skip", ["0"])[0])
    host = asked.headers["host"]
    following = f"http://{host}/?$filter=serviceName eq 'x'&$skip={skip + 1}" if skip < 2 else ""
    rows = [DECOYS["Windows"], DECOYS["DevTest"], item()]
    return ok(page(rows[skip], following=following))


def test_all_pages_are_read() -> None:
    """The price may be on the last."""
    found, source = asked_of(paged)
    assert [str(each.per_hour) for each in found] == ["68.64"]
    assert sum(source.dropped.values()) == 2


def test_pages_do_not_go_on_for_ever_nor_elsewhere() -> None:
    """A link back, links without an end, and links to another server are errors."""

    def back(asked: Asked) -> Answer:
        return ok(page(item(), following=f"http://{asked.headers['host']}/?again"))

    def endless(asked: Asked) -> Answer:
        return ok(page(item(), following=f"http://{asked.headers['host']}{asked.target}x"))

    assert "more than 2 pages" in why_not(back)
    assert "more than 20 pages" in why_not(endless)
    for link in (
        "http://169.254.169.254/latest/meta-data/",
        "https://prices.example/?$skip=1",
        "http://[::1/",
        "file:///etc/passwd",
    ):
        assert "another server" in why_not(ok(page(item(), following=link)))


BROKEN: dict[str, tuple[Answer, str]] = {
    "redirect": ((302, b"", {"Location": "http://169.254.169.254/"}), "302"),
    "failure": ((500, b"", {}), "500"),
    "too many requests": ((429, b"", {}), "429"),
    "junk": (ok(b"\x00\xff" * 1_000_000), "not as documented"),
    "10 MB of junk": (ok(b"x" * 10_000_000), "larger than"),
    "another shape": (ok('{"Items": {}}'), "not as documented"),
    "no rows at all": (ok('{"NextPageLink": null}'), "not as documented"),
    "no text": (ok(b'{"Items": [], "NextPageLink": "\xff"}'), "not as documented"),
    "deep": (ok('{"Items": [' + "[" * 100_000), "nested too deeply"),
    "cut off": (ok(page(item())[:-9]), "not as documented"),
    "a bare NaN": (ok(page(item(retailPrice=float("nan")))), "not as documented"),
    "short": ((200, b"{}", {"Content-Length": "9"}), "ended early"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none_is_an_error(name: str) -> None:
    """In one line; the caller keeps the old price."""
    answer, why = BROKEN[name]
    assert why in why_not(answer)


def test_a_slow_answer_is_cut_off_and_no_time_is_none() -> None:
    """The deadline holds for all pages together."""

    def slow(_: Asked) -> Answer:
        time.sleep(0.4)
        return ok(page(item()))

    assert "in time" in why_not(slow, seconds=0.1)
    assert "no time was left" in why_not(slow, seconds=-1.0)


def test_other_hosts_are_not_asked_for() -> None:
    """A host of another cloud, one that is not known, and a name that is none."""
    source = make_source(Options(url="http://127.0.0.1:9/"), context())
    with pytest.raises(NotHere):
        quotes(source, HostIdentity("aws", "us-east-1", "", "p5.48xlarge"))
    assert "must be known" in failure(source, HostIdentity("azure", "", "", SKU))
    odd = HostIdentity("azure", "uaenorth' or 1 eq 1", "", SKU)
    assert "no region has such a name" in failure(source, odd)


def test_options_have_defaults_and_limits() -> None:
    """Nothing needs to be stated; an address that is never read is refused at once."""
    assert msgspec.convert({}, Options).url == URL
    assert PAGE_BYTES < 10_000_000
    for options in ({"url": "http://169.254.169.254/"}, {"commitment_years": -1}, {"region": "x"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(options, Options)
