"""The configuration's shape: one frozen type for each section. `config.py` loads and checks it.

Durations are seconds (floats); money is Decimal USD; sizes are GiB.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec

from unitcost.collectors.tables import ServerTable
from unitcost.exporter.config.owned_settings import Owned
from unitcost.exporter.config.planning import (
    BudgetSettings,
    ItemSettings,
    Opportunity,
    TrainedModelSettings,
)
from unitcost.exporter.config.pod_settings import HostSize, Pod
from unitcost.exporter.config.section import Section, UsdPerHour, between

PORT = 9841


Port = Annotated[int, between("1", "65535")]


class PriceChange(Section, frozen=True):
    """From this instant on (ISO 8601 with offset) the host costs this much."""

    at: str
    usd_per_hour: UsdPerHour


class SplitWeights(Section, frozen=True):
    """How a host's price is split: by that of its CPU-only sibling, or by weights.

    The weights are USD an hour for one core and one GiB; besides there may be a fixed rest.
    """

    rule: Literal["", "sibling", "weights"] = ""
    """Left out: `weights` where they are stated, else `sibling`, where that is known."""
    sibling: str = ""
    """The instance type without GPUs; left out, the one of the built-in table."""
    usd_per_core_hour: UsdPerHour = Decimal("0.0316")
    usd_per_gib_hour: UsdPerHour = Decimal("0.0042")
    rest_usd_per_hour: UsdPerHour = Decimal(0)


class Instance(Section, frozen=True):
    """What this host is, as its provider writes it; what is left out is asked of the cloud."""

    provider: str = ""
    region: str = ""
    zone: str = ""
    type: str = ""
    terms: Literal[
        "", "on_demand", "spot", "reserved", "committed", "savings_plan", "capacity_block"
    ] = ""


class Lookup(Section, frozen=True):
    """The price is looked up: what this host is, and who says what such a host costs."""

    instance: Instance = Instance()
    metadata: bool = True
    """Whether the cloud's metadata service and the cluster are asked what this host is."""
    sources: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """A section for each price source by name: `enabled` and whatever its own `Options` has."""


class FixedRate(Section, frozen=True):
    """An exchange rate of the user's own; it holds until the next one of its currency."""

    currency: str
    valid_from: str
    """A day (2026-01-31, from 00:00 UTC), or an instant with its offset."""
    units_per_usd: Annotated[Decimal, between("0.000000001", "1000000000")] | None = None
    usd_per_unit: Annotated[Decimal, between("0.000000001", "1000000000")] | None = None


class Ecb(Section, frozen=True):
    """The European Central Bank's reference rates are asked for."""

    url: str = ""
    """A mirror of one of the bank's files; the bank itself where empty."""
    refresh_seconds: Annotated[float, between("60", "31536000")] = 21600.0
    timeout: Annotated[float, between("0.05", "3600")] = 20.0


class Currency(Section, frozen=True):
    """Where the exchange rates of currencies other than the US dollar come from."""

    ecb: Ecb | None = None
    ecb_file: str = ""
    """A file of the bank's, or one like it, that somebody else downloads."""
    rates: tuple[FixedRate, ...] = ()


class PriceDiscount(Section, frozen=True):
    """So many percent off a list price that is looked up; what is left out fits all."""

    percent: Annotated[Decimal, between("0", "100")]
    provider: str = ""
    region: str = ""
    type: str = ""
    terms: Literal[
        "", "on_demand", "spot", "reserved", "committed", "savings_plan", "capacity_block"
    ] = ""
    valid_from: str = ""
    """A day (2026-01-31, from 00:00 UTC), or an instant with its offset; likewise `valid_to`."""
    valid_to: str = ""


class Price(Section, frozen=True):
    """What this host costs. Rented: `usd_per_hour`, `changes`, or `lookup`. Owned: `owned`.

    Else unpriced.
    """

    usd_per_hour: UsdPerHour | None = None
    changes: tuple[PriceChange, ...] = ()
    owned: Owned | None = None
    lookup: Lookup | None = None
    currency: Currency = Currency()
    discounts: tuple[PriceDiscount, ...] = ()
    """Of those that fit a price the first one is taken off it."""
    split: SplitWeights = SplitWeights()


class Carbon(Section, frozen=True):
    """What a kWh emits here: a `country` of the table, or grams and who says so."""

    country: str = ""
    grams_per_kwh: Annotated[Decimal, between("0", "5000")] | None = None
    source: str = ""
    year: Annotated[int, between("1990", "2200")] | None = None
    pue: Annotated[Decimal, between("1", "10")] | None = None


class Match(Section, frozen=True):
    """Which processes are the workload's: all conditions given must hold; descendants follow."""

    command: str | None = None
    """Regular expression searched in the command line."""
    user: str | None = None
    cgroup: str | None = None
    """Regular expression searched in the cgroup path."""
    port: Port | None = None
    """A TCP port the process listens on."""
    cuda_visible_devices: str | None = None
    """The value of CUDA_VISIBLE_DEVICES in its environment, as it was started."""


class Reserve(Section, frozen=True):
    """What the workload holds while it runs, used or not."""

    cpu: Annotated[Decimal, between("0", "100000")] = Decimal(0)
    memory_gib: Annotated[Decimal, between("0", "10000000")] = Decimal(0)
    gpus: tuple[str, ...] = ()
    """UUIDs of GPUs or of MIG instances, or the driver's numbers."""


