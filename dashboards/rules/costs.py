"""What workloads, hosts and runs cost, and since when something about it holds that is told."""

from unitcost.dashboards.names import RESERVED, RUN, TARGET, WORKLOAD, Recorded, T, W, by
from unitcost.dashboards.promql import block, condition, once
from unitcost.dashboards.rules.model import Group, Recording
from unitcost.dashboards.rules.scopes import request_cost
from unitcost.dashboards.settings import DAY, Settings, number

COST, RUN_COST = Recorded.COST, Recorded.RUN_COST
UNALLOCATED = "__unallocated__"
R = by(*RUN)
EASED = 0.8
"""A condition ends where its figure has fallen to this part of the limit at which it began."""


def cost_groups(settings: Settings) -> tuple[Group, ...]:
    """What things cost, and the conditions that alerts stand on."""
    costs = (
        _owner(settings),
        request_cost(settings),
        *(_cost(settings, window) for window in ("1h", "6h")),
        *_runs(),
        _allowed(settings),
    )
    conditions = (
        _idle(settings),
        _unallocated(settings),
        _waiting(settings),
        _stalled(settings),
        _unpriced(),
        _spot_above(),
        _source_down(),
        _collector_down(settings),
        _exporter_down(settings),
    )
    return (
        Group("unitcost-costs", settings.interval, costs),
        Group("unitcost-conditions", settings.interval, conditions),
    )


def _owner(settings: Settings) -> Recording:
    """Who answers for a workload; one owner, also where its hosts do not agree."""
    expr = block(
        """
        label_replace(
          topk by (<W>) (1, max by (<W>, owner) (unitcost_workload_info)),
          "owner", "<team>", "owner", ""
        )
        """,
        W=W,
        team=settings.team,
    )
    return Recording(Recorded.OWNER, expr)


def _cost(settings: Settings, window: str) -> Recording:
    """Dollars a day of each workload, reserved ones included, by state, as of the last hours."""
    span = settings.span(getattr(settings, f"window_{window}"))
    spent = once(f"rate(unitcost_cost_usd_total[{span}])")
    expr = f"{DAY} * sum by ({W}, kind, state) ({spent})"
    return Recording(COST, expr, {"window": window})


def _runs() -> tuple[Recording, ...]:
    """What runs cost and will have cost, over all hosts; a projection only where all have one."""
    projected = block(
        """
        sum by (<R>, bound) (unitcost_run_projected_cost_usd)
        and on (<R>) (
          count by (<R>) (unitcost_run_projected_cost_usd{bound="expected"})
          == on (<W>) group_left () max by (<W>) (unitcost_workload_hosts)
        )
        """,
        R=R,
        W=W,
    )
    return (
        Recording(RUN_COST, f"sum by ({R}) (unitcost_run_cost_usd)"),
        Recording(Recorded.RUN_PROJECTED, projected),
    )


def _allowed(settings: Settings) -> Recording:
    """What a run may cost: the high end of its first good projection, kept while the run lives.

    It outlives 6 hours in which no rules are evaluated.
    """
    expr = block(
        """
        (
          last_over_time(<allowed>[<gap>])
          and on (<R>) <cost>
        )
        or on (<R>) (
          max by (<R>) (<projected>{bound="high"})
          and on (<R>) (max by (<R>) (unitcost_run_progress_ratio) >= <after>)
        )
        """,
        allowed=Recorded.RUN_ALLOWED,
        gap=settings.span(settings.window_6h),
        cost=RUN_COST,
        projected=Recorded.RUN_PROJECTED,
        after=number(settings.run_projected_after),
        R=R,
    )
    return Recording(Recorded.RUN_ALLOWED, expr)


def _both(expr: str, on: str) -> str:
    """An expression of two windows: it must hold over 6 hours and over the last one."""
    return block(
        """
        (
          <long>
        )
        and on (<on>) (
          <short>
        )
        """,
        long=expr.replace("<window>", "6h"),
        short=expr.replace("<window>", "1h"),
        on=on,
    )


