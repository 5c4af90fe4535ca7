"""Whose process is whose: which account each process of the host is booked on.

A process is claimed by what it tells about itself (training state), by the port it listens on or
by a configured rule, in this order of strength. Descendants of a claimed process are its
account's, unless they are claimed themselves. A process that nobody claims so is its container's,
and one that holds an accelerator is a workload of its own. All other processes are the system's.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from unitcost.pricing.sample import Listener, Process
from unitcost.pricing.workload import SYSTEM, Account

NOBODY: Mapping[str, Account] = MappingProxyType({})
_COMMAND_SHELL = re.compile(r"(\S*/)?(ba|da|a|z|k|mk|fi|c|tc)?sh (-\S+ (pipefail )?)*-[A-Za-z]*c ")
"""A shell that runs its argument: the argument is a child's command line, not its own."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Ties a process to an account: by its pid and start together, or by a port it listens on."""

    account: Account
    pid: int | None = None
    started: int | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Ties processes to an account: all conditions given must hold; with none it never matches.

    `command` and `cgroup` are regular expressions, searched for anywhere in the text;
    `visible_devices` is the value of CUDA_VISIBLE_DEVICES.
    """

    account: Account
    command: str | None = None
    user: str | None = None
    cgroup: str | None = None
    port: int | None = None
    visible_devices: str | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """The account of each process by identity, and each account's holders.

    A holder is a claimed process without a claimed ancestor of the same account: the one whose
    start and end are the workload's. The system has none.
    """

    account_of: Mapping[str, Account]
    holders: Mapping[Account, frozenset[str]]


class RuleMatcher:
    """The configured rules, compiled, with a bounded memory of what they matched.

    Raises re.error for a rule that is not a regular expression.
    """

    def __init__(self, rules: Sequence[Rule] = (), memory: int = 4096) -> None:
        self._rules = [_compiled(rule) for rule in rules]
        self._memory = memory
        self._known: dict[tuple[str, ...], tuple[tuple[Account, int | None], ...]] = {}

    def match(self, process: Process, ports: frozenset[int]) -> Account | None:
        """The account of the first rule whose conditions `process`, listening on `ports`, meets."""
        if not self._rules:
            return None
        key = (process.command, process.user, process.cgroup, process.visible_devices)
        found = self._known.get(key)
        if found is None:
            found = tuple((r.account, r.port) for r in self._rules if r.holds(process))
            if len(self._known) >= self._memory:
                del self._known[next(iter(self._known))]
            self._known[key] = found
        return next((a for a, port in found if port is None or port in ports), None)


@dataclass(frozen=True, slots=True)
class _Compiled:
    account: Account
    conditions: tuple[Callable[[Process], bool], ...]
    port: int | None

    def holds(self, process: Process) -> bool:
        return all(condition(process) for condition in self.conditions)


def _compiled(rule: Rule) -> _Compiled:
    conditions: list[Callable[[Process], bool]] = []
    if rule.command is not None:
        command = re.compile(rule.command)
        conditions.append(lambda process: command.search(process.command) is not None)
    if rule.user is not None:
        conditions.append(lambda process: process.user == rule.user)
    if rule.cgroup is not None:
        cgroup = re.compile(rule.cgroup)
        conditions.append(lambda process: cgroup.search(process.cgroup) is not None)
    if rule.visible_devices is not None:
        wanted = rule.visible_devices
        conditions.append(lambda process: process.visible_devices == wanted)
    if not conditions and rule.port is None:
        conditions.append(lambda process: False)
    return _Compiled(rule.account, tuple(conditions), rule.port)


def attribute(
    processes: Sequence[Process],
    listeners: Iterable[Listener],
    claims: Sequence[Claim],
    matcher: RuleMatcher,
    contained: Mapping[str, Account] = NOBODY,
    devices: Mapping[str, Account] = NOBODY,
) -> Attribution:
    """Say for each process which account it is booked on, and which processes hold each account.

    Of two claims of the same strength the first counts. A claim on a pid without its start is void:
    pids are reused. `contained` and `devices`: by identity, whose container or accelerator it is.
    """
    parents = parent_identities(processes)
    ports = _ports(listeners)
    strong = _strong_claims(claims, ports)
    matched = _matches(processes, matcher, ports)
    _release_launchers(processes, matched, parents)
    nearest = _Nearest(strong, matched, parents, contained, devices)
    account_of, holders = {}, dict[Account, set[str]]()
    for process in processes:
        identity = process.identity
        claimed = nearest.claimed(identity)
        account_of[identity] = Account(SYSTEM) if claimed is None else claimed.account
        if claimed is not None and claimed.holder == identity:
            holders.setdefault(claimed.account, set()).add(identity)
    return Attribution(account_of, {a: frozenset(found) for a, found in holders.items()})


def parent_identities(processes: Iterable[Process]) -> dict[str, str]:
    """The identity of each process's parent, for those whose parent is among `processes`.

    A parent is at least as old as its child; a younger process with that pid is another one.
    """
    by_pid = {process.pid: process for process in processes}
    found = {}
    for process in by_pid.values():
        parent = by_pid.get(process.parent)
        if parent is not None and parent is not process and parent.started <= process.started:
            found[process.identity] = parent.identity
    return found


def _ports(listeners: Iterable[Listener]) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for listener in listeners:
        identity = f"{listener.pid}@{listener.started}"
        found[identity] = found.get(identity, frozenset()) | {listener.port}
    return found


def _strong_claims(
    claims: Sequence[Claim], ports: Mapping[str, frozenset[int]]
) -> dict[str, Account]:
    """Accounts by identity, of claims by pid and by port; those by pid are the stronger ones."""
    by_port: dict[int, Account] = {}
    found: dict[str, Account] = {}
    for claim in claims:
        if claim.pid is not None and claim.started is not None:
            found.setdefault(f"{claim.pid}@{claim.started}", claim.account)
        if claim.port is not None:
            by_port.setdefault(claim.port, claim.account)
    for identity, listened in ports.items():
        for port in sorted(listened & by_port.keys()):
            found.setdefault(identity, by_port[port])
    return found


def _matches(
    processes: Iterable[Process], matcher: RuleMatcher, ports: Mapping[str, frozenset[int]]
) -> dict[str, Account]:
    none: frozenset[int] = frozenset()
    found = {}
    for process in processes:
        account = matcher.match(process, ports.get(process.identity, none))
        if account is not None:
            found[process.identity] = account
    return found


def _release_launchers(
    processes: Iterable[Process], matched: dict[str, Account], parents: Mapping[str, str]
) -> None:
    """Take back matches of pid 1 and of ``sh -c`` where a descendant is what was meant.

    Their command lines quote those of others: ``sh -c "python train.py & python other.py"`` must
    not make the training's account out of the other.
    """
    launchers = {
        process.identity
        for process in processes
        if process.identity in matched
        and (process.pid == 1 or _COMMAND_SHELL.match(process.command))
    }
    if not launchers:
        return
    walked: set[tuple[str, Account]] = set()
    for identity in [found for found in matched if found not in launchers]:
        account = matched[identity]
        for ancestor in _ancestors(identity, parents):
            if (ancestor, account) in walked:
                break
            walked.add((ancestor, account))
            if ancestor in launchers and matched.get(ancestor) == account:
                del matched[ancestor]


def _ancestors(identity: str, parents: Mapping[str, str]) -> Iterator[str]:
    """From the parent upwards; a loop in the table ends the walk."""
    seen = {identity}
    while (parent := parents.get(identity)) is not None and parent not in seen:
        yield parent
        seen.add(parent)
        identity = parent


@dataclass(frozen=True, slots=True)
class _Claimed:
    """What a process is counted to: the account, its topmost process, and the rule overruled.

    `weak`: nobody claimed it; it goes by its container or by the accelerator it holds.
    """

    account: Account
    holder: str
    overruled: Account | None
    weak: bool = False


class _Nearest:
    """Finds each process's claim, its own or the nearest ancestor's, each only once."""

    def __init__(
        self,
        strong: Mapping[str, Account],
        matched: Mapping[str, Account],
        parents: Mapping[str, str],
        contained: Mapping[str, Account],
        devices: Mapping[str, Account],
    ) -> None:
        self._strong = strong
        self._matched = matched
        self._parents = parents
        self._contained = contained
        self._devices = devices
        self._known: dict[str, _Claimed | None] = {}

    def claimed(self, identity: str) -> _Claimed | None:
        """The claim that holds for `identity`."""
        path = [identity]
        if identity not in self._known:
            for ancestor in _ancestors(identity, self._parents):
                path.append(ancestor)
                if ancestor in self._known:
                    break
        found = self._known.get(path[-1])
        for each in reversed(path):
            if each not in self._known:
                self._known[each] = self._own(each, found)
            found = self._known[each]
        return found

    def _own(self, identity: str, inherited: _Claimed | None) -> _Claimed | None:
        """A rule that the ancestor's stronger claim overruled does not split its descendants off:

        workers that a training process forks have its command line.
        """
        rule = self._matched.get(identity)
        account = self._strong.get(identity)
        if account is None:
            if rule is None or (inherited is not None and rule == inherited.overruled):
                return self._unclaimed(identity, inherited)
            account = rule
        if inherited is not None and inherited.account == account:
            return _Claimed(account, inherited.holder, rule or inherited.overruled)
        return _Claimed(account, identity, rule)

    def _unclaimed(self, identity: str, inherited: _Claimed | None) -> _Claimed | None:
        """A claim of an ancestor, else its container, else that ancestor's or its accelerator."""
        if inherited is not None and not inherited.weak:
            return inherited
        account = self._contained.get(identity)
        if account is None:
            if inherited is not None or identity not in self._devices:
                return inherited
            account = self._devices[identity]
        if inherited is not None and inherited.account == account:
            return inherited
        return _Claimed(account, identity, None, weak=True)