class Endpoint(Section, frozen=True):
    """A metrics endpoint that counts the workload's units."""

    url: str
    server: str = "auto"
    model: str = ""
    bearer_token_file: str = ""
    models: tuple[str, ...] = ()
    """Count only these models: for a gateway that several workloads share."""
    role: Literal["", "prefill", "decode"] = ""
    """Where a server does only one part of each request."""
    layer: Literal["auto", "engine", "frontend", "gateway"] = "auto"
    """Where on a request's way it counts; as its table says if left out."""


class Tenants(Section, frozen=True):
    """Whose requests they are: `label` of the server's or gateway's series tells tenants apart."""

    label: str = ""
    """As the server's table says where it is empty."""
    names: dict[str, str] = msgspec.field(default_factory=dict)
    """What some values of the label are called."""
    limit: Annotated[int, between("1", "1000")] = 50
    """Most tenants with a series of their own; the others are ``__other__``."""


class WorkloadSettings(Section, frozen=True):
    """One workload of a bare host."""

    name: str
    kind: Literal["inference", "training", "other"] = "inference"
    owner: str = ""
    match: Match | None = None
    endpoints: tuple[Endpoint, ...] = ()
    reserve: Reserve = Reserve()
    tenants: Tenants | None = None


class Host(Section, frozen=True):
    """Which host this is and whose bill we keep."""

    name: str = ""
    """Instance id or node name; where empty NODE_NAME of the environment, else the host name."""
    scope: Literal["host", "pod", "units"] = "host"
    pod: Pod | None = None
    size: HostSize | None = None


class Ledger(Section, frozen=True):
    """Where charges are kept. `path` is a SQLite file; a folder that is missing is made."""

    path: str = ""
    """Default: /var/lib/unitcost/ledger.db if writable, else under the user's state folder."""
    database_url_file: str = ""
    """Instead: a file with the URL of a PostgreSQL database, which is a secret."""
    retention_days: Annotated[int, between("1", "36500")] = 400


class Web(Section, frozen=True):
    """The HTTP server."""

    address: str = "0.0.0.0"  # noqa: S104 - a scrape comes from another host
    port: Port = PORT
    config_file: str = ""
    """Who may read it, and over TLS: a file as Prometheus' own exporters have (docs/web.md)."""
    health_without_auth: bool = False
    """Whether /-/healthy and /-/ready are answered without a password."""


class Log(Section, frozen=True):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["logfmt", "json"] = "logfmt"


class UnitCosts(Section, frozen=True):
    """The sliding window of $/request and its kin."""

    window: Annotated[float, between("0.2", "604800")] = 300.0
    minimum_units: Annotated[float, between("0.001", "1000000000")] = 1.0


class Notify(Section, frozen=True):
    """Whom this exporter tells by itself what is wrong, and what each day came to."""

    slack_webhook_url_file: str = ""
    """A file with the address of a Slack incoming webhook, which is a secret."""
    webhook_url_file: str = ""
    """A file with the address of whoever takes the same as JSON."""
    link: str = ""
    """Where a reader is sent: a dashboard, or this exporter's page."""
    runbook_url: str = "docs/runbooks"
    """Where the runbooks of the alerts are; a folder or a URL."""
    digest_at: str = ""
    """Local time (``HH:MM``) of the daily digest; none where it is empty."""


class Central(Section, frozen=True):
    """Where this host's charges are sent to: the fleet's ledger (`unitcost central`)."""

    url: str
    """Its address without a path; https, unless it is on this host."""
    token_file: str
    """A file with the bearer token that says who we are."""
    ca_file: str = ""
    """The authorities that vouch for it; the system's where it is left out."""
    interval_seconds: Annotated[float, between("1", "86400")] = 300.0
    """How often what has changed is sent."""


class Plugins(Section, frozen=True):
    """Which installed distributions may bring collectors, server tables and price sources."""

    allow: tuple[str, ...] | None = None
    """Names of distributions; all where it is left out, none where it is empty."""


class Settings(Section, frozen=True):
    """The whole file."""

    host: Host = Host()
    price: Price = Price()
    carbon: Carbon | None = None
    workloads: tuple[WorkloadSettings, ...] = ()
    servers: dict[str, ServerTable] = msgspec.field(default_factory=dict)
    collectors: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """A section for each collector by name: `enabled` and whatever its own `Options` has."""
    plugins: Plugins = Plugins()
    items: tuple[ItemSettings, ...] = ()
    items_file: str = ""
    """A CSV file with more items, which is read again whenever it changes."""
    trained_models: tuple[TrainedModelSettings, ...] = ()
    opportunity: Opportunity | None = None
    budgets: tuple[BudgetSettings, ...] = ()
    notify: Notify | None = None
    central: Central | None = None
    timezone: str = "UTC"
    """IANA name, for days, budgets and tariffs."""
    period: Annotated[float, between("0.2", "300")] = 5.0
    """Seconds from one tick to the next."""
    gather_deadline: Annotated[float, between("0.05", "300")] = 2.5
    """How long a tick waits for its collectors."""
    time_scale: Annotated[float, between("0.001", "1000000")] = 1.0
    """Divides every window, so that tests can compress time."""
    unit_costs: UnitCosts = UnitCosts()
    ledger: Ledger = Ledger()
    web: Web = Web()
    log: Log = Log()
