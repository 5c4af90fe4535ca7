"""What the training client costs a job, and its state files the exporter; each against a peer.

Peers, in the same run: a call of an empty method with the same arguments; a plain write and rename
of the same bytes; opening and parsing the same files with the standard library.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import unitcost_client
from unitcost.collectors.training import Options, TrainingCollector

CALLS = 100_000
FILES = 1_000
ROUNDS = 7


class Empty:
    """The peer of `Run.step`."""

    def step(self, n: int = 1, samples: int = 0, tokens: int = 0) -> None:
        """Nothing."""


def per_call(work: Callable[[], object], calls: int) -> float:
    """Seconds for one of `calls`: the median of some rounds of `work`."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        rounds.append((time.perf_counter() - began) / calls)
    return statistics.median(rounds)


def step_cost(step: Callable[[int, int, int], None]) -> float:
    """Seconds for one step of 32 examples and 4096 tokens."""

    def work() -> None:
        for _ in range(CALLS):
            step(1, 32, 4096)

    return per_call(work, CALLS)


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
    """As many state files as 1,000 processes of one host would write."""
    parsed = json.loads(record)
    for number in range(FILES):
        path = folder / f"train-bench-{number}-1.json"
        path.write_text(json.dumps({**parsed, "run": f"r{number}", "epoch_marks": []}))
        os.utime(path, (1, 1))


def measure(base: Path) -> list[tuple[str, float, float, str, float]]:
    """(what, microseconds, the peer's, the peer, largest ratio allowed) of each figure."""
    state, many = base / "state", base / "many"
    many.mkdir()
    os.environ["UNITCOST_STATE_DIR"] = str(state)
    run = unitcost_client.start("bench")
    empty, step = step_cost(Empty().step), step_cost(run.step)
    epochs = 200
    flush = per_call(lambda: repeat(run.epoch, epochs), epochs)
    run.end()
    (path,) = state.glob("train-*.json")
    record = path.read_bytes()
    write = per_call(lambda: repeat(lambda: plain_write(base, record), epochs), epochs)
    copies(record, many)
    collector = TrainingCollector(Options(directories=(str(many),)))
    parse = per_call(lambda: parse_all(many), FILES)
    first = per_call(
        lambda: TrainingCollector(Options(directories=(str(many),))).collect(1e18), FILES
    )
    again = per_call(lambda: collector.collect(1e18), FILES)
    return [
        ("step(1, 32, 4096)", step, empty, "an empty method", 8),
        (f"epoch(), {len(record)} bytes", flush, write, "write and rename", 20),
        ("collect a file, first", first, parse, "open and json.loads", 3),
        ("collect a file, unchanged", again, parse, "open and json.loads", 3),
    ]


def main() -> int:
    """Print each figure and its ratio; 1 if one is above what is allowed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - as /run is
    with tempfile.TemporaryDirectory(prefix="unitcost-bench-", dir=memory) as folder:
        figures = measure(Path(folder))
    worst = 0
    for what, own, peer, name, allowed in figures:
        ratio = own / peer
        worst = max(worst, int(ratio > allowed))
        print(
            f"{what:28} {own * 1e6:8.2f} us = {ratio:5.2f} x {name} ({peer * 1e6:.2f} us), "
            f"allowed {allowed:g}"
        )
    return worst


if __name__ == "__main__":
    sys.exit(main())
