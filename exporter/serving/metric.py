"""What one metric is; `metrics.py` is the table of all of them."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, what it says, and its label names in the order of a point's values."""

    name: str
    type: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
