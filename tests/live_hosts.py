"""Hosts as the live page sees them: settled tick by tick, with the last hour kept, and served."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.fakes import START_NS
from tests.gpu_world import GpuHost
from tests.sites import Site, owned, rented, rules, workload_rule
from tests.worlds import Host, Server
from unitcost.exporter.config.load import loads
from unitcost.exporter.gathering.gather import CollectorState
from unitcost.exporter.serving.exposition import Exposition, Renderer
from unitcost.exporter.serving.live.history import History
from unitcost.exporter.serving.live.view import About, View
from unitcost.exporter.serving.publish import Points
from unitcost.exporter.serving.publish_self import collector_points
from unitcost.exporter.serving.snapshot import Point, Snapshot
from unitcost.pricing.sample import NS_PER_SECOND, Outcome, Phase, Quantity, TokenType
from unitcost.pricing.workload import WorkloadKind

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\u202egnp.exe\u202c right to left",
    "\N{PILE OF POO}" * 31,
    "x" * 128,
    "' \" ` & javascript:alert(3) {{7*7}}",
    "a\u0000b\u2028c",
)
"""Names that somebody could give a workload, a model, a run or an owner."""


LONG = 15.0
"""Seconds of a tick, where there is much time to pass."""


@dataclass
class Watched:
    """A site whose ticks are remembered, and what is served of it."""

    site: Site
    history: History = field(default_factory=History)
    ticks: int = 0
    about: About = field(
        default_factory=lambda: About(name="gpu-node-7", version="0.1.0", ready=True)
    )
    states: Mapping[str, CollectorState] = field(default_factory=dict)
    extra: Points = field(default_factory=dict)

    @property
    def now_ns(self) -> int:
        """The wall clock."""
        return self.site.host.clock.wall_ns

    def settle(self) -> None:
        """One tick now, committed and remembered."""
        self.site.settle()
        self.ticks += 1
        position = self.site.settler.state.position
        assert position is not None
        committed = self.site.settler.books.committed
        self.history.note(position.at_ns, committed, self.site.points())

    def tick(
        self, count: int = 1, seconds: float = 5.0, work: Callable[[], None] = lambda: None
    ) -> None:
        """So many ticks; `work` is done before each."""
        for _ in range(count):
            work()
            self.site.host.run(seconds)
            self.settle()

    def points(self) -> Points:
        """All points, the exporter's own included."""
        last = self.now_ns / NS_PER_SECOND
        own: Points = {
            "unitcost_build_info": [((self.about.version,), 1.0)],
            "unitcost_host_info": [((self.about.name, self.about.scope), 1.0)],
            "unitcost_ledger_writable": [((), 1.0)],
            "unitcost_ledger_last_commit_timestamp_seconds": [((), last)],
            "unitcost_ledger_size_bytes": [((), 421_888.0)],
            "unitcost_conservation_residual_usd": [((), 0.0)],
        }
        return self.site.points() | own | collector_points(self.states) | self.extra

    def view(self) -> View:
        """What the exporter would hand to the web server."""
        snapshot = Snapshot(self.now_ns, self.points())
        return View(self.ticks, 1, snapshot, self.history.past(), self.about)

    def exposition(self) -> bytes:
        """/metrics, of the same snapshot."""
        return Renderer().render(self.view().snapshot)


@dataclass
class Served:
    """A source for the web server: one view and the /metrics of the same snapshot."""

    now: View
    body: bytes

    @classmethod
    def of(cls, watched: Watched) -> "Served":
        """What is watched, now."""
        return cls(watched.view(), watched.exposition())

    def show(self, watched: Watched) -> None:
        """From now on serve this."""
        self.now, self.body = watched.view(), watched.exposition()

    def exposition(self) -> Exposition:
        """/metrics."""
        return Exposition(self.body)

    def live(self) -> View:
        """The page's view."""
        return self.now

    def healthy(self) -> bool:
        """Always."""
        return True

    def ready(self) -> tuple[bool, str]:
        """As the view says."""
        return self.now.about.ready, self.now.about.reason


def state(
    up: bool = True, seconds: float = 0.004, wall_ns: int | None = 0, **errors: int
) -> CollectorState:
    """How a collector is doing."""
    return CollectorState(up, seconds, wall_ns, errors)


