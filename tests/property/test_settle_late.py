"""Prices, the times at which they are learnt, ticks, gaps and crashes at random: all adds up.

Whatever the order, in each clock hour every second that was charged stands at the price that is
finally believed of it, and costs price x time rounded once. The oracle knows each minute.
"""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.lately import MINUTES, Place, by_amount, check, first_charged, now, site_at
from tests.sites import MINUTE, Site, learn, rented
from unitcost.exporter.settling.rules import REBOOT_LIMIT_NS
from unitcost.pricing.price import Component, PriceBook
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import GIB, MICRO, Resource
from unitcost.pricing.timeline import hour_of

USD = st.sampled_from([None, "0", "0.000000000007", "1", "55.04", "98.32", "126.54"])
Change = tuple[int, str | None]
"""Minutes from now, and the price from then on."""
Step = tuple[str, int, list[Change], str | None]
CHANGES = st.lists(
    st.tuples(st.integers(-400, 60), USD), max_size=3, unique_by=lambda each: each[0]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["tick", "tick", "late", "late", "stuck", "crash", "away", "off"]),
        st.sampled_from([1, 7, 20, 45, 90]),
        CHANGES.map(sorted),
        USD,
    ),
    max_size=10,
)


class Oracle:
    """Knows of each minute that was charged at which price the host stands."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.minutes: dict[int, str | None] = {}
        self.committed: dict[int, str | None] = {}
        self.book: list[Change] = []
        self.base: str | None = None

    def charge(self, start_ns: int, end_ns: int) -> None:
        """Each at what is known now."""
        for at in range(start_ns, end_ns, MINUTES):
            self.minutes[at] = self.known(at)[0]

    def known(self, at: int) -> tuple[str | None, bool]:
        """The price now known for an instant, and whether it says when it began."""
        begun = [usd for start, usd in self.book if start <= at]
        return (begun[-1], True) if begun else (self.base, False)

    def learn(self, changes: Sequence[Change], base: str | None) -> PriceBook:
        """Another book; what it says of the past holds for the past."""
        start = now(self.site)
        self.book = [(start + minutes * MINUTES, usd) for minutes, usd in changes]
        self.base = base
        return rented(*self.book, usd=base)

    def believe(self) -> None:
        """What was charged stands at what is known of it, where that is known from when on."""
        for at in self.minutes:
            usd, explicit = self.known(at)
            if explicit and usd is not None:
                self.minutes[at] = usd

    def restart(self) -> None:
        """What was not committed never happened."""
        self.site.restart()
        self.minutes = dict(self.committed)

    def expected(self) -> dict[Place, int]:
        """As the ledger should have it."""
        found: dict[Place, int] = {}
        resources = (
            Resource("cpu", self.site.host.cores * MICRO),
            Resource("memory", self.site.host.memory * MICRO // GIB),
        )
        for usd in set(self.minutes.values()):
            listed = unit_prices(rented(usd=usd), resources, self.site.rules.split, 0)
            for at in (at for at, own in self.minutes.items() if own == usd):
                for resource, price in listed:
                    place = (hour_of(at), resource.id, Component.RENT, price.pico_per_unit)
                    found[place] = found.get(place, 0) + MINUTES
        return found


def tell(oracle: Oracle, step: Step) -> None:
    """One step of a history."""
    site, (what, length, changes, base) = oracle.site, step
    if what == "late":
        learn(site, oracle.learn(changes, base))
    elif what == "off":
        site.host.reboot(length * MINUTE)
    else:
        site.host.run(length * MINUTE)
    if what in ("away", "off"):
        oracle.restart()
    start = now(site)
    oracle.believe()
    commit = what not in ("stuck", "crash")
    site.settle(commit=commit)
    if what != "off" or now(site) - start <= REBOOT_LIMIT_NS:
        oracle.charge(start, now(site))
    if commit:
        oracle.committed = dict(oracle.minutes)
    if what == "crash":
        oracle.restart()


@given(STEPS, USD)
def test_every_second_ends_at_the_price_that_is_believed_of_it(
    history: list[Step], usd: str | None
) -> None:
    """By hour, resource and price; counters never fall, and what is charged is what accrued."""
    site = site_at(usd)
    oracle = Oracle(site)
    oracle.base = usd
    charged = [first_charged(site)]
    for step in history:
        tell(oracle, step)
        charged.append(first_charged(site))
    tell(oracle, ("tick", 1, [], None))
    charged.append(first_charged(site))
    assert by_amount(site) == oracle.expected()
    assert all(earlier <= later for earlier, later in pairwise(charged))
    check(site)
