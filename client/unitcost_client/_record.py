"""The record of a run: what was said at its start, what it has done, and both as JSON."""

import os
import time
from collections.abc import Iterable

from unitcost_client._environment import Place
from unitcost_client._process import pid_namespace, start_ticks
from unitcost_client._values import LIMIT

VERSION = 1


class Start:
    """What is said of a run when it starts. `resumed` and `goal`: epochs and steps."""

    __slots__ = ("attempt", "goal", "job", "labels", "place", "resumed", "run")

    def __init__(
        self,
        job: str,
        run: str,
        attempt: int,
        resumed: tuple[float, int],
        goal: tuple[float | None, int | None],
        labels: dict[str, str],
        place: Place,
    ) -> None:
        self.job = job
        self.run = run
        self.attempt = attempt
        self.resumed = resumed
        self.goal = goal
        self.labels = labels
        self.place = place


Totals = tuple[str, float, int, int, int, tuple[tuple[str, int], ...], Place]
"""What a run has done so far, resumed work included: its state, epochs, steps, samples, tokens,
nanoseconds of stalls by kind, and its place."""


class Writer:
    """Makes the records of one run of this process, one after the other."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.goal = start.goal
        self.pid = os.getpid()
        self._ticks = start_ticks(self.pid)
        self._namespace = pid_namespace()
        self.started_ns = time.time_ns()
        self.seq = 0

    def record(self, totals: Totals, marks: Iterable[tuple[float, int]]) -> bytes:
        """The next record as JSON; docs/training.md says what each field means."""
        import json  # nearly every job has it by now, so that no import has to wait for it

        start = self._start
        state, epochs, steps, samples, tokens, stalls, place = totals
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
            "steps": min(steps, LIMIT),
            "epochs": epochs,
            "samples": min(samples, LIMIT),
            "tokens": min(tokens, LIMIT),
            "resumed_epoch": start.resumed[0],
            "resumed_step": start.resumed[1],
            "epoch_marks": list(marks),
            "total_epochs": self.goal[0],
            "total_steps": self.goal[1],
            "stalls": {kind: round(spent / 1e9, 6) for kind, spent in stalls},
            "labels": start.labels,
            "state": state,
        }
        return json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
