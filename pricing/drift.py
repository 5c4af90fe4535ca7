"""Drift: by how much a unit costs more than it used to, taken apart into what did it.

    Cost/Ns = Cost/H · W/Na · Na/Ns · H/(A+I) · (A+I)/A · A/W
            = price  · mix  · failures · loading · idle · speed

A, I and L are the dollars of active, idle and loading time at prices that are frozen, H their sum;
Na and Ns requests attempted and succeeded; W the work in them: tokens by type, each weighed by the
baseline's phase seconds for one. The six ratios to a baseline multiply to the ratio of the whole,
and their logarithms divide the difference in dollars among them (logarithmic mean Divisia index,
Ang 2005, Energy Policy 33:867).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType


class Factor(StrEnum):
    """What the cost of a unit is made of."""

    PRICE = "price"
    MIX = "mix"
    FAILURES = "failures"
    LOADING = "loading"
    IDLE = "idle"
    SPEED = "speed"


class Weighing(StrEnum):
    """How different requests are made comparable."""

    PHASE_SECONDS = "phase_seconds"
    TOKENS = "tokens"
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True)
class Sums:
    """What was spent and done in some time, all of it metered and priced.

    `cost` in pico-dollars as charged; `active`, `idle`, `loading` in pico-dollars at frozen prices;
    requests and tokens in millionths, `input` without what came from the cache; `prefill` and
    `decode` in millionths of seconds. `attempts_known`: the server counts those that failed, too.
    """

    cost: int = 0
    active: int = 0
    idle: int = 0
    loading: int = 0
    attempted: int = 0
    succeeded: int = 0
    input: int = 0
    output: int = 0
    prefill: int = 0
    decode: int = 0

    @property
    def held(self) -> int:
        """All time at frozen prices."""
        return self.active + self.idle + self.loading

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))

    def minus(self, other: "Sums") -> "Sums":
        """What is left without a part of it."""
        return Sums(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Sums)))


def together(parts: Iterable[Sums]) -> Sums:
    """The sums of some parts. Ratios are taken of sums: a mean of ratios would weigh nights up."""
    whole = Sums()
    for part in parts:
        whole = whole.plus(part)
    return whole


@dataclass(frozen=True, slots=True)
class Weights:
    """What one token of each type weighs, in seconds, or in nothing in particular."""

    input: float
    output: float
    weighing: Weighing

    def work(self, sums: Sums) -> float:
        """The work that was done."""
        if self.weighing is Weighing.REQUESTS:
            return float(sums.attempted)
        return self.input * sums.input + self.output * sums.output


def weights_of(baseline: Sums) -> Weights:
    """The baseline's phase seconds for a token of each type.

    Where a phase is not told all tokens weigh alike, where there are no tokens all requests do.
    """
    if not baseline.input and not baseline.output:
        return Weights(0.0, 0.0, Weighing.REQUESTS)
    pairs = (baseline.prefill, baseline.input), (baseline.decode, baseline.output)
    if all(seconds and tokens for seconds, tokens in pairs):
        each = [seconds / tokens for seconds, tokens in pairs]
        return Weights(each[0], each[1], Weighing.PHASE_SECONDS)
    return Weights(1.0, 1.0, Weighing.TOKENS)


@dataclass(frozen=True, slots=True)
class Drift:
    """The present against a baseline. `ratio` is the product of all `factors`.

    `unit_usd` and `baseline_usd`: pico-dollars for one succeeded request, then and now.
    """

    ratio: float
    factors: Mapping[Factor, float]
    unit_pico: float
    baseline_pico: float
    weighing: Weighing

    def pico_per_unit(self, factor: Factor) -> float:
        """How much of the difference for one request is this factor's; all of them sum to it."""
        return _log_mean(self.unit_pico, self.baseline_pico) * math.log(self.factors[factor])


def drift(now: Sums, baseline: Sums) -> Drift | None:
    """The present against the baseline; None where either has no work, no active time, no success.

    The baseline's weights serve for both.
    """
    weights = weights_of(baseline)
    then, present = _parts(baseline, weights), _parts(now, weights)
    if then is None or present is None:
        return None
    ratios = {factor: present[factor] / then[factor] for factor in Factor}
    unit, base = now.cost / now.succeeded * 10**6, baseline.cost / baseline.succeeded * 10**6
    return Drift(unit / base, MappingProxyType(ratios), unit, base, weights.weighing)


def _parts(sums: Sums, weights: Weights) -> dict[Factor, float] | None:
    """The six quotients themselves; their product is the cost of a succeeded request."""
    work = weights.work(sums)
    if not (sums.cost > 0 and sums.active > 0 and sums.succeeded > 0 and work > 0):
        return None
    attempted = max(sums.attempted, sums.succeeded)
    working = sums.active + sums.idle
    return {
        Factor.PRICE: sums.cost / sums.held,
        Factor.MIX: work / attempted,
        Factor.FAILURES: attempted / sums.succeeded,
        Factor.LOADING: sums.held / working,
        Factor.IDLE: working / sums.active,
        Factor.SPEED: sums.active / work,
    }


def _log_mean(one: float, other: float) -> float:
    """(a - b) / ln(a / b), and a where both are the same."""
    ratio = one / other
    return one if math.isclose(ratio, 1.0, rel_tol=1e-9) else (one - other) / math.log(ratio)
