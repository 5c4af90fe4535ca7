"""`unitcost prices`: explain, refresh, list."""

import argparse
import json
from collections.abc import Iterable
from typing import Any, TextIO

from unitcost.exporter.config.load import Loaded
from unitcost.exporter.prices import listing, tell
from unitcost.exporter.prices.progress import Progress
from unitcost.exporter.prices.refresh import refresh
from unitcost.exporter.prices.report import report

GOOD, FAILED, BAD_USAGE = 0, 1, 2


def run(loaded: Loaded, arguments: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """One action; returns the exit code."""
    if arguments.action == "refresh":
        return _refresh(loaded, arguments.json, out, err)
    if arguments.action == "list":
        wanted = listing.Filter(arguments.provider, arguments.region, arguments.type)
        found = listing.listing(loaded, wanted)
        _show(listing.document(found) if arguments.json else listing.lines(found), out)
        return GOOD
    _show(report(loaded), out)
    return GOOD


def _refresh(loaded: Loaded, as_json: bool, out: TextIO, err: TextIO) -> int:
    found = refresh(loaded, Progress(err))
    if found is None:
        print("nothing to ask: the configuration has no price.lookup", file=err)
        return BAD_USAGE
    _show(tell.document(found) if as_json else tell.lines(found), out)
    return tell.exit_code(found)


def _show(what: dict[str, Any] | Iterable[str], out: TextIO) -> None:
    if isinstance(what, dict):
        print(json.dumps(what, indent=2), file=out)
        return
    for line in what:
        print(line if line.isprintable() else ascii(line)[1:-1], file=out)
