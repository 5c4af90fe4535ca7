"""An agent of a fleet that settles as fast as it can and sends what it has, until it is killed.

Usage: python fleet.py LEDGER HOST FIRST_ROUND URL TOKEN_FILE. Prints each committed round. Time is
as made up as in settling.py; sending is fifty times as quick as usual.
"""

import sys
import uuid
from pathlib import Path

from unitcost.exporter.fleet.outbox import Outbox, Whose
from unitcost.exporter.fleet.post import Central
from unitcost.exporter.fleet.sender import Sender
from unitcost.exporter.ledger.keeper import Keeper
from unitcost.exporter.settling.holding import HostMeter
from unitcost.exporter.settling.settle import Settler
from unitcost.pricing.attribute import RuleMatcher

if __name__ == "__main__":  # as a script in isolated mode it does not know where it lies
    sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.crash.settling import clock, observed, rules

SCALE = 50.0
EVERY = 10.0


def sender_of(path: Path, host: str, url: str, token: Path, opened: int) -> Sender:
    """What sends a ledger's hours."""
    whose = Whose(host, "host", "host", uuid.uuid4().hex, "1")
    return Sender(Outbox(path, whose), Central(url, token), f"{host}|host", EVERY, opened, SCALE)


def main(path: Path, host: str, first: int, url: str, token: Path) -> None:
    """Settle round after round; two minutes of its time at once, so that hours go by."""
    keeper = Keeper(path, host, "host", 400)
    found = keeper.open(clock(first).wall_ns)
    if found is None or keeper.seq is None:
        raise SystemExit("the ledger cannot be opened")
    settler = Settler(rules(), found[0], found[1], HostMeter(RuleMatcher()))
    sender = sender_of(path, host, url, token, keeper.seq)
    sender.start()
    for n in range(first, 10**9, 24):
        settler.tick(observed(n), (), clock(n))
        settler.books.pending.sent += sender.acknowledged()
        if not keeper.commit(settler.books, clock(n).wall_ns):
            raise SystemExit("the ledger cannot be written")
        print(n, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]))
