"""Drift: by how much the cost of a request is off its baseline, and which factor did it.

    cost / succeeded = cost/held · work/attempted · attempted/succeeded · held/ready · ready/active · active/work
                     = price     · mix            · failures            · loading    · idle         · speed

`held`, `ready` and `active` are seconds of all resources, weighed by what each cost in the
baseline; `work` is tokens weighed by the seconds each took in the baseline. Each factor is today's
over the baseline's, and their product is that of the total, exactly (docs/alerts.md).
"""  # noqa: E501 - the identity reads best in one line

from collections.abc import Iterable
from dataclasses import dataclass

from unitcost.dashboards.names import FACTORS, GROUP, READY, TOTAL, G, Recorded, W
from unitcost.dashboards.promql import block, latch
from unitcost.dashboards.rules.flows import BASELINE, FLOW, HELD
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.settings import DAY, Settings, number

SUM, CHANGE, FACTOR = Recorded.SUM, Recorded.CHANGE, Recorded.FACTOR
QUANTITIES = ("cost", "held", "ready", "active", "work", "attempted", "succeeded")
IDENTITY = {
    "price": ("cost", "held"),
    "mix": ("work", "attempted"),
    "failures": ("attempted", "succeeded"),
    "loading": ("held", "ready"),
    "idle": ("ready", "active"),
    "speed": ("active", "work"),
    TOTAL: ("cost", "succeeded"),
}
GW = f"{G}, window"
GF = f"{G}, factor"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a drift is looked for: over a long window, a short one that agrees, in these factors."""

    name: str
    short: str
    long: str
    factors: tuple[str, ...]


FAST = Pace("fast", "10m", "30m", ("price", "mix", "failures", "speed"))
IDLE = Pace("idle", "30m", "1h", ("idle",))
SLOW = Pace("slow", "1h", "6h", ("price", "mix", "failures", "loading", "speed", READY))
PACES = (FAST, IDLE, SLOW)
WINDOWS = ("10m", "30m", "1h", "6h")
"""Names of the windows; `window_seconds` says how long each is."""


def window_seconds(settings: Settings, window: str) -> float:
    """How long a window is, before the time scale."""
    return float(getattr(settings, f"window_{window}"))


def drift_groups(settings: Settings) -> tuple[Group, ...]:
    """All rules about drift, in the order in which they build on each other."""
    sums = tuple(
        _sums(settings, window, side, series)
        for window in WINDOWS
        for side, series in (("now", FLOW), ("baseline", BASELINE))
    )
    factors = (*_changes(), *_factors(), _without_loading(), _dollars(), _idle_dollars())
    states = (
        *(_threshold(settings, pace) for pace in PACES),
        *(_onset(pace) for pace in PACES),
        *(_since(settings, pace) for pace in PACES),
        _cause(),
    )
    return (
        Group("unitcost-drift-sums", settings.interval, sums),
        Group("unitcost-drift-factors", settings.interval, factors),
        Group("unitcost-drift-scatter", settings.scatter_interval, (_scatter(settings),)),
        Group("unitcost-drift-states", settings.interval, states),
    )


def _sums(settings: Settings, window: str, side: str, series: str) -> Recording:
    """The flows of a window, weighed; `side` is now or the same time in the baseline."""
    expr = block(
        """
        sum by (<G>, quantity) (
          avg_over_time(<series>{quantity=~"<HELD>|tokens"}[<span>])
          * on (<G>, part) group_left () <weight>
        )
        or sum by (<G>, quantity) (
          avg_over_time(<series>{quantity=~"cost|attempted|succeeded"}[<span>])
        )
        """,
        G=G,
        HELD=HELD,
        series=series,
        weight=Recorded.WEIGHT,
        span=settings.span(window_seconds(settings, window)),
    )
    return Recording(SUM, expr, {"window": window, "side": side})


def _ratio(quantities: str) -> str:
    return block(
        """
        (sum by (<GW>) (<sum>{side="now", quantity=~"<quantities>"}) > 0)
        / (sum by (<GW>) (<sum>{side="baseline", quantity=~"<quantities>"}) > 0)
        """,
        GW=GW,
        sum=SUM,
        quantities=quantities,
    )


def _changes() -> Iterable[Recording]:
    """Each quantity now over its baseline."""
    parts = {"held": HELD, "ready": "active|idle", "work": "tokens"}
    for quantity in QUANTITIES:
        expr = _ratio(parts.get(quantity, quantity))
        if quantity == "work":
            expr = block(
                """
                (
                  <tokens>
                )
                or (
                  (
                    <requests>
                  )
                  unless on (<G>) <weight>{quantity="tokens"}
                )
                """,
                tokens=expr,
                requests=_ratio("attempted"),
                G=G,
                weight=Recorded.WEIGHT,
            )
        yield Recording(CHANGE, expr, {"quantity": quantity})


def _factors() -> Iterable[Recording]:
    """The six factors and their product; none where any quantity is unknown or zero."""
    for factor, (above, below) in IDENTITY.items():
        expr = block(
            """
            <change>{quantity="<above>"}
            / on (<GW>) <change>{quantity="<below>"}
            and on (<GW>) (count by (<GW>) (<change>) == <count>)
            """,
            change=CHANGE,
            above=above,
            below=below,
            GW=GW,
            count=str(len(QUANTITIES)),
        )
        yield Recording(FACTOR, expr, {"factor": factor})


def _without_loading() -> Recording:
    expr = f'{FACTOR}{{factor="{TOTAL}"}} / on ({GW}) {FACTOR}{{factor="loading"}}'
    return Recording(FACTOR, expr, {"factor": READY})


def _dollars() -> Recording:
    """Dollars a day that would not be spent if the factor were 1; negative where it saves some."""
    expr = block(
        """
        <day> * (1 - 1 / <factor>)
        * on (<GW>) group_left () <sum>{side="now", quantity="cost"}
        """,
        day=str(DAY),
        factor=FACTOR,
        GW=GW,
        sum=SUM,
    )
    return Recording(Recorded.FACTOR_USD, expr)


def _idle_dollars() -> Recording:
    """Idle dollars a day beyond those of the same hour in the baseline, at its prices."""
    expr = block(
        """
        <day> * (
          <sum>{side="now", quantity="idle"}
          - on (<GW>) <sum>{side="baseline", quantity="idle"}
        )
        """,
        day=str(DAY),
        sum=SUM,
        GW=GW,
    )
    return Recording(Recorded.IDLE_USD, expr)


def _scatter(settings: Settings) -> Recording:
    """By how much each factor scatters when all is well, as a standard deviation of its logarithm.

    From the middle two thirds of a week that ended yesterday: a drift that lasts, of up to a sixth
    of that time, does not widen it.
    """
    factor = f'{FACTOR}{{window=~"{"|".join(pace.long for pace in PACES)}"}}'
    window = f"[{settings.span(settings.scatter_window)}] offset {settings.span(settings.day)}"
    expr = block(
        """
        ln(
          quantile_over_time(0.84, <factor><window>)
          / quantile_over_time(0.16, <factor><window>)
        ) / 2
        and count_over_time(<factor><window>) >= <enough>
        """,
        factor=factor,
        window=window,
        enough=number(settings.day / 2 // settings.interval),
    )
    return Recording(Recorded.SCATTER, expr)


def floor_of(settings: Settings, factor: str) -> float:
    """The least drift of a factor that is told, as a ratio less 1."""
    return float(getattr(settings, f"floor_{TOTAL if factor == READY else factor}"))


def _threshold(settings: Settings, pace: Pace) -> Recording:
    """From which ratio on a factor has drifted: by its own scatter, twice the floor without one."""
    known = settings.span(4 * settings.scatter_interval)
    parts = []
    for factor in pace.factors:
        floor = floor_of(settings, factor)
        selector = f'window="{pace.long}", factor="{factor}"'
        parts.append(
            block(
                """
                clamp_min(exp(<k> * last_over_time(<scatter>{<selector>}[<known>])), <floor>)
                or <ratio>{<selector>} * 0 + <double>
                """,
                k=number(settings.scatter_factor),
                scatter=Recorded.SCATTER,
                selector=selector,
                known=known,
                floor=number(1 + floor),
                ratio=FACTOR,
                double=number(1 + 2 * floor),
            )
        )
    expr = block(
        """
        max by (<GF>) (
          <any>
        )
        """,
        GF=GF,
        any="\nor ".join(parts),
    )
    return Recording(Recorded.THRESHOLD, expr, {"pace": pace.name})


def _above(pace: Pace, window: str, exit_: bool = False) -> str:
    """Factors above their threshold; `exit_`: above half of it, which is where a drift ends."""
    threshold = f'{Recorded.THRESHOLD}{{pace="{pace.name}"}}'
    limit = f"sqrt({threshold})" if exit_ else threshold
    return f'{FACTOR}{{window="{window}"}} > on ({GF}) {limit}'


def _onset(pace: Pace) -> Recording:
    """When the short window was first above the threshold: what a drift that is told began with."""
    expr = latch(
        Recorded.ONSET,
        (*GROUP, "factor"),
        stay=block(
            """
            (<short>)
            or on (<GF>) (<long>)
            """,
            short=_above(pace, pace.short, exit_=True),
            long=_above(pace, pace.long, exit_=True),
            GF=GF,
        ),
        enter=f"max by ({GF}) ({_above(pace, pace.short)}) * 0 + time()",
        matchers=f'pace="{pace.name}"',
    )
    return Recording(Recorded.ONSET, expr, {"pace": pace.name})


def _since(settings: Settings, pace: Pace) -> Recording:
    """Drifts that are told, since when: both windows agree, and it is worth telling."""
    enter = block(
        """
        max by (<GF>) (<onset>{pace="<pace>"})
        and on (<GF>) (<short>)
        and on (<GF>) (<long>)
        and on (<GF>) (<dollars> >= <usd>)
        and on (<G>) (<sum>{side="now", window="<window>", quantity="attempted"} >= <requests>)
        and on (<G>) (<sum>{side="baseline", window="<window>", quantity="attempted"} >= <requests>)
        unless on (<W>) (min by (<W>) (unitcost_unit_coverage_ratio) < <coverage>)
        """,
        GF=GF,
        G=G,
        W=W,
        onset=Recorded.ONSET,
        pace=pace.name,
        short=_above(pace, pace.short),
        long=_above(pace, pace.long),
        dollars=_dollars_at_stake(pace),
        usd=number(settings.minimum_usd_per_day),
        sum=SUM,
        window=pace.long,
        requests=number(
            settings.minimum_requests / settings.scaled(window_seconds(settings, pace.long))
        ),
        coverage=number(settings.minimum_coverage),
    )
    expr = latch(
        Recorded.SINCE,
        (*GROUP, "factor"),
        stay=_above(pace, pace.long, exit_=True),
        enter=enter,
        matchers=f'pace="{pace.name}"',
    )
    return Recording(Recorded.SINCE, expr, {"pace": pace.name})


def _dollars_at_stake(pace: Pace) -> str:
    """Idle time is judged by the dollars beyond those of the same hour, whatever the load."""
    if pace is not IDLE:
        return f'{Recorded.FACTOR_USD}{{window="{pace.long}"}}'
    return block(
        """
        label_replace(
          <idle>{window="<window>"}, "factor", "idle", "", ""
        )
        """,
        idle=Recorded.IDLE_USD,
        window=pace.long,
    )


def _cause() -> Recording:
    """The greatest of the factors when a drift of the total began, for as long as that lasts."""
    total = f'{Recorded.SINCE}{{pace="slow", factor="{READY}"}}'
    selector = f'window="{SLOW.long}", factor=~"{"|".join(FACTORS)}"'
    expr = latch(
        Recorded.CAUSE,
        GROUP,
        stay=total,
        enter=block(
            """
            max by (<G>, cause) (
              label_replace(
                topk by (<G>) (1, <factor>{<selector>}), "cause", "$1", "factor", "(.+)"
              )
            ) * 0 + 1
            and on (<G>) <total>
            """,
            G=G,
            factor=FACTOR,
            selector=selector,
            total=total,
        ),
    )
    return Recording(Recorded.CAUSE, expr)
