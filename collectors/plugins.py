"""Collectors, server tables and price sources that other installed distributions bring.

Entry points in the group ``unitcost.collectors``: a module with ``Options`` and ``make_collector``.
Group ``unitcost.servers``: a `ServerTable`, or a module with one as ``SERVER``. Group
``unitcost.price_sources``: a module with ``Options`` and ``make_source``. The entry point's name is
the collector's, the server's or the source's. Nothing is looked for or imported before
`find_plugins` is called, and one that is broken breaks nothing but itself. docs/plugins.md is for
those who write them.
"""

import importlib.metadata
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib.metadata import Distribution, EntryPoint
from types import ModuleType
from typing import Any

import msgspec

from unitcost.collectors.base import Found
from unitcost.collectors.table_checks import table_faults
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.workload import clean_name

MAX_TEXT = 200
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Part(StrEnum):
    """What a plugin is."""

    COLLECTOR = "collector"
    SERVER = "server"
    PRICE_SOURCE = "price source"


GROUPS: Mapping[str, Part] = {
    "unitcost.collectors": Part.COLLECTOR,
    "unitcost.servers": Part.SERVER,
    "unitcost.price_sources": Part.PRICE_SOURCE,
}
_MAKERS: Mapping[Part, str] = {
    Part.COLLECTOR: "make_collector",
    Part.PRICE_SOURCE: "make_source",
}
"""The function that a module of a part must have."""


class State(StrEnum):
    """What became of a plugin."""

    USED = "used"
    BROKEN = "broken"  # it could not be imported, or is not what its group says
    REFUSED = "refused"  # its name cannot be had; it was not imported
    NOT_ALLOWED = "not allowed"  # the configuration does not let it; it was not imported


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, and what it came to. `reason` says why it is not used, empty if it is.

    `made` is the collector's or source's module, or the server's table, where the state is
    `State.USED`.
    """

    part: Part
    name: str
    distribution: str
    version: str
    state: State
    made: ModuleType | ServerTable | None = None
    reason: str = ""

    @property
    def origin(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}".strip()

    @property
    def failed(self) -> bool:
        """Whether it should be used and cannot be."""
        return self.state in (State.BROKEN, State.REFUSED)

    def line(self) -> str:
        """What it is, whose, and what became of it."""
        text = f"{self.part} {self.name} ({self.origin}): {self.state}"
        return f"{text}: {self.reason}" if self.reason else text

    def ended(self, state: State, reason: str) -> "Plugin":
        """The same, not used, and why."""
        return replace(self, state=state, made=None, reason=reason)


def find_plugins(
    taken: Mapping[Part, Collection[str]], allow: Collection[str] | None = None
) -> tuple[Plugin, ...]:
    """Find and import what other distributions bring.

    `taken`: names that no plugin can have, those of what is built in. `allow`: names of the
    distributions whose plugins may be used, all where it is None. Of two plugins with one name the
    one of the distribution that comes first by name has it.
    """
    allowed = None if allow is None else {normalized(name) for name in allow}
    names = {part: dict.fromkeys(taken.get(part, ()), "what is built in") for part in Part}
    plugins: list[Plugin] = []
    for distribution in _distributions():
        for entry in _entry_points(distribution):
            plugin = _identity(entry, distribution)
            reason = _refusal(plugin, entry.name, names[plugin.part])
            if allowed is not None and normalized(plugin.distribution) not in allowed:
                plugins.append(plugin.ended(State.NOT_ALLOWED, "plugins.allow does not name it"))
            elif reason:
                plugins.append(plugin.ended(State.REFUSED, reason))
            else:
                names[plugin.part][plugin.name] = plugin.origin
                plugins.append(_load(plugin, entry, taken.get(Part.SERVER, ())))
    return tuple(plugins)


def collectors_of(plugins: Collection[Plugin]) -> list[Found]:
    """The collectors among plugins, broken ones with their error, as `discover` returns them."""
    return modules_of(plugins, Part.COLLECTOR)


def modules_of(plugins: Collection[Plugin], part: Part) -> list[Found]:
    """The plugins of a part that is made of modules, broken ones with their error."""
    return [
        Found(
            each.name,
            each.made if isinstance(each.made, ModuleType) else None,
            each.reason or None,
            each.origin,
        )
        for each in plugins
        if each.part is part and each.state in (State.USED, State.BROKEN)
    ]


def tables_of(plugins: Collection[Plugin]) -> dict[str, ServerTable]:
    """The tables among plugins that can be used, by name."""
    return {each.name: each.made for each in plugins if isinstance(each.made, ServerTable)}


def normalized(distribution: str) -> str:
    """A distribution's name as all its spellings have it in common (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _distributions() -> list[Distribution]:
    """Those that bring plugins, each once, by name; the first on the path is the one installed."""
    found: dict[str, Distribution] = {}
    for distribution in importlib.metadata.distributions():
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if any(group in text for group in GROUPS):
                name = distribution.name
                found[normalized(name)] = importlib.metadata.distribution(name)
        except Exception:  # noqa: BLE001, S112 - metadata of others, damaged: not a plugin's
            continue
    return [found[name] for name in sorted(found)]


