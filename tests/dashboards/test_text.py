"""How numbers read in alerts, as Prometheus' own templates show them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.promtool import run
from unitcost.dashboards.rules.text import SHOWN

READS: dict[str, list[tuple[float, str]]] = {
    "usd": [(310, "$310.00"), (-60.444, "-$60.44"), (0, "$0.00")],
    "small_usd": [(0.000123, "$0.000123"), (3.366, "$3.37"), (-0.5, "-$0.5")],
    "ratio": [(1.9, "×1.90"), (0.5, "×0.50")],
    "moved": [
        *[(value, "unchanged") for value in (0.98, 1, 1.0249)],
        *[(value, f"×{value:.2f}") for value in (0.974, 1.03, 11.02, 10.98, 0.5)],
    ],
    "change": [(42.4, "up 42 %"), (-7, "down 7 %"), (0.2, "up 0 %"), (150, "up 150 %")],
    "percent": [(52.4, "52 %")],
    "number": [(3, "3")],
    "time": [(12.25, "1970-01-01 00:00 UTC"), (1772374202, "2026-03-01 14:10 UTC")],
    "duration": [(5400, "1h 30m 0s")],
}


@pytest.mark.real
def test_numbers_read_as_a_person_would_write_them(
    tmp_path: Path, real_tool: Callable[[str], Path]
) -> None:
    """Each way of showing them, amounts below 0 and ratios around 1 included."""
    assert set(READS) == set(SHOWN)
    rules, tests = [], []
    series: list[dict[str, Any]] = []
    for shown, pairs in READS.items():
        text = f"{{{{ $value | {SHOWN[shown]} }}}}"
        expr = f'x{{as="{shown}"}}'
        rules.append({"alert": shown, "expr": expr, "annotations": {"text": text}})
        found = []
        for number, (value, reads) in enumerate(pairs):
            labels = {"as": shown, "n": str(number)}
            written = ",".join(f'{name}="{each}"' for name, each in labels.items())
            series.append({"series": f"x{{{written}}}", "values": f"{value}"})
            found.append({"exp_labels": labels, "exp_annotations": {"text": reads}})
        tests.append({"alertname": shown, "eval_time": "0m", "exp_alerts": found})
    content: dict[str, Any] = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": tests}],
    }
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}, allow_unicode=True)
    )
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
    ran = run(real_tool("promtool"), "test", "rules", "test.yaml", folder=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
