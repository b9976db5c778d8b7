"""The service's own message types, gathered here once: the rest of the room imports them from this module."""

from __future__ import annotations

import datetime as dt
from typing import Any, TypeAlias

from google.api import httpbody_pb2
from google.cloud.aiplatform_v1 import (  # noqa: TID251  the stand-in speaks in the service's own message types
    types,
)
from google.cloud.location import locations_pb2
from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.longrunning import operations_pb2
from google.protobuf import (
    any_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
)

Message: TypeAlias = Any  # a message of the SDK (proto-plus) or a plain protobuf one (operations, locations)
MessageType: TypeAlias = Any  # the class of either

# Where the messages of a package live; those that the SDK does not wrap are plain protobuf.
_MODULES: dict[str, tuple[Any, ...]] = {
    "google.api": (httpbody_pb2,),
    "google.cloud.aiplatform.v1": (types,),
    "google.cloud.location": (locations_pb2,),
    "google.iam.v1": (iam_policy_pb2, policy_pb2),
    "google.longrunning": (operations_pb2,),
    "google.protobuf": (empty_pb2,),
}

HttpBody: MessageType = httpbody_pb2.HttpBody

__all__ = [
    "HttpBody",
    "Message",
    "MessageType",
    "any_pb2",
    "empty_pb2",
    "field_mask_pb2",
    "json_format",
    "locations_pb2",
    "message_type",
    "moment",
    "operations_pb2",
    "pack",
    "plain",
    "types",
]


def message_type(full_name: str) -> MessageType:
    """Return the class of a message, by its protobuf name ("google.cloud.aiplatform.v1.Model")."""
    package, _, name = full_name.rpartition(".")
    return next(getattr(module, name) for module in _MODULES[package] if hasattr(module, name))


def plain(message: Message) -> Message:
    """Return the plain protobuf message inside one of the SDK's; a plain one as it is."""
    return message if hasattr(message, "DESCRIPTOR") else type(message).pb(message)


def pack(message: Message) -> any_pb2.Any:
    """Wrap a message the way an operation carries its metadata and its response."""
    packed = any_pb2.Any()
    packed.Pack(plain(message))
    return packed


def moment(seconds: float) -> dt.datetime:
    """Turn seconds since the epoch into what the SDK's messages take for a timestamp."""
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
