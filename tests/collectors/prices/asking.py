"""Asks a price source, as the exporter does."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unitcost.collectors.price_contract import PriceSource, PriceSourceError, SourceContext
from unitcost.pricing.quote import HostIdentity, Quote

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ns(text: str) -> int:
    """Unix nanoseconds of an instant."""
    instant = datetime.fromisoformat(text)
    return round(instant.replace(tzinfo=instant.tzinfo or UTC).timestamp() * 1_000_000) * 1000


NOW_NS = ns("2026-11-20T12:00:00")


def context(folder: Path = Path("/nonexistent")) -> SourceContext:
    """A context in which it is `NOW`."""
    return SourceContext(folder, lambda: NOW_NS)


def quotes(source: PriceSource, host: HostIdentity, seconds: float = 30.0) -> Sequence[Quote]:
    """What the source says of that host."""
    return source.quotes(host, time.monotonic() + seconds)


def failure(source: PriceSource, host: HostIdentity, seconds: float = 30.0) -> str:
    """Why the source says nothing: one line."""
    with pytest.raises(PriceSourceError) as caught:
        quotes(source, host, seconds)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    assert len(text) < 400
    return text


def said(found: Sequence[Quote]) -> list[tuple[Any, ...]]:
    """What matters of quotes: model, zone, currency, price, and from when until when."""
    return [
        (
            str(each.key.model),
            each.key.zone,
            each.key.currency,
            str(each.per_hour),
            each.valid_from_ns,
            each.valid_to_ns,
        )
        for each in found
    ]
