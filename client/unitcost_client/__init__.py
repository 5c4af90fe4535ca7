"""Counts what a training process has done and keeps it in a small state file.

    import unitcost_client
    run = unitcost_client.start("mnist")
    for batch in run.steps(loader): ...
    run.epoch()

Nothing here raises, blocks, or logs more than one line in the life of the process.
"""

from unitcost_client._run import Run
from unitcost_client._start import start

__all__ = ["Run", "start"]
__version__ = "0.1.0"
