"""`unitcost items`: what is stated beside what is booked; a file that is only appended to."""

import os
import sqlite3
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash.settling import ITEMS, clock, observed, rules
from unitcost.exporter import cli
from unitcost.exporter.config.planning import ItemSettings
from unitcost.exporter.items import append as append_module
from unitcost.exporter.items.append import append, read
from unitcost.exporter.items.file import NotRead
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher

AT = "2026-03-02T00:00:00+00:00"
Run = Callable[..., tuple[int, str, str]]
"""Runs an action: its exit code, standard output, standard error."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with an item, a file of items, and a ledger."""
    path = tmp_path / "unitcost.yaml"
    path.write_text(
        "items_file: items.csv\nledger: {path: ledger.db}\n"
        "items: [{id: licence, item: other, workload: chat, usd: 0.0004, per: request}]\n"
    )
    return path


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs an action on it."""

    def act(action: str, *arguments: str) -> tuple[int, str, str]:
        code = cli.main(["items", action, "--config", str(config), *arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return act


def stated(name: str = "data", usd: str = "18000", **more: str) -> list[str]:
    """The options of an item."""
    values = {"id": name, "item": "data_acquisition", "workload": "tuner", "usd": usd, **more}
    return [part for key, value in values.items() for part in (f"--{key}", value)]


def test_an_item_is_added_corrected_and_cancelled_row_by_row(run: Run, config: Path) -> None:
    """What was there before stays in the file."""
    file = config.parent / "items.csv"
    assert run("add", *stated(at=AT, run="final", note='a "note", and more'))[0] == 0
    code, out, err = run("add", *stated(usd="17000", at=AT))
    assert (code, out) == (1, "")
    assert "--replace takes its place" in err
    assert run("add", "--replace", *stated(usd="17000", at=AT))[1].endswith("data replaced\n")
    before = file.read_bytes()
    assert run("cancel", "data")[1].endswith("data cancelled\n")
    assert file.read_bytes().startswith(before)
    assert len(before.splitlines()) == 3
    (item,) = read(str(file)).stated
    assert item.usd == 0
    assert (item.note, item.at, item.workload) == ("cancelled", AT, "tuner")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (stated(usd="much", at=AT), "--usd: expected a number, got 'much'"),
        (stated(usd="-1", at=AT), "--usd: must be between 0 and"),
        (stated(), "when is it booked?"),
        (stated(at="yesterday"), "--at: expected a date and time"),
        (stated(at=AT, note="a\nb"), "--note: must be one line"),
        (stated("licence", at=AT), "--id: the configuration has an item licence"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, config: Path, options: list[str], said: str
) -> None:
    """In one line, and nothing is written."""
    code, out, err = run("add", *options)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(said)
    assert not (config.parent / "items.csv").exists()


def test_only_what_is_there_is_cancelled(run: Run) -> None:
    """Not what the configuration states, and not what nobody does."""
    for name in ("data", "licence"):
        code, _, err = run("cancel", name)
        assert code == 1
        assert f"has no item {name}" in err


def test_without_a_file_nothing_is_added(run: Run, config: Path) -> None:
    """The configuration has to name one."""
    config.write_text("ledger: {path: ledger.db}\n")
    assert run("add", *stated(at=AT))[2] == "items_file: the configuration names none\n"


def test_the_file_s_own_columns_are_kept(run: Run, config: Path) -> None:
    """In their order; a file that ends within a line gets its end; a column that lacks is told."""
    file = config.parent / "items.csv"
    file.write_text(f"usd,at,id,workload,item\n5,{AT},old,tuner,labelling")
    assert run("add", *stated(at=AT))[0] == 0
    assert file.read_text().splitlines()[1:] == [
        f"5,{AT},old,tuner,labelling",
        f"18000,{AT},data,tuner,data_acquisition",
    ]
    code, _, err = run("add", *stated("more", at=AT, run="final"))
    assert (code, err) == (1, "it has no column run\n")
    file.write_text("colour\n")
    assert "no column is called 'colour'" in run("add", *stated("more", at=AT))[2]
    file.unlink()
    file.mkdir()
    assert run("list")[0] == 2  # the configuration is wrong


def test_a_file_that_cannot_be_written_is_told(run: Run, config: Path) -> None:
    """By its name."""
    config.write_text("items_file: nowhere/items.csv\nledger: {path: ledger.db}\n")
    code, _, err = run("add", *stated(at=AT))
    assert code == 1
    assert err.endswith("nowhere/items.csv: No such file or directory\n")


def test_a_file_never_grows_beyond_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that would be too much is not written."""
    path = tmp_path / "items.csv"
    item = ItemSettings(
        id="a", item="other", workload="w", usd=Decimal("0.00000000001"), per="request"
    )
    append(str(path), item)
    assert b"0.00000000001" in path.read_bytes()
    monkeypatch.setattr(append_module, "MAX_BYTES", path.stat().st_size + 5)
    before = path.read_bytes()
    with pytest.raises(NotRead, match="would have more than"):
        append(str(path), item)
    assert path.read_bytes() == before


