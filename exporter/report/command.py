"""`unitcost report`: what was charged, by whatever is asked for, from a ledger that may be in use.

Exit codes: 0 good; 1 no ledger, or what the rows sum to is not what the hosts accrued; 2 bad usage.
"""

import argparse
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from unitcost.exporter.config.checks import is_timezone
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.ledger.checks import reading
from unitcost.exporter.ledger.engines import Database, LedgerError, Place
from unitcost.exporter.ledger.places import database_of, place_of
from unitcost.exporter.report.build import Builder, Report
from unitcost.exporter.report.formats import csv_text, json_text
from unitcost.exporter.report.ledger_rows import NotALedger, Reader
from unitcost.exporter.report.question import Question, Refused, bound, dimensions
from unitcost.exporter.report.table import proof, table_text
from unitcost.pricing.unit_cost import Basis

GOOD, FAILED, BAD_USAGE = 0, 1, 2
LONGEST_MS = 600_000
"""How long a database may take for one of the sums."""
FORMATS = ("table", "csv", "json", "parquet")


class NotRead(Exception):
    """There is no ledger, or it cannot be read now; the text says which and why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument(
        "--config", metavar="FILE", help="its time zone, owners and ledger are used"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--ledger", metavar="FILE", help="the ledger's file; it may be in use")
    text = "a file with the URL of the PostgreSQL database that the ledger is in"
    place.add_argument("--database", metavar="FILE", help=text)
    text = (
        "comma-separated: workload, owner, kind, model, host, scope, resource, component, state, "
    )
    text += "run, attempt, epoch, hour, day, month (workload unless given)"
    parser.add_argument("--by", default="workload", metavar="LIST", help=text)
    parser.add_argument("--from", dest="since", metavar="WHEN", help="a local day, or an instant")
    parser.add_argument("--to", metavar="WHEN", help="a local day, included; or an instant, not")
    text = "IANA name; unless given as configured, else UTC"
    parser.add_argument("--timezone", metavar="ZONE", help=text)
    for name in ("workload", "owner", "host"):
        text = f"only this {name}; may be given several times"
        parser.add_argument(f"--{name}", action="append", default=[], metavar="NAME", help=text)
    text = "allocated: all that was held; used: only while it was busy"
    parser.add_argument("--basis", choices=tuple(Basis), default=Basis.ALLOCATED, help=text)
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")
    text = "digits after the point in the table, 0 to 12 (2)"
    parser.add_argument("--digits", type=_digits, default=2, metavar="N", help=text)


def _digits(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= 12:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 0 to 12, got {text!r}")


def main(loaded: Loaded, arguments: argparse.Namespace) -> int:
    """Make the report and write it; the exit code."""
    try:
        question = _question(loaded, arguments)
        if arguments.format == "parquet" and not arguments.output:
            raise Refused("--output: parquet is binary, and needs a file")
        report = make(_place(loaded, arguments), question, loaded)
        return _write(report, arguments)
    except Refused as error:
        return _fail(str(error), BAD_USAGE)
    except NotRead as error:
        return _fail(str(error), FAILED)
    except ModuleNotFoundError as error:
        return _fail(f"needs {error.name}: pip install 'unitcost[report]'", BAD_USAGE)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}", FAILED)


def _question(loaded: Loaded, arguments: argparse.Namespace) -> Question:
    name = arguments.timezone or loaded.settings.timezone
    if not is_timezone(name):
        raise Refused(f"--timezone: expected an IANA name such as Europe/Paris, got {name!r}")
    zone = ZoneInfo(name)
    since, to = arguments.since, arguments.to
    return Question(
        dimensions(arguments.by),
        zone,
        None if since is None else bound("--from", since, zone),
        None if to is None else bound("--to", to, zone),
        frozenset(arguments.workload),
        frozenset(arguments.owner),
        frozenset(arguments.host),
        Basis(arguments.basis),
    )


def make(place: Place, question: Question, loaded: Loaded) -> Report:
    """The report on a ledger. Raises NotRead."""
    owners: Mapping[str, str] = {each.name: each.owner for each in loaded.settings.workloads}
    if isinstance(place, Path) and not place.is_file():
        raise NotRead(f"no ledger at {place}")
    try:
        with reading(place if isinstance(place, Database) else str(place)) as connection:
            if isinstance(place, Database):
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {LONGEST_MS}")
            facts = Reader(connection, question).facts()
    except (NotALedger, LedgerError, SQLAlchemyError, sqlite3.Error) as error:
        said = getattr(error, "orig", None) or error
        raise NotRead(f"{place}: {' '.join(str(said).split())}") from None
    return Builder(question, facts, owners).build()


def _place(loaded: Loaded, arguments: argparse.Namespace) -> Place:
    """Which ledger. Raises Refused."""
    try:
        if arguments.database:
            return database_of(Path(arguments.database))
        return Path(arguments.ledger) if arguments.ledger else place_of(loaded.settings.ledger)
    except LedgerError as error:
        raise Refused(f"--database: {error}") from None


def _write(report: Report, arguments: argparse.Namespace) -> int:
    if arguments.format == "parquet":
        from unitcost.exporter.report.parquet import parquet_bytes

        Path(arguments.output).write_bytes(parquet_bytes(report))
    else:
        text = _text(report, arguments)
        if arguments.output:
            Path(arguments.output).write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
    if arguments.format != "table" or arguments.output:
        print(*proof(report), sep="\n", file=sys.stderr)
    return FAILED if report.missing else GOOD


def _text(report: Report, arguments: argparse.Namespace) -> str:
    if arguments.format == "csv":
        return csv_text(report)
    return json_text(report) if arguments.format == "json" else table_text(report, arguments.digits)


def _fail(message: str, code: int) -> int:
    print(message if message.isprintable() else ascii(message)[1:-1], file=sys.stderr)
    return code
