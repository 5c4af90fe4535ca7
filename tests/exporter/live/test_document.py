"""The live page's document: its numbers are those of /metrics, and what is unknown says why."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exporter.full_snapshot import full_snapshot
from tests.exporter.live.agreement import check
from tests.harness import parse
from tests.live_hosts import (
    HOSTILE,
    Watched,
    busy,
    crowd,
    empty,
    hostile,
    not_ready,
    partly_priced,
    small,
    unpriced,
)
from tests.live_hosts import (
    drifting as drifting_host,
)
from tests.sites import CHAT, Site, price_now, rules, workload_rule
from unitcost.exporter.config.settings import Price as PriceSettings
from unitcost.exporter.config.settings import PriceChange
from unitcost.exporter.prices.looked import Looked, SourceState
from unitcost.exporter.serving.exposition import Renderer
from unitcost.exporter.serving.live.document import document, encode
from unitcost.exporter.serving.live.history import Past
from unitcost.exporter.serving.live.shape import Live, Price, Workload
from unitcost.exporter.serving.live.units import UNITS_ONLY
from unitcost.exporter.serving.live.view import About, View
from unitcost.exporter.serving.metrics import METRICS
from unitcost.exporter.serving.snapshot import Snapshot
from unitcost.pricing.price import PriceBook, PriceModel
from unitcost.pricing.quote import PriceKey, Quote
from unitcost.pricing.resolve import Chosen, Rank, Resolution
from unitcost.pricing.workload import UNALLOCATED

MAX_BYTES = 200_000
Given = dict[str, list[tuple[tuple[str, ...], float]]]
"""Points by metric name."""


@pytest.fixture(scope="module")
def busy_host() -> Watched:
    """It takes seconds to live through."""
    return busy()


def read(view: View) -> Live:
    """The document as a reader of its JSON gets it."""
    return msgspec.json.decode(encode(view), type=Live)


def summed(values: Iterable[float | None]) -> float:
    """The sum; all must be known."""
    found = list(values)
    assert None not in found
    return math.fsum(value for value in found if value is not None)


def workload(live: Live, name: str) -> Workload:
    """One row."""
    return next(each for each in live.workloads if each.name == name)


@pytest.mark.parametrize(
    "host", [small, drifting_host, unpriced, partly_priced, empty, not_ready, hostile, crowd]
)
def test_every_number_is_that_of_metrics(host: Callable[[], Watched]) -> None:
    """And each of those that the page is about is there."""
    watched = host()
    check(read(watched.view()), parse(watched.exposition().decode()))


def test_every_number_of_a_busy_gpu_host_is_that_of_metrics(busy_host: Watched) -> None:
    """Inference, training, accelerators."""
    live = read(busy_host.view())
    check(live, parse(busy_host.exposition().decode()))
    assert workload(live, "chat").models[0].unit_costs["output_token"].allocated
    assert live.runs[0].projected.keys() == {"expected", "low", "high"}
    assert len(live.devices) == 8


def test_every_metric_there_is_can_be_in_the_snapshot() -> None:
    """With all labels, and values that differ."""
    view = View(1, 1, full_snapshot(), Past(), About())
    check(read(view), parse(Renderer().render(view.snapshot).decode()))


texts = st.text(max_size=140) | st.sampled_from([*HOSTILE, "\udcff", "\x00", "chat", ""])
values = st.floats() | st.floats(0, 1e6) | st.sampled_from([0.0, 1.0])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Points of any metric, with any labels and any values."""
    points = {}
    for metric in draw(st.lists(st.sampled_from(METRICS), max_size=6, unique=True)):
        labels = st.tuples(*(texts for _ in metric.labels))
        points[metric.name] = draw(st.lists(st.tuples(labels, values), max_size=3))
    return Snapshot(draw(st.integers(0, 2**62)), points)


