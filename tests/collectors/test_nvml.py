"""What the NVML collector reads, with the real nvidia-ml-py, of every pretended model."""

from pathlib import Path

import pytest

from tests.collectors.nvml_run import by_label, kinds, quantities, run_nvml, started, the
from tests.fake_nvml import FakeNvml, library, pretend
from tests.fake_nvml_parts import NO_MEMORY_VALUE, Sample
from tests.fake_nvml_profiles import H100, PROFILES, gpus, profile

GIB = 2**30
THROTTLE_REASONS = {"sw_power_cap", "sw_thermal", "hw_thermal", "hw_power_brake"}


@pytest.mark.parametrize("name", PROFILES)
def test_of_each_model_is_read_what_it_has_and_nothing_else(name: str, tmp_path: Path) -> None:
    """What a model does not support is absent, is no problem, and is asked for once."""
    models = profile(name)
    model, driver = models[0], pretend(tmp_path, name, clock=0.0)
    for gpu in driver.gpus:
        gpu.run(100, memory=GIB, sm=40)
    with started(driver) as run:
        calls = driver.all_calls()
        reading = run.read_at(driver)
        made = {call: n - calls.get(call, 0) for call, n in driver.all_calls().items()}
    assert reading["problems"] == []
    devices, meters = reading["devices"], reading["meters"]
    assert [each["id"] for each in devices] == [f"gpu:{gpu.uuid}" for gpu in driver.gpus]
    assert [each["minor"] for each in devices] == list(range(len(models)))
    device, mig = devices[0], model.mig_enabled
    assert (device["product"], device["vendor"], device["index"]) == (model.name, "nvidia", 0)
    assert (device["slices"], device["lost"]) == (model.mig_slices if mig else 0, False)
    assert (device["samples"] is None) == (mig or not model.has_process_samples)
    assert (device["busy"] is None) == (device["busy_signal"] == "") == mig
    assert device["processes"] is not None
    expected = {"device_memory_used", "device_memory_capacity", "device_throttling"}
    expected |= {"device_throttled"} if model.has_throttle_counters else set()
    expected |= {"device_power_limit"} if model.limit_watts else set()
    expected |= set() if mig else {"device_utilization"}
    assert quantities(reading) == expected
    ours = [each for each in meters if each["resource"] == device["id"]]
    assert (ours == []) == (model.idle_watts is None)
    for meter in ours:
        assert meter["source"] == ("counter" if model.has_energy_counter else "sensor")
        assert (meter["instant_watts"] is None) == (not model.has_power_fields)
        assert meter["watts"] == model.idle_watts
        assert meter["limit_watts"] == model.limit_watts
    most = 7 + model.mig_slices if mig else 10
    assert sum(made.values()) <= most * len(models), made
    assert max(made.values()) <= len(models) * max(1, model.mig_slices if mig else 1), made


def test_values_are_in_the_units_of_the_contract(tmp_path: Path) -> None:
    """Joules, watts, bytes, seconds, ratios."""
    driver = pretend(tmp_path, "h100", clock=0.0)
    gpu = driver.gpu(0)
    with started(driver) as run:
        gpu.power_watts, gpu.instant_power_watts = 300.0, 512.5
        gpu.utilization, gpu.memory_used_bytes = (42, 7), 10 * GIB
        gpu.throttle(74, 0.5)
        gpu.throttle_reasons = 0x4 | 0x8
        first = run.read_at(driver, 1.0)
        second = run.read_at(driver, 5.0)
    before, meter = the(first["meters"]), the(second["meters"])
    assert meter["joules"] - before["joules"] == pytest.approx(1500.0)
    assert meter["generation"] == before["generation"] == "driver 550.90.07"
    assert (meter["watts"], meter["instant_watts"], meter["limit_watts"]) == (300.0, 512.5, 700.0)
    assert (meter["scope"], meter["path"], meter["mono_ns"]) == ("gpu", [f"gpu:{gpu.uuid}"], 6e9)
    assert by_label(second, "device_utilization") == {"": 0.42}
    assert by_label(second, "device_memory_used") == {"": 10 * GIB}
    assert by_label(second, "device_memory_capacity") == {"": 81559 * 2**20}
    assert by_label(second, "device_power_limit") == {"": 700.0}
    assert by_label(second, "device_throttled") == {
        **dict.fromkeys(THROTTLE_REASONS, 0.0),
        "sw_power_cap": pytest.approx(3.0),
    }
    assert by_label(second, "device_throttling") == {
        **dict.fromkeys(THROTTLE_REASONS, 0.0),
        "sw_power_cap": 1.0,
        "hw_slowdown": 1.0,
    }
    device = the(second["devices"])
    assert (device["busy"], device["busy_signal"]) == (0.42, "gpu_utilization")
    assert {each["kind"] for each in second["samples"] if each["label"] == "sw_power_cap"} == {
        "counter",
        "gauge",
    }


