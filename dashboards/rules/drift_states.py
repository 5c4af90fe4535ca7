"""Which factors have drifted, since when: judged against their usual scatter, and remembered.

What this finds and misses, and how often it is wrong, is measured by bench/drift_rules.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from unitcost.dashboards.names import FACTORS, GROUP, READY, TOTAL, G, Recorded, W
from unitcost.dashboards.promql import block, latch
from unitcost.dashboards.rules.drift import FACTOR, GF, SUM, window_seconds
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.settings import Settings, number


@dataclass(frozen=True, slots=True)
class Pace:
    """How a drift is looked for: over a long window, a short one that agrees, in these factors.

    Those that `follow` wander with the day by themselves. They are judged against where they stood
    in the hours before, not against 1; what they settled at is told slowly, if it is far off.
    """

    name: str
    short: str
    long: str
    factors: tuple[str, ...]
    follow: tuple[str, ...] = ()


FAST = Pace("fast", "10m", "30m", ("price", "mix", "failures", "speed"), ("mix", "speed"))
IDLE = Pace("idle", "30m", "1h", ("idle",), ("idle",))
SLOW = Pace("slow", "1h", "6h", ("price", "mix", "failures", "loading", "speed", READY))
PACES = (FAST, IDLE, SLOW)


def state_groups(settings: Settings) -> tuple[Group, ...]:
    """What the factors are judged by, and what comes of it."""
    judged = tuple(rule for pace in PACES for rule in _judged(settings, pace))
    states = (
        *(_threshold(settings, pace) for pace in PACES),
        *(_onset(pace) for pace in PACES),
        *(_since(settings, pace) for pace in PACES),
        _cause(),
    )
    return (
        Group("unitcost-drift-judged", settings.interval, judged),
        Group("unitcost-drift-scatter", settings.scatter_interval, (_scatter(settings),)),
        Group("unitcost-drift-states", settings.interval, states),
    )


def _judged(settings: Settings, pace: Pace) -> Iterable[Recording]:
    """What each factor is judged against, and its long window over that: 1 where nothing moved."""
    others = [factor for factor in pace.factors if factor not in pace.follow]
    parts = []
    if pace.follow:
        parts.append(
            f'avg_over_time({FACTOR}{{window="{pace.long}", factor=~"{"|".join(pace.follow)}"}}'
            f"[{settings.span(settings.window_6h)}] "
            f"offset {settings.span(window_seconds(settings, pace.long))})"
        )
    if others:
        parts.append(f'{FACTOR}{{window="{pace.long}", factor=~"{"|".join(others)}"}} * 0 + 1')
    level = block(
        """
        max by (<GF>) (
          <any>
        )
        """,
        GF=GF,
        any="\nor ".join(parts),
    )
    yield Recording(Recorded.LEVEL, level, {"pace": pace.name})
    yield Recording(Recorded.JUDGED, _against_level(pace, pace.long), {"pace": pace.name})


def _against_level(pace: Pace, window: str) -> str:
    level = f'{Recorded.LEVEL}{{pace="{pace.name}"}}'
    return f'{FACTOR}{{window="{window}"}} / on ({GF}) {level}'


def _scatter(settings: Settings) -> Recording:
    """By how much each factor scatters when all is well, as a standard deviation of its logarithm.

    From the middle two thirds of a week that ended yesterday: a drift that lasts, of up to a sixth
    of that time, does not widen it.
    """
    window = f"[{settings.span(settings.scatter_window)}] offset {settings.span(settings.day)}"
    expr = block(
        """
        ln(
          quantile_over_time(0.84, <judged><window>)
          / quantile_over_time(0.16, <judged><window>)
        ) / 2
        and count_over_time(<judged><window>) >= <enough>
        """,
        judged=Recorded.JUDGED,
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
        selector = f'pace="{pace.name}", factor="{factor}"'
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
                ratio=Recorded.JUDGED,
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


def _limit(pace: Pace, eased: bool = False) -> str:
    """A pace's thresholds; `eased`: half of each, as a logarithm, which is where a drift ends."""
    threshold = f'{Recorded.THRESHOLD}{{pace="{pace.name}"}}'
    return f"sqrt({threshold})" if eased else threshold


def _began(pace: Pace, window: str) -> str:
    """Factors that have moved by more than their threshold, by one window."""
    return f"({_against_level(pace, window)}) > on ({GF}) {_limit(pace)}"


def _lasts(pace: Pace, window: str) -> str:
    """Factors that are still off their baseline."""
    return f'{FACTOR}{{window="{window}"}} > on ({GF}) {_limit(pace, eased=True)}'


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
            short=_lasts(pace, pace.short),
            long=_lasts(pace, pace.long),
            GF=GF,
        ),
        enter=f"max by ({GF}) ({_began(pace, pace.short)}) * 0 + time()",
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
        and on (<GF>) (<off>)
        and on (<GF>) (<dollars> >= <usd>)
        and on (<G>) (
          <now>
        )
        and on (<G>) (
          <baseline>
        )
        unless on (<W>) (min by (<W>) (unitcost_unit_coverage_ratio) < <coverage>)
        """,
        GF=GF,
        G=G,
        W=W,
        onset=Recorded.ONSET,
        pace=pace.name,
        short=_began(pace, pace.short),
        long=_began(pace, pace.long),
        off=_lasts(pace, pace.long),
        dollars=_dollars_at_stake(pace),
        usd=number(settings.minimum_usd_per_day),
        now=_enough(settings, pace, "now"),
        baseline=_enough(settings, pace, "baseline"),
        coverage=number(settings.minimum_coverage),
    )
    expr = latch(
        Recorded.SINCE,
        (*GROUP, "factor"),
        stay=_lasts(pace, pace.long),
        enter=enter,
        matchers=f'pace="{pace.name}"',
    )
    return Recording(Recorded.SINCE, expr, {"pace": pace.name})


def _enough(settings: Settings, pace: Pace, side: str) -> str:
    """Whatever has so many requests in the long window, or so many steps."""
    seconds = settings.scaled(window_seconds(settings, pace.long))
    return block(
        """
        <attempted> >= <requests>
        or on (<G>) (
          <attempted> >= <steps>
          and on (<G>) max by (<G>) (unitcost_steps_total)
        )
        """,
        attempted=f'{SUM}{{side="{side}", window="{pace.long}", quantity="attempted"}}',
        requests=number(settings.minimum_requests / seconds),
        steps=number(settings.minimum_steps / seconds),
        G=G,
    )


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
