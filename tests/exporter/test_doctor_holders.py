"""What `unitcost doctor` says of who holds which GPU, from readings as collectors give them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporter.test_doctor_devices import told
from unitcost.collectors.base import Reading
from unitcost.exporter.config.load import loads
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.holders import holder_findings
from unitcost.pricing.container import Allocatable, Grant, Kubelet
from unitcost.pricing.device import Device, DeviceProcess, SmSample
from unitcost.pricing.sample import Process

UUID = "GPU-1"
Say = Callable[..., list[str]]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """The findings on readings, with a configuration's text."""

    def findings(*readings: Reading, config: str = "") -> list[str]:
        settings = loads(config, environ={}, folder=tmp_path).settings
        named = {str(number): reading for number, reading in enumerate(readings)}
        return told(holder_findings(settings, named, Scene(tmp_path)))

    return findings


def host(**commands: int) -> Reading:
    """Processes by the name of their program."""
    rows = [Process(pid, 1, 0, 0, 0, 0, command=name) for name, pid in commands.items()]
    return Reading(processes=tuple(rows))


def gpu(*pids: int, sm: dict[int, int] | None = None, busy: float = 0.5) -> Reading:
    """A GPU that processes compute on; `sm`: the percent of SM time of each."""
    samples = None if sm is None else tuple(SmSample(pid, 9, n) for pid, n in sm.items())
    processes = tuple(map(DeviceProcess, pids))
    device = Device(f"gpu:{UUID}", "L4", index=0, processes=processes, samples=samples, busy=busy)
    return Reading(devices=(device,))


def given(*pods: str, replicas: int = 1) -> Reading:
    """What a kubelet says at its first answer: of no time at all."""
    ids = [f"{UUID}::{n}" for n in range(replicas)] if replicas > 1 else [UUID]
    resource = "nvidia.com/gpu"
    grants = [Grant("ns", p, "c", resource, id_, 0) for p, id_ in zip(pods, ids, strict=False)]
    return Reading(
        kubelet=Kubelet(5, 0, tuple(grants), tuple(Allocatable(resource, id_) for id_ in ids))
    )


def test_without_gpus_nothing_is_said(say: Say) -> None:
    """Nor with a kubelet that gave none."""
    assert say(host(sh=1)) == []
    assert say(host(sh=1), Reading(devices=()), given()) == []


def test_a_gpu_of_one_process_is_its(say: Say) -> None:
    """Named as the exporter names it."""
    assert say(host(train=7), gpu(7)) == ["ok: gpu 0: train, alone"]


def test_processes_that_share_one_are_told_with_the_method(say: Say) -> None:
    """By SM time if the driver samples it, else equally."""
    both = host(chat=7, embed=8)
    by_time = "ok: gpu 0: chat 75%, embed 25%, shared by SM time"
    assert say(both, gpu(7, 8, sm={7: 75, 8: 25})) == [by_time]
    equally = "ok: gpu 0: chat 50%, embed 50%, shared in equal parts, for want of SM time"
    assert say(both, gpu(7, 8)) == [equally]


def test_the_kubelet_s_first_answer_is_enough(say: Say) -> None:
    """Though it spans no time; replicas that nobody was given are nobody's."""
    assert say(host(sh=1), gpu(), given("chat"))[0] == "ok: gpu 0: ns/pod/chat, alone"
    first, *_ = say(host(sh=1), gpu(busy=0.0), given("a", "b", replicas=4))
    parts = "ns/pod/a 25%, ns/pod/b 25%, nobody 50%"
    assert first == f"ok: gpu 0: {parts}, shared in equal parts, for want of SM time"


def test_a_gpu_that_works_without_a_process_lacks_the_host_s_pids(say: Say) -> None:
    """As the driver has it in a container of its own PID namespace."""
    _, unseen = say(host(sh=1), gpu(), given("chat"))
    assert unseen.startswith("warn: gpu 0 works (50%), but no process is seen on it; hostPID: true")


def test_hidden_pids_are_counted_and_those_in_proc_are_not_hidden(say: Say, tmp_path: Path) -> None:
    """One may have begun after the processes were listed."""
    (tmp_path / "9").mkdir()
    _, hidden = say(host(chat=7), gpu(7, 8, 9))
    assert hidden.startswith(f"warn: 1 of 3 processes on GPUs are not in {tmp_path}: GPUs that are")
    assert "hostPID: true (docker: --pid=host), or mount the host's /proc" in hidden


def test_devices_that_no_collector_sees_are_named(say: Say) -> None:
    """With the pod that has them; not all of a thousand."""
    ids = [f"nvidia{n}" for n in range(20)]
    grants = tuple(Grant("ns", f"p{id_}", "c", "nvidia.com/gpu", id_, 0) for id_ in ids)
    (line,) = say(host(sh=1), Reading(kubelet=Kubelet(5, 0, grants)))
    assert line.startswith("warn: 20 devices were given to pods and are not seen: nvidia0 (ns/pnvi")
    assert "nvidia7 (ns/pnvidia7) and 12 more; see `read nvml`" in line


def test_a_reserved_gpu_is_its_workload_s(say: Say) -> None:
    """While a process of it runs."""
    config = "workloads: [{name: mine, match: {command: serve}, reserve: {gpus: ['0']}}]"
    found = say(host(serve=7), gpu(busy=0.0), config=config)
    assert found == ["ok: gpu 0: mine, as configured (reserve.gpus)"]


def test_many_holders_are_counted(say: Say) -> None:
    """The greatest first."""
    names = {f"w{n:02}": 100 + n for n in range(12)}
    (line,) = say(host(**names), gpu(*names.values()))
    assert line.startswith("ok: gpu 0: w00 8%, ")
    assert "and 4 more, shared in equal parts" in line
