"""The marks over time, asked of a real Prometheus in whose past known things happened."""

import contextlib
import json
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.panels import Asked, events, filled
from tests.dashboards.promtool import run
from tests.e2e.test_prometheus import Prometheus
from tests.harness import free_port, get, wait_for
from unitcost.dashboards.names import Recorded

VALUES = {"cluster": ".*", "job": ".+", "instance": ".+", "workload": ".+", "model": ".*"}
MINUTES = 60
PRICE, RESTART, SCALED, DRIFT, OVER, EXPORTER = 10, 20, 30, 35, 50, 55
"""When what happens, in minutes."""
Series = tuple[str, str, str, Callable[[int], float | None]]
REQUESTS = 'workload="chat",model="m",unit="request",factor="price"'
STEPS = 'workload="tuner",model="",unit="step",factor="price"'
RECORDED = 'workload="chat",model="m",factor="price",pace="fast"'
HELD = 'workload="chat",model="m",resource="cpu",state="loading"'


def series(start: float) -> list[Series]:
    """Metric, type, labels, and the value at each minute; None where it is absent."""
    began = start + 60 * DRIFT
    own = "unitcost_drift_since_timestamp_seconds"
    drifts = ((own, REQUESTS), (own, STEPS), (str(Recorded.SINCE), RECORDED))
    return [
        ("unitcost_build_info", "gauge", 'version="1"', lambda _: 1),
        (
            "unitcost_price_usd_per_hour",
            "gauge",
            'resource="cpu",sku="",price_region="",price_model="override",source="x"',
            lambda at: 1.25 if at >= PRICE else 1,
        ),
        (
            "unitcost_workload_starts_total",
            "unknown",
            'workload="chat"',
            lambda at: float((at >= RESTART) + (at >= SCALED)),
        ),
        (
            "unitcost_workload_holders",
            "gauge",
            'workload="chat"',
            lambda at: 2 if at >= SCALED else 1,
        ),
        (
            "unitcost_held_seconds_total",
            "unknown",
            HELD,
            lambda at: float(min(max(0, at - RESTART), 3)),
        ),
        (
            "process_start_time_seconds",
            "gauge",
            "",
            lambda at: start + (60 * EXPORTER if at >= EXPORTER else -60),
        ),
        *(
            (name, "gauge", labels, lambda at: began if DRIFT <= at < OVER else None)
            for name, labels in drifts
        ),
    ]


def openmetrics(start: float) -> str:
    """All samples of an hour, as promtool takes them."""
    lines = []
    for name, kind, labels, value in series(start):
        target = 'job="unitcost",instance="host-1"'
        if f"# TYPE {name} {kind}" not in lines:
            lines.append(f"# TYPE {name} {kind}")
        lines += [
            f"{name}{{{','.join(part for part in (target, labels) if part)}}} {found} "
            f"{start + 60 * at}"
            for at in range(MINUTES)
            if (found := value(at)) is not None
        ]
    return "\n".join([*lines, "# EOF", ""])


@contextlib.contextmanager
def serving(folder: Path, binary: Path) -> Iterator[Prometheus]:
    """A Prometheus on the data in a folder, which scrapes nothing.

    What a scrape would mark as gone is gone as soon as its next sample is missing.
    """
    (folder / "prometheus.yml").write_text("{}")
    port = free_port()
    command = [
        str(binary),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--query.lookback-delta=50s",
    ]
    with (
        open(folder / "prometheus.log", "wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as child,
    ):
        try:
            running = Prometheus(port)
            wait_for(running.alive, "Prometheus")
            yield running
        finally:
            child.kill()


Found = dict[str, tuple[list[int], dict[str, str]]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]) -> Found:
    """At which minutes each kind of event is marked on a dashboard, and its labels."""
    folder = tmp_path_factory.mktemp("events")
    start = time.time() // 7200 * 7200 - 86_400.0
    (folder / "past.om").write_text(openmetrics(start))
    done = run(
        real_tool("promtool"),
        *("tsdb", "create-blocks-from", "openmetrics", "past.om", "data"),
        folder=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with serving(folder, real_tool("prometheus")) as prometheus:
        boards = ("unitcost-drift", "unitcost-training")
        asked = [each for each in events() if each.board in boards]
        return {
            f"{each.ref} ({each.board.removeprefix('unitcost-')})": _marks(prometheus, each, start)
            for each in asked
        }


def _marks(prometheus: Prometheus, asked: Asked, start: float) -> tuple[list[int], dict[str, str]]:
    given = {
        "query": filled(asked.expr, VALUES),
        "start": start + 120,
        "end": start + 60 * (MINUTES - 1),
        "step": 60,
    }
    status, text = get(prometheus.port, "/api/v1/query_range?" + urllib.parse.urlencode(given))
    assert status == 200, text
    rows: list[dict[str, Any]] = json.loads(text)["data"]["result"]
    minutes = sorted({round((at - start) / 60) for row in rows for at, _ in row["values"]})
    return minutes, rows[0]["metric"] if rows else {}


CHAT, TUNER = {"workload": "chat"}, {"workload": "tuner", "unit": "step"}
HOST = {"instance": "host-1"}
DRIFTING = list(range(DRIFT, OVER))


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "minutes", "labels"),
    [
        *(
            row
            for board in ("drift", "training")
            for row in (
                (f"Prices ({board})", [PRICE], HOST),
                (f"Exporter ({board})", [EXPORTER], HOST),
                (f"Restarts ({board})", [RESTART, SCALED], CHAT),
                (f"Loading ({board})", [RESTART + 1, RESTART + 2, RESTART + 3], CHAT),
                (f"Scale ({board})", [SCALED], CHAT),
            )
        ),
        ("Drift (drift)", DRIFTING, CHAT),
        ("Drift over (drift)", [OVER], CHAT),
        ("Drift by the exporter (drift)", DRIFTING, CHAT),
        ("Drift over by the exporter (drift)", [OVER], CHAT),
        ("Drift by the exporter (training)", DRIFTING, TUNER),
        ("Drift over by the exporter (training)", [OVER], TUNER),
    ],
)
def test_each_kind_of_event_is_marked_when_it_happened(
    found: Found, name: str, minutes: list[int], labels: dict[str, str]
) -> None:
    """At its minute, or the one after, which Grafana draws as one; never else."""
    marked, of = found[name]
    assert set(minutes) <= set(marked)
    assert set(marked) <= {at + late for at in minutes for late in (0, 1)}
    assert labels.items() <= of.items()


@pytest.mark.real
def test_every_mark_is_known_here(found: Found) -> None:
    """One that is added gets a line above."""
    assert len(found) == 16
