"""Starts a real Triton with a small Python model, through nvidia-pytriton, and sends it requests.

UNITCOST_TRITON names a virtual environment that has nvidia-pytriton (`./dev tools` makes one).
Where there is none, the test is skipped, or fails under UNITCOST_REQUIRE_REAL=1.
"""

import contextlib
import http.client
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from tests.harness import free_port, wait_for

MODEL = "lin"
START_SECONDS = 120.0
STOP_SECONDS = 30.0
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
import sysconfig
print(sysconfig.get_config_var("LIBDIR"), sysconfig.get_path("purelib"), sep="\\n")
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
        content = json.dumps({"inputs": [tensor]})
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http_port, timeout=60)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/v2/models/{MODEL}/infer", content, headers)
            response = connection.getresponse()
            answer = response.read()
        if response.status == 200:
            (output,) = json.loads(answer)["outputs"]
            assert output["data"] == [value * features] * rows
        return response.status

    def get(self, path: str) -> int:
        """The status of a GET on the port for requests; 0 where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http_port, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", path)
            return connection.getresponse().status
        return 0


def triton_python() -> Path:
    """The interpreter that has nvidia-pytriton, else skip or fail."""
    python = Path(os.environ.get("UNITCOST_TRITON") or "/nonexistent") / "bin" / "python"
    if os.access(python, os.X_OK):
        return python
    message = "UNITCOST_TRITON names no environment with nvidia-pytriton (./dev tools makes one)"
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def triton(folder: Path, ports: Ports | None = None) -> Iterator[TritonServer]:
    """A real Triton that keeps its files in this folder; it is stopped at the end."""
    python = triton_python()
    ports = ports or Ports()
    log = folder / "triton.log"
    # Its sockets' paths must be short, so its home is not in the folder.
    with tempfile.TemporaryDirectory(prefix="triton") as home, log.open("wb") as output:
        command = [str(python), "-c", _SERVE, MODEL, json.dumps(asdict(ports))]
        environment = {**os.environ, **_environment(python, home)}
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=environment
        )
        server = TritonServer(process.pid, ports)
        try:
            wait_for(lambda: _ready(server, process, log), "Triton to be ready", START_SECONDS)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(python: Path, home: str) -> dict[str, str]:
    found = subprocess.run([python, "-c", _LIBRARIES], check=True, capture_output=True, text=True)
    libraries, packages = found.stdout.split()
    paths = [libraries, f"{packages}/nvidia_pytriton.libs"]
    return {"LD_LIBRARY_PATH": os.pathsep.join(paths), "PYTRITON_HOME": home}


def _ready(server: TritonServer, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"Triton ended: {log.read_text(errors='replace')[-2000:]}")
    return server.get(f"/v2/models/{MODEL}/ready") == 200
