"""A hostile model server beside a good one, under the whole exporter.

Its labels try to break out of their quotes, its numbers are none, its pages are torn or endless.
The good one is billed to the unit meanwhile, every scrape can be parsed, each thing is said once.
"""

import re
import socket
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.collectors.hostile_pages import SECRET, series
from tests.collectors.raw_server import RawServer, body, raw_server, sends
from tests.e2e.scripted import Scripted
from tests.harness import Exporter, exporter, wait_for
from unitcost.exporter.ledger.tools import check
from unitcost.pricing.workload import RESERVED

PERIOD = 0.2
NAMES = (
    '\\"} 1e9\\nunitcost_cost_usd_total{workload=\\"good\\"',
    "a\\nb",
    "\\\\",
    "{}",
    "\u202e\u2028\x1b[2J",
    "__unallocated__",
    "x" * 1000,
    SECRET,
)
"""Model names as they stand in a page, escaped as the format asks."""
TORN = (
    b"vllm:generation_tokens_total NaN\nvllm:prompt_tokens_total -1\n",
    b'vllm:generation_tokens_total{model_name="\xff"} 1\n',
    b"<html>please log in</html>",
    b"vllm:generation_tokens_total 1e400",
    series(100_000, 'vllm:generation_tokens_total{model_name="m%d"} 1\n'),
)


def injecting(count: int) -> bytes:
    """A page whose models have such names; each has made so many tokens."""
    line = 'vllm:generation_tokens_total{{engine="0",model_name="{}"}} {}\n'
    return "".join(line.format(name, count) for name in NAMES).encode()


def hang(_: socket.socket) -> None:
    """Say nothing for longer than the exporter waits."""
    time.sleep(2 * PERIOD)


def settings_for(good: Scripted, hostile: RawServer) -> dict[str, object]:
    """An exporter of both, each a workload of its own."""
    urls = {"good": good.url, "hostile": hostile.url}
    return {
        "price": {"usd_per_hour": 3.6},
        "period": PERIOD,
        "gather_deadline": 0.18,
        "workloads": [
            {"name": name, "endpoints": [{"url": url, "server": "vllm"}]}
            for name, url in urls.items()
        ],
    }


def has_served(running: Exporter, requests: int) -> bool:
    """Whether the good server's workload is said to have done so many."""
    return running.scrape().total("unitcost_requests_total", workload="good") == requests


def next_read(hostile: RawServer) -> None:
    """Wait until the exporter has asked it twice more."""
    before = len(hostile.requests)
    wait_for(lambda: len(hostile.requests) >= before + 2, "the hostile server to be read")


@pytest.fixture
def good() -> Scripted:
    """A good server."""
    return Scripted("vllm")


def test_the_good_one_is_billed_to_the_unit_beside_a_hostile_one(
    good: Scripted, tmp_path: Path
) -> None:
    """Whatever the other one serves, twice over."""
    with raw_server(body(injecting(1))) as hostile:
        good.start(0, born=1_700_000_000.0)
        try:
            with exporter(tmp_path, **settings_for(good, hostile)) as running:
                drive(running, good, hostile)
                assert running.stop() == 0
                assert check(running.ledger) == []
        finally:
            good.stop()


def drive(running: Exporter, good: Scripted, hostile: RawServer) -> None:
    """The history, and what is asserted on the way."""
    next_read(hostile)
    served = 0
    for turn in (1, 2):
        for answer in (body(injecting(turn * 10)), *map(body, TORN), sends(b"\x00" * 999), hang):
            hostile.answer = answer
            next_read(hostile)
            good.serve(3)
            served += 3
            wait_for(partial(has_served, running, served), f"{served} requests")
    hostile.answer = body(injecting(30))
    next_read(hostile)
    check_names(running)
    errors = running.scrape().total("unitcost_collector_errors_total", collector="openmetrics")
    assert errors >= 2 * len(TORN)
    said = Counter(
        re.sub(r"^ts=\S+ ", "", line) for line in running.log.splitlines() if hostile.url in line
    )
    assert said
    assert set(said.values()) == {1}
    assert len(said) < 20
    assert SECRET not in running.log


def check_names(running: Exporter) -> None:
    """Names are shown as names: no series or workload came out of one."""
    scrape = running.wait_tick(2)
    names = {
        dict(labels)["model"]: value
        for labels, value in scrape.each("unitcost_tokens_total", workload="hostile").items()
    }
    assert any(name.startswith('"} 1e9_unitcost_cost_usd_total{') for name in names)
    assert all(name.isprintable() and len(name.encode()) <= 256 for name in names)
    assert "__unallocated__" not in names
    assert scrape.total("unitcost_tokens_total", workload="good") == 0
    workloads = {dict(labels)["workload"] for labels in scrape.each("unitcost_cost_usd_total")}
    assert workloads <= {"good", "hostile", *RESERVED}
