"""
When things are done, and nothing else: APScheduler's job, and this is the only module that gives it one.

A job that is still running when its time comes again is left alone, and times that were missed count once.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from bridge.core.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from bridge.core.ports import Clock

log = logging.getLogger(__name__)

JITTER = 0.05  # of an interval
THREADS = 32  # more than there are jobs, so that one that hangs holds up no other


class Schedule:
    """Calls what it was told to call, each at its own interval, on threads of its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running = 0
        self._at_start: list[threading.Thread] = []
        self._change = threading.Condition()
        defaults = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        executors = {"default": ThreadPoolExecutor(THREADS)}
        self._scheduler = BackgroundScheduler(executors=executors, job_defaults=defaults, timezone="UTC")
        for chatty in ("apscheduler.scheduler", "apscheduler.executors.default"):
            logging.getLogger(chatty).setLevel(logging.ERROR)  # that a job is still running is no news

    def every(self, interval: timedelta, name: str, call: Callable[[], object], *, first: float = 1.0) -> None:
        """Have `call` called at every interval, for the first time when that share of one has passed."""
        trigger = IntervalTrigger(
            seconds=interval.total_seconds(),
            start_date=self._clock.now() + interval * first,
            jitter=interval.total_seconds() * JITTER,
        )
        self._scheduler.add_job(self._guarded, trigger, args=(name, call), id=name, name=name)

    def once(self, name: str, call: Callable[[], object]) -> None:
        """Have `call` called now, as soon as the schedule runs."""
        # Not as a job: one that was called for the last time is removed, and if the scheduler is just being shut down
        # its thread fails at that (APScheduler 3.11, schedulers/base.py, remove_job).
        thread = threading.Thread(target=self._guarded, args=(name, call), name=name, daemon=True)
        self._at_start.append(thread)

    def start(self) -> None:
        """Begin to call."""
        for thread in self._at_start:
            thread.start()
        self._scheduler.start()

    def drop_all_but(self, names: Collection[str]) -> None:
        """Call nothing any more but these."""
        for job in self._scheduler.get_jobs():
            if job.id not in names:
                self._scheduler.remove_job(job.id)

    def stop(self, patience: float) -> bool:
        """Call nothing any more; tell if what was being called came to its end within so many seconds. Idempotent."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        with self._change:
            return self._change.wait_for(lambda: not self._running, timeout=patience)

    @property
    def names(self) -> list[str]:
        """The names of all that is to be called."""
        return sorted(job.id for job in self._scheduler.get_jobs())

    def _guarded(self, name: str, call: Callable[[], object]) -> None:
        with self._change:
            self._running += 1
        try:
            call()
        except BridgeError as problem:
            log.warning("%s: %s", name, problem)
        except Exception:
            log.exception("unexpected error in %s", name)
        finally:
            with self._change:
                self._running -= 1
                self._change.notify_all()
