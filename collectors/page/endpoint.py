"""One metrics endpoint over time: what is remembered of it, and what a reading of it says."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from unitcost.collectors.address import is_loopback, parse_url
from unitcost.collectors.base import Problem, Reading, Target
from unitcost.collectors.page.readout import (
    COUNTERS,
    NO_BIRTH,
    Birth,
    Field,
    Key,
    Readout,
    Value,
)
from unitcost.collectors.page.standstill import Standstill
from unitcost.collectors.page.table_reading import MAX_KEYS, MAX_TENANT_KEYS
from unitcost.collectors.page.tenant_names import tenant_name
from unitcost.pricing.sample import (
    NS_PER_SECOND,
    Kind,
    Layer,
    Quantity,
    Sample,
    Source,
    Subject,
)

ROLES = {
    "": frozenset[str](),
    "prefill": frozenset(
        {
            "requests_succeeded",
            "requests_failed",
            "requests_aborted",
            "tokens_output",
            "decode_seconds",
            "request_seconds",
            "requests_timed",
            "failed_seconds",
            "aborted_seconds",
        }
    ),
    "decode": frozenset({"tokens_input", "tokens_cached_input", "prefill_seconds"}),
}
"""Fields that are left out where a server does one part of each request: the other one has them."""
MAX_REMEMBERED = (MAX_KEYS + MAX_TENANT_KEYS) * len(COUNTERS)
"""Differences of one endpoint that are kept from falling: all that one reading can have."""
CLOCK_SLACK_NS = 5 * NS_PER_SECOND
START_JITTER = 2.0
"""Seconds: starts that are less apart are mostly one; some servers work theirs out every time."""


TenantNames = Mapping[str, str | None]
"""What each value of a tenant's label is called; None for one that must not be shown."""


@dataclass(frozen=True, slots=True)
class Instant:
    """When a body had arrived, on both clocks."""

    mono_ns: int
    wall_ns: int


