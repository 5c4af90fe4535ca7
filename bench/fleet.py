"""A fleet of 1,000 hosts: their series in one real Prometheus, their hours in one real PostgreSQL.

Run: python bench/fleet.py [hosts [days [prometheus|ledger]]]. What is simulated: one process serves
all pages (bench/fleet_world.py); a few threads deliver hours that were settled once
(bench/fleet_hours.py); the hours before those are copied in the database. Prometheus with all
rules, `unitcost central`, PostgreSQL and `unitcost report` are real. All share this machine.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from footprint import cpu_seconds, rss_mib  # noqa: E402
from sqlalchemy import inspect  # noqa: E402
from world import free_port  # noqa: E402

from tests.postgres import find_programs, server  # noqa: E402
from unitcost.dashboards.build import write  # noqa: E402
from unitcost.dashboards.settings import Settings  # noqa: E402
from unitcost.exporter.ledger.engines import Database, postgresql_engine  # noqa: E402

SCRAPE_SECONDS, WARM_SECONDS, SECONDS = 30, 330, 120
OUTAGE_HOURS = 2
SENDERS = 8
TOKEN = "f" * 32
COPY = """INSERT INTO {table} SELECT {columns} FROM {table}
CROSS JOIN generate_series({first}, {last}) AS by_hours WHERE hour = {hour}"""


def say(what: str, value: str) -> None:
    """One line for each figure."""
    print(f"{what}: {value}", flush=True)


@contextlib.contextmanager
def running(command: list[str], **more: object) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended."""
    child = subprocess.Popen(command, text=True, **more)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        child.wait(60)


# --- Prometheus ---------------------------------------------------------------------------


def prometheus_file(folder: Path, port: int, hosts: int) -> Path:
    """One target for each host, all at one address."""
    targets = [
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"__metrics_path__": f"/{host}", "instance": f"host-{host:05d}"},
        }
        for host in range(hosts)
    ]
    (folder / "targets.json").write_text(json.dumps(targets))
    write(Settings(), folder)
    job = {"job_name": "unitcost", "file_sd_configs": [{"files": ["targets.json"]}]}
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "25s"},
        "rule_files": ["rules/unitcost.yaml"],
        "scrape_configs": [job],
    }
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))
    return path


def asked(port: int, query: str) -> list[tuple[dict[str, str], float]]:
    """What Prometheus answers: labels and values."""
    data = urllib.parse.urlencode({"query": query}).encode()
    url = f"http://127.0.0.1:{port}/api/v1/query"
    with urllib.request.urlopen(url, data, timeout=60) as answer:
        found = json.load(answer)["data"]["result"]
    return [(each["metric"], float(each["value"][1])) for each in found]


def one(port: int, query: str) -> float:
    """The only value; 0 where there is none."""
    found = asked(port, query)
    return found[0][1] if found else 0.0


def scraped(folder: Path, hosts: int) -> None:
    """Cardinality, memory, scrapes and rules."""
    binary = shutil.which("prometheus")
    if binary is None:
        say("prometheus", "not installed")
        return
    pages = [sys.executable, str(HERE / "fleet_world.py"), str(hosts)]
    pipe = subprocess.PIPE
    with running(pages, stdin=pipe, stdout=pipe) as world:
        served, series = map(int, (world.stdout or sys.stdin).readline().split())
        port = free_port()
        command = [
            binary,
            f"--config.file={prometheus_file(folder, served, hosts)}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ]
        with running(command) as child:
            time.sleep(WARM_SECONDS)
            before, began = cpu_seconds(child.pid), time.monotonic()
            time.sleep(SECONDS)
            spent = (cpu_seconds(child.pid) - before) / (time.monotonic() - began)
            say("series of one host", f"{series:,}")
            tell_prometheus(port, child.pid, spent)


def tell_prometheus(port: int, pid: int, spent: float) -> None:
    """The figures of a Prometheus that is warm."""
    total = one(port, "count({job='unitcost', __name__=~'unitcost_.+'})")
    recorded = asked(port, "count by (__name__) ({__name__=~'unitcost:.+'})")
    say("series of all hosts", f"{total:,.0f}; up {one(port, 'sum(up)'):,.0f} targets")
    say("recorded series", f"{sum(value for _, value in recorded):,.0f}")
    for labels, value in sorted(recorded, key=lambda each: -each[1])[:8]:
        say(f"  {labels['__name__']}", f"{value:,.0f}")
    say("prometheus", f"{rss_mib(pid):,.0f} MiB, {spent:.0%} of one core")
    for name, query in (
        ("mean", "avg(scrape_duration_seconds)"),
        ("p99", "quantile(0.99, scrape_duration_seconds)"),
    ):
        say(f"scrape of one host, {name}", f"{1000 * one(port, query):.1f} ms")
    own = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).read().decode()
    durations = {
        line.split(";")[-1].split('"')[0]: float(line.split()[-1])
        for line in own.splitlines()
        if line.startswith("prometheus_rule_group_last_duration_seconds{")
    }
    say("all rules, one evaluation", f"{sum(durations.values()):.2f} s every 60 s")
    for name, seconds in sorted(durations.items(), key=lambda each: -each[1])[:6]:
        say(f"  {name}", f"{seconds:.3f} s")


# --- The fleet's ledger -------------------------------------------------------------------


