"""What the NVML collector reads of MIG instances, and of performance metrics (GPM)."""

from pathlib import Path
from typing import Any

import pytest

from tests.collectors.nvml_run import Reading, by_label, kinds, run_nvml, started, the
from tests.fake_nvml import pretend


def test_gpm_tells_how_much_the_engine_worked_between_two_readings(tmp_path: Path) -> None:
    """And parts of the GPU; the first reading has nothing to compare with."""
    driver = pretend(tmp_path, "h100", clock=10.0)
    gpu = driver.gpu(0)
    gpu.utilization = (100, 0)
    for metric, percent in {1: 90.0, 2: 45.0, 5: 12.5, 10: 30.0}.items():
        gpu.gpm(metric, percent)
    driver.write()
    with run_nvml(driver.environment, gpm=True) as run:
        run("at", driver.now())
        first = the(run.read()["devices"])
        assert (first["busy"], first["busy_signal"]) == (1.0, "gpu_utilization")
        reading = run.read_at(driver)
        gpu.metric_codes = {10: 3, 5: 999}
        partial = run.read_at(driver)
        assert driver.gpm_samples == 2
        run("pause")
        assert driver.gpm_samples == 0
    device = the(reading["devices"])
    assert (device["busy"], device["busy_signal"]) == (0.9, "gpm_engine_active")
    assert by_label(reading, "device_utilization") == {"": 1.0}
    assert by_label(reading, "device_metric") == {
        "graphics_engine_active": pytest.approx(0.9),
        "sm_active": pytest.approx(0.45),
        "tensor_active": pytest.approx(0.125),
        "dram_active": pytest.approx(0.3),
    }
    assert set(by_label(partial, "device_metric")) == {"graphics_engine_active", "sm_active"}
    assert kinds(partial) == ["unknown"]


def test_gpm_samples_too_near_or_too_far_apart_are_not_compared(tmp_path: Path) -> None:
    """Less than a tenth of a second; more than two minutes."""
    driver = pretend(tmp_path, "h100", clock=10.0)
    driver.gpu(0).gpm(1, 50.0)
    driver.write()
    with started(driver, gpm=True) as run:
        signals = [
            the(run.read_at(driver, seconds)["devices"])["busy_signal"]
            for seconds in (0.05, 0.06, 0.0, 121.0, 5.0)
        ]
    by_gpm, by_utilization = "gpm_engine_active", "gpu_utilization"
    assert signals == [by_utilization, by_gpm, by_utilization, by_utilization, by_gpm]


def test_a_gpu_without_gpm_is_asked_for_it_once(tmp_path: Path) -> None:
    """Ampere and older."""
    driver = pretend(tmp_path, "a100", clock=0.0)
    with started(driver, gpm=True) as run:
        reading = run.read_at(driver)
    assert reading["problems"] == []
    assert the(reading["devices"])["busy_signal"] == "gpu_utilization"
    assert driver.calls("nvmlGpmQueryDeviceSupport") == 1
    assert driver.calls("nvmlGpmSampleGet") == 0


def test_gpm_without_permission_is_said_once_with_what_to_do(tmp_path: Path) -> None:
    """The rest goes on."""
    driver = pretend(tmp_path, "h100", clock=0.0)
    driver.fail("nvmlGpmSampleGet", 4)
    with run_nvml(driver.environment, gpm=True) as run:
        run("at", driver.now())
        problem = the(run.read()["problems"])
        later = run.read_at(driver)
    assert problem["kind"] == "no_permission"
    assert "CAP_PERFMON" in problem["detail"]
    assert (later["problems"], the(later["devices"])["busy_signal"]) == ([], "gpu_utilization")
    assert driver.calls("nvmlGpmSampleGet") == 1


def instances(reading: Reading) -> list[tuple[Any, ...]]:
    """Profile, GPU instance, compute instance and slices of the only device's instances."""
    keys = ("profile", "gpu_instance", "compute_instance", "slices")
    return [tuple(each[key] for key in keys) for each in the(reading["devices"])["instances"]]