@settings(max_examples=max(50, settings().max_examples // 3))
@given(snapshots(), st.booleans())
def test_no_snapshot_breaks_it(snapshot: Snapshot, ready: bool) -> None:
    """Valid JSON, valid UTF-8, no number that is none."""
    live = read(View(3, 1, snapshot, Past(), About(ready=ready)))
    assert live.tick == 3


# --- Rates --------------------------------------------------------------------------------


def test_where_the_money_goes_sums_to_the_price(busy_host: Watched) -> None:
    """By group, by workload, and in each interval of the last hour."""
    live = read(busy_host.view())
    price = live.price.usd_per_hour
    assert price == pytest.approx(23.92)
    assert summed(live.now.usd_per_hour.values()) == pytest.approx(price)
    together = [each.usd_per_hour_together for each in live.workloads]
    assert summed(together) == pytest.approx(price)
    history = live.history
    assert len(history.times) > 80
    assert history.times[-1] - history.times[0] == pytest.approx(3600, abs=60)
    for values in zip(*history.usd_per_hour.values(), strict=True):
        assert summed(values) == pytest.approx(price)


def test_who_holds_what_sums_to_what_there_is(busy_host: Watched) -> None:
    """Cores, GiB and GPUs, on average over the last minute."""
    live = read(busy_host.view())
    held: dict[str, float] = {}
    for row in live.workloads:
        for each in row.held:
            assert each.amount is not None
            held[each.resource] = held.get(each.resource, 0) + each.amount
    assert held.pop("cpu") == pytest.approx(192)
    assert held.pop("memory") == pytest.approx(1024)
    assert list(held.values()) == pytest.approx([1] * 8)
    (gpu,) = [each for each in workload(live, "search-rerank").held if "gpu" in each.resource]
    assert gpu.active_ratio == pytest.approx(0.25)
    assert gpu.method == "exclusive"


def test_dearer_than_an_hour_ago_is_seen(busy_host: Watched) -> None:
    """The load fell to 14 of 40 half an hour ago: each request costs 40/14 of what it did."""
    live = read(busy_host.view())
    cost = workload(live, "chat").models[0].unit_costs["request"]
    assert cost.allocated == pytest.approx(cost.hour_ago * 40 / 14, rel=1e-3)  # type: ignore[operator]
    assert live.hour_ago == pytest.approx(live.at - 3600, abs=300)


def test_the_first_reading_gives_no_rates_and_says_so() -> None:
    """Nothing is 0 that was not measured."""
    watched = Watched(Site())
    watched.settle()
    live = read(watched.view())
    assert (live.now.usd_per_hour, live.now.why) == ({}, "Known from the second reading on.")
    assert live.history.usd_per_hour == {}
    assert live.price.usd_per_hour == pytest.approx(0.3872)


def test_a_workload_that_was_away_is_no_spike_when_it_is_back() -> None:
    """It was retired; its counters go on from what they were, which is no rate."""
    watched = small()
    site = watched.site
    gone = site.host.servers[8000]
    site.host.kill(gone.proc)
    watched.tick(200)
    assert "chat" not in {each.name for each in read(watched.view()).workloads}
    site.host.restart_server(8000)
    watched.tick()
    back = workload(read(watched.view()), "chat")
    assert (back.usd_per_hour_together, back.why) == (
        None,
        "Known shortly after it was first seen.",
    )
    assert back.usd_total is not None
    assert all(each.amount is None for each in back.held)
    watched.tick(4)
    live = read(watched.view())
    again = workload(live, "chat")
    assert 0 < (again.usd_per_hour_together or 0) < 0.3872
    assert (live.now.seconds or 60) <= 20
    together = [each.usd_per_hour_together for each in live.workloads]
    assert summed(together) == pytest.approx(0.3872)


def test_without_a_price_no_dollars_stand_still_at_0() -> None:
    """The price ended five minutes ago: totals stay, rates are unknown, time is counted."""
    watched = small()
    before = read(watched.view())
    price_now(watched.site, None)
    watched.tick(60)
    live = read(watched.view())
    assert live.price.usd_per_hour is None
    assert (live.now.usd_per_hour, live.now.why) == ({}, "No price.")
    assert live.usd_total == pytest.approx(before.usd_total)
    for row in live.workloads:
        assert (row.usd_per_hour_together, row.why) == (None, "No price.")
        assert all(each.usd_per_hour is None for each in row.held)
        assert all(each.amount is not None for each in row.held)
    known = list(zip(*live.history.usd_per_hour.values(), strict=True))
    assert None not in known[0]
    assert set(known[-1]) == {None}
    (notice,) = [each for each in live.notices if each.key == "unpriced"]
    assert "Dollars so far are of the time in which it had one." in notice.text


def test_a_host_that_never_had_a_price_shows_no_dollars_at_all() -> None:
    """But what it did, and why there are none."""
    live = read(unpriced().view())
    assert live.usd_total is None
    assert live.history.usd_per_hour == {}
    chat = workload(live, "chat")
    assert chat.usd_total is None
    assert chat.models[0].requests["succeeded"] > 0
    whys = {cost.why for model in chat.models for cost in model.unit_costs.values()}
    assert whys == {"No price."}
    assert live.runs[0].why == "No price."
    assert {each.why for each in live.workloads} == {"No price."}
    (notice,) = [each for each in live.notices if each.key == "unpriced"]
    assert "The configuration states no price" in notice.text


def test_a_free_host_costs_0_which_is_known() -> None:
    """A price of 0 is a price."""
    live = read(small(usd="0").view())
    assert live.price.usd_per_hour == 0
    assert set(live.now.usd_per_hour.values()) == {0.0}
    assert workload(live, "chat").models[0].unit_costs["request"].allocated == 0


def test_a_part_without_a_price_is_named() -> None:
    """What is known of an owned host is shown, and what is missing from it."""
    live = read(partly_priced().view())
    assert live.price.usd_per_hour is None
    assert live.price.why == "It is owned, and its electricity has no price."
    assert {each.unpriced for each in live.price.resources} == {("electricity",)}
    assert summed(live.now.usd_per_hour.values()) == pytest.approx(0.2)
    (request,) = [m.unit_costs["request"] for m in workload(live, "chat").models]
    assert request.why == "No price for its electricity."


def test_an_agent_that_counts_units_alone_says_who_charges() -> None:
    """A sidecar beside the host's own agent."""
    its_rules = replace(rules(workloads=(CHAT,)), scope="units", book=PriceBook(()))
    watched = Watched(Site(its_rules), about=About(scope="units", ready=True))
    server = watched.site.host.serve("chat", 8000, cores=1.0)
    watched.settle()
    watched.tick(3, work=lambda: server.work(5))
    live = read(watched.view())
    check(live, parse(watched.exposition().decode()))
    chat = workload(live, "chat")
    assert chat.models[0].requests == {"succeeded": 15}
    assert chat.why == chat.models[0].unit_costs["request"].why == UNITS_ONLY
    assert live.price.why.startswith("This agent counts units only")
    assert [each for each in live.notices if each.key == "unpriced"] == []


# --- Bounds -------------------------------------------------------------------------------


def test_256_workloads_are_forty_rows_and_a_sum() -> None:
    """The dearest; the others' dollars are in one figure."""
    watched = crowd()
    body = encode(watched.view())
    assert len(body) < MAX_BYTES
    live = read(watched.view())
    named = [each for each in live.workloads if not each.reserved]
    assert (len(named), live.more_workloads.count) == (40, 216)
    costs = [each.usd_per_hour_together for each in named]
    assert costs == sorted(costs, reverse=True)  # type: ignore[type-var]
    everything = [each.usd_per_hour_together for each in live.workloads]
    everything.append(live.more_workloads.usd_per_hour)
    assert summed(everything) == pytest.approx(98.32)
    totals = [*(each.usd_total for each in live.workloads), live.more_workloads.usd_total]
    assert summed(totals) == pytest.approx(live.usd_total)
    assert (len(live.collectors), live.more_collectors) == (40, 10)


def test_names_of_any_kind_stay_text() -> None:
    """As /metrics has them; cut at 128 characters."""
    live = read(hostile().view())
    names = {each.name for each in live.workloads if not each.reserved}
    assert set(HOSTILE) <= names
    assert {each.run for each in live.runs} == set(HOSTILE)
    long = Snapshot(0, {"unitcost_workload_info": [(("\udcff" + "y" * 500, "other", ""), 1.0)]})
    (row,) = read(View(1, 1, long, Past(), About())).workloads
    assert row.name == "?" + "y" * 127


# --- Prices ----------------------------------------------------------------------------


def read_prices(points: Given, about: About) -> Price:
    """What the document says of prices."""
    return read(View(1, 1, Snapshot(NOW_NS, points), Past(), about)).price


NOW_NS = 1_767_225_600 * 10**9
UNPRICED: Given = {"unitcost_resource_unpriced": [(("cpu", "rent"), 1.0)]}


@pytest.mark.parametrize(
    ("looked", "why"),
    [
        (None, "The configuration states no price and has none looked up (price.lookup)."),
        (
            Looked(resolution=Resolution(missing=("region", "price model"))),
            "Not known of this host: region, price model.",
        ),
        (Looked(), "No source has a price of exactly this host."),
    ],
)
def test_a_missing_price_says_why(looked: Looked | None, why: str) -> None:
    """Stated nowhere, not to be looked up, or looked up in vain."""
    assert read_prices(UNPRICED, About(looked=looked)).why == why


def test_a_price_in_a_currency_without_a_rate_says_so() -> None:
    """It is known, but not in US dollars."""
    key = PriceKey("hetzner", "fsn1", "gex44", PriceModel.ON_DEMAND, currency="EUR")
    chosen = Chosen(Rank.LIVE, Quote(key, Decimal("0.30"), "price_file"))
    price = read_prices(UNPRICED, About(looked=Looked(resolution=Resolution(chosen=(chosen,)))))
    assert price.why.startswith("The price is in EUR, which has no exchange rate")


def test_rates_changes_and_failing_sources_are_noted() -> None:
    """With the day of the rate; long errors are cut."""
    points: Given = {
        "unitcost_fx_rate": [(("EUR",), 0.92)],
        "unitcost_fx_rate_as_of_timestamp_seconds": [(("EUR",), 1_767_225_600.0)],
    }
    failing = SourceState("aws_spot", Rank.LIVE, error="x" * 999)
    change = PriceChange(at="2026-02-01T00:00:00Z", usd_per_hour=Decimal(4))
    about = About(
        price=PriceSettings(usd_per_hour=Decimal(3), changes=(change,)),
        looked=Looked(notes=("the zone is told differently",), sources=(failing,)),
    )
    *notes, last = read_prices(points, about).notes
    assert notes == [
        "Billed in EUR, at 0.92 EUR for a US dollar (as of 2026-01-01).",
        "From 2026-02-01T00:00:00Z: 4 USD an hour.",
        "the zone is told differently",
    ]
    assert last.startswith("aws_spot: xxx")
    assert len(last) == 300


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("default_weights", "CPU and memory by default weights"),
        ("configured_weights", "By the weights in the configuration"),
        ("sibling:m7i.24xlarge", "CPU and memory cost what m7i.24xlarge, the same without GPUs"),
        ("of_the_future", "of the future."),
    ],
)
def test_how_the_price_is_split_is_said_in_words(rule: str, words: str) -> None:
    """Rules that this page does not know keep their name."""
    split: Given = {"unitcost_price_split_info": [((rule,), 1.0)]}
    assert read_prices(split, About()).method.startswith(words)


