"""The record of a run: what was said at its start, what it has done, and both as JSON."""

import json
import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from unitcost_client._environment import Place
from unitcost_client._process import pid_namespace, start_ticks
from unitcost_client._values import LIMIT

VERSION = 1


class Start(NamedTuple):
    """What is said of a run when it starts; `epoch` and `step` are where it resumes."""

    job: str
    run: str
    attempt: int
    epoch: float
    step: int
    total_epochs: float | None
    total_steps: int | None
    labels: dict[str, str]
    place: Place


class Totals(NamedTuple):
    """What a run has done so far, resumed work included. `stalls`: nanoseconds by kind."""

    state: str
    epochs: float
    steps: int
    samples: int
    tokens: int
    stalls: tuple[tuple[str, int], ...]
    place: Place


class Writer:
    """Makes the records of one run of this process, one after the other."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.pid = os.getpid()
        self._ticks = start_ticks(self.pid)
        self._namespace = pid_namespace()
        self.started_ns = time.time_ns()
        self.seq = 0

    def record(self, totals: Totals, marks: Iterable[tuple[float, int]]) -> bytes:
        """The next record as JSON; docs/training.md says what each field means."""
        start, place = self._start, totals.place
        self.seq += 1
        record = {
            "v": VERSION,
            "job": start.job,
            "run": start.run,
            "attempt": start.attempt,
            "rank": place.rank,
            "local_rank": place.local_rank,
            "world_size": place.world_size,
            "local_world_size": place.local_world_size,
            "pid": self.pid,
            "pid_started": self._ticks,
            "pid_namespace": self._namespace,
            "started_ns": self.started_ns,
            "now_ns": time.time_ns(),
            "seq": self.seq,
            "steps": min(totals.steps, LIMIT),
            "epochs": totals.epochs,
            "samples": min(totals.samples, LIMIT),
            "tokens": min(totals.tokens, LIMIT),
            "resumed_epoch": start.epoch,
            "resumed_step": start.step,
            "epoch_marks": list(marks),
            "total_epochs": start.total_epochs,
            "total_steps": start.total_steps,
            "stalls": {kind: round(spent / 1e9, 6) for kind, spent in totals.stalls},
            "labels": start.labels,
            "state": totals.state,
        }
        return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