def test_a_superchip_has_a_meter_of_its_module_around_that_of_its_gpu(tmp_path: Path) -> None:
    """Module power is integrated: there is no counter of it."""
    driver = pretend(tmp_path, "gh200", clock=0.0)
    driver.gpu(0).module_power_watts = 400.0
    driver.write()
    with started(driver) as run:
        reading = run.read_at(driver, 2.0)
    gpu, module = reading["meters"]
    uuid = driver.gpu(0).uuid
    assert (module["id"], module["path"]) == (f"module:{uuid}", [f"module:{uuid}"])
    assert (module["scope"], module["resource"], module["watts"]) == ("module", "", 400.0)
    assert (module["joules"], module["source"]) == (800.0, "sensor")
    assert gpu["path"] == [f"module:{uuid}", f"gpu:{uuid}"]


def test_power_is_integrated_only_where_there_is_no_counter(tmp_path: Path) -> None:
    """By the trapezoid rule; more than half a minute without a reading adds nothing."""
    driver = pretend(tmp_path, "p100", clock=0.0)
    driver.gpu(0).power_watts = 100.0
    driver.write()
    with started(driver) as run:
        driver.gpu(0).power_watts = 200.0
        joules = [the(run.read_at(driver, each)["meters"])["joules"] for each in (10, 30.0, 31, 1)]
        meter = the(run.read_at(driver, 1)["meters"])
        run("anew")
        other = the(run.read_at(driver, 1)["meters"])
    assert joules == [1500.0, 7500.0, 7500.0, 7700.0]
    assert (meter["source"], other["joules"]) == ("sensor", 0.0)
    assert meter["generation"] != other["generation"]


def test_utilisation_is_the_mean_of_all_samples_since_the_last_reading(tmp_path: Path) -> None:
    """Samples that are no percentages are left out."""
    driver = pretend(tmp_path, "a100", clock=100.0)
    driver.gpu(0).utilization = (80, 0)
    driver.write()
    with started(driver) as run:
        assert the(run.read_at(driver)["devices"])["busy"] == 0.8
        assert driver.calls("nvmlDeviceGetUtilizationRates") == 1, "before there were samples"
        driver.gpu(0).utilization = (4_000_000_000, 0)
        reading = run.read_at(driver)
    assert the(reading["devices"])["busy"] is None
    assert "device_utilization" not in quantities(reading)
    assert set(kinds(reading)) == {"garbage"}


def test_processes_of_all_lists_are_merged(tmp_path: Path) -> None:
    """Whoever computes is no mere drawer; memory that the driver hides is unknown."""
    driver = pretend(tmp_path, "a10", clock=0.0)
    gpu = driver.gpu(0)
    with started(driver) as run:
        assert the(run.read()["devices"])["processes"] == []
        gpu.run(1, memory=GIB)
        gpu.run(1, memory=GIB, kind="graphics")
        gpu.run(2, memory=NO_MEMORY_VALUE, kind="mps")
        gpu.run(3, kind="graphics")
        found = the(run.read_at(driver)["devices"])["processes"]
        assert [(p["pid"], p["memory_bytes"], p["graphics"]) for p in found] == [
            (1, GIB, False),
            (2, None, False),
            (3, 0, True),
        ]
        for pid in range(10, 210):  # more than there was room for
            gpu.run(pid)
        gpu.stop(1)
        found = the(run.read_at(driver)["devices"])["processes"]
        assert {p["pid"] for p in found} == {2, 3, *range(10, 210)}
        assert {p["instance"] for p in found} == {""}


