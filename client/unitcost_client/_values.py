"""Values from outside, made safe: whatever comes in, what goes out can be written and read back."""

import math
import operator
from collections.abc import Mapping

LIMIT = 2**53 - 1
"""Largest count: the largest integer that every JSON reader keeps exactly."""
MAX_TEXT_BYTES = 128
MAX_LABELS = 16


def whole(value: object, otherwise: int = 0) -> int:
    """A count: `value` if it is a whole number from 0 to `LIMIT`, else `otherwise`."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # what has no index raises
    except Exception:  # noqa: BLE001 - foreign number types raise what they like
        inexact = amount(value, -1)
        number = int(inexact) if inexact == int(inexact) else -1
    return number if 0 <= number <= LIMIT else otherwise


def amount(value: object, otherwise: float = 0.0) -> float:
    """A finite number from 0 to `LIMIT`, fractions allowed; whole ones come back as int."""
    if issubclass(type(value), str | bytes | bytearray):  # float() would read digits in them
        return otherwise
    try:
        number = float(value)  # type: ignore[arg-type]  # what has no float raises
    except Exception:  # noqa: BLE001 - foreign number types raise what they like
        return otherwise
    if not math.isfinite(number) or not 0 <= number <= LIMIT:
        return otherwise
    rounded = round(number, 9)  # 0.1 ten times is one epoch, not 0.9999999999999999
    return int(rounded) if rounded.is_integer() else rounded


def text(value: object, limit: int = MAX_TEXT_BYTES) -> str:
    """Printable text of at most `limit` bytes of UTF-8; empty where there is none."""
    try:
        raw = "" if value is None else str(value)[: 4 * limit].strip()
    except Exception:  # noqa: BLE001 - a __str__ of the user's
        return ""
    printable = "".join(ch if ch.isprintable() else "_" for ch in raw)
    return printable.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def short_labels(given: object) -> dict[str, str]:
    """The first `MAX_LABELS` labels as short texts; empty where `given` is no mapping."""
    if not isinstance(given, Mapping):
        return {}
    pairs = [(text(key, 64), text(value)) for key, value in list(given.items())[:MAX_LABELS]]
    return {key: value for key, value in pairs if key}
