"""Where discovery looks: what the tables say of their servers' processes, ports and paths."""

import re
from collections.abc import Iterable, Sequence

from unitcost.collectors.tables import ServerTable
from unitcost.pricing.sample import Layer, Process

PATH = "/metrics"
MEMORY = 8192


class Hints:
    """What all tables say, ready to be looked up; with a bounded memory of command lines.

    Gateways are left out: whose requests pass through one only the configuration can say.
    """

    def __init__(self, tables: Iterable[ServerTable]) -> None:
        self._tables = tuple(table for table in tables if table.layer is not Layer.GATEWAY)
        self.ports = frozenset(port for table in self._tables for port in table.ports)
        self._known: dict[str, tuple[ServerTable, ...]] = {}
        texts = sorted({text for table in self._tables for text in table.processes if text})
        self._any = re.compile("|".join(map(re.escape, texts))) if texts else None

    def of(self, process: Process) -> tuple[ServerTable, ...]:
        """The tables of which a text is in the process's command line."""
        known = self._known.get(process.command)
        if known is None:
            if len(self._known) >= MEMORY:
                del self._known[next(iter(self._known))]
            known = self._known[process.command] = self._look(process.command)
        return known

    def _look(self, command: str) -> tuple[ServerTable, ...]:
        if self._any is None or not self._any.search(command):
            return ()
        return tuple(
            table for table in self._tables if any(text in command for text in table.processes)
        )

    def by_port(self, port: int) -> tuple[ServerTable, ...]:
        """The tables of servers that listen there unless told otherwise."""
        return tuple(table for table in self._tables if port in table.ports)

    def paths(self, tables: Sequence[ServerTable]) -> tuple[str, ...]:
        """Where their metrics pages may be, the most usual first: those of `tables`, else all."""
        found: dict[str, None] = {}
        for table in tables or self._tables:
            if not table.advice:
                found |= dict.fromkeys(table.paths or (PATH,))
        return tuple(sorted(found, key=lambda path: path != PATH)) if not tables else tuple(found)


def mentions(process: Process, port: int) -> bool:
    """Whether the command line has this number, by itself, in it."""
    return re.search(rf"(?<!\d){port}(?!\d)", process.command) is not None
