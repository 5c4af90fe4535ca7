"""Budgets in the books: cut at local midnight, exact over restarts, lower bounds told as such."""

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.sites import (
    CHAT,
    HOUR,
    MemoryLedger,
    Site,
    learn,
    near,
    price_now,
    rented,
    rules,
    workload_rule,
)
from tests.worlds import Host
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher
from unitcost.pricing.budget import Budget, BudgetPeriod
from unitcost.pricing.items import Item, ItemKey, ItemType
from unitcost.pricing.money import to_usd
from unitcost.pricing.timeline import NS_PER_HOUR

SPENT, WHOLE = "unitcost_budget_spent_usd", "unitcost_budget_spent_whole"
SINCE = "unitcost_budget_since_timestamp_seconds"
START = "unitcost_budget_period_start_timestamp_seconds"
END = "unitcost_budget_period_end_timestamp_seconds"
KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")
USD_AN_HOUR = Decimal("3.6")


def ns(text: str) -> int:
    """ISO 8601 as Unix nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def budget(
    name: str = "b",
    period: BudgetPeriod = BudgetPeriod.DAY,
    zone: tzinfo = UTC,
    owner: str = "",
    workload: str = "",
    items: bool = False,
) -> Budget:
    """A budget of a hundred dollars."""
    return Budget(name, Decimal(100), period, zone, owner, workload, items)


def site_at(at: str, *budgets: Budget, usd: str | None = str(USD_AN_HOUR)) -> Site:
    """A host that costs a tenth of a cent a second, at an instant, after its first tick."""
    host = Host()
    host.clock.set_wall(ns(at))
    team = workload_rule("job", cores="1", gibs=2, owner="team")
    made = Site(rules(rented(usd=usd), (replace(CHAT, owner="search"), team)), host)
    made.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    state(made, *budgets)
    made.settle()
    return made


def state(site: Site, *budgets: Budget, items: tuple[Item, ...] = ()) -> None:
    """The configuration is reloaded: these are the budgets."""
    planning = Planning(items, budgets=budgets, shown_first_ns=0)
    site.rules = replace(site.rules, planning=planning)
    site.settler.plan(planning)


def spent(site: Site, name: str = "b") -> Decimal | None:
    """What is spent of a budget in its present period."""
    found = site.point(SPENT, name)
    return None if found is None else Decimal(str(found))


def cost(seconds: float) -> Decimal:
    """What the host costs in so many seconds."""
    return USD_AN_HOUR * Decimal(str(seconds)) / 3600


def test_a_budget_begins_anew_at_local_midnight_to_the_nanosecond() -> None:
    """Half past an hour in Kolkata: the tick over it is cut there, though no clock hour ends."""
    site = site_at("2026-03-31T18:29:48Z", budget(period=BudgetPeriod.MONTH, zone=KOLKATA))
    site.tick(2)
    assert near(spent(site) or Decimal(0), cost(10))
    assert site.point(WHOLE, "b") == 0
    assert site.point(SINCE, "b") == ns("2026-03-31T18:29:48Z") / 1e9
    site.tick()
    assert near(spent(site) or Decimal(0), cost(3))
    assert site.point(WHOLE, "b") == 1
    assert site.point(START, "b") == site.point(SINCE, "b") == ns("2026-04-01T00:00+05:30") / 1e9
    assert site.point(END, "b") == ns("2026-05-01T00:00+05:30") / 1e9


def test_what_is_spent_of_it_outlives_restarts_and_crashes() -> None:
    """To the pico-dollar, also where the ledger's hours could not tell."""
    site = site_at("2026-03-31T18:29:48Z", budget(zone=KOLKATA))
    site.tick(3)
    before = site.settler.plans.budgets.remembered()
    site.restart()
    assert site.settler.plans.budgets.remembered() == before
    site.host.run(5)
    site.settle(commit=False)
    site.restart()
    site.settle()
    assert near(spent(site) or Decimal(0), cost(8))
    assert site.point(WHOLE, "b") == 1


def test_a_stop_over_midnight_is_spent_on_both_days() -> None:
    """Whatever of the gap lies in the new day, and nothing of the days between."""
    site = site_at("2026-03-28T12:00Z", budget(zone=BERLIN))
    site.away(2.5 * 24 * HOUR)
    site.settle()
    now = ns("2026-03-31T00:00Z")
    assert site.host.clock.wall_ns == now
    assert near(spent(site) or Decimal(0), cost(2 * HOUR))  # since 00:00 in Berlin
    assert site.point(WHOLE, "b") == 1


