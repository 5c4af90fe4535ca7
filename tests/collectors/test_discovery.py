"""Discovery over the real /proc: who is found, who is asked how often, and who never."""

import contextlib
import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.collectors.listeners import PAGE, TABLE, WORD, Seeker, listener, low_port, seeker
from tests.harness import free_port
from unitcost.collectors import procfs
from unitcost.collectors.base import Neighbours, Target
from unitcost.collectors.discovery.finder import Finder, Wanted
from unitcost.collectors.discovery.hints import Hints, mentions
from unitcost.collectors.discovery.ports import NOT_HTTP
from unitcost.collectors.discovery.probe import Question
from unitcost.collectors.discovery.search import (
    OPT_OUT,
    PATIENCE,
    Candidate,
    Discovery,
    Scope,
)
from unitcost.collectors.discovery.sockets import (
    LOOPBACK,
    LOOPBACK_6,
    Place,
    is_own_address,
    listening_places,
)
from unitcost.collectors.fetch import FetchError, FetchKind, Response
from unitcost.collectors.page.recognise import Recogniser
from unitcost.collectors.page.table_reading import make_plan
from unitcost.pricing.sample import Layer, Process
from unitcost.pricing.workload import WorkloadKind


@pytest.fixture
def looking() -> Iterator[Seeker]:
    """A finder of one kind of server on this machine."""
    with seeker() as made:
        yield made


def kinds(made: Seeker) -> list[str]:
    """The kinds of problems there are to tell."""
    return [problem.kind for problem in made.finder.problems()]


def test_a_server_is_found_by_its_process_and_its_page(tmp_path: Path, looking: Seeker) -> None:
    """It is asked once, and its workload is left open but for a name of its own."""
    with listener(tmp_path) as server:
        (found,) = looking.look()
        assert looking.look_often() == [found]
        assert server.asked == [f"{server.port} /metrics"]
    assert found.target.url == server.url
    assert (found.target.workload, found.target.fallback) == ("", f"widget:{server.port}")
    assert found.target.server == "widget"
    assert found.owner is not None
    assert found.owner.pid == server.process.pid


def test_a_process_that_is_no_known_server_is_never_asked(tmp_path: Path, looking: Seeker) -> None:
    """Whatever it would answer."""
    with listener(tmp_path, word="other") as server:
        assert looking.look_often() == []
        assert server.asked == []


def test_what_is_no_http_gets_one_request(tmp_path: Path, looking: Seeker) -> None:
    """Ever, though the process is a known server's."""
    with listener(tmp_path, "raw") as server:
        assert looking.look_often(20, 60.0) == []
        assert server.asked == ["raw"]


