"""Posting: charges sum to what a resource accrued, and that is price times time, once rounded."""

from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Method, Share, State
from unitcost.pricing.charge import (
    AccrualKey,
    Amount,
    Charge,
    ChargeKey,
    Posting,
    cost_of,
    merge,
    post,
    post_amount,
    residual,
)
from unitcost.pricing.currency import PEGS
from unitcost.pricing.price import (
    Component,
    Price,
    PriceModel,
    PriceUnit,
    UnitPrice,
    metered_price,
    unit_price,
)
from unitcost.pricing.resource import CPU, MEMORY, MICRO, Resource
from unitcost.pricing.timeline import NS_PER_HOUR, Period, cut, hour_of
from unitcost.pricing.workload import UNALLOCATED, Account

START = 490_000 * NS_PER_HOUR
PICOS = st.one_of(st.none(), st.just(0), st.integers(1, 50), st.integers(0, 10**15))
RESOURCES = st.builds(
    Resource, st.sampled_from([CPU, MEMORY, "gpu:a"]), st.integers(1, 4096 * MICRO)
)
SHARES = st.lists(
    st.builds(
        Share,
        st.builds(Account, st.sampled_from(["a", "b", UNALLOCATED]), st.sampled_from(["", "m"])),
        st.sampled_from(list(State)),
        st.sampled_from(list(Method)),
        st.one_of(st.integers(1, 9), st.integers(0, 10**15)),
    ),
    min_size=1,
    max_size=6,
).filter(lambda shares: any(share.weight for share in shares))


def priced(
    resource: Resource, pico: int | None, component: Component = Component.RENT
) -> UnitPrice:
    """A unit price of so many pico-dollars an hour."""
    host = Price(component, Decimal(1), PriceModel.OVERRIDE, "test")
    return unit_price(resource, component, pico, host if pico is not None else None, "test")


@dataclass
class Rows:
    """A ledger: what was posted so far."""

    posting: Posting

    def elapsed(self, key: AccrualKey) -> int:
        """Nanoseconds in a row."""
        row = self.posting.accruals.get(key)
        return row.elapsed_ns if row else 0

    def add(
        self, period: Period, resource: Resource, price: UnitPrice, shares: list[Share]
    ) -> None:
        """Post one period."""
        for part in cut(period):
            fresh = Posting()
            post(fresh, part, resource, price, shares, self.elapsed)
            assert residual(fresh) == {}
            merge(self.posting, fresh)


TICKS = st.tuples(
    st.sampled_from([0, 0, 0, -NS_PER_HOUR, NS_PER_HOUR]),
    st.one_of(st.integers(0, 10**4), st.integers(0, 2 * NS_PER_HOUR)),
    st.integers(0, 2),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Period, list[Share]]]:
    """Ticks one after another, some of them back in an hour that was charged before."""
    at, ticks = START + draw(st.integers(0, NS_PER_HOUR)), []
    known = draw(st.lists(SHARES, min_size=1, max_size=3))
    for step, length, index in draw(st.lists(TICKS, min_size=1, max_size=10)):
        at += step
        ticks.append((Period(at, at + length), known[index % len(known)]))
        at += length
    return ticks


@given(histories(), RESOURCES, PICOS)
def test_charges_sum_to_the_accrual_and_that_is_price_times_time(
    ticks: list[tuple[Period, list[Share]]], resource: Resource, pico: int | None
) -> None:
    """For every row, however the time was cut into ticks and whoever held meanwhile.

    Each charge is within one pico-dollar a tick of its exact part: nothing is made whole at
    somebody else's expense.
    """
    rows, price = Rows(Posting()), priced(resource, pico)
    for period, shares in ticks:
        rows.add(period, resource, price, shares)
    assert residual(rows.posting) == {}
    elapsed: dict[int, int] = {}
    for period, _ in ticks:
        for part in cut(period):
            hour = hour_of(part.start_ns)
            elapsed[hour] = elapsed.get(hour, 0) + part.duration_ns
    assert {key.hour: row.elapsed_ns for key, row in rows.posting.accruals.items()} == elapsed
    for row in rows.posting.accruals.values():
        assert row.pico == (None if pico is None else cost_of(pico, row.elapsed_ns))
        held = Fraction(resource.capacity_micro * row.elapsed_ns, 10**9)
        assert abs(row.quantity - held) <= Fraction(1, 2)
    exact = exact_charges(ticks, resource, pico or 0)
    for key, amount in rows.posting.charges.items():
        assert amount.quantity >= 0
        assert (amount.pico is None) == (pico is None)
        cost, count = exact[key.account, key.state, key.method, key.hour]
        assert amount.pico is None or amount.pico >= 0
        assert amount.pico is None or abs(amount.pico - cost) < 2 * count


