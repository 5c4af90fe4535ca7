"""Drift: one workload's unit cost against its baseline, and the six factors that did it."""

from typing import Any

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.events import events
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel, Variable, grafana
from unitcost.dashboards.boards.panels import Column, Columns, lines, number, table
from unitcost.dashboards.boards.query import DRIFTING, MODEL, Query, money
from unitcost.dashboards.names import FACTORS, TOTAL, Recorded, Uid

WINDOW = f'{DRIFTING}, window="$window"'
SIX = f'{WINDOW}, factor=~"{"|".join(FACTORS)}"'
BY = "workload, model"
NAMED = "{{workload}} {{model}}"


def drift() -> Board:
    """The dashboard of one workload's drift."""
    rows = (
        Row("Now", ((4, _now()), (8, (_told(),)))),
        Row("What changed", ((11, (_waterfall(),)), (9, (_factors(), _dollars())))),
        Row("What a request costs", ((9, (_request(), _work())),)),
        Row("What counts as a drift", ((9, (_thresholds(), _baseline())),)),
        Row("As the exporters judge it", ((9, (_own_ratio(), _own_factors(), _own_dollars())),)),
    )
    return dashboard(
        Uid.DRIFT,
        "Drift",
        "By how much the cost of a request, or of a training step, is off its baseline, by factor, "
        "with what happened beside it. Needs the recording rules.",
        [
            *variables.hosts(),
            variables.owner(),
            variables.workload("inference|training", multi=False),
            variables.model(),
            _window(),
            variables.currency(),
        ],
        rows,
        since="now-2d",
        annotations=events(),
    )


def _window() -> Variable:
    options: list[dict[str, Any]] = [
        {"selected": each == "1h", "text": each, "value": each}
        for each in ("10m", "30m", "1h", "6h")
    ]
    query = ",".join(str(each["value"]) for each in options)
    return grafana.Template(
        name="window", label="Window", query=query, type="custom", options=options
    )


def _factor(name: str) -> str:
    return f'max by ({BY}) ({Recorded.FACTOR}{{{WINDOW}, factor="{name}"}})'


def _now() -> tuple[Panel, ...]:
    texts = {
        TOTAL: "What a request costs, over what it usually costs at this time.",
        "price": "What a held second costs. Up: a price rose, or other hardware.",
        "mix": "How much work a request asks for. Up: longer prompts or answers, a colder cache.",
        "failures": "Attempts for each success. Up: requests fail or are given up.",
        "loading": "What is held before it is ready. Up: more or slower starts.",
        "idle": "What is held and does nothing. Up: less load, or too many replicas.",
        "speed": "Busy time for the same work. Up: another version, smaller batches, throttling.",
    }
    limits = ((None, "green"), (1.12, "orange"), (1.25, "red"))
    return tuple(
        number(
            name.capitalize(),
            f"{text} 1 is as usual; the other six numbers multiply to the total."
            if name == TOTAL
            else f"{text} 1 is as usual.",
            "short",
            Query(_factor(name), NAMED),
            limits,
            decimals=2,
        )
        for name, text in texts.items()
    )


def _told() -> Panel:
    since = f"{Recorded.SINCE}{{{DRIFTING}}}"
    labels = "workload, model, factor, pace"
    return table(
        "Drifts that are told now",
        "Each factor that has drifted, since when, and its size over the longer window. Empty is "
        "good; else the runbook of the alert says what to do.",
        Columns(
            {
                "workload": Column("Workload"),
                "model": Column("Model"),
                "factor": Column("Factor"),
                "pace": Column("Judged"),
            },
            (Column("Since", "dateTimeAsIso"), Column("For", "s")),
        ),
        Query(f"max by ({labels}) ({since}) * 1000"),
        Query(f"time() - max by ({labels}) ({since})"),
        empty="Nothing drifts.",
    )


def _waterfall() -> Panel:
    return lines(
        "Six factors, as a waterfall",
        "Each factor's part of the change, as the logarithm of its ratio: parts above 0 make "
        "requests dearer, parts below cheaper, and together they are the total (about its "
        "percentage). Find the one that moved, and the event beside it.",
        "percentunit",
        Query(f"ln(max by (workload, model, factor) ({Recorded.FACTOR}{{{SIX}}}))", "{{factor}}"),
        stacked=True,
        bars=True,
    )


