"""The demo's course: start everything, read and show what it costs, and end."""

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from unitcost.exporter.config.settings import PORT
from unitcost.exporter.demo.children import SINGLE_THREAD, Children, Ended
from unitcost.exporter.demo.config import (
    PERIOD,
    SERVER,
    SERVER_MODULE,
    TRAINER,
    TRAINER_MODULE,
    Plan,
)
from unitcost.exporter.demo.load import Load
from unitcost.exporter.demo.reading import Rates, Reading, as_json, fetch, parse
from unitcost.exporter.demo.table import Screen, View

EXPORTER_MODULE = "unitcost.exporter.cli"
START_SECONDS = 60.0
SETTLE_SECONDS = 3 * PERIOD
"""Before a planned end the load stops, so that everything it did is in the last reading."""


class CannotStart(Exception):
    """The demo cannot start or go on; the text says why."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int | None) -> int:
    """Return the port for /metrics. Raises CannotStart where the one asked for is taken."""
    if wanted is None:
        return PORT if is_free(PORT) else free_port()
    if not 0 <= wanted <= 65535 or (wanted and not is_free(wanted)):
        raise CannotStart(f"port {wanted} cannot be listened on; choose another with --port")
    return wanted or free_port()


def memory_gib() -> float:
    """Return this machine's memory in GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


class Stage:
    """One demo, from its first child to its last reading."""

    def __init__(self, args: argparse.Namespace, ended: Ended, stack: ExitStack) -> None:
        """Prepare; everything that must be undone at the end is entered on `stack`."""
        self._started = time.monotonic()
        self._args = args
        self._ended = ended
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unitcost-demo-")))
        port, cores = choose_port(args.port), os.cpu_count() or 1
        self._plan = Plan(folder, port, free_port(), args.usd_per_hour, cores, memory_gib())
        self._children = stack.enter_context(Children(folder))
        self._load = Load(self._plan.server_port)
        stack.callback(self._load.stop, 2.0)
        self._screen = stack.enter_context(Screen(quiet=args.json))
        self._rates = Rates()
        self._reading: Reading | None = None
        self._url = f"http://127.0.0.1:{port}/metrics"

    def run(self) -> None:
        """Start all parts and watch them until the end. Raises CannotStart or ChildFailed."""
        if self._args.port is None and self._plan.port != PORT:
            print(f"port {PORT} is taken; /metrics is at {self._url}", file=sys.stderr)
        self._start_exporter()
        if not self._ended.is_set():
            self._start_workloads()
        self._watch()
        self._finish()

    def _start_exporter(self) -> None:
        """Start the exporter before the rest, so that all they do happens in metered time."""
        plan = self._plan
        plan.write()
        self._children.start("exporter", EXPORTER_MODULE, ["run", "--config", str(plan.file)], {})
        self._wait_for(f"http://127.0.0.1:{plan.port}/-/ready")

    def _start_workloads(self) -> None:
        plan = self._plan
        weights = ["--weights", str(plan.weights)]
        self._children.start(
            SERVER, SERVER_MODULE, ["--port", str(plan.server_port), *weights], SINGLE_THREAD
        )
        self._children.start(
            TRAINER,
            TRAINER_MODULE,
            ["--share", f"{plan.training_share:.2f}", *weights],
            {**SINGLE_THREAD, "UNITCOST_STATE_DIR": str(plan.state)},
        )
        self._wait_for(f"http://127.0.0.1:{plan.server_port}/health")
        self._load.start()

    def _wait_for(self, url: str) -> None:
        """Return once `url` answers 200. Raises CannotStart after START_SECONDS."""
        deadline = time.monotonic() + START_SECONDS
        while not self._ended.is_set():
            self._children.check()
            try:
                fetch(url)
            except (OSError, ValueError):
                if time.monotonic() > deadline:
                    raise CannotStart(
                        f"{url} did not answer within {START_SECONDS:.0f} s"
                    ) from None
                self._show()
                self._ended.wait(0.1)
            else:
                return

    def _watch(self) -> None:
        """Read and show once a second, until a signal or the end of ``--seconds``."""
        limit: float | None = self._args.seconds
        loaded = None if limit is None else limit - min(SETTLE_SECONDS, limit / 3)
        while not self._ended.is_set():
            self._children.check()
            self._read()
            self._show()
            passed = self._seconds()
            if loaded is not None and passed >= loaded:
                self._load.stop(SETTLE_SECONDS / 2)
                loaded = None
            if limit is not None and passed >= limit:
                return
            left = 1.0 if limit is None else min(1.0, limit - passed)
            self._ended.wait(max(0.05, left))

    def _finish(self) -> None:
        """Read once more and print what is to stay."""
        self._read()
        self._screen.finish(self._view())
        if self._args.json:
            print(json.dumps(self._summary()))

    def _read(self) -> None:
        """Scrape the exporter; keep the last reading where it does not answer."""
        try:
            reading = parse(fetch(self._url))
        except (OSError, ValueError):
            return  # a child that is gone is noticed by check()
        self._reading = self._rates.add(reading)

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _view(self) -> View:
        truth = self._load.truth
        return View(self._args.usd_per_hour, self._url, self._seconds(), self._reading, truth)

    def _show(self) -> None:
        self._screen.show(self._view())

    def _summary(self) -> dict[str, object]:
        return {
            "assumed_usd_per_hour": str(self._args.usd_per_hour),
            "url": self._url,
            "seconds": round(self._seconds(), 3),
            "pids": self._children.pids,
            "reading": as_json(self._reading) if self._reading else None,
            "truth": asdict(self._load.truth),
        }
