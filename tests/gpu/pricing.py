"""What the real exporter charges for real work on the GPU, against price times time."""

import contextlib
import http.client
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.gpu.machine import Load, Machine
from tests.gpu.serve import TABLE
from tests.harness import Exporter, Scrape, free_port, wait_for
from unitcost.exporter.ledger.tools import check

USD_PER_HOUR = 98.32
PERIOD = 0.5
COST, ENERGY = "unitcost_cost_usd_total", "unitcost_energy_joules_total"
JOB, CHAT = "tiny", "chat"
TRAINING_TOLERANCE, SERVING_TOLERANCE = 0.02, 0.05


@contextlib.contextmanager
def priced(machine: Machine, folder: Path, period: float, **settings: Any) -> Iterator[Exporter]:
    """An exporter on the machine that puts nearly the whole price on its GPUs."""
    (folder / "train").mkdir()
    weights = {"usd_per_core_hour": "0.000001", "usd_per_gib_hour": "0"}
    running = Exporter(
        folder,
        {
            "price": {"usd_per_hour": str(USD_PER_HOUR), "split": weights},
            "period": period,
            "gather_deadline": 0.9 * period,
            "unit_costs": {"window": 3600},
            "collectors": {"training": {"directories": [str(folder / "train")]}},
            **settings,
        },
        {**machine.environment, "UNITCOST_STATE_DIR": str(folder / "train")},
    )
    try:
        yield running.start()
    finally:
        running.stop(signal.SIGKILL)


def grown(before: Scrape, after: Scrape, metric: str, **labels: str) -> float:
    """By how much a counter grew."""
    return after.total(metric, **labels) - before.total(metric, **labels)


def gpu_of(scrape: Scrape, workload: str) -> str:
    """The GPU that the workload is charged for. Raises AssertionError if there is none."""
    charged = scrape.each(COST, workload=workload)
    found = {dict(labels)["resource"] for labels, usd in charged.items() if usd}
    gpus = sorted(each for each in found if each.startswith("gpu:"))
    holders = {dict(labels)["workload"] for labels in scrape.each(COST)}
    assert len(gpus) == 1, f"{workload} is charged for {gpus}; others that pay: {holders}"
    return gpus[0]


def price_of(scrape: Scrape, gpu: str) -> float:
    """USD an hour of a GPU."""
    found = scrape.total("unitcost_price_usd_per_hour", resource=gpu)
    assert found > 0, "the GPU has no price"
    return found


# --- Training ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trained:
    """What an epoch cost and should have cost, and what the GPU used meanwhile."""

    epoch_usd: float
    expected_usd: float
    run_usd: float
    gpu_usd: float
    joules: float
    all_joules: float
    """Of all workloads on the GPU, the job and whoever had it before."""
    device_joules: float
    seconds: float
    ledger: tuple[str, ...]

    @property
    def deviation(self) -> float:
        """By which part the epoch's cost is off."""
        return self.epoch_usd / self.expected_usd - 1

    def faults(self, tolerance: float = TRAINING_TOLERANCE) -> list[str]:
        """What is not as it has to be."""
        found = list(self.ledger)
        if abs(self.deviation) > tolerance:
            found.append(f"an epoch cost {self.epoch_usd} USD, not {self.expected_usd}")
        if not 0.98 * self.run_usd <= self.gpu_usd <= 1.02 * self.run_usd:
            found.append(f"of {self.run_usd} USD of the run {self.gpu_usd} are the GPU's")
        if not 0 < self.joules <= self.all_joules * 1.000001:
            found.append(f"{self.joules} J are the job's, of {self.all_joules}")
        if abs(self.all_joules - self.device_joules) > 1e-6 * self.device_joules:
            found.append(f"{self.all_joules} J are counted, the GPU used {self.device_joules}")
        return found


def epoch_marks(folder: Path) -> list[tuple[float, int]]:
    """Epochs and the nanoseconds at which each ended, as the client wrote them."""
    (path,) = folder.glob("*.json")
    return [(epoch, wall_ns) for epoch, wall_ns in json.loads(path.read_text())["epoch_marks"]]


def train(
    machine: Machine,
    folder: Path,
    *,
    epochs: int = 4,
    epoch_seconds: float = 8.0,
    period: float = PERIOD,
) -> Trained:
    """Train a small model, and ask what an epoch cost."""
    told = "--job", JOB, "--epochs", str(epochs), "--epoch-seconds", str(epoch_seconds)
    with priced(machine, folder, period) as running:
        running.wait_tick()
        with trainer(machine, running, *told) as load:
            assert machine.is_right_device(load.device), f"the model is on {load.device}"
            running.wait_tick(2)  # until it holds the GPU
            load.tell("go")
            assert load.heard() == f"trained {epochs}"
            wait_for(
                lambda: running.scrape().one("unitcost_epochs_total", workload=JOB) == epochs,
                "the epochs to be counted",
            )
            scrape = running.wait_tick()
        marks = epoch_marks(folder / "train")
        assert running.stop() == 0
        ledger = tuple(check(running.ledger))
    return _trained(scrape, (marks[-1][1] - marks[-2][1]) / 1e9, ledger)


