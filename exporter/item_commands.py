"""`unitcost items`: list what is stated and booked, add to the items file, cancel in it.

The running exporter has the ledger for itself: it is only read here. What is to be booked goes into
the items file, which the exporter reads when it changes.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from unitcost.exporter.config.decode import Mistake, decode
from unitcost.exporter.config.load import Loaded, path_text
from unitcost.exporter.config.planned import item_mistakes, item_of
from unitcost.exporter.config.planning import ItemSettings
from unitcost.exporter.config.settings import Ledger
from unitcost.exporter.items.append import append, read
from unitcost.exporter.items.file import COLUMNS, Contents, NotRead
from unitcost.pricing.items import Booked, Item, ItemKey
from unitcost.pricing.money import to_usd

GOOD, FAILED, BAD_USAGE = 0, 1, 2
HEADERS = ("id", "item", "workload", "of", "stated", "booked", "correction", "by")


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and what they need."""
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config", metavar="FILE", required=True, help="the configuration file")
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name, parents=[config], help=text, description=text, allow_abbrev=False
        )

    action("list", "list items: as stated, and as booked")
    add = action("add", "append an item to the items file")
    for name in COLUMNS:
        required = name in ("id", "item", "workload", "usd")
        text = f"as items[].{name} in the configuration"
        add.add_argument(f"--{name}", required=required, default="", metavar="VALUE", help=text)
    add.add_argument("--replace", action="store_true", help="though there is one with this id")
    cancel = action("cancel", "append to the items file that an item is 0 USD")
    cancel.add_argument("id", metavar="ID", help="which one")


def main(loaded: Loaded, arguments: argparse.Namespace) -> int:
    """Do it; the exit code."""
    try:
        if arguments.action == "list":
            return _list(loaded)
        path = loaded.settings.items_file
        if not path:
            raise Refused("items_file: the configuration names none")
        adds = arguments.action == "add"
        print(_add(loaded, path, arguments) if adds else _cancel(path, arguments.id))
    except (Refused, NotRead) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}")
    return GOOD


def _add(loaded: Loaded, path: str, arguments: argparse.Namespace) -> str:
    cells = {name: getattr(arguments, name) for name in COLUMNS}
    try:
        item = decode({name: value for name, value in cells.items() if value}, ItemSettings)
        for mistake in item_mistakes(item, ()):
            raise mistake
    except Mistake as mistake:
        key = path_text(mistake.path)
        raise Refused(f"--{key}: {mistake.problem}" if key else mistake.problem) from None
    if any(other.id == item.id for other in loaded.settings.items):
        raise Refused(f"--id: the configuration has an item {item.id}: change it there")
    known = item.id in {other.id for other in read(path).stated}
    if known and not arguments.replace:
        raise Refused(f"--id: {path} has an item {item.id}: --replace takes its place")
    append(path, item)
    return f"{path}: {item.id} {'replaced' if known else 'added'}"


def _cancel(path: str, name: str) -> str:
    for item in read(path).stated:
        if item.id == name:
            append(path, msgspec.structs.replace(item, usd=Decimal(0), note="cancelled"))
            return f"{path}: {name} cancelled"
    raise Refused(f"{path} has no item {name}")


@dataclass(frozen=True, slots=True)
class Line:
    """One item, as it is stated and as it is booked; either may be missing."""

    key: ItemKey
    item: Item | None
    by: str
    booked: Booked | None

    def cells(self) -> tuple[str, ...]:
        """As `HEADERS` says."""
        key = self.key
        of = " ".join(part for part in (key.model, key.run) if part) or "-"
        stated = "-" if self.item is None else f"{self.item.usd:f}"
        if self.item is not None and key.per:
            stated += f" per {key.per}"
        pico = (0, 0) if self.booked is None else (self.booked.pico, self.booked.correction_pico)
        money = [f"{to_usd(each).normalize() + 0:f}" for each in pico]
        return (key.id, str(key.type), key.workload, of, stated, *money, self.by)


def _list(loaded: Loaded) -> int:
    """All items; failed where something that is stated is not booked."""
    contents = Contents()
    if loaded.settings.items_file:
        contents = read(loaded.settings.items_file)
        for rejected in contents.rejected:
            _fail(f"{loaded.settings.items_file}:{rejected.line}: {rejected.problem}")
    lines = [HEADERS, *(line.cells() for line in _lines(loaded, contents))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADERS))]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(text.rstrip() + "\n")
    return FAILED if contents.rejected else GOOD


def _lines(loaded: Loaded, contents: Contents) -> Iterator[Line]:
    booked = _booked(loaded.settings.ledger)
    configured = tuple(item_of(item) for item in loaded.settings.items)
    taken = {item.key.id for item in configured}
    stated = {item.key: (item, "configuration") for item in configured}
    stated |= {item.key: (item, "file") for item in contents.items if item.key.id not in taken}
    for key, (item, by) in stated.items():
        yield Line(key, item, by, booked.get(key))
    for key in sorted(booked.keys() - stated.keys()):
        yield Line(key, None, "nobody", booked[key])


def _booked(ledger: Ledger) -> Mapping[ItemKey, Booked]:
    """What the ledger has, which may be in use; nothing where there is none."""
    if ledger.path and not os.path.isfile(ledger.path):
        return {}
    from unitcost.exporter.ledger.places import place_of
    from unitcost.exporter.ledger.store import LedgerError
    from unitcost.exporter.ledger.tools import booked_items

    try:
        return booked_items(place_of(ledger))
    except (LedgerError, ValueError) as error:
        raise Refused(f"{ledger.path}: {error}") from None


def _fail(message: str) -> int:
    print(message if message.isprintable() else ascii(message)[1:-1], file=sys.stderr)
    return FAILED
