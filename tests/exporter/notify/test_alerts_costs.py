"""Idle dollars, training runs and budgets: when they are told, when not, and over restarts."""

from collections.abc import Callable

import pytest

from tests.exporter.notify.looking import START, Looking
from unitcost.exporter.notify.alerts import Points

DAY = 1440
"""Minutes."""
IDLE, FREE = "UnitcostIdleDollars", "UnitcostUnallocatedDollars"
STALLED, WAITING = "UnitcostRunStalled", "UnitcostRunWaiting"
OVER = "UnitcostRunOverProjection"
FAST, SLOW = "UnitcostBudgetBurnFast", "UnitcostBudgetBurnSlow"
EXCEEDED = "UnitcostBudgetExceeded"


def cost(workload: str, state: str, usd: float) -> tuple[tuple[str, ...], float]:
    """One series of dollars."""
    return (workload, "inference", "m", "cpu", state), usd


def usage(idle: float, active: float, free: float = 0.0) -> Callable[[float], Points]:
    """Dollars a day of one workload, of which so many are idle, and of nobody."""

    def points(minute: float) -> Points:
        days = minute / DAY
        return {
            "unitcost_cost_usd_total": [
                cost("chat", "idle", 7 + idle * days),
                cost("chat", "active", 9 + active * days),
                cost("__unallocated__", "idle", free * days),
            ]
        }

    return points


def hours(looking: Looking, count: float, points: Callable[[float], Points]) -> list[str]:
    """What is told after so many more hours."""
    looking.go(count * 60, points)
    return looking.names()


def test_idle_dollars_are_told_with_what_they_are_a_part_of() -> None:
    """As soon as six hours come to what they must, and no sooner."""
    looking = Looking()
    hours(looking, 8, usage(80, 20))
    # 80 a day: after 3.75 hours they are as much as 50 a day would be in six.
    assert 3.7 * 60 <= looking.began(IDLE) <= 3.9 * 60
    (alert,) = looking.found
    assert alert.headline == "chat: $80.00 a day of $100 are idle"
    assert alert.usd_per_day == pytest.approx(80, rel=1e-6)


@pytest.mark.parametrize(("idle", "active"), [(49, 10), (80, 85)])
def test_few_idle_dollars_and_a_small_part_are_not_told(idle: float, active: float) -> None:
    """49 a day, or less than half."""
    looking = Looking()
    assert hours(looking, 14, usage(idle, active)) == []


def test_the_last_hour_must_agree() -> None:
    """A morning that is over is not told, though six hours are above."""
    looking = Looking()
    whole = usage(150, 0)
    hours(looking, 1.9, whole)

    def then(minute: float) -> Points:
        found = dict(whole(114))
        rows = found["unitcost_cost_usd_total"]
        return {"unitcost_cost_usd_total": [*rows, cost("chat", "active", minute / DAY)]}

    assert hours(looking, 6, then) == []
    assert looking.watch.past.per_day(("idle", "chat"), 6 * 3600) is not None


def test_idle_dollars_go_on_until_they_are_clearly_fewer() -> None:
    """At 45 a day they are still told, at 35 they are over; a restart changes nothing."""
    looking = Looking()
    assert hours(looking, 8, usage(60, 20)) == [IDLE]

    def fewer(per_day: float, since: float, before: float) -> Callable[[float], Points]:
        return lambda minute: usage(1, 0.3)((before + per_day * (minute - since) / DAY) * DAY)

    at = looking.minute
    looking.restart()
    assert hours(looking, 7, fewer(45, at, 60 * at / DAY)) == [IDLE]
    spent = 60 * at / DAY + 45 * 7 / 24
    assert hours(looking, 7, fewer(35, looking.minute, spent)) == []


def test_after_a_restart_six_hours_are_still_known() -> None:
    """One process for each hour is enough to tell."""
    looking = Looking()
    for _ in range(7):
        hours(looking, 1, usage(60, 20))
        looking.restart()
    assert hours(looking, 0.1, usage(60, 20)) == [IDLE]


