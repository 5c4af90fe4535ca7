"""Units that somebody else counts: those of pods whose own sidecar does."""

from collections.abc import Iterable, Sequence

from unitcost.pricing.container import Pod
from unitcost.pricing.container_path import container_of
from unitcost.pricing.sample import Process, Subject


def counted_elsewhere(
    subjects: Iterable[Subject], processes: Iterable[Process], pods: Sequence[Pod]
) -> frozenset[str]:
    """The subjects, by id, that are in a pod which says that its sidecar counts its units.

    What the pod costs is charged all the same, whatever it says: so its users can hide nothing but
    their own units.
    """
    pods = [pod for pod in pods if pod.counts_itself]
    if not pods:
        return frozenset()
    names = {f"{pod.namespace}/{pod.name}" for pod in pods}
    uids = {pod.uid for pod in pods if pod.uid}
    containers = {each.id for pod in pods for each in pod.containers if each.id}
    inside = set()
    for process in processes:
        found = container_of(process.cgroup)
        if found is not None and (found[0] in uids or found[1] in containers):
            inside.add((process.pid, process.started))
    return frozenset(
        subject.id
        for subject in subjects
        if subject.pod in names or (subject.pid, subject.started) in inside
    )
