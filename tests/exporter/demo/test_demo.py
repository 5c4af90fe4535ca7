"""`unitcost demo` from end to end: priced, counted, exact, and nothing left when it ends."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness import wait_for
from unitcost.exporter.demo import run, stage
from unitcost.exporter.demo.children import Ended
from unitcost.exporter.demo.config import PERIOD

COMMAND = [sys.executable, "-m", "unitcost.exporter.cli", "demo"]


def ended(process: psutil.Process, seconds: float = 30.0) -> bool:
    """Whether it is gone, a zombie that nobody has waited for counting as gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A running demo with its temporary files below `tmp_path`, ended in any case."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def wait_for_children(process: subprocess.Popen[str], number: int) -> list[psutil.Process]:
    """Poll until the demo has started all of its children."""
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        found: list[psutil.Process] = watched.children(recursive=True)
        if len(found) >= number:
            return found
        time.sleep(0.05)
    pytest.fail(f"the demo did not start: {process.communicate(timeout=30)}")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one demo of some seconds says at its end."""
    folder = tmp_path_factory.mktemp("demo")
    started = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--seconds", "26", "--port", "0", "--json", "--usd-per-hour", "2.50"],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    data["wall_seconds"] = time.monotonic() - started
    data["left_files"] = [path.name for path in folder.iterdir()]
    return data


def row(summary: dict[str, Any], workload: str) -> dict[str, Any]:
    """One workload's row of the last reading."""
    rows = {each["workload"]: each for each in summary["reading"]["rows"]}
    found: dict[str, Any] = rows[workload]
    return found


def test_requests_tokens_and_epochs_are_priced(summary: dict[str, Any]) -> None:
    server, train = row(summary, "demo-server"), row(summary, "demo-train")
    assert server["usd_per_request"] > 0
    assert server["usd_per_1k_input_tokens"] > 0
    assert server["usd_per_1k_output_tokens"] > server["usd_per_1k_input_tokens"]
    assert train["usd_per_epoch"] > 0
    assert train["epochs"] >= 1
    for workload in (server, train):
        assert workload["usd"]["active"] > 0


def test_the_sum_of_all_is_what_the_host_costs(summary: dict[str, Any]) -> None:
    reading = summary["reading"]
    assert reading["sums_equal"] is True
    assert reading["workloads_usd"] == pytest.approx(reading["resources_usd"], abs=1e-9)
    assert summary["assumed_usd_per_hour"] == "2.50"
    assert reading["price_usd_per_hour"] == pytest.approx(2.5, abs=1e-9)
    hours = reading["metered_seconds"] / 3600
    assert reading["resources_usd"] == pytest.approx(2.5 * hours, rel=1e-6)
    together = sum(sum(each["usd_per_hour"].values()) for each in reading["rows"])
    assert together == pytest.approx(2.5, rel=1e-6)
    assert {"__system__", "__unallocated__"} <= {each["workload"] for each in reading["rows"]}


def test_the_metered_time_is_the_clocks(summary: dict[str, Any]) -> None:
    """From the exporter's first reading to its last tick: within the demo's own run time."""
    metered = summary["reading"]["metered_seconds"]
    assert 2 * PERIOD < metered <= summary["seconds"] <= summary["wall_seconds"]


def test_the_exporter_counts_what_the_clients_count(summary: dict[str, Any]) -> None:
    server, truth = row(summary, "demo-server"), summary["truth"]
    assert truth["unanswered"] == 0
    assert truth["succeeded"] > 0
    assert server["requests"]["succeeded"] == truth["succeeded"]
    assert server["requests"]["failed"] == truth["failed"]
    assert server["tokens"]["input"] == truth["prompt_tokens"]
    assert server["tokens"]["output"] == truth["output_tokens"]


def test_at_its_end_no_process_and_no_file_is_left(summary: dict[str, Any]) -> None:
    assert summary["pids"].keys() == {"exporter", "demo-server", "demo-train"}
    assert not [pid for pid in summary["pids"].values() if psutil.pid_exists(pid)]
    assert summary["left_files"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_nothing(
    demo: subprocess.Popen[str], number: signal.Signals, tmp_path: Path
) -> None:
    children = wait_for_children(demo, 3)
    demo.send_signal(number)
    output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 128 + number, errors
    assert not [child for child in children if not ended(child)]
    assert list(tmp_path.iterdir()) == []
    assert json.loads(output)["assumed_usd_per_hour"] == "1.00"


def test_kill_9_leaves_no_process(demo: subprocess.Popen[str]) -> None:
    children = wait_for_children(demo, 3)
    demo.kill()
    demo.wait(30)
    assert not [child for child in children if not ended(child)]


def test_a_child_that_dies_ends_the_demo_with_its_name(demo: subprocess.Popen[str]) -> None:
    children = wait_for_children(demo, 3)
    # A child that was only just forked still has its parent's command line.
    trainers = wait_for(
        lambda: [c for c in children if "unitcost.exporter.demo.trainer" in c.cmdline()],
        "the training loop",
    )
    for trainer in trainers:
        trainer.kill()
    _, errors = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "demo-train ended by itself" in errors
    assert not [child for child in children if not ended(child)]


def parsed(*arguments: str) -> argparse.Namespace:
    """Read the demo's options."""
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return parser.parse_args(arguments)


def test_the_default_price_is_stated_as_an_assumption_and_there_is_no_end() -> None:
    args = parsed()
    assert str(args.usd_per_hour) == "1.00"
    assert args.seconds is None
    assert args.port is None
    assert args.json is False


@pytest.mark.parametrize(
    "arguments",
    [
        ("--usd-per-hour", "0"),
        ("--usd-per-hour", "-1"),
        ("--usd-per-hour", "nan"),
        ("--usd-per-hour", "inf"),
        ("--usd-per-hour", "a dollar"),
        ("--usd-per-hour", "1e30"),
        ("--seconds", "0"),
        ("--seconds", "-5"),
        ("--seconds", "nan"),
        ("--seconds", "1e30"),
        ("--seconds", "soon"),
        ("--port", "http"),
    ],
    ids=" ".join,
)
def test_bad_options_are_bad_usage(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parsed(*arguments)
    assert exit_.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_and_the_default_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run.main(parsed("--port", str(port))) == 1
        assert f"port {port} cannot be listened on" in capsys.readouterr().err
        monkeypatch.setattr(stage, "PORT", port)
        assert stage.choose_port(None) not in (port, 0)
    assert stage.choose_port(None) == port


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_said(port: int) -> None:
    with pytest.raises(stage.CannotStart, match=str(port)):
        stage.choose_port(port)


def test_what_is_not_installed_is_said_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "EXTRAS", ("json", "no_such_module", "nor_this_one"))
    assert run.main(parsed()) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "no_such_module, nor_this_one" in lines[0]
    assert "pip install 'unitcost[demo]'" in lines[0]


def test_signals_are_caught_and_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with run.caught_signals() as ended_by:
        assert isinstance(ended_by, Ended)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert ended_by.wait(10)
        assert ended_by.number == signal.SIGTERM  # the first one counts
    assert signal.getsignal(signal.SIGTERM) is before
