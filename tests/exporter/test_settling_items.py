"""Items in the books: booked once, corrected and never taken back, and in nobody else's sums."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.gpu_world import GpuHost
from tests.sites import CHAT, HOUR, Site, near, rented, rules, serving
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.settling import item_book, run_book
from unitcost.exporter.settling.planning import Planning
from unitcost.pricing.items import Item, ItemKey, ItemType
from unitcost.pricing.money import to_usd
from unitcost.pricing.sample import NS_PER_SECOND, Outcome, Quantity
from unitcost.pricing.timeline import NS_PER_HOUR, hour_of
from unitcost.pricing.trained import RunOf, TrainedModel

TOTAL, CORRECTION = "unitcost_item_cost_usd_total", "unitcost_item_cost_correction_usd"
MEMO = "unitcost_memo_opportunity_cost_usd_total"


def item(
    name: str,
    usd: str,
    start: int | None = 0,
    end: int | None = None,
    kind: ItemType = ItemType.LABELLING,
    workload: str = "chat",
    model: str = "",
    run: str = "",
    per: str = "",
) -> Item:
    """An item of a workload."""
    return Item(ItemKey(name, workload, model, run, kind, per), Decimal(usd), start, end)


def state(site: Site, *items: Item, **planning: object) -> None:
    """The configuration is reloaded: these are the items, and nothing waits to be shown."""
    given = Planning(items=items, shown_first_ns=0, **planning)  # type: ignore[arg-type]
    site.rules = replace(site.rules, planning=given)
    site.settler.plan(given)


def series(site: Site, kind: str = "labelling", workload: str = "chat") -> tuple[float, float]:
    """What is booked on a series, and its correction."""
    found = site.point(TOTAL, workload, kind), site.point(CORRECTION, workload, kind)
    assert None not in found
    return found  # type: ignore[return-value]


def test_an_item_is_booked_when_it_is_due_and_never_again() -> None:
    """Not before, not after a restart, not after a crash, not after another reload."""
    site = serving()
    due = site.host.clock.wall_ns + 60 * NS_PER_SECOND
    state(site, item("data", "18000.25", due))
    site.tick()
    assert series(site) == (0, 0)
    site.tick(12)
    assert series(site) == (18000.25, 0)
    site.restart()
    site.tick()
    state(site, item("data", "18000.25", due))
    site.host.run(5)
    site.settle(commit=False)
    site.restart()
    site.tick()
    assert series(site) == (18000.25, 0)
    (row,) = [amount for key, amount in site.ledger.item_charges.items() if not key.revision]
    assert row.pico == 18000_250000000000


def test_time_that_passed_while_nobody_looked_is_booked_afterwards() -> None:
    """A straight line goes on through stops, sleeps and reboots, to its end and no further."""
    site = serving()
    now = site.host.clock.wall_ns
    state(site, item("staff", "300", now, now + 3 * NS_PER_HOUR))
    site.tick()
    site.away(HOUR - 5)
    site.tick()
    assert series(site)[0] == pytest.approx(100 * (HOUR + 5) / HOUR)
    site.host.clock.suspend(HOUR)
    site.host.reboot(3 * HOUR)
    site.restart()
    site.tick(2)
    assert series(site) == (300, 0)


def test_a_new_series_is_shown_at_zero_before_anything_is_booked_on_it() -> None:
    """Else `increase()` would never see its first amount. One that is shown already waits not."""
    site = serving()
    planning = Planning(items=(item("a", "5"),))
    site.rules = replace(site.rules, planning=planning)
    site.settler.plan(planning)
    site.tick()
    assert series(site) == (0, 0)
    site.restart()
    site.tick(23)
    assert series(site) == (0, 0)
    site.tick()
    assert series(site) == (5, 0)
    site.settler.plan(replace(planning, items=(item("a", "5"), item("b", "7"))))
    site.tick()
    assert series(site) == (12, 0)


def test_an_item_that_is_lowered_or_withdrawn_takes_nothing_back() -> None:
    """What is booked stays; the correction says what is right, and goes when it comes back."""
    site = serving()
    state(site, item("data", "100"), item("more", "10"))
    site.tick()
    assert series(site) == (110, 0)
    state(site, item("data", "60"), item("more", "10"))
    site.tick()
    assert series(site) == (110, -40)
    state(site, item("data", "60"))
    site.tick(2)
    site.restart()
    site.tick(2)
    assert series(site) == (110, -50)
    state(site)
    site.tick()
    assert series(site) == (110, -110)
    state(site, item("data", "150"), item("more", "10"))
    site.tick()
    assert series(site) == (160, 0)


def test_an_item_that_is_attached_to_something_else_is_booked_there() -> None:
    """What was booked before stays where it is, corrected."""
    site = serving()
    state(site, item("data", "100"))
    site.tick()
    state(site, item("data", "100", workload="tuner", kind=ItemType.CLEANING))
    site.tick()
    assert series(site) == (100, -100)
    assert series(site, "cleaning", "tuner") == (100, 0)


def test_a_clock_that_runs_ahead_books_early_and_is_waited_for() -> None:
    """Nothing falls, and in the end the sum is the amount."""
    site = serving()
    now = site.host.clock.wall_ns
    state(site, item("staff", "100", now, now + 10 * NS_PER_HOUR))
    site.host.clock.set_wall(now + 5 * NS_PER_HOUR)
    site.tick()
    ahead = series(site)
    site.host.clock.set_wall(now)
    site.tick()
    assert series(site)[0] == ahead[0] > 50
    assert series(site)[1] < -49
    site.host.clock.set_wall(now + 10 * NS_PER_HOUR)
    site.tick()
    assert series(site) == (100, 0)


def test_units_are_counted_as_the_meter_counts_them() -> None:
    """From the tick on in which the item is known; of the model it is attached to."""
    site = serving()
    server = site.host.servers[8000]
    state(
        site,
        item("licence", "0.002", None, per="request", model="m"),
        item("other", "1", None, per="request", model="x", kind=ItemType.TOOLING),
    )
    server.work(5)
    site.tick()
    assert series(site)[0] == pytest.approx(0.01)
    server.work(7, model="y")
    server.add(Quantity.REQUESTS, 9, Outcome.FAILED)
    site.tick()
    server.work(20)
    site.away(60)
    site.tick()
    assert series(site)[0] == pytest.approx(0.05)
    assert series(site, "tooling") == (0, 0)


def test_a_rate_that_changes_is_right_for_all_that_was_counted() -> None:
    """Lower: a correction. Withdrawn and stated again: what was counted before counts again."""
    site = serving()
    licence = item("licence", "2", None, per="request")
    state(site, licence)
    site.host.servers[8000].work(5)
    site.tick()
    state(site, replace(licence, usd=Decimal(1)))
    site.tick()
    assert series(site) == (10, -5)
    state(site)
    site.host.servers[8000].work(100)
    site.tick()
    assert series(site) == (10, -10)
    state(site, licence)
    site.host.servers[8000].work(1)
    site.tick()
    assert series(site) == (12, 0)


def test_items_of_a_file_that_was_not_read_yet_are_as_they_were() -> None:
    """A file that is away withdraws nothing; one that is named no more does."""
    site = serving()
    state(site, item("a", "1"), file_items=(item("b", "2"), item("a", "50")))
    site.tick()
    assert series(site) == (3, 0)
    assert site.settler.plans.items.left_out == 1
    state(site, item("a", "1"), file_items=None)
    site.restart()
    site.tick()
    assert series(site) == (3, 0)
    state(site, item("a", "1"))
    site.tick()
    assert series(site) == (3, -2)


def test_there_is_a_most_of_items_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are known stay; what is too much is counted, not booked."""
    monkeypatch.setattr(item_book, "MAX_KNOWN", 3)
    site = serving()
    state(site, item("a", "1"), item("b", "1"))
    site.tick()
    state(site, *(item(name, "1") for name in "zyxb"))
    site.tick()
    assert site.settler.plans.items.left_out == 2
    assert {key.id for key in site.ledger.items} == {"a", "b", "z"}
    assert series(site) == (3, -1)


