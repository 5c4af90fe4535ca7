"""A host with accelerators and pods, in memory: GPUs, a kubelet and a cluster on `worlds.Host`."""

from dataclasses import dataclass, field, replace

from tests.worlds import Host, Proc
from unitcost.exporter.settling.observed import Observed
from unitcost.pricing.container import (
    Allocatable,
    ContainerUse,
    Grant,
    Kubelet,
    Pod,
    PodContainer,
)
from unitcost.pricing.device import Device, DeviceProcess, Instance, SmSample
from unitcost.pricing.energy import Meter, Scope
from unitcost.pricing.resource import GIB
from unitcost.pricing.sample import NS_PER_SECOND, EpochMark, Kind, Quantity, Sample
from unitcost.pricing.workload import WorkloadKind

IDLE_WATTS, BUSY_WATTS = 70.0, 500.0
GPU_RESOURCE = "nvidia.com/gpu"


@dataclass
class Gpu:
    """One GPU: its MIG layout, and how much of its SM time each process uses (percent)."""

    uuid: str
    index: int
    slices: int = 0
    instances: dict[str, int] = field(default_factory=dict)
    users: dict[int, int] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    replicas: int = 1
    samples: bool = True
    processes: bool = True
    busy: float | None = None
    lost: bool = False
    joules: float = 0.0
    generation: str = "driver-1"

    @property
    def id(self) -> str:
        """The resource's name."""
        return f"gpu:{self.uuid}"

    def mig(self, **slices: int) -> list[str]:
        """Cut it into instances of so many slices; returns their ids."""
        self.slices = 7
        self.instances = {f"MIG-{self.index}-{name}": n for name, n in slices.items()}
        return list(self.instances)

    def use(self, proc: Proc, percent: int = 0, place: str = "") -> None:
        """A process computes on it."""
        self.users[proc.pid] = percent
        self.places[proc.pid] = place

    @property
    def load(self) -> float:
        """Part of the time in which it works."""
        return min(1.0, sum(self.users.values()) / 100)

    def device(self, at_us: int) -> Device:
        """What its collector says of it."""
        if self.lost:
            return Device(self.id, "H100", index=self.index, lost=True)
        samples = tuple(SmSample(pid, at_us, each) for pid, each in self.users.items() if each)
        busy = self.load if self.busy is None else self.busy
        return Device(
            self.id,
            "H100",
            index=self.index,
            minor=self.index,
            slices=self.slices,
            instances=tuple(
                Instance(name, number + 1, 0, slices, f"{slices}g")
                for number, (name, slices) in enumerate(self.instances.items())
            ),
            processes=tuple(DeviceProcess(pid, GIB, self.places[pid]) for pid in self.users)
            if self.processes
            else None,
            samples=samples if self.samples and not self.slices else None,
            busy=None if self.slices or busy < 0 else busy,
            busy_signal="" if self.slices or busy < 0 else "gpu_utilization",
        )


@dataclass
class FakePod:
    """A pod with one container on this host, and the devices it was given."""

    pod: Pod
    devices: tuple[str, ...]
    proc: Proc
    container: str
    cpu_ns: int = 0
    held_ns: int = 0
    running: bool = True


