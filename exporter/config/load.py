"""The configuration: one strict YAML file. `load` is the only way to validated settings."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from unitcost.collectors.address import is_loopback, parse_url
from unitcost.collectors.base import Context, Found, Target
from unitcost.collectors.plugins import Part, Plugin
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.config import plugins, yaml_strict
from unitcost.exporter.config.carbon import grid_intensity
from unitcost.exporter.config.checks import mistakes
from unitcost.exporter.config.decode import Mistake, decode, shown
from unitcost.exporter.config.error import ConfigError, path_text
from unitcost.exporter.config.host import complete, host_mistakes, host_warnings
from unitcost.exporter.config.owned import owned_costs, owned_warnings
from unitcost.exporter.config.planned import planning_mistakes
from unitcost.exporter.config.pod import pod_warnings
from unitcost.exporter.config.price_sources import wanted_sources
from unitcost.exporter.config.sending import sending_mistakes
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.config.web.load import WebConfig, load_web
from unitcost.exporter.config.web.warn import web_warnings
from unitcost.pricing.carbon import GridIntensity
from unitcost.pricing.sample import Layer
from unitcost.pricing.workload import WorkloadKind

__all__ = [
    "NEEDS_RESTART",
    "ConfigError",
    "Loaded",
    "load",
    "loads",
    "local_port",
    "needs_restart",
    "path_text",
]

NEEDS_RESTART = (
    "host",
    "ledger.path",
    "ledger.database_url_file",
    "web",
    "period",
    "gather_deadline",
    "time_scale",
)
"""Settings that a running exporter cannot take over; all others change at a reload."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was checked, with nothing left open.

    `settings` has the host's name and absolute paths filled in. `source` is the file, "" where
    there is none. `collectors` are the modules to run, those that could not be imported included;
    `collector_options` has the options of each that could. `plugins`: all that other distributions
    bring, and what became of each. `price_sources`: those to be asked, with their options.
    `carbon`: what a kWh emits here, None where it is not asked for. `web`: who may read what is
    served and over what, None where everybody may.
    """

    settings: Settings
    source: str
    warnings: tuple[str, ...]
    collector_options: Mapping[str, Any]
    context: Context
    collectors: tuple[Found, ...]
    plugins: tuple[Plugin, ...] = ()
    price_sources: tuple[tuple[Found, Any], ...] = ()
    carbon: GridIntensity | None = None
    web: WebConfig | None = None


def load(path: str | Path | None, *, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read and check a configuration file; None means no file, all defaults.

    Raises ConfigError with one line on the first mistake. Reads nothing but the file, the state
    of files it names, and the modules of the collectors.
    """
    environ = os.environ if environ is None else environ
    if path is None:
        return loads(b"", environ=environ)
    source = str(path)
    try:
        with open(path, "rb") as file:
            data = file.read(yaml_strict.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(source, None, "file", f"cannot be read: {reason}") from None
    folder = Path(os.path.abspath(path)).parent
    return loads(data, source=source, folder=folder, environ=environ)


def loads(
    data: str | bytes,
    *,
    source: str = "",
    folder: Path = Path("/"),
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Check a configuration given as text; `folder` is what its paths are relative to.

    Raises ConfigError as `load` does.
    """
    environ = os.environ if environ is None else environ
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    name = source or "configuration"
    try:
        document = yaml_strict.parse(raw)
    except yaml_strict.YamlError as error:
        key = path_text(error.path) or "YAML"
        raise ConfigError(name, error.line, key, error.problem) from None
    try:
        value = {} if document.value is None else document.value
        return _checked(value, source, folder, environ)
    except Mistake as mistake:
        key = path_text(mistake.path) or "document"
        raise ConfigError(name, document.line(mistake.path), key, mistake.problem) from None


def _checked(value: Any, source: str, folder: Path, environ: Mapping[str, str]) -> Loaded:
    settings = complete(decode(value, Settings), folder, environ)
    present = plugins.installed(settings)
    names = present.server_names()
    found = mistakes(settings, names, present.advice())
    planned = planning_mistakes(settings)
    sending = sending_mistakes(settings.central)
    for mistake in itertools.chain(found, planned, host_mistakes(settings), sending):
        raise mistake
    if settings.price.owned is not None:
        owned_costs(settings.price.owned, settings.price.currency, settings.timezone)
    web = load_web(settings.web.config_file) if settings.web.config_file else None
    enabled = _enabled(_in_pod(settings), present.collectors)
    enabled, options = plugins.with_options(enabled, settings.collectors)
    sources = wanted_sources(settings.price.lookup, present.price_sources)
    wanted = tuple(item for item, _ in sources)
    found_out = plugins.after(present.plugins, enabled)
    return Loaded(
        settings=settings,
        source=source,
        warnings=(
            *_warnings(settings, enabled, wanted, present),
            *web_warnings(web, settings.web.address),
        ),
        collector_options=MappingProxyType(options),
        context=_context(settings, present.plugin_tables),
        collectors=enabled,
        plugins=plugins.after(found_out, wanted, Part.PRICE_SOURCE),
        price_sources=sources,
        carbon=grid_intensity(settings),
        web=web,
    )


def _in_pod(settings: Settings) -> Mapping[str, dict[str, Any]]:
    """The collectors' sections; in a pod the node's other pods are no business of ours."""
    sections, name = settings.collectors, "kubernetes"
    if settings.host.pod is None or "enabled" in sections.get(name, {}):
        return sections
    return {**sections, name: {**sections.get(name, {}), "enabled": False}}


def _enabled(sections: Mapping[str, dict[str, Any]], found: tuple[Found, ...]) -> tuple[Found, ...]:
    known = [item.name for item in found]
    for name, section in sections.items():
        if name not in known:
            expected = ", ".join(known) or "nothing: there is no collector"
            problem = f"unknown collector, expected one of {expected}"
            raise Mistake(("collectors", name), problem)
        enabled = section.get("enabled", True)
        if not isinstance(enabled, bool):
            problem = f"expected true or false, got {shown(enabled)}"
            raise Mistake(("collectors", name, "enabled"), problem)
    return tuple(item for item in found if sections.get(item.name, {}).get("enabled", True))


def _warnings(
    settings: Settings,
    enabled: tuple[Found, ...],
    sources: tuple[Found, ...],
    present: plugins.Installed,
) -> Iterator[str]:
    price = settings.price
    priced = (price.usd_per_hour, price.owned, price.lookup) != (None, None, None)
    if not priced and settings.host.scope != "units":
        yield "price: none is given: time and units are counted, dollars are unpriced"
    yield from owned_warnings(price.owned, settings.timezone)
    cpus = os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield from host_warnings(settings, cpus, memory)
    yield from pod_warnings(settings)
    yield from plugins.warnings(settings, enabled, present)
    for item in sources:
        if item.error is not None:
            of = f" ({item.origin})" if item.origin else ""
            yield f"price.lookup.sources.{item.name}{of}: cannot be used: {item.error}"
    endpoints = any(workload.endpoints for workload in settings.workloads)
    if endpoints and "openmetrics" not in {item.name for item in enabled}:
        yield "collectors.openmetrics: not enabled, so no endpoint is read"


def _context(settings: Settings, plugin_tables: Mapping[str, ServerTable]) -> Context:
    targets = tuple(
        Target(
            url=endpoint.url,
            workload=workload.name,
            kind=WorkloadKind(workload.kind),
            server=endpoint.server,
            model=endpoint.model,
            bearer_token_file=endpoint.bearer_token_file,
            models=endpoint.models,
            role=endpoint.role,
            layer=None if endpoint.layer == "auto" else Layer(endpoint.layer),
            by_tenant=workload.tenants is not None,
            tenant_label=workload.tenants.label if workload.tenants else "",
            tenant_names=workload.tenants.names if workload.tenants else {},
        )
        for workload in settings.workloads
        for endpoint in workload.endpoints
    )
    matched = {item.match.port for item in settings.workloads if item.match is not None}
    ports = {port for port in matched if port} | {local_port(target.url) for target in targets}
    servers = {
        name: msgspec.structs.replace(table, name=name) for name, table in settings.servers.items()
    }
    environment = any(
        item.match is not None and item.match.cuda_visible_devices is not None
        for item in settings.workloads
    )
    return Context(
        targets,
        MappingProxyType(servers),
        frozenset(ports - {0}),
        environment,
        MappingProxyType(dict(plugin_tables)),
    )


def local_port(url: str) -> int:
    """The TCP port of an endpoint on this host itself, else 0."""
    place = parse_url(url)
    return place.port if is_loopback(place.host) else 0


def needs_restart(old: Settings, new: Settings) -> tuple[str, ...]:
    """Which keys differ that a running exporter cannot take over (see `NEEDS_RESTART`)."""
    return tuple(key for key in NEEDS_RESTART if _at(old, key) != _at(new, key))


def _at(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value