def test_the_day_on_which_the_clocks_are_set_has_23_hours() -> None:
    """All of it is spent on one day."""
    site = site_at("2026-03-28T22:00Z", budget(zone=BERLIN))
    site.tick(24, HOUR)  # from 23:00 on the 28th to 24:00 on the 29th, which has 23 hours
    assert spent(site) == 0
    assert site.point(START, "b") == ns("2026-03-30T00:00+02:00") / 1e9
    site.host.clock.set_wall(site.host.clock.wall_ns - 10**9)
    site.settle()
    assert near(spent(site) or Decimal(0), cost(23 * HOUR))


def test_a_budget_is_of_a_workload_of_an_owner_or_of_the_host() -> None:
    """What nobody holds is the host's alone."""
    site = site_at(
        "2026-03-31T12:00Z",
        budget("host"),
        budget("search", owner="search"),
        budget("chat", workload="chat"),
        budget("team", owner="team"),
    )
    site.tick(6)
    assert near(spent(site, "host") or Decimal(0), site.total())
    assert spent(site, "chat") == spent(site, "search")
    assert near(spent(site, "chat") or Decimal(0), site.usd("chat"))
    assert spent(site, "team") == 0
    job = site.host.train("job", "r1", cores=1.0)
    site.tick(2)
    job.steps += 1
    site.tick(2)
    assert near(spent(site, "team") or Decimal(0), site.usd("job"))
    assert (spent(site, "team") or 0) > 0


def test_what_has_no_price_makes_it_a_lower_bound() -> None:
    """And without any price there is none: unknown is not zero."""
    site = site_at("2026-03-31T00:00Z", budget(), budget("team", owner="team"), usd=None)
    site.tick()
    assert spent(site) is None
    assert site.point(WHOLE, "b") == 0
    assert spent(site, "team") == 0
    assert site.point(WHOLE, "team") == 1
    price_now(site, "3.6")
    site.tick()
    assert near(spent(site) or Decimal(0), cost(5))
    assert site.point(WHOLE, "b") == 0


def test_time_of_which_nobody_knows_what_it_cost_is_told() -> None:
    """A rented host that was off for an hour may have been stopped; one of minutes was not."""
    site = site_at("2026-03-31T00:00Z", budget(), budget("team", owner="team"))
    site.tick()
    site.host.reboot(300)
    site.restart()
    site.settle()
    assert site.point(WHOLE, "b") == 1
    site.host.reboot(HOUR)
    site.restart()
    site.settle()
    assert (site.point(WHOLE, "b"), site.point(WHOLE, "team")) == (0, 0)


def test_a_workload_that_has_no_name_of_its_own_has_no_zero() -> None:
    """Over the cap it is booked on ``__other__``: what it cost is not known."""
    site = site_at("2026-03-31T00:00Z", budget("b", workload="late"), budget("c", workload="chat"))
    site.rules = replace(site.rules, max_workloads=1)
    site.settler.follow(site.rules, site.matcher)
    site.host.serve("late", 8001, cores=1.0)
    site.tick(2)
    assert site.usd("__other__") > 0
    assert (spent(site), site.point(WHOLE, "b")) == (None, 0)
    assert site.point(WHOLE, "c") == 1


def test_a_budget_that_is_new_knows_the_period_so_far() -> None:
    """From the ledger's hours; the hour in which the period began is known if it begins with it."""
    site = site_at("2026-03-30T22:00Z")
    site.tick(4, HOUR)
    site.tick(6)
    state(site, budget("utc"), budget("chat", workload="chat"), budget("kolkata", zone=KOLKATA))
    site.tick()
    assert near(spent(site, "utc") or Decimal(0), cost(2 * HOUR + 35))
    assert site.point(WHOLE, "utc") == 1
    seen = sum(
        amount.pico or 0
        for key, amount in site.ledger.posting.charges.items()
        if key.account.workload == "chat" and key.hour >= ns("2026-03-31T00:00Z") // NS_PER_HOUR
    )
    assert near(spent(site, "chat") or Decimal(0), to_usd(seen))
    # Midnight was at 18:30 UTC, before there was this ledger.
    assert site.point(SINCE, "kolkata") == ns("2026-03-30T22:00Z") / 1e9
    assert near(spent(site, "kolkata") or Decimal(0), cost(4 * HOUR + 35))
    assert site.point(WHOLE, "kolkata") == 0


def test_half_an_hour_that_the_ledger_cannot_tell_apart_is_left_out() -> None:
    """It says since when it knows."""
    site = site_at("2026-03-31T18:00Z")
    site.tick(2, HOUR)
    state(site, budget(zone=KOLKATA))
    site.tick()
    assert site.point(SINCE, "b") == ns("2026-03-31T19:00Z") / 1e9
    assert near(spent(site) or Decimal(0), cost(HOUR + 5))
    assert site.point(WHOLE, "b") == 0


