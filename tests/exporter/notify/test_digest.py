"""The daily digest: at its local hour, once, of what was gained since the last one."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from unitcost.exporter.notify.alerts import Alert, Severity
from unitcost.exporter.notify.digest import digest, due, since, totals

BERLIN = ZoneInfo("Europe/Berlin")


def ns(text: str, zone: ZoneInfo = BERLIN) -> int:
    """A local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("last", "now", "expected"),
    [
        ("2026-05-01T09:00", "2026-05-02T08:59", False),
        ("2026-05-01T09:00", "2026-05-02T09:00", True),
        ("2026-05-02T09:00", "2026-05-02T23:59", False),
        ("2026-05-01T09:05", "2026-05-02T09:00", True),
        ("2026-04-01T09:05", "2026-05-02T03:00", True),
        ("2026-03-28T09:00", "2026-03-29T08:59", False),
        ("2026-03-28T09:00", "2026-03-29T09:00", True),
        ("2026-10-24T09:00", "2026-10-25T09:00", True),
    ],
)
def test_it_is_due_at_its_hour_whatever_the_clocks_do(last: str, now: str, expected: bool) -> None:
    """Also on the days on which daylight saving begins and ends."""
    assert due("09:00", ns(last), ns(now), BERLIN) is expected


def test_it_says_what_was_gained() -> None:
    """The most expensive first, with their part; a counter that began anew counts whole."""
    before = {"chat": 100.0, "old": 50.0, "anew": 30.0}
    now = {"chat": 130.0, "old": 50.0, "anew": 5.0, "new": 15.0}
    gained = since(before, now)
    assert gained == {"chat": 30.0, "old": 0.0, "anew": 5.0, "new": 15.0}
    drift = Alert("drift", ("chat", ""), Severity.WARNING, "chat: a request costs 42 % more")
    assert digest(gained, {"chat": 2.5}, [drift]).split("\n") == [
        "$50.00 since the last digest",
        "chat: $30.00, 60%",
        "new: $15.00, 30%",
        "anew: $5.00, 10%",
        "of it went into requests that failed or were aborted: $2.50",
        "now: chat: a request costs 42 % more",
    ]


def test_the_many_are_summed() -> None:
    """Five have a line of their own."""
    lines = digest({f"w{n}": float(n) for n in range(8)}, {}, []).split("\n")
    assert lines[0] == "$28.00 since the last digest"
    assert lines[1] == "w7: $7.00, 25%"
    assert lines[-1] == "2 others: $3.00"
    assert digest({}, {}, []) == "$0.00 since the last digest"


def test_totals_are_by_workload() -> None:
    """All series of one together."""
    series = [(("chat", "inference", "m", "cpu", "idle"), 1.0), (("chat", "x", "", "", ""), 2.0)]
    assert totals({"unitcost_cost_usd_total": series}, "unitcost_cost_usd_total") == {"chat": 3.0}