def exact_charges(
    ticks: list[tuple[Period, list[Share]]], resource: Resource, pico: int
) -> dict[tuple[Account, State, Method, int], tuple[Fraction, int]]:
    """What each charge would be if there were fractions, and how many roundings are in it."""
    found: dict[tuple[Account, State, Method, int], tuple[Fraction, int]] = {}
    for period, shares in ticks:
        whole = sum(share.weight for share in shares)
        for part in cut(period):
            for s in shares:
                key = (s.account, s.state, s.method, hour_of(part.start_ns))
                cost, count = found.get(key, (Fraction(0), 0))
                more = Fraction(pico * part.duration_ns * s.weight, NS_PER_HOUR * whole)
                found[key] = (cost + more, count + 1)
    return found


@given(RESOURCES, st.integers(0, 10**15), st.lists(st.integers(1, 10**12), min_size=1, max_size=20))
def test_the_cost_of_an_hour_does_not_depend_on_its_ticks(
    resource: Resource, pico: int, lengths: list[int]
) -> None:
    """Twenty ticks or one."""
    lengths = [min(each, NS_PER_HOUR // 20) for each in lengths]
    share = [Share(Account("a"), State.ACTIVE, Method.CPU_TIME, 1)]
    price, many, one = priced(resource, pico), Rows(Posting()), Rows(Posting())
    at = START
    for length in lengths:
        many.add(Period(at, at + length), resource, price, share)
        at += length
    one.add(Period(START, at), resource, price, share)
    assert many.posting == one.posting


def test_postings_add_up_in_one_posting_too() -> None:
    """Two periods of an hour, posted one after the other before anything is committed."""
    cpu, share = Resource(CPU, MICRO), [Share(Account("a"), State.IDLE, Method.CPU_TIME, 1)]
    posting, price = Posting(), priced(cpu, 10**15 + 1)
    post(posting, Period(START, START + 7), cpu, price, share, lambda _: 0)
    post(posting, Period(START + 7, START + 14), cpu, price, share, lambda _: 7)
    ((_, row),) = posting.accruals.items()
    assert (row.elapsed_ns, row.pico) == (14, cost_of(10**15 + 1, 14))
    assert residual(posting) == {}


def test_another_price_opens_another_row() -> None:
    """So each row can be checked by its own price."""
    cpu, share = Resource(CPU, MICRO), [Share(Account("a"), State.IDLE, Method.CPU_TIME, 1)]
    rows = Rows(Posting())
    for pico in (5, 7, None, 5):
        rows.add(Period(START, START + NS_PER_HOUR), cpu, priced(cpu, pico), share)
    costs = sorted(row.pico or 0 for row in rows.posting.accruals.values())
    assert costs == [0, 7, 10]


def test_time_cannot_go_uncharged() -> None:
    """Without shares nothing is posted, and somebody is told."""
    cpu, posting = Resource(CPU, MICRO), Posting()
    with pytest.raises(ValueError, match="nothing to distribute by"):
        post(posting, Period(START, START + 10**9), cpu, priced(cpu, 5), [], lambda _: 0)
    assert posting == Posting()


def test_what_does_not_sum_up_is_found() -> None:
    """The check is not blind: a pico-dollar more, or a row that was never accrued."""
    cpu, share = Resource(CPU, MICRO), [Share(Account("a"), State.IDLE, Method.CPU_TIME, 1)]
    rows = Rows(Posting())
    rows.add(Period(START, START + NS_PER_HOUR), cpu, priced(cpu, 5), share)
    ((key, amount),) = rows.posting.charges.items()
    amount.add(0, 1)
    assert list(residual(rows.posting).values()) == [(0, -1)]
    amount.add(-3, -1)
    assert list(residual(rows.posting).values()) == [(3, 0)]
    amount.add(3, 0)
    rows.posting.charges[replace(key, revision=1)] = replace(amount)
    assert list(residual(rows.posting).values()) == [(-3600 * MICRO, -5)]


def test_merging_leaves_what_was_merged_as_it_was() -> None:
    """Two sums of the same rows do not share their figures."""
    cpu, share = Resource(CPU, MICRO), [Share(Account("a"), State.IDLE, Method.CPU_TIME, 1)]
    fresh, first, second = Posting(), Posting(), Posting()
    post(fresh, Period(START, START + 7), cpu, priced(cpu, 10**15), share, lambda _: 0)
    before = next(iter(fresh.accruals.values())).elapsed_ns
    for total in (first, second, first):
        merge(total, fresh)
    assert [row.elapsed_ns for row in first.accruals.values()] == [14]
    assert [row.elapsed_ns for row in second.accruals.values()] == [7]
    assert [row.elapsed_ns for row in fresh.accruals.values()] == [before]


def test_a_reader_sees_resource_hours_and_dollars() -> None:
    """And no dollars where there is no price."""
    cpu, share = Resource(CPU, 2 * MICRO), [Share(Account("a"), State.IDLE, Method.CPU_TIME, 1)]
    for pico, usd in ((3 * 10**12, Decimal(3)), (None, None)):
        rows = Rows(Posting())
        rows.add(Period(START, START + NS_PER_HOUR), cpu, priced(cpu, pico), share)
        ((key, amount),) = rows.posting.charges.items()
        charge = Charge.of("host-1", "host", key, amount, START)
        assert (charge.quantity, charge.cost_usd) == (Decimal(2), usd)
        assert (charge.currency, charge.rate, charge.key) == ("USD", Decimal(1), key)


def test_what_is_billed_in_another_currency_is_shown_in_it() -> None:
    """Dollars times the rate, the way round bills have it; to 12 digits, unknown where they are."""
    key = ChargeKey(CPU, Component.RENT, Account("a"), State.IDLE, Method.CPU_TIME, "p", 1)
    rate = Decimal("3.6725")
    dirhams = Charge.of("h", "host", key, Amount(1, 2 * 10**12), START, "AED", rate)
    assert (dirhams.cost_usd, dirhams.billed_cost) == (Decimal(2), Decimal("7.345"))
    euros = Charge.of("h", "host", key, Amount(1, 10**12), START, "EUR", Decimal("0.92396516674"))
    assert euros.billed_cost == Decimal("0.923965166740")
    assert Charge.of("h", "host", key, Amount(1, None), START, "AED", rate).billed_cost is None
    assert Charge.of("h", "host", key, Amount(1, 5), START).billed_cost == Decimal("5E-12")


AMOUNTS = st.one_of(st.integers(0, 2000), st.integers(0, 10**13))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(AMOUNTS, min_size=6, max_size=6)), max_size=6),
    SHARES,
    PICOS,
)
def test_amounts_cost_their_price_rounded_once_however_many_pieces_they_come_in(
    pieces: list[tuple[int, list[int]]], shares: list[Share], pico: int | None
) -> None:
    """Microjoules of several hours: each row is price x energy; each share pays for its own."""
    price = metered_price("gpu:a", Component.ELECTRICITY, PriceUnit.KWH, pico, "test", "measured")
    rows, sums = Rows(Posting()), dict.fromkeys(range(3), 0)
    for hour, amounts in pieces:
        fresh = Posting()
        parts = list(zip(shares, amounts, strict=False))
        post_amount(fresh, START + hour * NS_PER_HOUR + 5, price, parts, rows.elapsed)
        assert residual(fresh) == {}
        holders = {(share.account, share.state, share.method) for share in shares}
        assert {(key.account, key.state, key.method) for key in fresh.charges} == holders
        merge(rows.posting, fresh)
        sums[hour] += sum(part for _, part in parts)
    for key, row in rows.posting.accruals.items():
        whole = sums[key.hour - hour_of(START)]
        assert row.elapsed_ns == whole
        assert row.pico == (None if pico is None else cost_of(pico, whole))
        assert abs(row.quantity * 1000 - whole) <= 500
    assert residual(rows.posting) == {}


