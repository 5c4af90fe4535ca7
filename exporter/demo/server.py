"""The demo's model server: OpenAI-shaped completions over HTTP, with metrics of its own.

One request computes at a time and the others wait for their turn, so it never uses more than one
core. ``python -m unitcost.exporter.demo.server --port P [--weights FILE]``.
"""

import argparse
import json
import select
import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from prometheus_client import CONTENT_TYPE_LATEST

from unitcost.exporter.demo.engine import Aborted, Engine, Prompt
from unitcost.exporter.demo.transformer import Shape

MODEL = "demo-1m"
MAX_BODY_BYTES = 64 * 1024
MAX_TOKENS = 256
CLIENT_TIMEOUT = 30.0


class BadRequest(ValueError):
    """The request cannot be served; its text goes to the client."""


def parse_request(body: bytes, shape: Shape) -> Prompt:
    """Read the JSON of a completion request. Raises BadRequest for anything out of bounds."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("not a JSON object")
    if fields.get("stream"):
        raise BadRequest("stream: not offered")
    prompt, limit = fields.get("prompt"), fields.get("max_tokens", 16)
    temperature, seed = fields.get("temperature", 0.7), fields.get("seed", 0)
    if not isinstance(prompt, str) or not prompt:
        raise BadRequest("prompt: a text of at least one character is needed")
    for name, value, top in (("max_tokens", limit, MAX_TOKENS), ("seed", seed, 2**32)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= top:
            raise BadRequest(f"{name}: a whole number up to {top} is needed")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise BadRequest("temperature: a number is needed")
    if limit < 1 or not 0 <= temperature <= 10:
        raise BadRequest("max_tokens must be at least 1, temperature between 0 and 10")
    text = prompt.encode("utf-8", "replace")
    if len(text) + limit > shape.context:
        raise BadRequest(f"prompt and max_tokens exceed the context of {shape.context} bytes")
    return Prompt(text, limit, float(temperature), seed)


def has_left(connection: socket.socket) -> bool:
    """Whether the client has closed its side while it waits for the answer."""
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class ModelServer(ThreadingHTTPServer):
    """Listens on loopback and hands each connection to a `Handler` in a thread of its own."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, port: int, engine: Engine) -> None:
        """Bind to 127.0.0.1:`port` (0: any free one). Raises OSError where it is taken."""
        super().__init__(("127.0.0.1", port), Handler)
        self.engine = engine

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; keeps it open between requests."""

    protocol_version = "HTTP/1.1"
    timeout = CLIENT_TIMEOUT

    @property
    def engine(self) -> Engine:
        """What computes and counts for all connections."""
        return cast(ModelServer, self.server).engine

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing for each request: the metrics say it."""

    def do_GET(self) -> None:
        """Serve /health and /metrics."""
        path = self.path.partition("?")[0]
        if path == "/health":
            self._reply(200, {"status": "ok", "model": MODEL})
        elif path == "/metrics":
            self._send(200, self.engine.counters.exposition(), CONTENT_TYPE_LATEST)
        else:
            self._reply(404, {"error": {"message": "no such page"}})

    def do_POST(self) -> None:
        """Serve /v1/completions."""
        if self.path != "/v1/completions":
            self.close_connection = True  # the body stays unread
            self._reply(404, {"error": {"message": "no such page"}})
            return
        # Counted before it is answered: who has the answer finds it in the metrics.
        with self.engine.counters.request() as request:
            try:
                prompt = parse_request(self._body(), self.engine.shape)
                completion = self.engine.complete(prompt, lambda: has_left(self.connection))
            except BadRequest as error:
                request.failed()
                status, content = 400, {"error": {"message": str(error)}}
            except (Aborted, ConnectionError, TimeoutError):
                request.aborted()
                self.close_connection = True
                return
            else:
                request.succeeded()
                status, content = 200, completion_body(prompt, completion)
        self._reply(status, content)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequest(f"a Content-Length up to {MAX_BODY_BYTES} is needed")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionError("the client left in the middle of its request")
        return body

    def _reply(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # nobody is there to read it


def completion_body(prompt: Prompt, answer: bytes) -> dict[str, Any]:
    """Return the answer in the shape of OpenAI's completions; a token is a byte."""
    return {
        "object": "text_completion",
        "model": MODEL,
        "choices": [
            {"index": 0, "text": answer.decode("utf-8", "replace"), "finish_reason": "length"}
        ],
        "usage": {
            "prompt_tokens": len(prompt.text),
            "completion_tokens": len(answer),
            "total_tokens": len(prompt.text) + len(answer),
        },
    }


def main() -> int:
    """Serve until ended; prints the address once it listens."""
    parser = argparse.ArgumentParser(description="A small model server on loopback.")
    parser.add_argument("--port", type=int, default=0, help="TCP port (0: any free one)")
    parser.add_argument("--weights", type=Path, help="weights to serve, read again as they change")
    args = parser.parse_args()
    server = ModelServer(args.port, Engine(Shape(), args.weights))
    print(f"listening on http://127.0.0.1:{server.port}", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
