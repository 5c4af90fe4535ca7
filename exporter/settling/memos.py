"""Memos of a tick: wasted work, what caches saved, each tenant's part, and layers compared.

All of these tell apart what is charged already; none is ever added to a cost.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from unitcost.exporter.settling.batch import CounterKey
from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.rules import MAX_TENANTS, Rules
from unitcost.exporter.settling.tally import Spent, Tally, WindowKey
from unitcost.pricing.layers import compared
from unitcost.pricing.sample import Layer, Outcome, Quantity
from unitcost.pricing.tenant_costs import TenantWindow, split_by_tenant
from unitcost.pricing.unit_cost import UnitKey, Window
from unitcost.pricing.units import Count
from unitcost.pricing.waste import WASTED, saved_pico, wasted_pico
from unitcost.pricing.workload import OVERFLOW

WASTE = "unitcost_waste_cost_usd_total"
SAVED = "unitcost_cache_savings_usd_total"
TENANT_COST = "unitcost_tenant_cost_usd_total"
TENANT_REQUESTS = "unitcost_tenant_requests_total"
TENANT_TOKENS = "unitcost_tenant_tokens_total"

LayerKey = tuple[str, Quantity, Layer]


@dataclass(slots=True)
class Comparison:
    """What each layer counted over the last `length_ns`, and which of them is billed."""

    length_ns: int
    slices: deque[tuple[int, dict[LayerKey, int]]] = field(default_factory=deque)
    sums: dict[LayerKey, int] = field(default_factory=dict)
    slices_with: dict[LayerKey, int] = field(default_factory=dict)

    def add(self, end_ns: int, counts: dict[LayerKey, int]) -> None:
        """Take in one tick and drop what is older than the window."""
        self.slices.append((end_ns, counts))
        for key, micro in counts.items():
            self.sums[key] = self.sums.get(key, 0) + micro
            self.slices_with[key] = self.slices_with.get(key, 0) + 1
        while self.slices and self.slices[0][0] <= end_ns - self.length_ns:
            for key, micro in self.slices.popleft()[1].items():
                self._drop(key, micro)

    def _drop(self, key: LayerKey, micro: int) -> None:
        self.sums[key] -= micro
        self.slices_with[key] -= 1
        if not self.slices_with[key]:
            del self.sums[key], self.slices_with[key]


@dataclass(slots=True)
class Booked:
    """Waste booked over a window as long as the one of the cost that it is a part of.

    A dollar that was spent is wasted once. Without that, work that fails in many ticks after a
    window of which little else is known would have wasted all of it in each of them.
    """

    slices: deque[tuple[int, int]] = field(default_factory=deque)
    pico: int = 0

    def book(self, window: Window, end_ns: int, pico: int) -> int:
        """Book waste of a tick, as far as there is something left of the window's cost."""
        while self.slices and self.slices[0][0] <= end_ns - window.length_ns:
            self.pico -= self.slices.popleft()[1]
        taken = max(0, min(pico, window.used_pico - self.pico))
        if taken:
            self.slices.append((end_ns, taken))
            self.pico += taken
        return taken


