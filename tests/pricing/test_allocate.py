"""The allocator: shares that sum to the capacity, whoever holds and however much."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import (
    ALWAYS,
    Busy,
    Holding,
    Method,
    Share,
    State,
    carried,
    cpu_shares,
    hold,
    memory_shares,
    unheld,
)
from unitcost.pricing.workload import OVERFLOW, SYSTEM, UNALLOCATED, UNMETERED, Account

NAMES = ["a", "b", "c", SYSTEM, OVERFLOW]
ACCOUNTS = st.builds(Account, st.sampled_from(NAMES), run=st.sampled_from(["", "r"]))
SIZES = st.one_of(st.integers(0, 20), st.integers(0, 10**12))
HOLDINGS = st.dictionaries(ACCOUNTS, st.builds(Holding, SIZES, SIZES), max_size=6)
CAPACITIES = st.one_of(st.integers(1, 30), st.integers(1, 10**13))
PARTS = st.integers(1, 100).flatmap(
    lambda whole: st.builds(Busy, st.integers(0, whole), st.just(whole), st.just("test"))
)

Given = Mapping[Account, Holding]


@given(CAPACITIES, HOLDINGS)
def test_what_is_held_and_what_is_left_sum_to_the_capacity(capacity: int, holdings: Given) -> None:
    """Exactly."""
    held, left = hold(capacity, holdings)
    assert sum(each.used + each.reserved for each in held.values()) + left == capacity
    assert left >= 0
    assert all(each.used >= 0 and each.reserved >= 0 for each in held.values())


@given(CAPACITIES, HOLDINGS)
def test_only_unused_reservations_shrink(capacity: int, holdings: Given) -> None:
    """Use stays as measured, unless it alone is more than there is; nobody gets more than asked."""
    held, left = hold(capacity, holdings)
    if sum(each.used for each in holdings.values()) <= capacity:
        assert {a: each.used for a, each in held.items()} == {
            a: each.used for a, each in holdings.items()
        }
    unused = {a: max(0, each.reserved - held[a].used) for a, each in holdings.items()}
    assert all(held[account].reserved <= most for account, most in unused.items())
    if left:
        assert {account: each.reserved for account, each in held.items()} == unused


@given(CAPACITIES, HOLDINGS, st.sets(ACCOUNTS), st.dictionaries(ACCOUNTS, PARTS))
def test_shares_sum_to_the_capacity(
    capacity: int, holdings: Given, loading: set[Account], busy: dict[Account, Busy]
) -> None:
    """Of the CPU and of memory alike, with the unheld remainder among them; none is empty."""
    for shares in (
        cpu_shares(capacity, holdings, loading),
        memory_shares(capacity, holdings, loading, busy),
    ):
        assert sum(share.weight for share in shares) == capacity
        assert all(share.weight > 0 for share in shares)
        keys = [(share.account, share.state) for share in shares]
        assert len(set(keys)) == len(keys)
        for share in shares:
            if share.account.reserved:
                assert share.state is State.IDLE
            elif share.account in loading:
                assert share.state is State.LOADING
            else:
                assert share.state is not State.LOADING


@given(CAPACITIES, HOLDINGS)
def test_used_cpu_time_is_active_and_the_unused_reservation_idle(
    capacity: int, holdings: Given
) -> None:
    """Of every workload that is past loading."""
    held, _ = hold(capacity, holdings)
    shares = {(s.account, s.state): s.weight for s in cpu_shares(capacity, holdings, set())}
    for account, each in held.items():
        if not account.reserved:
            assert shares.get((account, State.ACTIVE), 0) == each.used
            assert shares.get((account, State.IDLE), 0) == each.reserved


@given(CAPACITIES, HOLDINGS, PARTS)
def test_memory_is_active_for_the_busy_part(capacity: int, holdings: Given, part: Busy) -> None:
    """Rounded down by less than one; without a signal it is active as a whole."""
    held, _ = hold(capacity, holdings)
    for busy, signal in ((dict.fromkeys(holdings, part), part), ({}, ALWAYS)):
        found = memory_shares(capacity, holdings, set(), busy)
        active = {s.account: s.weight for s in found if s.state is State.ACTIVE}
        for account, each in held.items():
            if not account.reserved:
                exact = (each.used + each.reserved) * signal.numerator
                weight = active.get(account, 0)
                assert 0 <= exact - weight * signal.denominator < signal.denominator


def test_a_reservation_beyond_the_host_is_cut_to_what_nobody_uses() -> None:
    """Two reserve four cores each of a host that has four, and one is busy on three."""
    four, three = Holding(0, 4), Holding(3, 4)
    held, left = hold(4, {Account("a"): four, Account("b"): three})
    assert sum(each.reserved for each in held.values()) == 1
    assert held[Account("b")].used == 3
    assert left == 0


SHARES = st.lists(
    st.builds(
        Share,
        st.builds(
            Account, st.sampled_from([*NAMES, UNALLOCATED, UNMETERED]), st.sampled_from(["", "m"])
        ),
        st.sampled_from(list(State)),
        st.sampled_from(list(Method)),
        st.integers(1, 10**12),
    ),
    min_size=1,
    max_size=6,
)
KEPT = st.integers(1, 5).flatmap(lambda then: st.tuples(st.integers(0, then + 2), st.just(then)))


@given(SHARES, st.dictionaries(ACCOUNTS, KEPT))
def test_carried_shares_sum_to_the_last_ones(
    last: list[Share], kept: dict[Account, tuple[int, int]]
) -> None:
    """Exactly; each keeps the part of its holders that is still there, and never more."""
    shares = carried(last, kept)
    assert sum(share.weight for share in shares) == sum(share.weight for share in last)
    for account in {share.account for share in shares} - {Account(UNMETERED)}:
        before = sum(share.weight for share in last if share.account == account)
        after = sum(share.weight for share in shares if share.account == account)
        now, then = kept.get(account, (0, 1))
        if account.workload == UNALLOCATED:
            assert after == before
        else:
            assert now
            assert after <= before
            assert now < then or after == before
    for share in shares:
        unmetered = share.account.workload == UNMETERED
        assert share.method is (Method.REMAINDER if unmetered else Method.CARRIED)
        assert share.account.workload != SYSTEM


def test_a_holder_that_is_gone_leaves_its_part_unmetered() -> None:
    """Half of the replicas gone: half of the share; a state is kept as it was."""
    mine, other = Account("a", "m"), Account("b")
    last = [
        Share(mine, State.ACTIVE, Method.CPU_TIME, 10),
        Share(other, State.IDLE, Method.CPU_TIME, 4),
        Share(Account(SYSTEM), State.IDLE, Method.CPU_TIME, 3),
        *unheld(5),
    ]
    assert carried(last, {mine: (1, 2), other: (0, 1), Account(SYSTEM): (1, 1)}) == [
        Share(mine, State.ACTIVE, Method.CARRIED, 5),
        Share(Account(UNALLOCATED), State.IDLE, Method.CARRIED, 5),
        *unheld(12, UNMETERED),
    ]


def test_carrying_nothing_still_leaves_somebody_to_charge() -> None:
    """No share at all, or none with a weight: time can be charged all the same."""
    for last in ([], [Share(Account("a"), State.IDLE, Method.CPU_TIME, 0)]):
        (only,) = carried(last, {})
        assert only.account == Account(UNMETERED)
        assert only.weight > 0
