"""APScheduler, as the price lookup needs it: daemon threads, and times that nobody shares."""

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

SPREAD = 0.1
"""By what part an interval is lengthened or shortened, so that hosts do not ask all at once."""


class Every(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Fires about every so many seconds from now on; never for a time that is past.

    The interval trigger of the library lists every run missed, which after a clock that was set
    from 1970 to the present takes gigabytes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_next_fire_time(self, previous_fire_time: Any, now: datetime) -> Any:
        """A moment after `now`."""
        spread = 1 + SPREAD * (2 * random.random() - 1)  # noqa: S311 - nothing secret
        return now + timedelta(seconds=self._seconds * spread)


class Daemons(BaseExecutor):  # type: ignore[misc]  # the library has no types
    """Runs each job in a daemon thread of its own: one that hangs keeps nothing alive."""

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        threading.Thread(target=self._run, args=(job,), name=f"price-{job.id}", daemon=True).start()

    def _run(self, job: Any) -> None:
        try:
            job.func()
        finally:
            self._run_job_success(job.id, [])


def make_scheduler() -> BackgroundScheduler:
    """A scheduler that has not started."""
    return BackgroundScheduler(executors={"default": Daemons()}, timezone=UTC)
