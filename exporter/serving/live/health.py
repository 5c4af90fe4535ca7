"""How this exporter is doing, and what a person should know, in words."""

from collections.abc import Iterator, Sequence

from unitcost.exporter.serving.live.budgets import notices as spent
from unitcost.exporter.serving.live.drift import notices as drifts
from unitcost.exporter.serving.live.points import Points
from unitcost.exporter.serving.live.shape import Budget, Collector, Device, Ledger, Notice, Price
from unitcost.exporter.serving.live.view import About

MAX_COLLECTORS = 40
MAX_DEVICES = 40
BAD, WARN, NOTE = "bad", "warn", "note"
_OF_GAPS = {
    "carried": "charged to whoever held things before and after",
    "unmetered": "charged to nobody (__unmetered__)",
    "down": "in which this owned host was off, amortised",
    "unknown": "in which the host may have been off, not charged",
}


def collectors(points: Points) -> tuple[tuple[Collector, ...], int]:
    """All collectors, failing ones first, and how many are left out."""
    last = points.of("unitcost_collector_last_success_timestamp_seconds")
    seconds = points.of("unitcost_collector_duration_seconds")
    errors: dict[str, dict[str, float]] = {}
    for (name, kind), count in points.of("unitcost_collector_errors_total").items():
        errors.setdefault(name, {})[kind] = count
    states = points.of("unitcost_collector_up")
    names = sorted(states, key=lambda key: (states[key] > 0, key))
    found = [
        Collector(
            name=key[0],
            up=states[key] > 0,
            last_success=last.get(key),
            seconds=seconds.get(key),
            errors=errors.get(key[0], {}),
        )
        for key in names[:MAX_COLLECTORS]
    ]
    return tuple(found), len(names) - len(found)


def devices(points: Points) -> tuple[tuple[Device, ...], int]:
    """All accelerators, and how many are left out."""
    states = points.of("unitcost_device_up")
    found = [_device(points, labels) for labels in sorted(states)[:MAX_DEVICES]]
    return tuple(found), len(states) - len(found)


def _device(points: Points, labels: tuple[str, ...]) -> Device:
    power = points.of("unitcost_device_power_watts")
    throttled = points.of("unitcost_device_throttling")
    device, product, _ = labels
    return Device(
        device=device,
        product=product,
        up=points.of("unitcost_device_up")[labels] > 0,
        utilization=points.of("unitcost_device_utilization_ratio").get(labels),
        memory_used_bytes=points.of("unitcost_device_memory_used_bytes").get(labels),
        memory_total_bytes=points.of("unitcost_device_memory_total_bytes").get(labels),
        power_watts=next((watts for key, watts in power.items() if key[0] == device), None),
        throttled_by=tuple(key[1] for key, flag in throttled.items() if key[0] == device and flag),
    )


def ledger(points: Points) -> Ledger:
    """How the ledger is doing."""
    writable = points.one("unitcost_ledger_writable")
    return Ledger(
        writable=None if writable is None else writable > 0,
        last_commit=points.one("unitcost_ledger_last_commit_timestamp_seconds"),
        size_bytes=points.one("unitcost_ledger_size_bytes"),
        residual_usd=points.one("unitcost_conservation_residual_usd"),
        gaps={kind: value for (kind,), value in points.of("unitcost_gap_seconds_total").items()},
    )


def notices(
    points: Points, about: About, price: Price, budgets: Sequence[Budget]
) -> tuple[Notice, ...]:
    """What a person should know, worst first."""
    found = [*_of_ledger(points), *_of_price(about, price), *_of_reading(points)]
    found += [*drifts(points), *spent(budgets), *_of_telling(points)]
    found += [*_of_workloads(points, about), *_of_time(points)]
    order = (BAD, WARN, NOTE)
    return tuple(sorted(found, key=lambda each: order.index(each.level)))


