"""Reports on a ledger in PostgreSQL: what they say of the same rows in a file."""

from pathlib import Path

import pytest

from tests.reports import ask, example, report, row_of
from unitcost.exporter import cli
from unitcost.exporter.config.load import loads
from unitcost.exporter.ledger.engines import Database
from unitcost.exporter.report import command
from unitcost.exporter.report.formats import csv_text
from unitcost.pricing.unit_cost import Basis

pytestmark = pytest.mark.real


def test_a_report_is_the_same_wherever_the_ledger_lies(database: Database, tmp_path: Path) -> None:
    """By everything, on both bases; sums that have more than 64 bits, too."""
    from sqlalchemy import create_engine, make_url

    example(database)
    file = example(tmp_path / "ledger.db")
    for by, basis in (
        ("workload,day,resource,state", Basis.ALLOCATED),
        ("owner,host,hour", Basis.USED),
        ("run,epoch", Basis.ALLOCATED),
    ):
        asked = ask(by, basis=basis)
        one, other = (command.make(place, asked, loads(b"")) for place in (file, database))
        assert csv_text(one) == csv_text(other)
        assert other.missing == 0
    engine = create_engine(make_url(database.url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        for table in ("charge", "accrual"):
            connection.exec_driver_sql(
                f"UPDATE {table} SET pico = pico + 9000000000000000000 "  # noqa: S608
                f"WHERE pico IS NOT NULL AND ctid IN (SELECT min(ctid) FROM {table} "
                "WHERE resource = 'cpu' AND pico IS NOT NULL GROUP BY price, hour, revision)"
            )
    engine.dispose()
    huge = report(database, "resource")
    assert huge.total > 2**64
    assert huge.missing == 0


def test_the_url_is_in_a_file_and_nowhere_else(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the database is away."""
    example(database)
    url = tmp_path / "url"
    url.write_text(f"{database.url}\n")
    assert cli.main(["report", "--database", str(url), "--by", "day"]) == 0
    assert "every dollar once" in capsys.readouterr().out
    url.write_text("postgresql://me:hunter2@127.0.0.1:1/db")
    assert cli.main(["report", "--database", str(url)]) == 1
    url.write_text("mysql://me:hunter2@127.0.0.1:1/db")
    assert cli.main(["report", "--database", str(url)]) == 2
    output = capsys.readouterr()
    assert "hunter2" not in output.out + output.err
    assert len(output.err.splitlines()) == 2
    assert row_of(report(database, "kind"), "inference").usd is not None
