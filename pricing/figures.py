"""Checks that a figure is one, and division that does not depend on anybody's decimal context."""

from decimal import ROUND_HALF_EVEN, Context, Decimal

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
MAX_PLACES = 60
"""More digits after the point than any price has; a figure with millions would take for ever."""


def within(what: str, value: Decimal, low: Decimal | int, most: Decimal | int) -> None:
    """Raise ValueError unless `value` is finite, from `low` to `most`, and of sane length."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not low <= value <= most or exponent < -MAX_PLACES:
        raise ValueError(f"{what} is from {low} to {most}, not {shown(value)}")


def above_zero(what: str, value: Decimal, most: Decimal | int) -> None:
    """Raise ValueError unless `value` is above 0 and at most `most`."""
    within(what, value, 0, most)
    if not value:
        raise ValueError(f"{what} is above 0")


def shown(value: Decimal) -> str:
    """A figure for a message, short whatever it is."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def multiply(one: Decimal, other: Decimal) -> Decimal:
    """`one` x `other` to 60 digits."""
    return _CONTEXT.multiply(one, other)


def divide(dividend: Decimal, divisor: Decimal) -> Decimal:
    """`dividend` / `divisor` to 60 digits. Raises ArithmeticError for a divisor of 0."""
    return _CONTEXT.divide(dividend, divisor)
