"""Under which name one is booked: whose a server is, who answers for it, who is one too many."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.holding import HostMeter, Observed
from unitcost.exporter.settling.pod import seen_from
from unitcost.exporter.settling.rules import Rules
from unitcost.pricing.elsewhere import counted_elsewhere
from unitcost.pricing.floating import Ground, landed
from unitcost.pricing.sample import Subject
from unitcost.pricing.tenants import Identity
from unitcost.pricing.workload import Account, WorkloadKind


@dataclass(frozen=True, slots=True)
class Admission:
    """Books, a host and rules as they are in one tick."""

    books: Books
    host: HostMeter
    rules: Rules

    def admitted(self, observed: Observed, now_ns: int) -> Observed:
        """The same, each subject under the workload that it is booked on."""
        observed = self._landed(_counted_here(seen_from(self.rules.pod, observed)))
        subjects = tuple(self._admit(each, now_ns) for each in observed.subjects)
        return replace(observed, subjects=subjects)

    def book(self, account: Account, identity: Identity | None, now_ns: int) -> Account:
        """The account one is booked on that holds something."""
        rule = self.rules.workloads.get(account.workload)
        kind = rule.kind if rule else identity.kind if identity else WorkloadKind.OTHER
        owner = self._owner(account.workload, identity)
        name = self.books.admit(account.workload, kind, owner, self.rules, now_ns)
        return account if account.workload == name else Account(name)

    def owner_of(self, workload: str) -> str:
        """Who answers for a workload, whether or not it was ever here."""
        row = self.books.workloads.get(workload)
        return row.owner if row else self._owner(workload, None)

    def _landed(self, observed: Observed) -> Observed:
        """The same, with servers that nobody configured under the workload they belong to."""
        owners = self.host.owners
        known = {} if owners is None else owners.account_of
        named = frozenset(self.rules.workloads)
        if self.rules.pod is not None:
            named |= {self.rules.pod.account.workload}
        ground = Ground(known, observed.processes, observed.pods, named)
        return replace(observed, subjects=landed(observed.subjects, ground))

    def _admit(self, subject: Subject, now_ns: int) -> Subject:
        """The same under its name, or under ``__other__`` where it is over the cap."""
        owner = self._owner(subject.workload, self._identities().get(subject.workload))
        name = self.books.admit(subject.workload, subject.kind, owner, self.rules, now_ns)
        if name == subject.workload:
            return subject
        return replace(subject, workload=name, model="", run="", attempt=0)

    def _owner(self, workload: str, identity: Identity | None) -> str:
        rule = self.rules.workloads.get(workload)
        return (rule.owner if rule else "") or (identity.owner if identity else "")

    def _identities(self) -> Mapping[str, Identity]:
        """What pods said of workloads in the last tick."""
        owners = self.host.owners
        return owners.tenants.identities if owners else {}


def _counted_here(observed: Observed) -> Observed:
    """The same without what pods' own sidecars count."""
    others = counted_elsewhere(observed.subjects, observed.processes, observed.pods)
    if not others:
        return observed
    return replace(
        observed,
        subjects=[each for each in observed.subjects if each.id not in others],
        samples=[each for each in observed.samples if each.subject not in others],
    )
