"""What containers used, from made-up control group trees of every kind, and from real ones."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.fake_sysfs import (
    Split,
    Unified,
    cgroupfs_path,
    container_id,
    pod_uid,
    systemd_path,
    write,
)
from unitcost.collectors.base import Context, NoData, Reading
from unitcost.collectors.cgroup import files as cgroup_files
from unitcost.collectors.cgroup import tree as cgroup_tree
from unitcost.collectors.cgroup import weight as cpu_weight
from unitcost.collectors.cgroups import REFRESH, CgroupsCollector, Options, make_collector
from unitcost.exporter.gathering.validate import validate
from unitcost.pricing.container import ContainerUse


@pytest.fixture
def tree(tmp_path: Path) -> Unified:
    """A version 2 tree without containers."""
    return Unified(tmp_path / "cgroup")


def collector_of(root: Path, **options: str) -> CgroupsCollector:
    """A collector with a clock that stands still, on a host of 16 CPUs."""
    return CgroupsCollector(Options(root=str(root), **options), Context(), lambda: 7, 16)  # type: ignore[arg-type]


def read(collector: CgroupsCollector) -> Reading:
    """One reading, as the core takes it."""
    return validate(collector.collect(0.0))


def uses(collector: CgroupsCollector) -> dict[str, ContainerUse]:
    """The containers of one reading, by id; nothing must have been reported."""
    reading = read(collector)
    assert reading.problems == ()
    assert reading.containers is not None
    found = {use.id: use for use in reading.containers}
    assert len(found) == len(reading.containers)
    return found


@pytest.mark.parametrize("qos", ["burstable", "besteffort", ""])
@pytest.mark.parametrize("path", [systemd_path, cgroupfs_path])
def test_a_container_of_a_pod(tree: Unified, qos: str, path: Callable[..., str]) -> None:
    """With either driver, in every class of service."""
    tree.group(path(1, 2, qos), cpu_us=123_456_789, memory=5000, inactive=1000, weight=39)
    assert read(collector_of(tree.root)).containers == (
        ContainerUse(container_id(2), pod_uid(1), 123_456_789_000, 4000, 7, 1000),
    )


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("path", [systemd_path, cgroupfs_path])
def test_version_1(tmp_path: Path, path: Callable[..., str], hybrid: bool, joined: bool) -> None:
    """CPU and memory in trees of their own; the request from shares is exact."""
    tree = Split(tmp_path / "cgroup", hybrid=hybrid, joined=joined)
    tree.group(path(1, 2), cpu_ns=987_654_321, memory=5000, inactive=6000, shares=256)
    tree.group(path(1, 3), shares=2)
    tree.group(path(1, 4), shares=1024)
    tree.group(f"/docker/{container_id(5)}", shares=1024)
    found = uses(collector_of(tree.root))
    use = ContainerUse(container_id(2), pod_uid(1), 987_654_321, 0, 7, 250)
    assert found[container_id(2)] == use
    requests = [found[container_id(number)].cpu_request_milli for number in (3, 4, 5)]
    assert requests == [None, 1000, None]


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice/docker-{}.scope",
        "/docker/{}",
        "/machine.slice/libpod-{}.scope",
        "/libpod_parent/libpod-{}",
    ],
)
def test_containers_without_a_pod(tree: Unified, path: str) -> None:
    """Docker and podman; their weight is the default, which asks for nothing."""
    tree.group(path.format(container_id(9)), cpu_us=5)
    assert uses(collector_of(tree.root))[container_id(9)] == ContainerUse(
        container_id(9), "", 5000, 0, 7
    )


def test_what_lies_in_a_container_belongs_to_it(tree: Unified) -> None:
    """CRI-O's inner group, systemd in a container, Docker in a pod; and no monitor."""
    path = systemd_path(1, 2).replace("cri-containerd", "crio")
    tree.group(f"{path}/container", cpu_us=4)
    tree.group(f"{path}/system.slice/ssh.service", cpu_us=3)
    tree.group(f"{path}/docker/{container_id(77)}", cpu_us=2)
    tree.group(path, cpu_us=10)
    tree.group(path.replace("crio-", "crio-conmon-"), cpu_us=1)
    (use,) = uses(collector_of(tree.root)).values()
    assert (use.id, use.cpu_ns) == (container_id(2), 10_000)


@pytest.mark.parametrize("inner", [systemd_path(5, 6, prefix="kubelet-"), cgroupfs_path(5, 6)])
def test_kind_has_its_pods_in_a_container(tree: Unified, inner: str) -> None:
    """What they used is in that container's counters too, so it is left out."""
    outer = f"/system.slice/docker-{container_id(1)}.scope"
    tree.group(outer, cpu_us=100)
    folder = "/kubelet.slice" if "kubelet" in inner else "/kubelet"
    tree.group(outer + folder + inner, cpu_us=60)
    assert [(use.id, use.pod_uid) for use in uses(collector_of(tree.root)).values()] == [
        (container_id(6), pod_uid(5))
    ]


