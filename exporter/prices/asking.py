"""One source is asked: for this host, and for its sibling, whose failure is none of the host's."""

import time
from collections.abc import Sequence
from dataclasses import replace

from unitcost.collectors.price_contract import NotHere, PriceSource, PriceSourceError
from unitcost.exporter.prices.accepted import accepted, left_out, text_of
from unitcost.exporter.prices.looked import SourceState
from unitcost.pricing.quote import HostIdentity, Quote

SOURCE_SECONDS = 60.0
"""How long one question may take to a source that does not say so itself."""


def asked_of(
    source: PriceSource,
    before: SourceState,
    host: HostIdentity,
    sibling: HostIdentity | None,
    now_ns: int,
) -> SourceState:
    """How a source is doing after it was asked of a host, and of its sibling where it has one.

    A failure keeps what it said last, with its date.
    """
    if getattr(source, "host_only", False):
        sibling = None
    together = getattr(source, "quotes_of", None) if sibling is not None else None
    try:
        deadline = time.monotonic() + patience(source)
        quotes = accepted(
            together((host, sibling), deadline)
            if together is not None
            else source.quotes(host, deadline)
        )
        dropped = left_out(source)
    except NotHere:
        return replace(before, quotes=(), sibling_quotes=(), not_here=True, error="")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return replace(before, errors=before.errors + 1, error=_why(error))
    after = replace(
        before,
        quotes=_of(quotes, sibling, False),
        last_success_ns=now_ns,
        error="",
        not_here=False,
        dropped=dropped,
        sibling_quotes=_of(quotes, sibling, True),
        sibling_error="",
    )
    if sibling is None or together is not None:
        return after
    return _of_sibling(source, before, after, sibling)


def _of_sibling(
    source: PriceSource, before: SourceState, after: SourceState, sibling: HostIdentity
) -> SourceState:
    """The same after it was asked of the sibling, too."""
    try:
        quotes = accepted(source.quotes(sibling, time.monotonic() + patience(source)))
    except NotHere:
        return after
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
        return replace(after, sibling_quotes=before.sibling_quotes, sibling_error=_why(error))
    return replace(after, sibling_quotes=quotes)


def _of(quotes: Sequence[Quote], sibling: HostIdentity | None, wanted: bool) -> tuple[Quote, ...]:
    """The quotes that are of the sibling's type, or those that are not."""
    sku = sibling.sku if sibling is not None else None
    return tuple(each for each in quotes if (each.key.sku == sku) is wanted)


def patience(source: PriceSource) -> float:
    """How many seconds a source may take to answer a question."""
    return float(getattr(source, "patience_seconds", SOURCE_SECONDS))


def _why(error: BaseException) -> str:
    if not isinstance(error, PriceSourceError):
        return type(error).__name__
    return text_of(error) or "it failed, and did not say why"
