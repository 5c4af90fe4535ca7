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


A, B, SYS = Account("a"), Account("b"), Account(SYSTEM)
JOB = Account("a", run="r")


def test_use_beyond_the_capacity_is_scaled_and_reservations_are_nothing_then() -> None:
    """The clock's granularity; exactly as much as there is, is not too much."""
    over = {A: Holding(30, 90), B: Holding(10, 0)}
    assert hold(20, over) == ({A: Holding(15, 0), B: Holding(5, 0)}, 0)
    assert hold(40, over) == ({A: Holding(30, 0), B: Holding(10, 0)}, 0)
    assert hold(41, over) == ({A: Holding(30, 1), B: Holding(10, 0)}, 0)


def test_unused_reservations_are_what_was_reserved_beyond_the_use() -> None:
    """They shrink alike where there is too little."""
    given = {A: Holding(1, 4), B: Holding(2, 1)}
    assert hold(10, given) == ({A: Holding(1, 3), B: Holding(2, 0)}, 4)
    assert hold(6, given) == ({A: Holding(1, 3), B: Holding(2, 0)}, 0)
    assert hold(5, given) == ({A: Holding(1, 2), B: Holding(2, 0)}, 0)


def test_cpu_is_active_while_used_and_idle_while_only_reserved() -> None:
    """Loading is all that is held; the system is idle by name; the rest is nobody's."""
    given = {A: Holding(3, 5), B: Holding(1, 2), SYS: Holding(1, 0)}
    method = Method.CPU_TIME
    assert cpu_shares(10, given, {B}) == [
        Share(A, State.ACTIVE, method, 3),
        Share(A, State.IDLE, method, 2),
        Share(B, State.LOADING, method, 2),
        Share(SYS, State.IDLE, method, 1),
        *unheld(2),
    ]
    assert cpu_shares(3, {A: Holding(3, 0)}, set()) == [Share(A, State.ACTIVE, method, 3)]


def test_memory_is_active_for_the_busy_part_of_what_is_held() -> None:
    """Reservation included; without a signal all of it is."""
    given = {A: Holding(4, 8), B: Holding(2, 0), JOB: Holding(2, 2)}
    method = Method.RESIDENT_MEMORY
    busy = {A: Busy(3, 4, "requests"), JOB: Busy(0, 1, "steps")}
    assert memory_shares(12, given, set(), busy) == [
        Share(A, State.ACTIVE, method, 6),
        Share(A, State.IDLE, method, 2),
        Share(B, State.ACTIVE, method, 2),
        Share(JOB, State.IDLE, method, 2),
    ]
    assert ALWAYS.numerator == ALWAYS.denominator


def share(account: Account, weight: int, state: State = State.ACTIVE) -> Share:
    """A share as measured."""
    return Share(account, state, Method.CPU_TIME, weight)


def test_a_gap_is_carried_by_who_is_still_there() -> None:
    """A half where half of the holders are; the rest nobody metered."""
    carried_on, free = Method.CARRIED, Account(UNALLOCATED)
    last = [share(A, 40), share(A, 10, State.IDLE), share(B, 20), share(SYS, 5), *unheld(25)]
    assert carried(last, {A: (1, 2), B: (0, 3), SYS: (1, 1)}) == [
        Share(A, State.ACTIVE, carried_on, 20),
        Share(A, State.IDLE, carried_on, 5),
        Share(free, State.IDLE, carried_on, 25),
        *unheld(50, UNMETERED),
    ]
    assert carried([share(A, 40)], {A: (3, 2)}) == [Share(A, State.ACTIVE, carried_on, 40)]


def test_a_gap_after_which_nobody_is_known_is_unmetered() -> None:
    """Whole, also where nothing was measured before it."""
    assert carried([share(A, 40), share(B, 2)], {A: (5, 0)}) == unheld(42, UNMETERED)
    assert carried(unheld(7, UNMETERED), {Account(UNMETERED): (1, 1)}) == unheld(7, UNMETERED)
    assert carried([], {}) == unheld(1, UNMETERED)


def test_weights_stay_whole_numbers_whatever_is_carried() -> None:
    """A third of seven is two."""
    (kept, rest) = carried([share(A, 7)], {A: (1, 3)})
    assert (kept.weight, rest.weight) == (2, 5)
    assert isinstance(kept.weight, int)
