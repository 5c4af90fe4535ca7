"""What costs money by the hour, and how a host's price is split over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from unitcost.pricing.money import distribute, to_pico

CPU = "cpu"
MEMORY = "memory"
REST = "rest"
GIB = 2**30
MICRO = 10**6
"""Quantities are kept as whole millionths: of a core, a GiB, a request, a token, a second."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the host. `capacity_micro`: millionths of cores, GiB or devices."""

    id: str
    capacity_micro: int

    @property
    def is_gpu(self) -> bool:
        """GPUs are named ``gpu:<UUID>``, always the physical device."""
        return self.id.startswith("gpu:")


@dataclass(frozen=True, slots=True)
class SplitRule:
    """Weights in USD an hour for one core and one GiB, and a fixed amount for `rest`."""

    name: str
    usd_per_core_hour: Decimal
    usd_per_gib_hour: Decimal
    rest_usd_per_hour: Decimal = Decimal(0)

    def weight(self, resource: Resource) -> int:
        """A resource's price by the weights alone, pico-dollars an hour (GPUs: 0)."""
        per_unit = {CPU: self.usd_per_core_hour, MEMORY: self.usd_per_gib_hour}.get(resource.id)
        return to_pico(per_unit * resource.capacity_micro / MICRO) if per_unit else 0


DEFAULT_SPLIT = SplitRule("default_weights", Decimal("0.0316"), Decimal("0.0042"))
"""OpenCost's default prices of a core and a GiB; the remainder goes to the GPUs equally."""


def split_host(
    total_pico: int,
    resources: Sequence[Resource],
    rule: SplitRule,
    sibling_pico: int | None = None,
) -> dict[str, int]:
    """Split the host's price an hour over its resources; the parts sum to it exactly.

    A resource `rest` among them stands for GPUs that are there and were never seen (one for each
    million of its capacity): their part is the rest's, and not CPU's and memory's.

    `rest` gets its fixed amount first (never more than the total). Where there are GPUs to take
    the remainder, CPU and memory together get what their sibling costs (`sibling_pico`) if that
    is known and smaller, else their weights if these do not exceed the total. Otherwise the
    weights are scaled to it. Nothing to weigh by: equal parts.
    """
    by_sibling = takes_sibling(total_pico, resources, rule, sibling_pico)
    rest = _fixed_rest(total_pico, rule)
    parts = {REST: rest} if rest else {}
    left = total_pico - rest
    gpus = [resource for resource in resources if resource.is_gpu]
    unseen = _unseen(resources)
    others = _others(resources)
    weights = [rule.weight(resource) for resource in others]
    together = sibling_pico if by_sibling and sibling_pico is not None else sum(weights)
    if (gpus or unseen) and together <= left:
        parts.update(zip((r.id for r in others), _by_weights(together, weights), strict=True))
        *shares, missing = distribute(left - together, [*[1] * len(gpus), unseen])
        parts.update(zip((r.id for r in gpus), shares, strict=True))
        if unseen:
            parts[REST] = rest + missing
        return parts
    parts.update(dict.fromkeys((r.id for r in gpus), 0))
    if unseen:
        parts[REST] = rest
    if others:
        parts.update(zip((r.id for r in others), _by_weights(left, weights), strict=True))
    elif left:
        parts[REST] = rest + left
    return parts


def takes_sibling(
    total_pico: int, resources: Sequence[Resource], rule: SplitRule, sibling_pico: int | None
) -> bool:
    """Whether a host's price is split by that of its sibling.

    It is where that is known, above 0 and smaller than what is left of the price beside the fixed
    rest, there is CPU or memory to have it, and there are GPUs to take the remainder.
    """
    if sibling_pico is None or not _others(resources):
        return False
    left = total_pico - _fixed_rest(total_pico, rule)
    has_gpus = any(each.is_gpu for each in resources) or _unseen(resources) > 0
    return has_gpus and 0 < sibling_pico < left


def _fixed_rest(total_pico: int, rule: SplitRule) -> int:
    return min(to_pico(rule.rest_usd_per_hour), total_pico)


def _unseen(resources: Sequence[Resource]) -> int:
    """How many GPUs are there that no driver has shown."""
    return sum(each.capacity_micro for each in resources if each.id == REST) // MICRO


def _others(resources: Sequence[Resource]) -> list[Resource]:
    """CPU and memory."""
    return [each for each in resources if not each.is_gpu and each.id != REST]


def _by_weights(amount: int, weights: Sequence[int]) -> list[int]:
    return distribute(amount, weights if any(weights) else [1] * len(weights))
