"""`unitcost report` as it is typed: hostile arguments, ledgers of all kinds, in use or damaged."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.settling import clock, observed, rules
from unitcost.exporter import cli
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.ledger.schema import SCHEMA_VERSION
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher

Run = Callable[..., tuple[int, str, str]]
"""Runs a report: its exit code, standard output, standard error."""
LEDGERS = Path(__file__).parents[2] / "ledgers"
PROVEN = "every dollar once"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger of two hours."""
    path = tmp_path / "ledger.db"
    keeper = Keeper(path, "host-a", "host", 400)
    settle(keeper, range(0, 1440, 120))
    keeper.close()
    return path


def settle(keeper: Keeper, rounds: range) -> None:
    """Rounds of an exporter that starts."""
    found = keeper.open(clock(rounds.start).wall_ns)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    for n in rounds:
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one."""

    def act(path: Path | str, *arguments: str) -> tuple[int, str, str]:
        code = cli.main(["report", "--ledger", str(path), *arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return act


HOSTILE = [
    (["--by", ""], "--by"),
    (["--by", "workload,workload"], "twice"),
    (["--by", "workload;DROP TABLE charge"], "--by"),
    (["--by", "password"], "--by"),
    (["--by", "epoch"], "--by"),
    (["--by", "run,epoch,day"], "--by"),
    (["--by", "run,epoch", "--basis", "used"], "--basis"),
    (["--by", "state", "--basis", "used"], "--basis"),
    (["--from", "yesterday"], "--from"),
    (["--from", "2026-02-30"], "--from"),
    (["--from", "0001-01-01"], "--from"),
    (["--to", "9999-12-31"], "--to"),
    (["--from", "2026-01-01T10:30:00Z"], "whole hours"),
    (["--from", "2026-01-01T10:00:00"], "--from"),
    (["--from", "2026-01-02", "--to", "2026-01-01"], "--to"),
    (["--timezone", "../../etc/passwd"], "--timezone"),
    (["--timezone", "Mars/Olympus"], "--timezone"),
    (["--format", "parquet"], "--output"),
    (["--digits", "13"], "--digits"),
    (["--digits", "²"], "--digits"),
    (["--format", "xml"], "--format"),
    (["--basis", "guessed"], "--basis"),
]


@pytest.mark.parametrize(("arguments", "said"), HOSTILE, ids=lambda each: "-".join(each))
def test_what_makes_no_sense_is_one_line(
    run: Run, ledger: Path, arguments: list[str], said: str
) -> None:
    """Exit 2, which names the option; nothing is printed."""
    code, out, err = run(ledger, *arguments)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err


def test_names_are_values_and_never_sql(run: Run, ledger: Path) -> None:
    """Nor do they reach the terminal as they are."""
    code, out, _ = run(ledger, "--workload", "x' OR 1=1 --", "--host", "host-a'; --")
    assert code == 0
    assert "nothing was charged" in out
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE charge SET workload = ? WHERE workload = 'chat'", ("\x1b[2J=1",))
        connection.commit()
    code, out, _ = run(ledger, "--by", "workload")
    assert code == 0
    assert "\x1b" not in out
    assert PROVEN in out


def test_a_spreadsheet_takes_no_name_for_a_formula(run: Run, ledger: Path) -> None:
    """Corrections are negative numbers, and stay so."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE charge SET workload = '=1+1' WHERE workload = 'chat'")
        connection.commit()
    code, out, err = run(ledger, "--format", "csv")
    assert code == 0
    assert "\n'=1+1," in out
    assert PROVEN in err


def test_a_ledger_without_rows(run: Run, tmp_path: Path) -> None:
    """Nothing was charged, nothing accrued: that is a sum, too."""
    path = tmp_path / "ledger.db"
    keeper = Keeper(path, "host", "host", 400)
    assert keeper.open(clock(0).wall_ns) is not None
    keeper.close()
    code, out, _ = run(path)
    assert code == 0
    assert "nothing was charged" in out
    assert PROVEN in out
    code, out, _ = run(path, "--format", "csv", "--by", "owner,day")
    assert (code, out.count("\n")) == (0, 1)
    code, out, _ = run(path, "--format", "json")
    assert json.loads(out)["rows"] == []
    assert run(path, "--by", "run,epoch")[0] == 0