def test_what_nobody_holds_is_told_of_the_host() -> None:
    """Not as idle dollars of somebody."""
    looking = Looking()
    assert hours(looking, 8, usage(10, 60, free=70)) == [FREE]
    assert looking.found[0].headline == (
        "$70.00 a day of $140 that this host costs are held by nobody"
    )
    assert hours(Looking(), 8, usage(10, 200, free=70)) == []


# --- Training ----------------------------------------------------------------------------


def training(
    steps: float = 10, waits: float = 0.0, progress: float = 0.3, **projected: float
) -> Callable[[float], Points]:
    """A run at a dollar a minute that makes so many steps in each, and waits for a part of it."""
    run = ("tuner", "r1")

    def points(minute: float) -> Points:
        found: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "unitcost_cost_usd_total": [(("tuner", "training", "", "cpu", "active"), minute)],
            "unitcost_held_seconds_total": [(("tuner", "", "cpu", "active"), 60 * minute)],
            "unitcost_steps_total": [(("tuner", ""), 5 + steps * minute)],
            "unitcost_run_cost_usd": [(run, minute)],
            "unitcost_run_progress_ratio": [(run, progress)],
            "unitcost_run_stall_cost_usd_total": [((*run, "data_loading"), waits * minute)],
            "unitcost_run_projected_cost_usd": [
                ((*run, each), projected[each]) for each in projected
            ],
        }
        return found

    return points


def test_a_training_that_makes_no_step_is_told_after_half_an_hour() -> None:
    """At what it costs; not while it makes one, and not at its goal."""
    looking = Looking()
    looking.go(60, training())
    assert looking.names() == []
    still = training(steps=0)
    looking.go(60, still)
    # The steps fell back from 605 to 5, which says nothing until five minutes are known again.
    assert 95 <= looking.began(STALLED) <= 97
    (alert,) = looking.found
    assert alert.headline.startswith("tuner: no step is made, at $1,440 a day, since 01:")
    assert alert.usd_per_day == pytest.approx(1440)
    looking.go(3, training())
    assert looking.names() == []


def test_who_is_at_the_goal_or_holds_nothing_has_not_stalled() -> None:
    """It waits for nobody's steps."""
    looking = Looking()
    looking.go(120, training(steps=0, progress=1.0))
    assert looking.names() == []

    def gone(minute: float) -> Points:
        return dict(training(steps=0)(120)) | {"unitcost_run_progress_ratio": []}

    looking.go(120, gone)
    assert looking.names() == []


def test_a_stall_goes_on_over_a_restart() -> None:
    """Its beginning too."""
    looking = Looking()
    looking.go(20, training(steps=0))
    looking.restart()
    looking.go(20, training(steps=0))
    assert looking.began(STALLED) <= 36


def test_a_run_that_waits_is_told_by_its_reasons() -> None:
    """Where a third of its dollars went into waiting; over at a quarter of that less."""
    looking = Looking()
    looking.go(90, training(waits=0.35))
    assert looking.names() == [WAITING]
    (alert,) = looking.found
    assert alert.subject == ("tuner", "r1")
    assert alert.detail == "so far data_loading $31.15"

    def less(minute: float) -> Points:
        return training(waits=(0.35 * 90 + 0.2 * (minute - 90)) / minute)(minute)

    looking.go(90, less)
    assert looking.names() == []
    looking = Looking()
    looking.go(90, training(waits=0.29))
    assert looking.names() == []


def test_a_run_over_its_first_projection_is_told() -> None:
    """The high end when it had begun, and remembered over a restart."""
    looking = Looking()
    early = training(progress=0.04, expected=300, high=350)
    looking.go(5, early)
    assert looking.watch.allowed == {}
    looking.go(5, training(progress=0.05, expected=600, high=700))
    assert looking.watch.allowed == {("tuner", "r1"): 700}
    looking.go(5, training(progress=0.2, expected=760, high=900))
    assert looking.names() == []
    looking.restart()
    looking.go(5, training(progress=0.3, expected=800, high=1000))
    assert looking.names() == [OVER]
    (alert,) = looking.found
    assert alert.headline == "tuner: run r1 goes $100 over what was projected for it"
    assert "$700" in alert.detail
    assert "$800 is expected" in alert.detail


