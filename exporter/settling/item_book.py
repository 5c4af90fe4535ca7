"""Items in the books: each is looked at in every tick, and what is due and not booked is booked.

So it does not matter when somebody looked last: what fell due while the exporter was away, or its
clock was wrong, is booked once, and what was booked stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from unitcost.exporter.settling.batch import ItemChargeKey, ItemRow, Source
from unitcost.exporter.settling.books import MAX_TOTAL, Books
from unitcost.exporter.settling.planning import Planning
from unitcost.pricing.items import Booked, Item, ItemKey, ItemType
from unitcost.pricing.layers import Counted
from unitcost.pricing.timeline import hour_of

MAX_KNOWN = 5000
"""Most items that are remembered, those included that nobody states any more."""
Series = tuple[str, ItemType]
"""A workload and a type of items: the labels of their counter."""
Due = tuple[str, int]
"""A workload, and by how many pico-dollars what is due of its items changed."""


@dataclass(slots=True)
class ItemBook:
    """`stated`: what holds now. `withdrawn`: items of which that is still to be noted.

    `left_out`: how many are stated and not booked, because their id is taken or they are too many.
    """

    books: Books
    stated: dict[ItemKey, tuple[Item, Source]] = field(default_factory=dict)
    withdrawn: list[ItemKey] = field(default_factory=list)
    shown_since: dict[Series, int] = field(default_factory=dict)
    shown_first_ns: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        """Series that the ledger has are shown since they were first known."""
        for row in self.books.items.values():
            self._show(row)

    def follow(self, planning: Planning) -> None:
        """From the next tick on these are the items."""
        self.shown_first_ns = planning.shown_first_ns
        stated = {item.key: (item, Source.CONFIGURATION) for item in planning.items}
        ids = {key.id for key in stated}
        found = planning.file_items
        in_file = self._last_in_file() if found is None else found
        stated |= {item.key: (item, Source.FILE) for item in in_file if item.key.id not in ids}
        new = [key for key in stated if key not in self.books.items]
        for key in new[MAX_KNOWN - len(self.books.items) :]:
            del stated[key]
        self.stated = stated
        self.left_out = len(planning.items) + len(in_file) - len(self.stated)
        self.withdrawn = [
            key
            for key, row in self.books.items.items()
            if key not in self.stated and row.source is not Source.WITHDRAWN
        ]

    def _last_in_file(self) -> list[Item]:
        """What the file said when it was last read, maybe by the process before."""
        return [row.item for row in self.books.items.values() if row.source is Source.FILE]

    def look_back(self, at_ns: int) -> list[Due]:
        """Book what was due at an instant that is past, of what is stated as it was then."""
        changes = []
        for item, source in self.stated.values():
            row = self.books.items.get(item.key)
            if row is not None and (row.item, row.source) == (item, source):
                changes.append(self._look(item, source, at_ns, {}))
        return [change for change in changes if change[1]]

    def look(self, now_ns: int, units: Counted) -> list[Due]:
        """Book what is due at an instant; `units` were counted in the tick that ends then."""
        changes = []
        for key in self.withdrawn:
            row = self.books.items[key]
            booked = row.booked.to(0, row.booked.units_micro)
            gone = replace(row, source=Source.WITHDRAWN, booked=booked)
            changes.append(self._put(row, gone, now_ns))
        self.withdrawn = []
        for item, source in self.stated.values():
            changes.append(self._look(item, source, now_ns, units))
        return [change for change in changes if change[1]]

    def _look(self, item: Item, source: Source, now_ns: int, units: Counted) -> Due:
        known = self.books.items.get(item.key)
        row = known or ItemRow(item, source, Booked(), now_ns)
        after = ItemRow(item, source, self._booked(row, item, now_ns, units), row.since_ns)
        return (item.key.workload, 0) if after == known else self._put(row, after, now_ns)

    def _booked(self, row: ItemRow, item: Item, now_ns: int, units: Counted) -> Booked:
        micro = row.booked.units_micro
        micro = min(micro + item.units_micro(units, now_ns), MAX_TOTAL)
        if 0 <= now_ns - self._show(row) < self.shown_first_ns:
            return replace(row.booked, units_micro=micro)
        return row.booked.to(item.due_pico(now_ns, micro), micro)

    def _show(self, row: ItemRow) -> int:
        """Since when the item's series is shown."""
        series = (row.item.key.workload, row.item.key.type)
        since = min(row.since_ns, self.shown_since.get(series, row.since_ns))
        self.shown_since[series] = since
        return since

    def _put(self, before: ItemRow, after: ItemRow, now_ns: int) -> Due:
        key, old, new = after.item.key, before.booked, after.booked
        pending, hour = self.books.pending, hour_of(now_ns)
        units = new.units_micro - old.units_micro
        pending.charge_item(ItemChargeKey(hour, key), new.pico - old.pico, units)
        correction = new.correction_pico - old.correction_pico
        pending.charge_item(ItemChargeKey(hour, key, 1), correction, 0)
        self.books.put_item(after)
        return key.workload, new.due_pico - old.due_pico

    def sums(self) -> Iterator[tuple[Series, int, int]]:
        """Pico-dollars booked on each series, and what corrects them."""
        found: dict[Series, list[int]] = {}
        for key, row in self.books.items.items():
            sums = found.setdefault((key.workload, key.type), [0, 0])
            sums[0] += row.booked.pico
            sums[1] += row.booked.correction_pico
        return ((series, pico, correction) for series, (pico, correction) in sorted(found.items()))
