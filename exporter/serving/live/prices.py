"""What the host costs, who says so, and in words why nobody does."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from unitcost.exporter.prices.looked import Looked, rate_problem
from unitcost.exporter.prices.unpriced import why
from unitcost.exporter.serving.live.drift import MAX_UNIX
from unitcost.exporter.serving.live.points import Points
from unitcost.exporter.serving.live.shape import Price, Resource, Source
from unitcost.exporter.serving.live.view import About

MAX_RESOURCES = 40
MAX_NOTES = 6
MAX_NOTE = 300
SIBLING = "sibling:"
_PRICE = "unitcost_price_usd_per_hour"
_LIST = "unitcost_list_price_usd_per_hour"
_UNPRICED = "unitcost_resource_unpriced"
METHODS = {
    "default_weights": "CPU and memory by default weights for a core and a GiB; GPUs share the "
    "rest equally. Without GPUs the weights are scaled to the price.",
    "configured_weights": "By the weights in the configuration for a core and a GiB; GPUs share "
    "the rest equally.",
}


def price(points: Points, about: About, now_ns: int) -> Price:
    """The host's price: known only where every resource has one."""
    found = _resources(points)
    hourly = [each.usd_per_hour for each in found]
    known = [value for value in hourly if value is not None]
    whole = math.fsum(known) if known and len(known) == len(found) else None
    return Price(
        usd_per_hour=whole,
        why="" if whole is not None else _why(found, about, now_ns),
        method=_method(points),
        resources=tuple(found[:MAX_RESOURCES]),
        more=max(0, len(found) - MAX_RESOURCES),
        on_demand_usd_per_hour=points.one("unitcost_on_demand_price_usd_per_hour"),
        sources=tuple(_sources(points))[:MAX_RESOURCES],
        notes=_notes(points, about, now_ns),
    )


def _resources(points: Points) -> list[Resource]:
    prices = {labels[0]: (labels, usd) for labels, usd in points.of(_PRICE).items()}
    unpriced: dict[str, list[str]] = {}
    for (resource, component), flag in points.of(_UNPRICED).items():
        found = unpriced.setdefault(resource, [])
        if flag:
            found.append(component)
    lists = {labels[0]: usd for labels, usd in points.of(_LIST).items()}
    as_of = points.of("unitcost_price_as_of_timestamp_seconds")
    totals = points.by_first("unitcost_resource_cost_usd_total")
    made = []
    for name in sorted(prices.keys() | unpriced.keys(), key=_order):
        (_, sku, region, terms, source), usd = prices.get(name, (("",) * 5, None))
        so_far = totals.get(name)
        made.append(
            Resource(
                resource=name,
                usd_per_hour=usd,
                list_usd_per_hour=lists.get(name),
                sku=sku,
                region=region,
                terms=terms,
                source=source,
                as_of=as_of.get((name,)),
                unpriced=tuple(unpriced.get(name, ())),
                usd_total=math.fsum(so_far.values()) if so_far else None,
            )
        )
    return made


def _sources(points: Points) -> Iterator[Source]:
    last = points.of("unitcost_price_source_last_success_timestamp_seconds")
    errors = points.of("unitcost_price_source_errors_total")
    for key, up in sorted(points.of("unitcost_price_source_up").items()):
        yield Source(name=key[0], up=up > 0, last_success=last.get(key), errors=errors.get(key))


def _order(resource: str) -> tuple[bool, str]:
    """GPUs first: they cost most."""
    return not resource.startswith("gpu:"), resource


def _method(points: Points) -> str:
    rules = [labels[0] for labels in points.of("unitcost_price_split_info")]
    return " ".join(_rule(rule) for rule in rules[:MAX_NOTES])


def _rule(rule: str) -> str:
    if rule.startswith(SIBLING):
        name = rule.removeprefix(SIBLING)
        return f"CPU and memory cost what {name}, the same without GPUs, costs; GPUs the rest."
    return METHODS.get(rule, f"{rule.replace('_', ' ')}.")


def _why(found: list[Resource], about: About, now_ns: int) -> str:
    """Why the host as a whole has no price."""
    if about.scope == "units":
        return "This agent counts units only and charges nothing: another agent has the price."
    missing = sorted({component for each in found for component in each.unpriced})
    if not missing:
        return "Nothing was read and charged yet."
    if about.price.owned is not None:
        what = " and ".join(missing)
        return f"It is owned, and its {what} has no price."
    return _why_not_looked_up(about.looked, now_ns)


def _why_not_looked_up(looked: Looked | None, now_ns: int) -> str:
    if looked is None:
        return "The configuration states no price and has none looked up (price.lookup)."
    problem = why(looked, now_ns, patient=False) or rate_problem(looked, now_ns)
    if not problem:
        return "It is known, and holds from the next tick on."
    return shown_long(f"{problem[0].upper()}{problem[1:]}.")


def _notes(points: Points, about: About, now_ns: int) -> tuple[str, ...]:
    """Exchange rates, changes to come, and how those do who are asked for a price."""
    days = points.of("unitcost_fx_rate_as_of_timestamp_seconds")
    notes = [
        f"Billed in {key[0]}, at {rate:g} {key[0]} for a US dollar{_of_day(days.get(key))}."
        for key, rate in points.of("unitcost_fx_rate").items()
    ]
    notes += [f"From {each.at}: {each.usd_per_hour} USD an hour." for each in about.price.changes]
    if (looked := about.looked) is not None:
        notes += list(looked.notes)
        if problem := rate_problem(looked, now_ns):
            notes.append(f"{problem}.")
        notes += [f"{each.name}: {each.error}" for each in looked.sources if each.error]
    return tuple(shown_long(note) for note in notes[:MAX_NOTES])


def _of_day(unix: float | None) -> str:
    """The day of a rate, where it can be written."""
    if unix is None or not 0 <= unix < MAX_UNIX:
        return ""
    return f" (as of {datetime.fromtimestamp(unix, UTC):%Y-%m-%d})"


def shown_long(text: str) -> str:
    """A sentence, cut where nobody would read on."""
    return text[:MAX_NOTE].encode("utf-8", "replace").decode()
