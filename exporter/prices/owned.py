"""What owned hardware costs, in words: for `unitcost prices explain` and the doctor."""

from collections.abc import Iterator

from unitcost.exporter.config.owned import OwnedCosts
from unitcost.pricing.metered import Metered
from unitcost.pricing.money import to_usd


def hourly_lines(costs: OwnedCosts, now_ns: int) -> Iterator[str]:
    """The components that cost something by the hour now, and who says so."""
    for component in costs.book.components:
        price = costs.book.at(component, now_ns)
        if price is None:
            yield f"{component}: no price yet; unpriced until the hardware is in service"
        else:
            yield f"{component}: {price.usd_per_hour:.6f} USD an hour ({price.source})"


def metered_lines(metered: Metered, now_ns: int) -> Iterator[str]:
    """What is charged by what is measured, at the prices of now, where nothing was used yet."""
    power = metered.electricity
    if power is not None:
        price = power.at_meter(now_ns, 0)
        usd = "no rate of its currency" if price is None else f"{price.usd:.6f} USD"
        draw = "by what sensors measure" if metered.sensors else "by the stated draw"
        yield f"electricity: {usd} for a kWh at the meter ({power.source}), {draw}"
    if metered.sensors and metered.stated_microwatts is not None:
        watts = metered.stated_microwatts / 10**6
        yield f"electricity: {watts:g} W are stated for what no sensor sees"
    if metered.overhead is not None:
        yield f"overhead: {metered.overhead.usd_per_kwh:.6f} USD for a kWh at the server"
    use = metered.use.pico(now_ns, 0) if metered.use is not None else None
    if use is not None:
        yield f"amortisation: {to_usd(use):.6f} USD for each hour in which a GPU works"
