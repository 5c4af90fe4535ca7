"""Drift in the ledger's file: slots add up, memories are kept, and both go when of no use."""

from tests.places import Where
from unitcost.exporter.ledger.engines import Place
from unitcost.exporter.ledger.store import Ledger
from unitcost.exporter.settling.batch import Batch, SlotRow, WatchRow
from unitcost.pricing.drift import Factor, Sums
from unitcost.pricing.drift_watch import Watched

NOW = 1_767_225_600 * 10**9
SLOT = 300 * 10**9
MEMORY = {Factor.PRICE: Watched(0.25, 7, -0.5, 12, 3), Factor.MIX: Watched()}


def sums(number: int) -> Sums:
    """Sums that differ in every column."""
    return Sums(*(number * factor for factor in range(1, 11)))


def open_ledger(path: Place) -> Ledger:
    """Opened as at a start."""
    ledger = Ledger(path, "host", "host")
    ledger.open(NOW)
    return ledger


def test_what_is_put_away_is_found_again(where: Where) -> None:
    """By spans whose ends are excluded; two of one time add up."""
    ledger = open_ledger(where.place)
    rows = [SlotRow("chat", "m", NOW + n * SLOT, sums(n + 1)) for n in range(20)]
    other = SlotRow("embed", "", NOW + SLOT, sums(100))
    ledger.commit(
        Batch(slots=[*rows, other], watches={("chat", "m"): WatchRow("chat", "m", MEMORY)})
    )
    ledger.commit(Batch(slots=[SlotRow("chat", "m", NOW, sums(1000))]))
    assert ledger.history([(NOW, NOW + SLOT), (NOW + 2 * SLOT, NOW + 4 * SLOT)]) == {
        ("chat", "m"): sums(1001 + 3 + 4)
    }
    assert ledger.history([(NOW + SLOT, NOW + 2 * SLOT)])["embed", ""] == sums(100)
    assert ledger.history([(0, NOW)]) == {}
    ledger.close()

    again = Ledger(where.place, "host", "host")
    opening = again.open(NOW)
    assert [(row.start_ns, row.sums) for row in opening.slots] == [
        (row.start_ns, row.sums) for row in rows[-12:]
    ]
    (watch,) = opening.watches
    assert (watch.workload, watch.model, dict(watch.memory)) == ("chat", "m", MEMORY)
    again.close()


def test_old_slots_go_and_memories_with_the_last_of_them(where: Where) -> None:
    """What somebody still has slots of is remembered."""
    ledger = open_ledger(where.place)
    watches = {(name, ""): WatchRow(name, "", MEMORY) for name in ("old", "new")}
    slots = [SlotRow("old", "", NOW, sums(1)), SlotRow("new", "", NOW + SLOT, sums(2))]
    ledger.commit(Batch(slots=slots, watches=watches))
    ledger.purge(0)
    assert len(ledger.open(NOW).watches) == 2
    ledger.purge(0, NOW + SLOT)
    opening = ledger.open(NOW)
    assert [row.workload for row in opening.slots] == ["new"]
    assert [row.workload for row in opening.watches] == ["new"]
    ledger.close()


def test_a_memory_that_cannot_be_read_is_learnt_anew(where: Where) -> None:
    """It is no reason not to start."""
    ledger = open_ledger(where.place)
    ledger.commit(Batch(watches={("chat", ""): WatchRow("chat", "", MEMORY)}))
    ledger.close()
    where.change("UPDATE drift_watch SET document = '{\"price\": 1}'")
    again = Ledger(where.place, "host", "host")
    assert again.open(NOW).watches == ()
    again.close()
