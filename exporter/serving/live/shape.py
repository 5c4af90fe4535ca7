"""The shape of the live page's document. Not a stable contract yet: `format` counts its changes.

Money in USD, times in Unix seconds, durations in seconds, ratios from 0 to 1. None is unknown,
and a `why` beside it says in words for what reason; 0 is measured zero.
"""

import msgspec

FORMAT = 1

ByGroup = dict[str, float | None]
"""USD an hour by `history.GROUPS`; a group that never cost anything is absent."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all parts."""


class Host(Piece, frozen=True):
    """Which host this is and how it is metered. `window_seconds`: of the unit costs."""

    name: str
    scope: str
    version: str
    period_seconds: float
    window_seconds: float | None


class Resource(Piece, frozen=True):
    """What one resource of the host costs an hour and who says so, as on /metrics.

    `unpriced`: components without a price. `usd_total`: what it has cost so far. `list`: before
    discounts.
    """

    resource: str
    usd_per_hour: float | None = None
    list_usd_per_hour: float | None = None
    sku: str = ""
    region: str = ""
    terms: str = ""
    source: str = ""
    as_of: float | None = None
    unpriced: tuple[str, ...] = ()
    usd_total: float | None = None


class Source(Piece, frozen=True):
    """How one who is asked for prices is doing. `errors` since the start."""

    name: str
    up: bool
    last_success: float | None
    errors: float | None


class Price(Piece, frozen=True):
    """What the whole host costs an hour now. `method`: how that is split over its resources.

    `on_demand_usd_per_hour`: what it would cost on demand, where it runs under other terms.
    """

    usd_per_hour: float | None
    why: str
    method: str
    resources: tuple[Resource, ...] = ()
    more: int = 0
    on_demand_usd_per_hour: float | None = None
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()


class Now(Piece, frozen=True):
    """Where the money goes: USD an hour by group, over the last `seconds`."""

    seconds: float | None
    usd_per_hour: ByGroup
    why: str


class History(Piece, frozen=True):
    """USD an hour by group over the last hour.

    Interval i lies between `times[i]` and `times[i + 1]`; None: it was not priced then.
    """

    span_seconds: float
    times: tuple[float, ...]
    usd_per_hour: dict[str, tuple[float | None, ...]]


class UnitCost(Piece, frozen=True):
    """Dollars for one unit, as on /metrics, in both bases. `hour_ago`: allocated, then."""

    allocated: float | None = None
    used: float | None = None
    hour_ago: float | None = None
    why: str = ""


class Drift(Piece, frozen=True):
    """What a request cost over the last hour, over what it used to; which factors did it.

    `since`: of those factors that are out of their usual scatter, since when.
    """

    ratio: float
    usd_per_day: float | None = None
    factors: dict[str, float] = {}
    since: dict[str, float] = {}


class Model(Piece, frozen=True):
    """One model of a workload: what its units cost, and how much of them there is."""

    model: str
    usd_per_hour: float | None = None
    usd_total: float | None = None
    unit_costs: dict[str, UnitCost] = {}
    requests: dict[str, float] = {}
    requests_per_second: float | None = None
    latency_seconds: float | None = None
    running: float | None = None
    waiting: float | None = None
    drift: Drift | None = None


class Held(Piece, frozen=True):
    """How much of a resource a workload held on average over `Now.seconds`: GPUs, cores, GiB."""

    resource: str
    amount: float | None
    active_ratio: float | None
    usd_per_hour: float | None
    method: str = ""
    busy_signal: str = ""


class Workload(Piece, frozen=True):
    """Who holds what. `reserved`: one of the names that are no workload of anybody's."""

    name: str
    kind: str
    owner: str
    reserved: bool
    usd_per_hour: ByGroup
    usd_per_hour_together: float | None
    usd_total: float | None
    why: str
    hosts: float | None = None
    coverage: float | None = None
    held: tuple[Held, ...] = ()
    models: tuple[Model, ...] = ()
    more_models: int = 0


class More(Piece, frozen=True):
    """Those left out of a list: how many, and what they cost together."""

    count: int = 0
    usd_per_hour: float | None = None
    usd_total: float | None = None


class Run(Piece, frozen=True):
    """One training run. `projected`: expected, low, high. `stalled`: USD by reason.

    `epoch_part`: what this host had of the last whole epoch's cost.
    """

    workload: str
    run: str
    usd: float | None
    epoch_cost: UnitCost
    epoch_part: float | None = None
    why: str = ""
    last_epoch: float | None = None
    attempts: float | None = None
    progress: float | None = None
    projected: dict[str, float] = {}
    stalled: dict[str, float] = {}
    repeated: float | None = None


class Budget(Piece, frozen=True):
    """What a budget's present period allows, and what was spent in it since `since`.

    `whole`: all of it is known; else it is the least that it can be.
    """

    name: str
    usd: float
    spent_usd: float | None
    whole: bool
    why: str = ""
    since: float | None = None
    period_start: float | None = None
    period_end: float | None = None


class Device(Piece, frozen=True):
    """One accelerator as it was read last."""

    device: str
    product: str
    up: bool
    utilization: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    power_watts: float | None = None
    throttled_by: tuple[str, ...] = ()


class Collector(Piece, frozen=True):
    """How a collector is doing. `errors` by kind since the start."""

    name: str
    up: bool
    last_success: float | None
    seconds: float | None
    errors: dict[str, float] = {}


class Ledger(Piece, frozen=True):
    """How the ledger is doing. `gaps`: seconds by what became of time that was not metered."""

    writable: bool | None
    last_commit: float | None
    size_bytes: float | None
    residual_usd: float | None
    gaps: dict[str, float] = {}


class Notice(Piece, frozen=True):
    """Something a person should know. `level`: `bad`, `warn` or `note`; `key` tells it apart.

    `title`: what it is about, in a word; empty where the text says it all.
    """

    level: str
    key: str
    text: str
    title: str = ""


class Live(Piece, frozen=True):
    """The whole page. `at`: when the figures were made; `tick` counts ticks since the start.

    `usd_total`: what all resources have cost so far; `emissions_grams`: CO2e so far, if counted.
    `correction_usd`: by how much prices that were learnt late changed it, which is not in it.
    `hour_ago`: of when the unit costs of an hour ago are.
    """

    format: int
    tick: int
    at: float
    ready: bool
    reason: str
    host: Host
    price: Price
    now: Now
    history: History
    usd_total: float | None
    correction_usd: float | None
    hour_ago: float | None
    workloads: tuple[Workload, ...]
    more_workloads: More
    runs: tuple[Run, ...]
    more_runs: int
    budgets: tuple[Budget, ...]
    more_budgets: int
    devices: tuple[Device, ...]
    more_devices: int
    host_power_watts: float | None
    emissions_grams: float | None
    collectors: tuple[Collector, ...]
    more_collectors: int
    ledger: Ledger
    notices: tuple[Notice, ...]
