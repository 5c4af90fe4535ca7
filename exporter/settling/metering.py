"""Charging by what was measured: energy at the price of its instant, and hours of work.

The energy of a tick is spread evenly over it, and is cut with it at hours, at changes of the price
and at epoch marks. What a meter tells late (it was away, or we were) is spread over all the time
since its last reading, and charged to those who held then.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.energy import Drawn
from unitcost.exporter.settling.gaps import Cost
from unitcost.pricing.allocate import Share, State, unheld
from unitcost.pricing.charge import AccrualKey, Posting, post, post_amount
from unitcost.pricing.currency import DOLLAR
from unitcost.pricing.metered import Amount, Metered, MeteredPrice, stretches
from unitcost.pricing.money import distribute
from unitcost.pricing.price import Component, UnitPrice, metered_price, unit_price
from unitcost.pricing.resource import REST, Resource
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import Cover, Period, cut
from unitcost.pricing.workload import UNALLOCATED, UNMETERED, Account

MEASURED, STATED, WORKED = "measured", "stated_draw", "active_time"
"""How an amount was found: by a meter, from a mean draw that somebody stated, by active shares."""
SLACK_NS = 30 * NS_PER_SECOND
"""A tick may take so long to read a meter, and half of its own length at most."""
KEEP_COUNTS = 2
"""Of how many months (or estimates) amounts are kept: what is late may be of the month before."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Energy that was drawn evenly over [`start_ns`, `end_ns`) in accounting time."""

    drawn: Drawn
    start_ns: int
    end_ns: int

    def within(self, part: Period) -> Amount | None:
        """The part of it that falls into a period; joined-up periods sum to all of it."""
        start, end = max(part.start_ns, self.start_ns), min(part.end_ns, self.end_ns)
        if start >= end:
            return None
        return Amount(
            self.drawn.used.resource,
            tuple(
                (share, self._until(end, whole) - self._until(start, whole))
                for share, whole in self.drawn.parts
            ),
            MEASURED,
        )

    def _until(self, instant_ns: int, whole: int) -> int:
        return whole * (instant_ns - self.start_ns) // (self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a tick knows of the host's meters.

    `metered`: resources that have one; `unknown`: those of which it is not known what they used;
    `seen`: accelerators that answer, so that one without a meter is known to have none.
    """

    metered: Set[str] = frozenset()
    unknown: Set[str] = frozenset()
    seen: Set[str] = frozenset()


@dataclass(slots=True)
class Metering:
    """Charges what was measured in a tick.

    `counts`: by component, how much was used since when (`MeteredPrice.counting_since`).
    `unpriced`: for each resource and component that is charged by energy, whether the last tick
    left it without a price.
    """

    counts: dict[str, dict[int, int]] = field(default_factory=dict)
    unpriced: dict[tuple[str, Component], bool] = field(default_factory=dict)
    spreads: tuple[Spread, ...] = ()
    sight: Sight = Sight()

    def state(self) -> tuple[tuple[str, int, int], ...]:
        """What a restart goes on from: components, since when, and how much."""
        return tuple(
            (component, since, amount)
            for component, own in self.counts.items()
            for since, amount in own.items()
        )

    def counted(self, component: Component, since: int | None) -> int:
        """How much of it was used since then; 0 where nothing is counted."""
        return 0 if since is None else self.counts.get(component, {}).get(since, 0)

    def begin(self, drawn: Sequence[Drawn], tick: Period, sight: Sight) -> None:
        """Take in what was drawn up to the end of a tick."""
        self.sight, self.unpriced = sight, {}
        self.spreads = tuple(
            Spread(each, _start(each.used.span_ns, tick), tick.end_ns) for each in drawn
        )

    def late(self, tick: Period) -> Period | None:
        """The time before the tick of which it is told only now what was drawn in it."""
        start = min((each.start_ns for each in self.spreads), default=tick.start_ns)
        return Period(start, tick.start_ns) if start < tick.start_ns else None

    def late_parts(self, rules: Metered, tick: Period) -> Iterator[Period]:
        """That time, cut where a price or an hour ends; nothing where energy is not charged."""
        before = self.late(tick) if rules.by_energy and rules.sensors else None
        yield from cut(before, rules.changes(before)) if before else ()

    def late_accounts(self, tick: Period) -> frozenset[Account]:
        """Who is charged for it."""
        late = (each for each in self.spreads if each.start_ns < tick.start_ns)
        return frozenset(share.account for each in late for share, _ in each.drawn.parts)

    def post_late(self, posting: Posting, part: Period, rules: Metered, books: Books) -> None:
        """Charge what was drawn in a part of the time before the tick."""
        self._post_energy(posting, part, rules, self._measured(part), books)

    def post(
        self,
        posting: Posting,
        part: Period,
        cost: Cost,
        rules: Metered,
        prices: Sequence[tuple[Resource, UnitPrice]],
        books: Books,
    ) -> None:
        """Charge a part of the tick: energy, hours of work, and what is not known as unpriced.

        `prices`: those by the hour, of every resource.
        """
        if cost.interval.cover not in (Cover.METERED, Cover.AWAY):
            return
        if rules.by_energy:
            stated = self._unseen(rules, prices)
            self._post_unknown(posting, part, cost, rules, prices, stated, books)
            measured = self._measured(part) if rules.sensors else []
            amounts = [*measured, *_stated(rules, part, cost, prices, stated)]
            self._post_energy(posting, part, rules, amounts, books)
        if rules.use is not None and rules.use.counting_since(part.start_ns) is not None:
            amounts = [_worked(name, part, cost.shares.get(name, ())) for name in _gpus(prices)]
            self._enter(posting, part, rules.use, amounts, books)

    def _unseen(
        self, rules: Metered, prices: Sequence[tuple[Resource, UnitPrice]]
    ) -> frozenset[str]:
        """Resources without a meter that share in the stated draw."""
        if rules.stated_microwatts is None:
            return frozenset()
        names = {resource.id for resource, _ in prices}
        if rules.sensors:
            hidden = {name for name in names if name.startswith("gpu:")} - self.sight.seen
            names -= self.sight.metered | hidden
        return frozenset(names or {REST})

    def _measured(self, part: Period) -> list[Amount]:
        """What meters say of a part of the time: one amount for each resource."""
        found: dict[str, Amount] = {}
        for spread in self.spreads:
            amount = spread.within(part)
            if amount is not None:
                known = found.get(amount.resource)
                parts = (*known.parts, *amount.parts) if known else amount.parts
                found[amount.resource] = replace(amount, parts=parts)
        return list(found.values())

    def _post_unknown(
        self,
        posting: Posting,
        part: Period,
        cost: Cost,
        rules: Metered,
        prices: Sequence[tuple[Resource, UnitPrice]],
        stated: Set[str],
        books: Books,
    ) -> None:
        """Time in which it is not known what a resource used: unpriced, which is not zero."""
        known = self.sight.metered - self.sight.unknown if rules.sensors else frozenset()
        for resource in {each.id: each for each, _ in prices}.values():
            unknown = resource.id not in known and resource.id not in stated
            for price in rules.by_energy:
                self.unpriced[resource.id, price.component] = unknown
                if unknown:
                    nothing = unit_price(resource, price.component, None, None, MEASURED)
                    books.use(nothing)
                    shares = shares_of(cost, resource.id)
                    post(posting, part, resource, nothing, shares, books.elapsed_of)

    def _post_energy(
        self,
        posting: Posting,
        part: Period,
        rules: Metered,
        amounts: Sequence[Amount],
        books: Books,
    ) -> None:
        for price in rules.by_energy:
            self._enter(posting, part, price, amounts, books)

    def _enter(
        self,
        posting: Posting,
        part: Period,
        price: MeteredPrice,
        amounts: Sequence[Amount],
        books: Books,
    ) -> None:
        """Charge amounts of a part of the time, at each price they go at, and count them."""
        amounts = [amount for amount in amounts if amount.parts]
        if not amounts:
            return
        since = price.counting_since(part.start_ns)
        used = self.counted(price.component, since)
        rate = price.rate(part.start_ns) or DOLLAR

        def before(key: AccrualKey) -> int:
            row = posting.accruals.get(key)
            return books.elapsed_of(key) + (row.elapsed_ns if row else 0)

        for stretch in stretches(price, part.start_ns, used, amounts):
            for amount in stretch.amounts:
                if stretch.pico is None:
                    self.unpriced[amount.resource, price.component] = True
                entered = metered_price(
                    amount.resource,
                    price.component,
                    price.unit,
                    stretch.pico,
                    price.source,
                    amount.rule,
                    rate,
                )
                books.use(entered)
                post_amount(posting, part.start_ns, entered, amount.parts, before)
        if since is not None:
            self._count(price.component, since, used + sum(amount.whole for amount in amounts))

    def _count(self, component: Component, since: int, amount: int) -> None:
        """Keep what was counted last, by whatever clock: a wrong one may have been far ahead."""
        own = self.counts.setdefault(component, {})
        own.pop(since, None)
        own[since] = amount
        while len(own) > KEEP_COUNTS:
            del own[next(iter(own))]


def metering_of(committed: Iterable[tuple[str, int, int]]) -> Metering:
    """As it was committed."""
    counts: dict[str, dict[int, int]] = {}
    for component, since, amount in committed:
        counts.setdefault(component, {})[since] = amount
    return Metering(counts)


def is_late(span_ns: int, tick: Period) -> bool:
    """Whether energy of so long a time, told at the end of a tick, was drawn before it as well.

    Readings are never as far apart as ticks to the nanosecond: what is of about a tick is of it.
    """
    return span_ns - tick.duration_ns > min(tick.duration_ns // 2, SLACK_NS)


def shares_of(cost: Cost, resource: str) -> Sequence[Share]:
    """Who is charged for a resource; what nobody could read is unmetered."""
    name = UNALLOCATED if resource == REST else UNMETERED
    return cost.shares.get(resource) or unheld(1, name)


def _start(span_ns: int, tick: Period) -> int:
    return tick.end_ns - span_ns if is_late(span_ns, tick) else tick.start_ns


def _gpus(prices: Sequence[tuple[Resource, UnitPrice]]) -> list[str]:
    return list(dict.fromkeys(resource.id for resource, _ in prices if resource.is_gpu))


def _worked(resource: str, part: Period, shares: Sequence[Share]) -> Amount:
    """Nanoseconds in which the holders of a device worked; nobody who holds it: none."""
    weights = [share.weight for share in shares]
    spans = distribute(part.duration_ns, weights) if any(weights) else []
    parts = tuple(
        (share, span)
        for share, span in zip(shares, spans, strict=False)
        if share.state is State.ACTIVE
    )
    return Amount(resource, parts, WORKED)


def _stated(
    rules: Metered,
    part: Period,
    cost: Cost,
    prices: Sequence[tuple[Resource, UnitPrice]],
    names: Set[str],
) -> list[Amount]:
    """The stated draw in a part of the time, split over resources as the host's price is."""
    if not names:
        return []
    micro = _drawn_until(rules, part.end_ns) - _drawn_until(rules, part.start_ns)
    weights = dict.fromkeys(sorted(names), 0)
    for resource, price in prices:
        if resource.id in weights:
            weights[resource.id] += price.pico_per_unit or 0
    if not any(weights.values()):
        weights = dict.fromkeys(weights, 1)
    found = []
    for name, whole in zip(weights, distribute(micro, list(weights.values())), strict=True):
        shares = shares_of(cost, name)
        parts = distribute(whole, [share.weight for share in shares])
        found.append(Amount(name, tuple(zip(shares, parts, strict=True)), STATED))
    return found


def _drawn_until(rules: Metered, instant_ns: int) -> int:
    """Microjoules since 1970, so that joined-up periods sum to the whole."""
    return (rules.stated_microwatts or 0) * instant_ns // NS_PER_SECOND
