"""A real PostgreSQL of one's own: made in a folder, on a free port of the loopback, then gone."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.harness import free_port, wait_for
from unitcost.exporter.ledger.engines import Database, postgresql_engine

PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql")


def find_programs() -> Path | None:
    """Where `initdb` and `postgres` are: on PATH, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    newest = [path for place in PLACES for path in sorted(Path(place).glob("**/bin/initdb"))]
    return newest[-1].parent if newest else None


@dataclass(slots=True)
class Server:
    """PostgreSQL in a folder; it refuses to run as root, so root runs it as somebody else."""

    programs: Path
    folder: Path
    durable: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    names: Iterator[int] = field(default_factory=count)

    @property
    def _as(self) -> str | None:
        return None if os.geteuid() else _somebody()

    def make(self) -> "Server":
        """The cluster's files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._as:
            shutil.chown(self.folder, self._as)
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "unitcost", "-A", "trust", "-N")
        return self

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(
            command, user=self._as, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> "Server":
        """Run it until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options]
        with open(self.folder / "postgres.log", "ab") as log:
            self.process = subprocess.Popen(
                command, user=self._as, cwd=self.folder, stdout=log, stderr=log
            )
        wait_for(self._answers, f"PostgreSQL; {self.folder}/postgres.log says why not")
        return self

    def _answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT in order, SIGQUIT as if the power failed."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)
            self.process.wait(60)
            self.process = None

    def database(self, template: str = "template0") -> Database:
        """A new database, empty or as another one is that nobody uses now."""
        name = f"test{next(self.names)}"
        engine = postgresql_engine(self._url("postgres"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        engine.dispose()
        return self._url(name)

    def _url(self, name: str) -> Database:
        return Database(f"postgresql://unitcost@127.0.0.1:{self.port}/{name}")


def _somebody() -> str:
    """A user of the system who is not root."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise LookupError("neither postgres nor nobody is a user here")


@contextmanager
def server(programs: Path, folder: Path, *, durable: bool = False) -> Iterator[Server]:
    """A PostgreSQL that runs until the end."""
    made = Server(programs, folder, durable).make().start()
    try:
        yield made
    finally:
        made.stop(signal.SIGQUIT)