def test_a_socket_of_both_protocols_is_asked_by_one(tmp_path: Path, looking: Seeker) -> None:
    """Whatever it answers there, it would say the same by the other."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no sockets of both protocols")
    with listener(tmp_path, "both", page=b"go_goroutines 7\n") as server:
        assert looking.look() == []
        assert server.asked == [f"{server.port} /metrics"]


def test_a_page_of_something_else_is_asked_for_more_and_more_seldom(
    tmp_path: Path, looking: Seeker
) -> None:
    """Some servers have nothing to tell before their first request."""
    with listener(tmp_path, page=b"go_goroutines 7\n") as server:
        assert looking.look_often(60, 10.0) == []
        assert 3 <= len(server.asked) <= 8
        (tmp_path / "page").write_bytes(PAGE)
        assert len(looking.look(PATIENCE)) == 1


def test_a_server_that_is_loading_is_asked_again_for_ten_minutes(
    tmp_path: Path, looking: Seeker
) -> None:
    """llama-server answers 503 meanwhile."""
    with listener(tmp_path, page=None) as server:
        assert looking.look() == []
        (tmp_path / "page").write_bytes(PAGE)
        assert looking.look(1.0) == []
        assert len(looking.look(5.0)) == 1
        assert len(server.asked) == 2


def test_a_server_that_loads_for_ever_is_given_up(tmp_path: Path, looking: Seeker) -> None:
    """After ten minutes."""
    with listener(tmp_path, page=None) as server:
        looking.look_often(80, 10.0)
        asked = len(server.asked)
        assert 8 <= asked <= 20
        looking.look_often(20, 60.0)
        assert len(server.asked) == asked


def test_a_server_that_starts_anew_is_asked_anew_and_has_the_same_id(
    tmp_path: Path, looking: Seeker
) -> None:
    """So its counters go on where they were; in between it is not there."""
    with listener(tmp_path) as server:
        (before,) = looking.look()
    assert looking.look(11.0) == []
    with listener(tmp_path, ports=server.ports) as again:
        (after,) = looking.look(1.0)
        assert len(again.asked) == 2
    assert after.target == before.target
    assert after.owner is not None
    assert after.owner.pid == again.process.pid


def test_a_server_that_is_gone_is_seen_to_be_at_once_if_somebody_asks(
    tmp_path: Path, looking: Seeker
) -> None:
    """Not only at the next look."""
    with listener(tmp_path):
        assert len(looking.look()) == 1
    assert len(looking.look(1.0)) <= 1
    looking.finder.look_again()
    assert looking.finder.found() == []


def test_one_server_on_several_ports_is_one(tmp_path: Path, looking: Seeker) -> None:
    """Triton shows its page on three."""
    ports = tuple(low_port() for _ in range(3))
    with listener(tmp_path, ports=ports) as server:
        (found,) = looking.look_often()
        assert len(server.asked) == 1
    assert found.target.url == f"http://127.0.0.1:{min(ports)}/metrics"


def test_the_usual_port_is_asked_first(tmp_path: Path) -> None:
    """Others of the process may be for its own kind."""
    ports = tuple(sorted(low_port() for _ in range(3)))
    table = msgspec.structs.replace(TABLE, ports=(ports[1],))
    with seeker(tables=(table,)) as looking, listener(tmp_path, ports=ports) as server:
        (found,) = looking.look_often()
        assert server.asked == [f"{ports[1]} /metrics"]
    assert found.target.fallback == f"widget:{ports[1]}"


def test_two_servers_are_two(tmp_path: Path, looking: Seeker) -> None:
    """Though they started at the same time."""
    with listener(tmp_path / "a"), listener(tmp_path / "b"):
        found = looking.look_often(2)
    assert len({each.target.id for each in found}) == 2


def test_one_process_may_say_no(tmp_path: Path, looking: Seeker) -> None:
    """By its environment."""
    with listener(tmp_path, environ={OPT_OUT: "false"}) as server:
        assert looking.look_often() == []
        assert server.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3"])
def test_an_endpoint_of_the_configuration_is_not_discovered(tmp_path: Path, host: str) -> None:
    """However its address is written; nor are other ports of that process."""
    with listener(tmp_path, ports=(low_port(), low_port())) as server:
        target = Target(f"http://{host}:{server.port}/m", "chat", WorkloadKind.INFERENCE)
        with seeker(configured=(target,)) as looking:
            assert looking.look_often() == []
        assert server.asked == []


def test_ports_may_be_excluded(tmp_path: Path) -> None:
    """By the configuration."""
    with listener(tmp_path) as server:
        with seeker(scope=Scope(excluded=frozenset({server.port}))) as looking:
            assert looking.look_often() == []
        assert server.asked == []


def test_ports_may_be_added(tmp_path: Path) -> None:
    """Whatever process listens there."""
    port = low_port()
    scope = Scope(extra=frozenset({port}))
    with listener(tmp_path, ports=(port,), word="other"), seeker(scope=scope) as looking:
        (found,) = looking.look_often()
    assert found.target.fallback == f"widget:{port}"


def test_a_port_the_kernel_chose_is_not_asked_unless_the_command_line_names_it(
    tmp_path: Path,
) -> None:
    """NCCL and torch.distributed listen there, and a stray request may spoil what they do."""
    discovery = Discovery(Hints([TABLE]), Scope())
    with listener(tmp_path) as server:
        port = free_port()
        assert port in procfs.port_range("/proc")
        owner = Process(server.process.pid, 1, 1, 0, 0, 0, command=f"serve --port {port}")
        assert discovery._is_apt(owner, port)
        assert not discovery._is_apt(owner, port + 1)
        assert discovery._is_apt(owner, server.port)
    assert mentions(owner, port)
    assert not mentions(owner, port // 10)


def test_what_wants_a_key_is_told_once(tmp_path: Path, looking: Seeker) -> None:
    """With what to do."""
    with listener(tmp_path) as server:
        (tmp_path / "status").write_text("401")
        assert looking.look_often() == []
        assert len(server.asked) == 1
    assert kinds(looking) == ["locked"]


def test_a_server_without_a_page_is_advised_and_not_asked(tmp_path: Path) -> None:
    """Ollama has none."""
    table = msgspec.structs.replace(TABLE, requests_succeeded=(), advice="put a gateway before it")
    with seeker(tables=(table,)) as looking, listener(tmp_path) as server:
        looking.look_often()
        (problem,) = looking.finder.problems()
        assert looking.look_often() == []
        assert looking.finder.problems() == ()
        assert server.asked == []
    assert (problem.kind, problem.detail) == (
        "no_metrics",
        f"port {server.port}, widget: put a gateway before it",
    )


def test_a_known_server_that_shows_nothing_on_its_usual_port_is_told(tmp_path: Path) -> None:
    """Metrics may have to be switched on at the server."""
    port = low_port()
    table = msgspec.structs.replace(TABLE, ports=(port,))
    with seeker(tables=(table,)) as looking, listener(tmp_path, ports=(port,)):
        (tmp_path / "status").write_text("501")
        assert looking.look_often() == []
        (problem,) = looking.finder.problems()
    assert problem.kind == "no_metrics"
    assert "501" in problem.detail


def test_a_gateway_is_not_discovered(tmp_path: Path) -> None:
    """Whose requests pass through it, only the configuration can say."""
    table = msgspec.structs.replace(TABLE, layer=Layer.GATEWAY)
    with seeker(tables=(table,)) as looking, listener(tmp_path) as server:
        assert looking.look_often() == []
        assert server.asked == []


def test_where_processes_cannot_be_seen_usual_ports_are_asked(tmp_path: Path) -> None:
    """Of two servers the one that listens where it usually does."""
    with listener(tmp_path / "usual") as usual, listener(tmp_path / "other") as other:
        table = msgspec.structs.replace(TABLE, ports=(usual.port,))
        with seeker(tables=(table,), blind=True) as looking:
            (found,) = looking.look_often()
        assert len(usual.asked) == 1
        assert other.asked == []
    assert (found.target.url, found.owner) == (usual.url, None)


def test_a_stranger_that_hangs_is_asked_once(tmp_path: Path) -> None:
    """For a second."""
    with listener(tmp_path, "hang") as server:
        table = msgspec.structs.replace(TABLE, ports=(server.port,))
        with seeker(tables=(table,), blind=True) as looking:
            assert looking.look_often(20, 60.0) == []
        assert server.asked == ["hang"]


def test_many_that_hang_do_not_take_the_turn_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though their ports are the usual ones: any user can start fifty and call them a server."""
    for name in ("probe", "finder"):
        monkeypatch.setattr(f"unitcost.collectors.discovery.{name}.TIMEOUT", 0.01)
    monkeypatch.setattr("unitcost.collectors.discovery.finder._BATCH_SECONDS", 0.03)
    monkeypatch.setattr(Discovery, "look", lambda *_: None)

    def get(url: str, timeout: float) -> Response:
        if ":9999/" in url:
            return Response(PAGE, local=True)
        time.sleep(timeout)
        raise FetchError(FetchKind.TIMEOUT, "it hangs")

    usual = tuple(range(8000, 8050))
    table = msgspec.structs.replace(TABLE, ports=usual)
    now = [0.0]
    recogniser = Recogniser({table.name: make_plan(table)}, {})
    finder = Finder(Wanted(), [table], recogniser, (), {}, get, lambda: now[0])
    finder.meet(Neighbours((Process(1, 1, 0, 0, 0, 0),)))
    for pid, port in enumerate((*usual, 9999), start=2):
        place = Place((LOOPBACK,), port, frozenset({b"%d" % port}))
        owner = Process(pid, 1, 1, 0, 0, 0)
        question = Question((LOOPBACK,), port, ("/metrics",), known=True)
        candidate = Candidate(place, owner, (table,), question, 0.0, 0.0)
        finder._discovery.candidates[place.key] = candidate
    while not finder.found() and now[0] < PATIENCE:
        finder.begin()
        finder.settle(30.0)
        now[0] += 5.0
    finder.close()
    assert [each.target.url for each in finder.found()] == ["http://127.0.0.1:9999/metrics"]
    assert now[0] < 200.0


