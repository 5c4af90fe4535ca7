"""The lock files of the image hold what pyproject.toml asks for, each file by its hash."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

LOCKS = {
    "agent": ("kubernetes", "slack"),
    "report": ("report", "postgresql", "slack", "dashboards"),
    "build": (),
}
"""The extras that each lock is made for by `./dev lock`."""


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def lock(root: Path, name: str) -> str:
    """The text of a lock file."""
    return (root / f"deploy/image/requirements-{name}.lock").read_text(encoding="utf-8")


def pinned(text: str) -> dict[str, list[str]]:
    """Distributions and the versions they are pinned to, for one Python or another."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


def wanted(project: dict[str, Any], name: str) -> list[Requirement]:
    """What pyproject.toml asks for."""
    if name == "build":
        texts = project["dependency-groups"]["image"]
    else:
        extras = project["project"]["optional-dependencies"]
        asked = [project["project"]["dependencies"], *(extras[each] for each in LOCKS[name])]
        texts = [text for some in asked for text in some]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_fits_what_pyproject_asks_for(
    root: Path, project: dict[str, Any], name: str
) -> None:
    """Else `./dev lock` was forgotten."""
    versions = pinned(lock(root, name))
    unfit = [
        str(each)
        for each in wanted(project, name)
        if not versions.get(each.name)
        or not all(each.specifier.contains(version) for version in versions[each.name])
    ]
    assert unfit == [], "run ./dev lock"


@pytest.mark.parametrize("name", LOCKS)
def test_everything_in_a_lock_has_its_hashes(root: Path, name: str) -> None:
    """pip --require-hashes would refuse it, but only on the way."""
    entries = re.split(r"^(?=[a-z0-9])", lock(root, name), flags=re.MULTILINE)[1:]
    assert len(entries) > 10
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index(root: Path, name: str) -> None:
    """Where the files come from is the affair of whoever builds."""
    assert not re.search(r"://|index|find-links|file:", lock(root, name))


def test_both_images_have_the_same_versions_of_what_both_have(root: Path) -> None:
    """A ledger is written by one and read by the other."""
    agent, report = (pinned(lock(root, name)) for name in ("agent", "report"))
    differ = {name for name in agent.keys() & report.keys() if agent[name] != report[name]}
    assert len(agent.keys() & report.keys()) > 8
    assert differ == set()


def test_the_image_is_labelled_with_the_version(root: Path, project: dict[str, Any]) -> None:
    """The label is a text in the Dockerfile."""
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    (version,) = re.findall(r'image\.version="([^"]+)"', text)
    assert version == project["project"]["version"]
