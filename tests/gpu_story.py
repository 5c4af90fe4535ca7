"""Histories of a host with GPUs and pods: what `tests/story.py` tells, and what befalls devices."""

from tests import audit
from tests.gpu_world import FakePod, GpuHost
from tests.sites import Site
from tests.story import Story
from unitcost.exporter.settling.batch import Batch
from unitcost.pricing.charge import Posting
from unitcost.pricing.resource import MICRO, Resource
from unitcost.pricing.workload import RESERVED

REPLICAS = 3


class GpuStory(Story):
    """Tells histories of a `GpuHost`: its first GPU is whole, the second shared, the third cut."""

    def __init__(self, site: Site, *, births: bool = True) -> None:
        super().__init__(site, births=births)
        assert isinstance(site.host, GpuHost)
        self.gpu_host = site.host
        self.gpu_host.present = len(site.host.gpus)
        shared, cut = self.gpu_host.gpus[1:3]
        shared.replicas = REPLICAS
        cut.mig(a=3, b=2, c=1)
        self.names = ["GPU-0", *(f"GPU-1::{n}" for n in range(REPLICAS)), *cut.instances]
        self.known: set[str] = set()
        self.recent: dict[str, set[str]] = {}
        self.named_before: set[str] = set()
        self.named: set[str] = set()

    def capacities(self) -> tuple[Resource, ...]:
        """GPUs are known from their first sight on, whatever becomes of the driver."""
        before = {each.resource.id for each in self.site.settler.state.shares}
        seen = {gpu.id for gpu in self.gpu_host.gpus} if self.gpu_host.driver else set()
        gpus = sorted(seen | {name for name in before if name.startswith("gpu:")})
        return (*super().capacities(), *(Resource(name, MICRO) for name in gpus))

    def capacities_unread(self, before: tuple[Resource, ...]) -> tuple[Resource, ...]:
        """GPUs are seen all the same."""
        return tuple(dict.fromkeys((*before, *self.capacities()[2:])))

    def check_who(self, batch: Batch) -> None:
        """CPU and memory as ever; devices by whom the kubelet or their processes name now."""
        charges = batch.posting.charges
        for key in charges:
            if key.revision:  # of time long past
                continue
            assert key.resource in ("cpu", "memory", "rest") or (
                key.account.workload in self.named | self.named_before | RESERVED
            ), key
        self.named_before, self.named = self._named(), set()
        own = {key: row for key, row in charges.items() if not key.resource.startswith("gpu:")}
        audit.check_who(Batch(Posting(own)), self.stuck.allowed, self.stuck.measured)

    def _allowed(self, read: bool) -> set[str]:
        """Whoever is there at a tick that is committed later is charged then."""
        self.named |= self._named()
        return super()._allowed(read)

    def alive_unread(self) -> dict[str, set[str]]:
        """Containers are seen all the same, by their control groups and by the cluster."""
        found = {name: set(identities) for name, identities in self.alive.items()}
        for pod in self.gpu_host.pods.values():
            found.setdefault(pod.pod.workload, set()).add(pod.container)
        return found

    def _named(self) -> set[str]:
        """Whoever holds a device now, or did in the kubelet's last word."""
        pods, kubelet = self.gpu_host.old
        grants = {grant.pod for grant in kubelet.grants} if kubelet else set()
        bare = {proc.command for proc in self.gpu_host.procs.values() if not proc.cgroup}
        known = {pod.workload for pod in pods if pod.name in grants}
        return bare | known | set(self.recent)

    def _identities(self) -> dict[str, set[str]]:
        found = super()._identities()
        for name, identities in self.recent.items():
            found.setdefault(name, set()).update(identities)
        for gpu in self.gpu_host.gpus:
            for pid in gpu.users:
                if (proc := self.gpu_host.procs.get(pid)) and not proc.cgroup:
                    found.setdefault(proc.command, set()).add(f"{proc.pid}@{proc.started}")
        self.recent = {}
        for pod in self.gpu_host.pods.values():
            self._note(pod)
        for name, identities in self.recent.items():
            found.setdefault(name, set()).update(identities)
        return found

    def _note(self, pod: FakePod) -> None:
        """While the cluster does not answer, a pod that is new goes by its uid."""
        for name in (pod.pod.workload, f"pod/{pod.pod.uid}"):
            self.recent.setdefault(name, set()).add(pod.container)

    def do_pod(self, number: int, seconds: float) -> None:
        """A pod starts that is given a device, if one is free."""
        taken = {name for pod in self.gpu_host.pods.values() for name in pod.devices}
        free = [name for name in self.names if name not in taken]
        if free:
            self.gpu_host.lives += 1
            name = f"pod-{number % 2}-{self.gpu_host.lives}"
            ready = (True, False, None)[number % 3]
            pod = self.gpu_host.start(name, free[number % len(free)], ready=ready, cores=0.1)
            self._note(pod)
            self.gpu_host.gpus[number % 3].use(pod.proc, 20 * number, "")

    def do_unpod(self, number: int, seconds: float) -> None:
        """A pod ends."""
        running = [name for name, pod in self.gpu_host.pods.items() if pod.running]
        if running:
            self.gpu_host.stop(running[number % len(running)])

    def do_compute(self, number: int, seconds: float) -> None:
        """A process outside of any container computes on the first GPU, or ends."""
        bare = [p for p in self.gpu_host.procs.values() if p.command.startswith("bare-")]
        if bare and number % 2:
            self.gpu_host.kill(bare[0])
            self.gpu_host.gpus[0].users.pop(bare[0].pid, None)
        elif not bare:
            proc = self.gpu_host.spawn(0.2, 0.1, f"bare-{number}")
            self.gpu_host.gpus[0].use(proc, 15 * number)

    def do_driver(self, number: int, seconds: float) -> None:
        """The driver goes away, or comes back; its counters start anew."""
        self.gpu_host.driver = not self.gpu_host.driver
        for gpu in self.gpu_host.gpus:
            gpu.joules = float(number)

    def do_lose(self, number: int, seconds: float) -> None:
        """A GPU falls off the bus, or is back."""
        gpu = self.gpu_host.gpus[number % 3]
        gpu.lost = not gpu.lost

    def do_blind(self, number: int, seconds: float) -> None:
        """Samples, processes or control groups cannot be read, or can again."""
        shared = self.gpu_host.gpus[1]
        if number < 2:
            shared.samples = not shared.samples
        elif number < 4:
            shared.processes = not shared.processes
        else:
            self.gpu_host.groups = not self.gpu_host.groups

    def do_deaf(self, number: int, seconds: float) -> None:
        """The kubelet does not answer, or does again."""
        self.gpu_host.kubelet_fails = not self.gpu_host.kubelet_fails
