"""The pretended NVML over time, seen through the real nvidia-ml-py: counters, files, init."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fake_nvml import FakeNvml, library, pretend
from tests.fake_nvml_client import (
    INVALID_ARGUMENT,
    NOT_SUPPORTED,
    UNINITIALIZED,
    NvmlClient,
    nvml_client,
)
from tests.fake_nvml_profiles import profile

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")


def test_counters_move_with_the_clock_and_the_power(tmp_path: Path) -> None:
    """Energy is the integral of the power, whatever it was when; a reload begins at zero."""
    driver = pretend(tmp_path, "h100", clock=100.0)
    fields = "[v.value.ullVal for v in nvml.nvmlDeviceGetFieldValues(gpus[0], [83, 74, 269])]"
    with nvml_client(driver) as client:
        driver.gpu(0).power_watts = 300.0
        driver.gpu(0).throttle(74, 0.25)
        driver.advance(10)
        assert client(fields) == [8_000_000, 2_500_000_000, 0]
        driver.gpu(0).power_watts = 100.0
        driver.gpu(0).throttle(74, 0)
        driver.advance(0.5)
        assert client(fields) == [8_050_000, 2_500_000_000, 0]
        assert client("nvml.nvmlDeviceGetTotalEnergyConsumption(gpus[0])") == 8_050_000
        driver.reload_driver()
        assert client(fields) == [0, 0, 0]


def test_a_real_clock_moves_the_counters_too(tmp_path: Path) -> None:
    """Power times time, as far as a real clock can be predicted."""
    driver = pretend(tmp_path, "t4")
    driver.gpu(0).power_watts = 1_000_000.0
    driver.write()
    energy = "nvml.nvmlDeviceGetTotalEnergyConsumption(gpus[0])"
    with nvml_client(driver) as client:
        before, started = client(energy), time.monotonic()
        time.sleep(0.05)
        grown = client(energy) - before
        assert 0.05e9 <= grown <= (time.monotonic() - started + 0.05) * 1e9


def test_fields_fail_one_by_one(tmp_path: Path) -> None:
    """The call succeeds if one of them did; the module's power is that of a Grace Hopper."""
    driver = pretend(tmp_path, "gh200", clock=0.0)
    driver.gpu(0).instant_power_watts = 95.5
    driver.gpu(0).field_codes = {83: 4}
    driver.write()
    wanted = "[185, (186, 0), (186, 1), (186, 2), 83, 82, 9999]"
    with nvml_client(driver) as client:
        values = client(f"nvml.nvmlDeviceGetFieldValues(gpus[0], {wanted})")
        assert [value["nvmlReturn"] for value in values] == [0, 0, 0, 3, 4, 0, 3]
        powers = [value["value"]["uiVal"] for value in values[:3]]
        assert powers == [94_000, 95_500, 180_000]
        assert values[0]["timestamp"] == driver.timestamp(0.0)
        assert client.error("nvml.nvmlDeviceGetFieldValues(gpus[0], [83])")[1] == 4


