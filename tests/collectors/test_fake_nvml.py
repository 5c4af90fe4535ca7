"""The pretended NVML, seen through the real nvidia-ml-py: every profile, and every fault."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml import SOURCES, pretend
from tests.fake_nvml_client import GPU_IS_LOST, NOT_FOUND, NOT_SUPPORTED, nvml_client
from tests.fake_nvml_profiles import MIB, PROFILES, GpuModel, profile

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

# Each symbol of the library, and how nvidia-ml-py comes to call it.
CALLS = {
    "nvmlInitWithFlags": "nvml.nvmlInit()",
    "nvmlShutdown": "nvml.nvmlShutdown()",
    "nvmlSystemGetDriverVersion": "nvml.nvmlSystemGetDriverVersion()",
    "nvmlSystemGetCudaDriverVersion": "nvml.nvmlSystemGetCudaDriverVersion()",
    "nvmlDeviceGetCount_v2": "nvml.nvmlDeviceGetCount()",
    "nvmlDeviceGetHandleByIndex_v2": "nvml.nvmlDeviceGetHandleByIndex(0)",
    "nvmlDeviceGetHandleByPciBusId_v2": "nvml.nvmlDeviceGetHandleByPciBusId('0000:07:00.0')",
    "nvmlDeviceGetHandleByUUID": "nvml.nvmlDeviceGetHandleByUUID(uuid)",
    "nvmlDeviceGetPciInfo_v3": "nvml.nvmlDeviceGetPciInfo(gpu)",
    "nvmlDeviceGetMemoryInfo_v2": "nvml.nvmlDeviceGetMemoryInfo(gpu, nvml.nvmlMemory_v2)",
    "nvmlDeviceGetClockInfo": "nvml.nvmlDeviceGetClockInfo(gpu, 1)",
    "nvmlDeviceGetTemperature": "nvml.nvmlDeviceGetTemperature(gpu, 0)",
    "nvmlDeviceGetTemperatureV": "nvml.nvmlDeviceGetTemperatureV(gpu, 0)",
    "nvmlDeviceGetSamples": "nvml.nvmlDeviceGetSamples(gpu, 0, 0)",
    "nvmlDeviceGetProcessUtilization": "nvml.nvmlDeviceGetProcessUtilization(gpu, 0)",
    "nvmlDeviceGetProcessesUtilizationInfo": "nvml.nvmlDeviceGetProcessesUtilizationInfo(gpu, 0)",
    "nvmlDeviceGetFieldValues": "nvml.nvmlDeviceGetFieldValues(gpu, [82])",
    "nvmlDeviceGetMigDeviceHandleByIndex": "nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, 0)",
    "nvmlDeviceRegisterEvents": "nvml.nvmlDeviceRegisterEvents(gpu, 8, events)",
    "nvmlEventSetCreate": "nvml.nvmlEventSetCreate()",
    "nvmlEventSetWait_v2": "nvml.nvmlEventSetWait_v2(events, 0)",
    "nvmlEventSetFree": "nvml.nvmlEventSetFree(events)",
    "nvmlGpmSampleAlloc": "nvml.nvmlGpmSampleAlloc()",
    "nvmlGpmSampleFree": "nvml.nvmlGpmSampleFree(sample)",
    "nvmlGpmSampleGet": "nvml.nvmlGpmSampleGet(gpu, sample)",
    "nvmlGpmMigSampleGet": "nvml.nvmlGpmMigSampleGet(gpu, 1, sample)",
    "nvmlGpmMetricsGet": "nvml.nvmlGpmMetricsGet(nvml.c_nvmlGpmMetricsGet_t(version=1))",
}
PREPARE = (
    "gpu = gpus[0]\nuuid = nvml.nvmlDeviceGetUUID(gpu)\n"
    "sample = nvml.nvmlGpmSampleAlloc()\nevents = nvml.nvmlEventSetCreate()"
)


def all_symbols() -> list[str]:
    """What the sources define."""
    begins = r"^(?:nvmlReturn_t |NUMBER_OF_GPU\(|LIST_OF_PROCESSES\()(nvml\w+)"
    text = "\n".join(file.read_text() for file in sorted(SOURCES.glob("*.c")))
    return re.findall(begins, text, re.MULTILINE)


def call_of(symbol: str) -> str:
    """The Python expression that ends up in this symbol."""
    return CALLS.get(symbol, f"nvml.{symbol}(gpu)")


def expected(model: GpuModel) -> dict[str, Any]:
    """What a GPU of this model says while nothing runs on it; None: NotSupported."""
    watts = (model.idle_watts, model.limit_watts)
    idle, limit = (None if value is None else round(1e3 * value) for value in watts)
    total, reserved = (model.memory_mib or 0) * MIB, model.reserved_mib * MIB
    usage = {"gpu": 0, "memory": 0} if model.has_utilization and not model.mig_enabled else None
    return {
        "nvml.nvmlDeviceGetName(gpu)": model.name,
        "nvml.nvmlDeviceGetArchitecture(gpu)": model.architecture,
        "nvml.nvmlDeviceGetVirtualizationMode(gpu)": model.virtualization,
        "nvml.nvmlDeviceGetPersistenceMode(gpu)": 1,
        "nvml.nvmlDeviceGetPciInfo(gpu).pciDeviceId": model.pci_device,
        "nvml.nvmlDeviceGetPowerUsage(gpu)": idle,
        "nvml.nvmlDeviceGetEnforcedPowerLimit(gpu)": limit,
        "nvml.nvmlDeviceGetPowerManagementLimit(gpu)": limit,
        "nvml.nvmlDeviceGetPowerManagementDefaultLimit(gpu)": limit,
        "nvml.nvmlDeviceGetPowerManagementLimitConstraints(gpu)": limit
        and [round(1e3 * model.least_limit_watts), limit],
        "nvml.nvmlDeviceGetTotalEnergyConsumption(gpu)": 5_000_000
        if model.has_energy_counter
        else None,
        "nvml.nvmlDeviceGetUtilizationRates(gpu)": usage,
        "nvml.nvmlDeviceGetMemoryInfo(gpu)": {
            "total": total,
            "free": total - reserved,
            "used": reserved,
        },
        "nvml.nvmlDeviceGetMemoryInfo(gpu, nvml.nvmlMemory_v2)": {
            "version": 0x2000028,
            "total": total,
            "reserved": reserved,
            "free": total - reserved,
            "used": 0,
        },
        "nvml.nvmlDeviceGetTemperature(gpu, 0)": model.temperature,
        "nvml.nvmlDeviceGetTemperatureV(gpu, 0)": model.temperature,
        "nvml.nvmlDeviceGetClockInfo(gpu, 1)": model.clock_mhz,
        "nvml.nvmlDeviceGetClockInfo(gpu, 2)": model.memory_clock_mhz,
        "nvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)": 1,
        "nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)": 1,
        "nvml.nvmlDeviceGetComputeRunningProcesses(gpu)": [],
        "nvml.nvmlDeviceGetGraphicsRunningProcesses(gpu)": [],
        "nvml.nvmlDeviceGetMPSComputeRunningProcesses(gpu)": [],
        "nvml.nvmlDeviceGetMigMode(gpu)": [int(model.mig_enabled)] * 2
        if model.mig_slices
        else None,
        "nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)": model.mig_slices if model.mig_enabled else 0,
        "nvml.nvmlDeviceIsMigDeviceHandle(gpu)": 0,
        "nvml.nvmlDeviceGetC2cModeInfoV(gpu)": {"isC2cEnabled": 1} if model.has_c2c else None,
        "nvml.nvmlGpmQueryDeviceSupport(gpu).isSupportedDevice": int(model.has_gpm),
    }


@pytest.mark.parametrize("name", PROFILES)
def test_each_call_says_what_the_profile_says(name: str, tmp_path: Path) -> None:
    """And NotSupported for the rest."""
    driver = pretend(tmp_path, name, clock=0.0)
    with nvml_client(driver) as client:
        assert client("len(gpus)") == len(profile(name))
        for index, model in enumerate(profile(name)):
            client(f"gpu = gpus[{index}]")
            for call, value in expected(model).items():
                if value is None:
                    assert client.error(call) == NOT_SUPPORTED, call
                else:
                    assert client(call) == value, call


def test_eight_gpus_are_told_apart_and_found_by_their_names(tmp_path: Path) -> None:
    """UUID, PCI bus and index lead to the same GPU, and are the same in every run."""
    driver = pretend(tmp_path, "h200", clock=0.0)
    assert len({gpu.uuid for gpu in driver.gpus}) == 8
    assert driver.gpu(3).uuid == pretend(tmp_path, "h200").gpu(3).uuid
    with nvml_client(driver) as client:
        for gpu in driver.gpus:
            client(f"gpu = nvml.nvmlDeviceGetHandleByUUID('{gpu.uuid}')")
            assert client("nvml.nvmlDeviceGetUUID(gpu)") == gpu.uuid
            assert client("nvml.nvmlDeviceGetMinorNumber(gpu)") == gpu.index
            assert client("nvml.nvmlDeviceGetSerial(gpu)") == gpu.serial
            assert client("nvml.nvmlDeviceGetPciInfo(gpu).busId") == gpu.bus_id
            client(f"same = nvml.nvmlDeviceGetHandleByPciBusId('{gpu.bus_id}')")
            assert client("nvml.nvmlDeviceGetUUID(same)") == gpu.uuid
        assert client.error("nvml.nvmlDeviceGetHandleByUUID('GPU-none')") == NOT_FOUND
        assert client.error("nvml.nvmlDeviceGetHandleByIndex(8)")[1] == 2


def test_every_call_can_fail_with_every_code(tmp_path: Path) -> None:
    """One code on each symbol; each code on one of them."""
    driver = pretend(tmp_path, "h100", clock=0.0)
    symbols = all_symbols()
    assert len(symbols) == len(set(symbols)) >= 58
    with nvml_client(driver) as client:
        client(PREPARE)
        for symbol in symbols:
            driver.fail(symbol, 15)
            assert client.error(call_of(symbol)) == GPU_IS_LOST, symbol
            assert driver.calls(symbol) >= 1
            driver.clear()
        for code in (*range(1, 22), 23, 25, 26, 27, 28, 29, 999):
            driver.fail("nvmlDeviceGetPowerUsage", code)
            name, value = client.error("nvml.nvmlDeviceGetPowerUsage(gpu)")
            assert value == code
            assert name.startswith("NVMLError_")
            driver.clear()


def test_a_fault_may_concern_one_gpu_and_a_number_of_calls(tmp_path: Path) -> None:
    """The siblings go on, and so does the GPU after it."""
    driver = pretend(tmp_path, "h200", clock=0.0)
    power = "nvml.nvmlDeviceGetPowerUsage(gpus[{}])".format
    with nvml_client(driver) as client:
        driver.lose(2)
        assert client.error(power(2)) == GPU_IS_LOST
        assert client.error("nvml.nvmlDeviceGetHandleByIndex(2)") == GPU_IS_LOST
        assert client(power(1)) == 76_000
        assert client("nvml.nvmlDeviceGetCount()") == 8
        driver.clear()
        client(power(2))
        driver.fail("nvmlDeviceGetPowerUsage", 999, gpu=2, after=1, times=2)
        client(power(2))
        assert client.error(power(2))[1] == client.error(power(2))[1] == 999
        assert client(power(2)) == 76_000
    assert driver.calls("nvmlDeviceGetPowerUsage", gpu=2) == 6
    assert driver.calls("nvmlDeviceGetPowerUsage", gpu=1) == 1
    assert driver.calls("nvmlDeviceGetPowerUsage") == 7


def test_a_hang_lets_other_threads_run_and_ends_early(tmp_path: Path) -> None:
    """ctypes lets go of the interpreter's lock; the library lets go of its own."""
    driver = pretend(tmp_path, "h200", clock=0.0)
    with nvml_client(driver) as client:
        client(
            "done = []\ndef ask():\n    nvml.nvmlDeviceGetPowerUsage(gpus[0])\n    done.append(1)\n"
        )
        driver.hang("nvmlDeviceGetPowerUsage", 60.0, gpu=0)
        client("threading.Thread(target=ask, daemon=True).start()")
        time.sleep(0.05)
        assert client("nvml.nvmlDeviceGetPowerUsage(gpus[1])") == 76_000
        assert client("done") == []
        driver.clear()
        started = time.monotonic()
        while not client("done"):
            assert time.monotonic() - started < 5
        driver.slow("nvmlDeviceGetPowerUsage", 30)
        client("start = time.monotonic()\nnvml.nvmlDeviceGetPowerUsage(gpus[0])")
        assert client("time.monotonic() - start") >= 0.03
