"""Alerts about drift: each names the factor, its size, since when, and the dollars a day."""

from collections.abc import Mapping

from unitcost.dashboards.names import FACTORS, GROUP, READY, TOTAL, G, Recorded, Uid
from unitcost.dashboards.promql import block, owned
from unitcost.dashboards.rules.drift import GF
from unitcost.dashboards.rules.drift_states import FAST, IDLE, SLOW, Pace
from unitcost.dashboards.rules.model import Alert, Severity, Value
from unitcost.dashboards.settings import Settings

FACTOR, SINCE = Recorded.FACTOR, Recorded.SINCE
BY_FACTOR = (*GROUP, "factor")
OPEN = ("cluster", "workload", "model")

# What has a model is a server; a training never has one.
_UNIT = "request{{ if not $labels.model }} or step{{ end }}"
_UNITS = "requests{{ if not $labels.model }} or steps{{ end }}"

BECAUSE = {
    "price": "the price of what it holds rose",
    "mix": f"its {_UNITS} ask for more work",
    "failures": "{failed|percent} of its requests now fail",
    "loading": "more of its time goes into loading",
    "idle": "{unused|percent} of what it holds is now idle",
    "speed": "the same work takes it longer",
}
"""What each factor says when it is up."""

CAUSES = {
    "price": "a price that changed, other hardware",
    "mix": "longer prompts or answers, less from the cache",
    "failures": "requests that fail or are given up, and are sent again",
    "loading": "restarts, scale-ups, slow starts",
    "idle": "less load, more replicas than the load needs",
    "speed": "another version, smaller batches, throttling",
}
"""What usually is behind it."""


def drift_alerts(settings: Settings) -> tuple[Alert, ...]:
    """All alerts about what a request, or a training step, costs."""
    return (_fast(settings), _slow(settings), _idle(settings), _total(settings))


def _series(name: str, labels: str, on: tuple[str, ...] = GROUP) -> Value:
    """The value of one recorded series of the alert's workload."""
    return Value(f"max{{by}} ({name}{{{{{labels},{{match}}}}}})", on)


def _sum(window: str, quantity: str, side: str = "now") -> str:
    labels = f'window="{window}",side="{side}",quantity="{quantity}"'
    return f"max{{by}} ({Recorded.SUM}{{{{{labels},{{match}}}}}})"


def _thousand(window: str, side: str) -> Value:
    """What 1,000 requests or steps cost."""
    cost, done = (_sum(window, each, side) for each in ("cost", "succeeded"))
    return Value(f"1000 * {cost} / {done}", GROUP)


def _values(window: str, pace: Pace, total: str = TOTAL) -> dict[str, Value]:
    """What every text about a drift names; `total` is what the cost of a request is taken by."""
    idle, active, tried, done = (
        _sum(window, each) for each in ("idle", "active", "attempted", "succeeded")
    )
    whose, on = (f',factor="{READY}"', GROUP) if total == READY else ("", BY_FACTOR)
    whole = f'{FACTOR}{{{{window="{window}",factor="{total}",{{match}}}}}}'
    return {
        "since": _series(SINCE, f'pace="{pace.name}"{whose}', on),
        "total": Value(f"100 * (max{{by}} ({whole}) - 1)", GROUP),
        "ratio": _series(FACTOR, f'window="{window}"', BY_FACTOR),
        "now": _thousand(window, "now"),
        "usual": _thousand(window, "baseline"),
        "failed": Value(f"100 * (1 - {done} / {tried})", GROUP),
        "unused": Value(f"100 * {idle} / ({idle} + {active})", GROUP),
        **{each: _series(FACTOR, f'window="{window}",factor="{each}"') for each in FACTORS},
    }


def _of_factor(texts: Mapping[str, str], test: str = "eq") -> str:
    """The text of the alert's factor (`ne`: of the others), as every ruler can choose it."""
    return "".join(
        f'{{{{ if {test} $labels.factor "{factor}" }}}}{texts[factor]}{{{{ end }}}}'
        for factor in FACTORS
    )


