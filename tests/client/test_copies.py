"""A run that is copied: into another process, or within its own."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import unitcost_client

Records = Callable[[], list[dict[str, Any]]]


def test_a_run_that_is_handed_to_another_process_counts_nothing_there(records: Records) -> None:
    """As a forked copy: a loader's worker or a spawned rank may get it with what it is part of."""
    run = unitcost_client.start("mnist", labels={"team": "ada"})
    copied = pickle.loads(pickle.dumps({"callback": run}))["callback"]  # noqa: S301 - our own
    assert isinstance(copied, unitcost_client.Run)
    for _ in copied.steps(range(3)):
        with copied.stalled("checkpoint"):
            copied.epoch()
    copied.reach(100, 10)
    copied.end("failed")
    assert copy.deepcopy(run) is copy.copy(run) is run
    run.step()
    run.end()
    (record,) = records()
    assert (record["steps"], record["epochs"], record["state"]) == (1, 0, "ended")
