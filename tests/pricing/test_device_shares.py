"""Shares of accelerators: whatever is known of a device, they sum to the whole of it."""

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.allocate import Busy, Method, State
from unitcost.pricing.device_shares import MILLION, WHOLE, Part, Split, device_shares
from unitcost.pricing.workload import OVERFLOW, SYSTEM, UNALLOCATED, Account

A, B, C, D = (Account(name) for name in "abcd")
SYS = Account(SYSTEM)
NOBODY = Account(UNALLOCATED)
HALF = Fraction(1, 2)

Found = dict[tuple[str, str], Fraction]


def shares(
    *parts: Part,
    slices: int = 1,
    loading: frozenset[Account] = frozenset(),
    signals: Mapping[Account, Busy] | None = None,
) -> Found:
    """The parts of the device by workload and state."""
    return by_state(device_shares(parts, slices, loading, signals or {}))


def by_state(split: Split) -> Found:
    """Fractions of the whole by workload and state."""
    found: Found = {}
    for share in split.shares:
        key = (share.account.workload, str(share.state))
        found[key] = found.get(key, Fraction(0)) + Fraction(share.weight, WHOLE)
    return found


def methods(split: Split) -> dict[str, set[Method]]:
    """By workload."""
    found: dict[str, set[Method]] = {}
    for share in split.shares:
        found.setdefault(share.account.workload, set()).add(share.method)
    return found


def sliced(**changes: object) -> Part:
    """A device with four replicas, each held by another account for five seconds."""
    whole: dict[str, object] = {
        "slices": 1,
        "held": dict.fromkeys((A, B, C, D), 5),
        "capacity": 20,
        "replicated": True,
    }
    return Part(**{**whole, **changes})  # type: ignore[arg-type]


def alone(**changes: object) -> Part:
    """A device that one account held all the time."""
    return Part(**{"slices": 1, "held": {A: 5}, "capacity": 5, **changes})  # type: ignore[arg-type]


NAMED = st.sampled_from([A, B, Account("a", "m"), Account("a", run="r"), Account(OVERFLOW)])
TIMES = st.one_of(st.integers(0, 4), st.integers(0, 10**13))
HELD = st.dictionaries(NAMED, TIMES, max_size=4)
SM = st.dictionaries(NAMED | st.just(SYS), st.integers(0, 2 * MILLION), max_size=4)
PARTS = st.builds(
    Part,
    slices=st.integers(0, 7),
    held=HELD,
    capacity=st.one_of(st.integers(0, 4), st.integers(1, 10**14)),
    replicated=st.booleans(),
    sm_millionths=st.none() | SM,
    busy_millionths=st.none() | st.integers(0, 2 * MILLION),
    busy_signal=st.just("gpu_utilization"),
    method=st.sampled_from([Method.EXCLUSIVE, Method.CONFIGURED, Method.MIG_SLICE]),
    loading=st.frozensets(NAMED, max_size=2),
)
BUSY = st.integers(1, 100).flatmap(
    lambda whole: st.builds(Busy, st.integers(0, whole), st.just(whole), st.just("requests"))
)


@given(st.lists(PARTS, max_size=7), st.integers(0, 8), st.sets(NAMED), st.dictionaries(NAMED, BUSY))
def test_shares_of_a_device_are_the_whole_of_it_and_nobody_else_s(
    parts: list[Part], slices: int, loading: set[Account], signals: dict[Account, Busy]
) -> None:
    """Exactly; only those who held it or used it are there, and reserved accounts only idle."""
    split = device_shares(parts, slices, loading, signals)
    assert sum(share.weight for share in split.shares) == WHOLE
    assert all(share.weight > 0 for share in split.shares)
    keys = [(share.account, share.state, share.method) for share in split.shares]
    assert len(set(keys)) == len(keys)
    held = {account for part in parts for account, time in part.held.items() if time}
    used = {a for part in parts for a, time in (part.sm_millionths or {}).items() if time}
    assert {share.account for share in split.shares} <= held | used | {NOBODY}
    for share in split.shares:
        if share.account.reserved:
            assert share.state is State.IDLE
        elif share.account in loading:
            assert share.state is State.LOADING
        elif not any(share.account in part.loading for part in parts):
            assert share.state is not State.LOADING
    shown = {share.account for share in split.shares}
    assert shown & held <= split.signals.keys() <= {each for part in parts for each in part.held}
    assert "" not in split.signals.values()


