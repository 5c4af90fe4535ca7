"""Renders charts by a real Helm, and finds things in what comes out."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
"""A Kubernetes object, or a part of one."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
RELEASE, NAMESPACE = "u", "finops"
OLDEST, NEWEST = "1.25", "1.37"


class Refused(Exception):
    """Helm did not render it; the text is what it said."""


def made(root: Path, folder: Path) -> Path:
    """The chart with its dashboards and rules, as ./dev chart makes it."""
    command: list[str | Path] = [sys.executable, "-I", root / "deploy/helm/chart.py", folder]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "unitcost"


class Charts:
    """One chart, rendered with any values; the same values are rendered once."""

    def __init__(self, helm: Path, folder: Path) -> None:
        self.helm = helm
        self.folder = folder
        self._known: dict[tuple[str, str, Path], str] = {}

    def text(
        self,
        values: Mapping[str, Any] | None = None,
        kubernetes: str = NEWEST,
        folder: Path | None = None,
    ) -> str:
        """What `helm template` writes. Raises Refused."""
        given = json.dumps(values or {}, sort_keys=True)
        key = (given, kubernetes, folder or self.folder)
        if key not in self._known:
            self._known[key] = self._rendered(*key)
        return self._known[key]

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        kubernetes: str = NEWEST,
        folder: Path | None = None,
    ) -> list[Manifest]:
        """The same as objects, which may be changed. Raises Refused."""
        text = self.text(values, kubernetes, folder)
        return [each for each in yaml.load_all(text, Loader=LOADER) if each]

    def _rendered(self, values: str, kubernetes: str, folder: Path) -> str:
        place = ["-n", NAMESPACE, "--kube-version", f"{kubernetes}.0"]
        command = [str(self.helm), "template", RELEASE, str(folder), *place, "-f", "-"]
        run = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
        if run.returncode:
            raise Refused(run.stderr)
        return run.stdout


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [each for each in manifests if each["kind"] == kind]


def the(manifests: list[Manifest], kind: str) -> Manifest:
    """The only one of its kind."""
    (found,) = of_kind(manifests, kind)
    return found


def pod_of(manifest: Manifest) -> Manifest:
    """The pod's spec of whatever makes pods."""
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


def agent_of(pod: Manifest) -> Manifest:
    """The agent's container, wherever it stands in a pod."""
    every = [*pod.get("initContainers", []), *pod["containers"]]
    found: list[Manifest] = [each for each in every if each["name"] == "unitcost"]
    (agent,) = found
    return agent


def configuration(manifests: list[Manifest]) -> str:
    """The rendered unitcost.yaml."""
    (found,) = [
        each["data"]["unitcost.yaml"]
        for each in of_kind(manifests, "ConfigMap")
        if "unitcost.yaml" in each["data"]
    ]
    return str(found)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a document, with the path to it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from leaves(each, f"{path}[{i}]")
    else:
        yield path, value


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values, as Helm puts files over each other."""
    result = copy.deepcopy(dict(one))
    for key, value in other.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            result[key] = merged(before, value)
        else:
            result[key] = copy.deepcopy(value)
    return result
