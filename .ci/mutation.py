"""What became of the mutants of pricing/: `./dev mutate` runs them, this reads what mutmut keeps.

python .ci/mutation.py FOLDER            a table for docs/mutation.md
python .ci/mutation.py FOLDER MODULE...  the changes that no test noticed
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

SURVIVED, NOT_TESTED, NOT_RUN = (0,), (5, 33), (None,)
TIMEOUT = (36, 24, -24, 152, 255)
MINIMUM = 90


def results(folder: Path) -> dict[str, dict[str, int | None]]:
    """Exit codes of the tests by mutant, by module."""
    files = sorted((folder / "mutants/src/unitcost/pricing").glob("*.py.meta"))
    return {
        file.name.removesuffix(".py.meta"): json.loads(file.read_text())["exit_code_by_key"]
        for file in files
    }


def counts(codes: dict[str, int | None]) -> Counter[str]:
    """How many of a module's mutants ended how."""
    found: Counter[str] = Counter()
    for code in codes.values():
        kinds = {"not run": NOT_RUN, "survived": SURVIVED, "untested": NOT_TESTED}
        kinds["timeout"] = TIMEOUT
        found[next((kind for kind, known in kinds.items() if code in known), "killed")] += 1
    return found


def row(name: str, found: Counter[str]) -> str:
    """One line of the table. A mutant on which the tests hang is noticed, too."""
    noticed = found["killed"] + found["timeout"]
    run = noticed + found["survived"] + found["untested"]
    score = f"{100 * noticed / run:.1f}" if run else "-"
    cells = (name, run, found["killed"], found["timeout"], run - noticed, score)
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(folder: Path) -> int:
    """Print the table of what was run; 1 if all of it together is below `MINIMUM` percent."""
    print("| module | mutants | killed | timeout | survived | score, % |")
    print("|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for module, codes in results(folder).items():
        found = counts(codes)
        if found.total() > found["not run"]:
            print(row(f"`{module}`", found))
            total += found
    print(row("**all**", total))
    noticed = total["killed"] + total["timeout"]
    return int(noticed * 100 < MINIMUM * (total.total() - total["not run"]))


def survivors(folder: Path, modules: list[str]) -> int:
    """Print the change of each mutant that no test noticed; how many there are."""
    left = 0
    mutmut = Path(sys.executable).with_name("mutmut")
    for module in modules:
        for name, code in results(folder)[module].items():
            if code in SURVIVED + NOT_TESTED:
                left += 1
                command = [str(mutmut), "show", name]
                shown = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603 - fixed
                print("\n".join(shown.stdout.splitlines()[3:]), end="\n\n")
    return left


if __name__ == "__main__":
    place, *wanted = sys.argv[1:]
    sys.exit(table(Path(place)) if not wanted else survivors(Path(place), wanted) > 0)
