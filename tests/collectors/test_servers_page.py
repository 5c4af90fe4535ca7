"""docs/servers.md: its example reads what it says, and its first table is true."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from tests.collectors.raw_server import body, raw_server
from tests.collectors.reading import collect, collector_of, target
from unitcost.collectors.base import discover
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.sample import Quantity

import unitcost.collectors.servers as servers  # isort: skip # the package, for discover


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The page."""
    return (root / "docs" / "servers.md").read_text(encoding="utf-8")


def fence(page: str, language: str) -> str:
    """The one example in this language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_example_reads_the_page_it_shows(page: str) -> None:
    """The table in the configuration against the server's text."""
    configuration = yaml.safe_load(fence(page, "yaml"))
    tables = msgspec.convert(configuration["servers"], dict[str, ServerTable])
    model = configuration["workloads"][0]["endpoints"][0]["model"]
    with raw_server(body(fence(page, "text").encode())) as server:
        reading = collect(collector_of(target(server, model=model), servers=tables))
    assert reading.problems == ()
    assert {(sample.quantity, str(sample.label)): sample.value for sample in reading.samples} == {
        (Quantity.REQUESTS, "succeeded"): 40,
        (Quantity.REQUESTS, "failed"): 1,
        (Quantity.TOKENS, "input"): 12_000,
        (Quantity.TOKENS, "output"): 8_000,
        (Quantity.REQUEST_SECONDS, ""): 61.5,
        (Quantity.REQUESTS_TIMED, ""): 40,
        (Quantity.REQUESTS_WAITING, ""): 3,
    }
    assert {sample.model for sample in reading.samples} == {"llama-3"}


def test_the_page_names_every_server_by_its_marker(page: str) -> None:
    """Whoever adds one adds its column."""
    (row,) = re.findall(r"^\| recognised by \|(.*)\|$", page, re.MULTILINE)
    named = re.findall(r"`([^`]+)`", row)
    tables = [f.module.SERVER for f in discover(servers, "SERVER") if f.module is not None]
    assert sorted(named) == sorted(marker for table in tables for marker in table.marker)
