"""
The sandbox's own API, over HTTP: what a test in any language needs to set the scene and to see what happened.

    GET    /calls                what was asked: [{service, method, write, count}]
    DELETE /calls                start counting again
    GET    /faults               what is armed: {number: fault}
    POST   /faults               arm a fault (see faults.py); answers {number}
    DELETE /faults[/NUMBER]      lift one, or all
    GET    /switches/SERVICE     how "wandb" or "vertex" behaves where the real service is unknown
    PATCH  /switches/SERVICE     change some of it
    GET    /clock                the sandbox's time, in seconds since the epoch
    POST   /clock                {advance: SECONDS}: signed URLs expire, operations end
    POST   /wandb/organizations  {name, registries: [NAME]}; all three are idempotent
    POST   /wandb/teams          {name, organization}
    POST   /wandb/users          {name, api_key, organization?, team?}
    POST   /wandb/secrets        {entity, name, value}: what a webhook's access token and signature refer to
    POST   /gcs/corrupt          {bucket, name, offset?}: flip a stored byte of an object; its digests stay
    POST   /reset                forget everything: data, calls, faults, switches

Errors are {error: SENTENCE} with 400 or 404.
"""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bridge.sandbox.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from bridge.sandbox.clock import SandboxClock
    from bridge.sandbox.gcs.server import GcsServer
    from bridge.sandbox.traffic import Traffic
    from bridge.sandbox.vertex.server import VertexServer
    from bridge.sandbox.wandb.server import WandbServer

    class Sandbox(Protocol):
        """What is controlled."""

        traffic: Traffic
        clock: SandboxClock
        wandb: WandbServer
        vertex: VertexServer
        gcs: GcsServer

        def reset(self) -> None:
            """Forget everything."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Advance(_Body):
    advance: float


class _Organization(_Body):
    name: str
    registries: list[str] = ["model"]


class _Team(_Body):
    name: str
    organization: str


class _Secret(_Body):
    entity: str
    name: str
    value: str


class _User(_Body):
    name: str
    api_key: str
    organization: str | None = None
    team: str | None = None


class _Object(_Body):
    bucket: str
    name: str
    offset: int = 0


class Control:
    """The endpoints; each works in a thread, so that none waits for another."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def app(self) -> Starlette:
        """Return the ASGI app."""
        routes = (
            ("GET", "/", self._help),
            ("GET", "/calls", self._calls),
            ("DELETE", "/calls", self._forget_calls),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._arm),
            ("DELETE", "/faults", self._disarm),
            ("DELETE", "/faults/{number:int}", self._disarm),
            ("GET", "/switches/{service}", self._switches),
            ("PATCH", "/switches/{service}", self._switch),
            ("GET", "/clock", self._clock),
            ("POST", "/clock", self._advance),
            ("POST", "/wandb/organizations", self._organization),
            ("POST", "/wandb/teams", self._team),
            ("POST", "/wandb/users", self._user),
            ("POST", "/wandb/secrets", self._secret),
            ("POST", "/gcs/corrupt", self._corrupt),
            ("POST", "/reset", self._reset),
        )
        served = [Route(path, _endpoint(answer), methods=[method]) for method, path, answer in routes]
        return Starlette(routes=served, exception_handlers={HTTPException: _not_served})

    def _help(self, _request: Request, _body: bytes) -> Response:
        return PlainTextResponse(__doc__ or "")

    def _calls(self, _request: Request, _body: bytes) -> Response:
        counts = self._sandbox.traffic.counts()
        return JSONResponse([{**asdict(call), "count": count} for call, count in counts.items()])

    def _forget_calls(self, _request: Request, _body: bytes) -> Response:
        self._sandbox.traffic.reset()
        return Response(status_code=204)

    def _faults(self, _request: Request, _body: bytes) -> Response:
        return JSONResponse({str(n): asdict(fault) for n, fault in self._sandbox.traffic.faults.armed().items()})

    def _arm(self, _request: Request, body: bytes) -> Response:
        asked = _known_keys(body, Fault, "fault")
        number = self._sandbox.traffic.faults.arm(TypeAdapter(Fault).validate_python(asked))
        return JSONResponse({"number": number})

    def _disarm(self, request: Request, _body: bytes) -> Response:
        self._sandbox.traffic.faults.disarm(request.path_params.get("number"))
        return Response(status_code=204)

    def _switches(self, request: Request, _body: bytes) -> Response:
        return JSONResponse(_plain(self._stand_in(request).switches))

    def _switch(self, request: Request, body: bytes) -> Response:
        stand_in = self._stand_in(request)
        kind: Any = type(stand_in.switches)
        changes = _known_keys(body, kind, "switch")
        stand_in.switches = TypeAdapter(kind).validate_python(_shallow(stand_in.switches) | changes)
        return JSONResponse(_plain(stand_in.switches))

    def _clock(self, _request: Request, _body: bytes) -> Response:
        return JSONResponse({"now": self._sandbox.clock.now()})

    def _advance(self, request: Request, body: bytes) -> Response:
        self._sandbox.clock.advance(_Advance.model_validate_json(body).advance)
        return self._clock(request, body)

    def _organization(self, _request: Request, body: bytes) -> Response:
        asked = _Organization.model_validate_json(body)
        self._sandbox.wandb.create_organization(asked.name, registries=asked.registries)
        return JSONResponse(asked.model_dump(), 201)

    def _team(self, _request: Request, body: bytes) -> Response:
        asked = _Team.model_validate_json(body)
        self._sandbox.wandb.create_team(asked.name, organization=asked.organization)
        return JSONResponse(asked.model_dump(), 201)

    def _user(self, _request: Request, body: bytes) -> Response:
        asked = _User.model_validate_json(body)
        self._sandbox.wandb.create_user(
            asked.name, api_key=asked.api_key, organization=asked.organization, team=asked.team
        )
        return JSONResponse(asked.model_dump(exclude={"api_key"}), 201)

    def _secret(self, _request: Request, body: bytes) -> Response:
        asked = _Secret.model_validate_json(body)
        self._sandbox.wandb.set_secret(asked.entity, asked.name, asked.value)
        return JSONResponse(asked.model_dump(exclude={"value"}), 201)

    def _corrupt(self, _request: Request, body: bytes) -> Response:
        asked = _Object.model_validate_json(body)
        self._sandbox.gcs.corrupt_object(asked.bucket, asked.name, offset=asked.offset)
        return Response(status_code=204)

    def _reset(self, _request: Request, _body: bytes) -> Response:
        self._sandbox.reset()
        return Response(status_code=204)

    def _stand_in(self, request: Request) -> Any:  # noqa: ANN401  WandbServer or VertexServer: both have `switches`
        service = request.path_params["service"]
        if service not in ("wandb", "vertex"):
            raise LookupError(f"{service!r} has no switches; choose wandb or vertex")
        return getattr(self._sandbox, service)