def test_no_ledger_and_no_ledger_s_file(run: Run, tmp_path: Path) -> None:
    """One line; no file is made."""
    for name, content in (("none.db", None), ("junk.db", b"junk" * 999), ("empty.db", b"")):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        code, out, err = run(path)
        assert (code, out) == (1, "")
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_a_ledger_of_an_older_version_is_read_as_it_is(
    run: Run, tmp_path: Path, version: int
) -> None:
    """And is of that version afterwards."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((LEDGERS / f"version-{version}.sql").read_text())
    before = path.read_bytes()
    for by in ("workload", "owner,day", "run,epoch"):
        code, out, _ = run(path, "--by", by)
        assert code == 0
        assert PROVEN in out
    assert path.read_bytes() == before


def test_one_of_a_newer_version_is_refused(run: Run, ledger: Path) -> None:
    """What it means nobody here knows."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
        connection.commit()
    code, _, err = run(ledger)
    assert code == 1
    assert "newer version (schema 99" in err


def test_it_is_read_while_an_exporter_writes_it(run: Run, tmp_path: Path) -> None:
    """As of one commit; the exporter goes on, and nothing of it is changed."""
    path = tmp_path / "ledger.db"
    keeper = Keeper(path, "host-a", "host", 400)
    settle(keeper, range(0, 240, 60))
    files = sorted(each.name for each in tmp_path.iterdir())
    code, out, _ = run(path)
    assert code == 0
    assert PROVEN in out
    settle(keeper, range(240, 480, 60))
    assert run(path)[1] != out
    assert sorted(each.name for each in tmp_path.iterdir()) == files
    keeper.close()


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_a_pico_dollar_that_is_missing_is_told(run: Run, ledger: Path, output: str) -> None:
    """Exit 1, and how much."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(
            "UPDATE charge SET pico = pico - 1 WHERE hour = (SELECT MIN(hour) FROM charge) "
            "AND workload = 'chat' AND resource = 'cpu' AND state = 'idle'"
        )
        connection.commit()
    code, out, err = run(ledger, "--format", output)
    assert code == 1
    assert "NOT CONSERVED: 0.000000000001 USD" in (out if output == "table" else err)
    assert PROVEN not in out + err


def test_the_ledger_and_the_zone_are_the_configuration_s(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless something else is said."""
    config = tmp_path / "unitcost.yaml"
    config.write_text(f"ledger: {{path: {ledger}}}\ntimezone: America/New_York\n")
    assert cli.main(["report", "--config", str(config), "--by", "day"]) == 0
    out = capsys.readouterr().out
    assert "2025-12-31  workloads" in out
    assert "(America/New_York)" in out
    code = cli.main(["report", "--config", str(config), "--timezone", "UTC", "--by", "day"])
    assert code == 0
    assert "2025-12-31" not in capsys.readouterr().out


def test_a_day_is_whole_and_an_instant_is_an_end(run: Run, ledger: Path) -> None:
    """`--to` a day includes it."""
    whole = run(ledger)[1]
    assert run(ledger, "--from", "2026-01-01", "--to", "2026-01-01")[1] == whole
    first = run(ledger, "--to", "2026-01-01T01:00:00Z")[1]
    assert "00:00 to 2026-01-01 01:00" in first
    assert "nothing was charged" in run(ledger, "--from", "2026-01-02")[1]


def test_a_file_that_cannot_be_written_is_told(run: Run, ledger: Path, tmp_path: Path) -> None:
    """By its name."""
    code, _, err = run(ledger, "-o", str(tmp_path / "none" / "out.txt"))
    assert code == 1
    assert "No such file" in err


@pytest.mark.parametrize("command", [["report", "--ledger"], ["ledger", "check", "--path"]])
def test_nothing_is_left_beside_a_ledger_that_nobody_has_open(
    ledger: Path, command: list[str]
) -> None:
    """A log of whoever ran a command would keep the exporter, who is another user, from it."""
    content, before = ledger.read_bytes(), sorted(ledger.parent.iterdir())
    assert cli.main([*command, str(ledger)]) == 0
    assert cli.main(["ledger", "backup", "--path", str(ledger), str(ledger) + ".copy"]) == 0
    Path(f"{ledger}.copy").unlink()
    assert sorted(ledger.parent.iterdir()) == before
    assert ledger.read_bytes() == content


def test_a_crashed_exporter_s_log_is_read_and_left(ledger: Path, run: Run, tmp_path: Path) -> None:
    """What it says is committed; the exporter takes it in when it starts again."""
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    keeper = Keeper(ledger, "host-a", "host", 400)
    settle(keeper, range(1440, 1800, 60))
    for suffix in ("", "-wal", "-shm"):
        (crashed / f"l.db{suffix}").write_bytes(Path(f"{ledger}{suffix}").read_bytes())
    expected = run(ledger)[1]
    keeper.close()
    content = (crashed / "l.db-wal").read_bytes()
    assert run(crashed / "l.db")[1] == expected
    assert (crashed / "l.db-wal").read_bytes() == content != b""
