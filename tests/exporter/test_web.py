"""The web server's answers, over real sockets."""

import gzip
import http.client
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

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
from unitcost.exporter.serving import pages
from unitcost.exporter.serving.exposition import Exposition, compress
from unitcost.exporter.serving.pages import accepts_gzip
from unitcost.exporter.serving.web import WebServer

LARGE = b"".join(b'metric{number="%d"} 1.0\n' % number for number in range(40_000))
ONE_AT_A_TIME = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FakeSource, int]]:
    """One running server for all tests that do not stop it: what it serves, and its port."""
    served = FakeSource()
    with serving(served) as free:
        yield served, free


@pytest.fixture
def source(shared: tuple[FakeSource, int]) -> FakeSource:
    """What the shared server serves, as new."""
    vars(shared[0]).update(vars(FakeSource()))
    return shared[0]


@pytest.fixture
def port(shared: tuple[FakeSource, int], source: FakeSource) -> int:
    """The shared server's port, its source as new."""
    assert source is shared[0]
    return shared[1]


def test_metrics_are_served_byte_for_byte_with_their_content_type(port: int) -> None:
    """As Prometheus wants them."""
    status, headers, body = ask(port)
    assert (status, body) == (200, b"metric 1.0\n")
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["vary"] == "accept-encoding"
    assert "content-encoding" not in headers
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/live"])
def test_head_gives_the_headers_of_get_and_no_body(port: int, path: str) -> None:
    """Length included."""
    (status, got, body), (head_status, head, nothing) = ask(port, path), ask(port, path, "HEAD")
    assert (status, head_status, nothing) == (200, 200, b"")
    assert int(head["content-length"]) == len(body)
    del got["date"], head["date"]
    assert head == got


@pytest.mark.parametrize("body", [b"", b"metric 1.0\n", LARGE])
def test_gzip_unpacks_to_what_is_served_without(body: bytes) -> None:
    """For a client that says it can read it."""
    with serving(FakeSource(body)) as port:
        status, headers, packed = ask(port, accept_encoding="gzip;q=1.0, identity; q=0.5")
        assert ask(port)[2] == body
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert int(headers["content-length"]) == len(packed)
    assert gzip.decompress(packed) == body