# --- Words --------------------------------------------------------------------------------


def test_a_host_without_workloads_says_what_to_do() -> None:
    """Its cost is nobody's, and that is known."""
    live = read(empty().view())
    assert [each.name for each in live.workloads] == [UNALLOCATED]
    assert [each.key for each in live.notices] == ["no workloads"]


def test_before_the_first_tick_it_says_so() -> None:
    """Not ready, and why."""
    live = read(not_ready().view())
    assert (live.ready, live.reason) == (False, "the first tick is not over")


def test_what_fails_is_said_in_words() -> None:
    """A collector that fails, time that was not metered."""
    notices = {each.key: each for each in read(unpriced().view()).notices}
    assert notices["collectors openmetrics"].text.startswith("Cannot be read now: openmetrics.")
    assert "10 min charged to whoever held things" in notices["gaps"].text
    assert notices["gaps"].level == "note"


@pytest.mark.parametrize(
    ("points", "key", "level"),
    [
        ({"unitcost_ledger_writable": [((), 0.0)]}, "ledger", "bad"),
        ({"unitcost_conservation_residual_usd": [((), 1e-12)]}, "conservation", "bad"),
        ({"unitcost_ledger_set_aside_total": [((), 1.0)]}, "set_aside", "warn"),
        ({"unitcost_tick_failures_total": [((), 2.0)]}, "ticks", "warn"),
        ({"unitcost_unresolved_grants": [((), 3.0)]}, "grants", "warn"),
        ({"unitcost_notifications_waiting": [(("slack",), 2.0)]}, "waiting slack", "warn"),
        ({"unitcost_device_up": [(("gpu:1", "H100", "nvidia"), 0.0)]}, "lost gpu:1", "bad"),
        ({"unitcost_clock_steps_total": [((), 1.0)]}, "clock", "note"),
        ({"unitcost_gap_seconds_total": [(("new kind",), 90.0)]}, "gaps", "note"),
    ],
)
def test_each_trouble_has_its_words(points: Given, key: str, level: str) -> None:
    """And none of them is there where all is well."""
    (notice,) = read(View(1, 1, Snapshot(0, points), Past(), About())).notices
    assert (notice.key, notice.level) == (key, level)
    assert notice.text.endswith(".")
    well = {name: [(labels, 1.0 - bool(value))] for name, ((labels, value),) in points.items()}
    if name_of_counter(points):
        well = {name: [(labels, 0.0)] for name, ((labels, _),) in points.items()}
    assert read(View(1, 1, Snapshot(0, well), Past(), About())).notices == ()


