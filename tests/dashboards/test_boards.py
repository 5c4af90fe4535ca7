"""The dashboards: valid for Grafana, by the rules of its linter, and true to the contract."""

import copy
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError

from tests.dashboards.contract import allowed, promised
from tests.dashboards.panels import (
    BOARDS,
    Asked,
    events,
    filled,
    panels,
    queries,
    texts,
    used_variables,
    variables,
)
from tests.dashboards.promql import names
from tests.dashboards.promtool import run
from unitcost.dashboards.boards.all_boards import all_boards, board_provisioning
from unitcost.dashboards.names import Recorded, Uid
from unitcost.dashboards.rules.all_rules import all_alerts
from unitcost.dashboards.settings import Settings

SCHEMA = Path(__file__).parent / "grafana_schema"
UNITS = {
    "bool_yes_no",
    "bytes",
    "dateTimeAsIso",
    "joule",
    "kwatth",
    "massg",
    "ops",
    "percentunit",
    "reqps",
    "s",
    "short",
    "watt",
}
"""Units that are used, each one that Grafana knows."""

OF_PROMETHEUS = {"expr", "step", "titleFormat", "textFormat", "tagKeys", "useValueForTime"}
"""Keys of Prometheus's annotations. Grafana's schema has only those of its own data source."""

ALL_BOARDS = pytest.mark.parametrize("uid", list(BOARDS))


def schema(name: str) -> Draft7Validator:
    """A schema that is kept here; the dashboard's own can be another one."""
    given = os.environ.get("UNITCOST_GRAFANA_SCHEMA") if name == "dashboard" else None
    path = Path(given) if given else SCHEMA / f"{name}.json"
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")))


def mistakes(validator: Draft7Validator, data: Any) -> Iterator[str]:
    """What is wrong and where; of alternatives the one that fits best."""

    def best(error: ValidationError) -> ValidationError:
        parts = error.context or ()
        return best(max(parts, key=lambda each: len(each.absolute_path))) if parts else error

    for error in map(best, validator.iter_errors(data)):
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


@ALL_BOARDS
def test_a_dashboard_is_valid_for_grafana(uid: str) -> None:
    """No key that its schema does not know, none missing, none of another type."""
    board = copy.deepcopy(BOARDS[uid])
    for event in board["annotations"]["list"]:
        assert event.keys() >= {"expr"}
        for key in OF_PROMETHEUS & event.keys():
            del event[key]
    assert list(mistakes(schema("dashboard"), board)) == []


@ALL_BOARDS
def test_a_panel_s_own_options_are_valid_for_grafana(uid: str) -> None:
    """What the dashboard's schema leaves open, by the schema of each kind of panel."""
    for panel in panels(BOARDS[uid]):
        kind = panel["type"].replace("-", "")
        found = list(mistakes(schema(f"{kind}_options"), panel["options"]))
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        if kind != "stat":  # which has none of its own
            found += mistakes(schema(f"{kind}_custom"), custom)
        assert found == [], panel["title"]


def test_the_schema_refuses_what_grafanalib_writes_by_itself() -> None:
    """The tests above are not blind."""
    board = copy.deepcopy(BOARDS[Uid.FLEET])
    board["style"] = "dark"
    board["panels"][1]["editable"] = True
    board["templating"]["list"][0]["current"] = {"selected": True}
    found = " ".join(mistakes(schema("dashboard"), board))
    assert [word for word in ("style", "panels/1", "current") if word not in found] == []


def test_uids_never_change_and_all_dashboards_are_there() -> None:
    """They are in links and bookmarks."""
    assert list(BOARDS) == [
        "unitcost-fleet",
        "unitcost-inference",
        "unitcost-training",
        "unitcost-drift",
        "unitcost-devices",
        "unitcost-exporter",
    ]
    assert set(BOARDS) == {str(uid) for uid in Uid}
    assert all_boards() == list(BOARDS.values())


@ALL_BOARDS
def test_panels_have_ids_and_places_of_their_own(uid: str) -> None:
    """None over another, none over the edge; alerts point to panel 1."""
    board = BOARDS[uid]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert panels(board)[0]["id"] == 1
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


# --- The rules of Grafana's dashboard-linter ---------------------------------------------


