"""Exchange rates beside the ticks: those stated, the pegs, and what the bank said last."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from threading import Lock

from unitcost.collectors.price_contract import PriceSourceError
from unitcost.exporter.config.currency import fixed_rates
from unitcost.exporter.config.settings import Currency
from unitcost.exporter.log import OncePer, fields
from unitcost.pricing.currency import NS_PER_DAY, Rate, Rates
from unitcost.pricing.sample import NS_PER_SECOND

_log = logging.getLogger(__name__)
FILE_SECONDS = 3600.0
"""How often a file is read again."""
FRESH_NS = NS_PER_DAY * 5 // 6
"""Whoever read the bank's rates so recently has missed no day: the last one's are enough."""

UNREADABLE = "exchange rates could not be read"


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading gave: rates, and in words what of it could not be used."""

    rates: tuple[Rate, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateSource:
    """Where rates are read. ``read(today, gap)``: `gap` asks for the days that were missed, too.

    It raises PriceSourceError.
    """

    name: str
    refresh_seconds: float
    read: Callable[[date, bool], Read]


@dataclass(frozen=True, slots=True)
class ExchangeState:
    """How the source of rates is doing; `last_success_ns` is None before the first.

    Without a source its name is empty.
    """

    name: str
    last_success_ns: int | None = None
    errors: int = 0
    error: str = ""
    problems: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether there is a source that has not answered yet, nor failed to."""
        return bool(self.name) and self.last_success_ns is None and not self.errors


class Exchange:
    """All exchange rates there are. `refresh` is for one thread at a time; the rest for any.

    With `quiet` nothing is logged.
    """

    def __init__(
        self,
        fixed: Sequence[Rate] = (),
        source: RateSource | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.rates = Rates(fixed=tuple(fixed))
        self.source = source
        self.quiet = False
        self.state = ExchangeState(source.name if source else "")
        self._wall_ns = wall_ns
        self._lock = Lock()
        self._said = OncePer()

    def remember(self, rates: Sequence[Rate]) -> None:
        """What was read before the last restart; nothing where no rates are read any more."""
        if self.source is not None:
            with self._lock:
                known = self.rates.rates
                self.rates = replace(self.rates, rates=()).with_more((*rates, *known))

    def refresh(self) -> None:
        """Read the rates again; a failure keeps what is known, with its dates."""
        if self.source is None:
            return
        now_ns, before = self._wall_ns(), self.state
        since_ns = before.last_success_ns
        gap = since_ns is None or not 0 <= now_ns - since_ns < FRESH_NS
        try:
            today = datetime.fromtimestamp(now_ns // NS_PER_SECOND, UTC).date()
            found = self.source.read(today, gap)
        except PriceSourceError as error:
            self.state = self._failed(before, str(error))
        except Exception as error:  # noqa: BLE001 - a defect: the rates known stay in use
            self.state = self._failed(before, type(error).__name__)
        else:
            learnt = (replace(each, known_at_ns=now_ns) for each in found.rates)
            with self._lock:
                self.rates = self.rates.with_more(learnt)
            self.state = replace(before, last_success_ns=now_ns, error="", problems=found.problems)
            self._said.clear(UNREADABLE)
            self._tell("exchange rate left out", found.problems)

    def _failed(self, before: ExchangeState, why: str) -> ExchangeState:
        self._tell(UNREADABLE, (why,))
        return replace(before, errors=before.errors + 1, error=why)

    def _tell(self, what: str, details: Sequence[str]) -> None:
        for detail in details:
            if not self.quiet and self._said.first(what, detail):
                _log.warning(what, extra=fields(source=self.state.name, detail=detail))


def make_exchange(
    currency: Currency, folder: Path, wall_ns: Callable[[], int] = time.time_ns
) -> Exchange:
    """The rates of a configuration; `folder` is what its paths are relative to."""
    return Exchange(fixed_rates(currency), _source(currency, folder), wall_ns)


def _source(currency: Currency, folder: Path) -> RateSource | None:
    if currency.ecb_file:
        file = folder / currency.ecb_file
        return RateSource("ecb_file", FILE_SECONDS, partial(_read_file, file))
    if currency.ecb is not None:
        ecb = currency.ecb
        return RateSource("ecb", ecb.refresh_seconds, partial(_ask, ecb.url, ecb.timeout))
    return None


def _read_file(file: Path, today: date, gap: bool) -> Read:
    # Imported where it is used: an XML parser and what speaks HTTP.
    from unitcost.collectors.currency_ecb import read_file

    found = read_file(file, today)
    return Read(found.rates, tuple(problem.detail for problem in found.problems))


def _ask(url: str, timeout: float, today: date, gap: bool) -> Read:
    from unitcost.collectors.currency_ecb import DAILY_URL, HISTORY_URL, read_url

    found = read_url(today, timeout, url or (HISTORY_URL if gap else DAILY_URL))
    return Read(found.rates, tuple(problem.detail for problem in found.problems))
