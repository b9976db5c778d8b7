"""
Everything that can go wrong, with every request that the engine makes.

A scene is a copy that makes some of these requests, the same ones each time. In a cell of the matrix one of them
suffers a fault, once or until it is lifted. Then the folder is whole and right, or has no manifest and the error says
so; and with the fault lifted, another process makes it whole and leaves nothing else behind.
"""

from __future__ import annotations

import gc
import logging
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs import objects, parts, rewriting, storage, uploading
from bridge.copying.manifests import read_manifest
from bridge.core.errors import NeedsPerson, TryAgain
from bridge.core.naming import MANIFEST_NAME
from bridge.core.settings import CopySettings
from bridge.net import lines
from bridge.net.lines import Lines
from bridge.sandbox.address import BUCKET
from bridge.sandbox.faults import EVERYWHERE, Fault, Faults, Kind
from bridge.sandbox.gcs import routes_xml
from bridge.testing.clock import FakeClock
from bridge.testing.store import MemoryStore
from tests.contracts.buckets import crc32c
from tests.copying.conftest import bucket_at
from tests.copying.shelf import ShelfSource, shelf
from tests.readers import copier_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark import ParameterSet

    from bridge.core.records import Upload
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket

pytestmark = pytest.mark.sandbox

PATH = "acme_org/wandb-registry-model/fraud"
SMALL = {"config.json": b'{"threshold": 0.5}'}
LARGE = {"model.bin": bytes(range(256)) * 1200}
STREAMED = CopySettings(parallel_files=1, one_request=64 << 10)
LONG_MANIFEST = replace(STREAMED, one_request=64)
PARTED = replace(STREAMED, parts_above=128 << 10, slow_stream=1 << 60)
PART = 256 << 10  # bytes; the smallest that settings, and the service, allow would take most of the time of all this
SILENCE = 0.2  # seconds that are waited for a server that says nothing
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Strike:
    """A fault that the n-th request of a kind suffers; if it `lasts`, all that follow too."""

    method: str
    number: int
    kind: Kind
    status: int = 503
    seconds: float = 0
    lasts: bool = False


class Striking(Faults):
    """Faults by number instead of by chance; keeps what the engine asked for."""

    def __init__(self, *strikes: Strike) -> None:
        super().__init__()
        self._strikes = strikes
        self.asked: Counter[str] = Counter()

    def strike(self, service: str, method: str) -> Fault | None:
        if method == "telemetry":  # of W&B's own process, which an earlier test started
            return None
        with self._lock:
            self.asked[method] += 1
            number = self.asked[method]
        for each in self._strikes:
            if each.method == method and (number == each.number or (each.lasts and number > each.number)):
                return Fault(service, each.kind, status=each.status, seconds=each.seconds)
        return None


@dataclass(frozen=True)
class Scene:
    """A copy, and what it asks for; the requests that are struck in this scene and in no other have a "!"."""

    files: dict[str, bytes]
    asks: str
    settings: CopySettings = STREAMED
    first: tuple[Strike, ...] = ()  # a fault that leads to the requests that are meant
    before: tuple[Strike, ...] = ()  # what ended a copy before this one
    lies_in_the_bucket: bool = False  # elsewhere, and the source says where

    @property
    def meant(self) -> Iterator[tuple[str, int]]:
        """The requests to strike, each with its number."""
        seen: Counter[str] = Counter()
        for word in self.asks.split():
            method = word.removesuffix("!")
            seen[method] += 1
            if word != method:
                yield method, seen[method]


