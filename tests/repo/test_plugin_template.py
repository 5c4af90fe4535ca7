"""The plugin in docs/examples works: built, installed, found, proven; a broken one beside it."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugin_site import install

TEMPLATE = "docs/examples/plugin"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's wheel."""
    folder = tmp_path_factory.mktemp("plugin")
    command = [sys.executable, "-Im", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root / TEMPLATE, check=True, capture_output=True)
    (wheel,) = folder.glob("unitcost_acme-*-py3-none-any.whl")
    return wheel


@pytest.fixture(scope="module")
def python(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the plugin, a broken one, and unitcost as it is tested here.

    Nothing is downloaded: a wheel of pure Python is installed by unpacking it, and what these tests
    run on is seen through a .pth file.
    """
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths("venv", {"base": str(place), "platbase": str(place)})
    site = Path(paths["purelib"])
    with zipfile.ZipFile(built) as archive:
        archive.extractall(site)
    entries = {
        "unitcost.collectors": {"broken": "unitcost_broken", "host": "unitcost_broken"},
        "unitcost.servers": {"broken": "unitcost_broken:SERVER"},
        "unitcost.price_sources": {"broken": "unitcost_broken", "rate_card": "unitcost_broken"},
    }
    install(
        site, "unitcost-broken", entries, {"unitcost_broken": "raise ImportError('no libacme')"}
    )
    here = sysconfig.get_paths()["purelib"]
    (site / "zz_tested.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return place / "bin" / "python"


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    """Runs a module of the environment, as a user would."""

    def run_module(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(python), "-Im", *arguments],
            env={"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_module


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that uses the plugin's collector, its server and its prices."""
    state = '{"engine": "a", "model": "anvil", "succeeded": 7, "failed": 1, "output_tokens": 70}'
    (tmp_path / "state.json").write_text(state)
    file = tmp_path / "unitcost.yaml"
    row = '{"region": "dubai", "type": "a8", "currency": "AED", "per_hour": 36.725, "stated": 9}'
    (tmp_path / "prices.json").write_text(f"[{row}]")
    file.write_text(
        "price:\n  lookup:\n    metadata: false\n"
        "    instance: {provider: acme, region: dubai, type: a8, terms: on_demand}\n"
        "    sources: {acme_prices: {path: prices.json}}\n"
        f"ledger: {{path: {tmp_path}/ledger.db}}\n"
        f"collectors: {{acme_batch: {{path: {tmp_path}/state.json, workload: nightly}}}}\n"
        "workloads:\n  - name: chat\n"
        "    endpoints: [{url: 'http://127.0.0.1:9/metrics', server: acme}]\n"
    )
    return file


def test_the_wheel_holds_the_package_and_the_entry_points(built: Path, root: Path) -> None:
    """And asks for a version of unitcost that is this one's."""
    with zipfile.ZipFile(built) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entries,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(entries).decode()
    package = (root / TEMPLATE / "unitcost_acme").glob("*[!c]")
    assert names == {f"unitcost_acme/{file.name}" for file in package if file.is_file()}
    assert "[unitcost.collectors]\nacme_batch = unitcost_acme.batch" in text
    assert "[unitcost.servers]\nacme = unitcost_acme.server:SERVER" in text
    assert "[unitcost.price_sources]\nacme_prices = unitcost_acme.prices" in text
    ours = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    theirs = tomllib.loads((root / TEMPLATE / "pyproject.toml").read_text())["project"]
    major, minor, _ = ours.split(".")
    assert theirs["dependencies"] == [f"unitcost>={major}.{minor},<{major}.{int(minor) + 1}"]


def test_the_commands_find_it_and_say_what_is_wrong_with_the_broken_one(
    run: Run, config: Path
) -> None:
    """check-config, plugins, doctor."""
    check = run("unitcost.exporter", "check-config", str(config))
    assert (check.returncode, check.stdout.splitlines()[-1]) == (0, f"{config}: ok")
    assert f"{config}: plugin collector acme_batch (unitcost-acme 0.1.0): used" in check.stdout
    plugins = run("unitcost.exporter", "plugins", "--config", str(config))
    assert plugins.returncode == 1
    assert plugins.stdout.splitlines() == [
        "collector acme_batch (unitcost-acme 0.1.0): used",
        "price source acme_prices (unitcost-acme 0.1.0): used",
        "server acme (unitcost-acme 0.1.0): used",
        "collector broken (unitcost-broken 1.2): broken: ImportError: no libacme",
        "collector host (unitcost-broken 1.2): refused: the name is taken by what is built in",
        "price source broken (unitcost-broken 1.2): broken: ImportError: no libacme",
        "price source rate_card (unitcost-broken 1.2): refused: the name is taken by what is built "
        "in",
        "server broken (unitcost-broken 1.2): broken: ImportError: no libacme",
    ]
    doctor = run("unitcost.exporter", "doctor", "--config", str(config)).stdout
    assert "read acme_batch" in doctor
    assert "collector acme_batch (unitcost-acme 0.1.0): used" in doctor
    assert "remove unitcost-broken" in doctor


def test_its_collector_is_read_and_the_broken_one_breaks_nothing(run: Run, config: Path) -> None:
    """In one gathering of the exporter."""
    once = run("unitcost.exporter", "once", "--config", str(config))
    assert once.returncode == 0, once.stderr
    up = {line for line in once.stdout.splitlines() if line.startswith("unitcost_collector_up{")}
    assert 'unitcost_collector_up{collector="acme_batch"} 1.0' in up
    assert 'unitcost_collector_up{collector="host"} 1.0' in up
    assert 'unitcost_collector_up{collector="broken"} 0.0' in up


def test_its_price_is_the_host_s(run: Run, config: Path) -> None:
    """In the currency it is billed in, and in dollars."""
    explained = run("unitcost.exporter", "prices", "explain", "--config", str(config))
    assert "price: 36.725 AED an hour, on_demand" in explained.stdout
    assert "= 10 USD an hour, at 3.6725 AED for a dollar" in explained.stdout


def test_it_conforms_and_the_broken_one_does_not(run: Run, config: Path, root: Path) -> None:
    """By the command; with its recordings nothing of the table is left unproven."""
    recordings = ("--recordings", str(root / TEMPLATE / "tests/recordings"))
    module = "unitcost.exporter.conformance"
    good = run(module, "unitcost-acme", "--config", str(config), *recordings)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines() == [
        "collector acme_batch: ok",
        "price source acme_prices: ok",
        "server acme: ok",
        "  note: rose, and was not compared with what a client counted: request_seconds",
    ]
    bad = run(module, "unitcost_broken")
    assert bad.returncode == 1
    assert bad.stdout.count("NOT CONFORMING") == 5
    assert "broken: ImportError: no libacme" in bad.stdout


def test_its_own_tests_pass(run: Run, root: Path) -> None:
    """As its author runs them."""
    tests = str(root / TEMPLATE / "tests")
    own = run("pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tests, tests)
    assert own.returncode == 0, own.stdout + own.stderr
    assert "4 passed" in own.stdout
