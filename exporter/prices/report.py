"""What `unitcost prices explain` says, whatever way the price is configured."""

import time
from collections.abc import Iterator
from pathlib import Path

from unitcost.exporter.config.agreed import split_rule
from unitcost.exporter.config.load import Loaded
from unitcost.exporter.config.owned import owned_costs
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.prices.explain import explain
from unitcost.exporter.prices.make import make_lookup
from unitcost.exporter.prices.owned import hourly_lines, metered_lines


def report(loaded: Loaded) -> Iterator[str]:
    """Lines for a person; asks everybody once where the price is looked up."""
    price = loaded.settings.price
    if price.lookup is None:
        yield from _stated(loaded.settings)
        return
    folder = Path(loaded.source).absolute().parent
    looked = make_lookup(price, loaded.price_sources, folder).ask_all()
    yield from explain(looked, time.time_ns(), split_rule(price.split))


def _stated(settings: Settings) -> Iterator[str]:
    """What the configuration itself says; nobody else is asked."""
    price = settings.price
    if price.usd_per_hour is not None:
        yield f"price: {price.usd_per_hour} USD an hour; by the configuration (usd_per_hour)"
        for change in price.changes:
            yield f"  from {change.at}: {change.usd_per_hour} USD an hour"
    elif price.owned is not None:
        yield "price: owned hardware, by the configuration (owned); now:"
        costs, now_ns = owned_costs(price.owned, price.currency, settings.timezone), time.time_ns()
        for line in (*hourly_lines(costs, now_ns), *metered_lines(costs.metered, now_ns)):
            yield f"  {line}"
    else:
        yield "price: none. The configuration states none and looks none up (price.lookup)."
        yield "It stays unpriced: time and units are counted, dollars are not."