def test_the_hour_s_row_is_written_with_what_was_booked_in_it() -> None:
    """One row an hour and item, and one for what is corrected."""
    site = serving()
    now = site.host.clock.wall_ns
    state(site, item("staff", "100", now, now + 4 * NS_PER_HOUR))
    site.tick(3)
    state(site, item("staff", "0", now, now + 4 * NS_PER_HOUR))
    site.tick(2)
    keys = {(key.hour, key.revision) for key in site.ledger.item_charges}
    assert keys == {(hour_of(now), 0), (hour_of(now), 1)}
    assert sum(amount.pico for amount in site.ledger.item_charges.values()) == 0


PLANNED = ("unitcost_item", "unitcost_memo", "unitcost_training_", "unitcost_request_training")


def of_the_host(points: Points) -> Points:
    """What a scrape sees of all but what is planned."""
    return {name: found for name, found in points.items() if not name.startswith(PLANNED)}


def idle_gpus(*items: Item, rate: int | None = None) -> Site:
    """A host with two GPUs: one held and idle, one nobody's."""
    site = Site(rules(rented(usd="10"), (CHAT,)), GpuHost(2))
    assert isinstance(site.host, GpuHost)
    proc = site.host.spawn(command="python3 /srv/chat.py")
    site.host.gpus[0].use(proc, 25)
    state(site, *items, forgone_pico_per_hour=rate)
    site.settle()
    site.tick(12)
    return site


