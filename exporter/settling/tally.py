"""The tally of a tick: counters of money, time and units, and the windows of the unit costs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import UnitRow
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.devices import Signals
from unitcost.exporter.settling.holding import Held
from unitcost.pricing.allocate import State
from unitcost.pricing.charge import Posting
from unitcost.pricing.layers import Counted
from unitcost.pricing.price import Component
from unitcost.pricing.sample import Quantity
from unitcost.pricing.timeline import Position, hour_of
from unitcost.pricing.unit_cost import Slice, UnitKey, Window
from unitcost.pricing.units import Count
from unitcost.pricing.workload import Account

COUNTERS = {
    Quantity.REQUESTS: "unitcost_requests_total",
    Quantity.TOKENS: "unitcost_tokens_total",
    Quantity.PHASE_SECONDS: "unitcost_phase_seconds_total",
    Quantity.EPOCHS: "unitcost_epochs_total",
    Quantity.STEPS: "unitcost_steps_total",
    Quantity.SAMPLES: "unitcost_samples_total",
}
"""Which counter a counted quantity is exported as; the others only serve other values."""
WindowKey = tuple[str, str]
"""Workload and model."""


@dataclass(slots=True)
class Spent:
    """What one workload and model was charged in one tick."""

    pico: int = 0
    used_pico: int = 0
    whole: bool = True


@dataclass(slots=True)
class Tally:
    """Adds up ticks. `unsignalled`: accounts for which nothing tells busy from idle."""

    window_ns: int
    minimum_micro: int
    windows: dict[WindowKey, Window] = field(default_factory=dict)
    spent: dict[WindowKey, Spent] = field(default_factory=dict)
    partly: set[WindowKey] = field(default_factory=set)
    unsignalled: frozenset[Account] = frozenset()
    methods: dict[tuple[str, str], str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    device_signals: Signals = field(default_factory=dict)
    told: set[UnitRow] = field(default_factory=set)
    told_hour: int = 0

    def use(self, window_ns: int, minimum_micro: int) -> None:
        """Take over another window length; windows that are open keep what they hold of it."""
        self.window_ns, self.minimum_micro = window_ns, minimum_micro
        for window in self.windows.values():
            window.length_ns, window.minimum_micro = window_ns, minimum_micro

    def begin(self, held: Held | None, counted: Count) -> None:
        """Start a tick: whose busy signal is which."""
        self.spent, self.partly, self.methods = {}, set(), {}
        if held is not None:
            silent = {a for a in held.holders if held.signals.get(a, "none") == "none"}
            self.unsignalled = frozenset(silent)
            self.signals = {a.workload: held.signals.get(a, "none") for a in held.holders}
            self.device_signals = held.device_signals

    def window_units(self, now: Counted | None = None) -> Counted:
        """All units of the window, and those of `now`, which are not in it yet."""
        units: Counted = dict(now or {})
        for (workload, model), window in self.windows.items():
            for (quantity, label), micro in window.seen.items():
                key = (Account(workload, model), quantity, label)
                units[key] = units.get(key, 0) + micro
        return units

    def spoil(self, accounts: Iterable[Account]) -> None:
        """These were not metered for part of this tick: it is left out of their unit costs."""
        self.partly.update((account.workload, account.model) for account in accounts)

    def charge(self, books: Books, posting: Posting) -> None:
        """Count a posting's money and time; what is held is told by the first price by the hour."""
        pending = books.pending
        first = first_hourly(books, posting)
        for key, accrued in posting.accruals.items():
            if accrued.pico is not None:
                labels = (key.resource, str(key.component))
                pending.count("unitcost_resource_cost_usd_total", labels, accrued.pico)
        for charge, amount in posting.charges.items():
            account, state = charge.account, str(charge.state)
            kind = str(books.kind_of(account.workload))
            spent = self.spent.setdefault((account.workload, account.model), Spent())
            if charge.component is first and books.is_hourly(charge.price):
                held = (account.workload, account.model, charge.resource, state)
                pending.count("unitcost_held_seconds_total", held, amount.quantity)
                self.methods[account.workload, charge.resource] = str(charge.method)
            if amount.pico is None:
                spent.whole = False
                continue
            cost = (account.workload, kind, account.model, charge.resource, state)
            pending.count("unitcost_cost_usd_total", cost, amount.pico)
            spent.pico += amount.pico
            if charge.state is State.ACTIVE:
                spent.used_pico += amount.pico

    def end(self, books: Books, counted: Count, now: Position) -> None:
        """Count the units and let the windows move on.

        Windows follow the monotonic clock: they are as long as ever when the wall clock is set.
        """
        units: dict[WindowKey, dict[UnitKey, int]] = {}
        for (account, quantity, label), micro in counted.units.items():
            if metric := COUNTERS.get(quantity):
                labels = (account.workload, account.model, *((label,) if label else ()))
                added = books.count_units(metric, labels, micro)
                self._in_hour(books, account, (quantity, label), added, now.at_ns)
            own = units.setdefault((account.workload, account.model), {})
            own[quantity, label] = own.get((quantity, label), 0) + micro
        for name in {workload for workload, _ in self.spent}:
            books.charged(name, now.at_ns)
        for key in self.spent.keys() | units.keys() | self.windows.keys():
            self._slide(key, units.get(key, {}), now.clock.mono_ns)

    def _in_hour(
        self, books: Books, account: Account, unit: UnitKey, micro: int, at_ns: int
    ) -> None:
        """Count units in the clock hour that ends or goes on at an instant.

        That there were none is told once an hour: so it is known that somebody looked.
        """
        hour = hour_of(at_ns - 1)
        if hour != self.told_hour:
            self.told, self.told_hour = set(), hour
        key = UnitRow(hour, account.workload, account.model, account.run, *unit)
        if micro or key not in self.told:
            self.told.add(key)
            books.pending.count_unit(key, micro)

    def _slide(self, key: WindowKey, units: dict[UnitKey, int], mono_ns: int) -> None:
        window = self.windows.get(key)
        if window is None:
            if not any(units.values()):
                return
            window = self.windows[key] = Window(self.window_ns, self.minimum_micro)
        spent = self.spent.get(key)
        silent = any(account.workload == key[0] for account in self.unsignalled)
        if spent is None or not spent.whole or key in self.partly:
            window.add(Slice(mono_ns, None, None, units))
        else:
            used = None if silent else spent.used_pico
            window.add(Slice(mono_ns, spent.pico, used, units))
        if not window.slices or (spent is None and not any(window.seen.values())):
            del self.windows[key]


def first_hourly(books: Books, posting: Posting) -> Component | None:
    """The component whose charges tell how long things were held: the first with hourly prices."""
    hourly = (key.component for key in posting.accruals if books.is_hourly(key.price))
    return next(hourly, None)
