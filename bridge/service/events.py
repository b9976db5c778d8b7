"""What happens, as it happens: states and copies, told to whoever listens, and never waiting for a listener."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.core.model import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.core.model import ModelKey, SourceVersion
    from bridge.core.records import Progress, Status

KEPT = 1000  # events, for who comes back
WAITING = 1000  # events that one listener may be behind
LISTENERS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Ids are in order, and begin anew with the process."""

    number: int
    id: str
    kind: str
    data: Mapping[str, Any]

    def __str__(self) -> str:
        return f"id: {self.id}\nevent: {self.kind}\ndata: {json.dumps(self.data)}\n\n"


class Listener:
    """What one listener has yet to hear. `put` and `end` are called from any thread, `next` from its own loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._over = False
        self.is_too_slow = False

    def put(self, event: Event) -> bool:
        """Let it hear; False if it is too far behind, and hears nothing more."""
        if len(self._waiting) >= WAITING:
            self.is_too_slow = True
            self.end()
            return False
        self._waiting.append(event)
        self._wake()
        return True

    def end(self) -> None:
        """Let it hear nothing after what waits. Idempotent."""
        self._over = True
        self._wake()

    async def next(self, patience: float) -> Event | None:
        """Return the next event; None if there was none for so many seconds, or `is_over`."""
        self._news.clear()
        if not self._waiting and not self._over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), patience)
        return self._waiting.popleft() if self._waiting else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be heard."""
        return self._over and not self._waiting

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)


class Events:
    """Safe from several threads; what it remembers is bounded by models at work, not by time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._life = secrets.token_hex(4)
        self._count = 0
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: set[Listener] = set()
        self._states: dict[ModelKey, tuple[State, str]] = {}
        self._copies: dict[SourceVersion, Progress] = {}  # that are under way
        self._over = False

    def status(self, status: Status) -> None:
        """Tell how a model is, if that is news."""
        with self._lock:
            if status.state is not State.COPYING:
                for version in [each for each in self._copies if each.collection == status.collection]:
                    del self._copies[version]
            said = status.state, status.message
            if self._states.get(status.key) == said:
                return
            self._states[status.key] = said
            data = {"mapping": status.key.mapping, "model": status.key.model, "state": status.state}
            more = {"message": status.message, "remedy": status.remedy, "next_try": status.next_try}
            self._tell("state", data | more)

    def progress(self, progress: Progress) -> None:
        """Tell how far a copy is."""
        with self._lock:
            self._copies[progress.version] = progress
            if progress.is_whole:
                del self._copies[progress.version]
            self._tell("progress", progress_row(progress))

    def copies(self, collection: str) -> list[Progress]:
        """Return how far the copies of a collection's versions are that are under way."""
        with self._lock:
            return [progress for progress in self._copies.values() if progress.version.collection == collection]

    def listen(self, last: str | None = None) -> Listener | None:
        """
        Begin to listen, in a running event loop; None if there are too many listeners, or the service ends.

        `last` is the id of the event heard last: what came after it is heard first, as far as it is kept.
        """
        listener = Listener()
        with self._lock:
            if self._over or len(self._listeners) >= LISTENERS:
                return None
            for event in self._after(last):
                listener.put(event)
            self._listeners.add(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more. Idempotent."""
        with self._lock:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Let all listeners go, and take no other."""
        with self._lock:
            self._over = True
            for listener in self._listeners:
                listener.end()
            self._listeners.clear()

    def _after(self, last: str | None) -> list[Event]:
        if last is None:
            return []
        life, _, number = last.partition("-")
        seen = int(number) if life == self._life and number.isascii() and number.isdigit() else 0
        return [event for event in self._kept if event.number > seen]

    def _tell(self, kind: str, data: Mapping[str, Any]) -> None:
        self._count += 1
        event = Event(self._count, f"{self._life}-{self._count}", kind, data)
        self._kept.append(event)
        self._listeners = {listener for listener in self._listeners if listener.put(event)}


def progress_row(progress: Progress) -> dict[str, Any]:
    """Return how far a copy is, as JSON values."""
    return {
        "version": str(progress.version),
        "files_done": progress.files_done,
        "files": progress.files,
        "bytes_done": progress.bytes_done,
        "bytes": progress.bytes,
        "rate": progress.rate,
        "seconds_left": progress.seconds_left,
    }
