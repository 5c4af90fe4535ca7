"""Dollars told apart inside of what was charged: wasted work, and what a cache saved.

These are memos: parts of a cost that is on the bill already, or a cost that never came to be. They
are never added to anything. They are taken from the window of the unit costs, so that they are in
proportion to what work costs now, whichever tick it ended in.
"""

from unitcost.pricing.sample import Outcome, Phase, Quantity, TokenType
from unitcost.pricing.unit_cost import UnitKey, Window

WASTED = (Outcome.FAILED, Outcome.ABORTED)
_TIMED: UnitKey = (Quantity.REQUEST_SECONDS, "")
_TOKENS: tuple[UnitKey, ...] = tuple(
    (Quantity.TOKENS, each) for each in (TokenType.INPUT, TokenType.OUTPUT)
)
_INPUT: UnitKey = (Quantity.TOKENS, TokenType.INPUT)

_WHOLE = ((Quantity.OUTCOME_SECONDS, (_TIMED,)), (Quantity.OUTCOME_TOKENS, _TOKENS))


def wasted_pico(window: Window, outcome: Outcome, units: dict[UnitKey, int]) -> int | None:
    """Pico-dollars of active cost that went into requests which ended so, of this tick's units.

    By seconds where the server says how long such requests took, else by their tokens; None where
    it says neither, or nothing tells busy from idle.
    """
    if window.without_used:
        return None
    for quantity, whole in _WHOLE:
        key = (quantity, outcome)
        if key in units and all(each in window.seen for each in whole):
            total = sum(window.covered.get(each, 0) for each in whole)
            return window.used_pico * min(units[key], total) // total if total else None
    return None


def saved_pico(window: Window, units: dict[UnitKey, int]) -> int | None:
    """What this tick's cached input would have cost, at what computing an input token costs now.

    None where the server does not tell cached input, or prefill from decode.
    """
    cached = units.get((Quantity.TOKENS, TokenType.CACHED_INPUT))
    prefill = window.covered.get((Quantity.PHASE_SECONDS, Phase.PREFILL))
    decode = window.covered.get((Quantity.PHASE_SECONDS, Phase.DECODE))
    if cached is None or prefill is None or decode is None or window.without_used:
        return None
    computed = window.covered.get(_INPUT, 0) * (prefill + decode)
    return window.used_pico * prefill * cached // computed if computed else None
