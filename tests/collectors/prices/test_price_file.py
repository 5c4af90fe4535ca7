"""Prices of the user's own: what is written is what holds, and a wrong row is named."""

import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.collectors.prices.asking import NOW_NS, context, failure, ns, quotes, said
from tests.collectors.prices.web import ok, web
from unitcost.collectors.price_contract import NotHere, PriceSourceError
from unitcost.collectors.price_rows import MAX_YAML_BYTES
from unitcost.collectors.price_sources.price_file import Options, make_source
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Offered, Rank, resolve

HOST = HostIdentity("lambda", "us-east-1", "", "gpu_8x_h100_sxm5", PriceModel.ON_DEMAND)
HEAD = "provider,region,zone,sku,model,currency,per_hour,discount_percent,as_of,valid_from,valid_to"
DAY = ns("2026-11-01")


def row(**other: str) -> str:
    """A line of CSV."""
    cells = {
        "provider": "lambda",
        "region": "us-east-1",
        "sku": "gpu_8x_h100_sxm5",
        "model": "on_demand",
        "per_hour": "23.92",
        "as_of": "2026-11-01",
        **other,
    }
    return ",".join(cells.get(name, "") for name in HEAD.split(","))


def csv(*rows: str) -> str:
    """A file with these rows."""
    return "\n".join((HEAD, *rows)) + "\n"


def source(folder: Path, text: str | bytes, name: str = "prices.csv", **options: Any) -> Any:
    """The source that reads a file with that text."""
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    decoded = msgspec.convert({"path": name, **options}, Options)
    return make_source(decoded, context(folder))


def test_a_price_is_what_is_written(tmp_path: Path) -> None:
    """To the last digit, from the day it is of."""
    file = source(tmp_path, csv(row(per_hour="23.920000000000000001")))
    (quote,) = quotes(file, HOST)
    assert quote.per_hour == Decimal("23.920000000000000001")
    assert (quote.as_of_ns, quote.valid_from_ns, quote.known_at_ns) == (DAY, DAY, NOW_NS)
    assert quote.source == "price_file prices.csv"
    assert quote.list_per_hour is None
    chosen = resolve(HOST, [Offered(file.rank, [quote])]).at(NOW_NS)
    assert chosen is not None
    assert chosen.rank is Rank.LIVE


def test_the_same_prices_as_yaml(tmp_path: Path) -> None:
    """Numbers of YAML are not read as floats, days not as dates."""
    text = """
prices:
  - {provider: lambda, region: us-east-1, sku: gpu_8x_h100_sxm5, model: on_demand,
     per_hour: 23.920000000000000001, as_of: 2026-11-01, discount_percent: 12.5}
  - provider: lambda
    region: us-east-1
    sku: gpu_8x_h100_sxm5
    model: spot
    per_hour: "9"
    as_of: 2026-11-02T10:00:00+04:00
"""
    first, second = quotes(source(tmp_path, text, "prices.yaml"), HOST)
    assert first.list_per_hour == Decimal("23.920000000000000001")
    assert first.per_hour == Decimal("23.920000000000000001") * Decimal("0.875")
    assert second.as_of_ns == ns("2026-11-02T06:00:00")


def test_periods_follow_each_other(tmp_path: Path) -> None:
    """A price without an end holds until the next; one with an end leaves a gap."""
    text = csv(
        row(per_hour="20", valid_from="2026-03-01T06:30:00Z", valid_to="2026-06-01"),
        row(per_hour="30", valid_from="2026-01-01"),
        row(per_hour="25", valid_from="2026-09-01"),
    )
    assert said(quotes(source(tmp_path, text), HOST)) == [
        ("on_demand", "", "USD", "30", ns("2026-01-01"), ns("2026-03-01T06:30:00")),
        ("on_demand", "", "USD", "20", ns("2026-03-01T06:30:00"), ns("2026-06-01")),
        ("on_demand", "", "USD", "25", ns("2026-09-01"), None),
    ]


def test_what_is_of_other_types_is_counted_and_of_other_terms_told(tmp_path: Path) -> None:
    """The resolver says why another region's or another zone's price is not this host's."""
    text = csv(
        row(sku="gpu_1x_a10"),
        row(provider="aws"),
        row(region="us-west-1"),
        row(model="spot", zone="z1", per_hour="8"),
        row(currency="EUR", per_hour="22"),
        row(per_hour=""),
    )
    file = source(tmp_path, text)
    assert len(quotes(file, HOST)) == 3
    assert file.dropped == {"another instance type": 2, "no price": 1}


