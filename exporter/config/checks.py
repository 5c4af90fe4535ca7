"""What types cannot say about a configuration: pure checks, each yielding the mistakes it finds."""

import ipaddress
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from unitcost.collectors.address import Place, parse_url
from unitcost.collectors.page.recognise import AUTO
from unitcost.collectors.table_checks import table_faults
from unitcost.collectors.tables import ServerTable
from unitcost.exporter.config.agreed import agreed_mistakes
from unitcost.exporter.config.currency import currency_mistakes
from unitcost.exporter.config.decode import Mistake, shown
from unitcost.exporter.config.instants import instant
from unitcost.exporter.config.notify import notify_mistakes
from unitcost.exporter.config.pod import pod_mistakes
from unitcost.exporter.config.regex import MAX_REGEX_LENGTH, regex_problem
from unitcost.exporter.config.settings import (
    Instance,
    Match,
    Price,
    Settings,
    Tenants,
    WorkloadSettings,
)
from unitcost.exporter.config.yaml_strict import Path
from unitcost.pricing.workload import MAX_NAME_BYTES

__all__ = ["MAX_REGEX_LENGTH", "mistakes", "name_problem"]

MAX_WORKLOADS = 256

SECRET_LABELS = ("hashed_api_key", "api_key", "key", "token", "authorization")
"""Labels that hold a key or its hash, which are of use only where each value gets a name."""

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_GPU = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,100}|[0-9]{1,4}", re.ASCII)
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def mistakes(
    settings: Settings, server_names: frozenset[str], advice: Mapping[str, str]
) -> Iterator[Mistake]:
    """Every mistake in settings that decoded well; `server_names` are the tables installed.

    `advice`: what to do instead, by the names of servers that have no metrics page.
    """
    yield from _names(settings)
    yield from _paths(settings)
    yield from _price(settings.price)
    yield from pod_mistakes(settings)
    yield from _times(settings)
    if settings.notify is not None:
        yield from notify_mistakes(settings.notify)
    yield from _web(settings)
    for name, table in settings.servers.items():
        yield from _server(name, table, ("servers", name))
    own = {name: table.advice for name, table in settings.servers.items()}
    known = {**dict.fromkeys(server_names, ""), **advice, **own}
    for index, workload in enumerate(settings.workloads):
        yield from _workload(workload, known, ("workloads", index))
    yield from _doubles(settings)


def name_problem(name: str, *, empty: bool = False) -> str | None:
    """Why a text cannot be a name, if it cannot; `empty` allows none at all."""
    if not name.strip():
        return None if empty and not name else "must not be empty"
    if name != name.strip() or not name.isprintable():
        return "must have no control characters, and no space at either end"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"must be at most {MAX_NAME_BYTES} bytes, has {len(name.encode())}"
    if name.startswith("__") and name.endswith("__"):
        return f"{name} is reserved: names must not begin and end with __"
    return None


def _names(settings: Settings) -> Iterator[Mistake]:
    named: list[tuple[Path, str, bool]] = [(("host", "name"), settings.host.name, True)]
    for key in ("workload", "namespace", "name", "uid") if settings.host.pod else ():
        named.append((("host", "pod", key), getattr(settings.host.pod, key), True))
    for i, workload in enumerate(settings.workloads):
        named.append((("workloads", i, "name"), workload.name, False))
        named.append((("workloads", i, "owner"), workload.owner, True))
        for j, endpoint in enumerate(workload.endpoints):
            where: Path = ("workloads", i, "endpoints", j)
            named.append(((*where, "model"), endpoint.model, True))
            named += [
                ((*where, "models", k), name, False) for k, name in enumerate(endpoint.models)
            ]
    named.extend((("servers", name), name, False) for name in settings.servers)
    for path, name, empty in named:
        problem = name_problem(name, empty=empty)
        if problem:
            yield Mistake(path, problem)