SCENES = {
    "small": Scene(SMALL, "objects.get! objects.list! files.get! objects.insert! objects.insert!"),
    "small, the answer lost": Scene(
        SMALL,
        "objects.get objects.list files.get objects.insert objects.insert! objects.get! objects.insert",
        first=(Strike("objects.insert", 1, "timeout_after"),),
    ),
    "the manifest's answer lost": Scene(
        SMALL,
        "objects.get objects.list files.get objects.insert objects.insert objects.insert! objects.get!",
        first=(Strike("objects.insert", 2, "timeout_after"),),
    ),
    "a large manifest": Scene(
        SMALL,
        "objects.get objects.list files.get objects.insert resumable.start! resumable.put!",
        settings=LONG_MANIFEST,
    ),
    "a large manifest, gone on with": Scene(
        SMALL,
        "objects.get objects.list resumable.status! resumable.put!",
        settings=LONG_MANIFEST,
        before=(Strike("resumable.put", 1, "half_body"), Strike("resumable.status", 1, "reset", lasts=True)),
    ),
    "large": Scene(LARGE, "objects.get objects.list resumable.start! files.get! resumable.put! objects.insert"),
    "large, the source breaks": Scene(
        LARGE,
        "objects.get objects.list resumable.start files.get files.get! resumable.put objects.insert",
        first=(Strike("files.get", 1, "half_body"),),
    ),
    "large, the sending breaks": Scene(
        LARGE,
        "objects.get objects.list resumable.start files.get resumable.put resumable.status! files.get! resumable.put! "
        "objects.insert",
        first=(Strike("resumable.put", 1, "half_body"),),
    ),
    "large, gone on with": Scene(
        LARGE,
        "objects.get objects.list resumable.status! files.get! resumable.put! objects.insert",
        before=(Strike("resumable.put", 1, "half_body"), Strike("resumable.status", 1, "reset", lasts=True)),
    ),
    "in the bucket": Scene(
        SMALL, "objects.get objects.list objects.get! objects.rewrite! objects.insert", lies_in_the_bucket=True
    ),
    "in the bucket, the answer lost": Scene(
        SMALL,
        "objects.get objects.list objects.get objects.rewrite objects.rewrite! objects.get! objects.insert",
        first=(Strike("objects.rewrite", 1, "timeout_after"),),
        lies_in_the_bucket=True,
    ),
    "parts": Scene(
        LARGE,
        "objects.get objects.list resumable.start files.get resumable.put resumable.cancel! "
        "multipart.start! objects.get! files.get! multipart.put! multipart.put! multipart.complete! objects.get! "
        "objects.get! objects.rewrite! multipart.abort! objects.get! objects.delete! objects.insert",
        settings=PARTED,
    ),
    "parts, gone on with": Scene(
        LARGE,
        "objects.get objects.list multipart.list! objects.get files.get! multipart.put! multipart.complete objects.get "
        "objects.get objects.rewrite multipart.abort objects.get objects.delete objects.insert",
        settings=PARTED,
        before=(Strike("multipart.put", 2, "reset", lasts=True),),
    ),
}

ONCE: list[tuple[Kind, int]] = [("status", status) for status in (401, 403, 408, 429, 500, 503)]
ONCE += [(kind, 0) for kind in sorted(EVERYWHERE - {"status", "stale_list"})]
LASTING: list[tuple[Kind, int]] = [
    ("status", 401),
    ("status", 503),
    ("reset", 0),
    ("half_body", 0),
    ("corrupt_byte", 0),
]
SECONDS: dict[Kind, float] = {"timeout_before": 60, "timeout_after": 60, "slow": 0.001}  # 60: longer than SILENCE


# google-auth does not close what was answered by 401 to a request without credentials, and read as a stream.
LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def cells() -> Iterator[ParameterSet]:
    """Every request that is meant, with every fault."""
    for name, scene in SCENES.items():
        for method, number in scene.meant:
            endless: list[tuple[Kind, int]] = [("operation_never_ends", 0)] if method == "objects.rewrite" else []
            for kinds, lasts in ((ONCE, False), (LASTING, True)):
                for kind, status in [*kinds, *endless]:
                    strike = Strike(method, number, kind, status or 503, SECONDS.get(kind, 0), lasts)
                    how = f"{kind} {status or ''}{' for ever' if lasts else ''}"
                    marks = [LEFT_OPEN] if (method, status) == ("objects.get", 401) else []
                    yield pytest.param(name, strike, id=f"{name}: {method} {number}: {how}", marks=marks)


