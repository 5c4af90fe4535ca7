"""A process with the real nvidia-ml-py in it, which evaluates what a test asks it to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.fake_nvml import FakeNvml

UNINITIALIZED = ("NVMLError_Uninitialized", 1)
INVALID_ARGUMENT = ("NVMLError_InvalidArgument", 2)
NOT_SUPPORTED = ("NVMLError_NotSupported", 3)
NOT_FOUND = ("NVMLError_NotFound", 6)
GPU_IS_LOST = ("NVMLError_GpuIsLost", 15)

_SCRIPT = r"""
import ctypes, json, sys, threading, time
import pynvml as nvml

def plain(value):
    if isinstance(value, (ctypes.Structure, ctypes.Union)):
        return {field[0]: plain(getattr(value, field[0])) for field in value._fields_}
    if isinstance(value, ctypes._SimpleCData):
        return plain(value.value)
    if isinstance(value, (list, tuple, ctypes.Array)):
        return [plain(item) for item in value]
    if isinstance(value, ctypes._Pointer):
        return None
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, str, type(None))):
        return value
    items = value if isinstance(value, dict) else vars(value)
    return {name: plain(item) for name, item in items.items()}

names = globals()
for line in sys.stdin:
    try:
        code = json.loads(line)
        try:
            answer = {"is": plain(eval(code, names))}
        except SyntaxError:
            exec(code, names)
            answer = {"is": None}
    except Exception as error:
        answer = {"raised": type(error).__name__, "code": getattr(error, "value", None)}
        if not type(error).__name__.startswith("NVML"):
            answer["raised"] += f": {error}"
    print(json.dumps(answer), flush=True)
"""


class NvmlClient:
    """``client("nvml.nvmlDeviceGetCount()")``: what it returned, as JSON can say it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def begin(self, code: str) -> None:
        """Let an expression be evaluated, or statements be run; do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for what was begun."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process with nvidia-ml-py died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __call__(self, code: str) -> Any:
        """What the code gives; fails if it raises."""
        self.begin(code)
        answer = self.answer()
        assert "raised" not in answer, f"{code}: {answer}"
        return answer["is"]

    def error(self, code: str) -> tuple[str, int | None]:
        """The name of the exception that the code raises, and its NVML code."""
        self.begin(code)
        answer = self.answer()
        assert "raised" in answer, f"{code}: {answer}"
        return answer["raised"], answer["code"]


@contextmanager
def nvml_client(driver: FakeNvml, *, initialise: bool = True) -> Iterator[NvmlClient]:
    """Start one. Unless `initialise` is false NVML is open, and `gpus` are the handles."""
    environment: Mapping[str, str] = {**os.environ, **driver.environment}
    command = [sys.executable, "-c", _SCRIPT]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=dict(environment)
    ) as process:
        client = NvmlClient(process)
        if initialise:
            client("nvml.nvmlInit()")
            client(
                "gpus = [nvml.nvmlDeviceGetHandleByIndex(i)"
                " for i in range(nvml.nvmlDeviceGetCount())]"
            )
        try:
            yield client
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