@contextlib.contextmanager
def trainer(machine: Machine, running: Exporter, *words: str) -> Iterator[Load]:
    """A training process that writes where the exporter reads."""
    before = machine.environment
    machine.environment = running.environment
    try:
        with machine.load("train", *words) as load:
            yield load
    finally:
        machine.environment = before


def _trained(scrape: Scrape, seconds: float, ledger: tuple[str, ...]) -> Trained:
    gpu = gpu_of(scrape, JOB)
    return Trained(
        epoch_usd=scrape.total("unitcost_epoch_cost_usd", workload=JOB, basis="allocated"),
        expected_usd=price_of(scrape, gpu) * seconds / 3600,
        run_usd=scrape.total("unitcost_run_cost_usd", workload=JOB),
        gpu_usd=scrape.total(COST, workload=JOB, resource=gpu),
        joules=scrape.total(ENERGY, workload=JOB, resource=gpu),
        all_joules=scrape.total(ENERGY, resource=gpu),
        device_joules=scrape.total("unitcost_device_energy_joules_total", device=gpu),
        seconds=seconds,
        ledger=ledger,
    )


# --- Generation -------------------------------------------------------------------------------


@dataclass
class Client:
    """Sends requests, and keeps its own count of what came back."""

    port: int
    answered: int = 0
    tokens: int = 0
    statuses: set[int] = field(default_factory=set)

    def ask(self, prompt: list[int], tokens: int) -> None:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            body = json.dumps({"prompt": prompt, "tokens": tokens})
            connection.request("POST", "/generate", body)
            answer = connection.getresponse()
            text = answer.read()
        self.statuses.add(answer.status)
        if answer.status == 200:
            self.answered += 1
            self.tokens += len(json.loads(text)["tokens"])

    def ask_for(self, seconds: float) -> None:
        """Requests of many lengths, and pauses, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.ask(list(range(1, 2 + self.answered % 30)), 4 + self.answered % 28)
            time.sleep(0.02 * (self.answered % 3))


@dataclass(frozen=True)
class Served:
    """What requests cost, and what the client and the price say."""

    request_usd: float
    requests: float
    tokens: float
    client: Client
    cost_usd: float
    price_usd: float
    """Price of the GPU times the time in which requests were sent."""
    gpu_usd: float
    ledger: tuple[str, ...]

    @property
    def deviation(self) -> float:
        """By which part the requests' cost is off that of the server."""
        return self.request_usd * self.requests / self.cost_usd - 1

    def faults(self, tolerance: float = SERVING_TOLERANCE) -> list[str]:
        """What is not as it has to be."""
        found = list(self.ledger)
        told = (self.requests, self.tokens)
        if told != (self.client.answered, self.client.tokens) or self.client.statuses != {200}:
            found.append(f"{told} requests and tokens, not as {self.client}")
        if abs(self.deviation) > tolerance:
            found.append(f"{self.requests} requests of {self.request_usd} USD: {self.cost_usd}")
        if abs(self.gpu_usd / self.price_usd - 1) > tolerance:
            found.append(f"the GPU was charged {self.gpu_usd} USD, not {self.price_usd}")
        return found


def serve(machine: Machine, folder: Path, seconds: float, *, period: float = PERIOD) -> Served:
    """Generate for so long, and ask what a request cost."""
    port = free_port()
    endpoint = {"url": f"http://127.0.0.1:{port}/metrics", "server": "tiny", "model": "random"}
    settings = {"servers": {"tiny": TABLE}, "workloads": [{"name": CHAT, "endpoints": [endpoint]}]}
    with priced(machine, folder, period, **settings) as running:
        running.wait_tick()
        with machine.load("serve", "--port", str(port)) as load:
            assert machine.is_right_device(load.device), f"the model is on {load.device}"
            served = _served(running, Client(port), seconds)
        assert running.stop() == 0
        return Served(**served, ledger=tuple(check(running.ledger)))


def _served(running: Exporter, client: Client, seconds: float) -> dict[str, Any]:
    def count(scrape: Scrape) -> float | None:
        return scrape.one("unitcost_requests_total", workload=CHAT, outcome="succeeded")

    wait_for(lambda: count(running.scrape()) == 0, "the server to be seen")
    before, began = running.wait_tick(2), time.monotonic()
    client.ask_for(seconds)
    wait_for(lambda: count(running.scrape()) == client.answered, "all requests to be counted")
    after, elapsed = running.wait_tick(), time.monotonic() - began
    gpu = gpu_of(after, CHAT)
    return {
        "request_usd": after.total("unitcost_request_cost_usd", workload=CHAT, basis="allocated"),
        "requests": count(after) or 0.0,
        "tokens": after.total("unitcost_tokens_total", workload=CHAT, type="output"),
        "client": client,
        "cost_usd": grown(before, after, COST, workload=CHAT),
        "price_usd": price_of(after, gpu) * elapsed / 3600,
        "gpu_usd": grown(before, after, COST, workload=CHAT, resource=gpu),
    }
