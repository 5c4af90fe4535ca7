"""Energy in a tick: each joule counted once, and counted to whom it belongs."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unitcost.exporter.settling.batch import Batch
from unitcost.exporter.settling.emissions import Emissions
from unitcost.exporter.settling.energy import (
    DEVICE_ENERGY,
    MAX_WATTS,
    WORKLOAD_ENERGY,
    EnergyMeter,
    Used,
    by_workload,
)
from unitcost.pricing.allocate import Method, Share, State, unheld
from unitcost.pricing.energy import Meter, Path, Scope
from unitcost.pricing.meter import MAX_USAGE
from unitcost.pricing.sample import NS_PER_SECOND, Source
from unitcost.pricing.workload import OVERFLOW, SYSTEM, UNALLOCATED, UNMETERED, Account

GPU = "gpu:GPU-1"
MICRO = 10**6
WATTS = 500.0


def meter(seconds: float, joules: float | None, **changes: Any) -> Meter:
    """The GPU's energy counter at an instant."""
    made = Meter(
        GPU,
        Scope.GPU,
        (GPU,),
        round(seconds * NS_PER_SECOND),
        joules,
        resource=GPU,
        generation="driver-1",
        limit_watts=WATTS,
    )
    return replace(made, **changes)


def read(energy: EnergyMeter, *meters: Meter) -> list[tuple[str, str, float, float]]:
    """What was used: resource, source, joules and seconds."""
    return [
        (each.resource, each.source, each.micro / MICRO, each.span_ns / NS_PER_SECOND)
        for each in energy.read(meters)
    ]


def used(joules: float, seconds: float = 5.0) -> Used:
    """Energy of the GPU over some seconds."""
    return Used(GPU, "counter", round(joules * MICRO), round(seconds * NS_PER_SECOND))


def share(name: str, state: State, weight: int = 1) -> Share:
    """A part of the GPU."""
    return Share(Account(name), state, Method.EXCLUSIVE, weight)


def split(energy: EnergyMeter, what: Used, *shares: Share) -> dict[str, float]:
    """Joules by workload; they are what was used."""
    found = by_workload(energy.draw(what, shares))
    assert sum(found.values()) == what.micro
    return {name: micro / MICRO for name, micro in found.items()}


def test_what_was_used_is_what_the_counter_gained() -> None:
    """Nothing at first sight: what it shows may be from before."""
    energy = EnergyMeter()
    assert read(energy, meter(10, 1000.0)) == []
    assert read(energy, meter(15, 1250.5)) == [(GPU, "counter", 250.5, 5.0)]
    assert read(energy, meter(16, 1250.5)) == [(GPU, "counter", 0.0, 1.0)]
    assert energy.rejected == 0


def test_a_reading_left_out_is_made_up_by_the_next() -> None:
    """The counter went on. A meter without a counter has no energy."""
    energy = EnergyMeter()
    read(energy, meter(0, 100.0))
    assert read(energy, meter(5, None)) == []
    assert read(energy) == []
    assert read(energy, meter(10, 300.0)) == [(GPU, "counter", 200.0, 10.0)]


def test_a_counter_that_starts_anew_only_sets_where_it_stands() -> None:
    """Lower than before, or of another generation though it is higher."""
    energy = EnergyMeter()
    read(energy, meter(0, 1000.0))
    assert read(energy, meter(5, 50.0)) == []
    assert read(energy, meter(10, 150.0)) == [(GPU, "counter", 100.0, 5.0)]
    assert read(energy, meter(15, 200.0, generation="driver-2")) == []
    assert read(energy, meter(20, 260.0, generation="driver-2")) == [(GPU, "counter", 60.0, 5.0)]
    assert energy.rejected == 0


def test_a_counter_that_wraps_goes_on() -> None:
    """As those of processors do every few minutes or hours."""
    energy = EnergyMeter()
    read(energy, meter(0, 990.0, wraps_at=1000.0))
    assert read(energy, meter(5, 40.0, wraps_at=1000.0)) == [(GPU, "counter", 50.0, 5.0)]
    assert read(energy, meter(10, 30.0, wraps_at=1000.0)) == []
    assert energy.rejected == 0


def test_more_than_the_hardware_can_draw_is_not_believed() -> None:
    """One and a half times its limit, which short peaks may reach; the next reading counts."""
    energy = EnergyMeter()
    read(energy, meter(0, 0.0))
    assert read(energy, meter(4, 3000.0)) == [(GPU, "counter", 3000.0, 4.0)]
    assert energy.rejected == 0
    assert read(energy, meter(8, 6000.001)) == []
    assert energy.rejected == 1
    assert read(energy, meter(12, 6100.001)) == [(GPU, "counter", 100.0, 4.0)]
    leap = 10 * MAX_WATTS
    for limit in (None, 0.0):
        assert read(energy, meter(13, leap, limit_watts=limit)) == []
        energy = EnergyMeter()
        read(energy, meter(13, 0.0))
        assert read(energy, meter(15, 2 * MAX_WATTS, limit_watts=limit)) != []
    assert energy.rejected == 0


