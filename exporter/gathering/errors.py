"""Counts what goes wrong with one collector, and logs each thing once."""

import logging
import re
from collections.abc import Mapping
from types import MappingProxyType

from unitcost.exporter.log import fields

_log = logging.getLogger(__name__)

IMPORT, RAISED, TIMEOUT, JUNK = "import", "raised", "timeout", "junk"
RESTART = "needs_restart"
"""Kinds of our own; a collector adds those of the problems it reports."""
OTHER = "other"
MAX_KINDS = 16
MAX_DETAILS = 64
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


class CollectorErrors:
    """The errors of one collector by kind, at most `MAX_KINDS` of them, the rest as ``other``."""

    def __init__(self, collector: str) -> None:
        self._collector = collector
        self._counts: dict[str, int] = {}
        self._logged: set[tuple[bool, str, str]] = set()
        self._failed = False

    def fail(self, kind: str, detail: str) -> None:
        """Count that the collector did not work at all, until it has `answered`."""
        self._failed = True
        self._count(kind, detail, failure=True)

    def count(self, kind: str, detail: str) -> None:
        """Count one error in what it said; one of a kind and detail is logged once."""
        self._count(kind, detail, failure=False)

    def _count(self, kind: str, detail: str, *, failure: bool) -> None:
        """Count; log it unless it was logged before or too many different ones were."""
        if kind not in self._counts:
            room = len(self._counts) < MAX_KINDS - (OTHER not in self._counts)
            kind = kind if room and _KIND.fullmatch(kind) else OTHER
        self._counts[kind] = self._counts.get(kind, 0) + 1
        said = (failure, kind, detail[:300])
        if said in self._logged or len(self._logged) >= MAX_DETAILS:
            return
        self._logged.add(said)
        last = len(self._logged) == MAX_DETAILS
        text = "collector error; further ones are only counted" if last else "collector error"
        _log.warning(text, extra=fields(collector=self._collector, kind=kind, detail=said[2]))

    def answered(self) -> None:
        """The collector works; if it did not before, this is logged, and so is its next failure."""
        if self._failed:
            self._failed = False
            self._logged = {said for said in self._logged if not said[0]}
            _log.info("collector answers again", extra=fields(collector=self._collector))

    def counts(self) -> Mapping[str, int]:
        """How many there were of each kind until now."""
        return MappingProxyType(dict(self._counts))