@ALL_BOARDS
def test_a_dashboard_has_the_variables_that_the_linter_asks_for(uid: str) -> None:
    """template-datasource-rule, template-job-rule, template-instance-rule, …-on-time-change-…"""
    found = variables(BOARDS[uid])
    assert found["datasource"]["type"] == "datasource"
    assert (found["datasource"]["query"], found["datasource"]["label"]) == (
        "prometheus",
        "Data source",
    )
    for name in ("job", "instance"):
        each = found[name]
        assert (each["label"], each["multi"], each["allValue"]) == (name, True, ".+")
    for each in found.values():
        if each["type"] == "query":
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert each["refresh"] == 2


@ALL_BOARDS
def test_a_dashboard_cannot_be_edited_in_place(uid: str) -> None:
    """template-uneditable-rule: what is generated is changed in the generator."""
    assert BOARDS[uid]["editable"] is False


@ALL_BOARDS
def test_every_panel_has_what_the_linter_asks_for(uid: str) -> None:
    """panel-datasource-rule, panel-title-description-rule, panel-units-rule, panel-no-targets."""
    for panel in panels(BOARDS[uid]):
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"]
        assert panel["description"]
        assert panel["targets"]
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults.get("unit") in UNITS or defaults.get("mappings"), panel["title"]


BY_RANGE = {
    "unitcost-fleet / Workloads over the time range ($currency)",
    "unitcost-inference / Variants side by side, over the time range ($currency)",
    "unitcost-devices / Who holds what, over the time range ($currency)",
    "unitcost-devices / Energy of accelerators over the time range",
    "unitcost-exporter / Time without metering",
}
"""Panels of the whole time range, as their texts say; exceptions of target-rate-interval-rule."""


SO_FAR = {
    "unitcost_item_cost_usd_total",
    "unitcost_run_repeated_cost_usd_total",
    "unitcost_run_stall_cost_usd_total",
}
"""Counters that are shown as they are: dollars of a run, or booked, since it began."""


@pytest.mark.parametrize("asked", queries(), ids=str)
def test_every_query_has_what_the_linter_asks_for(asked: Asked, root: Path) -> None:
    """target-job-rule, target-instance-rule, target-rate-interval-rule, counters inside of rates.

    Recorded series are sums over hosts and have neither job nor instance, but for the one that
    says whose dollars are charged twice.
    """
    found = names(asked.expr)
    kinds = promised(root)
    for metric, labels, within in found.metrics:
        if metric == Recorded.SECOND_CHARGE:
            continue
        if metric.startswith("unitcost:"):
            assert labels >= {"cluster", "workload"}
            continue
        assert labels >= {"cluster", "job", "instance"}, metric
        counter = kinds[metric][0] == "counter" if metric in kinds else metric.endswith("_total")
        assert within in ("rate", "increase") or not counter or metric in SO_FAR, metric
    whole = f"{asked.board} / {asked.panel}" in BY_RANGE
    assert {span for _, span in found.ranges} <= {"$__range" if whole else "$__rate_interval"}


# --- The contract ------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [*queries(), *events()], ids=str)
def test_every_query_names_only_what_exists(asked: Asked, root: Path) -> None:
    """Metrics and labels of docs/metrics.md and of the rules, functions that every store has."""
    known = allowed(root)
    found = names(asked.expr)
    assert found.metrics
    every = frozenset[str]().union(*known.values())
    for metric, labels, _ in found.metrics:
        assert metric in known, f"{metric} is in no table of docs/metrics.md"
        assert labels <= known[metric], f"{metric} has no {labels - known[metric]}"
    assert found.labels <= every
    legends = {label for label in re.findall(r"\{\{(\w+)\}\}", _legend(asked))}
    assert legends <= every


def _legend(asked: Asked) -> str:
    found = [
        target["legendFormat"]
        for panel in panels(BOARDS[asked.board])
        if panel["title"] == asked.panel
        for target in panel["targets"]
        if target["refId"] == asked.ref
    ]
    return found[0] if found else ""