def test_it_knows_what_is_not_committed_yet() -> None:
    """While the ledger takes nothing, what is pending is no less spent."""
    site = site_at("2026-03-31T00:00Z")
    site.tick(2)
    site.host.run(5)
    site.settle(commit=False)
    state(site, budget(items=True), items=(item("a", "7"),))
    site.host.run(5)
    site.settle(commit=False)
    state(site, budget(items=True), budget("late", items=True), items=(item("a", "7"),))
    site.tick()
    for name in ("b", "late"):
        assert near(spent(site, name) or Decimal(0), cost(25) + 7)
        assert site.point(WHOLE, name) == 1


def test_what_had_no_price_in_the_past_is_told() -> None:
    """As what has none now; also of what is not committed."""
    site = site_at("2026-03-31T00:00Z", usd=None)
    site.tick()
    price_now(site, "3.6")
    site.tick()
    state(site, budget(), budget("chat", workload="chat"), budget("team", owner="team"))
    site.tick()
    assert near(spent(site) or Decimal(0), cost(10))
    assert (site.point(WHOLE, "b"), site.point(WHOLE, "chat")) == (0, 0)
    assert site.point(WHOLE, "team") == 1
    price_now(site, None)
    site.host.run(5)
    site.settle(commit=False)
    state(site, budget("new"))
    site.tick()
    assert site.point(WHOLE, "new") == 0


def test_a_ledger_that_cannot_be_read_is_asked_again() -> None:
    """The budget is absent until then, and loses nothing."""
    site = site_at("2026-03-31T00:00Z")
    site.tick()
    past, refused = site.settler.books.archive.past, []

    def busy(from_ns: int, to_ns: int) -> object:
        refused.append(from_ns)
        if len(refused) < 3:
            raise LookupError("busy")
        return past(from_ns, to_ns)

    archive = replace(site.settler.books.archive, past=busy)  # type: ignore[arg-type]
    site.settler.books.archive = archive
    state(site, budget())
    site.tick(2)
    assert spent(site) is None
    assert site.point(WHOLE, "b") is None
    site.tick()
    assert near(spent(site) or Decimal(0), cost(20))


def item(name: str, usd: str, start: int = 0, end: int | None = None) -> Item:
    """An item of the server's."""
    return Item(ItemKey(name, "chat", "", "", ItemType.PERSONNEL), Decimal(usd), start, end)


def test_items_are_spent_where_the_budget_says_so() -> None:
    """When they are booked; what is withdrawn is taken back."""
    every = (
        budget("host", items=True),
        budget("search", owner="search", items=True),
        budget("team", owner="team", items=True),
        budget("without"),
    )
    site = site_at("2026-03-31T12:00Z", *every)
    state(site, *every, items=(item("a", "40"),))
    site.tick()
    assert near(spent(site, "host") or Decimal(0), cost(5) + 40)
    assert near(spent(site, "search") or Decimal(0), site.usd("chat") + 40)
    assert spent(site, "team") == 0
    assert near(spent(site, "without") or Decimal(0), cost(5))
    state(site, *every)
    site.tick()
    assert near(spent(site, "host") or Decimal(0), cost(10))
    site.host.clock.set_wall(ns("2026-04-01T00:00:10Z"))
    state(site, *every, items=(item("a", "40"),))
    site.tick()
    state(site, *every, items=(item("a", "30"),))
    site.tick()
    assert near(spent(site, "host") or Decimal(0), cost(10) + 30)


def test_an_item_over_time_is_spent_in_the_period_in_which_it_fell_due() -> None:
    """Though the exporter was away over midnight; one on the first is spent on the first."""
    start = ns("2026-03-31T18:00Z")
    stated = (
        item("staff", "240", start, start + 24 * NS_PER_HOUR),
        item("a", "7", ns("2026-04-01T00:00Z")),
    )
    site = site_at("2026-03-31T18:00Z", budget(items=True))
    state(site, budget(items=True), items=stated)
    site.tick()
    site.away(8 * HOUR - 5)
    site.settle()
    assert near(spent(site) or Decimal(0), cost(2 * HOUR) + 20 + 7)


def test_an_item_that_is_first_stated_after_midnight_is_spent_then() -> None:
    """Though the exporter has charged up to the day before: nobody had stated it."""
    site = site_at("2026-03-31T23:00Z", budget(items=True))
    site.away(2 * HOUR)
    state(site, budget(items=True), items=(item("a", "7"),))
    site.settle()
    assert near(spent(site) or Decimal(0), cost(HOUR) + 7)


