"""The fleet's ledger: whatever comes twice, late or in any order, each hour is there once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.central.deliveries import (
    HOUR,
    SECOND,
    content,
    delivery,
    expected,
    name,
    pico_of,
)
from tests.places import Places, Where
from unitcost.exporter.central.checking import check_central
from unitcost.exporter.central.faults import Reason, Rejected, check
from unitcost.exporter.central.store import CentralLedger, Outcome
from unitcost.exporter.fleet.protocol import Delivery
from unitcost.exporter.ledger.engines import LedgerConflict, LedgerError
from unitcost.pricing.timeline import NS_PER_HOUR

NOW = (HOUR + 1) * NS_PER_HOUR


@pytest.fixture
def central(where: Where) -> Iterator[CentralLedger]:
    """An empty one."""
    made = CentralLedger(where.place, 2)
    made.open()
    yield made
    made.close()


def take(central: CentralLedger, each: Delivery) -> Outcome:
    """As the server does."""
    check(each, NOW)
    return central.take(each, NOW)


def total(where: Where) -> int:
    """All that is charged."""
    ((pico,),) = where.rows("SELECT SUM(pico) FROM charge")
    return int(pico or 0)


def deliveries() -> st.SearchStrategy[list[Delivery]]:
    """Of a few agents, hours and commits; some of them more than once."""
    one = st.builds(
        delivery,
        seq=st.integers(1, 6),
        hour=st.integers(HOUR, HOUR + 1),
        host=st.sampled_from(["h1", "h2"]),
    )
    return st.lists(one, min_size=1, max_size=12).flatmap(
        lambda made: st.permutations([*made, *made[: len(made) // 2]])
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CentralLedger, CentralLedger]]:
    """Two of them, each in a file."""
    made = [CentralLedger(tmp_path_factory.mktemp("central") / "c.db") for _ in range(2)]
    for each in made:
        each.open()
    yield made[0], made[1]
    for each in made:
        each.close()


@settings(max_examples=max(15, settings().max_examples // 4))
@given(made=deliveries())
def test_repeats_and_any_order_neither_lose_nor_double(
    two: tuple[CentralLedger, CentralLedger], made: list[Delivery]
) -> None:
    """What is stored is the highest number of each hour; the rest leaves no trace."""
    central, direct = two
    for ledger in two:
        ledger.purge(2 * HOUR)
    for each in made:
        take(central, each)
    wanted = expected(made)
    for each in wanted.values():
        take(direct, each)
    found = content(Where(central.place))
    assert found == content(Where(direct.place))
    charged = Where(central.place).rows("SELECT SUM(pico) FROM charge")
    assert charged == [(pico_of(wanted.values()),)]


def test_a_few_hundred_in_any_order(central: CentralLedger, where: Where) -> None:
    """The same on what is used in earnest, checked as an operator would."""
    made = [delivery(1 + n * 7 % 30, HOUR - n % 3, f"h{n % 4}") for n in range(120)]
    outcomes = [take(central, each) for each in made]
    assert set(outcomes) == set(Outcome)
    assert total(where) == pico_of(expected(made).values())
    before = content(where)
    assert {take(central, each) for each in made} == {Outcome.REPEATED}
    assert content(where) == before
    assert check_central(where.place) == []


def test_sums_of_a_fleet_have_more_than_64_bits(central: CentralLedger, where: Where) -> None:
    """Nine million dollars are 63 bits; what many hosts spend is more."""
    if isinstance(where.place, Path):
        pytest.skip("SQLite's SUM has 64 bits: sums are taken in two parts there")
    for n in range(3):
        take(central, delivery(720, host=f"h{n}"))
    where.change("UPDATE charge SET pico = 9000000000000000000")
    assert total(where) > 2**64


def test_what_an_hour_lacks_now_is_gone(central: CentralLedger, where: Where) -> None:
    """A row that a later commit does not have, any more or at all."""
    take(central, delivery(5))
    take(central, delivery(9))
    (only,) = expected([delivery(9)]).values()
    assert len(where.rows("SELECT * FROM charge")) == len(only.charges)
    assert check_central(where.place) == []


def test_an_agent_installed_anew_adds_to_what_was_metered_before(
    central: CentralLedger, where: Where
) -> None:
    """Another ledger, the same host, another part of the hour."""
    first = delivery(10)
    later = delivery(20, ledger="b", from_ns=first.to_ns, to_ns=first.to_ns + SECOND)
    take(central, first)
    take(central, later)
    assert total(where) == pico_of([first, later])
    assert take(central, delivery(11, from_ns=first.from_ns, to_ns=first.to_ns)) is Outcome.STORED


def test_two_agents_that_meter_the_same_time_are_not_summed(
    central: CentralLedger, where: Where
) -> None:
    """Whoever claimed it first keeps it; the other one is told, and changes nothing."""
    take(central, delivery(10))
    before = content(where)
    with pytest.raises(Rejected, match="another agent has metered the same time") as caught:
        take(central, delivery(20, ledger="b"))
    assert caught.value.reason is Reason.CONFLICT
    assert content(where) == before
    assert where.rows("SELECT COUNT(*) FROM agent") == [(1,)]
    assert take(central, delivery(20, ledger="b", scope="pod:1")) is Outcome.STORED
    assert take(central, delivery(20, hour=HOUR - 1, ledger="b")) is Outcome.STORED


def test_two_agents_with_copies_of_one_ledger_are_told_apart(central: CentralLedger) -> None:
    """Both go on from the same commit: the second cannot have opened what the first has written."""
    take(central, delivery(10, session=name("x"), opened=5))
    with pytest.raises(Rejected, match="a copy of this ledger"):
        take(central, delivery(11, session=name("y"), opened=5))
    take(central, delivery(12, session=name("x"), opened=5))
    # A restart goes on from all there is; the process before it is over for good.
    take(central, delivery(13, session=name("z"), opened=12))
    with pytest.raises(Rejected, match="a copy of this ledger"):
        take(central, delivery(14, session=name("x"), opened=5))


def test_a_place_of_a_newer_version_is_left_alone(central: CentralLedger, where: Where) -> None:
    """As an agent's ledger is."""
    where.change("UPDATE central_meta SET value = '99'")
    with pytest.raises(LedgerConflict, match="newer version"):
        central.open()