def _of_ledger(points: Points) -> Iterator[Notice]:
    if points.one("unitcost_ledger_writable") == 0:
        text = "The ledger cannot be written. What is charged meanwhile is held, and totals and "
        yield Notice(
            level=BAD,
            key="ledger",
            title="Ledger",
            text=f"{text}unit costs here stand still until then.",
        )
    if points.one("unitcost_conservation_residual_usd"):
        text = "The charges do not sum to what the host cost. This is a defect of unitcost."
        yield Notice(level=BAD, key="conservation", title="Defect", text=text)
    if points.one("unitcost_ledger_set_aside_total"):
        text = "A damaged ledger was set aside since the start; its file is kept."
        yield Notice(level=WARN, key="set_aside", title="Ledger", text=text)
    if points.one("unitcost_tick_failures_total"):
        text = (
            "Settling failed at some ticks since the start, by a defect of unitcost: see its log."
        )
        yield Notice(level=WARN, key="ticks", title="Defect", text=text)


def _of_price(about: About, price: Price) -> Iterator[Notice]:
    if price.usd_per_hour is None and price.resources and about.scope != "units":
        text = (
            f"This host has no price. {price.why} Time and units are counted; dollars are unknown."
        )
        partly = any(each.usd_total for each in price.resources)
        if about.price.owned is not None:
            text = f"A part of this host's cost is unknown, and in no figure here. {price.why}"
        elif partly:
            text += " Dollars so far are of the time in which it had one."
        yield Notice(level=WARN, key="unpriced", title="Unpriced", text=text)


def _of_reading(points: Points) -> Iterator[Notice]:
    down = sorted(key[0] for key, up in points.of("unitcost_collector_up").items() if not up)
    if down:
        names = ", ".join(name for name in down[:5]) + (", …" if len(down) > 5 else "")
        text = f"Cannot be read now: {names}. Who held what there goes on as it was last."
        yield Notice(level=WARN, key=f"collectors {names}", title="Collectors", text=text)
    lost = sorted(key[0] for key, up in points.of("unitcost_device_up").items() if not up)
    for device in lost[:5]:
        text = f"{device} does not answer: it fell off the bus."
        yield Notice(level=BAD, key=f"lost {device}", title="Accelerators", text=text)
    if unresolved := points.one("unitcost_unresolved_grants"):
        text = f"{unresolved:g} devices that the kubelet gave away are not seen by any collector."
        yield Notice(
            level=WARN,
            key="grants",
            title="Accelerators",
            text=f"{text} Nobody is charged for them.",
        )


def _of_telling(points: Points) -> Iterator[Notice]:
    for (channel,), count in points.of("unitcost_notifications_waiting").items():
        if count:
            text = f"{count:g} for {channel} could not be delivered yet."
            yield Notice(level=WARN, key=f"waiting {channel}", title="Messages", text=text)


def _of_workloads(points: Points, about: About) -> Iterator[Notice]:
    if about.ready and not points.of("unitcost_workload_info"):
        text = "No workload is known yet. Servers and training jobs that unitcost recognises appear"
        text += " by themselves; others are named in the configuration under workloads."
        yield Notice(level=NOTE, key="no workloads", text=text)


def _of_time(points: Points) -> Iterator[Notice]:
    gaps = points.of("unitcost_gap_seconds_total")
    said = []
    for (kind,), seconds in gaps.items():
        if seconds > 0:
            words = _OF_GAPS.get(kind, f"({kind})")
            said.append(f"{lasting(seconds)} {words}")
    if said:
        text = f"In all, this exporter was not metering for: {'; '.join(said)}."
        yield Notice(level=NOTE, key="gaps", text=text)
    if steps := points.one("unitcost_clock_steps_total"):
        text = f"The wall clock was set {steps:g} time{'s' if steps != 1 else ''} since the start; "
        yield Notice(level=NOTE, key="clock", text=f"{text}what is charged does not follow it.")


def lasting(seconds: float) -> str:
    """About how long, as a person says it."""
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g} {name}"
    return f"{seconds:.2g} s"
