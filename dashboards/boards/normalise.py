"""What grafanalib makes, put right for the Grafana of today. The one place where that is done.

grafanalib 0.7.1 writes what Grafana 8 read: keys that are gone, null where a key should be absent,
thresholds as an empty text, data sources by name. Tests hold the result against Grafana's schema.
"""

import json
from collections.abc import Mapping
from typing import Any

from unitcost.dashboards.boards.library import Board

SCHEMA_VERSION = 41
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

_DASHBOARD = (
    "annotations",
    "description",
    "editable",
    "graphTooltip",
    "links",
    "panels",
    "refresh",
    "tags",
    "templating",
    "time",
    "timepicker",
    "timezone",
    "title",
    "uid",
)
_PANEL = (
    "description",
    "fieldConfig",
    "gridPos",
    "id",
    "options",
    "targets",
    "title",
    "transformations",
    "type",
)
_ROW = ("collapsed", "gridPos", "id", "panels", "title", "type")
_VARIABLE = (
    "allValue",
    "current",
    "hide",
    "includeAll",
    "label",
    "multi",
    "name",
    "options",
    "query",
    "refresh",
    "regex",
    "sort",
    "type",
)
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "stat": {"wideLayout": True, "percentChangeColorMode": "standard", "showPercentChange": False},
    "table": {"cellHeight": "sm", "frameIndex": 0},
}
"""Options that a kind of panel must have, and grafanalib does not know."""


def normalised(board: Board) -> dict[str, Any]:
    """A dashboard's JSON, as current Grafana has it."""
    raw = json.loads(json.dumps(board, default=lambda part: part.to_json_data()))
    made = _only(raw, _DASHBOARD)
    made["schemaVersion"] = SCHEMA_VERSION
    made["timepicker"] = {"refresh_intervals": raw["timepicker"]["refresh_intervals"]}
    made["templating"] = {"list": [_variable(each) for each in raw["templating"]["list"]]}
    made["panels"] = [_panel(each) for each in raw["panels"]]
    return made


def _only(data: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Known keys that have a value."""
    return {key: data[key] for key in keys if data.get(key) is not None}


def _variable(raw: Mapping[str, Any]) -> dict[str, Any]:
    made = _only(raw, _VARIABLE)
    current = {key: raw["current"].get(key) for key in ("text", "value")}
    if raw["type"] == "query":
        made["datasource"] = SOURCE
    if current["value"] == "$__all":
        all_of = {"text": "All", "value": "$__all"}
        current = {key: [text] for key, text in all_of.items()} if raw["multi"] else all_of
    if current["value"] is None:
        del made["current"]
    else:
        made["current"] = current
    return made


def _panel(raw: Mapping[str, Any]) -> dict[str, Any]:
    if raw["type"] == "row":
        return _only(raw, _ROW)
    made = _only(raw, _PANEL)
    made["datasource"] = SOURCE
    made["targets"] = [_target(each) for each in raw["targets"]]
    made["options"] = {**_OPTIONS.get(raw["type"], {}), **raw["options"]}
    if legend := made["options"].get("legend"):
        legend.update(showLegend=True, calcs=legend.get("calcs", []))
    if tooltip := made["options"].get("tooltip"):
        tooltip.setdefault("sort", "none")
    made["fieldConfig"]["defaults"] = _defaults(raw["fieldConfig"]["defaults"])
    if not made["transformations"]:
        del made["transformations"]
    return made


def _defaults(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Field defaults without empty parts; thresholds as a list of steps, or none."""
    made = {key: value for key, value in raw.items() if value not in (None, "", [], {})}
    if not raw["thresholds"].get("steps"):
        made.pop("thresholds")
    if "custom" in made:
        custom = {key: each for key, each in made["custom"].items() if each not in (None, {})}
        if "displayMode" in custom:  # a table's
            custom |= {"cellOptions": {"type": custom.pop("displayMode")}, "inspect": False}
        made["custom"] = custom
    return made


def _target(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "refId": raw["refId"],
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": raw["expr"],
        "format": raw["format"],
        "instant": raw["instant"],
        "range": not raw["instant"],
        "legendFormat": raw["legendFormat"],
    }
