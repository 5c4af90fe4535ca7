"""The CPU-only sibling of a host: the same machine without its GPUs, by whose price one is split.

What the sibling costs is what CPU and memory cost, together; what the host costs more is its
GPUs'. A sibling of another size is scaled by the weights of a core and a GiB.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from unitcost.pricing.money import round_half_even
from unitcost.pricing.resource import SplitRule


@dataclass(frozen=True, slots=True)
class Shape:
    """What a machine has, as its provider states it. Raises ValueError unless above 0."""

    vcpus: Decimal
    memory_gib: Decimal

    def __post_init__(self) -> None:
        for amount in (self.vcpus, self.memory_gib):
            if not (amount.is_finite() and amount > 0):
                raise ValueError(f"a machine has CPUs and memory, not {amount} of them")


@dataclass(frozen=True, slots=True)
class Sibling:
    """An instance type without GPUs, of the host's provider.

    `shape` is its own and `host` that of the machine it stands for. Where they are not known it
    is taken as it is: whoever named it says that it is as large.
    """

    sku: str
    shape: Shape | None = None
    host: Shape | None = None

    @property
    def rule_name(self) -> str:
        """What the split by it is called."""
        return f"sibling:{self.sku}"

    def cpu_and_memory(self, pico: int, rule: SplitRule) -> int | None:
        """What the host's CPU and memory cost by the sibling's price, pico-dollars an hour.

        None where the sizes differ and the rule has no weights to compare them by.
        """
        scale = self._scale(rule)
        if scale is None:
            return None
        return round_half_even(pico * scale.numerator, scale.denominator)

    def _scale(self, rule: SplitRule) -> Fraction | None:
        if self.shape is None or self.host is None or self.shape == self.host:
            return Fraction(1)
        ours, theirs = _worth(self.host, rule), _worth(self.shape, rule)
        return ours / theirs if theirs else None


def _worth(shape: Shape, rule: SplitRule) -> Fraction:
    """What CPU and memory are worth by the weights, USD an hour."""
    cores = Fraction(rule.usd_per_core_hour) * Fraction(shape.vcpus)
    return cores + Fraction(rule.usd_per_gib_hour) * Fraction(shape.memory_gib)