def test_free_is_a_price_where_the_user_says_so(tmp_path: Path) -> None:
    """Zero dollars, which is not unpriced; so is all of it off."""
    text = csv(row(per_hour="0"), row(model="spot", discount_percent="100"))
    free, given_away = quotes(source(tmp_path, text), HOST)
    assert free.per_hour == given_away.per_hour == 0
    assert given_away.list_per_hour == Decimal("23.92")


def test_an_override_comes_before_live_sources(tmp_path: Path) -> None:
    """By choice of the user."""
    assert source(tmp_path, csv(), override=True).rank is Rank.OVERRIDE


def test_a_list_of_others_is_read_by_its_own_columns(tmp_path: Path) -> None:
    """As those of catalogues are; a type without a price there has none."""
    text = "InstanceType,AcceleratorName,Price,SpotPrice,Region,AvailabilityZone\n"
    text += "p5.48xlarge,H100,55.04,21.5,us-east-1,us-east-1a\n"
    text += "p5.48xlarge,H100,55.04,,us-east-1,us-east-1b\n"
    columns = {"sku": "InstanceType", "per_hour": "SpotPrice", "region": "Region"}
    columns["zone"] = "AvailabilityZone"
    fill = {"provider": "aws", "model": "spot"}
    file = source(tmp_path, text, columns=columns, fill=fill, as_of="2026-11-03")
    host = HostIdentity("aws", "us-east-1", "us-east-1a", "p5.48xlarge", PriceModel.SPOT)
    assert said(quotes(file, host)) == [
        ("spot", "us-east-1a", "USD", "21.5", ns("2026-11-03"), None)
    ]
    assert file.dropped == {"no price": 1}


WRONG = {
    "negative": (row(per_hour="-1"), "line 2: negative"),
    "NaN": (row(per_hour="NaN"), "line 2: no number"),
    "infinite": (row(per_hour="inf"), "line 2: no number"),
    "underscores": (row(per_hour="1_000"), "line 2: no number"),
    "other digits": (row(per_hour="١٢"), "line 2: no number"),
    "comma": (row(per_hour='"23,92"'), "line 2: no number"),
    "dollars": (row(per_hour="$23"), "line 2: no number"),
    "huge": (row(per_hour="1000001"), "line 2: too large"),
    "exponent": (row(per_hour="1e99"), "line 2: too large"),
    "currency": (row(currency="dollars"), "no currency is called 'dollars'"),
    "currency in lower case": (row(currency="usd"), "no currency is called 'usd'"),
    "model": (row(model="on-demand"), "no price model is called 'on-demand'"),
    "no model": (row(model=""), "line 2: model is missing"),
    "no region": (row(region=""), "line 2: region is missing"),
    "no date": (row(as_of=""), "line 2: as_of is missing"),
    "future statement": (row(as_of="2026-11-21"), "as_of is in the future"),
    "no instant": (row(valid_from="yesterday"), "line 2: no instant"),
    "no time zone": (row(valid_from="2026-01-01T00:00:00"), "without its time zone"),
    "ends before it begins": (
        row(valid_from="2026-02-01", valid_to="2026-01-01"),
        "must be valid for some time",
    ),
    "discount": (row(discount_percent="101"), "discount_percent is above 100"),
    "negative discount": (row(discount_percent="-1"), "discount_percent: negative"),
    "cells": (row() + ",x", "line 2: 12 cells, 11 columns"),
    "quotes": ('"abc' + row(), "line "),
    "control": (row(zone="a\x07"), "not printable"),
    "long": (row(region="a" * 129), "too long"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_row_is_named_and_nothing_is_believed(tmp_path: Path, name: str) -> None:
    """Also where another row of the file is right."""
    wrong, why = WRONG[name]
    assert why in failure(source(tmp_path, csv(wrong, row())), HOST)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("p.csv", "", "the file is empty"),
        ("p.csv", "provider,sku,price\na,b,1\n", "no column is called 'price'"),
        ("p.csv", "sku,sku\na,b\n", "a column stands there twice"),
        ("p.csv", b"\xff\xfe", "no text in UTF-8"),
        ("p.yaml", "prices: [", "line 1"),
        ("p.yaml", "a: 1", "must hold 'prices:'"),
        ("p.yaml", "prices: {a: b}", "must hold 'prices:'"),
        ("p.yaml", "prices: [{sku: [a]}]", "price 1: it must be a mapping"),
        ("p.yaml", "prices: [{sku: a, sku: b}]", "stands twice"),
        ("p.yaml", "prices: &a [*a]", "line 1"),
        ("p.yaml", "[" * 20_000, "nested too deeply"),
        ("p.yaml", "#" * (MAX_YAML_BYTES + 1), "use CSV"),
        ("p.csv", b"x" * (10 * 1024 * 1024), "larger than"),
        ("p.csv", bytes(range(256)) * 40_000, ""),
    ],
    ids=range(14),
)
def test_what_is_no_price_file_is_told_apart(
    tmp_path: Path, name: str, text: str | bytes, why: str
) -> None:
    """Each in one line."""
    assert why in failure(source(tmp_path, text, name), HOST)


