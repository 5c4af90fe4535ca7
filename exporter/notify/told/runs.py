"""Training runs that cost too much, do nothing, or wait; by this host's part of each."""

from collections.abc import Iterator, Mapping

from unitcost.exporter.notify.alerts import Found, Seen, Severity, Told
from unitcost.exporter.notify.words import usd

EASED = 0.8
"""Waiting is over where its share has fallen to this part of the limit at which it began."""
Run = tuple[str, ...]
"""Workload and run."""
COST, PROJECTED = "unitcost_run_cost_usd", "unitcost_run_projected_cost_usd"
PROGRESS = "unitcost_run_progress_ratio"


def runs() -> tuple[Told, ...]:
    """As the rules judge them."""
    return (
        Told("run_over_projection", ("UnitcostRunOverProjection",), Severity.WARNING, _over),
        Told(
            "run_stalled",
            ("UnitcostRunStalled",),
            Severity.CRITICAL,
            _stalled,
            lambda limits: limits.run_stalled_after,
        ),
        Told("run_waiting", ("UnitcostRunWaiting",), Severity.WARNING, _waiting),
    )


def allowed_now(seen: Seen) -> dict[Run, float]:
    """What each run may cost: the high end of its first good projection, while the run lives."""
    live = seen.of(COST)
    allowed = {run: usd for run, usd in seen.allowed.items() if run in live}
    for run, progress in seen.of(PROGRESS).items():
        high = seen.of(PROJECTED).get((*run, "high"))
        if run in live and high is not None and progress >= seen.limits.run_projected_after:
            allowed.setdefault(run, high)
    return allowed


def _over(seen: Seen) -> Iterator[Found]:
    projected, ratio = seen.of(PROJECTED), seen.limits.run_over_ratio
    for run, cost in seen.of(COST).items():
        allowed = seen.allowed.get(run)
        expected = projected.get((*run, "expected"), 0.0)
        most = expected if allowed is not None and expected > ratio * allowed else cost
        if allowed is None or most <= ratio * allowed:
            continue
        detail = f"{usd(cost)} so far; when it had begun its high end was {usd(allowed)}"
        if expected:
            detail += f", and now {usd(expected)} is expected"
        yield Found(
            run,
            f"{run[0]}: run {run[1]} goes {usd(most - allowed)} over what was projected for it"
            + _part(seen, run[0]),
            detail,
        )


def _part(seen: Seen, workload: str) -> str:
    """That there is more of it elsewhere, where there is."""
    hosts = seen.of("unitcost_workload_hosts").get((workload,), 1)
    return f" (this host's part of {hosts:g})" if hosts > 1 else ""


def _stalled(seen: Seen) -> Iterator[Found]:
    """A training that has made steps makes none, is not at its goal, and goes on being charged."""
    past, window = seen.past, seen.limits.rate_window
    progress = seen.of(PROGRESS)
    done = {run[0] for run, ratio in progress.items() if ratio >= 1}
    for workload, steps in _steps(seen).items():
        if not steps or workload in done:
            continue
        keys = ("steps", workload), ("held", workload)
        stepped, held = (past.gained(key, window) for key in keys)
        known = all(past.covers(key, window) for key in keys)
        if (stepped and stepped[0]) or (known and not (held and held[0])):
            continue
        day = past.per_day(("cost", workload), window) or 0.0
        yield Found(
            (workload,),
            f"{workload}: no step is made, at {usd(day)} a day",
            "it still holds what it trains on",
            known,
            usd_per_day=day,
        )


def _steps(seen: Seen) -> Mapping[str, float]:
    """Steps of each workload so far."""
    found: dict[str, float] = {}
    for labels, steps in seen.of("unitcost_steps_total").items():
        found[labels[0]] = found.get(labels[0], 0.0) + steps
    return found


def _waiting(seen: Seen) -> Iterator[Found]:
    """A run whose dollars went into waiting, over the last hour and the last 10 minutes."""
    limits = seen.limits
    share = limits.run_waiting_share
    reasons = seen.of("unitcost_run_stall_cost_usd_total")
    for run in sorted({labels[:2] for labels in reasons}):
        hour = _waited(seen, run, limits.window_1h)
        minutes = _waited(seen, run, limits.window_10m)
        if hour < EASED * share and seen.past.covers(("run", *run), limits.window_1h):
            continue
        day = seen.past.per_day(("stalled", *run), limits.window_1h) or 0.0
        own = [(labels[2], amount) for labels, amount in reasons.items() if labels[:2] == run]
        yield Found(
            run,
            f"{run[0]}: run {run[1]} waits for {usd(day)} a day{_part(seen, run[0])}",
            "so far " + ", ".join(f"{reason} {usd(amount)}" for reason, amount in own),
            hour >= share and minutes >= share,
            usd_per_day=day,
        )


def _waited(seen: Seen, run: Run, window: float) -> float:
    """Which part of what a run cost in a window went into waiting."""
    stalled, cost = (seen.past.gained((what, *run), window) for what in ("stalled", "run"))
    return stalled[0] / cost[0] if stalled and cost and cost[0] > 0 else 0.0