def _paths(settings: Settings) -> Iterator[Mistake]:
    named: list[tuple[Path, str]] = [
        *(
            (("ledger", name), getattr(settings.ledger, name))
            for name in ("path", "database_url_file")
        ),
        (("web", "config_file"), settings.web.config_file),
    ]
    for i, workload in enumerate(settings.workloads):
        for j, endpoint in enumerate(workload.endpoints):
            where: Path = ("workloads", i, "endpoints", j, "bearer_token_file")
            named.append((where, endpoint.bearer_token_file))
    for path, text in named:
        if text and not text.isprintable():
            yield Mistake(path, f"must have no control characters, got {shown(text)}")


def _price(price: Price) -> Iterator[Mistake]:
    if price.owned is not None and price.usd_per_hour is not None:
        yield Mistake(("price", "owned"), "the host is rented (usd_per_hour) or owned, not both")
    stated = price.owned is not None or price.usd_per_hour is not None
    if price.lookup is not None and stated:
        yield Mistake(("price", "lookup"), "nothing is looked up beside usd_per_hour or owned")
    if price.lookup is not None:
        yield from _instance(price.lookup.instance)
    if price.changes and price.owned is not None:
        yield Mistake(("price", "changes"), "changes are for a rented host, remove them or owned")
    elif price.changes and price.usd_per_hour is None:
        yield Mistake(("price", "changes"), "needs usd_per_hour, the price before the first change")
    yield from agreed_mistakes(price)
    yield from _changes(price)
    yield from currency_mistakes(price)


def _instance(instance: Instance) -> Iterator[Mistake]:
    for key in ("provider", "region", "zone", "type"):
        if problem := name_problem(getattr(instance, key), empty=True):
            yield Mistake(("price", "lookup", "instance", key), problem)


def _changes(price: Price) -> Iterator[Mistake]:
    previous: datetime | None = None
    for index, change in enumerate(price.changes):
        path: Path = ("price", "changes", index, "at")
        try:
            at = instant(change.at)
        except ValueError as error:
            yield Mistake(path, str(error))
            return
        if previous is not None and at <= previous:
            relation = "the same instant as" if at == previous else "before"
            yield Mistake(path, f"{relation} the change above it, expected later and later ones")
        previous = at


def _times(settings: Settings) -> Iterator[Mistake]:
    if settings.gather_deadline >= settings.period:
        problem = f"must be less than period ({settings.period:g} s)"
        yield Mistake(("gather_deadline",), problem)
    if settings.unit_costs.window / settings.time_scale < settings.period:
        scaled = "" if settings.time_scale == 1 else f" times time_scale ({settings.time_scale:g})"
        problem = f"must be at least period ({settings.period:g} s){scaled}"
        yield Mistake(("unit_costs", "window"), problem)
    if not is_timezone(settings.timezone):
        problem = f"expected an IANA time zone such as Europe/Paris, got {shown(settings.timezone)}"
        yield Mistake(("timezone",), problem)


def is_timezone(name: str) -> bool:
    """Whether this host knows a time zone of that name."""
    if name == "UTC":  # known even where the system has no time zone data
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _web(settings: Settings) -> Iterator[Mistake]:
    address = settings.web.address
    if settings.web.health_without_auth and not settings.web.config_file:
        yield Mistake(("web", "health_without_auth"), "has no use without web.config_file")
    try:
        ipaddress.ip_address(address)
    except ValueError:
        digits = address.replace(".", "").isdigit()
        if digits or not _HOST_NAME.fullmatch(address):
            problem = f"expected an IP address or a host name, got {shown(address)}"
            yield Mistake(("web", "address"), problem)


def _server(name: str, table: ServerTable, path: Path) -> Iterator[Mistake]:
    for place, problem in table_faults(name, table):
        yield Mistake((*path, *place), problem)


