"""The way back from the bucket to a disk: whole, verified, or a sentence that says why not."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.copying.budget import Budget
from bridge.copying.restoring import Restorer, check_names
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.settings import CopySettings
from bridge.run.clock import SystemClock
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.storage import MemoryStorage
from tests.contracts.buckets import bucket_of
from tests.readers import copier_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bridge.core.model import Manifest, SourceVersion
    from bridge.core.records import Progress
    from bridge.sandbox.world import World

PATH = "acme_org/wandb-registry-model/fraud"
FOLDER = "gs://models/prod/fraud/v0-x/"
LARGE = bytes(range(256)) * 1024
FILES = {"model.bin": LARGE, "conf/a b é.json": b"{}", "conf/deep/er": b"x", "empty": b""}


class Bucket(MemoryStorage):
    """Says what was read, and may break off in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, int]] = []
        self.breaks: dict[str, int] = {}  # path -> pieces after which reading it breaks, once
        self.meanwhile: Callable[[], object] = lambda: None

    @contextmanager
    def read(self, folder: str, path: str, start: int = 0) -> Iterator[Iterator[bytes]]:
        """See the port."""
        self.reads.append((path, start))
        self.meanwhile()
        with super().read(folder, path, start) as pieces:
            yield self._broken(path, pieces)

    def _broken(self, path: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        left = self.breaks.pop(path, None)
        for number, piece in enumerate(pieces):
            if number == left:
                raise TryAgain(f"{path}: the connection broke")
            yield piece


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


def publish(bucket: MemoryStorage, files: Mapping[str, bytes] = FILES) -> SourceVersion:
    """Copy a version into the bucket, as a sync does; the source may then be gone."""
    source = MemorySource()
    version = source.publish(PATH, files)
    copier_of(source, bucket, FakeClock()).copy(version, FOLDER)
    return version


def restorer(bucket: MemoryStorage, *, parallel: int = 1, free: int = 1 << 40) -> Restorer:
    clock = FakeClock()
    return Restorer(bucket, clock, Budget(clock, CopySettings(parallel_files=parallel)), free=lambda _folder: free)


def tree(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


# all is well


@pytest.mark.parametrize("there", [False, True], ids=["not there yet", "empty"])
@pytest.mark.parametrize("parallel", [1, 8])
def test_a_version_is_restored_byte_by_byte(bucket: Bucket, tmp_path: Path, parallel: int, *, there: bool) -> None:
    version = publish(bucket)
    into = tmp_path / "back"
    if there:
        into.mkdir()

    manifest = restorer(bucket, parallel=parallel).restore(version, FOLDER, into)

    assert tree(into) == FILES
    assert len(manifest.files) == len(FILES)
    assert [path.name for path in tmp_path.iterdir()] == ["back"]


def test_a_version_without_files_is_an_empty_folder(bucket: Bucket, tmp_path: Path) -> None:
    restorer(bucket).restore(publish(bucket, {}), FOLDER, tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


def test_it_is_told_how_far_it_is(bucket: Bucket, tmp_path: Path) -> None:
    told: list[Progress] = []
    version = publish(bucket)
    replace(restorer(bucket), watch=told.append).restore(version, FOLDER, tmp_path / "back")

    assert (told[-1].files_done, told[-1].bytes_done) == (len(FILES), sum(map(len, FILES.values())))
    assert told[-1].is_whole


@pytest.mark.sandbox
def test_a_version_is_restored_from_the_stand_in_of_cloud_storage(world: World, tmp_path: Path) -> None:
    folder, source = f"gs://{BUCKET}/restored/v0/", MemorySource()
    version = source.publish(PATH, FILES, algorithm=None)
    clock = SystemClock()
    with closing(bucket_of(PROJECT, world.gcs.url)) as storage:
        copier_of(source, storage, clock).copy(version, folder)
        Restorer(storage, clock, Budget(clock)).restore(version, folder, tmp_path / "back")
        assert tree(tmp_path / "back") == FILES

        world.gcs.corrupt_object(BUCKET, "restored/v0/model.bin")
        with pytest.raises(IntegrityError, match=r"model\.bin: its bytes have the crc32c .*, and the manifest says"):
            Restorer(storage, clock, Budget(clock)).restore(version, folder, tmp_path / "again")
    assert not (tmp_path / "again").exists()


# interrupted


def test_what_was_interrupted_goes_on_where_it_was_also_inside_a_file(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    bucket.breaks["model.bin"] = 2
    with pytest.raises(TryAgain, match="the connection broke"):
        restorer(bucket).restore(version, FOLDER, into)
    assert not into.exists()
    bucket.reads.clear()

    restorer(bucket).restore(version, FOLDER, into)

    assert bucket.reads == [("model.bin", 2 << 16)]
    assert tree(into) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["back"]


@pytest.mark.parametrize(
    "spoil",
    [lambda path: path.write_bytes(b"other"), lambda path: path.write_bytes(LARGE + b"more")],
    ids=["other bytes", "too many"],
)
@pytest.mark.parametrize("kind", ["parts", "files"])
def test_what_an_earlier_attempt_has_left_is_not_believed(
    bucket: Bucket, tmp_path: Path, spoil: Callable[[Path], object], kind: str
) -> None:
    version, into = publish(bucket), tmp_path / "back"
    bucket.breaks["model.bin"] = 2
    with pytest.raises(TryAgain):
        restorer(bucket).restore(version, FOLDER, into)
    left = next(path for path in (tmp_path / "back.unfinished" / kind).rglob("*") if path.is_file())
    spoil(left)

    restorer(bucket).restore(version, FOLDER, into)

    assert tree(into) == FILES


def test_a_stop_ends_it_and_nothing_is_lost(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    restoring = restorer(bucket)
    bucket.meanwhile = restoring.budget.halted.set
    with pytest.raises(TryAgain, match="was stopped"):
        restoring.restore(version, FOLDER, into)
    assert not into.exists()

    bucket.meanwhile = lambda: None
    restorer(bucket).restore(version, FOLDER, into)
    assert tree(into) == FILES


def test_what_is_left_of_another_version_is_not_mixed_with_this_one(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    unfinished = tmp_path / "back.unfinished"
    unfinished.mkdir()
    (unfinished / "of").write_text("gs://models/prod/fraud/v9/ 2026\n")

    with pytest.raises(NeedsPerson) as refused:
        restorer(bucket).restore(version, FOLDER, into)
    assert str(refused.value) == (
        f"{unfinished} is what is left of another restore, from 'gs://models/prod/fraud/v9/'; "
        "finish that one, or remove it"
    )


def test_two_do_not_restore_to_one_folder_at_a_time(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    unfinished = tmp_path / "back.unfinished"
    unfinished.mkdir()
    with (unfinished / "of").open("a") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        with pytest.raises(NeedsPerson, match=r"somebody else is just restoring to .*/back; wait for them"):
            restorer(bucket).restore(version, FOLDER, tmp_path / "back")


# refused


def test_a_folder_that_is_not_whole_is_not_restored(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    del bucket.manifests[FOLDER]
    with pytest.raises(NeedsPerson, match=f"{FOLDER} has no manifest, so it is not whole, and nothing is restored"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_version_is_not_restored(bucket: Bucket, tmp_path: Path) -> None:
    version = replace(publish(bucket), digest="another")
    with pytest.raises(NeedsPerson, match=r"and not the bytes that were registered as .*fraud:v0, so nothing is"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(
            lambda path: (path / "sub").mkdir(parents=True), "is not empty, and nothing in it", id="not empty"
        ),
        pytest.param(lambda path: path.write_text("mine"), "is there, and no folder", id="a file"),
        pytest.param(lambda path: path.symlink_to("/tmp"), "is there, and no folder", id="a link"),  # noqa: S108  as an attacker would
        pytest.param(lambda path: path.symlink_to("nowhere"), "is there, and no folder", id="a link to nothing"),
        pytest.param(
            lambda path: path.with_name("back.unfinished").symlink_to("/tmp"),  # noqa: S108  the same
            "is a link, which nothing is written through",
            id="a link beside it",
        ),
        pytest.param(
            lambda path: path.with_name("back.unfinished").write_text("mine"), "File exists", id="a file beside"
        ),
    ],
)
def test_what_is_there_is_not_overwritten(
    bucket: Bucket, tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    version = publish(bucket)
    make(tmp_path / "back")
    before = sorted(tmp_path.iterdir())

    with pytest.raises(NeedsPerson, match=says):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_in_a_folder_that_is_not_there_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    with pytest.raises(NeedsPerson, match=r"the folder .*/absent is not there; make it, or name another one"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "absent" / "back")


def test_a_disk_of_its_own_is_refused(bucket: Bucket) -> None:
    version = publish(bucket)
    disks = [Path(line.split()[1]) for line in Path("/proc/mounts").read_text().splitlines()]
    disk = next(
        (each for each in disks if each.is_dir() and os.access(each, os.R_OK) and not list(each.iterdir())), None
    )
    if disk is None:
        pytest.skip("no disk is empty here")
    with pytest.raises(NeedsPerson, match="is a disk of its own"):
        restorer(bucket).restore(version, FOLDER, disk)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../up", "it has an empty part, '.' or '..'"),
        ("/etc/passwd", "it is empty or absolute"),
        ("a/../../b", "it has an empty part, '.' or '..'"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("..\\up", "climbs with backslashes"),
        (".bridge-manifest.json", "the bridge's own manifest"),
    ],
)
def test_a_name_from_a_manifest_that_leads_elsewhere_is_refused(
    bucket: Bucket, tmp_path: Path, name: str, says: str
) -> None:
    version = publish(bucket)
    manifest = bucket.manifests[FOLDER]
    bucket.manifests[FOLDER] = replace(manifest, files=(replace(manifest.files[0], path=name),))

    with pytest.raises(NeedsPerson, match=says):
        restorer(bucket).restore(version, FOLDER, tmp_path / "inside" / ".." / "back")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_also_a_folder_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket, {"a": b"1", "a/b/c": b"2"})
    with pytest.raises(
        NeedsPerson, match="'a' is a file of this version, and 'a/b/c' lies below it: no disk takes both"
    ):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")


def test_names_that_only_look_alike_are_no_folder_of_one_another() -> None:
    check_names(["a", "a.b/c", "ab/c", "b/a", "b/ab"])


def test_a_link_that_somebody_plants_is_not_written_through(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    bucket.breaks["model.bin"] = 2
    with pytest.raises(TryAgain):
        restorer(bucket).restore(version, FOLDER, into)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "back.unfinished" / "files" / "sub").symlink_to(outside)

    with pytest.raises(NeedsPerson, match=r"files/sub is a link, which the bridge has not made"):
        restorer(bucket).restore(version, FOLDER, into)
    assert list(outside.iterdir()) == []


def test_two_names_that_are_one_on_the_disk_are_refused_and_neither_is_lost(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket, {"a": b"1", "b": b"2"}), tmp_path / "back"

    def plant() -> None:
        there = tmp_path / "back.unfinished" / "files" / "b"
        if not there.exists():
            there.mkdir()

    bucket.meanwhile = plant
    with pytest.raises(NeedsPerson, match="'b' and another file of this version are one and the same on this disk"):
        restorer(bucket).restore(version, FOLDER, into)
    assert not into.exists()


def test_a_name_that_the_disk_does_not_take_is_said(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket, {f"{'x' * 300}.bin": b"1"})
    with pytest.raises(NeedsPerson, match=r"x{300}\.bin' cannot be written: File name too long; mend that, and run it"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")


def test_bytes_that_are_not_the_manifests_are_not_restored_and_say_which(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    bucket.rotten.add(f"{FOLDER}model.bin")

    with pytest.raises(IntegrityError) as refused:
        restorer(bucket).restore(version, FOLDER, into)

    assert str(refused.value).startswith(f"{FOLDER}model.bin: its bytes have the crc32c ")
    assert not into.exists()
    bucket.rotten.clear()
    restorer(bucket).restore(version, FOLDER, into)
    assert tree(into) == FILES


@pytest.mark.parametrize("content", [b"short", LARGE + b"x"])
def test_an_object_of_another_size_is_not_restored(bucket: Bucket, tmp_path: Path, content: bytes) -> None:
    version = publish(bucket)
    bucket.objects[f"{FOLDER}model.bin"] = content
    with pytest.raises(IntegrityError, match=rf"its bytes have the size {len(content)}, and the manifest says"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")


def test_an_object_that_is_gone_is_said(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    del bucket.objects[f"{FOLDER}model.bin"]
    with pytest.raises(NeedsPerson, match=r"model\.bin' is gone, or never was"):
        restorer(bucket).restore(version, FOLDER, tmp_path / "back")


def test_a_disk_that_is_too_small_is_told_before_anything_is_read(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    with pytest.raises(NeedsPerson, match=r"262147 bytes are still to come, and the disk of .* has 262146 left; make"):
        restorer(bucket, free=262_146).restore(version, FOLDER, tmp_path / "back")
    assert bucket.reads == []


def test_what_is_there_already_needs_no_room(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"
    bucket.breaks["model.bin"] = 2
    with pytest.raises(TryAgain):
        restorer(bucket).restore(version, FOLDER, into)

    restorer(bucket, free=262_147 - (2 << 16)).restore(version, FOLDER, into)
    assert tree(into) == FILES


def test_a_disk_that_fills_up_is_told_and_it_goes_on_later(bucket: Bucket, tmp_path: Path) -> None:
    version, into = publish(bucket), tmp_path / "back"

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bucket.meanwhile = full  # stands for the write that fails: a disk cannot be made full here
    with pytest.raises(NeedsPerson, match=r"the disk of .* is full; make room, and run it again: it goes on"):
        restorer(bucket).restore(version, FOLDER, into)

    bucket.meanwhile = lambda: None
    restorer(bucket).restore(version, FOLDER, into)
    assert tree(into) == FILES


def test_many_files_are_restored_by_several_threads_and_no_more(bucket: Bucket, tmp_path: Path) -> None:
    files = {f"f{n:03}": str(n).encode() for n in range(200)}
    version = publish(bucket, files)
    threads: set[int] = set()
    bucket.meanwhile = lambda: threads.add(threading.get_ident())

    restorer(bucket, parallel=64).restore(version, FOLDER, tmp_path / "back")

    assert tree(tmp_path / "back") == files
    assert 1 <= len(threads) <= 8


def test_a_manifest_may_name_a_file_of_any_digests(bucket: Bucket, tmp_path: Path) -> None:
    version = publish(bucket)
    whole: Manifest = bucket.manifests[FOLDER]
    bucket.manifests[FOLDER] = replace(whole, files=tuple(replace(file, md5=None) for file in whole.files))
    restorer(bucket).restore(version, FOLDER, tmp_path / "back")
    assert tree(tmp_path / "back") == FILES


# what a person filled, and the bridge adopted

THEIRS, KEPT = "gs://team/models/july/", "gs://models/prod/fraud/adopted-x/"


def adopted(bucket: Bucket) -> SourceVersion:
    """Have a person fill a folder, and the bridge adopt it."""
    source = MemorySource()
    version = source.publish(PATH, FILES)
    for path, content in FILES.items():
        bucket.place(f"{THEIRS}{path}", content)
    copier_of(source, bucket, FakeClock()).adopt(version, THEIRS, KEPT)
    return version


def test_a_persons_folder_is_restored_by_the_manifest_that_is_kept_of_it(bucket: Bucket, tmp_path: Path) -> None:
    version = adopted(bucket)
    bucket.place(f"{THEIRS}notes.txt", b"of a later day, and of no version")
    before = dict(bucket.objects), dict(bucket.manifests)

    restorer(bucket).restore(version, THEIRS, tmp_path / "back", kept=KEPT)

    assert tree(tmp_path / "back") == FILES
    assert (bucket.objects, bucket.manifests) == before


def test_a_persons_folder_whose_bytes_are_others_by_now_is_not_restored(bucket: Bucket, tmp_path: Path) -> None:
    version = adopted(bucket)
    bucket.place(f"{THEIRS}model.bin", LARGE[::-1])
    with pytest.raises(IntegrityError, match=rf"{THEIRS}model\.bin: its bytes have the .*, and the manifest says"):
        restorer(bucket).restore(version, THEIRS, tmp_path / "back", kept=KEPT)
    assert not (tmp_path / "back").exists()


def test_a_persons_folder_of_which_no_manifest_is_kept_is_not_restored(bucket: Bucket, tmp_path: Path) -> None:
    version = adopted(bucket)
    del bucket.manifests[KEPT]
    with pytest.raises(NeedsPerson, match=f"{KEPT} has no manifest, so it is not whole, and nothing is restored"):
        restorer(bucket).restore(version, THEIRS, tmp_path / "back", kept=KEPT)
