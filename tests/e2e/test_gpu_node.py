"""A whole GPU node, end to end: the real exporter, real NVML bindings, real kubelet protocol, real
processes in real control groups; only the driver and the cluster behind them are pretended."""

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_node import GpuNode, gpu_node, real_groups
from tests.harness import Exporter, Scrape, get, wait_for
from unitcost.exporter.ledger.tools import check

pytest.importorskip("grpc")
pytest.importorskip("pynvml")

USD = 98.32
QUICK: dict[str, Any] = {
    "price": {"usd_per_hour": str(USD)},
    "period": 0.5,
    "gather_deadline": 0.45,
    "carbon": {"country": "US"},
}
COST = "unitcost_cost_usd_total"
UPGRADED = 18


@pytest.fixture
def node(tmp_path: Path) -> Iterator[GpuNode]:
    """Eight H200 without pods."""
    real_groups()
    with gpu_node(tmp_path / "node") as found:
        yield found


@pytest.fixture
def running(node: GpuNode, tmp_path: Path) -> Iterator[Exporter]:
    """The exporter on it, not started yet."""
    exporter = Exporter(tmp_path, {**QUICK, "collectors": node.collectors}, node.environment)
    try:
        yield exporter
    finally:
        exporter.stop(signal.SIGKILL)


def gpu_id(node: GpuNode, index: int) -> str:
    """The resource's name."""
    return f"gpu:{node.gpu(index).uuid}"


def grown(before: Scrape, after: Scrape, metric: str = COST, **labels: str) -> float:
    """By how much a counter grew."""
    return after.total(metric, **labels) - before.total(metric, **labels)


def settled(running: Exporter, ticks: int = 4) -> tuple[Scrape, Scrape]:
    """Two scrapes some ticks apart, after what changed has come through."""
    before = running.wait_tick(3)
    return before, running.wait_tick(ticks)


def test_time_sliced_pods_pay_for_their_work_and_share_what_idles(
    node: GpuNode, running: Exporter
) -> None:
    """Half of it is the busy one's, the rest a quarter each; a whole GPU is its pod's alone."""
    for number, device in enumerate(node.share(0, 4)):
        node.pod(f"slice{number}-0", [device], gpu=0, sm=50 if number == 2 else 0)
    node.advertise([node.gpu(1).uuid])
    node.pod("whole-0", [node.gpu(1).uuid], gpu=1, burn=True)
    node.gpu(1).utilization = (80, 10)
    node.driver.write()
    running.start()
    before, after = settled(running)
    shared = grown(before, after, resource=gpu_id(node, 0))
    assert shared > 0
    for number in range(4):
        labels = {"workload": f"default/StatefulSet/slice{number}", "resource": gpu_id(node, 0)}
        idle = grown(before, after, state="idle", **labels)
        assert idle == pytest.approx(shared / 8, rel=1e-6)
        active = grown(before, after, state="active", **labels)
        assert active == pytest.approx(shared / 2 if number == 2 else 0, rel=1e-6)
    whole = {"workload": "default/StatefulSet/whole", "resource": gpu_id(node, 1)}
    own = grown(before, after, **whole)
    assert own == pytest.approx(shared, rel=1e-6)
    assert grown(before, after, state="active", **whole) == pytest.approx(own * 0.8, rel=1e-6)
    cpu = {"workload": "default/StatefulSet/whole", "resource": "cpu", "state": "active"}
    assert grown(before, after, **cpu) > 0
    info = "unitcost_workload_allocation_info"
    assert after.one(info, method="process_sm_time", workload="default/StatefulSet/slice0") == 1
    assert after.one(info, busy_signal="gpu_utilization", method="exclusive") == 1
    assert after.total("unitcost_unresolved_grants") == 0
    assert running.stop() == 0
    assert check(running.ledger) == []


def test_mig_slices_and_energy_sum_to_the_device(node: GpuNode, running: Exporter) -> None:
    """3g + 2g + 1g of seven; and the joules of the board are shared, not repeated."""
    migs = node.gpu(0).mig(["3g.71gb", "2g.35gb", "1g.18gb"])
    node.gpu(0).power_watts = 350.0
    node.driver.write()
    node.advertise([mig.uuid for mig in migs])
    for number, mig in enumerate(migs):
        node.pod(f"cut{number}-0", [mig.uuid])
    running.start()
    before, after = settled(running)
    whole = grown(before, after, resource=gpu_id(node, 0))
    for number, slices in enumerate((3, 2, 1)):
        labels = {"workload": f"default/StatefulSet/cut{number}", "resource": gpu_id(node, 0)}
        assert grown(before, after, **labels) == pytest.approx(whole * slices / 7, rel=1e-6)
    stranded = grown(before, after, workload="__unallocated__", resource=gpu_id(node, 0))
    assert stranded == pytest.approx(whole / 7, rel=1e-6)
    energy = partial(grown, before, after)
    board = energy("unitcost_device_energy_joules_total", device=gpu_id(node, 0))
    shared = energy("unitcost_energy_joules_total", resource=gpu_id(node, 0))
    assert board > 0
    assert shared == pytest.approx(board, rel=1e-6)
    grid = after.one("unitcost_grid_intensity_grams_per_kwh", country="US")
    emitted = energy("unitcost_emissions_grams_total", resource=gpu_id(node, 0))
    assert grid
    assert emitted == pytest.approx(board / 3.6e6 * grid, abs=2e-6)
    assert after.one("unitcost_device_utilization_ratio", device=gpu_id(node, 0)) is None
    assert after.one("unitcost_device_power_watts", device=gpu_id(node, 0)) == 350.0


