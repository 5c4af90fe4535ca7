"""Servers that nobody configured, found by the whole exporter: their cost, and who is never asked.

The exporter finds the servers of one kind only, whose word is in no other command line here.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.collectors.listeners import TABLE, WORD, listener
from tests.e2e.test_demo_server import demo_server
from tests.harness import Exporter, Scrape, free_port, wait_for
from unitcost.exporter.demo.config import SERVER_TABLE
from unitcost.exporter.doctor import doctor

REQUESTS = "unitcost_requests_total"
DEMO_WORD = "unitcost.exporter.demo.server"


def settings(**more: Any) -> dict[str, Any]:
    """Ticks twice a second, a price, and servers of two kinds to discover.

    Whatever other servers run on this machine are excluded by being no kind of ours: tables that
    are built in give way to ours, which have their names.
    """
    widget = msgspec.to_builtins(TABLE)
    return {
        "period": 0.5,
        "gather_deadline": 0.4,
        "price": {"usd_per_hour": 1},
        "servers": {"widget": widget, "demo": {**SERVER_TABLE, "processes": [DEMO_WORD]}},
        "collectors": {"openmetrics": {"discover": True}},
        **more,
    }


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter that has not been started yet."""
    (tmp_path / "train").mkdir()
    made = Exporter(tmp_path, settings())
    yield made
    made.stop(9)


def page(count: int, start: float = 1.79e9) -> bytes:
    """The page of a server that has answered so many requests."""
    return (
        b"# TYPE widget_requests_total counter\nwidget_requests_total %d\n"
        b"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %r\n" % (count, start)
    )


def counted(exporter: Exporter, workload: str) -> float | None:
    """The requests of a workload, None where it is not there."""
    found = exporter.scrape().each(REQUESTS, workload=workload)
    return sum(found.values()) if found else None


def test_a_server_that_nobody_configured_has_a_cost_per_request(running: Exporter) -> None:
    """The demo's server: real requests, its own name, within a few ticks."""
    port = free_port()
    with demo_server(port) as client:
        running.start()
        name = f"demo:{port}"
        wait_for(lambda: counted(running, name) is not None, "the server to be found")
        for _ in range(5):
            client.ask("hello")
        wait_for(lambda: counted(running, name) == 5, "five requests")

        def cost(scrape: Scrape) -> float:
            return scrape.total("unitcost_request_cost_usd", workload=name)

        wait_for(lambda: cost(running.scrape()) > 0, "a cost per request")
        assert running.scrape().total("unitcost_cost_usd_total", workload=name) > 0


def test_a_workload_that_is_matched_needs_no_endpoint(running: Exporter, tmp_path: Path) -> None:
    """Its server is found, and is its."""
    running.settings["workloads"] = [{"name": "chat", "match": {"command": WORD}}]
    with listener(tmp_path / "server", page=page(5)) as server:
        running.start()
        wait_for(lambda: counted(running, "chat") is not None, "the server to be found")
        (server.folder / "page").write_bytes(page(12))
        wait_for(lambda: counted(running, "chat") == 7, "seven requests")
        assert counted(running, f"widget:{server.port}") is None


def test_a_server_that_starts_anew_goes_on_counting(running: Exporter, tmp_path: Path) -> None:
    """Neither its history nor what it counted before the restart is counted twice."""
    with listener(tmp_path / "server", page=page(100)) as server:
        running.start()
        name = f"widget:{server.port}"
        wait_for(lambda: counted(running, name) is not None, "the server to be found")
        (server.folder / "page").write_bytes(page(103))
        wait_for(lambda: counted(running, name) == 3, "three requests")
    running.wait_tick(2)
    anew = page(4, time.time())
    with listener(tmp_path / "server", ports=server.ports, page=anew) as again:
        wait_for(lambda: counted(running, name) == 7, "four more")
        assert again.asked


def test_who_hangs_holds_nobody_up_and_who_is_no_http_is_asked_once(
    running: Exporter, tmp_path: Path
) -> None:
    """While both are there, an endpoint of the configuration is read at each tick."""
    shutil.rmtree(tmp_path / "train")
    with (
        listener(tmp_path / "raw", "raw") as raw,
        listener(tmp_path / "hung", "hang") as hung,
        listener(tmp_path / "fine", page=page(1)) as fine,
        listener(tmp_path / "other", word="other") as other,
    ):
        running.settings["workloads"] = [{"name": "chat", "endpoints": [{"url": fine.url}]}]
        running.start()
        wait_for(lambda: raw.asked and hung.asked, "both to be asked")
        before = len(fine.asked)
        scrape = running.wait_tick(4)
        assert len(fine.asked) >= before + 3
        assert raw.asked == ["raw"]
        assert other.asked == []
        assert scrape.one("unitcost_collector_up", collector="openmetrics") == 1


def test_who_does_not_want_it_has_it_off(running: Exporter, tmp_path: Path) -> None:
    """Then nothing is sent to anybody."""
    running.settings["collectors"] = {"openmetrics": {"discover": False}}
    with listener(tmp_path / "server") as server:
        running.start()
        running.wait_tick(4)
        assert server.asked == []


def test_the_doctor_says_what_it_finds_and_changes_nothing(
    running: Exporter, tmp_path: Path
) -> None:
    """A line for each server, or why there is none."""
    with listener(tmp_path / "server") as server:
        said = _doctor(running)
        assert server.url in said
        assert f"else for widget:{server.port}" in said
        running.settings["collectors"]["openmetrics"]["discover"] = False
        assert "switched off" in _doctor(running)


def _doctor(running: Exporter) -> str:
    from unitcost.exporter.config.load import load

    loaded = load(running.write_config())
    lines = [each.line() for each in doctor.findings(loaded) if each.subject == "discovery"]
    assert lines, json.dumps(running.settings)
    return "\n".join(lines)
