"""What a pod holds of its host: posted to the nanosecond, and nothing else is."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pricing.test_charge import PICOS, RESOURCES, SHARES, START, priced
from unitcost.pricing.allocate import Holding, Method, Share, State, unheld
from unitcost.pricing.charge import Posting, cost_of, post_held, quantity_of, residual
from unitcost.pricing.pod import held_weights, own_part, pooled
from unitcost.pricing.price import Component, Price, PriceBook, PriceModel
from unitcost.pricing.price_list import unit_prices
from unitcost.pricing.resource import CPU, DEFAULT_SPLIT, MEMORY, MICRO, REST, Resource
from unitcost.pricing.timeline import Period
from unitcost.pricing.workload import SYSTEM, UNALLOCATED, Account

HOST = (Resource(CPU, 32 * MICRO), Resource(MEMORY, 256 * MICRO))
BOOK = PriceBook(
    (Component.RENT,), (Price(Component.RENT, Decimal(98), PriceModel.OVERRIDE, "test"),)
)


def share(name: str, weight: int) -> Share:
    """An idle share."""
    return Share(Account(name), State.IDLE, Method.EXCLUSIVE, weight)


@given(RESOURCES, PICOS, SHARES, st.integers(1, 10**13), st.integers(0, 10**13))
def test_a_row_is_the_period_times_the_part_that_is_held(
    resource: Resource, pico: int | None, shares: list[Share], length_ns: int, before_ns: int
) -> None:
    """Exactly what the held part costs, on its holders, and on nobody else."""
    held, whole = held_weights(shares)
    if not held:
        return
    price, posting = priced(resource, pico), Posting()
    period = Period(START, START + length_ns)
    post_held(posting, period, resource, price, shares, lambda _: before_ns)
    (row,) = posting.accruals.values()
    assert row.elapsed_ns == length_ns * held // whole <= length_ns
    after_ns = before_ns + row.elapsed_ns
    assert row.quantity == quantity_of(resource, after_ns) - quantity_of(resource, before_ns)
    if pico is not None:
        assert row.pico == cost_of(pico, after_ns) - cost_of(pico, before_ns)
    assert residual(posting) == {}
    assert UNALLOCATED not in {key.account.workload for key in posting.charges}


def test_what_nobody_holds_cannot_be_posted() -> None:
    """Whoever does has lost who holds it."""
    resource = HOST[0]
    with pytest.raises(ValueError, match="nobody holds"):
        post_held(
            Posting(), Period(START, START + 10**9), resource, priced(resource, 5), unheld(1),
            lambda _: 0,
        )  # fmt: skip


def test_a_device_in_replicas_is_held_in_one_of_them() -> None:
    """What is the system's, or nobody's, is not the pod's."""
    shares = [share("chat", 3), share(SYSTEM, 2), *unheld(1)]
    assert own_part(shares) == [share("chat", 3), *unheld(3)]
    assert held_weights(own_part(shares, 4)) == (3, 24)
    assert own_part([share("chat", 3)]) == [share("chat", 3)]
    assert held_weights([share("chat", 3), share(SYSTEM, 2)]) == (5, 5)
    assert held_weights(()) == (0, 0)


def test_prices_where_nobody_knows_how_many_gpus_there_are() -> None:
    """GPUs and the rest have none; CPU and memory have theirs only if there surely is a GPU."""
    unknown = Resource(REST, 0)
    seen = unit_prices(BOOK, (*HOST, Resource("gpu:a", MICRO), unknown), DEFAULT_SPLIT, START)
    priced_ = {resource.id: price.pico_per_unit for resource, price in seen}
    weights = {each.id: DEFAULT_SPLIT.weight(each) for each in HOST}
    assert priced_ == {**weights, "gpu:a": None, REST: None}
    unseen = unit_prices(BOOK, (*HOST, unknown), DEFAULT_SPLIT, START)
    assert {price.pico_per_unit for _, price in unseen} == {None}


HELD = st.dictionaries(
    st.sampled_from([Account(name) for name in ("chat", "embed", SYSTEM)]),
    st.builds(Holding, used=st.integers(0, 100), reserved=st.integers(0, 100)),
    min_size=1,
)


@given(HELD)
def test_reservations_of_a_pod_are_one_pool(holdings: dict[Account, Holding]) -> None:
    """Together the pod holds the more of what it reserved and what it used; each what it used."""
    found = pooled(holdings)
    used = sum(each.used for each in holdings.values())
    reserved = sum(each.reserved for each in holdings.values())
    assert sum(each.reserved for each in found.values()) == max(used, reserved)
    for account, each in holdings.items():
        assert found[account].used == each.used <= found[account].reserved
        assert found[account].reserved <= max(each.used, each.reserved)


def test_what_one_uses_beyond_its_own_comes_out_of_what_the_others_leave() -> None:
    """By hand: 3 too many here, 6 and 3 unused there."""
    embed, idle = Account("embed"), Account("idle")
    found = pooled(
        {Account("chat"): Holding(7, 4), embed: Holding(2, 8), idle: Holding(0, 3)},
    )
    assert found == {Account("chat"): Holding(7, 7), embed: Holding(2, 6), idle: Holding(0, 2)}
