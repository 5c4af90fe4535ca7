"""Publishing prices of what is measured: the kWh as it is paid now, and what has none."""

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.price import Component

Points = dict[str, list[Point]]
KWH_PRICE = "unitcost_electricity_price_usd_per_kwh"
MONTH = "unitcost_electricity_month_kwh"


def metered_points(settler: Settler, now_ns: int) -> Points:
    """What a kWh costs, and the month's kWh where the price depends on them."""
    power = settler.rules.metered.electricity
    if power is None:
        return {}
    used = settler.power.metering.counted(Component.ELECTRICITY, power.counting_since(now_ns))
    price = power.at_meter(now_ns, used)
    points: Points = {}
    if price is not None:
        points[KWH_PRICE] = [((power.source,), float(price.usd))]
    if power.tariff.counts_month:
        points[MONTH] = [((), float(power.month(used).kwh))]
    return points


def with_metered(unpriced: list[Point], settler: Settler) -> list[Point]:
    """Which components are unpriced, those that are charged by energy included."""
    found = dict(unpriced)
    for (resource, component), missing in settler.power.metering.unpriced.items():
        labels = (resource, str(component))
        found[labels] = max(found.get(labels, 0.0), float(missing))
    return list(found.items())
