"""Everything that answers a request needs, in one value."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from bridge.sandbox.gcs.bodies import Bodies, Growing
from bridge.sandbox.gcs.buckets import Buckets
from bridge.sandbox.gcs.database import Database
from bridge.sandbox.gcs.multiparts import Multiparts
from bridge.sandbox.gcs.objects import Objects
from bridge.sandbox.gcs.sessions import Sessions
from bridge.sandbox.gcs.streams import pour

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path
    from typing import TypeVar

    from starlette.types import ASGIApp

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.faults import Fault
    from bridge.sandbox.gcs.hashes import Digests
    from bridge.sandbox.traffic import Traffic

    T = TypeVar("T")

THREADS = 4  # they only ever wait for the disk, never for a client


class Service:
    """
    The stores, the clock, the threads.

    All metadata is read and written on the event loop's thread; threads see files only. `app` is the whole
    ASGI app, through which a batch sends its parts.
    """

    app: ASGIApp

    def __init__(self, folder: Path, traffic: Traffic, clock: SandboxClock) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.traffic = traffic
        self.clock = clock
        self.workers = ThreadPoolExecutor(THREADS, thread_name_prefix="gcs")
        self.bodies = Bodies(folder / "bodies", self.workers)
        self.database = Database(folder / "metadata.sqlite", self.workers)
        self.buckets = Buckets(self.database, clock)
        self.objects = Objects(self.database, self.bodies, self.buckets, clock)
        self.sessions = Sessions(self.database, self.bodies, clock, self.workers)
        self.multiparts = Multiparts(self.database, self.bodies)
        self.withheld: frozenset[str] = frozenset()  # rights that nobody has, as far as anybody can ask
        self.rewrite_chunk: int | None = None  # bytes a rewrite call moves at most; None: everything at once

    def sweep(self) -> None:
        """Delete the files that a crash left over: bodies whose row was never committed, or is gone."""
        self.sessions.forget_the_old()
        named = self.database.rows(
            "SELECT body FROM objects UNION SELECT body FROM parts UNION SELECT body FROM sessions WHERE state = 'open'"
        )
        self.bodies.sweep({body for (body,) in named})

    def note(self, operation: str, *, write: bool) -> Fault | None:
        """Count a request, as Traffic.note does."""
        return self.traffic.note("gcs", operation, write=write)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do disk work without holding up the other clients."""
        return await asyncio.get_running_loop().run_in_executor(self.workers, work)

    async def receive(self, body: str, chunks: AsyncIterator[bytes]) -> Digests:
        """Write a whole request body to the file `body`; the hashes are computed on the way."""
        with closing(Growing(self.bodies.path(body))) as growing:
            await pour(chunks, growing.append, self.workers)
            return growing.digests()

    def close(self) -> None:
        """End the threads, then close the database. Idempotent."""
        self.workers.shutdown()
        self.database.close()
