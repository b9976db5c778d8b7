"""Errors as statuses, and what is news: one broken model, or bug, does not hold up another."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError, NeedsPerson
from bridge.core.model import State
from bridge.core.records import Status

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.core.model import ModelKey

log = logging.getLogger(__name__)


class Unexpected(NeedsPerson):
    """A bug, of ours or of a library: it may well be there at the next try too, or not."""


def known(problem: Exception, what: object) -> BridgeError:
    """Return an error of ours as it is; any other is a bug, which is logged."""
    if isinstance(problem, BridgeError):
        return problem
    log.error("unexpected error while working on %s", what, exc_info=problem)
    return Unexpected(f"unexpected {type(problem).__name__}: {problem}", "report it with the log of this run")


def world_has_moved(key: ModelKey) -> NeedsPerson:
    """Say that a saved plan is not what would be planned now."""
    return NeedsPerson(
        f"the world has moved since the plan for {key} was made", "make a new one and read it: bridge plan --out FILE"
    )


def status_of(key: ModelKey, state: State, problem: BridgeError | None, collection: str, at: datetime) -> Status:
    """Say how a pass found a model at that time, with the problem if there is one."""
    if isinstance(problem, NeedsPerson):
        message, remedy = problem.reason, problem.remedy
    else:
        message, remedy = str(problem or ""), "it is tried again at the next pass" if problem else ""
    time = at.isoformat()
    behind_since = None if state is State.SYNCED else time
    return Status(key, state, message, remedy, collection, time, None, behind_since=behind_since)


def well(before: Status, at: str | None = None) -> Status:
    """Say that a model is as it was when all was well, whatever was said of its source meanwhile."""
    if before.state is State.SYNCED:
        return before
    looked_at = at or before.looked_at
    return replace(before, state=State.SYNCED, message="", remedy="", looked_at=looked_at, behind_since=None)


def is_news(status: Status, before: Status | None) -> bool:
    """Tell whether somebody should be told."""
    if before is None:
        return True
    return (status.state, status.message, status.remedy) != (before.state, before.message, before.remedy)