def test_old_hours_go(central: CentralLedger, where: Where) -> None:
    """From all tables; an hour that is delivered again afterwards is there again."""
    take(central, delivery(5, HOUR - 1))
    take(central, delivery(5))
    assert central.purge(HOUR) == len(delivery(5, HOUR - 1).charges)
    assert {row[0] for row in where.rows("SELECT hour FROM agent_hour")} == {HOUR}
    assert all(len(found) for found in content(where).values())
    assert take(central, delivery(5, HOUR - 1)) is Outcome.STORED


def test_who_delivers_is_known(central: CentralLedger) -> None:
    """How many, how many of them late, and how far behind the last one is."""
    assert central.agents(NOW, 0, 0).lag_ns is None
    take(central, delivery(720))
    take(central, delivery(720, hour=HOUR - 3, host="h2"))
    found = central.agents(NOW, NOW - 1, NOW - NS_PER_HOUR)
    assert (found.seen, found.late, found.lag_ns) == (2, 1, 3 * NS_PER_HOUR)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE charge SET pico = pico + 1",
        "DELETE FROM accrual",
        "UPDATE price SET pico_per_unit = 1",
    ],
)
def test_check_finds_a_single_pico_dollar(
    central: CentralLedger, where: Where, tampering: str
) -> None:
    """Whatever was changed by hand shows."""
    take(central, delivery(10))
    where.change(tampering)
    assert check_central(where.place)


def test_a_database_that_is_held_is_an_error_that_changes_nothing(
    central: CentralLedger, where: Where
) -> None:
    """And passes."""
    with where.held(), pytest.raises(LedgerError):
        take(central, delivery(10))
    assert take(central, delivery(10)) is Outcome.STORED


def test_deliveries_of_one_host_follow_each_other(places: Places) -> None:
    """From many threads at once; none is lost, and the last one holds."""
    where = places.new()
    central = CentralLedger(where.place, 4)
    central.open()
    made = [delivery(seq, host=f"h{seq % 2}") for seq in range(1, 41)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: central.take(each, NOW), made))
    assert total(where) == pico_of(expected(made).values())
    assert check_central(where.place) == []
    central.close()
