"""The text that Prometheus gets: right, bounded, and never an exception."""

import math
import os
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from subprocess import run
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from tests.exporter.full_snapshot import full_snapshot
from unitcost.exporter.serving.exposition import (
    DROP_REASONS,
    DROPPED,
    MAX_LABEL_CHARACTERS,
    Renderer,
    compress,
    format_value,
)
from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.selfmetrics import SelfMetrics
from unitcost.exporter.serving.snapshot import Point, Snapshot

GAUGE = Metric("test_gauge_usd", "gauge", 'A "gauge", with a \\ and a\nline break.', ("a", "b"))
COUNTER = Metric("test_things_total", "counter", "A counter.", ("a",))
PLAIN = Metric("test_plain", "gauge", "Without labels.")
OWN = next(metric for metric in METRICS if metric.name == DROPPED)
TABLE = (GAUGE, OWN, COUNTER, PLAIN)

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)
texts = st.text(st.characters(exclude_categories=()), max_size=140) | st.sampled_from(
    ['"', "\\", "\\n", "\n", '"} 1\nevil_total{x="', "ü🙂", " ", "", "#", "{}", "a,b", "\r", "\0"]
)


def parsed(text: bytes) -> Samples:
    """What prometheus_client's parser reads, own counters left out."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode("utf-8"))
        for sample in family.samples
        if sample.name != DROPPED
    }


def dropped(text: bytes) -> dict[str, float]:
    """The counters of what was left out, by reason, where not 0."""
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(text.decode("utf-8"))
        for sample in family.samples
        if sample.name == DROPPED and sample.value
    }


def shown(label: str) -> str:
    """A label value as it is served: cut, and without what UTF-8 cannot carry."""
    return label[:MAX_LABEL_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def reference(points: Iterable[tuple[tuple[str, str], float]]) -> bytes:
    """The same gauge, rendered by prometheus_client."""

    class Fixed(Collector):
        def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
            """Yield the one family."""
            family = GaugeMetricFamily(GAUGE.name, GAUGE.help, labels=GAUGE.labels)
            for labels, value in points:
                family.add_metric(labels, value)
            yield family

    registry = CollectorRegistry()
    registry.register(Fixed())
    return generate_latest(registry)


def snapshot(**points: Sequence[Any]) -> Snapshot:
    """A snapshot of whatever is given, junk included."""
    return Snapshot(0, points)


@given(
    st.lists(
        st.tuples(st.tuples(texts, texts), finite),
        unique_by=lambda point: (shown(point[0][0]), shown(point[0][1])),
        max_size=20,
    )
)
def test_prometheus_client_reads_ours_as_it_reads_its_own(
    points: list[tuple[tuple[str, str], float]],
) -> None:
    """Any text is a label value and any number a value; nothing breaks out of its line."""
    text = Renderer(TABLE).render(snapshot(test_gauge_usd=points))
    servable = [((shown(a), shown(b)), value) for (a, b), value in points]
    assert parsed(text) == parsed(reference(servable))
    assert dropped(text) == {}
    lines = text.decode("utf-8").split("\n")
    assert len(lines) == 2 * bool(points) + len(points) + 2 + len(DROP_REASONS) + 1


@given(finite)
def test_values_are_written_as_prometheus_client_writes_them(value: float) -> None:
    """To the last digit, in Go's notation."""
    assert format_value(value).decode() == floatToGoString(value)  # type: ignore[no-untyped-call] # not typed by the library


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, None, "x", object()])
def test_what_is_no_finite_number_is_left_out_and_counted(value: object) -> None:
    """Never a NaN, and never an exception."""
    text = Renderer(TABLE).render(
        snapshot(test_plain=[((), value)], test_things_total=[(("a",), 1)])
    )
    assert parsed(text) == {("test_things_total", (("a", "a"),)): 1.0}
    assert dropped(text) == {"not_finite": 1.0}


@pytest.mark.parametrize(
    "point",
    [
        (("a",), 1.0),
        (("a", "b", "c"), 1.0),
        (("a", None), 1.0),
        (("a", 3), 1.0),
        (["a", "b"], 1.0),
        (None, 1.0),
        ("too short",),
        7,
        None,
    ],
)
def test_a_malformed_point_is_left_out_and_counted(point: object) -> None:
    """Those beside it are served."""
    text = Renderer(TABLE).render(snapshot(test_gauge_usd=[point, (("a", "b"), 2.0)]))
    assert parsed(text) == {("test_gauge_usd", (("a", "a"), ("b", "b"))): 2.0}
    assert dropped(text) == {"malformed": 1.0}


def test_a_metric_that_is_not_in_the_table_is_left_out_and_counted() -> None:
    """A misspelt name shows."""
    text = Renderer(TABLE).render(snapshot(test_misspelt=[((), 1.0), ((), 2.0)]))
    assert parsed(text) == {}
    assert dropped(text) == {"malformed": 2.0}


def test_of_two_series_that_look_the_same_the_first_is_served() -> None:
    """Also where they are the same only once cut; Prometheus would reject both."""
    long = "x" * MAX_LABEL_CHARACTERS
    points = [((long,), 1.0), ((long + "y",), 2.0), ((long,), 3.0)]
    renderer = Renderer(TABLE)
    for count in (2.0, 4.0):
        text = renderer.render(snapshot(test_things_total=points))
        assert parsed(text) == {("test_things_total", (("a", long),)): 1.0}
        assert dropped(text) == {"duplicate": count}


