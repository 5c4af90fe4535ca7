"""Every model of GPU under every way to share it: each dollar and joule once, and no false zero."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml import pretend
from tests.fake_nvml_profiles import PROFILES, GpuModel, profile

pytest.importorskip("pynvml")

ROOT = Path(__file__).parent.parent.parent
SCRIPT = Path(__file__).with_name("gpu_methods.py")
SHARED = ("exclusive", "process_sm_time", "equal_split", "by_process", "configured", "carried")
CASES = [
    (name, method)
    for name in PROFILES
    for method in (("mig_slice",) if profile(name)[0].mig_enabled else SHARED)
]
USD = 40 * 30 / 3600
"""What the host costs in the time that is told."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script says of each model and method."""
    driver = pretend(tmp_path_factory.mktemp("methods"), "t4", clock=0.0)
    environment = {**os.environ, **driver.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", str(SCRIPT)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize(("name", "method"), CASES)
def test_all_charges_for_a_gpu_are_what_it_costs(
    told: dict[str, Any], name: str, method: str
) -> None:
    """Exactly, in pico-dollars; and all together are the host's price."""
    found = told[f"{name} {method}"]
    accrued, charged = found["gpu_pico"]
    assert accrued == charged > 0
    assert found["host_usd"] == pytest.approx(USD, abs=1e-9)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_energy_of_workloads_is_that_of_the_devices(
    told: dict[str, Any], name: str, method: str
) -> None:
    """Where there is any; a guest that shows no power has no energy, not none at all."""
    devices, workloads = told[f"{name} {method}"]["joules"]
    assert workloads == pytest.approx(devices, rel=1e-6)
    metrics = told[f"{name} {method}"]["metrics"]
    model = profile(name)[0]
    assert (devices > 0) == (model.idle_watts is not None)
    assert ("unitcost_device_energy_joules_total" in metrics) == (model.idle_watts is not None)


def expected_method(model: GpuModel, method: str) -> set[str]:
    """How the shares are found: what a model lacks makes a difference."""
    if method == "by_process":
        method = "process_sm_time"
    if method == "process_sm_time" and not model.has_process_samples:
        return {"equal_split"}
    return {"exclusive", "carried"} if method == "carried" else {method}


@pytest.mark.parametrize(("name", "method"), CASES)
def test_the_method_is_named(told: dict[str, Any], name: str, method: str) -> None:
    """The best that the model allows; what nobody holds is the remainder."""
    found = set(told[f"{name} {method}"]["methods"]) - {"remainder"}
    assert found == expected_method(profile(name)[0], method)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_what_a_model_does_not_support_is_absent(
    told: dict[str, Any], name: str, method: str
) -> None:
    """Never 0."""
    metrics = set(told[f"{name} {method}"]["metrics"])
    model, several = profile(name)[0], len(profile(name)) > 1
    if method == "carried" and not several:
        assert not {each for each in metrics if each.startswith("unitcost_device_utilization")}
        return
    measured = model.has_utilization and (not model.mig_enabled)
    assert ("unitcost_device_utilization_ratio" in metrics) == measured
    assert ("unitcost_device_power_watts" in metrics) == (model.idle_watts is not None)
    assert ("unitcost_device_power_limit_watts" in metrics) == (model.limit_watts is not None)
    throttled = "unitcost_device_throttled_seconds_total" in metrics
    assert throttled == model.has_throttle_counters
    assert "unitcost_device_activity_ratio" not in metrics
