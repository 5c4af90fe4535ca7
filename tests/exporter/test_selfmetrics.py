"""What the process says about itself."""

import os

from prometheus_client.parser import text_string_to_metric_families

from tests.exporter.web_source import LOOPBACK, FakeSource, ask
from unitcost.exporter.serving.exposition import Renderer
from unitcost.exporter.serving.selfmetrics import SelfMetrics
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.exporter.serving.web import WebServer

PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
}
HTTP = "unitcost_http_requests_total"


def values(text: bytes) -> dict[tuple[str, ...], float]:
    """Samples by name and label values."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_it_gives_the_processs_metrics_and_nothing_else() -> None:
    """No `_created` series, no garbage collector, no platform; no requests before any count."""
    found = values(SelfMetrics().text())
    assert {name for (name,) in found} == PROCESS
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    assert abs(found[("process_resident_memory_bytes",)] - resident) < 64 * 1024 * 1024


def test_two_do_not_get_into_each_others_way() -> None:
    """Nothing is registered globally."""
    first, second = SelfMetrics(), SelfMetrics()
    first.answered = lambda: {("/", 200): 1}
    assert HTTP.encode() in first.text()
    assert HTTP.encode() not in second.text()


def test_requests_answered_are_served_at_the_next_tick() -> None:
    """Through the renderer, as the exporter does it."""
    own = SelfMetrics()
    server = WebServer(LOOPBACK, 0, FakeSource())
    own.answered = server.answered
    port = server.start()
    try:
        for path in ("/metrics", "/metrics", "/secret?token=1"):
            ask(port, path)
        found = values(Renderer().render(Snapshot(0, {}), extra=own.text()))
    finally:
        server.stop()
    assert found[(HTTP, "200", "/metrics")] == 2.0
    assert found[(HTTP, "404", "other")] == 1.0
    assert found[(HTTP, "200", "/")] == 0.0
