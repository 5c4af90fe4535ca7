"""What a report is made of: sums of a ledger's rows, and what it knows of workloads and epochs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unitcost.pricing.fleet_runs import EpochPart


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sum belongs: values by column name, the workload among them; its first clock hour."""

    workload: str
    values: Mapping[str, Any]
    hour: int = 0


@dataclass(frozen=True, slots=True)
class Money:
    """Pico-dollars charged, None where none of it is priced."""

    place: Place
    correction: bool
    used: bool
    pico: int | None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A quantity without a price: millionths of resource-seconds, or of a kWh in millijoules."""

    place: Place
    used: bool
    resource: str
    unit: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Units:
    """Units counted, in millionths."""

    place: Place
    quantity: str
    label: str
    micro: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a ledger says of a workload; empty where it says nothing."""

    kind: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What an epoch of a run cost on one host."""

    workload: str
    run: str
    part: EpochPart


@dataclass(slots=True)
class Facts:
    """All that a report is made of. `accrued`: pico-dollars of the hosts asked for.

    `units_since`: the clock hour from whose end on units are known; None: from the beginning.
    """

    accrued: int = 0
    hours: tuple[int, int] | None = None
    hosts: int = 0
    money: list[Money] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)
    units: list[Units] = field(default_factory=list)
    workloads: dict[str, Known] = field(default_factory=dict)
    epochs: list[Part] = field(default_factory=list)
    units_since: int | None = None
