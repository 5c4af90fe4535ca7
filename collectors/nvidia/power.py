"""A GPU's power and energy, and where its counter is missing, its power integrated over time."""

from collections.abc import Mapping
from typing import Any

from unitcost.collectors.nvidia.calls import Calls
from unitcost.collectors.nvidia.fields import Field, FieldId, Fields, Scope
from unitcost.collectors.power.integral import PowerIntegral
from unitcost.pricing.energy import Meter
from unitcost.pricing.energy import Scope as MeterScope
from unitcost.pricing.sample import Source

MAX_WATTS = 100_000.0
"""No board draws this much; a driver that says so is not believed."""
MAX_JOULES = 2.0**53


class PowerReader:
    """Makes meters of one GPU; on a Grace superchip one of its module too.

    `generation` is that of the GPU's energy counter: it begins anew when a driver is loaded.
    """

    def __init__(
        self, calls: Calls, fields: Fields, uuid_: str, superchip: bool, generation: str
    ) -> None:
        self._calls, self._fields = calls, fields
        self._uuid, self._superchip, self._generation = uuid_, superchip, generation
        self._gpu, self._module = PowerIntegral(), PowerIntegral()

    def read(self, handle: Any, values: Mapping[Field, float], mono_ns: int) -> tuple[Meter, ...]:
        """Meters of what could be read; `values` are in the driver's units."""
        average = Field(FieldId.POWER_AVERAGE, Scope.MODULE)
        in_module = self._superchip and not self._fields.lacks(average)
        gpu = self._gpu_meter(handle, values, mono_ns, in_module)
        meters = [gpu] if gpu else []
        watts = self._watts(values.get(average), str(average))
        if in_module and watts is not None:
            instant = Field(FieldId.POWER_INSTANT, Scope.MODULE)
            meters.append(
                Meter(
                    id=self._module_id,
                    scope=MeterScope.MODULE,
                    path=(self._module_id,),
                    mono_ns=mono_ns,
                    joules=self._module.add(watts, mono_ns),
                    watts=watts,
                    instant_watts=self._watts(values.get(instant), str(instant)),
                    source=Source.SENSOR,
                    generation=self._module.generation,
                )
            )
        return tuple(meters)

    def limit_watts(self, handle: Any, values: Mapping[Field, float]) -> float | None:
        """The limit that is in force; None where it is not known."""
        limit = values.get(Field(FieldId.POWER_LIMIT))
        if limit is None:
            limit = self._calls.ask("nvmlDeviceGetEnforcedPowerLimit", handle)
        return self._watts(limit, "power limit") or None

    @property
    def _module_id(self) -> str:
        return f"module:{self._uuid}"

    def _gpu_meter(
        self, handle: Any, values: Mapping[Field, float], mono_ns: int, in_module: bool
    ) -> Meter | None:
        watts = self._average(handle, values)
        instant = self._watts(values.get(Field(FieldId.POWER_INSTANT)), "instant power")
        joules, source, generation = self._counter(handle, values), Source.COUNTER, ""
        if joules is not None:
            generation = self._generation
        elif watts is not None and self._has_no_counter():
            joules, source = self._gpu.add(watts, mono_ns), Source.SENSOR
            generation = self._gpu.generation
        if joules is None and watts is None and instant is None:
            return None
        id_ = f"gpu:{self._uuid}"
        return Meter(
            id=id_,
            scope=MeterScope.GPU,
            path=(self._module_id, id_) if in_module else (id_,),
            mono_ns=mono_ns,
            joules=joules,
            watts=watts,
            instant_watts=instant,
            source=source,
            resource=id_,
            generation=generation,
            limit_watts=self.limit_watts(handle, values),
        )

    def _average(self, handle: Any, values: Mapping[Field, float]) -> float | None:
        power = values.get(Field(FieldId.POWER_AVERAGE))
        if power is None:
            power = self._calls.ask("nvmlDeviceGetPowerUsage", handle)
        return self._watts(power, "power")

    def _counter(self, handle: Any, values: Mapping[Field, float]) -> float | None:
        """Joules that the hardware counted. One that stands at 0 does not count."""
        millijoules = values.get(Field(FieldId.ENERGY))
        if millijoules is None:
            millijoules = self._calls.ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        if not millijoules:
            return None
        if not 0 < millijoules / 1000 <= MAX_JOULES:
            self._calls.garbage("energy", "no such energy")
            return None
        return float(millijoules) / 1000

    def _has_no_counter(self) -> bool:
        lacks_field = self._fields.lacks(Field(FieldId.ENERGY))
        return lacks_field and self._calls.refused("nvmlDeviceGetTotalEnergyConsumption")

    def _watts(self, milliwatts: float | None, what: str) -> float | None:
        if milliwatts is None:
            return None
        if not 0 <= milliwatts / 1000 <= MAX_WATTS:
            self._calls.garbage(what, "no such power")
            return None
        return milliwatts / 1000
