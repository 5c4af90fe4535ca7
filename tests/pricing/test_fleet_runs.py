"""Epochs of runs on several hosts: joined where all have closed them, to the pico-dollar."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from unitcost.pricing.fleet_runs import EpochPart, JoinedEpoch, joined
from unitcost.pricing.runs import Cost


def part(host: str, since: float, epoch: float, pico: int | None = 1, **more: int) -> EpochPart:
    """A part of a run on two hosts; None: not known."""
    cost = None if pico is None else Cost(pico, pico // 2)
    values = {"attempt": 0, "at_ns": int(epoch), "hosts": 2} | more
    return EpochPart(host, since_epoch=since, epoch=epoch, cost=cost, **values)


def test_an_epoch_is_joined_once_every_host_has_closed_it() -> None:
    """Not before; the sum is exact, and its instant that of the last host."""
    first = [part("a", 0, 1, 10), part("a", 1, 2, 20), part("b", 0, 1, 300, at_ns=7)]
    whole = JoinedEpoch(0, 0, 1, 7, 2, Cost(310, 155))
    assert joined(first) == [whole]
    assert joined(reversed(first)) == [whole]
    assert joined([*first, part("b", 1, 2, 400)]) == [
        whole,
        JoinedEpoch(0, 1, 2, 2, 2, Cost(420, 210)),
    ]
    assert whole.epochs == 1
    assert joined([]) == []


def test_a_run_of_which_a_host_is_missing_or_one_too_many_is_not_joined() -> None:
    """Whoever says that there are more hosts is believed."""
    two = [part("a", 0, 1), part("b", 0, 1)]
    assert joined(two[:1]) == []
    assert joined([*two, part("c", 0, 1)]) == []
    assert joined([two[0], replace(two[1], hosts=3)]) == []


def test_hosts_that_mark_different_epochs_have_some_in_common() -> None:
    """Between those, all parts add up; the epochs share equally."""
    found = joined([part("a", 0, 1, 1), part("a", 1, 2, 2), part("a", 2, 3, 4), part("b", 0, 2, 8)])
    assert found == [JoinedEpoch(0, 0, 2, 2, 2, Cost(11, 5))]
    assert found[0].epochs == 2


def test_a_part_that_is_not_known_leaves_the_whole_unknown() -> None:
    """Its epochs are over all the same."""
    parts = [part("a", 0, 1, None), part("b", 0, 1), part("a", 1, 2), part("b", 1, 2)]
    assert [each.cost for each in joined(parts)] == [None, Cost(2, 0)]
    unused = replace(parts[1], cost=Cost(5, None))
    assert joined([part("a", 0, 1, 2), unused])[0].cost == Cost(7, None)


def test_parts_that_do_not_follow_each_other_leave_the_whole_unknown() -> None:
    """One was lost in between, or at the beginning."""
    lost = [part("a", 0, 1), part("a", 2, 3), part("b", 0, 3)]
    assert [(each.epoch, each.cost) for each in joined(lost)] == [(3, None)]
    late = [part("a", 1, 2), part("a", 2, 3), part("b", 0, 2), part("b", 2, 3)]
    assert [(each.since_epoch, each.epoch, each.cost) for each in joined(late)] == [
        (2, 3, Cost(2, 0))
    ]


def test_attempts_are_joined_each_by_itself() -> None:
    """The second does again what the first had done, on fewer hosts."""
    parts = [part("a", 0, 1), part("b", 0, 1), part("a", 0, 1, 7, attempt=1, hosts=1)]
    assert [(each.attempt, each.hosts, each.cost) for each in joined(parts)] == [
        (0, 2, Cost(2, 0)),
        (1, 1, Cost(7, 3)),
    ]


@given(st.lists(st.lists(st.integers(0, 10**20), min_size=5, max_size=5), min_size=1, max_size=6))
def test_what_is_joined_sums_to_the_parts(costs: list[list[int]]) -> None:
    """Of hosts that all mark every epoch."""
    parts = [
        part(f"host{n}", epoch, epoch + 1, pico, hosts=len(costs))
        for n, own in enumerate(costs)
        for epoch, pico in enumerate(own)
    ]
    found = joined(parts)
    assert [each.epoch for each in found] == [1, 2, 3, 4, 5]
    total = sum(each.cost.pico for each in found if each.cost and each.cost.pico is not None)
    assert total == sum(map(sum, costs))
