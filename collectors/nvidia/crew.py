"""A thread for each GPU, so that one whose driver hangs keeps none of the others waiting."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

from unitcost.collectors.base import Problem
from unitcost.collectors.nvidia.gpu import Gpu, GpuReading
from unitcost.collectors.nvidia.worker import Worker


class Crew:
    """Reads GPUs side by side. A thread that hangs is given nothing more until it is back."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._late: dict[int, tuple[Gpu, Future[GpuReading]]] = {}

    def read(self, gpus: Sequence[Gpu], until: float) -> list[GpuReading]:
        """A reading of each GPU; waits until an instant of time.monotonic() at most.

        One that is late gives what it was late with the last time, if it was, else nothing but a
        problem.
        """
        asked: dict[int, Future[GpuReading]] = {}
        earlier: dict[int, GpuReading] = {}
        for gpu in gpus:
            worker = self._workers.setdefault(gpu.index, Worker(f"nvml-gpu-{gpu.index}"))
            if worker.busy:
                continue
            late = self._late.pop(gpu.index, None)
            if late is not None and late[0] is gpu:
                earlier[gpu.index] = _reading(gpu, late[1])
            asked[gpu.index] = worker.ask(gpu.read)
        wait(asked.values(), timeout=max(0.0, until - time.monotonic()))
        return [self._answer(gpu, asked.get(gpu.index), earlier) for gpu in gpus]

    def is_idle(self, gpu: Gpu) -> bool:
        """Whether no thread is at work on this index."""
        worker = self._workers.get(gpu.index)
        return worker is None or not worker.busy

    def end(self) -> None:
        """Let the threads end."""
        for worker in self._workers.values():
            worker.end()
        self._workers.clear()

    def _answer(
        self, gpu: Gpu, asked: Future[GpuReading] | None, earlier: dict[int, GpuReading]
    ) -> GpuReading:
        if asked is not None and asked.done():
            return _reading(gpu, asked)
        if asked is not None:
            self._late[gpu.index] = (gpu, asked)
        detail = f"GPU {gpu.index}: the driver has not returned from {gpu.calls.current}"
        late = Problem("timeout", detail)
        known = earlier.get(gpu.index)
        if known is None:
            return GpuReading(problems=(late,))
        return replace(known, problems=(*known.problems, late))


def _reading(gpu: Gpu, done: Future[GpuReading]) -> GpuReading:
    error = done.exception()
    if error is None:
        return done.result()
    detail = f"GPU {gpu.index}: {gpu.calls.current}: {type(error).__name__}: {error}"
    return GpuReading(problems=(Problem("raised", detail[:300]),))
