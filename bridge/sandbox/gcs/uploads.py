"""Uploads in one request through the JSON API: the data alone (media) or with its resource (multipart)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from bridge.sandbox.gcs import preconditions
from bridge.sandbox.gcs.errors import not_offered
from bridge.sandbox.gcs.fields import checked_name, object_fields
from bridge.sandbox.gcs.hashes import claims_of, verify
from bridge.sandbox.gcs.objects import NewObject
from bridge.sandbox.gcs.resources import base_url, object_resource, path_part
from bridge.sandbox.gcs.streams import Related

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from bridge.sandbox.gcs.fields import Fields
    from bridge.sandbox.gcs.objects import StoredObject
    from bridge.sandbox.gcs.service import Service


def refuse_customer_keys(request: Request) -> None:
    """Raise 501 for what would encrypt the object: it would be stored readable."""
    if "x-goog-encryption-algorithm" in request.headers or "kmsKeyName" in request.query_params:
        raise not_offered("encryption with keys of the customer")


def described(request: Request, resource: Fields, content_type: str | None) -> tuple[str, Fields]:
    """Return the name and the fields of what is uploaded; the resource's content type wins over the transport's."""
    name = checked_name(resource.get("name") or request.query_params.get("name"))
    fields = object_fields(resource)
    if content_type:
        fields.setdefault("contentType", content_type)
    if encoding := request.query_params.get("contentEncoding"):
        fields["contentEncoding"] = encoding
    return name, fields


async def insert_media(gcs: Service, request: Request) -> Response:
    """Take a body that is the data."""
    return await _insert_whole(gcs, request, {}, request.headers.get("content-type"), request.stream())


async def insert_multipart(gcs: Service, request: Request) -> Response:
    """Take a body that is the resource and the data."""
    related = Related(request)
    resource, content_type = await related.resource()
    return await _insert_whole(gcs, request, resource, content_type, related.data())


async def _insert_whole(
    gcs: Service, request: Request, resource: Fields, content_type: str | None, data: AsyncIterator[bytes]
) -> Response:
    bucket = path_part(request, "bucket")
    name, fields = described(request, resource, content_type)
    claims = claims_of(resource, request.headers)
    conditions = preconditions.from_query(request.query_params, request.headers)
    conditions.check(gcs.objects.find(bucket, name))  # early, to spare the transfer; put() has the last word
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.new_id()) as body:
        digests = await gcs.receive(body, data)
        verify(claims, digests)
        stored = gcs.objects.put(NewObject(bucket, name, fields, digests, body), conditions)
    return resource_answer(request, stored)


def resource_answer(request: Request, stored: StoredObject) -> Response:
    """Answer 200 with an object's resource."""
    return JSONResponse(object_resource(stored, base_url(request)), headers={"etag": stored.etag})
