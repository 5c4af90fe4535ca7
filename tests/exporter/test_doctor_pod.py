"""What `unitcost doctor` says in a pod: what is seen, what is missing, and the mend."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.exporter.test_doctor_holders import gpu
from unitcost.collectors.base import Reading
from unitcost.exporter.config.load import loads
from unitcost.exporter.doctor.ask import Scene
from unitcost.exporter.doctor.holders import holder_findings
from unitcost.exporter.doctor.pod import pod_findings
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import Kind, Process, Quantity, Sample

Say = Callable[..., list[str]]
UID = "00000000-0000-0000-0000-00000000000a"
WHOLE = {
    "NODE_NAME": "node-1",
    "POD_UID": UID,
    "UNITCOST_POD_WORKLOAD": "shop/Deployment/chat",
    "UNITCOST_POD_GPUS": "1",
    "UNITCOST_POD_CPU_MILLI_SERVER": "8000",
    "UNITCOST_POD_CPU_MILLI_UNITCOST": "20",
    "UNITCOST_POD_MEMORY_BYTES_SERVER": str(64 * GIB),
}
SCOPE = "host: {scope: pod}\nprice: {usd_per_hour: 1}"


@pytest.fixture
def say(tmp_path: Path) -> Say:
    """The findings in an environment, on readings."""

    def findings(environ: dict[str, str], *readings: Reading, config: str = SCOPE) -> list[str]:
        settings = loads(config, environ=environ, folder=tmp_path).settings
        named = {str(number): reading for number, reading in enumerate(readings)}
        scene = Scene(tmp_path, environ=environ)
        found = [*pod_findings(settings, named, scene), *holder_findings(settings, named, scene)]
        assert all(each.line().isprintable() and len(each.subject) <= 16 for each in found)
        return [
            f"{each.status} {each.subject}: {each.text}" + (f"; {each.mend}" if each.mend else "")
            for each in found
        ]

    return findings


def host(*groups: str, gpus: float | None = None) -> Reading:
    """A host of 32 CPUs, with processes in these control groups."""
    values = {Quantity.CPU_CAPACITY: 32.0, Quantity.MEMORY_CAPACITY: 256.0 * GIB}
    if gpus is not None:
        values[Quantity.DEVICES_PRESENT] = gpus
    samples = tuple(Sample("host", name, each, 1, Kind.GAUGE) for name, each in values.items())
    rows = [
        Process(900_000_000 + number, 1, 0, 0, 0, 0, "serve", cgroup=group)
        for number, group in enumerate(groups)
    ]
    return Reading(samples=samples, processes=tuple(rows))


def test_where_nothing_is_missing_all_is_well(say: Say) -> None:
    """A line each, and the pod's GPU by name."""
    assert say(WHOLE, host("/../cri-containerd-1.scope", gpus=8), gpu()) == [
        "ok pod: shop/Deployment/chat: scope pod charges what it holds",
        "ok pod processes: 1 in 1 other containers",
        "ok pod requests: 8.02 cores, 64.00 GiB of all containers together",
        "ok pod host: 32 CPUs, 256 GiB, 8 GPUs",
        "ok pod gpus: 1 seen, the pod's",
        "ok holders: gpu 0: shop/Deployment/chat, in sight, or as configured (reserve.gpus)",
    ]


def test_what_is_missing_is_said_with_its_mend(say: Say) -> None:
    """A sidecar without anything but a price."""
    found = say({"POD_NAME": "chat-0"}, host(), config=SCOPE)
    text = "\n".join(found)
    assert [line.split(":")[0] for line in found] == [
        "warn pod",
        "warn pod node",
        "warn pod processes",
        "warn pod requests",
        "warn pod host",
        "ok pod gpus",
    ]
    for mend in (
        "UNITCOST_POD_WORKLOAD",
        "NODE_NAME",
        "shareProcessNamespace: true",
        "UNITCOST_POD_CPU_MILLI_*",
        "host.size.gpus",
        "everything is unpriced",
        "UNITCOST_POD_GPUS",
    ):
        assert mend in text


def test_gpus_that_are_not_the_pods(say: Say) -> None:
    """All of the host's in sight; none in sight of one that was given."""
    unsure = {key: value for key, value in WHOLE.items() if key != "UNITCOST_POD_GPUS"}
    seen = say({**unsure, "NVIDIA_VISIBLE_DEVICES": "all"}, host("/../a", gpus=8), gpu(busy=0))
    assert any(line.startswith("warn pod gpus: 1 are seen (all of the host's)") for line in seen)
    assert "ok holders: gpu 0: not this pod's" in seen
    none = say(WHOLE, host("/../a", gpus=8))
    assert any("1 more were given to it: charged as `rest`" in line for line in none)


def test_other_pods_in_sight_are_left_out_and_told(say: Say) -> None:
    """With hostPID."""
    groups = [f"/kubepods/pod{uid}/{'c' * 64}" for uid in (UID, UID.replace("a", "b"))]
    found = say(WHOLE, host(*groups, gpus=8), gpu())
    assert any(line.startswith("warn pod processes: 1 processes of other pods") for line in found)
    assert "ok pod processes: 1 in 1 other containers" in found


def test_beside_an_agent_only_what_is_counted_is_told(say: Say) -> None:
    """Neither size nor requests matter where nothing is charged; a bare host is no pod."""
    found = say(WHOLE, host("/../a"), config="host: {scope: units}")
    assert found == [
        "ok pod: shop/Deployment/chat: scope units counts its units, charges nothing",
        "ok pod processes: 1 in 1 other containers",
    ]
    assert say({"NODE_NAME": "node-1"}, host(), config="price: {usd_per_hour: 1}") == []