class GpuHost(Host):
    """A host with GPUs; with a kubelet once it has pods."""

    def __init__(self, gpus: int = 1, cores: int = 4, gibs: int = 16) -> None:
        super().__init__(cores, gibs)
        self.gpus = [Gpu(f"GPU-{number}", number) for number in range(gpus)]
        self.driver = True
        self.present = 0
        self.pods: dict[str, FakePod] = {}
        self.kubelet = False
        self.kubelet_fails = False
        self.cluster = True
        self.groups = True
        self.seen_ns = self.clock.mono_ns
        self.old: tuple[tuple[Pod, ...], Kubelet | None] = ((), None)

    def start(
        self,
        name: str,
        *devices: str,
        controller: str = "",
        ready: bool | None = True,
        cores: float = 0.0,
        gibs: float = 0.0,
        group: str = "",
        hosts: int = 1,
        milli: int | None = None,
    ) -> FakePod:
        """The kubelet starts a pod and gives it devices."""
        self.kubelet = True
        self.lives += 1
        container = f"{self.lives:064x}"
        uid = f"00000000-0000-0000-0000-{self.lives:012x}"
        proc = self.spawn(cores, gibs, f"python {name}.py")
        proc.cgroup = f"/kubepods/burstable/pod{uid}/{container}"
        inside = PodContainer("main", container, ready, milli, None)
        owner = controller or f"team/Deployment/{name.rpartition('-')[0] or name}"
        pod = Pod(uid, "team", name, owner, WorkloadKind.OTHER, "ann", group, hosts, (inside,))
        self.pods[name] = FakePod(pod, devices, proc, container)
        return self.pods[name]

    def stop(self, name: str) -> None:
        """The pod ends: its process and its grants are gone, what it held until now is known."""
        pod = self.pods[name]
        pod.running = False
        self.kill(pod.proc)
        for gpu in self.gpus:
            gpu.users.pop(pod.proc.pid, None)

    def set_ready(self, name: str, ready: bool) -> None:
        """The cluster says whether it is ready."""
        pod = self.pods[name]
        (inside,) = pod.pod.containers
        pod.pod = replace(pod.pod, containers=(replace(inside, ready=ready),))

    def run(self, seconds: float) -> None:
        """Time passes: energy is used, devices are held."""
        super().run(seconds)
        for gpu in self.gpus:
            gpu.joules += seconds * (IDLE_WATTS + (BUSY_WATTS - IDLE_WATTS) * gpu.load)
        for pod in self.pods.values():
            if pod.running:
                pod.held_ns += round(seconds * NS_PER_SECOND)
                pod.cpu_ns += int(pod.proc.cores * seconds * NS_PER_SECOND)

    def reboot(self, down_seconds: float) -> None:
        """Pods are gone, the driver is loaded anew."""
        super().reboot(down_seconds)
        self.pods.clear()
        self.seen_ns = self.clock.mono_ns
        for gpu in self.gpus:
            gpu.users.clear()
            gpu.joules, gpu.generation = 0.0, gpu.generation + "'"

    def observe(self, host: bool = True) -> tuple[Observed, tuple[EpochMark, ...]]:
        """What all collectors say, those of devices and of the cluster included."""
        observed, marks = super().observe(host)
        now = self.clock.mono_ns
        devices = tuple(gpu.device(now // 1000) for gpu in self.gpus) if self.driver else None
        if not self.kubelet_fails:
            self.old = (self._known_pods(), self._view(now) if self.kubelet else None)
            self._forget()
        pods, kubelet = self.old
        present = Sample("host", Quantity.DEVICES_PRESENT, float(self.present), now, Kind.GAUGE)
        observed = replace(
            observed,
            samples=(*observed.samples, *((present,) if self.present and host else ())),
            devices=devices,
            meters=self._meters(now) if self.driver else (),
            pods=pods,
            kubelet=kubelet,
            stale=self.kubelet_fails and kubelet is not None,
            containers=self._uses(now) if self.groups else None,
        )
        return observed, marks

    def _known_pods(self) -> tuple[Pod, ...]:
        return tuple(each.pod for each in self.pods.values()) if self.cluster else ()

    def _view(self, now: int) -> Kubelet:
        span, self.seen_ns = now - self.seen_ns, now
        grants = tuple(
            Grant("team", name, "main", GPU_RESOURCE, device, min(span, pod.held_ns))
            for name, pod in self.pods.items()
            for device in pod.devices
        )
        allocatable = tuple(
            Allocatable(GPU_RESOURCE, name) for gpu in self.gpus for name in _names(gpu)
        )
        return Kubelet(now, span, grants, allocatable)

    def _forget(self) -> None:
        for pod in self.pods.values():
            pod.held_ns = 0
        self.pods = {name: pod for name, pod in self.pods.items() if pod.running}

    def _meters(self, now: int) -> tuple[Meter, ...]:
        return tuple(
            Meter(
                gpu.id,
                Scope.GPU,
                (gpu.id,),
                now,
                gpu.joules,
                1.0,
                resource=gpu.id,
                generation=gpu.generation,
            )
            for gpu in self.gpus
            if not gpu.lost
        )

    def _uses(self, now: int) -> tuple[ContainerUse, ...]:
        return tuple(
            ContainerUse(pod.container, pod.pod.uid, pod.cpu_ns, pod.proc.memory, now)
            for pod in self.pods.values()
            if pod.running
        )


def _names(gpu: Gpu) -> list[str]:
    """The ids by which the device plug-in advertises it."""
    bases = list(gpu.instances) if gpu.slices else [gpu.uuid]
    if gpu.replicas == 1:
        return bases
    return [f"{base}::{number}" for base in bases for number in range(gpu.replicas)]