def name_of_counter(points: Given) -> bool:
    """Whether all is well at 0 rather than at 1."""
    (name,) = points
    return name.endswith(("_total", "_usd", "_grants", "_waiting"))


def drifting(count: int = 1, ratio: float = 1.42, since: float = 1_767_276_600.0) -> Given:
    """Models whose requests cost more than they used to, because they idle."""
    labels = [("chat", f"m{number}", "request") for number in range(count)]
    return {
        "unitcost_drift_ratio": [(each, ratio) for each in labels],
        "unitcost_drift_usd_per_day": [(each, 310.0 * (ratio - 1) / 0.42) for each in labels],
        "unitcost_drift_factor_ratio": [
            ((*each, factor), value)
            for each in labels
            for factor, value in (("idle", 1.9), ("price", 1.0))
        ],
        "unitcost_drift_since_timestamp_seconds": [((*each, "idle"), since) for each in labels],
    }


def test_drift_is_said_with_its_factor() -> None:
    """How much, what that is a day, what did it, and since when."""
    (notice,) = read(View(1, 1, Snapshot(0, drifting()), Past(), About())).notices
    assert (notice.title, notice.level) == ("Drift", "warn")
    assert notice.text == (
        "chat · m0: a request costs 42 % more than it used to, $310.00 a day more: "
        "idle time x1.9 since 2026-01-01 14:10 UTC."
    )
    (less,) = read(View(1, 1, Snapshot(0, drifting(ratio=0.58)), Past(), About())).notices
    assert "costs 42 % less than it used to, $310.00 a day less" in less.text
    many = read(View(1, 1, Snapshot(0, drifting(9, since=1e300)), Past(), About())).notices
    assert [each.text for each in many][-1] == "and 4 more."
    assert "an unknown time" in many[0].text


