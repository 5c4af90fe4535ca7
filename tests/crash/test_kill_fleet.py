"""Agents, the fleet's ledger and its database are killed, and the network between is bad.

Nothing is lost and nothing is there twice: to the pico-dollar, hour by hour.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import postgres
from tests.crash import fleet
from tests.crash.bad_network import BadNetwork, Fault
from tests.harness import free_port, get, wait_for
from tests.places import Where
from unitcost.exporter.central.checking import check_central
from unitcost.exporter.ledger.engines import Database
from unitcost.exporter.ledger.tools import check

LONG = os.environ.get("UNITCOST_LONG") == "1"
ROUNDS = 1000 if LONG else 6
HOSTS = ("h1", "h2")
SECRET = "a-secret-of-the-fleet"  # noqa: S105 - a test's
TABLES = {
    "charge": "SUM(pico), SUM(quantity), COUNT(*)",
    "accrual": "SUM(pico), SUM(elapsed_ns), COUNT(*)",
    "unit_count": "SUM(micro), COUNT(*)",
    "item_charge": "SUM(usd), SUM(pico), SUM(units), COUNT(*)",
}


@dataclass(slots=True)
class CentralProcess:
    """`unitcost central` in a process of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers; its database may be away."""
        config = self.folder / "central.yaml"
        web = f"{{address: 127.0.0.1, port: {self.port}}}"
        config.write_text(f"tokens_file: tokens\ndatabase_url_file: url\nweb: {web}\n")
        command = [
            sys.executable,
            "-Im",
            "unitcost.exporter.cli",
            "central",
            "--config",
            str(config),
        ]
        with open(self.folder / "central.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self.answers, "an answer")

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return get(self.port, "/-/healthy")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        """As the system would that has no memory left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def durable() -> Iterator[postgres.Server]:
    """A PostgreSQL that writes what it says to the disk."""
    programs = postgres.find_programs()
    if programs is None:
        if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
            pytest.fail("postgresql is not installed (CONTRIBUTING.md says how)")
        pytest.skip("postgresql is not installed (CONTRIBUTING.md says how)")
    with (
        tempfile.TemporaryDirectory(prefix="unitcost-postgres-") as folder,
        postgres.server(programs, Path(folder), durable=True) as running,
    ):
        yield running


@dataclass(slots=True)
class Agents:
    """Some hosts; each has a ledger of its own."""

    folder: Path
    url: str
    last: dict[str, int] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def ledger(self, host: str) -> Path:
        """Its ledger."""
        return self.folder / f"{host}.db"

    def start(self, chance: random.Random) -> None:
        """All of them, until they have committed something."""
        for host in HOSTS:
            first = self.last.get(host, 0) + chance.randrange(1, 200)
            arguments = [str(self.ledger(host)), host, str(first), self.url]
            command = [sys.executable, "-I", fleet.__file__, *arguments, str(self.folder / "token")]
            self.running[host] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for process in self.running.values():
            assert process.stdout is not None
            assert process.stdout.readline()

    def kill(self) -> None:
        """All of them."""
        for host, process in self.running.items():
            process.send_signal(signal.SIGKILL)
            assert process.stdout is not None
            numbers = [int(line) for line in process.stdout if line.endswith("\n")]
            self.last[host] = max([self.last.get(host, 0), *numbers])
            process.wait()
            process.stdout.close()
        self.running.clear()

    def send_the_rest(self, url: str) -> None:
        """As the agents that start next would do; nothing is committed any more."""
        for host in HOSTS:
            path = self.ledger(host)
            with closing(sqlite3.connect(path)) as connection:
                (seq,) = connection.execute("SELECT seq FROM state").fetchone()
            sender = fleet.sender_of(path, host, url, self.folder / "token", seq)

            def all_sent(sender: Any = sender) -> bool:
                sender.once()
                return bool(sender.progress.unsent == 0)

            wait_for(all_sent, f"{host} to have sent all; {sender.errors}")
            assert sum(sender.errors.values()) == 0


@pytest.mark.crash
@pytest.mark.real
def test_kills_cuts_and_outages_lose_and_double_nothing(
    durable: postgres.Server, tmp_path: Path
) -> None:
    """6 rounds of all that can happen (1,000 by flag)."""
    chance = random.Random(9842)
    database = durable.database()
    (tmp_path / "url").write_text(database.url)
    (tmp_path / "tokens").write_text(f"* {SECRET}\n")
    (tmp_path / "token").write_text(SECRET)
    central = CentralProcess(tmp_path)
    central.start()
    network = BadNetwork(central.port, 9842)
    agents = Agents(tmp_path, f"http://127.0.0.1:{network.port}")
    try:
        for n in range(ROUNDS):
            agents.start(chance)
            time.sleep(chance.uniform(0, 1.5))
            _break(n, central, durable, chance)
            agents.kill()
        network.close()
        agents.send_the_rest(f"http://127.0.0.1:{central.port}")
        _compare(agents, database)
        assert sum(network.faults.values()) > ROUNDS
        assert len(network.faults) > len(Fault) // 2
    finally:
        agents.kill()
        central.kill()


def _break(
    n: int, central: CentralProcess, database: postgres.Server, chance: random.Random
) -> None:
    """The fleet's ledger is killed, or its database, or neither; and it is there again."""
    if n % 4 == 1:
        central.kill()
        time.sleep(chance.uniform(0, 0.5))
        central.start()
    elif n % 4 == 2:
        database.stop(signal.SIGQUIT)
        time.sleep(chance.uniform(0, 1))
        database.start()
        wait_for(lambda: get(central.port, "/-/ready")[0] == 200, "the database to be found again")
    time.sleep(chance.uniform(0, 1))


def _compare(agents: Agents, database: Database) -> None:
    """What the fleet's ledger has is what the agents have."""
    theirs = Where(database)
    for host in HOSTS:
        ours = Where(agents.ledger(host))
        assert check(agents.ledger(host)) == []
        assert len(ours.rows("SELECT DISTINCT hour FROM charge")) > 1
        for table, sums in TABLES.items():
            where = f"WHERE host = '{host}' GROUP BY hour ORDER BY hour"
            query = f"SELECT hour, {sums} FROM {table} {where}"  # noqa: S608 - ours
            assert theirs.rows(query) == ours.rows(query), table
    assert check_central(database) == []