def test_each_share_pays_for_its_own_energy() -> None:
    """Whatever else it held; a kWh is as many microjoules as an hour has nanoseconds."""
    price = metered_price("cpu", Component.ELECTRICITY, PriceUnit.KWH, 3 * 10**11, "test", "r")
    shares = [Share(Account(n), State.ACTIVE, Method.CPU_TIME, 1) for n in "ab"]
    posting = Posting()
    parts = [(shares[0], 3 * NS_PER_HOUR), (shares[1], NS_PER_HOUR)]
    post_amount(posting, START, price, parts, lambda _: 0)
    assert {key.account.workload: each.pico for key, each in posting.charges.items()} == {
        "a": 9 * 10**11,
        "b": 3 * 10**11,
    }
    ((key, amount), _) = posting.charges.items()
    charge = Charge.of("host", "host", key, amount, 0)
    assert (charge.quantity, charge.cost_usd) == (Decimal(3), Decimal("0.9"))


def test_a_price_of_what_is_measured_has_one_row_whenever_it_holds() -> None:
    """Another amount, resource, unit, source, way to find it or rate is another price."""
    first = ("gpu:a", Component.ELECTRICITY, PriceUnit.KWH, 5, "test", "measured")
    price = metered_price(*first)
    assert price == metered_price(*first)
    assert (price.unit, price.rate, price.currency) == (PriceUnit.KWH, "1", "USD")
    assert (price.valid_from_ns, price.valid_to_ns) == (0, None)
    aed = metered_price(*first, PEGS[0])
    assert (aed.rate, aed.currency) == ("3.6725", "AED")
    electricity, kwh = Component.ELECTRICITY, PriceUnit.KWH
    others = [
        aed,
        metered_price("gpu:b", electricity, kwh, 5, "test", "measured"),
        metered_price("gpu:a", Component.OVERHEAD, kwh, 5, "test", "measured"),
        metered_price("gpu:a", electricity, PriceUnit.ACTIVE_HOUR, 5, "test", "measured"),
        metered_price("gpu:a", electricity, kwh, None, "test", "measured"),
        metered_price("gpu:a", electricity, kwh, 5, "other", "measured"),
        metered_price("gpu:a", electricity, kwh, 5, "test", "stated_draw"),
    ]
    assert len({each.id for each in (price, *others)}) == 8


