"""The demo's model server counts what its clients count, also when they fail or leave."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from unitcost.exporter.demo.engine import Engine
from unitcost.exporter.demo.server import MODEL, ModelServer
from unitcost.exporter.demo.transformer import Shape, new_weights, save_weights

SHAPE = Shape(layers=1, width=32, heads=2, hidden=64)
SLOW = Shape(layers=8, width=256, heads=4, hidden=1024)


def serve(engine: Engine) -> Iterator[ModelServer]:
    """Run a server with `engine` in a thread."""
    server = ModelServer(0, engine)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()
    assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server with a small model."""
    yield from serve(Engine(SHAPE))


@pytest.fixture
def slow_server() -> Iterator[ModelServer]:
    """A server whose answers take long enough for a client to leave."""
    yield from serve(Engine(SLOW))


def post(port: int, body: bytes, path: str = "/v1/completions") -> tuple[int, dict[str, Any]]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def get(port: int, path: str) -> tuple[int, str]:
    """Fetch one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def metrics(port: int) -> dict[str, float]:
    """The server's samples, ``name{outcome}`` where there is one."""
    _, text = get(port, "/metrics")
    return {
        sample.name + "".join(f"{{{value}}}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Poll until it holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return true()


def test_the_servers_counts_equal_the_clients_own(server: ModelServer) -> None:
    asked = [(f"request {number} costs", 5 + number % 7) for number in range(24)]

    def ask(prompt_and_limit: tuple[str, int]) -> tuple[int, dict[str, Any]]:
        prompt, limit = prompt_and_limit
        return post(server.port, json.dumps({"prompt": prompt, "max_tokens": limit}).encode())

    before = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, asked))
    took = time.perf_counter() - before
    assert {status for status, _ in answers} == {200}
    usage = [answer["usage"] for _, answer in answers]
    assert [u["completion_tokens"] for u in usage] == [limit for _, limit in asked]
    assert [u["prompt_tokens"] for u in usage] == [len(prompt) for prompt, _ in asked]
    seen = metrics(server.port)
    assert seen["demo_requests_total{succeeded}"] == 24
    assert seen["demo_requests_total{failed}"] == seen["demo_requests_total{aborted}"] == 0
    assert seen["demo_prompt_tokens_total"] == sum(u["prompt_tokens"] for u in usage)
    assert seen["demo_generated_tokens_total"] == sum(u["completion_tokens"] for u in usage)
    computing = seen["demo_prefill_seconds_total"] + seen["demo_decode_seconds_total"]
    assert 0 < computing <= took  # one at a time, so never more than the clock
    assert computing <= seen["demo_request_seconds_total"] <= 4 * took
    assert seen["demo_requests_running"] == seen["demo_requests_waiting"] == 0


def test_the_start_time_is_when_this_process_started(server: ModelServer) -> None:
    started = metrics(server.port)["process_start_time_seconds"]
    assert time.time() - 3600 < started <= time.time() + 1


def test_a_completion_has_the_shape_of_openais(server: ModelServer) -> None:
    body = {"prompt": "äh", "max_tokens": 4, "temperature": 0, "model": "whatever"}
    status, answer = post(server.port, json.dumps(body).encode())
    assert status == 200
    assert answer["object"] == "text_completion"
    assert answer["model"] == MODEL
    assert answer["choices"][0]["finish_reason"] == "length"
    assert isinstance(answer["choices"][0]["text"], str)
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


BAD = [
    b"",
    b"not json",
    b"[1]",
    b"[" * 5000,
    b'{"prompt": ""}',
    b'{"prompt": ["a"]}',
    b'{"prompt": "a", "max_tokens": 0}',
    b'{"prompt": "a", "max_tokens": -1}',
    b'{"prompt": "a", "max_tokens": 100000}',
    b'{"prompt": "a", "max_tokens": 1.5}',
    b'{"prompt": "a", "max_tokens": true}',
    b'{"prompt": "a", "temperature": "hot"}',
    b'{"prompt": "a", "temperature": NaN}',
    b'{"prompt": "a", "temperature": -1}',
    b'{"prompt": "a", "seed": -1}',
    b'{"prompt": "a", "stream": true}',
    json.dumps({"prompt": "a" * 600}).encode(),
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: body[:40].decode())
def test_a_bad_request_gets_400_and_counts_as_failed(server: ModelServer, body: bytes) -> None:
    status, answer = post(server.port, body)
    assert status == 400
    assert answer["error"]["message"]
    seen = metrics(server.port)
    assert seen["demo_requests_total{failed}"] == 1
    assert seen["demo_requests_total{succeeded}"] == 0
    assert seen["demo_prompt_tokens_total"] == seen["demo_generated_tokens_total"] == 0


def raw(port: int, head: str) -> bytes:
    """Send bytes, read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
        return answer


@pytest.mark.parametrize("length", ["", "-1", "9" * 5000, "70000", "²"])
def test_a_body_without_a_sane_length_is_refused(server: ModelServer, length: str) -> None:
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    assert raw(server.port, head).startswith(b"HTTP/1.1 400 ")
    assert metrics(server.port)["demo_requests_total{failed}"] == 1


def test_pages_that_do_not_exist_are_404_and_no_requests(server: ModelServer) -> None:
    assert get(server.port, "/nothing")[0] == 404
    assert post(server.port, b"{}", "/v1/chat")[0] == 404
    assert json.loads(get(server.port, "/health")[1])["status"] == "ok"
    seen = metrics(server.port)
    assert sum(seen[f"demo_requests_total{{{o}}}"] for o in ("succeeded", "failed", "aborted")) == 0


def test_a_client_that_leaves_counts_as_aborted_and_its_work_is_cut_short(
    slow_server: ModelServer,
) -> None:
    body = json.dumps({"prompt": "the night batch", "max_tokens": 256}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", slow_server.port)) as connection:
        connection.sendall(head.encode() + body)
        assert eventually(lambda: metrics(slow_server.port)["demo_requests_running"] == 1)
    assert eventually(lambda: metrics(slow_server.port)["demo_requests_total{aborted}"] == 1)
    seen = metrics(slow_server.port)
    assert seen["demo_requests_total{succeeded}"] == seen["demo_requests_total{failed}"] == 0
    assert 1 <= seen["demo_generated_tokens_total"] < 256
    assert seen["demo_requests_running"] == 0


def test_a_client_that_leaves_in_the_middle_of_its_body_counts_as_aborted(
    server: ModelServer,
) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head)
    assert eventually(lambda: metrics(server.port)["demo_requests_total{aborted}"] == 1)


def test_new_weights_are_served_and_broken_ones_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.npz"
    engine = Engine(SHAPE, path)

    def answer() -> bytes:
        from unitcost.exporter.demo.engine import Prompt

        return engine.complete(Prompt(b"The cache ", 24, 0.9, 1), lambda: False)

    random = answer()
    trained = new_weights(SHAPE, seed=77)
    trained["0.down"] += 0.1
    save_weights(path, trained)
    learned = answer()
    assert learned != random
    path.write_bytes(b"broken")
    assert answer() == answer() == learned
    assert capsys.readouterr().out.count("weights not loaded") == 1
