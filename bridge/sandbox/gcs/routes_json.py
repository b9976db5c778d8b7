"""Buckets and objects through the JSON API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from bridge.sandbox.gcs import preconditions
from bridge.sandbox.gcs.downloads import download
from bridge.sandbox.gcs.errors import invalid, not_offered
from bridge.sandbox.gcs.fields import bucket_fields, merged, object_fields
from bridge.sandbox.gcs.listing import PAGE, Query, list_objects
from bridge.sandbox.gcs.resources import base_url, bucket_resource, object_resource, path_part
from bridge.sandbox.gcs.streams import json_body
from bridge.sandbox.gcs.uploads import refuse_customer_keys, resource_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from bridge.sandbox.gcs.buckets import Bucket
    from bridge.sandbox.gcs.fields import Fields
    from bridge.sandbox.gcs.service import Service

LISTS_NOT_OFFERED = (
    "matchGlob",
    "filter",
    "softDeleted",
    "includeTrailingDelimiter",
    "includeFoldersAsPrefixes",
)


def generation_of(request: Request) -> int | None:
    """Return the generation that the query names; None means the live one."""
    text = request.query_params.get("generation")
    if text is not None and not text.isdecimal():
        raise invalid(f"generation is {text!r}, not a number")
    return None if text is None else int(text)


def _page_size(request: Request) -> int:
    text = request.query_params.get("maxResults", str(PAGE))
    if not text.isdecimal() or text == "0":  # what the service says to 0 is a guess
        raise invalid(f"maxResults is {text!r}, not a positive number")
    return min(int(text), PAGE)


def _is_set(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() not in {"", "false"}


async def get_object(gcs: Service, request: Request) -> Response:
    """Answer with the resource, or with the body if alt=media."""
    refuse_customer_keys(request)
    stored = gcs.objects.require(path_part(request, "bucket"), path_part(request, "object"), generation_of(request))
    preconditions.from_query(request.query_params, request.headers).check(stored, reading=True)
    if request.query_params.get("alt") == "media":
        return download(gcs, request, stored, stored.etag)
    return resource_answer(request, stored)


async def delete_object(gcs: Service, request: Request) -> Response:
    """Delete one generation, or the live one."""
    gcs.objects.delete(
        path_part(request, "bucket"),
        path_part(request, "object"),
        generation_of(request),
        preconditions.from_query(request.query_params, request.headers),
    )
    return Response(status_code=204)


async def patch_object(gcs: Service, request: Request) -> Response:
    """Merge into the object's fields; null removes."""
    change = object_fields(await json_body(request))
    return _change_object(gcs, request, partial(_patched, change=change))


async def update_object(gcs: Service, request: Request) -> Response:
    """Replace all the object's fields; what is not given is gone."""
    change = object_fields(await json_body(request))
    return _change_object(gcs, request, partial(_replaced, change=change))


def _patched(old: Fields, *, change: Fields) -> Fields:
    return _same_class(old, merged(old, change))


def _replaced(old: Fields, *, change: Fields) -> Fields:
    return _same_class(old, merged({}, change))


def _same_class(old: Fields, new: Fields) -> Fields:
    # The service lets only a rewrite change an object's storage class.
    return {**new, "storageClass": old["storageClass"]}


def _change_object(gcs: Service, request: Request, change: Callable[[Fields], Fields]) -> Response:
    changed = gcs.objects.change(
        path_part(request, "bucket"),
        path_part(request, "object"),
        generation_of(request),
        change,
        preconditions.from_query(request.query_params, request.headers),
    )
    return resource_answer(request, changed)


async def list_the_objects(gcs: Service, request: Request) -> Response:
    """Answer with one page of objects and prefixes; `fields` and `projection` are ignored."""
    query = request.query_params
    for name in LISTS_NOT_OFFERED:
        if _is_set(request, name):
            raise not_offered(f"listing with {name}")
    bucket = gcs.buckets.require(path_part(request, "bucket"))
    page = list_objects(
        gcs.database,
        Query(
            bucket.name,
            query.get("prefix", ""),
            query.get("delimiter", ""),
            query.get("startOffset", ""),
            query.get("endOffset", ""),
            _is_set(request, "versions"),
            _page_size(request),
            query.get("pageToken", ""),
        ),
    )
    base = base_url(request)
    answer: Fields = {"kind": "storage#objects"}
    if page.items:
        answer["items"] = [object_resource(item, base) for item in page.items]
    if page.prefixes:
        answer["prefixes"] = page.prefixes
    if page.next_token:
        answer["nextPageToken"] = page.next_token
    return JSONResponse(answer)


