"""Keeps the ledger open through whatever happens to its file, and says how it is doing."""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unitcost.exporter.ledger.drift_rows import KEEP_NS
from unitcost.exporter.ledger.engines import Place
from unitcost.exporter.ledger.store import (
    Born,
    Ledger,
    LedgerConflict,
    LedgerCorrupt,
    LedgerError,
    set_aside,
)
from unitcost.exporter.log import OncePer, fields
from unitcost.exporter.settling.batch import RECENT_HOURS, Opening
from unitcost.exporter.settling.books import Archive, Books, RunKey, open_books
from unitcost.exporter.settling.state import State, decode
from unitcost.pricing.budget import Past
from unitcost.pricing.charge import AccrualKey, Posting
from unitcost.pricing.drift import Sums
from unitcost.pricing.runs import Run
from unitcost.pricing.sample import NS_PER_SECOND
from unitcost.pricing.timeline import hour_of

_log = logging.getLogger(__name__)

CARE_SECONDS = 3600.0
"""How often the whole file is read for damage, and old rows are deleted."""

HOLD_HOURS = 30 * 24
"""How much longer hours are kept that are to be sent to the fleet's ledger."""


@dataclass(slots=True)
class Health:
    """How the ledger is doing; `last_commit_ns` is Unix time, None before the first."""

    writable: bool = False
    write_errors: int = 0
    files_set_aside: int = 0
    last_commit_ns: int | None = None
    residual_pico: int = 0


