"""The real exporter and the real `unitcost central`, as a user sets them up."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness import Exporter, exporter, free_port, get, wait_for

SUM = "SELECT hour, SUM(pico), SUM(quantity), COUNT(*) FROM charge GROUP BY hour ORDER BY hour"
SENT = "unitcost_central_last_success_timestamp_seconds"
ERRORS = "unitcost_central_errors_total"


@pytest.fixture
def central(tmp_path: Path) -> Iterator[int]:
    """`unitcost central` on a file; its port."""
    port = free_port()
    (tmp_path / "tokens").write_text("node-1 a-secret-of-node-1\n")
    (tmp_path / "token").write_text("a-secret-of-node-1\n")
    web = f"{{address: 127.0.0.1, port: {port}}}"
    (tmp_path / "central.yaml").write_text(f"tokens_file: tokens\npath: central.db\nweb: {web}\n")
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "central", "--config"]
    with open(tmp_path / "central.log", "ab") as log:
        arguments = [*command, str(tmp_path / "central.yaml")]
        with subprocess.Popen(arguments, stdout=log, stderr=log) as process:
            wait_for(lambda: _answers(port), "an answer")
            yield port
            process.terminate()
            assert process.wait(60) == 0
    check = subprocess.run([*arguments, "--check"], capture_output=True, text=True, check=False)
    assert (check.returncode, check.stdout) == (0, "ok\n")


def _answers(port: int) -> bool:
    try:
        return get(port, "/-/ready")[0] == 200
    except OSError:
        return False


def _rows(path: Path) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        return ledger.execute(SUM).fetchall()


def test_what_an_exporter_charges_arrives(central: int, tmp_path: Path) -> None:
    """All of it, again and again; and another host's token is of no use."""
    settings = {
        "host": {"name": "node-1"},
        "price": {"usd_per_hour": "98.32"},
        "period": 0.2,
        "gather_deadline": 0.15,
        "central": {
            "url": f"http://127.0.0.1:{central}",
            "token_file": str(tmp_path / "token"),
            "interval_seconds": 1,
        },
    }
    with exporter(tmp_path, **settings) as running:
        wait_for(lambda: running.scrape().one(SENT), "a delivery")
        first = running.scrape().one(SENT)
        wait_for(lambda: running.scrape().one(SENT) != first, "another one")
        assert running.scrape().total(ERRORS) == 0
        running.stop()
        _all_of_it(running)
        running.settings["host"] = {"name": "node-2"}
        running.start()
        wait_for(lambda: running.scrape().one(ERRORS, kind="unauthorized"), "a refusal")
    assert 'unitcost_fleet_rejected_total{reason="wrong_host"} 0' not in get(central, "/metrics")[1]


def _all_of_it(running: Exporter) -> None:
    """What a stopped exporter had not sent, the next one sends; and no more than there is."""
    before = _rows(running.ledger)
    theirs = running.folder / "central.db"
    running.start()
    wait_for(lambda: sum(row[1] for row in _rows(theirs)) >= sum(row[1] for row in before), "all")
    running.stop()
    ours = {row[0]: row for row in _rows(running.ledger)}
    assert all(row[1] <= ours[row[0]][1] and row[3] <= ours[row[0]][3] for row in _rows(theirs))
