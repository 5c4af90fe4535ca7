"""Listening, starting and stopping: over real sockets."""

import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.exporter.web_source import (
    LOOPBACK,
    PATIENCE,
    FakeSource,
    ask,
    connect,
    serving,
    wait_until,
)
from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.connections import listen
from unitcost.exporter.serving.web import ListenError, WebServer

LARGE = b"x" * 20_000_000
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    """A running server's port."""
    with serving(FakeSource()) as free:
        yield free


def has_ipv6() -> bool:
    """Whether this host can listen on ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def refuses(port: int) -> bool:
    """Whether nobody listens there any more."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_in_use_is_one_clear_line(port: int) -> None:
    """For the command line to print."""
    with pytest.raises(ListenError) as caught:
        WebServer(LOOPBACK, port, FakeSource()).start()
    expected = f"cannot listen on 127.0.0.1 port {port}: another program is listening there"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("address", "port", "reason"),
    [
        ("192.0.2.1", 0, "this host has no such address"),
        ("127.0.0.1", 70_000, "there is no such port"),
        ("x" * 70 + ".invalid", 0, "label"),
    ],
)
def test_what_cannot_be_listened_on_is_one_clear_line(address: str, port: int, reason: str) -> None:
    """A typed error, and no thread left."""
    before = threading.active_count()
    with pytest.raises(ListenError) as caught:
        WebServer(address, port, FakeSource()).start()
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"cannot listen on {address} port {port}: ")
    assert threading.active_count() == before


def test_small_answers_do_not_wait_for_a_delayed_ack() -> None:
    """Nagle's algorithm is off for the connections of a listening socket it is off for."""
    with listen(LOOPBACK, 0) as sock, connect(sock.getsockname()[1]):
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")
@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_an_ipv6_address_is_served(address: str) -> None:
    """With or without the brackets of a URL."""
    with serving(FakeSource(), address) as port:
        assert ask(port, address="::1")[0] == 200


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")
def test_all_ipv6_addresses_means_ipv4_too() -> None:
    """One socket for both."""
    with serving(FakeSource(), "::") as port:
        assert ask(port, address="::1")[0] == ask(port, address="127.0.0.1")[0] == 200


def test_it_stops_and_starts_again_and_leaves_no_thread() -> None:
    """On the same port at once; stopping twice is no error, starting twice is."""
    before = threading.active_count()
    with serving(FakeSource()) as port:
        assert ask(port)[0] == 200
    server = WebServer(LOOPBACK, port, FakeSource())
    server.stop()
    for _ in range(3):
        assert server.start() == port
        with pytest.raises(RuntimeError, match="already running"):
            server.start()
        assert ask(port)[0] == 200
        server.stop()
        server.stop()
        assert threading.active_count() == before
        with pytest.raises(ConnectionRefusedError):
            ask(port)


def test_stopping_before_it_has_begun_to_serve_stops_it() -> None:
    """However short it lived."""
    before = threading.active_count()
    for _ in range(10):
        server = WebServer(LOOPBACK, 0, FakeSource())
        server.start()
        server.stop()
    assert threading.active_count() == before


def test_an_answer_under_way_is_finished_when_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last scrape is a whole one."""
    monkeypatch.setattr(web_connections, "STOP_SECONDS", PATIENCE)
    monkeypatch.setattr(web_connections, "GIVE_UP_SECONDS", int(PATIENCE))
    source = FakeSource(LARGE)
    server = WebServer(LOOPBACK, 0, source)
    port = server.start()
    with connect(port, WHOLE) as sock:
        first = sock.recv(1000)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert wait_until(lambda: refuses(port))
        rest = b"".join(iter(lambda: sock.recv(1 << 20), b""))
        stopping.join(PATIENCE)
    assert (first + rest).endswith(b"\r\n\r\n" + source.now.body)


def test_the_processs_signal_handlers_are_left_alone() -> None:
    """SIGTERM and SIGINT belong to the exporter."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with serving(FakeSource()) as port:
        ask(port)
        during = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert before == during == after
