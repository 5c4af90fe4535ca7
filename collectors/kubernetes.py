"""Kubernetes: which devices the kubelet gave to which pods, and who these are.

The kubelet of this host is asked on its socket; pods, and what claims of devices mean, come from
the cluster's API server, as our own pod's service account.
"""

import os
import time
import weakref
from collections.abc import Iterable
from typing import Annotated

import msgspec

from unitcost.collectors.base import Context, NoData, Problem, Reading
from unitcost.collectors.kube.apiserver import ApiError, ApiServer, api_server
from unitcost.collectors.kube.kubelet import ExtraMissing
from unitcost.collectors.kube.pod_groups import PodGroups
from unitcost.collectors.kube.pods import Labels
from unitcost.collectors.kube.presence import Holding, Presence
from unitcost.collectors.kube.roster import Roster
from unitcost.collectors.kube.watch import KubeletWatch, Watched
from unitcost.pricing.container import Grant, Kubelet

MAX_WAIT = 1.0
"""Seconds for which a reading waits to learn about pods that have just come up."""
_MARGIN = 0.25

Seconds = Annotated[float, msgspec.Meta(ge=0.05, le=60)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`socket`: the kubelet's, asked every `poll` seconds; `timeout`: for an answer, in seconds.

    `cgroups`: where the host's control groups are seen. While those of pods stay as they are the
    kubelet is asked every fifth time only.
    `resources`: names of resources and DRA drivers that are devices; ``*`` stands for anything.
    `node_name`: else the environment's NODE_NAME. `service_account`: the folder with our pod's
    token. `owner_labels`, `group_labels`: labels or annotations that say who owns a pod, and what
    it is a part of; the first that is there counts. `pod_logs`: where the host's logs of pods are.
    """

    socket: str = "/var/lib/kubelet/pod-resources/kubelet.sock"
    cgroups: str = "/sys/fs/cgroup"
    poll: Seconds = 1.0
    timeout: Seconds = 5.0
    resources: tuple[str, ...] = ("nvidia.com/*", "gpu.nvidia.com")
    node_name: str = ""
    service_account: str = "/var/run/secrets/kubernetes.io/serviceaccount"
    owner_labels: tuple[str, ...] = ("unitcost.io/owner", "team")
    group_labels: tuple[str, ...] = ("unitcost.io/group",)
    pod_logs: str = "/var/log/pods"


class KubernetesCollector:
    """Watches the kubelet and the API server between readings, until it is closed."""

    name = "kubernetes"

    def __init__(self, options: Options, api: ApiServer | None, fault: str = "") -> None:
        self._has_api = api is not None
        self._faults = (Problem("apiserver", fault),) if fault else ()
        presence = Presence()
        self._roster = Roster(
            api,
            Labels(options.owner_labels, options.group_labels),
            options.pod_logs,
            lambda ended: presence.finish(ended, time.monotonic_ns()),
        )
        self._watch = KubeletWatch(
            options.socket,
            options.resources,
            options.poll,
            options.timeout,
            presence,
            self._roster.look_for,
            PodGroups(options.cgroups),
        )
        # Whoever drops this without closing it leaves no threads behind.
        weakref.finalize(self, _close, self._watch, self._roster)

    def collect(self, deadline: float) -> Reading:
        """Who held which device since the last reading, and all pods of this node.

        Raises NoData where there is neither a kubelet nor an API server, KubeletError where the
        kubelet has not answered since the last reading: permission denied, down, or too slow.
        """
        watched, faults = self._watched(deadline)
        self._roster.settle(min(MAX_WAIT, deadline - _MARGIN - time.monotonic()))
        held = watched.span.held if watched else {}
        pods = self._roster.take({holding.of_pod for holding in held})
        return Reading(
            problems=faults + self._faults + self._roster.problems() + self._unknown(held),
            kubelet=self._kubelet(watched) if watched else None,
            pods=pods if watched or self._has_api else None,
        )

    def close(self, timeout: float = 0.0) -> None:
        """End what runs in the background, and wait for that `timeout` seconds at most."""
        _close(self._watch, self._roster, timeout)

    def _watched(self, deadline: float) -> tuple[Watched | None, tuple[Problem, ...]]:
        try:
            return self._watch.take(deadline), ()
        except ExtraMissing as missing:
            return None, (Problem("kubelet", str(missing)),)
        except NoData:
            if not self._has_api:
                raise
            return None, ()

    def _kubelet(self, watched: Watched) -> Kubelet:
        span = watched.span
        grants = tuple(
            Grant(
                holding.namespace,
                holding.pod,
                holding.container,
                holding.resource,
                self._device(holding) or holding.device,
                held_ns,
            )
            for holding, held_ns in sorted(span.held.items())
        )
        return Kubelet(span.end_ns, span.span_ns, grants, watched.allocatable)

    def _device(self, holding: Holding) -> str:
        return self._roster.uuid(holding.device) if holding.claimed else holding.device

    def _unknown(self, held: Iterable[Holding]) -> tuple[Problem, ...]:
        devices = {holding.device for holding in held if not self._device(holding)}
        text = "no resource slice tells the UUID of"
        return tuple(Problem("claim", f"{text} {device}"[:300]) for device in sorted(devices))


def _close(watch: KubeletWatch, roster: Roster, timeout: float = 0.0) -> None:
    watch.close(timeout)
    roster.close(timeout)


def _api_server(options: Options) -> ApiServer | None:
    return api_server(os.environ, options.service_account, options.node_name, options.timeout)


def make_collector(options: Options, context: Context) -> KubernetesCollector:
    """The collector for this node: its kubelet, and its cluster's API server if we run in one."""
    try:
        api = _api_server(options)
    except ApiError as error:
        return KubernetesCollector(options, None, str(error))
    return KubernetesCollector(options, api)
