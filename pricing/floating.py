"""Whose a server is that nobody configured: its process's or its pod's workload, else its own.

A server that was discovered comes without a workload. Its process or its pod may be a workload's
already, by a rule, a container or a parent; then its units are that workload's, and it claims
nothing: should the process become another's, its units follow. Where it is nobody's, the server is
a workload of its own under its `fallback` name, and claims its process.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from unitcost.pricing.container import Pod
from unitcost.pricing.sample import Process, Subject
from unitcost.pricing.tenants import process_name
from unitcost.pricing.workload import OVERFLOW, SYSTEM, Account, clean_name

_NO_POD = "container/"
"""How the account of a container without a pod begins: its id is another after each start."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides whose a server is: accounts by process identity, and the pods there are.

    `named`: workloads that the configuration names. `account_of` is empty while it is not known.
    """

    account_of: Mapping[str, Account] = field(default_factory=dict)
    processes: Sequence[Process] = ()
    pods: Sequence[Pod] = ()
    named: frozenset[str] = frozenset()


def landed(subjects: Iterable[Subject], ground: Ground) -> tuple[Subject, ...]:
    """The subjects, each with a workload; without those of whom it cannot be told yet."""
    subjects = tuple(subjects)
    if all(subject.workload for subject in subjects):
        return subjects
    workload_of_pod = {f"{pod.namespace}/{pod.name}": pod.workload for pod in ground.pods}
    by_identity = {process.identity: process for process in ground.processes}
    found = []
    for subject in subjects:
        if subject.workload:
            found.append(subject)
        elif subject.pod:
            if name := clean_name(workload_of_pod.get(subject.pod, "")):
                found.append(_of(subject, name))
        elif subject.pid is None or subject.started is None:
            found.append(replace(subject, workload=subject.fallback))
        else:
            identity = f"{subject.pid}@{subject.started}"
            account = ground.account_of.get(identity)
            process = by_identity.get(identity)
            if account is not None and _is_nobodys(account, process, subject, ground):
                found.append(replace(subject, workload=subject.fallback))
            elif account is not None:
                found.append(_of(subject, account.workload))
    return tuple(found)


def _of(subject: Subject, workload: str) -> Subject:
    """It counts for a workload that has its process anyway."""
    return replace(subject, workload=workload, pid=None, started=None, port=None)


def _is_nobodys(
    account: Account, process: Process | None, subject: Subject, ground: Ground
) -> bool:
    """Whether nothing but the server itself says whose its process is.

    A process that holds an accelerator is a workload by its program's name; one of several
    servers of that program is told apart by its port.
    """
    name = account.workload
    if name in (SYSTEM, OVERFLOW, subject.fallback):
        return True
    if name in ground.named:
        return False
    return name.startswith(_NO_POD) or (process is not None and name == process_name(process))