def test_mig_instances_come_and_go_while_it_runs(tmp_path: Path) -> None:
    """Slots are sparse, ids and even UUIDs are used again."""
    driver = pretend(tmp_path, "h100_mig", clock=0.0)
    gpu = driver.gpu(0)
    with started(driver) as run:
        assert instances(run.read()) == []
        one, _ = gpu.mig({1: "1g.10gb", 4: "3g.40gb"})
        assert instances(run.read_at(driver)) == [("1g.10gb", 7, 0, 1), ("3g.40gb", 1, 0, 3)]
        looked = driver.calls("nvmlDeviceGetAttributes_v2")
        run.read_at(driver)
        assert driver.calls("nvmlDeviceGetAttributes_v2") == looked, "nothing changed"
        run.read_at(driver, 61.0)
        assert driver.calls("nvmlDeviceGetAttributes_v2") > looked, "seldom they are checked"
        gpu.destroy(one)
        gpu.mig_empty_code = 2
        assert instances(run.read_at(driver)) == [("3g.40gb", 1, 0, 3)]
        gpu.mig(["1c.3g.40gb", "2c.3g.40gb", "1g.10gb"], same_uuids=True)
        reading = run.read_at(driver)
        assert instances(reading) == [
            ("1c.3g.40gb", 1, 0, 1),
            ("2c.3g.40gb", 1, 1, 2),
            ("1g.10gb", 7, 0, 1),
        ]
        assert the(reading["devices"])["slices"] == 7
        gpu.migs.clear()
        gpu.mig_enabled = gpu.mig_pending = False
        off = the(run.read_at(driver)["devices"])
        assert (off["slices"], off["instances"], off["samples"]) == (0, [], [])
        assert off["busy_signal"] == "gpu_utilization"


def test_processes_on_mig_instances_and_how_much_each_instance_worked(tmp_path: Path) -> None:
    """Only GPM tells the latter."""
    driver = pretend(tmp_path, "h100_mig", clock=0.0)
    gpu = driver.gpu(0)
    small, large = gpu.mig(["1g.10gb", "3g.40gb"])
    gpu.run(1, on=small)
    gpu.run(2, on=large)
    gpu.gpm(1, 25.0, small)
    gpu.gpm(1, 75.0, large)
    driver.write()
    with started(driver, gpm=True) as run:
        device = the(run.read_at(driver)["devices"])
        assert {p["pid"]: p["instance"] for p in device["processes"]} == {
            1: small.uuid,
            2: large.uuid,
        }
        assert [(i["id"], i["busy"], i["busy_signal"]) for i in device["instances"]] == [
            (small.uuid, 0.25, "gpm_engine_active"),
            (large.uuid, 0.75, "gpm_engine_active"),
        ]
        assert (device["busy"], device["samples"]) == (None, None)
        (other,) = gpu.mig(["2g.20gb"])
        device = the(run.read_at(driver)["devices"])
        assert [(i["id"], i["busy"]) for i in device["instances"]] == [(other.uuid, None)]
        assert driver.gpm_samples <= 2


def test_without_privileges_each_mig_instance_is_asked_for_its_processes(tmp_path: Path) -> None:
    """The list of the whole GPU is denied once, and not asked for again."""
    driver = pretend(tmp_path, "a100_mig", clock=0.0)
    gpu = driver.gpu(0)
    one, two = gpu.mig(["1g.10gb", "2g.20gb"])
    gpu.run(1, on=one)
    gpu.run(2, on=two)
    for version in ("v2", "v3"):
        driver.fail(f"nvmlDeviceGetComputeRunningProcesses_{version}", 4, times=1)
    with run_nvml(driver.environment) as run:
        run("at", driver.now())
        assert set(kinds(run.read())) == {"no_permission"}
        reading = run.read_at(driver)
    found = the(reading["devices"])["processes"]
    assert {p["pid"]: p["instance"] for p in found} == {1: one.uuid, 2: two.uuid}
    assert reading["problems"] == []


def test_a_gpu_that_was_just_partitioned_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    """Until its instances can be told, nothing is said of who uses it."""
    driver = pretend(tmp_path, "a100", clock=0.0)
    gpu = driver.gpu(0)
    with started(driver) as run:
        gpu.mig(["1g.10gb"])
        gpu.run(1, on=gpu.migs[0])
        driver.fail("nvmlDeviceGetMigDeviceHandleByIndex", 999)
        reading = run.read_at(driver)
        device = the(reading["devices"])
        assert (device["processes"], device["samples"], device["busy"]) == (None, None, None)
        assert (kinds(reading), len(reading["meters"])) == (["unknown"], 1)
        driver.clear()
        assert instances(run.read_at(driver)) == [("1g.10gb", 7, 0, 1)]
        driver.fail("nvmlDeviceGetMigDeviceHandleByIndex", 999)
        later = run.read_at(driver)
        assert instances(later) == [("1g.10gb", 7, 0, 1)]
        assert the(the(later["devices"])["processes"])["pid"] == 1
