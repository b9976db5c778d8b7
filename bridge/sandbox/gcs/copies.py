"""Objects made from objects on the server: rewrite, copy, compose."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from bridge.sandbox.gcs import preconditions
from bridge.sandbox.gcs.errors import invalid, not_found
from bridge.sandbox.gcs.fields import Fields, checked_name, object_fields
from bridge.sandbox.gcs.hashes import crc32c_of_joined
from bridge.sandbox.gcs.objects import NewObject, StoredObject
from bridge.sandbox.gcs.resources import base_url, object_resource, path_part
from bridge.sandbox.gcs.streams import json_body
from bridge.sandbox.gcs.uploads import refuse_customer_keys, resource_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from bridge.sandbox.gcs.service import Service

COMPOSE_LIMIT = 32


@dataclass(frozen=True, slots=True)
class Progress:
    """What a rewriteToken stands for: how far a copy of one generation to one name has come."""

    bucket: str
    name: str
    generation: int
    to_bucket: str
    to_name: str
    moved: int = 0  # bytes

    def token(self) -> str:
        """Write it so that clients see nothing in it; it holds all there is to know, so it survives a restart."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()


async def rewrite(gcs: Service, request: Request) -> Response:
    """
    Copy an object, in several calls if it is larger than what one call may move.

    The copy is made when the last call comes, from the generation that the first one saw. maxBytesRewritten-
    PerCall always counts; the service may move more if bucket and class stay the same (a guess).
    The fault `operation_never_ends` has a call move nothing.
    """
    fault = gcs.note("objects.rewrite", write=True)
    resource = await json_body(request)
    source = _source(gcs, request)
    progress = _progress(request, source)
    step = gcs.rewrite_chunk or _most_per_call(request) or source.size
    is_idle = fault is not None and fault.kind == "operation_never_ends"
    moved = progress.moved if is_idle else min(source.size, progress.moved + step)
    answer: dict[str, Any] = {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(moved),
        "objectSize": str(source.size),
        "done": not is_idle and moved == source.size,
    }
    if not answer["done"]:
        gcs.buckets.require(progress.to_bucket)
        conditions = preconditions.from_query(request.query_params)
        conditions.check(gcs.objects.find(progress.to_bucket, progress.to_name))
        further = Progress(**{**asdict(progress), "moved": moved})
        return JSONResponse({**answer, "rewriteToken": further.token()})
    stored = _copied(gcs, request, source, resource)
    return JSONResponse({**answer, "resource": object_resource(stored, base_url(request))})


async def copy(gcs: Service, request: Request) -> Response:
    """Copy an object in one call."""
    resource = await json_body(request)
    return resource_answer(request, _copied(gcs, request, _source(gcs, request), resource))


def _source(gcs: Service, request: Request) -> StoredObject:
    refuse_customer_keys(request)
    generation = request.query_params.get("sourceGeneration")
    source = gcs.objects.require(path_part(request, "bucket"), path_part(request, "object"), _generation(generation))
    preconditions.from_query_for_source(request.query_params).check(source)
    return source


def _progress(request: Request, source: StoredObject) -> Progress:
    started = Progress(
        source.bucket, source.name, source.generation, path_part(request, "to_bucket"), path_part(request, "to_object")
    )
    token = request.query_params.get("rewriteToken")
    if not token:
        return started
    try:
        progress = Progress(**json.loads(base64.urlsafe_b64decode(token)))
    except (binascii.Error, ValueError, TypeError):
        raise invalid("Invalid rewriteToken") from None
    if Progress(**{**asdict(progress), "moved": 0}) != started:
        raise invalid("The rewriteToken belongs to another rewrite, or its source has changed")
    return progress


def _most_per_call(request: Request) -> int:
    text = request.query_params.get("maxBytesRewrittenPerCall", "0")
    if not text.isdecimal():
        raise invalid(f"maxBytesRewrittenPerCall is {text!r}, not a number")
    return int(text)


def _copied(gcs: Service, request: Request, source: StoredObject, resource: Fields) -> StoredObject:
    """
    Make the copy: a second link to the same bytes. No await since the source was found and checked.

    Without a body all fields are kept. With one they are replaced; that the content type is kept if the body
    has none is a guess.
    """
    fields = source.fields
    if resource:
        fields = {"contentType": source.fields.get("contentType"), **object_fields(resource)}
        fields = {name: value for name, value in fields.items() if value is not None}
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.link(source.body)) as body:
        return gcs.objects.put(
            NewObject(
                path_part(request, "to_bucket"),
                checked_name(path_part(request, "to_object")),
                fields,
                source.digests,
                body,
                source.components,
            ),
            preconditions.from_query(request.query_params),
        )


async def compose(gcs: Service, request: Request) -> Response:
    """
    Join up to 32 objects of a bucket; the result has a CRC32C and a componentCount, and no MD5.

    Hashes in the destination are not compared: the Python client sends what it knows of the object there was.
    """
    refuse_customer_keys(request)
    resource = await json_body(request)
    bucket = path_part(request, "bucket")
    name = checked_name(path_part(request, "object"))
    gcs.buckets.require(bucket)
    sources = [_component(gcs, bucket, item) for item in resource.get("sourceObjects") or []]
    if not 1 <= len(sources) <= COMPOSE_LIMIT:
        raise invalid(f"compose takes 1 to {COMPOSE_LIMIT} source objects, not {len(sources)}")
    destination = resource.get("destination") or {}
    conditions = preconditions.from_query(request.query_params)
    conditions.check(gcs.objects.find(bucket, name))
    digests = crc32c_of_joined(source.digests for source in sources)
    fields = object_fields(destination)
    fields.setdefault("contentType", sources[0].fields.get("contentType"))  # a guess
    count = sum(source.components or 1 for source in sources)
    with gcs.bodies.kept_if_all_goes_well(gcs.bodies.new_id()) as body:
        try:
            await gcs.in_thread(lambda: gcs.bodies.join([source.body for source in sources], body))
        except FileNotFoundError:
            raise not_found(f"a source object of {bucket}/{name} was deleted meanwhile") from None
        new = NewObject(bucket, name, {k: v for k, v in fields.items() if v is not None}, digests, body, count)
        return resource_answer(request, gcs.objects.put(new, conditions))


def _component(gcs: Service, bucket: str, item: Fields) -> StoredObject:
    source = gcs.objects.require(bucket, checked_name(item.get("name")), _generation(item.get("generation")))
    wanted = (item.get("objectPreconditions") or {}).get("ifGenerationMatch")
    preconditions.Preconditions(generation_match=_generation(wanted)).check(source)
    return source


def _generation(value: object) -> int | None:
    try:
        return None if value is None else int(str(value))
    except ValueError:
        raise invalid(f"{value!r} is not a generation") from None
