"""Corrections: what was charged before its price was learnt, charged at that price after all.

This says which time stands charged at a price that is not the right one, and what it is to be
charged at instead; `rebooking.py` makes rows of that.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from unitcost.pricing.charge import AccrualKey
from unitcost.pricing.charged_time import Basis, ChargedTime, Stretch, rebuilt
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel, UnitPrice
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import Resource
from unitcost.pricing.timeline import NS_PER_HOUR, Period, hour_of


@dataclass(frozen=True, slots=True)
class Correction:
    """Time that stands charged at `stretch.basis` and is to be charged at the prices of `book`."""

    stretch: Stretch
    book: PriceBook


@dataclass(frozen=True, slots=True)
class Change:
    """The host's price that time stands charged at, None for none, and the right one."""

    component: Component
    old: Price | None
    new: Price | None


@dataclass(frozen=True, slots=True)
class Move:
    """Time that one resource was charged at `old` and is to be charged at `new`, and why.

    It lies within `period`. One of the two is None where a resource has no part in the host's
    price by the one or the other.
    """

    resource: Resource
    old: UnitPrice | None
    new: UnitPrice | None
    elapsed_ns: int
    period: Period
    change: Change

    def plus(self, other: "Move") -> "Move":
        """Both together, of one resource and at the same prices."""
        start_ns = min(self.period.start_ns, other.period.start_ns)
        end_ns = max(self.period.end_ns, other.period.end_ns)
        elapsed_ns = self.elapsed_ns + other.elapsed_ns
        return replace(self, elapsed_ns=elapsed_ns, period=Period(start_ns, end_ns))


def held_at(book: PriceBook, instant_ns: int) -> PriceBook:
    """A book of those prices alone that hold at an instant."""
    prices, sibling = (
        tuple(each for each in group if each.covers(instant_ns))
        for group in (book.prices, book.sibling_prices)
    )
    return replace(book, prices=prices, sibling_prices=sibling)


def corrects(now: Price | None, charged: Price | None) -> bool:
    """Whether a price that is known now holds for time that was charged at another, or at none.

    It must say itself from when on it holds, and be of the same host under the same terms, unless
    the user states it. So must a discount, where that alone is another. What was believed of a
    better source stays, and so does what another of the same rank stated later. That there is no
    price any more is no reason to take money back.
    """
    if now is None or now.valid_from_ns <= 0:
        return False
    if charged is None:
        return True
    if now.pico_per_hour == charged.pico_per_hour:
        return False
    if now.model is not PriceModel.OVERRIDE and _kind(now) != _kind(charged):
        return False
    if _only_agreed(now, charged) and not now.discount_from_ns:
        return False
    if now.source == charged.source or now.precedence < charged.precedence:
        return True
    return now.precedence == charged.precedence and now.as_of_ns >= charged.as_of_ns


def _only_agreed(now: Price, charged: Price) -> bool:
    """Whether the list price is the same, and only what was agreed on it is another."""
    agreed = now.discount_from_ns is not None or charged.discount_from_ns is not None
    return agreed and now.list_usd_per_hour == charged.list_usd_per_hour


def _kind(price: Price) -> tuple[str, ...]:
    return price.model, price.sku, price.region


def corrections(stretches: Iterable[Stretch], book: PriceBook) -> Iterator[Correction]:
    """What a book says otherwise than it was charged."""
    for stretch in stretches:
        for part in _split(stretch, book.changes(stretch.period)):
            believed = _believed(part, book)
            if believed is not None:
                yield Correction(part, believed)


def hours(found: Iterable[Correction]) -> list[int]:
    """The clock hours that they touch, in order."""
    touched: set[int] = set()
    for each in found:
        period = each.stretch.period
        touched.update(range(hour_of(period.start_ns), hour_of(period.end_ns - 1) + 1))
    return sorted(touched)


def within(charged: ChargedTime, hour: int) -> list[Stretch]:
    """What lies in a clock hour, cut to it."""
    start_ns, end_ns = hour * NS_PER_HOUR, (hour + 1) * NS_PER_HOUR
    found = []
    for stretch in charged.stretches():
        own = stretch.period
        if own.start_ns < end_ns and own.end_ns > start_ns:
            period = Period(max(own.start_ns, start_ns), min(own.end_ns, end_ns))
            found.append(replace(stretch, period=period))
    return found


def restated(charged: ChargedTime, hour: int, found: Iterable[Correction]) -> ChargedTime:
    """Charged time after the corrections of a clock hour are booked."""
    return _replaced(charged, hour, {each.stretch: each.book for each in found})


def forgotten(charged: ChargedTime, hour: int, found: Iterable[Correction]) -> ChargedTime:
    """Charged time without what of a clock hour cannot be corrected: its rows are gone."""
    return _replaced(charged, hour, {each.stretch: None for each in found})


