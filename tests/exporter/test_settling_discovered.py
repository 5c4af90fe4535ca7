"""Settling servers that nobody configured: whose they are, and that their units and costs meet."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.sites import CHAT, Site, rules
from tests.worlds import Host, Proc, Server
from unitcost.exporter.settling.holding import Observed
from unitcost.pricing.attribute import Rule, RuleMatcher
from unitcost.pricing.container import Pod
from unitcost.pricing.floating import Ground, landed
from unitcost.pricing.sample import EpochMark, Process, Subject
from unitcost.pricing.tenants import ContainerFinder, tenants_of
from unitcost.pricing.workload import OVERFLOW, SYSTEM, Account, WorkloadKind

COMMAND = "python -m vllm serve"
ID = "0123456789abcdef" * 4


@dataclass
class _Discovered(Server):
    """A server as the collector says it that found it by itself."""

    pod: str = ""

    def subject(self) -> Subject:
        found = replace(super().subject(), workload="", fallback=f"vllm:{self.port}", pod=self.pod)
        if self.proc is None:
            return found
        return replace(found, pid=self.proc.pid, started=self.proc.started)


class _Host(Host):
    """A host on which servers are discovered a tick after their processes are seen."""

    pods: tuple[Pod, ...] = ()

    def discover(self, port: int, cores: float = 1.0, pod: str = "") -> _Discovered:
        """Start a server that nobody configured."""
        server = super().serve("", port, cores, 1.0, COMMAND)
        found = _Discovered(**{**vars(server), "pod": pod})
        self.servers[port] = found
        return found

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        observed, marks = super().observe(host)
        return replace(observed, pods=self.pods), marks


def site(**match: str) -> tuple[Site, _Host]:
    """A host and its exporter, with rules by command."""
    host = _Host()
    return Site(rules(workloads=(CHAT,)), host, match), host


def test_a_server_of_nobody_is_a_workload_of_its_own() -> None:
    """It claims its process, so its cost and its units meet."""
    at, host = site()
    server = host.discover(8000)
    at.settle()
    at.tick()
    server.work(10)
    at.tick(2)
    assert at.units("vllm:8000") == 10
    assert at.usd("vllm:8000") > 0
    assert at.settler.books.kind_of("vllm:8000") is WorkloadKind.INFERENCE
    assert at.settler.books.workloads.keys() == {"vllm:8000"}


def test_a_server_of_a_matched_process_counts_for_that_workload() -> None:
    """Which needs no endpoint for that."""
    at, host = site(chat="vllm")
    server = host.discover(8000)
    at.settle()
    at.tick()
    server.work(10)
    at.tick(2)
    assert at.units("chat") == 10
    assert at.settler.books.workloads.keys() == {"chat"}


def test_where_nobody_is_known_yet_it_is_left_out() -> None:
    """At the first tick; what it counted before is history."""
    at, host = site()
    host.discover(8000).work(5)
    at.settle()
    assert at.settler.books.workloads == {}
    at.tick()
    assert at.settler.books.workloads.keys() == {"vllm:8000"}


def test_it_stays_what_it_is_until_it_is_gone() -> None:
    """Its claim is what keeps it; a server started anew goes on counting."""
    at, host = site()
    host.discover(8000)
    at.settle()
    at.tick(10)
    host.kill(host.servers[8000].proc)
    del host.servers[8000]
    at.tick(3)
    server = host.discover(8000)
    at.tick()
    server.work(7)
    at.tick(2)
    assert at.units("vllm:8000") == 7
    assert at.settler.books.workloads.keys() == {"vllm:8000"}


def test_new_rules_are_followed_by_one_that_claims_nothing() -> None:
    """A workload's own process goes where the rules say; so do the units."""
    at, host = site(chat="vllm")
    server = host.discover(8000)
    at.settle()
    at.tick(2)
    at.settler.follow(at.rules, RuleMatcher([Rule(Account("talk"), "vllm")]))
    at.tick(2)
    server.work(3)
    at.tick()
    assert at.units("talk") == 3
    assert at.units("chat") == 0


def test_a_server_that_is_configured_later_counts_from_then_on() -> None:
    """What it served as a workload of its own is not counted a second time."""
    at, host = site()
    server = host.discover(8000)
    at.settle()
    at.tick(5)
    server.work(100)
    at.tick(5)
    assert at.units("vllm:8000") == 100
    # The configuration names it by another URL than the one it was discovered at.
    fields = {**vars(server), "workload": "chat", "port": 8001}
    del fields["pod"]
    del host.servers[8000]
    host.servers[8001] = named = Server(**fields)
    at.settler.follow(at.rules, at.matcher)
    at.tick()
    named.work(7)
    at.tick()
    assert at.units("vllm:8000") == 100
    assert at.units("chat") == 7


