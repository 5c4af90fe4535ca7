"""Google Cloud's catalogue, from answers made by hand in the documented shape.

Unit prices are those of us-central1 in July 2026, so that the machines' prices are the published
ones; around them stand the rows that look alike.
"""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tests.collectors.prices.asking import NOW_NS, context, failure, ns, quotes
from tests.collectors.prices.web import Answer, Asked, ok, web
from unitcost.collectors.gcp_machines import machine
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.collectors.price_sources.gcp_catalogue import Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity

REGION = "us-central1"
KEY = "AIza-s3cr3t-key"
SINCE = "2026-11-19T06:58:37.123456789Z"


def host(sku: str) -> HostIdentity:
    """A machine there."""
    return HostIdentity("gcp", REGION, f"{REGION}-a", sku, PriceModel.ON_DEMAND)


def sku(
    description: str, price: str, usage: str = "OnDemand", unit: str = "h", **other: Any
) -> dict[str, Any]:
    """One row, as the API documents it: units are a text, nanos a number."""
    units, _, fraction = price.partition(".")
    money = {"currencyCode": "USD", "units": units, "nanos": int(fraction.ljust(9, "0"))}
    return {
        "name": f"services/6F81-5844-456A/skus/02EE-77CE-{len(description):04}",
        "skuId": "02EE-77CE-ACCD",
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": "GPU",
            "usageType": usage,
        },
        "serviceRegions": other.get("regions", ["us-east1", REGION]),
        "pricingInfo": [
            {
                "summary": "",
                "pricingExpression": {
                    "usageUnit": unit,
                    "usageUnitDescription": "hour",
                    "baseUnit": "s",
                    "baseUnitConversionFactor": 3600,
                    "displayQuantity": 1,
                    "tieredRates": [
                        {"startUsageAmount": 0, "unitPrice": {**money, **other.get("money", {})}},
                        *other.get("tiers", []),
                    ],
                },
                "aggregationInfo": None,
                "currencyConversionRate": 1,
                "effectiveTime": other.get("since", SINCE),
            }
        ],
        "serviceProviderName": "Google",
    }


A2 = (
    sku("A2 Instance Core running in Americas", "0.031611"),
    sku("A2 Instance Ram running in Americas", "0.004237", unit="GiBy.h"),
    sku("Nvidia Tesla A100 GPU running in Americas", "2.933908"),
    sku("Nvidia Tesla A100 80GB GPU running in Americas", "3.92808"),
    sku("SSD backed Local Storage", "0.08", unit="GiBy.mo"),
)
SPOT = (
    sku("Spot Preemptible A2 Instance Core running in Americas", "0.0126", "Preemptible"),
    sku("Spot Preemptible A2 Instance Ram running in Americas", "0.0017", "Preemptible", "GiBy.h"),
    sku(
        "Nvidia Tesla A100 GPU attached to Spot Preemptible VMs running in Americas",
        "1.6",
        "Preemptible",
    ),
)
COMMITTED = (
    sku("Commitment v1: A2 Cpu in Americas for 1 Year", "0.019915", "Commit1Yr"),
    sku("Commitment v1: A2 Ram in Americas for 1 Year", "0.002669", "Commit1Yr", "GiBy.h"),
    sku(
        "Commitment v1: Nvidia Tesla A100 GPU running in Americas for 1 Year",
        "1.84836",
        "Commit1Yr",
    ),
    sku("Commitment v1: A2 Cpu in Americas for 3 Year", "0.011", "Commit3Yr"),
)
ALIKE = (
    sku("Sole Tenancy A2 Instance Core running in Americas", "0.05"),
    sku("A2 Custom Instance Core running in Americas", "0.06"),
    sku("Reserved A2 Instance Core running in Americas", "0.02"),
    sku("A2 Sole Tenancy Premium Instance Core running in Americas", "0.07"),
    sku("DWS Defined Duration A2 Instance Core running in Americas", "0.01"),
    sku("Nvidia Tesla A100 GPU Virtual Workstation running in Americas", "3.3"),
    sku("A2 Instance Core running in Frankfurt", "0.04", regions=["europe-west3"]),
    sku("A3 Instance Core running in Americas", "0.0293"),
    sku("Nvidia Tesla A100 GPU attached to DWS Defined Duration VMs running in Americas", "1.3"),
    sku("Reserved Nvidia Tesla A100 GPU in Americas in Calendar Mode", "1.5"),
    sku("SSD backed Local Storage attached to DWS Defined Duration VMs", "0.05", unit="GiBy.mo"),
    {"description": 1, "serviceRegions": [REGION]},
)


