"""Units beside their cost: counted by the ledger's hours, divided as sums."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from types import MappingProxyType

from unitcost.exporter.report.facts import Units
from unitcost.pricing.money import PICO
from unitcost.pricing.sample import Outcome, Quantity, TokenType
from unitcost.pricing.unit_cost import INPUT, OUTPUT, SUCCEEDED, UnitKey

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_DIGITS = Decimal(1).scaleb(-12)
MICRO = 10**6
FAILED = (
    (Quantity.REQUESTS, str(Outcome.FAILED)),
    (Quantity.REQUESTS, str(Outcome.ABORTED)),
)
CACHED: UnitKey = (Quantity.TOKENS, TokenType.CACHED_INPUT)
EPOCHS: UnitKey = (Quantity.EPOCHS, "")
STEPS: UnitKey = (Quantity.STEPS, "")
SAMPLES: UnitKey = (Quantity.SAMPLES, "")
COLUMNS: Mapping[str, tuple[UnitKey, ...]] = MappingProxyType(
    {
        "requests": (SUCCEEDED,),
        "requests_not_succeeded": FAILED,
        "tokens_input": (INPUT,),
        "tokens_cached_input": (CACHED,),
        "tokens_output": (OUTPUT,),
        "epochs": (EPOCHS,),
        "steps": (STEPS,),
        "samples": (SAMPLES,),
    }
)
"""What is counted, by column. Cached input is no part of input."""
UNIT_COSTS: Mapping[str, tuple[tuple[UnitKey, ...], int]] = MappingProxyType(
    {
        "usd_per_request": ((SUCCEEDED,), 1),
        "usd_per_million_tokens": ((INPUT, OUTPUT), 10**6),
        "usd_per_epoch": ((EPOCHS,), 1),
    }
)
"""What a unit cost: of which units, and of how many at a time. Cached input carries no cost."""


@dataclass(slots=True)
class Counted:
    """The units of one row, in millionths; and which workloads counted them."""

    micro: dict[UnitKey, int] = field(default_factory=dict)
    counting: dict[UnitKey, set[str]] = field(default_factory=dict)

    def add(self, units: Units) -> None:
        """Count in what a ledger's rows sum to. One of a newer version's kind is left out."""
        try:
            key = (Quantity(units.quantity), units.label)
        except ValueError:
            return
        self.micro[key] = self.micro.get(key, 0) + units.micro
        if units.micro:
            self.counting.setdefault(key, set()).add(units.place.workload)

    def column(self, name: str) -> Decimal | None:
        """How many there were; None where nobody counts them."""
        known = [self.micro[key] for key in COLUMNS[name] if key in self.micro]
        return Decimal(sum(known)) / MICRO if known else None

    def costs(self, pico: int, names: set[str], left_out: frozenset[str]) -> dict[str, Decimal]:
        """Dollars for a unit, where all of the cost is of workloads that count it."""
        found = {}
        for name, (keys, count) in UNIT_COSTS.items():
            micro = sum(self.micro.get(key, 0) for key in keys)
            counting = set[str]().union(*(self.counting.get(key, set()) for key in keys))
            if micro > 0 and names <= counting and not names & left_out:
                found[name] = _divided(pico * count * MICRO, micro)
        return found


def _divided(pico: int, micro: int) -> Decimal:
    """Dollars, to 12 digits after the point."""
    usd = _CONTEXT.divide(Decimal(pico), Decimal(micro) * PICO)
    return usd.quantize(_DIGITS, context=_CONTEXT)


def counted_of(units: Iterable[Units]) -> frozenset[tuple[str, str]]:
    """Which workloads counted anything on which hosts."""
    return frozenset(
        (each.place.workload, str(each.place.values["host"])) for each in units if each.micro
    )
