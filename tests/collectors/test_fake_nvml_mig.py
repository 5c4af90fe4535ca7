"""The pretended NVML's MIG and GPM, seen through the real nvidia-ml-py."""

from pathlib import Path

import pytest

from tests.fake_nvml import FakeNvml, library, pretend
from tests.fake_nvml_client import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    NOT_SUPPORTED,
    NvmlClient,
    nvml_client,
)
from tests.fake_nvml_profiles import A100, PROFILES, gpus, profile

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

MIB, GIB = 1 << 20, 1 << 30

WALK = """
def walk(gpu):
    found = {}
    for slot in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, slot)
        except nvml.NVMLError as error:
            found[slot] = error.value
            continue
        parts = nvml.nvmlDeviceGetAttributes_v2(mig)
        parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig)
        assert nvml.nvmlDeviceGetUUID(parent) == nvml.nvmlDeviceGetUUID(gpu)
        assert nvml.nvmlDeviceIsMigDeviceHandle(mig).value == 1
        found[slot] = [
            nvml.nvmlDeviceGetName(mig).rpartition(" MIG ")[2],
            nvml.nvmlDeviceGetGpuInstanceId(mig), nvml.nvmlDeviceGetComputeInstanceId(mig),
            parts.multiprocessorCount, parts.gpuInstanceSliceCount,
            parts.computeInstanceSliceCount, parts.memorySizeMB,
        ]
    return list(found.values())
"""
MEASURE = """
def compare(*metrics):
    get = nvml.c_nvmlGpmMetricsGet_t(version=1, numMetrics=len(metrics), sample1=one, sample2=two)
    for i, metric in enumerate(metrics):
        get.metrics[i].metricId = metric
    nvml.nvmlGpmMetricsGet(get)
    return [(get.metrics[i].nvmlReturn, get.metrics[i].value) for i in range(len(metrics))]
one, two = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
"""
SLOT = "mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpus[0], {})".format


def walk(client: NvmlClient) -> list[object]:
    """What is in each slot of the first GPU: an instance, or the code of an empty one."""
    client(WALK)
    found: list[object] = client("walk(gpus[0])")
    return found


def test_slots_are_sparse(tmp_path: Path) -> None:
    """An empty slot says NotFound or InvalidArgument, and there may be more after it."""
    driver = pretend(tmp_path, "a100_mig", clock=0.0)
    with nvml_client(driver) as client:
        assert walk(client) == [6] * 7
        driver.gpu(0).mig({1: "3g.40gb", 4: "1g.10gb", 5: "1g.10gb"})
        driver.gpu(0).mig_empty_code = 2
        driver.write()
        big = ["3g.40gb", 1, 0, 42, 3, 3, 40192]
        small = [["1g.10gb", number, 0, 14, 1, 1, 9728] for number in (7, 8)]
        assert walk(client) == [2, big, 2, 2, *small, 2]
        assert client.error(SLOT(7)) == INVALID_ARGUMENT


def test_compute_instances_may_share_a_gpu_instance(tmp_path: Path) -> None:
    """Their SMs and their processes are their own, their memory is not."""
    driver = pretend(tmp_path, "a100_mig", clock=0.0)
    one, two, _ = driver.gpu(0).mig(["1c.3g.40gb", "2c.3g.40gb", "1c.3g.40gb"])
    driver.gpu(0).run(11, on=one)
    driver.gpu(0).run(12, on=two)
    driver.write()
    with nvml_client(driver) as client:
        assert walk(client)[:3] == [
            ["1c.3g.40gb", 1, 0, 14, 3, 1, 40192],
            ["2c.3g.40gb", 1, 1, 28, 3, 2, 40192],
            ["1c.3g.40gb", 2, 0, 14, 3, 1, 40192],
        ]
        client(SLOT(1))
        assert client("[p.pid for p in nvml.nvmlDeviceGetComputeRunningProcesses(mig)]") == [12]


