"""Objects through the XML API: whole, and uploaded in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from starlette.responses import Response

from bridge.sandbox.gcs import preconditions
from bridge.sandbox.gcs.downloads import download
from bridge.sandbox.gcs.errors import GcsError, invalid, not_found, not_offered
from bridge.sandbox.gcs.fields import Fields, checked_name, object_fields
from bridge.sandbox.gcs.hashes import claims_of, crc32c_of_joined, verify
from bridge.sandbox.gcs.multiparts import Part
from bridge.sandbox.gcs.objects import NewObject, StoredObject
from bridge.sandbox.gcs.resources import (
    DEFAULT_TYPE,
    HEADERS_OF_FIELDS,
    object_headers,
    path_part,
)
from bridge.sandbox.gcs.routes_json import generation_of
from bridge.sandbox.gcs.signed_urls import refuse_expired
from bridge.sandbox.gcs.streams import small_body
from bridge.sandbox.gcs.uploads import refuse_customer_keys

if TYPE_CHECKING:
    from starlette.requests import Request

    from bridge.sandbox.gcs.service import Service

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"  # google-cloud-storage 3.17.1 looks for UploadId in it
META = "x-goog-meta-"
SMALLEST_PART = 5 << 20  # bytes; the last part may be smaller
MOST_PARTS = 10_000
MOST_LISTED = 1_000
HEADERS_NOT_OFFERED = ("x-goog-copy-source", "x-goog-resumable", "x-goog-if-modified-since")
QUERIES_NOT_OFFERED = ("acl", "tagging", "retention", "compose")


def _place(request: Request) -> tuple[str, str]:
    for name in HEADERS_NOT_OFFERED:
        if name in request.headers:
            raise not_offered(f"the header {name}")
    for name in QUERIES_NOT_OFFERED:
        if name in request.query_params:
            raise not_offered(f"?{name} in the XML API")
    refuse_customer_keys(request)
    return path_part(request, "bucket"), checked_name(path_part(request, "object"))


def _place_without_conditions(request: Request) -> tuple[str, str]:
    # Uploads in parts have no preconditions; that the service refuses them, rather than ignores, is a guess.
    if preconditions.from_xml_headers(request.headers) != preconditions.NONE:
        raise invalid("uploads in parts take no preconditions")
    return _place(request)


def _fields(request: Request) -> Fields:
    headers = request.headers
    fields: Fields = {"contentType": headers.get("content-type", DEFAULT_TYPE)}
    fields |= {field: headers[name] for field, name in HEADERS_OF_FIELDS.items() if name in headers}
    metadata = {name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)}
    if metadata:
        fields["metadata"] = metadata
    if "x-goog-storage-class" in headers:
        fields["storageClass"] = headers["x-goog-storage-class"]
    return object_fields(fields)


def _quoted_etag(stored: StoredObject) -> str:
    return f'"{stored.xml_etag}"'


def _headers(stored: StoredObject) -> dict[str, str]:
    headers = object_headers(stored, _quoted_etag(stored))
    for name, value in (stored.fields.get("metadata") or {}).items():
        headers[META + name] = str(value).encode().decode("latin-1")
    return headers


async def get_object(gcs: Service, request: Request) -> Response:
    """Answer with the body (or, to HEAD, with the headers alone)."""
    if "uploadId" in request.query_params:
        gcs.note("multipart.list", write=False)
        return _list_parts(gcs, request)
    gcs.note("xml.objects.get" if request.method == "GET" else "xml.objects.head", write=False)
    refuse_expired(request.query_params, gcs.clock.now())
    bucket, name = _place(request)
    stored = gcs.objects.require(bucket, name, generation_of(request))
    preconditions.from_xml_headers(request.headers).check(stored, reading=True)
    answer = download(gcs, request, stored, _quoted_etag(stored))
    answer.headers.update(_headers(stored))
    return answer


async def put(gcs: Service, request: Request) -> Response:
    """Take an object, or a part of an upload."""
    if "uploadId" in request.query_params:
        gcs.note("multipart.put", write=True)
        return await _put_part(gcs, request)
    gcs.note("xml.objects.put", write=True)
    bucket, name = _place(request)
    gcs.buckets.require(bucket)
    claims = claims_of({}, request.headers)
    conditions = preconditions.from_xml_headers(request.headers)
    conditions.check(gcs.objects.find(bucket, name))
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.new_id()) as body:
        digests = await gcs.receive(body, request.stream())
        verify(claims, digests)
        stored = gcs.objects.put(NewObject(bucket, name, _fields(request), digests, body), conditions)
    return Response(headers=_without_type(stored))


def _without_type(stored: StoredObject) -> dict[str, str]:
    # What is said of an object that was just made: the answer itself has no body, so no type.
    return {name: value for name, value in _headers(stored).items() if name.startswith(("etag", "x-goog-"))}


async def delete(gcs: Service, request: Request) -> Response:
    """Delete an object, or abort an upload."""
    if "uploadId" in request.query_params:
        gcs.note("multipart.abort", write=True)
        gcs.multiparts.end(gcs.multiparts.require(request.query_params["uploadId"], *_place(request)))
        return Response(status_code=204)
    gcs.note("xml.objects.delete", write=True)
    bucket, name = _place(request)
    conditions = preconditions.from_xml_headers(request.headers)
    gcs.objects.delete(bucket, name, generation_of(request), conditions)
    return Response(status_code=204)


async def post(gcs: Service, request: Request) -> Response:
    """Start an upload in parts, or complete one."""
    if "uploads" in request.query_params:
        gcs.note("multipart.start", write=True)
        return _start(gcs, request)
    if "uploadId" in request.query_params:
        gcs.note("multipart.complete", write=True)
        return await _complete(gcs, request)
    gcs.note("unknown", write=True)
    raise not_offered("POST of a form in the XML API")


def _start(gcs: Service, request: Request) -> Response:
    bucket, name = _place_without_conditions(request)
    gcs.buckets.require(bucket)
    upload = gcs.multiparts.start(bucket, name, _fields(request))
    return _xml("InitiateMultipartUploadResult", {"Bucket": bucket, "Key": name, "UploadId": upload.id})


async def _put_part(gcs: Service, request: Request) -> Response:
    upload = gcs.multiparts.require(request.query_params["uploadId"], *_place(request))
    text = request.query_params.get("partNumber", "")
    if not (text.isdecimal() and 1 <= int(text) <= MOST_PARTS):
        raise invalid(f"partNumber is {text!r}, not a number from 1 to {MOST_PARTS}")
    claims = claims_of({}, request.headers)
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.new_id()) as body:
        digests = await gcs.receive(body, request.stream())
        verify(claims, digests)
        part = Part(int(text), digests, body)
        gcs.multiparts.put_part(upload, part)
    return Response(headers={"etag": f'"{part.etag}"', "x-goog-hash": digests.header})


def _list_parts(gcs: Service, request: Request) -> Response:
    """Answer with numbers, ETags and sizes, by number, so many at a time (cloud.google.com/storage/docs/xml-api)."""
    query = request.query_params
    upload = gcs.multiparts.require(query["uploadId"], *_place(request))
    after, most = query.get("part-number-marker", "0"), query.get("max-parts", str(MOST_LISTED))
    if not (after.isdecimal() and most.isdecimal()):
        raise invalid("part-number-marker and max-parts are numbers")
    parts = [part for number, part in sorted(gcs.multiparts.parts(upload).items()) if number > int(after)]
    shown = parts[: min(int(most), MOST_LISTED)]
    values = {"Bucket": upload.bucket, "Key": upload.name, "UploadId": upload.id, "PartNumberMarker": after}
    if len(shown) < len(parts) and shown:
        values["NextPartNumberMarker"] = str(shown[-1].number)
    values["IsTruncated"] = str(len(shown) < len(parts)).lower()
    listed = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>{escape(chr(34) + part.etag + chr(34))}</ETag>"
        f"<Size>{part.digests.size}</Size></Part>"
        for part in shown
    )
    return _xml("ListPartsResult", values, listed)


async def _complete(gcs: Service, request: Request) -> Response:
    """
    Join the parts; the object has a CRC32C and no MD5. There are no preconditions: it overwrites.

    Completing twice answers 404 the second time (a guess). The parts' count as componentCount is one too.
    """
    bucket, name = _place_without_conditions(request)
    upload = gcs.multiparts.require(request.query_params["uploadId"], bucket, name)
    parts = _chosen(_listed(await small_body(request)), gcs.multiparts.parts(upload))
    digests = crc32c_of_joined(part.digests for part in parts)
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.new_id()) as body:
        try:
            await gcs.in_thread(lambda: gcs.bodies.join([part.body for part in parts], body))
        except FileNotFoundError:
            raise not_found("The upload was changed or ended meanwhile.", xml_code="NoSuchUpload") from None
        with gcs.database.transaction():
            stored = gcs.objects.put(NewObject(bucket, name, upload.fields, digests, body, len(parts)))
            gcs.multiparts.end(upload)
    answer = _xml(
        "CompleteMultipartUploadResult",
        {"Location": str(request.url.replace(query="")), "Bucket": bucket, "Key": name, "ETag": _quoted_etag(stored)},
    )
    answer.headers.update(_without_type(stored))
    return answer


def _listed(body: bytes) -> list[tuple[int, str]]:
    # The numbers and ETags of <CompleteMultipartUpload>, with or without a namespace.
    try:
        root = ET.fromstring(body)  # noqa: S314  loopback; expat 2.4.1 and later bound entity expansion
        return [
            (int(part.findtext("{*}PartNumber", "")), part.findtext("{*}ETag", "").strip('"'))
            for part in root.iterfind("{*}Part")
        ]
    except (ET.ParseError, ValueError):
        raise invalid("the list of parts cannot be read", xml_code="MalformedXML") from None


def _chosen(listed: list[tuple[int, str]], parts: dict[int, Part]) -> list[Part]:
    if not listed or [number for number, _ in listed] != sorted({number for number, _ in listed}):
        raise invalid("The list of parts was not in ascending order.", xml_code="InvalidPartOrder")
    for number, etag in listed:
        if number not in parts or parts[number].etag != etag:
            raise invalid(f"Part {number} was not uploaded, or has another ETag.", xml_code="InvalidPart")
    chosen = [parts[number] for number, _ in listed]
    for part in chosen[:-1]:
        if part.digests.size < SMALLEST_PART:
            raise GcsError(
                400,
                "invalid",
                f"Part {part.number} has {part.digests.size} bytes; all but the last need {SMALLEST_PART}.",
                xml_code="EntityTooSmall",
            )
    return chosen


def _xml(root: str, values: dict[str, str], more: str = "") -> Response:
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items()) + more
    body = f"<?xml version='1.0' encoding='UTF-8'?><{root} xmlns='{NAMESPACE}'>{inner}</{root}>"
    return Response(body, media_type="application/xml")
