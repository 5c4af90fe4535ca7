"""The table of metrics: a public contract, frozen, and documented by itself."""

import re
from pathlib import Path

import pytest

from unitcost.exporter.serving.metric import Metric
from unitcost.exporter.serving.metrics import METRICS, SECTIONS, document

ALL = tuple(metric for _, section in SECTIONS for metric in section)
TARGET_LABELS = {"namespace", "pod", "container", "instance", "job"}
"""Labels that Prometheus may add to a target."""


def test_names_types_and_labels_are_those_that_were_promised(root: Path) -> None:
    """Change tests/golden/metric_names.txt by hand, and only with a deprecation."""
    frozen = (root / "tests/golden/metric_names.txt").read_text(encoding="utf-8").splitlines()
    lines = (f"{metric.name} {metric.type} {','.join(metric.labels)}" for metric in ALL)
    assert sorted(line.strip() for line in lines) == frozen


def test_no_name_is_used_twice() -> None:
    """Prometheus rejects a page with the same family twice."""
    names = [metric.name for metric in ALL]
    assert sorted(set(names)) == sorted(names)


def test_all_that_is_served_is_in_a_section() -> None:
    """So that all of it is documented; only the web server's own counter is in no snapshot."""
    assert [m.name for m in ALL if m not in METRICS] == ["unitcost_http_requests_total"]
    assert [m for m in ALL if m in METRICS] == list(METRICS)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_each_metric_keeps_the_rules(metric: Metric) -> None:
    """Names, units and labels as Prometheus asks, and a help text that is a sentence."""
    assert re.fullmatch(r"unitcost_[a-z0-9_]+", metric.name)
    assert (metric.type == "counter") == metric.name.endswith("_total")
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    assert not TARGET_LABELS & set(metric.labels)
    assert metric.unit
    assert metric.help.endswith(".")
    assert len(metric.help) <= 300
    assert "|" not in metric.help
    if metric.name.endswith("_info"):
        assert (metric.type, metric.unit) == ("gauge", "always 1")


def test_the_page_of_metrics_is_up_to_date(root: Path) -> None:
    """If not: python -m unitcost.exporter.serving.metrics > docs/metrics.md."""
    assert (root / "docs/metrics.md").read_text(encoding="utf-8") == document()
