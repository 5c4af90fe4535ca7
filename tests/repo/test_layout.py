"""The four folders at the root are one namespace, `unitcost`, and the wheel holds just them."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import unitcost.collectors
import unitcost.dashboards
import unitcost.exporter
import unitcost.pricing

FOLDERS = ("collectors", "dashboards", "exporter", "pricing")
PACKAGES = (unitcost.collectors, unitcost.dashboards, unitcost.exporter, unitcost.pricing)


def product_files(names: tuple[str, ...]) -> set[str]:
    """Those of the names that belong to the product."""
    return {name for name in names if name.split("/")[0] in FOLDERS}


def all_modules() -> list[str]:
    """The names of all modules of the product."""
    found = [package.__name__ for package in PACKAGES]
    for package in PACKAGES:
        walk = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        found.extend(module.name for module in walk if not module.name.endswith("__main__"))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_cannot_be_imported_under_its_bare_name(folder: str) -> None:
    """`import pricing` beside `import unitcost.pricing` would make every class twice."""
    assert importlib.util.find_spec(folder) is None


def test_each_file_is_one_module_object() -> None:
    """Whatever is imported, no file of the product is loaded under two names."""
    for name in all_modules():
        importlib.import_module(name)
    places = {Path(path).resolve() for package in PACKAGES for path in package.__path__}
    names: dict[Path, list[str]] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and places & set(Path(file).resolve().parents):
            names.setdefault(Path(file).resolve(), []).append(name)
    assert len(names) >= len(all_modules())
    doubled = {str(file): found for file, found in names.items() if len(found) > 1}
    assert doubled == {}
    assert all(found[0].startswith("unitcost.") for found in names.values())


def test_importing_every_module_starts_nothing_and_prints_nothing(root: Path) -> None:
    """An import has no effect that can be seen: no thread, no output, no warning."""
    lines = [f"import {name}" for name in all_modules()]
    check = "import threading; assert threading.active_count() == 1, threading.enumerate()"
    command = [sys.executable, "-I", "-W", "error", "-c", "\n".join([*lines, check])]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_wheel_under_test_is_what_is_imported(built_wheel: Path | None) -> None:
    """Where a wheel was built for the tests, they import it and not the tree."""
    if built_wheel is None:
        pytest.skip("no UNITCOST_WHEEL: the tests run on an editable install")
    installed = Path(unitcost.pricing.__path__[0])
    assert installed.parts[-3:] == ("site-packages", "unitcost", "pricing")


def test_the_wheel_holds_exactly_the_product(wheel: Path, candidates: tuple[str, ...]) -> None:
    """No file missing, none too many: the four folders as git has them, and the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    metadata = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    assert {name.split("/", 1)[1] for name in metadata} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert held - metadata == {f"unitcost/{name}" for name in product_files(candidates)}


def test_every_installed_file_is_the_file_of_the_tree(wheel: Path, root: Path) -> None:
    """The wheel that is tested is not an old one."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("unitcost/"):
                tree = root / name.removeprefix("unitcost/")
                assert archive.read(name) == tree.read_bytes(), f"{name} differs from the tree"


def test_the_client_s_wheel_holds_exactly_the_client(
    root: Path, tmp_path: Path, candidates: tuple[str, ...]
) -> None:
    """Nothing of the exporter, and nothing to install beside it."""
    command = [sys.executable, "-Im", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=root / "client", check=True, capture_output=True)
    (built,) = tmp_path.glob("unitcost_client-*-py3-none-any.whl")
    with zipfile.ZipFile(built) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        assert b"Requires-Dist" not in archive.read(metadata)
    package = {name for name in candidates if name.startswith("client/unitcost_client/")}
    assert held == {name.removeprefix("client/") for name in package}


def test_the_source_distribution_holds_all_sources_and_builds_the_same_wheel(
    root: Path, tmp_path: Path, candidates: tuple[str, ...], wheel: Path
) -> None:
    """The product, the client, the tests and the pages they read."""
    build = [sys.executable, "-Im", "hatchling", "build", "-d", str(tmp_path), "-t"]
    subprocess.run([*build, "sdist"], cwd=root, check=True, capture_output=True)
    (built,) = tmp_path.glob("unitcost-*.tar.gz")
    with tarfile.open(built) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    folders = {*FOLDERS, "tests", "docs", "client", "bench", "deploy"}
    assert {name for name in candidates if name.split("/")[0] in folders} - held == set()
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", "dev"} <= held
    subprocess.run(["tar", "-xzf", str(built), "-C", str(tmp_path)], check=True)
    tree = tmp_path / built.name.removesuffix(".tar.gz")
    subprocess.run([*build, "wheel"], cwd=tree, check=True, capture_output=True)
    (again,) = tmp_path.glob("unitcost-*.whl")
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(wheel) as other:
        assert set(one.namelist()) == set(other.namelist())


def test_the_links_for_type_checkers_point_at_the_four_folders(root: Path) -> None:
    """`src/unitcost` shows the tree as it is installed."""
    if not (root / "src").exists():
        pytest.skip("a source distribution has no links")
    links = {link.name: link.resolve() for link in (root / "src/unitcost").iterdir()}
    assert links == {folder: (root / folder).resolve() for folder in FOLDERS}
