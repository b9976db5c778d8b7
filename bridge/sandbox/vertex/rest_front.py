"""The REST front: the HTTP rules of the method table, over JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge.sandbox.vertex.errors import Refused, grpc_status, http_status, refusal
from bridge.sandbox.vertex.messages import HttpBody, json_format, plain, types
from bridge.sandbox.vertex.methods import method_table

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request

    from bridge.sandbox.vertex.dispatch import Dispatcher
    from bridge.sandbox.vertex.messages import Message
    from bridge.sandbox.vertex.methods import Method, Rule

_VERBS = ["GET", "POST", "PATCH", "DELETE"]
_VARIABLE = re.compile(r"\{([^=}]+)=([^}]*)\}")
# Parameters of the HTTP mapping itself: `$alt=json;enum-encoding=int` comes with every call of the SDK's
_SYSTEM_PARAMETERS = ("alt", "key", "prettyPrint")


class RestFront:
    """An ASGI app for one dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._routes = _routes()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=_VERBS)])

    async def _answer(self, http: Request) -> Response:
        try:
            route, values = self._find(http.method, http.url.path)
            body = await http.body()
            if route.method.takes_raw_body and not _is_generated(body):
                return _raw_response(await self._dispatch(route, _raw_request(http, values, body)))
            answer = await self._dispatch(route, _request(route, values, http.query_params, body))
            return Response(json_format.MessageToJson(plain(answer), indent=None), media_type="application/json")
        except Refused as error:
            return _error_response(error)

    def _find(self, verb: str, path: str) -> tuple[_Route, dict[str, str]]:
        for route in self._routes:
            found = route.pattern.fullmatch(path) if route.rule.verb == verb else None
            if found is not None:
                return route, dict(zip(route.fields, found.groups(), strict=True))
        raise self._dispatcher.refuse_unknown(f"{verb} {path}", write=verb != "GET")

    async def _dispatch(self, route: _Route, request: Message) -> Message:
        # in a thread, so that a call which is held up holds up no other
        return await run_in_threadpool(self._dispatcher.dispatch, route.method, request)


@dataclass(frozen=True, slots=True)
class _Route:
    method: Method
    rule: Rule
    pattern: re.Pattern[str]  # of an unquoted path: `m@1` is sent as `m%401`
    fields: tuple[str, ...]  # where the pattern's groups go: "name", "model.name"


def _routes() -> list[_Route]:
    """Return all rules, those with a `:verb` first: `models/*` matches `models/churn:listVersions` as well."""
    routes = [
        _Route(method, rule, _pattern(rule.uri), tuple(field for field, _ in _VARIABLE.findall(rule.uri)))
        for method in method_table().values()
        for rule in method.rules
    ]
    return sorted(routes, key=lambda route: ":" not in route.rule.uri)


def _pattern(uri: str) -> re.Pattern[str]:
    """Turn "/v1/{name=projects/*}:verb" into a pattern with one group for each variable."""
    parts = re.split(r"(\{[^}]*\})", uri)
    return re.compile("".join(_group(part) if part.startswith("{") else re.escape(part) for part in parts))


def _group(variable: str) -> str:
    template = variable.strip("{}").partition("=")[2]
    return "(" + re.escape(template).replace(r"\*\*", ".+").replace(r"\*", "[^/]+") + ")"


def _request(route: _Route, values: dict[str, str], query: QueryParams, body: bytes) -> Message:
    """Put a request together from the path, the query string and the JSON body."""
    message = route.method.request
    whole = message.pb() if hasattr(message, "pb") else message
    fields = _query_fields(query, whole.DESCRIPTOR)
    try:
        content = json.loads(body) if body and route.rule.body else {}
        if route.rule.body == "*":
            fields |= content
        elif route.rule.body:
            fields[route.rule.body] = content
        for field, value in values.items():
            _set(fields, field, value)
        parsed = json_format.ParseDict(fields, whole())
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        raise refusal("INVALID_ARGUMENT", f"{route.method.name}: {error}") from error
    return message.wrap(parsed) if hasattr(message, "wrap") else parsed


def _query_fields(query: QueryParams, descriptor: Any) -> dict[str, Any]:  # noqa: ANN401  protobuf has no types
    """Turn "a.b=1&c=2&c=3" into {"a": {"b": "1"}, "c": ["2", "3"]}; which fields repeat, the descriptor says."""
    fields: dict[str, Any] = {}
    for name in query:
        if name.startswith("$") or name in _SYSTEM_PARAMETERS:
            continue
        field = _field(descriptor, name)
        values: list[Any] = query.getlist(name)
        if field is not None and field.message_type and field.message_type.name == "FieldMask":
            # JSON has field masks in camelCase; in a query string the service takes snake_case too (guess)
            values = [re.sub(r"_([a-z])", lambda letter: letter[1].upper(), value) for value in values]
        _set(fields, name, values if field is not None and field.is_repeated else values[0])
    return fields


def _field(descriptor: Any, dotted: str) -> Any:  # noqa: ANN401  protobuf has no types
    """Return the descriptor of the field at the end of a dotted name, None if there is none."""
    field = None
    for name in dotted.split("."):
        known = descriptor.fields if descriptor is not None else ()
        field = next((field for field in known if name in (field.name, field.json_name)), None)
        descriptor = field.message_type if field is not None else None
    return field


def _set(fields: dict[str, Any], dotted: str, value: Any) -> None:  # noqa: ANN401  a JSON value
    *outer, last = dotted.split(".")
    for name in outer:
        fields = fields.setdefault(name, {})
    fields[last] = value


def _is_generated(body: bytes) -> bool:
    """Say if a raw prediction comes from the generated client, which sends the request message and not the body."""
    try:
        return "httpBody" in json.loads(body or b"{}")
    except ValueError:
        return False


def _raw_request(http: Request, values: dict[str, str], body: bytes) -> Message:
    content = HttpBody(content_type=http.headers.get("content-type", ""), data=body)
    return types.RawPredictRequest(endpoint=values["endpoint"], http_body=content)


def _raw_response(answer: Message) -> Response:
    drawn = types.DeployedModelRef.pb()()
    for extension in answer.extensions:
        extension.Unpack(drawn)
    headers = {
        "X-Vertex-AI-Endpoint-Id": drawn.endpoint.rpartition("/")[2],
        "X-Vertex-AI-Deployed-Model-Id": drawn.deployed_model_id,
    }
    return Response(answer.data, headers=headers, media_type=answer.content_type)


def _error_response(error: Refused) -> Response:
    code = http_status(error)
    content = {"error": {"code": code, "status": grpc_status(error).name, "message": error.message}}
    return JSONResponse(content, status_code=code)
