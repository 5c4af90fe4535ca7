"""An hour of requests through a simulated server: what each of them cost, and what all did.

The host is one H100 at 2.50 USD an hour, all of it reserved by the server. Time is simulated; the
way from the metrics page to the dollars is the exporter's own. Each request's cost is its input
tokens times their price plus its output tokens times theirs, at the prices that the exporter shows
for the five minutes in which the tokens were computed.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.e2e.batching import MODEL, BatchingServer, Progress, Request
from tests.e2e.traces import AZURE_REQUESTS, azure_trace, synthetic_trace
from tests.sites import Site, rented, rules, workload_rule
from tests.worlds import Host
from unitcost.collectors.base import Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.servers.vllm import SERVER as VLLM
from unitcost.exporter.settling.observed import Observed
from unitcost.pricing.money import to_usd
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark
from unitcost.pricing.unit_cost import Basis, Unit
from unitcost.pricing.workload import WorkloadKind

USD_PER_HOUR = Decimal("2.50")
PICO = Decimal("1e-12")
TICK = 5
WINDOW = 300
PORT = 8000
CHAT = workload_rule("chat", cores="4", gibs=16, endpoint=True)
"""It reserves the whole host."""


class ReplayHost(Host):
    """A host on which the simulated server runs; the exporter reads its metrics page."""

    def __init__(self, server: BatchingServer) -> None:
        super().__init__()
        self.server = server
        self.began_ns = 0
        self.endpoint = Endpoint(
            Target(f"http://127.0.0.1:{PORT}/metrics", "chat", WorkloadKind.INFERENCE)
        )
        self.plan = make_plan(VLLM)

    def begin(self) -> None:
        """The server starts now, and the trace with it."""
        self.serve("chat", PORT, cores=1.0, gibs=8.0)
        self.began_ns = self.clock.wall_ns

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        """What all collectors say: of the server, what its page does."""
        observed, marks = super().observe(host)
        if not self.began_ns:
            return observed, marks
        now = self.clock.read()
        self.server.advance(now.wall_ns - self.began_ns)
        page = self.server.page(self.began_ns / NS_PER_SECOND)
        reading = self.endpoint.read(read_table(self.plan, page), Instant(now.mono_ns, now.wall_ns))
        assert reading.problems == ()
        samples = (*observed.samples, *reading.samples)
        return (
            Observed(samples, reading.subjects, observed.processes, observed.listeners),
            marks,
        )


@dataclass(frozen=True)
class FiveMinutes:
    """One window: what was charged in it, what a token of each type cost, which steps it had."""

    pico: int
    input_usd: Decimal
    output_usd: Decimal
    steps: tuple[int, int]

    def cost(self, progress: Progress) -> Decimal:
        """What a request cost in it, USD."""
        return self.input_usd * progress.input_in(*self.steps) + (
            self.output_usd * progress.output_in(*self.steps)
        )


@dataclass(frozen=True)
class Replay:
    """A whole trace, replayed."""

    site: Site
    server: BatchingServer
    windows: tuple[FiveMinutes, ...]
    wall_seconds: float

    @property
    def seconds(self) -> int:
        """Simulated seconds."""
        return len(self.windows) * WINDOW

    def costs(self) -> list[Decimal]:
        """What each request cost, USD, in the order in which they came."""
        return [
            sum((window.cost(progress) for window in self.windows), Decimal(0))
            for progress in self.server.all
        ]


def replay(trace: Sequence[Request], windows: int) -> Replay:
    """Run the exporter beside the server for so many windows."""
    server = BatchingServer(trace)
    host = ReplayHost(server)
    site = Site(rules(rented(usd=str(USD_PER_HOUR)), (CHAT,)), host)
    site.settle()
    site.tick()
    host.begin()
    found: list[FiveMinutes] = []
    began = time.monotonic()
    for _ in range(windows):
        steps = server.steps
        before = _charged(site)
        site.tick(WINDOW // TICK, TICK)
        prices = {
            cost.type: cost.usd
            for cost in site.settler.tally.windows["chat", MODEL].costs()
            if cost.unit is Unit.TOKEN and cost.basis is Basis.ALLOCATED
        }
        charged = _charged(site) - before
        found.append(FiveMinutes(charged, prices["input"], prices["output"], (steps, server.steps)))
    return Replay(site, server, tuple(found), time.monotonic() - began)


def _charged(site: Site) -> int:
    return sum(pico for (workload, _), pico in site.charged().items() if workload == "chat")


def check_counts(done: Replay) -> None:
    """The exporter counted what came and what was computed, to the token."""
    trace = done.server.trace
    assert done.server.counters.finished == len(trace)
    assert done.site.units("chat") == len(trace)
    totals = {
        kind: done.site.counter("unitcost_tokens_total", "chat", MODEL, kind) / 10**6
        for kind in ("input", "cached_input", "output")
    }
    assert totals == {
        "input": sum(request.input for request in trace),
        "cached_input": 0,
        "output": sum(request.output for request in trace),
    }


def check_money(done: Replay, costs: Sequence[Decimal]) -> None:
    """What all requests cost is what the server did: the whole price, for the whole time.

    To one pico-dollar: charges are whole numbers of it, prices of tokens have 28 digits.
    """
    charged = sum(window.pico for window in done.windows)
    price_times_time = USD_PER_HOUR * done.seconds / 3600
    assert abs(to_usd(charged) - price_times_time) <= 2 * PICO  # cpu and memory, each rounded
    assert abs(sum(costs) - to_usd(charged)) < PICO
    assert min(costs) > 0


def check_prices(done: Replay) -> None:
    """An output token costs more than an input token, and neither is for nothing."""
    for window in done.windows:
        assert 0 < window.input_usd < window.output_usd
    per_million = {
        "input": statistics.fmean(float(each.input_usd) for each in done.windows) * 1e6,
        "output": statistics.fmean(float(each.output_usd) for each in done.windows) * 1e6,
    }
    assert 0.0001 < per_million["input"] < 0.5
    assert 0.2 < per_million["output"] < 2.0


def figures(done: Replay, costs: Sequence[Decimal]) -> dict[str, float]:
    """What docs/benchmarks.md states; -s shows it."""
    counters, hours = done.server.counters, done.seconds / 3600
    input_usd = sum(
        each.input_usd * p.input_in(*each.steps) for each in done.windows for p in done.server.all
    )
    usd = float(sum(costs))
    return {
        "requests": len(costs),
        "usd": usd,
        "usd per 1M input tokens": float(input_usd) / counters.input * 1e6,
        "usd per 1M output tokens": (usd - float(input_usd)) / counters.output * 1e6,
        "usd per 1,000 requests, mean": usd / len(costs) * 1e3,
        "usd per 1,000 requests, median": float(statistics.median(costs)) * 1e3,
        "usd per 1,000 requests, p99": float(sorted(costs)[len(costs) * 99 // 100]) * 1e3,
        "part of the time busy": counters.busy_ns / (hours * 3600e9),
        "part of busy time on prompts": counters.prompt_ns / counters.busy_ns,
        "part of phase seconds in prefill": counters.prefill_ns
        / (counters.prefill_ns + counters.decode_ns),
        "times faster than real": done.seconds / done.wall_seconds,
    }


def check(done: Replay) -> None:
    """All of it, and say the figures."""
    costs = done.costs()
    check_counts(done)
    check_money(done, costs)
    check_prices(done)
    found = figures(done, costs)
    for name, value in found.items():
        print(f"{name}: {value:.4g}")
    # Few long answers cost much: the middle request less than the mean one.
    assert found["usd per 1,000 requests, median"] < found["usd per 1,000 requests, mean"]
    assert found["times faster than real"] > 60


def test_a_made_up_trace_costs_what_its_server_does() -> None:
    """Nine minutes of requests, in ten minutes."""
    trace = synthetic_trace(540.0)
    assert len(trace) > 2_500
    check(replay(trace, windows=2))


def test_the_real_trace_costs_what_its_server_does() -> None:
    """19,366 requests of one hour."""
    trace = azure_trace()
    assert len(trace) == AZURE_REQUESTS
    check(replay(trace, windows=3600 // WINDOW))


def test_a_request_s_tokens_fall_into_the_steps_in_which_they_were_computed() -> None:
    """Over any cut of the steps, each token counts once."""
    server = BatchingServer(synthetic_trace(20.0))
    server.advance(200 * NS_PER_SECOND)
    cuts = [0, 1, server.steps // 3, server.steps // 2, server.steps]
    for progress in server.all:
        parts = list(pairwise(cuts))
        assert sum(progress.input_in(*part) for part in parts) == progress.request.input
        assert sum(progress.output_in(*part) for part in parts) == progress.request.output


@pytest.mark.parametrize("step", [7, 1_000, 10**12])
def test_the_simulated_server_is_the_same_however_often_it_is_looked_at(step: int) -> None:
    """Or what is measured would depend on who measures."""
    trace = synthetic_trace(10.0)
    once, often = BatchingServer(trace), BatchingServer(trace)
    once.advance(100 * NS_PER_SECOND)
    at = 0
    while at < 100 * NS_PER_SECOND:
        at = min(100 * NS_PER_SECOND, at + max(step, 10**7))
        often.advance(at)
    assert often.counters == once.counters
    assert often.counters.finished == len(trace)
