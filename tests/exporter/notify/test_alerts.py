"""Drifts, prices and the exporter itself, read off points: in words with figures, once each."""

from zoneinfo import ZoneInfo

import pytest

from tests.exporter.notify.looking import MINUTE, START, UTC, Looking
from unitcost.exporter.notify.alerts import Alert, Points, Severity
from unitcost.exporter.notify.words import duration, usd

CHAT = ("chat", "llama-3", "request")
SINCE = 1_767_276_600.0
"""14:10 on the first of January 2026."""


def drifting(labels: tuple[str, str, str] = CHAT, **ratios: float) -> Points:
    """Points of a drift by these factors; those above 1.1 are out."""
    total = 1.0
    for ratio in ratios.values():
        total *= ratio
    usual = dict.fromkeys(("price", "mix", "failures", "loading", "idle", "speed"), 1.0)
    factors = usual | ratios
    return {
        "unitcost_drift_ratio": [(labels, total)],
        "unitcost_drift_usd_per_day": [(labels, 310.4)],
        "unitcost_drift_factor_ratio": [((*labels, name), each) for name, each in factors.items()],
        "unitcost_drift_since_timestamp_seconds": [
            ((*labels, name), SINCE) for name, each in factors.items() if each > 1.1
        ],
    }


def alerts_of(points: Points, zone: ZoneInfo = UTC) -> list[Alert]:
    """What is wrong at first sight."""
    return Looking(zone).at(points)


def one(points: Points, zone: ZoneInfo = UTC) -> Alert:
    """The one alert there is."""
    (alert,) = alerts_of(points, zone)
    return alert


def test_a_drift_says_how_much_since_when_what_for_and_why() -> None:
    """And what did not change."""
    alert = one(drifting(idle=1.9, speed=0.75))
    assert alert.headline == (
        "chat (llama-3): a request costs 42 % more since 14:10 UTC on 01 Jan, $310 a day, "
        "because more of the time it holds is idle (idle ×1.90)"
    )
    assert alert.detail == "speed ×0.75; unchanged: price, mix, failures, loading"
    assert (alert.severity, alert.since, alert.usd_per_day) == (Severity.WARNING, SINCE, 310.4)


def test_times_are_local() -> None:
    """As the configuration says."""
    assert "since 18:10 +04 on 01 Jan" in one(drifting(idle=1.5), ZoneInfo("Asia/Dubai")).headline


def test_the_factor_that_changed_most_of_those_that_are_out_is_named() -> None:
    """One alert for the workload and model, however many are out."""
    assert "(mix ×1.40)" in one(drifting(mix=1.4, price=1.2)).headline
    assert "2.5 times as much" in one(drifting(speed=2.5)).headline
    assert "5 % less" in one(drifting(price=1.2, idle=0.7917)).headline


@pytest.mark.parametrize(
    ("factor", "name"),
    [
        ("price", "UnitcostDriftFast"),
        ("speed", "UnitcostDriftFast"),
        ("loading", "UnitcostDriftSlow"),
        ("idle", "UnitcostIdleDrift"),
    ],
)
def test_a_drift_has_the_name_that_the_rules_have_for_its_factor(factor: str, name: str) -> None:
    """And is the same alert when another factor leads."""
    alert = one(drifting(CHAT, **{factor: 1.5}))
    assert (alert.name, alert.key) == (name, ("drift", "chat", "llama-3"))


def test_a_drift_of_steps_speaks_of_steps() -> None:
    """As its unit says."""
    alert = one(drifting(("tuner", "", "step"), mix=1.4))
    assert alert.headline.startswith("tuner: a step costs 40 % more since 14:10")
    assert "because its steps are more work" in alert.headline


def test_no_drift_is_told_without_its_figures() -> None:
    """A series that is missing is unknown."""
    for missing in ("unitcost_drift_ratio", "unitcost_drift_usd_per_day"):
        points = dict(drifting(idle=2.0))
        del points[missing]
        assert alerts_of(points) == []
    assert alerts_of(drifting()) == []