def test_pods_come_and_go_and_the_kubelet_is_restarted(node: GpuNode, running: Exporter) -> None:
    """Nobody's total falls, no one pays after the end, and a silent kubelet's last word holds."""
    device = node.gpu(0).uuid
    node.advertise([device])
    node.pod("first-0", [device])
    running.start()
    running.wait_tick(2)
    node.end("first-0")
    node.pod("second-0", [device])
    before, after = settled(running)
    gpu = {"resource": gpu_id(node, 0)}
    assert grown(before, after, workload="default/StatefulSet/first") == 0
    second = grown(before, after, workload="default/StatefulSet/second", **gpu)
    assert second == pytest.approx(grown(before, after, **gpu), rel=1e-6)
    node.kubelet.stop()
    wait_for(lambda: running.scrape().one("unitcost_collector_up", collector="kubernetes") != 1, "")
    before, after = settled(running, 2)
    held = grown(before, after, workload="default/StatefulSet/second", **gpu)
    assert held == pytest.approx(grown(before, after, **gpu), rel=1e-6)
    node.kubelet.start()
    wait_for(lambda: running.scrape().one("unitcost_collector_up", collector="kubernetes") == 1, "")
    before, after = settled(running, 2)
    assert grown(before, after, workload="default/StatefulSet/second", **gpu) > 0
    assert running.stop() == 0
    assert check(running.ledger) == []


def test_a_driver_that_goes_and_comes_back_a_lost_gpu_and_a_hung_one(
    node: GpuNode, running: Exporter
) -> None:
    """Scrapes are answered, siblings are read, every GPU goes on costing."""
    devices = [node.gpu(number).uuid for number in range(3)]
    node.advertise(devices)
    for number, device in enumerate(devices):
        node.pod(f"chat{number}-0", [device], gpu=number)
    running.start()
    running.wait_tick(2)
    node.driver.lose(0)
    node.driver.hang("nvmlDeviceGetUtilizationRates", 60, gpu=1)
    node.driver.hang("nvmlDeviceGetSamples", 60, gpu=1)
    wait_for(
        lambda: running.scrape().one("unitcost_device_up", device=gpu_id(node, 0)) == 0, "loss"
    )
    before, after = settled(running)
    for number in range(3):
        labels = {"workload": f"default/StatefulSet/chat{number}", "resource": gpu_id(node, number)}
        mine = grown(before, after, **labels)
        assert mine == pytest.approx(grown(before, after, resource=gpu_id(node, 2)), rel=1e-6)
    began = time.monotonic()
    assert get(running.port)[0] == 200
    assert time.monotonic() - began < 1
    node.driver.clear()
    node.driver.fail("*", 9)
    wait_for(lambda: not running.scrape().each("unitcost_device_up"), "the driver to be away")
    before, after = settled(running)
    away = grown(before, after, workload="default/StatefulSet/chat2", resource=gpu_id(node, 2))
    assert away == pytest.approx(grown(before, after, resource=gpu_id(node, 2)), rel=1e-6)
    info = "unitcost_workload_allocation_info"
    assert after.one(info, workload="default/StatefulSet/chat2", method="carried") == 1
    running.stop(signal.SIGKILL)
    again = running.start().wait_tick(2)
    assert grown(after, again, resource=gpu_id(node, 2)) > 0
    node.driver.clear()
    wait_for(lambda: running.scrape().each("unitcost_device_up"), "the driver to be back")
    assert running.stop() == 0
    assert check(running.ledger) == []


def test_devices_are_let_go_of_for_maintenance(node: GpuNode, running: Exporter) -> None:
    """SIGUSR1 closes NVML, SIGUSR2 opens it again; costs go on. There is one init for each."""
    node.advertise([node.gpu(0).uuid])
    node.pod("chat-0", [node.gpu(0).uuid])
    running.start()
    running.wait_tick(2)
    assert running.process is not None
    assert (node.driver.initialised, node.driver.inits) == (True, 1)
    running.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: not node.driver.initialised, "NVML to be closed")
    before, after = settled(running, 2)
    held = grown(before, after, workload="default/StatefulSet/chat", resource=gpu_id(node, 0))
    assert held == pytest.approx(grown(before, after, resource=gpu_id(node, 0)), rel=1e-6)
    assert held > 0
    running.process.send_signal(signal.SIGUSR2)
    wait_for(lambda: node.driver.initialised, "NVML to be open again")
    wait_for(lambda: running.scrape().each("unitcost_device_up"), "the GPUs")
    assert node.driver.inits == 2


def test_an_upgraded_driver_ends_the_process_for_a_new_one(
    node: GpuNode, running: Exporter
) -> None:
    """Exit code 1, the ledger whole; at the start the same error is only told."""
    running.start()
    running.wait_tick(2)
    node.driver.fail("*", UPGRADED)
    process = running.process
    assert process is not None
    assert process.wait(30) == 1
    running.process = None
    assert "a new process is needed" in running.log
    assert check(running.ledger) == []
    again = running.start().wait_tick(2)
    assert again.total("unitcost_collector_errors_total", collector="nvml") > 0
    assert grown(again, running.wait_tick(2)) > 0
