"""The metrics that there are and the labels they have, as docs/metrics.md promises them."""

import re
from pathlib import Path

from unitcost.dashboards.names import Recorded

_ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge) \| ([^|]*) \|", re.MULTILINE)
TARGET = frozenset({"job", "instance", "cluster"})
"""What a scrape adds."""

SCRAPE = dict.fromkeys(
    (
        "up",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ),
    frozenset[str](),
)
"""What is there without being in a table of the page; its last section names the process's."""

OF_RULES = frozenset(
    {"quantity", "part", "weeks", "window", "side", "factor", "pace", "cause", "condition"}
)
"""Labels that only recorded series have."""


def promised(root: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of each metric."""
    page = (root / "docs/metrics.md").read_text(encoding="utf-8")
    found = {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in _ROW.findall(page)
    }
    assert len(found) > 50
    return found


def allowed(root: Path) -> dict[str, frozenset[str]]:
    """Labels by metric, recorded series included, with those that a scrape adds."""
    metrics = {name: labels | TARGET for name, (_, labels) in promised(root).items()}
    metrics |= {name: labels | TARGET for name, labels in SCRAPE.items()}
    every = frozenset[str]().union(*metrics.values(), OF_RULES)
    return metrics | {str(name): every for name in Recorded}