def test_a_drift_says_what_happened_when_it_began() -> None:
    """A price and its own restart within its onset; nobody else's, and not what came later."""
    looking = Looking()
    looking.minute = 14 * 60

    def points(minute: float) -> Points:
        at = minute - 14 * 60
        usd = 1.25 if at >= 8 else 1.0
        starts = 2.0 if at >= 9 else 1.0
        labels = ("cpu", "", "", "override", "configuration")
        found: dict[str, list[tuple[tuple[str, ...], float]]] = {
            "unitcost_price_usd_per_hour": [(labels, usd + (1 if at >= 90 else 0))],
            "unitcost_workload_starts_total": [(("chat",), starts), (("other",), at)],
            "unitcost_workload_holders": [(("chat",), 1.0), (("other",), 1.0)],
        }
        return found | dict(drifting(price=1.25) if at >= 35 else {})

    looking.go(120, points)
    (alert,) = looking.found
    assert alert.detail.startswith(
        "then: price raised from $1 to $1.25 an hour at 14:08, chat restarted at 14:09; unchanged"
    )


def test_an_unpriced_host_is_one_alert() -> None:
    """However many resources it has; after an hour."""
    values = [(("cpu", "rent"), 1.0), (("memory", "rent"), 1.0), (("gpu", "electricity"), 0.0)]
    looking = Looking()
    looking.go(70, lambda _: {"unitcost_resource_unpriced": values})
    (alert,) = looking.found
    assert alert.key == ("unpriced",)
    assert "no price for rent" in alert.headline
    assert alert.headline.endswith("since 00:00 UTC on 01 Jan")
    assert alert.since == START
    assert looking.began("UnitcostHostUnpriced") == 60


def priced(model: str, usd_per_hour: float = 2.0, age: float = 0.0) -> Points:
    """A host's price, last known to be right so many seconds before the start."""
    half = usd_per_hour / 2
    return {
        "unitcost_price_usd_per_hour": [
            ((resource, "m5", "r", model, "aws_bulk"), half) for resource in ("cpu", "memory")
        ],
        "unitcost_price_as_of_timestamp_seconds": [(("cpu",), START - age)],
    }


@pytest.mark.parametrize(
    ("model", "age", "words"),
    [
        ("on_demand", 89 * 86_400, ""),
        ("on_demand", 91 * 86_400, "91 days old"),
        ("spot", 5 * 3600, ""),
        ("spot", 7 * 3600, "7 hours old"),
    ],
)
def test_a_price_that_nobody_confirms_is_told(model: str, age: float, words: str) -> None:
    """Spot prices much sooner; with the source, and what the host costs."""
    found = alerts_of(priced(model, age=age))
    assert [each.name for each in found] == (["UnitcostPriceStale"] if words else [])
    if words:
        assert words in found[0].headline
        assert found[0].detail == "it is from aws_bulk; the host costs $48.00 a day"


def test_a_price_without_a_date_is_not_old() -> None:
    """Who states one need not confirm it."""
    points = dict(priced("override"))
    del points["unitcost_price_as_of_timestamp_seconds"]
    assert alerts_of(points) == []


def test_a_price_source_is_told_after_hours() -> None:
    """One that answers again for a moment begins anew."""
    looking = Looking()

    def points(minute: float) -> Points:
        up = float(minute == 100)
        found = [(("aws_bulk",), up), (("other",), 1.0)]
        return {"unitcost_price_source_up": found}

    looking.go(480, points)
    assert looking.began("UnitcostPriceSourceDown") == 101 + 6 * 60
    (alert,) = looking.found
    assert alert.subject == ("aws_bulk",)
    assert "since 01:41 UTC" in alert.headline
    assert alert.detail.endswith("what it costs is unknown")


