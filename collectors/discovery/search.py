"""Finds inference servers on this host, or in this pod, by the sockets that listen here.

A socket is worth asking if the command line of its process is that of a server we know. Where its
process cannot be seen the servers' usual ports are, and in a pod every port, for all in a pod is
its user's. It is asked once, and again only while its server is starting (docs/discovery.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from unitcost.collectors import procfs
from unitcost.collectors.base import Problem, Target
from unitcost.collectors.discovery.hints import Hints, mentions
from unitcost.collectors.discovery.ports import KUBELET, NOT_HTTP
from unitcost.collectors.discovery.probe import Answer, Outcome, Question
from unitcost.collectors.discovery.sockets import (
    Place,
    listening_places,
    own_inodes,
    owners_of,
    unseen,
)
from unitcost.collectors.tables import ServerTable
from unitcost.pricing.sample import Layer, Process
from unitcost.pricing.workload import WorkloadKind, clean_name

LOOK_SECONDS = 10.0
PATIENCE = 600.0
"""Seconds for which a server may be starting; and the longest wait for one with an empty page."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 60.0
MAX_PLACES = 256
OPT_OUT = "UNITCOST_DISCOVER"


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be asked. `extra`, `excluded`: ports named in the configuration.

    `root`: where procfs is seen. `in_pod`: whether we are in somebody's pod, and not on a node.
    """

    root: str = "/proc"
    extra: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()
    in_pod: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was discovered, and its process where that can be seen."""

    target: Target
    owner: Process | None
    start: float | None


@dataclass(slots=True)
class Candidate:
    """A place worth asking, and how that went."""

    place: Place
    owner: Process | None
    tables: tuple[ServerTable, ...]
    question: Question
    first: float
    next: float
    tries: int = 0
    server: Server | None = None
    over: bool = False


