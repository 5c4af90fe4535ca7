"""Pods as the API server has them, in our words. What users write into them is untrusted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from unitcost.collectors.kube import quantity
from unitcost.collectors.kube.api_types import Container, ContainerStatus, PodObject
from unitcost.collectors.kube.scrape import Refused, address_of, counts_itself, scrape_of
from unitcost.pricing.container import Pod, PodContainer, Scrape
from unitcost.pricing.workload import WorkloadKind, clean_name

MAX_HOSTS = 100_000
_HOSTS = "unitcost.io/hosts"
_LWS = "leaderworkerset.sigs.k8s.io"
_JOB_SET = "jobset.sigs.k8s.io/jobset-name"
# A static pod's UID on the node, which the API server knows as another pod's.
_ON_NODE = "kubernetes.io/config.mirror"
_ENDED = frozenset({"Succeeded", "Failed"})
_TEMPLATE_HASHES = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
_TIME_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels or annotations that say who owns a pod and what it is a part of; the first counts."""

    owner: tuple[str, ...]
    group: tuple[str, ...]


def ended(pod: PodObject) -> bool:
    """Whether all its containers have ended for good."""
    return pod.status.phase in _ENDED


def rows(pods: Iterable[PodObject], labels: Labels) -> tuple[Pod, ...]:
    """The pods, with the group each is in and on how many hosts that runs."""
    pods = tuple(pods)
    local = Counter(_group(pod, labels) for pod in pods if not ended(pod))
    return tuple(_row(pod, labels, local) for pod in pods)


def scrape_faults(pods: Iterable[PodObject]) -> Iterator[str]:
    """What pods say of their metrics pages and cannot be used, a line each."""
    for pod in pods:
        try:
            scrape_of(pod)
        except Refused as error:
            yield clean_name(f"{pod.metadata.namespace}/{pod.metadata.name}") + f": {error}"


def _row(pod: PodObject, labels: Labels, local: Mapping[tuple[str, str], int]) -> Pod:
    meta = pod.metadata
    kind, name, is_job = _controller(pod)
    namespace, group = _group(pod, labels)
    scrape, itself = _scrape(pod), _counts_itself(pod)
    other = WorkloadKind.INFERENCE if scrape or itself else WorkloadKind.OTHER
    return Pod(
        uid=clean_name(pod.says(_ON_NODE) or meta.uid),
        namespace=namespace,
        name=meta.name,
        controller=clean_name(f"{namespace}/{kind}/{name}"),
        kind=WorkloadKind.TRAINING if is_job else other,
        owner=_first(pod, labels.owner),
        group=group,
        hosts=_hosts(pod, local[namespace, group]),
        containers=tuple(_containers(pod)),
        address="" if ended(pod) else address_of(pod),
        scrape=scrape,
        counts_itself=itself,
    )


def _scrape(pod: PodObject) -> Scrape | None:
    """Where its metrics page is; nowhere once it has ended, for its address may be another's."""
    try:
        return None if ended(pod) else scrape_of(pod)
    except Refused:
        return None


def _counts_itself(pod: PodObject) -> bool:
    """Whether its units are its sidecar's to count; not where what it says cannot be used."""
    try:
        return counts_itself(pod)
    except Refused:
        return False


def _first(pod: PodObject, names: Iterable[str]) -> str:
    return clean_name(next(filter(None, map(pod.says, names)), ""))


def _controller(pod: PodObject) -> tuple[str, str, bool]:
    """Kind and name of the top controller, and whether it is a job: something that ends."""
    owner = next((each for each in pod.metadata.owner_references or () if each.controller), None)
    if owner is None:
        return "Pod", pod.metadata.name, False
    is_job = owner.kind.endswith(("Job", "JobSet"))
    if lws := pod.says(f"{_LWS}/name"):
        return "LeaderWorkerSet", lws, False
    if owner.kind == "Job" and (job_set := pod.says(_JOB_SET)):
        return "JobSet", job_set, True
    return *_above(pod, owner.kind, owner.name), is_job


def _above(pod: PodObject, kind: str, name: str) -> tuple[str, str]:
    """The controller of a controller, whose name the latter's begins with."""
    base, _, last = name.rpartition("-")
    if kind == "ReplicaSet" and base:
        for label, above in _TEMPLATE_HASHES.items():
            if last == pod.says(label):
                return above, base
    if kind == "Job" and base and last.isdigit() and len(last) >= _TIME_DIGITS:
        return "CronJob", base
    return kind, name


def _group(pod: PodObject, labels: Labels) -> tuple[str, str]:
    """Namespace and group, the latter empty for a pod in none."""
    group = _first(pod, labels.group)
    name, index = pod.says(f"{_LWS}/name"), pod.says(f"{_LWS}/group-index")
    if not group and name:
        group = clean_name(f"{name}-{index}" if index else name)
    return pod.metadata.namespace, group


def _hosts(pod: PodObject, local: int) -> int:
    """On how many hosts its workload runs, at most.

    A LeaderWorkerSet says of how many pods a group is. Which nodes the others are on cannot be
    known from here, so each of them counts as one.
    """
    if said := _number(pod.says(_HOSTS)):
        return said
    size = _number(pod.says(f"{_LWS}/size"))
    return max(1, size - local + 1) if local else 1


def _number(text: str) -> int:
    """A number of hosts, 0 where it is none."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return number if number <= MAX_HOSTS else 0


def _containers(pod: PodObject) -> Iterable[PodContainer]:
    spec, status = pod.spec, pod.status
    states = {each.name: each for each in status.container_statuses or ()}
    for container in spec.containers or ():
        yield _container(container, states.get(container.name))
    states = {each.name: each for each in status.init_container_statuses or ()}
    for container in spec.init_containers or ():
        if container.restart_policy == "Always":  # a sidecar; others end before the pod begins
            yield _container(container, states.get(container.name))


def _container(container: Container, state: ContainerStatus | None) -> PodContainer:
    requests = (container.resources.requests if container.resources else None) or {}
    cpu, memory = requests.get("cpu"), requests.get("memory")
    return PodContainer(
        name=container.name,
        id=((state.container_id if state else None) or "").rpartition("://")[2],
        ready=state.ready if state else None,
        cpu_milli=None if cpu is None else quantity.cpu_milli(str(cpu)),
        memory_bytes=None if memory is None else quantity.size_bytes(str(memory)),
    )
