"""What tests of prices learnt late share: a site at a full hour, and what its ledger holds."""

from decimal import Decimal

from tests import audit
from tests.sites import CHAT, Site, learn, rented, rules
from tests.worlds import Host
from unitcost.exporter.settling.batch import EventRow
from unitcost.exporter.settling.corrections import METRIC
from unitcost.pricing.money import to_usd
from unitcost.pricing.price import Component, PriceBook
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import NS_PER_HOUR

MINUTES = 60 * NS_PER_SECOND
AWS_OLD, AWS_NEW = "98.32", "55.04"
"""p5.48xlarge on 1 June 2025."""
AZURE_OLD, AZURE_NEW = "126.54", "68.64"
"""MI300X in Azure's UAE."""
TOTAL = "unitcost_cost_usd_total"
Place = tuple[int, str, Component, int | None]
"""Clock hour, resource, component, and pico-dollars an hour."""


def site_at(usd: str | None, book: PriceBook | None = None) -> Site:
    """A host with a server, metered from a full hour on."""
    host = Host()
    host.run((NS_PER_HOUR - host.clock.wall_ns % NS_PER_HOUR) / NS_PER_SECOND)
    site = Site(rules(book or rented(usd=usd), workloads=(CHAT,)), host)
    host.serve("chat", 8000, cores=1.0, gibs=2.0)
    site.settle()
    return site


def late(site: Site, book: PriceBook) -> list[EventRow]:
    """A book is learnt, and a tick passes no time; what it records."""
    learn(site, book)
    return site.settle().events


def now(site: Site) -> int:
    """Up to when it is charged."""
    position = site.settler.state.position
    assert position is not None
    return position.at_ns


def ledger_usd(site: Site) -> Decimal:
    """All rows of the ledger, all revisions."""
    return to_usd(sum(row.pico or 0 for row in site.ledger.posting.accruals.values()))


def first_charged(site: Site) -> Decimal:
    """What counters say."""
    return to_usd(site.counter(TOTAL))


def corrected(site: Site, *labels: str) -> Decimal:
    """The gauge, summed."""
    return to_usd(site.counter(METRIC, *labels))


def check(site: Site) -> None:
    """Everything that must hold of a ledger; the gauge is the difference to what was charged."""
    audit.check_totals(site)
    assert ledger_usd(site) == first_charged(site) + corrected(site)


def by_amount(site: Site) -> dict[Place, int]:
    """Nanoseconds by hour, resource, component and what it costs an hour; no empty ones."""
    found: dict[Place, int] = {}
    for key, row in site.ledger.posting.accruals.items():
        price = site.ledger.prices[key.price]
        place = (key.hour, key.resource, key.component, price.pico_per_unit)
        found[place] = found.get(place, 0) + row.elapsed_ns
    return {place: ns for place, ns in found.items() if ns}