def test_a_counter_is_no_faster_than_its_own_steps() -> None:
    """Two readings between which it made one step: that is the energy of more time than theirs."""
    energy = EnergyMeter()
    read(energy, meter(0, 0.0))
    assert read(energy, meter(0.01, 70.0)) == [(GPU, "counter", 70.0, 0.01)]
    assert read(energy, meter(0.02, 70.0 + 1.5 * WATTS + 1)) == []
    assert energy.rejected == 1


def test_junk_is_rejected_and_what_stood_before_goes_on() -> None:
    """A leap that nothing can do; readings twice or out of order are no fault."""
    energy = EnergyMeter()
    read(energy, meter(5, 100.0))
    assert read(energy, meter(10, 2.0 * MAX_USAGE)) == []
    assert energy.rejected == 1
    assert read(energy, meter(5, 200.0)) == read(energy, meter(4, 200.0)) == []
    assert read(energy, meter(15, 300.0)) == [(GPU, "counter", 200.0, 10.0)]
    assert energy.rejected == 1


def test_each_resource_has_its_own_meters() -> None:
    """Two packages are the CPU together; a module, which is more than one resource, is none."""
    energy = EnergyMeter()

    def at(seconds: float, joules: float) -> list[Meter]:
        places = (("module-0",), ("module-0", GPU), ("module-0", "package-0"), ("package-1",))
        names = ("", GPU, "cpu", "cpu")
        return [
            meter(seconds, joules, id=path[-1], path=path, resource=name)
            for path, name in zip(places, names, strict=True)
        ]

    read(energy, *at(0, 0.0))
    found = read(energy, *at(5, 40.0))
    assert sorted(name for name, *_ in found) == ["cpu", "cpu", GPU]
    assert {joules for _, _, joules, _ in found} == {40.0}


def test_two_meters_of_one_thing_never_count_the_same_joule() -> None:
    """Its counter is gone for some readings, and its power is integrated meanwhile."""
    energy = EnergyMeter()

    def sensed(seconds: float, joules: float) -> Meter:
        return meter(seconds, joules, source=Source.SENSOR, generation="")

    read(energy, meter(0, 0.0))
    read(energy, sensed(5, 0.0))
    assert read(energy, meter(10, 1000.0)) == [(GPU, "counter", 1000.0, 10.0)]
    assert read(energy, sensed(15, 500.0)) == []
    assert read(energy, sensed(20, 1000.0)) == [(GPU, "sensor", 500.0, 5.0)]
    assert read(energy, meter(25, 2500.0)) == []
    assert read(energy, meter(30, 3000.0)) == [(GPU, "counter", 500.0, 5.0)]


SOURCES = st.sampled_from([Source.COUNTER, Source.SENSOR])
PLACES: list[Path] = [("m",), ("m", "g"), ("m", "h"), ("o",)]
READINGS = st.lists(
    st.dictionaries(st.tuples(st.sampled_from(PLACES), SOURCES), st.integers(0, 3), max_size=5),
    max_size=12,
)


@given(READINGS)
def test_whatever_meters_come_and_go_no_time_of_a_place_is_counted_twice(
    ticks: list[dict[tuple[Path, Source], int]],
) -> None:
    """One watt everywhere: never more joules than seconds."""
    energy = EnergyMeter()
    counted: dict[Path, float] = {}
    for second, tick in enumerate(ticks):
        meters = []
        for (path, source), name in tick.items():
            id_ = "/".join(path)
            resource = id_ if name else ""
            at = {"id": id_, "path": path, "source": source, "resource": resource}
            meters.append(meter(second, float(second), **at))
        for each in energy.read(meters):
            assert each.resource
            path = tuple(each.resource.split("/"))
            counted[path] = counted.get(path, 0) + each.micro / MICRO
            assert each.micro * NS_PER_SECOND == each.span_ns * MICRO
    for leaf in PLACES[1:]:
        joules = sum(n for path, n in counted.items() if leaf[: len(path)] == path)
        assert joules <= max(0, len(ticks) - 1)
    assert energy.rejected == 0


def test_points_and_floors_are_all_that_is_remembered() -> None:
    """So after a restart it goes on from the last commit."""
    energy = EnergyMeter()
    read(energy, meter(0, 100.0))
    split(energy, used(50.0), share("a", State.IDLE))
    again = EnergyMeter(dict(energy.points), dict(energy.floors))
    assert read(again, meter(5, 150.0)) == [(GPU, "counter", 50.0, 5.0)]
    assert again.floors == {GPU: 10 * MICRO}


