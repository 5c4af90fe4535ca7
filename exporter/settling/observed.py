"""What the collectors said in one tick, merged: the input of settling."""

from collections.abc import Sequence
from dataclasses import dataclass

from unitcost.pricing.container import ContainerUse, Kubelet, Pod
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import Listener, Process, Quantity, Sample, Subject


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything the collectors said this tick.

    `devices`, `kubelet` and `containers` are None where no collector spoke of them (there are
    none, or it failed). `stale`: what is said of pods and the kubelet was said in an earlier tick,
    because the collector fails now.
    """

    samples: Sequence[Sample] = ()
    subjects: Sequence[Subject] = ()
    processes: Sequence[Process] = ()
    listeners: Sequence[Listener] = ()
    devices: Sequence[Device] | None = None
    meters: Sequence[Meter] = ()
    kubelet: Kubelet | None = None
    pods: Sequence[Pod] = ()
    containers: Sequence[ContainerUse] | None = None
    stale: bool = False

    def host(self, quantity: Quantity) -> Sample | None:
        """The host's own sample of a quantity, if it was read."""
        found = (s for s in self.samples if s.subject == "host" and s.quantity is quantity)
        return next(found, None)
