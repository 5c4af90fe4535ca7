"""Tenants: which container each process is in, and which account each container and pod is on."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.pricing.container import ContainerUse, Kubelet, Pod, PodContainer
from unitcost.pricing.container_path import container_of
from unitcost.pricing.sample import Process
from unitcost.pricing.workload import Account, WorkloadKind, clean_name

_UNIT = re.compile(r"/(?!user@)([^/]+)\.service(?:/|$)")
"""Not a user's session manager: what it runs has units of its own, or none."""
_INTERPRETER = re.compile(r"(python|perl|ruby|node|java|bash|sh)[0-9.]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a workload by its pods."""

    kind: WorkloadKind
    owner: str = ""
    hosts: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What a container asked for and so holds: thousandths of cores, and bytes."""

    milli_cores: int = 0
    memory_bytes: int = 0

    def plus(self, other: "Request") -> "Request":
        """The sum."""
        return Request(self.milli_cores + other.milli_cores, self.memory_bytes + other.memory_bytes)


@dataclass(frozen=True, slots=True)
class Tenants:
    """Accounts by container id, by process identity and by (namespace, pod).

    `container_of` has the container of each process that is in one. `ready` are the containers
    that the cluster says are ready, `seen` those of which it says whether they are. `requests` is
    by container id, `identities` by workload.
    """

    account_of_container: Mapping[str, Account] = field(default_factory=dict)
    container_of: Mapping[str, str] = field(default_factory=dict)
    account_of_pod: Mapping[tuple[str, str], Account] = field(default_factory=dict)
    ready: frozenset[str] = frozenset()
    seen: frozenset[str] = frozenset()
    requests: Mapping[str, Request] = field(default_factory=dict)
    identities: Mapping[str, Identity] = field(default_factory=dict)

    def by_process(self) -> dict[str, Account]:
        """The account of each process that is in a container."""
        return {
            identity: self.account_of_container[container]
            for identity, container in self.container_of.items()
        }

    def renamed(self, rename: Callable[[Account], Account]) -> "Tenants":
        """The same under other accounts."""
        containers = {name: rename(each) for name, each in self.account_of_container.items()}
        pods = {name: rename(each) for name, each in self.account_of_pod.items()}
        return replace(self, account_of_container=containers, account_of_pod=pods)

    def claimed(self, claims: Mapping[str, frozenset[Account]]) -> "Tenants":
        """The same where containers are another account's: what runs in them said so.

        One in which several accounts run is no tenant: its processes count, each for its own.
        """
        if not claims:
            return self
        accounts = dict(self.account_of_container)
        for container, claimants in claims.items():
            del accounts[container]
            if len(claimants) == 1:
                (accounts[container],) = claimants
        within = {who: where for who, where in self.container_of.items() if where in accounts}
        return replace(self, account_of_container=accounts, container_of=within)


class ContainerFinder:
    """Finds containers in control group paths, with a bounded memory of what it found."""

    def __init__(self, memory: int = 8192) -> None:
        self._memory = memory
        self._known: dict[str, tuple[str, str] | None] = {}

    def find(self, path: str) -> tuple[str, str] | None:
        """The pod's uid and the container's id that a path names, if any."""
        try:
            return self._known[path]
        except KeyError:
            if len(self._known) >= self._memory:
                del self._known[next(iter(self._known))]
            return self._known.setdefault(path, container_of(path))


def tenants_of(
    processes: Sequence[Process],
    pods: Sequence[Pod],
    uses: Sequence[ContainerUse],
    kubelet: Kubelet | None,
    finder: ContainerFinder,
) -> Tenants:
    """Everything that is known of containers, joined: processes, control groups, pods, grants."""
    within = _containers_of(processes, finder)
    of_pods = [(pod, each) for pod in pods for each in pod.containers if each.id]
    uids = {container: uid for uid, container in within.values()}
    uids |= {use.id: use.pod_uid or uids.get(use.id, "") for use in uses}
    accounts = _accounts(uids, pods)
    by_weight = {use.id: Request(use.cpu_request_milli or 0) for use in uses}
    requests = by_weight | {each.id: _request(each, by_weight) for _, each in of_pods}
    return Tenants(
        accounts,
        {identity: container for identity, (_, container) in within.items()},
        _by_pod(pods, kubelet),
        frozenset(each.id for _, each in of_pods if each.ready),
        frozenset(each.id for _, each in of_pods if each.ready is not None),
        requests,
        _identities(pods, accounts.values()),
    )


def _containers_of(
    processes: Sequence[Process], finder: ContainerFinder
) -> dict[str, tuple[str, str]]:
    """The pod's uid and the container of each process that is in one.

    The container that all we see is in (it has the process with pid 1) is the host to us.
    """
    home = next((finder.find(each.cgroup) for each in processes if each.pid == 1), None)
    found = {}
    for process in processes:
        container = finder.find(process.cgroup)
        if container is not None and container != home:
            found[process.identity] = container
    return found


def _accounts(uids: Mapping[str, str], pods: Sequence[Pod]) -> dict[str, Account]:
    """The account of each container, by the pod it is listed in or by its pod's uid (`uids`)."""
    by_uid = {pod.uid: pod for pod in pods if pod.uid}
    by_container = {each.id: pod for pod in pods for each in pod.containers if each.id}
    found = {
        container: _account(by_container.get(container) or by_uid.get(uid), uid, container)
        for container, uid in uids.items()
    }
    listed = {name: _account(pod, pod.uid, name) for name, pod in by_container.items()}
    return listed | found


def _account(pod: Pod | None, uid: str, container: str) -> Account:
    """A pod's workload; of one that is not known its uid, and without a pod the container's id."""
    if pod is not None:
        return Account(clean_name(pod.workload))
    return Account(clean_name(f"pod/{uid}" if uid else f"container/{container[:12]}"))


def _request(container: PodContainer, by_weight: Mapping[str, Request]) -> Request:
    """What the pod says it asked for; where it says nothing of CPU, its control group's weight."""
    milli = container.cpu_milli
    if milli is None:
        milli = by_weight.get(container.id, Request()).milli_cores
    return Request(milli, container.memory_bytes or 0)


def _by_pod(pods: Iterable[Pod], kubelet: Kubelet | None) -> dict[tuple[str, str], Account]:
    """Accounts by namespace and name; a pod that only the kubelet knows goes by its name."""
    known = {(pod.namespace, pod.name): Account(clean_name(pod.workload)) for pod in pods}
    for grant in kubelet.grants if kubelet else ():
        key = (grant.namespace, grant.pod)
        if key not in known:
            known[key] = Account(clean_name(f"{grant.namespace}/pod/{grant.pod}"))
    return known


def _identities(pods: Iterable[Pod], accounts: Iterable[Account]) -> dict[str, Identity]:
    """By workload; of several pods the one with the most hosts says how many there are."""
    found = {account.workload: Identity(WorkloadKind.OTHER) for account in accounts}
    known: dict[str, Identity] = {}
    for pod in sorted(pods, key=lambda pod: (pod.hosts, pod.owner, pod.uid)):
        known[clean_name(pod.workload)] = Identity(pod.kind, pod.owner, pod.hosts)
    return found | known


def process_name(process: Process) -> str:
    """What a workload without any other name is called: its systemd unit, else its program."""
    if unit := _UNIT.search(process.cgroup):
        return clean_name(unit[1])
    words = process.command.split()
    last = [word.rpartition("/")[2] for word in words if not word.startswith("-")]
    names = [name for name in last if name]
    if len(names) > 1 and _INTERPRETER.fullmatch(names[0]):
        return clean_name(names[1])
    return clean_name(names[0] if names else f"pid-{process.pid}")
