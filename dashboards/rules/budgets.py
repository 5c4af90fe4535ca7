"""Budgets over all hosts: what is spent, how fast, and what will be at the end of the period.

Budgets of one name are one budget, whichever hosts have it: what each of them spent is summed.
"""

from textwrap import indent

from unitcost.dashboards.names import BUDGET, Recorded, T, Uid, by
from unitcost.dashboards.promql import block, condition, lasting, once
from unitcost.dashboards.rules.alerts_cost import since
from unitcost.dashboards.rules.model import Alert, Group, Recording, Severity, Value
from unitcost.dashboards.settings import DAY, Settings, number

B = by(*BUDGET)
ALLOWED, SPENT = Recorded.BUDGET, Recorded.BUDGET_SPENT
BURN, PROJECTED = Recorded.BUDGET_BURN, Recorded.BUDGET_PROJECTED
WINDOWS = ("10m", "1h", "6h")
PERIOD = "period"
EASED = 0.95
"""A condition ends where the projection has fallen to this part of where it began."""


def budget_group(settings: Settings) -> Group:
    """What is spent and projected, and since when that is too much."""
    rules = (
        Recording(ALLOWED, f"max by ({B}) (unitcost_budget_usd)"),
        Recording(SPENT, f"sum by ({B}) ({once('unitcost_budget_spent_usd')})"),
        *(_burn(settings, window) for window in WINDOWS),
        _burn_of_period(),
        _projected(),
        _fast(settings),
        _slow(settings),
        _exceeded(),
    )
    return Group("unitcost-budgets", settings.interval, rules)


def _burn(settings: Settings, window: str) -> Recording:
    """Dollars a day, as of the last minutes or hours; only where all of that is in this period."""
    seconds = settings.scaled(getattr(settings, f"window_{window}"))
    expr = block(
        """
        <per_day> * sum by (<B>) (
          delta(unitcost_budget_spent_usd[<span>]) unless on (<T>) <second>
          and on (<T>, budget)
          (time() - unitcost_budget_period_start_timestamp_seconds >= <seconds>)
        )
        """,
        per_day=number(DAY / seconds),
        B=B,
        T=T,
        second=Recorded.SECOND_CHARGE,
        span=settings.span(getattr(settings, f"window_{window}")),
        seconds=number(seconds),
    )
    return Recording(BURN, expr, {"window": window})


def _burn_of_period() -> Recording:
    """Dollars a day, on average since the period began, or since what was spent is known."""
    expr = block(
        """
        <day> * sum by (<B>) (
          unitcost_budget_spent_usd
          / on (<T>, budget) (time() - unitcost_budget_since_timestamp_seconds > 0)
          unless on (<T>) <second>
        )
        """,
        day=str(DAY),
        B=B,
        T=T,
        second=Recorded.SECOND_CHARGE,
    )
    return Recording(BURN, expr, {"window": PERIOD})


def _projected() -> Recording:
    """What will be spent at the end of the period at each pace."""
    expr = block(
        """
        <burn> / <day>
        * on (<B>) group_left ()
        (max by (<B>) (unitcost_budget_period_end_timestamp_seconds) - time())
        + on (<B>) group_left () <spent>
        """,
        burn=BURN,
        day=str(DAY),
        B=B,
        spent=SPENT,
    )
    return Recording(PROJECTED, expr)


def _over(window: str, ratio: float) -> str:
    return f'{PROJECTED}{{window="{window}"}} > on ({B}) ({number(ratio)} * {ALLOWED})'


def _fast(settings: Settings) -> Recording:
    """Both the last hour and the last 10 minutes would spend far more than there is."""
    ratio = settings.budget_fast_ratio
    enter = f"({_over('1h', ratio)}) and on ({B}) ({_over('10m', ratio)})"
    return condition("budget_fast", BUDGET, stay=_over("1h", ratio * EASED), enter=enter)


