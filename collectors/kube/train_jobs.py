"""TrainJobs of Kubeflow Trainer as the API server has them, and which pods of this node are theirs.

`status.trainerStatus` is there from Trainer v2.2 with the feature gate `TrainJobStatus` (alpha):
what Hugging Face's callback posts, as the controller took it over. A TrainJob's pods are those of
a JobSet by its name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from unitcost.pricing.container import Pod

GROUP = "trainer.kubeflow.org/v1alpha1"
MAX_JOBS = 64
"""TrainJobs of one node that are asked for."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_SCHEMA = "/JobSet/"


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Fields that are absent have their defaults; those that are not of their type are an error."""


class Metric(_Part, frozen=True):
    """A metric as the framework reported it; its value is a text."""

    name: str = ""
    value: str = ""


class TrainerStatus(_Part, frozen=True):
    """What the framework reported last."""

    progress_percentage: int | None = None
    metrics: tuple[Metric, ...] | None = None
    last_updated_time: str | None = None


class Condition(_Part, frozen=True):
    """What is so of a TrainJob: `Complete`, `Failed`, `Suspended`."""

    type: str = ""
    status: str = ""


class Status(_Part, frozen=True):
    """A TrainJob as it is."""

    conditions: tuple[Condition, ...] | None = None
    trainer_status: TrainerStatus | None = None


class Trainer(_Part, frozen=True):
    """How it trains."""

    num_nodes: int | None = None


class Spec(_Part, frozen=True):
    """A TrainJob as it was asked for."""

    trainer: Trainer | None = None


class Metadata(_Part, frozen=True):
    """Whose name it bears, and when it was made."""

    uid: str = ""
    creation_timestamp: str | None = None


class TrainJob(_Part, frozen=True):
    """A TrainJob."""

    metadata: Metadata = Metadata()
    spec: Spec = Spec()
    status: Status = Status()

    def has(self, condition: str) -> bool:
        """Whether a condition is true of it."""
        found = self.status.conditions or ()
        return any(each.type == condition and each.status == "True" for each in found)


@dataclass(frozen=True, slots=True)
class JobSet:
    """A JobSet with pods on this node: maybe a TrainJob's. `leads`: rank 0 is one of them."""

    namespace: str
    name: str
    workload: str
    leads: bool

    @property
    def path(self) -> str:
        """Where the API server has the TrainJob of its name."""
        return f"/apis/{GROUP}/namespaces/{self.namespace}/trainjobs/{self.name}"


def job_sets(pods: Iterable[Pod]) -> tuple[JobSet, ...]:
    """The JobSets that pods of this node belong to, at most `MAX_JOBS`."""
    found: dict[tuple[str, str], JobSet] = {}
    for pod in pods:
        namespace, kind, name = pod.controller.partition(_SCHEMA)
        if not kind or not _NAME.fullmatch(name) or not _NAME.fullmatch(namespace):
            continue
        known = found.get((namespace, name))
        leads = _leads(pod.name, name) or (known is not None and known.leads)
        found[namespace, name] = JobSet(namespace, name, pod.workload, leads)
    return tuple(found[key] for key in sorted(found))[:MAX_JOBS]


def _leads(pod: str, job: str) -> bool:
    """Whether a pod is the first of the replicated job `node`, where global rank 0 runs."""
    return re.fullmatch(rf"{re.escape(job)}-node-0-0-[a-z0-9]{{5}}", pod) is not None
