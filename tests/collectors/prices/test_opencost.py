"""OpenCost's custom pricing: put together from stated counts, or not at all."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.collectors.prices.asking import NOW_NS, context, failure, ns, quotes
from tests.collectors.prices.web import ok, web
from unitcost.collectors.price_contract import NotHere
from unitcost.collectors.price_sources.opencost import Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Rank

HOST = HostIdentity("on-prem", "dubai", "", "gpu-node", PriceModel.ON_DEMAND)
COUNTS = {"cpus": 192, "ram_gib": 2048, "gpus": 8}
PRICING = {
    "provider": "custom",
    "description": "ours",
    "CPU": "0.02",
    "spotCPU": "0.01",
    "RAM": "0.003",
    "spotRAM": 0.001,
    "GPU": "2.5",
    "spotGPU": "1.25",
    "storage": "0.00005",
    "defaultIdle": "true",
    "nodeConfigs": [{"instanceType": "other"}],
}
DEFAULTS = {"CPU": "0.031611", "RAM": "0.004237", "GPU": "0.950000", "storage": "0.00005"}


def source(folder: Path, content: Any, **options: Any) -> Any:
    """The source that reads this file."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / "pricing.json").write_bytes(text)
    stated = {"path": "pricing.json", "as_of": "2026-10-01", **COUNTS, **options}
    return make_source(msgspec.convert(stated, Options), context(folder))


def test_a_host_is_the_sum_of_its_resources(tmp_path: Path) -> None:
    """Exactly, and under Spot's terms by Spot's prices."""
    on_demand, spot = quotes(source(tmp_path, PRICING), HOST)
    assert on_demand.per_hour == Decimal("3.84") + Decimal("6.144") + 20
    assert spot.per_hour == Decimal("1.92") + Decimal("2.048") + 10
    assert (on_demand.key.model, spot.key.model) == (PriceModel.ON_DEMAND, PriceModel.SPOT)
    assert on_demand.key.provider == "on-prem"
    assert (on_demand.as_of_ns, on_demand.valid_from_ns) == (ns("2026-10-01"),) * 2
    assert on_demand.known_at_ns == NOW_NS
    assert on_demand.source == "opencost pricing.json"


def test_a_discount_is_taken_off_all_of_it(tmp_path: Path) -> None:
    """GPUs included; the list price is kept."""
    (quote, _) = quotes(source(tmp_path, PRICING, discount_percent=10, override=True), HOST)
    assert quote.list_per_hour == Decimal("29.984")
    assert quote.per_hour == Decimal("26.9856")
    assert source(tmp_path, PRICING, override=True).rank is Rank.OVERRIDE
    assert source(tmp_path, PRICING).rank is Rank.LIVE


def test_terms_and_currency_are_as_stated(tmp_path: Path) -> None:
    """Of prices that are not for Spot."""
    found = quotes(source(tmp_path, {**PRICING, "currencyCode": "AED"}, model="owned"), HOST)
    assert [(str(each.key.model), each.key.currency) for each in found] == [
        ("owned", "AED"),
        ("spot", "AED"),
    ]


@pytest.mark.parametrize("missing", ["cpus", "ram_gib", "gpus"])
def test_counts_that_are_not_stated_are_not_guessed(tmp_path: Path, missing: str) -> None:
    """Not even that there are no GPUs."""
    assert f"{missing} of this host must be stated" in failure(
        source(tmp_path, PRICING, **{missing: None}), HOST
    )


def test_without_gpus_their_price_is_not_needed(tmp_path: Path) -> None:
    """With them it is, also on Spot."""
    without = {name: value for name, value in PRICING.items() if "GPU" not in name}
    assert len(quotes(source(tmp_path, without, gpus=0), HOST)) == 2
    assert "no price of GPU" in failure(source(tmp_path, without), HOST)
    asking = source(tmp_path, {**without, "GPU": "2.5"})
    assert [str(each.key.model) for each in quotes(asking, HOST)] == ["on_demand"]
    assert asking.dropped == {"no price of spotGPU": 1}


