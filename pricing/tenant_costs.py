"""Whose requests a server's cost was for: split over tenants so that the parts sum to it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.pricing.money import distribute
from unitcost.pricing.sample import Phase, Quantity, TokenType
from unitcost.pricing.unit_cost import SUCCEEDED, UnitKey
from unitcost.pricing.workload import OVERFLOW

Units = Mapping[UnitKey, int]
Weights = Mapping[str, int]
"""How much of the work was each tenant's."""
_BY_PHASE = ((TokenType.INPUT, Phase.PREFILL), (TokenType.OUTPUT, Phase.DECODE))


def tenant_weights(whole: Units, tenants: Mapping[str, Units], rates: Units) -> dict[str, int]:
    """How much of an account's work each tenant had done; ``__other__`` is what nobody is said for.

    By tokens, an input token weighing what it takes to compute one and an output token likewise,
    where `rates` (units over a longer time) have prefill and decode seconds; else by tokens alike;
    else by succeeded requests.
    """
    by_token = _token_weights(rates)
    weigh = _tokens if any(q is Quantity.TOKENS for q, _ in whole) else _requests
    total = weigh(whole, by_token)
    found = {tenant: weigh(units, by_token) for tenant, units in tenants.items()}
    found = {tenant: weight for tenant, weight in found.items() if weight}
    # A gateway may count a tenant a moment before the whole.
    rest = total - sum(found.values())
    if rest > 0:
        found[OVERFLOW] = found.get(OVERFLOW, 0) + rest
    return found


def _token_weights(rates: Units) -> dict[str, int]:
    """What a token of each type weighs: seconds of its phase for each token, as whole numbers."""
    parts = [
        (
            kind,
            rates.get((Quantity.PHASE_SECONDS, phase), 0),
            rates.get((Quantity.TOKENS, kind), 0),
        )
        for kind, phase in _BY_PHASE
    ]
    if not all(seconds and tokens for _, seconds, tokens in parts):
        return {kind: 1 for kind, _ in _BY_PHASE}
    (_, prefill, inputs), (_, decode, outputs) = parts
    return {TokenType.INPUT: prefill * outputs, TokenType.OUTPUT: decode * inputs}


def _tokens(units: Units, by_token: Mapping[str, int]) -> int:
    return sum(
        micro * by_token.get(label, 0)
        for (quantity, label), micro in units.items()
        if quantity is Quantity.TOKENS
    )


def _requests(units: Units, by_token: Mapping[str, int]) -> int:
    return units.get(SUCCEEDED, 0)


def split_by_tenant(pico: int, done: Weights) -> dict[str, int]:
    """Split pico-dollars over tenants by the work done for each over the window, now included.

    The parts sum to `pico`. Where nothing says whose it was it is ``__other__``.
    """
    weights = done if any(done.values()) else {OVERFLOW: 1}
    return dict(zip(weights, distribute(pico, list(weights.values())), strict=True))


@dataclass(slots=True)
class TenantWindow:
    """What each tenant had done over the last `length_ns` (monotonic clock).

    Units, not weights: what a token weighs changes from tick to tick, and a token of the beginning
    of the window counts as much as one of its end.
    """

    length_ns: int
    slices: deque[tuple[int, Units, Mapping[str, Units]]] = field(default_factory=deque)
    whole: dict[UnitKey, int] = field(default_factory=dict)
    tenants: dict[str, dict[UnitKey, int]] = field(default_factory=dict)

    def add(self, end_ns: int, whole: Units, tenants: Mapping[str, Units]) -> None:
        """Take in one tick and drop what is older than the window."""
        whole = _weighed(whole)
        tenants = {tenant: _weighed(units) for tenant, units in tenants.items()}
        if any(whole.values()) or tenants:
            self.slices.append((end_ns, whole, tenants))
        self._sum(whole, tenants, 1)
        while self.slices and self.slices[0][0] <= end_ns - self.length_ns:
            _, whole, tenants = self.slices.popleft()
            self._sum(whole, tenants, -1)

    def weights(self, rates: Units) -> dict[str, int]:
        """The tenants' weights by all of the window, as `tenant_weights`."""
        return tenant_weights(self.whole, self.tenants, rates)

    def _sum(self, whole: Units, tenants: Mapping[str, Units], sign: int) -> None:
        for key, micro in whole.items():
            self.whole[key] = self.whole.get(key, 0) + sign * micro
        for tenant, units in tenants.items():
            own = self.tenants.setdefault(tenant, {})
            for key, micro in units.items():
                own[key] = own.get(key, 0) + sign * micro
            if not any(own.values()):
                del self.tenants[tenant]


def _weighed(units: Units) -> dict[UnitKey, int]:
    """Those units that weights are made of."""
    return {key: n for key, n in units.items() if key == SUCCEEDED or key[0] is Quantity.TOKENS}
