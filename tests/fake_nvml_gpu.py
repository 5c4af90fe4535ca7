"""One pretended GPU, to be changed by a test and written down for the library to read."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tests.fake_nvml_parts import NOT_IN_MIG, Busy, Clock, Mig, Process, Rising, Sample, uuid_of
from tests.fake_nvml_profiles import MIB, GpuModel, MigProfile

THROTTLE_FIELDS = (74, 269, 270, 271)
GPM_METRICS = (1, 2, 3, 5, 10)

# By slices: the ids that the driver gives to GPU instances of that size.
_GPU_INSTANCE_IDS = {1: range(7, 15), 2: range(3, 7), 3: range(1, 3), 4: range(1, 2), 7: range(1)}


class FakeGpu:
    """A view of one GPU: change it, then `FakeNvml.write()`."""

    def __init__(self, model: GpuModel, index: int, clock: Clock) -> None:
        self.model, self.index, self._clock = model, index, clock
        self.uuid = f"GPU-{uuid_of(model.name, index)}"
        self.bus_id = f"{0:08X}:{0x07 + 8 * index:02X}:00.0"
        self.serial = f"15{index:011d}" if model.has_serial else ""
        self.utilization: tuple[int, int] | None = (0, 0) if model.has_utilization else None
        self.memory_used_bytes = 0
        self.temperature = model.temperature
        self.throttle_reasons = 1
        self.mig_enabled = self.mig_pending = model.mig_enabled
        self.mig_empty_code: int | None = None
        self.instant_power_watts: float | None = None
        self.module_power_watts = model.module_idle_watts
        self.no_samples_is_success = False
        self.processes: list[Process] = []
        self.samples: list[Sample] = []
        self.busy: list[Busy] = []
        self.migs: list[Mig] = []
        self.field_codes: dict[int, int] = {}
        self.metric_codes: dict[int, int] = {}
        self._incarnations = 0
        self._watts = model.idle_watts
        self.energy_mj = Rising(clock, 1e3 * (model.idle_watts or 0.0), base=5_000_000.0)
        fields = THROTTLE_FIELDS if model.has_throttle_counters else ()
        self._throttled = {number: Rising(clock) for number in fields}
        self._metrics: dict[tuple[int, int], Rising] = {}
        if model.has_gpm:
            for metric in GPM_METRICS:
                self.gpm(metric, 0.0)

    # --- Power, and what moves by itself ---------------------------------------------------

    @property
    def power_watts(self) -> float | None:
        """The power; the energy counter grows accordingly. None: NotSupported."""
        return self._watts

    @power_watts.setter
    def power_watts(self, watts: float | None) -> None:
        self._watts = watts
        if watts is not None:
            self.energy_mj.rate = 1e3 * watts

    def throttle(self, number: int, share: float) -> None:
        """From now on this share of the time (0 to 1) is counted in field 74, 269, 270 or 271."""
        self._throttled[number].rate = 1e9 * share

    def gpm(self, metric: int, percent: float, mig: Mig | None = None) -> None:
        """From now on a GPM metric has this value, on the whole GPU or on an instance."""
        key = metric, mig.gpu_instance if mig else NOT_IN_MIG
        self._metrics.setdefault(key, Rising(self._clock)).rate = percent

    def reload_driver(self) -> None:
        """The counters begin again at zero."""
        for counter in (self.energy_mj, *self._throttled.values(), *self._metrics.values()):
            counter.reset()

    # --- Processes -------------------------------------------------------------------------

    def run(
        self,
        pid: int,
        *,
        memory: int = 0,
        sm: int = 0,
        kind: str = "compute",
        on: Mig | None = None,
    ) -> Process:
        """A process starts; with `sm` (percent) it leaves samples behind from now on."""
        process = Process(pid, memory, kind)
        if on:
            process.gpu_instance, process.compute_instance = on.gpu_instance, on.compute_instance
        self.processes.append(process)
        if sm:
            self.busy.append(Busy(pid, sm, 0, self._clock()))
        return process

    def stop(self, pid: int) -> None:
        """The process is gone; its samples stay until the ring buffer forgets them."""
        self.processes = [process for process in self.processes if process.pid != pid]
        for busy in self.busy:
            if busy.pid == pid:
                busy.until = min(busy.until, self._clock())

    # --- MIG -------------------------------------------------------------------------------

    def mig(
        self, profiles: Sequence[str] | Mapping[int, str], same_uuids: bool = False
    ) -> list[Mig]:
        """Destroy all instances and cut new ones, by slot where a mapping is given.

        "1c.3g.40gb" is a compute instance that shares a GPU instance of 3g.40gb. The ids are
        used again; with `same_uuids` even the UUIDs are, which a driver may do.
        """
        slots = profiles if isinstance(profiles, Mapping) else dict(enumerate(profiles))
        self._incarnations += 1
        self.mig_enabled = self.mig_pending = True
        self.migs.clear()
        for slot, name in slots.items():
            self.migs.append(self._cut(slot, name, same_uuids))
        self._metrics = {key: one for key, one in self._metrics.items() if key[1] == NOT_IN_MIG}
        if self.model.has_gpm:
            for one in self.migs:
                for metric in GPM_METRICS:
                    self.gpm(metric, 0.0, one)
        return list(self.migs)

    def _cut(self, slot: int, name: str, same_uuids: bool) -> Mig:
        compute, _, whole = name.rpartition("c.")
        profile = self.model.mig_profiles[whole]
        slices = int(compute or profile.slices)
        gpu_instance, compute_instance = self._place(profile, slices)
        incarnation = self._incarnations
        parts = (gpu_instance, compute_instance, name, 0 if same_uuids else incarnation)
        return Mig(
            name=name,
            profile=profile,
            slot=slot,
            gpu_instance=gpu_instance,
            compute_instance=compute_instance,
            compute_slices=slices,
            incarnation=incarnation,
            uuid=f"MIG-{uuid_of(self.uuid, *parts)}",
        )

    def _place(self, profile: MigProfile, slices: int) -> tuple[int, int]:
        """Ids for a compute instance: in a GPU instance that has room for it, else in a new one."""
        inside: dict[int, list[Mig]] = {}
        for one in self.migs:
            inside.setdefault(one.gpu_instance, []).append(one)
        for gpu_instance, ones in inside.items():
            used = sum(one.compute_slices for one in ones)
            if ones[0].profile == profile and used + slices <= profile.slices:
                return gpu_instance, len(ones)
        return next(n for n in _GPU_INSTANCE_IDS[profile.slices] if n not in inside), 0

    def destroy(self, mig: Mig) -> None:
        """One instance goes, and its slot is empty; processes on it go with it."""
        self.migs.remove(mig)
        ids = mig.gpu_instance, mig.compute_instance
        gone = [p for p in self.processes if (p.gpu_instance, p.compute_instance) == ids]
        self.processes = [process for process in self.processes if process not in gone]

    # --- Writing down ----------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """This GPU in the words of native/nvml_parse.c."""
        yield f"gpu {self.uuid}"
        yield f"name {self.model.name}"
        yield f"bus_id {self.bus_id}"
        yield f"serial {self.serial}"
        for key, value in self._numbers().items():
            if value is not None:
                yield f"{key} {value if isinstance(value, int) else round(value)}"
        if self.model.has_energy_counter:
            yield f"energy {self.energy_mj}"
        for process in self.processes:
            ids = f"{process.gpu_instance} {process.compute_instance}"
            yield f"process {process.kind[0]} {process.pid} {process.bytes} {ids}"
        for s in self.samples:
            yield f"sample {s.pid} {s.sm} {s.memory} {s.encoder} {s.decoder} {s.at!r}"
        for b in self.busy:
            yield f"busy {b.pid} {b.sm} {b.memory} {b.since!r} {b.until!r}"
        yield from self._mig_lines()
        yield from self._counter_lines()

    def _mig_lines(self) -> Iterator[str]:
        for one in self.migs:
            cut = one.profile
            ids = f"{one.slot} {one.gpu_instance} {one.compute_instance} {one.incarnation}"
            sizes = f"{one.multiprocessors} {cut.slices} {one.compute_slices} {cut.memory_mib}"
            yield f"mig {ids} {sizes} {one.used_bytes} {one.uuid} {one.name}"

    def _counter_lines(self) -> Iterator[str]:
        nothing = Rising(self._clock)
        for number in {**self._throttled, **self.field_codes}:
            code = self.field_codes.get(number, 0)
            yield f"field {number} {code} {self._throttled.get(number, nothing)}"
        for (metric, instance), counter in self._metrics.items():
            code = self.metric_codes.get(metric, 0)
            yield f"metric {metric} {instance} {code} {counter}"

    def _numbers(self) -> dict[str, float | None]:
        model, can_mig = self.model, self.model.mig_slices > 0
        memory = None if model.memory_mib is None else model.memory_mib * MIB
        return {
            "minor": self.index,
            "pci_device": model.pci_device,
            "architecture": model.architecture,
            "virtualization": model.virtualization,
            "persistence": 1,
            "c2c": 1 if model.has_c2c else None,
            "power_mw": _milli(self._watts),
            "instant_power_mw": _milli(self.instant_power_watts),
            "module_power_mw": _milli(self.module_power_watts),
            "power_fields": 1 if model.has_power_fields else None,
            "limit_mw": _milli(model.limit_watts),
            "default_limit_mw": _milli(model.limit_watts),
            "enforced_limit_mw": _milli(model.limit_watts),
            "min_limit_mw": _milli(model.limit_watts and model.least_limit_watts),
            "max_limit_mw": _milli(model.limit_watts),
            "utilization": self.utilization and self.utilization[0],
            "memory_utilization": self.utilization and self.utilization[1],
            "temperature": self.temperature,
            "memory_temperature": model.memory_temperature,
            "reasons": self.throttle_reasons,
            "memory_total": memory,
            "memory_reserved": None if memory is None else model.reserved_mib * MIB,
            "memory_used": None if memory is None else self.memory_used_bytes,
            "graphics_mhz": model.clock_mhz,
            "sm_mhz": model.clock_mhz,
            "memory_mhz": model.memory_clock_mhz,
            "video_mhz": model.clock_mhz,
            "gpm": 1 if model.has_gpm else None,
            "mig_mode": int(self.mig_enabled) if can_mig else None,
            "mig_pending": int(self.mig_pending) if can_mig else None,
            "mig_max": model.mig_slices if can_mig else None,
            "mig_empty_code": self.mig_empty_code,
            "process_samples": 1 if model.has_process_samples else None,
            "no_samples_is_success": int(self.no_samples_is_success),
        }


def _milli(value: float | None) -> int | None:
    return None if value is None else math.floor(1e3 * value + 0.5)
