"""Every error of NVML on every call: the rest is read, the error is counted, nothing is made up."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from tests.collectors.nvml_run import NvmlRun, Reading, kinds, run_nvml
from tests.fake_nvml import FakeNvml, library
from tests.fake_nvml_parts import Mig
from tests.fake_nvml_profiles import A100, GH200, H100, P100, GpuModel, gpus, with_mig

CODES = sorted(
    value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_") and value
)
NAMES = {
    value: name.removeprefix("NVML_ERROR_").lower()
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_")
}
UNKNOWN = 999
UNSUPPORTED = {3, 13, 25, 26}
LOST = {15, 16, 28}
BROKEN = {1, 9, 18}

# No news rather than a failure: an empty list, an empty slot, a buffer to be enlarged.
HARMLESS = {
    "nvmlDeviceGetMigDeviceHandleByIndex": {1, 2, 6},
    "nvmlGpmMigSampleGet": {2, 6},
    "nvmlDeviceGetSamples": {6},
    "nvmlDeviceGetProcessUtilization": {6},
    "nvmlDeviceGetProcessesUtilizationInfo": {6},
    "nvmlDeviceGetComputeRunningProcesses_v3": {6},
    "nvmlDeviceGetMPSComputeRunningProcesses_v3": {6},
    "nvmlDeviceGetGraphicsRunningProcesses_v3": {6},
    "nvmlGpmSampleFree": set(CODES),
}
OF_INSTANCE = {
    "nvmlDeviceGetGpuInstanceId",
    "nvmlDeviceGetComputeInstanceId",
    "nvmlDeviceGetAttributes_v2",
}
"""A destroyed instance says InvalidArgument, NotFound or Uninitialized: it is left out."""
OF_NVML = {"nvmlInitWithFlags", "nvmlShutdown", "nvmlDeviceGetCount_v2"}
NEEDED = {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"}

MODELS = {"gh200": GH200, "h100_mig": with_mig(H100), "p100": P100}


def busy_driver(folder: Path, model: GpuModel) -> FakeNvml:
    """Two such GPUs, on which nothing that can be measured is zero."""
    driver = FakeNvml(library(), folder, gpus(model, 2))
    for gpu in driver.gpus:
        gpu.utilization, gpu.memory_used_bytes, gpu.throttle_reasons = (50, 50), 2**30, 0xEC
        for number in (74, 269, 270, 271):
            gpu.throttle(number, 0.9)
        on = None
        if model.mig_enabled:
            (on,) = gpu.mig(["1g.10gb"])
        gpu.run(42, memory=2**30, sm=50, on=on)
        if model.has_gpm:
            for metric in (1, 2, 5, 10):
                gpu.gpm(metric, 50.0)
                gpu.gpm(metric, 50.0, on)
    driver.write()
    return driver


def zeros(reading: Reading) -> list[Any]:
    """Values of nothing, apart from an integral that begins."""
    found = [each for each in reading["samples"] if not each["value"]]
    for meter in reading["meters"]:
        values = [meter["watts"], meter["instant_watts"], meter["limit_watts"]]
        values += [meter["joules"]] if meter["source"] == "counter" else []
        found += [meter for value in values if value == 0]
    for device in reading["devices"] or ():
        found += [device for each in (device, *device["instances"]) if each["busy"] == 0]
    return found


def check_sibling(reading: Reading, uuid: str, model: GpuModel) -> None:
    """The other GPU is read as if nothing were."""
    (device,) = [each for each in reading["devices"] if each["id"] == f"gpu:{uuid}"]
    assert not device["lost"]
    assert [process["pid"] for process in device["processes"]] == [42]
    assert (device["busy"] is None) == model.mig_enabled
    assert len([each for each in reading["meters"] if each["resource"] == device["id"]]) == 1


def counted(call: str, code: int) -> bool:
    """Whether this error of this call is a problem."""
    if code in HARMLESS.get(call, ()) or (call in OF_INSTANCE and code in {1, 2, 6}):
        return False
    return code not in UNSUPPORTED or call in NEEDED


@pytest.fixture(scope="module", params=MODELS)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FakeNvml, NvmlRun, GpuModel]]:
    """One process for all errors on all calls of a model."""
    model = MODELS[request.param]
    driver = busy_driver(tmp_path_factory.mktemp("nvml"), model)
    with run_nvml(driver.environment, gpm=True) as run:
        yield driver, run, model
    assert driver.rejected_states == 0


def calls_of_one_gpu(driver: FakeNvml, run: NvmlRun) -> list[str]:
    """All that is called of one GPU."""
    driver.clear()
    run("anew")
    for _ in range(3):
        run.read()
        run("skip", 1)
    devices: list[int | Mig] = [0, *driver.gpu(0).migs]
    found = [call for call in driver.all_calls() if any(driver.calls(call, d) for d in devices)]
    assert len(found) > 10
    return found


def test_an_error_of_one_call_on_one_gpu_harms_nothing_else(
    site: tuple[FakeNvml, NvmlRun, GpuModel],
) -> None:
    """From the start, for each code that there is."""
    driver, run, model = site
    for call in calls_of_one_gpu(driver, run):
        for code in CODES:
            run("anew")
            driver.clear()
            driver.fail(call, code, 0)
            first = run.read()
            run("skip", 1)
            second = run("collect")
            where = f"{call}: {NAMES[code]}"
            problems = {*kinds(first), *kinds(second if "raised" not in second else first)}
            expected = {NAMES[code]} if counted(call, code) else set()
            assert problems == expected, (where, first["problems"], second)
            check_sibling(first, driver.gpu(1).uuid, model)
            assert zeros(first) == [], where
            if "raised" in second:
                assert code in BROKEN, where
                continue
            assert zeros(second) == [], where
            if code not in BROKEN:
                check_sibling(second, driver.gpu(1).uuid, model)
    driver.clear()


def test_an_error_that_comes_while_it_runs(site: tuple[FakeNvml, NvmlRun, GpuModel]) -> None:
    """The GPU is still there, with what can be read of it; and all of it is back after that."""
    driver, run, model = site
    calls = set(calls_of_one_gpu(driver, run)) - {"nvmlGpmSampleFree", "nvmlGpmSampleAlloc"}
    driver.clear()
    for call in sorted(calls):
        for code in (2, 3, 4, 6, 10, 15, 999):
            run("anew")
            run.read()
            run("skip", 1)
            driver.fail(call, code, 0)
            reading = run.read()
            where = f"{call}: {NAMES[code]}"
            check_sibling(reading, driver.gpu(1).uuid, model)
            assert zeros(reading) == [], where
            (device,) = [d for d in reading["devices"] if driver.gpu(0).uuid in d["id"]]
            assert device["lost"] == (NAMES[code] == "gpu_is_lost" and bool(kinds(reading)))
            assert set(kinds(reading)) <= {NAMES[code]}, where
            driver.clear()
            run("skip", 61)
            if code not in UNSUPPORTED | {4}:
                again = run.read()
                assert again["problems"] == [], where
                check_sibling(again, driver.gpu(0).uuid, model)


def test_each_field_may_fail_alone(tmp_path: Path) -> None:
    """The call that reads several at once succeeds all the same."""
    driver = busy_driver(tmp_path, A100)
    with run_nvml(driver.environment) as run:
        for field in (74, 83, 185, 186, 190, 269, 270, 271):
            for code in (2, 3, 4, 10, 999):
                run("anew")
                driver.gpu(0).field_codes = {field: code}
                driver.write()
                reading = run.read()
                assert kinds(reading) == ([] if code in {2, 3} else [NAMES[code]])
                check_sibling(reading, driver.gpu(1).uuid, A100)
                meter = reading["meters"][0]
                assert meter["source"] == "counter"
                assert meter["watts"] == 62.5
                assert (meter["instant_watts"] is None) == (field == 186)
                assert zeros(reading) == []
            driver.gpu(0).field_codes = {}
        driver.gpu(0).field_codes = {74: 15}
        driver.write()
        run("anew")
        lost = run.read()
        assert (kinds(lost), len(lost["devices"])) == (["gpu_is_lost"], 1)
        check_sibling(lost, driver.gpu(1).uuid, A100)


def test_an_error_of_nvml_itself(tmp_path: Path) -> None:
    """What comes before any GPU can be read: no exception but those of the contract."""
    driver = busy_driver(tmp_path, A100)
    with run_nvml(driver.environment) as run:
        for call in sorted(OF_NVML):
            for code in CODES:
                run("anew")
                driver.clear()
                driver.fail(call, code)
                found = run("collect")
                where = f"{call}: {NAMES[code]}"
                if call == "nvmlShutdown":
                    assert len(found["devices"]) == 2, where
                elif code in {9, 12}:
                    assert found["raised"] == "NoData", where
                else:
                    assert (kinds(found), found["devices"]) == ([NAMES[code]], None), where
                driver.clear()
                run("skip", 6)
                assert run.read()["problems"] == [], where
    assert driver.shutdowns <= driver.inits


def test_an_instance_whose_slices_are_not_told(tmp_path: Path) -> None:
    """Its profile's name tells them; without either it is not shown as anything."""
    driver = busy_driver(tmp_path, with_mig(A100))
    driver.fail("nvmlDeviceGetAttributes_v2", 3, 0)
    with run_nvml(driver.environment, process_samples=False) as run:
        device = run.read()["devices"][0]
        assert [(each["profile"], each["slices"]) for each in device["instances"]] == [
            ("1g.10gb", 1)
        ]
        run("anew")
        driver.fail("nvmlDeviceGetName", 999, 0)
        device = run.read()["devices"][0]
    assert (device["instances"], device["processes"], device["slices"]) == ([], None, 0)


