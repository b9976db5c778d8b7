"""Everything that can go wrong, with the requests that are no part of a copy: looking, reading again, and removing."""

from __future__ import annotations

import gc
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bridge.copying.gcs import objects, placing, removing, storage as storing
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.naming import MANIFEST_NAME
from bridge.core.records import Upload
from bridge.net import lines
from bridge.sandbox.address import BUCKET
from bridge.sandbox.faults import Fault, Kind
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from tests.copying.conftest import bucket_at
from tests.copying.test_faults import EVER, LEFT_OPEN, ONCE, SECONDS, SILENCE
from tests.readers import copier_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.copying.gcs import GcsStorage
    from bridge.core.model import Manifest
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket

pytestmark = [pytest.mark.sandbox, LEFT_OPEN]

FILES = {"config.json": b"{}", "model.bin": bytes(range(256)) * 400}
THEIRS = "notes.txt"  # what somebody else has put into the folder

LOOKS: dict[str, tuple[str, Callable[[GcsStorage, str, Manifest], Any]]] = {
    "manifest": ("objects.get", lambda there, folder, _: there.manifest(folder)),
    "list": ("objects.list", lambda there, folder, _: list(there.held(folder))),
    "bytes": ("objects.get", lambda there, folder, manifest: list(there.reread(folder, manifest.files))),
    "place": ("buckets.getStorageLayout", lambda there, folder, _: there.where(folder)),
    "rights": ("buckets.testIamPermissions", lambda there, folder, _: there.lacking(folder)),
}
REMOVALS: dict[str, Callable[[GcsStorage, str], int]] = {
    "a version": lambda there, folder: there.remove(folder, lambda: None),
    "what is left of a copy": lambda there, folder: there.discard(Upload(folder, "", "folder", 0, None, ""), EVER),
}


def faults_of(*methods: str) -> Iterator[tuple[str, Kind, int]]:
    """
    Every fault of these methods, but for a byte that changes in a list: only TLS can know of that.

    408 and 500 are left out: they are what 503 is.
    """
    for method in methods:
        for kind, status in ONCE:
            if status not in (408, 500) and (kind != "corrupt_byte" or method == "objects.get"):
                yield method, kind, status


@contextmanager
def suffering(world: World, method: str, kind: Kind, status: int) -> Iterator[None]:
    """Have the next request of a kind go wrong; see that there was one."""
    seconds = SECONDS.get(kind, 0)
    with pytest.MonkeyPatch.context() as patch:
        if seconds >= 1:
            patch.setattr(lines, "WAIT", SILENCE)
            for module in (objects, placing, removing, storing):
                patch.setattr(module, "TIMEOUT", SILENCE)
        number = world.traffic.faults.arm(Fault("gcs", kind, method, status=status or 503, seconds=seconds))
        try:
            yield
            assert number not in world.traffic.faults.armed()
        finally:
            world.traffic.faults.disarm(number)
    gc.collect()  # so that what is left open is noticed here


@pytest.fixture
def there(world: World) -> Iterator[GcsStorage]:
    with closing(bucket_at(world.gcs.url)) as opened:
        yield opened


def copied(there: GcsStorage, folder: str) -> Manifest:
    source = MemorySource()
    version = source.publish("acme_org/wandb-registry-model/fraud", FILES)
    return copier_of(source, there, FakeClock()).copy(version, folder)


@pytest.mark.parametrize(
    ("look", "fault"),
    [
        pytest.param(look, fault, id=f"{look}: {fault[1]} {fault[2] or ''}")
        for look, (method, _) in LOOKS.items()
        for fault in faults_of(method)
    ],
)
def test_who_looks_is_told_what_is_there_or_that_it_cannot_be_known(
    there: GcsStorage, folder: str, world: World, look: str, fault: tuple[str, Kind, int]
) -> None:
    manifest = copied(there, folder)
    _, ask = LOOKS[look]
    right = ask(there, folder, manifest)

    with suffering(world, *fault), closing(bucket_at(world.gcs.url)) as another:  # whose connections are new
        try:
            told = ask(another, folder, manifest)
        except (NeedsPerson, TryAgain):
            told = right
    assert told == right or (look, fault[2], told) == ("place", 403, None)  # which not everybody may know

    assert ask(there, folder, manifest) == right


@pytest.mark.parametrize(
    ("what", "fault"),
    [
        pytest.param(what, fault, id=f"{what}: {' '.join(map(str, fault))}")
        for what in REMOVALS
        for fault in faults_of("objects.get", "objects.list", "objects.delete")
    ],
)
def test_what_is_removed_is_gone_in_the_end_and_nothing_else_is(
    there: GcsStorage, folder: str, bucket: Bucket, world: World, *, what: str, fault: tuple[str, Kind, int]
) -> None:
    copied(there, folder)
    bucket.write(f"{folder}{THEIRS}", b"mine")
    if what != "a version":
        bucket.delete(f"{folder}{MANIFEST_NAME}")
    remove = REMOVALS[what]

    with suffering(world, *fault):
        try:
            remove(there, folder)
        except (NeedsPerson, TryAgain):
            pass
        else:
            assert names(world, folder) == [THEIRS]

    remove(there, folder)
    assert names(world, folder) == [THEIRS]


def names(world: World, folder: str) -> list[str]:
    prefix = folder.removeprefix(f"gs://{BUCKET}/")
    return [name.removeprefix(prefix) for name in world.gcs.object_names(BUCKET, prefix)]
