"""Rules as Prometheus, Thanos, Mimir and vmalert read them, and as its operator does."""

from collections.abc import Iterable
from typing import Any

from unitcost.dashboards.rules.model import Alert, Group, Rule
from unitcost.dashboards.rules.text import annotations
from unitcost.dashboards.settings import Settings


def rule_file(groups: Iterable[Group], settings: Settings) -> dict[str, Any]:
    """The content of a rule file."""
    return {"groups": [_group(group, settings) for group in groups]}


def operator_manifest(groups: Iterable[Group], settings: Settings) -> dict[str, Any]:
    """The same groups as a manifest for the Prometheus operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "unitcost", "labels": {"app.kubernetes.io/name": "unitcost"}},
        "spec": rule_file(groups, settings),
    }


def _group(group: Group, settings: Settings) -> dict[str, Any]:
    return {
        "name": group.name,
        "interval": settings.span(group.interval),
        "rules": [_rule(rule, settings) for rule in group.rules],
    }


def _rule(rule: Rule, settings: Settings) -> dict[str, Any]:
    if not isinstance(rule, Alert):
        labels = {"labels": dict(rule.labels)} if rule.labels else {}
        return {"record": str(rule.record), "expr": rule.expr, **labels}
    held = {"for": settings.span(rule.held_for)} if rule.held_for else {}
    owner = {"owner": rule.owner} if rule.owner else {}
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **held,
        "labels": {"severity": str(rule.severity), **owner},
        "annotations": annotations(rule, settings),
    }