def answer(
    server: Server, requests: int, model: str, tokens: tuple[int, int], seconds: float
) -> None:
    """Answer so many requests; the server says how long it prefilled and decoded."""
    server.work(requests, model, seconds)
    server.add(Quantity.REQUESTS_TIMED, requests, "", model)
    server.add(Quantity.TOKENS, tokens[0], TokenType.INPUT, model)
    server.add(Quantity.TOKENS, tokens[1], TokenType.OUTPUT, model)
    server.add(Quantity.PHASE_SECONDS, max(1, round(seconds * 0.2)), Phase.PREFILL, model)
    server.add(Quantity.PHASE_SECONDS, max(1, round(seconds * 0.8)), Phase.DECODE, model)


def busy(now_ns: int = START_NS) -> Watched:
    """Eight GPUs at 23.92 USD an hour: two model servers, a notebook, a training run; 70 minutes.

    The first server's load falls after 40 minutes: its requests have become dearer. `now_ns`: the
    wall clock at the end.
    """
    host = GpuHost(gpus=8, cores=192, gibs=1024)
    host.clock.set_wall(now_ns - 4200 * NS_PER_SECOND)
    named = tuple(
        workload_rule(name, cores, gibs, kind, endpoint=name != "notebook", owner=owner)
        for name, cores, gibs, kind, owner in (
            ("chat", "32", 128, WorkloadKind.INFERENCE, "assistants"),
            ("search-rerank", "8", 32, WorkloadKind.INFERENCE, "search"),
            ("llama-finetune", "64", 256, WorkloadKind.TRAINING, "research"),
            ("notebook", "4", 16, WorkloadKind.OTHER, "ann"),
        )
    )
    match = {each.name: f"^{each.name}$" for each in named}
    site = Site(rules(rented(usd="23.92"), named), host, match)
    watched = Watched(site)
    watched.settle()
    chat = host.serve("chat", 8000, cores=9.0, gibs=70.0, command="chat")
    rerank = host.serve("search-rerank", 8001, cores=2.0, gibs=9.0, command="search-rerank")
    notebook = host.spawn(0.2, 6.0, "notebook")
    for number in range(3):
        host.gpus[number].use(chat.proc, 70)  # type: ignore[arg-type]
    host.gpus[3].use(rerank.proc, 25)  # type: ignore[arg-type]
    host.gpus[6].use(notebook, 0)
    for server in (chat, rerank):
        server.ready = False
    watched.tick(7, LONG)
    chat.ready = rerank.ready = True
    watched.tick(13, LONG, lambda: _serve(chat, rerank, 120))
    job = host.train("llama-finetune", "ft-2026-01-01", cores=40.0, gibs=180.0)
    job.proc.command, job.goal_epochs = "llama-finetune", 8.0
    for number in (4, 5):
        host.gpus[number].use(job.proc, 94)

    def epochs() -> None:
        job.steps += 18
        job.epochs += 0.0234375
        job.waited = {"data_loading": job.waited.get("data_loading", 0.0) + 1.2}
        if job.epochs % 1 < 0.0234375:
            job.marks.append((job.epochs, host.clock.wall_ns))

    def work() -> None:
        epochs()
        _serve(chat, rerank, 120)

    def less() -> None:
        epochs()
        _serve(chat, rerank, 42)

    watched.tick(140, LONG, work)
    for number in range(3):
        host.gpus[number].users[chat.proc.pid] = 31  # type: ignore[union-attr]
    watched.tick(120, LONG, less)
    now = watched.now_ns
    watched.states = {
        "host": state(wall_ns=now, seconds=0.0042),
        "nvml": state(wall_ns=now, seconds=0.0031),
        "openmetrics": state(wall_ns=now, seconds=0.0118, timeout=3),
        "training": state(wall_ns=now, seconds=0.0006),
        "cgroups": state(wall_ns=now, seconds=0.0009),
    }
    watched.extra = _devices(host, watched.site.points()["unitcost_device_up"])
    return watched


