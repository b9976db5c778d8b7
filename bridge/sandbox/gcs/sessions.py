"""The table of resumable uploads, and what is in memory of those that are being written."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.gcs.bodies import Growing
from bridge.sandbox.gcs.errors import GcsError, not_found
from bridge.sandbox.gcs.objects import StoredObject
from bridge.sandbox.gcs.preconditions import Preconditions

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.gcs.bodies import Bodies
    from bridge.sandbox.gcs.database import Database
    from bridge.sandbox.gcs.fields import Fields
    from bridge.sandbox.gcs.hashes import Claim

LIFE = 7 * 24 * 3600.0  # seconds; documented
COLUMNS = "id, bucket, name, fields, preconditions, claims, total, body, created, state, result"


@dataclass(frozen=True, slots=True)
class Session:
    """One resumable upload: what was said at its start, and its outcome."""

    id: str
    bucket: str
    name: str
    fields: Fields
    preconditions: Preconditions  # they are about the moment of completion, not of the start (a guess)
    claims: list[Claim]
    total: int | None  # bytes, if X-Upload-Content-Length said so
    body: str
    created: float
    state: str = "open"  # then "done", or "over": cancelled, or refused at completion
    result: StoredObject | None = None  # as committed, even if it is gone by now


class Receiving:
    """
    The bytes of an open session.

    A later request takes the turn from an earlier one that hangs (its client has given up on it); from then
    on the earlier one cannot write. A gap cannot come about, a byte that is held is never replaced.
    """

    def __init__(self, growing: Growing) -> None:
        self.growing = growing
        growing.close()  # open sessions are many, and between their requests nobody needs the file
        self._lock = threading.Lock()
        self._turn = 0

    def take_turn(self) -> int:
        """Begin to write; whoever wrote before is shut out."""
        with self._lock:
            self._turn += 1
            return self._turn

    def write(self, turn: int, position: int, piece: bytes) -> None:
        """Take bytes that begin at `position`, at most the number held; those held already are skipped."""
        with self._lock:
            if turn != self._turn:
                raise GcsError(503, "backendError", "another request has taken over this upload session")
            new = piece[self.growing.size - position :]
            if new:
                self.growing.append(new)

    def pause(self) -> None:
        """Let go of the file until more is written."""
        with self._lock:
            self.growing.close()


class Sessions:
    """Start, find and end resumable uploads."""

    def __init__(self, database: Database, bodies: Bodies, clock: SandboxClock, workers: Executor) -> None:
        self._database = database
        self._bodies = bodies
        self._clock = clock
        self._workers = workers
        self._receiving: dict[str, asyncio.Future[Receiving]] = {}

    def start(self, session: Session) -> None:
        """Remember a session; it holds no bytes yet."""
        with self._database.transaction():
            self._database.rows(
                f"INSERT INTO sessions ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', NULL)",  # noqa: S608  constants
                session.id,
                session.bucket,
                session.name,
                json.dumps(session.fields),
                json.dumps(asdict(session.preconditions)),
                json.dumps(session.claims),
                session.total,
                session.body,
                session.created,
            )

    def require(self, session_id: str) -> Session:
        """Return a session, open or done; raises 404 if it is unknown, 410 if it is over or a week old."""
        row = self._database.row(f"SELECT {COLUMNS} FROM sessions WHERE id = ?", session_id)  # noqa: S608  constants
        if row is None:
            raise not_found("No such upload session", xml_code="NoSuchUpload")
        session = _from_row(row)
        if session.state == "over" or self._clock.now() >= session.created + LIFE:
            raise GcsError(410, "gone", "The upload session was cancelled, refused or has expired")
        return session

    async def receiving(self, session: Session) -> Receiving:
        """Return the bytes held; the first time after a restart they are read again, for their MD5."""
        if session.id not in self._receiving:
            path = self._bodies.path(session.body)
            if path.exists():
                loop = asyncio.get_running_loop()
                reading = loop.run_in_executor(self._workers, lambda: Receiving(Growing(path)))
                self._receiving[session.id] = reading
            else:
                self._receiving[session.id] = asyncio.get_running_loop().create_future()
                self._receiving[session.id].set_result(Receiving(Growing(path)))
        return await self._receiving[session.id]

    def done(self, session: Session, result: StoredObject) -> None:
        """Record the outcome; part of the transaction that commits the object."""
        self._database.rows(
            "UPDATE sessions SET state = 'done', result = ? WHERE id = ?", json.dumps(asdict(result)), session.id
        )
        self._database.after_commit(lambda: self._receiving.pop(session.id, None))

    def over(self, session: Session) -> None:
        """End a session without an object; its bytes go."""
        with self._database.transaction():
            self._database.rows("UPDATE sessions SET state = 'over' WHERE id = ?", session.id)
        receiving = self._receiving.pop(session.id, None)
        if receiving is not None and receiving.done():
            receiving.result().take_turn()  # who still writes may not begin the file anew
        self._bodies.remove(session.body)

    def forget_the_old(self) -> None:
        """Drop the rows of sessions that have expired."""
        self._database.rows("DELETE FROM sessions WHERE created <= ?", self._clock.now() - LIFE)


def _from_row(row: tuple[Any, ...]) -> Session:
    key, bucket, name, fields, preconditions, claims, total, body, created, state, result = row
    return Session(
        key,
        bucket,
        name,
        json.loads(fields),
        Preconditions(**{condition: _tuples(value) for condition, value in json.loads(preconditions).items()}),
        [(kind, value) for kind, value in json.loads(claims)],
        total,
        body,
        created,
        state,
        StoredObject(**json.loads(result)) if result else None,
    )


def _tuples(value: object) -> Any:  # noqa: ANN401  JSON has no tuples
    return tuple(value) if isinstance(value, list) else value
