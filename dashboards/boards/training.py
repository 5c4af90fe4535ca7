"""Training, for research: what runs cost so far and in the end, an epoch, waiting and restarts."""

from unitcost.dashboards.boards import variables
from unitcost.dashboards.boards.events import training_events
from unitcost.dashboards.boards.layout import Row, dashboard
from unitcost.dashboards.boards.library import Board, Panel
from unitcost.dashboards.boards.panels import Column, Columns, lines, number, table
from unitcost.dashboards.boards.query import (
    DAY,
    HOST,
    RUN,
    WORKLOAD,
    Query,
    money,
    per_day,
    rate,
)
from unitcost.dashboards.boards.training_drift import drift_row
from unitcost.dashboards.names import Uid
from unitcost.dashboards.rules.fleet import whole_epochs

BY = "workload, run"
NAMED = "{{workload}} {{run}}"
PROJECTED = "unitcost_run_projected_cost_usd"
REPORTED = 'basis="${basis:text}"'


def training() -> Board:
    """The dashboard of training runs."""
    rows = (
        Row("Now", ((4, _now()), (9, (_runs(),)))),
        Row("What it costs", ((9, (_so_far(), _projected())), (9, (_epoch(), _step(), _sample())))),
        Row("What of it is lost", ((9, (_waiting(), _repeated(), _states())),)),
        Row("Trained models", ((8, (_trained(), _spread())),)),
        Row("How fast", ((8, (_steps(), _progress(), _attempts(), _epochs())),)),
        drift_row(),
    )
    return dashboard(
        Uid.TRAINING,
        "Training",
        "What training runs cost so far, by epoch, and in the end; what waits and what is "
        "repeated.",
        [
            *variables.hosts(),
            variables.owner(),
            variables.workload("training"),
            variables.run(),
            variables.basis(),
            variables.currency(),
        ],
        rows,
        since="now-24h",
        annotations=training_events(),
    )


def _cost() -> str:
    return f"sum by ({BY}) (unitcost_run_cost_usd{{{RUN}}})"


def _end(bound: str) -> str:
    return f'sum by ({BY}) ({PROJECTED}{{{RUN}, bound="{bound}"}})'


def _now() -> tuple[Panel, ...]:
    return (
        number(
            "Cost per day ($currency)",
            "What the chosen trainings cost at the present rate, in a day.",
            "short",
            Query(money(f"sum ({per_day(WORKLOAD, 'workload')})")),
        ),
        number(
            "So far ($currency)",
            "What the chosen runs have cost so far, all attempts together.",
            "short",
            Query(money(f"sum ({_cost()})")),
        ),
        number(
            "In the end ($currency)",
            "What the chosen runs will have cost at their goals if they go on as they went. Runs "
            "without a goal are not in it.",
            "short",
            Query(money(f"sum ({_end('expected')})")),
        ),
        number(
            "Lost so far ($currency)",
            "Dollars of the chosen runs that went into waiting and into steps done again; a part "
            "of what they cost. Large: see below for why.",
            "short",
            Query(
                money(
                    f"(sum (unitcost_run_stall_cost_usd_total{{{RUN}}}) or vector(0)) + "
                    f"(sum (unitcost_run_repeated_cost_usd_total{{{RUN}}}) or vector(0))"
                )
            ),
        ),
    )


def _runs() -> Panel:
    lost = (
        f"sum by ({BY}) (unitcost_run_stall_cost_usd_total{{{RUN}}})",
        f"sum by ({BY}) (unitcost_run_repeated_cost_usd_total{{{RUN}}})",
    )
    return table(
        "Runs ($currency)",
        "Every run that is charged now or was a moment ago: so far, projected with its range, "
        "progress, attempts and what was lost. Nine of ten runs end between low and high.",
        Columns(
            {"workload": Column("Training"), "run": Column("Run")},
            (
                Column("So far", "short"),
                Column("Low", "short"),
                Column("Expected", "short"),
                Column("High", "short"),
                Column("Done", "percentunit"),
                Column("Attempts", "short"),
                Column("Waiting", "short"),
                Column("Done again", "short"),
            ),
        ),
        Query(money(_cost())),
        *(Query(money(_end(bound))) for bound in ("low", "expected", "high")),
        Query(f"max by ({BY}) (unitcost_run_progress_ratio{{{RUN}}})"),
        Query(f"max by ({BY}) (unitcost_run_attempts{{{RUN}}})"),
        *(Query(money(each)) for each in lost),
    )


def _so_far() -> Panel:
    return lines(
        "Each run so far ($currency)",
        "What each run has cost, all attempts and hosts together. A slope that gets steeper: more "
        "hosts, or a price that rose.",
        "short",
        Query(money(_cost()), NAMED),
    )


def _projected() -> Panel:
    return lines(
        "Each run in the end ($currency)",
        "What each run will have cost at its goal, with the range in which nine of ten such runs "
        "end. An expected cost that climbs above an earlier high is what UnitcostRunOverProjection "
        "tells.",
        "short",
        *(Query(money(_end(bound)), f"{NAMED} {bound}") for bound in ("low", "expected", "high")),
    )


