"""Alerts about dollars that nothing is got for, and about training runs."""

from unitcost.dashboards.names import RESERVED, RUN, WORKLOAD, Recorded, Uid, W
from unitcost.dashboards.promql import block, lasting, once, owned
from unitcost.dashboards.rules.costs import UNALLOCATED, R
from unitcost.dashboards.rules.model import Alert, Severity, Value
from unitcost.dashboards.settings import DAY, Settings, number

COST, SINCE = Recorded.COST, Recorded.CONDITION_SINCE


def cost_alerts(settings: Settings) -> tuple[Alert, ...]:
    """Idle and unallocated dollars."""
    return (_idle(settings), _unallocated(settings))


def training_alerts(settings: Settings) -> tuple[Alert, ...]:
    """Runs that cost too much, do nothing, or wait."""
    return (_over_projection(settings), _stalled(settings), _waiting(settings))


def since(condition: str, on: tuple[str, ...]) -> Value:
    """When a condition began."""
    return Value(f'max{{by}} ({SINCE}{{{{condition="{condition}",{{match}}}}}})', on)


def _cost(labels: str, on: tuple[str, ...] = WORKLOAD) -> Value:
    return Value(f"sum{{by}} ({COST}{{{{{labels},{{match}}}}}})", on)


def _idle(settings: Settings) -> Alert:
    expr = block(
        """
        sum by (<W>) (<cost>{window="6h", state="idle", workload!~"<reserved>"})
        <lasting>
        """,
        W=W,
        cost=COST,
        reserved=RESERVED,
        lasting=lasting("idle", WORKLOAD),
    )
    return Alert(
        name="UnitcostIdleDollars",
        expr=owned(expr, settings),
        severity=Severity.WARNING,
        means="most of what a workload costs is idle, whatever is usual for it",
        summary="{workload}: {value|usd} a day of {cost|usd} are idle, since {since|time}",
        description="Over the last 6 hours {value|usd} a day went into what {workload} holds and "
        "does not use, of {cost|usd} a day in all. Reserve less, run fewer replicas, or share.",
        dashboard=Uid.FLEET,
        variables=("cluster", "workload"),
        values={"cost": _cost('window="6h"'), "since": since("idle", WORKLOAD)},
    )


def _unallocated(settings: Settings) -> Alert:
    on = ("cluster",)
    free = f'sum by (cluster) ({COST}{{window="6h", workload="{UNALLOCATED}"}})'
    return Alert(
        name="UnitcostUnallocatedDollars",
        expr=f"{free}\n{lasting('unallocated', on)}",
        severity=Severity.INFO,
        means="a large part of what all hosts of a cluster cost is held by nobody",
        summary="{value|usd} a day of {cost|usd} are held by nobody, since {since|time}",
        description="Over the last 6 hours {value|usd} a day were paid for resources that no "
        "workload held, of {cost|usd} a day in all. Fewer or smaller hosts would do.",
        dashboard=Uid.FLEET,
        variables=on,
        values={"cost": _cost('window="6h"', on), "since": since("unallocated", on)},
        owner=settings.team,
    )


def _over_projection(settings: Settings) -> Alert:
    expr = block(
        """
        (
          max by (<R>) (<projected>{bound="expected"}) - on (<R>) <allowed>
          and on (<R>) (
            max by (<R>) (<projected>{bound="expected"}) > on (<R>) (<ratio> * <allowed>)
          )
        )
        or (
          <cost> - on (<R>) <allowed>
          and on (<R>) (<cost> > on (<R>) (<ratio> * <allowed>))
        )
        """,
        R=R,
        projected=Recorded.RUN_PROJECTED,
        allowed=Recorded.RUN_ALLOWED,
        cost=Recorded.RUN_COST,
        ratio=number(settings.run_over_ratio),
    )

    def of_run(series: str, labels: str = "") -> Value:
        return Value(f"max{{by}} ({series}{{{{{labels}{{match}}}}}})", RUN)

    return Alert(
        name="UnitcostRunOverProjection",
        expr=owned(expr, settings),
        severity=Severity.WARNING,
        means="a training run costs, or will cost, more than the high end of its first projection",
        summary="{workload}: run {run} goes {value|usd} over what was projected for it",
        description="Run {run} has cost {cost|usd} so far and is projected at {expected|usd}; when "
        "it had begun the high end was {allowed|usd}. Attempts so far: {attempts|number}.",
        dashboard=Uid.TRAINING,
        variables=("cluster", "workload", "run"),
        values={
            "cost": of_run(Recorded.RUN_COST),
            "expected": of_run(Recorded.RUN_PROJECTED, 'bound="expected",'),
            "allowed": of_run(Recorded.RUN_ALLOWED),
            "attempts": of_run("unitcost_run_attempts"),
        },
    )


def _stalled(settings: Settings) -> Alert:
    window = settings.span(settings.rate_window)
    expr = block(
        """
        <day> * sum by (<W>) (<spent>)
        <lasting>
        """,
        day=str(DAY),
        W=W,
        spent=once(f'rate(unitcost_cost_usd_total{{kind="training"}}[{window}])'),
        lasting=lasting("run_stalled", WORKLOAD, settings.scaled(settings.run_stalled_after)),
    )
    return Alert(
        name="UnitcostRunStalled",
        expr=owned(expr, settings),
        severity=Severity.CRITICAL,
        means="a training makes no step and goes on costing money",
        summary="{workload}: no step since {since|time}, at {value|usd} a day",
        description="{workload} still holds what it trains on and has made no optimiser step since "
        "{since|time}. At {value|usd} a day that is paid for nothing.",
        dashboard=Uid.TRAINING,
        variables=("cluster", "workload"),
        values={"since": since("run_stalled", WORKLOAD)},
    )


def _waiting(settings: Settings) -> Alert:
    span = settings.span(settings.window_1h)
    per_day = number(DAY / settings.scaled(settings.window_1h))
    expr = block(
        """
        <per_day> * sum by (<R>) (increase(unitcost_run_stall_cost_usd_total[<span>]))
        <lasting>
        """,
        per_day=per_day,
        R=R,
        span=span,
        lasting=lasting("run_waiting", RUN),
    )

    def reason(name: str) -> Value:
        series = f'unitcost_run_stall_cost_usd_total{{{{reason="{name}",{{match}}}}}}'
        return Value(f"{per_day} * sum{{by}} (increase({series}[{span}]))", RUN)

    return Alert(
        name="UnitcostRunWaiting",
        expr=owned(expr, settings),
        severity=Severity.WARNING,
        means="a large part of a training run's cost goes into waiting for data, checkpoints or "
        "other ranks",
        summary="{workload}: run {run} waits for {value|usd} a day, since {since|time}",
        description="Of what run {run} costs, {value|usd} a day are spent waiting: data loading "
        "{data_loading|usd}, checkpoints {checkpoint|usd}, slower ranks {straggler|usd}.",
        dashboard=Uid.TRAINING,
        variables=("cluster", "workload", "run"),
        values={
            "since": since("run_waiting", RUN),
            **{name: reason(name) for name in ("data_loading", "checkpoint", "straggler")},
        },
    )
