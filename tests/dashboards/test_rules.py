"""The rules: accepted by promtool, within everybody's limits, true to the contract of metrics."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.contract import allowed, promised
from tests.dashboards.panels import queries
from tests.dashboards.promql import names
from tests.dashboards.promtool import run
from unitcost.dashboards.build import build, write
from unitcost.dashboards.names import Recorded
from unitcost.dashboards.rules.all_rules import MAX_RULES, all_alerts, all_groups
from unitcost.dashboards.rules.model import Alert, Recording, Rule
from unitcost.dashboards.settings import Settings

PLAIN = Settings()


def rules() -> Iterable[Rule]:
    """All of them."""
    return [rule for group in all_groups(PLAIN) for rule in group.rules]


@pytest.mark.real
@pytest.mark.parametrize("scale", [1, 60, 1000])
def test_promtool_accepts_the_rules_at_every_time_scale(
    tmp_path: Path, real_tool: Callable[[str], Path], scale: int
) -> None:
    """Without a lint, too."""
    write(Settings(time_scale=scale), tmp_path)
    arguments = ("check", "rules", "--lint=all", "rules/unitcost.yaml")
    result = run(real_tool("promtool"), *arguments, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "lint" not in result.stdout + result.stderr


def test_the_operator_gets_the_same_groups() -> None:
    """And a manifest around them."""
    files = build(PLAIN)
    manifest = yaml.safe_load(files["kubernetes/prometheusrule.yaml"])
    assert manifest["kind"] == "PrometheusRule"
    assert manifest["spec"] == yaml.safe_load(files["rules/unitcost.yaml"])


def test_groups_are_within_mimir_s_limits() -> None:
    """20 rules in a group, and 70 groups, unless somebody raised them."""
    groups = all_groups(PLAIN)
    assert {g.name: len(g.rules) for g in groups if len(g.rules) > MAX_RULES} == {}
    assert len({group.name for group in groups}) == len(groups) <= 70


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: getattr(rule, "name", None))
def test_each_rule_names_only_what_exists(rule: Rule, root: Path) -> None:
    """Metrics and labels of the contract, and functions that every store has."""
    known = allowed(root)
    found = names(rule.expr)
    every = frozenset[str]().union(*known.values())
    for metric, labels, _ in found.metrics:
        assert metric in known, f"{metric} is in no table of docs/metrics.md"
        assert labels <= known[metric], f"{metric} has no {labels - known[metric]}"
    assert found.labels | found.made <= every | {"of"}
    if isinstance(rule, Recording):
        assert rule.labels.keys() <= every


def test_every_recorded_series_is_recorded_and_used() -> None:
    """No name without a rule, no rule without a reader: a rule or an alert's text.

    What units cost over all hosts is for queries of one's own: dashboards follow a variable.
    """
    recorded = {str(rule.record) for rule in rules() if isinstance(rule, Recording)}
    assert recorded == {str(name) for name in Recorded}
    used = {metric for rule in rules() for metric, *_ in names(rule.expr).metrics}
    asked = [value.for_all() for alert in all_alerts(PLAIN) for value in alert.values.values()]
    asked += [each.expr for each in queries()]
    used |= {metric for query in asked for metric, *_ in names(query).metrics}
    assert recorded - used == {Recorded.UNIT_COST, Recorded.EPOCH_COST}


def test_counters_are_only_read_through_rates(root: Path) -> None:
    """And a rate is taken before any sum, or a replica that goes would count as a reset."""
    counters = {name for name, (kind, _) in promised(root).items() if kind == "counter"}
    read = [found for rule in rules() for found in names(rule.expr).metrics if found[0] in counters]
    assert len(read) > 10
    ever = ("unitcost_steps_total", frozenset[str](), "max")  # whether there was any step at all
    assert {each for each in read if each[2] not in ("rate", "increase")} == {ever}


def test_the_same_settings_give_the_same_bytes() -> None:
    """So that a build that changed nothing changes nothing."""
    assert build(PLAIN) == build(Settings())


def test_a_time_scale_scales_every_duration() -> None:
    """None is left at its full length, in ranges, offsets, intervals and comparisons with now."""
    plain = build(PLAIN)["rules/unitcost.yaml"]
    scaled = build(Settings(time_scale=1000))["rules/unitcost.yaml"]
    spans = re.compile(r"(?:\[|offset |interval: )((?:\d+(?:ms|[smhdw]))+)")
    before, after = spans.findall(plain), spans.findall(scaled)
    assert len(before) == len(after) > 80
    for one, other in zip(before, after, strict=True):
        assert _milliseconds(other) == max(1, round(_milliseconds(one) / 1000))
    limits = re.compile(r"time\(\) - .*?(?:>=?) ([\d.]+)")
    now = [float(text) for text in limits.findall(plain)]
    assert [float(text) * 1000 for text in limits.findall(scaled)] == pytest.approx(now)


def _milliseconds(span: str) -> int:
    sizes = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
    return sum(int(n) * sizes[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdw])", span))


@pytest.mark.parametrize("alert", all_alerts(PLAIN), ids=lambda alert: alert.name)
def test_each_alert_says_what_a_person_needs(alert: Alert, root: Path) -> None:
    """Severity, owner, a text, a dashboard, and a page of what to do."""
    rule = _written(alert.name)
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert "owner" in rule["labels"] or '"owner"' in rule["expr"]
    assert set(rule["annotations"]) == {"summary", "description", "dashboard_url", "runbook_url"}
    assert (root / rule["annotations"]["runbook_url"]).is_file()
    assert rule["annotations"]["dashboard_url"].startswith("/d/unitcost-")
    for text in (alert.summary, alert.description, alert.means):
        assert len(text.split("  ")) == 1 < len(text)
    used = set(re.findall(r"\{(\w+)\|", alert.summary + alert.description))
    assert used - {"value"} == set(alert.values)


def _written(name: str) -> dict[str, Any]:
    groups = yaml.safe_load(build(PLAIN)["rules/unitcost.yaml"])["groups"]
    (found,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == name]
    return dict(found)
