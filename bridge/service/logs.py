"""
What the service says of itself, on stderr: a line of JSON per event, or short lines where a person looks on.

Only the bridge's own loggers are heard: what libraries log may hold addresses that open files.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

from bridge.config.report import visible
from bridge.run.queue import AT_WORK, CAUSE


class JsonLines(logging.Formatter):
    """One JSON object a line; lines that have one cause, such as a webhook or a submission, have one `id`."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        values = {"at": _at(record).isoformat(timespec="milliseconds"), "level": record.levelname.lower()}
        if (cause := CAUSE.get()) is not None:
            values["id"] = cause
        if (work := AT_WORK.get()) is not None:
            values |= {"mapping": work.key.mapping, "model": work.key.model, "why": work.why}
        values["event"] = record.getMessage()
        if record.exc_info:
            values["error"] = self.formatException(record.exc_info)
        return json.dumps(values)


class ShortLines(logging.Formatter):
    """The time, the model if there is one, and what happened; nothing from outside moves a cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """See logging."""
        work = AT_WORK.get()
        about = f"{work.key}: " if work else ""
        loud = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        lines = [f"{_at(record):%H:%M:%S} {loud}{about}{record.getMessage()}"]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        return "\n".join(map(visible, lines))


def set_up_logging(stream: TextIO) -> None:
    """Have the bridge's loggers, and what goes wrong in serving HTTP, write to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ShortLines() if stream.isatty() else JsonLines())
    for name, level in (("bridge", logging.INFO), ("uvicorn.error", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)
