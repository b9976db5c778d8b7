"""What a person reads when a source, or the bucket, gives what it should not; and that nothing of it stays."""

from __future__ import annotations

import json
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bridge.copying.gcs.uploading import BREAKS
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import Digest
from bridge.core.naming import MANIFEST_NAME
from bridge.core.settings import CopySettings
from bridge.net.lines import Lines
from bridge.sandbox.address import BUCKET
from bridge.sandbox.faults import Fault
from bridge.sources.streams import open_url
from bridge.testing.clock import FakeClock
from bridge.testing.source import MemorySource
from bridge.testing.store import MemoryStore
from tests.contracts.buckets import crc32c, md5
from tests.copying.conftest import bucket_at
from tests.readers import copier_of
from tests.sources.servers import Reply, ScriptedServer, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.core.errors import BridgeError
    from bridge.core.model import ArtifactFile, Description, SourceVersion
    from bridge.sandbox.world import World
    from tests.copying.conftest import Bucket, Faults
    from tests.sources.servers import Asked

pytestmark = pytest.mark.sandbox

PATH = "acme_org/wandb-registry-model/fraud"
NAME = "model.bin"
SMALL, LARGE = b"the weights", bytes(range(256)) * 2000
SETTINGS = CopySettings(one_request=64 << 10)
EVER = datetime.max.replace(tzinfo=UTC)
SIZES = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
ALGORITHMS = pytest.mark.parametrize("algorithm", ["md5", "xxh128", "crc32c", None])


