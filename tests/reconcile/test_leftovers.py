"""What copies have left behind is found by age, and removed only if it is ours and nobody's any more."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.core.errors import TryAgain
from bridge.core.records import Upload
from bridge.reconcile.leftovers import Leftovers
from bridge.testing.source import MemorySource
from tests.readers import copier_of
from tests.worlds import FRAUD, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.core.model import ArtifactFile, SourceVersion
    from bridge.core.ports import Storage

WEEK = timedelta(days=7)
SLOW = "gs://models/prod/slow/v0-000000000000/"


@dataclass
class Left:
    """A world in which a copy of two files broke off at its second, and what looks for what it has left."""

    world: World = field(default_factory=World)
    buckets: str = "gs://models/"  # of which there is a connection

    def __post_init__(self) -> None:
        self.version = self.world.source.publish(FRAUD, {"a": b"1", "b": b"2"}, "production")
        self.world.source.serve(self.version, "b", b"3")
        self.world.sync()

    @property
    def leftovers(self) -> Leftovers:
        return Leftovers(self.world.store, self.storage, self.world.clock, WEEK)

    def storage(self, uri: str) -> Storage | None:
        return self.world.storage if uri.startswith(self.buckets) else None

    def removed(self) -> list[str]:
        """Remove what there is; say how each of it fared, without the beginning."""
        return [str(each).partition(": ")[2] for each in self.leftovers.remove()]


@pytest.fixture
def left() -> Left:
    return Left()


def test_a_copy_that_broke_off_is_left_over_when_it_is_old(left: Left) -> None:
    assert left.leftovers.find() == []
    left.world.clock.advance(WEEK + timedelta(seconds=1))

    (found,) = left.leftovers.find()
    assert str(found).startswith("folder gs://models/prod/fraud/v0-")
    assert str(found).endswith("/, begun 2026-01-05T09:00:00+00:00: not removed")
    assert len(left.world.storage.objects) == 1

    assert left.removed() == ["removed, 1 objects"]
    assert left.world.storage.objects == {}
    assert left.leftovers.find() == []


def test_after_that_the_copy_begins_from_its_beginning(left: Left) -> None:
    left.world.clock.advance(WEEK + timedelta(seconds=1))
    left.leftovers.remove()
    left.world.source.serve(left.version, "b", b"2")

    left.world.sync()
    assert left.world.names() == {"default": "v0", "production": "v0"}
    assert left.leftovers.find() == []


def test_a_copy_that_was_tried_again_is_not_old(left: Left) -> None:
    left.world.clock.advance(WEEK)
    left.world.sync()
    left.world.clock.advance(WEEK)

    assert left.removed() == []


def test_a_copy_that_came_to_its_end_leaves_nothing(left: Left) -> None:
    left.world.source.serve(left.version, "b", b"2")
    left.world.sync()
    left.world.clock.advance(2 * WEEK)

    assert left.removed() == []
    assert left.world.names() == {"default": "v0", "production": "v0"}


def test_a_folder_that_a_version_was_registered_from_is_in_use_whatever_else_is_known(left: Left) -> None:
    left.world.source.serve(left.version, "b", b"2")
    left.world.sync()
    (record,) = left.world.store.all_records()
    left.world.store.enter(record.artifact_uri, left.world.clock.now())
    left.world.storage.manifests.clear()
    left.world.clock.advance(2 * WEEK)

    assert left.removed() == []
    assert len(left.world.storage.objects) == 2


class Sweeping(MemorySource):
    """Takes two days for each piece of a file's bytes; meanwhile what is old is removed."""

    def __init__(self, left: Left) -> None:
        super().__init__("acme")
        self._left = left

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        with super().open(version, file, start) as pieces:
            yield self._slowly(b"".join(pieces))

    def _slowly(self, content: bytes) -> Iterator[bytes]:
        for at in range(len(content)):
            self._left.world.clock.advance(timedelta(days=2))
            yield content[at : at + 1]
            self._left.leftovers.remove()


