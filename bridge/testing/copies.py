"""What a store in memory keeps of copies."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bridge.core.records import STALE, Upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from bridge.core.model import Digest
    from bridge.core.records import Content, UploadKind


class MemoryCopies:
    """The Uploads and Contents ports in dicts. Safe from several threads."""

    lasting = True

    def __init__(self) -> None:
        self._lock: AbstractContextManager[object] = threading.Lock()
        self._uploads: dict[str, Upload] = {}  # by URI
        self._contents: dict[tuple[str, Digest, int], Content] = {}  # by bucket, digest and size

    # uploads
    def upload(self, uri: str) -> Upload | None:
        """Return the upload of the object with that URI, if there is one."""
        with self._lock:
            return self._uploads.get(uri)

    def save_upload(self, upload: Upload) -> None:
        """Remember an upload, in place of one of the same URI."""
        utc(upload.begun)
        with self._lock:
            self._uploads[upload.uri] = upload

    def forget_upload(self, uri: str) -> None:
        """Forget an upload."""
        with self._lock:
            self._uploads.pop(uri, None)

    def uploads(self, before: datetime) -> tuple[Upload, ...]:
        """Return what was begun before that time, oldest first."""
        with self._lock:
            found = tuple(self._uploads.values())
        return tuple(sorted((each for each in found if _begun(each) < before), key=_begun))

    def begin_removal(self, folder: str, at: datetime) -> None:
        """Begin to remove a folder, or go on with it."""
        with self._lock:
            self._uploads[folder] = Upload(folder, "", "removal", 0, None, utc(at))

    def enter(self, folder: str, at: datetime) -> bool:
        """Begin the copy to a folder, unless somebody is removing it."""
        with self._lock:
            there = self._uploads.get(folder)
            if there is not None and there.kind == "removal" and _begun(there) > at - STALE:
                return False
            self._uploads[folder] = Upload(folder, "", "folder", 0, None, utc(at))
            return True

    def stay(self, folder: str, since: datetime, at: datetime) -> bool:
        """Say that a copy goes on."""
        return self._take(folder, utc(since), "folder", at)

    def claim(self, upload: Upload, at: datetime) -> bool:
        """Take what is left of an upload for removal."""
        return self._take(upload.uri, upload.begun, "removal" if upload.kind == "folder" else upload.kind, at)

    def _take(self, uri: str, begun: str, kind: UploadKind, at: datetime) -> bool:
        with self._lock:
            there = self._uploads.get(uri)
            if there is None or there.begun != begun:
                return False
            self._uploads[uri] = replace(there, kind=kind, begun=utc(at))
            return True

    # contents
    def contents(self, bucket: str, wanted: Sequence[tuple[Digest, int]]) -> Mapping[tuple[Digest, int], Content]:
        """Return what is known of these digests and sizes."""
        with self._lock:
            found = {(digest, size): self._contents.get((bucket, digest, size)) for digest, size in wanted}
        return {identity: content for identity, content in found.items() if content is not None}

    def save_contents(self, contents: Iterable[Content]) -> None:
        """Remember where bytes lie; what is known first stays, unless it is of the same URI."""
        for content in contents:
            with self._lock:
                first = self._contents.setdefault((content.bucket, content.digest, content.file.size), content)
                if first.uri == content.uri:
                    self._contents[content.bucket, content.digest, content.file.size] = content

    def forget_content(self, uri: str) -> None:
        """Forget an object, under all its digests."""
        with self._lock:
            self._contents = {key: content for key, content in self._contents.items() if content.uri != uri}

    def forget_folder(self, folder: str) -> None:
        """Forget all objects below a folder."""
        with self._lock:
            kept = {key: each for key, each in self._contents.items() if not each.uri.startswith(folder)}
            self._contents = kept


def utc(at: datetime | str) -> str:
    """Return a time as ISO 8601 text. Raises ValueError unless its zone is UTC, as every end does."""
    text = at if isinstance(at, str) else at.isoformat()
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError(f"{text!r} is not a time in UTC")
    return text


def _begun(upload: Upload) -> datetime:
    return datetime.fromisoformat(upload.begun)
