"""Work for a GPU: matrix products with torch, where there is one on it, else on the CPU.

``python3 tests/gpu loads KIND`` says ``ready DEVICE`` when it has begun, and works until its stdin
is closed. KIND: ``steady``, ``half`` (half a second of each), ``bursts`` (all sizes and lengths).
"""

import argparse
import importlib
import os
import random
import sys
import threading
import time
from typing import Any, Protocol

ON_GPU, ON_CPU = (1024, 4096, 8192), (64, 128, 256)
"""Sizes of the matrices: little, much and all of what the device can do."""
HALF_SECONDS = 0.5


class Work(Protocol):
    """Something to do. `device`: cuda, cpu or none."""

    device: str

    def once(self, heavy: int = 1) -> None:
        """Do a little and wait until it is done; `heavy` from 0 to 2."""


class Products:
    """Products of square matrices."""

    def __init__(self) -> None:
        self._torch = torch = import_torch()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        on_gpu = self.device == "cuda"
        dtype = torch.bfloat16 if on_gpu else torch.float32
        self._matrices: list[Any] = [
            torch.randn(size, size, device=self.device, dtype=dtype)
            for size in (ON_GPU if on_gpu else ON_CPU)
        ]
        self.once()

    def once(self, heavy: int = 1) -> None:
        matrix = self._matrices[heavy]
        for _ in range(8):
            self._torch.matmul(matrix, matrix)
        if self.device == "cuda":
            self._torch.cuda.synchronize()


class Sleep:
    """No work at all, for dry runs without torch."""

    device = "none"

    def once(self, heavy: int = 1) -> None:
        time.sleep(0.01)


def import_torch() -> Any:
    """torch, with one thread on the CPU: this is no load for other tests beside it."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    return torch


def make_work(name: str) -> Work:
    """``torch`` or ``sleep``."""
    return Products() if name == "torch" else Sleep()


def end_with_parent() -> None:
    """End this process when its stdin is closed, so that no load outlives its test."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def work_for(work: Work, seconds: float, heavy: int = 1) -> None:
    """Work so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        work.once(heavy)


def work_on(work: Work, kind: str) -> None:
    """Work for ever."""
    while True:
        if kind == "bursts":
            work_for(work, random.uniform(0.2, 3.0), random.randrange(3))
            time.sleep(random.uniform(0.0, 1.5))
        else:
            work_for(work, HALF_SECONDS, heavy=2)
            time.sleep(HALF_SECONDS if kind == "half" else 0.0)


def main() -> None:
    """Work as the command line says."""
    parser = argparse.ArgumentParser(prog="loads")
    parser.add_argument("kind", choices=("steady", "half", "bursts"))
    parser.add_argument("--work", choices=("torch", "sleep"), default="torch")
    options = parser.parse_args()
    work = make_work(options.work)
    print("ready", work.device, flush=True)
    end_with_parent()
    work_on(work, options.kind)


if __name__ == "__main__":
    main()