class Senders:
    """Delivers hours of many hosts; one that is sent away comes again."""

    def __init__(self, url: str, hosts: int) -> None:
        from fleet_hours import hours_of

        self.url = url
        self.fleet = [hours_of(host) for host in range(hosts)]
        self.rows = self.fleet[0].rows
        self.again = 0

    def send(self, host: int, hour: int, seq: int) -> None:
        """One delivery, until it is stored."""
        body = self.fleet[host].body(hour, seq)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}
        while True:
            request = urllib.request.Request(self.url, body, headers)  # noqa: S310
            try:
                urllib.request.urlopen(request, timeout=60).read()  # noqa: S310
                return
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise RuntimeError(error.read().decode()) from error
                self.again += 1
                time.sleep(1)

    def all(self, hours: range) -> float:
        """Every host, each hour; returns the seconds it took."""
        began = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as pool:
            work = [(host, hour) for hour in hours for host in range(len(self.fleet))]
            send = lambda each: self.send(each[0], each[1], each[1] - hours.start + 1)  # noqa: E731
            list(pool.map(send, work))
        return time.monotonic() - began


def delivered(folder: Path, hosts: int, days: int) -> None:
    """Deliveries, what they cost the centre, and reports on what is there."""
    programs = find_programs()
    if programs is None:
        say("postgresql", "not installed")
        return
    with server(programs, folder / "postgres", durable=True) as postgres:
        database = postgres.database()
        (folder / "url").write_text(database.url)
        with central(folder) as (child, port):
            senders = Senders(f"http://127.0.0.1:{port}/v1/charges", hosts)
            now = int(time.time()) // 3600
            hours = range(now - OUTAGE_HOURS, now + 1)
            before = cpu_seconds(child.pid)
            peak = Peak(child.pid)
            seconds = senders.all(hours)
            count = len(hours) * hosts
            say("rows of one host and hour", f"{senders.rows}")
            say(
                f"the fleet catches up after {OUTAGE_HOURS} h (and the hour that is open)",
                f"{count:,} deliveries in {seconds:.0f} s: {count / seconds:.0f} deliveries, "
                f"{count * senders.rows / seconds:,.0f} rows a second; {senders.again} came again",
            )
            spent = cpu_seconds(child.pid) - before
            say("central", f"{spent / seconds:.0%} of one core, {peak.end():.0f} MiB at most")
            again = senders.all(range(now, now + 1))
            say("the same hour again", f"{hosts / again:.0f} deliveries a second")
        fill(database, now, days)
        report(folder, days)


class Peak:
    """The most resident memory of a process."""

    def __init__(self, pid: int) -> None:
        self._pid, self._most, self._ended = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.5):
            self._most = max(self._most, rss_mib(self._pid))

    def end(self) -> float:
        """In MiB."""
        self._ended.set()
        self._thread.join()
        return self._most


@contextlib.contextmanager
def central(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real `unitcost central`, and its port."""
    port = free_port()
    (folder / "tokens").write_text(f"* {TOKEN}\n")
    for name in ("tokens", "url"):
        os.chmod(folder / name, 0o600)
    web = {"address": "127.0.0.1", "port": port}
    config = {"database_url_file": "url", "tokens_file": "tokens", "web": web}
    (folder / "central.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "central"]
    with running([*command, "--config", str(folder / "central.yaml")]) as child:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).read()
                break
            time.sleep(0.2)
        yield child, port


def fill(database: Database, hour: int, days: int) -> None:
    """Hours before, copied from one that was delivered: nobody waits for 720 of them."""
    engine = postgresql_engine(database)
    began = time.monotonic()
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for table in ("accrual", "charge", "unit_count"):
            names = [each["name"] for each in inspect(connection).get_columns(table)]
            columns = ", ".join("hour - by_hours" if n == "hour" else n for n in names)
            last = 24 * days - 1
            first = OUTAGE_HOURS + 1
            connection.exec_driver_sql(
                COPY.format(table=table, columns=columns, first=first, last=last, hour=hour)
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        rows = connection.exec_driver_sql("SELECT COUNT(*) FROM charge").scalar_one()
        size = connection.exec_driver_sql("SELECT pg_database_size(current_database())")
        mib = size.scalar_one() / 2**20
    engine.dispose()
    took = time.monotonic() - began
    say(f"{days} days", f"{rows:,} charges, {mib:,.0f} MiB; copied in {took:.0f} s")


def report(folder: Path, days: int) -> None:
    """Reports on all of it."""
    for by in ("owner", "workload,day", "host,day"):
        command = [sys.executable, "-Im", "unitcost.exporter.cli", "report", "--database"]
        command += [str(folder / "url"), "--by", by, "--format", "csv", "-o", os.devnull]
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = time.monotonic() - began
        verdict = done.stderr.strip().splitlines()[-1:]
        say(f"report of {days} days by {by}", f"{took:.1f} s; exit {done.returncode} {verdict}")


def main() -> None:
    """Both halves."""
    hosts = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    days = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    which = sys.argv[3] if len(sys.argv) > 3 else "both"
    with tempfile.TemporaryDirectory(prefix="unitcost-fleet-") as name:
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
        say("this machine", f"{os.cpu_count()} cores, load {load}")
        os.chmod(name, 0o755)  # noqa: S103 - PostgreSQL runs as another user
        if which in ("both", "prometheus"):
            scraped(Path(name), hosts)
        if which in ("both", "ledger"):
            delivered(Path(name), hosts, days)


if __name__ == "__main__":
    main()
