"""What NVML really answers is written down."""

import json
from pathlib import Path

from tests.gpu.conftest import Report, seconds_of
from tests.gpu.machine import Machine


def test_nvml_is_recorded_while_two_processes_work(
    machine: Machine, out: Path, report: Report
) -> None:
    """The file is whole, and what nothing goes without was answered."""
    seconds = str(seconds_of("UNITCOST_GPU_RECORD_SECONDS", 60.0))
    file = out / "nvml.json"
    with machine.load("loads", "steady", sm=60), machine.load("loads", "half", sm=30):
        machine.run("record", str(file), "--seconds", seconds)
    found = json.loads(file.read_text(encoding="utf-8"))
    answers = found["answers"]
    refused = {name: each["kind"] for name, each in answers.items() if "kind" in each}
    slowest = max(found["latency_us"].items(), key=lambda item: item[1]["p99"])
    report(
        "record",
        {
            "product": answers["nvmlDeviceGetName"].get("is"),
            "driver": answers["nvmlSystemGetDriverVersion"].get("is"),
            "binding": found["binding"],
            "refused": refused,
            "slowest": {"call": slowest[0], **slowest[1]},
            "habits": found["habits"],
        },
    )
    assert found["series"]
    for call in ("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetFieldValues"):
        assert call not in refused