def test_drift_of_steps_is_said_of_steps() -> None:
    """Of a training, which has no model."""
    found = {
        name: [(("tuner", "", "step", *labels[3:]), value) for labels, value in points]
        for name, points in drifting().items()
    }
    (notice,) = read(View(1, 1, Snapshot(0, found), Past(), About())).notices
    assert notice.text.startswith("tuner: a step costs 42 % more than it used to")


def test_budgets_are_told_before_and_after_they_are_spent() -> None:
    """Those of which most is spent come first; what is only the least that was spent says so."""
    live = read(drifting_host().view())
    assert [each.name for each in live.budgets] == ["host-daily", "chat-monthly"]
    (notice,) = [each for each in live.notices if each.title == "Budget"]
    assert notice.text == "host-daily is spent: $9.25 of $8.00."
    points: Given = {
        "unitcost_budget_usd": [((f"b{number}",), 1.0) for number in range(30)],
        "unitcost_budget_spent_usd": [(("b7",), 2.0)],
    }
    many = read(View(1, 1, Snapshot(0, points), Past(), About()))
    assert (len(many.budgets), many.more_budgets, many.budgets[0].name) == (20, 10, "b7")
    assert many.budgets[1].why == "Nothing that was charged has a price."
    assert "at least $2.00" in many.notices[0].text


