"""The configuration's shape: one frozen type for each section. `config.py` loads and checks it.

Durations are seconds (floats); money is Decimal USD; sizes are GiB.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from unitcost.collectors.tables import ServerTable

PORT = 9841


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections: immutable, and an unknown key is an error."""


class PriceChange(Section):
    """From this instant on (ISO 8601 with offset) the host costs this much."""

    at: str
    usd_per_hour: Decimal


class Electricity(Section):
    """What a kilowatt-hour costs at the wall. `watts`: the host's mean draw, if you state it."""

    usd_per_kwh: Decimal
    pue: Decimal = Decimal(1)
    watts: Decimal | None = None


class Owned(Section):
    """An owned host: straight-line amortisation over calendar hours, energy, overhead."""

    purchase_usd: Decimal
    life_years: Decimal
    electricity: Electricity | Literal["none"]
    residual_usd: Decimal = Decimal(0)
    overhead_usd_per_hour: Decimal = Decimal(0)


class SplitWeights(Section):
    """How a host's price is split: USD an hour for one core, for one GiB, and a fixed rest."""

    usd_per_core_hour: Decimal = Decimal("0.0316")
    usd_per_gib_hour: Decimal = Decimal("0.0042")
    rest_usd_per_hour: Decimal = Decimal(0)


class Price(Section):
    """What this host costs. Rented: `usd_per_hour`, with `changes`. Owned: `owned`. Else unpriced."""

    usd_per_hour: Decimal | None = None
    changes: tuple[PriceChange, ...] = ()
    owned: Owned | None = None
    split: SplitWeights = SplitWeights()


class Match(Section):
    """Which processes are the workload's: all conditions given must hold; descendants follow."""

    command: str | None = None
    """Regular expression searched in the command line."""
    user: str | None = None
    cgroup: str | None = None
    """Regular expression searched in the cgroup path."""
    port: int | None = None
    """A TCP port the process listens on."""


class Reserve(Section):
    """What the workload holds while it runs, used or not."""

    cpu: Decimal = Decimal(0)
    memory_gib: Decimal = Decimal(0)


class Endpoint(Section):
    """A metrics endpoint that counts the workload's units."""

    url: str
    server: str = "auto"
    model: str = ""
    bearer_token_file: str = ""


class WorkloadSettings(Section):
    """One workload of a bare host."""

    name: str
    kind: Literal["inference", "training", "other"] = "inference"
    owner: str = ""
    match: Match | None = None
    endpoints: tuple[Endpoint, ...] = ()
    reserve: Reserve = Reserve()


class Host(Section):
    """Which host this is and whose bill we keep."""

    name: str = ""
    """Instance id or node name; the host name where empty."""
    scope: Literal["host", "pod", "units"] = "host"


class Ledger(Section):
    """Where charges are kept. `path` is a SQLite file; a folder that is missing is made."""

    path: str = ""
    """Default: /var/lib/unitcost/ledger.db if writable, else under the user's state folder."""
    retention_days: int = 400


class Web(Section):
    """The HTTP server."""

    address: str = "0.0.0.0"  # noqa: S104 - a scrape comes from another host
    port: int = PORT


class Log(Section):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class UnitCosts(Section):
    """The sliding window of $/request and its kin."""

    window: float = 300.0
    minimum_units: float = 1.0


class Settings(Section):
    """The whole file."""

    host: Host = Host()
    price: Price = Price()
    workloads: tuple[WorkloadSettings, ...] = ()
    servers: dict[str, ServerTable] = {}
    collectors: dict[str, dict[str, Any]] = {}
    """A section for each collector by name: `enabled` and whatever its own `Options` has."""
    period: float = 5.0
    gather_deadline: float = 2.5
    """How long a tick waits for its collectors."""
    time_scale: float = 1.0
    """Divides every window, so that tests can compress time."""
    unit_costs: UnitCosts = UnitCosts()
    ledger: Ledger = Ledger()
    web: Web = Web()
    log: Log = Log()
