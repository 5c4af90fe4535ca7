"""The baseline and the usual scatter, as promtool computes them from weeks of a few hours."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.dashboards.promtool import group_names, run, settings
from tests.dashboards.stories import STEP, Load, Server, counter, series
from unitcost.dashboards.build import write
from unitcost.dashboards.names import Recorded
from unitcost.pricing.drift import Sums, drift

DAY, WEEK = 45, 90
"""Minutes: weeks of two days."""

QUICK = {"week": 60 * WEEK, "day": 60 * DAY, "baseline_window": 1800, "scatter_window": 2 * 3600}


def _weeks(*requests: float) -> list[tuple[str, str]]:
    """A server whose requests change from week to week."""
    story = tuple((WEEK, Load().scaled(requests=each, failed=each)) for each in requests)
    return list(Server("chat", story).series())


def _asked(
    promtool: Path, folder: Path, inputs: list[tuple[str, str]], asked: dict[str, tuple[int, float]]
) -> None:
    """Each expression has this value at that minute; NaN stands for nothing at all."""
    made = settings(**QUICK)
    write(made, folder)
    tests = [
        {
            "expr": f"round({expr}, 0.001)",
            "eval_time": f"{minute}m",
            "exp_samples": [] if value != value else [{"labels": "{}", "value": value}],
        }
        for expr, (minute, value) in asked.items()
    ]
    content = {
        "rule_files": ["rules/unitcost.yaml"],
        "evaluation_interval": f"{STEP}m",
        "group_eval_order": group_names(made),
        "tests": [
            {
                "interval": f"{STEP}m",
                "input_series": [{"series": name, "values": text} for name, text in inputs],
                "promql_expr_test": tests,
            }
        ],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(content))
    result = run(promtool, "test", "rules", "test.yaml", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr


NOTHING = float("nan")


@pytest.mark.real
def test_the_baseline_is_the_mean_of_past_weeks(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """None at first, then yesterday, then the weeks that there are, up to four."""
    base = f'sum({Recorded.BASELINE}{{quantity="attempted"}})'
    middle = WEEK // 2
    asked = {
        f"{base} * 1": (DAY // 2, NOTHING),
        f"{base} * 2": (WEEK - 18, 2),
        f"{base} * 3": (WEEK + middle, 3),
        f"{base} * 4": (2 * WEEK + middle, 4 * 1.5),
        f"{base} * 5": (4 * WEEK + middle, 5 * 3.75),
        f"{base} * 6": (5 * WEEK + middle, 6 * 7.5),
    }
    _asked(real_tool("promtool"), tmp_path, _weeks(1, 2, 4, 8, 16, 8), asked)


@pytest.mark.real
def test_a_week_without_data_leaves_the_others(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """The server was switched off for a week; before that it did one and two requests a second."""
    inputs = []
    for name, text in _weeks(1, 2, 4, 8):
        parts = text.split(" ")
        if len(parts) == 4:
            parts[2] = f"_x{WEEK // STEP}"
        inputs.append((name, " ".join(parts)))
    base = f'sum({Recorded.BASELINE}{{quantity="attempted"}})'
    asked = {f"{base} * 1": (3 * WEEK + WEEK // 2, 1.5)}
    _asked(real_tool("promtool"), tmp_path, inputs, asked)


@pytest.mark.real
def test_the_six_factors_multiply_to_the_total_and_widen_with_their_scatter(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """Whatever changes; and a factor that wanders has a threshold above its floor."""
    usual = Load()
    wild = usual.scaled(
        requests=0.8,
        failed=9,
        input_tokens=1.4,
        busy_per_second=1.1,
        gpus=1.5,
        usd_per_gpu_hour=1.1,
    )
    steps = [usual.scaled(input_tokens=by, output_tokens=by) for by in (1, 1.2, 0.9, 1.1) * 4]
    story = [*((36, load) for load in steps), (60, wild)]
    inputs = list(Server("chat", tuple(story)).series())
    end = 36 * len(steps) + 60
    factor = f'{Recorded.FACTOR}{{window="30m",factor="%s"}}'
    product = " * ".join(f"sum({factor % name})" for name in ("price", "mix", "failures"))
    product += " * " + " * ".join(f"sum({factor % name})" for name in ("loading", "idle", "speed"))
    threshold = f'sum({Recorded.THRESHOLD}{{pace="fast",factor="%s"}})'
    asked = {
        f"{product} / sum({factor % 'total'})": (end, 1),
        f"sum({factor % 'price'})": (end, 1.1),
        f"sum({factor % 'speed'})": (end, 1.1),
        f"{threshold % 'speed'} + 0 * 1": (end, 1.08),
        f"{threshold % 'mix'} > bool 1.3": (end, 1),
    }
    _asked(real_tool("promtool"), tmp_path, inputs, asked)


@pytest.mark.real
def test_the_exporter_finds_the_same_factors(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """What the rules say of a change is what `pricing.drift` says of the same counts."""
    usual = Load(loading=0.1)
    other = Load(50, 9, 140, 40, 0.0001, 0.005, 2.5, 1.5, 0.15, 13)
    inputs = list(Server("chat", ((90, usual), (60, other))).series())
    found = drift(_sums(other), _sums(usual))
    assert found is not None
    factor = f'{Recorded.FACTOR}{{window="30m",factor="%s"}}'
    asked = {
        f"sum({factor % name})": (132, round(ratio, 3)) for name, ratio in found.factors.items()
    }
    asked[f"sum({factor % 'total'})"] = (132, round(found.ratio, 3))
    assert len({value for _, value in asked.values()} | {1.0}) == len(asked) + 1
    _asked(real_tool("promtool"), tmp_path, inputs, asked)


def _sums(load: Load) -> Sums:
    """A minute of a load as the exporter keeps it; time at the price that was seen first."""
    micro, pico = 10**6, 10**12
    states = {
        name: round(each * Load().usd_per_gpu_hour / 3600 * pico)
        for name, each in load.states.items()
    }
    return Sums(
        cost=round(load.gpus * load.usd_per_gpu_hour / 60 * pico),
        attempted=round(load.requests * micro),
        succeeded=round((load.requests - load.failed) * micro),
        input=round(load.requests * load.input_tokens * micro),
        output=round(load.requests * load.output_tokens * micro),
        **states,
        **{name: round(each * micro) for name, each in load.seconds.items()},
    )


@pytest.mark.real
@pytest.mark.parametrize(
    ("without", "expected"),
    [((), 2.0), (("unitcost_phase",), 2.0), (("unitcost_phase", "unitcost_tokens"), 1.0)],
)
def test_work_is_weighed_by_the_best_there_is(
    tmp_path: Path, real_tool: Callable[[str], Path], without: tuple[str, ...], expected: float
) -> None:
    """By phase seconds, else by tokens, else by requests: then the mix cannot change."""
    doubled = Load().scaled(input_tokens=2, output_tokens=2)
    server = Server("chat", ((90, Load()), (42, doubled)))
    inputs = [each for each in server.series() if not each[0].startswith(without or "-")]
    mix = f'sum({Recorded.FACTOR}{{window="30m",factor="mix"}})'
    speed = f'sum({Recorded.FACTOR}{{window="30m",factor="speed"}})'
    asked = {f"{mix} + 0": (132, expected), f"{mix} * {speed}": (132, 2.0)}
    _asked(real_tool("promtool"), tmp_path, inputs, asked)


@pytest.mark.real
def test_a_server_that_counts_no_failures_has_none(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """The factor is 1, and the rest is as ever; without any success there are no factors."""
    server = Server("chat", ((132, Load()),)).series()
    only = [each for each in server if 'outcome="failed"' not in each[0]]
    idle = {"workload": "idle", "model": "m", "outcome": "succeeded"}
    failures = f'{Recorded.FACTOR}{{window="30m",factor="failures",workload="%s"}}'
    asked = {f"sum({failures % 'chat'})": (132, 1), f"sum({failures % 'idle'})": (132, NOTHING)}
    inputs = [*only, series("unitcost_requests_total", counter((132, 0)), **idle)]
    _asked(real_tool("promtool"), tmp_path, inputs, asked)
