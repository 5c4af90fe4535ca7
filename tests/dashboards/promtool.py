"""Runs promtool on the generated rules; what alerts say is compared with a file of golden texts."""

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.dashboards.stories import STEP
from unitcost.dashboards.build import write
from unitcost.dashboards.settings import Settings

GOLDEN = Path(__file__).parents[1] / "golden" / "alerts.yaml"
WRITE = os.environ.get("UNITCOST_WRITE_GOLDEN") == "1"

Inputs = Iterable[tuple[str, str]]
Alerts = list[dict[str, Any]]


def settings(**changed: Any) -> Settings:
    """Real thresholds; days of three hours and an evaluation every three minutes, for speed."""
    quick: dict[str, Any] = {"day": 3 * 3600, "week": 12 * 3600, "scatter_window": 3600}
    quick |= {"interval": 60 * STEP, "window_6h": 2 * 3600}
    return Settings(**(quick | changed))


def run(promtool: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """promtool in a folder."""
    command = [str(promtool), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _test_file(inputs: Inputs, tests: Mapping[str, Any], made: Settings) -> str:
    """A file for `promtool test rules`; groups in the order in which they build on each other."""
    content = {
        "rule_files": ["rules/unitcost.yaml"],
        "evaluation_interval": f"{STEP}m",
        "group_eval_order": group_names(made),
        "tests": [
            {
                "interval": f"{STEP}m",
                "input_series": [{"series": name, "values": text} for name, text in inputs],
                **tests,
            }
        ],
    }
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def group_names(made: Settings) -> list[str]:
    """The names of all groups of rules."""
    from unitcost.dashboards.rules.all_rules import all_groups

    return [group.name for group in all_groups(made)]


def check_alerts(
    promtool: Path,
    folder: Path,
    case: str,
    inputs: Inputs,
    moments: Sequence[tuple[str, int]],
    **changed: Any,
) -> dict[tuple[str, int], Alerts]:
    """Which alerts fire at these minutes, as the golden file has it and promtool confirms.

    What is compared are labels and texts, of every alert of that name. With UNITCOST_WRITE_GOLDEN=1
    the golden file is written instead; look at the difference before you keep it.
    """
    made = settings(**changed)
    write(made, folder)
    golden = yaml.safe_load(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else {}
    inputs = list(inputs)
    if WRITE:
        found = _asked(promtool, folder, _test_file(inputs, _expecting({}, moments), made))
        golden[case] = {
            f"{name} at {minute}": found.get((name, minute), []) for name, minute in moments
        }
        text = yaml.safe_dump(golden, allow_unicode=True, width=10_000)
        GOLDEN.write_text(text, "utf-8")
    expected = {each: golden[case][f"{each[0]} at {each[1]}"] for each in moments}
    (folder / "test.yaml").write_text(_test_file(inputs, _expecting(expected, moments), made))
    result = run(promtool, "test", "rules", "test.yaml", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return expected


def _expecting(
    expected: Mapping[tuple[str, int], Alerts], moments: Sequence[tuple[str, int]]
) -> dict[str, Any]:
    return {
        "alert_rule_test": [
            {
                "alertname": name,
                "eval_time": f"{minute}m",
                "exp_alerts": expected.get((name, minute), []),
            }
            for name, minute in moments
        ]
    }


_HEAD = re.compile(r"alertname: (\w+), time: (\S+),")
_TEXT = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def _asked(promtool: Path, folder: Path, test: str) -> dict[tuple[str, int], Alerts]:
    """What promtool says it got where nothing was expected."""
    (folder / "test.yaml").write_text(test)
    result = run(promtool, "test", "rules", "test.yaml", folder=folder)
    found: dict[tuple[str, int], Alerts] = {}
    where = ("", 0)
    for line in (result.stdout + result.stderr).splitlines():
        if head := _HEAD.search(line):
            where = (head.group(1), _minutes(head.group(2)))
        elif "Labels:{" in line:
            labels = _texts(line)
            labels.pop("alertname")
            found.setdefault(where, []).append({"exp_labels": labels})
        elif "Annotations:{" in line:
            found[where][-1]["exp_annotations"] = _texts(line)
    return found


def _texts(line: str) -> dict[str, str]:
    return {name: yaml.safe_load(f'"{text}"') for name, text in _TEXT.findall(line)}


def _minutes(text: str) -> int:
    sizes = {"d": 1440, "h": 60, "m": 1}
    return sum(int(count) * sizes[unit] for count, unit in re.findall(r"(\d+)([dhm])", text))


def firing(alerts: Alerts, *labels: str) -> set[tuple[str, ...]]:
    """Whom alerts are about, by some of their labels."""
    return {tuple(each["exp_labels"].get(label, "") for label in labels) for each in alerts}


def check_values(
    promtool: Path,
    folder: Path,
    inputs: Inputs,
    minute: int,
    expected: Mapping[str, float | None],
) -> None:
    """What expressions sum to at a minute, to the millionth; None: there is nothing."""
    made = settings()
    write(made, folder)
    asked = [
        {
            "expr": f"round(sum({expr}), 0.000001)",
            "eval_time": f"{minute}m",
            "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
        }
        for expr, value in expected.items()
    ]
    (folder / "test.yaml").write_text(_test_file(inputs, {"promql_expr_test": asked}, made))
    result = run(promtool, "test", "rules", "test.yaml", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