def test_two_prices_for_the_same_time_are_an_error(tmp_path: Path) -> None:
    """Neither is more right than the other; a row said twice is one."""
    once = csv(row(), row())
    assert len(quotes(source(tmp_path, once), HOST)) == 1
    twice = csv(row(), row(per_hour="24"))
    assert "for the same time" in failure(source(tmp_path, twice), HOST)
    overlap = csv(
        row(valid_from="2026-01-01", valid_to="2026-03-01"),
        row(valid_from="2026-02-01", per_hour="24"),
    )
    assert "for the same time" in failure(source(tmp_path, overlap), HOST)


def test_a_file_that_is_not_there_or_none(tmp_path: Path) -> None:
    """Said with its name; a pipe is not waited for."""
    assert "p.csv" in failure(make_source(Options(path="p.csv"), context(tmp_path)), HOST)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "no file" in failure(make_source(Options(path="pipe.csv"), context(tmp_path)), HOST)
    with pytest.raises(NotHere):
        quotes(make_source(Options(), context(tmp_path)), HOST)


def test_a_url_is_read_with_its_token(tmp_path: Path) -> None:
    """Which comes from a file, and is in no error."""
    (tmp_path / "token").write_text("s3cr3t-token\n")
    with web(ok(csv(row()))) as server:
        options = Options(url=f"{server.url}/p.csv", bearer_token_file="token")  # noqa: S106
        assert len(quotes(make_source(options, context(tmp_path)), HOST)) == 1
        assert server.asked[0].headers["authorization"] == "Bearer s3cr3t-token"
        server.answer = lambda _: (404, b"", {})
        why = failure(make_source(options, context(tmp_path)), HOST)
    assert "404" in why
    assert "s3cr3t" not in why


def test_a_url_that_leads_elsewhere_is_not_followed() -> None:
    """Least of all to a metadata service."""
    target = {"Location": "http://169.254.169.254/latest/meta-data/"}
    with web((302, b"", target)) as server:
        why = failure(make_source(Options(url=f"{server.url}/p.csv"), context()), HOST)
    assert "302" in why
    assert len(server.asked) == 1


def test_what_is_fetched_may_be_of_now() -> None:
    """Where the user says that the list is always current; else it needs a day."""
    with web(ok(csv(row(as_of="")))) as server:
        url = f"{server.url}/p.csv"
        assert "as_of is missing" in failure(make_source(Options(url=url), context()), HOST)
        (quote,) = quotes(make_source(Options(url=url, as_of="fetched"), context()), HOST)
    assert quote.as_of_ns == quote.valid_from_ns == NOW_NS


@pytest.mark.parametrize(
    "options",
    [
        {"path": "a", "url": "http://127.0.0.1/"},
        {"url": "http://169.254.169.254/p.csv"},
        {"url": "http://prices.example/p.csv", "bearer_token_file": "token"},
        {"path": "a", "as_of": "fetched"},
        {"path": "a", "as_of": "soon"},
        {"path": "a", "columns": {"price": "x"}},
        {"path": "a", "paths": "b"},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """When the configuration is read, not when a price is needed."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, Options)


def test_one_reading_is_enough_for_several_types(tmp_path: Path) -> None:
    """The host and its sibling; rows of neither are left out."""
    sibling = HostIdentity("lambda", "us-east-1", "", "cpu_26x", PriceModel.ON_DEMAND)
    rows = (row(), row(sku="cpu_26x", per_hour="1.2"), row(sku="cpu_4x", per_hour="0.2"))
    file = source(tmp_path, csv(*rows))
    found = file.quotes_of((HOST, sibling), time.monotonic() + 30)
    assert {each.key.sku: str(each.per_hour) for each in found} == {
        "gpu_8x_h100_sxm5": "23.92",
        "cpu_26x": "1.2",
    }
    assert file.dropped == {"another instance type": 1}
    twice = source(tmp_path, csv(*rows, row(sku="cpu_26x", per_hour="1.3")))
    (only,) = twice.quotes_of((HOST, sibling), time.monotonic() + 30)
    assert only.key.sku == "gpu_8x_h100_sxm5"
    with pytest.raises(PriceSourceError, match="two prices of cpu_26x"):
        twice.quotes_of((sibling, HOST), time.monotonic() + 30)
