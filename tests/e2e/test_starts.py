"""Starts of real processes, as the running exporter counts them: over its own death, too."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Exporter, wait_for

STARTS, HOLDERS = "unitcost_workload_starts_total", "unitcost_workload_holders"


class Replicas:
    """Processes that nothing but a mark on their command line tells apart from others."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """One more."""
        command = [sys.executable, "-c", "import time; time.sleep(600)", self.mark]
        self.running.append(subprocess.Popen(command))

    def end(self) -> None:
        """One less, the oldest."""
        oldest = self.running.pop(0)
        oldest.kill()
        oldest.wait()


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    """None runs at first, and none is left."""
    found = Replicas(f"replica-{uuid.uuid4().hex}")
    yield found
    while found.running:
        found.end()


def test_restarts_and_scale_changes_are_counted_over_a_kill(
    tmp_path: Path, replicas: Replicas
) -> None:
    """Not what was there before the exporter; what began while it was dead is."""
    replicas.start()
    running = Exporter(
        tmp_path,
        {
            "price": {"usd_per_hour": 1},
            "period": 0.2,
            "gather_deadline": 0.15,
            "workloads": [{"name": "chat", "match": {"command": replicas.mark}}],
        },
    )

    def until(starts: int, holders: int) -> None:
        wait_for(
            lambda: (
                (scrape := running.scrape()).one(STARTS, workload="chat") == starts
                and scrape.one(HOLDERS, workload="chat") == holders
            ),
            f"{starts} starts, {holders} holders",
        )

    try:
        running.start()
        until(0, 1)
        replicas.start()
        until(1, 2)
        replicas.end()
        until(1, 1)
        running.stop(9)
        replicas.end()
        replicas.start()
        running.start()
        until(2, 1)
        running.wait_tick(3)
        until(2, 1)
    finally:
        running.stop(9)
