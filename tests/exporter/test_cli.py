"""The command line, as a user runs it: exit codes, output, and what is not imported."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unitcost.exporter import cli

TIMEOUT = 60


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A user with a state folder of its own."""
    keep = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {**keep, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}


def unitcost(
    environ: dict[str, str], *arguments: str, module: str = "unitcost.exporter"
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-Im", module, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@pytest.mark.parametrize("module", ["unitcost.exporter", "unitcost.exporter.cli"])
def test_it_says_its_version(environ: dict[str, str], module: str) -> None:
    """By both names of the module."""
    run = unitcost(environ, "--version", module=module)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("unitcost 0.")
    assert run.stdout.count("\n") == 1


BAD_USAGE = {
    "nothing": [],
    "an unknown command": ["fly"],
    "an unknown option": ["run", "--fast"],
    "an option cut short": ["run", "--conf", "f"],
    "a command too much": ["run", "run"],
    "no file": ["check-config"],
    "no action": ["ledger"],
    "no action on items": ["items"],
    "no configuration with items": ["items", "list"],
    "an item of nothing": ["items", "add", "--config", "f"],
    "no destination": ["ledger", "backup"],
    "no age": ["ledger", "purge"],
    "an age of nothing": ["ledger", "purge", "--older-than", "0"],
    "an age of text": ["ledger", "purge", "--older-than", "a year"],
    "an age of minus one": ["ledger", "purge", "--older-than=-1"],
    "two places": ["ledger", "check", "--path", "a", "--config", "b"],
}


@pytest.mark.parametrize("name", BAD_USAGE)
def test_bad_usage_is_exit_code_2_and_nothing_on_standard_output(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage on standard error."""
    assert cli.main(BAD_USAGE[name]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("usage: unitcost")


@pytest.mark.parametrize(
    "command", ["run", "once", "check-config", "doctor", "plugins", "ledger", "items"]
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, on standard output."""
    assert cli.main([command, "--help"]) == 0
    assert f"usage: unitcost {command}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "once", "doctor"])
def test_a_bad_configuration_stops_every_command_before_it_starts(
    environ: dict[str, str], tmp_path: Path, command: str
) -> None:
    """Exit code 2, one line."""
    file = tmp_path / "unitcost.yaml"
    file.write_text("price:\n  usd_per_hr: 1\n")
    run = unitcost(environ, command, "--config", str(file))
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith(
        f"{file}:2: price.usd_per_hr: unknown key, expected one of usd_per_hour, changes, owned"
    )
    assert not (tmp_path / "state").exists()


def test_a_good_configuration_is_ok_and_warnings_go_to_standard_error(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """So that standard output can be compared."""
    file = tmp_path / "unitcost.yaml"
    file.write_text("workloads: [{name: a}]\n")
    run = unitcost(environ, "check-config", str(file))
    assert (run.returncode, run.stdout) == (0, f"{file}: ok\n")
    assert f"{file}: workloads[0]: has neither match nor endpoints" in run.stderr
    assert not (tmp_path / "state").exists()


HEAVY = ("sqlalchemy", "apscheduler", "numpy", "uvicorn", "rich", "pandas")


@pytest.mark.parametrize(
    "arguments", [["--version"], ["check-config", "FILE"], ["ledger", "--help"]]
)
def test_light_commands_import_nothing_heavy(
    environ: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    """No database, no scheduler, no web server, no arrays."""
    file = tmp_path / "unitcost.yaml"
    file.write_text("price: {usd_per_hour: 1}\n")
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
    code = (
        "import sys; from unitcost.exporter import cli;"
        f"code = cli.main({given!r}); print(code, *sys.modules, file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-Ic", code],
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    code_line, *modules = run.stderr.splitlines()[-1].split()
    assert code_line == "0"
    assert "argparse" in modules
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)


def test_a_reader_that_goes_away_is_no_traceback(environ: dict[str, str], tmp_path: Path) -> None:
    """As in `unitcost doctor | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-Im", "unitcost.exporter", "--help"],
        env=environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (1, "")


def test_ctrl_c_is_exit_code_130_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it interrupts."""

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_doctor", interrupted)
    assert cli.main(["doctor"]) == 130


def test_once_prints_an_exposition_and_writes_no_ledger(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """One gathering, for a look."""
    run = unitcost(environ, "once")
    assert run.returncode == 0, run.stderr
    assert "# TYPE unitcost_collector_up gauge\n" in run.stdout
    assert 'unitcost_collector_up{collector="host"} 1' in run.stdout
    assert not (tmp_path / "state").exists()


@pytest.fixture
def ledger(environ: dict[str, str], tmp_path: Path) -> Path:
    """A real ledger, written by the exporter itself until its first commit."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    file = tmp_path / "unitcost.yaml"
    path = tmp_path / "ledger.db"
    file.write_text(
        "{period: 0.2, gather_deadline: 0.1, price: {usd_per_hour: 1},"
        f" ledger: {{path: {path}}}, web: {{address: 127.0.0.1, port: {port}}}}}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-Im", "unitcost.exporter", "run", "--config", str(file)],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + TIMEOUT
        while not _charges(path) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, errors
    assert _charges(path) > 0, errors
    return path


def _charges(path: Path) -> int:
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT COUNT(*) FROM charge").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


def test_a_ledger_can_be_checked_copied_and_purged(
    environ: dict[str, str], ledger: Path, tmp_path: Path
) -> None:
    """With the file named, or the configuration that uses it."""
    run = unitcost(environ, "ledger", "check", "--path", str(ledger))
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{ledger}: ok\n", "")

    copy = tmp_path / "copy.db"
    config = str(tmp_path / "unitcost.yaml")
    run = unitcost(environ, "ledger", "backup", str(copy), "--config", config)
    assert (run.returncode, run.stderr) == (0, "")
    assert _charges(copy) == _charges(ledger)

    run = unitcost(environ, "ledger", "backup", str(copy), "--path", str(ledger))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.count("\n") == 1
    assert "exists already" in run.stderr

    run = unitcost(environ, "ledger", "purge", "--older-than", "1", "--path", str(copy))
    assert (run.returncode, run.stderr) == (0, "")
    assert "0 charges older than 1 days removed" in run.stdout
    assert _charges(copy) == _charges(ledger)


def test_a_damaged_ledger_is_exit_code_1_and_says_so(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Each problem is a line."""
    broken = tmp_path / "ledger.db"
    broken.write_bytes(b"SQLite format 3\0" + b"junk" * 1000)
    for action in (["check"], ["purge", "--older-than", "5"]):
        copy = tmp_path / f"{action[0]}.db"
        copy.write_bytes(broken.read_bytes())
        run = unitcost(environ, "ledger", *action, "--path", str(copy))
        assert (run.returncode, run.stdout) == (1, ""), run.stderr
        assert run.stderr.startswith(f"{copy}: ")
        assert "Traceback" not in run.stderr


@pytest.mark.parametrize("action", [["check"], ["backup", "b"], ["purge", "--older-than", "1"]])
def test_a_ledger_that_is_not_there_is_exit_code_1_and_is_not_made(
    environ: dict[str, str], tmp_path: Path, action: list[str]
) -> None:
    """A typo in a path must not look like an empty ledger."""
    missing = tmp_path / "no.db"
    run = unitcost(environ, "ledger", *action, "--path", str(missing))
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"no ledger at {missing}\n")
    assert not missing.exists()


def test_the_demo_has_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    """They are read only when it is called."""
    assert cli.main(["demo", "--help"]) == 0
    assert "--usd-per-hour" in capsys.readouterr().out
    assert cli.main(["demo", "--usd-per-hour", "free"]) == 2


def test_prices_explain_says_in_words_why_there_is_none(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """And where one is stated, which."""
    run = unitcost(environ, "prices", "explain")
    assert run.returncode == 0
    assert "It stays unpriced" in run.stdout
    file = tmp_path / "unitcost.yaml"
    file.write_text("price: {usd_per_hour: 1.85}\n")
    run = unitcost(environ, "prices", "explain", "--config", str(file))
    assert run.stdout == "price: 1.85 USD an hour; by the configuration (usd_per_hour)\n"
    file.write_text("price: {lookup: {metadata: false, instance: {provider: acme}}}\n")
    run = unitcost(environ, "prices", "explain", "--config", str(file))
    assert "acme  (configuration)" in run.stdout
    assert "Not known of this host: region, instance type, price model" in run.stdout
