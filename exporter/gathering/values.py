"""What any value in a reading must be: numbers, whole numbers, texts; and how a fault is named."""

import math
from enum import StrEnum

MAX_VALUE = 2.0**53
"""Above it a float no longer tells one unit from the next."""
MAX_TEXT = 16_384
_MAX_INTEGER = 2**63


def is_number(value: object) -> bool:
    """Finite, not negative, and small enough to be exact."""
    if type(value) is float:
        return math.isfinite(value) and 0 <= value <= MAX_VALUE
    return type(value) is int and 0 <= value <= MAX_VALUE


def wrong_integers(*values: object) -> str:
    """The first that is no whole number from 0 on, in words; empty if all are."""
    for value in values:
        if type(value) is not int or not 0 <= value < _MAX_INTEGER:
            return f"{short(value)} is no whole number from 0 on"
    return ""


def wrong_texts(*values: object) -> str:
    """The first that is no plain text of a sensible length, in words; empty if all are."""
    for value in values:
        if not isinstance(value, str) or not _is_text(type(value)):
            return f"{type(value).__name__} instead of a text"
        if len(value) > MAX_TEXT:
            return f"a text of {len(value)} characters"
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            return "a text that is not Unicode"
    return ""


def _is_text(kind: type) -> bool:
    """Whether it is plain text or a name of ours (Outcome, TokenType, Phase); no other subclass."""
    return kind is str or issubclass(kind, StrEnum)


def short(value: object) -> str:
    """What a fault is named by: never a long text, never code of a foreign type."""
    if isinstance(value, str):
        return str.__repr__(value)[:60]
    if type(value) is int:
        return str(value) if abs(value) < _MAX_INTEGER else "a huge number"
    return repr(value) if type(value) in (float, bool) or value is None else type(value).__name__
