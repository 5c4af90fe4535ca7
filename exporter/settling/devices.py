"""Accelerators in a tick: from what collectors and the kubelet said to each device's shares."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.owners import Owners
from unitcost.exporter.settling.pod import pod_places
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.state import ResourceShares
from unitcost.pricing.allocate import Busy, Method, Share, unheld
from unitcost.pricing.container import Grant
from unitcost.pricing.device import Device
from unitcost.pricing.device_holders import (
    Claims,
    Granted,
    Holdings,
    claims_by_process,
    granted,
    parts_of,
)
from unitcost.pricing.device_shares import device_shares
from unitcost.pricing.pod import own_part
from unitcost.pricing.resource import MICRO, Resource
from unitcost.pricing.sm_time import sm_millionths
from unitcost.pricing.workload import SYSTEM, Account

Signals = Mapping[tuple[str, str], str]
"""Which signal tells busy from idle, by workload and resource."""


@dataclass(slots=True)
class DeviceMeter:
    """Remembers what the next tick needs: who the last pids were, and which devices answered."""

    accounts: Mapping[int, Account] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    seen_ns: dict[str, int] = field(default_factory=dict)
    signals: dict[tuple[str, str], str] = field(default_factory=dict)
    unknown: tuple[Grant, ...] = ()

    def resources(
        self, observed: Observed, before: Sequence[Resource], mono_ns: int, keep_ns: int
    ) -> tuple[Resource, ...]:
        """All devices: those there are, and those known before that may only be out of sight.

        While no collector speaks of devices (no driver, paused) none is given up; else one is
        that was not seen for `keep_ns`.
        """
        now = {device.id for device in observed.devices or ()}
        known = [each.id for each in before if each.is_gpu]
        for name in {*now, *(known if observed.devices is None else ())}:
            self.seen_ns[name] = mono_ns
        kept = [
            name for name in known if mono_ns - self.seen_ns.setdefault(name, mono_ns) < keep_ns
        ]
        return tuple(Resource(name, MICRO) for name in sorted({*kept, *now}))

    def shares(
        self,
        rules: Rules,
        observed: Observed,
        owners: Owners,
        ready: Set[str],
        loading: Set[Account],
        busy: Mapping[Account, Busy],
        before: Sequence[ResourceShares],
    ) -> dict[str, list[Share]]:
        """The shares of each device; of one that cannot be read now, its last ones (`before`)."""
        devices = observed.devices or ()
        names = {account.workload for account in owners.holders}
        self.signals = {key: each for key, each in self.signals.items() if key[0] in names}
        grants = self._granted(observed, owners, ready)
        configured = _configured(rules, devices, owners)
        replicas = rules.pod.replicas if rules.pod else 1
        found = {
            each.resource.id: _still_held(each.shares, owners)
            for each in before
            if each.resource.is_gpu
        }
        for device in devices:
            if device.lost or self._silent(device):
                continue
            sm = self._sm_time(device, owners)
            holdings = Holdings(grants.holds, _by_process(device, owners, sm), configured)
            split = device_shares(parts_of(device, holdings, sm), device.slices or 1, loading, busy)
            now = own_part(split.shares, replicas) if rules.pod else split.shares
            found[device.id] = _carried(now) if observed.stale else now
            for account, signal in split.signals.items():
                self.signals[account.workload, device.id] = signal
        self.accounts = owners.account_of_pid
        return found

    def _granted(self, observed: Observed, owners: Owners, ready: Set[str]) -> Granted:
        if observed.kubelet is None:
            self.unknown = ()
            return Granted({})
        accounts = owners.tenants.account_of_pod
        loading = _loading_pods(observed, ready)
        grants = granted(observed.kubelet, observed.devices or (), accounts, loading)
        self.unknown = grants.unknown
        return grants

    def _silent(self, device: Device) -> bool:
        """Whether nothing could be read of a device that gave something before."""
        if (device.processes, device.samples, device.busy) != (None, None, None):
            self.answered.add(device.id)
            return False
        return not device.slices and device.id in self.answered

    def _sm_time(self, device: Device, owners: Owners) -> dict[Account, int] | None:
        """SM time by account, in millionths of the interval; None where nothing tells.

        Pids none of which is known are those of another namespace: they say nothing. One that is
        gone by now is known from the last reading.
        """
        if device.samples is None:
            return None
        by_pid = sm_millionths(device.samples)
        known = {pid: owners.account_of_pid.get(pid) or self.accounts.get(pid) for pid in by_pid}
        if by_pid and not any(known.values()):
            return None
        found: dict[Account, int] = {}
        for pid, millionths in by_pid.items():
            account = known[pid] or Account(SYSTEM)
            found[account] = found.get(account, 0) + millionths
        return found


def _loading_pods(observed: Observed, ready: Set[str]) -> set[tuple[str, str]]:
    """Pods with containers of which the cluster says whether they are ready, and none ever was."""
    found = set()
    for pod in observed.pods:
        known = [f"container:{each.id}" for each in pod.containers if each.ready is not None]
        if known and not any(identity in ready for identity in known):
            found.add((pod.namespace, pod.name))
    return found


def _by_process(device: Device, owners: Owners, sm: Mapping[Account, int] | None) -> Claims:
    """Who computes on which part of a device, or did since the last reading."""
    claims = {
        place: dict(held)
        for place, held in claims_by_process(device, owners.account_of_pid).items()
    }
    for account in sm or ():
        if account.workload != SYSTEM:
            claims.setdefault((device.id, ""), {})[account] = 1
    return claims


def _configured(rules: Rules, devices: Sequence[Device], owners: Owners) -> Claims:
    """Devices that the configuration reserves for workloads, while these run."""
    found: dict[tuple[str, str], dict[Account, int]] = {}
    for account in owners.holders:
        rule = rules.workloads.get(account.workload)
        for wanted in rule.reservation.gpus if rule else ():
            for device in devices:
                ids = {instance.id for instance in device.instances}
                if wanted in (device.uuid, str(device.index)):
                    found.setdefault((device.id, ""), {})[account] = 1
                elif wanted in ids:
                    found.setdefault((device.id, wanted), {})[account] = 1
    if rules.pod is not None:
        for place in pod_places(rules.pod, devices):
            found.setdefault(place, {rules.pod.account: 1})
    return found


def _still_held(shares: Sequence[Share], owners: Owners) -> list[Share]:
    """The last shares, carried; what those held who are gone since is nobody's."""
    kept, left = [], 0
    for share in shares:
        account = replace(share.account, model="")
        if account.reserved or account in owners.holders:
            kept.append(share)
        else:
            left += share.weight
    return _carried(kept) + (unheld(left) if left else [])


def _carried(shares: list[Share]) -> list[Share]:
    return [
        share if share.method is Method.REMAINDER else replace(share, method=Method.CARRIED)
        for share in shares
    ]
