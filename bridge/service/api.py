"""What can be asked of a running service, and told to it: /v1."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bridge.config import units
from bridge.core.errors import NeedsPerson
from bridge.core.model import EVERY, ModelKey
from bridge.core.records import EntryId, Scope
from bridge.reconcile.pausing import Pauses
from bridge.service.events import progress_row
from bridge.service.refusing import Refused
from bridge.service.views import entry_row, mapping_row, model_page, model_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Message, Send

    from bridge.core.errors import BridgeError
    from bridge.core.model import Hold
    from bridge.core.records import Status
    from bridge.service.events import Events, Listener
    from bridge.service.in_force import InForce
    from bridge.service.tokens import Keeper

log = logging.getLogger(__name__)

HEARTBEAT = 15.0  # seconds; proxies take a connection that is silent for longer for dead
PATIENCE = 30.0  # seconds that a listener's connection may take nothing
NAME = Path(max_length=200)


def _duration(text: str) -> str:
    units.duration(text)
    return text


class Pause(BaseModel):
    """A pause: of the whole mapping, or of one model of it; of all that is in it, or of one alias."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    for_: Annotated[str, AfterValidator(_duration)] | None = Field(None, alias="for")  # none: until it is resumed
    model: str | None = None
    alias: str | None = None


class Resume(BaseModel):
    """The end of a pause: of the mapping and all its models, or of one model; or that of one alias."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """What the API is made of."""

    now: Callable[[], InForce]
    events: Events
    reload: Callable[[], BridgeError | None]  # why not, if it was refused
    keeper: Keeper


def make_routers(door: Door) -> list[APIRouter]:
    """Return all routes, a router for each scope."""
    return [_reading(door), _listening(door), _syncing(door), _governing(door)]


def _reading(door: Door) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=door.keeper.route(Scope.READ))

    @router.get("/mappings")
    def mappings() -> list[dict[str, Any]]:
        """List the mappings of the configuration that is in force."""
        return [mapping_row(spec) for spec in door.now().specs]

    @router.get("/mappings/{name}")
    def mapping(name: Annotated[str, NAME]) -> dict[str, Any]:
        """
        Say whether something is yet to be done for a mapping.

        A sync that was asked for is done when nothing is `left` and there are more `sweeps` than before, under the same
        configuration, which is in force `since` then. `unread` is a pattern that could not be looked at, if no model of
        it is known.
        """
        here = door.now()
        spec = here.spec(name)
        left = here.left(name)  # first: what is counted after it is as new
        sweeps = here.following.sweeps(spec.source.connection)
        unread = [model_row(here.store, status) for status in here.following.unread(name)]
        return mapping_row(spec) | {"since": here.since, "sweeps": sweeps, "left": left, "unread": unread}

    @router.get("/models")
    def models(
        mapping: str | None = None, after: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        """List models with their states and aliases, by mapping and model; go on with `after` the last one's `next`."""
        here = door.now()
        names = {spec.name for spec in ([here.spec(mapping)] if mapping is not None else here.specs)}
        mark = ModelKey(*after.partition("/")[::2])
        found = [each for each in here.store.statuses() if each.key.mapping in names and each.key > mark]
        shown, more = found[:limit], len(found) > limit
        return {
            "models": [model_row(here.store, status) for status in shown],
            "next": str(shown[-1].key) if more else None,
        }

    @router.get("/models/{mapping}/{model}")
    def model(mapping: Annotated[str, NAME], model: Annotated[str, NAME]) -> dict[str, Any]:
        """Say all that is known of one model."""
        here = door.now()
        status = here.status(mapping, model)
        copies = door.events.copies(status.collection)
        return model_page(here.store, status, here.clock.now()) | {"copies": [progress_row(each) for each in copies]}

    @router.get("/journal")
    def journal(
        mapping: str | None = None,
        model: str | None = None,
        before: Annotated[int | None, Query(ge=1, lt=1 << 63)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Tell what was done, newest first, of all models or of one; go on with `before` the last one's `next`."""
        if (mapping is None) != (model is None):
            raise Refused(422, "the journal of one model is asked for by mapping and model", "give both, or none")
        key = None if mapping is None or model is None else ModelKey(mapping, model)
        older = None if before is None else EntryId(before)
        entries = door.now().store.journal(key, limit + 1, older)
        shown = entries[:limit]
        return {
            "entries": [{"id": entry.id} | entry_row(entry) for entry in shown],
            "next": shown[-1].id if len(entries) > limit else None,
        }

    return router


def _listening(door: Door) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=door.keeper.route(Scope.READ))

    @router.get("/events", response_class=StreamingResponse)
    async def events(last_event_id: Annotated[str | None, Header(max_length=100)] = None) -> Stream:
        """
        Tell states and the progress of copies as server-sent events, from now on, or since `Last-Event-ID`.

        Best effort: who reads too slowly is cut off, and may miss some. GET /v1/models is the truth.
        """
        listener = door.events.listen(last_event_id)
        if listener is None:
            raise Refused(503, "there are too many listeners, or the service is stopping", "ask again later")
        return Stream(_told(door.events, listener), headers={"Cache-Control": "no-store"})

    return router


def _syncing(door: Door) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=door.keeper.route(Scope.SYNC))

    @router.post("/mappings/{name}/sync", status_code=202)
    def sync(request: Request, name: Annotated[str, NAME], *, full: bool = False) -> dict[str, Any]:
        """
        Have a mapping's source looked at, and its models brought up to date, soon; asking twice is asking once.

        With `full` models are compared with Vertex even where their source is as it was. GET the mapping to see when it
        is done.
        """
        here = door.now()
        key = ModelKey(here.spec(name).name, EVERY)
        return {"mapping": name, "queued": here.looks.submit(key, _why(request), full=full)}

    @router.post("/models/{mapping}/{model}/retry", status_code=202)
    def retry(request: Request, mapping: Annotated[str, NAME], model: Annotated[str, NAME]) -> dict[str, Any]:
        """Have a model worked on now, whenever its next try is due."""
        here = door.now()
        return again(request, here, here.status(mapping, model))

    @router.post("/retry", status_code=202)
    def retry_ref(request: Request, ref: Annotated[str, Query(max_length=500)]) -> dict[str, Any]:
        """Do the same with the one model that a reference means; a version or an alias means its model."""
        here = door.now()
        return again(request, here, here.meant(ref))

    def again(request: Request, here: InForce, status: Status) -> dict[str, Any]:
        mapping, model = status.key.mapping, status.key.model
        if (hold := here.store.holds(status.key, here.clock.now()).get(EVERY)) is not None:
            raise Refused(
                409, f"{status.key} is paused by {hold.who}: {hold.why}", f"resume it: bridge resume {mapping}"
            )
        if not here.following.follows(status.key):
            why = f": {status.message}" if status.message else ""
            raise Refused(409, f"{status.key} is not followed now{why}", f"look at its source: bridge sync {mapping}")
        return {"mapping": mapping, "model": model, "queued": here.queue.submit(status.key, _why(request), full=True)}

    return router


