"""How the exporter itself is doing: its ticks, its collectors, its ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

from unitcost.exporter.gathering.gather import CollectorState
from unitcost.exporter.ledger.keeper import Health
from unitcost.exporter.serving.guard.watch import WebFile
from unitcost.exporter.serving.publish import Points
from unitcost.pricing.money import PICO
from unitcost.pricing.sample import NS_PER_SECOND


@dataclass(slots=True)
class Progress:
    """How the ticks are going."""

    ticks: int = 0
    failed: int = 0
    seconds: float = 0.0
    states: Mapping[str, CollectorState] | None = None


def progress_points(progress: Progress, version: str, host: tuple[str, str]) -> Points:
    """How the ticks and the collectors are doing. `host`: its name, and the scope."""
    points: Points = {
        "unitcost_build_info": [((version,), 1.0)],
        "unitcost_host_info": [(host, 1.0)],
        "unitcost_tick_duration_seconds": [((), progress.seconds)],
        "unitcost_tick_failures_total": [((), float(progress.failed))],
    }
    return points | collector_points(progress.states or {})


def ledger_health_points(health: Health, size_bytes: int) -> Points:
    """How the ledger is doing."""
    points: Points = {
        "unitcost_ledger_writable": [((), float(health.writable))],
        "unitcost_ledger_write_errors_total": [((), float(health.write_errors))],
        "unitcost_ledger_set_aside_total": [((), float(health.files_set_aside))],
        "unitcost_ledger_size_bytes": [((), float(size_bytes))],
    }
    if health.last_commit_ns is not None:
        stamp, residual = health.last_commit_ns / NS_PER_SECOND, health.residual_pico / PICO
        points["unitcost_ledger_last_commit_timestamp_seconds"] = [((), stamp)]
        points["unitcost_conservation_residual_usd"] = [((), residual)]
    return points


def collector_points(states: Mapping[str, CollectorState]) -> Points:
    """How each collector is doing."""
    errors = "unitcost_collector_errors_total"
    points: Points = {
        "unitcost_collector_up": [((name,), float(s.up)) for name, s in states.items()],
        "unitcost_collector_duration_seconds": [
            ((name,), s.duration_seconds) for name, s in states.items()
        ],
        "unitcost_collector_last_success_timestamp_seconds": [
            ((name,), s.last_success_wall_ns / NS_PER_SECOND)
            for name, s in states.items()
            if s.last_success_wall_ns is not None
        ],
    }
    points[errors] = [
        ((name, kind), float(count))
        for name, state in states.items()
        for kind, count in state.errors.items()
    ]
    return points


def web_file_points(file: WebFile | None) -> Points:
    """How the web configuration file is doing; nothing where there is none."""
    if file is None:
        return {}
    return {
        "unitcost_web_config_up": [((), float(file.up))],
        "unitcost_web_config_reload_failures_total": [((), float(file.failures))],
    }