def test_no_metric_has_more_series_than_the_cap() -> None:
    """The first ones stay, the rest is counted at every tick."""
    points = [((str(number),), 1.0) for number in range(12)]
    renderer = Renderer(TABLE, max_series_per_metric=10)
    text = renderer.render(snapshot(test_things_total=points, test_plain=[((), 1.0)]))
    assert len(parsed(text)) == 11
    assert dropped(text) == {"limit": 2.0}
    assert dropped(renderer.render(snapshot(test_things_total=points))) == {"limit": 4.0}


def test_all_together_have_no_more_series_than_the_cap() -> None:
    """What comes first in the table, money, is the last to go."""
    gauges = [((str(number), ""), 1.0) for number in range(6)]
    points = [((str(number),), 1.0) for number in range(6)]
    text = Renderer(TABLE, max_series=8).render(
        snapshot(test_things_total=points, test_gauge_usd=gauges, test_plain=[((), 1.0)])
    )
    names = [name for name, _ in parsed(text)]
    assert (names.count("test_gauge_usd"), names.count("test_things_total")) == (6, 2)
    assert dropped(text) == {"limit": 5.0}


def test_a_thousand_random_workloads_at_a_time_cannot_pass_the_caps() -> None:
    """With the real table: 10,000 series whatever comes."""
    many = [tuple(f"w{number}" for _ in range(5)) for number in range(3_000)]
    points = {m.name: [(labels[: len(m.labels)], 1.0) for labels in many] for m in METRICS}
    text = Renderer().render(Snapshot(0, points))
    assert len(parsed(text)) == 10_000


def test_line_prefixes_of_series_that_are_gone_are_forgotten() -> None:
    """A host on which workloads come and go for months keeps its size."""
    renderer = Renderer(TABLE)

    def tick(number: int) -> None:
        """Render 500 series that were never seen before."""
        points = [((f"{number}-{i}" * 8,), 1.0) for i in range(500)]
        renderer.render(snapshot(test_things_total=points))

    tick(0)
    tracemalloc.start()
    try:
        for number in range(1, 31):
            tick(number)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one_tick = 500 * 400  # bytes: a generous guess at what the last tick's prefixes take
    assert kept < 3 * one_tick


def test_families_come_in_the_tables_order_and_only_where_there_are_points() -> None:
    """Each with one HELP and one TYPE line, special characters in the help escaped."""
    points: dict[str, Sequence[Point]] = {
        "test_things_total": [(("a",), 1.0)],
        "test_gauge_usd": [(("a", "b"), 0.5)],
    }
    text = Renderer(TABLE).render(Snapshot(0, points), extra=b"# more\n").decode()
    assert text.startswith(
        '# HELP test_gauge_usd A "gauge", with a \\\\ and a\\nline break.\n'
        "# TYPE test_gauge_usd gauge\n"
        'test_gauge_usd{a="a",b="b"} 0.5\n'
        "# HELP unitcost_series_dropped_total "
    )
    assert text.endswith('counter\ntest_things_total{a="a"} 1.0\n# more\n')
    assert "test_plain" not in text


def test_counters_of_left_out_series_are_there_from_the_start_at_zero() -> None:
    """Measured zero, so that an increase over the first one is seen."""
    text = Renderer(TABLE).render(Snapshot(0, {})).decode()
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        f'{DROPPED}{{reason="{reason}"}} 0.0' for reason in DROP_REASONS
    ]


def test_a_snapshot_cannot_be_changed_any_more() -> None:
    """Neither itself nor through what it was made of."""
    points: dict[str, list[Point]] = {"test_plain": [((), 1.0)]}
    made = Snapshot(1, points)
    points["test_plain"].append(((), 2.0))
    points["more"] = []
    assert dict(made.points) == {"test_plain": (((), 1.0),)}
    with pytest.raises(TypeError):
        cast(Any, made.points)["more"] = ()
    with pytest.raises(AttributeError):
        cast(Any, made).wall_ns = 2


def test_compressing_loses_nothing_and_is_repeatable() -> None:
    """Same bytes in, same bytes out: nothing of the clock is in them."""
    import gzip

    text = Renderer().render(full_snapshot())
    assert gzip.decompress(compress(text)) == text
    assert compress(text) == compress(text)


def test_every_metric_renders_as_recorded(root: Path) -> None:
    """Recorded anew with UNITCOST_WRITE_GOLDEN=1; look at the difference before you keep it."""
    golden = root / "tests/golden/every_metric.prom"
    text = Renderer().render(full_snapshot())
    if os.environ.get("UNITCOST_WRITE_GOLDEN") == "1":
        golden.write_bytes(text)
    assert text.decode() == golden.read_text(encoding="utf-8")


@pytest.mark.real
def test_promtool_finds_nothing_to_say(real_tool: Callable[[str], Path]) -> None:
    """Names, units, types and help texts of every metric, the process's own included."""
    own = SelfMetrics()
    own.answered = lambda: {("/metrics", 200): 3, ("other", 404): 1}
    text = Renderer().render(full_snapshot(), extra=own.text())
    assert b"unitcost_http_requests_total" in text
    result = run(
        [str(real_tool("promtool")), "check", "metrics"],
        input=text, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