class Source(MemorySource):
    """A source that keeps any digests, breaks, or is read over HTTP."""

    def __init__(self) -> None:
        super().__init__()
        self.digests: dict[str, Digest] = {}  # path -> what it keeps, instead of what is right
        self.break_at: int | None = None  # bytes, of the next file that is opened
        self.url: Callable[[bool], str] | None = None
        self.lines = Lines()

    def describe(self, version: SourceVersion) -> Description:
        described = super().describe(version)
        files = (replace(file, digest=self.digests.get(file.path, file.digest)) for file in described.files)
        return replace(described, files=tuple(files))

    @contextmanager
    def open(self, version: SourceVersion, file: ArtifactFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        if self.url is not None:
            what, checked = f"{file.path!a} of {version}", file.digest is not None
            with open_url(self.lines, self.url, what, start, checked=checked) as pieces:
                yield pieces
        else:
            with super().open(version, file, start) as pieces:
                yield self._until_it_breaks(pieces)

    def _until_it_breaks(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        at, end = 0, self.break_at
        for piece in pieces:
            if end is not None and at >= end:
                self.break_at = None
                raise TryAgain("the source went away")
            at += len(piece)
            yield piece


class Case:
    """A source, and an empty folder to copy to; each copy is by a process of its own."""

    def __init__(self, folder: str, world: World, bucket: Bucket) -> None:
        self.source = Source()
        self.store = MemoryStore()
        self.folder = folder
        self.world = world
        self.bucket = bucket

    def publish(self, content: bytes, algorithm: str | None = "md5") -> SourceVersion:
        if algorithm == "crc32c":
            self.source.digests[NAME] = Digest("crc32c", crc32c(content))
            algorithm = None
        return self.source.publish(PATH, {NAME: content}, algorithm=algorithm)  # type: ignore[arg-type]  # one of its words

    def copy(self, version: SourceVersion) -> None:
        with closing(bucket_at(self.world.gcs.url, self.store, SETTINGS)) as there:
            copier_of(self.source, there, FakeClock(), SETTINGS, store=self.store).copy(version, self.folder)

    def refuse(self, version: SourceVersion, as_: type[BridgeError], *, leaves: tuple[str, ...] = ()) -> str:
        """See that a copy is refused and leaves nothing, but objects that were there; return what a person reads."""
        with pytest.raises(as_) as raised:
            self.copy(version)
        assert isinstance(raised.value, IntegrityError) == issubclass(as_, IntegrityError)
        assert self.names() == list(leaves)
        assert [upload for upload in self.store.uploads(EVER) if upload.kind != "folder"] == []
        assert not self.store.contents(
            BUCKET, [(Digest("md5", md5(content)), len(content)) for content in (SMALL, LARGE)]
        )
        return str(raised.value)

    def check(self, content: bytes) -> None:
        """See that the folder is whole, and holds that content."""
        assert self.names() == [MANIFEST_NAME, NAME]
        assert self.bucket.read(self.folder + NAME) == content
        assert [upload for upload in self.store.uploads(EVER) if upload.uri.startswith(self.folder)] == []

    def names(self) -> list[str]:
        prefix = self.folder.removeprefix(f"gs://{BUCKET}/")
        return [name.removeprefix(prefix) for name in self.world.gcs.object_names(BUCKET, prefix)]


@pytest.fixture
def case(folder: str, world: World, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """Make a case, and see afterwards that no file and no thread is left."""
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    made = Case(folder, world, bucket)
    with closing(made.source.lines):
        yield made
    assert [*here.iterdir(), *temporary.iterdir()] == []
    assert [thread for thread in threading.enumerate() if thread.name.startswith(("copy-", "part_"))] == []


def changed(content: bytes, at: int = 100_000) -> bytes:
    """Flip a bit."""
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


# bytes that are not the file's


@SIZES
@ALGORITHMS
def test_fewer_bytes_than_promised(case: Case, content: bytes, algorithm: str | None) -> None:
    version = case.publish(content, algorithm)
    case.source.serve(version, NAME, content[:-1])

    assert case.refuse(version, IntegrityError) == (
        f"'model.bin': the source promises {len(content)} bytes, and its bytes have {len(content) - 1}; "
        "the version is not registered; log it again, or look at the source's storage"
    )
    case.source.serve(version, NAME, content)
    case.copy(version)
    case.check(content)


@SIZES
@ALGORITHMS
def test_more_bytes_than_promised(case: Case, content: bytes, algorithm: str | None) -> None:
    version = case.publish(content, algorithm)
    case.source.serve(version, NAME, content + b"!")

    assert case.refuse(version, IntegrityError) == (
        f"'model.bin': the source promises {len(content)} bytes, and its bytes have more than {len(content)}; "
        "the version is not registered; log it again, or look at the source's storage"
    )
    case.source.serve(version, NAME, content)
    case.copy(version)
    case.check(content)


@SIZES
@pytest.mark.parametrize("algorithm", ["md5", "xxh128", "crc32c"])
def test_a_corrupted_byte(case: Case, content: bytes, algorithm: str) -> None:
    version = case.publish(content, algorithm)
    case.source.serve(version, NAME, changed(content))
    [file] = case.source.describe(version).files
    assert file.digest is not None

    said = case.refuse(version, IntegrityError)

    if algorithm == "md5" and content is LARGE:  # which the bucket alone has taken
        assert f"the bytes that arrived do not have the md5 {file.digest.value} that the source promises; " in said
    else:
        assert f"'model.bin': the source promises {algorithm} {file.digest.value}, and its bytes have " in said
    case.source.serve(version, NAME, content)
    case.copy(version)
    case.check(content)


@SIZES
def test_a_corrupted_byte_of_a_file_without_digest_cannot_be_told(case: Case, content: bytes) -> None:
    version = case.publish(content, None)
    case.source.serve(version, NAME, changed(content))

    case.copy(version)

    case.check(changed(content))


# addresses that expire


def expiring(content: bytes, cut: int, *, renews: bool) -> Callable[[Asked], Reply]:
    """Serve half of a file; then only under an address that is new, if that."""
    whole = serving(content, cut)

    def script(asked: Asked) -> Reply:
        if asked.start and (not renews or "signature=1" in asked.path):
            return Reply(403, b"<Code>ExpiredToken</Code>")
        return replace(whole(asked), headers={"ETag": '"v1"'})

    return script


def numbered(server: ScriptedServer) -> Callable[[bool], str]:
    """Give addresses, another one each time that one is to be renewed."""
    issued = [1]

    def url(renew: bool) -> str:  # noqa: FBT001  the shape that open_url asks for
        if renew:
            issued.append(len(issued) + 1)
        return f"{server.url}/model.bin?signature={issued[-1]}"

    return url


@SIZES
@ALGORITHMS
def test_an_address_that_expires_half_way_is_renewed(case: Case, content: bytes, algorithm: str | None) -> None:
    version = case.publish(content, algorithm)
    with ScriptedServer(expiring(content, len(content) // 2, renews=True)) as server:
        case.source.url = numbered(server)
        case.copy(version)

    case.check(content)
    assert [(asked.path[-1], asked.start) for asked in server.asked] == [
        ("1", 0),
        ("1", len(content) // 2),
        ("2", len(content) // 2),
    ]


def test_an_address_that_expires_and_is_not_renewed(case: Case) -> None:
    version = case.publish(SMALL)
    with ScriptedServer(expiring(SMALL, 5, renews=False)) as server:
        case.source.url = numbered(server)

        assert case.refuse(version, NeedsPerson) == (
            f"'model.bin' of {version} may not be read, even with a new URL (HTTP 403); "
            "give the connection's account the right to download artifacts"
        )
    case.source.url = None
    case.copy(version)
    case.check(SMALL)


def test_what_came_before_an_address_expired_is_not_sent_again(case: Case, world: World) -> None:
    version = case.publish(LARGE)
    with ScriptedServer(expiring(LARGE, 300_000, renews=False)) as server:
        case.source.url = numbered(server)
        with pytest.raises(NeedsPerson, match="even with a new URL"):
            case.copy(version)
    assert case.names() == []
    world.traffic.reset()

    with ScriptedServer(serving(LARGE)) as server:
        case.source.url = numbered(server)
        case.copy(version)

    case.check(LARGE)
    assert "resumable.start" not in {call.method for call in world.traffic.counts()}
    assert [asked.start > 0 for asked in server.asked] == [True]


# a bucket that says no


@SIZES
@pytest.mark.parametrize("theirs", [b"somebody else's", None], ids=["of another size", "of the same size"])
@pytest.mark.parametrize("meanwhile", [False, True], ids=["before", "meanwhile"])
def test_a_name_that_somebody_else_has_taken(
    case: Case, content: bytes, theirs: bytes | None, *, meanwhile: bool
) -> None:
    version, uri = case.publish(content), case.folder + NAME
    theirs = theirs or changed(content)
    write = partial(case.bucket.write, uri, theirs)
    if meanwhile:
        case.source.meanwhile = write
    else:
        write()

    assert case.refuse(version, NeedsPerson, leaves=(NAME,)) == (
        f"{uri} is already there with other bytes; find out who wrote it; if nobody needs the folder, remove it"
    )
    assert case.bucket.read(uri) == theirs
    case.source.meanwhile = lambda: None
    case.bucket.delete(uri)
    case.copy(version)
    case.check(content)


@SIZES
def test_a_bucket_that_is_missing(case: Case, content: bytes) -> None:
    version = case.publish(content)
    here, case.folder = case.folder, "gs://no-such-bucket-anywhere/models/"

    said = case.refuse(version, NeedsPerson)

    assert said.endswith("the bucket does not exist; create it, or mend 'bucket' of the connection")
    case.folder = here
    case.copy(version)
    case.check(content)


UPLOADS = {"small": "uploadType=multipart", "large": "uploadType=resumable"}


@pytest.mark.parametrize("query", ["", *UPLOADS.values()], ids=["anything", *UPLOADS])
@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "forbidden",
            "refuses access (HTTP 403); give the bridge's account the role roles/storage.objectAdmin on the bucket",
        ),
        (
            "quotaExceeded",
            "is used up (HTTP 403); ask Google for a larger one, or sync again when it is renewed",
        ),
    ],
)
def test_a_bucket_that_forbids(case: Case, faults: Faults, query: str, reason: str, told: str) -> None:
    content = LARGE if query == UPLOADS["large"] else SMALL
    version = case.publish(content)
    faults.answer(403, query=query, body=refusal(403, reason))

    assert case.refuse(version, NeedsPerson).endswith(told)
    faults.answer(403, times=0)
    case.copy(version)
    case.check(content)


@pytest.mark.parametrize("query", ["", *UPLOADS.values()], ids=["anything", *UPLOADS])
@pytest.mark.parametrize(
    ("status", "reason"), [(429, "rateLimitExceeded"), (403, "rateLimitExceeded"), (403, "userRateLimitExceeded")]
)
def test_a_bucket_that_has_had_too_many_requests(
    case: Case, faults: Faults, query: str, status: int, reason: str
) -> None:
    content = LARGE if query == UPLOADS["large"] else SMALL
    version = case.publish(content)
    faults.answer(status, query=query, body=refusal(status, reason))

    assert case.refuse(version, TryAgain).startswith("gs://")
    faults.answer(status, times=0)
    case.copy(version)
    case.check(content)


def test_a_bucket_that_is_full_in_the_middle_keeps_what_was_begun(case: Case, world: World) -> None:
    content = LARGE[: 20 << 10]  # little, so that all of it is taken before the answer comes
    version, settings = case.publish(content), CopySettings(one_request=16 << 10)

    def copy() -> None:
        with closing(bucket_at(world.gcs.url, case.store, settings)) as there:
            copier_of(case.source, there, FakeClock(), settings, store=case.store).copy(version, case.folder)

    world.traffic.faults.arm(Fault("gcs", "status", "resumable.put", status=403))
    with pytest.raises(NeedsPerson, match=r"refuses access \(HTTP 403\)"):
        copy()
    world.traffic.reset()

    copy()

    case.check(content)
    assert "resumable.start" not in {call.method for call in world.traffic.counts()}


def test_a_bucket_that_is_unwell_in_the_middle_is_given_the_time_that_it_asks_for(
    world: World, folder: str, case: Case
) -> None:
    clock, version = FakeClock(), case.publish(LARGE)
    began = clock.now()
    world.traffic.faults.arm(Fault("gcs", "status", "resumable.put", status=503, retry_after=5, count=None))
    with (
        closing(bucket_at(world.gcs.url, case.store, SETTINGS, clock)) as there,
        pytest.raises(TryAgain, match="the bucket does not get beyond 0 of"),
    ):
        copier_of(case.source, there, clock, SETTINGS, store=case.store).copy(version, folder)
    world.traffic.faults.disarm()

    assert (clock.now() - began).total_seconds() >= BREAKS * 5
    case.copy(version)
    case.check(LARGE)


def refusal(status: int, reason: str) -> bytes:
    """Spell a refusal as the service does (cloud.google.com/storage/docs/json_api/v1/status-codes)."""
    said = {"domain": "usageLimits", "reason": reason, "message": "s3cret words"}
    return json.dumps({"error": {"code": status, "message": "s3cret words", "errors": [said]}}).encode()


# a file that changes while it is read


def changing(before: bytes, after: bytes, *, has_etag: bool) -> Callable[[Asked], Reply]:
    """Serve half of one content, and then another one under the same address."""
    contents = [(before, '"1"', len(before) // 2)]

    def script(asked: Asked) -> Reply:
        content, etag, cut = contents.pop() if contents else (after, '"2"', None)
        headers = {"ETag": etag} if has_etag else {}
        if not asked.start or asked.headers.get("if-range", etag) != etag:
            return Reply(200, content, headers, cut)
        return Reply(206, content[asked.start :], headers, cut)

    return script


@SIZES
@ALGORITHMS
def test_a_file_that_changes_while_it_is_read_and_has_an_etag(
    case: Case, content: bytes, algorithm: str | None
) -> None:
    version = case.publish(content, algorithm)
    with ScriptedServer(changing(content, changed(content, 0), has_etag=True)) as server:
        case.source.url = numbered(server)
        with pytest.raises(TryAgain) as raised:
            case.copy(version)

    assert str(raised.value) == f"'model.bin' of {version} changed while it was read"
    assert case.names() == []
    case.source.url = None
    case.copy(version)
    case.check(content)


@SIZES
@pytest.mark.parametrize("algorithm", ["md5", "xxh128", "crc32c"])
def test_a_file_that_changes_while_it_is_read_and_has_no_etag(case: Case, content: bytes, algorithm: str) -> None:
    version = case.publish(content, algorithm)
    with ScriptedServer(changing(content, changed(content, -1), has_etag=False)) as server:
        case.source.url = numbered(server)
        assert "that the source promises" in (said := case.refuse(version, IntegrityError)) or "and its bytes" in said

    case.source.url = None
    case.copy(version)
    case.check(content)


@pytest.mark.parametrize(
    ("algorithm", "at", "told"),
    [
        ("md5", -10, "the bucket refused it, since the bytes that arrived do not have the md5 "),
        ("xxh128", -10, "'model.bin': the source promises xxh128 "),
        ("xxh128", 10, "'model.bin': the source promises xxh128 "),
        (None, 10, "the bucket holds other bytes than were sent; the object is removed again; run the sync again"),
    ],
)
def test_a_file_that_changes_between_two_attempts(
    case: Case, algorithm: str | None, at: int, told: str, world: World
) -> None:
    version = case.publish(LARGE, algorithm)
    case.source.break_at = len(LARGE) // 2
    with pytest.raises(TryAgain, match="the source went away"):
        case.copy(version)
    case.source.serve(version, NAME, changed(LARGE, at))
    world.traffic.reset()

    assert told in case.refuse(version, IntegrityError)

    assert "resumable.start" not in {call.method for call in world.traffic.counts()}  # it went on with half of it
    now = LARGE if algorithm else changed(LARGE, at)
    case.source.serve(version, NAME, now)
    case.copy(version)
    case.check(now)


def test_a_file_without_digest_that_changed_after_it_had_arrived_is_brought_again(case: Case) -> None:
    version = case.source.publish(PATH, {"a.bin": SMALL, NAME: LARGE}, algorithm=None)
    case.source.break_at = len(LARGE) // 2
    with pytest.raises(TryAgain, match="the source went away"):
        case.copy(version)
    assert case.bucket.read(f"{case.folder}a.bin") == SMALL
    case.source.serve(version, "a.bin", changed(SMALL))

    with pytest.raises(TryAgain, match=r"a\.bin was brought by an earlier copy, and has changed at the source since"):
        case.copy(version)
    case.copy(version)

    assert case.bucket.read(f"{case.folder}a.bin") == changed(SMALL)
    assert case.names() == [MANIFEST_NAME, "a.bin", NAME]
