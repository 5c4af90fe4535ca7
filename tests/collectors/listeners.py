"""Starts processes that listen, and finds them with the real finder over the real /proc."""

import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness import wait_for
from unitcost.collectors.base import Neighbours, Target
from unitcost.collectors.discovery.finder import Finder, Found, Wanted
from unitcost.collectors.discovery.search import Scope
from unitcost.collectors.page.recognise import Recogniser
from unitcost.collectors.page.table_reading import make_plan
from unitcost.collectors.processes import ProcessTable
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.container import Pod
from unitcost.pricing.sample import Process

PROGRAM = Path(__file__).with_name("listener.py")
WORD = f"known-server-{os.getpid()}"
"""In the command lines of listeners of these tests, and of no other process."""
PAGE = b"""# TYPE widget_requests_total counter
widget_requests_total 3
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1.79e9
"""
TABLE = ServerTable(
    name="widget",
    marker=("widget_",),
    processes=(WORD,),
    requests_succeeded=(Series(metric="widget_requests_total"),),
    start_time_seconds=(Series(metric="process_start_time_seconds"),),
)


def low_port() -> int:
    """A free port that the kernel would not choose by itself."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Listener:
    """A process that listens, and what it was asked."""

    folder: Path
    ports: tuple[int, ...]
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """The first of its ports."""
        return self.ports[0]

    @property
    def asked(self) -> list[str]:
        """The requests it had."""
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def url(self) -> str:
        """Where its page is."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def end(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait(30)


@contextlib.contextmanager
def listener(
    folder: Path,
    mode: str = "page",
    ports: tuple[int, ...] = (),
    word: str = WORD,
    page: bytes | None = PAGE,
    environ: Mapping[str, str] = {},
) -> Iterator[Listener]:
    """A process that listens until the end of the block."""
    ports = ports or (low_port(),)
    folder.mkdir(exist_ok=True)
    (folder / "ready").unlink(missing_ok=True)
    if page is not None:
        (folder / "page").write_bytes(page)
    command = [sys.executable, "-I", str(PROGRAM), mode, str(folder), *map(str, ports), word]
    process = subprocess.Popen(command, env={**os.environ, **environ})
    running = Listener(folder, ports, process)
    try:
        wait_for((folder / "ready").exists, f"{mode} to listen")
        yield running
    finally:
        running.end()


@dataclass
class Seeker:
    """A finder of the server in `TABLE`, on this machine, with a clock that a test moves."""

    tables: tuple[ServerTable, ...] = (TABLE,)
    scope: Scope = field(default_factory=Scope)
    configured: tuple[Target, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    blind: bool = False
    now: float = 0.0

    def __post_init__(self) -> None:
        plans = {table.name: make_plan(table) for table in self.tables}
        recogniser = Recogniser(plans, {})
        wanted = Wanted(scope=self.scope)
        self.finder = Finder(
            wanted,
            self.tables,
            recogniser,
            self.configured,
            environ=self.environ,
            clock=lambda: self.now,
        )
        self.table = ProcessTable()

    def processes(self) -> tuple[Process, ...]:
        """Those of this machine; only its first one where we are blind."""
        found, _ = self.table.read()
        return found[:1] if self.blind else found

    def look(self, seconds: float = 0.0, pods: tuple[Pod, ...] = ()) -> list[Found]:
        """What is found after so many more seconds."""
        self.now += seconds
        self.finder.meet(Neighbours(self.processes(), pods))
        self.finder.begin()
        self.finder.settle(30.0)
        return self.finder.found()

    def look_often(self, times: int = 8, seconds: float = 11.0) -> list[Found]:
        """What is found after several looks."""
        found: list[Found] = []
        for _ in range(times):
            found = self.look(seconds)
        return found


@contextlib.contextmanager
def seeker(**fields: object) -> Iterator[Seeker]:
    """A finder, closed afterwards."""
    made = Seeker(**fields)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.finder.close()
