"""Units counted: from servers' and training runs' samples to what each account did.

Differences are taken for each replica and engine first and then summed, so that one that comes,
goes or restarts moves nothing but its own part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from unitcost.pricing import layers
from unitcost.pricing.layers import Authority, Claim, Counted, LayeredKey
from unitcost.pricing.meter import Event, Point, read_counter
from unitcost.pricing.sample import Kind, Layer, Outcome, Quantity, Sample, Source, Subject
from unitcost.pricing.timeline import ClockReading
from unitcost.pricing.unit_points import (
    Seen,
    Series,
    UnitMeter,
    before_round,
    seen_now,
    with_earlier_claims,
    with_gone,
    without_oldest,
)
from unitcost.pricing.workload import Account

TenantKey = tuple[Account, str, Quantity, str]
"""Account, tenant, quantity and label."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a tick counted, the gauges beside it, and how often each event happened.

    `units` is what is billed, `by_layer` what each layer that counts the same work counted of it,
    `tenants` the parts of `units` that are known to be somebody's. `authority`: who is billed.
    """

    meter: UnitMeter
    units: Counted
    gauges: Counted
    events: Mapping[Event, int]
    by_layer: Mapping[LayeredKey, int] = field(default_factory=dict)
    tenants: Mapping[TenantKey, int] = field(default_factory=dict)
    authority: Authority = field(default_factory=dict)


def account_of(subject: Subject, model: str = "") -> Account:
    """The account a subject's units and costs are booked on; a reserved one has no parts."""
    account = Account(subject.workload, subject.model or model, subject.run, subject.attempt)
    return Account(subject.workload) if account.reserved else account


def count(
    meter: UnitMeter,
    subjects: Iterable[Subject],
    samples: Iterable[Sample],
    metered_since_wall_ns: int,
    clock: ClockReading,
    unbilled: Set[str] = frozenset(),
) -> Count:
    """Take one round of samples; nothing is billed at first sight unless birth is proven.

    Birth is proven by the subject (`born_wall_ns` inside our metered time), or by having read the
    same subject in the same way before without the counter: it was absent then, so it was zero. A
    subject that did not answer, or is gone, keeps its points; they are dropped by `forget`. Of a
    series that is given twice the first reading counts. `clock`: the clocks of this tick.
    `unbilled`: ids of subjects whose counters are only followed, because others count the same.
    """
    everyone = list(subjects)
    known = {subject.id: subject for subject in everyone if subject.up}
    before = before_round(meter, everyone)
    meter = before.meter
    points = dict(meter.points)
    seen = {name: seen_now(subject, meter.seen.get(name), clock) for name, subject in known.items()}
    round_ = _Round()
    events: dict[Event, int] = {}
    fresh: set[Series] = set()
    for sample in samples:
        subject = known.get(sample.subject)
        if subject is None:
            continue
        if sample.kind is Kind.GAUGE:
            if subject.id not in unbilled:
                round_.gauge(subject, sample)
            continue
        series = _series_of(sample)
        if series in fresh:
            events[Event.DUPLICATE] = events.get(Event.DUPLICATE, 0) + 1
            continue
        fresh.add(series)
        point, usage = read_counter(
            meter.points.get(series),
            sample.value,
            sample.mono_ns,
            generation=seen[subject.id].generation,
            born=before.born(subject, seen[subject.id], sample.tenant, metered_since_wall_ns),
            wraps_at=sample.wraps_at,
            derived=sample.source is Source.DERIVED,
        )
        if point is not None:
            points[series] = point
        events[usage.event] = events.get(usage.event, 0) + 1
        if subject.id not in unbilled:
            round_.count(subject, sample, usage.micro)
    served = {each.subject for each in fresh & points.keys() if _has_served(each, points[each])}
    for name in known.keys() - served:
        seen[name] = with_earlier_claims(seen[name], meter.seen.get(name))
    after = UnitMeter(without_oldest(points, fresh), with_gone({**meter.seen, **seen}, everyone))
    return round_.billed(after, everyone, fresh, events)


