"""Which request is which operation: one table, in the order in which it is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route, Router

from bridge.sandbox.gcs import batch, copies, resumable, routes_json as api, routes_xml as xml
from bridge.sandbox.gcs.errors import GcsError, invalid, not_offered
from bridge.sandbox.gcs.resources import path_part
from bridge.sandbox.gcs.uploads import insert_media, insert_multipart, refuse_customer_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from bridge.sandbox.gcs.service import Service

    Handler = Callable[[Service, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the table: a name in the service's words, and who answers."""

    name: str
    write: bool | None
    method: str
    path: str  # matched against the raw path
    handler: Handler


READ = False
WRITE = True
# The handler notes the request itself: its name depends on more than the path, or it carries out a fault of its own.
ITSELF = None
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
B = "/storage/v1/b"
O = "/storage/v1/b/{bucket}/o/{object}"  # noqa: E741  the API's own abbreviation
UPLOAD = "/upload/storage/v1/b/{bucket}/o"


async def _insert(gcs: Service, request: Request) -> Response:
    """Take an upload, in the way its uploadType says."""
    if "upload_id" in request.query_params:  # Go's client sends the chunks of a session with POST
        return await resumable.continue_session(gcs, request)
    kind = request.query_params.get("uploadType")
    gcs.note("resumable.start" if kind == "resumable" else "objects.insert", write=True)
    refuse_customer_keys(request)
    gcs.buckets.require(path_part(request, "bucket"))
    match kind:
        case "media":
            return await insert_media(gcs, request)
        case "multipart":
            return await insert_multipart(gcs, request)
        case "resumable":
            return await resumable.start_session(gcs, request)
        case _:
            raise invalid(f"uploadType is {kind!r}; it may be media, multipart or resumable")


async def _unknown(gcs: Service, request: Request) -> Response:
    gcs.note("unknown", write=request.method not in {"GET", "HEAD", "OPTIONS"})
    raise not_offered(f"{request.method} {request.url.path}")


JSON_API = [
    Operation("objects.insert", ITSELF, "POST", UPLOAD, _insert),
    Operation("resumable.put", ITSELF, "PUT", UPLOAD, resumable.continue_session),
    Operation("resumable.cancel", ITSELF, "DELETE", UPLOAD, resumable.cancel_session),
    # An older spelling of the same, which gcloud and some other clients use.
    Operation("objects.insert", ITSELF, "POST", f"/resumable{UPLOAD}", _insert),
    Operation("resumable.put", ITSELF, "PUT", f"/resumable{UPLOAD}", resumable.continue_session),
    Operation("resumable.cancel", ITSELF, "DELETE", f"/resumable{UPLOAD}", resumable.cancel_session),
    Operation("objects.get", READ, "GET", O, api.get_object),
    Operation("objects.get", READ, "GET", f"/download{O}", api.get_object),
    Operation("objects.list", READ, "GET", B + "/{bucket}/o", api.list_the_objects),
    Operation("objects.delete", WRITE, "DELETE", O, api.delete_object),
    Operation("objects.patch", WRITE, "PATCH", O, api.patch_object),
    Operation("objects.update", WRITE, "PUT", O, api.update_object),
    Operation("buckets.get", READ, "GET", B + "/{bucket}", api.get_bucket),
    Operation("buckets.patch", WRITE, "PATCH", B + "/{bucket}", api.patch_bucket),
    Operation("buckets.update", WRITE, "PUT", B + "/{bucket}", api.update_bucket),
    Operation("buckets.delete", WRITE, "DELETE", B + "/{bucket}", api.delete_bucket),
    Operation("buckets.insert", WRITE, "POST", B, api.create_bucket),
    Operation("buckets.list", READ, "GET", B, api.list_buckets),
    Operation("objects.rewrite", ITSELF, "POST", O + "/rewriteTo/b/{to_bucket}/o/{to_object}", copies.rewrite),
    Operation("objects.copy", WRITE, "POST", O + "/copyTo/b/{to_bucket}/o/{to_object}", copies.copy),
    Operation("objects.compose", WRITE, "POST", O + "/compose", copies.compose),
    Operation("batch", READ, "POST", "/batch/storage/v1", batch.batch),  # its parts are counted one by one
    Operation("batch", READ, "POST", "/batch", batch.batch),
    Operation("buckets.getIamPolicy", READ, "GET", B + "/{bucket}/iam", api.get_policy),
    Operation("buckets.testIamPermissions", READ, "GET", B + "/{bucket}/iam/testPermissions", api.test_permissions),
    Operation("buckets.getStorageLayout", READ, "GET", B + "/{bucket}/storageLayout", api.get_storage_layout),
]
XML_API = [
    Operation("xml.objects.get", ITSELF, "GET", "/{bucket}/{object:path}", xml.get_object),
    Operation("xml.objects.put", ITSELF, "PUT", "/{bucket}/{object:path}", xml.put),
    Operation("xml.objects.delete", ITSELF, "DELETE", "/{bucket}/{object:path}", xml.delete),
    Operation("multipart", ITSELF, "POST", "/{bucket}/{object:path}", xml.post),
]
JSON_ROOTS = ("storage", "upload", "download", "resumable", "batch")  # never the name of an XML API bucket


def router(gcs: Service) -> Router:
    """Return the app that answers everything; its scopes must carry the raw path, not the decoded one."""
    routes = [_route(gcs, operation, GcsError.as_json) for operation in JSON_API]
    for root in JSON_ROOTS:
        unknown = _endpoint(gcs, _unknown, GcsError.as_json)
        routes += [Route(path, unknown, methods=METHODS) for path in (f"/{root}", f"/{root}/{{rest:path}}")]
    unknown = _endpoint(gcs, _unknown, GcsError.as_xml)
    routes += [Route(path, unknown, methods=METHODS) for path in ("/", "/{bucket}", "/{bucket}/")]
    routes += [_route(gcs, operation, GcsError.as_xml) for operation in XML_API]
    routes.append(Route("/{rest:path}", unknown, methods=METHODS))
    return Router(routes, redirect_slashes=False)


def _route(gcs: Service, operation: Operation, as_response: Callable[[GcsError], Response]) -> Route:
    async def noted(gcs: Service, request: Request) -> Response:
        if operation.write is not None:
            gcs.note(operation.name, write=operation.write)
        return await operation.handler(gcs, request)

    return Route(operation.path, _endpoint(gcs, noted, as_response), methods=[operation.method])


def _endpoint(
    gcs: Service, handler: Handler, as_response: Callable[[GcsError], Response]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await handler(gcs, request)
        except GcsError as error:
            return as_response(error)
        except ClientDisconnect:
            return Response()  # nobody is there to read it

    return endpoint
