"""One GPU: what it is, and everything that is read of it at one reading."""

from dataclasses import dataclass, field, replace

from unitcost.collectors.base import Problem
from unitcost.collectors.nvidia.binding import Fault, Nvml
from unitcost.collectors.nvidia.board import Board, Clock, Wanted
from unitcost.collectors.nvidia.calls import Calls, GpuLost, NvmlBroken
from unitcost.pricing.device import Device
from unitcost.pricing.energy import Meter
from unitcost.pricing.sample import NS_PER_SECOND, Sample

_FIRST_RETRY_NS = 5 * NS_PER_SECOND
_LAST_RETRY_NS = 60 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What one GPU gave. `device` is None where it is not even known which one this is.

    `broken`: NVML must be initialised anew. `all_unknown`: nothing but unknown errors. `lost`: it
    fell off the bus.
    """

    device: Device | None = None
    meters: tuple[Meter, ...] = ()
    samples: tuple[Sample, ...] = ()
    problems: tuple[Problem, ...] = ()
    broken: Fault | None = None
    all_unknown: bool = False
    lost: bool = False


def without_values(device: Device, lost: bool = False) -> Device:
    """The device as it was last seen, and nothing of what it does."""
    idle = tuple(replace(each, busy=None, busy_signal="") for each in device.instances)
    return replace(
        device,
        instances=idle,
        processes=None,
        samples=None,
        busy=None,
        busy_signal="",
        lost=lost,
    )


@dataclass(slots=True)
class Gpu:
    """The GPU with one of NVML's indexes, for as long as NVML stays initialised.

    Used by one thread at a time: calls to a GPU may hang.
    """

    nvml: Nvml
    index: int
    wanted: Wanted
    generation: str
    clock: Clock
    calls: Calls = field(init=False)
    _board: Board | None = None
    _retry_ns: int = 0
    _delay_ns: int = 0

    def __post_init__(self) -> None:
        self.calls = self._new_calls()

    def read(self) -> GpuReading:
        """Read everything; what fails is absent, and in the problems."""
        if self._board is None and self.clock.mono_ns() < self._retry_ns:
            return GpuReading(lost=True)
        self.calls.begin()
        try:
            return self._read()
        except GpuLost:
            self._put_off()
            return GpuReading(problems=self.calls.problems(), lost=True)
        except NvmlBroken as broken:
            return GpuReading(problems=self.calls.problems(), broken=broken.fault)

    def close(self) -> None:
        """Give back what the driver gave; the GPU can be read again."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _read(self) -> GpuReading:
        if self._board is None:
            self._board = self._open()
        if self._board is None:
            unknown = self.calls.all_unknown
            return GpuReading(problems=self.calls.problems(), all_unknown=unknown)
        seen = self._board.read()
        self._delay_ns = 0
        return GpuReading(
            seen.device,
            seen.meters,
            seen.samples,
            self.calls.problems(),
            all_unknown=self.calls.all_unknown,
        )

    def _open(self) -> Board | None:
        """Find the GPU and learn which one it is. Raises GpuLost, NvmlBroken."""
        self.calls = self._new_calls()
        handle = self.calls.need("nvmlDeviceGetHandleByIndex", self.index)
        uuid = None if handle is None else self.calls.need("nvmlDeviceGetUUID", handle)
        if not uuid:
            return None
        return Board(self.calls, handle, uuid, self.index, self.wanted, self.generation, self.clock)

    def _new_calls(self) -> Calls:
        return Calls(self.nvml, f"GPU {self.index}")

    def _put_off(self) -> None:
        """Looking for a lost GPU may take the driver seconds: do so less and less often."""
        self.close()
        self._delay_ns = min(max(2 * self._delay_ns, _FIRST_RETRY_NS), _LAST_RETRY_NS)
        self._retry_ns = self.clock.mono_ns() + self._delay_ns
