"""Every model of GPU under every way to share it: settled in memory, audited, and told as JSON.

Run by test_gpu_methods.py in a process of its own, whose NVML is the pretended one; so is time.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests import audit
from tests.fake_nvml import FakeNvml
from tests.fake_nvml_gpu import FakeGpu
from tests.fake_nvml_profiles import PROFILES, profile
from tests.gpu_world import Gpu, GpuHost
from tests.sites import Site, rented, rules
from unitcost.collectors.nvidia.board import Clock
from unitcost.collectors.nvml import NvmlCollector, Options
from unitcost.exporter.gathering.validate import validate
from unitcost.exporter.settling.observed import Observed
from unitcost.exporter.settling.rules import Reservation, WorkloadRule
from unitcost.pricing.sample import EpochMark
from unitcost.pricing.workload import WorkloadKind

TICKS, SECONDS = 6, 5.0
LOST = 15
RESERVED = WorkloadRule("held", WorkloadKind.INFERENCE, "", Reservation(gpus=("0",)), False)


class DrivenHost(GpuHost):
    """A host whose GPUs are those that the driver shows to the real collector."""

    def __init__(self, folder: Path, name: str, process_samples: bool = True) -> None:
        super().__init__(0)
        library = Path(os.environ["LD_LIBRARY_PATH"].split(os.pathsep)[0])
        self.nvml = FakeNvml(library, folder, profile(name), clock=self.clock.mono_ns / 1e9)
        self.gpus = [Gpu(gpu.uuid, gpu.index) for gpu in self.nvml.gpus]
        clock = Clock(lambda: self.clock.mono_ns, lambda: self.nvml.timestamp(self.nvml.now()))
        self.collector = NvmlCollector(Options(process_samples=process_samples), clock)

    def run(self, seconds: float) -> None:
        """Time passes here and in the driver."""
        super().run(seconds)
        self.nvml.advance(seconds)

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        """The devices are as the collector reads them."""
        observed, marks = super().observe(host)
        reading = validate(self.collector.collect(time.monotonic() + 30))
        observed = replace(
            observed,
            devices=reading.devices,
            meters=reading.meters,
            samples=(*observed.samples, *reading.samples),
        )
        return observed, marks


def exclusive(host: DrivenHost, gpu: FakeGpu) -> None:
    """One pod has it."""
    pod = host.start("one-a", gpu.uuid)
    gpu.run(pod.proc.pid, sm=30)


def sliced(host: DrivenHost, gpu: FakeGpu) -> None:
    """Three pods have three of four replicas."""
    host.gpus[0].replicas = 4
    for number in range(3):
        pod = host.start(f"slice{number}-a", f"{gpu.uuid}::{number}")
        gpu.run(pod.proc.pid, sm=20 * number)


def cut(host: DrivenHost, gpu: FakeGpu) -> None:
    """Two pods have two instances; the third instance is nobody's."""
    names = ["2g", "1g", "1g"]
    known = {name.split(".")[0]: name for name in gpu.model.mig_profiles}
    migs = gpu.mig([known[name] for name in names])
    host.gpus[0].slices = gpu.model.mig_slices
    host.gpus[0].instances = {mig.uuid: int(name[0]) for mig, name in zip(migs, names, strict=True)}
    for number in range(2):
        host.start(f"cut{number}-a", migs[number].uuid)


def bare(host: DrivenHost, gpu: FakeGpu) -> None:
    """Two processes outside of any container."""
    for number in range(2):
        gpu.run(host.spawn(command=f"bare{number}").pid, sm=10 + 30 * number)


def reserved(host: DrivenHost, gpu: FakeGpu) -> None:
    """The configuration says whose it is."""
    host.spawn(command="held --forever")


def lost(host: DrivenHost, gpu: FakeGpu) -> None:
    """One pod has it, and it falls off the bus in the middle."""
    exclusive(host, gpu)


METHODS: dict[str, Callable[[DrivenHost, FakeGpu], None]] = {
    "exclusive": exclusive,
    "process_sm_time": sliced,
    "equal_split": sliced,
    "mig_slice": cut,
    "by_process": bare,
    "configured": reserved,
    "carried": lost,
}


def tell(folder: Path, name: str, method: str) -> dict[str, object]:
    """One model under one method: what was charged by which method, and what was read."""
    host = DrivenHost(folder, name, process_samples=method != "equal_split")
    site = Site(rules(rented(usd="40"), (RESERVED,)), host, {"held": "held"})
    METHODS[method](host, host.nvml.gpu(0))
    host.nvml.write()
    site.settle()
    for number in range(TICKS):
        if method == "carried" and number == TICKS // 2:
            host.nvml.lose(0)
        site.tick(seconds=SECONDS)
    audit.check_totals(site)
    points = site.points()
    host.collector.close()
    return {
        "host_usd": float(site.total()),
        "gpu_pico": pico(site, f"gpu:{host.gpus[0].uuid}"),
        "methods": sorted(methods(site)),
        "joules": joules(site),
        "metrics": sorted(metric for metric, found in points.items() if found),
    }


def pico(site: Site, gpu: str) -> list[int]:
    """What a GPU accrued, and what was charged for it."""
    posting = site.ledger.posting
    accrued = sum(row.pico or 0 for key, row in posting.accruals.items() if key.resource == gpu)
    charged = sum(row.pico or 0 for key, row in posting.charges.items() if key.resource == gpu)
    return [accrued, charged]


def methods(site: Site) -> set[str]:
    """The methods of all charges for GPUs."""
    keys = site.ledger.posting.charges
    return {str(key.method) for key in keys if key.resource.startswith("gpu:")}


def joules(site: Site) -> list[float]:
    """Energy of all devices, and of all workloads."""
    names = ("unitcost_device_energy_joules_total", "unitcost_energy_joules_total")
    return [site.counter(name) / 1e6 for name in names]


def main() -> None:
    """All models and methods that go together."""
    folder, found = Path(os.environ["UNITCOST_FAKE_NVML_STATE"]).parent, {}
    for name in PROFILES:
        for method in METHODS:
            if (method == "mig_slice") == profile(name)[0].mig_enabled:
                found[f"{name} {method}"] = tell(folder, name, method)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