def page(*skus: Any, following: str = "") -> str:
    """An answer with these rows."""
    return json.dumps({"skus": skus, "nextPageToken": following})


def source(url: str, folder: Path, **options: Any) -> Any:
    """The source that asks there, with its key."""
    (folder / "key").write_text(KEY + "\n")
    decoded = msgspec.convert({"api_key_file": "key", "url": url, **options}, Options)
    return make_source(decoded, context(folder))


Asks = Callable[..., Any]


@pytest.fixture
def ask(tmp_path: Path) -> Asks:
    """Ask for the prices of a machine where the catalogue has these rows."""

    def asks(name: str, *skus: Any, **options: Any) -> Any:
        with web(ok(page(*skus))) as server:
            asking = source(server.url, tmp_path, **options)
            found = quotes(asking, host(name))
        return {str(each.key.model): each.per_hour for each in found}, asking.dropped

    return asks


def test_a_machine_is_the_sum_of_its_parts(ask: Asks) -> None:
    """Exactly what Google publishes for it."""
    rows = (*ALIKE, *A2, *SPOT, *COMMITTED)
    for ordered in (rows, rows[::-1]):
        prices, dropped = ask("a2-highgpu-1g", *ordered, commitment_years=1)
        assert prices["on_demand"] == Decimal("3.673385")
        assert prices["spot"] == Decimal("1.8957")
        assert prices["committed"] == 12 * Decimal("0.019915") + 85 * Decimal("0.002669") + Decimal(
            "1.84836"
        )
        assert dropped == {"not as documented": 1}
    prices, _ = ask("a2-megagpu-16g", *rows)
    assert prices["on_demand"] == Decimal("55.739504")


def test_local_disks_that_a_machine_always_has_are_paid_for(ask: Asks) -> None:
    """By the GiB and month; a price by the hour is a 730th. Spot has none here: no Spot price."""
    prices, dropped = ask("a2-ultragpu-1g", *A2, *SPOT)
    assert set(prices) == {"on_demand"}
    assert round(prices["on_demand"], 8) == Decimal("5.06879789")
    assert dropped == {"spot: no price of its gpu": 1}


@pytest.mark.parametrize("tail", ["", " in Iowa", " running in Iowa"])
def test_local_disks_are_named_in_several_ways(ask: Asks, tail: str) -> None:
    """With the place, or without; on Spot too."""
    spot = [*SPOT[:2], sku(SPOT[2]["description"].replace("A100", "A100 80GB"), "2", "Preemptible")]
    disks = f"SSD backed Local Storage attached to Spot Preemptible VMs{tail}"
    spot.append(sku(disks, "0.03", "Preemptible", "GiBy.mo"))
    named = sku(f"SSD backed Local Storage{tail}", "0.08", unit="GiBy.mo")
    prices, dropped = ask("a2-ultragpu-1g", *ALIKE[:-1], *A2[:4], named, *spot)
    assert round(prices["on_demand"], 8) == Decimal("5.06879789")
    assert prices["spot"] == Decimal("2.4402") + Decimal(375) * Decimal("0.03") / 730
    assert dropped == {}


@pytest.mark.parametrize("missing", range(3))
def test_without_one_of_its_parts_there_is_no_price(ask: Asks, missing: int) -> None:
    """Not a price without the GPU, nor one without memory."""
    rows = [row for index, row in enumerate(A2[:3]) if index != missing]
    prices, dropped = ask("a2-highgpu-1g", *rows, *ALIKE)
    assert prices == {}
    assert f"on_demand: no price of its {('core', 'ram', 'gpu')[missing]}" in dropped


def test_two_prices_of_a_part_are_none(ask: Asks) -> None:
    """Said twice, it is one."""
    twice = (*A2, sku("A2 Instance Core running in Iowa", "0.031611"))
    assert ask("a2-highgpu-1g", *twice)[0] == {"on_demand": Decimal("3.673385")}
    disputed = (*A2, sku("A2 Instance Core running in Iowa", "0.04"))
    prices, dropped = ask("a2-highgpu-1g", *disputed)
    assert prices == {}
    assert "on_demand: more than one price of its core" in dropped


