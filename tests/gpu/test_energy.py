"""The energy counter is right: it rises by the power, integrated over time."""

from tests.gpu.conftest import Report, seconds_of
from tests.gpu.energy import measure
from tests.gpu.machine import Machine


def test_the_counter_is_the_integral_of_the_power_under_a_load_that_varies(
    machine: Machine, report: Report
) -> None:
    """Bursts of all lengths and sizes, for five minutes."""
    with machine.load("loads", "bursts") as load:
        assert machine.is_right_device(load.device), f"the load runs on {load.device}"
        found = measure(machine, seconds_of("UNITCOST_GPU_SECONDS", 300.0), varied=True)
    report("energy under load", found.summary())
    assert found.faults() == []


def test_the_counter_is_the_integral_of_the_power_while_idle(
    machine: Machine, report: Report
) -> None:
    """Nothing runs, for a minute."""
    machine.cool_down()
    found = measure(machine, seconds_of("UNITCOST_GPU_SECONDS", 300.0) / 5, varied=False)
    report("energy while idle", found.summary())
    assert found.faults() == []
