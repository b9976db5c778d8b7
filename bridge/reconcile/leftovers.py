"""What copies have begun and never finished: found in the store, removed by age, and only if it is ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from bridge.core.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from bridge.core.ports import Clock, Storage, Store
    from bridge.core.records import Upload


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that was begun and not finished, and what became of it."""

    upload: Upload
    removed: int | None = None  # objects; None: it is still there
    why: str = ""  # it is

    def __str__(self) -> str:
        what = "folder" if self.upload.kind in ("folder", "removal") else "upload"
        fate = f"removed, {self.removed} objects" if self.removed is not None else self.why or "not removed"
        return f"{what} {self.upload.uri}, begun {self.upload.begun}: {fate}"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Finds and removes what is older than `after`; `storage` gives the bucket of a URI, None if it is nobody's."""

    store: Store
    storage: Callable[[str], Storage | None]
    clock: Clock
    after: timedelta

    def find(self) -> list[Leftover]:
        """Look; change nothing."""
        return [Leftover(upload) for upload in self._old()]

    def remove(self) -> list[Leftover]:
        """Remove all of it; what cannot be removed now stays known, and says why."""
        return [self._removed(upload) for upload in self._old()]

    def _old(self) -> list[Upload]:
        # A folder that a version was registered from is in use, whatever else is known of it.
        used = {record.artifact_uri for record in self.store.all_records()}
        now = self.clock.now()
        begun = self.store.uploads(now)
        old = {each.uri for each in begun if datetime.fromisoformat(each.begun) < now - self.after}
        # A copy that goes on says so of its folder, and not of each file that it is at.
        fresh = tuple(upload.uri for upload in begun if upload.kind == "folder" and upload.uri not in old)
        return [each for each in begun if each.uri in old - used and not each.uri.startswith(fresh)]

    def _removed(self, upload: Upload) -> Leftover:
        now = self.clock.now()
        try:
            storage = self.storage(upload.uri)
            if storage is None:
                return Leftover(upload, why="no connection of bridge.yaml has that bucket")
            if not self.store.claim(upload, now):
                return Leftover(upload, why="somebody went on with it meanwhile")
            removed = storage.discard(upload, now - self.after)
        except BridgeError as problem:
            return Leftover(upload, why=str(problem))
        self.store.forget_upload(upload.uri)
        return Leftover(upload, removed)
