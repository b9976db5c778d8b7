"""The part of a resource that clients may set: kept as they write it, in the API's spelling."""

from __future__ import annotations

from typing import Any

from bridge.sandbox.gcs.errors import invalid, not_offered

Fields = dict[str, Any]

OBJECT_FIELDS = frozenset(
    {
        "cacheControl",
        "contentDisposition",
        "contentEncoding",
        "contentLanguage",
        "contentType",
        "customTime",
        "metadata",
        "storageClass",
    }
)
# Each would change what the service does, so keeping it without obeying it would be a lie.
OBJECT_FIELDS_NOT_OFFERED = ("temporaryHold", "eventBasedHold", "retention", "kmsKeyName", "contexts")
BUCKET_FIELDS = frozenset(
    {
        "autoclass",  # kept and shown, never acted upon; so are cors, lifecycle, logging, rpo, softDeletePolicy
        "cors",
        "customPlacementConfig",
        "iamConfiguration",
        "labels",
        "lifecycle",
        "location",
        "logging",
        "rpo",
        "softDeletePolicy",
        "storageClass",
        "versioning",
        "website",
    }
)
BUCKET_FIELDS_NOT_OFFERED = ("retentionPolicy", "defaultEventBasedHold", "encryption", "billing")
NAME_BYTES = 1024


def object_fields(resource: Fields) -> Fields:
    """
    Pick what may be set on an object.

    Output-only fields are dropped, as the service does, and so are ACLs: here everybody may do everything.
    """
    return _pick(resource, OBJECT_FIELDS, OBJECT_FIELDS_NOT_OFFERED)


def bucket_fields(resource: Fields) -> Fields:
    """Pick what may be set on a bucket."""
    if (resource.get("hierarchicalNamespace") or {}).get("enabled"):
        raise not_offered("buckets with a hierarchical namespace")
    return _pick(resource, BUCKET_FIELDS, BUCKET_FIELDS_NOT_OFFERED)


def _pick(resource: Fields, offered: frozenset[str], refused: tuple[str, ...]) -> Fields:
    for name in refused:
        if resource.get(name):
            raise not_offered(f"the field {name}")
    return {name: value for name, value in resource.items() if name in offered}


def merged(old: Fields, change: Fields) -> Fields:
    """Apply a JSON merge patch: objects merge, null removes, everything else replaces."""
    result = dict(old)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            result[name] = merged(old[name], value)
        else:
            result[name] = _without_nulls(value) if isinstance(value, dict) else value
    return result


def _without_nulls(value: Fields) -> Fields:
    return {name: inner for name, inner in value.items() if inner is not None}


def checked_name(name: object) -> str:
    """Return an object's name, or raise 400 if GCS would not have it."""
    if not isinstance(name, str) or not name:
        raise invalid("Required: the object's name")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise invalid("the object's name is not Unicode") from None
    if length > NAME_BYTES or "\r" in name or "\n" in name or name in {".", ".."}:
        raise invalid(f"{name[:80]!r} is no name for an object: 1 to 1024 bytes, no CR or LF, not . or ..")
    return name
