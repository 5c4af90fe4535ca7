"""What each container used: its CPU time, its memory and its CPU request, from control groups."""

import os
import re
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.cgroup import weight as cpu_weight
from unitcost.collectors.cgroup.files import Gone, Split, Unified, Used, hierarchy, is_part
from unitcost.collectors.cgroup.tree import MAX_CONTAINERS, Container, ContainerTree
from unitcost.pricing.container import ContainerUse

TOO_MANY = Problem("too_many", f"more than {MAX_CONTAINERS} containers: the rest is left out")
_ALL_PODS = re.compile(r"^.*?/[^/]*kubepods[^/]*")
REFRESH = 12
"""After so many readings what is seldom read of a container is read again."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the host's control groups are seen, and how the container runtime makes CPU weights.

    `cpu_weight`: by which formula it turns shares into a weight; ``linear`` is that of runc before
    1.3.2 and crun before 1.23; ``auto`` takes it unless weights prove the other. (Version 2 only.)
    """

    root: str = "/sys/fs/cgroup"
    cpu_weight: Literal["auto", "linear", "quadratic"] = "auto"


class CgroupsCollector:
    """Remembers where containers are, so that only what changed is listed again."""

    name = "cgroups"

    def __init__(
        self,
        options: Options,
        context: Context,
        now_ns: Callable[[], int] = time.monotonic_ns,
        cpus: int | None = None,
    ) -> None:
        self._root = options.root
        self._now_ns = now_ns
        self._cpus = cpus or os.cpu_count() or 1
        self._detect = options.cpu_weight == "auto"
        self._quadratic = options.cpu_weight == "quadratic"
        self._groups: Unified | Split | None = None
        self._tree = ContainerTree("")
        self._containers: list[Container] = []
        self._requests: dict[tuple[int, bool], int | None] = {}
        self._before: dict[str, Used] = {}
        self._readings = 0

    def collect(self, deadline: float) -> Reading:
        """Read all containers. Raises NoData where there is none, OSError for a broken tree.

        A container that ends meanwhile is left out; one that cannot be read is reported.
        """
        groups = self._found()
        containers, complete = self._tree.look()
        if not containers:
            raise NoData(_none(groups))
        if self._detect and containers != self._containers and isinstance(groups, Unified):
            self._look_for_quadratic(groups, containers)
        self._containers = containers
        self._forget(containers)
        problems = {} if complete else {TOO_MANY.kind: TOO_MANY}
        used = []
        for container in containers:
            try:
                used.append(self._use(groups, container))
            except Gone as gone:
                if os.path.isdir(groups.root + container.path):
                    problems.setdefault("missing", _unread("missing", f"{gone} is not there"))
            except (OSError, ValueError) as error:
                text = f"{groups.root}{container.path}: {error}"
                problems.setdefault("unreadable", _unread("unreadable", text))
        return Reading(containers=tuple(used), problems=tuple(problems.values()))

    def _found(self) -> Unified | Split:
        """The trees, looked for until they are there. Raises NoData."""
        if self._groups is None:
            self._groups = hierarchy(self._root)
            if self._groups is None:
                raise NoData(f"no control groups that count CPU time and memory in {self._root}")
            self._tree = ContainerTree(self._groups.root)
        return self._groups

    def _use(self, groups: Unified | Split, container: Container) -> ContainerUse:
        now = self._now_ns()
        used = groups.read(container.path, self._before.get(container.id))
        self._before[container.id] = used
        weight, in_pod = used.weight, bool(container.pod_uid)
        return ContainerUse(
            id=container.id,
            pod_uid=container.pod_uid,
            cpu_ns=used.cpu_ns,
            memory_bytes=used.memory_bytes,
            mono_ns=now,
            cpu_request_milli=None if weight is None else self._request(weight, in_pod),
        )

    def _forget(self, containers: list[Container]) -> None:
        """Each container is read whole again every `REFRESH` readings, not all at the same one."""
        turn = self._readings % REFRESH
        self._readings += 1
        self._before = {
            each.id: self._before[each.id]
            for number, each in enumerate(containers)
            if each.id in self._before and number % REFRESH != turn
        }

    def _request(self, weight: int, in_pod: bool) -> int | None:
        key = (weight, in_pod)
        if key not in self._requests:
            if isinstance(self._groups, Split):
                found = cpu_weight.request_by_shares(weight, in_pod)
            else:
                formula = cpu_weight.quadratic if self._quadratic else cpu_weight.linear
                found = cpu_weight.request_by_weight(weight, in_pod, formula)
            self._requests[key] = found
        return self._requests[key]

    def _look_for_quadratic(self, groups: Unified, containers: list[Container]) -> None:
        """Once proven it stays: a runtime is not replaced by an older one."""
        pods = [each.path for each in containers if each.pod_uid]
        pairs = [(groups.weight(path), groups.weight(os.path.dirname(path))) for path in pods]
        match = _ALL_PODS.match(pods[0]) if pods else None
        everything = groups.weight(match[0]) if match else 0
        if cpu_weight.is_quadratic(pairs, everything, self._cpus):
            self._quadratic, self._detect = True, False
            self._requests.clear()


def _none(groups: Unified | Split) -> str:
    if is_part(groups):
        return (
            f"only this container's own control group is seen in {groups.root}: mount the host's "
            "/sys/fs/cgroup elsewhere and set `root` to that place"
        )
    return f"no container in {groups.root}"


def _unread(kind: str, text: str) -> Problem:
    return Problem(kind, f"what some containers used is not known: {text}")


def make_collector(options: Options, context: Context) -> CgroupsCollector:
    """The collector of the containers below `options.root`."""
    return CgroupsCollector(options, context)
