"""Starts a real Triton with a small Python model, through nvidia-pytriton, and sends it requests.

UNITCOST_TRITON names a virtual environment that has nvidia-pytriton (`./dev tools` makes one).
Where there is none, the test is skipped, or fails under UNITCOST_REQUIRE_REAL=1.
"""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from tests.e2e.processes import answers, ask, started, tool
from tests.harness import free_port

MODEL = "lin"
FEATURES = 4

_SERVE = """
import json, sys, numpy
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

@batch
def infer(x):
    if (x < 0).any():
        raise ValueError("negative")
    return [x.sum(axis=1, keepdims=True)]

config = TritonConfig(
    http_address="127.0.0.1", grpc_address="127.0.0.1", metrics_address="127.0.0.1",
    allow_metrics=True, allow_gpu_metrics=False, metrics_interval_ms=100,
    **json.loads(sys.argv[2]),
)
x = Tensor(name="x", dtype=numpy.float32, shape=(4,))
y = Tensor(name="y", dtype=numpy.float32, shape=(1,))
with Triton(config=config) as triton:
    triton.bind(sys.argv[1], infer, inputs=[x], outputs=[y], config=ModelConfig(max_batch_size=8))
    triton.serve()
"""
# Its Python backend is linked with libpython: it must be this Python's, not what the system has.
_LIBRARIES = """
import sys, sysconfig
packages = sysconfig.get_path("purelib")
print(sysconfig.get_config_var("LIBDIR"), sys.base_prefix + "/lib", sep=":", end=":")
print(packages + "/nvidia_pytriton.libs", end="")
"""


@dataclass(frozen=True)
class Ports:
    """Where it listens; free ones unless given."""

    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)


@dataclass(frozen=True)
class TritonServer:
    """A running Triton. `pid` is of the Python program that started it."""

    pid: int
    ports: Ports

    @property
    def metrics_url(self) -> str:
        """Where it is read."""
        return f"http://127.0.0.1:{self.ports.metrics_port}/metrics"

    def post(self, rows: int = 1, *, value: float = 1.0, features: int = FEATURES) -> int:
        """Send one request of so many rows; the status of its answer."""
        data = [value] * (rows * features)
        tensor = {"name": "x", "shape": [rows, features], "datatype": "FP32", "data": data}
        path = f"/v2/models/{MODEL}/infer"
        answer = ask(self.ports.http_port, path, {"inputs": [tensor]})
        if answer.status == 200:
            (output,) = answer.content["outputs"]
            assert output["data"] == [value * features] * rows
        return answer.status

    def is_live(self) -> bool:
        """What its health check says."""
        return answers(self.ports.http_port, "/v2/health/live")


def triton_python() -> Path:
    """The interpreter that has nvidia-pytriton, else skip or fail."""
    return tool("UNITCOST_TRITON", "python")


@contextlib.contextmanager
def triton(folder: Path, ports: Ports | None = None) -> Iterator[TritonServer]:
    """A real Triton that keeps its log in this folder; it is stopped at the end."""
    python = triton_python()
    ports = ports or Ports()
    command: list[str | Path] = [python, "-c", _SERVE, MODEL, json.dumps(asdict(ports))]
    # Its sockets' paths must be short, so its home is not in the folder.
    with tempfile.TemporaryDirectory(prefix="triton") as home:
        environment = {"LD_LIBRARY_PATH": _libraries(python), "PYTRITON_HOME": home}
        ready = partial(answers, ports.http_port, f"/v2/models/{MODEL}/ready")
        with started(command, folder, ready, environment) as pid:
            yield TritonServer(pid, ports)


def _libraries(python: Path) -> str:
    found = subprocess.run([python, "-c", _LIBRARIES], check=True, capture_output=True, text=True)
    return found.stdout
