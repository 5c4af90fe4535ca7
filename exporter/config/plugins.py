"""What is installed: built-in collectors and tables, what plugins bring, and what to warn of."""

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import msgspec

import unitcost.collectors.price_sources
import unitcost.collectors.servers
from unitcost.collectors.base import Found, discover
from unitcost.collectors.plugins import (
    Part,
    Plugin,
    State,
    collectors_of,
    find_plugins,
    modules_of,
    normalized,
    tables_of,
)
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.config.decode import Mistake, decode
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.config.yaml_strict import Path


@dataclass(frozen=True, slots=True)
class Installed:
    """Collectors and server tables by where they come from; `plugins` has those unused, too.

    `price_sources` are those of plugins alone.
    """

    collectors: tuple[Found, ...]
    built_in_tables: Mapping[str, ServerTable]
    plugin_tables: Mapping[str, ServerTable]
    plugins: tuple[Plugin, ...]
    price_sources: tuple[Found, ...]

    def server_names(self) -> frozenset[str]:
        """What `server:` takes. That a plugin's table is broken breaks its endpoints alone."""
        broken = {
            each.name
            for each in self.plugins
            if each.part is Part.SERVER and each.state is State.BROKEN
        }
        return frozenset({*self.built_in_tables, *self.plugin_tables, *broken})

    def advice(self) -> dict[str, str]:
        """What to do instead, by the names of servers that have no metrics page."""
        tables = {**self.plugin_tables, **self.built_in_tables}
        return {name: table.advice for name, table in tables.items() if table.advice}


def installed(settings: Settings) -> Installed:
    """Find what this package and the other distributions bring; a broken one comes with why."""
    built_in = discover()
    tables = server_tables()
    taken = {
        Part.COLLECTOR: [item.name for item in built_in],
        Part.SERVER: list(tables),
        Part.PRICE_SOURCE: _names_in(unitcost.collectors.price_sources),
    }
    plugins = find_plugins(taken, settings.plugins.allow)
    collectors = (*built_in, *collectors_of(plugins))
    sources = tuple(modules_of(plugins, Part.PRICE_SOURCE))
    return Installed(collectors, tables, tables_of(plugins), plugins, sources)


def _names_in(package: ModuleType) -> list[str]:
    """The modules of a package, none of them imported."""
    return [info.name for info in pkgutil.iter_modules(package.__path__)]


def server_tables() -> dict[str, ServerTable]:
    """The tables of the inference servers that are built in, by the name `server:` takes."""
    found = discover(unitcost.collectors.servers, "SERVER")
    tables = [(item.name, item.module.SERVER) for item in found if item.module is not None]
    return {table.name or name: table for name, table in tables}


def with_options(
    found: tuple[Found, ...], sections: Mapping[str, dict[str, Any]]
) -> tuple[tuple[Found, ...], dict[str, Any]]:
    """The collectors, and the options of each that has any. Raises Mistake for a bad section.

    A plugin that cannot be made by its defaults, or whose options fail by an error of their own,
    comes back with that as its error: nobody wrote a mistake into the configuration.
    """
    proven: list[Found] = []
    options: dict[str, Any] = {}
    for item in found:
        section = sections.get(item.name, {})
        item, own = with_own_options(item, section, ("collectors", item.name))
        if item.module is not None:
            options[item.name] = own
        proven.append(item)
    return tuple(proven), options


def with_own_options(found: Found, section: Mapping[str, Any], place: Path) -> tuple[Found, Any]:
    """A collector or source with its options, from its section, which stands at `place`.

    As for `with_options`; one that could not be imported comes without options.
    """
    try:
        return found, None if found.module is None else _options(found, section, place)
    except Mistake as mistake:
        if not found.origin or section.keys() - {"enabled"}:
            raise
        where = ".".join(map(str, mistake.path))
        error = f"by default, {where}: {mistake.problem}"
    except BaseException as raised:  # a plugin's own code runs in there
        if not found.origin or isinstance(raised, KeyboardInterrupt):
            raise
        error = f"its Options: {type(raised).__name__}"
    return replace(found, module=None, error=error), None


def after(
    plugins: tuple[Plugin, ...], proven: tuple[Found, ...], part: Part = Part.COLLECTOR
) -> tuple[Plugin, ...]:
    """The plugins with what came out about those of a part when their options were read."""
    errors = {item.name: item.error for item in proven if item.origin and item.error is not None}
    return tuple(
        each.ended(State.BROKEN, errors[each.name])
        if each.part is part and each.state is State.USED and each.name in errors
        else each
        for each in plugins
    )


def _options(found: Found, section: Mapping[str, Any], place: Path) -> Any:
    own = {key: value for key, value in section.items() if key != "enabled"}
    type_ = getattr(found.module, "Options", _NoOptions)
    return decode(own, type_, place)


class _NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For a collector or a source that has none."""


def warnings(settings: Settings, enabled: tuple[Found, ...], present: Installed) -> Iterator[str]:
    """What an operator should know of what is installed."""
    for item in enabled:
        if item.error is not None:
            of = f" ({item.origin})" if item.origin else ""
            yield f"collectors.{item.name}{of}: cannot be imported: {item.error}"
    for each in present.plugins:
        text = f"plugin {each.part} {each.name} ({each.origin})"
        if each.state is State.REFUSED:
            yield f"{text}: is not used: {each.reason}"
        elif each.state is State.BROKEN and each.part is Part.SERVER:
            yield f"{text}: cannot be used: {each.reason}"
    for name in sorted(settings.servers.keys() & present.built_in_tables.keys()):
        yield f"servers.{name}: takes the place of the built-in table of that name"
    for name in sorted(settings.servers.keys() & present.plugin_tables.keys()):
        yield f"servers.{name}: takes the place of the table that a plugin brings"
    brought = {normalized(each.distribution) for each in present.plugins}
    for name in settings.plugins.allow or ():
        if normalized(name) not in brought:
            yield f"plugins.allow: {name} is not installed, or brings no plugin"