def _idle(settings: Settings) -> Recording:
    def above(usd: float, share: float) -> str:
        idle = f'{{window="<window>", state="idle", workload!~"{RESERVED}"}}'
        return (
            f"sum by ({W}) ({COST}{idle}) >= {number(usd)} and on ({W}) "
            f'(sum by ({W}) ({COST}{idle}) / on ({W}) sum by ({W}) ({COST}{{window="<window>"}})'
            f" >= {number(share)})"
        )

    usd, share = settings.idle_usd_per_day, settings.idle_share
    stay = above(usd * EASED, share * EASED).replace("<window>", "6h")
    return condition("idle", WORKLOAD, stay=stay, enter=_both(above(usd, share), W))


def _unallocated(settings: Settings) -> Recording:
    def above(usd: float, share: float) -> str:
        free = f'sum by (cluster) ({COST}{{window="<window>", workload="{UNALLOCATED}"}})'
        return (
            f"{free} >= {number(usd)} and on (cluster) ({free} "
            f'/ on (cluster) sum by (cluster) ({COST}{{window="<window>"}}) >= {number(share)})'
        )

    usd, share = settings.unallocated_usd_per_day, settings.unallocated_share
    stay = above(usd * EASED, share * EASED).replace("<window>", "6h")
    return condition(
        "unallocated", ("cluster",), stay=stay, enter=_both(above(usd, share), "cluster")
    )


def _waiting(settings: Settings) -> Recording:
    """A run whose dollars went into waiting, over the last hour and the last 10 minutes."""

    def above(share: float, window: float) -> str:
        span = settings.span(window)
        return block(
            """
            sum by (<R>) (increase(unitcost_run_stall_cost_usd_total[<span>]))
            / on (<R>) (sum by (<R>) (delta(unitcost_run_cost_usd[<span>])) > 0)
            >= <share>
            """,
            R=R,
            span=span,
            share=number(share),
        )

    share = settings.run_waiting_share
    enter = block(
        """
        (
          <long>
        )
        and on (<R>) (
          <short>
        )
        """,
        long=above(share, settings.window_1h),
        short=above(share, settings.window_10m),
        R=R,
    )
    return condition("run_waiting", RUN, stay=above(share * EASED, settings.window_1h), enter=enter)


def _stalled(settings: Settings) -> Recording:
    """A training that has made steps makes none, is not at its goal, and goes on being charged."""
    held = block(
        """
        (sum by (<W>) (increase(unitcost_steps_total[<window>])) == 0)
        and on (<W>) (max by (<W>) (unitcost_steps_total) > 0)
        and on (<W>) (
          sum by (<W>) (rate(unitcost_held_seconds_total{state=~"active|idle"}[<window>])) > 0
        )
        unless on (<W>) (max by (<W>) (unitcost_run_progress_ratio) >= 1)
        """,
        W=W,
        window=settings.span(settings.rate_window),
    )
    return condition("run_stalled", WORKLOAD, stay=held, enter=held)


def _unpriced() -> Recording:
    held = f"max by ({T}) (unitcost_resource_unpriced) == 1"
    return condition("unpriced", TARGET, stay=held, enter=held)


def spot_premium(factor: float = 1) -> str:
    """What a Spot host costs an hour beyond what it would on demand; only where that is more."""
    on_demand = f"max by ({T}) (unitcost_on_demand_price_usd_per_hour)"
    limit = on_demand if factor == 1 else f"({number(factor)} * {on_demand})"
    spot = f'sum by ({T}) (unitcost_price_usd_per_hour{{price_model="spot"}})'
    return f"{spot} - on ({T}) {on_demand} and on ({T}) ({spot} > on ({T}) {limit})"


def _spot_above() -> Recording:
    return condition("spot_above", TARGET, stay=spot_premium(0.98), enter=spot_premium())


def _source_down() -> Recording:
    held = "unitcost_price_source_up == 0"
    return condition("source_down", (*TARGET, "source"), stay=held, enter=held)


def _collector_down(settings: Settings) -> Recording:
    """One that fails more often than not; it is well again when nine of ten readings are."""
    on = (*TARGET, "collector")
    up = f"avg_over_time(unitcost_collector_up[{settings.span(settings.rate_window)}])"
    return condition("collector_down", on, stay=f"{up} < 0.9", enter=f"{up} < 0.5")


def _exporter_down(settings: Settings) -> Recording:
    """A target that was an exporter within a day, and cannot be scraped now."""
    seen = f"last_over_time(unitcost_build_info[{settings.span(settings.day)}])"
    held = f"up == 0 and on ({T}) {seen}"
    return condition("exporter_down", TARGET, stay=held, enter=held)
