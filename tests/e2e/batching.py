"""A simulated model server with continuous batching, whose clock only moves when told to.

One step works on a batch: every running request gets one more token, and what is left of the
step's budget goes to the prompts that wait, in the order in which they came. A step takes a fixed
time, some for each running request and some for each prompt token: made-up numbers of the size
that one large GPU has with a model of about ten billion parameters.
"""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

MODEL = "chat-10b"


@dataclass(frozen=True, slots=True)
class Request:
    """When it comes (nanoseconds since the beginning), its prompt's and its answer's tokens."""

    at_ns: int
    input: int
    output: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What a step takes, in nanoseconds, and how much may be in one."""

    step_ns: int = 12_000_000
    running_ns: int = 150_000
    prompt_token_ns: int = 40_000
    prompt_tokens: int = 2_048
    running: int = 256


@dataclass(slots=True)
class Progress:
    """How far a request is. Steps are numbered; it gets a token in each from `first` on."""

    request: Request
    left: int
    began_ns: int = -1
    first_ns: int = 0
    first: int = 0

    @property
    def last(self) -> int:
        """The step of its last token."""
        return self.first + self.request.output - 1

    def input_in(self, after: int, until: int) -> int:
        """Its input tokens that count in steps above `after` and up to `until`."""
        return self.request.input if after < self.first <= until else 0

    def output_in(self, after: int, until: int) -> int:
        """Its output tokens of those steps."""
        return max(0, min(until, self.last) - max(after + 1, self.first) + 1) if self.first else 0


@dataclass(slots=True)
class Counters:
    """What it counts, as vLLM does: tokens as they come, seconds of requests that are over."""

    finished: int = 0
    input: int = 0
    output: int = 0
    prefill_ns: int = 0
    decode_ns: int = 0
    total_ns: int = 0
    prompt_ns: int = 0
    """Of all steps, the time that prompt tokens took; no real server tells it."""
    busy_ns: int = 0


@dataclass(slots=True)
class BatchingServer:
    """The server, and all requests that will come."""

    trace: Sequence[Request]
    speed: Speed = Speed()
    now_ns: int = 0
    steps: int = 0
    counters: Counters = field(default_factory=Counters)
    all: list[Progress] = field(default_factory=list)
    waiting: deque[Progress] = field(default_factory=deque)
    running: int = 0
    prefilled: list[Progress] = field(default_factory=list)
    ends: list[tuple[int, int]] = field(default_factory=list)
    """Step of the last token and place in `prefilled` of all that run, the next to end first."""
    _step: tuple[int, int, list[Progress]] | None = None

    def advance(self, until_ns: int) -> None:
        """Work until then; a step that would end later is still under way."""
        while True:
            if self._step is None:
                self._arrive()
                if not self.waiting and not self.running:
                    if len(self.all) == len(self.trace):
                        break
                    coming = self.trace[len(self.all)].at_ns
                    if coming > until_ns:
                        break
                    self.now_ns = max(self.now_ns, coming)
                    continue
                self._step = self._plan()
            end_ns = self._step[0]
            if end_ns > until_ns:
                return
            self._finish()
        self.now_ns = max(self.now_ns, until_ns)

    def _arrive(self) -> None:
        while len(self.all) < len(self.trace) and self.trace[len(self.all)].at_ns <= self.now_ns:
            request = self.trace[len(self.all)]
            progress = Progress(request, request.input)
            self.all.append(progress)
            self.waiting.append(progress)

    def _plan(self) -> tuple[int, int, list[Progress]]:
        """When the next step ends, its prompt tokens, and the prompts that are then complete."""
        speed = self.speed
        done: list[Progress] = []
        budget, taken = speed.prompt_tokens, 0
        room = speed.running - self.running
        for progress in self.waiting:
            if budget <= 0 or len(done) >= room:
                break
            if progress.began_ns < 0:
                progress.began_ns = self.now_ns
            part = min(budget, progress.left)
            budget, taken, progress.left = budget - part, taken + part, progress.left - part
            if not progress.left:
                done.append(progress)
        took = speed.step_ns + self.running * speed.running_ns + taken * speed.prompt_token_ns
        return self.now_ns + took, taken, done

    def _finish(self) -> None:
        """What is counted at the end of the step that was planned."""
        assert self._step is not None
        end_ns, taken, done = self._step
        counters = self.counters
        counters.busy_ns += end_ns - self.now_ns
        counters.prompt_ns += taken * self.speed.prompt_token_ns
        self._step, self.now_ns, self.steps = None, end_ns, self.steps + 1
        counters.output += self.running + len(done)
        for progress in done:
            self.waiting.popleft()
            progress.first, progress.first_ns = self.steps, end_ns
            counters.input += progress.request.input
            heapq.heappush(self.ends, (progress.last, len(self.prefilled)))
            self.prefilled.append(progress)
        self.running += len(done)
        while self.ends and self.ends[0][0] == self.steps:
            self._end(self.prefilled[heapq.heappop(self.ends)[1]])

    def _end(self, progress: Progress) -> None:
        counters = self.counters
        counters.finished += 1
        counters.prefill_ns += progress.first_ns - progress.began_ns
        counters.decode_ns += self.now_ns - progress.first_ns
        counters.total_ns += self.now_ns - progress.request.at_ns
        self.running -= 1

    def page(self, born: float) -> bytes:
        """Its metrics page, with vLLM's names."""
        c = self.counters
        counts = {
            'request_success_total{finished_reason="stop",%s}': c.finished,
            'prompt_tokens_by_source_total{source="local_compute",%s}': c.input,
            "prompt_tokens_cached_total{%s}": 0,
            "prompt_tokens_total{%s}": c.input,
            "generation_tokens_total{%s}": c.output,
            "request_prefill_time_seconds_sum{%s}": c.prefill_ns / 1e9,
            "request_decode_time_seconds_sum{%s}": c.decode_ns / 1e9,
            "e2e_request_latency_seconds_sum{%s}": c.total_ns / 1e9,
            "e2e_request_latency_seconds_count{%s}": c.finished,
            "num_requests_running{%s}": self.running,
            "num_requests_waiting{%s}": len(self.waiting),
        }
        labels = f'engine="0",model_name="{MODEL}"'
        lines = [f"vllm:{name % labels} {value!r}\n" for name, value in counts.items()]
        return "".join([*lines, f"process_start_time_seconds {born!r}\n"]).encode()
