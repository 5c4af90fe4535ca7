"""Calls the tick at every whole period, one at a time, whatever the tick or the clock do."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

_log = logging.getLogger(__name__)

_JOB = "tick"
STOP_SECONDS = 0.9
"""How long `Schedule.stop` waits for a tick under way."""


class Schedule:
    """Runs `tick` in a thread of its own every `period_seconds`, at whole periods of UTC.

    A tick that takes longer than a period delays the next to the following whole period; what was
    missed is not made up for. A tick that raises is logged and counted, and the next one comes.
    """

    def __init__(self, tick: Callable[[], None], period_seconds: float) -> None:
        self._tick = tick
        self._ticking = threading.Lock()
        self._stopped = False
        self._failures = 0
        self._skipped = 0
        self._executor = _OneThread()
        self._scheduler = _Scheduler(period_seconds, self._executor)
        self._scheduler.add_listener(self._note_skipped, EVENT_JOB_MAX_INSTANCES)

    @property
    def failures(self) -> int:
        """Ticks that raised."""
        return self._failures

    @property
    def skipped(self) -> int:
        """Periods without a tick because the one before was still running."""
        return self._skipped

    def start(self) -> None:
        """Start; the first tick is due at once. Not to be called twice."""
        self._scheduler.add_tick(self._run)
        self._scheduler.start()

    def stop(self) -> bool:
        """Start no more ticks and wait for the one under way; False if it is not done in time.

        What is not done goes on in its thread, which ends with the process. May be called twice.
        """
        self._stopped = True
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        done = self._ticking.acquire(timeout=STOP_SECONDS)
        if done:
            self._ticking.release()
        return done

    def _run(self) -> None:
        with self._ticking:
            if self._stopped:
                return
            try:
                self._tick()
            except BaseException:  # noqa: BLE001 - the next tick must come
                self._failures += 1
                _log.exception("tick failed")

    def _note_skipped(self, _event: Any) -> None:
        self._skipped += 1
        _log.log(
            logging.WARNING if self._skipped == 1 else logging.DEBUG,
            "a tick took longer than the period",
        )


class _WholePeriods(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """Fires at whole multiples of the period since the epoch; never for a time that is past.

    The interval trigger of the library lists every run missed, which after a clock that was set
    from 1970 to the present takes gigabytes.
    """

    def __init__(self, period_seconds: float) -> None:
        self._period = period_seconds

    def get_next_fire_time(self, previous_fire_time: Any, now: datetime) -> Any:
        """The first whole period after `now`: a datetime in UTC.

        The first tick of all comes at once, wherever that falls; it gets at least half a period.
        """
        whole = timedelta(seconds=self._period)
        due = datetime.fromtimestamp((now.timestamp() // self._period + 1) * self._period, UTC)
        hasty = previous_fire_time is not None and (
            timedelta() <= due - previous_fire_time < whole / 2
        )
        return due if due > now and not hasty else due + whole


class _Scheduler(BackgroundScheduler):  # type: ignore[misc]  # the library has no types
    """Does not wait for a time that the wall clock, set back, will reach only much later."""

    def __init__(self, period_seconds: float, executor: BaseExecutor) -> None:
        logger = _log.getChild("library")
        logger.setLevel(logging.ERROR)  # it says what is said here, but at every tick
        super().__init__(timezone=UTC, executors={"default": executor}, logger=logger)
        self._period_seconds = period_seconds

    def add_tick(self, run: Callable[[], None]) -> None:
        """The one job: now, and then at every whole period."""
        self.add_job(
            run,
            _WholePeriods(self._period_seconds),
            id=_JOB,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )

    def _process_jobs(self) -> float | None:
        wait: float | None = super()._process_jobs()
        if wait is not None and wait > 1.5 * self._period_seconds:
            _log.warning("the clock was set back: ticks go on")
            self.modify_job(_JOB, next_run_time=datetime.now(UTC))
            return 0.0
        return wait


class _OneThread(BaseExecutor):  # type: ignore[misc]  # the library has no types
    """Runs jobs in one daemon thread, so that a tick that hangs cannot keep the process alive."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: SimpleQueue[Any] = SimpleQueue()

    def start(self, scheduler: Any, alias: str) -> None:
        """Called by the scheduler."""
        super().start(scheduler, alias)
        threading.Thread(target=self._loop, name=_JOB, daemon=True).start()

    def shutdown(self, wait: bool = True) -> None:
        """Called by the scheduler: the thread ends after the job under way."""
        self._jobs.put(None)

    def _do_submit_job(self, job: Any, run_times: Any) -> None:
        self._jobs.put(job)

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.func()
            finally:
                self._run_job_success(job.id, [])