def test_a_mig_handle_has_memory_and_processes_of_its_own(tmp_path: Path) -> None:
    """And nothing that only the whole GPU can measure."""
    driver = pretend(tmp_path, "a100_mig", clock=0.0)
    one, two = driver.gpu(0).mig(["3g.40gb", "2g.20gb"])
    driver.gpu(0).run(11, memory=GIB, on=one)
    driver.gpu(0).run(12, memory=2 * GIB, sm=50, on=two)
    two.used_bytes = 2 * GIB
    driver.advance(1)
    processes = "[(p.pid, p.gpuInstanceId) for p in nvml.nvmlDeviceGetComputeRunningProcesses({})]"
    with nvml_client(driver) as client:
        client(SLOT(1))
        assert client("nvml.nvmlDeviceGetUUID(mig)") == two.uuid
        assert client("nvml.nvmlDeviceGetMemoryInfo(mig)")["used"] == 2 * GIB
        assert client("nvml.nvmlDeviceGetMemoryInfo(mig)")["total"] == 19968 * MIB
        assert client(processes.format("mig")) == [[12, 3]]
        assert client(processes.format("gpus[0]")) == [[11, 1], [12, 3]]
        for call in ("PowerUsage", "TotalEnergyConsumption", "UtilizationRates", "MigMode"):
            assert client.error(f"nvml.nvmlDeviceGet{call}(mig)") == NOT_SUPPORTED
        assert client.error("nvml.nvmlDeviceGetFieldValues(mig, [186, 83])") == NOT_SUPPORTED
        for call in ("UtilizationRates(gpus[0])", "ProcessUtilization(gpus[0], 0)"):
            assert client.error(f"nvml.nvmlDeviceGet{call}") == NOT_SUPPORTED
        assert client.error("nvml.nvmlDeviceGetGpuInstanceId(gpus[0])") == INVALID_ARGUMENT
        assert client(f"nvml.nvmlDeviceGetHandleByUUID('{two.uuid}')") is None


@pytest.mark.parametrize("same_uuids", [False, True])
def test_ids_are_used_again_but_handles_are_not(same_uuids: bool, tmp_path: Path) -> None:
    """After cutting anew, while the process runs, the old handle stands for nothing."""
    driver = pretend(tmp_path, "a100_mig", clock=0.0)
    (before,) = driver.gpu(0).mig(["3g.40gb"], same_uuids)
    driver.write()
    with nvml_client(driver) as client:
        client(SLOT(0) + "\nold = mig")
        (after,) = driver.gpu(0).mig(["3g.40gb"], same_uuids)
        driver.write()
        assert (before.uuid == after.uuid) is same_uuids
        assert client.error("nvml.nvmlDeviceGetUUID(old)") == INVALID_ARGUMENT
        client(SLOT(0))
        assert client("nvml.nvmlDeviceGetGpuInstanceId(mig)") == before.gpu_instance
        driver.fail("nvmlDeviceGetUUID", 15, after)
        assert client.error("nvml.nvmlDeviceGetUUID(mig)")[1] == 15
        driver.clear()
        driver.gpu(0).destroy(after)
        driver.write()
        assert client.error("nvml.nvmlDeviceGetUUID(mig)") == INVALID_ARGUMENT
        assert client.error(SLOT(0)) == NOT_FOUND


def test_mig_may_be_off_pending_or_unknown_to_the_model(tmp_path: Path) -> None:
    """Off: no slots. Not supported: that is a no."""
    driver = FakeNvml(library(), tmp_path, [*gpus(A100), *profile("t4")], clock=0.0)
    driver.gpu(0).mig(["3g.40gb"])
    driver.gpu(0).mig_enabled = False
    driver.write()
    with nvml_client(driver) as client:
        assert client("nvml.nvmlDeviceGetMigMode(gpus[0])") == [0, 1]
        assert client("nvml.nvmlDeviceGetMaxMigDeviceCount(gpus[0])") == 0
        assert client.error(SLOT(0)) == NOT_FOUND
        assert client.error("nvml.nvmlDeviceGetMigMode(gpus[1])") == NOT_SUPPORTED
        assert client("nvml.nvmlDeviceGetUtilizationRates(gpus[0])") == {"gpu": 0, "memory": 0}


