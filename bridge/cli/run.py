"""`bridge run`: the service."""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial

from bridge.cli.options import DEFAULT_CONFIG, ConfigPath, load_config
from bridge.run.memory import keep_together


def run(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Follow the sources until it is told to stop: SIGTERM or Ctrl-C. SIGHUP has it read its configuration again."""
    keep_together()
    from bridge.service.daemon import Daemon
    from bridge.service.logs import set_up_logging

    # A handler in Python runs on the main thread, once that runs; a signal that another thread was given, or that came
    # just before the main thread began to wait, does not wake it. What is written to this pipe does.
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    set_up_logging(sys.stderr)
    daemon = Daemon(partial(load_config, config))
    daemon.start()
    while (heard := os.read(told, 1)[0]) not in {int(signal.SIGTERM), int(signal.SIGINT)}:
        if heard == signal.SIGHUP:
            daemon.reload()
    daemon.stop()
    logging.shutdown()
    # All that is ours has ended or has no effect any more. What Python would wait for is not ours: a copy in its
    # middle, which cannot be told to stop, or a vendor's farewell. W&B's SDK waits for its core process, without limit.
    os._exit(0)
