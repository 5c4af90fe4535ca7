"""The calls to one device: what each failure means for the next one, and what is told of it."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from unitcost.collectors.base import Problem
from unitcost.collectors.nvidia.binding import Code, Fault, Nvml

T = TypeVar("T")

UNSUPPORTED = frozenset(
    {
        Code.NOT_SUPPORTED,
        Code.FUNCTION_NOT_FOUND,
        Code.ARGUMENT_VERSION_MISMATCH,
        Code.DEPRECATED,
    }
)
"""The device or the driver cannot do this; asking again costs time and may fill the kernel log."""
LOST = frozenset({Code.GPU_IS_LOST, Code.RESET_REQUIRED, Code.GPU_NOT_FOUND})
"""This device is gone, the others are not."""
BROKEN = frozenset({Code.UNINITIALIZED, Code.DRIVER_NOT_LOADED, Code.LIB_RM_VERSION_MISMATCH})
"""NVML itself must be initialised anew."""


class GpuLost(Exception):
    """The device fell off the bus, or must be reset."""


class NvmlBroken(Exception):
    """NVML can do nothing more before it is initialised anew."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Calls:
    """Makes calls to one device. None is an answer that there is not, never a zero.

    `whose` names the device in problems, `current` is the call being made.
    """

    def __init__(self, nvml: Nvml, whose: str) -> None:
        self.nvml = nvml
        self.whose = whose
        self.current = ""
        self._refused: set[str] = set()
        self._problems: dict[Problem, None] = {}
        self._answered = self._unknown = False

    def begin(self) -> None:
        """Forget the problems of the last reading."""
        self._problems.clear()
        self._answered = self._unknown = False

    def problems(self) -> tuple[Problem, ...]:
        """Those since `begin`, each once."""
        return tuple(self._problems)

    @property
    def all_unknown(self) -> bool:
        """Whether some call said "unknown error" and none gave an answer."""
        return self._unknown and not self._answered

    def refused(self, call: str) -> bool:
        """Whether the device is known not to answer this call, so it is not made."""
        return call in self._refused

    def ask(self, call: str, *arguments: Any) -> Any:
        """Make a call of the binding. None if it fails. Raises GpuLost, NvmlBroken."""
        return self.attempt(call, lambda: self.nvml.call(call, *arguments))

    def need(self, call: str, *arguments: Any) -> Any:
        """The same for what nothing goes without: that it is not supported is a problem, too."""
        self.current = call
        try:
            answer = self.nvml.call(call, *arguments)
        except Fault as fault:
            self._failed(fault)
            return None
        self._answered = True
        return answer

    def attempt(self, call: str, function: Callable[[], T], if_denied: str = "") -> T | None:
        """Run what makes the call, unless it is refused; None if it fails.

        `if_denied`: what to do about a missing permission; with it the call is not made again.
        Raises GpuLost, NvmlBroken.
        """
        if call in self._refused:
            return None
        self.current = call
        try:
            answer = function()
        except Fault as fault:
            if fault.code == Code.NO_PERMISSION and if_denied:
                self._refused.add(call)
                fault = Fault(call, fault.kind, fault.code, if_denied)
            self.judge(fault, call)
            return None
        self._answered = True
        return answer

    def judge(self, fault: Fault, call: str) -> None:
        """Take notice of a failure of `call`. Raises GpuLost, NvmlBroken."""
        if fault.code in UNSUPPORTED:
            self._refused.add(call)
            self._answered = True
        else:
            self._failed(fault)

    def free(self, call: str, *arguments: Any) -> None:
        """Give something back; if that fails, there is nothing more to be done about it."""
        with contextlib.suppress(Fault):
            self.nvml.call(call, *arguments)

    def note(self, problem: Problem) -> None:
        """Report a problem with this reading."""
        self._problems[problem] = None

    def garbage(self, call: str, what: str) -> None:
        """Report an answer that cannot be true."""
        self.note(Problem("garbage", f"{self.whose}: {call}: {what}"))

    def _failed(self, fault: Fault) -> None:
        self.note(fault.problem(self.whose))
        if fault.code in LOST:
            raise GpuLost
        if fault.code in BROKEN:
            raise NvmlBroken(fault)
        self._unknown = self._unknown or fault.code == Code.UNKNOWN
