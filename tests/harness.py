"""Runs the real exporter as a user would, and reads what it serves."""

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]
WAIT_SECONDS = 60.0
"""How long to wait for what should take a moment: a loaded machine is no failure."""


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """What `condition` returns once it is true. Raises AssertionError if it does not become so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape, parsed by the reference parser."""

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def each(self, name: str, **labels: str) -> dict[frozenset[tuple[str, str]], float]:
        """Samples of a metric that have these labels, by all their labels."""
        wanted = set(labels.items())
        return {
            found: value
            for (metric, found), value in self.samples.items()
            if metric == name and wanted <= found
        }

    def one(self, name: str, **labels: str) -> float | None:
        """The only sample of a metric with these labels, None if there is none."""
        found = list(self.each(name, **labels).values())
        assert len(found) <= 1, f"{name} {labels}: {len(found)} samples"
        return found[0] if found else None

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        return sum(self.each(name, **labels).values())


def parse(text: str) -> Scrape:
    """A scrape from its text."""
    return Scrape(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


def get(port: int, path: str = "/metrics", timeout: float = 10.0) -> tuple[int, str]:
    """Status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@dataclass(slots=True)
class Exporter:
    """`unitcost run` in a process of its own, on a loopback port."""

    folder: Path
    settings: dict[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def ledger(self) -> Path:
        """Where its ledger lies."""
        return Path(self.settings["ledger"]["path"])

    @property
    def log(self) -> str:
        """All it has logged."""
        return (self.folder / "exporter.log").read_text(errors="replace")

    def write_config(self) -> Path:
        """Write the settings as a file (JSON is YAML)."""
        self.settings.setdefault("ledger", {"path": str(self.folder / "ledger.db")})
        # Never the state files of other jobs on this machine.
        train = {"training": {"directories": [str(self.folder / "train")]}}
        self.settings.setdefault("collectors", train)
        # Nor the servers of others on this machine.
        quiet: dict[str, Any] = {"openmetrics": {"discover": False}}
        self.settings["collectors"] = quiet | self.settings["collectors"]
        self.settings["web"] = {"address": "127.0.0.1", "port": self.port}
        path = self.folder / "unitcost.yaml"
        path.write_text(json.dumps(self.settings))
        return path

    def start(self, ready: bool = True) -> "Exporter":
        """Start it; wait until it is ready."""
        config = self.write_config()
        command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
        with open(self.folder / "exporter.log", "ab") as log:
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        wait_for(self.answers, f"an answer; log: {self.log}")
        if ready:
            self.wait_ready()
        return self

    def answers(self) -> bool:
        """Whether it serves."""
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return get(self.port, "/-/healthy")[0] == 200
        return False

    def wait_ready(self) -> None:
        """Wait for the first commit."""
        wait_for(lambda: get(self.port, "/-/ready")[0] == 200, "readiness")

    def scrape(self) -> Scrape:
        """What /metrics says now."""
        status, text = get(self.port)
        assert status == 200
        return parse(text)

    def wait_tick(self, count: int = 1) -> Scrape:
        """A scrape after `count` more commits."""
        for _ in range(count):
            before = self._last_commit()
            wait_for(partial(self._committed_since, before), "another commit")
        return self.scrape()

    def _last_commit(self) -> float | None:
        return self.scrape().one("unitcost_ledger_last_commit_timestamp_seconds")

    def _committed_since(self, before: float | None) -> bool:
        return self._last_commit() != before

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait for its end; its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self.process = None
        return code

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the ledger, read beside the exporter."""
        with contextlib.closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as ledger:
            return ledger.execute(query).fetchall()


@contextlib.contextmanager
def exporter(folder: Path, **settings: Any) -> Iterator[Exporter]:
    """An exporter that is running, and is ended afterwards."""
    running = Exporter(folder, settings)
    try:
        yield running.start()
    finally:
        running.stop(signal.SIGKILL)