def test_containers_come_and_go(tree: Unified) -> None:
    """Also one for another, with which a directory has as many children as before."""
    collector = collector_of(tree.root)
    tree.group(systemd_path(1, 1))
    tree.group(f"/system.slice/docker-{container_id(2)}.scope")
    assert set(uses(collector)) == {container_id(1), container_id(2)}
    tree.group(systemd_path(1, 3))
    tree.group(systemd_path(4, 4))
    assert set(uses(collector)) == {container_id(number) for number in (1, 2, 3, 4)}
    tree.remove(systemd_path(1, 3))
    tree.group(systemd_path(1, 5))
    tree.remove(os.path.dirname(systemd_path(4, 4)))
    tree.group(systemd_path(6, 6))
    tree.remove("/system.slice/cron.service")
    tree.group(f"/system.slice/docker-{container_id(7)}.scope")
    uses(collector)
    assert set(uses(collector)) == {container_id(number) for number in (1, 2, 5, 6, 7)}


def test_what_did_not_change_is_not_listed_again(
    tree: Unified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only directories with children of no interest are: the root and the system's services."""
    listed: list[str] = []

    def list_(tree: cgroup_tree.ContainerTree, group: Any, links: int) -> None:
        listed.append(group.path)
        original(tree, group, links)

    original = cgroup_tree.ContainerTree._list
    monkeypatch.setattr(cgroup_tree.ContainerTree, "_list", list_)
    for number in range(64):
        tree.group(systemd_path(number, number))
    collector = collector_of(tree.root)
    uses(collector)
    listed.clear()
    assert len(uses(collector)) == 64
    assert listed == ["", "/system.slice"]


def test_a_file_system_that_counts_no_links_is_listed_each_time(
    tree: Unified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower, not wrong."""
    monkeypatch.setattr(cgroup_tree, "_links", lambda path: os.stat(path).st_nlink and 1)
    collector = collector_of(tree.root)
    for number in range(3):
        tree.group(systemd_path(number, number))
        assert len(uses(collector)) == number + 1


def test_a_container_that_ends_while_it_is_read_is_left_out(
    tree: Unified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list and the reading, or in the middle of it."""
    tree.group(systemd_path(1, 1))
    tree.group(systemd_path(2, 2))
    collector = collector_of(tree.root)
    original = cgroup_files.read

    def read_(path: str) -> bytes:
        if path.endswith("memory.current") and container_id(1) in path:
            tree.remove(systemd_path(1, 1))
        return original(path)

    monkeypatch.setattr(cgroup_files, "read", read_)
    assert set(uses(collector)) == {container_id(2)}


def test_what_did_not_change_is_not_read_again(
    tree: Unified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are seldom read, inactive files only after the charge changed; in the end all is."""
    path = systemd_path(1, 1)
    tree.group(path, memory=1000, inactive=100)
    collector = collector_of(tree.root)
    files: list[str] = []
    original = cgroup_files.read

    def read_(name: str) -> bytes:
        files.append(name.rpartition("/")[2])
        return original(name)

    monkeypatch.setattr(cgroup_files, "read", read_)
    uses(collector)
    files.clear()
    (tree.root / path.lstrip("/") / "memory.stat").write_text("inactive_file 300\n")
    seen = [uses(collector)[container_id(1)].memory_bytes for _ in range(REFRESH)]
    assert seen[0] == 900
    assert seen[-1] == 700
    assert (files.count("memory.stat"), files.count("cpu.weight")) == (1, 1)
    assert files.count("cpu.stat") == REFRESH
    (tree.root / path.lstrip("/") / "memory.current").write_text("2000\n")
    assert uses(collector)[container_id(1)].memory_bytes == 1700


def test_what_cannot_be_read_is_reported_and_never_zero(tree: Unified) -> None:
    """No memory controller; a file with junk in it."""
    for number in range(4):
        tree.group(systemd_path(number, number))
    folders = [tree.root / systemd_path(number, number).lstrip("/") for number in range(3)]
    (folders[0] / "memory.current").unlink()
    (folders[1] / "cpu.stat").write_text("junk\n")
    (folders[2] / "memory.current").write_text("")
    reading = read(collector_of(tree.root))
    assert [use.id for use in reading.containers or ()] == [container_id(3)]
    assert {problem.kind for problem in reading.problems} == {"missing", "unreadable"}


def test_there_is_a_limit(tree: Unified, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said when it is reached."""
    monkeypatch.setattr(cgroup_tree, "MAX_CONTAINERS", 5)
    for number in range(6):
        tree.group(systemd_path(number, number))
    reading = read(collector_of(tree.root))
    assert len(reading.containers or ()) == 5
    assert [problem.kind for problem in reading.problems] == ["too_many"]


def test_too_many_directories_end_the_search(
    tree: Unified, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may make control groups could make any number of them."""
    monkeypatch.setattr(cgroup_tree, "MAX_DIRECTORIES", 20)
    for number in range(30):
        tree.group(systemd_path(number, number))
    assert [problem.kind for problem in read(collector_of(tree.root)).problems] == ["too_many"]


def test_without_containers_there_is_no_data(tree: Unified, tmp_path: Path) -> None:
    """No tree at all; a host without containers; a container that sees only itself."""
    for root in (tmp_path / "none", tmp_path):
        with pytest.raises(NoData, match="no control groups"):
            make_collector(Options(root=str(root)), Context()).collect(0.0)
    collector = collector_of(tree.root)
    with pytest.raises(NoData, match="no container in"):
        read(collector)
    write(tree.root / "cgroup.events", "populated 1")
    with pytest.raises(NoData, match="only this container's own"):
        read(collector)


def test_a_part_of_version_1_is_told_from_the_whole(tmp_path: Path) -> None:
    """Only the host's own root says who is told when a group is empty."""
    tree = Split(tmp_path / "cgroup")
    with pytest.raises(NoData, match="no container in"):
        read(collector_of(tree.root))
    (tree.usage / "release_agent").unlink()
    with pytest.raises(NoData, match="only this container's own"):
        read(collector_of(tree.root))


def request(tree: Unified, weight: int, pod_weight: int, **options: str) -> int | None:
    """The request that a container's weight stands for."""
    tree.group(os.path.dirname(systemd_path(1, 1)), weight=pod_weight)
    tree.group(systemd_path(1, 1), weight=weight)
    return uses(collector_of(tree.root, **options))[container_id(1)].cpu_request_milli


@pytest.mark.parametrize(("weight", "milli"), [(1, None), (4, 100), (39, 1000), (100, 2550)])
def test_a_weight_by_the_older_formula(tree: Unified, weight: int, milli: int | None) -> None:
    """The roundest request that has it; none for the least weight."""
    assert request(tree, weight, weight) == milli


def test_a_weight_by_the_newer_formula(tree: Unified) -> None:
    """Proven by a container that has more than its pod, or said by the configuration."""
    assert request(tree, 100, 39) == 1000
    assert request(tree, 100, 100, cpu_weight="quadratic") == 1000
    assert request(tree, 100, 39, cpu_weight="linear") == 2550


def test_a_kubelet_with_the_newer_formula_proves_it_too(tree: Unified) -> None:
    """All pods together have more than 16 CPUs by the older one."""
    tree.group("/kubepods.slice", weight=942)
    assert request(tree, 100, 100) == 1000


@given(st.integers(1, 256_000), st.sampled_from([cpu_weight.linear, cpu_weight.quadratic]))
def test_a_request_gives_the_weight_that_it_was_taken_from(
    milli: int, formula: Callable[[int], int]
) -> None:
    """There and back and there again, within what one weight stands for."""
    shares = cpu_weight.shares_of(milli)
    weight = formula(shares)
    found = cpu_weight.request_by_weight(weight, True, formula)
    if found is None:
        assert weight <= 1
    else:
        assert formula(cpu_weight.shares_of(found)) == weight
    assert cpu_weight.request_by_shares(shares, True) == (milli if shares > 2 else None)


REAL = Path("/sys/fs/cgroup")


@pytest.fixture
def real_groups(tmp_path: Path) -> Iterator[Path]:
    """Real control groups (version 1) of two containers, away from all others."""
    made = []
    try:
        for name in ("cpuacct", "memory"):
            top = REAL / name / f"unitcost-test-{os.getpid()}"
            for path in (top, top / "docker", *(top / "docker" / container_id(n) for n in (1, 2))):
                path.mkdir()
                made.append(path)
            (tmp_path / name).symlink_to(top)
        if not (tmp_path / "cpuacct" / "cpuacct.usage").exists():
            pytest.skip("no control groups of version 1")
        yield tmp_path
    except OSError as error:
        pytest.skip(f"control groups cannot be made here: {error}")
    finally:
        for path in reversed(made):
            if path.exists():
                path.rmdir()


def test_the_kernels_own_files(real_groups: Path) -> None:
    """Read as they are; the link count of a real directory shows what comes and goes."""
    collector = collector_of(real_groups)
    assert set(uses(collector)) == {container_id(1), container_id(2)}
    (real_groups / "cpuacct/docker" / container_id(1)).rmdir()
    assert set(uses(collector)) == {container_id(2)}


def test_the_paths_of_the_tests_are_real_ones() -> None:
    """As a kubelet and containerd have made them."""
    assert re.fullmatch(
        r"/kubepods\.slice/kubepods-burstable\.slice/kubepods-burstable-pod[0-9a-f_]{36}\.slice"
        r"/cri-containerd-[0-9a-f]{64}\.scope",
        systemd_path(1, 2),
    )
