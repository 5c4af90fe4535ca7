"""The exporter as a process: signals, reload, restart, and the command that gathers once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.collectors.hf_callback import body, post
from tests.harness import Exporter, exporter, free_port, get, parse, wait_for
from unitcost.exporter.ledger.tools import check

QUICK = {"price": {"usd_per_hour": "10"}, "period": 0.5, "gather_deadline": 0.3}


def _price(running: Exporter) -> float:
    return round(running.scrape().total("unitcost_price_usd_per_hour"), 9)


def _reload(running: Exporter, text: str, said: str) -> None:
    assert running.process is not None
    (running.folder / "unitcost.yaml").write_text(text)
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: said in running.log, said)


def test_sigterm_settles_what_is_left_and_ends_well(tmp_path: Path) -> None:
    """Exit 0; the ledger is whole, and reaches beyond the last scrape."""
    with exporter(tmp_path, **QUICK) as running:
        seen = running.wait_tick(2).total("unitcost_cost_usd_total")
        assert running.stop(signal.SIGTERM) == 0
        ((charged,),) = running.rows("SELECT SUM(pico) FROM charge")
        assert charged / 1e12 >= seen > 0
        assert check(running.ledger) == []


def test_sighup_takes_over_a_new_price_from_then_on(tmp_path: Path) -> None:
    """Time before is charged at the old price, time after at the new one."""
    with exporter(tmp_path, **QUICK) as running:
        running.wait_tick(2)
        assert _price(running) == 10
        changed = {**running.settings, "price": {"usd_per_hour": "20"}}
        _reload(running, json.dumps(changed), "configuration reloaded")
        wait_for(lambda: _price(running) == 20, "the new price")
        running.wait_tick(2)
        assert running.stop() == 0
        rows = running.rows(
            "SELECT pico_per_unit, SUM(elapsed_ns) FROM accrual JOIN price ON price.id = price"
            " WHERE accrual.resource = 'cpu' GROUP BY pico_per_unit"
        )
        assert len(rows) == 2
        assert all(elapsed > 0 for _, elapsed in rows)
        assert abs(rows[1][0] - 2 * rows[0][0]) <= 1
        assert check(running.ledger) == []


def test_sighup_leaves_what_jobs_posted_where_it_is(tmp_path: Path) -> None:
    """The sink listens on; a run that posts seldom keeps its process over a change of the price."""
    port = free_port()
    sink = {"collectors": {"training_sink": {"port": port}}}
    with exporter(tmp_path, **QUICK, **sink) as running:
        running.wait_tick(2)
        assert post(port, "/v1/jobs/tuner/runs/night", body(0, total_steps=30)) == 200

        def cost() -> float:
            labels = {"workload": "tuner", "run": "night"}
            return running.scrape().one("unitcost_run_cost_usd", **labels) or 0

        wait_for(lambda: cost() > 0, "the run to cost something")
        changed = {**running.settings, "price": {"usd_per_hour": "20"}}
        _reload(running, json.dumps(changed), "configuration reloaded")
        running.wait_tick(3)
        before = cost()
        wait_for(lambda: cost() > before, "the run to cost more")


def test_sighup_with_a_bad_file_changes_nothing_and_says_one_line(tmp_path: Path) -> None:
    """The line names file and key; the exporter goes on as it was."""
    with exporter(tmp_path, **QUICK) as running:
        running.wait_tick()
        _reload(running, "price: {usd_per_hour: cheap}", "configuration unchanged")
        (line,) = [line for line in running.log.splitlines() if "unchanged" in line]
        assert "unitcost.yaml" in line
        assert "price.usd_per_hour" in line
        running.wait_tick()
        assert _price(running) == 10


def test_totals_go_on_over_a_restart(tmp_path: Path) -> None:
    """The gap is carried, so the sum is the price times all the time, restart included."""
    with exporter(tmp_path, **QUICK) as running:
        before = running.wait_tick(2).total("unitcost_cost_usd_total")
        running.stop(signal.SIGKILL)
        scrape = running.start().scrape()
        assert scrape.total("unitcost_cost_usd_total") > before
        assert scrape.total("unitcost_gap_seconds_total") > 0
        assert check(running.ledger) == []


def test_once_prints_one_gathering_and_leaves_no_ledger(tmp_path: Path) -> None:
    """Exposition on standard output; nothing is written."""
    path = tmp_path / "unitcost.yaml"
    path.write_text(json.dumps({**QUICK, "ledger": {"path": str(tmp_path / "ledger.db")}}))
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "once", "--config", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    scrape = parse(run.stdout)
    assert round(scrape.total("unitcost_price_usd_per_hour"), 9) == 10
    assert scrape.one("unitcost_collector_up", collector="host") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["unitcost.yaml"]


def test_a_host_without_a_price_is_unpriced_loudly(tmp_path: Path) -> None:
    """No cost series at all, a gauge that says so, and time is counted all the same."""
    with exporter(tmp_path, period=0.5, gather_deadline=0.3) as running:
        scrape = running.wait_tick(2)
        assert scrape.each("unitcost_cost_usd_total") == {}
        assert scrape.each("unitcost_price_usd_per_hour") == {}
        unpriced = scrape.each("unitcost_resource_unpriced", component="rent")
        assert list(unpriced.values()) == [1, 1]
        assert scrape.total("unitcost_held_seconds_total", resource="cpu") > 0


def test_pages_other_than_metrics_answer(tmp_path: Path) -> None:
    """Health, readiness, the start page, and no others."""
    with exporter(tmp_path, **QUICK) as running:
        assert get(running.port, "/-/healthy")[0] == 200
        assert get(running.port, "/-/ready")[0] == 200
        assert get(running.port, "/")[0] == 200
        assert get(running.port, "/nothing")[0] == 404
