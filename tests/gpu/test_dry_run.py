"""The checks for real GPUs, tried out on a pretended one, so that they work on the day.

Loads only sleep here: nothing of this needs torch.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gpu import energy, pricing, sharing
from tests.gpu.machine import PretendedMachine
from tests.gpu.record import differences
from tests.gpu.summary import summary
from tests.gpu.test_latency import summary as latency_of

pytest.importorskip("pynvml")

BROKEN = 9


class Recorded(NamedTuple):
    """A recording, and what must not be in it."""

    text: str
    uuid: str
    serial: str


@pytest.fixture
def pretended(tmp_path: Path) -> PretendedMachine:
    """An H100 on which nothing runs."""
    (tmp_path / "driver").mkdir()
    return PretendedMachine(tmp_path / "driver", work="sleep")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A short recording of one, while a process works."""
    folder = tmp_path_factory.mktemp("recorded")
    machine = PretendedMachine(folder, work="sleep")
    with machine.load("loads", "steady", sm=50):
        machine.run("record", str(folder / "nvml.json"), "--calls", "3", "--seconds", "0.7")
    text = (folder / "nvml.json").read_text(encoding="utf-8")
    return Recorded(text, machine.gpu.uuid, machine.gpu.serial)


def test_a_recording_has_every_call_of_the_collector_and_no_identity(
    recorded: Recorded, root: Path
) -> None:
    """A call that the collector learns to make has to be recorded, too."""
    found = json.loads(recorded.text)
    code = "".join(path.read_text() for path in (root / "collectors/nvidia").glob("*.py"))
    made = set(re.findall(r'"(nvmlDevice\w+|nvmlGpm\w+|nvmlSystem\w+)"', code))
    assert len(made) > 20
    assert made - set(re.findall(r"\w+", " ".join(found["answers"]))) == set()
    assert found["answers"].keys() == found["latency_us"].keys()
    assert recorded.uuid not in recorded.text
    assert recorded.serial not in recorded.text
    uuid = found["answers"]["nvmlDeviceGetUUID"]["is"]
    assert uuid == "GPU-00000000-0000-0000-0000-000000000001"
    assert len(found["series"]) == 8
    habits = found["habits"]["infos"]
    assert habits["not_newer_than_last_seen"] == 0
    assert habits["pids"][0]["apart_ms"]["median"] == pytest.approx(200, abs=1)
    assert found["latency_us"]["nvmlDeviceGetPowerUsage"]["p99"] > 0


def test_what_real_gpus_refused_the_pretended_one_refuses(recorded: Recorded, root: Path) -> None:
    """Each recording that was kept (tests/gpu/README.md) against the pretended H100."""
    found = json.loads(recorded.text)
    captures = sorted((root / "tests/captures").glob("nvml-*.json"))
    texts = {path.name: json.loads(path.read_text()) for path in captures}
    wrong = {name: differences(capture, found) for name, capture in texts.items()}
    assert {name: each for name, each in wrong.items() if each} == {}


def test_a_difference_between_recordings_is_found() -> None:
    """The check above is not blind."""
    one = {"answers": {"a": {"is": 1}, "b": {"code": 3, "kind": "not_supported"}}}
    other = {"answers": {"a": {"is": 2}, "b": {"is": 2}, "c": {"is": 1}}}
    assert differences(one, other) == {"b": ("not_supported", "answered")}


def test_a_right_counter_passes_and_a_wrong_one_does_not(pretended: PretendedMachine) -> None:
    """Power that changes is no matter; a counter that runs 5 % too fast is."""
    assert energy.measure(pretended, 0.9, varied=True, every=0.02).faults() == []
    assert pretended.gpu.power_watts is not None
    pretended.gpu.energy_mj.rate = 1.05e3 * pretended.gpu.power_watts
    pretended.driver.write()
    (fault,) = energy.measure(pretended, 0.3, varied=False).faults()
    found = re.search(r"off by ([+-][0-9.]+)%", fault)
    assert found is not None
    assert 4 < float(found[1]) < 6


def test_two_processes_are_told_apart(pretended: PretendedMachine) -> None:
    """By readings of the real collector; and faults are found where there are some."""
    found = sharing.measure(pretended, readings=2, every=0.3)
    assert found.faults() == []
    assert found.mean(found.steady) == pytest.approx(60)
    assert "| 2 | 60.0 |" in found.table()
    lazy = {"pids": [7], "samples": [[7, 1, 60], [7, 2, 60], [8, 1, 70], [8, 2, 70]]}
    faults = sharing.sharing_of(7, 8, [{"problems": [], "devices": [lazy]}]).faults()
    assert [each.split()[0] for each in faults] == ["half", "both", "the"]


def test_an_epoch_and_a_request_cost_what_they_should(
    pretended: PretendedMachine, tmp_path: Path
) -> None:
    """Short ones: the end of a tick is a part of them that counts."""
    for name in ("training", "serving"):
        (tmp_path / name).mkdir()
    quick = {"epoch_seconds": 0.3, "period": 0.2}
    trained = pricing.train(pretended, tmp_path / "training", epochs=2, **quick)
    assert trained.faults() == []
    served = pricing.serve(pretended, tmp_path / "serving", 0.8, period=0.2)
    assert served.faults(tolerance=0.5) == []
    assert served.client.answered > 10


def test_a_driver_that_does_not_answer_is_said(pretended: PretendedMachine) -> None:
    """With UNITCOST_GPU=1 that is a failure."""
    assert pretended.why_unusable() == ""
    found = latency_of(pretended.run("readings", "--count", "4", "--every", "0.01"))
    assert 5 < found["calls"] < 20
    pretended.driver.fail("*", BROKEN)
    assert "driver_not_loaded" in pretended.why_unusable()


def test_the_summary_says_what_was_found_and_what_was_not(tmp_path: Path) -> None:
    """On one page, from whatever results there are."""
    latency = {"wall_ms": {"median": 3.2, "p99": 9.9}, "calls": 9}
    results = {"pretended": True, "latency": latency}
    (tmp_path / "results.json").write_text(json.dumps(results))
    text = summary(tmp_path)
    assert "pretended" in text
    assert "9.9" in text
    assert "SM time" not in text
    assert "energy under load | not measured" in text
