"""`unitcost doctor` on GPU nodes: what can be read of each GPU, who holds it, and every mend."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.collectors.fake_kubelet import fake_kubelet
from tests.fake_nvml import ALL_CALLS, FakeNvml, pretend
from unitcost.exporter.doctor.host import Finding

NO_PERMISSION, MISMATCH = 4, 18
COMMAND = "sleep 600.25"
"""Of the workload `mine`."""


@dataclass(frozen=True)
class Report:
    """What the doctor printed, its exit code, and how long it took."""

    lines: tuple[str, ...]
    code: int
    seconds: float

    def about(self, subject: str) -> list[str]:
        """The lines on a subject: ``ok: all is well``."""
        found = [line for line in self.lines if line[6:22].strip() == subject]
        return [f"{line[:4].strip()}: {line[24:]}" for line in found]


def run_doctor(folder: Path, environment: Mapping[str, str], **collectors: Any) -> Report:
    """Run it as a person does, with options of collectors."""
    sections = {"training": {"enabled": False}, **collectors}
    file = folder / "unitcost.yaml"
    workload = {"name": "mine", "match": {"command": COMMAND}}
    web = {"address": "127.0.0.1"}
    document = {"web": web, "workloads": [workload], "collectors": sections}
    file.write_text(json.dumps(document))
    command = [sys.executable, "-Im", "unitcost.exporter.cli", "doctor", "--config", str(file)]
    variables = {**os.environ, "XDG_STATE_HOME": str(folder), **environment}
    began = time.monotonic()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("fail")]
    assert all("port" in line for line in failed), failed
    return Report(tuple(done.stdout.splitlines()), done.returncode, time.monotonic() - began)


def told(findings: Iterable[Finding]) -> list[str]:
    """Findings as ``status: text; mend``."""
    found = []
    for each in findings:
        assert each.line().isprintable()
        assert len(each.subject) <= 16
        text = f"{each.text}; {each.mend}" if each.mend else each.text
        found.append(f"{each.status}: {text}")
    return found


@pytest.fixture
def process() -> Iterator[int]:
    """The pid of a process that does nothing for long."""
    with subprocess.Popen(COMMAND.split()) as running:
        yield running.pid
        running.kill()


def test_a_healthy_node_says_what_can_be_read_and_who_holds_it(
    tmp_path: Path, process: int
) -> None:
    """A GPU for each line; what needs two readings is there, too: GPM and SM time."""
    driver = pretend(tmp_path, "h200")
    first = driver.gpu(0)
    first.power_watts, first.utilization = 300.0, (50, 10)
    first.run(process, memory=1 << 30, sm=30)
    driver.write()
    with fake_kubelet(tmp_path) as kubelet:
        kubelet.give("default", "chat-0", driver.gpu(1).uuid)
        kubelet.allocatable = {"nvidia.com/gpu": [gpu.uuid for gpu in driver.gpus]}
        socket = {"socket": str(kubelet.socket), "pod_logs": str(tmp_path)}
        report = run_doctor(tmp_path, driver.environment, nvml={"gpm": True}, kubernetes=socket)
    assert report.about("read nvml") == ["ok: 8 GPUs, driver 550.90.07"]
    (line,) = report.about("gpu 0")
    assert line.startswith(f"ok: NVIDIA H200 {first.uuid}: energy counter, 300 W of 700 W; ")
    assert "utilisation" in line
    assert "SM time of each process" in line
    assert "GPM (dram_active, graphics_engine_active, sm_active, tensor_active)" in line
    assert report.about("read kubernetes") == [
        "ok: the kubelet gave 1 devices to 1 pods, of 8 it has"
    ]
    nobody = ", ".join(f"gpu {n}" for n in range(2, 8))
    assert report.about("holders") == [
        "ok: gpu 0: mine, alone",
        "ok: gpu 1: default/pod/chat-0, alone",
        f"ok: {nobody}: nobody, so the cost is unallocated",
    ]
    assert report.about("power")[0].endswith("W by 8 gpu: without fans, disks and losses")
    assert report.about("gpu processes") == []
    assert not driver.initialised


def test_the_driver_and_its_library_are_of_different_versions(tmp_path: Path) -> None:
    """As after an upgrade."""
    driver = pretend(tmp_path, "h100")
    driver.fail("nvmlInitWithFlags", MISMATCH)
    (line,) = run_doctor(tmp_path, driver.environment).about("read nvml")
    assert line.startswith("warn: no GPU can be read: lib_rm_version_mismatch: nvmlInit")
    assert "restart the host" in line
    assert "a container must be made anew" in line


def test_what_is_denied_is_told_once_for_all_gpus_with_its_mend(
    tmp_path: Path, process: int
) -> None:
    """GPM and the samples of processes; one that is lost has its own line."""
    driver = pretend(tmp_path, "h200")
    for call in (
        "nvmlGpmSampleGet",
        "nvmlDeviceGetProcessesUtilizationInfo",
        "nvmlDeviceGetProcessUtilization",
    ):
        driver.fail(call, NO_PERMISSION)
    driver.lose(7)
    driver.gpu(0).run(process, sm=10)
    driver.gpu(0).run(1, sm=10)
    driver.write()
    report = run_doctor(tmp_path, driver.environment, nvml={"gpm": True})
    summary, gpm, newer, older, lost = report.about("read nvml")
    assert summary == "ok: 7 GPUs, driver 550.90.07"
    assert "GPUs 0, 1, 2, 3, 4, 5, 6: nvmlGpmSampleGet" in gpm
    assert gpm.count("CAP_PERFMON") == 1
    assert "run as user 0" in newer
    assert "run as user 0" in older
    assert lost.startswith("warn: gpu_is_lost: GPU 7: ")
    assert "Xid" in lost
    assert "no SM time of processes: equal split if it is shared" in report.about("gpu 0")[0]


def test_processes_of_another_pid_namespace_are_missed(tmp_path: Path) -> None:
    """As in a container without hostPID; a GPU that works for nobody is noticed as well."""
    driver = pretend(tmp_path, "h200")
    driver.gpu(0).run(99_999_999, sm=50)
    driver.gpu(1).utilization = (80, 10)
    driver.gpu(2).memory_used_bytes = 5 << 30
    driver.write()
    hidden, works, uses = run_doctor(tmp_path, driver.environment).about("gpu processes")
    assert hidden.startswith(
        "warn: 1 of 1 processes on GPUs are not in /proc: GPUs that are shared"
    )
    assert "hostPID: true (docker: --pid=host)" in hidden
    assert works.startswith("warn: gpu 1 works (80%), but no process is seen on it; ")
    assert uses.startswith("warn: gpu 2 has 5.0 GiB in use, but no process is seen on it; ")


def test_a_driver_that_hangs_does_not_hang_the_doctor(tmp_path: Path) -> None:
    """Not while it is opened, not while one GPU is read; the report is finished."""
    driver = pretend(tmp_path, "h200")
    driver.hang("nvmlInitWithFlags", 300)
    report = run_doctor(tmp_path, driver.environment)
    (line,) = report.about("read nvml")
    assert line.startswith("warn: no GPU can be read: timeout: nvmlInit: has not returned; ")
    assert report.seconds < 20
    assert report.about("disk")
    driver.clear()
    driver.hang("nvmlDeviceGetMigMode", 300, gpu=3)
    report = run_doctor(tmp_path, driver.environment)
    summary, late = report.about("read nvml")
    assert summary == "ok: 7 GPUs, driver 550.90.07"
    assert late.startswith("warn: timeout: GPU 3: the driver has not returned from")
    assert report.seconds < 20
    assert report.about("disk")


def test_a_vgpu_guest_has_no_power(tmp_path: Path) -> None:
    """Which nothing mends, so it is no warning."""
    driver = pretend(tmp_path, "vgpu")
    report = run_doctor(tmp_path, driver.environment)
    (line,) = report.about("gpu 0")
    assert line.startswith("ok: GRID A100-10C GPU-")
    assert "no energy and no power (as in a vGPU guest)" in line
    assert report.about("power") == []


def test_a_gpu_that_is_partitioned_tells_its_instances(tmp_path: Path, process: int) -> None:
    """And who has which part of it."""
    driver = pretend(tmp_path, "h100_mig")
    small, _ = driver.gpu(0).mig(["1g.10gb", "2g.20gb"])
    driver.gpu(0).run(process, on=small)
    driver.write()
    report = run_doctor(tmp_path, driver.environment)
    (line,) = report.about("gpu 0")
    assert "MIG, 3 of 7 slices cut: 1g.10gb, 2g.20gb" in line
    assert "work of instances by requests alone (collectors.nvml.gpm is off)" in line
    assert report.about("holders") == ["ok: gpu 0: mine 14%, nobody 86%, shared by MIG slices"]


def test_nothing_is_asked_of_the_driver_that_changes_it(tmp_path: Path) -> None:
    """All calls only read, but for those that open and close it."""
    driver: FakeNvml = pretend(tmp_path, "h100")
    run_doctor(tmp_path, driver.environment)
    allowed = ("Get", "Init", "Shutdown", "Query", "Alloc", "Free", "String", ALL_CALLS)
    odd = [name for name in driver.all_calls() if not any(word in name for word in allowed)]
    assert odd == []
    assert driver.inits == driver.shutdowns == 1