@dataclass(slots=True)
class Discovery:
    """What listens here and what became of it. For one thread; instants are monotonic seconds."""

    hints: Hints
    scope: Scope
    candidates: dict[tuple[str, int], Candidate] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _dismissed: dict[tuple[str, int], Place] = field(default_factory=dict)
    _hinted: frozenset[str] = frozenset()
    _taken: frozenset[int] = frozenset()
    _in_pod: bool = False
    _looked: float | None = None
    _told: set[Problem] = field(default_factory=set)

    def look(self, processes: Sequence[Process], taken: frozenset[int], now: float) -> None:
        """See what listens now, if it is time to. `taken`: ports that are read anyway.

        It is every ten seconds, and when there is a process that may be a server's.
        """
        hinted = [process for process in processes if self.hints.of(process)]
        names = frozenset(process.identity for process in hinted)
        recent = self._looked is not None and now - self._looked < LOOK_SECONDS
        if recent and names <= self._hinted:
            return
        self._hinted, self._looked = names, now
        if taken != self._taken:
            self._taken = taken
            self._dismissed.clear()
        try:
            every = listening_places(self.scope.root)
        except OSError as error:
            self._tell("discovery", f"cannot see which ports are listened on: {error.strerror}")
            return
        self._in_pod = self.scope.in_pod and not any(each.port in KUBELET for each in every)
        places = every[:MAX_PLACES]
        self._forget(places, processes)
        new = [place for place in places if self._is_new(place)]
        if new:
            self._sort_out(new, places, processes, hinted, now)

    def look_again(self) -> None:
        """Have the next look be due at once: a server does not answer any more."""
        self._looked = None

    def due(self, now: float) -> list[Candidate]:
        """Whom to ask now, one for each process, those most likely to answer first.

        But for those that were asked before: some that hang must not take the others' turn.
        """
        found: dict[object, Candidate] = {}
        served = (each for each in self.candidates.values() if each.server is not None)
        busy = {each.owner.identity for each in served if each.owner is not None}
        for each in sorted(self.candidates.values(), key=self._rank):
            if each.over or each.next > now:
                continue
            name = each.owner.identity if each.owner else each.place.key
            if name not in busy:
                found.setdefault(name, each)
        return sorted(found.values(), key=lambda each: each.tries)

    def heard(
        self, asked: Candidate, answer: Answer, now: float, starts: Iterable[float] = ()
    ) -> None:
        """Take in what a candidate answered. `starts`: of servers that are read anyway."""
        asked.tries += 1
        asked.next, asked.over = now, True
        if answer.outcome is Outcome.FOUND and answer.table is not None:
            gateway = answer.table.layer is Layer.GATEWAY
            if not gateway and not self._is_double(asked, answer, starts):
                asked.server = _server(asked, answer, answer.table)
        elif answer.outcome is Outcome.LOADING and now - asked.first < PATIENCE:
            asked.over = False
            asked.next = now + min(_FIRST_WAIT * 2 ** (asked.tries - 1), _LONGEST_WAIT)
        elif answer.outcome is Outcome.BLANK:
            asked.over = False
            asked.next = now + min(_FIRST_WAIT * 2 ** min(asked.tries - 1, 10), PATIENCE)
        else:
            self._give_up(asked, answer)

    def servers(self) -> list[Server]:
        """The servers that were discovered and are there."""
        return [each.server for each in self.candidates.values() if each.server is not None]

    def take_problems(self) -> tuple[Problem, ...]:
        """What there is to tell since the last time; each thing is told once."""
        problems, self.problems = tuple(self.problems), []
        return problems

    def _forget(self, places: Sequence[Place], processes: Sequence[Process]) -> None:
        """Drop what is gone: other sockets on a port are another server's, or a new life's."""
        now = {place.key: place for place in places}
        alive = {process.identity for process in processes}
        for key, each in list(self.candidates.items()):
            place = now.get(key)
            gone = each.owner is not None and each.owner.identity not in alive
            if (
                place is None
                or gone
                or not place.inodes & each.place.inodes
                or key[1] in self._taken
            ):
                del self.candidates[key]
            else:
                each.place = place
        for key, dismissed in list(self._dismissed.items()):
            place = now.get(key)
            if place is None or not place.inodes <= dismissed.inodes:
                del self._dismissed[key]

    def _is_new(self, place: Place) -> bool:
        return place.key not in self.candidates and place.key not in self._dismissed

    def _sort_out(
        self,
        new: Sequence[Place],
        places: Sequence[Place],
        processes: Sequence[Process],
        hinted: Sequence[Process],
        now: float,
    ) -> None:
        """Say of each new place whether it is worth asking."""
        every = frozenset(inode for place in places for inode in place.inodes)
        owners = owners_of(self.scope.root, hinted, every)
        read = {_owner(place, owners) for place in places if place.port in self._taken}
        ours = own_inodes()
        forbidden = self._taken | self.scope.excluded
        apart = self._apart(
            [each for each in new if each.port not in forbidden and not _owner(each, owners)],
            processes,
        )
        for place in new:
            owner, port = _owner(place, owners), place.port
            if port in forbidden or place.inodes & ours or (owner and owner in read):
                self._dismissed[place.key] = place
            elif owner is not None and self._is_willing(owner) and self._is_apt(owner, port):
                self._add(place, owner, self.hints.of(owner), now)
            elif port in self.scope.extra or place.key in apart:
                self._add(place, owner, (), now)
            else:
                self._dismissed[place.key] = place

    def _is_willing(self, owner: Process) -> bool:
        """Whether its environment does not forbid to ask it."""
        try:
            said = procfs.environment(self.scope.root, owner.pid, OPT_OUT)
        except (procfs.Gone, OSError):
            return True
        return said.lower() not in ("false", "0", "no", "off")

    def _is_apt(self, owner: Process, port: int) -> bool:
        """Not a port that the kernel chose: there, libraries speak with their own kind.

        A stray request may spoil what NCCL or torch.distributed set up.
        """
        chosen = port in procfs.port_range(self.scope.root)
        return not chosen or port in self.hints.ports or mentions(owner, port)

    def _apart(self, places: Iterable[Place], processes: Sequence[Process]) -> set[tuple[str, int]]:
        """Those whose process cannot be seen, and whose port alone makes them worth asking."""
        chosen = procfs.port_range(self.scope.root) if self._in_pod else range(0)
        worthy = [
            place
            for place in places
            if place.port not in NOT_HTTP
            and (place.port in self.hints.ports or (self._in_pod and place.port not in chosen))
        ]
        if not worthy:
            return set()
        inodes = frozenset(inode for place in worthy for inode in place.inodes)
        hidden = unseen(self.scope.root, processes, inodes)
        return {place.key for place in worthy if place.inodes & hidden}

    def _add(
        self, place: Place, owner: Process | None, tables: tuple[ServerTable, ...], now: float
    ) -> None:
        silent = [table for table in tables if table.advice]
        if silent and len(silent) == len(tables):
            self._dismissed[place.key] = place
            for table in silent:
                self._tell("no_metrics", f"port {place.port}, {table.name}: {table.advice}")
            return
        paths = self.hints.paths(tables)
        question = Question(place.hosts, place.port, paths, known=owner is not None)
        self.candidates[place.key] = Candidate(place, owner, tables, question, now, now)

    def _rank(self, candidate: Candidate) -> tuple[bool, bool, int]:
        port, owner = candidate.place.port, candidate.owner
        usual = {port for table in candidate.tables for port in table.ports} or self.hints.ports
        return port not in usual, owner is None or not mentions(owner, port), port

    def _is_double(self, asked: Candidate, answer: Answer, starts: Iterable[float]) -> bool:
        """Whether it is a page of a server that is counted already, on another port."""
        if answer.start is not None and answer.start in starts:
            return True
        for server in self.servers():
            if answer.table is None or server.target.server != answer.table.name:
                continue
            if asked.owner is not None and server.owner is not None:
                if asked.owner.identity == server.owner.identity:
                    return True
            elif answer.start is not None and answer.start == server.start:
                return True
        return False

    def _give_up(self, asked: Candidate, answer: Answer) -> None:
        """Say why a known server's socket, or what wants a key there, is not counted."""
        port = asked.place.port
        usual = ", ".join(table.name for table in asked.tables)
        if answer.outcome is Outcome.LOCKED and (usual or self.hints.by_port(port)):
            self._tell("locked", f"{answer.url} wants a key: configure it with bearer_token_file")
        elif answer.outcome is Outcome.AMBIGUOUS:
            self._tell("unrecognised", f"{answer.url}: {answer.detail}")
        elif asked.owner is not None and port in {p for t in asked.tables for p in t.ports}:
            text = f"port {port}: the process is one of {usual}, but shows no metrics of it"
            self._tell("no_metrics", f"{text}: {answer.detail}")

    def _tell(self, kind: str, detail: str) -> None:
        problem = Problem(kind, detail[:300])
        if problem not in self._told and len(self._told) < MAX_PLACES:
            self._told.add(problem)
            self.problems.append(problem)


def _owner(place: Place, owners: dict[bytes, Process]) -> Process | None:
    found = [owners[inode] for inode in place.inodes if inode in owners]
    return min(found, key=lambda process: (process.started, process.pid), default=None)


def _server(asked: Candidate, answer: Answer, table: ServerTable) -> Server:
    target = Target(
        url=answer.url,
        workload="",
        kind=WorkloadKind.INFERENCE,
        server=table.name,
        fallback=clean_name(f"{table.name}:{asked.place.port}"),
    )
    return Server(target, asked.owner, answer.start)
