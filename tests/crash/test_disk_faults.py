"""The ledger's disk is full, read-only, busy or damaged: /metrics stands still, nothing is lost."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Exporter, Scrape, exporter, wait_for
from unitcost.exporter.ledger.tools import check
from unitcost.exporter.settling.state import decode

QUICK = {"price": {"usd_per_hour": "98.32"}, "period": 0.2, "gather_deadline": 0.15}
COST = "unitcost_cost_usd_total"
ERRORS = "unitcost_ledger_write_errors_total"


def _wait_errors(running: Exporter, more_than: float = 0.0) -> Scrape:
    """A scrape that has counted further write errors."""

    def failed() -> Scrape | None:
        scrape = running.scrape()
        return scrape if (scrape.one(ERRORS) or 0) > more_than + 2 else None

    result = wait_for(failed, "write errors")
    assert isinstance(result, Scrape)
    return result


def _assert_stands_still_and_recovers(
    running: Exporter, break_it: contextlib.AbstractContextManager[object]
) -> None:
    running.wait_tick(2)
    with break_it:
        broken = _wait_errors(running)
        later = _wait_errors(running, broken.one(ERRORS) or 0)
        assert broken.one("unitcost_ledger_writable") == 0
        assert later.total(COST) == broken.total(COST) > 0
        assert later.one("unitcost_collector_up", collector="host") == 1
    wait_for(lambda: running.scrape().one("unitcost_ledger_writable") == 1, "repair")
    after = running.wait_tick()
    _assert_nothing_lost(running, after)
    assert after.total(COST) > later.total(COST)


def _assert_nothing_lost(running: Exporter, scrape: Scrape) -> None:
    """Every nanosecond since the first tick is charged, in one piece."""
    assert scrape.each("unitcost_gap_seconds_total") == {}
    assert scrape.one("unitcost_conservation_residual_usd") == 0
    assert scrape.one("unitcost_tick_failures_total") == 0
    assert check(running.ledger) == []
    ((document, elapsed),) = running.rows(
        "SELECT document, (SELECT SUM(elapsed_ns) FROM accrual WHERE resource = 'cpu') FROM state"
    )
    state = decode(document)
    assert state.position is not None
    since, until = state.metered_since_ns, state.position.at_ns
    assert elapsed == until - since


def test_a_busy_ledger_holds_up_nothing_but_itself(tmp_path: Path) -> None:
    """Another process holds the write lock for a while."""

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(running.ledger, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")

    with exporter(tmp_path, **QUICK) as running:
        _assert_stands_still_and_recovers(running, locked())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root, outside a container that forbids it, can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    """The ledger's disk has no room, then has some again."""

    @contextlib.contextmanager
    def full() -> Iterator[None]:
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        filler.unlink()

    ledger = {"path": str(small_disk / "ledger.db")}
    with exporter(tmp_path, ledger=ledger, **QUICK) as running:
        _assert_stands_still_and_recovers(running, full())


def _remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def test_a_disk_that_is_read_only_from_the_start_is_served_on(
    tmp_path: Path, small_disk: Path
) -> None:
    """No totals, but everything else; charged as soon as it can be written."""
    (small_disk / "ledger").mkdir()
    ledger = {"path": str(small_disk / "ledger" / "ledger.db")}
    running = Exporter(tmp_path, {"ledger": ledger, **QUICK})
    _remount(small_disk, "ro")
    try:
        running.start(ready=False)
        broken = _wait_errors(running)
        assert broken.each(COST) == {}
        assert broken.one("unitcost_ledger_writable") == 0
        _remount(small_disk, "rw")
        running.wait_ready()
        assert running.wait_tick(2).total(COST) > 0
    finally:
        running.stop()


def test_a_ledger_damaged_while_running_is_set_aside_and_totals_go_on(tmp_path: Path) -> None:
    """The file is overwritten under the running exporter, which reads it afresh now and then."""
    with exporter(tmp_path, time_scale=3600, unit_costs={"window": 3600}, **QUICK) as running:
        before = running.wait_tick(3)
        junk = os.urandom(4096)
        with open(running.ledger, "r+b") as file:
            for _ in range(running.ledger.stat().st_size // len(junk)):
                file.write(junk)
        with open(running.ledger.with_name("ledger.db-wal"), "r+b") as file:
            file.truncate(0)
        name = "unitcost_ledger_set_aside_total"
        wait_for(lambda: running.scrape().one(name) == 1, "the file to be set aside")
        after = running.wait_tick(2)
        assert after.total(COST) >= before.total(COST) > 0
        assert after.one("unitcost_conservation_residual_usd") == 0
        assert len(list(tmp_path.glob("ledger.db.corrupt-*"))) >= 1
        assert check(running.ledger) == []
        running.stop()
        (charged,) = running.rows("SELECT SUM(pico) FROM charge")[0]
        (counted,) = running.rows(
            f"SELECT SUM(value) FROM counter WHERE metric = '{COST}'"  # noqa: S608 - a constant
        )[0]
        assert counted == charged


def test_a_ledger_that_is_removed_is_written_anew(tmp_path: Path) -> None:
    """Somebody deletes the file under the running exporter."""
    with exporter(tmp_path, **QUICK) as running:
        before = running.wait_tick(2)
        for path in tmp_path.glob("ledger.db*"):
            if path.name != "ledger.db.lock":
                path.unlink()
        wait_for(running.ledger.exists, "a new ledger")
        after = running.wait_tick(2)
        assert after.total(COST) > before.total(COST)
        assert check(running.ledger) == []


def test_a_ledger_found_corrupt_at_the_start_is_kept_and_reported(tmp_path: Path) -> None:
    """Totals start from zero; the old file stays for whoever wants to look at it."""
    with exporter(tmp_path, **QUICK) as running:
        running.wait_tick(2)
        running.stop()
        shutil.copy(running.ledger, tmp_path / "good.db")
        running.ledger.write_bytes(b"not a database at all, but long enough to be read" * 100)
        running.start()
        assert running.scrape().one("unitcost_ledger_set_aside_total") == 1
        assert len(list(tmp_path.glob("ledger.db.corrupt-*"))) == 1
        assert "corrupt" in running.log
        assert running.wait_tick().total(COST) > 0


def test_a_second_exporter_on_the_same_ledger_is_refused(tmp_path: Path) -> None:
    """It says so in one line and exits 1; the first goes on."""
    (tmp_path / "second").mkdir()
    with exporter(tmp_path, **QUICK) as running:
        second = Exporter(tmp_path / "second", {"ledger": running.settings["ledger"], **QUICK})
        with pytest.raises(AssertionError, match="ended with 1"):
            second.start()
        assert "another unitcost uses this ledger" in second.log
        running.wait_tick()
