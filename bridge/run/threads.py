"""Runs keys on threads of this process."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.core.model import ModelKey


class ThreadRunner:
    """At most `workers` keys at a time, and never one key twice at a time, whoever asks."""

    def __init__(self, workers: int = 4) -> None:
        self._workers = workers
        self._guard = threading.Lock()
        self._locks: defaultdict[ModelKey, threading.Lock] = defaultdict(threading.Lock)

    def run(self, keys: Sequence[ModelKey], work: Callable[[ModelKey], None]) -> None:
        """Do `work` for every key; return when all is done. The first error is raised then."""

        def locked(key: ModelKey) -> None:
            with self._guard:
                lock = self._locks[key]
            with lock:
                work(key)

        with ThreadPoolExecutor(max_workers=self._workers, thread_name_prefix="reconcile") as pool:
            work_of_all = [pool.submit(locked, key) for key in keys]
            try:
                wait(work_of_all)
            except BaseException:  # Ctrl-C: what has not begun does not begin
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for done in work_of_all:
            done.result()