class Remembering(MemoryStore):
    """A store that remembers what of an upload's address is secret."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def save_upload(self, upload: Upload) -> None:
        if upload.address:
            self.secrets.add(upload.address.rpartition("=")[2])
        super().save_upload(upload)


class Stage:
    """Where a scene is played, and what lies there afterwards."""

    def __init__(self, scene: Scene, source: ShelfSource, folder: str, world: World, bucket: Bucket) -> None:
        self.store = Remembering()  # outlives each copy, which is by another process each time
        self._scene = scene
        self._source = source
        self._folder = folder
        self._world = world
        self._bucket = bucket
        self._version = source.publish(PATH, scene.files)
        self._prefix = folder.removeprefix(f"gs://{BUCKET}/")
        if scene.lies_in_the_bucket:
            for path, content in scene.files.items():
                source.located[path] = f"{folder[:-1]}-theirs/{path}"
                bucket.write(source.located[path], content)

    def copy(self, *strikes: Strike, settings: CopySettings | None = None) -> Counter[str]:
        """Copy; return what was asked for. Raises as the engine does."""
        settings = settings or self._scene.settings
        striking = Striking(*strikes)
        there = bucket_at(self._world.gcs.url, self.store, settings)
        with pytest.MonkeyPatch.context() as patch, closing(there), closing(Lines()) as self._source.lines:
            patch.setattr(self._world.traffic, "faults", striking)
            patch.setattr(uploading, "UNTIMED", 0)
            patch.setattr(uploading, "TRIAL", 1)  # so one piece shows that a stream is slow
            patch.setattr(parts, "part_size", lambda *_: PART)
            patch.setattr(routes_xml, "SMALLEST_PART", PART)
            if any(strike.seconds >= 1 for strike in strikes):
                patch.setattr(lines, "WAIT", SILENCE)
                for module in (objects, rewriting, storage):
                    patch.setattr(module, "TIMEOUT", SILENCE)
            copier = copier_of(self._source, there, FakeClock(), settings, store=self.store)
            copier.copy(self._version, self._folder)
        return striking.asked

    def has_manifest(self) -> bool:
        return MANIFEST_NAME in self._names()

    def check(self) -> None:
        """See that all is there and right, and nothing else."""
        files = self._scene.files
        assert self._names() == sorted([*files, MANIFEST_NAME])
        assert {path: self._bucket.read(self._folder + path) for path in files} == files
        manifest = read_manifest(iter([self._bucket.read(self._folder + MANIFEST_NAME)]))
        assert [(file.path, file.size, file.crc32c) for file in manifest.files] == [
            (path, len(content), crc32c(content)) for path, content in sorted(files.items())
        ]

    def unfinished(self) -> list[object]:
        """Return the uploads that are open, as the store and the bucket know them, and what has a temporary name."""
        gcs, temporary = self._world.gcs, f"{self._prefix[:-1]}.unfinished/"  # beside the folder
        return [
            *self.store.uploads(EVER),
            *gcs.unfinished(BUCKET, self._prefix),
            *gcs.unfinished(BUCKET, temporary),
            *gcs.object_names(BUCKET, temporary),
        ]

    def _names(self) -> list[str]:
        return [name.removeprefix(self._prefix) for name in self._world.gcs.object_names(BUCKET, self._prefix)]


@pytest.fixture(scope="module")
def shelves(world: World) -> Iterator[str]:
    with shelf({**SMALL, **LARGE}, world.traffic) as url:
        yield url


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Scene:
    return SCENES[request.param]


@pytest.fixture
def stage(scene: Scene, shelves: str, folder: str, world: World, bucket: Bucket) -> Stage:
    made = Stage(scene, ShelfSource(shelves), folder, world, bucket)
    if scene.before:
        with pytest.raises(TryAgain):
            made.copy(*scene.before)
    return made


@pytest.mark.parametrize("scene", SCENES, indirect=True)
def test_a_scene_asks_for_what_it_is_said_to_ask_for(scene: Scene, stage: Stage) -> None:
    assert stage.copy(*scene.first) == Counter(word.removesuffix("!") for word in scene.asks.split())
    stage.check()
    assert stage.unfinished() == []


@pytest.mark.parametrize(("scene", "strike"), list(cells()), indirect=["scene"])
def test_a_fault_ends_in_a_whole_folder_or_in_none(
    scene: Scene, stage: Stage, strike: Strike, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = ""
    try:
        stage.copy(*scene.first, strike)
    except (NeedsPerson, TryAgain) as problem:
        said = "".join(traceback.format_exception(problem))
    if strike.status == HTTPStatus.UNAUTHORIZED:
        gc.collect()  # so that what is left open is noticed here
    if not said or stage.has_manifest():  # the answer to the manifest itself may have been lost
        stage.check()

    stage.copy()
    stage.check()
    if strike.method != "multipart.start":  # whose lost answer nobody but the bucket knows of
        assert stage.unfinished() == []
    told = said + "".join(entry.getMessage() for entry in caplog.records if not entry.name.startswith("uvicorn"))
    assert [secret for secret in stage.store.secrets if secret in told] == []


@pytest.mark.parametrize("scene", ["parts, gone on with"], indirect=True)
def test_parts_that_the_settings_no_longer_want_are_removed(stage: Stage) -> None:
    assert stage.copy(settings=STREAMED)["multipart.abort"] == 1

    stage.check()
    assert stage.unfinished() == []