def _governing(door: Door) -> APIRouter:
    router = APIRouter(prefix="/v1", route_class=door.keeper.route(Scope.ADMIN))

    @router.post("/mappings/{name}/pause")
    def pause(request: Request, name: Annotated[str, NAME], asked: Pause) -> dict[str, Any]:
        """Let nothing of a mapping, a model of it or an alias be changed for a time, or until it is resumed."""
        here = door.now()
        key = here.scope(name, asked.model)
        lasts = units.duration(asked.for_) if asked.for_ is not None else None
        try:
            hold: Hold = Pauses(here.store, here.clock).begin(key, request.state.who, asked.reason, lasts, asked.alias)
        except NeedsPerson as wrong:
            raise Refused(422, wrong.reason, wrong.remedy) from wrong
        log.info("%s is paused by %s: %s", _named(key, asked.alias), hold.who, hold.why)
        said = {"who": hold.who, "reason": hold.why, "until": hold.until}
        return {"mapping": name, "model": asked.model, "alias": asked.alias, **said}

    @router.post("/mappings/{name}/resume")
    def resume(request: Request, name: Annotated[str, NAME], asked: Resume | None = None) -> dict[str, Any]:
        """End the pause of a mapping and of all its models, of one model or of an alias, and have it looked at."""
        here = door.now()
        asked = asked or Resume()
        key = here.scope(name, asked.model)
        try:
            was_paused = Pauses(here.store, here.clock).end(key, request.state.who, asked.alias)
        except NeedsPerson as paused:
            raise Refused(409, paused.reason, paused.remedy) from paused
        here.looks.submit(ModelKey(name, EVERY), _why(request))
        return {"mapping": name, "model": asked.model, "alias": asked.alias, "was_paused": was_paused}

    @router.post("/reload")
    def reload() -> dict[str, Any]:
        """Read the configuration again; if it is not valid, the last good one goes on."""
        if (problem := door.reload()) is not None:
            raise Refused(409, f"the new configuration is refused, and the last good one goes on: {problem}", "mend it")
        return {"mappings": len(door.now().specs)}

    return router


def _why(request: Request) -> str:
    return f"{request.state.who} asks"


async def _told(events: Events, listener: Listener) -> AsyncIterator[str]:
    try:
        yield ": listening\n\n"
        while not listener.is_over:
            event = await listener.next(HEARTBEAT)
            if event is not None:
                yield str(event)
            elif not listener.is_over:
                yield ": still here\n\n"
        if listener.is_too_slow:
            yield ": this listener was too slow; some events are lost to it\n\n"
    finally:
        events.leave(listener)


def _named(key: ModelKey, alias: str | None) -> str:
    return str(key) if alias is None else f"alias {alias} of {key}"


class Stream(StreamingResponse):
    """Server-sent events; a connection that takes nothing for long is given up."""

    media_type = "text/event-stream"

    async def stream_response(self, send: Send) -> None:
        """See Starlette."""

        async def in_time(message: Message) -> None:
            await asyncio.wait_for(send(message), PATIENCE)

        try:
            await super().stream_response(in_time)
        except TimeoutError:
            log.warning("a listener of events read nothing for %.0f seconds and was let go", PATIENCE)
