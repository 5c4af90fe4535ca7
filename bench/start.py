"""From the start of `unitcost run` to the first scrape that has a commit behind it.

Run: python bench/start.py. Empty ledger, and one of 100 MB; five starts each, the median counts.
The peer is a bare `python -c "import sqlalchemy, uvicorn"` in the same run.
"""

import http.client
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from world import free_port

STARTS = 5
LEDGER_BYTES = 100_000_000


def start(folder: Path) -> float:
    """Seconds from start to ready; the exporter is ended again."""
    port = free_port()
    settings = {
        "price": {"usd_per_hour": "10"},
        "ledger": {"path": str(folder / "ledger.db")},
        "web": {"address": "127.0.0.1", "port": port},
    }
    config = folder / "unitcost.yaml"
    config.write_text(json.dumps(settings))
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "run", "--config", str(config)]
    began = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        while not ready(port):
            time.sleep(0.005)
        seconds = time.monotonic() - began
        child.terminate()
    return seconds


def ready(port: int) -> bool:
    """Whether a tick is committed, and /metrics served."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with closing(connection):
            connection.request("GET", "/metrics")
            return b"unitcost_ledger_last_commit" in connection.getresponse().read()
    return False


def fill(ledger: Path) -> None:
    """Old charges until the file has 100 MB, in the shape the exporter writes."""
    row = (
        "host", "host", "cpu", "rent", "", "model", "", 0, "active", "cpu_time",
        "0123456789abcdef", "USD", 0, 123456789, 987654321, "1", 1_790_000_000_000_000_000,
    )  # fmt: skip
    with closing(sqlite3.connect(ledger)) as connection:
        hour = 490_000
        while ledger.stat().st_size < LEDGER_BYTES:
            rows = [
                (hour - n // 100, *row[:4], f"workload-{n % 100}", *row[5:]) for n in range(20_000)
            ]
            marks = ",".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO charge VALUES ({marks})", rows)  # noqa: S608
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            hour -= 300


def imports() -> float:
    """Seconds that the libraries alone take to import."""
    began = time.monotonic()
    modules = "import sqlalchemy, uvicorn, apscheduler.schedulers.background, prometheus_client"
    subprocess.run([sys.executable, "-Ic", modules], check=True)
    return time.monotonic() - began


def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        libraries = statistics.median(imports() for _ in range(STARTS))
        start(folder)
        empty = statistics.median(start(folder) for _ in range(STARTS))
        fill(folder / "ledger.db")
        size = (folder / "ledger.db").stat().st_size / 1e6
        full = statistics.median(start(folder) for _ in range(STARTS))
    print(f"start, empty ledger: {empty:.2f} s (target <= 1.5 s); imports alone {libraries:.2f} s")
    print(f"start, {size:.0f} MB ledger: {full:.2f} s (target <= 1.5 s)")


if __name__ == "__main__":
    main()
