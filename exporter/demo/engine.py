"""What computes the demo server's answers, and what counts them."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from unitcost.exporter.demo.transformer import (
    Shape,
    Weights,
    generate,
    load_weights,
    new_weights,
)

OUTCOMES = ("succeeded", "failed", "aborted")
LOOK_EVERY = 8
"""How many tokens are made between two looks at whether the client is still there."""


class Aborted(Exception):
    """The client left before its answer was ready."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request: `limit` tokens are to follow `text`."""

    text: bytes
    limit: int
    temperature: float = 0.7
    seed: int = 0


class _Request:
    """How one request ended; `failed` until something else is said."""

    def __init__(self) -> None:
        self.outcome = "failed"

    def succeeded(self) -> None:
        self.outcome = "succeeded"

    def failed(self) -> None:
        self.outcome = "failed"

    def aborted(self) -> None:
        self.outcome = "aborted"


class Counters:
    """The server's own metrics, in a registry of their own."""

    def __init__(self) -> None:
        """Start all of them at zero."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)  # process_start_time_seconds among others
        self._registry = registry
        requests = Counter("demo_requests", "Requests finished.", ["outcome"], registry=registry)
        self._requests = {outcome: requests.labels(outcome) for outcome in OUTCOMES}
        self._request_seconds = Counter(
            "demo_request_seconds", "Time finished requests spent here.", registry=registry
        )
        self.running = Gauge("demo_requests_running", "Requests computing.", registry=registry)
        self.waiting = Gauge(
            "demo_requests_waiting", "Requests that wait for their turn.", registry=registry
        )
        self.prompt_tokens = Counter(
            "demo_prompt_tokens", "Prompt tokens computed.", registry=registry
        )
        self.generated_tokens = Counter(
            "demo_generated_tokens", "Tokens generated.", registry=registry
        )
        self.prefill_seconds = Counter(
            "demo_prefill_seconds", "Time computing prompts.", registry=registry
        )
        self.decode_seconds = Counter(
            "demo_decode_seconds", "Time generating tokens.", registry=registry
        )

    @contextmanager
    def request(self) -> Iterator[_Request]:
        """Count one request and its time; whatever is raised counts it as failed."""
        request = _Request()
        started = time.perf_counter()
        try:
            yield request
        finally:
            self._request_seconds.inc(time.perf_counter() - started)
            self._requests[request.outcome].inc()

    def exposition(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self._registry)


class Engine:
    """Completes prompts, one at a time, with the newest weights."""

    def __init__(self, shape: Shape, weights: Path | None = None) -> None:
        """Start with random weights; those in the file `weights` take over once it exists."""
        self.shape = shape
        self.counters = Counters()
        self._path = weights
        self._stamp = 0
        self._weights = new_weights(shape)
        self._turn = threading.Lock()

    def complete(self, prompt: Prompt, has_left: Callable[[], bool]) -> bytes:
        """Return the tokens that follow `prompt`; waits for its turn first.

        Raises Aborted once `has_left` says so, and ValueError where it does not fit the context.
        What was computed until then is counted: it was real work.
        """
        with self.counters.waiting.track_inprogress():
            self._turn.acquire()
        try:
            with self.counters.running.track_inprogress():
                if has_left():
                    raise Aborted
                return self._compute(prompt, has_left)
        finally:
            self._turn.release()

    def _compute(self, prompt: Prompt, has_left: Callable[[], bool]) -> bytes:
        weights, counters, answer = self._newest(), self.counters, bytearray()
        tokens = generate(
            weights, self.shape, prompt.text, prompt.limit, prompt.temperature, prompt.seed
        )
        started = time.perf_counter()
        answer.append(next(tokens))
        decoding = time.perf_counter()
        counters.prefill_seconds.inc(decoding - started)
        counters.prompt_tokens.inc(len(prompt.text))
        try:
            for token in tokens:
                answer.append(token)
                if len(answer) % LOOK_EVERY == 0 and has_left():
                    raise Aborted
        finally:
            counters.decode_seconds.inc(time.perf_counter() - decoding)
            counters.generated_tokens.inc(len(answer))
        return bytes(answer)

    def _newest(self) -> Weights:
        """Load the weights file if it changed; keep what there is where it cannot be read."""
        if self._path is None:
            return self._weights
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._stamp = stamp
                self._weights = load_weights(self._path, self.shape)
        except FileNotFoundError:
            pass  # nothing trained yet
        except (OSError, ValueError) as error:
            print(f"weights not loaded, the old ones serve on: {error}", flush=True)
        return self._weights
