"""The demo's users: requests that come in waves, and their own count of what they got."""

import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from unitcost.exporter.demo import corpus

WAVE = ((20.0, 8.0), (15.0, 1.5), (10.0, 0.0))
"""Busy, quiet, silent: how many seconds each lasts, and requests a second in it. Then anew."""
BAD_EVERY = 25
"""Every so many requests one asks for more than the server gives, and fails."""
WORKERS = 4
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of the plan: when it comes (seconds from the start) and what it asks for."""

    at: float
    prompt: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Truth:
    """What the client side counted. `unanswered`: sent, but no answer came back."""

    succeeded: int = 0
    failed: int = 0
    unanswered: int = 0
    skipped: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    last_text: str = ""


def rate_at(instant: float) -> float:
    """Return the requests a second that the wave has `instant` seconds after the start."""
    left = instant % sum(seconds for seconds, _ in WAVE)
    for seconds, rate in WAVE:
        if left < seconds:
            return rate
        left -= seconds
    return WAVE[-1][1]


def arrivals(seed: int) -> Iterator[Arrival]:
    """Yield requests for ever, a Poisson process under the wave; the same ones for one seed."""
    dice = random.Random(seed)  # noqa: S311 - a plan to be repeated, not a secret
    texts = corpus.sentences(200, seed)
    highest = max(rate for _, rate in WAVE)
    at, count = 0.0, 0
    while True:
        at += dice.expovariate(highest)
        if dice.random() * highest >= rate_at(at):
            continue  # thinning (Lewis and Shedler 1979)
        count += 1
        prompt = " ".join(dice.choices(texts, k=dice.randint(1, 4)))
        cut = prompt[: dice.randint(8, 240)]
        yield Arrival(at, cut, 100_000 if count % BAD_EVERY == 0 else dice.randint(24, 200))


class Load:
    """Sends the plan to one server from a few threads, until stopped."""

    def __init__(self, port: int, seed: int = 0) -> None:
        """Prepare to load the server on 127.0.0.1:`port`."""
        self._port = port
        self._plan = arrivals(seed)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._truth = Truth()
        self._queue: queue.Queue[Arrival | None] = queue.Queue(maxsize=WORKERS)
        self._threads = [threading.Thread(target=self._send_all, daemon=True)]
        self._threads += [threading.Thread(target=self._work, daemon=True) for _ in range(WORKERS)]

    @property
    def truth(self) -> Truth:
        """What has been counted so far."""
        with self._lock:
            return self._truth

    def start(self) -> None:
        """Begin; the wave starts now."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        """Send nothing more, and wait up to `timeout` seconds for what is under way."""
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _send_all(self) -> None:
        started = time.monotonic()
        for arrival in self._plan:
            if self._stop.wait(max(0.0, started + arrival.at - time.monotonic())):
                break
            try:
                self._queue.put_nowait(arrival)
            except queue.Full:
                self._add(skipped=1)  # the server is behind: do not pile up
        for _ in range(WORKERS):
            self._queue.put(None)

    def _work(self) -> None:
        while (arrival := self._queue.get()) is not None:
            if self._stop.is_set():
                continue
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
            try:
                self._ask(connection, arrival)
            except (OSError, http.client.HTTPException, ValueError):
                self._add(unanswered=1)
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection, arrival: Arrival) -> None:
        body = json.dumps({"prompt": arrival.prompt, "max_tokens": arrival.max_tokens})
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            self._add(failed=1)
            return
        usage = answer["usage"]
        with self._lock:
            self._truth = replace(
                self._truth,
                succeeded=self._truth.succeeded + 1,
                prompt_tokens=self._truth.prompt_tokens + usage["prompt_tokens"],
                output_tokens=self._truth.output_tokens + usage["completion_tokens"],
                last_text=arrival.prompt[-40:] + " >> " + answer["choices"][0]["text"],
            )

    def _add(self, failed: int = 0, unanswered: int = 0, skipped: int = 0) -> None:
        with self._lock:
            self._truth = replace(
                self._truth,
                failed=self._truth.failed + failed,
                unanswered=self._truth.unanswered + unanswered,
                skipped=self._truth.skipped + skipped,
            )
