"""Money: exact decimal dollars, kept as whole pico-dollars (1e-12 USD); never binary floats.

An amount is an `int` of pico-dollars inside the core, so sums and splits are exact and quick,
and a `Decimal` of dollars at its edges.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

PICO = 10**12
"""Pico-dollars in a dollar."""
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_QUANTUM = Decimal(1).scaleb(-12)


def to_pico(usd: Decimal) -> int:
    """Dollars to whole pico-dollars, half to even. Raises ValueError unless finite."""
    if not usd.is_finite():
        raise ValueError(f"not an amount of money: {usd}")
    return int(_CONTEXT.scaleb(usd.quantize(_QUANTUM, context=_CONTEXT), 12))


def to_usd(pico: int) -> Decimal:
    """Whole pico-dollars to exact dollars."""
    return _CONTEXT.scaleb(Decimal(pico), -12)


def round_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest whole number, ties to even; `denominator` > 0."""
    quotient, remainder = divmod(numerator, denominator)
    doubled = 2 * remainder
    return quotient + (doubled > denominator or (doubled == denominator and quotient % 2 == 1))


def distribute(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` by `weights` into whole parts that sum to it exactly (largest remainder).

    Each part is within one of its exact share; ties go to the earlier weight, so the result is
    the same every time. Raises ValueError if `total` or a weight is negative, or if all weights
    are zero while `total` is not.
    """
    whole = sum(weights)
    if total < 0 or min(weights, default=0) < 0:
        raise ValueError("neither the total nor a weight may be negative")
    if whole == 0:
        if total:
            raise ValueError("nothing to distribute by: all weights are zero")
        return [0] * len(weights)
    parts, remainders = [], []
    for index, weight in enumerate(weights):
        part, remainder = divmod(total * weight, whole)
        parts.append(part)
        remainders.append((-remainder, index))
    left = total - sum(parts)
    for _, index in sorted(remainders)[:left]:
        parts[index] += 1
    return parts