def _slow(settings: Settings) -> Recording:
    """The period so far and the last 6 hours would both spend more than there is.

    Not in the beginning of a period, when a busy morning looks like a busy month.
    """
    ratio = settings.budget_slow_ratio
    begun = block(
        """
        (time() - max by (<B>) (unitcost_budget_period_start_timestamp_seconds))
        / (
          max by (<B>) (unitcost_budget_period_end_timestamp_seconds)
          - max by (<B>) (unitcost_budget_period_start_timestamp_seconds)
        ) >= <part>
        """,
        B=B,
        part=number(settings.budget_elapsed),
    )
    enter = f"{_over_both(ratio)}\nand on ({B}) (\n{indent(begun, '  ')}\n)"
    return condition("budget_slow", BUDGET, stay=_over_both(ratio * EASED), enter=enter)


def _over_both(ratio: float) -> str:
    return f"({_over(PERIOD, ratio)})\nand on ({B}) ({_over('6h', ratio)})"


def _exceeded() -> Recording:
    held = f"{SPENT} > on ({B}) {ALLOWED}"
    return condition("budget_exceeded", BUDGET, stay=held, enter=held)


def budget_alerts(settings: Settings) -> tuple[Alert, ...]:
    """Too fast, too much, and more than there is; each silent where the next one is told."""
    fast = _alert(
        settings,
        "UnitcostBudgetBurnFast",
        "budget_fast",
        "1h",
        means="the last hour and the last 10 minutes would, if they went on, spend twice a budget "
        "by the end of its period",
        pace="At the pace of the last hour",
        unless="budget_exceeded",
        severity=Severity.CRITICAL,
    )
    slow = _alert(
        settings,
        "UnitcostBudgetBurnSlow",
        "budget_slow",
        PERIOD,
        means="the period so far and the last 6 hours would both spend more than a budget by its "
        "end",
        pace="At the pace of the period so far",
        unless="budget_fast|budget_exceeded",
        severity=Severity.WARNING,
    )
    return (fast, slow, _exceeded_alert(settings))


def _of_budget(series: str, labels: str = "") -> Value:
    return Value(f"max{{by}} ({series}{{{{{labels}{{match}}}}}})", BUDGET)


def _alert(
    settings: Settings,
    name: str,
    told: str,
    window: str,
    *,
    means: str,
    pace: str,
    unless: str,
    severity: Severity,
) -> Alert:
    expr = block(
        """
        max by (<B>) (<projected>{window="<window>"}) - on (<B>) <allowed>
        <lasting>
        unless on (<B>) <since>{condition=~"<unless>"}
        """,
        B=B,
        projected=PROJECTED,
        window=window,
        allowed=ALLOWED,
        lasting=lasting(told, BUDGET),
        since=Recorded.CONDITION_SINCE,
        unless=unless,
    )
    return Alert(
        name=name,
        expr=expr,
        severity=severity,
        means=means,
        summary="{budget}: {value|usd} over its {allowed|usd} by the end of the period, at "
        "{burn|usd} a day, since {since|time}",
        description=f"{pace}, {{burn|usd}} a day, {{budget}} will have spent {{value|usd}} more "
        "than its {allowed|usd} when its period ends. So far it is {spent|usd}.",
        dashboard=Uid.FLEET,
        variables=("cluster",),
        values={
            "allowed": _of_budget(ALLOWED),
            "spent": _of_budget(SPENT),
            "burn": _of_budget(BURN, f'window="{window}",'),
            "since": since(told, BUDGET),
        },
        owner=settings.team,
    )


def _exceeded_alert(settings: Settings) -> Alert:
    return Alert(
        name="UnitcostBudgetExceeded",
        expr=f"{SPENT} - on ({B}) {ALLOWED}\n{lasting('budget_exceeded', BUDGET)}",
        severity=Severity.CRITICAL,
        means="a budget is spent before its period is over",
        summary="{budget}: {value|usd} over its {allowed|usd} since {since|time}, and {burn|usd} a "
        "day more",
        description="{budget} has spent {spent|usd} of {allowed|usd}, at the least; what has no "
        "price is not in it. At the pace of the last hour it goes on at {burn|usd} a day.",
        dashboard=Uid.FLEET,
        variables=("cluster",),
        values={
            "allowed": _of_budget(ALLOWED),
            "spent": _of_budget(SPENT),
            "burn": _of_budget(BURN, 'window="1h",'),
            "since": since("budget_exceeded", BUDGET),
        },
        owner=settings.team,
    )