def test_a_body_is_compressed_once_however_often_it_is_asked_for(
    port: int, source: FakeSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when there is a new one; never, where the source has done it."""
    made: list[bytes] = []

    def counting(body: bytes) -> bytes:
        made.append(body)
        return compress(body)

    monkeypatch.setattr(pages, "compress", counting)
    for body in (b"metric 1.0\n", b"metric 2.0\n"):
        source.now = Exposition(body)
        answers = [gzip.decompress(ask(port, accept_encoding="gzip")[2]) for _ in range(3)]
        assert answers == [body] * 3
    source.now = Exposition(b"metric 3.0\n", b"done already")
    assert ask(port, accept_encoding="gzip")[2] == b"done already"
    assert made == [b"metric 1.0\n", b"metric 2.0\n"]


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("gzip", True),
        ("GZip", True),
        ("deflate, gzip", True),
        ("x-gzip", True),
        ("gzip;q=0.1", True),
        ("gzip; q=1", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzipped", False),
        ("identity", False),
        ("", False),
        (",;,=", False),
    ],
)
def test_who_accepts_gzip(value: str, accepted: bool) -> None:
    """RFC 9110, 12.5.3; a weight of 0 is a no."""
    assert accepts_gzip([(b"host", b"x"), (b"accept-encoding", value.encode())]) is accepted


def test_health_and_readiness_are_two_things(port: int, source: FakeSource) -> None:
    """One line each; 503 for no."""
    assert ask(port, "/-/healthy")[::2] == (200, b"healthy\n")
    assert ask(port, "/-/ready")[::2] == (200, b"ready\n")
    source.readiness = (False, "the ledger cannot be opened")
    assert ask(port, "/-/healthy")[0] == 200
    assert ask(port, "/-/ready")[::2] == (503, b"not ready: the ledger cannot be opened\n")
    source.is_healthy = False
    assert ask(port, "/-/healthy")[::2] == (503, b"not healthy\n")
    assert ask(port)[0] == 200


def test_the_page_links_to_what_there_is(port: int) -> None:
    """A person with a browser finds the way."""
    status, headers, body = ask(port, "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in ("metrics", "-/healthy", "-/ready"):
        assert f'href="{path}"'.encode() in body


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "//", "/-/", "/%2e%2e/metrics", "/x?/"])
def test_what_is_not_there_is_404(port: int, path: str) -> None:
    """Whatever the method."""
    assert ask(port, path)[0] == 404
    assert ask(port, path, "POST")[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "ODD"])
def test_other_methods_are_405(port: int, method: str) -> None:
    """With those that are allowed."""
    status, headers, _ = ask(port, "/metrics", method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_a_query_changes_nothing(port: int) -> None:
    """Targets with parameters are scraped too."""
    assert ask(port, "/metrics?collect[]=cpu")[::2] == (200, b"metric 1.0\n")


def test_a_broken_page_harms_no_other_and_is_logged_once(
    port: int, source: FakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Until it has worked again."""
    source.broken = True
    with caplog.at_level(logging.ERROR):
        assert [ask(port)[0] for _ in range(3)] == [500, 500, 500]
        assert ask(port, "/-/healthy")[0] == 200
        assert len(caplog.records) == 1
        source.broken = False
        assert ask(port)[0] == 200
        source.broken = True
        assert ask(port)[0] == 500
    assert [record.message for record in caplog.records] == ["cannot answer /metrics"] * 2


def test_nothing_is_logged_for_requests_good_or_bad(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A port scan does not fill the log."""
    with caplog.at_level(logging.INFO):
        ask(port)
        ask(port, "/nothing")
        with connect(port, b"\x16\x03\x01\x00\xa5junk\r\n\r\n") as sock:
            assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
        with connect(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000) as sock:
            assert wait_until(lambda: closed(sock))
        assert ask(port)[0] == 200
    assert caplog.records == []


def test_one_connection_serves_many_requests_even_sent_together(port: int) -> None:
    """Keep-alive and pipelining."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PATIENCE)
    for _ in range(3):
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == b"metric 1.0\n"
    connection.close()
    with connect(port, ONE_AT_A_TIME * 3 + b"GET /-/ready HTTP/1.0\r\n\r\n") as sock:
        got = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert got.count(b"metric 1.0\n") == 3
    assert got.endswith(b"ready\n")


def test_every_scrape_is_of_one_tick_while_ticks_go_on(port: int, source: FakeSource) -> None:
    """Twelve clients at once, and bodies of more than one piece."""
    ticks = [(b"%d" % number) * 100_000 for number in range(10)]
    source.now = Exposition(ticks[0])
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.001):
            source.now = Exposition(ticks[(source.now.body[0] - 47) % 10])

    ticking = threading.Thread(target=tick)
    ticking.start()
    try:
        with ThreadPoolExecutor(12) as pool:
            packed = pool.map(lambda _: ask(port, accept_encoding="gzip")[2], range(60))
            plain = pool.map(lambda _: ask(port)[2], range(60))
            bodies = [*map(gzip.decompress, packed), *plain]
    finally:
        done.set()
        ticking.join()
    assert set(bodies) <= set(ticks)
    assert len(bodies) == 120


def test_answers_are_counted_by_path_and_code() -> None:
    """Unknown paths as one, so that nobody can make series."""
    server = WebServer(LOOPBACK, 0, FakeSource())
    port = server.start()
    try:
        for path in ("/metrics", "/metrics", "/a", "/b"):
            ask(port, path)
        ask(port, "/metrics", "POST")
        counted = server.answered()
    finally:
        server.stop()
    expected = {("/metrics", 200): 2, ("/metrics", 405): 1, ("other", 404): 2, ("/", 200): 0}
    assert {key: counted[key] for key in expected} == expected
    assert len(counted) == 7
