"""What a bucket says of itself: where it keeps its bytes, and what this account may do there."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from bridge.copying.gcs.client import TIMEOUT, split, translated
from bridge.copying.gcs.uploading import later
from bridge.copying.gcs.wire import Unwell
from bridge.core.model import BucketPlace

if TYPE_CHECKING:
    from google.cloud import storage  # noqa: TID251  this is its room

    from bridge.copying.gcs.wire import Answer, Wire

RIGHTS = tuple(f"storage.objects.{each}" for each in ("create", "delete", "get", "list"))  # what copies need


def place_of(wire: Wire, folder: str) -> BucketPlace | None:
    """
    Ask for the place of a folder's bucket, in one request; see Bucket.where.

    The storage layout is for whoever may list the folder (storage.objects.list), which the bridge must; the bucket's
    own resource would need storage.buckets.get, which no role for objects has.
    """
    bucket, prefix = split(folder)
    target = f"/storage/v1/b/{quote(bucket, safe='')}/storageLayout?prefix={quote(prefix, safe='')}"
    with translated(folder), later(folder):
        answer = wire.insist("GET", target, {})
        return None if answer.status == HTTPStatus.FORBIDDEN else _read(answer)


def lacking_rights(client: storage.Client, folder: str) -> tuple[str, ...]:
    """
    Ask which of the rights that copies need this account has not in a folder's bucket; see Bucket.lacking.

    Asking needs no right itself (docs.cloud.google.com, JSON API, buckets.testIamPermissions).
    """
    with translated(folder):
        held = client.bucket(split(folder)[0]).test_iam_permissions(RIGHTS, timeout=TIMEOUT)
    return tuple(right for right in RIGHTS if right not in held)


def _read(answer: Answer) -> BucketPlace:
    said = answer.resource()
    try:
        pair = (said.get("customPlacementConfig") or {}).get("dataLocations") or ()
        return BucketPlace(str(said["location"]), tuple(map(str, pair)))
    except (KeyError, AttributeError, TypeError) as torn:
        raise Unwell("its answer tells of no place") from torn
