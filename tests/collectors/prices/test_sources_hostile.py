"""Answers that are damaged in any way: each source says why not, or says prices; nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.collectors.prices import (
    test_aws_bulk,
    test_aws_price_list,
    test_aws_spot,
    test_azure_retail,
    test_gcp_catalogue,
    test_opencost,
    test_price_file,
)
from tests.collectors.prices.asking import context, quotes
from tests.collectors.prices.web import Answer, Asked, Web, ok, web
from unitcost.collectors.price_contract import PriceSource, PriceSourceError
from unitcost.collectors.price_sources import aws_bulk, azure_retail, opencost, price_file
from unitcost.pricing.quote import HostIdentity, Quote


@dataclass
class Case:
    """A source that asks a server, and a good answer to damage."""

    good: bytes
    host: HostIdentity
    make: Callable[[Web, Path], PriceSource]
    serve: Callable[[bytes], Callable[[Asked], Answer]] = lambda body: lambda _: ok(body)


def _azure(server: Web, _: Path) -> PriceSource:
    options = azure_retail.Options(url=server.url, commitment_years=1)
    return azure_retail.make_source(options, context())


def _bulk(server: Web, _: Path) -> PriceSource:
    options = aws_bulk.Options(url=server.url, commitment_years=3)
    return aws_bulk.make_source(options, context())


def _gcp(server: Web, folder: Path) -> PriceSource:
    made: PriceSource = test_gcp_catalogue.source(server.url, folder, commitment_years=1)
    return made


def _file(name: str) -> Callable[[Web, Path], PriceSource]:
    def make(server: Web, folder: Path) -> PriceSource:
        options = price_file.Options(url=f"{server.url}/{name}")
        return price_file.make_source(options, context(folder))

    return make


def _opencost(server: Web, folder: Path) -> PriceSource:
    options: dict[str, Any] = {"url": server.url, "as_of": "fetched", **test_opencost.COUNTS}
    stated = msgspec.convert(options, opencost.Options)
    return opencost.make_source(stated, context(folder))


YAML = (
    "prices:\n- {provider: lambda, region: us-east-1, sku: gpu_8x_h100_sxm5, model: on_demand, "
    "per_hour: 23.92, as_of: 2026-11-01, discount_percent: 12.5}\n"
)
SPOT_PRICE = test_aws_spot.record("20", "2026-11-20T11:00:00Z")
CASES = {
    "azure_retail": Case(
        test_azure_retail.page(test_azure_retail.item(), *test_azure_retail.DECOYS.values()),
        test_azure_retail.HOST,
        _azure,
    ),
    "aws_bulk": Case(
        test_aws_bulk.listed(test_aws_bulk.row(), *test_aws_bulk.DECOYS.values()).encode(),
        test_aws_bulk.HOST,
        _bulk,
        test_aws_bulk.serving,
    ),
    "aws_price_list": Case(
        test_aws_price_list.page(test_aws_price_list.offer()).encode(),
        test_aws_price_list.HOST,
        lambda server, _: test_aws_price_list.asking(server.url),
    ),
    "aws_spot": Case(
        test_aws_spot.history(SPOT_PRICE, *test_aws_spot.DECOYS.values()).encode(),
        test_aws_spot.HOST,
        lambda server, _: test_aws_spot.source(server),
    ),
    "gcp_catalogue": Case(
        test_gcp_catalogue.page(*test_gcp_catalogue.A2, *test_gcp_catalogue.ALIKE).encode(),
        test_gcp_catalogue.host("a2-highgpu-1g"),
        _gcp,
    ),
    "opencost": Case(json.dumps(test_opencost.PRICING).encode(), test_opencost.HOST, _opencost),
    "price_file.csv": Case(
        test_price_file.csv(test_price_file.row(), test_price_file.row(model="spot")).encode(),
        test_price_file.HOST,
        _file("p.csv"),
    ),
    "price_file.yaml": Case(YAML.encode(), test_price_file.HOST, _file("p.yaml")),
}
JUNK = (b"", b"\x00", b"\xff", b'"', b"'", b"\n", b",", b"{", b"]", b"-", b"NaN", b"-1", b"1e999")
LONG = (
    b"9" * 500,
    b"[" * 3000,
    b"x" * 70_000,
    "\u0661".encode(),
    b"&a;",
    b"null",
    b"*a",
    b"\r\n\r\n",
)


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One to three pieces cut out and replaced, wherever they are."""
    cuts = draw(
        st.lists(
            st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(JUNK + LONG)),
            min_size=1,
            max_size=3,
        )
    )

    def damage(body: bytes) -> bytes:
        for place, length, junk in cuts:
            at = int(place * len(body))
            body = body[:at] + junk + body[at + length :]
        return body

    return damage


@pytest.fixture
def running(tmp_path: Path) -> Callable[[Case], Any]:
    """Serve a case; ask its source anew for each body."""

    @contextmanager
    def run(case: Case) -> Iterator[Callable[[bytes], list[Quote] | str]]:
        with web(ok("")) as server:

            def says(body: bytes) -> list[Quote] | str:
                server.answer = case.serve(body)
                source = case.make(server, tmp_path)
                try:
                    return list(quotes(source, case.host))
                except PriceSourceError as error:
                    return str(error)

            yield says

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_answer_is_told_or_read(name: str, running: Callable[[Case], Any]) -> None:
    """Whatever is damaged: one line that says why, or prices a host can have."""
    case = CASES[name]
    with running(case) as says:
        whole = says(case.good)
        assert isinstance(whole, list)
        assert whole

        @settings(
            max_examples=60,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )
        @given(damages())
        def check(damage: Callable[[bytes], bytes]) -> None:
            found = says(damage(case.good))
            if isinstance(found, str):
                assert found
                assert "\n" not in found
                assert len(found) < 400
            else:
                for quote in found:
                    assert quote.key.sku == case.host.sku
                    assert quote.per_hour >= 0
                    assert quote.as_of_ns > 0
                    assert quote.known_at_ns > 0

        check()


@pytest.mark.parametrize("name", CASES)
def test_a_part_of_an_answer_is_never_believed_for_the_whole(
    name: str, running: Callable[[Case], Any]
) -> None:
    """Cut off anywhere in its structure it is an error; only lists of lines may end early."""
    case = CASES[name]
    with running(case) as says:
        for part in (0, 1, len(case.good) // 3, len(case.good) // 2, len(case.good) - 3):
            found = says(case.good[:part])
            if name not in ("aws_bulk", "price_file.csv", "price_file.yaml"):
                assert isinstance(found, str), (part, found)
