"""Unpriced, loudly: for each reason why dollars are unknown a line in the log, and one at its end.

The same is a metric, `unitcost_resource_unpriced`, to be alerted on; this says why.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.prices.looked import Looked
from unitcost.exporter.prices.words import host_fields
from unitcost.pricing.price import Component, PriceBook
from unitcost.pricing.quote import HostIdentity
from unitcost.pricing.resolve import Chosen
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import ClockReading

_log = logging.getLogger(__name__)

PATIENCE_NS = 60 * NS_PER_SECOND
"""How long sources may be asked for the first time before it is said that there is no price."""
NO_PRICE: Mapping[str, str] = {
    Component.RENT: "the configuration states no price, and looks none up (price.lookup)",
    Component.ELECTRICITY: "what the host draws is neither stated nor measured",
}


class UnpricedNews:
    """What was said already, and since when (monotonic nanoseconds) there is no price."""

    def __init__(self) -> None:
        self._said = OncePer()
        self._since: dict[str, int] = {}

    def look(
        self,
        points: Iterable[tuple[tuple[str, ...], float]],
        book: PriceBook,
        looked: Looked | None,
        clock: ClockReading,
    ) -> None:
        """Say what is new. `points`: those of `unitcost_resource_unpriced`."""
        without: dict[str, list[str]] = {}
        for (resource, component), value in points:
            if value:
                without.setdefault(component, []).append(resource)
        for component in [each for each in self._since if each not in without]:
            del self._since[component]
            if self._said.clear(component):
                _log.info("priced again", extra=fields(**_price(book, component, clock.wall_ns)))
        for component, resources in without.items():
            since_ns = self._since.setdefault(component, clock.mono_ns)
            detail = NO_PRICE.get(component, "no price is known of it")
            if looked is not None:
                patient = clock.mono_ns - since_ns < PATIENCE_NS
                detail = why(looked, clock.wall_ns, patient=patient)
            if detail and self._said.first(component, detail):
                host = _host(looked.identity) if looked else {}
                said = {"component": component, "resources": " ".join(resources), **host}
                _log.warning("unpriced: dollars are unknown", extra=fields(**said, detail=detail))


def why(looked: Looked, now_ns: int, *, patient: bool) -> str:
    """Why there is no price, in words; empty while it is not known, or where that is said already.

    `patient`: whoever was not asked yet is waited for.
    """
    resolution = looked.resolution
    if resolution.missing:
        unknown = f"not known of this host: {', '.join(resolution.missing)}"
        return "" if patient and not looked.identified else unknown
    if resolution.at(now_ns) is not None:
        return ""  # it has no exchange rate, which the lookup tells
    silent = [
        each.name
        for each in looked.sources
        if each.last_success_ns is None and not (each.error or each.not_here)
    ]
    if patient and silent:
        return ""
    return "; ".join(_reasons(looked, silent, now_ns))


def _reasons(looked: Looked, silent: list[str], now_ns: int) -> Iterator[str]:
    chosen = looked.resolution.chosen
    yield "no price holds now" if chosen else "no source has a price of exactly this host"
    yield from _around(chosen, now_ns)
    failed = [each.name for each in looked.sources if each.error]
    rejected = sorted({str(each.why) for each in looked.resolution.rejected})
    for what, names in (
        ("failed", failed),
        ("no answer yet", silent),
        ("rejected", rejected),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"


def _around(chosen: tuple[Chosen, ...], now_ns: int) -> Iterator[str]:
    """The price before a gap, and the one after it."""
    ended = [each.quote.valid_to_ns for each in chosen if each.quote.valid_from_ns <= now_ns]
    begins = [each.quote.valid_from_ns for each in chosen if each.quote.valid_from_ns > now_ns]
    if ended and ended[-1] is not None:
        yield f"the last one ended {_instant(ended[-1])}"
    if begins:
        yield f"the next one begins {_instant(begins[0])}"


def _host(identity: HostIdentity) -> dict[str, str]:
    return {name: value or "unknown" for name, value in host_fields(identity).items()}


def _price(book: PriceBook, component: str, now_ns: int) -> dict[str, str]:
    price = book.at(Component(component), now_ns)
    named = {"component": component}
    if price is None:
        return named
    return named | {"usd_per_hour": str(price.usd_per_hour), "source": price.source}


def _instant(ns: int) -> str:
    return datetime.fromtimestamp(ns // NS_PER_SECOND, UTC).isoformat()