def _entry_points(distribution: Distribution) -> Iterator[EntryPoint]:
    try:
        entries = [each for each in distribution.entry_points if each.group in GROUPS]
    except Exception:  # noqa: BLE001 - a file that is damaged names no plugin
        entries = []
    yield from sorted(entries, key=lambda each: (each.group, each.name))


def _identity(entry: EntryPoint, distribution: Distribution) -> Plugin:
    """Whose it is. Its texts get into messages and labels, so they are made harmless."""
    return Plugin(
        part=GROUPS[entry.group],
        name=clean_name(entry.name),
        distribution=clean_name(distribution.name),
        version=clean_name(str(distribution.version or "")),
        state=State.REFUSED,
    )


def _refusal(plugin: Plugin, name: str, taken: Mapping[str, str]) -> str:
    """Why it cannot have its name, empty if it can."""
    if not _NAME.fullmatch(name) or (plugin.part is Part.SERVER and name == "auto"):
        return "its name must be 1 to 64 letters, digits, - or _, and not auto"
    return f"the name is taken by {taken[name]}" if name in taken else ""


def _load(plugin: Plugin, entry: EntryPoint, built_in: Collection[str]) -> Plugin:
    try:
        made: Any = entry.load()
        if plugin.part is Part.SERVER:
            made = checked_table(plugin.name, made, built_in)
        else:
            made = _checked_module(made, _MAKERS[plugin.part])
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a broken plugin is data, whatever it raises
        return plugin.ended(State.BROKEN, _described(error))
    return replace(plugin, state=State.USED, made=made)


def _checked_module(module: Any, maker: str) -> ModuleType:
    if not isinstance(module, ModuleType):
        raise TypeError(f"the entry point is a {type(module).__name__}, expected a module")
    if not callable(getattr(module, maker, None)):
        raise TypeError(f"the module has no function {maker}")
    return module


def checked_table(name: str, made: Any, built_in: Collection[str] = ()) -> ServerTable:
    """The table of a server that is called `name`, with what it says proven.

    It gives way to the tables in `built_in`, so that no plugin changes what is read of a server
    that is known already. Raises TypeError or ValueError in words.
    """
    table = getattr(made, "SERVER", None) if isinstance(made, ModuleType) else made
    if type(table) is not ServerTable:
        raise TypeError("the entry point is no ServerTable, nor a module with one as SERVER")
    # Made by a call, its fields may hold anything: decoded anew, they are what the type says.
    table = msgspec.convert(msgspec.to_builtins(table), ServerTable)
    for place, problem in table_faults(name, table):
        raise ValueError(": ".join((*map(str, place), problem)))
    yields_to = dict.fromkeys((*table.yields_to, *built_in))
    return msgspec.structs.replace(table, name=name, yields_to=tuple(yields_to))


def _described(error: BaseException) -> str:
    """The error in a line; an error may fail even at saying what it is."""
    try:
        text = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - its own __str__ raised
        text = type(error).__name__
    return (text if text.isprintable() else ascii(text)[1:-1])[:MAX_TEXT]
