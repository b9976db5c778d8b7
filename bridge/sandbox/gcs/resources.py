"""How buckets and objects look from outside: JSON resources and response headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from bridge.sandbox.gcs.errors import invalid

if TYPE_CHECKING:
    from starlette.requests import Request

    from bridge.sandbox.gcs.buckets import Bucket
    from bridge.sandbox.gcs.fields import Fields
    from bridge.sandbox.gcs.objects import StoredObject

Resource = dict[str, Any]
MULTI_REGIONS = frozenset({"ASIA", "EU", "US"})
PAIRS = frozenset({"ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4"})
DEFAULT_TYPE = "application/octet-stream"
HEADERS_OF_FIELDS = {
    "cacheControl": "cache-control",
    "contentDisposition": "content-disposition",
    "contentEncoding": "content-encoding",
    "contentLanguage": "content-language",
}


def base_url(request: Request) -> str:
    """Return the address the client used; links built from anything else would lead it out of the sandbox."""
    return f"{request.scope['scheme']}://{request.headers['host']}"


def path_part(request: Request, name: str) -> str:
    """Decode one part of the path; it was split before, so a decoded slash is part of a name."""
    try:
        return unquote_to_bytes(request.path_params[name]).decode()
    except UnicodeDecodeError:
        raise invalid(f"the {name} in the path is not UTF-8") from None


def bucket_resource(bucket: Bucket, base: str) -> Resource:
    """Return the bucket as the JSON API shows it."""
    location = str(bucket.fields.get("location", "US")).upper()
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{base}/storage/v1/b/{bucket.name}",
        "projectNumber": "0",
        "storageClass": "STANDARD",
        **bucket.fields,
        "location": location,
        "locationType": _location_type(location, bucket.fields),
        "generation": str(bucket.generation),
        "metageneration": str(bucket.metageneration),
        "etag": bucket.etag,
        "timeCreated": timestamp(bucket.created),
        "updated": timestamp(bucket.updated),
    }


def _location_type(location: str, fields: Fields) -> str:
    if "customPlacementConfig" in fields or location in PAIRS:
        return "dual-region"
    return "multi-region" if location in MULTI_REGIONS else "region"


def object_resource(stored: StoredObject, base: str) -> Resource:
    """Return the object as the JSON API shows it: numbers that may be large are strings."""
    place = f"b/{stored.bucket}/o/{quote(stored.name, safe='')}"
    resource = {
        "kind": "storage#object",
        "id": f"{stored.bucket}/{stored.name}/{stored.generation}",
        "selfLink": f"{base}/storage/v1/{place}",
        "mediaLink": f"{base}/download/storage/v1/{place}?generation={stored.generation}&alt=media",
        "name": stored.name,
        "bucket": stored.bucket,
        "generation": str(stored.generation),
        "metageneration": str(stored.metageneration),
        "contentType": DEFAULT_TYPE,
        **stored.fields,
        "size": str(stored.size),
        "crc32c": stored.crc32c,
        "etag": stored.etag,
        "timeCreated": timestamp(stored.created),
        "updated": timestamp(stored.updated),
        "timeStorageClassUpdated": timestamp(stored.created),
    }
    if stored.md5 is not None:
        resource["md5Hash"] = stored.md5
    if stored.components is not None:
        resource["componentCount"] = stored.components
    if stored.deleted is not None:
        resource["timeDeleted"] = timestamp(stored.deleted)
    return resource


def object_headers(stored: StoredObject, etag: str) -> dict[str, str]:
    """Return what a download's headers say of the object, Content-Length aside."""
    fields = stored.fields
    headers = {
        "content-type": str(fields.get("contentType", DEFAULT_TYPE)),
        "etag": etag,
        "last-modified": formatdate(stored.updated, usegmt=True),
        "accept-ranges": "bytes",
        "x-goog-hash": stored.digests.header,
        "x-goog-generation": str(stored.generation),
        "x-goog-metageneration": str(stored.metageneration),
        "x-goog-storage-class": str(fields["storageClass"]),
        "x-goog-stored-content-length": str(stored.size),
        "x-goog-stored-content-encoding": str(fields.get("contentEncoding", "identity")),
    }
    headers |= {header: fields[field] for field, header in HEADERS_OF_FIELDS.items() if fields.get(field)}
    if stored.components is not None:
        headers["x-goog-component-count"] = str(stored.components)
    # Header values are latin-1 in ASGI; what is not goes out as the bytes of its UTF-8.
    return {name: value.encode().decode("latin-1") for name, value in headers.items()}


def timestamp(seconds: float) -> str:
    """Write a time as the JSON API does: RFC 3339, milliseconds, Z."""
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
