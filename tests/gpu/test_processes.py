"""Whose SM time it was, where two processes share the GPU."""

from tests.gpu.conftest import Report, seconds_of
from tests.gpu.machine import Machine
from tests.gpu.sharing import measure


def test_both_processes_are_seen_and_the_busier_one_used_more(
    machine: Machine, report: Report
) -> None:
    """One works all the time, one half of it; both by the real collector, each second."""
    readings = round(seconds_of("UNITCOST_GPU_READINGS", 30))
    found = measure(machine, readings)
    report("processes", found.summary())
    assert found.faults() == []