def _bucket_answer(request: Request, bucket: Bucket) -> Response:
    return JSONResponse(bucket_resource(bucket, base_url(request)), headers={"etag": bucket.etag})


async def create_bucket(gcs: Service, request: Request) -> Response:
    """Make a bucket; the project is taken as said."""
    resource = await json_body(request)
    return _bucket_answer(request, gcs.buckets.create(resource.get("name"), bucket_fields(resource)))


async def get_bucket(gcs: Service, request: Request) -> Response:
    """Answer with the resource."""
    bucket = gcs.buckets.require(path_part(request, "bucket"))
    preconditions.from_query(request.query_params, request.headers).check(bucket, reading=True)
    return _bucket_answer(request, bucket)


async def list_buckets(gcs: Service, request: Request) -> Response:
    """Answer with one page of buckets, those of every project; the page token is the last name."""
    size = _page_size(request)
    query = request.query_params
    buckets = gcs.buckets.page(query.get("prefix", ""), query.get("pageToken", ""), size + 1)
    base = base_url(request)
    answer: Fields = {
        "kind": "storage#buckets",
        "items": [bucket_resource(bucket, base) for bucket in buckets[:size]],
    }
    if len(buckets) > size:
        answer["nextPageToken"] = buckets[size - 1].name
    return JSONResponse(answer)


async def patch_bucket(gcs: Service, request: Request) -> Response:
    """Merge into the bucket's fields; null removes."""
    change = bucket_fields(await json_body(request))
    return _change_bucket(gcs, request, lambda old: merged(old, change))


async def update_bucket(gcs: Service, request: Request) -> Response:
    """Replace all the bucket's fields except where it is."""
    change = bucket_fields(await json_body(request))
    return _change_bucket(gcs, request, lambda old: merged({k: v for k, v in old.items() if k == "location"}, change))


def _change_bucket(gcs: Service, request: Request, change: Callable[[Fields], Fields]) -> Response:
    conditions = preconditions.from_query(request.query_params, request.headers)
    return _bucket_answer(request, gcs.buckets.change(path_part(request, "bucket"), change, conditions))


async def delete_bucket(gcs: Service, request: Request) -> Response:
    """Delete an empty bucket."""
    conditions = preconditions.from_query(request.query_params, request.headers)
    gcs.buckets.delete(path_part(request, "bucket"), conditions)
    return Response(status_code=204)


async def get_policy(gcs: Service, request: Request) -> Response:
    """Answer with a policy without bindings; everybody may do everything."""
    bucket = gcs.buckets.require(path_part(request, "bucket"))
    return JSONResponse(
        {
            "kind": "storage#policy",
            "resourceId": f"projects/_/buckets/{bucket.name}",
            "version": 1,
            "etag": "CAE=",
            "bindings": [],
        }
    )


async def test_permissions(gcs: Service, request: Request) -> Response:
    """Answer with the permissions that were asked for, but for those that are withheld."""
    gcs.buckets.require(path_part(request, "bucket"))
    answer: Fields = {"kind": "storage#testIamPermissionsResponse"}
    asked = request.query_params.getlist("permissions")
    if permissions := [each for each in asked if each not in gcs.withheld]:
        answer["permissions"] = permissions
    return JSONResponse(answer)


async def get_storage_layout(gcs: Service, request: Request) -> Response:
    """Answer that the namespace is flat."""
    bucket = bucket_resource(gcs.buckets.require(path_part(request, "bucket")), base_url(request))
    return JSONResponse(
        {
            "kind": "storage#storageLayout",
            "bucket": bucket["name"],
            "location": bucket["location"],
            "locationType": bucket["locationType"],
            "hierarchicalNamespace": {"enabled": False},
            **{key: bucket[key] for key in ("customPlacementConfig",) if key in bucket},
        }
    )