def drifting(now_ns: int = START_NS) -> Watched:
    """A rented host whose server costs more than it used to; its price was looked up."""
    watched = small(now_ns)
    labels = ("chat", "tiny", "request")
    then = (now_ns - 5400 * NS_PER_SECOND) / NS_PER_SECOND
    key = ("cpu", "m7i.xlarge", "eu-west-1", "spot", "aws_spot")
    watched.extra = {
        "unitcost_drift_ratio": [(labels, 1.42)],
        "unitcost_drift_usd_per_day": [(labels, 2.75)],
        "unitcost_drift_factor_ratio": [((*labels, "idle"), 1.9), ((*labels, "price"), 1.0)],
        "unitcost_drift_since_timestamp_seconds": [((*labels, "idle"), then)],
        "unitcost_price_usd_per_hour": [(key, 0.25), (("memory", *key[1:]), 0.1372)],
        "unitcost_price_as_of_timestamp_seconds": [(("cpu",), then), (("memory",), then)],
        "unitcost_list_price_usd_per_hour": [(key, 0.30)],
        "unitcost_on_demand_price_usd_per_hour": [(("m7i.xlarge", "eu-west-1", "aws_bulk"), 0.91)],
        "unitcost_price_source_up": [(("aws_spot",), 1.0), (("price_file",), 0.0)],
        "unitcost_price_source_errors_total": [(("aws_spot",), 0.0), (("price_file",), 3.0)],
        "unitcost_price_source_last_success_timestamp_seconds": [(("aws_spot",), then)],
        "unitcost_cost_correction_usd": [(("chat", "cpu"), 0.125)],
        "unitcost_budget_usd": [(("chat-monthly",), 250.0), (("host-daily",), 8.0)],
        "unitcost_budget_spent_usd": [(("chat-monthly",), 61.5), (("host-daily",), 9.25)],
        "unitcost_budget_spent_whole": [(("chat-monthly",), 0.0), (("host-daily",), 1.0)],
        "unitcost_budget_since_timestamp_seconds": [(("chat-monthly",), then)],
        "unitcost_budget_period_start_timestamp_seconds": [(("chat-monthly",), then - 864_000)],
        "unitcost_budget_period_end_timestamp_seconds": [(("chat-monthly",), then + 1_728_000)],
        "unitcost_emissions_grams_total": [(("chat", "cpu"), 1234.0)],
        "unitcost_fx_rate": [(("EUR",), 0.92)],
        "unitcost_fx_rate_as_of_timestamp_seconds": [(("EUR",), then)],
    }
    return watched


def _devices(host: GpuHost, up: list[Point]) -> Points:
    """What a driver says of GPUs, beyond what the host in memory has."""
    named = [(labels, gpu) for (labels, _), gpu in zip(up, host.gpus, strict=True)]
    return {
        "unitcost_device_utilization_ratio": [(labels, gpu.load) for labels, gpu in named],
        "unitcost_device_memory_used_bytes": [
            (labels, gpu.load * 70e9 + 1e9) for labels, gpu in named
        ],
        "unitcost_device_memory_total_bytes": [(labels, 85.5e9) for labels, _ in named],
        "unitcost_device_power_watts": [
            ((*labels, "sensor"), 70 + 620 * gpu.load) for labels, gpu in named
        ],
        "unitcost_device_throttling": [((host.gpus[4].id, "power"), 1.0)],
        "unitcost_host_power_watts": [(("sensor",), 5_120.0)],
    }


def _serve(chat: Server, rerank: Server, requests: int) -> None:
    answer(chat, requests, "llama-3-70b", (requests * 900, requests * 260), requests * 1.4)
    rerank.work(360, "bge-reranker", 12.0)
    rerank.add(Quantity.TOKENS, 42_000, TokenType.INPUT, "bge-reranker")
    rerank.add(Quantity.REQUESTS, 1, Outcome.FAILED, "bge-reranker")
    rerank.gauges[Quantity.REQUESTS_WAITING, "", "bge-reranker"] = 3


