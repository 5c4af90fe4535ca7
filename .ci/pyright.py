"""Run pyright and fail also when it looked at fewer files than there are.

An `include` that matches nothing makes pyright check no file and report no error.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path


def expected_files(root: Path) -> int:
    """How many Python files and stubs lie in the folders that pyproject.toml names."""
    include = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pyright"]["include"]
    found = (path for folder in include for path in (root / folder).resolve().rglob("*.py*"))
    return sum(path.suffix in (".py", ".pyi") for path in found)


def main() -> int:
    """Print what pyright found; 0 if it found nothing in every file."""
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run([*command, "-p", str(root)], capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    try:
        report = json.loads(run.stdout)
    except ValueError:
        print(run.stdout, run.stderr, sep="\n")
        return 1
    for found in report["generalDiagnostics"]:
        file, start = found["file"], found.get("range", {}).get("start", {})
        print(f"{file}:{start.get('line', 0) + 1}: {found['severity']}: {found['message']}")
    analysed, expected = report["summary"]["filesAnalyzed"], expected_files(root)
    print(f"pyright: {analysed} of {expected} files, {report['summary']['errorCount']} errors")
    return run.returncode or int(analysed != expected or expected == 0)


if __name__ == "__main__":
    sys.exit(main())
