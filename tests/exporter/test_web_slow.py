"""Clients that send or read slowly, or never end, cost little and stop nobody else."""

import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from tests.exporter.web_source import (
    LOOPBACK,
    PATIENCE,
    FakeSource,
    ask,
    closed,
    connect,
    serving,
    wait_until,
)
from unitcost.exporter.serving import connections as web_connections
from unitcost.exporter.serving.exposition import Exposition
from unitcost.exporter.serving.web import WebServer

HALF = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: "
WHOLE = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = 400
"""More than the server keeps."""
SHORT = 1.5
"""Seconds: to be waited for, but not so short that a busy machine looks slow."""


def answer(sock: socket.socket) -> bytes:
    """The next whole answer on a connection."""
    got = b""
    while not got.endswith(b"metric 1.0\n"):
        piece = sock.recv(1000)
        assert piece, "closed"
        got += piece
    return got


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that a test can wait for."""
    monkeypatch.setattr(web_connections, "EXCHANGE_SECONDS", SHORT)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit in time, so that only the one in number is seen."""
    monkeypatch.setattr(web_connections, "EXCHANGE_SECONDS", 600.0)


@pytest.fixture
def port() -> Iterator[int]:
    """A running server's port."""
    with serving(FakeSource()) as free:
        yield free


def whole_rest(sock: socket.socket) -> int:
    """How many bytes still come until the connection ends, however it ends."""
    count = 0
    with suppress(ConnectionError):
        while piece := sock.recv(1 << 20):
            count += len(piece)
    return count


def small_window(port: int) -> socket.socket:
    """A connection that takes in very little unless it is read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.settimeout(PATIENCE)
    sock.connect((LOOPBACK, port))
    return sock


@pytest.mark.usefixtures("patient")
def test_hundreds_of_half_sent_requests_neither_stop_a_scrape_nor_hold_threads(port: int) -> None:
    """The oldest of them are turned away, not the scrape; the number stays bounded."""
    threads = threading.active_count()
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(port, HALF)) for _ in range(SLOW)]
        assert [ask(port)[0] for _ in range(20)] == [200] * 20
        assert threading.active_count() == threads
        limit = web_connections.MAX_CONNECTIONS
        assert wait_until(lambda: sum(not closed(sock) for sock in slow) <= limit)
        # Scrapes were connections too: each may have turned away one more.
        assert sum(not closed(sock) for sock in slow) >= limit - 21
        assert closed(slow[0])
        assert not closed(slow[-1])


@pytest.mark.usefixtures("patient")
def test_a_scraper_that_keeps_its_connection_keeps_it_while_others_flood(port: int) -> None:
    """Those who never sent a whole request go first."""
    with ExitStack() as stack:
        scraper = stack.enter_context(connect(port, WHOLE))
        assert answer(scraper).startswith(b"HTTP/1.1 200 ")
        for _ in range(SLOW):
            stack.enter_context(connect(port, HALF))
        assert ask(port)[0] == 200
        scraper.sendall(WHOLE)
        assert answer(scraper).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("impatient")
def test_a_request_that_never_ends_is_ended(port: int) -> None:
    """Also after a whole one, when a byte comes now and then, and with an endless body."""
    endless = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbody"
    with ExitStack() as stack:
        starts = (b"", b"G", HALF, WHOLE + HALF, WHOLE, endless)
        slow = [stack.enter_context(connect(port, start)) for start in starts]

        def all_closed_though_bytes_keep_coming() -> bool:
            for sock in slow:
                with suppress(OSError):
                    sock.send(b"x")
            return all([closed(sock) for sock in slow])

        assert wait_until(all_closed_though_bytes_keep_coming)
    assert ask(port)[0] == 200


@pytest.mark.usefixtures("impatient")
def test_a_connection_between_two_scrapes_is_not_ended(port: int) -> None:
    """The limit is for an exchange, not for the pause after it."""
    with connect(port, WHOLE) as sock:
        assert answer(sock).startswith(b"HTTP/1.1 200 ")
        time.sleep(1.5 * SHORT)
        sock.sendall(WHOLE)
        assert answer(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("impatient")
def test_a_client_that_does_not_read_is_ended_and_others_are_served() -> None:
    """What it would not take is not kept for it."""
    source = FakeSource(b"x" * 20_000_000)
    with serving(source) as port, ExitStack() as stack:
        idle = [stack.enter_context(small_window(port)) for _ in range(10)]
        for sock in idle:
            sock.sendall(WHOLE)
            assert sock.recv(1).startswith(b"H")
        source.now = Exposition(b"metric 1.0\n")
        assert [ask(port)[0] for _ in range(5)] == [200] * 5
        time.sleep(1.5 * SHORT)
        received = [whole_rest(sock) for sock in idle]
    assert max(received) < 10_000_000


@pytest.mark.usefixtures("patient")
def test_a_client_that_does_not_read_costs_a_piece_and_not_a_copy() -> None:
    """The memory of many of them is bounded by far less than their number of bodies."""
    with serving(FakeSource(b"x" * 20_000_000)) as port, ExitStack() as stack:
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        for _ in range(10):
            sock = stack.enter_context(small_window(port))
            sock.sendall(WHOLE)
            assert sock.recv(1).startswith(b"H")
        assert ask(port, "/-/healthy")[0] == 200
        _, peak = tracemalloc.get_traced_memory()
    assert peak < 10_000_000


def test_stopping_does_not_wait_for_slow_clients(caplog: pytest.LogCaptureFixture) -> None:
    """Neither for those that do not send nor for those that do not read."""
    server = WebServer(LOOPBACK, 0, FakeSource(b"x" * 20_000_000))
    port = server.start()
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(connect(port, HALF))
            stack.enter_context(small_window(port)).sendall(WHOLE)
        assert ask(port, "/-/healthy")[0] == 200
        threads = {thread.name for thread in threading.enumerate()}
        assert "web" in threads
        server.stop()
        assert wait_until(lambda: "web" not in {t.name for t in threading.enumerate()})
    assert caplog.records == []
