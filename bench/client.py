"""What the training client costs a job, and its state files the exporter; each against a peer.

Peers, in the same run: a call of an empty method with the same arguments; a loop over the same
batches that reads the clock twice for each; `import json` in a process of its own; a write and
rename of the same bytes; opening and parsing the same files with the standard library. What has a
limit in time too has it in the last column.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import repeat as again_and_again
from pathlib import Path
from typing import NamedTuple

import unitcost_client
from unitcost.collectors.training import Options, TrainingCollector

CALLS = 100_000
FILES = 1_024
ROUNDS = 15
NEVER = 1e18


class Figure(NamedTuple):
    """Seconds of what was measured and of its peer, with the largest ratio and time allowed."""

    what: str
    own: float
    peer: float
    peer_name: str
    ratio_allowed: float
    allowed: float = NEVER

    def good(self) -> bool:
        """Whether both limits are kept."""
        return self.own / self.peer <= self.ratio_allowed and self.own <= self.allowed

    def __str__(self) -> str:
        limit = f" and {self.allowed * 1e6:g} us" if self.allowed < NEVER else ""
        return (
            f"{self.what:28} {self.own * 1e6:9.2f} us = {self.own / self.peer:5.2f} x "
            f"{self.peer_name} ({self.peer * 1e6:.2f} us), allowed {self.ratio_allowed:g}{limit}"
        )


Work = Callable[[], object]


class Empty:
    """The peer of `Run.step`."""

    def step(self, n: int = 1, samples: int = 0, tokens: int = 0) -> None:
        """Nothing."""


def side_by_side(own: Work, peer: Work, calls: int) -> tuple[float, float]:
    """Seconds for one of `calls` of each: the least of rounds in turn, so both have quiet ones."""
    rounds = [(seconds(own), seconds(peer)) for _ in range(ROUNDS)]
    return min(mine for mine, _ in rounds) / calls, min(other for _, other in rounds) / calls


def seconds(work: Work) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def stepping(step: Callable[[int, int, int], None]) -> Work:
    """Steps of 32 examples and 4096 tokens."""

    def work() -> None:
        for _ in range(CALLS):
            step(1, 32, 4096)

    return work


def looping(batches: Callable[[], Iterable[object]]) -> Work:
    """A loop that does nothing with its batches."""

    def work() -> None:
        for _ in batches():
            pass

    return work


def timed_batches(step: Callable[[], None]) -> Iterator[object]:
    """The peer of `Run.steps`: the least that counts batches and times their loading."""
    clock, waited = time.perf_counter_ns, 0
    batches = again_and_again(None, CALLS)
    while True:
        began = clock()
        batch = next(batches, batches)
        waited += clock() - began
        if batch is batches:
            return
        yield batch
        step()


def import_cost(module: str) -> float:
    """Seconds of CPU that importing it takes in a process that has imported nothing else."""
    code = (
        "import time; began = time.process_time()\n"
        f"import {module}\nprint(time.process_time() - began)"
    )
    command = [sys.executable, "-I", "-c", code]
    return float(subprocess.check_output(command))


def repeat(work: Callable[[], object], times: int) -> None:
    """Do it so often."""
    for _ in range(times):
        work()


def plain_write(folder: Path, data: bytes) -> None:
    """Write and rename, with nothing around it."""
    with open(folder / ".plain", "wb") as file:
        file.write(data)
    os.rename(folder / ".plain", folder / "plain")


def parse_all(folder: Path) -> None:
    """Open and parse every state file with the standard library."""
    for name in os.listdir(folder):
        with open(folder / name, "rb") as file:
            json.loads(file.read())


def copies(record: bytes, folder: Path) -> None:
    """As many state files as 1,024 processes of one host would write."""
    parsed = json.loads(record)
    for number in range(FILES):
        path = folder / f"train-bench-{number}-1.json"
        path.write_text(json.dumps({**parsed, "run": f"r{number}", "epoch_marks": []}))
        os.utime(path, (1, 1))


def steps(base: Path) -> Iterator[Figure]:
    """What a job pays."""
    state = base / "state"
    os.environ["UNITCOST_STATE_DIR"] = str(state)
    run = unitcost_client.start("bench")
    nothing = Empty().step
    both = side_by_side(stepping(run.step), stepping(nothing), CALLS)
    yield Figure("step(1, 32, 4096)", *both, "an empty method", 8, 1e-6)
    own = looping(lambda: run.steps(again_and_again(None, CALLS)))
    both = side_by_side(own, looping(lambda: timed_batches(nothing)), CALLS)
    yield Figure("a batch of steps(loader)", *both, "two clocks and that", 5, 1e-6)
    imports = [(import_cost("unitcost_client"), import_cost("json")) for _ in range(ROUNDS)]
    own_import, json_import = (min(costs) for costs in zip(*imports, strict=True))
    yield Figure("import unitcost_client", own_import, json_import, "import json", 2, 10e-3)
    repeat(run.epoch, 64)  # from here on a record has all the marks it can
    (path,) = state.glob("train-*.json")
    record = path.read_bytes()
    epochs = 200
    write = partial(repeat, partial(plain_write, base, record), epochs)
    both = side_by_side(partial(repeat, run.epoch, epochs), write, epochs)
    run.end()
    yield Figure(f"epoch(), {len(record)} bytes", *both, "write and rename", 20)


def files(base: Path) -> Iterator[Figure]:
    """What the exporter pays for as many state files."""
    many = base / "many"
    many.mkdir()
    (path,) = (base / "state").glob("train-*.json")
    copies(path.read_bytes(), many)
    options = Options(directories=(str(many),))
    collector = TrainingCollector(options)
    parse, peer = partial(parse_all, many), "open and json.loads"
    collector.collect(NEVER)
    both = side_by_side(lambda: TrainingCollector(options).collect(NEVER), parse, 1)
    yield Figure(f"{FILES} files, first", *both, peer, 3)
    both = side_by_side(lambda: collector.collect(NEVER), parse, 1)
    yield Figure(f"{FILES} files, unchanged", *both, peer, 3, 50e-3)


def main() -> int:
    """Print each figure and its ratio; 1 if one is above what is allowed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - as /run is
    worst = 0
    with tempfile.TemporaryDirectory(prefix="unitcost-bench-", dir=memory) as folder:
        for measure in (steps, files):
            for figure in measure(Path(folder)):
                print(figure, flush=True)
                worst |= not figure.good()
    return worst


if __name__ == "__main__":
    sys.exit(main())
