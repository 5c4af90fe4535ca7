"""`unitcost central` over HTTP: who may deliver, how much, how many at once, and what it says."""

import gzip
import http.client
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.central.deliveries import delivery
from tests.harness import parse, wait_for
from unitcost.exporter.central import pages
from unitcost.exporter.central.app import Central
from unitcost.exporter.central.intake import Intake
from unitcost.exporter.central.tokens import BadTokens, Tokens
from unitcost.exporter.config.central import CentralSettings, CentralWeb
from unitcost.exporter.fleet.protocol import MAX_BODY, PATH, encode
from unitcost.exporter.serving import connections

SHARED, OWN = "shared-secret-of-all", "secret-of-h1-alone"
BODY = gzip.compress(encode(delivery(10)))


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    """One for any host, one for one host."""
    path = tmp_path / "tokens"
    path.write_text(f"# who may deliver\n\n* {SHARED}\nh1 {OWN}\n")
    return path


@pytest.fixture
def central(tmp_path: Path, tokens: Path) -> Iterator[tuple[Central, int]]:
    """A server that runs, and its port."""
    web = CentralWeb(address="127.0.0.1", port=0)  # any free one
    settings = CentralSettings(tokens_file=str(tokens), path=str(tmp_path / "c.db"), web=web)
    made = Central(settings)
    port = made.start()
    yield made, port
    made.stop()


def ask(
    port: int, method: str = "POST", path: str = PATH, body: bytes | None = BODY, **headers: str
) -> http.client.HTTPResponse:
    """One request, with the shared token unless another header is given."""
    usual = {"Authorization": f"Bearer {SHARED}", "Content-Encoding": "gzip"}
    given = {name.replace("_", "-").title(): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, usual | given)
    answer = connection.getresponse()
    answer.text = answer.read().decode()  # type: ignore[attr-defined] # for the test
    connection.close()
    return answer


def figures(port: int) -> Any:
    """Its metrics."""
    return parse(ask(port, "GET", "/metrics", None).text)  # type: ignore[attr-defined] # see ask


def rejected(port: int, reason: str) -> float:
    """How many were, for a reason."""
    return float(figures(port).one("unitcost_fleet_rejected_total", reason=reason))


def test_a_delivery_is_stored_once(central: tuple[Central, int]) -> None:
    """With the shared token or the host's own; packed or not."""
    _, port = central
    assert ask(port).status == 200
    plain = ask(port, body=encode(delivery(10)), content_encoding="identity")
    assert (plain.status, plain.text) == (200, "repeated\n")  # type: ignore[attr-defined] # see ask
    assert ask(port, authorization=f"bearer {OWN}").status == 200
    found = figures(port)
    assert found.one("unitcost_fleet_deliveries_total", outcome="stored") == 1
    assert found.one("unitcost_fleet_deliveries_total", outcome="repeated") == 2
    assert found.one("unitcost_fleet_database_up") == 1


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", f"Basic {SHARED}", SHARED, f"Bearer {SHARED}x", "Bearer \xff"],
)
def test_without_a_token_nothing_is_read(central: tuple[Central, int], header: str) -> None:
    """401, and it says how one would have to come."""
    _, port = central
    answer = ask(port, authorization=header)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert rejected(port, "unauthorized") == 1


def test_a_hosts_own_token_is_for_no_other_host(central: tuple[Central, int]) -> None:
    """403."""
    _, port = central
    other = encode(delivery(10, host="h2"))
    answer = ask(port, body=gzip.compress(other), authorization=f"Bearer {OWN}")
    assert answer.status == 403
    assert rejected(port, "wrong_host") == 1


def test_too_much_is_sent_away_before_it_is_read(central: tuple[Central, int]) -> None:
    """By what is stated, or by what comes."""
    _, port = central
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SHARED}\r\n"
        sock.sendall(f"{head}Content-Length: {10**12}\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        piece = b"%x\r\n%b\r\n" % (2**20, b"x" * 2**20)
        try:
            for _ in range(MAX_BODY // 2**20 + 1):
                sock.sendall(piece)
            assert sock.recv(100).startswith(b"HTTP/1.1 413")
        except ConnectionError:  # cut off before the answer could be read
            pass
    wait_for(lambda: rejected(port, "too_large") == 2, "both to be counted")


def test_methods_and_paths_that_are_not_there(central: tuple[Central, int]) -> None:
    """As in HTTP."""
    _, port = central
    assert ask(port, "GET").headers["Allow"] == "POST"
    assert ask(port, path="/metrics").status == 405
    assert ask(port, path="/v1/other").status == 404
    assert ask(port, body=b"junk").status == 400
    assert ask(port, "GET", "/-/healthy", None).status == 200
    assert ask(port, "GET", "/-/ready", None).status == 200


def test_one_too_many_at_once_is_told_to_come_again(
    central: tuple[Central, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 and when; those that wait are served."""
    made, port = central
    monkeypatch.setattr(pages, "MAX_WAITING", 2)
    monkeypatch.setattr(connections, "EXCHANGE_SECONDS", 120.0)  # a loaded machine takes its time
    free, held = Event(), Intake.take
    monkeypatch.setattr(Intake, "take", lambda *args: free.wait(60) and held(*args))
    answers: list[int] = []
    threads = [Thread(target=lambda: answers.append(ask(port).status)) for _ in range(2)]
    for each in threads:
        each.start()
    wait_for(lambda: made._pages._waiting == 2, "both to wait")
    busy = ask(port)
    assert (busy.status, busy.headers["Retry-After"]) == (503, "10")
    free.set()
    for each in threads:
        each.join(60)
    assert answers == [200, 200]
    assert ask(port).status == 200
    assert rejected(port, "busy") == 1


def test_a_database_that_is_away_is_503_and_not_ready(central: tuple[Central, int]) -> None:
    """And there again as soon as it is."""
    made, port = central
    path = Path(made._settings.path)
    away = path.with_suffix(".away")
    made._ledger.close()
    path.rename(away)
    path.mkdir()
    assert ask(port).status == 503
    assert ask(port, "GET", "/-/ready", None).status == 503
    path.rmdir()
    for beside in path.parent.glob("c.db-*"):
        beside.unlink()
    away.rename(path)
    assert ask(port).status == 200
    assert ask(port, "GET", "/-/ready", None).status == 200


@pytest.mark.real
def test_promtool_finds_nothing_to_say(
    central: tuple[Central, int], real_tool: Callable[[str], Path]
) -> None:
    """Names, units, types and help texts."""
    made, port = central
    assert ask(port).status == 200
    made.look_after()
    text = made.exposition()
    assert b"unitcost_fleet_lag_seconds" in text
    command = [str(real_tool("promtool")), "check", "metrics"]
    result = subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_tokens_are_read_again_when_they_change(tokens: Path) -> None:
    """A file that became bad changes nothing."""
    found = Tokens(tokens)
    assert found.hosts(f"Bearer {OWN}") == {"h1"}
    tokens.write_text("h2 another-secret-now\n")
    assert found.hosts(f"Bearer {OWN}") == frozenset()
    assert found.hosts("Bearer another-secret-now") == {"h2"}
    tokens.write_text("")
    assert found.hosts("Bearer another-secret-now") == {"h2"}


@pytest.mark.parametrize("text", ["", "# none\n", "h1\n", "h1 short\n", "h1 a b\n", "h1 \xff"])
def test_files_that_hold_no_tokens(tmp_path: Path, text: str) -> None:
    """Refused, without what is in them."""
    path = tmp_path / "tokens"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadTokens) as caught:
        Tokens(path)
    assert "short" not in str(caught.value).partition(":")[2].replace("shorter", "")
