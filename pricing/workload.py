"""Who consumes: workloads, the accounts they are charged on, and the reserved names."""

from dataclasses import dataclass
from enum import StrEnum

MAX_NAME_BYTES = 128
"""Longest workload, model or run name that is kept; the rest is cut off."""


class WorkloadKind(StrEnum):
    """What a workload does with the resources it holds."""

    INFERENCE = "inference"
    TRAINING = "training"
    OTHER = "other"


UNALLOCATED = "__unallocated__"
"""Nobody held it."""
UNMETERED = "__unmetered__"
"""The host ran and cost money, but we were not measuring."""
SYSTEM = "__system__"
"""Processes that belong to no workload."""
OVERFLOW = "__other__"
"""Workloads beyond the cap on their number."""

RESERVED = frozenset({UNALLOCATED, UNMETERED, SYSTEM, OVERFLOW})


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """What a charge or a unit is booked on: a workload, and which model or run of it."""

    workload: str
    model: str = ""
    run: str = ""
    attempt: int = 0

    @property
    def reserved(self) -> bool:
        """Whether this is one of the names in `RESERVED`, which no user may take."""
        return self.workload in RESERVED


def clean_name(text: str) -> str:
    """Make any text a name: printable, at most `MAX_NAME_BYTES` bytes of UTF-8, never reserved.

    Control characters become ``_``; a name that is reserved gets a leading ``_``, so input from
    outside cannot book itself on ``__unallocated__``.
    """
    printable = text.strip()
    if not printable.isprintable():
        printable = "".join(ch if ch.isprintable() else "_" for ch in printable)
    encoded = printable.encode("utf-8", "replace")[:MAX_NAME_BYTES]
    name = encoded.decode("utf-8", "ignore")
    return f"_{name}"[:MAX_NAME_BYTES] if name in RESERVED else name
