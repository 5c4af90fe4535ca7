"""The pages tell the truth: links resolve, names exist, versions and commands agree."""

import re
import tomllib
from pathlib import Path

import pytest

from unitcost.exporter.central.metrics import CENTRAL_METRICS
from unitcost.exporter.serving.metrics import SECTIONS

METRIC_NAMES = frozenset(metric.name for _, metrics in SECTIONS for metric in metrics)
CENTRAL_NAMES = frozenset(metric.name for metric in CENTRAL_METRICS)
"""Served by `unitcost central`; docs/fleet.md has them."""

PACKAGES = frozenset({"unitcost_client", "unitcost_acme"})
"""Names that only look like a metric's: the client's package, and that of the plugins' template."""

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
METRIC = re.compile(r"\bunitcost_[a-z0-9_]+\*?")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def pages(root: Path, candidates: tuple[str, ...]) -> dict[str, str]:
    """All Markdown pages by name."""
    names = [name for name in candidates if name.endswith(".md")]
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/cost-model.md"} <= set(names)
    return {name: (root / name).read_text(encoding="utf-8") for name in names}


@pytest.fixture(scope="module")
def version(root: Path) -> str:
    """The version that pyproject.toml gives."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    titles = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text), re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in kept}


def test_every_relative_link_leads_somewhere(root: Path, pages: dict[str, str]) -> None:
    """To a file that is there, and to a heading that it has."""
    broken = []
    for name, text in pages.items():
        for link in LINK.findall(FENCE.sub("", text)):
            if re.match(r"[a-z][a-z+.-]*:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (root / name).parent / path if path else root / name
            if not target.exists():
                broken.append(f"{name}: {link}")
            elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
                broken.append(f"{name}: {link} (no such heading)")
    assert broken == []


def test_every_page_the_code_points_to_exists(root: Path, candidates: tuple[str, ...]) -> None:
    """Comments and docstrings name pages by their path from the root."""
    code = [
        name for name in candidates if re.search(r"(\.(py|toml|service)|^dev|^\.ci/run)$", name)
    ]
    named = {
        (name, page)
        for name in code
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", (root / name).read_text(encoding="utf-8"))
    }
    assert named
    assert {f"{name}: {page}" for name, page in named if not (root / page).exists()} == set()


def test_every_file_the_architecture_names_exists(root: Path, pages: dict[str, str]) -> None:
    """A reader who looks for a thing where the page says finds it."""
    named = re.findall(r"`([a-z]+/[\w/]*(?:\.py)?)`", pages["docs/architecture.md"])
    assert len(named) > 20
    assert [name for name in named if not (root / name).exists()] == []


def test_every_metric_a_page_names_exists(pages: dict[str, str]) -> None:
    """A reader who copies a name from a page gets data."""
    unknown = []
    for name, text in pages.items():
        for found in METRIC.findall(text):
            if found.endswith("*"):
                good = any(metric.startswith(found[:-1]) for metric in METRIC_NAMES)
            else:
                good = found in METRIC_NAMES | CENTRAL_NAMES | PACKAGES
            if not good:
                unknown.append(f"{name}: {found}")
    assert unknown == []


def test_every_metric_is_documented(pages: dict[str, str]) -> None:
    """docs/metrics.md has a word on each."""
    documented = set(METRIC.findall(pages["docs/metrics.md"]))
    assert METRIC_NAMES - documented == set()
    assert CENTRAL_NAMES - set(METRIC.findall(pages["docs/fleet.md"])) == set()


def test_the_changelog_has_the_current_version(pages: dict[str, str], version: str) -> None:
    """A release that says nothing about itself is not one."""
    assert re.search(rf"^## \[{re.escape(version)}\]", pages["CHANGELOG.md"], re.MULTILINE)


def test_the_client_has_a_version_that_the_demo_extra_accepts(root: Path) -> None:
    """Both distributions are installed together from one checkout."""
    client = tomllib.loads((root / "client/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert client["name"] == "unitcost-client"
    assert client["version"].startswith("0.1.")
    assert client.get("dependencies", []) == []


def test_every_measurement_has_its_command_in_the_docs(
    root: Path, pages: dict[str, str], candidates: tuple[str, ...]
) -> None:
    """Each script of bench/ has a command, or serves one that has; each command has a script."""
    names = {Path(name).stem: name for name in candidates if re.fullmatch(r"bench/\w+\.py", name)}
    texts = {stem: (root / name).read_text(encoding="utf-8") for stem, name in names.items()}
    documented = set(re.findall(r"`\./dev bench ([a-z]\w*)`", pages["docs/benchmarks.md"]))
    assert documented - set(names) == set()
    helpers = {
        stem
        for stem in names
        if any(re.search(rf"\b{stem}\b", text) for other, text in texts.items() if other != stem)
    }
    assert set(names) - documented - helpers == set()


def test_every_decision_record_is_listed(pages: dict[str, str]) -> None:
    """docs/adr/README.md leads to all of them."""
    records = {name.rsplit("/", 1)[1] for name in pages if re.match(r"docs/adr/\d{4}-", name)}
    listed = set(LINK.findall(pages["docs/adr/README.md"]))
    assert records
    assert records <= listed
