"""What happened: told apart from what only was not seen, bounded, and remembered."""

import msgspec

from unitcost.exporter.notify.alerts import Points
from unitcost.exporter.notify.happened import MAX_EVENTS, MAX_OF_ONE, Event, Happened, look, near

LABELS = ("cpu", "", "", "override", "configuration")


def seen(usd: float | None = 1.0, unpriced: bool = False, **chat: tuple[float, float]) -> Points:
    """A host's price, and of each workload its starts and its holders."""
    found: dict[str, list[tuple[tuple[str, ...], float]]] = {
        "unitcost_price_usd_per_hour": [] if usd is None else [(LABELS, usd)],
        "unitcost_resource_unpriced": [(("cpu", "rent"), float(unpriced))],
        "unitcost_workload_info": [((name, "inference", ""), 1.0) for name in chat],
        "unitcost_workload_starts_total": [((name,), each[0]) for name, each in chat.items()],
        "unitcost_workload_holders": [((name,), each[1]) for name, each in chat.items()],
    }
    return found


def told(*history: Points) -> list[str]:
    """What is said of points that follow each other, over a restart each time."""
    happened = Happened()
    for at, points in enumerate(history):
        happened = look(happened, points, float(at))
        happened = msgspec.json.decode(msgspec.json.encode(happened), type=Happened)
    return [each.text for each in happened.events]


def test_the_first_sight_is_no_event() -> None:
    """Nor is what stays as it is: then the very same object comes back."""
    assert told(seen(chat=(3, 2))) == []
    happened = look(Happened(), seen(chat=(3, 2)), 0.0)
    assert look(happened, seen(chat=(3, 2)), 1.0) is happened


def test_prices_are_told_with_both_of_them() -> None:
    """Small ones to where they differ; what is lost in floats is no change."""
    assert told(seen(0.3872), seen(0.3991), seen(0.3991 * (1 + 1e-12)), seen(0.2)) == [
        "price raised from $0.3872 to $0.3991 an hour",
        "price lowered from $0.3991 to $0.2 an hour",
    ]
    assert told(seen(98.32), seen(120.0)) == ["price raised from $98.32 to $120 an hour"]


def test_a_price_that_is_away_for_a_moment_is_compared_when_it_is_back() -> None:
    """Of the whole host: a part of it without a price is no lower price."""
    assert told(seen(2.0), seen(None), seen(1.0, unpriced=True), seen(2.0)) == []
    assert told(seen(2.0), seen(None), seen(3.0)) == ["price raised from $2 to $3 an hour"]


def test_restarts_and_scale_changes() -> None:
    """A start that makes one more is told as that alone."""
    assert told(seen(chat=(0, 1)), seen(chat=(1, 1))) == ["chat restarted"]
    assert told(seen(chat=(0, 1)), seen(chat=(1, 2))) == ["chat scaled from 1 to 2"]
    assert told(seen(chat=(0, 3)), seen(chat=(0, 1))) == ["chat scaled from 3 to 1"]
    assert told(seen(chat=(5, 1)), seen(chat=(0, 1))) == []  # another ledger


def test_a_workload_that_is_gone_is_first_seen_again() -> None:
    """Its numbers are forgotten with it."""
    assert told(seen(chat=(0, 1)), seen(), seen(chat=(4, 2))) == []


def test_the_last_ones_are_remembered_and_nobody_crowds_out_the_others() -> None:
    """One that restarts for ever has a few."""
    happened = look(Happened(), seen(chat=(0, 1), other=(0, 1)), 0.0)
    happened = look(happened, seen(chat=(0, 1), other=(1, 1)), 1.0)
    for at in range(2, 100):
        happened = look(happened, seen(chat=(at, 1), other=(1, 1)), float(at))
    assert [each.workload for each in happened.events] == ["other", *["chat"] * MAX_OF_ONE]
    assert happened.events[-1].at == 99.0
    many = Happened(tuple(Event(float(n), f"w{n}", "") for n in range(MAX_EVENTS)))
    after = look(look(many, seen(1.0), 100.0), seen(2.0), 101.0)
    assert len(after.events) == MAX_EVENTS
    assert after.events[0].workload == "w1"


def test_what_concerns_a_workload() -> None:
    """Its own events and those of the host, within a time, ends included."""
    events = [
        Event(at, whose, f"{whose}{at:g}") for at in (1.0, 2.0, 3.0) for whose in ("", "a", "b")
    ]
    assert [each.text for each in near(events, "a", 2.0, 3.0)] == ["2", "a2", "3", "a3"]
