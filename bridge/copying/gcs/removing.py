"""Removing what the bridge has written: object by object, each in the generation that was seen to carry our mark."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from google.api_core import exceptions as api

from bridge.copying.gcs.client import MARK, TIMEOUT
from bridge.copying.parallel import in_parallel, stopped
from bridge.core.errors import NeedsPerson, TryAgain

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from google.cloud import storage  # noqa: TID251  this is its room

PARALLEL = 8  # objects that are removed at a time; the client keeps ten connections


def is_ours(blob: storage.Blob, before: datetime | None = None) -> bool:
    """Whether an object was written here, before that time; else it is somebody's."""
    marked = (blob.metadata or {}).items() >= MARK.items()
    return marked and (before is None or blob.time_created < before)


def remove_one(blob: storage.Blob) -> int:
    """Remove an object as it was seen; return 0 if it was removed, or written again, meanwhile."""
    try:
        blob.delete(if_generation_match=blob.generation, timeout=TIMEOUT)
    except (api.NotFound, api.PreconditionFailed):
        return 0
    return 1


def remove_outdated(blob: storage.Blob) -> None:
    """Remove an object if an earlier attempt has brought it, from a source that has changed since: then TryAgain."""
    blob.reload(timeout=TIMEOUT)
    if is_ours(blob):
        remove_one(blob)
        raise TryAgain(
            f"gs://{blob.bucket.name}/{blob.name} was brought by an earlier copy, and has changed at the source since: "
            "it is removed, and brought again the next time"
        )


def remove_manifest(manifest: storage.Blob, uri: str, go_on: Callable[[], None]) -> int:
    """Remove a manifest if it is there. Raises NeedsPerson if it is not ours."""
    try:
        manifest.reload(timeout=TIMEOUT)
    except api.NotFound:
        return 0
    if not is_ours(manifest):
        raise NeedsPerson(
            f"{uri} was not written by the bridge, so nothing of its folder is removed",
            "find out who wrote it, and remove the folder by hand if nobody needs it",
        )
    go_on()
    return remove_one(manifest)


def remove_all(blobs: Iterable[storage.Blob], go_on: Callable[[], None], halted: threading.Event) -> int:
    """Remove those of the objects that are ours, several at a time."""

    def remove(blob: storage.Blob, stopping: threading.Event) -> int:
        if stopping.is_set():
            raise stopped()
        go_on()
        return remove_one(blob)

    with closing(in_parallel(remove, filter(is_ours, blobs), parallel=lambda: PARALLEL, halted=halted)) as removed:
        return sum(removed)