def test_until_its_least_is_known_energy_is_counted_by_what_each_held() -> None:
    """Then what is above it is theirs who worked."""
    energy = EnergyMeter()
    both = (share("a", State.ACTIVE), share("b", State.IDLE))
    assert split(energy, used(100.0), *both) == {"a": 50.0, "b": 50.0}
    assert energy.floors == {}
    assert split(energy, used(40.0), share("b", State.IDLE), *unheld(1)) == {
        "b": 20.0,
        UNALLOCATED: 20.0,
    }
    assert energy.floors == {GPU: 8 * MICRO}
    assert split(energy, used(100.0), *both) == {"a": 80.0, "b": 20.0}
    assert split(energy, used(30.0), *both) == {"a": 15.0, "b": 15.0}


def test_the_floor_is_the_least_of_intervals_in_which_nobody_worked() -> None:
    """It falls and never rises; too short an interval says nothing."""
    energy = EnergyMeter()
    idle = share("a", State.IDLE)
    for joules, seconds, floor in (
        (50.0, 5.0, 10),
        (100.0, 5.0, 10),
        (0.0, 0.9, 10),
        (5.0, 1.0, 5),
        (24.0, 6.0, 4),
    ):
        assert split(energy, used(joules, seconds), idle) == {"a": joules}
        assert energy.floors == {GPU: floor * MICRO}
    split(energy, used(0.0), share("a", State.LOADING))
    split(energy, used(0.0), share("a", State.ACTIVE, 1), idle)
    assert energy.floors == {GPU: 4 * MICRO}


@pytest.mark.parametrize("name", [SYSTEM, OVERFLOW, UNMETERED])
def test_of_reserved_accounts_only_nobody_is_sure_not_to_work(name: str) -> None:
    """Their shares are idle by name, so no floor is learnt from them, and they pay for work."""
    energy = EnergyMeter(floors={GPU: 4 * MICRO})
    found = split(energy, used(100.0), share(name, State.IDLE), share("a", State.IDLE))
    assert found == {name: 90.0, "a": 10.0}
    split(energy, used(5.0), share(name, State.IDLE))
    assert energy.floors == {GPU: 4 * MICRO}


def test_one_workload_in_several_states_has_one_counter() -> None:
    """Its models and runs as well."""
    energy = EnergyMeter(floors={GPU: 2 * MICRO})
    shares = (
        share("a", State.ACTIVE),
        share("a", State.IDLE),
        replace(share("a", State.LOADING), account=Account("a", "m")),
        share("b", State.IDLE),
    )
    assert split(energy, used(110.0), *shares) == {"a": 107.5, "b": 2.5}


def test_shares_without_weight_leave_it_to_nobody_we_know() -> None:
    """It was used all the same."""
    nobody = {UNMETERED: 10.0}
    assert split(EnergyMeter(), used(10.0), share("a", State.ACTIVE, 0)) == nobody
    assert split(EnergyMeter(), used(10.0)) == nobody


NAMES = st.sampled_from(["a", "b", SYSTEM, OVERFLOW, UNALLOCATED, UNMETERED])
SHARES = st.lists(
    st.builds(share, NAMES, st.sampled_from(list(State)), st.integers(0, 10**15)), max_size=6
)
USES = st.builds(
    Used,
    st.sampled_from([GPU, "cpu"]),
    st.just("counter"),
    st.integers(0, 10**12),
    st.integers(1, 10**12),
)


@given(st.lists(st.tuples(USES, SHARES), max_size=6))
def test_the_parts_are_exactly_what_was_used(history: list[tuple[Used, list[Share]]]) -> None:
    """Whatever was learnt before; nobody who held nothing gets any, and nothing is negative."""
    energy = EnergyMeter()
    for what, shares in history:
        before = dict(energy.floors)
        drawn = energy.draw(what, shares)
        found = by_workload(drawn)
        assert sum(part for _, part in drawn.parts) == what.micro
        assert sum(found.values()) == what.micro
        assert min(found.values()) >= 0
        holders = {each.account.workload for each in shares if each.weight}
        assert {name for name, micro in found.items() if micro} <= holders | {UNMETERED}
        assert all(energy.floors[name] <= before[name] for name in before)


def test_counters_of_workloads_and_devices_say_the_same() -> None:
    """A resource that is no device has only the one; one without shares is unmetered."""
    batch, energy = Batch(), EnergyMeter()
    found = [used(10.0), used(5.0), Used("cpu", "sensor", 3 * MICRO, NS_PER_SECOND)]
    shares = {GPU: [share("a", State.ACTIVE, 3), *unheld(1)]}
    energy.count(batch, found, shares, {GPU: ("H100", "nvidia")}, Emissions())
    assert batch.counters == {
        (DEVICE_ENERGY, (GPU, "H100", "nvidia", "counter")): 15 * MICRO,
        (WORKLOAD_ENERGY, ("a", GPU, "counter")): 11_250_000,
        (WORKLOAD_ENERGY, (UNALLOCATED, GPU, "counter")): 3_750_000,
        (WORKLOAD_ENERGY, (UNMETERED, "cpu", "sensor")): 3 * MICRO,
    }
    assert energy.floors == {}
