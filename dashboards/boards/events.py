"""What happened, as marks over time: so that a drift has its cause beside it."""

from typing import Any

from unitcost.dashboards.boards.normalise import SOURCE
from unitcost.dashboards.boards.query import DRIFTING, HOST, MODEL, WORKLOAD
from unitcost.dashboards.names import Recorded, T


def events() -> list[dict[str, Any]]:
    """Prices, restarts, scale changes and drifts, each switched on or off above the panels."""
    return [*_of_hosts(), *_of_workloads(), *_of_drifts()]


def training_events() -> list[dict[str, Any]]:
    """The same of trainings, which have no models, and no drift in the rules."""
    drift = f'unitcost_drift_since_timestamp_seconds{{{WORKLOAD}, unit!="request"}}'
    return [*_of_hosts(), *_of_workloads(), *_of_exporters(drift)]


def _of_hosts() -> list[dict[str, Any]]:
    return [
        _event(
            "Prices",
            "orange",
            f"max by ({T}) (changes(unitcost_price_usd_per_hour{{{HOST}}}[2m])) > 0",
            "A price changed",
            "{{instance}}",
        ),
        _event(
            "Exporter",
            "purple",
            f"changes(process_start_time_seconds{{{HOST}}}[2m]) > 0",
            "The exporter restarted",
            "{{instance}}",
        ),
    ]


def _of_workloads() -> list[dict[str, Any]]:
    holders = f"sum by (workload) (unitcost_workload_holders{{{HOST}}}"
    starts = f"increase(unitcost_workload_starts_total{{{HOST}}}[2m])"
    loading = f'rate(unitcost_held_seconds_total{{{HOST}, state="loading"}}[2m])'
    text = "{{workload}}"
    return [
        _event(
            "Restarts",
            "purple",
            f"sum by (workload) ({starts}) > 0",
            "Something of it began",
            text,
        ),
        _event(
            "Loading",
            "yellow",
            f"sum by (workload) ({loading}) > 0",
            "Servers are loading",
            text,
        ),
        _event(
            "Scale",
            "blue",
            f"{holders}) != {holders} offset 1m)",
            "More or fewer processes and containers",
            text,
        ),
    ]


def _of_drifts() -> list[dict[str, Any]]:
    """A drift is marked where it began, and its end where it was over."""
    since = f"{Recorded.SINCE}{{{DRIFTING}}}"
    own = f"unitcost_drift_since_timestamp_seconds{{{MODEL}}}"
    return [_begun("Drift", since), _ended("Drift over", _over(since)), *_of_exporters(own)]


def _of_exporters(since: str) -> list[dict[str, Any]]:
    """An exporter that is away has no drift, and none that is over."""
    over = f"({_over(since)}) and on ({T}) unitcost_build_info{{{HOST}}}"
    return [_begun("Drift by the exporter", since), _ended("Drift over by the exporter", over)]


def _begun(name: str, since: str) -> dict[str, Any]:
    mark = _event(name, "red", f"{since} * 1000", "Drift", "{{workload}} {{factor}}")
    return {**mark, "useValueForTime": True}


def _ended(name: str, expr: str) -> dict[str, Any]:
    return _event(name, "green", expr, "A drift is over", "{{workload}} {{factor}}")


def _over(since: str) -> str:
    """That a drift was there a minute ago, and is not now."""
    return f"{since} offset 1m unless {since}"


def _event(name: str, color: str, expr: str, title: str, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": color,
        "expr": expr,
        "step": "60s",
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "workload,instance,factor",
    }
