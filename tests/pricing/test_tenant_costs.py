"""Tenants' parts of a server's cost: by their work over the window, exact, nobody's is told."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.tenant_costs import TenantWindow, Units, split_by_tenant, tenant_weights
from unitcost.pricing.unit_cost import DECODE, INPUT, OUTPUT, PREFILL, SUCCEEDED, UnitKey
from unitcost.pricing.workload import OVERFLOW

FAILED: UnitKey = (Quantity.REQUESTS, Outcome.FAILED)
CACHED: UnitKey = (Quantity.TOKENS, TokenType.CACHED_INPUT)
RATES: dict[UnitKey, int] = {PREFILL: 10, DECODE: 90, INPUT: 1000, OUTPUT: 300}
"""An input token takes 0.01 seconds, an output token 0.3: thirty times as much."""


def test_tokens_weigh_what_computing_them_takes() -> None:
    """Thirty input tokens are one output token here."""
    whole = {INPUT: 90, OUTPUT: 3, SUCCEEDED: 2}
    tenants: dict[str, Units] = {"ads": {INPUT: 90}, "search": {OUTPUT: 3}}
    found = tenant_weights(whole, tenants, RATES)
    assert found == {"ads": 10 * 300 * 90, "search": 90 * 1000 * 3}
    assert found["ads"] == found["search"]


def test_without_both_phases_all_tokens_weigh_the_same() -> None:
    """Seconds without tokens say nothing of one, nor tokens without seconds."""
    whole = {INPUT: 30, OUTPUT: 10}
    tenants: dict[str, Units] = {"ads": {INPUT: 30}, "search": {OUTPUT: 10}}
    for lost in RATES:
        for rates in ({**RATES, lost: 0}, {k: n for k, n in RATES.items() if k != lost}):
            assert tenant_weights(whole, tenants, rates) == {"ads": 30, "search": 10}


def test_cached_tokens_weigh_nothing() -> None:
    """They were not computed; who sent nothing else is not there."""
    whole = {INPUT: 10, CACHED: 90}
    tenants: dict[str, Units] = {"ads": {CACHED: 90}, "search": {INPUT: 10}}
    assert tenant_weights(whole, tenants, {}) == {"search": 10}


def test_without_tokens_succeeded_requests_tell() -> None:
    """Failed ones do not."""
    whole = {SUCCEEDED: 7, FAILED: 9}
    tenants: dict[str, Units] = {"ads": {SUCCEEDED: 3, FAILED: 9}, "search": {FAILED: 1}}
    assert tenant_weights(whole, tenants, RATES) == {"ads": 3, OVERFLOW: 4}


def test_tokens_of_none_are_tokens_all_the_same() -> None:
    """A server that counts tokens is not split by requests while it has none."""
    assert tenant_weights({INPUT: 0, SUCCEEDED: 5}, {"ads": {SUCCEEDED: 5}}, {}) == {}


def test_what_nobody_is_known_for_is_other() -> None:
    """And joins those who are over the limit on tenants."""
    tenants: dict[str, Units] = {"ads": {OUTPUT: 3}, OVERFLOW: {OUTPUT: 2}}
    assert tenant_weights({OUTPUT: 10}, tenants, {}) == {"ads": 3, OVERFLOW: 7}
    assert tenant_weights({OUTPUT: 5}, tenants, {}) == {"ads": 3, OVERFLOW: 2}


def test_tenants_that_were_counted_a_moment_before_the_whole_take_nothing_from_anybody() -> None:
    """The rest is not negative."""
    assert tenant_weights({OUTPUT: 2}, {"ads": {OUTPUT: 3}}, {}) == {"ads": 3}


def test_a_cost_is_split_by_work() -> None:
    """Where nobody worked it is nobody's."""
    assert split_by_tenant(100, {"ads": 1, "search": 3}) == {"ads": 25, "search": 75}
    assert split_by_tenant(100, {}) == {OVERFLOW: 100}
    assert split_by_tenant(100, {"ads": 0}) == {OVERFLOW: 100}


@given(
    st.integers(0, 10**15),
    st.dictionaries(st.sampled_from(["a", "b", OVERFLOW]), st.integers(0, 10**18), max_size=3),
)
def test_the_parts_sum_to_the_cost(pico: int, weights: dict[str, int]) -> None:
    """To the last pico-dollar; who did nothing pays nothing."""
    parts = split_by_tenant(pico, weights)
    assert sum(parts.values()) == pico
    assert min(parts.values()) >= 0
    for name, part in parts.items():
        assert weights.get(name) or name == OVERFLOW or not part


KEYS = st.sampled_from([INPUT, OUTPUT, CACHED, SUCCEEDED, FAILED, PREFILL])
UNITS = st.dictionaries(KEYS, st.integers(0, 100), max_size=3)
TICKS = st.lists(
    st.tuples(st.integers(1, 30), UNITS, st.dictionaries(st.sampled_from("ab"), UNITS, max_size=2)),
    max_size=20,
)
LENGTH = 60


@given(TICKS)
def test_a_window_is_the_sum_of_its_ticks(
    ticks: list[tuple[int, dict[UnitKey, int], dict[str, dict[UnitKey, int]]]],
) -> None:
    """Whatever enters and leaves; of what does not weigh nothing is kept."""
    window, at = TenantWindow(LENGTH), 0
    taken: list[tuple[int, dict[UnitKey, int], dict[str, dict[UnitKey, int]]]] = []
    for passed, whole, tenants in ticks:
        at += passed
        window.add(at, whole, tenants)
        taken.append((at, whole, tenants))
        inside = [each for each in taken if each[0] > at - LENGTH]
        assert nonzero(window.whole) == nonzero(added([whole for _, whole, _ in inside]))
        for name in "ab":
            theirs = added([each.get(name, {}) for _, _, each in inside])
            assert nonzero(window.tenants.get(name, {})) == nonzero(theirs)
        assert window.weights(RATES) == tenant_weights(window.whole, window.tenants, RATES)


def weighs(key: UnitKey) -> bool:
    """Whether weights are made of it."""
    return key == SUCCEEDED or key[0] is Quantity.TOKENS


def added(units: list[dict[UnitKey, int]]) -> dict[UnitKey, int]:
    """Sums of what weighs."""
    keys = {key for each in units for key in each if weighs(key)}
    return {key: sum(each.get(key, 0) for each in units) for key in keys}


def nonzero(units: Mapping[UnitKey, int]) -> dict[UnitKey, int]:
    """Without what is zero."""
    return {key: n for key, n in units.items() if n}


def test_a_window_forgets_ticks_tenants_and_keeps_none_that_say_nothing() -> None:
    """A week of idling takes no memory; a tick leaves when it is as old as the window."""
    window = TenantWindow(10)
    for at in range(5):
        window.add(at, {INPUT: 0, PREFILL: 7}, {})
    assert not window.slices
    window.add(5, {INPUT: 3}, {"ads": {INPUT: 3}})
    window.add(14, {INPUT: 1}, {})
    assert (window.whole, set(window.tenants)) == ({INPUT: 4}, {"ads"})
    assert window.weights({}) == {"ads": 3, OVERFLOW: 1}
    window.add(15, {}, {})
    assert (window.whole, window.tenants, len(window.slices)) == ({INPUT: 1}, {}, 1)
    window.add(16, {}, {"ads": {INPUT: 0}})
    assert len(window.slices) == 2  # who was named is kept until then
