"""Five things go wrong, and Slack is told of each by its right name; then each is mended.

Six real servers under a real load, two real exporters, a real Prometheus with the generated rules,
a real Alertmanager with the generated configuration. A day is a minute. One server stays as it is.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.alertmanager import READS, messages
from tests.e2e.drifting import DEARER, MODEL, SETTINGS, USD_PER_HOUR, Workload, World, world
from tests.harness import wait_for
from unitcost.dashboards.names import FACTORS, Recorded

DRIFTS = {
    "slow": "speed",
    "dear": "price",
    "long": "mix",
    "thin": "idle",
    "failing": "failures",
}
"""Which factor is to be told of which workload."""
PAIRS = {(name, factor) for name in (*DRIFTS, "steady") for factor in FACTORS}
QUIET = 8.0
"""Seconds in which all is as it was, and alerts could fire."""
AVERAGED = 5
SETTLED = SETTINGS["rate_window"] + SETTINGS["window_1h"] + AVERAGED + 3
"""Seconds after which all windows have seen nothing but a drift."""
OWN, RULES = "unitcost_drift_factor_ratio", f'{Recorded.FACTOR}{{window="1h"}}'
"""What the exporters find by themselves, and what the rules record."""
ALIKE = {"price": 0.001, "mix": 0.001, "speed": 0.001, "loading": 0.001}
"""By how much both may differ, as a ratio less 1.

For the others it is 2 %: load and failures are not the same in every second, and the exporters'
windows do not begin when the rules' do.
"""


class Five:
    """The workloads, and what goes wrong with them."""

    def __init__(self) -> None:
        """All are as they should be."""
        self.of = {name: Workload(name) for name in (*DRIFTS, "steady")}

    def disturb(self, running: World) -> None:
        """A slower server, a higher price, longer prompts, less load, requests that fail."""
        self.of["slow"].tell(slower=3)
        self.of["long"].prompt *= 3
        self.of["thin"].rate *= 0.35
        self.of["failing"].tell(failing=0.4)
        running.set_price("dear-host", DEARER)

    def undo(self, running: World) -> None:
        """All of it is mended."""
        usual = Workload("usual")
        self.of["slow"].tell(slower=1)
        self.of["long"].prompt = usual.prompt
        self.of["thin"].rate = usual.rate
        self.of["failing"].tell(failing=0)
        running.set_price("dear-host", USD_PER_HOUR)


@pytest.fixture
def five() -> Five:
    """The workloads."""
    return Five()


@pytest.fixture
def running(tmp_path: Path, real_tool: Callable[[str], Path], five: Five) -> Iterator[World]:
    """Two hosts: a price is the whole host's, so the workload that gets dearer has its own."""
    others = [each for name, each in five.of.items() if name != "dear"]
    hosts = {"dear-host": [five.of["dear"]], "host": others}
    with world(tmp_path, real_tool, hosts) as found:
        yield found


def judged(running: World) -> bool:
    """Whether every factor of every workload is known and could be told, here and there."""
    thresholds = running.factors(Recorded.THRESHOLD)
    return all(
        set(each) >= PAIRS for each in (running.factors(OWN), running.factors(RULES), thresholds)
    )


def told(running: World, over: bool) -> dict[str, str]:
    """Factors by the workloads that Slack was told of, or of their end. Each reads as it should."""
    found = {}
    for message in messages(running.slack.got):
        reads = READS.fullmatch(message.title)
        assert reads, message.title
        assert reads["model"] == MODEL
        assert reads["over"] or reads["since"] != "?"
        if bool(reads["over"]) == over:
            assert reads["name"] not in found, "told twice"
            found[reads["name"]] = reads["factor"]
    return found


@pytest.mark.real
def test_each_drift_is_told_by_its_factor_and_its_end_and_nothing_else(
    running: World, five: Five
) -> None:
    """And the exporters' own drift is the rules' while it lasts."""
    wait_for(lambda: judged(running), "a yesterday", 180)
    quiet_until = time.monotonic() + QUIET
    wait_for(lambda: time.monotonic() > quiet_until or running.slack.got, "a quiet hour")
    assert running.slack.got == []
    five.disturb(running)
    settled_at = time.monotonic() + SETTLED
    wait_for(lambda: told(running, over=False) == DRIFTS, "alerts")
    wait_for(lambda: time.monotonic() > settled_at, "windows that are full")
    assert_both_agree(running)
    rules = averaged(running, RULES)
    for name, factor in DRIFTS.items():
        assert rules[name, factor] == max(rules[name, each] for each in FACTORS) > 1.3
    five.undo(running)
    wait_for(lambda: told(running, over=True) == DRIFTS, "their ends")
    assert told(running, over=False) == DRIFTS
    assert len(running.slack.got) == 2 * len(DRIFTS)
    others = 'ALERTS{alertname!~"UnitcostDriftFast|UnitcostIdleDrift"}'
    assert running.prometheus.query(f"last_over_time({others}[10m])") == []


def assert_both_agree(running: World) -> None:
    """Soon, if not at once: a machine that stood still shows in their windows at other times."""
    last: list[str] = []

    def agree() -> bool:
        last[:] = differing(running)
        return not last

    with contextlib.suppress(AssertionError):
        wait_for(agree, "both to agree", 25)
    assert last == []


def averaged(running: World, series: str) -> dict[tuple[str, str], float]:
    """Factors over the last seconds, of those that are known."""
    return running.factors(f"avg_over_time({series}[{AVERAGED}s])")


def differing(running: World) -> list[str]:
    """Factors in which the exporters and the rules differ, or that one of them does not know now.

    An exporter that ticks late says nothing of drift for a while.
    """
    own, rules = averaged(running, OWN), averaged(running, RULES)
    found = []
    for name, factor in sorted(PAIRS):
        mine, theirs = own.get((name, factor), math.nan), rules.get((name, factor), math.nan)
        if not abs(mine / theirs - 1) < ALIKE.get(factor, 0.02):
            found.append(f"{name}, {factor}: {mine}, {theirs}")
    return found