def test_a_run_that_has_cost_too_much_already_needs_no_projection() -> None:
    """And one that is gone has nothing to keep."""
    looking = Looking()
    looking.go(5, training(progress=0.05, expected=40, high=50))
    looking.minute = 60
    looking.go(1, training())
    assert looking.names() == [OVER]
    assert "goes $10.00 over" in looking.found[0].headline
    looking.go(1, lambda _: {})
    assert looking.watch.allowed == {}


def test_a_run_on_several_hosts_says_that_this_is_a_part() -> None:
    """Of its cost here, against what was projected here."""
    looking = Looking()
    hosts = {"unitcost_workload_hosts": [(("tuner",), 4.0)]}
    looking.go(5, lambda m: dict(training(expected=40, high=50)(m)) | hosts)
    looking.minute = 60
    looking.go(1, lambda m: dict(training()(m)) | hosts)
    assert looking.found[0].headline.endswith("(this host's part of 4)")


# --- Budgets -----------------------------------------------------------------------------


def budget(
    spent: Callable[[float], float], allowed: float = 2000.0, hours_long: float = 16
) -> Callable[[float], Points]:
    """One that began at the start and is 16 hours long."""

    def points(minute: float) -> Points:
        label = ("search",)
        return {
            "unitcost_budget_usd": [(label, allowed), (("none",), 0.0), (("unknown",), 5.0)],
            "unitcost_budget_spent_usd": [(label, spent(minute)), (("none",), 3.0)],
            "unitcost_budget_since_timestamp_seconds": [(label, float(START))],
            "unitcost_budget_period_start_timestamp_seconds": [(label, float(START))],
            "unitcost_budget_period_end_timestamp_seconds": [(label, START + hours_long * 3600)],
        }

    return points


def test_a_budget_that_lasts_is_not_told() -> None:
    """Two dollars a minute come to 1,920."""
    looking = Looking()
    looking.go(12 * 60, budget(lambda minute: 2 * minute))
    assert {names for _, names in looking.history} == {()}


def test_a_budget_that_burns_fast_is_told_at_once_and_no_longer_when_it_is_spent() -> None:
    """Then that is told; each says how much, and by when."""
    looking = Looking()

    def spent(minute: float) -> float:
        return 2 * minute if minute < 120 else 240 + 10 * (minute - 120)

    looking.go(30, budget(spent))
    looking.go(150, budget(spent))
    assert 130 <= looking.began(FAST) <= 160
    assert looking.names() == [FAST]
    (alert,) = looking.found
    assert "by the end of the period, at the pace of the last hour" in alert.headline
    looking.go(84, budget(spent))
    assert [each.key for each in looking.found] == [
        ("budget_burn_fast", "search"),
        ("budget", "search", "80%"),
    ]
    looking.go(36, budget(spent))
    assert [each.key for each in looking.found] == [
        ("budget", "search", "80%"),
        ("budget", "search", "100%"),
    ]
    assert looking.names() == ["", EXCEEDED]
    assert looking.found[1].headline.startswith("budget search: 10")


def test_a_budget_that_burns_slowly_is_told_when_a_fifth_of_the_period_is_over() -> None:
    """Six hours and the period so far agree; not in its first hours."""
    looking = Looking()
    looking.go(9 * 60, budget(lambda minute: 2.5 * minute))
    assert looking.began(SLOW) >= 6 * 60
    assert looking.names() == [SLOW]
    # Slower again: the projection falls below what begins it, and then clearly below.
    at = 2.5 * 9 * 60

    def slower(minute: float) -> float:
        return at + 0.3 * (minute - 9 * 60)

    looking.go(5 * 60, budget(slower))
    assert looking.names() == []


def test_a_burst_is_no_burn() -> None:
    """An hour that began with one: the last 10 minutes do not agree."""
    looking = Looking()
    looking.go(4 * 60, budget(lambda minute: minute + (300 if minute > 20 else 0)))
    assert {names for _, names in looking.history} == {()}


def test_a_budget_is_told_when_it_is_nearly_spent() -> None:
    """And nothing of one of which nothing is known."""
    looking = Looking()
    looking.go(1, budget(lambda _: 1600.0))
    (alert,) = looking.found
    assert alert.headline == "budget search: 80% is spent, $1,600 of $2,000"
    assert (alert.key, alert.name) == (("budget", "search", "80%"), "")