@dataclass(slots=True)
class Memos:
    """Kept beside the tally, from whose windows they are taken."""

    window_ns: int
    layers: Comparison = field(init=False)
    tenants: dict[WindowKey, TenantWindow] = field(default_factory=dict)
    admitted: dict[str, set[str]] = field(default_factory=dict)
    authority: dict[tuple[str, Quantity], Layer] = field(default_factory=dict)
    wasted: dict[WindowKey, Booked] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with an empty window."""
        self.layers = Comparison(self.window_ns)

    def resume(self, counters: Iterable[CounterKey]) -> None:
        """Go on with the tenants that the ledger has series of."""
        for metric, labels in counters:
            if metric in (TENANT_COST, TENANT_REQUESTS, TENANT_TOKENS):
                workload, model, tenant = labels[:3]
                self.admitted.setdefault(workload, set()).add(tenant)
                self.tenants.setdefault((workload, model), TenantWindow(self.window_ns))

    def use(self, window_ns: int) -> None:
        """Take over another window length."""
        self.window_ns = self.layers.length_ns = window_ns
        for window in self.tenants.values():
            window.length_ns = window_ns

    def count(self, books: Books, tally: Tally, counted: Count, rules: Rules, mono_ns: int) -> None:
        """Take the memos of a tick, after its tally."""
        self.authority = dict(counted.authority)
        self.layers.add(mono_ns, compared(counted.by_layer))
        units: dict[WindowKey, dict[UnitKey, int]] = {}
        for (account, quantity, label), micro in counted.units.items():
            if not account.run:
                units.setdefault((account.workload, account.model), {})[quantity, label] = micro
        self.wasted = {key: each for key, each in self.wasted.items() if key in tally.windows}
        for key, own in units.items():
            window = tally.windows.get(key)
            if window is not None:
                self._count_waste(books, window, key, own, mono_ns)
        self._count_tenants(books, tally, counted, rules, units, mono_ns)

    def _count_waste(
        self, books: Books, window: Window, key: WindowKey, units: dict[UnitKey, int], mono_ns: int
    ) -> None:
        booked = self.wasted.setdefault(key, Booked())
        for outcome in WASTED:
            pico = wasted_pico(window, outcome, units)
            if pico is not None:
                taken = booked.book(window, mono_ns, pico)
                books.pending.count(WASTE, (*key, str(outcome)), taken)
        saved = saved_pico(window, units)
        if saved is not None:
            books.pending.count(SAVED, key, saved)

    def _count_tenants(
        self,
        books: Books,
        tally: Tally,
        counted: Count,
        rules: Rules,
        units: dict[WindowKey, dict[UnitKey, int]],
        mono_ns: int,
    ) -> None:
        tenants: dict[WindowKey, dict[str, dict[UnitKey, int]]] = {}
        for (account, tenant, quantity, label), micro in counted.tenants.items():
            key = (account.workload, account.model)
            shown = self._admit(rules, account.workload, tenant)
            own = tenants.setdefault(key, {}).setdefault(shown, {})
            own[quantity, label] = own.get((quantity, label), 0) + micro
        told = {workload for workload, _ in (*self.tenants, *tenants)}
        spent_on = {key for key in tally.spent if key[0] in told}
        for key in (tenants.keys() | spent_on) - self.tenants.keys():
            self.tenants[key] = TenantWindow(self.window_ns)
        for key, window in self.tenants.items():
            tally_window = tally.windows.get(key)
            rates = tally_window.seen if tally_window else {}
            found = tenants.get(key, {})
            whole = units.get(key, {})
            window.add(mono_ns, whole, found)
            spent = tally.spent.get(key)
            if spent is not None:
                _book(books, key, spent, window.weights(rates))
            for tenant, own in found.items():
                _count_units(books, key, tenant, own)

    def _admit(self, rules: Rules, workload: str, tenant: str) -> str:
        """The tenant's name, or ``__other__`` where it is one too many; once admitted it stays."""
        known = self.admitted.setdefault(workload, set())
        rule = rules.workloads.get(workload)
        if tenant in known:
            return tenant
        if len(known - {OVERFLOW}) >= (rule.max_tenants if rule else MAX_TENANTS):
            return OVERFLOW
        known.add(tenant)
        return tenant


def _book(books: Books, key: WindowKey, spent: Spent, done: dict[str, int]) -> None:
    for tenant, pico in split_by_tenant(spent.pico, done).items():
        books.pending.count(TENANT_COST, (*key, tenant), pico)


def _count_units(books: Books, key: WindowKey, tenant: str, units: dict[UnitKey, int]) -> None:
    for (quantity, label), micro in units.items():
        if quantity is Quantity.REQUESTS and label == Outcome.SUCCEEDED:
            books.count_units(TENANT_REQUESTS, (*key, tenant), micro)
        elif quantity is Quantity.TOKENS:
            books.count_units(TENANT_TOKENS, (*key, tenant, label), micro)