REQUESTS = "unitcost_requests_total"


@pytest.mark.parametrize(
    ("about", "more", "why"),
    [
        (About(scope="units"), {}, "This agent counts units only; the host's own agent charges."),
        (
            About(),
            {"unitcost_workload_hosts": [(("chat",), 2.0)]},
            "It runs on 2 hosts: a figure of the fleet, not of this host.",
        ),
        (About(), {"unitcost_resource_unpriced": []}, "No price is known yet."),
        (About(), {"unitcost_resource_unpriced": [(("cpu", "rent"), 1.0)]}, "No price."),
        (About(), {REQUESTS: []}, "Nothing here counts its requests."),
        (About(), {}, "No requests in the last 5 minutes."),
        (
            About(),
            {"unitcost_unit_coverage_ratio": [(("chat",), 0.0)]},
            "Its requests of the last 5 minutes fell into time that was not metered.",
        ),
        (
            About(minimum_units=20.0),
            {"unitcost_unit_coverage_ratio": [(("chat",), 1.0)]},
            "Fewer than 20 requests in the last 5 minutes.",
        ),
    ],
)
def test_an_absent_unit_cost_says_why(about: About, more: Given, why: str) -> None:
    """The first reason that holds."""
    points: Given = {
        "unitcost_workload_info": [(("chat", "inference", ""), 1.0)],
        "unitcost_resource_unpriced": [(("cpu", "rent"), 0.0)],
        "unitcost_window_seconds": [((), 300.0)],
        REQUESTS: [(("chat", "", "succeeded"), 7.0)],
    }
    live = read(View(1, 1, Snapshot(0, points | more), Past(), about))
    assert live.workloads[0].models[0].unit_costs["request"].why == why


def test_input_and_output_that_nobody_tells_apart_say_so(busy_host: Watched) -> None:
    """There is a price for all tokens together."""
    costs = workload(read(busy_host.view()), "search-rerank").models[0].unit_costs
    assert costs["token"].allocated
    assert costs["input_token"].why == "The server does not say how long it prefilled and decoded."


def test_a_run_that_is_not_its_workloads_only_one_shows_its_own_epoch() -> None:
    """The workload's figure is of its latest run."""
    named = (workload_rule("tuner", endpoint=True),)
    watched = Watched(Site(rules(workloads=named)))
    jobs = [
        watched.site.host.train("tuner", name, cores=share)
        for name, share in (("a", 0.2), ("bb", 1.0))
    ]
    watched.settle()

    def work() -> None:
        for job in jobs:
            job.steps += 1
            if job.steps % 5 == 0:
                job.end_epoch(watched.site.host.clock.wall_ns)

    watched.tick(21, work=work)
    live = document(watched.view())
    epochs = {run.run: run.epoch_cost.allocated for run in live.runs}
    parts = {run.run: run.epoch_part for run in live.runs}
    assert epochs == parts
    assert epochs["a"] != epochs["bb"]
