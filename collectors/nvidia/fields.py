"""Several values of a GPU in one call: energy, powers, its power limit, throttled times."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from unitcost.collectors.nvidia.binding import Code, Fault
from unitcost.collectors.nvidia.calls import UNSUPPORTED, Calls

CALL = "nvmlDeviceGetFieldValues"


class FieldId(IntEnum):
    """NVML's field ids (nvml.h, NVML_FI_DEV_*). The unit is in the comment."""

    THROTTLED_SW_POWER_CAP = 74  # ns
    ENERGY = 83  # mJ since the driver was loaded
    POWER_AVERAGE = 185  # mW, over a second
    POWER_INSTANT = 186  # mW
    POWER_LIMIT = 190  # mW, as enforced
    THROTTLED_SW_THERMAL = 269  # ns
    THROTTLED_HW_THERMAL = 270  # ns
    THROTTLED_HW_POWER_BRAKE = 271  # ns


class Scope(IntEnum):
    """What a power field measures (NVML_POWER_SCOPE_*)."""

    GPU = 0
    MODULE = 1


class Field(NamedTuple):
    """One value to be read."""

    id: FieldId
    scope: Scope = Scope.GPU

    def __str__(self) -> str:
        scope = "" if self.scope is Scope.GPU else f" of the {self.scope.name.lower()}"
        return f"field {self.id.name.lower()}{scope}"


OF_GPU = tuple(Field(each) for each in FieldId)
OF_MODULE = (
    Field(FieldId.POWER_AVERAGE, Scope.MODULE),
    Field(FieldId.POWER_INSTANT, Scope.MODULE),
)

_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Where a value is, by NVML's value type."""


class Fields:
    """Reads the fields that the device has; those it has not are left out from then on."""

    def __init__(self, calls: Calls, fields: Sequence[Field]) -> None:
        self._calls = calls
        self._wanted = list(fields)

    def lacks(self, field: Field) -> bool:
        """Whether the device is known not to have this field."""
        return field not in self._wanted or self._calls.refused(CALL)

    def read(self, handle: Any) -> dict[Field, float]:
        """The values that were given, in the driver's units. Raises GpuLost, NvmlBroken."""
        if not self._wanted:
            return {}
        asked = [(int(field.id), int(field.scope)) for field in self._wanted]
        values = self._calls.ask(CALL, handle, asked)
        if values is None:
            return {}
        found = {}
        for field, value in zip(tuple(self._wanted), values, strict=False):
            number = self._number(field, value)
            if number is not None:
                found[field] = number
        return found

    def _number(self, field: Field, value: Any) -> float | None:
        """The call succeeds if any field does, so each has a code of its own."""
        code = value.nvmlReturn
        if code in UNSUPPORTED or code == Code.INVALID_ARGUMENT:
            self._wanted.remove(field)
            return None
        if code != Code.SUCCESS:
            fault = self._calls.nvml.fault(f"{CALL}, {field}", code)
            self._calls.judge(fault, fault.call)
            return None
        if not 0 <= value.valueType < len(_MEMBERS):
            self._calls.note(
                Fault(CALL, "garbage", detail=f"{field}: type of value").problem(self._calls.whose)
            )
            return None
        number: float = getattr(value.value, _MEMBERS[value.valueType])
        return number
