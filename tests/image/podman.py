"""A podman of the tests' own: its images and containers lie in a folder that goes with it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PYTHON_IMAGE = "docker.io/library/python:3.11-slim"

# crun fails where control groups of both versions are mounted. The limits are small machines'.
SETTINGS = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

# What a build may need to reach a package index from this machine, and an image must not hold.
HOST_FILES = ("/etc/ssl/certs", "/etc/pip.conf")

LOCKED_DOWN = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--memory", "128m", "--network", "host"),
)
"""How a careful administrator runs it."""


@dataclass(frozen=True, slots=True)
class Podman:
    """The program, and the folder where it keeps everything."""

    program: Path
    store: Path

    def command(self, *arguments: str) -> list[str]:
        """Its command line."""
        place = ("--root", str(self.store / "root"), "--runroot", str(self.store / "run"))
        return [str(self.program), *place, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Its environment: settings of this machine are not read."""
        return {**os.environ, "CONTAINERS_CONF": str(self.store / "containers.conf")}

    def run(
        self, *arguments: str, check: bool = True, stdin: Any = subprocess.DEVNULL
    ) -> "subprocess.CompletedProcess[str]":
        """Run it to its end."""
        ended = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert ended.returncode == 0 or not check, f"podman {arguments}: {ended.stderr[-3000:]}"
        return ended

    def inspect(self, name: str) -> dict[str, Any]:
        """What it says of an image or a container."""
        (said,) = json.loads(self.run("inspect", name).stdout)
        return dict(said)

    def build(self, name: str, context: Path, *options: str) -> str:
        """An image from a Dockerfile; its name."""
        mounts = [f"--volume={path}:{path}:ro" for path in HOST_FILES if os.path.exists(path)]
        usual = ("--pull=never", "--network", "host", "--tag", f"localhost/{name}:test")
        self.run("build", *usual, *mounts, *options, str(context))
        return f"localhost/{name}:test"

    def python(self, image: str, code: str) -> Any:
        """What a Python of the image prints, as JSON."""
        ended = self.run("run", "--rm", *LOCKED_DOWN, "--entrypoint", "python", image, "-Ic", code)
        return json.loads(ended.stdout)