@given(PARTS.filter(lambda part: not part.replicated), st.dictionaries(NAMED, BUSY))
def test_who_has_a_part_alone_pays_for_the_time_it_was_held(
    part: Part, signals: dict[Account, Busy]
) -> None:
    """However busy it was: that only says how much of it was active."""
    found: dict[Account, int] = {}
    for share in device_shares([part], part.slices, frozenset(), signals).shares:
        found[share.account] = found.get(share.account, 0) + share.weight
    whole = max(1, part.capacity, sum(part.held.values()))
    for account, held in part.held.items():
        paid = found.get(account, 0)
        assert abs(paid - Fraction(WHOLE * held * bool(part.slices), whole)) < 1


@given(st.lists(st.integers(1, 7), max_size=7), st.sampled_from([4, 7, 8]))
def test_each_part_is_paid_by_its_slices(sizes: list[int], slices: int) -> None:
    """And what nobody cut is nobody's; more parts than slices share by their size."""
    accounts = [Account(f"w{number}") for number in range(len(sizes))]
    parts = [Part(n, {a: 9}, 9) for n, a in zip(sizes, accounts, strict=True)]
    found: dict[str, int] = {}
    for share in device_shares(parts, slices, frozenset(), {}).shares:
        found[share.account.workload] = found.get(share.account.workload, 0) + share.weight
    whole = max(slices, sum(sizes))
    for size, account in zip(sizes, accounts, strict=True):
        assert abs(found[account.workload] - Fraction(WHOLE * size, whole)) < 1
    stranded = found.get(UNALLOCATED, 0)
    assert abs(stranded - Fraction(WHOLE * (whole - sum(sizes)), whole)) < 1


