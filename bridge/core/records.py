"""What the store keeps besides records of versions: the journal, intents, statuses; and an operation's fate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from bridge.core.errors import TakenElsewhere

if TYPE_CHECKING:
    from bridge.core.changes import Change
    from bridge.core.model import ModelKey, SourceVersion, State

EntryId = NewType("EntryId", int)


class Outcome(StrEnum):
    """How a journaled change ended."""

    APPLIED = "applied"
    FAILED = "failed"
    ABANDONED = "abandoned"  # the process died, and the change did not take effect


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One attempt at one change. Times are ISO 8601, UTC."""

    id: EntryId
    key: ModelKey
    change: Change
    why: str  # who or what asked
    begun: str
    outcome: Outcome | None  # None: it was never finished
    detail: str
    finished: str | None


@dataclass(frozen=True, slots=True)
class Intent:
    """
    The will to register one folder as a version, written before anything is sent.

    While it is open, a version with this artifact_uri may appear in Vertex at any time up to
    `sent_at` plus the settle window; see reconcile.registering.
    """

    key: ModelKey
    version: SourceVersion
    artifact_uri: str
    sent_at: str | None  # ISO 8601, UTC, of the last send; None: nothing was sent
    operation: str | None  # its name, once Vertex has told


@dataclass(frozen=True, slots=True)
class Operation:
    """How a registration goes: running, or ended with a version id or an error."""

    done: bool
    version_id: str | None = None
    error: str | None = None  # a sentence, if it failed
    lasting: bool = True  # False: the same request may succeed later


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one model. Times are ISO 8601, UTC."""

    key: ModelKey
    state: State
    message: str  # one sentence; empty if all is well
    remedy: str
    collection: str
    looked_at: str
    fingerprint: str | None  # of mapping and desired state at the last pass that left nothing to do
    attempt: int = 0  # how often in a row the same has been tried in vain
    next_try: str | None = None  # None: not by the time alone
    tried: str | None = None  # the fingerprint of the last pass that came to an end; None: it is to be tried again


@dataclass(frozen=True, slots=True)
class Lease:
    """
    The right of one process to work on a model, until a time.

    The epoch grows with every claim, so a process that was thought dead is told from the one that came after it.
    """

    key: ModelKey
    owner: str  # one process: host, process id and a random part
    epoch: int
    until: str  # ISO 8601, UTC


def taken_elsewhere(key: ModelKey) -> TakenElsewhere:
    """Say that a lease is not ours any more."""
    return TakenElsewhere(f"another process has taken {key} over; this one writes nothing more about it")