def test_in_a_pod_every_port_is_worth_asking_that_no_process_of_ours_has(tmp_path: Path) -> None:
    """But for those of other known services, and those the kernel chose."""
    with listener(tmp_path, ports=(low_port(), free_port())) as server:
        for in_pod in (True, False):
            discovery = Discovery(Hints([TABLE]), Scope(in_pod=in_pod))
            discovery.look((), frozenset(), 0.0)
            ports = {each.place.port for each in discovery.due(0.0)}
            assert (server.ports[0] in ports) is in_pod
            assert server.ports[1] not in ports
            assert not ports & NOT_HTTP


@pytest.mark.parametrize("kubelet", [10248, 10250])
def test_on_a_nodes_network_not_every_port_is_its_owners(
    kubelet: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod with hostNetwork: what listens there is the cluster's, and others'."""
    ports = (kubelet, 9000, 8000)
    places = [Place((LOOPBACK,), port, frozenset({b"%d" % port})) for port in ports]
    found = []
    for there in (places, places[1:]):
        monkeypatch.setattr(
            "unitcost.collectors.discovery.search.listening_places", lambda _, there=there: there
        )
        hints = Hints([msgspec.structs.replace(TABLE, ports=(8000,))])
        discovery = Discovery(hints, Scope(in_pod=True))
        discovery.look((), frozenset(), 0.0)
        found.append({each.place.port for each in discovery.due(0.0)})
    assert found == [{8000}, {8000, 9000}]


def test_all_processes_are_looked_through_once_however_many_sockets_are_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There may be ten thousand of them, and known endpoints wait meanwhile."""
    asked: list[frozenset[bytes]] = []

    def unseen(_: str, __: object, wanted: frozenset[bytes]) -> frozenset[bytes]:
        asked.append(wanted)
        return wanted - {b"8001"}

    monkeypatch.setattr("unitcost.collectors.discovery.search.unseen", unseen)
    usual = (8000, 8001, 8002)
    places = [Place((LOOPBACK,), port, frozenset({b"%d" % port})) for port in (*usual, 8003, 22)]
    monkeypatch.setattr("unitcost.collectors.discovery.search.listening_places", lambda _: places)
    discovery = Discovery(Hints([msgspec.structs.replace(TABLE, ports=usual)]), Scope())
    discovery.look((), frozenset(), 0.0)
    assert asked == [frozenset({b"8000", b"8001", b"8002"})]
    assert {each.place.port for each in discovery.due(0.0)} == {8000, 8002}


def test_a_server_of_another_user_is_found_by_its_usual_port(tmp_path: Path) -> None:
    """Its files under /proc cannot be read without privileges, its command line can."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process and then look at it as another user")
    tmp_path.chmod(0o755)
    with listener(tmp_path) as server:
        table = msgspec.structs.replace(TABLE, ports=(server.port,))
        with seeker(tables=(table,)) as looking, _as_nobody():
            found = looking.look_often(2)
    assert [each.target.url for each in found] == [server.url]
    assert found[0].owner is None


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """What this process does in the block it does as an unprivileged user."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_addresses_of_sockets_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    """Recorded lines: loopback, all addresses and one address, IPv4 and IPv6."""
    rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 {} 1 0000000000000000\n"
    lines = ["0100007F:1F40", "00000000:1F41", "0A01A8C0:1F42", "0100FEA9:1F43"]
    lines_6 = [
        "00000000000000000000000001000000:1F44",
        "00000000000000000000000000000000:1F45",
        "0000000000000000FFFF00000100007F:1F46",
        "B80D0120000000000000000001000000:1F47",
    ]
    (tmp_path / "net").mkdir()
    for name, wanted in (("tcp", lines), ("tcp6", lines_6)):
        text = "".join(f"  {n}: {at} {rest.format(n + 7)}" for n, at in enumerate(wanted))
        (tmp_path / "net" / name).write_text(f"header\n{text}")
    found = {place.port: place.hosts for place in listening_places(str(tmp_path))}
    assert found == {
        8000: (LOOPBACK,),
        8001: (LOOPBACK,),
        8002: ("192.168.1.10",),
        8004: (LOOPBACK_6,),
        8005: (LOOPBACK, LOOPBACK_6),
        8006: (LOOPBACK,),
        8007: ("[2001:db8::1]",),
    }
    assert (ipaddress.ip_address("192.168.1.10"), 8002, b"9") in procfs.listening_sockets(
        str(tmp_path)
    )


def test_only_an_address_of_our_own_is_own() -> None:
    """Loopback is; the documentation's is nobody's."""
    assert is_own_address("127.0.0.1")
    assert not is_own_address("192.0.2.1")


def test_a_look_at_what_is_known_costs_next_to_nothing() -> None:
    """2,000 processes of which ten are servers; sockets are read every ten seconds only."""
    command = f"python -m serve {WORD} --port 8000"
    processes = [
        Process(n, n, 1, 0, 0, 0, command=command if n % 200 == 0 else f"worker --number {n % 300}")
        for n in range(1, 2001)
    ]
    discovery = Discovery(Hints([TABLE]), Scope(root="/nowhere"))
    spent = []
    for _ in range(50):
        began = time.thread_time()
        discovery.look(processes, frozenset(), 0.0)
        discovery.due(0.0)
        spent.append(time.thread_time() - began)
    assert sorted(spent)[25] < 0.005