def test_four_replicas_of_which_one_works_half_the_time() -> None:
    """Half of the device is its own active time, the other half idle in quarters."""
    half = sliced(sm_millionths={A: MILLION // 2}, busy_millionths=900_000, busy_signal="engine")
    split = device_shares([half], 1, frozenset(), {})
    eighths = {(name, "idle"): Fraction(1, 8) for name in "abcd"}
    assert by_state(split) == {("a", "active"): HALF, **eighths}
    assert methods(split) == {name: {Method.PROCESS_SM_TIME} for name in "abcd"}
    assert split.signals == dict.fromkeys((A, B, C, D), "sm_time")


@pytest.mark.parametrize("sm", [None, {}, {A: 0}], ids=["none", "empty", "zero"])
def test_without_samples_the_busy_time_is_shared_equally(sm: dict[Account, int] | None) -> None:
    """Also where the driver lost them: a device that works has somebody who works."""
    part = sliced(sm_millionths=sm, busy_millionths=MILLION // 2, busy_signal="engine")
    split = device_shares([part], 1, frozenset(), {})
    assert by_state(split) == {
        (name, state): Fraction(1, 8) for name in "abcd" for state in ("active", "idle")
    }
    assert methods(split) == {name: {Method.EQUAL_SPLIT} for name in "abcd"}
    assert split.signals == dict.fromkeys((A, B, C, D), "engine")


@pytest.mark.parametrize("busy", [None, 0])
def test_no_sm_time_at_all_is_idleness_where_the_device_did_not_work(busy: int | None) -> None:
    """Samples that say so are samples."""
    split = device_shares([sliced(sm_millionths={}, busy_millionths=busy)], 1, frozenset(), {})
    assert by_state(split) == {(name, "idle"): Fraction(1, 4) for name in "abcd"}
    assert methods(split) == {name: {Method.PROCESS_SM_TIME} for name in "abcd"}


def test_with_nothing_but_holders_their_own_requests_tell() -> None:
    """Each has its equal part, active as far as its signal says; without one, all of it."""
    requests = Busy(1, 4, "requests")
    split = device_shares([sliced()], 1, frozenset(), {A: requests})
    assert by_state(split) == {
        ("a", "active"): Fraction(1, 16),
        ("a", "idle"): Fraction(3, 16),
        **{(name, "active"): Fraction(1, 4) for name in "bcd"},
    }
    assert split.signals == {A: "requests", B: "none", C: "none", D: "none"}
    assert methods(split) == {name: {Method.EQUAL_SPLIT} for name in "abcd"}


def test_sm_time_above_all_there_is_is_scaled() -> None:
    """Sampling may say 90 and 60 percent; then nothing is idle."""
    found = shares(sliced(sm_millionths={A: 900_000, B: 600_000}))
    assert found == {("a", "active"): Fraction(3, 5), ("b", "active"): Fraction(2, 5)}


def test_whoever_uses_it_without_holding_it_pays_for_that() -> None:
    """A reserved account by name only, so its time is idle."""
    found = shares(sliced(sm_millionths={A: 250_000, SYS: 250_000}))
    assert found[SYSTEM, "idle"] == found["a", "active"] == Fraction(1, 4)
    assert found["b", "idle"] == Fraction(1, 8)
    alone_there = shares(sliced(held={}, sm_millionths={SYS: 250_000}))
    assert alone_there == {
        (SYSTEM, "idle"): Fraction(1, 4),
        (UNALLOCATED, "idle"): Fraction(3, 4),
    }


def test_replicas_that_nobody_holds_are_nobody_s_part_of_the_idle_time() -> None:
    """Two of four are held; the busy time is their own."""
    two = {A: 5, B: 5}
    found = shares(sliced(held=two, sm_millionths={A: MILLION // 2}))
    assert found == {
        ("a", "active"): HALF,
        ("a", "idle"): Fraction(1, 8),
        ("b", "idle"): Fraction(1, 8),
        (UNALLOCATED, "idle"): Fraction(1, 4),
    }
    equally = shares(sliced(held=two, busy_millionths=MILLION // 2))
    assert equally["a", "active"] == equally["b", "active"] == Fraction(1, 4)
    assert equally[UNALLOCATED, "idle"] == Fraction(1, 4)
    nobody = sliced(held={}, busy_millionths=MILLION)
    assert shares(nobody) == {(UNALLOCATED, "idle"): 1}


def test_mig_instances_cost_their_slices() -> None:
    """3g, 2g and 1g of seven: the seventh is nobody's."""
    parts = [
        Part(n, {account: 5}, 5, busy_millionths=busy, busy_signal="gpm", method=Method.MIG_SLICE)
        for n, account, busy in ((3, A, MILLION), (2, B, MILLION // 2), (1, C, None))
    ]
    split = device_shares(parts, 7, frozenset(), {})
    found = by_state(split)
    tiny = Fraction(1, WHOLE)
    assert abs(found["a", "active"] - Fraction(3, 7)) < 2 * tiny
    assert abs(found["b", "active"] - Fraction(1, 7)) < 2 * tiny
    assert abs(found["b", "idle"] - Fraction(1, 7)) < 2 * tiny
    assert abs(found["c", "active"] - Fraction(1, 7)) < 2 * tiny
    assert abs(found[UNALLOCATED, "idle"] - Fraction(1, 7)) < 2 * tiny
    assert methods(split) == {
        **{name: {Method.MIG_SLICE} for name in "abc"},
        UNALLOCATED: {Method.REMAINDER},
    }
    assert split.signals == {A: "gpm", B: "gpm", C: "none"}


def test_the_innermost_split_says_the_method() -> None:
    """Two replicas inside of the one instance there is."""
    inside = sliced(held={A: 5, B: 5}, capacity=10, method=Method.MIG_SLICE)
    split = device_shares([inside], 1, frozenset(), {})
    assert by_state(split) == {("a", "active"): HALF, ("b", "active"): HALF}
    assert methods(split) == {name: {Method.EQUAL_SPLIT} for name in "ab"}


def test_how_busy_an_exclusive_device_was_is_told_by_the_best_signal_there_is() -> None:
    """Its own, else SM samples, else the account's requests, else nothing: then all is active."""
    quarter, three = Fraction(1, 4), Fraction(3, 4)
    requests = {A: Busy(1, 4, "requests")}
    both = {"sm_millionths": {A: 900_000}, "busy_millionths": 250_000, "busy_signal": "engine"}
    for part, signals, told in (
        (alone(**both), {}, "engine"),
        (alone(sm_millionths={A: 250_000}), {A: Busy(1, 1, "requests")}, "sm_time"),
        (alone(sm_millionths={}), requests, "requests"),
        (alone(), requests, "requests"),
    ):
        split = device_shares([part], 1, frozenset(), signals)
        assert by_state(split) == {("a", "active"): quarter, ("a", "idle"): three}
        assert split.signals == {A: told}
        assert methods(split) == {"a": {Method.EXCLUSIVE}}
    nothing = device_shares([alone()], 1, frozenset(), {})
    assert by_state(nothing) == {("a", "active"): 1}
    assert nothing.signals == {A: "none"}


@pytest.mark.parametrize("signal", ["busy_millionths", "sm_millionths"])
def test_a_device_worked_while_it_was_held(signal: str) -> None:
    """Busy for 40 percent of an interval in which it was held for 40 percent: never idle."""
    known: object = {A: 400_000} if signal == "sm_millionths" else 400_000
    two_seconds = alone(held={A: 2}, **{signal: known})
    assert shares(two_seconds) == {
        ("a", "active"): Fraction(2, 5),
        (UNALLOCATED, "idle"): Fraction(3, 5),
    }
    less: object = {A: 100_000} if signal == "sm_millionths" else 100_000
    found = shares(alone(held={A: 2}, **{signal: less}))
    assert found["a", "active"] == Fraction(1, 10)
    more: object = {A: MILLION} if signal == "sm_millionths" else MILLION
    assert shares(alone(held={A: 2}, **{signal: more}))["a", "active"] == Fraction(2, 5)


def test_one_after_the_other_pays_for_its_own_time() -> None:
    """Two of five seconds each; the fifth is nobody's."""
    part = alone(held={A: 2, B: 2}, busy_millionths=MILLION // 5 * 2)
    assert shares(part) == {
        **{(name, state): Fraction(1, 5) for name in "ab" for state in ("active", "idle")},
        (UNALLOCATED, "idle"): Fraction(1, 5),
    }


def test_what_is_held_before_the_holder_is_ready_is_loading() -> None:
    """By account or by part: a new pod of a workload whose older one is ready loads there only."""
    old = alone(busy_millionths=MILLION // 2)
    new = alone(busy_millionths=MILLION // 2, loading=frozenset({A}))
    quarter = Fraction(1, 4)
    assert shares(old, new) == {
        ("a", "active"): quarter,
        ("a", "idle"): quarter,
        ("a", "loading"): HALF,
    }
    assert shares(old, loading=frozenset({A, B})) == {("a", "loading"): 1}
    overflow = alone(held={Account(OVERFLOW): 5})
    assert shares(overflow, loading=frozenset({Account(OVERFLOW)})) == {(OVERFLOW, "idle"): 1}


def test_a_device_is_never_busy_for_longer_than_the_interval() -> None:
    """Whatever its signal says."""
    more = 3 * MILLION // 2
    assert shares(alone(busy_millionths=more)) == {("a", "active"): 1}
    assert shares(sliced(busy_millionths=more))["b", "active"] == Fraction(1, 4)


def test_a_device_without_parts_or_size_is_nobody_s() -> None:
    """As while its instances are being changed."""
    for slices, parts in ((7, []), (0, []), (0, [Part(0, {A: 5}, 5)]), (1, [Part(0, {A: 5}, 5)])):
        assert shares(*parts, slices=slices) == {(UNALLOCATED, "idle"): 1}
