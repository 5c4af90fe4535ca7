"""Points about how costs were found: which layer is billed, and by what models are split."""

from unitcost.exporter.serving.snapshot import Point
from unitcost.exporter.settling.memos import Memos
from unitcost.exporter.settling.tally import Tally
from unitcost.pricing.models import split_methods
from unitcost.pricing.sample import Quantity

_BILLED = (Quantity.REQUESTS, Quantity.TOKENS, Quantity.PHASE_SECONDS)


def method_points(tally: Tally, memos: Memos, live: frozenset[str]) -> dict[str, list[Point]]:
    """How the costs of live workloads were found."""
    return {
        "unitcost_layer_disagreement_ratio": [
            point for point in _disagreements(memos) if point[0][0] in live
        ],
        "unitcost_billed_layer_info": [
            ((workload, str(layer), str(quantity)), 1.0)
            for (workload, quantity), layer in sorted(memos.authority.items())
            if quantity in _BILLED and workload in live
        ],
        "unitcost_model_split_info": [
            ((workload, method), 1.0)
            for workload, method in sorted(split_methods(tally.window_units()).items())
            if workload in live
        ],
    }


def _disagreements(memos: Memos) -> list[Point]:
    """Each layer that is not billed, against the one that is, over the window."""
    sums = memos.layers.sums
    points: list[Point] = []
    for (workload, quantity, layer), micro in sorted(sums.items()):
        chosen = memos.authority.get((workload, quantity))
        if chosen is None or chosen is layer:
            continue
        billed = sums.get((workload, quantity, chosen), 0)
        if billed:
            labels = (workload, str(layer), str(quantity))
            points.append((labels, (micro - billed) / billed))
    return points
