"""Sends this host's hours to the fleet's ledger, in a thread of its own: no tick waits for it.

What waits to be sent is the ledger itself, so nothing is held in memory and nothing is lost by an
outage or a restart. Agents that started together, or that found the fleet's ledger away together,
come at different moments: each host has its own place in the interval, and its own patience.
"""

import hashlib
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from unitcost.exporter.fleet.outbox import Outbox
from unitcost.exporter.fleet.post import PASSING, Failure, NotSent
from unitcost.exporter.fleet.protocol import Delivery
from unitcost.exporter.ledger.engines import LedgerError
from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.queues import drained
from unitcost.exporter.settling.batch import Sent

_log = logging.getLogger(__name__)
FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How sending is going; `last_success` is Unix time, None before the first."""

    unsent: int | None = None
    last_success: float | None = None


def spread(*what: object) -> float:
    """A number from 0 up to 1 that is always the same for the same things, else any."""
    text = "|".join(map(str, what)).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest()) / 2**56


class Way(Protocol):
    """How a delivery gets there."""

    def send(self, delivery: Delivery) -> None:
        """Raises NotSent unless it is stored."""
        ...


class Sender:
    """`acknowledged` is called by the tick, and does not wait."""

    def __init__(
        self,
        outbox: Outbox,
        central: Way,
        name: str,
        interval: float,
        opened: int,
        scale: float = 1.0,
    ) -> None:
        """`opened`: the commit from which this process went on; `interval` in seconds."""
        self._outbox, self._central, self._name, self._opened = outbox, central, name, opened
        self._interval, self._scale = interval / scale, scale
        self._sent: SimpleQueue[Sent] = SimpleQueue()
        self._known: dict[int, int] = {}
        self._failures = 0
        self._said = OncePer()
        self._ended = Event()
        self.progress = Progress()
        self.errors: dict[Failure, int] = dict.fromkeys(Failure, 0)
        self._thread = Thread(target=self._run, name="fleet", daemon=True)

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def acknowledged(self) -> list[Sent]:
        """What the fleet's ledger has, since this was last asked."""
        return drained(self._sent)

    def close(self) -> None:
        """Send no more; what is under way ends with the process, and is sent again."""
        self._ended.set()

    def _run(self) -> None:
        wait = self._until_our_turn()
        while not self._ended.wait(wait):
            wait = self.once()

    def _until_our_turn(self) -> float:
        """Seconds until this host's place in the interval, by the clock on the wall."""
        place = spread(self._name) * self._interval
        return (place - time.time()) % self._interval

    def once(self) -> float:
        """Send all that is to be sent, as far as it goes. Returns for how long to wait then."""
        try:
            done = self._send(self._outbox.unsent())
        except LedgerError as error:
            done = self._failed(NotSent(Failure.LEDGER, str(error)))
        except Exception as error:  # noqa: BLE001 - logged; the thread must go on
            done = self._failed(NotSent(Failure.LEDGER, repr(error)))
        if done:
            self._failures = 0
            return self._until_our_turn() or self._interval
        self._failures += 1
        doubled = FIRST_WAIT * float(2 ** min(self._failures - 1, 16))
        longest = min(doubled, LONGEST_WAIT) / self._scale
        return longest * (0.5 + spread(self._name, self._failures, time.time_ns()))

    def _send(self, marks: Iterable[Sent]) -> bool:
        """False where it is of no use to go on now."""
        marks = list(marks)
        hours = {mark.hour for mark in marks}
        self._known = {hour: seq for hour, seq in self._known.items() if hour in hours}
        # What is acknowledged is marked until the next commit; should that fail, it is said again.
        for mark in marks:
            if self._known.get(mark.hour, -1) >= mark.seq:
                self._sent.put(Sent(mark.hour, self._known[mark.hour]))
        waiting = [mark for mark in marks if self._known.get(mark.hour, -1) < mark.seq]
        left = len(waiting)
        for mark in waiting:
            self._tell(left)
            if self._ended.is_set():
                return True
            try:
                self._deliver(mark.hour)
                left -= 1
            except NotSent as error:
                if not self._failed(error):
                    return False
        self._tell(left, success=left == 0)
        return True

    def _deliver(self, hour: int) -> None:
        delivery = self._outbox.delivery(hour, self._opened)
        self._central.send(delivery)
        sent = Sent(hour, delivery.seq)
        self._known[hour] = sent.seq
        self._sent.put(sent)
        for failure in Failure:
            self._said.clear(failure)

    def _tell(self, unsent: int, *, success: bool = False) -> None:
        last = time.time() if success else self.progress.last_success
        self.progress = Progress(unsent, last)

    def _failed(self, error: NotSent) -> bool:
        """Whether the next hour may be tried all the same."""
        self.errors[error.failure] += 1
        if self._said.first(error.failure, str(error)):
            detail = fields(kind=str(error.failure), detail=str(error))
            _log.warning("the fleet's ledger does not have all hours of this one", extra=detail)
        return error.failure not in PASSING