_NAME = "{workload}{{ if $labels.model }} ({model}){{ end }}"
_OTHERS = _of_factor({each: f"; {each} {{{each}|moved}}" for each in FACTORS}, "ne")
_SUMMARY = (
    f"cost per {_UNIT} of {_NAME} {{total|change}} since {{since|time}}, {{value|usd}} a day, "
    f"because {_of_factor(BECAUSE)} ({{factor}} {{ratio|ratio}}{_OTHERS})"
)
_DESCRIPTION = (
    f"1,000 {_UNITS} of {_NAME} cost {{now|small_usd}}, usually {{usual|small_usd}} at this time. "
    f"{{value|usd}} a day of what it costs come of {{factor}}. Usual causes: {_of_factor(CAUSES)}."
)


def _alert_of(settings: Settings, pace: Pace, dollars: str, also: str = "") -> str:
    """The dollars a day of the factors that have drifted, and their owners."""
    expr = block(
        """
        max by (<GF>) (<dollars>)
        and on (<GF>) <since>{pace="<pace>", factor!="<ready>"}
        """,
        GF=GF,
        dollars=dollars,
        since=SINCE,
        pace=pace.name,
        ready=READY,
    )
    return owned(expr + also, settings)


def _told_lately(settings: Settings, *paces: Pace) -> str:
    """What was told at these paces as long as the slow windows remember it.

    They do so for hours after a drift is over, which is no news.
    """
    names = "|".join(pace.name for pace in paces)
    return f'last_over_time({SINCE}{{pace=~"{names}"}}[{settings.span(settings.window_6h)}])'


def _fast(settings: Settings) -> Alert:
    window = FAST.long
    return Alert(
        name="UnitcostDriftFast",
        expr=_alert_of(settings, FAST, f'{Recorded.FACTOR_USD}{{window="{window}"}}'),
        severity=Severity.WARNING,
        means="the price, the mix of requests, failures or the speed is off its baseline over the "
        "last half hour and the last 10 minutes",
        summary=_SUMMARY,
        description=f"Over the last half hour {_DESCRIPTION}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values=_values(window, FAST),
    )


def _slow(settings: Settings) -> Alert:
    window = SLOW.long
    dollars = f'{Recorded.FACTOR_USD}{{window="{window}"}}'
    told = f"\nunless on ({GF}) {_told_lately(settings, FAST)}"
    return Alert(
        name="UnitcostDriftSlow",
        expr=_alert_of(settings, SLOW, dollars, told),
        severity=Severity.WARNING,
        means="a factor is off its baseline over the last 6 hours and the last hour, and the "
        "fast alert has not told it in that time, or it is loading",
        summary=_SUMMARY,
        description=f"Over the last 6 hours {_DESCRIPTION}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values=_values(window, SLOW),
    )


def _idle(settings: Settings) -> Alert:
    window = IDLE.long
    dollars = f'label_replace({Recorded.IDLE_USD}{{window="{window}"}}, "factor", "idle", "", "")'
    return Alert(
        name="UnitcostIdleDrift",
        expr=_alert_of(settings, IDLE, dollars),
        severity=Severity.WARNING,
        means="more idle dollars than at the same hour of other weeks, over the last hour",
        summary=_SUMMARY,
        description=f"Over the last hour {_DESCRIPTION}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values=_values(window, IDLE),
    )


def _total(settings: Settings) -> Alert:
    """The whole unit cost, loading left out; the label `factor` is the cause when it began.

    It is for what no factor's alert tells.
    """
    window = SLOW.long
    expr = block(
        """
        max by (<GF>) (
          label_replace(
            max by (<G>) (<dollars>{window="<window>", factor="<ready>"})
            * on (<G>) group_left (cause) <cause>,
            "factor", "$1", "cause", "(.+)"
          )
        )
        unless on (<G>) <told>
        unless on (<G>) <since>{pace="slow", factor!="<ready>"}
        """,
        G=G,
        told=_told_lately(settings, FAST, IDLE),
        since=SINCE,
        GF=GF,
        dollars=Recorded.FACTOR_USD,
        window=window,
        ready=READY,
        cause=Recorded.CAUSE,
    )
    return Alert(
        name="UnitcostDriftTotal",
        expr=owned(expr, settings),
        severity=Severity.WARNING,
        means="the cost of a request or step, loading left out, is off its baseline over the last "
        "6 hours and the last hour, and no factor's alert says why",
        summary=_SUMMARY.replace(", because", ", most of all because"),
        description=f"Over the last 6 hours, loading left out: {_DESCRIPTION}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values=_values(window, SLOW, READY),
    )
