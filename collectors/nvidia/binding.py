"""nvidia-ml-py, imported when it is first needed, with all its ways to fail made into one."""

import importlib
from enum import IntEnum
from typing import Any

from unitcost.collectors.base import NoData, Problem


class Code(IntEnum):
    """Return codes of NVML that make a difference here (nvml.h, nvmlReturn_t)."""

    SUCCESS = 0
    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    LIBRARY_NOT_FOUND = 12
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    ARGUMENT_VERSION_MISMATCH = 25
    DEPRECATED = 26
    GPU_NOT_FOUND = 28
    UNKNOWN = 999


NO_CODE = -1
"""Of a fault that NVML did not report: what it returned cannot be used."""


class Fault(Exception):
    """A call that failed. `kind` is the name of NVML's code in lower case."""

    def __init__(self, call: str, kind: str, code: int = NO_CODE, detail: str = "") -> None:
        super().__init__(f"{call}: {detail or kind}")
        self.call, self.kind, self.code = call, kind, code

    def problem(self, whose: str = "") -> Problem:
        """It as a part of a reading; `whose` names the device."""
        return Problem(self.kind, f"{whose}: {self}" if whose else str(self))


class Nvml:
    """The binding's functions, whose every failure is a `Fault`."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._kinds: dict[int, str] = {
            getattr(module, name): name.removeprefix("NVML_ERROR_").lower()
            for name in dir(module)
            if name.startswith("NVML_ERROR_")
        }

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the binding. Raises Fault, whatever the binding raises."""
        try:
            return getattr(self.module, name)(*arguments)
        except self.module.NVMLError as error:
            raise self.fault(name, error.value) from None
        except (AttributeError, self.module.NVMLLibraryMismatchError):
            # An older driver or binding has no such function, or not in this version.
            raise self.fault(name, Code.FUNCTION_NOT_FOUND) from None
        except (ValueError, TypeError, OverflowError) as error:
            raise Fault(name, "garbage", detail=type(error).__name__) from None

    def raw(self, symbol: str, *arguments: Any) -> int:
        """Call the driver's own function; returns its code. Raises Fault where there is none."""
        try:
            function = self.module._nvmlGetFunctionPointer(symbol)
        except self.module.NVMLError as error:
            raise self.fault(symbol, error.value) from None
        return int(function(*arguments))

    def fault(self, call: str, code: int) -> Fault:
        """The fault that a return code means."""
        return Fault(call, self._kinds.get(code, "unnamed_code"), code)


def load() -> Nvml:
    """The binding. Raises NoData where it is not installed, Fault where it is another module."""
    try:
        module = importlib.import_module("pynvml")
    except ImportError:
        raise NoData("nvidia-ml-py is not installed") from None
    if not hasattr(module, "_nvmlGetFunctionPointer"):
        advice = "this pynvml is not that of nvidia-ml-py; uninstall it"
        raise Fault("import pynvml", "wrong_module", detail=advice)
    return Nvml(module)