class Keeper:
    """Opens, commits, sets aside, reopens. Never raises for what the file or the disk does.

    Only `LedgerConflict` is raised, by `lock` and `open`: another exporter has the ledger, or it
    is newer than we are.
    """

    def __init__(
        self,
        path: Path,
        host: str,
        scope: str,
        retention_days: int,
        care_seconds: float = CARE_SECONDS,
    ) -> None:
        self.health = Health()
        self._path, self._host, self._scope = path, host, scope
        self._retention_hours = retention_days * 24
        self._ledger: Ledger | None = None
        self._inode: int | None = None
        self._born: Born | None = None
        self._anew = False
        self._care_ns = round(care_seconds * NS_PER_SECOND)
        self._cared_ns: int | None = None
        self._said = OncePer()
        self.sends = False
        self._lock: int | None = None

    def lock(self) -> None:
        """Take the ledger for this process alone; the lock dies with it, however it dies.

        Where no lock file can be made now, nothing can be written either: it is tried again.
        """
        if self._lock is not None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            name = self._path.with_name(self._path.name + ".lock")
            self._lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._failed("lock", error)
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._unlock()
            raise LedgerConflict(f"{self._path}: another unitcost uses this ledger") from error

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def open(self, now_ns: int) -> tuple[Books, State] | None:
        """The books and the state as the ledger has them; None if it cannot be opened now."""
        self._close_file()
        self._anew = False
        self.lock()
        try:
            opening, state = self._opened(now_ns)
        except LedgerConflict:
            self._close_file()
            raise
        except (LedgerError, OSError) as error:
            self._failed("open", error)
            return None
        self.health.writable = True
        hour = hour_of(now_ns)
        since = hour - RECENT_HOURS
        archive = Archive(self._run, self._past)
        books = open_books(opening, self._elapsed, self._hour, since, hour, self._history, archive)
        return books, state

    @property
    def seq(self) -> int | None:
        """How many commits the open ledger has; None where there is none."""
        return self._ledger.seq if self._ledger is not None else None

    def commit(self, books: Books, now_ns: int) -> bool:
        """Write what is pending; True if it is on disk now, False if it must be tried again.

        Raises `LedgerConflict` if the file is not the one these books were opened from.
        """
        try:
            self._write(books, now_ns)
        except LedgerConflict:
            raise
        except (LedgerError, OSError) as error:
            self._failed("write", error)
            return False
        books.committed_now(hour_of(now_ns))
        self._recovered()
        self.health.last_commit_ns = now_ns
        self._look_after(books, now_ns)
        return True

    def close(self) -> None:
        """Close the file, if it is open, and let others have it."""
        self._close_file()
        self._unlock()

    def _close_file(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def size_bytes(self) -> int:
        """Size of the ledger's file and its log together, as far as they can be seen."""
        total = 0
        for suffix in ("", "-wal"):
            try:
                total += self._path.with_name(self._path.name + suffix).stat().st_size
            except OSError:
                continue
        return total

    def _opened(self, now_ns: int) -> tuple[Opening, State]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._open_file(now_ns)
        except LedgerCorrupt as error:
            self._set_aside(error, now_ns)
            return self._open_file(now_ns)

    def _open_file(self, now_ns: int) -> tuple[Opening, State]:
        self._close_file()
        self._ledger = Ledger(self._place(), self._host, self._scope)
        opening = self._ledger.open(now_ns, self._born if self._anew else None)
        self._note_place()
        self._born = Born(opening.ledger, opening.seq)
        try:
            return opening, decode(opening.state)
        except ValueError as error:
            raise LedgerCorrupt(f"{self._place()}: its state cannot be read: {error}") from error

    def _place(self) -> Place:
        """Where the ledger lies."""
        return self._path

    def _note_place(self) -> None:
        self._inode = self._path.stat().st_ino

    def _write(self, books: Books, now_ns: int) -> None:
        if self._ledger is None or self._anew:
            self._write_anew(books, now_ns)
            return
        try:
            if self._vanished():
                raise LedgerCorrupt(f"{self._path}: the file was removed or replaced")
            self._ledger.commit(books.pending)
            self._born = Born(self._born.ledger if self._born else "", self._ledger.seq)
        except LedgerCorrupt as error:
            self._set_aside(error, now_ns)
            self._write_anew(books, now_ns)

    def _write_anew(self, books: Books, now_ns: int) -> None:
        """The totals and the open rows go into a new file; there must be none, or an empty one.

        To the fleet's ledger it is the same one that goes on: it has most of these rows already.
        """
        self._anew, before = True, self._born
        opening, _ = self._open_file(now_ns)
        if self._ledger is None or opening.state or self._born != before:
            raise LedgerConflict(f"{self._place()}: another ledger has taken its place")
        self._ledger.commit(books.whole())
        self._born = Born(opening.ledger, self._ledger.seq)
        self._anew = False

    def _look_after(self, books: Books, now_ns: int) -> None:
        """After a commit: check conservation in the file itself; now and then verify and purge.

        What fails here does not undo the commit. A damaged file is set aside; the next commit
        makes a new one.
        """
        if self._ledger is None:
            return
        try:
            hour = hour_of(now_ns)
            self.health.residual_pico = self._ledger.residual(hour - 1)
            if self._cared_ns is None:
                self._cared_ns = now_ns
            if now_ns - self._cared_ns >= self._care_ns:
                self._cared_ns = now_ns
                self._ledger.verify()
                before = hour - self._retention_hours
                self._ledger.purge(before, now_ns - KEEP_NS, HOLD_HOURS if self.sends else 0)
        except LedgerCorrupt as error:
            self._set_aside(error, now_ns)
        except LedgerError as error:
            self.health.write_errors += 1
            if self._said.first("look after", str(error)):
                _log.warning("ledger: cannot be looked after: %s", error)

    def _set_aside(self, error: LedgerCorrupt, now_ns: int) -> None:
        self._close_file()
        self.health.files_set_aside += 1
        kept = set_aside(self._path, now_ns) if self._path.exists() else None
        _log.error("ledger is corrupt: %s", error, extra=fields(kept=str(kept or "")))

    def _vanished(self) -> bool:
        try:
            return self._path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _elapsed(self, key: AccrualKey) -> int:
        if self._ledger is None:
            raise LedgerError(f"{self._place()}: not open")
        return self._ledger.elapsed(key)

    def _hour(self, hour: int) -> Posting | None:
        if self._ledger is None:
            return None
        try:
            return self._ledger.hour(hour)
        except LedgerError as error:
            # What is wrong with the file, the next commit finds out.
            if self._said.first("read", str(error)):
                _log.warning("ledger: cannot be read: %s", error)
            return None

    def _history(self, spans: Sequence[tuple[int, int]]) -> dict[tuple[str, str], Sums]:
        """What is compared with; nothing while the ledger cannot be read."""
        if self._ledger is None:
            return {}
        try:
            return self._ledger.history(spans)
        except LedgerError as error:
            if self._said.first("history", str(error)):
                _log.warning("ledger: no history to compare with: %s", error)
            return {}

    def _run(self, key: RunKey) -> Run | None:
        with self._reading() as ledger:
            return ledger.run(key)

    def _past(self, from_ns: int, to_ns: int) -> Past:
        with self._reading() as ledger:
            return ledger.past(from_ns, to_ns)

    @contextmanager
    def _reading(self) -> Iterator[Ledger]:
        """For what can wait: raises LookupError where the ledger cannot be read now."""
        try:
            if self._ledger is None:
                raise LedgerError(f"{self._place()}: not open")
            yield self._ledger
        except (LedgerError, ValueError) as error:
            if self._said.first("read", str(error)):
                _log.warning("ledger: cannot be read: %s", error)
            raise LookupError(str(error)) from error

    def _failed(self, doing: str, error: Exception) -> None:
        self.health.writable = False
        self.health.write_errors += 1
        if self._said.first(doing, str(error)):
            _log.error("ledger: cannot %s: %s", doing, error)

    def _recovered(self) -> None:
        if not self.health.writable:
            _log.info("ledger: can be written again")
        self.health.writable = True
        for doing in ("lock", "open", "write", "read"):
            self._said.clear(doing)


class NoLedger(Keeper):
    """Keeps nothing: for a single gathering that is to leave no trace."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), "", "", 0)

    def open(self, now_ns: int) -> tuple[Books, State]:
        """Empty books."""
        empty = Opening(0, "", {}, {}, {}, {}, {}, Posting())
        return open_books(empty, lambda _: 0, lambda _: Posting(), 0, 0), State()

    def commit(self, books: Books, now_ns: int) -> bool:
        """Nothing to write."""
        books.committed_now(hour_of(now_ns))
        return True
