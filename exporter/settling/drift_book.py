"""Drift of each workload and model: what every five minutes came to, against the weeks before.

What a slot came to goes into the ledger when it is over, with the batch of that tick, and so does
what is remembered of each factor. A tick belongs to the slot in which it began, whole.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import SlotRow, WatchRow
from unitcost.exporter.settling.books import Books
from unitcost.pricing.charge import Posting
from unitcost.pricing.drift import Sums, together
from unitcost.pricing.drift_training import as_requests, trained, training_rules
from unitcost.pricing.drift_watch import (
    SLOTS_PER_HOUR,
    WEEKS,
    Memory,
    Verdict,
    WatchRules,
    baseline_slots,
    default_limits,
    watch,
)
from unitcost.pricing.layers import Counted
from unitcost.pricing.sample import Outcome, Phase, Quantity, TokenType
from unitcost.pricing.workload import RESERVED, WorkloadKind

MAX_WATCHED = 512
"""Workloads and models that are watched at a time; one more has no drift of its own."""
STALE_SLOTS = 2
"""A verdict this old is not shown any more."""
Key = tuple[str, str]
"""Workload and model."""
COUNTED: Mapping[tuple[Quantity, str], tuple[str, ...]] = {
    (Quantity.REQUESTS, Outcome.SUCCEEDED): ("succeeded", "attempted"),
    (Quantity.REQUESTS, Outcome.FAILED): ("attempted",),
    (Quantity.REQUESTS, Outcome.ABORTED): ("attempted",),
    (Quantity.TOKENS, TokenType.INPUT): ("input",),
    (Quantity.TOKENS, TokenType.OUTPUT): ("output",),
    (Quantity.PHASE_SECONDS, Phase.PREFILL): ("prefill",),
    (Quantity.PHASE_SECONDS, Phase.DECODE): ("decode",),
}
"""Which sums a counted quantity goes into."""
TRAINED: Mapping[tuple[Quantity, str], tuple[str, ...]] = {
    (Quantity.STEPS, ""): ("succeeded", "attempted"),
    (Quantity.TOKENS, TokenType.INPUT): ("input",),
    (Quantity.SAMPLES, ""): ("output",),
}
"""The same for training (`drift_training.counted`)."""
REQUEST = "request"


@dataclass(slots=True)
class Watching:
    """One workload and model: its slots of the last hour, and what the last one came to.

    `unit`: what its cost is of.
    """

    slots: deque[tuple[int, Sums]] = field(default_factory=lambda: deque(maxlen=SLOTS_PER_HOUR))
    memory: Memory = field(default_factory=dict)
    verdict: Verdict | None = None
    judged: int = 0
    unit: str = REQUEST

    @property
    def last_slot(self) -> int:
        """When something was seen of it last; before all others where that is not known."""
        return self.slots[-1][0] if self.slots else -1


@dataclass(slots=True)
class DriftBook:
    """Adds up slots and judges them. `frozen`: pico-dollars and millionths of resource-seconds.

    The price of each resource is frozen as it was first seen, so that the sums of time in dollars
    change with time alone. `slot_ns` is the length of a slot on this exporter's scale of time.
    """

    slot_ns: int
    rules: WatchRules = field(default_factory=lambda: WatchRules(default_limits()))
    training: WatchRules = field(default_factory=training_rules)
    frozen: dict[str, tuple[int, int]] = field(default_factory=dict)
    watched: dict[Key, Watching] = field(default_factory=dict)
    open: dict[Key, dict[str, int]] = field(default_factory=dict)
    slot: int | None = None

    def resume(self, slots: Iterable[SlotRow], watches: Iterable[WatchRow]) -> None:
        """Go on from what the ledger holds."""
        for row in sorted(slots, key=lambda each: each.start_ns):
            watching = self.watched.setdefault((row.workload, row.model), Watching())
            watching.slots.append((row.start_ns // self.slot_ns, row.sums))
        for each in watches:
            watching = self.watched.setdefault((each.workload, each.model), Watching())
            watching.memory = each.memory

    def charge(
        self, posting: Posting, unmetered: frozenset[Key], is_hourly: Callable[[str], bool]
    ) -> None:
        """Add what was charged to workloads; nothing of one that has time without a price.

        `is_hourly`: whether the rows of a price are of time, and not of energy.
        """
        self._freeze(posting, is_hourly)
        timed = (key for key in posting.accruals if is_hourly(key.price))
        first = next((key.component for key in timed), None)
        unpriced = {
            (key.account.workload, key.account.model)
            for key, amount in posting.charges.items()
            if amount.pico is None
        }
        for key, amount in posting.charges.items():
            account = key.account
            name = account.workload, account.model
            if account.workload in RESERVED or name in unpriced or name in unmetered:
                continue
            sums = self.open.setdefault(name, {})
            sums["cost"] = sums.get("cost", 0) + (amount.pico or 0)
            if key.component is first and is_hourly(key.price) and key.resource in self.frozen:
                pico, quantity = self.frozen[key.resource]
                held = amount.quantity * pico // quantity
                state = str(key.state)
                sums[state] = sums.get(state, 0) + held

    def _freeze(self, posting: Posting, is_hourly: Callable[[str], bool]) -> None:
        """Keep the first price of each resource, all its components together."""
        timed = {key.resource for key in posting.accruals if is_hourly(key.price)}
        for resource in timed - self.frozen.keys():
            own = {key: row for key, row in posting.accruals.items() if key.resource == resource}
            rows = own.values()
            quantity = max(row.quantity for key, row in own.items() if is_hourly(key.price))
            if quantity > 0 and all(row.pico is not None for row in rows):
                self.frozen[resource] = sum(row.pico or 0 for row in rows), quantity

    def end(
        self, books: Books, units: Counted, unmetered: frozenset[Key], start_ns: int, end_ns: int
    ) -> None:
        """End a tick: count its units, and judge the slot if it is over."""
        for (account, quantity, label), micro in units.items():
            key = account.workload, account.model
            if key not in self.open or key in unmetered:
                continue
            table = TRAINED if _is_training(books, key) else COUNTED
            if names := table.get((quantity, label)):
                sums = self.open[key]
                for name in names:
                    sums[name] = sums.get(name, 0) + micro
        slot = start_ns // self.slot_ns
        if end_ns // self.slot_ns != slot:
            self._close(books, slot)
        elif self.slot is not None and self.slot != slot:
            self.open.clear()
        self.slot = end_ns // self.slot_ns

    def _close(self, books: Books, slot: int) -> None:
        """Put the slot away and judge everybody who did something in it."""
        closed = {key: _sums(each) for key, each in self.open.items()}
        self.open = {}
        start_ns = slot * self.slot_ns
        for key, sums in closed.items():
            if not self._room_for(key, closed):
                continue
            self.watched.setdefault(key, Watching()).slots.append((slot, sums))
            books.pending.slots.append(SlotRow(*key, start_ns, sums))
        busy = [
            key for key, sums in closed.items() if key in self.watched and _done(books, key, sums)
        ]
        if busy:
            self._judge(books, slot, busy)

    def _judge(self, books: Books, slot: int, keys: Sequence[Key]) -> None:
        lengths = sorted({limit.slots for limit in self.rules.limits.values()} | {SLOTS_PER_HOUR})
        found = {length: self._baselines(books, slot, length) for length in lengths}
        for key in keys:
            watching = self.watched[key]
            recent = _hour(watching.slots, slot)
            own = {length: sums.get(key, Sums()) for length, sums in found.items()}
            rules = self.rules
            if _is_training(books, key):
                by = trained(together(recent), own[SLOTS_PER_HOUR])
                if by is None:
                    continue
                recent = [as_requests(sums, by) for sums in recent]
                own = {length: as_requests(sums, by) for length, sums in own.items()}
                rules, watching.unit = self.training, str(by.unit)
            verdict = watch(rules, watching.memory, slot, recent, own.__getitem__)
            watching.memory, watching.verdict, watching.judged = verdict.memory, verdict, slot
            books.pending.watches[key] = WatchRow(*key, verdict.memory)

    def _baselines(self, books: Books, slot: int, length: int) -> Mapping[Key, Sums]:
        """Of past weeks together; of yesterday for those that were not there a week ago."""
        weeks = books.history(self._spans(baseline_slots(slot, length, WEEKS)))
        day = books.history(self._spans(baseline_slots(slot, length, 0)))
        return {**day, **{key: sums for key, sums in weeks.items() if _done(books, key, sums)}}

    def _spans(self, slots: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(first * self.slot_ns, end * self.slot_ns) for first, end in slots]

    def fresh(self) -> dict[Key, tuple[str, Verdict]]:
        """The verdicts that are still of now, and what the cost is of."""
        now = self.slot or 0
        return {
            key: (each.unit, each.verdict)
            for key, each in self.watched.items()
            if each.verdict is not None and now - each.judged <= STALE_SLOTS
        }

    def _room_for(self, key: Key, busy: Container[Key]) -> bool:
        """Whether one can be watched; whoever was away longest makes room for one that is new."""
        if key in self.watched or len(self.watched) < MAX_WATCHED:
            return True
        away = {name: each for name, each in self.watched.items() if name not in busy}
        if not away:
            return False
        del self.watched[min(away, key=lambda name: away[name].last_slot)]
        return True


def _is_training(books: Books, key: Key) -> bool:
    return books.kind_of(key[0]) is WorkloadKind.TRAINING


def _done(books: Books, key: Key, sums: Sums) -> bool:
    """Whether anything was done of what is counted of its kind."""
    if _is_training(books, key):
        return bool(sums.succeeded or sums.input or sums.output)
    return sums.attempted > 0


def _sums(found: Mapping[str, int]) -> Sums:
    return Sums(**{name: found.get(name, 0) for name in Sums.__slots__})


def _hour(slots: Iterable[tuple[int, Sums]], last: int) -> list[Sums]:
    """The last hour slot by slot, nothing where there was none."""
    known: dict[int, Sums] = {}
    for slot, sums in slots:
        known[slot] = known[slot].plus(sums) if slot in known else sums
    return [known.get(slot, Sums()) for slot in range(last - SLOTS_PER_HOUR + 1, last + 1)]
