"""Opportunity cost: what idle time would have cost, or earned, at a rate that somebody states.

A memo: nobody pays it, so it is added to nothing.
"""

from unitcost.pricing.money import round_half_even

_MICRO_PER_HOUR = 3600 * 10**6


def forgone_pico(pico_per_hour: int, micro_before: int, micro_after: int) -> int:
    """Pico-dollars of resource-seconds (in millionths) on top of those before.

    The difference of two roundings, so that at one rate the sum is rounded once.
    """
    before = round_half_even(pico_per_hour * micro_before, _MICRO_PER_HOUR)
    return round_half_even(pico_per_hour * micro_after, _MICRO_PER_HOUR) - before