CORE = "A2 Instance Core running in Americas"
WRONG = {
    "another currency": sku(CORE, "0.03", money={"currencyCode": "EUR"}),
    "another unit": sku(CORE, "0.03", unit="mo"),
    "a price by amounts": sku(
        CORE, "0.03", tiers=[{"startUsageAmount": 9, "unitPrice": {"currencyCode": "USD"}}]
    ),
    "a price of 0": sku(CORE, "0.0"),
    "negative": sku(CORE, "0.03", money={"nanos": -30_000_000}),
    "no number": sku(CORE, "0.03", money={"units": "NaN"}),
    "too large to be a price": sku(CORE, "0.03", money={"nanos": 1_000_000_000}),
    "not in force yet": sku(CORE, "0.03", since="2027-01-01T00:00:00Z"),
    "no instant": sku(CORE, "0.03", since="soon"),
    "named otherwise than it is used": sku(CORE, "0.03", "Preemptible"),
    "of other terms": sku(CORE + " (suspended)", "0.03"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_cannot_be_the_parts_price_is_counted(ask: Asks, name: str) -> None:
    """And is not taken for it, with the right one beside it or without."""
    prices, dropped = ask("a2-highgpu-1g", WRONG[name], *A2)
    assert prices == {"on_demand": Decimal("3.673385")}
    assert dropped[name] == 1
    assert ask("a2-highgpu-1g", WRONG[name], *A2[1:])[0] == {}


def test_numbers_may_be_texts_and_a_change_takes_effect_when_it_did(tmp_path: Path) -> None:
    """The part that changed last says since when."""
    core = sku(CORE, "0.0", money={"units": "0", "nanos": "31611000"})
    older = sku(
        "Nvidia Tesla A100 GPU running in Americas", "2.933908", since="2026-11-01T00:00:00Z"
    )
    earlier = {**core["pricingInfo"][0], "effectiveTime": "2026-01-01T00:00:00Z"}
    core["pricingInfo"].append(earlier)
    with web(ok(page(core, A2[1], older))) as server:
        (quote,) = quotes(source(server.url, tmp_path), host("a2-highgpu-1g"))
    assert quote.per_hour == Decimal("3.673385")
    assert quote.valid_from_ns == ns("2026-11-19T06:58:37.123456")
    assert (quote.as_of_ns, quote.known_at_ns, quote.source) == (NOW_NS, NOW_NS, "gcp_catalogue")


def test_an_n1_needs_to_be_told_what_is_attached(tmp_path: Path) -> None:
    """Its type is the same with a GPU and without."""
    rows = (
        sku("N1 Predefined Instance Core running in Americas", "0.031611"),
        sku("N1 Predefined Instance Ram running in Americas", "0.004237", unit="GiBy.h"),
        sku("Nvidia Tesla T4 GPU running in Americas", "0.35"),
    )
    bare = 8 * Decimal("0.031611") + 30 * Decimal("0.004237")
    with web(ok(page(*rows))) as server:
        asking = source(server.url, tmp_path)
        assert "GPUs may be attached" in failure(asking, host("n1-standard-8"))
        (quote,) = quotes(source(server.url, tmp_path, attached_gpus=0), host("n1-standard-8"))
        assert quote.per_hour == bare
        told = {"attached_gpu": "nvidia-tesla-t4", "attached_gpus": 2}
        (quote,) = quotes(source(server.url, tmp_path, **told), host("n1-standard-8"))
        assert quote.per_hour == bare + Decimal("0.7")


@pytest.mark.parametrize(
    "name", ["a4-highgpu-8g", "e2-micro", "n2-custom-4-8192", "n2-standard-7", "x"]
)
def test_a_machine_that_cannot_be_put_together_is_an_error(tmp_path: Path, name: str) -> None:
    """Before anything is asked."""
    with web(ok(page(*A2))) as server:
        assert "not known here" in failure(source(server.url, tmp_path), host(name))
    assert not server.asked


@pytest.mark.parametrize(
    ("name", "made_of"),
    [
        ("g2-standard-24", (24, "96", 2, 0)),
        ("a3-highgpu-8g", (208, "1872", 8, 6000)),
        ("a3-megagpu-8g", (208, "1872", 8, 6000)),
        ("c4-highmem-4", (4, "31", 0, 0)),
        ("n1-highcpu-96", (96, "86.4", 0, 0)),
        ("n2d-standard-224", (224, "896", 0, 0)),
    ],
)
def test_machines_are_made_of_what_google_says(name: str, made_of: tuple[Any, ...]) -> None:
    """vCPUs, GiB, GPUs, GiB of local SSD."""
    found = machine(name)
    assert found is not None
    assert (found.cores, str(found.ram_gib.normalize()), found.gpus, found.ssd_gib) == made_of


def test_the_key_is_sent_in_a_header_and_all_pages_are_read(tmp_path: Path) -> None:
    """Never in the URL, which stands in logs."""

    def paged(asked: Asked) -> Answer:
        number = int(parse_qs(urlsplit(asked.target).query).get("pageToken", ["0"])[0])
        return ok(page(A2[number], following=str(number + 1) if number < 2 else ""))

    with web(paged) as server:
        (quote,) = quotes(source(server.url, tmp_path), host("a2-highgpu-1g"))
    assert quote.per_hour == Decimal("3.673385")
    assert len(server.asked) == 3
    for asked in server.asked:
        assert asked.headers["x-goog-api-key"] == KEY
        assert KEY not in asked.target
        assert asked.target.startswith(
            "/v1/services/6F81-5844-456A/skus?currencyCode=USD&pageSize=5000"
        )


BROKEN: dict[str, tuple[Answer, str]] = {
    "redirect": ((302, b"", {"Location": "http://169.254.169.254/"}), "302"),
    "wrong key": ((403, KEY.encode(), {}), "403"),
    "junk": (ok(b"\x00\xff" * 1000), "not as documented"),
    "10 MB of junk": (ok(b"x" * 10_000_000), "not as documented"),
    "25 MB of junk": (ok(b"x" * 26_000_000), "larger than"),
    "another shape": (ok('{"skus": 1}'), "not as documented"),
    "endless": (ok(page(following="again")), "more than 40 pages"),
    "deep": (ok('{"skus": [' + "[" * 100_000), "nested too deeply"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, name: str) -> None:
    """In one line, without the key."""
    answer, expected = BROKEN[name]
    with web(answer) as server:
        why = failure(source(server.url, tmp_path), host("a2-highgpu-1g"))
    assert expected in why
    assert KEY not in why


def test_a_slow_answer_is_cut_off(tmp_path: Path) -> None:
    """At the deadline of all pages together."""

    def slow(_: Asked) -> Answer:
        time.sleep(0.4)
        return ok(page())

    with web(slow) as server:
        assert "in time" in failure(source(server.url, tmp_path), host("a2-highgpu-1g"), 0.1)


def test_other_hosts_and_a_missing_key(tmp_path: Path) -> None:
    """A host of another cloud is not asked for; without a key nothing is."""
    with web(ok(page())) as server:
        with pytest.raises(NotHere):
            quotes(source(server.url, tmp_path), HostIdentity("aws", REGION, "", "p5.48xlarge"))
        keyless = make_source(Options(url=server.url), context(tmp_path))
        assert "api_key_file" in failure(keyless, host("a2-highgpu-1g"))
        gone = make_source(Options(url=server.url, api_key_file="gone"), context(tmp_path))
        assert "gone cannot be read" in failure(gone, host("a2-highgpu-1g"))
    assert not server.asked


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://billing.example"},
        {"attached_gpus": 2},
        {"attached_gpu": "nvidia-tesla-t4"},
        {"attached_gpu": "nvidia-l4", "attached_gpus": 1},
        {"commitment_years": 2},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """When the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Options)


def test_one_reading_is_enough_for_several_machines(tmp_path: Path) -> None:
    """Each from its own parts; one that cannot be put together is left out, but the first."""
    cpu_only = (
        sku("N2 Instance Core running in Americas", "0.031611"),
        sku("N2 Instance Ram running in Americas", "0.004237", unit="GiBy.h"),
    )
    hosts = [host(name) for name in ("a2-highgpu-1g", "n2-highmem-8", "n1-standard-8", "a4-x-1")]
    with web(ok(page(*A2, *ALIKE, *cpu_only))) as server:
        asking = source(server.url, tmp_path, attached_gpus=0)
        found = asking.quotes_of(hosts, time.monotonic() + 30)
        assert len(server.asked) == 1
        with pytest.raises(PriceSourceError, match="not known here"):
            asking.quotes_of(hosts[::-1], time.monotonic() + 30)
    prices = {each.key.sku: each.per_hour for each in found if each.key.model == "on_demand"}
    assert prices == {"a2-highgpu-1g": Decimal("3.673385"), "n2-highmem-8": Decimal("0.524056")}
    assert asking.dropped == {"not as documented": 1, "spot: no price of its core": 1}
