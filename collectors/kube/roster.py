"""The pods of this node and the devices that claims name, kept up to date in the background."""

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice

from unitcost.collectors.base import Problem
from unitcost.collectors.kube.api_types import PodObject
from unitcost.collectors.kube.apiserver import ApiError, ApiServer
from unitcost.collectors.kube.known import KnownPods, Name, put_last
from unitcost.collectors.kube.names import logged_pods
from unitcost.collectors.kube.pods import Labels, ended, rows, scrape_faults
from unitcost.collectors.kube.presence import Holding
from unitcost.collectors.kube.repeater import Repeater
from unitcost.collectors.kube.slices import uuids
from unitcost.pricing.container import Pod

_PERIOD = 15.0
_LEAST = 1.0
_MOST_FAULTS = 64
_SLICES_NS = 60 * 10**9
_TRIES = 3
"""How often something new is asked for at once; after that it has to wait for its turn."""


class Roster:
    """Knows the pods of this node: from the API server if there is one, else from their names.

    Asks every 15 s, and within a second when a pod or a claimed device comes up. `on_ended` is
    called, in its thread, with the pods that have ended.
    """

    def __init__(
        self,
        api: ApiServer | None,
        labels: Labels,
        pod_logs: str,
        on_ended: Callable[[frozenset[Name]], None],
    ) -> None:
        self._api = api
        self._labels = labels
        self._pod_logs = pod_logs
        self._on_ended = on_ended
        self._thread = Repeater("kubernetes-api", self._refresh, _PERIOD, _LEAST)
        self._changed = threading.Condition()
        self._pods = KnownPods()
        self._listed: frozenset[Name | str] = frozenset()
        self._sought: dict[Name | str, int] = {}
        self._uuids: dict[str, str] = {}
        self._slices_ns = 0
        self._errors: dict[str, str] = {}
        self._faults: tuple[str, ...] = ()
        self._told: set[str] = set()

    def look_for(self, listed: frozenset[Holding]) -> None:
        """What the kubelet lists now; pods and claimed devices that are new in it are sought."""
        names: set[Name | str] = {holding.of_pod for holding in listed}
        names |= {holding.device for holding in listed if holding.claimed}
        with self._changed:
            new = names - self._listed
            still = {name: tries for name, tries in self._sought.items() if name in names}
            self._sought = still | dict.fromkeys(new, 0)
            self._listed = frozenset(names)
        if new:
            self._thread.wake()

    def settle(self, timeout: float) -> None:
        """Wait until what is sought is known or cannot be had, `timeout` seconds at most."""
        if self._api is not None:
            self._thread.start()
            with self._changed:
                self._changed.wait_for(self._is_settled, max(0.0, timeout))

    def take(self, holders: Iterable[Name]) -> tuple[Pod, ...]:
        """All pods known, and one for each of `holders`; of those by one name the newest last."""
        with self._changed:
            return self._pods.take(holders, lambda: logged_pods(self._pod_logs))

    def uuid(self, device: str) -> str:
        """The UUID of a claimed device (``driver/pool/device``), empty if it is not known."""
        with self._changed:
            return self._uuids.get(device, "")

    def problems(self) -> tuple[Problem, ...]:
        """What went wrong the last time; and what pods say and cannot be used, each once."""
        with self._changed:
            faults = [text for text in self._faults if text not in self._told]
            self._told = self._told & set(self._faults) | set(faults)
            errors = tuple(Problem("apiserver", text) for text in self._errors.values())
            return errors + tuple(Problem("annotation", text) for text in faults)

    def close(self, timeout: float = 0.0) -> None:
        """End the thread, and wait until it has ended, `timeout` seconds at most."""
        self._thread.close(timeout)

    def _is_settled(self) -> bool:
        return not self._sought and (self._pods.listed or bool(self._errors))

    def _refresh(self) -> None:
        """Ask for everything that is due. In the thread."""
        if self._api is None:
            return
        with self._changed:
            sought = tuple(self._sought)
        self._try("pods", self._refresh_pods, self._api)
        if self._slices_are_due(sought):
            self._try("slices", self._refresh_slices, self._api)
        with self._changed:
            self._count_tries(sought)
            again = bool(self._sought)
            self._changed.notify_all()
        if again:
            self._thread.wake()

    def _try(self, what: str, act: Callable[[ApiServer], None], api: ApiServer) -> None:
        fault = ""
        try:
            act(api)
        except ApiError as error:
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - the thread must live on
            fault = f"{type(error).__name__}: {error}"[:200]
        with self._changed:
            self._errors.pop(what, None)
            if fault:
                self._errors[what] = fault

    def _refresh_pods(self, api: ApiServer) -> None:
        found = api.pods()
        pods = rows(found, self._labels)
        faults = tuple(islice(scrape_faults(found), _MOST_FAULTS))
        with self._changed:
            self._pods.update(pods)
            self._faults = faults
        self._on_ended(frozenset(_name(pod) for pod in found if ended(pod)))

    def _slices_are_due(self, sought: Iterable[Name | str]) -> bool:
        """Only where something is claimed: without DRA, a cluster need not allow to ask."""
        if any(isinstance(name, str) for name in sought):
            return True
        claims = any(isinstance(name, str) for name in self._listed)
        return claims and time.monotonic_ns() - self._slices_ns >= _SLICES_NS

    def _refresh_slices(self, api: ApiServer) -> None:
        self._slices_ns = time.monotonic_ns()
        found = uuids(api.slices())
        with self._changed:
            # Added to those before: a device that is no longer offered may still be held.
            for device, uuid in found.items():
                put_last(self._uuids, device, uuid)

    def _count_tries(self, sought: Iterable[Name | str]) -> None:
        known = self._pods.names() | self._uuids.keys()
        for name in sought:
            tries = self._sought.pop(name, _TRIES) + 1
            if tries < _TRIES and name not in known:
                self._sought[name] = tries


def _name(pod: PodObject) -> Name:
    return pod.metadata.namespace, pod.metadata.name
