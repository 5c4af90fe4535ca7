"""What `/metrics` says, read like any other scraper reads it, as rows for the demo's table."""

import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from unitcost.pricing.workload import RESERVED, SYSTEM, UNALLOCATED

GIB = 2**30
RATE_SECONDS = 30.0
"""Over how much metered time dollars an hour are taken."""
Sample = tuple[str, Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Row:
    """One workload: what its units cost (USD), what it did, and its dollars by state."""

    workload: str
    kind: str = ""
    usd_per_request: float | None = None
    usd_per_1k_input_tokens: float | None = None
    usd_per_1k_output_tokens: float | None = None
    usd_per_epoch: float | None = None
    requests: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    epochs: float | None = None
    usd: dict[str, float] = field(default_factory=dict)
    usd_per_hour: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One scrape. `metered_seconds` is how long the host has been metered, by its memory held."""

    rows: tuple[Row, ...]
    workloads_usd: float | None
    resources_usd: float | None
    price_usd_per_hour: float | None
    metered_seconds: float | None

    @property
    def sums_equal(self) -> bool:
        """Whether all workloads together cost what the host's resources cost, to a nano-dollar."""
        if self.workloads_usd is None or self.resources_usd is None:
            return False
        return abs(self.workloads_usd - self.resources_usd) < 1e-9

    def row(self, workload: str) -> Row:
        """Return the row of `workload`, an empty one if it has not been seen."""
        return next((row for row in self.rows if row.workload == workload), Row(workload))


def fetch(url: str, timeout: float = 2.0) -> str:
    """Return the text of `url`. Raises OSError where there is no good answer."""
    with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 - our own URL
        return str(response.read().decode())


def parse(text: str) -> Reading:
    """Read an exposition. Raises ValueError where it is none."""
    samples: list[Sample] = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    costs = _values(samples, "unitcost_cost_usd_total")
    names = {labels["workload"] for labels, _ in costs}
    total = _only(samples, "unitcost_host_memory_total_bytes")
    held = _sum(samples, "unitcost_held_seconds_total", resource="memory")
    return Reading(
        rows=tuple(_row(samples, name) for name in sorted(names, key=_order)),
        workloads_usd=_sum(samples, "unitcost_cost_usd_total"),
        resources_usd=_sum(samples, "unitcost_resource_cost_usd_total"),
        price_usd_per_hour=_sum(samples, "unitcost_price_usd_per_hour"),
        metered_seconds=held * GIB / total if held is not None and total else None,
    )


def _order(workload: str) -> tuple[int, str]:
    last = {SYSTEM: 1, UNALLOCATED: 3}
    return (last.get(workload, 2 if workload in RESERVED else 0), workload)


def _row(samples: list[Sample], workload: str) -> Row:
    def one(name: str, **labels: str) -> float | None:
        return _only(samples, name, workload=workload, basis="allocated", **labels)

    def by(name: str, label: str) -> dict[str, float]:
        return _grouped(_values(samples, name, workload=workload), label)

    def thousand(price: float | None) -> float | None:
        return None if price is None else price * 1000

    costs = _values(samples, "unitcost_cost_usd_total", workload=workload)
    return Row(
        workload=workload,
        kind=next((labels.get("kind", "") for labels, _ in costs), ""),
        usd_per_request=one("unitcost_request_cost_usd"),
        usd_per_1k_input_tokens=thousand(one("unitcost_token_cost_usd", type="input")),
        usd_per_1k_output_tokens=thousand(one("unitcost_token_cost_usd", type="output")),
        usd_per_epoch=one("unitcost_epoch_cost_usd"),
        requests=by("unitcost_requests_total", "outcome"),
        tokens=by("unitcost_tokens_total", "type"),
        epochs=_sum(samples, "unitcost_epochs_total", workload=workload),
        usd=_grouped(costs, "state"),
    )


def _values(
    samples: Iterable[Sample], name: str, **wanted: str
) -> list[tuple[Mapping[str, str], float]]:
    return [
        (labels, value)
        for sample_name, labels, value in samples
        if sample_name == name and wanted.items() <= labels.items()
    ]


def _sum(samples: Iterable[Sample], name: str, **wanted: str) -> float | None:
    values = [value for _, value in _values(samples, name, **wanted)]
    return sum(values) if values else None


def _only(samples: Iterable[Sample], name: str, **wanted: str) -> float | None:
    values = [value for _, value in _values(samples, name, **wanted)]
    return values[0] if len(values) == 1 else None


def _grouped(values: list[tuple[Mapping[str, str], float]], label: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for labels, value in values:
        sums[labels[label]] = sums.get(labels[label], 0.0) + value
    return sums


class Rates:
    """Turns readings into dollars an hour, over about the last `RATE_SECONDS` of metered time."""

    def __init__(self) -> None:
        """Start without any reading."""
        self._past: deque[Reading] = deque()

    def add(self, reading: Reading) -> Reading:
        """Remember `reading` and return it with rates, where an earlier one gives them."""
        now = reading.metered_seconds
        if now is None:
            return reading
        if not self._past or self._past[-1].metered_seconds != now:
            self._past.append(reading)
        while len(self._past) > 2 and now - _seconds(self._past[1]) >= RATE_SECONDS:
            self._past.popleft()
        first = self._past[0]
        hours = (now - _seconds(first)) / 3600
        if hours <= 0:
            return reading
        return _with_rates(reading, lambda row: _rates(row, first.row(row.workload), hours))


def _seconds(reading: Reading) -> float:
    return reading.metered_seconds or 0.0


def _rates(row: Row, before: Row, hours: float) -> dict[str, float]:
    return {state: (usd - before.usd.get(state, 0.0)) / hours for state, usd in row.usd.items()}


def _with_rates(reading: Reading, rates: Callable[[Row], dict[str, float]]) -> Reading:
    return replace(
        reading, rows=tuple(replace(row, usd_per_hour=rates(row)) for row in reading.rows)
    )


def as_json(reading: Reading) -> dict[str, Any]:
    """Return `reading` as plain data, for ``--json``."""
    return {**asdict(reading), "sums_equal": reading.sums_equal}