def test_neither_items_nor_the_memo_are_in_any_sum_of_the_host() -> None:
    """Every other figure is the same to the last digit with them and without."""
    plain = idle_gpus()
    planned = idle_gpus(item("data", "1000000"), rate=5 * 10**12)
    assert of_the_host(planned.points()) == of_the_host(plain.points())
    assert planned.ledger.posting == plain.ledger.posting
    assert planned.point(MEMO, "__unallocated__") is not None
    assert plain.points().get(MEMO) is None


def test_no_total_contains_the_memo() -> None:
    """Not the items', not a model's total, not its share of a request."""
    model = TrainedModel("m", (), Decimal(7), ("chat", ""), 10)
    site = idle_gpus(item("data", "3"), rate=5 * 10**12)
    without = idle_gpus(item("data", "3"))
    for each, rate in ((site, 5 * 10**12), (without, None)):
        state(each, item("data", "3"), trained_models=(model,), forgone_pico_per_hour=rate)
        each.tick()
    with_memo = {name: found for name, found in site.points().items() if name != MEMO}
    assert with_memo == without.points()
    assert site.point("unitcost_training_total_cost_usd", "m") == 7


def test_the_memo_is_idle_gpu_time_at_the_stated_rate() -> None:
    """Of whoever held it, or of nobody; busy time, and time nobody metered, is not in it."""
    site = idle_gpus(rate=5 * 10**12)
    found = {labels: value for labels, value in site.points()[MEMO]}
    idle = 5 * Decimal(60) / 3600
    assert near(Decimal(str(found["__unallocated__", "gpu:GPU-1"])), idle)
    assert near(Decimal(str(found["chat.py", "gpu:GPU-0"])), idle * 3 / 4)
    host = site.host
    assert isinstance(host, GpuHost)
    host.kill(host.procs[max(host.procs)])
    host.gpus[0].users.clear()
    site.away(HOUR)
    site.settle()
    assert "__unmetered__" not in {labels[0] for labels, _ in site.points()[MEMO]}
    assert site.counter(MEMO, "chat.py") == pytest.approx(float(idle * 3 / 4) * 1e12)


def test_without_a_price_the_memo_is_there_all_the_same() -> None:
    """The rate is stated."""
    site = Site(rules(rented(usd=None)), GpuHost(1))
    state(site, forgone_pico_per_hour=36 * 10**11)
    site.settle()
    site.tick()
    assert site.counter(MEMO) == 36 * 10**11 * 5 // 3600


def training() -> Site:
    """A host that trains a run, and serves."""
    site = serving()
    job = site.host.train("tuner", "final", cores=1.0)
    site.tick()
    for _ in range(5):
        job.steps += 1
        site.tick()
    return site


