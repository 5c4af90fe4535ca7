"""The life of NVML in this process: initialised once, anew when it broke, closed on request."""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic

from unitcost.collectors.base import NeedsRestart, NoData
from unitcost.collectors.nvidia.binding import Code, Fault, Nvml, load
from unitcost.collectors.nvidia.board import Clock, Wanted
from unitcost.collectors.nvidia.calls import BROKEN
from unitcost.collectors.nvidia.gpu import Gpu
from unitcost.collectors.nvidia.worker import Worker
from unitcost.pricing.sample import NS_PER_SECOND

FIRST_RETRY_NS = 5 * NS_PER_SECOND
LAST_RETRY_NS = 60 * NS_PER_SECOND
MAX_UNKNOWN = 12
"""So many readings with nothing but "unknown error", and no other will be: see `_count_unknown`."""
MAX_GPUS = 1024

_ABSENT = frozenset({Code.DRIVER_NOT_LOADED, Code.LIBRARY_NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Session:
    """NVML from one initialisation to the next."""

    nvml: Nvml
    gpus: tuple[Gpu, ...]


class Driver:
    """Initialises NVML when it is needed. Its methods are for one thread at a time.

    All calls are made in a thread of their own: nvmlInit may hang, too.
    """

    def __init__(self, wanted: Wanted, clock: Clock, is_idle: Callable[[Gpu], bool]) -> None:
        """`is_idle` says whether no thread is at work on a GPU, so that it can be closed."""
        self._wanted, self._clock, self._is_idle = wanted, clock, is_idle
        self._worker = Worker("nvml-driver")
        self._session: Session | None = None
        self._opening: Future[Session] | None = None
        self._opened: Nvml | None = None  # the worker's own
        self._failures = self._unknown = self._retry_ns = 0
        self._worked = False
        self._why = "no driver was looked for yet"
        self._restart = ""

    def session(self, until: float) -> Session:
        """NVML, initialised; waits until an instant of time.monotonic() at most.

        Raises NoData where there is no driver or it is not yet time to try again, Fault where
        trying failed, NeedsRestart where only another process can go on.
        """
        if self._restart:
            raise NeedsRestart(self._restart)
        if self._session is None:
            self._session = self._open(until)
        return self._session

    def healthy(self) -> None:
        """The session gave a reading."""
        self._failures = self._unknown = 0
        self._worked = True

    def broke(self, fault: Fault) -> None:
        """The session can do nothing more; the next one may. Raises NeedsRestart."""
        self.close()
        self._failed(fault)
        if self._failures == 1:
            self._retry_ns = self._clock.mono_ns()

    def all_unknown(self) -> None:
        """The session gave nothing but unknown errors. Raises NeedsRestart."""
        self._count_unknown()

    def close(self) -> "Future[None]":
        """Have NVML shut down, and do not wait."""
        gpus = self._session.gpus if self._session is not None else ()
        self._session = self._opening = None
        return self._worker.ask(lambda: self._shut_down(gpus))

    def reset(self) -> None:
        """Forget that it is not yet time to try again."""
        self._failures = self._retry_ns = 0

    def end(self) -> None:
        """Let the thread end."""
        self._worker.end()

    def _open(self, until: float) -> Session:
        if self._opening is None:
            if self._clock.mono_ns() < self._retry_ns:
                if self._worked and self._why == "unknown":
                    self._count_unknown()
                raise NoData(f"NVML cannot be used: {self._why}")
            self._opening = self._worker.ask(self._initialise)
        try:
            session = self._opening.result(timeout=max(0.0, until - monotonic()))
        except TimeoutError:
            raise Fault("nvmlInit", "timeout", detail="has not returned") from None
        except NoData as absent:
            self._opening = None
            self._put_off(str(absent))
            raise
        except Fault as fault:
            self._opening = None
            self._failed(fault)
            if fault.code in _ABSENT and not self._worked:
                raise NoData(f"NVML cannot be used: {fault.kind}") from None
            raise
        self._opening = None
        return session

    def _failed(self, fault: Fault) -> None:
        self._put_off(fault.kind)
        if not self._worked:
            return
        if fault.code == Code.LIB_RM_VERSION_MISMATCH:
            self._needs_restart("the driver was replaced by another version")
        if fault.code == Code.UNKNOWN:
            self._count_unknown()

    def _put_off(self, why: str) -> None:
        self._why = why
        delay = FIRST_RETRY_NS << min(self._failures, 10)
        self._failures += 1
        self._retry_ns = self._clock.mono_ns() + min(delay, LAST_RETRY_NS)

    def _count_unknown(self) -> None:
        """A container that has lost its devices gets them back only when it is made anew.

        That happens when systemd reloads its units and then enforces its own list of devices.
        """
        self._unknown += 1
        if self._worked and self._unknown >= MAX_UNKNOWN:
            self._needs_restart('NVML says only "unknown error": device cgroup lost?')

    def _needs_restart(self, why: str) -> None:
        self._restart = why
        raise NeedsRestart(why)

    # --- In the worker's thread ---------------------------------------------------------------

    def _initialise(self) -> Session:
        nvml = load()
        nvml.call("nvmlInit")
        self._opened = nvml
        try:
            count = min(int(nvml.call("nvmlDeviceGetCount")), MAX_GPUS)
            generation = self._generation(nvml)
        except Fault:
            self._shut_down(())
            raise
        gpus = (Gpu(nvml, i, self._wanted, generation, self._clock) for i in range(count))
        return Session(nvml, tuple(gpus))

    def _generation(self, nvml: Nvml) -> str:
        """Energy counters begin anew with another driver."""
        try:
            return f"driver {nvml.call('nvmlSystemGetDriverVersion')}"
        except Fault as fault:
            if fault.code in BROKEN:
                raise
            return ""

    def _shut_down(self, gpus: Sequence[Gpu]) -> None:
        try:
            for gpu in filter(self._is_idle, gpus):
                gpu.close()
        finally:
            nvml, self._opened = self._opened, None
            if nvml is not None:
                with contextlib.suppress(Fault):  # there is nothing more to be done about it
                    nvml.call("nvmlShutdown")
