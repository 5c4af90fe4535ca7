"""MIG: whether a GPU is partitioned, and the instances there are just now."""

import ctypes
import re
from dataclasses import dataclass
from typing import Any

from unitcost.collectors.nvidia.binding import Code, Fault
from unitcost.collectors.nvidia.calls import Calls
from unitcost.pricing.device import Instance
from unitcost.pricing.sample import NS_PER_SECOND

_GONE = frozenset({Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.UNINITIALIZED})
"""Said of an empty slot, and of the handle of an instance that was destroyed."""
_RECHECK_NS = 60 * NS_PER_SECOND
"""How long an unchanged handle is trusted to be that of the same instance."""
_MAX_SLOTS = 64
_BY_HANDLE = "nvmlDeviceGetMigDeviceHandleByIndex"

_Handles = dict[int, int | None]
"""Where each slot's handle points; slots without one are left out."""


@dataclass(frozen=True, slots=True)
class MigState:
    """`slices`: into how many the GPU can be cut while MIG is on, else 0. `handles`: by id."""

    slices: int = 0
    instances: tuple[Instance, ...] = ()
    handles: tuple[tuple[str, Any], ...] = ()

    @property
    def on(self) -> bool:
        """Whether the GPU is partitioned."""
        return self.slices > 0

    def instance_of(self, gpu_instance: int, compute_instance: int) -> str | None:
        """The id of the instance with these numbers; None if none is known."""
        for each in self.instances:
            if (each.gpu_instance, each.compute_instance) == (gpu_instance, compute_instance):
                return each.id
        return None


class _Vanished(Exception):
    """The instance was destroyed while it was looked at."""


class MigReader:
    """Looks at each slot at each reading, and at what is in them only if something changed.

    Slots are sparse. Ids are used again for other instances, so all facts are read together.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._state: MigState | None = None
        self._pointers: _Handles = {}
        self._read_ns = 0
        self._doubtful = False

    def doubt(self) -> None:
        """Something showed that the instances are others: look at all of them next time."""
        self._doubtful = True

    def read(self, handle: Any, mono_ns: int) -> MigState | None:
        """The state now; the last known one where that fails, None if there is none.

        Raises GpuLost, NvmlBroken.
        """
        mode = self._calls.ask("nvmlDeviceGetMigMode", handle)
        if mode is None and self._calls.refused("nvmlDeviceGetMigMode"):
            self._state = MigState()
        elif mode is not None and not mode[0]:
            self._state, self._pointers = MigState(), {}
        elif mode is not None:
            self._read_slots(handle, mono_ns)
        return self._state

    def _read_slots(self, handle: Any, mono_ns: int) -> None:
        if self._state is not None and not self._state.on:
            self._state = None  # that it was not partitioned says nothing any more
        slices = self._state.slices if self._state else 0
        if not slices:
            slices = self._calls.ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0
        if not 0 < slices <= _MAX_SLOTS:
            self._state = None
            return
        found = self._handles(handle, slices)
        if found is None:
            return
        pointers = {slot: _pointer(each) for slot, each in found.items()}
        known = self._state is not None and not self._doubtful
        if known and pointers == self._pointers and mono_ns - self._read_ns < _RECHECK_NS:
            return
        self._doubtful = False
        state = self._look(found, slices)
        if state is not None:
            self._state, self._pointers, self._read_ns = state, pointers, mono_ns

    def _handles(self, handle: Any, slices: int) -> dict[int, Any] | None:
        """The handle in each slot that is not empty; None if that cannot be told."""
        found = {}
        for slot in range(slices):
            try:
                found[slot] = self._calls.nvml.call(_BY_HANDLE, handle, slot)
            except Fault as fault:
                if fault.code not in _GONE:
                    self._calls.judge(fault, _BY_HANDLE)
                    return None
        return found

    def _look(self, found: dict[int, Any], slices: int) -> MigState | None:
        instances, handles = [], []
        for mig_handle in found.values():
            try:
                instance = self._instance(mig_handle)
            except _Vanished:
                self._doubtful = True
                continue
            if instance is None:
                self._doubtful = True
                return None
            instances.append(instance)
            handles.append((instance.id, mig_handle))
        return MigState(slices, tuple(instances), tuple(handles))

    def _instance(self, mig_handle: Any) -> Instance | None:
        """All that is known of an instance; None if something that matters cannot be read."""
        id_ = self._fact("nvmlDeviceGetUUID", mig_handle)
        gpu_instance = self._fact("nvmlDeviceGetGpuInstanceId", mig_handle)
        compute_instance = self._fact("nvmlDeviceGetComputeInstanceId", mig_handle)
        if id_ is None or gpu_instance is None or compute_instance is None:
            return None
        profile = _profile(self._fact("nvmlDeviceGetName", mig_handle))
        attributes = self._fact("nvmlDeviceGetAttributes", mig_handle)
        slices = attributes.computeInstanceSliceCount if attributes else _slices(profile)
        if not 0 < slices <= _MAX_SLOTS:
            return None
        return Instance(str(id_), gpu_instance, compute_instance, slices, profile)

    def _fact(self, call: str, mig_handle: Any) -> Any:
        """Not cached as unsupported: another instance may answer."""
        self._calls.current = call
        try:
            return self._calls.nvml.call(call, mig_handle)
        except Fault as fault:
            if fault.code in _GONE:
                raise _Vanished from None
            self._calls.judge(fault, f"{call} of an instance")
            return None


def _pointer(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value


def _profile(name: str | None) -> str:
    """``NVIDIA H100 80GB HBM3 MIG 1g.10gb`` is ``1g.10gb``."""
    return (name or "").rpartition(" MIG ")[2] if " MIG " in (name or "") else ""


def _slices(profile: str) -> int:
    """The compute slices that a profile's name tells: of ``1c.3g.40gb`` 1, of ``3g.40gb`` 3."""
    found = re.match(r"(\d{1,2})[cg]\.", profile)
    return int(found.group(1)) if found else 0
