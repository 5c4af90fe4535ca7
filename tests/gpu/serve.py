"""A small language model, its weights at random, behind HTTP with a metrics page.

``POST /generate`` with ``{"prompt": [token, ...], "tokens": n}`` gives n tokens. Says ``ready
DEVICE`` when it serves, and ends when its stdin is closed.
"""

import argparse
import importlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.gpu.loads import Sleep, end_with_parent, import_torch

TABLE: dict[str, Any] = {
    "marker": ["tiny_"],
    "requests_succeeded": [{"metric": "tiny_requests_total", "labels": {"outcome": ["ok"]}}],
    "requests_failed": [{"metric": "tiny_requests_total", "labels": {"outcome": ["failed"]}}],
    "tokens_input": [{"metric": "tiny_prompt_tokens_total"}],
    "tokens_output": [{"metric": "tiny_generated_tokens_total"}],
    "requests_running": [{"metric": "tiny_requests_running"}],
    "start_time_seconds": [{"metric": "tiny_start_time_seconds"}],
}
"""What `servers` in the configuration says of the metrics page below."""

Generate = Callable[[list[int], int], list[int]]


def make_generator() -> tuple[Generate, str]:
    """A function that continues a prompt, and the device it does so on."""
    torch, transformers = import_torch(), importlib.import_module("transformers")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = transformers.GPT2Config(
        n_layer=2, n_head=4, n_embd=256, vocab_size=1000, bos_token_id=0, eos_token_id=0
    )
    model: Any = transformers.GPT2LMHeadModel(config).to(device).eval()

    def generate(prompt: list[int], count: int) -> list[int]:
        given = torch.tensor([prompt], device=device)
        mask = torch.ones_like(given)
        found = model.generate(
            given,
            attention_mask=mask,
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
        tokens: list[int] = found[0, len(prompt) :].tolist()
        return tokens

    generate([1, 2, 3], 2)
    return generate, device


def echo(prompt: list[int], count: int) -> list[int]:
    """No model, for dry runs without torch."""
    Sleep().once()
    return (prompt * count)[:count]


class Counts:
    """What the metrics page shows."""

    def __init__(self) -> None:
        self.started = time.time()
        self.ok = self.failed = self.prompt = self.generated = self.running = 0

    def page(self) -> str:
        """In the text format."""
        return (
            f'tiny_requests_total{{outcome="ok"}} {self.ok}\n'
            f'tiny_requests_total{{outcome="failed"}} {self.failed}\n'
            f"tiny_prompt_tokens_total {self.prompt}\n"
            f"tiny_generated_tokens_total {self.generated}\n"
            f"tiny_requests_running {self.running}\n"
            f"tiny_start_time_seconds {self.started}\n"
        )


class Server(ThreadingHTTPServer):
    """Generates for one request at a time."""

    daemon_threads = True

    def __init__(self, port: int, generate: Generate) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.generate, self.counts, self.lock = generate, Counts(), threading.Lock()

    def answer(self, body: bytes) -> list[int]:
        """Generate what a request asks for, and count it. Raises ValueError for a bad one."""
        counts = self.counts
        with self.lock:
            counts.running = 1
            try:
                asked = json.loads(body)
                prompt, count = list(map(int, asked["prompt"])), int(asked["tokens"])
                if not prompt or not 0 < count <= 256:
                    raise ValueError("no prompt, or no such number of tokens")
                tokens = self.generate(prompt, count)
            except (KeyError, TypeError, ValueError) as error:
                counts.failed += 1
                raise ValueError(str(error)) from None
            finally:
                counts.running = 0
            counts.ok += 1
            counts.prompt += len(prompt)
            counts.generated += len(tokens)
        return tokens


class Handler(BaseHTTPRequestHandler):
    """`/generate` and `/metrics`."""

    @property
    def _served(self) -> Server:
        assert isinstance(self.server, Server)
        return self.server

    def do_POST(self) -> None:
        """Generate."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self._send(200, json.dumps({"tokens": self._served.answer(body)}))
        except ValueError as error:
            self._send(400, str(error))

    def do_GET(self) -> None:
        """The metrics page, whatever is asked for."""
        self._send(200, self._served.counts.page())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", choices=("torch", "sleep"), default="torch")
    options = parser.parse_args()
    generate, device = make_generator() if options.work == "torch" else (echo, "none")
    server = Server(options.port, generate)
    print("ready", device, flush=True)
    end_with_parent()
    server.serve_forever()


if __name__ == "__main__":
    main()
