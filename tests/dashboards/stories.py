"""Made-up fleets for `promtool test rules`: workloads whose figures change at a known minute."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

STEP = 3
"""Minutes between samples, and between evaluations."""

TARGET = {"job": "unitcost", "instance": "host-1"}

Series = dict[str, str]
"""An input series for promtool: its values."""


def series(name: str, values: str, **labels: str) -> tuple[str, str]:
    """One series of the host, with its labels as PromQL writes them."""
    text = ",".join(f'{key}="{value}"' for key, value in (TARGET | labels).items())
    return f"{name}{{{text}}}", values


def counter(*parts: tuple[float, float]) -> str:
    """Values of a counter: (minutes, what it grows by in a minute), one part after the other."""
    texts, start, first = [], 0.0, 0
    for minutes, per_minute in parts:
        steps, grows = round(minutes / STEP), per_minute * STEP
        begin = start + grows * first
        texts.append(f"{begin:.12g}{grows:+.12g}x{steps - first}")
        start, first = start + grows * steps, 1
    return " ".join(texts)


def gauge(*parts: tuple[float, float | None]) -> str:
    """Values of a gauge: (minutes, value), None where it is absent."""
    texts, first = [], 0
    for minutes, value in parts:
        steps = round(minutes / STEP) - first
        texts.append(f"_x{steps + 1}" if value is None else f"{value:.12g}+0x{steps}")
        first = 1
    return " ".join(texts)


@dataclass(frozen=True, slots=True)
class Load:
    """What a server does in a minute on one GPU, and what that costs."""

    requests: float = 60
    failed: float = 0.6
    input_tokens: float = 100
    output_tokens: float = 50
    seconds_per_input: float = 0.0001
    seconds_per_output: float = 0.004
    busy_per_second: float = 3.0
    gpus: float = 1
    loading: float = 0
    usd_per_gpu_hour: float = 12

    def scaled(self, **factors: float) -> "Load":
        """The same load with some of its figures multiplied."""
        return replace(self, **{name: getattr(self, name) * by for name, by in factors.items()})

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of prefill and decode."""
        return {
            "prefill": self.requests * self.input_tokens * self.seconds_per_input,
            "decode": self.requests * self.output_tokens * self.seconds_per_output,
        }

    @property
    def states(self) -> dict[str, float]:
        """GPU-seconds by state."""
        held = self.gpus * 60
        loading = held * self.loading
        active = self.busy_per_second * sum(self.seconds.values())
        return {"active": active, "idle": held - loading - active, "loading": loading}

    def counters(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Everything that is counted, by metric and labels, in a minute."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

        def add(name: str, value: float, **labels: str) -> None:
            found[name, tuple(labels.items())] = value

        for state, value in self.states.items():
            usd = value * self.usd_per_gpu_hour / 3600
            gpu = {"resource": "gpu:GPU-1", "state": state}
            add("unitcost_cost_usd_total", usd, kind="inference", **gpu)
            add("unitcost_held_seconds_total", value, **gpu)
        for phase, value in self.seconds.items():
            add("unitcost_phase_seconds_total", value, phase=phase)
        add("unitcost_requests_total", self.requests - self.failed, outcome="succeeded")
        add("unitcost_requests_total", self.failed, outcome="failed")
        add("unitcost_tokens_total", self.requests * self.input_tokens, type="input")
        add("unitcost_tokens_total", self.requests * self.output_tokens, type="output")
        return found


@dataclass(frozen=True, slots=True)
class Server:
    """A model server and how its load changes: (minutes, load), one after the other."""

    name: str
    story: tuple[tuple[float, Load], ...]
    owner: str = "search"
    coverage: tuple[tuple[float, float], ...] = ()
    """Like the story: (minutes, ratio); 1 all the time where there is none."""

    labels: Mapping[str, str] = field(default_factory=dict)

    def series(self) -> Iterable[tuple[str, str]]:
        """Its input series."""
        named = {"workload": self.name, "model": "llama", **self.labels}
        counted = [load.counters() for _, load in self.story]
        for name, labels in counted[0]:
            parts = [
                (minutes, each[name, labels])
                for (minutes, _), each in zip(self.story, counted, strict=True)
            ]
            yield series(name, counter(*parts), **named, **dict(labels))
        minutes = sum(minutes for minutes, _ in self.story)
        target = {"workload": self.name, **self.labels}
        info = {**target, "kind": "inference", "owner": self.owner}
        yield series("unitcost_workload_info", gauge((minutes, 1)), **info)
        coverage = gauge(*(self.coverage or ((minutes, 1),)))
        yield series("unitcost_unit_coverage_ratio", coverage, **target)


@dataclass(frozen=True, slots=True)
class Steps:
    """What a training does in a minute on one GPU that is busy all the time: no requests."""

    steps: float = 4
    tokens: float = 8000
    usd_per_gpu_hour: float = 12
    loading: float = 0


@dataclass(frozen=True, slots=True)
class Training:
    """A training and how it changes: (minutes, steps), one after the other."""

    name: str
    story: tuple[tuple[float, Steps], ...]

    def series(self) -> Iterable[tuple[str, str]]:
        """Its input series."""

        def grows(of: Callable[[Steps], float]) -> str:
            return counter(*((minutes, of(each)) for minutes, each in self.story))

        labels = {"workload": self.name, "model": ""}
        gpu = {**labels, "resource": "gpu:GPU-1"}
        for state in ("active", "loading"):

            def seconds(each: Steps, state: str = state) -> float:
                return 60 * (each.loading if state == "loading" else 1 - each.loading)

            held = grows(seconds)
            usd = grows(partial(_usd, seconds))
            yield series("unitcost_held_seconds_total", held, **gpu, state=state)
            yield series("unitcost_cost_usd_total", usd, **gpu, kind="training", state=state)
        yield series("unitcost_steps_total", grows(lambda each: each.steps), **labels)
        yield series("unitcost_tokens_total", grows(lambda e: e.tokens), **labels, type="input")
        minutes = sum(minutes for minutes, _ in self.story)
        info = {"workload": self.name, "kind": "training", "owner": "research"}
        yield series("unitcost_workload_info", gauge((minutes, 1)), **info)


def _usd(seconds: Callable[[Steps], float], each: Steps) -> float:
    return seconds(each) * each.usd_per_gpu_hour / 3600


def promtool_test(
    inputs: Iterable[tuple[str, str]], expected: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """One test of a promtool file; `expected` are entries of ``promql_expr_test``."""
    return {
        "interval": f"{STEP}m",
        "input_series": [{"series": name, "values": values} for name, values in inputs],
        "promql_expr_test": list(expected),
    }
