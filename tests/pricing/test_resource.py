"""Resources: what each weighs when a host's price is split."""

from decimal import Decimal

import pytest

from unitcost.pricing.resource import (
    CPU,
    DEFAULT_SPLIT,
    MEMORY,
    MICRO,
    REST,
    Resource,
    SplitRule,
    takes_sibling,
)
from unitcost.pricing.sibling import Shape

CENT = 10**10


def test_cores_and_gibs_weigh_and_nothing_else_does() -> None:
    """By their capacity; a GPU takes what remains."""
    assert DEFAULT_SPLIT.weight(Resource(CPU, 3 * MICRO // 2)) == 474 * 10**8
    assert DEFAULT_SPLIT.weight(Resource(MEMORY, 2 * MICRO)) == 84 * 10**8
    for other in ("gpu:a", REST):
        assert DEFAULT_SPLIT.weight(Resource(other, MICRO)) == 0


def test_a_weight_of_zero_is_none() -> None:
    """Memory may cost nothing by the user's own rule."""
    rule = SplitRule("test", Decimal("0.01"), Decimal(0))
    assert rule.weight(Resource(MEMORY, MICRO)) == 0
    assert rule.weight(Resource(CPU, MICRO)) == CENT


@pytest.mark.parametrize(
    ("sibling", "takes"), [(0, False), (1, True), (49, True), (50, False), (51, False)]
)
def test_a_sibling_is_above_zero_and_below_what_is_left(sibling: int, takes: bool) -> None:
    """Of the price beside the fixed rest; one GPU that nobody has seen is a GPU."""
    rule = SplitRule("test", Decimal(1), Decimal(1), Decimal("1e-11"))
    cpu, unseen = Resource(CPU, MICRO), Resource(REST, MICRO)
    for gpu in (Resource("gpu:a", MICRO), unseen):
        assert takes_sibling(60, (cpu, gpu), rule, sibling) is takes
    assert not takes_sibling(60, (cpu,), rule, sibling)
    assert not takes_sibling(60, (unseen,), rule, sibling)
    assert not takes_sibling(60, (cpu, unseen), rule, None)


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity"])
def test_a_machine_has_cpus_and_memory(amount: str) -> None:
    """A quarter of a core is some."""
    assert Shape(Decimal("0.25"), Decimal("0.5")).vcpus == Decimal("0.25")
    message = f"^a machine has CPUs and memory, not {amount} of them$"
    for pair in ((amount, "1"), ("1", amount)):
        with pytest.raises(ValueError, match=message):
            Shape(Decimal(pair[0]), Decimal(pair[1]))
