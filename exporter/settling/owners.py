"""Owners: which account each process, container and pod is booked on, and who its holders are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.pod import PodRule, pod_tenants, requests_of
from unitcost.exporter.settling.rules import Rules
from unitcost.exporter.settling.states import holding_account
from unitcost.pricing.attribute import NOBODY, Claim, RuleMatcher, attribute
from unitcost.pricing.sample import Subject
from unitcost.pricing.tenants import (
    ContainerFinder,
    Identity,
    Request,
    Tenants,
    process_name,
    tenants_of,
)
from unitcost.pricing.training_sources import adopted
from unitcost.pricing.workload import SYSTEM, Account

Book = Callable[[Account, Identity | None], Account]
"""Says under which account one that holds something is booked: its own, or ``__other__``.

The identity is what its pods say of the workload, where it has any."""
NOT_HOLDERS = ("nvidia-cuda-mps-server", "nvidia-cuda-mps-control", "nvidia-persistenced")
"""Programs that have a context on an accelerator in the name of others."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Accounts by process identity and by pid, the tenants, and the holders of each account.

    A holder's identity is its process's pid and start, ``container:`` and its container's id, or
    ``pod:`` and its pod's name where nothing more is known of it.
    """

    account_of: Mapping[str, Account] = field(default_factory=dict)
    account_of_pid: Mapping[int, Account] = field(default_factory=dict)
    holders: Mapping[Account, frozenset[str]] = field(default_factory=dict)
    tenants: Tenants = field(default_factory=Tenants)

    @property
    def ready(self) -> frozenset[str]:
        """Identities of holders that the cluster says are ready."""
        return frozenset(f"container:{name}" for name in self.tenants.ready)

    def seen(self) -> set[Account]:
        """Accounts of whose containers the cluster says whether they are ready."""
        accounts = self.tenants.account_of_container
        return {accounts[name] for name in self.tenants.seen if name in accounts}


def owners_of(
    observed: Observed,
    matcher: RuleMatcher,
    finder: ContainerFinder,
    book: Book,
    known: Mapping[str, Account] = NOBODY,
    pod: PodRule | None = None,
) -> Owners:
    """Everything on this host that belongs to somebody, under the accounts that are booked.

    `known`: who held devices before, by identity, while these cannot be seen. `pod`: the one we are
    in, which holds something whether or not we see any of its processes.
    """
    if pod is not None:
        tenants = pod_tenants(pod, observed.processes)
    else:
        tenants = tenants_of(
            observed.processes, observed.pods, observed.containers or (), observed.kubelet, finder
        )
    claims = [claim_of(subject) for subject in observed.subjects]
    found = attribute(
        observed.processes,
        observed.listeners,
        claims,
        matcher,
        tenants.by_process(),
        {**known, **_device_holders(observed, tenants)},
    )
    tenants = tenants.claimed(_claims_inside(found.account_of, tenants))
    account_of = {**found.account_of, **tenants.by_process()}
    within = tenants.container_of
    holders: dict[Account, set[str]] = {}
    for account, identities in found.holders.items():
        own = {identity for identity in identities if identity not in within}
        if own:
            holders[account] = own
    for identity, account in _tenant_holders(observed, tenants):
        holders.setdefault(account, set()).add(identity)
    if pod is not None:
        holders.setdefault(pod.account, {pod.id})
    said = tenants.identities
    runs = adopted(observed.subjects)
    names = {
        account: book(runs.get(account, account), said.get(account.workload)) for account in holders
    }
    return _booked(observed, account_of, holders, tenants, names)


def grounds_of(observed: Observed) -> object:
    """All of an observation that decides who owns what; equal for two that lead to the same."""
    kubelet, uses = observed.kubelet, observed.containers
    return (
        [
            (p.pid, p.started, p.parent, p.command, p.user, p.cgroup, p.visible_devices)
            for p in observed.processes
        ],
        observed.listeners,
        [claim_of(subject) for subject in observed.subjects],
        list(adopted(observed.subjects).items()),
        observed.pods,
        None if uses is None else [(use.id, use.pod_uid, use.cpu_request_milli) for use in uses],
        {(grant.namespace, grant.pod) for grant in kubelet.grants} if kubelet else None,
        [(p.pid, p.graphics) for each in observed.devices or () for p in each.processes or ()],
    )


def _booked(
    observed: Observed,
    account_of: Mapping[str, Account],
    holders: Mapping[Account, set[str]],
    tenants: Tenants,
    names: Mapping[Account, Account],
) -> Owners:
    """The owners with each account under the name it is booked on."""
    merged: dict[Account, frozenset[str]] = {}
    for account, found in holders.items():
        merged[names[account]] = merged.get(names[account], frozenset()) | found
    renamed = {identity: names.get(account, account) for identity, account in account_of.items()}
    by_pid = {process.pid: renamed[process.identity] for process in observed.processes}
    tenants = tenants.renamed(lambda account: names.get(account, account))
    return Owners(renamed, by_pid, merged, tenants)


def claim_of(subject: Subject) -> Claim:
    """A subject's claim on the process that does its work."""
    return Claim(holding_account(subject), subject.pid, subject.started, subject.port)