@pytest.mark.parametrize("missing", [(), ("nvmlDeviceGetProcessesUtilizationInfo",)])
def test_each_sample_of_sm_time_is_given_once(missing: tuple[str, ...], tmp_path: Path) -> None:
    """Those from before the first reading, stale ones and junk are not."""
    driver = FakeNvml(library(*missing), tmp_path, profile("a100"), clock=1000.0)
    gpu = driver.gpu(0)
    gpu.samples = [Sample(9, 999.5, sm=90)]
    driver.write()
    with started(driver) as run:
        first = the(run.read()["devices"])
        assert first["samples"] == []
        gpu.samples += [Sample(7, 1001.0, sm=30), Sample(7, 1002.0, sm=50), Sample(8, 1002.0, sm=1)]
        gpu.samples += [Sample(6, 1003.0, sm=4_294_967_295), Sample(5, 1003.0, sm=101)]
        reading = run.read_at(driver)
        found = the(reading["devices"])["samples"]
        assert [(s["pid"], s["at_us"], s["percent"]) for s in found] == [
            (7, driver.timestamp(1001.0), 30),
            (7, driver.timestamp(1002.0), 50),
            (8, driver.timestamp(1002.0), 1),
        ]
        assert kinds(reading) == ["garbage"]
        again = run.read_at(driver)
        assert the(again["devices"])["samples"] == []
        assert set(kinds(again)) <= {"garbage"}
        gpu.no_samples_is_success = True
        gpu.samples.clear()
        idle = run.read_at(driver)
        assert (the(idle["devices"])["samples"], idle["problems"]) == ([], [])


def test_samples_are_not_asked_for_where_they_are_switched_off(tmp_path: Path) -> None:
    """`process_samples: false`."""
    driver = pretend(tmp_path, "a100", clock=0.0)
    with started(driver, process_samples=False) as run:
        assert the(run.read_at(driver)["devices"])["samples"] is None
    assert not [call for call in driver.all_calls() if "Utilization" in call and "Process" in call]


def test_values_that_cannot_be_are_absent_and_counted(tmp_path: Path) -> None:
    """No board draws megawatts, and no memory is more than full."""
    driver = pretend(tmp_path, "a100", clock=0.0)
    gpu = driver.gpu(0)
    with started(driver) as run:
        gpu.power_watts, gpu.memory_used_bytes = 4_000_000.0, 2**50
        gpu.energy_mj.rate, gpu.energy_mj.base = 0.0, 2.0**63
        reading = run.read_at(driver)
        assert reading["meters"] == []
        assert set(kinds(reading)) == {"garbage"}
        assert not quantities(reading) & {"device_memory_used", "device_memory_capacity"}
        gpu.power_watts, gpu.memory_used_bytes = 100.0, 0
        gpu.energy_mj.base, gpu.energy_mj.rate = 0.0, 0.0
        meter = the(run.read_at(driver)["meters"])
    assert (meter["watts"], meter["joules"]) == (100.0, None), "a counter that stands at zero"


def test_an_older_driver_lacks_symbols(tmp_path: Path) -> None:
    """It is read by the calls it has, and that is no problem."""
    missing = (
        "nvmlDeviceGetProcessesUtilizationInfo",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetGraphicsRunningProcesses_v3",
        "nvmlDeviceGetMPSComputeRunningProcesses_v3",
        "nvmlDeviceGetMPSComputeRunningProcesses_v2",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetFieldValues",
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetC2cModeInfoV",
        "nvmlDeviceGetMinorNumber",
    )
    driver = FakeNvml(library(*missing), tmp_path, profile("v100"), clock=0.0)
    driver.gpu(0).run(1, memory=GIB, sm=20)
    driver.write()
    with started(driver) as run:
        reading = run.read_at(driver)
    device, meter = the(reading["devices"]), the(reading["meters"])
    assert reading["problems"] == []
    assert (the(device["processes"])["pid"], device["minor"]) == (1, None)
    assert {each["percent"] for each in device["samples"]} == {20}
    assert (meter["source"], meter["watts"], meter["limit_watts"]) == ("counter", 41.0, 300.0)
    assert {"device_memory_used", "device_throttling"} <= quantities(reading)
    assert "device_throttled" not in quantities(reading)


def test_nvml_is_initialised_once_and_the_binding_imported_when_needed(tmp_path: Path) -> None:
    """Also with many GPUs; a thread for each, however many readings there are."""
    driver = FakeNvml(library(), tmp_path, gpus(H100, 8))
    with run_nvml(driver.environment) as run:
        assert (run("modules"), run("threads"), driver.inits) == (False, ["MainThread"], 0)
        for _ in range(20):
            run.read()
        names = [f"nvml-gpu-{i}" for i in range(8)]
        assert run("threads") == ["MainThread", "nvml-driver", *names]
        assert (driver.inits, driver.shutdowns, driver.initialised) == (1, 0, True)
        run("close")
        assert (driver.shutdowns, driver.initialised) == (1, False)
        assert run("collect")["raised"] == "NoData"
