"""The agent as a careful administrator runs it: read-only, without rights, in little memory."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness import free_port, get, parse, wait_for
from tests.image.podman import LOCKED_DOWN, Podman

pytestmark = pytest.mark.real

STOP_SECONDS = "5"
"""After so long podman kills what has not ended by itself."""


@contextmanager
def running(podman: Podman, image: str, *options: str, command: tuple[str, ...]) -> Iterator[str]:
    """A container that runs; removed with its volumes afterwards."""
    name = podman.run("run", "--detach", *LOCKED_DOWN, *options, image, *command).stdout.strip()
    try:
        yield name
    finally:
        podman.run("rm", "--force", "--volumes", "--time", "0", name, check=False)


def settings(folder: Path, port: int) -> tuple[str, str]:
    """A configuration, and the options that mount it."""
    folder.chmod(0o755)
    told: dict[str, Any] = {
        "price": {"usd_per_hour": 1},
        "web": {"address": "127.0.0.1", "port": port},
        "period": 1,
        "gather_deadline": 0.9,
    }
    file = folder / "unitcost.yaml"
    file.write_text(json.dumps(told))
    return ("--volume", f"{file}:/etc/unitcost/unitcost.yaml:ro")


def charged(podman: Podman, name: str, port: int) -> float:
    """What the host has cost so far, once there is a page that says it."""

    def cost() -> float:
        try:
            return parse(get(port)[1]).total("unitcost_resource_cost_usd_total")
        except OSError:
            state = podman.inspect(name)["State"]
            assert state["Running"], podman.run("logs", name).stderr
            return 0.0

    return float(wait_for(cost, "dollars"))


RUN = ("run", "--config", "/etc/unitcost/unitcost.yaml")


def test_it_serves_and_ends_by_itself_when_told(podman: Podman, agent: str, tmp_path: Path) -> None:
    """As process 1 of a read-only container with no right at all: exit code 0, not killed."""
    port = free_port()
    with running(podman, agent, *settings(tmp_path, port), command=RUN) as name:
        charged(podman, name, port)
        assert parse(get(port)[1]).one("unitcost_ledger_writable") == 1
        status = podman.run("exec", name, "cat", "/proc/1/status").stdout
        assert "Uid:\t65532\t65532\t65532\t65532" in status
        assert "CapEff:\t0000000000000000" in status
        podman.run("stop", "--time", STOP_SECONDS, name)
        assert podman.inspect(name)["State"]["ExitCode"] == 0
        assert "level=error" not in podman.run("logs", name).stderr


def test_it_ends_when_told_before_it_serves(podman: Podman, agent: str) -> None:
    """The kernel ignores SIGTERM for a process 1 that has no handler yet."""
    reading, writing = os.pipe()
    command = podman.command(
        *("run", "--rm", "--interactive", "--name", "early", *LOCKED_DOWN),
        *("--entrypoint", "python", agent, "-Ic"),
        "import sys; from unitcost.exporter import cli\n"
        "cli._run = lambda _: print('begun', flush=True) or sys.stdin.read()\n"
        "sys.exit(cli.main([]))",
    )
    with subprocess.Popen(
        command, env=podman.environment, stdin=reading, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        podman.run("stop", "--time", "60", "early")
        assert process.wait(60) == 128 + 15
    os.close(reading)
    os.close(writing)


def test_what_was_charged_survives_kill_9_and_a_new_container(
    podman: Podman, agent: str, tmp_path: Path
) -> None:
    """The ledger lies on the volume, which a new version of the image takes over."""
    port = free_port()
    options = (*settings(tmp_path, port), "--volume", "ledger:/var/lib/unitcost")
    with running(podman, agent, *options, command=RUN) as name:
        before = charged(podman, name, port)
        podman.run("kill", "--signal", "KILL", name)
        assert int(podman.run("wait", name).stdout) == 128 + 9
    with running(podman, agent, *options, command=RUN) as name:
        assert charged(podman, name, port) >= before
