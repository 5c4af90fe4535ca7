"""All checks of a real GPU, in one go: ``python3 tests/gpu/run.py FOLDER``.

Started with the Python that has torch and transformers; what else is needed is installed into an
environment on top of it, which is removed at the end. README.md says more.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHECKS = ("record", "processes", "latency", "pricing", "energy")
"""Most wanted first: the machine may be taken away."""
IMPORTS = "import unitcost.exporter.cli, unitcost_client, pynvml, pytest, hypothesis"
PACKAGES = ("pytest", "hypothesis")


def is_complete(python: str) -> bool:
    """Whether this Python has all that is needed besides torch."""
    command = [python, "-Ic", IMPORTS]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_environment(folder: Path, wheels: Path | None) -> str:
    """A Python that has what this one has, and what is needed besides."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin" / "python")
    own = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    outer = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    lines = [f"import site; site.addsitedir({each!r})\n" for each in outer]
    (own / "outer.pth").write_text("".join(lines), encoding="utf-8")
    if wheels:
        what = ["--no-index", "--find-links", str(wheels), "unitcost", "unitcost-client"]
    else:
        what = [str(ROOT), str(ROOT / "client")]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*pip, *what, *PACKAGES], check=True)
    return python


def check(python: str, options: argparse.Namespace) -> int:
    """Run the tests, their output both shown and kept; their exit code."""
    variables = {
        "UNITCOST_GPU": "0" if options.pretend else "1",
        "UNITCOST_GPU_FAKE": "1" if options.pretend else "0",
        "UNITCOST_GPU_OUT": str(options.out),
        "PYTHONUNBUFFERED": "1",
    }
    if options.seconds:
        variables["UNITCOST_GPU_SECONDS"] = str(options.seconds)
    files = [str(HERE / f"test_{name}.py") for name in options.only or CHECKS]
    command = [python, "-Im", "pytest", "-p", "no:cacheprovider", "-v", "-s", *files]
    with (
        open(options.out / "pytest.txt", "w", encoding="utf-8") as kept,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            kept.write(line)
            kept.flush()
    return process.returncode


def summarise(python: str, out: Path) -> None:
    """Write the page, and print it."""
    command = [python, str(HERE), "summary", str(out)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (out / "summary.md").write_text(text, encoding="utf-8")
    print("\n" + text)


def main() -> int:
    """Do it all; the exit code is that of the tests."""
    parser = argparse.ArgumentParser(prog="run.py")
    given = os.environ.get("UNITCOST_GPU_OUT", "gpu-results")
    parser.add_argument("out", nargs="?", type=Path, default=Path(given), help="folder for results")
    parser.add_argument("--wheels", type=Path, help="folder of wheels, where there is no network")
    parser.add_argument("--seconds", type=float, help="of the energy check under load; 300")
    parser.add_argument("--only", nargs="+", choices=CHECKS, help="run only these")
    parser.add_argument("--pretend", action="store_true", help="try it out without a GPU")
    options = parser.parse_args()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="gpu-checks-"))
    try:
        complete = is_complete(sys.executable)
        python = sys.executable if complete else make_environment(made, options.wheels)
        code = check(python, options)
        summarise(python, options.out)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
