"""What others say has changed: remembered in an instant, looked at by threads of their own."""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError
from bridge.run.queue import CAUSE, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

SHOWN = 10  # names in a line of the log
MOST_NAMES = 200  # of one connection; more than these are one look at all of it


class Hints:
    """
    Names of collections to look at soon, by connection.

    However often one is given while a look is under way, it is looked at once after that. A look begins when its
    connection may be asked, `pause` seconds from now, and takes up all that was given until then. Nothing is lost but
    by the end of the process, after which everything is looked at anyway. All that comes of a look has its id as the
    cause.
    """

    def __init__(
        self,
        connections: Iterable[str],
        glance: Callable[[str, frozenset[str] | None], None],
        pause: Callable[[str], float] = lambda _connection: 0.0,
    ) -> None:
        self._glance = glance
        self._pause = pause
        self._change = threading.Condition()
        self._names: dict[str, set[str]] = {connection: set() for connection in connections}
        self._ids = {connection: new_id() for connection in self._names}  # of the next look
        self._whole: set[str] = set()  # connections
        self._at_work: set[str] = set()  # the same
        self._ending = False
        self.threads = [
            threading.Thread(target=self._attend, args=(connection,), name=f"hints-{connection}", daemon=True)
            for connection in self._names
        ]

    def start(self) -> None:
        """Begin to look."""
        for thread in self.threads:
            thread.start()

    def give(self, connection: str, name: str | None) -> str:
        """Have a collection looked at soon, or the whole connection if None; return the id of that look, at once."""
        with self._change:
            names = self._names[connection]
            if name is None or len(names) >= MOST_NAMES:
                self._whole.add(connection)
                names.clear()
            elif connection not in self._whole:
                names.add(name)
            self._change.notify_all()
            return self._ids[connection]

    def stop(self) -> None:
        """Look at nothing more; a look that is under way comes to its end by itself. Idempotent."""
        with self._change:
            self._ending = True
            self._change.notify_all()

    def wait(self, patience: float) -> bool:
        """Wait until nothing is left to look at; tell whether that came about within so many seconds."""
        with self._change:
            return self._change.wait_for(lambda: not self._is_due() and not self._at_work, timeout=patience)

    def _is_due(self) -> bool:
        return bool(self._whole) or any(self._names.values())

    def _attend(self, connection: str) -> None:
        while (due := self._next(connection)) is not None:
            contextvars.copy_context().run(self._look, connection, *due)
            with self._change:
                self._at_work.discard(connection)
                self._change.notify_all()

    def _look(self, connection: str, cause: str, names: frozenset[str]) -> None:
        CAUSE.set(cause)
        what = ", ".join(sorted(names)[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        log.info("looking at %s of connection %s, as a webhook asks", what or "all", connection)
        try:
            self._glance(connection, names or None)
        except BridgeError as problem:
            log.warning("a webhook of %s asked for a look, and the next sweep has to do: %s", connection, problem)
        except Exception:
            log.exception("unexpected error in a look at %s", connection)

    def _next(self, connection: str) -> tuple[str, frozenset[str]] | None:
        """Return the id of a look, and what to look at, nothing for all of it; None at the end."""
        with self._change:
            self._change.wait_for(lambda: self._ending or connection in self._whole or bool(self._names[connection]))
            while not self._ending and (seconds := self._pause(connection)) > 0:
                self._change.wait(seconds)
            if self._ending:
                return None
            names = frozenset(self._names[connection])
            self._names[connection].clear()
            self._whole.discard(connection)
            self._at_work.add(connection)
            cause, self._ids[connection] = self._ids[connection], new_id()
            return cause, names