def _mark(*how: object) -> str:
    """A short text that is another for every other way of reading."""
    return hashlib.blake2s(repr(how).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class _Life:
    """One life of the server behind an endpoint: from a start of its counters to the next."""

    birth: Birth
    first: Instant
    last: Instant


@dataclass(slots=True)
class Endpoint:
    """A target and what was seen of it before. Used by one thread at a time."""

    target: Target
    local: bool = False
    model: str = ""
    life: _Life | None = None
    muted: frozenset[Field] = frozenset()
    layer: Layer = Layer.ENGINE
    claims: frozenset[Quantity] = frozenset()
    reading: str = ""
    tenancy: str = ""
    highest: dict[tuple[Field, Key], Value] = field(default_factory=dict)
    standstill: Standstill = field(default_factory=Standstill)

    @property
    def id(self) -> str:
        """The subject's id."""
        return self.target.id

    @property
    def port(self) -> int | None:
        """The TCP port, if the server is on this host."""
        try:
            place = parse_url(self.target.url)
        except ValueError:
            return None
        return place.port if self.local or is_loopback(place.host) else None

    def down(self, problem: Problem, *, ready: bool = False) -> Reading:
        """What to say where nothing could be used: the subject is down, and why."""
        return Reading(subjects=(self._subject(up=False, ready=ready),), problems=(problem,))

    def read(self, readout: Readout, at: Instant) -> Reading:
        """Turn what a table found into samples and the subject they are about."""
        life = self._next_life(readout.birth, at)
        if life is None:
            detail = "several servers answer on this address: name each one's own"
            return self.down(Problem("replicas", f"{self.target.url}: {detail}"), ready=True)
        fresh = self.life is None or life.birth != self.life.birth
        if fresh:
            # A counter that cannot be read at first sight is left out for good: later it would
            # look as if it had been absent, that is zero, before.
            self.muted = frozenset(readout.unusable)
            self.highest.clear()
            self.standstill.start(seen=self.life is not None)
        self.life = life
        self.layer = readout.layer
        self.reading = _mark(readout.table, self.target.role, sorted(f.name for f in self.muted))
        self.tenancy = _mark(readout.tenant_label, sorted(self.target.tenant_names.items()))
        left_out = ROLES[self.target.role]
        self.claims = frozenset(
            field.quantity
            for field in readout.values.keys() | readout.declared
            if field not in self.muted and field.name not in left_out
        )
        names = self._tenant_names(readout)
        samples = tuple(self._samples(readout, names, at.mono_ns))
        self.model = self._model(samples)
        running = [s.value for s in samples if s.quantity is Quantity.REQUESTS_RUNNING]
        subject = self._subject(up=True, ready=True, running=any(running) if running else None)
        return Reading(samples, (subject,), problems=tuple(self._problems(readout, names)))

    def _next_life(self, birth: Birth | None, at: Instant) -> _Life | None:
        """The life this reading belongs to; None if it can be neither the last nor a new one.

        A server that started anew did so after it was last read. One with another start before
        that is another server behind the same address, and its whole history would count as new.
        """
        life = self.life
        if life is None:
            return _Life(birth or NO_BIRTH, at, at)
        same = _Life(life.birth, life.first, at)
        if birth is None or not birth.mark or birth.at is None:
            return same
        born_ns, earliest = birth.at * NS_PER_SECOND, self._earliest_restart(life)
        apart = math.inf if life.birth.at is None else birth.at - life.birth.at
        if abs(apart) < START_JITTER and (born_ns < earliest or _whole(apart)):
            return same
        if born_ns >= earliest - CLOCK_SLACK_NS:
            return _Life(birth, at, at)
        return None if life.birth.mark else same

    def _earliest_restart(self, life: _Life) -> float:
        """When a next life can have begun, on the clock of the server's host."""
        if self.port is not None or life.birth.at is None:
            return life.last.wall_ns  # its clock is ours, or we have nothing better
        return life.birth.at * NS_PER_SECOND + (life.last.mono_ns - life.first.mono_ns)

    def _samples(self, readout: Readout, names: TenantNames, mono_ns: int) -> Iterator[Sample]:
        """Samples of all values that are counted here, and beside them those of each tenant."""
        for values in (self.standstill.values(readout), self._tenants(readout, names)):
            for what, each in values.items():
                if what not in self.muted and what.name not in ROLES[self.target.role]:
                    for key, found in each.items():
                        yield from self._sample(what, key, found, mono_ns)

    def _tenants(self, readout: Readout, names: TenantNames) -> dict[Field, dict[Key, Value]]:
        """The tenants' values under the tenants' names; two that are called the same are one."""
        named: dict[Field, dict[Key, Value]] = {}
        for what, values in readout.tenants.items():
            sums = named.setdefault(what, {})
            for key, found in values.items():
                name = names[key.tenant]
                if name:
                    called = replace(key, tenant=name)
                    sums[called] = sums[called].plus(found) if called in sums else found
        return named

    def _tenant_names(self, readout: Readout) -> TenantNames:
        """What each value of the label is called; None for one that must not be shown."""
        found = {key.tenant for values in readout.tenants.values() for key in values}
        return {value: tenant_name(value, self.target.tenant_names) for value in found}

    def _sample(self, what: Field, key: Key, found: Value, mono_ns: int) -> Iterator[Sample]:
        """The sample of a value; none of a model that is not counted here."""
        model = key.model or self.target.model
        if self.target.models and model not in self.target.models:
            return
        value = self._rising(what, key, found)
        yield Sample(
            subject=self.id,
            quantity=what.quantity,
            value=value.value,
            mono_ns=mono_ns,
            kind=what.kind,
            label=what.label,
            model=model,
            part=key.part,
            tenant=key.tenant,
            source=Source.COUNTER if value.minuend is None else Source.DERIVED,
        )

    def _rising(self, what: Field, key: Key, value: Value) -> Value:
        """Keep a difference of two counters from falling while the first of them does not.

        The server counts them at different instants; a fall would be taken for a restart.
        """
        if value.minuend is None or what.kind is not Kind.COUNTER:
            return value
        last = self.highest.pop((what, key), None)  # what was read last is dropped last
        if last is not None and value.minuend >= (last.minuend or 0.0):
            value = Value(max(value.value, last.value), value.minuend)
        self.highest[what, key] = value
        if len(self.highest) > MAX_REMEMBERED:
            del self.highest[next(iter(self.highest))]
        return value

    def _model(self, samples: Iterable[Sample]) -> str:
        """The one model the server has; empty where there are several, or none is known."""
        models = {sample.model for sample in samples if sample.kind is Kind.COUNTER}
        return models.pop() if len(models) == 1 else "" if models else self.target.model

    def _subject(self, *, up: bool, ready: bool, running: bool | None = None) -> Subject:
        born = self.life.birth if self.life else NO_BIRTH
        return Subject(
            id=self.id,
            workload=self.target.workload,
            kind=self.target.kind,
            model=self.model if self.life else self.target.model,
            port=self.port,
            up=up,
            ready=ready,
            running=running,
            born_wall_ns=self._born_wall_ns(born),
            generation=born.mark,
            layer=self.target.layer or self.layer,
            claims=self.claims,
            pod=self.target.pod,
            fallback=self.target.fallback,
            reading=self.reading,
            tenancy=self.tenancy,
        )

    def _born_wall_ns(self, born: Birth) -> int | None:
        """The birth in nanoseconds, if it lies in the past."""
        if born.at is None or self.life is None or not math.isfinite(born.at) or born.at <= 0:
            return None
        nanoseconds = round(born.at * 10**6) * 1000  # a float holds no more of today's date
        return nanoseconds if nanoseconds <= self.life.first.wall_ns + NS_PER_SECOND else None

    def _problems(self, readout: Readout, names: TenantNames) -> Iterator[Problem]:
        url = self.target.url
        for reason in readout.unusable.values():
            yield Problem("malformed", f"{url}: {reason}")
        for what in sorted(item.name for item in self.muted - readout.unusable.keys()):
            yield Problem("muted", f"{url}: {what} is left out until the server starts anew")
        if None in names.values():
            yield Problem("nameless_tenant", f"{url}: a tenant's label holds a key or its hash")
        if readout.dropped:
            yield Problem("too_many_models", f"{url}: some models are left out")


def _whole(seconds: float) -> bool:
    """Whether two starts so far apart are one that was worked out twice.

    From a boot time that the kernel tells in whole seconds, or an uptime of whole seconds. A server
    that starts quickly can be back in less time, but hardly in so many whole ones.
    """
    return abs(seconds - round(seconds)) < 0.02
