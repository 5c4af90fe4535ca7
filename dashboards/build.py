"""All files that are generated, from one set of settings: the same settings, the same bytes."""

import json
from pathlib import Path

from unitcost.dashboards.boards.all_boards import all_boards, board_provisioning
from unitcost.dashboards.rules.alertmanager import SLACK, TEMPLATE, alertmanager
from unitcost.dashboards.rules.all_rules import alert_groups, all_groups
from unitcost.dashboards.rules.grafana import alert_provisioning
from unitcost.dashboards.rules.prometheus import operator_manifest, rule_file
from unitcost.dashboards.rules.yaml_text import dump
from unitcost.dashboards.settings import Settings

HEADER = "# Made by `unitcost dashboards build`; make it anew rather than change it.\n"


def build(settings: Settings) -> dict[str, str]:
    """Every file's text by its path below the output folder."""
    groups = all_groups(settings)
    yaml_files = {
        "rules/unitcost.yaml": rule_file(groups, settings),
        "kubernetes/prometheusrule.yaml": operator_manifest(groups, settings),
        "grafana/provisioning/alerting/unitcost.yaml": alert_provisioning(
            alert_groups(settings), settings
        ),
        "alertmanager/alertmanager.yml": alertmanager(settings),
    }
    yaml_files["grafana/provisioning/dashboards/unitcost.yaml"] = board_provisioning()
    boards = {
        f"dashboards/{board['uid']}.json": json.dumps(board, indent=2, sort_keys=True) + "\n"
        for board in all_boards()
    }
    texts = {f"alertmanager/{TEMPLATE}": f"{{{{/* {HEADER[2:-1]} */}}}}\n{SLACK}"}
    return boards | texts | {path: HEADER + dump(each) for path, each in yaml_files.items()}


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write all files below `folder`, which is made if it is missing. Raises OSError.

    Each is written whole beside its place and then renamed, so that a server that watches the
    folder never reads half a file.
    """
    written = []
    for name, text in build(settings).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
        written.append(path)
    return written
