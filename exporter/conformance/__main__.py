"""``python -m unitcost.exporter.conformance NAME``: check all that a distribution brings.

Prints a report. Exit codes: 0 all conform, 1 some do not, 2 bad usage or nothing to check.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from unitcost.collectors.base import Found
from unitcost.collectors.plugins import Part, Plugin, State, normalized
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.config.load import ConfigError, Loaded, load
from unitcost.exporter.conformance.collector import check_collector
from unitcost.exporter.conformance.price_source import check_price_source
from unitcost.exporter.conformance.report import Report, Violation
from unitcost.exporter.conformance.server import built_in_tables, check_server
from unitcost.exporter.prices.make import stated_identity

GOOD, FAILED, BAD_USAGE = 0, 1, 2
OURSELVES = "unitcost"
MAX_RECORDING = 64 * 1024 * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Check, print, and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        reports = list(_reports(arguments.name, load(arguments.config), arguments.recordings))
    except (ConfigError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return BAD_USAGE
    for report in reports:
        print(*report.lines(), sep="\n")
    if not reports:
        print(f"{arguments.name} is not installed, or brings no plugin", file=sys.stderr)
        return BAD_USAGE
    return GOOD if all(report.ok for report in reports) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m unitcost.exporter.conformance",
        description="Check the collectors, tables and price sources that a distribution brings.",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", help=f"a distribution; {OURSELVES}: the built-in")
    parser.add_argument(
        "--config", metavar="FILE", help="configuration with options for its collectors"
    )
    parser.add_argument(
        "--recordings",
        metavar="DIR",
        type=Path,
        help="folder with SERVER.before.prom, SERVER.after.prom and SERVER.expected.json",
    )
    return parser


def _reports(name: str, loaded: Loaded, recordings: Path | None) -> Iterator[Report]:
    if normalized(name) == OURSELVES:
        for found in loaded.collectors:
            if not found.origin:
                yield _collector(found, loaded)
        for found, options in loaded.price_sources:
            if not found.origin:
                yield _price_source(found, options, loaded)
        for server, table in sorted(built_in_tables().items()):
            yield _server(server, table, recordings)
    for plugin in loaded.plugins:
        if normalized(plugin.distribution) == normalized(name):
            yield _plugin(plugin, loaded, recordings)


def _plugin(plugin: Plugin, loaded: Loaded, recordings: Path | None) -> Report:
    subject = f"{plugin.part} {plugin.name}"
    if plugin.state is not State.USED:
        return Report(subject, (Violation(str(plugin.state).replace(" ", "_"), plugin.reason),))
    if isinstance(plugin.made, ServerTable):
        return _server(plugin.name, plugin.made, recordings)
    if plugin.part is Part.PRICE_SOURCE:
        for found, options in loaded.price_sources:
            if found.name == plugin.name:
                return _price_source(found, options, loaded)
        return _price_source(Found(plugin.name, plugin.made, None), None, loaded)
    for found in loaded.collectors:
        if found.name == plugin.name:
            return _collector(found, loaded)
    return Report(subject, (), ("switched off in the configuration: not checked",))


def _collector(found: Found, loaded: Loaded) -> Report:
    if found.module is None:
        return Report(f"collector {found.name}", (Violation("import", found.error or ""),))
    options = loaded.collector_options.get(found.name)
    return check_collector(found.module, options, loaded.context, name=found.name)


def _price_source(found: Found, options: Any, loaded: Loaded) -> Report:
    """By its section; of the host that ``price.lookup.instance`` says, if it says which."""
    if found.module is None:
        return Report(f"price source {found.name}", (Violation("import", found.error or ""),))
    lookup = loaded.settings.price.lookup
    host = stated_identity(lookup.instance) if lookup else None
    known = host if host and host.provider and host.sku else None
    folder = Path(loaded.source).absolute().parent
    return check_price_source(found.module, options, known, name=found.name, folder=folder)


def _server(name: str, table: ServerTable, folder: Path | None) -> Report:
    pages = {part: _read(folder, f"{name}.{part}.prom") for part in ("before", "after")}
    text = _read(folder, f"{name}.expected.json")
    expected = msgspec.convert(json.loads(text), dict[str, float]) if text else None
    return check_server(table, pages["before"], pages["after"], expected, name=name)


def _read(folder: Path | None, name: str) -> bytes:
    """A file of the recordings; empty where there is none. Raises OSError or ValueError."""
    path = folder / name if folder is not None else None
    if path is None or not path.exists():
        return b""
    with path.open("rb") as file:
        data = file.read(MAX_RECORDING + 1)
    if len(data) > MAX_RECORDING:
        raise ValueError(f"{path}: larger than {MAX_RECORDING} bytes")
    return data


if __name__ == "__main__":
    sys.exit(main())
