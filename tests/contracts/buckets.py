"""A bucket per end, an empty folder in it, and what lies there, seen behind the port's back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import google_crc32c
import pytest
import xxhash

from bridge.copying.budget import Budget
from bridge.copying.gcs import GcsStorage
from bridge.copying.gcs.placing import RIGHTS
from bridge.run.clock import SystemClock
from bridge.sandbox.address import BUCKET, PROJECT
from bridge.sandbox.faults import Fault
from bridge.testing.storage import MemoryStorage
from bridge.testing.store import MemoryStore
from tests.contracts.ends import over, setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from bridge.sandbox.world import World

ABSENT = "bridge-contracts-no-such-bucket"


@dataclass
class Place:
    """A folder in a bucket; `read` and `write` take an object's path in it. `write` overwrites, as others may."""

    storage: MemoryStorage | GcsStorage  # both the Storage and the ObjectStore port
    folder: str
    read: Callable[[str], bytes | None]
    write: Callable[[str, bytes], None]
    compose: Callable[[str, bytes], None]  # write an object that is composed of others, and so has no MD5
    deny: Callable[[], AbstractContextManager[None]]  # refuse access to the bucket meanwhile
    rot: Callable[[str], object]  # change a stored byte; size and digests stay what they were


def bucket_of(project: str, endpoint: str | None = None) -> GcsStorage:
    clock = SystemClock()
    return GcsStorage(project, endpoint, clock=clock, uploads=MemoryStore(), budget=Budget(clock))


def memory(_request: pytest.FixtureRequest, folder: str) -> Iterator[Place]:
    bucket = MemoryStorage()
    bucket.absent.add(ABSENT)
    uri = f"gs://models/{folder}/"

    @contextlib.contextmanager
    def deny() -> Iterator[None]:
        bucket.closed.add("models")
        yield
        bucket.closed.clear()

    yield Place(
        bucket,
        uri,
        lambda path: bucket.objects.get(uri + path),
        lambda path, content: bucket.place(uri + path, content),
        lambda path, content: bucket.place(uri + path, content, composed=True),
        deny,
        lambda path: bucket.rotten.add(uri + path),
    )


def sandbox(request: pytest.FixtureRequest, folder: str) -> Iterator[Place]:
    world: World = request.getfixturevalue("world")

    @contextlib.contextmanager
    def deny() -> Iterator[None]:
        # All methods but one: whoever may do nothing may still ask buckets.testIamPermissions what he may do.
        number = world.traffic.faults.arm(Fault("gcs", "status", "*[!s]", status=403, count=None))
        world.gcs.service.withheld = frozenset(RIGHTS)
        try:
            yield
        finally:
            world.gcs.service.withheld = frozenset()
            world.traffic.faults.disarm(number)

    with contextlib.closing(bucket_of(PROJECT, world.gcs.url)) as bucket:
        yield _behind(bucket, BUCKET, folder, deny, lambda path: world.gcs.corrupt_object(BUCKET, f"{folder}/{path}"))


def live(_request: pytest.FixtureRequest, folder: str) -> Iterator[Place]:
    name = setting("BRIDGE_LIVE_BUCKET")
    with contextlib.closing(bucket_of(setting("BRIDGE_LIVE_PROJECT"))) as bucket:
        try:
            yield _behind(bucket, name, f"bridge-contracts/{folder}", _cannot, _cannot)
        finally:
            for blob in bucket._client.list_blobs(name, prefix=f"bridge-contracts/{folder}/"):  # noqa: SLF001  cleans up
                blob.delete()


MAKES = over(memory, sandbox, live)


def _cannot(*_: object) -> NoReturn:
    pytest.skip("rights are not taken away, nor stored bytes changed, in a real project")


def _behind(
    bucket: GcsStorage,
    name: str,
    folder: str,
    deny: Callable[[], AbstractContextManager[None]],
    rot: Callable[[str], object],
) -> Place:
    client = bucket._client  # noqa: SLF001  the port has no way to look at an object

    def read(path: str) -> bytes | None:
        blob = client.bucket(name).get_blob(f"{folder}/{path}")
        return bytes(blob.download_as_bytes()) if blob else None

    def write(path: str, content: bytes) -> None:
        client.bucket(name).blob(f"{folder}/{path}").upload_from_string(content)

    def compose(path: str, content: bytes) -> None:
        whole = client.bucket(name).blob(f"{folder}/{path}")
        parts = [client.bucket(name).blob(f"{folder}/{path}.{half}") for half in (0, 1)]
        for part, half in zip(parts, (content[:3], content[3:]), strict=True):
            part.upload_from_string(half)
        whole.compose(parts)
        for part in parts:
            part.delete()

    return Place(bucket, f"gs://{name}/{folder}/", read, write, compose, deny, rot)


def md5(content: bytes) -> str:
    return _base64(hashlib.md5(content, usedforsecurity=False).digest())


def sha256(content: bytes) -> str:
    return _base64(hashlib.sha256(content).digest())


def xxh128(content: bytes) -> str:
    return _base64(xxhash.xxh128(content).digest())


def crc32c(content: bytes) -> str:
    return _base64(google_crc32c.value(content).to_bytes(4, "big"))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
