"""The HTTP side: GraphQL, signed files, download redirects, run streams."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import tempfile
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.sandbox.wandb import streams
from bridge.sandbox.wandb.downloads import file_by_address, file_by_digest
from bridge.sandbox.wandb.errors import Refused
from bridge.sandbox.wandb.gateway import NOT_LOGGED_IN, Answer, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.wandb.files import ArtifactFile
    from bridge.sandbox.wandb.gateway import Gateway

log = logging.getLogger(__name__)

SERVICE = "wandb"
IN_MEMORY = 1 << 20  # bytes of a body that are kept in memory; more go to a temporary file
CHUNK = 1 << 20


class Asked:
    """A request, its body read."""

    def __init__(self, request: Request, body: IO[bytes]) -> None:
        self.method = request.method
        self.headers = request.headers
        self.path: dict[str, str] = dict(request.path_params)
        self.query = request.query_params
        self.body = body

    @property
    def authorization(self) -> str:
        """Who says that they ask."""
        return self.headers.get("authorization", "")

    @cached_property
    def json(self) -> dict[str, Any]:
        """
        The body as a JSON object; the SDK's Go program may send it packed by gzip.

        Raises ValueError or OSError if it is not one.
        """
        raw = self.body.read()
        sent = json.loads((gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw) or b"{}")
        if not isinstance(sent, dict):
            raise ValueError("the body is not a JSON object")  # noqa: TRY004  a wrong text, not a wrong type
        return sent


class Routes:
    """
    The endpoints, and the one door they are behind.

    `_enter` is where faults can be injected per request: it sees each request before it is worked on, and each
    response before it is sent. Everything behind it runs in worker threads.
    """

    def __init__(self, gateway: Gateway, traffic: Traffic) -> None:
        self._gateway = gateway
        self._traffic = traffic

    def app(self) -> Starlette:
        """Return the ASGI app."""
        v2 = "/artifactsV2/{region}/{entity}/{project}/{collection}"
        by_address = self._route("GET file", self._redirect_to_file)
        return Starlette(
            routes=[
                Route("/graphql", self._route("", self._graphql), methods=["POST"]),
                Route("/storage/{blob}", self._route("GET file", self._get_file), methods=["GET"]),
                Route("/storage/{blob}", self._route("PUT file", self._put_file, write=True), methods=["PUT"]),
                Route(v2 + "/{artifact}/{birth}/{hexdigest}/{name}", by_address, methods=["GET"]),
                Route(v2 + "/{birth}/{hexdigest}/{name}", by_address, methods=["GET"]),
                Route("/artifacts/{entity}/{hexdigest}", self._route("GET file", self._redirect_by_digest)),
                Route(
                    "/files/{entity}/{project}/{run}/file_stream",
                    self._route("file_stream", self._file_stream, write=True),
                    methods=["POST"],
                ),
                Route("/sdk/otel/v1/{signal}", self._route("telemetry", _nothing), methods=["POST"]),
                Route("/healthz", self._route("healthz", _nothing), methods=["GET"]),
            ]
        )

    def _route(
        self, name: str, answer: Callable[[Asked], Response], *, write: bool = False
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as body:
                async for chunk in request.stream():
                    if body.tell() + len(chunk) > IN_MEMORY:
                        await run_in_threadpool(body.write, chunk)
                    else:
                        body.write(chunk)
                body.seek(0)
                return await run_in_threadpool(self._enter, Asked(request, body), name, answer, write=write)

        return endpoint

    def _enter(self, asked: Asked, name: str, answer: Callable[[Asked], Response], *, write: bool) -> Response:
        try:
            if not name:
                name, write = describe(asked.json)
            fault = self._traffic.note(SERVICE, name, write=write)
            if fault is not None and fault.kind == "empty":
                return _json(self._gateway.answer(asked.authorization, asked.json, blind=True))
            return answer(asked)
        except Refused as refused:
            return JSONResponse({"error": refused.message}, refused.status)
        except (ValueError, OSError) as error:
            log.warning("%s: a request that makes no sense: %s", name or asked.method, error)
            return JSONResponse({"error": str(error)}, 400)

    def _graphql(self, asked: Asked) -> Response:
        return _json(self._gateway.answer(asked.authorization, asked.json))

    def _get_file(self, asked: Asked) -> Response:
        blob = asked.path["blob"]
        if not self._gateway.signer.is_valid(asked.method, blob, asked.query):
            return _storage_error(403, "AccessDenied", "Request has expired")
        return self._bytes(blob)

    def _put_file(self, asked: Asked) -> Response:
        blob = asked.path["blob"]
        if not self._gateway.signer.is_valid("PUT", blob, asked.query):
            return _storage_error(403, "AccessDenied", "Request has expired")
        md5 = hashlib.md5(usedforsecurity=False)
        while chunk := asked.body.read(CHUNK):
            md5.update(chunk)
        declared = asked.headers.get("content-md5")
        if declared and declared != base64.b64encode(md5.digest()).decode():
            return _storage_error(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")
        asked.body.seek(0)
        self._gateway.blobs.write(blob, asked.body)
        return Response(headers={"ETag": f'"{md5.hexdigest()}"'})

    def _redirect_to_file(self, asked: Asked) -> Response:
        """Answer what the SDK asks if it has no direct URL (sdk/artifacts/storage_policies/wandb_storage_policy.py)."""
        path = asked.path
        return self._redirect(
            asked, lambda context: file_by_address(context, path["birth"], path["hexdigest"], path["name"])
        )

    def _redirect_by_digest(self, asked: Asked) -> Response:
        path = asked.path
        return self._redirect(asked, lambda context: file_by_digest(context, path["entity"], path["hexdigest"]))

    def _redirect(self, asked: Asked, find: Callable[[Any], ArtifactFile | None]) -> Response:
        gateway = self._gateway
        asker = gateway.asker(asked.authorization)
        if asker is None:
            return _json(NOT_LOGGED_IN)
        with gateway.store.reading() as database:
            context = gateway.context(database, asker)
            file = find(context)
            if file is None or file.ref is not None:
                return JSONResponse({"error": "file not found"}, 404)
            if gateway.switches.v2_redirect == 200:  # noqa: PLR2004  the switch's own word
                return self._bytes(file.blob)
            return RedirectResponse(file.directUrl(context), gateway.switches.v2_redirect)

    def _file_stream(self, asked: Asked) -> Response:
        gateway, path = self._gateway, asked.path
        asker = gateway.asker(asked.authorization)
        if asker is None:
            return _json(NOT_LOGGED_IN)
        with gateway.store.writing() as database:
            context = gateway.context(database, asker)
            return JSONResponse(streams.keep_chunks(context, path["entity"], path["project"], path["run"], asked.json))

    def _bytes(self, blob: str) -> Response:
        if not self._gateway.blobs.exists(blob):
            return _storage_error(404, "NoSuchKey", "The specified key does not exist.")
        # Starlette answers Range with 206, and with 416 beyond the end.
        return FileResponse(self._gateway.blobs.path(blob), media_type="application/octet-stream")


def _nothing(asked: Asked) -> Response:  # noqa: ARG001  any request
    return PlainTextResponse("ok")


def _json(answer: Answer) -> Response:
    return Response(
        json.dumps(answer.content), answer.status, headers=dict(answer.headers), media_type="application/json"
    )


def _storage_error(status: int, code: str, message: str) -> Response:
    """Answer as the object stores do that hold W&B's files."""
    xml = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(xml, status, media_type="application/xml")
