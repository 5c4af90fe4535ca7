"""Scrapes while collectors fail: p99 with five broken collectors, and with none, in one run.

Run: python bench/faults.py [scrapes]. The broken ones cannot be imported, raise, exit, hang and
return junk (tests/exporter/bad_collectors.py).
"""

import http.client
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from unitcost.collectors.base import Found
from unitcost.exporter.clock import SystemClock
from unitcost.exporter.config.load import loads
from unitcost.exporter.exporter import Exporter
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.serving.web import WebServer

sys.path.append(str(Path(__file__).parent.parent))
from tests.exporter.bad_collectors import NO_CONTEXT, found


def scrape_times(collectors: tuple[Found, ...], count: int) -> list[float]:
    """Milliseconds of each scrape while the exporter ticks as fast as it can."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ledger.db"
        text = "price: {usd_per_hour: 10}\nperiod: 1\ngather_deadline: 0.5\n"
        text += f"ledger: {{path: {path}}}"
        loaded = replace(
            loads(text), collectors=collectors, collector_options={}, context=NO_CONTEXT
        )
        exporter = Exporter(loaded, SystemClock(), Keeper(path, "host", "host", 400))
        server = WebServer("127.0.0.1", 0, exporter)
        ended = threading.Event()
        ticking = threading.Thread(target=_tick_until, args=(exporter, ended))
        try:
            port = server.start()
            ticking.start()
            return [_scrape(port) for _ in range(count)]
        finally:
            ended.set()
            ticking.join()
            server.stop()
            exporter.close()


def _tick_until(exporter: Exporter, ended: threading.Event) -> None:
    while not ended.wait(0.2):
        exporter.tick()


def _scrape(port: int) -> float:
    time.sleep(0.01)
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    connection.close()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print both."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    everything = found()
    for name, collectors in (("none broken", everything[:1]), ("five broken", everything)):
        times = sorted(scrape_times(collectors, count))
        p99 = times[int(len(times) * 0.99)]
        median = statistics.median(times)
        print(f"scrape, {name}: median {median:.2f} ms, p99 {p99:.2f} ms (target p99 < 100 ms)")


if __name__ == "__main__":
    main()
