"""What tests of reports share: a ledger's file made from one in memory, and a report on it."""

from dataclasses import replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, TypeVar

from tests.sites import MemoryLedger, Site, learn, rented, rules, workload_rule
from tests.worlds import Host
from unitcost.exporter.config.load import Loaded, loads
from unitcost.exporter.ledger.engines import Database, Place
from unitcost.exporter.ledger.store import Ledger
from unitcost.exporter.report import command
from unitcost.exporter.report.build import Report, Row
from unitcost.exporter.report.question import Dimension, Question
from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.sample import Quantity, TokenType
from unitcost.pricing.workload import WorkloadKind

At = TypeVar("At", Path, Database)
NOTHING = loads(b"")
"""A configuration that says nothing."""
START = Host().clock.wall_ns
HOUR_NS = 3600 * 10**9


def written(memory: MemoryLedger, path: At, host: str = "host-1", scope: str = "host") -> At:
    """All that a ledger in memory holds, in a file; another host's beside it if one is there."""
    ledger = Ledger(path, host, scope)
    ledger.open(0)
    ledger.commit(
        Batch(
            posting=memory.posting,
            counters=memory.counters,
            prices=memory.prices,
            workloads=memory.workloads,
            runs=memory.runs,
            epochs=memory.epochs,
            units=memory.units,
            state=memory.state,
        )
    )
    ledger.close()
    return path


def ask(by: str, zone: tzinfo = UTC, **more: Any) -> Question:
    """What is asked for."""
    return Question(tuple(Dimension(name) for name in by.split(",")), zone, **more)


def report(path: Place, by: str, loaded: Loaded = NOTHING, **more: Any) -> Report:
    """The report on a ledger's file."""
    return command.make(path, ask(by, **more), loaded)


def row_of(found: Report, *values: str, charge_class: str = "") -> Row:
    """The one row with these values."""
    (row,) = (
        row
        for row in found.rows
        if row.key.values == values and row.key.charge_class == charge_class
    )
    return row


EXAMPLE = rules(
    rented(usd="98.32"),
    (
        workload_rule("chat", cores="2", gibs=6, endpoint=True, owner="search"),
        workload_rule("embed", cores="0.5", gibs=2, endpoint=True),
        workload_rule("tuner", kind=WorkloadKind.TRAINING, owner="research"),
    ),
)


def example(path: At) -> At:
    """The ledger of docs/reports.md: 30 hours of a host whose price is known late, or never."""
    site = Site(replace(EXAMPLE, book=rented((START + 20 * HOUR_NS, None), usd="98.32")))
    chat = site.host.serve("chat", 8000, cores=1.0, gibs=4.0)
    site.host.serve("embed", 8001, cores=0.25, gibs=1.0)
    job = site.host.train("tuner", "llama-ft", 0, 1.0, 2.0, 0.0)
    site.settle()
    for tick in range(6 * 30):
        chat.work(1800 if tick % 12 else 0, seconds=300.0 if tick % 12 else 0)
        chat.add(Quantity.TOKENS, 900_000, TokenType.INPUT)
        chat.add(Quantity.TOKENS, 250_000, TokenType.OUTPUT)
        job.steps += 100
        site.tick(1, 600.0)
        if tick % 60 == 59:
            job.end_epoch(site.host.clock.wall_ns)
    known = (START + 20 * HOUR_NS, "55.04"), (START + 28 * HOUR_NS, None)
    learn(site, rented(*known, usd="98.32"))
    site.settle()
    return written(site.ledger, path)
