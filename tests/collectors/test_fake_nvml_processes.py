"""The pretended NVML's processes and their samples, seen through the real nvidia-ml-py."""

from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml import pretend
from tests.fake_nvml_client import NOT_FOUND, NvmlClient, nvml_client
from tests.fake_nvml_parts import NO_MEMORY_VALUE, NOT_IN_MIG, Sample

pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")

GIB = 1 << 30
OLD_CALL = "nvml.nvmlDeviceGetProcessUtilization(gpus[0], {})".format
NEW_CALL = "nvml.nvmlDeviceGetProcessesUtilizationInfo(gpus[0], {})".format
BOTH_CALLS = pytest.mark.parametrize("call", [OLD_CALL, NEW_CALL])

# A buffer of our own: how often it is too small, and what is said about that.
ASK_WITH_ROOM = """
def ask(room, name="nvmlDeviceGetComputeRunningProcesses_v3", buffer=True):
    count = ctypes.c_uint(room)
    array = (nvml.c_nvmlProcessInfo_v3_t * (room + 2))()
    call = nvml._nvmlGetFunctionPointer(name)
    code = call(gpus[0], ctypes.byref(count), array if buffer else None)
    return code, count.value, [item.pid for item in array]
"""


def listed(client: NvmlClient, kind: str = "Compute") -> list[tuple[Any, ...]]:
    """The processes of a kind on the first GPU."""
    found = client(f"nvml.nvmlDeviceGet{kind}RunningProcesses(gpus[0])")
    ids = ("gpuInstanceId", "computeInstanceId")
    return [(p["pid"], p["usedGpuMemory"], *(p[key] for key in ids)) for p in found]


def sampled(client: NvmlClient, call: str) -> list[tuple[int, int]]:
    """Process and SM percentage of each sample."""
    return [(s["pid"], s["smUtil"]) for s in client(call)]


def test_processes_are_listed_by_kind(tmp_path: Path) -> None:
    """Outside MIG the ids are all ones; memory may be unknown."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    driver.gpu(0).run(101, memory=5 * GIB)
    driver.gpu(0).run(102, memory=NO_MEMORY_VALUE)
    driver.gpu(0).run(103, memory=1, kind="graphics")
    driver.gpu(0).run(104, memory=2, kind="mps")
    driver.write()
    nowhere = (NOT_IN_MIG, NOT_IN_MIG)
    with nvml_client(driver) as client:
        assert listed(client) == [(101, 5 * GIB, *nowhere), (102, None, *nowhere)]
        assert listed(client, "Graphics") == [(103, 1, *nowhere)]
        assert listed(client, "MPSCompute") == [(104, 2, *nowhere)]
        driver.gpu(0).stop(101)
        driver.write()
        assert [process[0] for process in listed(client)] == [102]


def test_a_list_says_how_much_room_it_needs(tmp_path: Path) -> None:
    """InsufficientSize with the number of processes; nothing written beyond the room."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    with nvml_client(driver) as client:
        client(ASK_WITH_ROOM)
        assert client("ask(0, buffer=False)") == [0, 0, [0, 0]]
        for pid in (1, 2, 3):
            driver.gpu(0).run(pid)
        driver.write()
        assert client("ask(0, buffer=False)") == [7, 3, [0, 0]]
        assert client("ask(2)") == [7, 3, [1, 2, 0, 0]]
        assert client("ask(4)") == [0, 3, [1, 2, 3, 0, 0, 0]]
        assert client("ask(5, buffer=False)")[:2] == [2, 3]
        assert client("ask(5, 'nvmlDeviceGetComputeRunningProcesses_v2')")[:2] == [0, 3]


@BOTH_CALLS
def test_a_busy_process_leaves_samples_behind(call: Any, tmp_path: Path) -> None:
    """Five for each second, until it stops; only those after the last seen are told."""
    driver = pretend(tmp_path, "t4", clock=10.0)
    driver.gpu(0).run(101, sm=30)
    driver.gpu(0).run(102, sm=60)
    driver.advance(1)
    with nvml_client(driver) as client:
        assert sorted(sampled(client, call(0))) == [(101, 30)] * 5 + [(102, 60)] * 5
        seen = max(sample["timeStamp"] for sample in client(call(0)))
        assert seen == driver.timestamp(11.0)
        assert client.error(call(seen)) == NOT_FOUND
        driver.gpu(0).stop(102)
        driver.advance(1)
        assert sampled(client, call(seen)) == [(101, 30)] * 5
        assert len(sampled(client, call(0))) == 15


@BOTH_CALLS
def test_the_ring_buffer_forgets(call: Any, tmp_path: Path) -> None:
    """A hundred samples are kept, the newest, of all processes together."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    driver.gpu(0).run(101, sm=30)
    driver.gpu(0).run(102, sm=40)
    driver.gpu(0).samples = [Sample(666, 1.0, sm=11)]
    driver.advance(3600)
    with nvml_client(driver) as client:
        assert {pid for pid, _ in sampled(client, call(0))} == {101, 102}
        stamps = [sample["timeStamp"] for sample in client(call(0))]
        assert len(stamps) == 100
        assert stamps == sorted(stamps)
        assert stamps[-1] == driver.timestamp(3600.0)


@BOTH_CALLS
def test_junk_and_zombies_are_handed_out_as_they_are(call: Any, tmp_path: Path) -> None:
    """What real drivers were seen to say."""
    driver = pretend(tmp_path, "t4", clock=100.0)
    junk = [Sample(7, 99.0, sm=4294967295), Sample(8, 99.5, sm=2147483632, memory=101)]
    driver.gpu(0).samples = [Sample(666, 2.0, sm=11, encoder=3), *junk]
    driver.write()
    with nvml_client(driver) as client:
        found = sampled(client, call(0))
        assert found == [(666, 11), (7, 4294967295), (8, 2147483632)]
        assert client(call(0))[0]["encUtil"] == 3
        assert sampled(client, call(driver.timestamp(99.0))) == [(8, 2147483632)]


@BOTH_CALLS
def test_an_idle_gpu_may_say_success_and_nothing(call: Any, tmp_path: Path) -> None:
    """The binding makes an exception of it that has the code of success."""
    driver = pretend(tmp_path, "t4", clock=0.0)
    with nvml_client(driver) as client:
        assert client.error(call(0)) == NOT_FOUND
        driver.gpu(0).no_samples_is_success = True
        driver.write()
        assert client.error(call(0)) == ("NVMLError", 0)