def _series_of(sample: Sample) -> Series:
    return Series(
        sample.subject,
        sample.quantity,
        sample.label,
        sample.model,
        sample.part,
        sample.tenant,
    )


@dataclass(slots=True)
class _Round:
    """What is counted in one round, before it is said which layer is billed."""

    units: dict[LayeredKey, int] = field(default_factory=dict)
    gauges: dict[LayeredKey, int] = field(default_factory=dict)
    tenants: dict[tuple[Layer, TenantKey], int] = field(default_factory=dict)

    def gauge(self, subject: Subject, sample: Sample) -> None:
        _add(self.gauges, _layered(subject, sample), round(sample.value * 10**6))

    def count(self, subject: Subject, sample: Sample, micro: int) -> None:
        key = _layered(subject, sample)
        if not sample.tenant:
            _add(self.units, key, micro)
        elif micro:
            layer, account, quantity, label = key
            theirs = (layer, (account, sample.tenant, quantity, label))
            self.tenants[theirs] = self.tenants.get(theirs, 0) + micro

    def billed(
        self,
        meter: UnitMeter,
        subjects: Sequence[Subject],
        fresh: Set[Series],
        events: Mapping[Event, int],
    ) -> Count:
        """The count, by the layers that are billed."""
        authority = layers.authority_of(_claims(subjects, meter.seen))
        models = _models(meter, subjects, fresh) if _has_layers(subjects, meter.seen) else {}
        billing = layers.billing(authority, models)
        tenants: dict[TenantKey, int] = {}
        for (layer, (account, tenant, quantity, label)), micro in self.tenants.items():
            booked = billing.account(layer, account, quantity)
            if booked is not None:
                key = (booked, tenant, quantity, label)
                tenants[key] = tenants.get(key, 0) + micro
        return Count(
            meter,
            layers.billed_by(billing, self.units),
            layers.billed_by(billing, self.gauges),
            events,
            by_layer=self.units,
            tenants=tenants,
            authority=authority,
        )


def _layered(subject: Subject, sample: Sample) -> LayeredKey:
    account = account_of(subject, sample.model)
    return subject.layer, account, sample.quantity, sample.label


def _add(sums: dict[LayeredKey, int], key: LayeredKey, micro: int) -> None:
    sums[key] = sums.get(key, 0) + micro


def _claims(subjects: Iterable[Subject], seen: Mapping[str, Seen]) -> Iterator[Claim]:
    """What all subjects count: those that do not answer, what they said before."""
    for subject in subjects:
        last = seen.get(subject.id)
        if last is not None and last.claims:
            yield Claim(subject.workload, last.layer, last.claims)


def _has_layers(subjects: Iterable[Subject], seen: Mapping[str, Seen]) -> bool:
    return any(each.id in seen and seen[each.id].layer is not Layer.ENGINE for each in subjects)


def _has_served(series: Series, point: Point) -> bool:
    if series.quantity is Quantity.REQUESTS:
        return series.label == Outcome.SUCCEEDED and point.micro > 0
    return series.quantity in (Quantity.TOKENS, Quantity.PHASE_SECONDS) and point.micro > 0


def _models(
    meter: UnitMeter, subjects: Iterable[Subject], fresh: Set[Series]
) -> dict[tuple[str, Layer], set[str]]:
    """The names each layer of each workload has for models that served anything.

    A client can make up names of models that fail, but none that succeeds. Those are of the series
    that were read now (`fresh`): a model that another took the place of is there no more. Where a
    subject has shown none yet, or does not answer, they are those of before.
    """
    known = {subject.id: subject for subject in subjects if subject.id in meter.seen}
    now: dict[str, set[str]] = {}
    before: dict[str, set[str]] = {}
    for series, point in meter.points.items():
        subject = known.get(series.subject)
        if subject is not None and _has_served(series, point):
            names = now if series in fresh else before
            names.setdefault(subject.id, set()).add(subject.model or series.model)
    found: dict[tuple[str, Layer], set[str]] = {}
    for name in now.keys() | before.keys():
        place = (known[name].workload, meter.seen[name].layer)
        found.setdefault(place, set()).update(now.get(name) or before[name])
    return found
