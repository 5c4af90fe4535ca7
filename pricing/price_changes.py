"""What changed between two sets of quotes: new, gone, or another price, by key and time."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from unitcost.pricing.figures import divide
from unitcost.pricing.quote import PriceKey, Quote


@dataclass(frozen=True, slots=True)
class PriceChange:
    """For a stretch of time, what a key cost `before` and costs `after`; None: it had no price.

    Amounts are an hour, in the key's currency.
    """

    key: PriceKey
    from_ns: int
    to_ns: int | None
    before: Decimal | None
    after: Decimal | None

    @property
    def kind(self) -> str:
        """``new``, ``gone`` or ``changed``."""
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "changed"

    @property
    def percent(self) -> Decimal | None:
        """By how many percent it rose; None where there is nothing to compare with."""
        if self.after is None or not self.before:
            return None
        return divide((self.after - self.before) * 100, self.before)


def price_changes(
    before: Sequence[Quote], after: Sequence[Quote], since_ns: int
) -> tuple[PriceChange, ...]:
    """Where two sets of quotes differ from an instant on, in order of keys and time.

    Who said it, and when, is no difference. Of quotes of one key that overlap the last holds.
    """
    keys = sorted({quote.key for quote in (*before, *after)})
    return tuple(change for key in keys for change in _changes(key, before, after, since_ns))


def _changes(
    key: PriceKey, before: Sequence[Quote], after: Sequence[Quote], since_ns: int
) -> Iterator[PriceChange]:
    sides = [[quote for quote in side if quote.key == key] for side in (before, after)]
    bounds = {since_ns}
    for quote in itertools.chain(*sides):
        bounds |= {at for at in (quote.valid_from_ns, quote.valid_to_ns) if at and at > since_ns}
    starts = sorted(bounds)
    pending: PriceChange | None = None
    for start, end in itertools.zip_longest(starts, starts[1:]):
        old, new = (_price(side, start) for side in sides)
        if pending and (old, new) != (pending.before, pending.after):
            yield pending
            pending = None
        if old != new:
            begun = pending.from_ns if pending else start
            pending = PriceChange(key, begun, end, old, new)
    if pending:
        yield pending


def _price(quotes: Sequence[Quote], instant_ns: int) -> Decimal | None:
    covering = [quote.per_hour for quote in quotes if quote.covers(instant_ns)]
    return covering[-1] if covering else None