def test_the_placeholders_are_no_prices(tmp_path: Path) -> None:
    """Those that OpenCost comes with, however they are written; one price changed, they are."""
    assert "placeholders" in failure(source(tmp_path, DEFAULTS), HOST)
    assert len(quotes(source(tmp_path, {**DEFAULTS, "GPU": "2.1"}), HOST)) == 1


WRONG: dict[str, tuple[Any, str]] = {
    "negative": ({**PRICING, "CPU": "-0.02", "spotCPU": ""}, "CPU: negative"),
    "NaN": ({**PRICING, "RAM": "NaN", "spotRAM": ""}, "RAM: no number"),
    "zero": ({**PRICING, "GPU": "0.0", "spotGPU": ""}, "GPU: a price of 0"),
    "boolean": ({**PRICING, "CPU": True, "spotCPU": None}, "CPU: no number"),
    "huge": ({**PRICING, "GPU": "1000000", "spotGPU": "1000000"}, "no price can be so"),
    "currency": ({**PRICING, "currencyCode": "dirham"}, "currencyCode is none"),
    "discount": ({**PRICING, "discount": "30%"}, "discount is not taken from the file"),
    "negotiated": ({**PRICING, "negotiatedDiscount": "5%"}, "state discount_percent"),
    "junk": (b"\x00\xff" * 100, "the file is not as documented"),
    "a list": ([PRICING], "the file is not as documented"),
    "10 MB": (b"x" * 10_000_000, "larger than"),
    "empty": ({}, "no price of CPU"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_price_is_an_error(tmp_path: Path, name: str) -> None:
    """In one line."""
    content, why = WRONG[name]
    assert why in failure(source(tmp_path, content), HOST)


def test_a_date_must_be_stated(tmp_path: Path) -> None:
    """The file's own time says when it was copied."""
    assert "as_of is missing" in failure(source(tmp_path, PRICING, as_of=""), HOST)
    assert "in the future" in failure(source(tmp_path, PRICING, as_of="2026-12-01"), HOST)


def test_in_a_cloud_the_file_must_be_in_use(tmp_path: Path) -> None:
    """OpenCost does not use it there where it says so."""
    cloud = HostIdentity("aws", "us-east-1", "", "p5.48xlarge", PriceModel.ON_DEMAND)
    off = {**PRICING, "customPricesEnabled": "false"}
    assert "customPricesEnabled" in failure(source(tmp_path, off), cloud)
    assert len(quotes(source(tmp_path, off), HOST)) == 2
    assert len(quotes(source(tmp_path, PRICING), cloud)) == 2


def test_it_may_be_at_a_url() -> None:
    """Which is not followed elsewhere."""
    with web(ok(json.dumps(PRICING))) as server:
        stated = {"url": f"{server.url}/pricing.json", "as_of": "fetched", **COUNTS}
        asking = make_source(msgspec.convert(stated, Options), context())
        assert quotes(asking, HOST)[0].as_of_ns == NOW_NS
        server.answer = lambda _: (302, b"", {"Location": "http://169.254.169.254/"})
        assert "302" in failure(asking, HOST)


def test_hosts_that_are_not_known_and_files_that_are_not_stated(tmp_path: Path) -> None:
    """Nothing is said of them."""
    for asking, host in (
        (source(tmp_path, PRICING), HostIdentity()),
        (make_source(Options(), context()), HOST),
    ):
        with pytest.raises(NotHere):
            quotes(asking, host)


@pytest.mark.parametrize(
    "options",
    [
        {"path": "a", "url": "http://127.0.0.1/"},
        {"url": "http://prices.example/", "bearer_token_file": "token"},
        {"model": "spot"},
        {"as_of": "fetched", "path": "a"},
        {"cpus": -1},
        {"ram_gib": 0},
        {"discount_percent": 101},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """When the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Options)
