"""Drivers that come, go, hang and are replaced, while the NVML collector goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.nvml_run import NvmlRun, Reading, kinds, run_nvml
from tests.fake_nvml import ALL_CALLS, LIBRARY, FakeNvml, library
from tests.fake_nvml_profiles import A100, gpus
from tests.harness import wait_for

UNINITIALIZED, DRIVER_NOT_LOADED, GPU_IS_LOST = 1, 9, 15
VERSION_MISMATCH, GPU_NOT_FOUND, UNKNOWN = 18, 28, 999
SOON = 1.0
"""Seconds to wait for a GPU that hangs: the other one must answer meanwhile."""


@pytest.fixture
def driver(tmp_path: Path) -> FakeNvml:
    """Two A100, in real time."""
    return FakeNvml(library(), tmp_path, gpus(A100, 2))


@pytest.fixture
def run(driver: FakeNvml) -> Iterator[NvmlRun]:
    """The collector, not yet asked for anything."""
    with run_nvml(driver.environment) as started:
        yield started


def devices(reading: Reading) -> list[Any]:
    """Each device as what is known of it: "fresh", "stale" or "lost"."""
    states = {(False, False): "fresh", (False, True): "stale", (True, True): "lost"}
    return [states[each["lost"], each["processes"] is None] for each in reading["devices"]]


def raised(run: NvmlRun) -> str:
    """What a collection raises."""
    found = run("collect")
    assert "raised" in found, found
    return str(found["raised"])


def test_a_host_without_a_driver_has_no_data(tmp_path: Path) -> None:
    """That is the usual host: no error, and nothing is tried again all the time."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    driver = FakeNvml(folder, tmp_path, gpus(A100, 1))
    with run_nvml(driver.environment) as run:
        found = run("collect")
        assert found == {"raised": "NoData", "detail": "NVML cannot be used: library_not_found"}
        shutil.copy(library() / LIBRARY, folder / LIBRARY)
        assert raised(run) == "NoData"
        run("skip", 6)
        assert devices(run.read()) == ["fresh"]


def test_attempts_become_rarer(driver: FakeNvml, run: NvmlRun) -> None:
    """After 5, 10, 20, 40 and then every 60 seconds."""
    driver.fail("nvmlInitWithFlags", DRIVER_NOT_LOADED)
    tried: list[int] = []
    for second in range(300):
        assert raised(run) == "NoData"
        if driver.calls("nvmlInitWithFlags") > len(tried):
            tried.append(second)
        run("skip", 1)
    assert tried == [0, 5, 15, 35, 75, 135, 195, 255]
    driver.clear()
    run("skip", 60)
    assert devices(run.read()) == ["fresh", "fresh"]


def test_a_host_whose_driver_has_no_gpus(tmp_path: Path) -> None:
    """There are none, which is another thing than not knowing."""
    driver = FakeNvml(library(), tmp_path, ())
    with run_nvml(driver.environment) as run:
        reading = run.read()
    assert (reading["devices"], reading["problems"]) == ([], [])


