"""Starts a real MLServer with a small scikit-learn model, and sends it requests.

UNITCOST_MLSERVER names its program, ``<venv>/bin/mlserver``, or that virtual environment, which
also has mlserver-sklearn and scikit-learn. Where there is none, the test is skipped, or fails under
UNITCOST_REQUIRE_REAL=1.
"""

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from tests.harness import free_port, wait_for

MODEL = "flowers"
START_SECONDS = 120.0
STOP_SECONDS = 30.0
FEATURES = 4

_TRAIN = """
import joblib
from sklearn.linear_model import LogisticRegression
points = [[i % 7, i % 5, i % 3, i % 2] for i in range(120)]
joblib.dump(LogisticRegression(max_iter=500).fit(points, [i % 3 for i in range(120)]), "m.joblib")
"""


@dataclass(frozen=True)
class Ports:
    """Where it listens; free ones unless given."""

    http_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)


@dataclass(frozen=True)
class MLServer:
    """A running MLServer."""

    pid: int
    ports: Ports

    @property
    def infer_url(self) -> str:
        """Where the model takes requests (POST)."""
        return f"http://127.0.0.1:{self.ports.http_port}/v2/models/{MODEL}/infer"

    @property
    def metrics_url(self) -> str:
        """Where it is read."""
        return f"http://127.0.0.1:{self.ports.metrics_port}/metrics"

    def post(self, count: int, *, model: str = MODEL, features: int = FEATURES) -> list[int]:
        """Send so many requests one after another; the status of each answer."""
        data = [float(index) for index in range(features)]
        tensor = {"name": "x", "shape": [1, features], "datatype": "FP64", "data": data}
        content = json.dumps({"inputs": [tensor]})
        statuses = []
        for _ in range(count):
            # After an error MLServer drops the connection, so each request has its own.
            connection = http.client.HTTPConnection("127.0.0.1", self.ports.http_port, timeout=60)
            with contextlib.closing(connection):
                headers = {"Content-Type": "application/json"}
                connection.request("POST", f"/v2/models/{model}/infer", content, headers)
                response = connection.getresponse()
                response.read()
                statuses.append(response.status)
        return statuses

    def infer(self, count: int) -> int:
        """Send so many good requests; how many were answered with a prediction."""
        return sum(status == 200 for status in self.post(count))

    def get(self, path: str) -> int:
        """The status of a GET on the port for requests; 0 where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.http_port, timeout=60)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", path)
            return connection.getresponse().status
        return 0


def mlserver_program() -> Path:
    """The program, else skip or fail."""
    given = Path(os.environ.get("UNITCOST_MLSERVER") or "/nonexistent")
    program = given / "bin" / "mlserver" if given.is_dir() else given
    if os.access(program, os.X_OK):
        return program
    message = "UNITCOST_MLSERVER names no mlserver program (CONTRIBUTING.md says how to install it)"
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


@contextlib.contextmanager
def mlserver(folder: Path, ports: Ports | None = None) -> Iterator[MLServer]:
    """A real MLServer that keeps its files in this folder; it is stopped at the end."""
    program = mlserver_program()
    _model(program, folder)
    ports = ports or Ports()
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **asdict(ports)}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    log = folder / "mlserver.log"
    with log.open("wb") as output:
        command = [str(program), "start", str(folder)]
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
        server = MLServer(process.pid, ports)
        try:
            wait_for(lambda: _ready(server, process, log), "MLServer to be ready", START_SECONDS)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _model(program: Path, folder: Path) -> None:
    """Train the model, unless the folder has it already."""
    if not (folder / "m.joblib").exists():
        command = [str(program.parent / "python"), "-c", _TRAIN]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    settings = {
        "name": MODEL,
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "m.joblib")},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings), encoding="utf-8")


def _ready(server: MLServer, process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"MLServer ended: {log.read_text(errors='replace')[-2000:]}")
    return server.get(f"/v2/models/{MODEL}/ready") == 200