def test_nothing_is_taken_from_a_copy_that_takes_longer_than_that_and_gets_on(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    left.leftovers.remove()
    source = Sweeping(left)
    version = source.publish(FRAUD, {"a": b"12345678", "b": b"12345678"})
    store, storage = left.world.store, left.world.storage

    copier_of(source, storage, left.world.clock, store=store).copy(version, SLOW)

    assert sorted(storage.objects) == [f"{SLOW}a", f"{SLOW}b"]
    assert store.uploads(left.world.clock.now() + WEEK) == ()


def test_a_copy_that_stood_still_so_long_that_it_lost_its_folder_is_not_called_whole(left: Left) -> None:
    source = Suspended(left)
    version = source.publish(FRAUD, {"a": b"1", "b": b"2"})
    copier = copier_of(source, left.world.storage, left.world.clock, store=left.world.store)

    with pytest.raises(TryAgain, match="this copy stood still so long that what it had brought was removed"):
        copier.copy(version, SLOW)

    assert left.world.storage.manifest(SLOW) is None
    assert [file.path for file in copier.copy(version, SLOW).files] == ["a", "b"]
    assert sorted(left.world.storage.objects) == [f"{SLOW}a", f"{SLOW}b"]


class Suspended(MemorySource):
    """Its machine sleeps for two weeks before the second file, once; another removes what is old."""

    def __init__(self, left: Left) -> None:
        super().__init__("acme")
        self._left: Left | None = left

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        if file.path == "b" and self._left is not None:
            self._left.world.clock.advance(2 * WEEK)
            self._left.leftovers.remove()
            self._left = None
        with super().open(version, file, start) as pieces:
            yield pieces


def test_what_a_copy_goes_on_with_just_now_is_not_removed(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    leftovers = left.leftovers
    (found,) = leftovers.find()
    left.world.store.enter(found.upload.uri, left.world.clock.now())
    stale = Leftovers(Remembering(left.world.store, found.upload), left.storage, left.world.clock, WEEK)  # type: ignore[arg-type]  # a store but for one method

    assert [str(each).partition(": ")[2] for each in stale.remove()] == ["somebody went on with it meanwhile"]
    assert len(left.world.storage.objects) == 1


class Remembering:
    """A store as it was when it was looked at."""

    def __init__(self, store: object, upload: Upload) -> None:
        self._store = store
        self._upload = upload

    def uploads(self, _: object) -> tuple[Upload, ...]:
        return (self._upload,)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_while_something_is_removed_its_copy_waits(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    (found,) = left.leftovers.find()
    left.world.store.claim(found.upload, left.world.clock.now())
    left.world.source.serve(left.version, "b", b"2")

    (report,) = left.world.sync()
    assert "what an earlier copy has left in it is just being removed" in report.status.message
    left.world.clock.advance(timedelta(hours=2))
    left.world.sync()
    assert left.world.names() == {"default": "v0", "production": "v0"}


def test_what_cannot_be_removed_now_stays_known_and_says_why(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    left.world.storage.problem = TryAgain("the bucket is unwell")
    assert left.removed() == ["the bucket is unwell"]

    left.world.storage.problem = None
    left.world.clock.advance(2 * WEEK)
    assert left.removed() == ["removed, 1 objects"]


def test_a_bucket_that_no_connection_has_any_more_is_left_alone(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    left.buckets = "gs://others/"

    assert left.removed() == ["no connection of bridge.yaml has that bucket"]
    assert len(left.leftovers.find()) == 1


def test_an_upload_is_called_one(left: Left) -> None:
    left.world.clock.advance(2 * WEEK)
    left.leftovers.remove()
    begun = left.world.clock.now().isoformat()
    left.world.store.save_upload(Upload("gs://models/x", "secret", "session", 1, None, begun))
    left.world.clock.advance(2 * WEEK)

    (told,) = map(str, left.leftovers.remove())
    assert told == f"upload gs://models/x, begun {begun}: removed, 0 objects"