@pytest.mark.parametrize(
    ("files", "kind"),
    [({"pynvml.py": "nvmlLib = None"}, "wrong_module"), ({"pynvml.py": "import no_such"}, None)],
)
def test_another_module_by_the_same_name(
    files: dict[str, str], kind: str | None, driver: FakeNvml, tmp_path: Path
) -> None:
    """The package `pynvml` may take the place of nvidia-ml-py; or nothing is installed."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    with run_nvml(driver.environment, module_path=tmp_path) as run:
        found = run("collect")
        if kind is None:
            assert found == {"raised": "NoData", "detail": "nvidia-ml-py is not installed"}
        else:
            assert (kinds(found), found["devices"]) == ([kind], None)
        assert raised(run) == "NoData"


@pytest.mark.parametrize("code", [UNINITIALIZED, DRIVER_NOT_LOADED])
def test_a_driver_that_goes_and_comes_back(code: int, driver: FakeNvml, run: NvmlRun) -> None:
    """NVML is shut down and initialised anew; counters go on from where they stand."""
    before = run.read()
    driver.fail(ALL_CALLS, code)
    broken = run.read()
    assert devices(broken) == ["stale", "stale"]
    assert broken["meters"] == []
    assert driver.inits == 1
    again = run("collect")
    assert "raised" in again or again["devices"] is None
    driver.clear()
    run("skip", 60)
    after = run.read()
    assert devices(after) == ["fresh", "fresh"]
    assert after["problems"] == []
    assert [each["id"] for each in after["devices"]] == [each["id"] for each in before["devices"]]
    assert driver.inits == 2


def test_nvml_that_broke_once_is_initialised_at_the_next_reading(
    driver: FakeNvml, run: NvmlRun
) -> None:
    """Without waiting; the other GPU is read all the time."""
    run.read()
    driver.fail("nvmlDeviceGetFieldValues", UNINITIALIZED, 0, times=1)
    assert devices(run.read()) == ["stale", "fresh"]
    assert devices(run.read()) == ["fresh", "fresh"]
    assert (driver.inits, driver.shutdowns) == (2, 1)


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", ALL_CALLS])
def test_a_driver_that_does_not_fit_from_the_start(
    call: str, driver: FakeNvml, run: NvmlRun
) -> None:
    """It is said, and the exporter keeps running."""
    driver.fail(call, VERSION_MISMATCH)
    for _ in range(3):
        found = run("collect")
        assert kinds(found) == ["lib_rm_version_mismatch"]
        assert found["devices"] is None
        assert raised(run) == "NoData"
        run("skip", 61)
    driver.clear()
    assert devices(run.read()) == ["fresh", "fresh"]


def test_a_driver_that_was_replaced_needs_a_new_process(driver: FakeNvml, run: NvmlRun) -> None:
    """The old library stays in this one."""
    run.read()
    driver.fail(ALL_CALLS, VERSION_MISMATCH)
    assert raised(run) == "NeedsRestart"
    driver.clear()
    assert raised(run) == "NeedsRestart"


def test_a_driver_that_was_replaced_while_it_was_away(driver: FakeNvml, run: NvmlRun) -> None:
    """Seen at the next initialisation."""
    run.read()
    driver.fail(ALL_CALLS, DRIVER_NOT_LOADED)
    run.read()
    driver.clear()
    driver.fail("nvmlInitWithFlags", VERSION_MISMATCH)
    run("skip", 61)
    assert raised(run) == "NeedsRestart"


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", ALL_CALLS])
def test_unknown_errors_after_it_had_worked(call: str, driver: FakeNvml, run: NvmlRun) -> None:
    """A container whose devices were taken away gets them back only if it is made anew."""
    run.read()
    if call != ALL_CALLS:
        run("pause")
        run("resume")
    driver.fail(call, UNKNOWN)
    for _ in range(11):
        found = run("collect")
        assert found.get("raised") in (None, "NoData"), found
        run("skip", 5)
    found = run("collect")
    assert found["raised"] == "NeedsRestart"
    assert "cgroup" in found["detail"]


def test_unknown_errors_from_the_start_are_waited_out(driver: FakeNvml, run: NvmlRun) -> None:
    """Nor is one GPU that says nothing else a reason to restart."""
    driver.fail("nvmlInitWithFlags", UNKNOWN)
    for _ in range(15):
        assert run("collect").get("raised") in (None, "NoData")
        run("skip", 5)
    driver.clear()
    run("skip", 60)
    assert devices(run.read()) == ["fresh", "fresh"]
    driver.fail(ALL_CALLS, UNKNOWN, 0)
    for _ in range(15):
        assert devices(run.read()) == ["stale", "fresh"]


@pytest.mark.parametrize("code", [GPU_IS_LOST, GPU_NOT_FOUND])
def test_a_gpu_that_falls_off_the_bus(code: int, driver: FakeNvml, run: NvmlRun) -> None:
    """It is shown as lost, also after NVML was initialised anew, and looked for now and then."""
    run.read()
    driver.fail(ALL_CALLS, code, 0)
    lost = run.read()
    assert devices(lost) == ["lost", "fresh"]
    assert len(lost["meters"]) == 1
    calls = sum(driver.all_calls().values())
    assert devices(run.read()) == ["lost", "fresh"]
    assert sum(driver.all_calls().values()) - calls <= 10, "only the other one is asked"
    run("pause")
    run("resume")
    assert devices(run.read()) == ["lost", "fresh"]
    driver.clear()
    run("skip", 61)
    found = run.read()
    assert (devices(found), found["problems"]) == (["fresh", "fresh"], [])


def test_a_gpu_that_hangs_keeps_no_other_waiting(driver: FakeNvml, run: NvmlRun) -> None:
    """It is used again when it is back, and no threads pile up."""
    run.read()
    threads = run("threads")
    driver.hang("nvmlDeviceGetMemoryInfo_v2", 60, 0)
    for _ in range(3):
        reading = run.read(SOON)
        assert reading["seconds"] < 30
        assert devices(reading) == ["stale", "fresh"]
        assert kinds(reading) == ["timeout"]
        assert "nvmlDeviceGetMemoryInfo" in reading["problems"][0]["detail"]
    assert run("threads") == threads
    driver.clear()
    wait_for(lambda: devices(run.read(SOON)) == ["fresh", "fresh"], "the GPU")
    assert run.read()["problems"] == []
    assert run("threads") == threads
    assert driver.inits == 1


def test_a_gpu_that_is_always_too_slow_is_read_all_the_same(driver: FakeNvml, run: NvmlRun) -> None:
    """What came too late for one reading is in the next."""
    run.read()
    driver.slow("nvmlDeviceGetMemoryInfo_v2", 1500, 0)
    assert devices(run.read(SOON)) == ["stale", "fresh"]
    wait_for(lambda: devices(run.read(SOON)) == ["fresh", "fresh"], "what was late")


def test_a_gpu_that_hangs_from_the_start(driver: FakeNvml, run: NvmlRun) -> None:
    """It is not even known which one it is."""
    driver.hang("nvmlDeviceGetHandleByIndex_v2", 60, 0)
    reading = run.read(SOON)
    assert (devices(reading), kinds(reading)) == (["fresh"], ["timeout"])
    driver.clear()
    wait_for(lambda: devices(run.read(SOON)) == ["fresh", "fresh"], "the GPU")


def test_an_initialisation_that_hangs(driver: FakeNvml, run: NvmlRun) -> None:
    """It is waited for by nobody for longer than there is time, and never begun twice."""
    driver.hang("nvmlInitWithFlags", 60)
    for _ in range(3):
        reading = run.read(SOON)
        assert (reading["devices"], kinds(reading)) == (None, ["timeout"])
        assert reading["seconds"] < 30
    assert driver.calls("nvmlInitWithFlags") == 1
    driver.clear()
    assert devices(run.read()) == ["fresh", "fresh"]
    assert driver.inits == 1


def test_a_pause_leaves_nothing_open(driver: FakeNvml, run: NvmlRun) -> None:
    """So a GPU can be reset, and the driver be unloaded."""
    run("pause")
    assert raised(run) == "NoData"
    assert driver.inits == 0
    run("resume")
    run.read()
    assert driver.initialised
    run("pause")
    run("pause")
    assert not driver.initialised
    assert raised(run) == "NoData"
    assert not driver.initialised
    run("resume")
    assert devices(run.read()) == ["fresh", "fresh"]
    assert (driver.inits, driver.shutdowns) == (2, 1)


def test_a_pause_while_it_reads(driver: FakeNvml, run: NvmlRun) -> None:
    """The reading ends first, or never begins."""
    run.read()
    driver.slow("nvmlDeviceGetMemoryInfo_v2", 50)
    for _ in range(5):
        assert run("pause_while_collecting") == "joined"
        assert not driver.initialised
        run("resume")
        assert devices(run.read()) == ["fresh", "fresh"]


def test_a_pause_while_a_gpu_hangs(driver: FakeNvml, run: NvmlRun) -> None:
    """NVML is closed all the same, and the GPU is back after that."""
    run.read()
    driver.hang("nvmlDeviceGetMemoryInfo_v2", 60, 0)
    run.read(SOON)
    run("pause")
    assert not driver.initialised
    run("resume")
    assert devices(run.read(SOON)) == ["stale", "fresh"]
    driver.clear()
    wait_for(lambda: devices(run.read(SOON)) == ["fresh", "fresh"], "the GPU")


def test_processes_that_come_and_go(driver: FakeNvml, run: NvmlRun) -> None:
    """Each reading has those of its moment."""
    for round_ in range(20):
        for gpu in driver.gpus:
            gpu.stop(round_ - 1)
            gpu.run(round_, sm=10)
        driver.write()
        reading = run.read()
        pids = [{each["pid"] for each in device["processes"]} for device in reading["devices"]]
        assert pids == [{round_}, {round_}]
        assert reading["problems"] == []


def test_another_driver_makes_another_generation_of_the_counters(
    driver: FakeNvml, run: NvmlRun
) -> None:
    """They begin anew, perhaps at more than before."""
    before = run.read()["meters"][0]["generation"]
    run("pause")
    driver.driver = "570.10"
    driver.reload_driver()
    run("resume")
    assert [before, run.read()["meters"][0]["generation"]] == ["driver 550.90.07", "driver 570.10"]
