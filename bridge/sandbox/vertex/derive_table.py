"""
Derives method_table.json from the installed SDK: `python -m bridge.sandbox.vertex.derive_table`.

The SDK's file descriptors hold no services and no HTTP rules, so both are taken from private parts of its
transports (facts-vertex, section 2). The result is frozen in the file; a test derives it again and compares.
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import grpc
from google.cloud.aiplatform_v1.services.endpoint_service.transports import (  # noqa: TID251  the table's source
    grpc as endpoint_grpc,
    rest_base as endpoint_rest,
)
from google.cloud.aiplatform_v1.services.model_service.transports import (  # noqa: TID251  the table's source
    grpc as model_grpc,
    rest_base as model_rest,
)
from google.cloud.aiplatform_v1.services.prediction_service.transports import (  # noqa: TID251  the table's source
    grpc as prediction_grpc,
    rest_base as prediction_rest,
)

from bridge.sandbox.vertex.methods import TABLE

Table: TypeAlias = dict[str, dict[str, Any]]

_TRANSPORTS: list[tuple[Any, Any]] = [
    (model_grpc.ModelServiceGrpcTransport, model_rest._BaseModelServiceRestTransport),  # noqa: SLF001  see above
    (endpoint_grpc.EndpointServiceGrpcTransport, endpoint_rest._BaseEndpointServiceRestTransport),  # noqa: SLF001  the same
    (prediction_grpc.PredictionServiceGrpcTransport, prediction_rest._BasePredictionServiceRestTransport),  # noqa: SLF001  the same
]

# The messages that the SDK does not wrap: their serializers are methods that do not say whose they are.
_PLAIN = {
    "/google.longrunning.Operations/GetOperation": ("GetOperationRequest", "Operation"),
    "/google.longrunning.Operations/ListOperations": ("ListOperationsRequest", "ListOperationsResponse"),
    "/google.longrunning.Operations/WaitOperation": ("WaitOperationRequest", "Operation"),
    "/google.longrunning.Operations/CancelOperation": ("CancelOperationRequest", "google.protobuf.Empty"),
    "/google.longrunning.Operations/DeleteOperation": ("DeleteOperationRequest", "google.protobuf.Empty"),
    "/google.cloud.location.Locations/GetLocation": ("GetLocationRequest", "Location"),
    "/google.cloud.location.Locations/ListLocations": ("ListLocationsRequest", "ListLocationsResponse"),
    "/google.iam.v1.IAMPolicy/GetIamPolicy": ("GetIamPolicyRequest", "Policy"),
    "/google.iam.v1.IAMPolicy/SetIamPolicy": ("SetIamPolicyRequest", "Policy"),
    "/google.iam.v1.IAMPolicy/TestIamPermissions": ("TestIamPermissionsRequest", "TestIamPermissionsResponse"),
}


class _Recorder(grpc.Channel):  # type: ignore[misc]  # grpcio ships no types
    """A channel that calls nobody: it notes which methods it is asked for."""

    def __init__(self) -> None:
        self.methods: dict[str, tuple[bool, Any, Any]] = {}  # path -> streaming, serializer, deserializer

    def _note(self, path: str, serializer: Any, deserializer: Any, *, streaming: bool) -> Any:  # noqa: ANN401  gRPC's
        self.methods[path] = (streaming, serializer, deserializer)
        return self._note  # stands for the call: it is wrapped, never made

    def unary_unary(self, path: str, request_serializer: Any, response_deserializer: Any, *_: object) -> Any:  # noqa: ANN401  the same
        return self._note(path, request_serializer, response_deserializer, streaming=False)

    def unary_stream(self, path: str, request_serializer: Any, response_deserializer: Any, *_: object) -> Any:  # noqa: ANN401  the same
        return self._note(path, request_serializer, response_deserializer, streaming=True)

    stream_unary = unary_stream
    stream_stream = unary_stream

    def subscribe(self, *_: object) -> None:
        """Do nothing: the transport wants a whole channel."""

    unsubscribe = subscribe
    close = subscribe
    __enter__ = subscribe
    __exit__ = subscribe


def derive() -> Table:
    """Return path -> {streaming, request, response, rules}, rules as [verb, uri, body]."""
    table: Table = {}
    for grpc_transport, rest_transport in _TRANSPORTS:
        for path, (streaming, serializer, deserializer) in sorted(_stubs(grpc_transport).items()):
            request, response = _message_names(path, serializer, deserializer)
            entry = table.setdefault(
                path, {"streaming": streaming, "request": request, "response": response, "rules": []}
            )
            # The mixins (operations, locations) are in each service, with the same rules or nearly so.
            entry["rules"] += [rule for rule in _rules(rest_transport, path) if rule not in entry["rules"]]
    return dict(sorted(table.items()))


def _stubs(transport_type: Any) -> dict[str, tuple[bool, Any, Any]]:  # noqa: ANN401  a private part of the SDK
    recorder = _Recorder()
    transport = transport_type(channel=recorder)
    # The transport wraps its channel in an interceptor, which asks for unary methods only when they are called.
    transport._logged_channel, transport._stubs = recorder, {}  # noqa: SLF001  the same
    for name in dir(transport_type):
        if isinstance(getattr(transport_type, name), property) and name != "operations_client":
            getattr(transport, name)
    return recorder.methods


def _message_names(path: str, serializer: Any, deserializer: Any) -> tuple[str, str]:  # noqa: ANN401  gRPC's
    if path in _PLAIN:
        package = path[1:].rpartition(".")[0]
        request, response = _PLAIN[path]
        return f"{package}.{request}", response if "." in response else f"{package}.{response}"
    return _message_name(serializer), _message_name(deserializer)


def _message_name(codec: Any) -> str:  # noqa: ANN401  gRPC's
    """Return the protobuf name of the class whose bound method `codec` is."""
    owner = codec.__self__
    return str((owner.pb() if hasattr(owner, "pb") else owner).DESCRIPTOR.full_name)


def _rules(rest_transport: Any, path: str) -> list[list[str | None]]:  # noqa: ANN401  a private part of the SDK
    base: Any = getattr(rest_transport, f"_Base{path.rpartition('/')[2]}", None)
    options = base._get_http_options() if hasattr(base, "_get_http_options") else []  # noqa: SLF001  the same
    return [[option["method"].upper(), option["uri"], option.get("body")] for option in options]


def dump(table: Table) -> str:
    """Write the table as text, one rule a line."""
    methods = []
    for path, entry in table.items():
        rules = ",\n".join(f"    {json.dumps(rule)}" for rule in entry["rules"])
        head = json.dumps({**entry, "rules": None}).removesuffix(' "rules": null}')
        methods.append(f'{json.dumps(path)}: {head}\n  "rules": [\n{rules}]}}')
    return "{\n" + ",\n".join(methods) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(dump(derive()))