def _epoch() -> Panel:
    parts = whole_epochs(BY, f"{{{RUN}}}", f"{{{WORKLOAD}}}")
    return lines(
        "An epoch ($currency)",
        "What the last epoch cost that all hosts of the run have closed: a step for each. Later "
        "ones that cost more: evaluation, checkpoints, or a host that slows the others.",
        "short",
        Query(money(parts), NAMED),
        lineInterpolation="stepAfter",
    )


def _step() -> Panel:
    return lines(
        "1,000 steps ($currency)",
        "What a thousand optimiser steps cost over the exporters' window, by host.",
        "short",
        Query(
            money(f"1000 * unitcost_step_cost_usd{{{WORKLOAD}, {REPORTED}}}"),
            "{{workload}} {{instance}}",
        ),
    )


def _sample() -> Panel:
    return lines(
        "1,000 samples ($currency)",
        "What a thousand training examples cost over the exporters' window, by host. Comparable "
        "between batch sizes, which steps are not.",
        "short",
        Query(
            money(f"1000 * unitcost_sample_cost_usd{{{WORKLOAD}, {REPORTED}}}"),
            "{{workload}} {{instance}}",
        ),
    )


def _waiting() -> Panel:
    spent = rate("unitcost_run_stall_cost_usd_total", RUN, f"{BY}, reason")
    return lines(
        "Waiting, per day ($currency)",
        "Dollars for time in which a run's processes waited, by reason; a part of its cost. Data "
        "loading: more workers, nearer data. Checkpoints: asynchronous ones. Stragglers: find the "
        "slow host.",
        "short",
        Query(money(f"{DAY} * {spent}"), f"{NAMED} {{{{reason}}}}"),
        stacked=True,
    )


def _repeated() -> Panel:
    return lines(
        "Done again ($currency)",
        "Dollars for steps that an earlier attempt had done already, so far. Each restart adds "
        "what was done since the last checkpoint: write them more often.",
        "short",
        Query(money(f"sum by ({BY}) (unitcost_run_repeated_cost_usd_total{{{RUN}}})"), NAMED),
    )


def _states() -> Panel:
    return lines(
        "Cost per day by state ($currency)",
        "What the trainings hold, by state. Idle: GPUs that wait for something that nobody reports "
        "as waiting.",
        "short",
        Query(money(per_day(WORKLOAD, "workload, state")), "{{workload}} {{state}}"),
        stacked=True,
    )


def _trained() -> Panel:
    labels = "trained_model, part"
    return table(
        "What models cost to train ($currency)",
        "What each model cost to train so far, by part: compute, and items such as data and staff. "
        "A run may be in several models: never sum over them.",
        Columns(
            {"trained_model": Column("Model"), "part": Column("Part")},
            (Column("Cost", "short"), Column("Of the whole", "percentunit")),
        ),
        Query(money(f"sum by ({labels}) (unitcost_training_cost_usd{{{HOST}}})")),
        Query(
            f"sum by ({labels}) (unitcost_training_cost_usd{{{HOST}}}) / on (trained_model) "
            f"group_left () (sum by (trained_model) "
            f"(unitcost_training_total_cost_usd{{{HOST}}}) > 0)"
        ),
    )


def _spread() -> Panel:
    each = f"max by (workload, model) (unitcost_request_training_cost_usd{{{HOST}, {REPORTED}}})"
    expected = f"max by (workload, model) (unitcost_training_expected_requests{{{HOST}}})"
    return table(
        "Training in 1,000 requests ($currency)",
        "What of a model's training falls on a thousand of the requests that the configuration "
        "expects of it, which nobody measured. In no other figure: add it by hand where you want "
        "it.",
        Columns(
            {"workload": Column("Workload"), "model": Column("Model")},
            (Column("1,000 requests", "short"), Column("Expected requests", "short")),
        ),
        Query(money(f"1000 * {each}")),
        Query(expected),
    )


def _steps() -> Panel:
    return lines(
        "Steps a second",
        "Optimiser steps. 0 while it costs money is a run that hangs: UnitcostRunStalled.",
        "ops",
        Query(rate("unitcost_steps_total", WORKLOAD, "workload"), "{{workload}}"),
    )


def _progress() -> Panel:
    return lines(
        "Done",
        "How far each run is on the way to its goal. A fall is an attempt that began from an "
        "earlier checkpoint. Absent without a goal.",
        "percentunit",
        Query(f"max by ({BY}) (unitcost_run_progress_ratio{{{RUN}}})", NAMED),
    )


def _attempts() -> Panel:
    return lines(
        "Attempts",
        "How often each run was started. More than a few: look for what kills it.",
        "short",
        Query(f"max by ({BY}) (unitcost_run_attempts{{{RUN}}})", NAMED),
    )


def _epochs() -> Panel:
    return lines(
        "Epochs",
        "Number of the last whole epoch of each run.",
        "short",
        Query(f"max by ({BY}) (unitcost_epoch_last{{{RUN}}})", NAMED),
    )