def test_nvml_is_opened_and_closed_in_balance(tmp_path: Path) -> None:
    """Whether it is open can be seen from outside, and handles do not outlive it."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    assert not driver.initialised
    with nvml_client(driver, initialise=False) as client:
        assert client.error("nvml.nvmlDeviceGetCount()") == UNINITIALIZED
        client("nvml.nvmlInit()\nnvml.nvmlInit()\ngpu = nvml.nvmlDeviceGetHandleByIndex(0)")
        client("nvml.nvmlShutdown()")
        assert driver.initialised
        client("nvml.nvmlShutdown()")
        assert not driver.initialised
        for call in ("DeviceGetPowerUsage(gpu)", "DeviceGetHandleByIndex(0)", "Shutdown()"):
            assert client.error(f"nvml.nvml{call}") == UNINITIALIZED
        client("nvml.nvmlInit()")
        assert client.error("nvml.nvmlDeviceGetPowerUsage(gpu)")[1] == 2
        assert driver.initialised
    assert not driver.initialised, "the process is gone without having shut down"
    assert (driver.inits, driver.shutdowns) == (3, 2)


def test_a_state_that_is_missing_or_torn_changes_nothing(tmp_path: Path) -> None:
    """The last whole one stays in force; without any the driver is not loaded."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    whole = driver.state_file.read_text()
    power = "nvml.nvmlDeviceGetPowerUsage(gpus[0])"
    with nvml_client(driver) as client:
        driver.state_file.unlink()
        assert client(power) == 9_500
        for junk in ("", whole[:-5], "gpu\n", "what is this\nend\n", "\0" * 100):
            driver.state_file.write_text(junk)
            assert client(power) == 9_500
        assert driver.rejected_states == 5
        driver.gpu(0).power_watts = 20.0
        driver.write()
        assert client(power) == 20_000
        before = driver.state_file.stat()
        driver.gpu(0).power_watts = 30.0
        driver.write()
        os.utime(driver.state_file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert client(power) == 30_000, "the file is another one, of the same size and time"
    driver.state_file.unlink()
    with nvml_client(driver, initialise=False) as client:
        assert client.error("nvml.nvmlInit()") == ("NVMLError_DriverNotLoaded", 9)


def test_an_older_driver_lacks_symbols(tmp_path: Path) -> None:
    """The binding says so in two ways; one of them is no NVMLError."""
    lists, usage = (
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetProcessesUtilizationInfo",
    )
    driver = FakeNvml(library(lists, usage), tmp_path, profile("t4"), clock=0.0)
    with nvml_client(driver) as client:
        name, _ = client.error("nvml.nvmlDeviceGetComputeRunningProcesses(gpus[0])")
        assert name.startswith("NVMLLibraryMismatchError")
        missing = client.error(f"nvml.{usage}(gpus[0], 0)")
        assert missing == ("NVMLError_FunctionNotFound", 13)
        assert client("nvml.nvmlDeviceGetComputeRunningProcesses_v2(gpus[0])") == []
        driver.missing("nvmlDeviceGetPowerUsage")
        assert client.error("nvml.nvmlDeviceGetPowerUsage(gpus[0])") == missing


def test_an_xid_error_ends_the_waiting(tmp_path: Path) -> None:
    """Events from before the registration are not told; each is told once."""
    driver = pretend(tmp_path, "h200", clock=0.0)
    driver.xid(5, 31)
    wait = "nvml.nvmlEventSetWait_v2(events, {})".format
    with nvml_client(driver) as client:
        client("events = nvml.nvmlEventSetCreate()")
        client("for gpu in gpus: nvml.nvmlDeviceRegisterEvents(gpu, 8, events)")
        assert client.error(wait(0)) == ("NVMLError_Timeout", 10)
        client.begin(wait(10_000))
        driver.xid(5, 79)
        data = client.answer()["is"]
        assert (data["eventType"], data["eventData"]) == (8, 79)
        assert client.error(wait(0))[1] == 10
        client("nvml.nvmlEventSetFree(events)")


def readings(client: NvmlClient, kind: int, last_seen: int) -> list[int]:
    """The values of nvmlDeviceGetSamples."""
    call = f"nvml.nvmlDeviceGetSamples(gpus[0], {kind}, {last_seen})[1]"
    return [sample["sampleValue"]["uiVal"] for sample in client(call)]


def test_readings_newer_than_the_last_seen_are_given(tmp_path: Path) -> None:
    """Power and utilisation, ten for each second."""
    driver = pretend(tmp_path, "t4", clock=5.0)
    driver.gpu(0).utilization = (42, 7)
    driver.write()
    with nvml_client(driver) as client:
        assert readings(client, 0, driver.timestamp(4.55)) == [9_500] * 5
        assert readings(client, 1, driver.timestamp(4.55)) == [42] * 5
        now = driver.timestamp(5.0)
        assert client.error(f"nvml.nvmlDeviceGetSamples(gpus[0], 0, {now})")[1] == 6
        assert client.error("nvml.nvmlDeviceGetSamples(gpus[0], 7, 0)") == NOT_SUPPORTED


def test_it_can_be_loaded_into_a_running_interpreter(tmp_path: Path) -> None:
    """By its soname, before the binding looks for it."""
    driver = pretend(tmp_path, "t4")
    code = (
        f"import ctypes; ctypes.CDLL({str(library() / 'libnvidia-ml.so.1')!r})\n"
        "import pynvml; pynvml.nvmlInit(); print(pynvml.nvmlDeviceGetCount())"
    )
    environment = {**os.environ, **driver.environment, "LD_LIBRARY_PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done.stderr


def test_a_gpu_may_go_while_the_process_runs(tmp_path: Path) -> None:
    """Its handle stands for nothing then, and those of the others still for the others."""
    driver = pretend(tmp_path, "h200", clock=0.0)
    with nvml_client(driver) as client:
        del driver.gpus[1]
        driver.write()
        assert client("nvml.nvmlDeviceGetCount()") == 7
        assert client.error("nvml.nvmlDeviceGetPowerUsage(gpus[1])") == INVALID_ARGUMENT
        assert client("nvml.nvmlDeviceGetMinorNumber(gpus[2])") == 2


def test_two_processes_count_into_the_same_file(tmp_path: Path) -> None:
    """Each opens NVML for itself; calls are those of both."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    with nvml_client(driver) as one, nvml_client(driver) as other:
        for client in (one, other, other):
            client("nvml.nvmlDeviceGetPowerUsage(gpus[0])")
        assert driver.calls("nvmlDeviceGetPowerUsage", gpu=0) == 3
        assert driver.all_calls()["nvmlInitWithFlags"] == driver.inits == 2
