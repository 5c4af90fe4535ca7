"""Runs for many ticks with work coming and going: memory, threads and files do not grow."""

import os
import statistics
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.e2e.test_demo_server import demo_server, settings_for
from tests.harness import exporter, free_port, wait_for

LONG = os.environ.get("UNITCOST_LONG") == "1"
PERIOD = 0.2
SECONDS = 3600 if LONG else 60
"""A minute at this period has as many ticks as 25 minutes at the default one; an hour by flag."""
MIB = 2**20


@pytest.mark.crash
def test_memory_threads_and_files_stay_where_they_are(tmp_path: Path) -> None:
    """Under requests, scrapes and short-lived processes; the ledger stays whole as well."""
    port = free_port()
    settings = {**settings_for(port), "period": PERIOD, "gather_deadline": 0.15}
    settings["unit_costs"] = {"window": 10}
    with demo_server(port) as client, exporter(tmp_path, **settings) as running:
        name = "unitcost_requests_total"
        wait_for(lambda: running.scrape().each(name, workload="chat"), "the server to be seen")
        assert running.process is not None
        watched = psutil.Process(running.process.pid)
        rss, threads, files = [], [], []
        ended = time.monotonic() + SECONDS
        while time.monotonic() < ended:
            client.ask("soak", max_tokens=2)
            subprocess.run(["true"], check=True)
            running.scrape()
            rss.append(watched.memory_info().rss / MIB)
            threads.append(watched.num_threads())
            files.append(watched.num_fds())
            time.sleep(0.1)
        scrape = running.wait_tick()
        assert scrape.one("unitcost_conservation_residual_usd") == 0
        assert scrape.one("unitcost_tick_failures_total") == 0
    quarter = len(rss) // 4
    early, late = rss[quarter : 2 * quarter], rss[-quarter:]
    assert statistics.median(late) - statistics.median(early) < 1.0
    assert max(rss) < 75
    # What a scrape opens comes and goes; what leaks stays, and lifts the lowest reading.
    assert min(threads[-quarter:]) <= min(threads[:quarter])
    assert min(files[-quarter:]) <= min(files[:quarter])
