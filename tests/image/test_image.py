"""The images are what the Dockerfile promises: small, nobody's, and made of what the lock names."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.image.podman import Podman

pytestmark = pytest.mark.real

AGENT_BYTES = 90_000_000
"""What the agent may add to its base."""

INSTALLED = """
import importlib.metadata, json, re
found = {d.name: d.version for d in importlib.metadata.distributions()}
print(json.dumps({re.sub("[-_.]+", "-", name).lower(): version for name, version in found.items()}))
"""

# Flags 1: by the source's hash, and never compared with it.
BYTECODE = """
import importlib.util, json, pathlib, unitcost.pricing
site = pathlib.Path(unitcost.pricing.__file__).parents[2]
flags = {}
for file in site.rglob("*.py"):
    compiled = pathlib.Path(importlib.util.cache_from_source(str(file)))
    flag = compiled.read_bytes()[4:8].hex() if compiled.exists() else "none"
    flags.setdefault(flag, []).append(str(file.relative_to(site)))
print(json.dumps({flag: names[:3] + [len(names)] for flag, names in flags.items()}))
"""

FILES = """
import json, os
held = []
for folder, folders, files in os.walk("/"):
    folders[:] = [n for n in folders if os.path.join(folder, n) not in ("/proc", "/sys", "/dev")]
    held += [os.path.join(folder, name) for name in files]
print(json.dumps(held))
"""

SBOM = "print(open('/usr/share/unitcost/sbom.cdx.json').read())"


def locked(root: Path, name: str) -> dict[str, str]:
    """Names and versions that a lock file gives for this Python on Linux."""
    text = (root / f"deploy/image/requirements-{name}.lock").read_text()
    lines = [line.rstrip(" \\") for line in text.splitlines() if re.match("[a-z]", line)]
    wanted = [Requirement(line) for line in lines]
    place = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux"}
    return {
        each.name: str(each.specifier).removeprefix("==")
        for each in wanted
        if each.marker is None or each.marker.evaluate(place)
    }


def normal(name: str) -> str:
    """A distribution's name as all of them are compared."""
    return re.sub("[-_.]+", "-", name).lower()


def version(root: Path) -> str:
    """The version in pyproject.toml."""
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return str(project["version"])


@pytest.mark.parametrize("target", ["agent", "report"])
def test_it_is_made_of_what_the_lock_names_and_says_so(
    podman: Podman, root: Path, target: str, request: pytest.FixtureRequest
) -> None:
    """Installed = locked = listed in the SBOM, and our own wheel."""
    image = request.getfixturevalue(target)
    installed = podman.python(image, INSTALLED)
    assert installed == {**locked(root, target), "unitcost": version(root)}
    sbom = podman.python(image, SBOM)
    listed = {normal(part["name"]): part["version"] for part in sbom["components"]}
    ours = sbom["metadata"]["component"]
    assert {**listed, ours["name"]: ours["version"]} == installed
    assert (sbom["bomFormat"], "timestamp" in sbom["metadata"]) == ("CycloneDX", False)
    assert all(part["purl"].startswith("pkg:pypi/") for part in sbom["components"])
    assert "/src" not in json.dumps(sbom)


def test_it_says_what_it_is(podman: Podman, agent: str, root: Path) -> None:
    """Labels, user, volume, port, signal and command."""
    config = podman.inspect(agent)["Config"]
    labels = config["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "unitcost"
    assert labels[f"{prefix}version"] == version(root)
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
    assert config["User"] == "65532:65532"
    assert config["Volumes"] == {"/var/lib/unitcost": {}}
    assert config["ExposedPorts"] == {"9841/tcp": {}}
    assert config["StopSignal"] == "SIGTERM"
    assert (config["Entrypoint"], config["Cmd"]) == (["unitcost"], ["run"])


def test_it_is_small(podman: Podman, agent: str, python_image: str) -> None:
    """Each node of a cluster pulls it."""
    added = podman.inspect(agent)["Size"] - podman.inspect(python_image)["Size"]
    assert 30_000_000 < added <= AGENT_BYTES


def test_all_bytecode_is_there_before_it_runs(podman: Podman, agent: str) -> None:
    """A read-only root keeps none that is made later, and each start would compile again."""
    found = podman.python(agent, BYTECODE)
    assert set(found) == {"01000000"}, found


def test_nothing_else_got_in(
    podman: Podman, agent: str, python_image: str, candidates: tuple[str, ...]
) -> None:
    """No file outside of three folders, of ours none that git does not know, no secret."""
    before, after = (set(podman.python(image, FILES)) for image in (python_image, agent))
    added = after - before
    known = ("/opt/unitcost/", "/usr/share/unitcost/sbom.cdx.json", "/etc/", "/run/")
    assert {name for name in added if not name.startswith(known)} == set()
    assert {name for name in added if name.startswith(("/etc/", "/run/"))} <= {
        *("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"),  # podman's own
        "/run/.containerenv",
    }
    folders = ("collectors/", "dashboards/", "exporter/", "pricing/")
    ours = {
        name.split("/site-packages/unitcost/")[1]
        for name in added
        if "/site-packages/unitcost/" in name and not name.endswith(".pyc")
    }
    assert ours == {name for name in candidates if name.startswith(folders)}
    environment = podman.inspect(agent)["Config"]["Env"]
    assert {line.split("=")[0] for line in environment} <= {"PATH", "container"}
    history = podman.run("history", "--no-trunc", "--format", "{{.CreatedBy}}", agent).stdout
    assert "pip" not in history


def test_the_report_s_image_has_what_reports_need(podman: Podman, report: str) -> None:
    """All of it can be imported by that user from that root."""
    modules = ("pandas", "pyarrow", "psycopg", "slack_sdk", "grafanalib.core")
    podman.python(report, f"import {', '.join(modules)}; print(1)")