def test_a_driver_that_does_not_say_its_version(tmp_path: Path) -> None:
    """Nothing then tells one generation of counters from the next."""
    driver = busy_driver(tmp_path, A100)
    with run_nvml(driver.environment) as run:
        driver.fail("nvmlSystemGetDriverVersion", UNKNOWN)
        reading = run.read()
        assert (reading["problems"], reading["meters"][0]["generation"]) == ([], "")
        run("anew")
        driver.clear()
        driver.fail("nvmlSystemGetDriverVersion", 1)
        assert kinds(run("collect")) == ["uninitialized"]


@pytest.mark.parametrize("call", ["nvmlGpmSampleAlloc", "nvmlGpmMetricsGet", "nvmlGpmSampleGet"])
def test_gpm_that_fails_for_a_while(call: str, tmp_path: Path) -> None:
    """Utilisation stands in for it, and no sample is left behind."""
    driver = busy_driver(tmp_path, H100)
    with run_nvml(driver.environment, gpm=True) as run:
        signals = []
        for times in (0, 2, 0, 0, 0):
            if times:
                driver.fail(call, UNKNOWN, times=times)
            run("sleep", 0.12)
            signals.append(run.read()["devices"][0]["busy_signal"])
        assert signals[-1] == "gpm_engine_active"
        assert driver.gpm_samples == 4
        run("close")
        assert driver.gpm_samples == 0


def test_what_is_not_supported_is_not_asked_for_again(tmp_path: Path) -> None:
    """Some drivers write into the kernel's log each time. After a new initialisation it is."""
    driver = busy_driver(tmp_path, A100)
    refused = ("nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMigMode", "nvmlDeviceGetSamples")
    for call in refused:
        driver.fail(call, 3, 0)
    with run_nvml(driver.environment) as run:
        for _ in range(3):
            assert run.read()["problems"] == []
        assert [driver.calls(call, 0) for call in refused] == [1, 1, 1]
        run("pause")
        run("resume")
        run.read()
        assert [driver.calls(call, 0) for call in refused] == [2, 2, 2]