def _factors() -> Panel:
    return lines(
        "Ratios to the baseline",
        "Each factor now over the same hour of past weeks; 1 is as usual. The total is their "
        "product.",
        "short",
        Query(f"max by (workload, model, factor) ({Recorded.FACTOR}{{{WINDOW}}})", "{{factor}}"),
    )


def _dollars() -> Panel:
    return lines(
        "Dollars per day by factor ($currency)",
        "What would not be spent if the factor were as usual; below 0 it saves. The largest is "
        "what to look at first.",
        "short",
        Query(
            money(f"max by (workload, model, factor) ({Recorded.FACTOR_USD}{{{SIX}}})"),
            "{{factor}}",
        ),
    )


def _side(quantity: str, side: str) -> str:
    return f'sum by ({BY}) ({Recorded.SUM}{{{WINDOW}, quantity="{quantity}", side="{side}"}})'


def _request() -> Panel:
    return lines(
        "1,000 requests, now and usually ($currency)",
        "What a thousand succeeded requests cost, and what they cost at the same hour of past "
        "weeks. The gap between the lines is the drift.",
        "short",
        *(
            Query(
                money(f"1000 * {_side('cost', side)} / ({_side('succeeded', side)} > 0)"),
                f"{NAMED} {name}",
            )
            for side, name in (("now", "now"), ("baseline", "usually"))
        ),
    )


def _work() -> Panel:
    return lines(
        "Requests a second, now and usually",
        "Attempts, and attempts at the same hour of past weeks. Load that moved explains idle "
        "time; it does not explain price, mix, failures or speed.",
        "reqps",
        Query(_side("attempted", "now"), f"{NAMED} now"),
        Query(_side("attempted", "baseline"), f"{NAMED} usually"),
    )


def _own_ratio() -> Panel:
    return lines(
        "Ratio, by host",
        "What each exporter says by itself of the last hour, with no rules at all. It should be "
        "near the total above; on several hosts there is none.",
        "short",
        Query(f"unitcost_drift_ratio{{{MODEL}}}", f"{NAMED} {{{{instance}}}}"),
    )


def _own_factors() -> Panel:
    return lines(
        "Factors, by host",
        "The same six factors, as each exporter finds them over the last hour. One that it tells "
        "as a drift is marked where it began.",
        "short",
        Query(
            f"max by (workload, model, factor) (unitcost_drift_factor_ratio{{{MODEL}}})",
            "{{factor}}",
        ),
    )


def _own_dollars() -> Panel:
    return lines(
        "Dollars per day, by host ($currency)",
        "What the requests of the last hour cost more in a day than at their usual cost, as each "
        "exporter finds it; below 0 they cost less.",
        "short",
        Query(money(f"unitcost_drift_usd_per_day{{{MODEL}}}"), f"{NAMED} {{{{instance}}}}"),
    )


def _thresholds() -> Panel:
    judged, threshold = (
        f"max by (workload, model, factor, pace) ({series}{{{DRIFTING}}})"
        for series in (Recorded.JUDGED, Recorded.THRESHOLD)
    )
    return lines(
        "Thresholds",
        "How far each factor has moved, and from where on it has drifted: five times its usual "
        "scatter, at least its floor. A high threshold is a factor that wanders by itself.",
        "short",
        Query(judged, "{{pace}} {{factor}}"),
        Query(threshold, "{{pace}} {{factor}} threshold"),
    )


def _baseline() -> Panel:
    held = f'{Recorded.BASELINE}{{{DRIFTING}, quantity=~"active|idle|loading"}}'
    return lines(
        "What is usually held",
        "GPUs, cores and GiB by state at the same hour of past weeks: what this hour is compared "
        "with. Nothing here: the workload has no past yet.",
        "short",
        Query(f"sum by (part, quantity) ({held})", "{{part}} {{quantity}}"),
    )
