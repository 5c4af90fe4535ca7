"""All dashboards, and the file by which Grafana finds them."""

from typing import Any

from unitcost.dashboards.boards.devices import devices
from unitcost.dashboards.boards.drift import drift
from unitcost.dashboards.boards.exporter import exporter
from unitcost.dashboards.boards.fleet import fleet
from unitcost.dashboards.boards.inference import inference
from unitcost.dashboards.boards.normalise import normalised
from unitcost.dashboards.boards.training import training


def all_boards() -> list[dict[str, Any]]:
    """Every dashboard's JSON."""
    makers = (fleet, inference, training, drift, devices, exporter)
    return [normalised(make()) for make in makers]


def board_provisioning() -> dict[str, Any]:
    """The content of a file for Grafana's ``provisioning/dashboards`` folder."""
    provider = {
        "name": "unitcost",
        "folder": "unitcost",
        "type": "file",
        "disableDeletion": True,
        "allowUiUpdates": False,
        "options": {"path": "/var/lib/grafana/dashboards/unitcost"},
    }
    return {"apiVersion": 1, "providers": [provider]}
