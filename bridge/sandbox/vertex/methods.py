"""The table of the service's methods, read from method_table.json, which derive_table.py makes from the SDK."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.sandbox.vertex.messages import HttpBody, message_type, plain

if TYPE_CHECKING:
    from bridge.sandbox.vertex.messages import Message, MessageType

TABLE = Path(__file__).with_name("method_table.json")

_READS = ("Get", "List", "Wait", "Predict", "RawPredict")


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to call a method over REST."""

    verb: str  # "GET", "POST", "PATCH", "DELETE"
    uri: str  # "/v1/{name=projects/*/locations/*/models/*}:listVersions"
    body: str | None  # the field that the JSON body is; "*": the body is the request; None: there is none


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC."""

    path: str  # "/google.cloud.aiplatform.v1.ModelService/UploadModel"
    streaming: bool  # in either direction; the stand-in has none of these
    request: MessageType
    response: MessageType
    rules: tuple[Rule, ...]  # in the SDK's order: its REST client uses the first that fits

    @property
    def name(self) -> str:
        """The RPC's name: "UploadModel"."""
        return self.path.rpartition("/")[2]

    @property
    def is_write(self) -> bool:
        """Whether the method may change anything."""
        return not self.name.startswith(_READS)

    @property
    def takes_raw_body(self) -> bool:
        """Whether REST clients other than the generated ones send and get bytes that are no message in JSON."""
        return self.response is HttpBody

    def parse(self, body: bytes) -> Message:
        """Read a request from the wire."""
        return self.request.deserialize(body) if hasattr(self.request, "deserialize") else self.request.FromString(body)

    def resource(self, request: Message) -> str:
        """Return the name that the request is about, "" if it is about none."""
        if not self.rules:
            return ""
        value = request
        for field in self.rules[0].uri.partition("{")[2].partition("=")[0].split("."):
            value = getattr(value, field)
        return str(value)


def wire(message: Message) -> bytes:
    """Write an answer for the wire."""
    body: bytes = plain(message).SerializeToString()
    return body


@cache
def method_table() -> dict[str, Method]:
    """Return path -> method."""
    return {
        path: Method(
            path=path,
            streaming=entry["streaming"],
            request=message_type(entry["request"]),
            response=message_type(entry["response"]),
            rules=tuple(Rule(verb, uri, body) for verb, uri, body in entry["rules"]),
        )
        for path, entry in json.loads(TABLE.read_text()).items()
    }
