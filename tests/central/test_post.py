"""What an answer means: whether the hour is there, and whether the next may be tried."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.central.deliveries import delivery
from tests.harness import free_port
from unitcost.exporter.fleet.post import PASSING, Central, Failure, NotSent

SECRET = "a-secret-of-the-fleet"  # noqa: S105 - a test's


class Answering(HTTPServer):
    """Answers each request with a status."""

    status = 200
    asked: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        """Read it and answer; the token is said back, as a bad server would."""
        answering = self.server
        assert isinstance(answering, Answering)
        self.rfile.read(int(self.headers["Content-Length"]))
        answering.asked = {**self.headers, "path": self.path}
        self.send_response(answering.status, f"{self.headers['Authorization']}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Answering]:
    """One that runs."""
    made = Answering(("127.0.0.1", 0), Handler)
    thread = Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Its file."""
    (tmp_path / "token").write_text(f"{SECRET}\n")
    return tmp_path / "token"


def test_a_delivery_goes_where_it_should(server: Answering, token: Path) -> None:
    """Packed, with the token."""
    Central(f"http://127.0.0.1:{server.server_port}/", token).send(delivery(1))
    assert server.asked["path"] == "/v1/charges"
    assert server.asked["Authorization"] == f"Bearer {SECRET}"
    assert server.asked["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (400, Failure.REJECTED),
        (401, Failure.UNAUTHORIZED),
        (403, Failure.UNAUTHORIZED),
        (404, Failure.REJECTED),
        (409, Failure.CONFLICT),
        (413, Failure.REJECTED),
        (429, Failure.UNAVAILABLE),
        (500, Failure.UNAVAILABLE),
        (503, Failure.UNAVAILABLE),
        (301, Failure.UNREACHABLE),
        (204, Failure.REJECTED),
    ],
)
def test_what_each_status_means(
    server: Answering, token: Path, status: int, failure: Failure
) -> None:
    """Only 200 is good; the token is not repeated."""
    server.status = status
    with pytest.raises(NotSent) as caught:
        Central(f"http://127.0.0.1:{server.server_port}", token).send(delivery(1))
    assert caught.value.failure is failure
    assert SECRET not in str(caught.value)


def test_a_server_that_is_away_and_a_token_that_is_none(tmp_path: Path, token: Path) -> None:
    """The next hour would fare no better."""
    with pytest.raises(NotSent) as caught:
        Central(f"http://127.0.0.1:{free_port()}", token).send(delivery(1))
    assert caught.value.failure is Failure.UNREACHABLE
    for bad in (tmp_path / "none", tmp_path / "binary"):
        (tmp_path / "binary").write_bytes(b"\xff")
        with pytest.raises(NotSent) as caught:
            Central("http://127.0.0.1:1", bad).send(delivery(1))
        assert caught.value.failure is Failure.UNAUTHORIZED
    assert {Failure.CONFLICT, Failure.REJECTED}.isdisjoint(PASSING)