def _workload(
    workload: WorkloadSettings, known: Mapping[str, str], path: Path
) -> Iterator[Mistake]:
    if workload.match is not None:
        yield from _match(workload.match, (*path, "match"))
    for index, gpu in enumerate(workload.reserve.gpus):
        if not _GPU.fullmatch(gpu):
            wanted = f'expected GPU-…, MIG-… or a number such as "0", got {shown(gpu)}'
            yield Mistake((*path, "reserve", "gpus", index), wanted)
    for index, endpoint in enumerate(workload.endpoints):
        if problem := url_problem(endpoint.url):
            yield Mistake((*path, "endpoints", index, "url"), problem)
        if problem := _server_problem(endpoint.server, known):
            yield Mistake((*path, "endpoints", index, "server"), problem)
    if workload.tenants is not None:
        yield from _tenants(workload.tenants, (*path, "tenants"))


def _server_problem(server: str, known: Mapping[str, str]) -> str | None:
    if server == AUTO:
        return None
    if server in known:
        return known[server] or None
    options = ", ".join([AUTO, *sorted(name for name, advice in known.items() if not advice)])
    return f"unknown server {shown(server)}, expected one of {options}"


def _tenants(tenants: Tenants, path: Path) -> Iterator[Mistake]:
    label = tenants.label
    if label and not _LABEL.fullmatch(label):
        yield Mistake((*path, "label"), f"expected the name of a label, got {shown(label)}")
    if label in SECRET_LABELS and not tenants.names:
        problem = f"{label} holds a key or its hash: say under names what each is to be called"
        yield Mistake((*path, "label"), problem)
    for value, name in tenants.names.items():
        if wrong := name_problem(name):
            yield Mistake((*path, "names", value), wrong)


def url_problem(url: str) -> str | None:
    """Why a URL is no endpoint, if so; without the URL, which may hold a password."""
    try:
        parse_url(url)
    except ValueError as error:
        return f"{error}; expected one such as http://127.0.0.1:8000/metrics"
    return None


def _same_place(url: str) -> Place:
    """Equal for two URLs that lead to one endpoint."""
    place = parse_url(url)
    return replace(place, host="127.0.0.1") if place.host == "localhost" else place


def _match(match: Match, path: Path) -> Iterator[Mistake]:
    if match == Match():
        conditions = ", ".join(Match.__struct_fields__)
        yield Mistake(path, f"has no condition, expected at least one of {conditions}")
    for key, pattern in (("command", match.command), ("cgroup", match.cgroup)):
        problem = regex_problem(pattern) if pattern is not None else None
        if problem:
            yield Mistake((*path, key), problem)
    visible = match.cuda_visible_devices
    if visible is not None and not (visible and visible.isprintable() and len(visible) <= 1024):
        problem = f"expected a list such as 0,1 or GPU-…, got {shown(visible)}"
        yield Mistake((*path, "cuda_visible_devices"), problem)
    if match.user is not None and (problem := name_problem(match.user)):
        yield Mistake((*path, "user"), problem)


def _doubles(settings: Settings) -> Iterator[Mistake]:
    if len(settings.workloads) > MAX_WORKLOADS:
        problem = f"at most {MAX_WORKLOADS}, got {len(settings.workloads)}"
        yield Mistake(("workloads",), problem)
    names: dict[str, int] = {}
    matches: dict[Match, int] = {}
    places: dict[Place, list[tuple[str, frozenset[str]]]] = {}
    for index, workload in enumerate(settings.workloads):
        first = names.setdefault(workload.name, index)
        if first != index:
            problem = f"{shown(workload.name)} is the name of workloads[{first}] already"
            yield Mistake(("workloads", index, "name"), problem)
        for j, endpoint in enumerate(workload.endpoints):
            if url_problem(endpoint.url):
                continue
            here = f"workloads[{index}].endpoints[{j}]"
            for there, models in places.setdefault(_same_place(endpoint.url), []):
                if not models or not endpoint.models or models & set(endpoint.models):
                    problem = f"{there} is the same endpoint: its units would be counted twice"
                    yield Mistake(("workloads", index, "endpoints", j, "url"), problem)
                    break
            places[_same_place(endpoint.url)].append((here, frozenset(endpoint.models)))
        if workload.match is not None:
            first = matches.setdefault(workload.match, index)
            if first != index:
                problem = f"the same conditions as workloads[{first}], which would take everything"
                yield Mistake(("workloads", index, "match"), problem)
