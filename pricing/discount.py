"""Discounts: the one place where a price is lowered, with what it was before kept beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Chosen, Rank, Resolution

MAX_PERCENT = Decimal(100)


def discounted(quote: Quote, percent: Decimal) -> Quote:
    """The quote with that many percent off; the list price stays in `list_per_hour`.

    Raises ValueError for a percentage outside 0 to 100, and for a quote that has its discount.
    """
    if not (percent.is_finite() and 0 <= percent <= MAX_PERCENT):
        raise ValueError("a discount is 0 to 100 percent")
    if quote.list_per_hour is not None:
        raise ValueError("a discount is in this price already")
    effective = quote.per_hour * (MAX_PERCENT - percent) / MAX_PERCENT
    return replace(quote, per_hour=effective, list_per_hour=quote.per_hour)


@dataclass(frozen=True, slots=True)
class Discount:
    """So many percent off the prices that it fits, from `from_ns` until `until_ns` (Unix time).

    An empty field fits all. `name` says where it is agreed. Raises ValueError for a percentage
    outside 0 to 100, and for one that holds for no time.
    """

    name: str
    percent: Decimal
    provider: str = ""
    region: str = ""
    sku: str = ""
    model: PriceModel | None = None
    from_ns: int = 0
    until_ns: int | None = None

    def __post_init__(self) -> None:
        if not (self.percent.is_finite() and 0 <= self.percent <= MAX_PERCENT):
            raise ValueError("a discount is 0 to 100 percent")
        if self.until_ns is not None and self.until_ns <= self.from_ns:
            raise ValueError("a discount must hold for some time")

    def fits(self, key: PriceKey) -> bool:
        """Whether it is agreed for what is quoted."""
        wanted = ((self.provider, key.provider), (self.region, key.region), (self.sku, key.sku))
        named = all(ours in ("", theirs) for ours, theirs in wanted)
        return named and self.model in (None, key.model)

    def covers(self, instant_ns: int) -> bool:
        """Whether it holds at that instant."""
        ended = self.until_ns is not None and instant_ns >= self.until_ns
        return instant_ns >= self.from_ns and not ended


def after_discounts(resolution: Resolution, discounts: Sequence[Discount]) -> Resolution:
    """What is paid: each price less the first discount that fits it, for the time it does.

    A price that has its discount already, and one that the user states in place of all others,
    is what is paid: nothing is taken off it again.
    """
    paid = [part for each in resolution.chosen for part in _paid(each, discounts)]
    return replace(resolution, chosen=tuple(paid))


def _paid(chosen: Chosen, discounts: Sequence[Discount]) -> Iterator[Chosen]:
    """A price cut to the times in which one discount holds, or none."""
    quote = chosen.quote
    fitting = [each for each in discounts if each.fits(quote.key)]
    if not fitting or quote.list_per_hour is not None or chosen.rank is Rank.OVERRIDE:
        yield chosen
        return
    starts: list[int] = []
    used: list[Discount | None] = []
    for start in _bounds(quote, fitting):
        first = next((each for each in fitting if each.covers(start)), None)
        if not used or used[-1] != first:
            starts.append(start)
            used.append(first)
    ends = [*starts[1:], quote.valid_to_ns]
    for start, end, discount in zip(starts, ends, used, strict=True):
        part = replace(quote, valid_from_ns=start, valid_to_ns=end)
        if discount is None:
            yield replace(chosen, quote=part)
        else:
            lowered = discounted(part, discount.percent)
            name, since_ns = discount.name, discount.from_ns
            yield replace(chosen, quote=lowered, discount=name, discount_from_ns=since_ns)


def _bounds(quote: Quote, discounts: Sequence[Discount]) -> list[int]:
    """When the quote begins, and when in its time another discount may hold."""
    instants = [each.from_ns for each in discounts]
    instants += [each.until_ns for each in discounts if each.until_ns is not None]
    inside = {each for each in instants if each > quote.valid_from_ns and quote.covers(each)}
    return [quote.valid_from_ns, *sorted(inside)]
