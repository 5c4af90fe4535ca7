"""What a report looks like: on a terminal, as CSV, JSON and Parquet; and in docs/reports.md."""

import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.reports import example
from unitcost.exporter import cli

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
PAGE = ROOT / "docs" / "reports.md"
EXAMPLE = re.compile(r"```console\n\$ unitcost (?P<command>[^\n]+)\n(?P<said>.*?)```", re.DOTALL)
WRITE = os.environ.get("UNITCOST_WRITE_GOLDEN") == "1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example's ledger lies."""
    path = tmp_path_factory.mktemp("example")
    example(path / "ledger.db")
    return path


@pytest.fixture
def said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> "Said":
    """Runs commands there."""
    monkeypatch.chdir(folder)
    return Said(capsys)


class Said:
    """What a command says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """Standard output of a command that must be good."""
        assert cli.main(["report", "--ledger", "ledger.db", *arguments]) == 0
        return self._capsys.readouterr().out


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_each_format_is_as_it_was(said: Said, output: str) -> None:
    """UNITCOST_WRITE_GOLDEN=1 writes the files instead."""
    found = said("--by", "owner,workload,day", "--format", output)
    path = GOLDEN / f"report.{'txt' if output == 'table' else output}"
    if WRITE:
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_parquet_has_what_csv_has(said: Said, folder: Path) -> None:
    """Decimals of 38 digits, twelve of them after the point; text is text, unknown is null."""
    pd = pytest.importorskip("pandas")
    pq = pytest.importorskip("pyarrow.parquet")
    text = said("--by", "owner,workload,day", "--format", "csv")
    said("--by", "owner,workload,day", "--format", "parquet", "-o", "out.parquet")
    types = {each.name: str(each.type) for each in pq.read_schema(folder / "out.parquet")}
    assert types["cost_usd"] == types["requests"] == "decimal128(38, 12)"
    assert {types[name] for name in ("owner", "workload", "day", "charge_class")} == {"string"}
    frame = pd.read_parquet(folder / "out.parquet")
    lines = [line.split(",") for line in text.splitlines()]
    assert list(frame.columns) == lines[0]
    for row, line in zip(frame.itertuples(index=False), lines[1:], strict=True):
        for value, cell in zip(row, line, strict=True):
            known = None if pd.isna(value) else value
            assert known == (Decimal(cell) if isinstance(known, Decimal) else cell or None)


@pytest.mark.usefixtures("said")
def test_pandas_is_loaded_for_parquet_alone() -> None:
    """It takes longer to import than a report to make."""
    code = "import sys; from unitcost.exporter.cli import main; main(sys.argv[1:])"
    code += "; sys.exit('pandas' in sys.modules)"
    command = [sys.executable, "-c", code, "report", "--ledger", "ledger.db"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("digits", range(0, 13, 3))
def test_money_as_printed_sums_to_the_sum_as_printed(said: Said, digits: int) -> None:
    """By as many digits as are asked for; nothing that is there is shown as nothing."""
    found = said("--by", "workload,day,resource,state", "--digits", str(digits))
    table = found.split("─\n")[1].splitlines()[:-1]
    cell = re.compile(r" (-?[\d,]+(?:\.\d+)?|-|<[\d.]+|>-[\d.]+)(?=  |$)")
    money = [cell.findall(line)[0] for line in table]
    exact = [Decimal(text.replace(",", "")) for text in money if text[0] not in "<>-"]
    total = found.split("─\n")[2].split()[1]
    assert sum(exact) == Decimal(total.replace(",", ""))


def test_the_page_s_examples_are_what_it_says(
    said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is run; with UNITCOST_WRITE_GOLDEN=1 what they say is written into the page."""
    text = PAGE.read_text(encoding="utf-8")
    found = list(EXAMPLE.finditer(text))
    assert len(found) >= 3
    for match in reversed(found):
        assert cli.main(shlex.split(match["command"])) == 0
        output = capsys.readouterr().out
        if WRITE:
            text = text[: match.start("said")] + output + text[match.end("said") :]
            continue
        assert match["said"] == output
    if WRITE:
        PAGE.write_text(text, encoding="utf-8")