def test_a_server_that_starts_as_the_configuration_changes_loses_nothing() -> None:
    """Nobody can have counted it before."""
    at, host = site()
    at.settle()
    at.tick(5)
    server = host.serve("chat", 8001, 1.0, 1.0, COMMAND)
    server.work(3)
    at.settler.follow(at.rules, at.matcher)
    at.tick()
    assert at.units("chat") == 3


def test_a_pods_server_is_its_pods_workload() -> None:
    """Known at once, though no process can be seen."""
    at, host = site()
    host.pods = (Pod("u", "ns", "web-0", "ns/StatefulSet/web"),)
    server = host.discover(8000, pod="ns/web-0")
    server.proc = None
    at.settle()
    server.work(4)
    at.tick()
    assert at.units("ns/StatefulSet/web") == 4
    host.pods = ()
    server.work(4)
    at.tick()
    assert at.units("ns/StatefulSet/web") == 4


def process(command: str = COMMAND, cgroup: str = "") -> Process:
    """A process of a server."""
    return Process(7, 70, 1, 0, 0, 0, command=command, cgroup=cgroup)


def floating(**fields: int | None) -> Subject:
    """What was discovered in that process."""
    tie: dict[str, int | None] = {"pid": 7, "started": 70, **fields}
    subject = Subject("server:x", "", WorkloadKind.INFERENCE, port=8000, fallback="vllm:8000")
    return replace(subject, pid=tie["pid"], started=tie["started"])


def land(account: Account | None, named: frozenset[str] = frozenset()) -> tuple[Subject, ...]:
    """Whose it is if its process is on that account."""
    known = {} if account is None else {"7@70": account}
    return landed([floating()], Ground(known, (process(),), (), named))


def test_a_process_that_only_holds_a_gpu_leaves_the_name_to_the_server() -> None:
    """It goes by its program's name, which may be any server's; unless that is configured."""
    (own,) = land(Account("vllm"))
    assert (own.workload, own.pid) == ("vllm:8000", 7)
    (named,) = land(Account("vllm"), frozenset({"vllm"}))
    assert (named.workload, named.pid, named.port) == ("vllm", None, None)


def test_a_container_without_a_pod_leaves_it_too() -> None:
    """Its id is another after each start."""
    inside = process(cgroup=f"/system.slice/docker-{ID}.scope")
    tenants = tenants_of((inside,), (), (), None, ContainerFinder())
    (account,) = tenants.by_process().values()
    (found,) = land(account)
    assert found.workload == "vllm:8000"


def test_what_is_over_the_cap_stays_where_it_is() -> None:
    """Booked on ``__other__``, it still claims its process under its own name."""
    (found,) = land(Account(OVERFLOW))
    assert (found.workload, found.pid) == ("vllm:8000", 7)


def test_one_whose_process_cannot_be_seen_is_on_its_own() -> None:
    """Its port may still tell."""
    (found,) = landed([floating(pid=None)], Ground())
    assert (found.workload, found.port) == ("vllm:8000", 8000)


@given(
    st.sampled_from([None, SYSTEM, OVERFLOW, "chat", "vllm:8000", "container/x", "vllm", "ns/D/x"]),
    st.booleans(),
    st.sampled_from(["", "ns/p", "ns/q"]),
)
def test_nobody_is_left_without_a_workload(name: str | None, seen: bool, pod: str) -> None:
    """Whoever lands has one that is not the system's; those who have one are left as they are."""
    ground = Ground(
        {} if name is None else {"7@70": Account(name)},
        (process(),) if seen else (),
        (Pod("u", "ns", "p", "ns/Pod/p"),),
    )
    configured = Subject("server:y", "chat", WorkloadKind.INFERENCE, port=1)
    found = landed([configured, replace(floating(), pod=pod)], ground)
    assert found[0] is configured
    assert all(each.workload not in ("", SYSTEM) for each in found)
    assert landed(found, ground) == found


def test_two_servers_of_one_process_are_one_workload() -> None:
    """The first one's claim holds."""
    at, host = site()
    server = host.discover(8000)
    other = host.discover(8001)
    host.kill(other.proc)
    other.up, other.proc = True, _same(server)
    at.settle()
    at.tick(2)
    server.work(1)
    other.work(2)
    at.tick(2)
    workloads = at.settler.books.workloads.keys()
    assert sum(at.units(name) for name in workloads) == 3
    assert at.units("vllm:8000") >= 1


def _same(server: Server) -> Proc:
    assert server.proc is not None
    return server.proc