def test_a_budget_follows_its_definition() -> None:
    """Another amount changes nothing; another period, zone, owner or scope is another budget."""
    site = site_at("2026-03-31T12:00Z", budget())
    site.tick()
    state(site, replace(budget(), usd=Decimal(7)))
    site.tick()
    assert site.point("unitcost_budget_usd", "b") == 7
    assert near(spent(site) or Decimal(0), cost(10))
    state(site, budget(workload="chat"))
    site.tick()
    assert near(spent(site) or Decimal(0), site.usd("chat"))
    state(site)
    site.tick()
    assert site.points().get(SPENT) is None
    assert site.settler.state.budgets == ()


def test_without_budgets_nothing_is_there() -> None:
    """No series, and no state."""
    site = site_at("2026-03-31T12:00Z")
    site.tick()
    assert not [name for name in site.points() if name.startswith("unitcost_budget")]


@pytest.mark.parametrize("usd", [str(USD_AN_HOUR), None])
def test_the_file_says_of_the_past_what_the_ledger_in_memory_says(
    tmp_path: Path, usd: str | None
) -> None:
    """The statements in SQL against those of the tests, over a day and its hours."""
    site = site_at("2026-03-30T22:00Z", usd=usd)
    memory = site.ledger
    keeper = Keeper(tmp_path / "ledger.db", "host", "host", 400)
    opened = keeper.open(site.host.clock.wall_ns)
    assert opened is not None
    books, begun = opened
    settler = Settler(site.rules, books, begun, HostMeter(RuleMatcher()))
    stated = (item("a", "40"), item("b", "123456789.000000000001", 0, 4 * 10**18))
    site.settler = settler
    site.ledger = MemoryLedger()
    state(site, items=stated)
    for seconds in (HOUR, 5, HOUR / 2, 2 * HOUR, 5):
        site.host.run(seconds)
        observed, marks = site.host.observe()
        settler.tick(observed, marks, site.host.clock.read())
        site.ledger.commit(settler.books.pending)
        assert keeper.commit(settler.books, site.host.clock.wall_ns)
        if seconds == 5:
            state(site)
    now = site.host.clock.wall_ns
    for start in (
        "2026-03-30T22:00Z",
        "2026-03-30T18:30Z",
        "2026-03-31T00:00Z",
        "2026-04-05T00:00Z",
    ):
        assert settler.books.archive.past(ns(start), now) == site.ledger.past(ns(start), now)
    assert memory is not site.ledger
    keeper.close()


def test_a_price_that_is_learnt_late_is_spent_where_it_was_charged() -> None:
    """On the day of its hours; and what had no price until then makes the day whole."""
    site = site_at("2026-03-30T22:00Z", budget(), budget("kolkata", zone=KOLKATA), usd=None)
    site.tick(3, HOUR)
    assert spent(site) is None
    learn(site, rented((ns("2026-03-30T22:00Z"), "7.2")))
    site.tick()
    assert near(spent(site) or Decimal(0), 2 * cost(HOUR + 5))
    assert site.point(WHOLE, "b") == 1
    assert near(spent(site, "kolkata") or Decimal(0), 2 * cost(3 * HOUR + 5))
    site.host.clock.set_wall(ns("2026-03-30T23:59:55Z"))
    learn(site, rented((ns("2026-03-30T22:00Z"), "3.6")))
    site.settle()
    assert near(spent(site) or Decimal(0), cost(2 * HOUR))


def test_a_price_learnt_late_in_the_tick_in_which_a_budget_begins_counts_once() -> None:
    """What is corrected then is part of what the ledger knows of the past."""
    site = site_at("2026-03-31T00:00Z", usd=None)
    site.tick(2, HOUR)
    learn(site, rented((ns("2026-03-31T00:00Z"), "3.6")))
    state(site, budget())
    site.tick()
    assert near(spent(site) or Decimal(0), cost(2 * HOUR + 5))
    assert site.point(WHOLE, "b") == 1


def test_a_gap_that_began_before_the_period_is_not_known_in_it_either() -> None:
    """A budget that is new says so as one that was there would."""
    site = site_at("2026-03-30T22:00Z")
    site.tick()
    site.host.reboot(3 * HOUR)
    site.restart()
    site.settle()
    state(site, budget())
    site.tick()
    assert site.point(WHOLE, "b") == 0
    assert site.point(START, "b") == ns("2026-03-31T00:00Z") / 1e9
