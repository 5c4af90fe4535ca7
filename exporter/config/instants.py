"""Instants as they are written in a configuration."""

import re
from datetime import UTC, datetime, timedelta

from unitcost.exporter.config.decode import shown

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime:
    """An ISO 8601 date and time with UTC offset. Raises ValueError that says what is expected."""
    wanted = "expected a date and time with UTC offset such as 2026-01-31T00:00:00+00:00"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{wanted}, got {shown(text)}") from None
    if at.tzinfo is None:
        raise ValueError(f"UTC offset missing, {wanted}")
    if not 2000 <= at.year < 2200:
        raise ValueError(f"must be between the years 2000 and 2199, got {shown(text)}")
    return at


def day_or_instant(text: str) -> datetime:
    """A day (from 00:00 UTC), or an instant with UTC offset. Raises ValueError that says which."""
    wanted = "expected a day such as 2026-01-31, or an instant with its UTC offset"
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{wanted}, got {shown(text)}") from None
    if at.tzinfo is None:
        if not _DAY.fullmatch(text):
            raise ValueError(f"UTC offset missing, {wanted}")
        at = at.replace(tzinfo=UTC)
    if not 1970 < at.year < 2200:
        raise ValueError(f"must be between the years 1971 and 2199, got {shown(text)}")
    return at


def instant_ns(text: str) -> int:
    """ISO 8601 with an offset, as Unix nanoseconds. Raises ValueError without an offset."""
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError("an instant needs an offset from UTC, such as Z or +04:00")
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
