"""Drift of training: what a step costs more than it used to, and which factor did it."""

from unitcost.dashboards.boards.layout import Row
from unitcost.dashboards.boards.library import Panel
from unitcost.dashboards.boards.panels import lines
from unitcost.dashboards.boards.query import WORKLOAD, Query, money

DRIFT = f'{WORKLOAD}, unit!="request"'


def drift_row() -> Row:
    """By how much a step costs more than it used to, and why, as the exporters judge it."""
    return Row("What changed", ((9, (_ratio(), _factors(), _dollars())),))


def _ratio() -> Panel:
    return lines(
        "Cost of a step, to what it used to be",
        "What a step (else a sample or a token) cost over the last hour, over the same hour of "
        "past weeks, as each exporter finds it; 1 is as usual. None where a workload is on several "
        "hosts.",
        "short",
        Query(f"unitcost_drift_ratio{{{DRIFT}}}", "{{workload}} {{unit}} {{instance}}"),
    )


def _factors() -> Panel:
    return lines(
        "Why a step costs more",
        "The factors that multiply to it: the price of what is held, the tokens in a step (mix), "
        "loading, idle time, and busy time for the same work (speed). Find the one that moved, and "
        "the event beside it.",
        "short",
        Query(
            f"max by (workload, factor) (unitcost_drift_factor_ratio{{{DRIFT}}})",
            "{{workload}} {{factor}}",
        ),
    )


def _dollars() -> Panel:
    return lines(
        "Dearer steps, per day ($currency)",
        "What the steps of the last hour cost more in a day than at their usual cost; below 0 they "
        "cost less.",
        "short",
        Query(money(f"unitcost_drift_usd_per_day{{{DRIFT}}}"), "{{workload}} {{unit}}"),
    )
