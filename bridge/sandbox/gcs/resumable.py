"""Resumable uploads: the session is started, given bytes, asked about, completed or cancelled."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import Response

from bridge.sandbox.gcs import preconditions
from bridge.sandbox.gcs.errors import GcsError, invalid
from bridge.sandbox.gcs.hashes import claims_of, verify
from bridge.sandbox.gcs.objects import NewObject
from bridge.sandbox.gcs.ranges import ContentRange, content_range
from bridge.sandbox.gcs.resources import base_url, path_part
from bridge.sandbox.gcs.sessions import Session
from bridge.sandbox.gcs.streams import json_body, pour
from bridge.sandbox.gcs.uploads import described, resource_answer

if TYPE_CHECKING:
    from starlette.requests import Request

    from bridge.sandbox.gcs.service import Service
    from bridge.sandbox.gcs.sessions import Receiving


async def start_session(gcs: Service, request: Request) -> Response:
    """Answer with the session's address; its upload_id is all that the client needs to go on, even days later."""
    resource = await json_body(request)
    bucket = path_part(request, "bucket")
    name, fields = described(request, resource, request.headers.get("x-upload-content-type"))
    total = request.headers.get("x-upload-content-length")
    if total is not None and not total.isdecimal():
        raise invalid(f"X-Upload-Content-Length is {total!r}, not a number")
    session = Session(
        id=uuid.uuid4().hex,
        bucket=bucket,
        name=name,
        fields=fields,
        preconditions=preconditions.from_query(request.query_params, request.headers),
        claims=claims_of(resource, request.headers),
        total=None if total is None else int(total),
        body=gcs.bodies.new_id(),
        created=gcs.clock.now(),
    )
    gcs.sessions.start(session)
    location = (
        f"{base_url(request)}/upload/storage/v1/b/{bucket}/o"
        f"?uploadType=resumable&name={quote(name, safe='')}&upload_id={session.id}"
    )
    return Response(headers={"location": location, "x-guploader-uploadid": session.id})


async def cancel_session(gcs: Service, request: Request) -> Response:
    """End a session without an object: 499, as documented. A completed one stays completed (a guess)."""
    gcs.note("resumable.cancel", write=True)
    session = gcs.sessions.require(request.query_params.get("upload_id", ""))
    if session.state == "open":
        gcs.sessions.over(session)
    return Response(status_code=499)


async def continue_session(gcs: Service, request: Request) -> Response:
    """
    Take bytes for a session, or say how many it holds.

        Content-Range     meaning
        bytes a-b/N       bytes a to b of N; complete when N are held
        bytes a-b/*       bytes a to b, more will follow
        bytes */N         complete if exactly N are held; else how many?
        bytes */*         how many?
        (none)            all of the object's bytes

    Answers 200 and the object when complete, 308 and Range (no Range while nothing is held) before. The
    service wants chunks in multiples of 256 KiB; the stand-in takes any (a guess that this harms nobody).
    """
    header = request.headers.get("content-range")
    asks = header is not None and header.startswith("bytes */")
    try:
        asked = None if header is None else content_range(header)
        session = gcs.sessions.require(request.query_params.get("upload_id", ""))
        if asked is not None and None not in {asked.total, session.total} and asked.total != session.total:
            raise invalid(f"Content-Range says {asked.total} bytes, the session's start said {session.total}")
    except GcsError:
        gcs.note("resumable.status" if asks else "resumable.put", write=not asks)
        raise
    if session.result is not None:
        gcs.note("resumable.status", write=False)
        return resource_answer(request, session.result)
    receiving = await gcs.sessions.receiving(session)
    if asked is not None and asked.is_question:
        total = asked.total
        completes = total == receiving.growing.size
        gcs.note("resumable.put" if completes else "resumable.status", write=completes)
    else:
        gcs.note("resumable.put", write=True)
        total = await _receive_chunk(gcs, request, session, receiving, asked=asked)
    return _status(gcs, request, session, receiving, total=total)


async def _receive_chunk(
    gcs: Service, request: Request, session: Session, receiving: Receiving, *, asked: ContentRange | None
) -> int | None:
    """
    Append the request's body; return how many bytes the object will have, if that is known by then.

    If the connection breaks, what arrived is kept, and the exception goes on. That a gap is 400 is a guess.
    """
    turn = receiving.take_turn()
    position = asked.first if asked and asked.first is not None else 0
    end = asked.last + 1 if asked and asked.last is not None else session.total
    if position > receiving.growing.size:
        raise invalid(f"the chunk begins at {position}, but only {receiving.growing.size} bytes are held")

    def sink(piece: bytes) -> None:
        nonlocal position
        fits = piece if end is None else piece[: end - position]
        receiving.write(turn, position, fits)
        position += len(fits)
        if len(fits) < len(piece):
            raise invalid(f"the body goes on behind its last byte, which is number {position - 1}")

    try:
        await pour(request.stream(), sink, gcs.workers)
    finally:
        receiving.pause()
    if asked is not None:
        return asked.total
    return position if session.total is None else session.total


def _status(gcs: Service, request: Request, session: Session, receiving: Receiving, *, total: int | None) -> Response:
    if receiving.growing.size == total:
        receiving.take_turn()  # whoever still writes is shut out before the size is looked at once more
    held = receiving.growing.size
    if total is not None and held > total:
        raise invalid(f"{held} bytes are held, more than the {total} there should be")
    if held == total:
        return _complete(gcs, request, gcs.sessions.require(session.id), receiving)
    headers = {"range": f"bytes=0-{held - 1}"} if held else {}
    if request.headers.get("x-guploader-no-308", "").lower() == "yes":  # Go's clients, rclone
        return Response(headers={**headers, "x-http-status-code-override": "308"})
    return Response(status_code=308, headers=headers)


def _complete(gcs: Service, request: Request, session: Session, receiving: Receiving) -> Response:
    """
    Make the object, or refuse it and end the session (that a refusal ends it is a guess).

    `session` is as it is now: somebody else may have completed it while this request's body came in. There is
    no await from its look-up to the commit.
    """
    if session.result is not None:
        return resource_answer(request, session.result)
    digests = receiving.growing.digests()
    new = NewObject(session.bucket, session.name, session.fields, digests, session.body)
    try:
        verify([*session.claims, *claims_of({}, request.headers)], digests)
        with gcs.database.transaction():
            stored = gcs.objects.put(new, session.preconditions)
            gcs.sessions.done(session, stored)
    except GcsError:
        gcs.sessions.over(session)
        raise
    return resource_answer(request, stored)
