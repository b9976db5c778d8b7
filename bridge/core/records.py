"""What the store keeps besides records of versions: journal, intents, statuses, copies; and an operation's fate."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, NewType

from bridge.core.errors import TakenElsewhere
from bridge.core.model import State
from bridge.core.naming import bucket_of

if TYPE_CHECKING:
    from bridge.core.deeds import Deed
    from bridge.core.model import Digest, ModelKey, SourceVersion, StoredFile

EntryId = NewType("EntryId", int)
STALE = timedelta(hours=1)  # after which a removal that has not ended is one that died


class Outcome(StrEnum):
    """How a journaled change ended."""

    APPLIED = "applied"
    FAILED = "failed"
    ABANDONED = "abandoned"  # it did not take effect: the process died, or found it not right any more


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One attempt at one change, or a person's word. Times are ISO 8601, UTC."""

    id: EntryId
    key: ModelKey
    change: Deed
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
    behind_since: str | None = None  # None: it is not behind its source; the store keeps it, see `behind_since`


def behind_since(status: Status, before: Status | None) -> str | None:
    """
    Return since when a model is behind its source once `status` is remembered in place of `before`; None: it is not.

        state      before                 since
        SYNCED     (any)                  None
        any other  behind since t         t
        any other  not behind, or no one  what the status says

    A status says the time of the pass that found the model not SYNCED. While the source cannot be read (DEGRADED)
    nobody can say that the model is not behind, so that counts. What is HELD counts as any other: a change that a
    person holds back is late, too. But a person's own word (pause, resume, adopt, rebuild) says None, as does a pass
    over a paused model that finds nothing to hold back: it begins no lag, and ends none.
    """
    if status.state is State.SYNCED:
        return None
    return (before.behind_since if before else None) or status.behind_since


@dataclass(frozen=True, slots=True)
class Tally:
    """How many models of a mapping are in a state, and how often the worst of them was tried in vain in a row."""

    mapping: str
    state: State
    models: int
    attempt: int


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


class Scope(StrEnum):
    """What a token is good for; each includes those before it."""

    READ = "read"
    SYNC = "sync"  # have models worked on
    ADMIN = "admin"  # pause and resume mappings, reload the configuration

    def includes(self, other: Scope) -> bool:
        """Tell whether this is enough where the other is needed."""
        order = tuple(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: enough to know it again, not enough to make it."""

    name: str
    scope: Scope
    digest: str  # SHA-256 of the token, in hex
    created: str  # ISO 8601, UTC


def status_to_json(status: Status) -> dict[str, Any]:
    """Return how a model is, as JSON values: the same wherever it is shown."""
    return {
        "mapping": status.key.mapping,
        "model": status.key.model,
        "state": status.state,
        "message": status.message,
        "remedy": status.remedy,
        "collection": status.collection,
    }


UploadKind = Literal["session", "parts", "folder", "removal"]


@dataclass(frozen=True, slots=True)
class Upload:
    """
    Something that was begun in a bucket and has not ended: the copy to a folder, or an upload of one object.

    The bucket keeps what it was sent, so another process can go on. A folder that is being removed is not entered.
    """

    uri: str  # gs://, of the object to be; of a folder, which ends in "/"
    address: str = field(repr=False)  # a secret: whoever has it may write the object; empty: it cannot be read any more
    kind: UploadKind
    size: int  # bytes, of the whole file; 0 of a folder
    digest: Digest | None  # the source's; None: it keeps none
    begun: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that lie, verified, in a bucket, and can be copied from there."""

    digest: Digest  # the source's, by which they are found
    file: StoredFile  # its path is the object's in its folder
    uri: str  # gs://

    @property
    def bucket(self) -> str:
        """The name of the bucket of `uri`."""
        return bucket_of(self.uri)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the copy of one version is."""

    version: SourceVersion
    files_done: int
    files: int
    bytes_done: int
    bytes: int
    rate: float  # bytes per second that came through here, since the beginning
    seconds_left: float | None  # at that rate; None: not known yet

    @property
    def is_whole(self) -> bool:
        """Whether all files are done."""
        return self.files_done == self.files

    def __str__(self) -> str:
        left = "" if self.seconds_left is None else f", {self.seconds_left:.0f} s left"
        return (
            f"{self.version}: {self.files_done} of {self.files} files, {self.bytes_done / 1e6:.1f} of "
            f"{self.bytes / 1e6:.1f} MB, {self.rate / 1e6:.1f} MB/s{left}"
        )


def taken_elsewhere(key: ModelKey) -> TakenElsewhere:
    """Say that a lease is not ours any more."""
    return TakenElsewhere(f"another process has taken {key} over; this one writes nothing more about it")
