"""Prices: none, one that may hold no longer, a source that fails, Spot above on demand."""

from collections.abc import Iterator

from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.words import duration, usd

PRICE = "unitcost_price_usd_per_hour"
STILL = 0.98
"""Spot is dear until it has fallen to this part of what the host costs on demand."""


def prices() -> tuple[Told, ...]:
    """What makes dollars wrong or unknown."""
    warning = Severity.WARNING
    return (
        Told(
            "unpriced",
            ("UnitcostHostUnpriced",),
            warning,
            _unpriced,
            lambda limits: limits.unpriced_after,
        ),
        Told("price_stale", ("UnitcostPriceStale",), warning, _stale),
        Told(
            "price_source_down",
            ("UnitcostPriceSourceDown",),
            warning,
            _source_down,
            lambda limits: limits.source_down_after,
        ),
        Told(
            "spot_above",
            ("UnitcostSpotAboveOnDemand",),
            warning,
            _spot_above,
            lambda limits: limits.spot_above_after,
        ),
    )


def _unpriced(seen: Seen) -> Iterator[Found]:
    """One for the host, however many resources are without a price."""
    missing = [labels for labels, value in seen.of("unitcost_resource_unpriced").items() if value]
    if missing:
        components = ", ".join(sorted({labels[1] for labels in missing}))
        yield Found(
            (),
            f"this host has no price for {components}: its dollars are unknown",
            "`unitcost prices explain` says why",
        )


def _day(seen: Seen) -> str:
    """What the host costs, in words."""
    known = seen.of(PRICE).values()
    return f"the host costs {usd(24 * sum(known))} a day" if known else "what it costs is unknown"


def _stale(seen: Seen) -> Iterator[Found]:
    """One for each source whose price is too old, by the oldest."""
    limits = seen.limits
    as_of = seen.of("unitcost_price_as_of_timestamp_seconds")
    oldest: dict[str, float] = {}
    for (resource, _, _, model, source), _ in seen.of(PRICE).items():
        age = seen.now - as_of.get((resource,), seen.now)
        spot = model == "spot"
        limit = limits.stale_spot_price_after if spot else limits.stale_price_after
        if age > limits.scaled(limit):
            oldest[source] = max(age, oldest.get(source, 0.0))
    for source, age in sorted(oldest.items()):
        text = f"the price in use is {duration(age)} old"
        yield Found((source,), text, f"it is from {source}; {_day(seen)}")


def _source_down(seen: Seen) -> Iterator[Found]:
    for labels, up in seen.of("unitcost_price_source_up").items():
        if up == 0:
            yield Found(
                labels,
                f"price source {labels[0]} fails",
                f"what it said last is used, with its date; {_day(seen)}",
            )


def _spot_above(seen: Seen) -> Iterator[Found]:
    spot = [usd for labels, usd in seen.of(PRICE).items() if labels[3] == "spot"]
    on_demand = max(seen.of("unitcost_on_demand_price_usd_per_hour").values(), default=None)
    if not spot or on_demand is None or sum(spot) <= STILL * on_demand:
        return
    more = 24 * (sum(spot) - on_demand)
    yield Found(
        (),
        f"Spot costs {usd(more)} a day more than on demand",
        "and can be taken away besides",
        sum(spot) > on_demand,
        usd_per_day=more,
    )