MODEL = TrainedModel("support", (RunOf("tuner", "final"),), None, ("chat", "m"), 1000)


def test_a_model_costs_its_run_and_the_items_attached_to_it() -> None:
    """Part by part; its share is over the requests that somebody expects."""
    site = training()
    label = item("l", "40", run="final", workload="tuner")
    state(site, label, item("x", "9", run="other", workload="tuner"), trained_models=(MODEL,))
    site.tick()
    run = site.point("unitcost_run_cost_usd", "tuner", "final")
    assert run is not None
    assert site.point("unitcost_training_cost_usd", "support", "compute") == run
    assert site.point("unitcost_training_cost_usd", "support", "labelling") == 40
    total = site.point("unitcost_training_total_cost_usd", "support")
    assert total == pytest.approx(run + 40)
    share = site.point("unitcost_request_training_cost_usd", "chat", "m", "expected_requests")
    assert share == pytest.approx((run + 40) / 1000)
    assert site.point("unitcost_training_expected_requests", "chat", "m") == 1000


def test_what_a_run_cost_is_known_long_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the run is retired, and forgotten in memory."""
    site = training()
    state(site, trained_models=(MODEL,))
    site.tick()
    cost = site.point("unitcost_training_total_cost_usd", "support")
    for job in site.host.jobs:
        site.host.kill(job.proc)
    site.host.jobs.clear()
    site.away(24 * HOUR)
    site.settler.books.runs.clear()
    site.tick(2)
    after = site.point("unitcost_training_total_cost_usd", "support")
    assert cost is not None
    assert after is not None
    assert after >= cost > 0
    assert site.point("unitcost_run_cost_usd", "tuner") is None
    monkeypatch.setattr(run_book, "MAX_RUNS", 0)
    site.settler.runs._forget()
    assert site.point("unitcost_training_total_cost_usd", "support") == after


def test_of_a_run_that_was_never_here_the_total_is_unknown() -> None:
    """Its items are known all the same; a stated compute makes it whole."""
    site = training()
    elsewhere = replace(MODEL, runs=(RunOf("tuner", "elsewhere"),))
    label = item("l", "40", run="elsewhere", workload="tuner")
    state(site, label, trained_models=(elsewhere,))
    site.tick()
    assert site.point("unitcost_training_total_cost_usd", "support") is None
    assert site.point("unitcost_request_training_cost_usd", "chat", "m") is None
    assert site.point("unitcost_training_cost_usd", "support", "labelling") == 40
    state(site, label, trained_models=(replace(elsewhere, compute_usd=Decimal(100)),))
    site.tick()
    assert site.point("unitcost_training_total_cost_usd", "support") == 140


def test_all_of_a_workload_may_be_a_model_s_training() -> None:
    """All its runs, and what no run is known of."""
    site = training()
    whole = TrainedModel("all", (RunOf("tuner"),))
    state(site, item("l", "40", workload="tuner"), trained_models=(whole,))
    site.tick()
    total = site.point("unitcost_training_total_cost_usd", "all")
    charged = to_usd(site.counter("unitcost_cost_usd_total", "tuner"))
    assert total == pytest.approx(float(charged) + 40)
    state(site, trained_models=(TrainedModel("none", (RunOf("nobody"),)),))
    site.tick()
    assert site.point("unitcost_training_total_cost_usd", "none") is None


def test_a_ledger_that_cannot_be_read_now_is_asked_again() -> None:
    """A run that was not found for that reason is not taken for one that never was."""
    site = training()
    site.restart()
    books, answers = site.settler.books, []

    def run(key: tuple[str, str]) -> object:
        answers.append(key)
        if len(answers) == 1:
            raise LookupError("busy")
        return site.ledger.runs.get(key)

    books.runs.clear()
    books.archive = replace(books.archive, run=run)  # type: ignore[arg-type]
    assert books.link(("tuner", "final")) is None
    assert books.link(("tuner", "final")) is not None
    assert books.link(("tuner", "never")) is None
    assert books.link(("tuner", "never")) is None
    assert len(answers) == 3