def small(now_ns: int = START_NS, usd: str | None = "0.3872") -> Watched:
    """Four cores: one server and one training run, watched for six minutes."""
    named = (
        workload_rule("chat", "2", 4, endpoint=True),
        workload_rule("tuner", kind=WorkloadKind.TRAINING, endpoint=True),
    )
    site = Site(rules(rented(usd=usd), named), Host())
    site.host.clock.set_wall(now_ns - 360 * NS_PER_SECOND)
    watched = Watched(site)
    server = site.host.serve("chat", 8000, cores=0.7, gibs=2.0)
    job = site.host.train("tuner", "night", cores=0.5, gibs=1.0)
    watched.settle()

    def work() -> None:
        answer(server, 3, "tiny", (90, 45), 2.0)
        job.steps += 10
        if job.steps % 120 == 0:
            job.end_epoch(site.host.clock.wall_ns)

    watched.tick(72, work=work)
    watched.states = {"host": state(wall_ns=watched.now_ns)}
    return watched


def unpriced(now_ns: int = START_NS) -> Watched:
    """The same host without a price; a collector fails, and it was away for ten minutes."""
    watched = small(now_ns - 630 * NS_PER_SECOND, usd=None)
    watched.site.away(600.0)
    watched.settle()
    watched.tick(6)
    now = watched.now_ns
    failing = state(False, 2.5, now - 900 * NS_PER_SECOND, timeout=12, raised=1)
    watched.states = {"host": state(wall_ns=now), "openmetrics": failing}
    return watched


def partly_priced(now_ns: int = START_NS) -> Watched:
    """An owned host whose electricity has no price."""
    watched = Watched(Site(rules(owned(electricity=None), owned=True), Host()))
    text = "price: {owned: {purchase_usd: 7000, life_years: 4, electricity: {usd_per_kwh: 0.12}}}"
    watched.about = replace(watched.about, price=loads(text).settings.price)
    watched.site.host.clock.set_wall(now_ns - 100 * NS_PER_SECOND)
    watched.site.host.serve("chat", 8000, cores=1.0, gibs=2.0)
    watched.settle()
    watched.tick(20)
    return watched


def empty(now_ns: int = START_NS) -> Watched:
    """A host on which nothing runs, read twice."""
    watched = Watched(Site())
    watched.site.host.clock.set_wall(now_ns - 5 * NS_PER_SECOND)
    watched.settle()
    watched.tick()
    watched.states = {"host": state(wall_ns=watched.now_ns)}
    return watched


def not_ready(now_ns: int = START_NS) -> Watched:
    """An exporter before its first tick."""
    watched = Watched(Site())
    watched.site.host.clock.set_wall(now_ns)
    watched.about = replace(watched.about, ready=False, reason="the first tick is not over")
    return watched


def hostile(now_ns: int = START_NS) -> Watched:
    """Names that try to be markup, to run, to turn the text round, to be too long."""
    named = tuple(workload_rule(each, endpoint=True, owner=each) for each in HOSTILE)
    site = Site(rules(rented(), named), Host())
    site.host.clock.set_wall(now_ns - 70 * NS_PER_SECOND)
    watched = Watched(site, about=About(name=HOSTILE[0], version="0.1.0", ready=True))
    servers = [
        site.host.serve(each, 8000 + number, cores=0.3, gibs=0.5)
        for number, each in enumerate(HOSTILE)
    ]
    for each in HOSTILE:
        site.host.train(f"job {each}", each, cores=0.1, gibs=0.2)
    watched.settle()

    def work() -> None:
        for server, each in zip(servers, HOSTILE, strict=True):
            server.work(2, each, 1.0)
        for job in site.host.jobs:
            job.steps += 1

    watched.tick(14, work=work)
    failing = {each: state(False, 2.5, None, **{each: 1}) for each in HOSTILE}
    watched.states = failing
    return watched


def crowd(now_ns: int = START_NS, count: int = 256) -> Watched:
    """As many servers as have names of their own, each with a few models."""
    site = Site(rules(rented(usd="98.32")), Host(cores=512, gibs=4096))
    site.host.clock.set_wall(now_ns - 20 * NS_PER_SECOND)
    watched = Watched(site)
    servers = [
        site.host.serve(f"team/Deployment/server-{number:03}", 10_000 + number, 0.1, 0.5)
        for number in range(count)
    ]
    watched.settle()

    def work() -> None:
        for number, server in enumerate(servers):
            for model in range(1 + number % 3):
                server.work(1 + number, f"model-{model}", 0.6)

    watched.tick(4, work=work)
    watched.states = {f"collector_{number}": state() for number in range(50)}
    return watched