def _replaced(
    charged: ChargedTime, hour: int, books: dict[Stretch, PriceBook | None]
) -> ChargedTime:
    edges = {hour * NS_PER_HOUR, (hour + 1) * NS_PER_HOUR}
    for stretch in books:
        edges |= {stretch.period.start_ns, stretch.period.end_ns}
    instants = tuple(sorted(edges))

    def pieces() -> Iterator[Stretch]:
        for stretch in charged.stretches():
            for part in _split(stretch, instants):
                book = books.get(part, part.basis.book)
                if book is not None:
                    yield replace(part, basis=Basis(book, part.basis.components))

    return rebuilt(pieces(), charged.since_ns)


def _split(stretch: Stretch, instants: Iterable[int]) -> Iterator[Stretch]:
    """The stretch, cut at these instants, which are in order."""
    start_ns, end_ns = stretch.period.start_ns, stretch.period.end_ns
    edges = [start_ns, *(at for at in instants if start_ns < at < end_ns), end_ns]
    for one, other in itertools.pairwise(edges):
        yield replace(stretch, period=Period(one, other))


def _believed(stretch: Stretch, book: PriceBook) -> PriceBook | None:
    """The prices that a stretch is to be charged at; None if it is charged at the right ones."""
    charged, at_ns = stretch.basis.book, stretch.period.start_ns
    prices: list[Price] = []
    wrong = False
    for component in charged.components:
        was, now = charged.at(component, at_ns), book.at(component, at_ns)
        if corrects(now, was):
            was, wrong = now, True
        if was is not None:
            prices.append(was)
    if not wrong:
        return None
    split = book if book.sibling_at(at_ns) else charged
    return replace(held_at(split, at_ns), components=charged.components, prices=tuple(prices))


def moves(found: Iterable[Correction]) -> list[Move]:
    """Which time moves from which unit price to which, summed over the corrections."""
    sums: dict[tuple[str, Component, str, str], Move] = {}
    for each in found:
        for move in _moves(each):
            names = [price.id if price else "" for price in (move.old, move.new)]
            key = (move.resource.id, move.change.component, names[0], names[1])
            sums[key] = sums[key].plus(move) if key in sums else move
    return list(sums.values())


def held_moves(
    moved: Iterable[Move], charged: Iterable[Stretch], elapsed: Mapping[AccrualKey, int]
) -> list[Move]:
    """The same for rows that have the time for which a pod held something, not all of it.

    `charged`: all of the hour; `elapsed`: the time of its rows at each price, all revisions
    together. Of what a row has as much moves as of the whole time at its price. Of a resource that
    had no part in the price nobody knows how much was held: nothing moves.
    """
    whole: dict[tuple[str, Component, str], int] = {}
    for stretch in charged:
        layout, at_ns = stretch.layout, stretch.period.start_ns
        for resource, price in unit_prices(
            stretch.basis.book, layout.resources, layout.split, at_ns
        ):
            key = (resource.id, price.component, price.id)
            whole[key] = whole.get(key, 0) + stretch.period.duration_ns
    found = []
    for move in moved:
        if move.old is None:
            continue
        key = (move.resource.id, move.old.component, move.old.id)
        row = AccrualKey(*key, hour_of(move.period.start_ns))
        held = elapsed.get(row, 0) * move.elapsed_ns // whole[key]
        if held:
            found.append(replace(move, elapsed_ns=held))
    return found


def _moves(correction: Correction) -> Iterator[Move]:
    stretch = correction.stretch
    at_ns, layout = stretch.period.start_ns, stretch.layout
    old_book, new_book = stretch.basis.book, correction.book
    old = _by_place(unit_prices(old_book, layout.resources, layout.split, at_ns))
    new = _by_place(unit_prices(new_book, layout.resources, layout.split, at_ns))
    for place in old | new:
        resource, component = place
        was, now = old.get(place), new.get(place)
        if component in stretch.basis.components and not _same(was, now):
            change = Change(component, old_book.at(component, at_ns), new_book.at(component, at_ns))
            yield Move(resource, was, now, stretch.period.duration_ns, stretch.period, change)


def _by_place(
    listed: Iterable[tuple[Resource, UnitPrice]],
) -> dict[tuple[Resource, Component], UnitPrice]:
    return {(resource, price.component): price for resource, price in listed}


def _same(old: UnitPrice | None, new: UnitPrice | None) -> bool:
    """Whether nothing moves: at one price, or unpriced before and after."""
    amounts = [price.pico_per_unit for price in (old, new) if price is not None]
    unpriced = not any(amount is not None for amount in amounts)
    return unpriced or (old is not None and new is not None and old.id == new.id)
