"""From the bytes of a delivery to the fleet's ledger: unpacked within bounds, checked, stored."""

import logging
import time
import zlib
from collections import Counter
from threading import Lock

import msgspec

from unitcost.exporter.central.faults import Reason, Rejected, check
from unitcost.exporter.central.store import CentralLedger, Outcome
from unitcost.exporter.central.tokens import ANY_HOST
from unitcost.exporter.fleet.protocol import DECODER, MAX_TEXT, Delivery
from unitcost.exporter.ledger.engines import LedgerError
from unitcost.exporter.log import OncePer, fields

_log = logging.getLogger(__name__)
_MAX_SAID = 200


class Intake:
    """Takes deliveries, from several threads at once; counts what became of them."""

    def __init__(self, ledger: CentralLedger) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self._said = OncePer()
        self.outcomes = Counter(dict.fromkeys(Outcome, 0))
        self.rejected = Counter(dict.fromkeys(Reason, 0))
        self.rows = 0
        self.up: bool | None = None

    def take(self, body: bytes, coding: str, hosts: frozenset[str]) -> Outcome:
        """Store a body that came with a token for these hosts. Raises Rejected, counted."""
        try:
            delivery = _decoded(_unpacked(body, coding))
            if not hosts & {ANY_HOST, delivery.host}:
                raise Rejected(Reason.WRONG_HOST, "the token is not for this host")
            now_ns = time.time_ns()
            check(delivery, now_ns)
            outcome = self._stored(delivery, now_ns)
        except Rejected as error:
            self.reject(error)
            raise
        with self._lock:
            self.outcomes[outcome] += 1
            if outcome is Outcome.STORED:
                self.rows += len(delivery.charges) + len(delivery.accruals)
        return outcome

    def reject(self, error: Rejected) -> None:
        """Count a delivery that is not taken, and say why, once."""
        with self._lock:
            self.rejected[error.reason] += 1
        if error.reason is not Reason.BUSY and self._said.first(error.reason, str(error)):
            detail = fields(reason=str(error.reason), detail=str(error))
            _log.warning("a delivery is not taken", extra=detail)

    def _stored(self, delivery: Delivery, now_ns: int) -> Outcome:
        try:
            outcome = self._ledger.take(delivery, now_ns)
        except Rejected as error:
            who = fields(host=delivery.host, scope=delivery.scope, ledger=delivery.ledger)
            if self._said.first(f"{error.reason} {delivery.host}", delivery.ledger):
                _log.error("two agents are one host: %s", error, extra=who)
            raise
        except LedgerError as error:
            self.up = False
            if self._said.first("database", str(error)):
                _log.error("the database is away: %s", error)
            raise Rejected(Reason.UNAVAILABLE, "the database is away") from None
        if self.up is False:
            self._said.clear("database")
            _log.info("the database is there again")
        self.up = True
        return outcome


def _unpacked(body: bytes, coding: str) -> bytes:
    if coding in ("", "identity"):
        return body
    if coding != "gzip":
        raise Rejected(Reason.MALFORMED, "expected Content-Encoding: gzip, or none")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(body, MAX_TEXT + 1)
    except zlib.error:
        raise Rejected(Reason.MALFORMED, "the body is not gzip") from None
    if len(text) > MAX_TEXT:
        raise Rejected(Reason.TOO_LARGE, "the delivery is too large once it is unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise Rejected(Reason.MALFORMED, "the body is not gzip, or ends early")
    return text


def _decoded(text: bytes) -> Delivery:
    try:
        delivery = DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Rejected(Reason.MALFORMED, " ".join(str(error).split())[:_MAX_SAID]) from None
    return delivery
