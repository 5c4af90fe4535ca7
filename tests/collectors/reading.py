"""Reads endpoints with the real collector, over HTTP, from a server that a test controls."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.collectors.raw_server import RawServer, body, raw_server
from unitcost.collectors.base import Context, Reading, Target
from unitcost.collectors.openmetrics import OpenMetricsCollector, Options
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.sample import Quantity
from unitcost.pricing.workload import WorkloadKind

PATIENCE = 30.0
WALL_NS = 1_795_700_000 * 10**9
"""After all captures were made."""
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "generic-servers.yaml"


def example_tables() -> dict[str, ServerTable]:
    """The tables that the example in the docs describes."""
    servers = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["servers"]
    tables = msgspec.convert(servers, dict[str, ServerTable])
    return {name: msgspec.structs.replace(table, name=name) for name, table in tables.items()}


def target(where: RawServer | str, **fields: Any) -> Target:
    """An endpoint of the configuration, by its server or its URL."""
    url = where if isinstance(where, str) else where.url
    return Target(url=url, workload="chat", kind=WorkloadKind.INFERENCE, **fields)


def collector_of(
    *targets: Target,
    servers: Mapping[str, ServerTable] | None = None,
    timeout: float = PATIENCE,
    wall_ns: int = WALL_NS,
) -> OpenMetricsCollector:
    """The collector of these endpoints, at a time that does not depend on when this runs."""
    context = Context(targets=targets, servers=servers or {})
    return OpenMetricsCollector(Options(timeout=timeout), context, lambda: wall_ns)


def collect(collector: OpenMetricsCollector) -> Reading:
    """One reading, with all the time it needs."""
    return collector.collect(time.monotonic() + PATIENCE)


def read_once(
    content: bytes, *, servers: Mapping[str, ServerTable] | None = None, server: str = "auto"
) -> Reading:
    """What the collector says of a server that serves this."""
    with raw_server(body(content)) as where:
        return collect(collector_of(target(where, server=server), servers=servers))


def values(reading: Reading, quantity: Quantity) -> dict[tuple[str, str, str], float]:
    """The samples of a quantity by label, model and part."""
    return {
        (sample.label, sample.model, sample.part): sample.value
        for sample in reading.samples
        if sample.quantity is quantity
    }


def as_text(reading: Reading) -> str:
    """A reading in a form that a person can check; without what differs from run to run."""
    lines = []
    for subject in reading.subjects:
        lines.append(
            f"subject workload={subject.workload} kind={subject.kind} model={subject.model!r} "
            f"up={subject.up} ready={subject.ready} running={subject.running} "
            f"born_wall_ns={subject.born_wall_ns} generation={subject.generation!r}"
        )
    for sample in reading.samples:
        lines.append(
            f"{sample.quantity} label={str(sample.label)!r} model={sample.model!r} "
            f"part={sample.part!r} {sample.value!r} {sample.kind} {sample.source}"
        )
    lines.extend(f"problem {problem.kind}" for problem in reading.problems)
    return "".join(f"{line}\n" for line in lines)