NOT_SHOWN = {
    "unitcost_billed_layer_info",
    "unitcost_device_throttling",
    "unitcost_emissions_pue_ratio",
    "unitcost_energy_readings_rejected_total",
    "unitcost_epoch_cost_usd",
    "unitcost_epochs_total",
    "unitcost_fx_rate_as_of_timestamp_seconds",
    "unitcost_grid_intensity_grams_per_kwh",
    "unitcost_model_split_info",
    "unitcost_price_source_errors_total",
    "unitcost_price_source_last_success_timestamp_seconds",
    "unitcost_price_split_info",
    "unitcost_samples_total",
    "unitcost_tenant_tokens_total",
    "unitcost_token_cost_usd",
    "unitcost_window_seconds",
    "unitcost_workload_pod_info",
}
"""Metrics that no panel needs: kept for queries of one's own, or shown in another way."""


def test_every_metric_is_shown_somewhere_or_left_out_on_purpose(root: Path) -> None:
    """Whoever adds a metric decides where it is seen."""
    shown = {
        metric for asked in [*queries(), *events()] for metric, *_ in names(asked.expr).metrics
    }
    assert set(promised(root)) - shown == NOT_SHOWN


def test_recorded_series_that_panels_read_are_recorded() -> None:
    """By their names in one place."""
    recorded = {str(name) for name in Recorded}
    shown = {metric for asked in queries() for metric, *_ in names(asked.expr).metrics}
    assert {metric for metric in shown if ":" in metric} <= recorded


@pytest.mark.real
def test_promtool_can_parse_every_query(tmp_path: Path, real_tool: Callable[[str], Path]) -> None:
    """As Grafana sends them; recording rules are what promtool reads."""
    values = {"__rate_interval": "1m", "__range": "6h", "currency": "EUR", "window": "1h"}
    exprs = [filled(asked.expr, values) for asked in [*queries(), *events()]]
    rules = [{"record": f"a:b:c{number}", "expr": expr} for number, expr in enumerate(exprs)]
    content = {"groups": [{"name": "g", "rules": rules}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(content))
    result = run(real_tool("promtool"), "check", "rules", "rules.yaml", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(exprs)} rules found" in result.stdout


# --- Variables, texts and links ----------------------------------------------------------


@ALL_BOARDS
def test_variables_that_are_used_are_there_and_those_there_are_used(uid: str) -> None:
    """In queries, titles, links, and in each other."""
    board = BOARDS[uid]
    there = set(variables(board))
    used = {name for text in texts(board) for name in used_variables(text)}
    assert used == there


@ALL_BOARDS
def test_every_panel_says_what_it_means_and_what_follows(uid: str) -> None:
    """In whole sentences, each panel its own."""
    found = [panel["description"] for panel in panels(BOARDS[uid])]
    for text in found:
        assert re.fullmatch(r"[A-Z].{30,}\.", text, re.DOTALL), text
        assert "  " not in text
    assert len(set(found)) == len(found)
    titles = [panel["title"] for panel in panels(BOARDS[uid])]
    assert len(set(titles)) == len(titles)


@ALL_BOARDS
def test_money_is_shown_in_the_currency_that_is_chosen(uid: str) -> None:
    """A panel whose title names it converts all of its dollars, and no other does."""
    for panel in panels(BOARDS[uid]):
        converted = [("$currency" in target["expr"]) for target in panel["targets"]]
        if "$currency" in panel["title"]:
            assert any(converted), panel["title"]
        else:
            assert not any(converted), panel["title"]


def test_links_lead_to_dashboards_that_exist() -> None:
    """From panels, and from alerts, whose variables the dashboard must have."""
    found = [text for board in BOARDS.values() for text in texts(board) if text.startswith("/d/")]
    assert found
    for link in found:
        assert re.split(r"[/?]", link)[2] in BOARDS
    for alert in all_alerts(Settings()):
        board = BOARDS[str(alert.dashboard)]
        assert set(alert.variables) - set(variables(board)) <= {"workload", "owner"}, alert.name


@ALL_BOARDS
def test_every_dashboard_leads_to_the_others(uid: str) -> None:
    """By their tag, with what is chosen here."""
    board = BOARDS[uid]
    assert board["tags"] == ["unitcost"]
    (link,) = board["links"]
    assert (link["type"], link["tags"], link["includeVars"]) == ("dashboards", ["unitcost"], True)


def test_grafana_finds_the_dashboards_in_a_folder() -> None:
    """The provisioning file has what Grafana asks for."""
    (provider,) = board_provisioning()["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/")
