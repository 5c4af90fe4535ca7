"""Drift of training steps, by the rules: each factor names itself, and nothing else is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dashboards.promtool import Alerts, check_alerts, firing
from tests.dashboards.stories import Steps, Training

BEFORE, AFTER = 180, 141
"""Minutes of the usual steps, with the baseline from 150 on, and of what comes then."""
SOON, END = BEFORE + 30, BEFORE + AFTER
FAST, SLOW, IDLE = "UnitcostDriftFast", "UnitcostDriftSlow", "UnitcostIdleDrift"
USUAL = Steps()
Found = dict[tuple[str, int], Alerts]


def changed(name: str, steps: Steps) -> Training:
    """A training that changes for good."""
    return Training(name, ((BEFORE, USUAL), (AFTER, steps)))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, real_tool: Callable[[str], Path]) -> Found:
    """Who fires what, before the change and after it, as promtool finds it."""
    trainings = (
        Training("steady", ((BEFORE + AFTER, USUAL),)),
        changed("dearer", Steps(usd_per_gpu_hour=15)),
        changed("longer", Steps(steps=2.4)),
        changed("slower", Steps(steps=2.4, tokens=4800)),
        changed("starting", Steps(loading=0.4)),
        Training("rare", ((BEFORE, Steps(steps=0.1)), (AFTER, Steps(0.1, usd_per_gpu_hour=15)))),
    )
    inputs = [each for training in trainings for each in training.series()]
    moments = [(name, minute) for name in (FAST, SLOW, IDLE) for minute in (BEFORE, SOON, END)]
    folder = tmp_path_factory.mktemp("steps")
    return check_alerts(real_tool("promtool"), folder, "drift_training", inputs, moments)


@pytest.mark.real
def test_nothing_fires_before_anything_changes(found: Found) -> None:
    """Of any kind."""
    assert [found[name, BEFORE] for name in (FAST, SLOW, IDLE)] == [[], [], []]


@pytest.mark.real
def test_each_factor_is_told_by_its_name(found: Found) -> None:
    """Soon, of those that are fast; three steps in half an hour prove nothing, twelve do."""
    assert firing(found[FAST, SOON], "workload", "factor", "owner") == {
        ("dearer", "price", "research"),
        ("longer", "mix", "research"),
        ("slower", "speed", "research"),
    }
    assert firing(found[SLOW, END], "workload", "factor") == {
        ("starting", "loading"),
        ("rare", "price"),
    }
    assert found[IDLE, END] == []
