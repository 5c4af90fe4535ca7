"""``python3 tests/gpu NAME ARGUMENTS...`` runs ``tests.gpu.NAME`` in a process of its own.

Some other distribution may have installed a package of the name ``tests``; here it is this one.
"""

import runpy
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Let the module find its siblings, and run it with the arguments that are left."""
    here = Path(__file__).resolve().parent
    sys.path = [each for each in sys.path if Path(each).resolve() != here]
    package = ModuleType("tests")
    package.__path__ = [str(here.parent)]
    sys.modules["tests"] = package
    del sys.argv[0]
    runpy.run_module(f"tests.gpu.{sys.argv[0]}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
