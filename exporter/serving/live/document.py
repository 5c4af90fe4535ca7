"""The live page's document, made from what the last tick left."""

import itertools
import math

import msgspec

from unitcost.exporter.serving.live.budgets import budgets
from unitcost.exporter.serving.live.health import collectors, devices, ledger, notices
from unitcost.exporter.serving.live.history import GROUPS, SPAN_NS, Past
from unitcost.exporter.serving.live.points import Points, Rates, shown
from unitcost.exporter.serving.live.prices import price
from unitcost.exporter.serving.live.runs import runs
from unitcost.exporter.serving.live.shape import FORMAT, History, Host, Live, Now, Price
from unitcost.exporter.serving.live.units import Costs
from unitcost.exporter.serving.live.view import View
from unitcost.exporter.serving.live.workloads import HOUR, Rows, why_no_rate
from unitcost.exporter.settling.batch import Moment
from unitcost.pricing.money import PICO
from unitcost.pricing.sample import NS_PER_SECOND


def encode(view: View) -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(document(view))


def document(view: View) -> Live:
    """Everything that the page shows; its size is bounded whatever the snapshot holds."""
    points, past, about = Points(view.snapshot.points), view.past, view.about
    rates, costs = Rates(points, past), Costs(points, past, about)
    rows = Rows(points, rates, costs)
    workloads, more_workloads = rows.all()
    the_runs, more_runs = runs(points, costs)
    the_budgets, more_budgets = budgets(points)
    the_devices, more_devices = devices(points)
    the_collectors, more_collectors = collectors(points)
    its_price = price(points, about, view.snapshot.wall_ns)
    totals = points.of("unitcost_resource_cost_usd_total")
    corrections = points.of("unitcost_cost_correction_usd")
    grams = points.of("unitcost_emissions_grams_total")
    return Live(
        format=FORMAT,
        tick=view.tick,
        at=seconds(view.snapshot.wall_ns),
        ready=about.ready,
        reason=about.reason,
        host=_host(view, points),
        price=its_price,
        now=_now(rates, rows, its_price),
        history=_history(past, about.time_scale),
        usd_total=math.fsum(totals.values()) if totals else None,
        correction_usd=math.fsum(corrections.values()) if corrections else None,
        hour_ago=None if costs.hour_ago_ns is None else seconds(costs.hour_ago_ns),
        workloads=workloads,
        more_workloads=more_workloads,
        runs=the_runs,
        more_runs=more_runs,
        budgets=the_budgets,
        more_budgets=more_budgets,
        devices=the_devices,
        more_devices=more_devices,
        host_power_watts=points.one("unitcost_host_power_watts"),
        emissions_grams=math.fsum(grams.values()) if grams else None,
        collectors=the_collectors,
        more_collectors=more_collectors,
        ledger=ledger(points),
        notices=notices(points, about, its_price, the_budgets),
    )


def seconds(ns: int) -> float:
    """Nanoseconds as seconds, to the millisecond."""
    return round(ns / NS_PER_SECOND, 3)


def _host(view: View, points: Points) -> Host:
    return Host(
        name=shown(view.about.name),
        scope=view.about.scope,
        version=view.about.version,
        period_seconds=view.about.period_seconds,
        window_seconds=points.one("unitcost_window_seconds"),
    )


def _now(rates: Rates, rows: Rows, price: Price) -> Now:
    by_group = rows.by_group()
    known = any(value is not None for value in by_group.values())
    why = "" if known else why_no_rate(rates, there=True) or price.why
    return Now(seconds=rates.seconds, usd_per_hour=by_group if known else {}, why=why)


def _history(past: Past, time_scale: float) -> History:
    moments = past.moments
    found: dict[str, tuple[float | None, ...]] = {}
    for number, group in enumerate(GROUPS):
        if any(each.pico[number] for each in moments):
            found[group] = tuple(
                _hourly(one, other, number) for one, other in itertools.pairwise(moments)
            )
    times = tuple(seconds(each.at_ns) for each in moments)
    span = SPAN_NS / NS_PER_SECOND / time_scale
    return History(span_seconds=span, times=times, usd_per_hour=found)


def _hourly(one: Moment, other: Moment, group: int) -> float | None:
    """USD an hour between two moments; None unless a price held at both."""
    if not (one.priced and other.priced):
        return None
    usd = (other.pico[group] - one.pico[group]) / PICO
    return usd / ((other.at_ns - one.at_ns) / NS_PER_SECOND) * HOUR
