"""What is wrong, read off points: in words with figures, once for each thing."""

from zoneinfo import ZoneInfo

import pytest

from unitcost.exporter.notify.alerts import Alert, Points, Severity, alerts_of, usd

UTC = ZoneInfo("UTC")
CHAT = ("chat", "llama-3", "request")
SINCE = 1_767_276_600.0
"""14:10 on the first of January 2026."""


def drifting(**ratios: float) -> Points:
    """Points of a drift by these factors; those above 1.1 are out."""
    total = 1.0
    for ratio in ratios.values():
        total *= ratio
    usual = dict.fromkeys(("price", "mix", "failures", "loading", "idle", "speed"), 1.0)
    factors = usual | ratios
    return {
        "unitcost_drift_ratio": [(CHAT, total)],
        "unitcost_drift_usd_per_day": [(CHAT, 310.4)],
        "unitcost_drift_factor_ratio": [((*CHAT, name), each) for name, each in factors.items()],
        "unitcost_drift_since_timestamp_seconds": [
            ((*CHAT, name), SINCE) for name, each in factors.items() if each > 1.1
        ],
    }


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
    assert one(drifting(speed=2.5)).severity is Severity.CRITICAL
    assert "2.5 times as much" in one(drifting(speed=2.5)).headline
    assert "5 % less" in one(drifting(price=1.2, idle=0.7917)).headline


def test_no_drift_is_told_without_its_figures() -> None:
    """A series that is missing is unknown."""
    points = dict(drifting(idle=2.0))
    del points["unitcost_drift_ratio"]
    assert alerts_of(points, UTC) == []
    assert alerts_of(drifting(), UTC) == []


def test_a_budget_is_told_at_each_step() -> None:
    """By what is spent; nothing while that is unknown."""
    allowed = [(("research",), 1000.0), (("search",), 10.0), (("idle",), 5.0), (("none",), 0.0)]
    spent = [(("research",), 1100.0), (("search",), 8.0), (("none",), 3.0)]
    found = alerts_of({"unitcost_budget_usd": allowed, "unitcost_budget_spent_usd": spent}, UTC)
    assert [each.subject for each in found] == [
        ("research", "80%"),
        ("research", "100%"),
        ("search", "80%"),
    ]
    assert found[1].headline == "budget research: 110% is spent, $1,100 of $1,000"
    assert found[1].severity is Severity.CRITICAL


def test_an_unpriced_host_is_one_alert() -> None:
    """However many resources it has."""
    values = [(("cpu", "rent"), 1.0), (("memory", "rent"), 1.0), (("gpu", "electricity"), 0.0)]
    alert = one({"unitcost_resource_unpriced": values})
    assert alert.key == ("unpriced",)
    assert "no price for rent" in alert.headline


def test_collectors_and_conservation() -> None:
    """0 is down; anything but 0 is a defect."""
    found = alerts_of(
        {
            "unitcost_collector_up": [(("nvml",), 0.0), (("host",), 1.0)],
            "unitcost_conservation_residual_usd": [((), 0.0)],
        },
        UTC,
    )
    assert [each.key for each in found] == [("collector_down", "nvml")]
    assert one({"unitcost_conservation_residual_usd": [((), -0.5)]}).headline.endswith("-$0.50")


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0.0, "$0.00"), (12.345, "$12.35"), (310.4, "$310"), (-1234567.0, "-$1,234,567")],
)
def test_dollars_in_words(amount: float, words: str) -> None:
    """Cents where they matter."""
    assert usd(amount) == words
