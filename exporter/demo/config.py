"""The configuration the demo writes for the exporter: the same file that a user would write."""

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

PERIOD = 2.0
WINDOW = 60.0
SERVER, TRAINER = "demo-server", "demo-train"
SERVER_MODULE = "unitcost.exporter.demo.server"
TRAINER_MODULE = "unitcost.exporter.demo.trainer"

# The generic server table, written in configuration: which of the server's metrics means what.
SERVER_TABLE: dict[str, Any] = {
    "marker": ["demo_"],
    "requests_succeeded": [{"metric": "demo_requests_total", "labels": {"outcome": ["succeeded"]}}],
    "requests_failed": [{"metric": "demo_requests_total", "labels": {"outcome": ["failed"]}}],
    "requests_aborted": [{"metric": "demo_requests_total", "labels": {"outcome": ["aborted"]}}],
    "tokens_input": [{"metric": "demo_prompt_tokens_total"}],
    "tokens_output": [{"metric": "demo_generated_tokens_total"}],
    "prefill_seconds": [{"metric": "demo_prefill_seconds_total"}],
    "decode_seconds": [{"metric": "demo_decode_seconds_total"}],
    "request_seconds": [{"metric": "demo_request_seconds_total"}],
    "requests_timed": [{"metric": "demo_requests_total"}],
    "requests_running": [{"metric": "demo_requests_running"}],
    "requests_waiting": [{"metric": "demo_requests_waiting"}],
    # The second one is up to a second early: Linux gives the time of boot in whole seconds.
    "start_time_seconds": [
        {"metric": "demo_requests_created", "labels": {"outcome": ["succeeded"]}},
        {"metric": "process_start_time_seconds"},
    ],
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything of one demo is, and what each child gets."""

    folder: Path
    port: int
    server_port: int
    usd_per_hour: Decimal
    cores: int
    memory_gib: float

    @property
    def reserved_cores(self) -> Decimal:
        """What each of the two workloads reserves: a quarter of the cores, at most one."""
        return min(Decimal(1), Decimal(self.cores) / 4)

    @property
    def reserved_gib(self) -> Decimal:
        """Memory each of them reserves: half a GiB, less on a small machine."""
        return min(Decimal("0.5"), (Decimal(self.memory_gib) / 16).quantize(Decimal("0.001")))

    @property
    def training_share(self) -> float:
        """The share of a core the training loop uses: less than it reserves."""
        return min(0.5, 0.8 * float(self.reserved_cores))

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "unitcost.yaml"

    @property
    def state(self) -> Path:
        """Where the training client leaves its state."""
        return self.folder / "state"

    @property
    def weights(self) -> Path:
        """What the training loop learns and the server serves."""
        return self.folder / "weights.npz"

    def settings(self) -> dict[str, Any]:
        """Return the configuration's content. Money is text, so that it stays exact."""
        reserve = {"cpu": str(self.reserved_cores), "memory_gib": str(self.reserved_gib)}
        here = re.escape(str(self.weights))  # tells two demos on one host apart
        endpoint = {
            "url": f"http://127.0.0.1:{self.server_port}/metrics",
            "server": "demo",
            "model": "demo-1m",
        }
        return {
            "price": {"usd_per_hour": str(self.usd_per_hour)},
            "period": PERIOD,
            "gather_deadline": PERIOD * 0.75,
            "unit_costs": {"window": WINDOW},
            "workloads": [
                {
                    "name": SERVER,
                    "kind": "inference",
                    "match": {"command": f"{re.escape(SERVER_MODULE)} .*{here}"},
                    "endpoints": [endpoint],
                    "reserve": dict(reserve),
                },
                {
                    "name": TRAINER,
                    "kind": "training",
                    "match": {"command": f"{re.escape(TRAINER_MODULE)} .*{here}"},
                    "reserve": dict(reserve),
                },
            ],
            "servers": {"demo": SERVER_TABLE},
            "collectors": {
                "training": {"directories": [str(self.state)]},
                "openmetrics": {"discover": False},  # the demo is of its own two workloads
            },
            "ledger": {"path": str(self.folder / "ledger.db")},
            "web": {"address": "127.0.0.1", "port": self.port},
        }

    def write(self) -> None:
        """Write the configuration file and make the state folder."""
        import yaml

        self.state.mkdir(mode=0o700)
        text = yaml.safe_dump(self.settings(), sort_keys=False)
        self.file.write_text(text, encoding="utf-8")
