"""The same alerts as Grafana evaluates them itself, in its provisioning format.

Recording rules are not in it: those stay with Prometheus, and Grafana asks for what they recorded.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from unitcost.dashboards.promql import block
from unitcost.dashboards.rules.model import Alert, Group, Value
from unitcost.dashboards.rules.text import grafana_annotations, ref_ids
from unitcost.dashboards.settings import Settings

LOOK_BACK = 600
CONDITION = "B"
INTERVAL_STEP = 10
"""Grafana evaluates groups at multiples of so many seconds."""


def alert_provisioning(groups: Iterable[Group], settings: Settings) -> dict[str, Any]:
    """The content of a file for Grafana's ``provisioning/alerting`` folder."""
    return {"apiVersion": 1, "groups": [_group(group, settings) for group in groups]}


def _group(group: Group, settings: Settings) -> dict[str, Any]:
    seconds = settings.scaled(group.interval)
    interval = max(INTERVAL_STEP, round(seconds / INTERVAL_STEP) * INTERVAL_STEP)
    return {
        "orgId": 1,
        "name": group.name,
        "folder": "unitcost",
        "interval": f"{interval}s",
        "rules": [_rule(rule, settings) for rule in group.rules if isinstance(rule, Alert)],
    }


def _rule(alert: Alert, settings: Settings) -> dict[str, Any]:
    refs = ref_ids(alert)
    extra = [
        _query(refs[name], _joined(alert, value), settings) for name, value in alert.values.items()
    ]
    owner = {"owner": alert.owner} if alert.owner else {}
    return {
        "uid": uid(alert.name),
        "title": alert.name,
        "condition": CONDITION,
        "data": [_query("A", alert.expr, settings), _condition(), *extra],
        "dashboardUid": str(alert.dashboard),
        "panelId": 1,
        "noDataState": "OK",
        "execErrState": "Error",
        "for": settings.span(alert.held_for) if alert.held_for else "0s",
        "annotations": grafana_annotations(alert, settings),
        "labels": {"severity": str(alert.severity), **owner},
        "isPaused": False,
    }


def uid(name: str) -> str:
    """A uid that stays the same: at most 40 letters, digits and dashes."""
    return f"unitcost-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _joined(alert: Alert, value: Value) -> str:
    """A value for each alert of the rule. A query without an answer would silence the whole rule,
    so an alert whose value is unknown has NaN.
    """
    on = ", ".join(value.on)
    return block(
        """
        (
          <query>
        )
        or on (<on>) (
          max by (<on>) (
            <alert>
          ) * NaN
        )
        """,
        query=value.for_all(),
        on=on,
        alert=alert.expr,
    )


def _query(ref: str, expr: str, settings: Settings) -> dict[str, Any]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": LOOK_BACK, "to": 0},
        "datasourceUid": settings.datasource_uid,
        "model": {
            "refId": ref,
            "datasource": {"type": "prometheus", "uid": settings.datasource_uid},
            "editorMode": "code",
            "expr": expr,
            "instant": True,
            "range": False,
            "intervalMs": 1000,
            "maxDataPoints": 43200,
        },
    }


def _condition() -> dict[str, Any]:
    """Fires for each series of A, whatever its value: the expression says when there is one."""
    return {
        "refId": CONDITION,
        "relativeTimeRange": {"from": LOOK_BACK, "to": 0},
        "datasourceUid": "__expr__",
        "model": {
            "refId": CONDITION,
            "datasource": {"type": "__expr__", "uid": "__expr__"},
            "type": "math",
            "expression": "is_number($A)",
            "intervalMs": 1000,
            "maxDataPoints": 43200,
        },
    }
