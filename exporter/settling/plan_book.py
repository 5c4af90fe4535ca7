"""Money that is not the host's, tick by tick: items, budgets, and a memo of what idle GPUs forgo.

None of it enters a charge: it stands beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from unitcost.exporter.settling.books import Books
from unitcost.exporter.settling.budget_book import BudgetBook
from unitcost.exporter.settling.item_book import ItemBook
from unitcost.exporter.settling.planning import Planning
from unitcost.exporter.settling.tally import first_hourly
from unitcost.pricing.allocate import State
from unitcost.pricing.budget import Remembered
from unitcost.pricing.charge import Posting
from unitcost.pricing.layers import Counted
from unitcost.pricing.opportunity import forgone_pico
from unitcost.pricing.timeline import Period, Position
from unitcost.pricing.workload import UNMETERED

FORGONE = "unitcost_memo_opportunity_cost_usd_total"
HELD = "unitcost_held_seconds_total"


@dataclass(slots=True)
class PlanBook:
    """One `begin`, then `charge` for each posting, then `end`, in each tick."""

    books: Books
    planning: Planning
    items: ItemBook
    budgets: BudgetBook
    before_ns: int = 0

    @classmethod
    def open(
        cls,
        books: Books,
        planning: Planning,
        kept: tuple[Remembered, ...],
        began_ns: int | None,
        owner_of: Callable[[str], str],
    ) -> "PlanBook":
        """Go on from what the ledger holds."""
        made = cls(books, planning, ItemBook(books), BudgetBook(books, owner_of, began_ns))
        made.items.follow(planning)
        made.budgets.follow(planning.budgets, kept)
        return made

    def follow(self, planning: Planning) -> None:
        """Take over another configuration between two ticks."""
        if planning != self.planning:
            self.planning = planning
            self.items.follow(planning)
            self.budgets.follow(planning.budgets)

    def begin(self, before: Position | None, now_ns: int) -> None:
        """Start a tick; all is charged up to `before`, None where nothing ever was."""
        if before is None:
            self.budgets.began_ns = now_ns
        self.before_ns = before.at_ns if before else now_ns
        self.budgets.begin(self.before_ns)

    def charge(self, posting: Posting, at_ns: int, *, known: bool) -> None:
        """Take in a posting that was counted."""
        self.budgets.charge(posting, at_ns, known=known)
        rate = self.planning.forgone_pico_per_hour
        if rate is not None:
            self._count_forgone(posting, rate)

    def _count_forgone(self, posting: Posting, pico_per_hour: int) -> None:
        """Idle GPU time at the stated rate; time in which nobody metered may have been busy."""
        first = first_hourly(self.books, posting)
        idle: dict[tuple[str, str, str, str], int] = {}
        for key, amount in posting.charges.items():
            account = key.account
            hourly = key.component is first and self.books.is_hourly(key.price)
            if key.state is not State.IDLE or not hourly:
                continue
            if key.resource.startswith("gpu:") and account.workload != UNMETERED:
                labels = (account.workload, account.model, key.resource, str(key.state))
                idle[labels] = idle.get(labels, 0) + amount.quantity
        for held, micro in idle.items():
            after = self.books.total(HELD, held)
            pico = forgone_pico(pico_per_hour, after - micro, after)
            self.books.count_units(FORGONE, (held[0], held[2]), pico)

    def end(self, now_ns: int, units: Counted) -> None:
        """Book what is due of items by the end of a tick; `units` are those counted in it.

        What fell due before a budget's period began is looked at as it was just before that.
        """
        for at_ns in self.budgets.cuts(Period(min(self.before_ns, now_ns), now_ns)):
            self.budgets.charge_items(self.items.look_back(at_ns - 1), at_ns - 1)
        self.budgets.charge_items(self.items.look(now_ns, units), now_ns)
        self.budgets.end(now_ns)
