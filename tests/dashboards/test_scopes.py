"""Dollars count once where several exporters charge one host; requests where they are counted."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from tests.dashboards.promtool import group_names, run, settings
from tests.dashboards.stories import STEP, counter, gauge, series
from unitcost.dashboards.build import write
from unitcost.dashboards.names import Recorded

LAST = 180
AWAY = 90
"""Minutes after which the agent of node-a is gone."""
CHAT = {"workload": "default/Deployment/chat"}


def exporter(instance: str, host: str, scope: str, gone: bool = False) -> Iterable[tuple[str, str]]:
    """What it says it is, for all of the time or until it is gone."""
    values = gauge((AWAY, 1), (LAST - AWAY, None)) if gone else gauge((LAST, 1))
    labels = {"instance": instance, "host": host, "scope": scope}
    yield series("unitcost_host_info", values, **labels)


def charges(instance: str, usd_per_day: float, gone: bool = False) -> Iterable[tuple[str, str]]:
    """Dollars of the workload, that a GPU is held for all the time."""
    minutes = AWAY if gone else LAST
    labels = {"instance": instance, **CHAT, "model": "", "resource": "gpu:GPU-1"}
    dollars, state = counter((minutes, usd_per_day / 1440)), "active"
    yield series("unitcost_cost_usd_total", dollars, **labels, kind="inference", state=state)
    held = counter((minutes, 60))
    yield series("unitcost_held_seconds_total", held, **labels, state=state)
    yield series("unitcost_budget_spent_usd", dollars, instance=instance, budget="all")


def counts(instance: str, per_minute: float) -> Iterable[tuple[str, str]]:
    """Requests of the workload."""
    labels = {"instance": instance, **CHAT, "model": "m", "outcome": "succeeded"}
    yield series("unitcost_requests_total", counter((LAST, per_minute)), **labels)


def fleet() -> Iterable[tuple[str, str]]:
    """Of node-a an agent and two sidecars, of node-b a sidecar alone."""
    yield from exporter("agent-a", "node-a", "host", gone=True)
    yield from charges("agent-a", 240, gone=True)
    yield from exporter("units-a", "node-a", "units")
    yield from counts("units-a", 10)
    yield from exporter("pod-a", "node-a", "pod")
    yield from charges("pod-a", 120)
    yield from exporter("pod-b", "node-b", "pod")
    yield from charges("pod-b", 60)
    yield from counts("pod-b", 5)


def asks(minute: int, expr: str, value: float | None) -> dict[str, object]:
    """An expression without labels, and what it is; None for nothing."""
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}


@pytest.mark.real
def test_a_dollar_that_two_exporters_charge_counts_once(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """The agent's; also while it is away, for it charges that when it is back."""
    made = settings()
    write(made, tmp_path)
    day = f'sum({Recorded.COST}{{window="1h"}})'
    flow = f'sum({Recorded.FLOW}{{quantity="%s"}})'
    questions = [
        asks(60, f"count({Recorded.SECOND_CHARGE})", 1),
        asks(60, f'count({Recorded.SECOND_CHARGE}{{instance="pod-a"}})', 1),
        asks(60, f"round({day}, 0.001)", 300),
        asks(60, f"round(86400 * {flow % 'cost'}, 0.001)", 300),
        asks(60, f"round({flow % 'active'}, 0.001)", 2),
        asks(60, f"round(60 * {flow % 'succeeded'}, 0.001)", 15),
        asks(60, f"round(1440 * 15 * sum({Recorded.REQUEST_COST}), 0.001)", 300),
        asks(AWAY + 75, f"round({day}, 0.001)", 60),
        asks(LAST, f"round(sum({Recorded.BUDGET_SPENT}), 0.001)", 7.5),
    ]
    test = {
        "rule_files": ["rules/unitcost.yaml"],
        "evaluation_interval": f"{STEP}m",
        "group_eval_order": group_names(made),
        "tests": [
            {
                "interval": f"{STEP}m",
                "input_series": [{"series": name, "values": text} for name, text in fleet()],
                "promql_expr_test": questions,
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test, sort_keys=False))
    result = run(real_tool("promtool"), "test", "rules", "test.yaml", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
