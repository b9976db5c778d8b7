"""Copies inside Google Cloud Storage: compared before, by what the service knows of an object, and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.api_core import exceptions as api

from bridge.copying.gcs.client import MARK, THEIRS, TIMEOUT, translated
from bridge.copying.gcs.objects import changed, gone
from bridge.copying.parallel import stopped
from bridge.core.errors import IntegrityError, NeedsPerson, TryAgain
from bridge.core.model import StoredFile

if TYPE_CHECKING:
    from threading import Event

    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.core.model import ArtifactFile


IDLE = 5  # calls of one rewrite, one after the other, that may come no further


def rewrite(source: storage.Blob, target: storage.Blob, file: ArtifactFile, halted: Event) -> StoredFile:
    """
    Make `target` a copy of `source`, which must be the file: as Storage.rewrite says.

    The generation that was compared is the one that is copied. Metadata (content type, encoding) comes along.
    """
    from_, to = _uri(source), _uri(target)
    with translated(f"{from_!a}", rights=THEIRS):
        try:
            source.reload(timeout=TIMEOUT)
        except api.NotFound as absent:
            raise gone(from_) from absent
    _compare(file, source)
    with translated(to):
        try:
            _copy(source, target, halted)
        except api.PreconditionFailed:
            _accept(source, target)
        except api.NotFound as absent:
            if _is_live(source):
                raise  # so it is the target's bucket
            raise changed(from_) from absent
        else:
            if (target.size, target.crc32c) != (source.size, source.crc32c):
                target.delete(if_generation_match=target.generation, timeout=TIMEOUT)
                raise IntegrityError(
                    f"{to}: the bucket holds other bytes than {from_!a}; the object is removed again",
                    "run the sync again; if it happens again, ask Google",
                )
    return StoredFile(file.path, target.size, target.crc32c, md5=target.md5_hash)


def _compare(file: ArtifactFile, source: storage.Blob) -> None:
    """Make sure that an object is the file, before anything is written."""
    kept = {"size": source.size, "md5": source.md5_hash, "crc32c": source.crc32c}
    promised = {"size": file.size} | ({file.digest.algorithm: file.digest.value} if file.digest else {})
    for what, value in promised.items():
        if kept.get(what) is None:
            raise NeedsPerson(
                f"{file.path!a}: the source promises {what} {value}, and Google Cloud Storage keeps no {what} of "
                f"{_uri(source)!a} to compare it with",
                "write the object again in one piece (a composed one has no MD5), or log the version with its files",
            )
        if kept[what] != value:
            raise IntegrityError(
                f"{file.path!a}: the source promises {what} {value}, and {_uri(source)!a} has {kept[what]}",
                "the version is not registered; log it again, or put the object back as it was",
            )


def _copy(source: storage.Blob, target: storage.Blob, halted: Event) -> None:
    """Ask until it is done, or all is halted: a large object, or one from another place, takes several calls."""
    # What is said of the target takes the place of all that is said of the source, so that is said again.
    for said in ("content_type", "content_encoding", "content_language", "content_disposition", "cache_control"):
        setattr(target, said, getattr(source, said))
    target.metadata = {**(source.metadata or {}), **MARK}
    token, idle, before = None, 0, 0
    while True:
        token, done, _ = target.rewrite(
            source,
            token=token,
            if_generation_match=0,
            if_source_generation_match=source.generation,
            timeout=TIMEOUT,
        )
        if token is None:
            return
        if halted.is_set():
            raise stopped()
        idle, before = (0, done) if done > before else (idle + 1, before)
        if idle == IDLE:
            raise TryAgain(f"{_uri(target)}: Google Cloud Storage comes no further with it than {done} bytes")


def _accept(source: storage.Blob, target: storage.Blob) -> None:
    """Take an object that is already there for the copy if its bytes are: a 412 can come from our own success."""
    try:
        target.reload(timeout=TIMEOUT)
    except api.NotFound as absent:
        if _is_live(source):
            raise TryAgain(f"{_uri(target)} was there, and vanished while it was compared") from absent
        raise changed(_uri(source)) from absent
    same_md5 = None in (source.md5_hash, target.md5_hash) or source.md5_hash == target.md5_hash
    if (target.size, target.crc32c) != (source.size, source.crc32c) or not same_md5:
        raise Taken(_uri(target))


class Taken(NeedsPerson):
    """Another object has the name."""

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"{uri} is already there with other bytes",
            "find out who wrote it; if nobody needs the folder, remove it",
        )


def _is_live(source: storage.Blob) -> bool:
    """Tell whether the generation that was compared is still there."""
    return bool(source.exists(timeout=TIMEOUT))


def _uri(blob: storage.Blob) -> str:
    return f"gs://{blob.bucket.name}/{blob.name}"
