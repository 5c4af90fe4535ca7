"""Rules of the code that no linter checks: sizes, imports, docstrings, what a file may say."""

import ast
import re
from pathlib import Path

import pytest

PRODUCT = ("client", "collectors", "dashboards", "exporter", "pricing")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


@pytest.fixture(scope="module")
def sources(root: Path, candidates: tuple[str, ...]) -> dict[str, str]:
    """The Python files of the product and of the client, by name."""
    names = [name for name in candidates if name.endswith(".py") and name.split("/")[0] in PRODUCT]
    assert any(name.startswith("pricing/") for name in names)
    return {name: (root / name).read_text(encoding="utf-8") for name in names}


@pytest.fixture(scope="module")
def trees(sources: dict[str, str]) -> dict[str, ast.Module]:
    """The same files, parsed."""
    return {name: ast.parse(text, filename=name) for name, text in sources.items()}


def test_no_file_is_too_long_to_read_in_one_go(sources: dict[str, str]) -> None:
    """400 lines at most."""
    lines = {name: text.count("\n") for name, text in sources.items()}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_too_long_to_hold_in_mind(trees: dict[str, ast.Module]) -> None:
    """60 lines at most."""
    long = {
        f"{name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, Function)
    }
    assert {name: count for name, count in long.items() if count > MAX_FUNCTION_LINES} == {}


def test_every_import_is_absolute_and_through_the_namespace(trees: dict[str, ast.Module]) -> None:
    """A relative import, or a bare folder's name, gives a module a second identity."""
    bare = {"collectors", "dashboards", "exporter", "pricing"}
    wrong: list[str] = []
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                found = [node.module or ""] if node.level == 0 else ["."]
            elif isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            else:
                continue
            wrong.extend(f"{name}:{node.lineno}" for m in found if m.split(".")[0] in {*bare, ""})
    assert wrong == []


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions and classes at the top of a module that say nothing about themselves."""
    public = [
        node
        for node in tree.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]
    missing = [node.name for node in public if not ast.get_docstring(node)]
    return missing if ast.get_docstring(tree) else ["the module", *missing]


def test_everything_public_has_a_docstring(trees: dict[str, ast.Module]) -> None:
    """Modules, classes and functions say in a sentence what they are for."""
    found = {name: undocumented(tree) for name, tree in trees.items() if tree.body}
    assert {name: missing for name, missing in found.items() if missing} == {}


def test_the_check_for_docstrings_finds_missing_ones() -> None:
    """The check above is not blind."""
    assert undocumented(ast.parse("def f(): ...\nclass C: ...\ndef _g(): ...")) == [
        "the module",
        "f",
        "C",
    ]


MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:home/[a-z]\w*|Users/[A-Za-z]\w*|root)/[\w.]")
EVERYBODYS = "/home/kubernetes/bin/nvidia"
"""Where GKE's nodes have their driver."""


def machine_paths(text: str, root: Path) -> list[str]:
    """Paths in the text that exist on somebody's machine only."""
    own = [str(path) for path in (root, Path.home()) if len(path.parts) > 2]
    found = [match.group() for match in MACHINE_PATH.finditer(text.replace(EVERYBODYS, ""))]
    return found + [path for path in own if path in text]


def test_no_file_names_a_place_on_somebodys_machine(root: Path, tracked: tuple[str, ...]) -> None:
    """No home folder and no checkout: such a path is wrong everywhere else."""
    found = {}
    for name in tracked:
        path = root / name
        if path.is_symlink() or path.stat().st_size > 5_000_000:
            continue
        paths = machine_paths(path.read_text(encoding="utf-8", errors="replace"), root)
        if paths:
            found[name] = paths
    assert found == {}


def test_the_check_for_machine_paths_finds_them(root: Path) -> None:
    """The check above is not blind."""
    home = "/".join(["", "home", "ada", "x"])
    assert machine_paths(f"see {home} and {root}/pricing", Path("/tmp/checkout/unitcost"))  # noqa: S108 - a name
    assert machine_paths("see /tmp/checkout/unitcost/x", Path("/tmp/checkout/unitcost"))  # noqa: S108 - a name
    assert not machine_paths("GET /home and /root", Path("/tmp/checkout/unitcost"))  # noqa: S108 - a name


def test_the_licence_is_said_once(root: Path, sources: dict[str, str]) -> None:
    """LICENSE holds for every file; files carry no header of their own."""
    assert "Apache License" in (root / "LICENSE").read_text(encoding="utf-8")
    header = re.compile("SPDX-Licen[s]e|Licensed under", re.IGNORECASE)
    assert [name for name, text in sources.items() if header.search(text)] == []
