"""What a model cost to train: the compute of its runs and the items attached to them.

And its training share: that cost over the number of requests that somebody expects it to serve.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from unitcost.pricing.figures import divide
from unitcost.pricing.items import ItemKey
from unitcost.pricing.money import to_pico, to_usd

COMPUTE = "compute"
"""The part of a training's cost that its resources cost; the others are types of items."""


@dataclass(frozen=True, slots=True)
class RunOf:
    """A run of a workload; all of the workload where `run` is empty."""

    workload: str
    run: str = ""

    def has(self, item: ItemKey) -> bool:
        """Whether an item is attached to it."""
        return item.workload == self.workload and self.run in ("", item.run)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model, the runs that made it, and the workload (and model of it) that serves it.

    `compute_usd`: what of its compute was paid for elsewhere, as somebody states it. Runs that are
    not known here are taken to be in it; without it their cost is unknown.
    """

    name: str
    runs: tuple[RunOf, ...] = ()
    compute_usd: Decimal | None = None
    served_by: tuple[str, str] | None = None
    expected_requests: int | None = None


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """Pico-dollars by part, those that are known."""

    parts: Mapping[str, int]

    @property
    def total_pico(self) -> int | None:
        """All parts together; None where the compute is not known."""
        return sum(self.parts.values()) if COMPUTE in self.parts else None


def training_cost(
    model: TrainedModel,
    compute_of: Callable[[RunOf], int | None],
    items: Iterable[tuple[ItemKey, int]],
) -> TrainingCost:
    """What a model cost to train so far. `items`: how much is due of each, in pico-dollars."""
    found = [compute_of(run) for run in model.runs]
    parts: dict[str, int] = {}
    if model.compute_usd is not None:
        parts[COMPUTE] = to_pico(model.compute_usd) + sum(pico or 0 for pico in found)
    elif found and None not in found:
        parts[COMPUTE] = sum(pico or 0 for pico in found)
    for key, pico in items:
        if any(run.has(key) for run in model.runs):
            parts[key.type] = parts.get(key.type, 0) + pico
    return TrainingCost(parts)


def share_usd(total_pico: int, expected_requests: int) -> Decimal:
    """US dollars of training for each request, spread evenly over those expected (above 0)."""
    return divide(to_usd(total_pico), Decimal(expected_requests))
