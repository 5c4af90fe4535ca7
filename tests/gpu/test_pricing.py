"""A dollar finds its epoch and its request on a real GPU."""

from dataclasses import asdict
from pathlib import Path

from tests.gpu.conftest import Report, seconds_of
from tests.gpu.machine import Machine
from tests.gpu.pricing import serve, train


def test_an_epoch_costs_price_times_time_and_its_energy_is_counted(
    machine: Machine, report: Report, tmp_path: Path
) -> None:
    """A small model is trained; the time is that between the client's own marks."""
    seconds = seconds_of("UNITCOST_GPU_PRICING_SECONDS", 60.0)
    found = train(machine, tmp_path, epoch_seconds=seconds / 8)
    report("training", {**asdict(found), "deviation": found.deviation})
    assert found.faults() == []


def test_requests_cost_what_their_server_cost(
    machine: Machine, report: Report, tmp_path: Path
) -> None:
    """A small language model generates; the client counts requests and tokens itself."""
    seconds = seconds_of("UNITCOST_GPU_PRICING_SECONDS", 60.0)
    found = serve(machine, tmp_path, seconds)
    report("generation", {**asdict(found), "client": "", "deviation": found.deviation})
    assert found.faults() == []