def _endpoint(answer: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(answer, request, await request.body())
        except ValidationError as wrong:
            first = wrong.errors(include_url=False, include_input=False)[0]
            where, what = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
            return JSONResponse({"error": f"{where}: {what}" if where else what}, 400)
        except LookupError as absent:
            return JSONResponse({"error": str(absent.args[0])}, 404)
        except ValueError as wrong:
            return JSONResponse({"error": str(wrong)}, 400)

    return endpoint


def _not_served(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, HTTPException)  # noqa: S101  what it is registered for
    sentence = f"there is no {request.method} {request.url.path}; GET / says what there is"
    return JSONResponse({"error": sentence}, refused.status_code)


def _known_keys(body: bytes, kind: Any, what: str) -> dict[str, Any]:  # noqa: ANN401  a dataclass
    """Read a JSON object whose keys are fields of `kind`. Raises ValueError."""
    said = TypeAdapter(dict[str, Any]).validate_json(body)
    known = [each.name for each in fields(kind)]
    for key in said:
        if key not in known:
            raise ValueError(f"a {what} has no {key!r}; choose from {', '.join(known)}")
    return said


def _shallow(switches: Any) -> dict[str, Any]:  # noqa: ANN401  one of the two dataclasses
    return {each.name: getattr(switches, each.name) for each in fields(switches)}


def _plain(switches: Any) -> dict[str, Any]:  # noqa: ANN401  the same
    kind: Any = type(switches)
    plain: dict[str, Any] = TypeAdapter(kind).dump_python(replace(switches), mode="json")
    return plain