def _device_holders(observed: Observed, tenants: Tenants) -> dict[str, Account]:
    """Accounts of processes that compute on an accelerator and are in no container."""
    pids = {
        process.pid
        for device in observed.devices or ()
        for process in device.processes or ()
        if not process.graphics
    }
    if not pids:
        return {}
    return {
        process.identity: Account(process_name(process))
        for process in observed.processes
        if process.pid in pids
        and process.identity not in tenants.container_of
        and not any(name in process.command for name in NOT_HOLDERS)
    }


def _claims_inside(
    account_of: Mapping[str, Account], tenants: Tenants
) -> dict[str, frozenset[Account]]:
    """Whose processes run in each container, where these are not the pod's own."""
    found: dict[str, frozenset[Account]] = {}
    for identity, container in tenants.container_of.items():
        account = account_of[identity]
        if account.workload != SYSTEM and account != tenants.account_of_container[container]:
            found[container] = found.get(container, frozenset()) | {account}
    return found


def _tenant_holders(observed: Observed, tenants: Tenants) -> list[tuple[str, Account]]:
    """Containers that live, and pods that were given a device."""
    alive = set(tenants.container_of.values())
    if observed.containers is None:
        alive |= tenants.account_of_container.keys()
    else:
        alive |= {use.id for use in observed.containers} & tenants.account_of_container.keys()
    found = [(f"container:{name}", tenants.account_of_container[name]) for name in sorted(alive)]
    with_containers = {
        tenants.account_of_container[each.id]
        for pod in observed.pods
        for each in pod.containers
        if each.id in alive
    }
    for grant in observed.kubelet.grants if observed.kubelet else ():
        account = tenants.account_of_pod[grant.namespace, grant.pod]
        if account not in with_containers:
            found.append((f"pod:{grant.namespace}/{grant.pod}", account))
    return found


def reserved(rules: Rules, owners: Owners) -> dict[Account, Request]:
    """What each account that holds something has reserved: as configured, and as its pods asked.

    Accounts of one workload share what is configured equally.
    """
    sharing: dict[str, int] = {}
    for account in owners.holders:
        sharing[account.workload] = sharing.get(account.workload, 0) + 1
    found: dict[Account, Request] = {}
    for account in owners.holders:
        rule = rules.workloads.get(account.workload)
        if rule is not None:
            count, held = sharing[account.workload], rule.reservation
            found[account] = Request(held.milli_cores // count, held.memory_bytes // count)
    if rules.pod is not None:
        return requests_of(rules.pod, found)
    for container, request in owners.tenants.requests.items():
        tenant = owners.tenants.account_of_container.get(container)
        if tenant and f"container:{container}" in owners.holders.get(tenant, ()):
            found[tenant] = found.get(tenant, Request()).plus(request)
    return found