def test_a_charge_has_everything_its_row_had() -> None:
    """In its place: whose, where, what, how much, and what it was converted by."""
    key = ChargeKey(CPU, Component.RENT, Account("a"), State.IDLE, Method.CPU_TIME, "p", 7)
    amount = Amount(7200 * MICRO, 3 * 10**12)
    rate = Decimal("3.6725")
    found = Charge.of("host-1", "pod", key, amount, START, "AED", rate)
    assert found == Charge(
        "host-1", "pod", key, Decimal(2), Decimal(3), "AED", rate, known_at_ns=START
    )
    plain = Charge.of("host-1", "pod", key, Amount(0, None), 5)
    assert (plain.currency, plain.rate, plain.known_at_ns) == ("USD", Decimal(1), 5)
    assert (plain.quantity, plain.cost_usd) == (Decimal(0), None)


def test_a_revision_that_does_not_balance_is_found() -> None:
    """Its charges are held against its own accrual, not against the row that it corrects."""
    posting = Posting()
    key = ChargeKey(CPU, Component.RENT, Account("a"), State.IDLE, Method.CPU_TIME, "p", 7, 1)
    posting.charges[key] = Amount(5, 3)
    ((place, residue),) = residual(posting).items()
    assert (place.revision, residue) == (1, (-5, -3))