def test_every_mig_profile_can_be_cut(tmp_path: Path) -> None:
    """On every model that has MIG."""
    models = [model for make in PROFILES.values() for model in make()[:1] if model.mig_slices]
    driver = FakeNvml(library(), tmp_path, models, clock=0.0)
    with nvml_client(driver) as client:
        for model, gpu in zip(models, driver.gpus, strict=True):
            for name, cut in model.mig_profiles.items():
                gpu.mig([name])
                driver.write()
                client(SLOT(0).replace("gpus[0]", f"gpus[{gpu.index}]"))
                size = client("nvml.nvmlDeviceGetAttributes_v2(mig).memorySizeMB")
                assert size == cut.memory_mib < (model.memory_mib or 0)


def test_gpm_is_the_mean_between_two_samples(tmp_path: Path) -> None:
    """Whatever it was in between; a metric may fail alone."""
    driver = pretend(tmp_path, "h100", clock=0.0)
    driver.gpu(0).metric_codes = {10: 4}
    driver.gpu(0).gpm(2, 80.0)
    driver.gpu(0).gpm(1, 90.0)
    driver.write()
    with nvml_client(driver) as client:
        client(MEASURE)
        client("nvml.nvmlGpmSampleGet(gpus[0], one)")
        driver.advance(1)
        driver.gpu(0).gpm(2, 20.0)
        driver.advance(3)
        assert client.error("compare(2)") == INVALID_ARGUMENT, "two has not been read"
        client("nvml.nvmlGpmSampleGet(gpus[0], two)")
        client("third = nvml.nvmlGpmSampleAlloc()\nnvml.nvmlGpmSampleGet(gpus[0], third)")
        assert client("compare(1, 2, 5, 10, 11, 999)") == [
            [0, pytest.approx(90.0)],
            [0, pytest.approx(35.0)],
            [0, 0.0],
            [4, 0.0],
            [3, 0.0],
            [2, 0.0],
        ]
        client("first, one = one, third")
        assert client.error("compare(2)") == INVALID_ARGUMENT, "no time has passed"
        assert driver.gpm_samples == 3
        client("one = first\nnvml.nvmlGpmSampleFree(one)")
        assert driver.gpm_samples == 2
        assert client.error("compare(2)") == INVALID_ARGUMENT
        for call in ("Free(one)", "Get(gpus[0], one)"):
            assert client.error(f"nvml.nvmlGpmSample{call}") == INVALID_ARGUMENT


def test_gpm_measures_each_instance(tmp_path: Path) -> None:
    """By the id of the GPU instance; samples of two instances do not compare."""
    driver = pretend(tmp_path, "h100_mig", clock=0.0)
    one, two = driver.gpu(0).mig(["3g.40gb", "1g.10gb"])
    driver.gpu(0).gpm(2, 75.0, one)
    driver.write()
    take = "nvml.nvmlGpmMigSampleGet(gpus[0], {}, {})".format
    with nvml_client(driver) as client:
        client(MEASURE)
        client(take(one.gpu_instance, "one"))
        driver.advance(0.5)
        client(take(two.gpu_instance, "two"))
        assert client.error("compare(2)") == INVALID_ARGUMENT
        client(take(one.gpu_instance, "two"))
        assert client("compare(2)") == [[0, pytest.approx(75.0)]]
        assert client.error(take(5, "two")) == INVALID_ARGUMENT


def test_gpm_may_be_forbidden_or_not_there(tmp_path: Path) -> None:
    """Without the capability the query still says that it is supported."""
    driver = FakeNvml(library(), tmp_path, [*profile("h100"), *profile("a100")], clock=0.0)
    driver.fail("nvmlGpmSampleGet", 4, gpu=0)
    with nvml_client(driver) as client:
        client(MEASURE)
        assert client("nvml.nvmlGpmQueryDeviceSupport(gpus[0]).isSupportedDevice") == 1
        forbidden = client.error("nvml.nvmlGpmSampleGet(gpus[0], one)")
        assert forbidden == ("NVMLError_NoPermission", 4)
        assert client("nvml.nvmlGpmQueryDeviceSupport(gpus[1]).isSupportedDevice") == 0
        assert client.error("nvml.nvmlGpmSampleGet(gpus[1], one)") == NOT_SUPPORTED
