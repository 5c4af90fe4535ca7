"""Real servers for tests: found by an environment variable, started, waited for, stopped."""

import contextlib
import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness import wait_for

START_SECONDS = 180.0
STOP_SECONDS = 30.0


def tool(variable: str, program: str, made_by: str = "./dev tools") -> Path:
    """A program of the virtual environment that the variable names, else skip or fail.

    It fails under UNITCOST_REQUIRE_REAL=1 for what `./dev tools` installs.
    """
    path = Path(os.environ.get(variable) or "/nonexistent") / "bin" / program
    if os.access(path, os.X_OK):
        return path
    message = f"{variable} names no environment with {program} ({made_by} makes one)"
    if os.environ.get("UNITCOST_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


def long_tool(variable: str, program: str) -> Path:
    """The same for what only the long tests use."""
    if os.environ.get("UNITCOST_LONG") != "1":
        pytest.skip("a long test: ./dev tools-long, then ./dev test-long")
    return tool(variable, program, "./dev tools-long")


@contextlib.contextmanager
def started(
    command: list[str | Path],
    folder: Path,
    ready: Callable[[], object],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """A running process, once it is ready; yields its pid and ends it afterwards.

    What it writes is in a log in the folder, and in the error if it ends too soon.
    """
    name = Path(command[0]).name
    log = folder / f"{name}.log"

    def answers() -> object:
        if process.poll() is not None:
            raise AssertionError(f"{name} ended: {log.read_text(errors='replace')[-3000:]}")
        return ready()

    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
        try:
            wait_for(answers, f"{name} to be ready", START_SECONDS)
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Answer:
    """Status and content of an answer; the content is empty where it is no JSON object."""

    status: int
    content: Mapping[str, Any]


def ask(
    port: int, path: str, content: object = None, *, bearer: str = "", timeout: float = 60.0
) -> Answer:
    """POST some JSON, or GET without any; status 0 where nobody answers."""
    headers = {"Content-Type": "application/json"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        if content is None:
            connection.request("GET", path, headers=headers)
        else:
            connection.request("POST", path, json.dumps(content), headers)
        response = connection.getresponse()
        body = response.read()
        with contextlib.suppress(ValueError):
            found = json.loads(body)
            return Answer(response.status, found if isinstance(found, dict) else {})
        return Answer(response.status, {})
    return Answer(0, {})


def answers(port: int, path: str, **options: Any) -> bool:
    """Whether a GET is answered with 200."""
    return ask(port, path, timeout=5.0, **options).status == 200
