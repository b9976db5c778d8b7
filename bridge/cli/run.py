"""`bridge run`: the service."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
from functools import partial

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, load_config


def run(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Follow the sources until it is told to stop: SIGTERM or Ctrl-C. SIGHUP has it read its configuration again."""
    from bridge.service.daemon import Daemon
    from bridge.service.logs import set_up_logging

    told: queue.SimpleQueue[int] = queue.SimpleQueue()  # the one queue that a signal handler may put into
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: told.put(number))
    set_up_logging(sys.stderr)
    daemon = Daemon(partial(load_config, config))
    daemon.start()
    while told.get() == signal.SIGHUP:
        daemon.reload()
    ended = daemon.stop()
    logging.shutdown()
    if not ended:
        # A copy in its middle cannot be told to stop, and Python would wait for its threads.
        os._exit(0)