def test_what_is_not_there_at_once_after_a_restart_is_not_forgotten() -> None:
    """A source that was not asked yet; if it is not seen for minutes, it is."""
    down: Points = {"unitcost_price_source_up": [(("aws_bulk",), 0.0)]}
    looking = Looking()
    looking.go(300, lambda _: down)
    looking.restart()
    looking.go(3, lambda _: {})
    looking.go(80, lambda _: down)
    assert looking.began("UnitcostPriceSourceDown") == 360
    looking.restart()
    looking.go(6, lambda _: {})
    looking.go(1, lambda _: down)
    assert looking.names() == []


def test_spot_above_on_demand_is_told_until_it_is_clearly_below() -> None:
    """It goes on at 99 % of it, and does not begin there."""
    looking = Looking()

    def points(minute: float) -> Points:
        on_demand = 2.02 if minute < 10 or minute >= 90 else 1.5
        on_demand = 2.1 if minute >= 120 else on_demand
        asked = [(("m5", "r", "aws_bulk"), on_demand)]
        return dict(priced("spot", 2.0)) | {"unitcost_on_demand_price_usd_per_hour": asked}

    looking.go(110, points)
    assert looking.began("UnitcostSpotAboveOnDemand") == 70
    assert looking.names() == ["UnitcostSpotAboveOnDemand"]
    looking.go(20, points)
    assert looking.names() == []
    assert alerts_of({**points(50), **priced("on_demand")}) == []


def test_a_collector_is_down_when_it_fails_more_often_than_not() -> None:
    """For a quarter of an hour; it is well when nine of ten readings are."""
    looking = Looking()

    def points(minute: float) -> Points:
        up = 1.0 if minute < 10 or minute >= 60 else float(minute % 3 == 0)
        return {"unitcost_collector_up": [(("nvml",), up), (("host",), 1.0)]}

    looking.go(60, points)
    assert 25 <= looking.began("UnitcostCollectorDown") <= 32
    (alert,) = looking.found
    assert alert.key == ("collector_down", "nvml")
    looking.go(8, points)
    assert looking.names() == []


def test_a_collector_that_fails_now_and_then_is_not_told() -> None:
    """Nor one that is away for a while and comes back."""
    looking = Looking()
    looking.go(60, lambda minute: {"unitcost_collector_up": [(("nvml",), float(minute % 3 != 0))]})
    looking.go(60, lambda _: {})
    looking.go(30, lambda _: {"unitcost_collector_up": [(("nvml",), 1.0)]})
    assert {names for _, names in looking.history} == {()}


def test_data_that_stands_still_is_told() -> None:
    """Five minutes after the last commit."""
    points = {"unitcost_ledger_last_commit_timestamp_seconds": [((), START - 290.0)]}
    looking = Looking()
    assert looking.at(points) == []
    looking.minute = 1
    (alert,) = looking.at(points)
    assert (alert.name, alert.severity) == ("UnitcostCostDataStale", Severity.CRITICAL)
    assert "cost data is 6 minutes old" in alert.headline


def test_conservation() -> None:
    """Anything but 0 is a defect."""
    assert alerts_of({"unitcost_conservation_residual_usd": [((), 0.0)]}) == []
    alert = one({"unitcost_conservation_residual_usd": [((), -0.5)]})
    assert alert.headline.endswith("-$0.50")
    assert (alert.name, alert.severity) == ("UnitcostConservationBroken", Severity.CRITICAL)


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0.0, "$0.00"), (12.345, "$12.35"), (310.4, "$310"), (-1234567.0, "-$1,234,567")],
)
def test_dollars_in_words(amount: float, words: str) -> None:
    """Cents where they matter."""
    assert usd(amount) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (59, "59 seconds"),
        (10 * MINUTE, "10 minutes"),
        (3 * 3600, "3 hours"),
        (95 * 86_400, "95 days"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """In the largest unit of which there are two."""
    assert duration(seconds) == words
