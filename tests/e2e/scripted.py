"""Model servers that count what a test tells them, and serve it over real HTTP as theirs do.

Each is of a family that behaves in its own way: says when it started or not; has its series from
the start, or from the first request or the loading of a model on.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.harness import free_port

Counts = Mapping[str, int]
"""Requests by model (of llama.cpp, which counts none, output tokens)."""


def _start(born: float) -> str:
    return f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {born:.2f}\n"


def vllm_page(counts: Counts, born: float) -> str:
    """Its series are there at 0 from the start; it says when that was."""
    name = "vllm:request_success_total"
    lines = [f"# TYPE {name} counter\n"]
    for model, count in counts.items():
        for reason, value in (("stop", count), ("length", 0), ("abort", 0), ("error", 0)):
            labels = f'engine="0",finished_reason="{reason}",model_name="{model}"'
            lines.append(f"{name}{{{labels}}} {value:.1f}\n")
    return "".join([_start(born), *lines])


def mlserver_page(counts: Counts, born: float) -> str:
    """A series is born with the first request for its model; it says when it started itself."""
    lines = []
    for kind in ("success", "failure"):
        name = f"model_infer_request_{kind}"
        lines.append(f"# TYPE {name}_total counter\n")
        for model, count in counts.items():
            if count and kind == "success":
                lines.append(f'{name}_total{{model="{model}",version=""}} {count:.1f}\n')
    return "".join([_start(born), *lines])


def triton_page(counts: Counts, born: float) -> str:
    """A series is born at 0 when its model is loaded; it never says when it started."""
    lines = ["# TYPE nv_inference_request_success counter\n"]
    for model, count in counts.items():
        labels = f'model="{model}",version="1"'
        lines.append(f"nv_inference_request_success{{{labels}}} {count}\n")
    return "".join(lines)


def llamacpp_page(counts: Counts, born: float) -> str:
    """Tokens of one model without a name; it never says when it started."""
    name = "llamacpp:tokens_predicted_total"
    return f"# TYPE {name} counter\n{name} {sum(counts.values())}\n"


PAGES = {
    "vllm": vllm_page,
    "mlserver": mlserver_page,
    "triton": triton_page,
    "llamacpp": llamacpp_page,
}
SAYS_START = ("vllm", "mlserver")


@dataclass
class Scripted:
    """One server of a family on a port of its own; it may start anew there."""

    family: str
    port: int = field(default_factory=free_port)
    counts: dict[str, int] = field(default_factory=dict)
    born: float = 0.0
    reads: int = 0
    http: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it is read."""
        return f"http://127.0.0.1:{self.port}/metrics"

    def start(self, served: int = 0, *, born: float | None = None) -> None:
        """Start with so many requests for the model ``m`` served since it was born, or now."""
        self.counts = {"m": served}
        self.born = time.time() if born is None else born
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = PAGES[owner.family](dict(owner.counts), owner.born).encode()
                owner.reads += 1
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal."""

        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def serve(self, count: int, model: str = "m") -> None:
        """Answer so many requests."""
        self.counts[model] = self.counts.get(model, 0) + count

    def stop(self) -> None:
        """End; what it counted is lost, and its port refuses."""
        if self.http is not None:
            self.http.shutdown()
            self.http.server_close()
            self.http = None
