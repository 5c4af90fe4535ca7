"""Alerts about drift: each names the factor, its size, since when, and the dollars a day."""

from unitcost.dashboards.names import FACTORS, GROUP, READY, G, Recorded, Uid
from unitcost.dashboards.promql import block, owned
from unitcost.dashboards.rules.drift import GF
from unitcost.dashboards.rules.drift_states import FAST, IDLE, SLOW, Pace
from unitcost.dashboards.rules.model import Alert, Severity, Value
from unitcost.dashboards.settings import Settings

FACTOR, SINCE = Recorded.FACTOR, Recorded.SINCE
BY_FACTOR = (*GROUP, "factor")
OPEN = ("cluster", "workload", "model")

WHY = {
    "price": "each hour of what it holds costs more: a price changed, or other hardware is used",
    "mix": "requests ask for more work: longer prompts or answers, or less comes from the cache",
    "failures": "more attempts are made for each one that succeeds: they fail or are given up",
    "loading": "more is paid before servers are ready: restarts, scale-ups, slow starts",
    "idle": "more of what it holds does nothing: less load, or more replicas than the load needs",
    "speed": "the same work takes more busy time: another version, smaller batches, throttling",
}
"""What each factor says when it is up."""


def drift_alerts(settings: Settings) -> tuple[Alert, ...]:
    """All alerts about the unit costs of inference."""
    return (_fast(settings), _slow(settings), _idle(settings), _total(settings))


def _series(name: str, labels: str, on: tuple[str, ...] = GROUP) -> Value:
    """The value of one recorded series of the alert's workload."""
    return Value(f"max{{by}} ({name}{{{{{labels},{{match}}}}}})", on)


def _thousand(window: str, side: str) -> Value:
    """What 1,000 requests cost."""
    labels = f'window="{window}",side="{side}"'
    cost, done = (
        f'max{{by}} ({Recorded.SUM}{{{{{labels},quantity="{each}",{{match}}}}}})'
        for each in ("cost", "succeeded")
    )
    return Value(f"1000 * {cost} / {done}", GROUP)


def _values(window: str) -> dict[str, Value]:
    """What every text about a drift names."""
    factors = {each: _series(FACTOR, f'window="{window}",factor="{each}"') for each in FACTORS}
    return {
        "total": _series(FACTOR, f'window="{window}",factor="total"'),
        "now": _thousand(window, "now"),
        "usual": _thousand(window, "baseline"),
        **factors,
    }


_NAME = "{workload}{{ if $labels.model }} ({model}){{ end }}"
_FACTORS = ", ".join(f"{factor} {{{factor}|ratio}}" for factor in FACTORS)
_ALL = (
    f"1,000 requests cost {{now|small_usd}}, usually {{usual|small_usd}} ({{total|ratio}}): "
    f"{_FACTORS}."
)


_REASONS = "".join(
    f'{{{{ if eq $labels.factor "{factor}" }}}}{why}{{{{ end }}}}' for factor, why in WHY.items()
)
"""A sentence for whichever factor it is, as a template that every ruler understands."""

_SUMMARY = (
    f"{_NAME}: a request costs {{total|ratio}} its usual, {{factor}} {{ratio|ratio}}, "
    "since {since|time}: {value|usd} a day"
)
_DESCRIPTION = (
    "{factor} was {ratio|ratio} what is usual at this time, and {value|usd} a day of what "
    f"{_NAME} costs comes of that: {_REASONS}. {_ALL}"
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
        values={
            "ratio": _own_factor(window),
            "since": _series(SINCE, 'pace="fast"', BY_FACTOR),
            **_values(window),
        },
    )


def _own_factor(window: str) -> Value:
    return _series(FACTOR, f'window="{window}"', BY_FACTOR)


def _slow(settings: Settings) -> Alert:
    window = SLOW.long
    dollars = f'{Recorded.FACTOR_USD}{{window="{window}"}}'
    told = f'\nunless on ({GF}) {SINCE}{{pace="{FAST.name}"}}'
    return Alert(
        name="UnitcostDriftSlow",
        expr=_alert_of(settings, SLOW, dollars, told),
        severity=Severity.WARNING,
        means="a factor is off its baseline over the last 6 hours and the last hour, by less than "
        "the fast alert tells, or it is loading",
        summary=_SUMMARY,
        description=f"Over the last 6 hours {_DESCRIPTION}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values={
            "ratio": _own_factor(window),
            "since": _series(SINCE, 'pace="slow"', BY_FACTOR),
            **_values(window),
        },
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
        values={
            "ratio": _own_factor(window),
            "since": _series(SINCE, 'pace="idle"', BY_FACTOR),
            **_values(window),
        },
    )


def _total(settings: Settings) -> Alert:
    """The whole unit cost, loading left out; the label `factor` is the cause when it began."""
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
        """,
        G=G,
        GF=GF,
        dollars=Recorded.FACTOR_USD,
        window=window,
        ready=READY,
        cause=Recorded.CAUSE,
    )
    since = _series(SINCE, f'pace="slow",factor="{READY}"')
    return Alert(
        name="UnitcostDriftTotal",
        expr=owned(expr, settings),
        severity=Severity.WARNING,
        means="the cost of a request, loading left out, is off its baseline over the last 6 hours "
        "and the last hour, whatever did it",
        summary=f"{_NAME}: a request costs {{ratio|ratio}} its usual, most of all by {{factor}}, "
        "since {since|time}: {value|usd} a day",
        description=f"Most of it was {{factor}} when it began: {_REASONS}. {_ALL}",
        dashboard=Uid.DRIFT,
        variables=OPEN,
        values={
            "ratio": _series(FACTOR, f'window="{window}",factor="{READY}"'),
            "since": since,
            **_values(window),
        },
    )