def test_rows_of_several_at_a_time_are_whole(tmp_path: Path) -> None:
    """One header, and every row."""
    path = str(tmp_path / "items.csv")
    made = [
        ItemSettings(id=f"i{n}", item="other", workload="w", usd=Decimal(n), per="step")
        for n in range(16)
    ]
    threads = [threading.Thread(target=append, args=(path, item)) for item in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(path)
    assert found.rejected == ()
    assert {item.id: item.usd for item in found.stated} == {item.id: item.usd for item in made}


def cells(line: str) -> list[str]:
    """The columns of a line of the list."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_list_has_what_is_stated_beside_what_is_booked(run: Run, config: Path) -> None:
    """While the ledger is in use; what nobody states any more is there, too."""
    keeper = Keeper(config.parent / "ledger.db", "host", "host", 400)
    found = keeper.open(clock(0).wall_ns)
    assert found is not None
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    for n in range(0, 720, 60):
        settler.tick(observed(n), (), clock(n))
        assert keeper.commit(settler.books, clock(n).wall_ns)
    assert run("add", *stated(at=AT))[0] == 0
    code, out, err = run("list")
    assert (code, err) == (0, "")
    head, licence, data, *others = [cells(line) for line in out.splitlines()]
    assert head == ["id", "item", "workload", "of", "stated", "booked", "correction", "by"]
    units = Decimal("0.0004") * 3 * 660
    assert licence[:4] == ["licence", "other", "chat", "-"]
    assert licence[4:] == ["0.0004 per request", f"{units.normalize():f}", "0", "configuration"]
    assert data[4:] == ["18000", "0", "0", "file"]
    assert [(line[0], line[4], line[-1]) for line in others] == [
        ("data", "-", "nobody"),
        ("staff", "-", "nobody"),
    ]
    assert others[0][5] == "18000.000000000001"
    assert len(others) + 1 == len(ITEMS)
    keeper.close()


def test_rows_that_are_left_out_are_told(run: Run, config: Path) -> None:
    """With their line; and the exit code says so."""
    (config.parent / "items.csv").write_text(f"id,item,workload,usd,at\na,coffee,w,1,{AT}\n")
    code, out, err = run("list")
    assert code == 1
    assert err.startswith(f"{config.parent}/items.csv:2: item: expected data_acquisition")
    assert len(out.splitlines()) == 2


def test_a_ledger_from_before_there_were_items_has_none_booked(run: Run, config: Path) -> None:
    """And one that is none is told."""
    ledger = config.parent / "ledger.db"
    sqlite3.connect(ledger).close()
    assert run("list")[0] == 0
    ledger.write_bytes(b"junk" * 1000)
    code, _, err = run("list")
    assert code == 1
    assert "not a database" in err


def test_a_bad_configuration_is_exit_code_2(run: Run, config: Path) -> None:
    """As everywhere."""
    config.write_text("items: 5\n")
    assert run("list")[0] == 2
    os.unlink(config)
    assert run("list")[0] == 2
