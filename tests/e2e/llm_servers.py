"""Real llama-server with a tiny model, and a real LiteLLM in front of it."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.completions import Client
from tests.e2e.processes import answers, long_tool, started
from tests.harness import free_port

MODEL = "tiny-chat"
BROKEN = "broken"
"""A model behind the gateway where nobody listens."""
KEY = "sk-test-0123456789"
_WRITER = Path(__file__).with_name("tiny_gguf.py")


def llama_program() -> Path:
    """The program, else skip or fail."""
    return long_tool("UNITCOST_LLAMACPP", "llama-server")


def litellm_program() -> Path:
    """The program, else skip or fail."""
    return long_tool("UNITCOST_LITELLM", "litellm")


@dataclass(frozen=True)
class Ports:
    """Where they listen; free ones unless given."""

    llama: int = field(default_factory=free_port)
    litellm: int = field(default_factory=free_port)

    @property
    def llama_metrics(self) -> str:
        """Where llama-server is read."""
        return f"http://127.0.0.1:{self.llama}/metrics"

    @property
    def litellm_metrics(self) -> str:
        """Where LiteLLM is read, with its key; without the slash it sends one elsewhere."""
        return f"http://127.0.0.1:{self.litellm}/metrics/"


def write_model(folder: Path) -> Path:
    """The tiny model as a file, made unless it is there."""
    path = folder / "tiny.gguf"
    if not path.exists():
        python = llama_program().with_name("python")
        subprocess.run([python, _WRITER, path], check=True, capture_output=True)
    return path


@contextlib.contextmanager
def llama_server(folder: Path, ports: Ports) -> Iterator[Client]:
    """A real llama-server; yields a client that asks it directly."""
    command: list[str | Path] = [llama_program(), "-m", write_model(folder), "--metrics"]
    command += ["--host", "127.0.0.1", "--port", str(ports.llama), "--alias", "tiny"]
    command += ["-c", "4096", "-np", "2", "-t", "2", "--no-webui"]
    with started(command, folder, lambda: answers(ports.llama, "/health")):
        yield Client(ports.llama, "tiny")


@contextlib.contextmanager
def litellm(folder: Path, ports: Ports) -> Iterator[Client]:
    """A real LiteLLM in front of that llama-server; yields a client that asks it."""
    behind = {MODEL: ports.llama, BROKEN: free_port()}
    config = {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": "openai/tiny",
                    "api_base": f"http://127.0.0.1:{port}/v1",
                    "api_key": "none",
                },
            }
            for name, port in behind.items()
        ],
        "litellm_settings": {
            "callbacks": ["prometheus"],
            "telemetry": False,
            "num_retries": 0,
            "request_timeout": 30,
            "enable_end_user_cost_tracking_prometheus_only": True,
        },
    }
    path = folder / "litellm.yaml"
    path.write_text(json.dumps(config))
    command: list[str | Path] = [litellm_program(), "--config", path, "--host", "127.0.0.1"]
    command += ["--port", str(ports.litellm), "--telemetry", "False"]
    environment = {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DO_NOT_TRACK": "1",
    }
    with started(
        command, folder, lambda: answers(ports.litellm, "/health/liveliness"), environment
    ):
        yield Client(ports.litellm, MODEL, KEY)
