"""The gRPC front: plaintext, on loopback."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc

from bridge.sandbox.serving import LOOPBACK, PortTakenError
from bridge.sandbox.vertex.errors import Refused, grpc_status
from bridge.sandbox.vertex.methods import method_table, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.vertex.dispatch import Dispatcher
    from bridge.sandbox.vertex.methods import Method

_THREADS = 16  # calls wait for one another in the dispatcher; threads only hold them


class GrpcFront:
    """
    One port; `port` 0 takes a free one.

    The constructor binds it. Keep a reference to this object: a grpc.server that is collected closes its port.
    """

    def __init__(self, dispatcher: Dispatcher, port: int = 0) -> None:
        self._pool = futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="vertex-grpc")
        # without so_reuseport 0 two servers could hold one port and share its calls
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Calls(dispatcher),))
        try:
            self.port: int = self._server.add_insecure_port(f"{LOOPBACK}:{port}")
        except RuntimeError as taken:
            raise PortTakenError(port) from taken

    def start(self) -> None:
        """Accept calls."""
        self._server.start()

    def stop(self) -> None:
        """Close the port; calls under way get a second to end. Idempotent."""
        self._server.stop(grace=1).wait()
        self._pool.shutdown()


class _Calls:
    """What grpc.server asks for the handler of a path (a grpc.GenericRpcHandler in all but its untyped base)."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._handlers = {
            path: _answerer(dispatcher, method) for path, method in method_table().items() if not method.streaming
        }

    def service(self, call: Any) -> Any:  # noqa: ANN401  grpc.HandlerCallDetails -> grpc.RpcMethodHandler
        return self._handlers.get(call.method) or _refuser(self._dispatcher, call.method)


def _answerer(dispatcher: Dispatcher, method: Method) -> Any:  # noqa: ANN401  grpc.RpcMethodHandler
    def answer(body: bytes, context: Any) -> bytes:  # noqa: ANN401  grpc.ServicerContext
        try:
            return wire(dispatcher.dispatch(method, method.parse(body)))
        except Refused as error:
            return _abort(context, error)

    return grpc.unary_unary_rpc_method_handler(answer)


def _refuser(dispatcher: Dispatcher, path: str) -> Any:  # noqa: ANN401  grpc.RpcMethodHandler
    """Refuse a method of any kind: on the wire a single message is a stream of one."""

    def refuse(_bodies: Iterator[bytes], context: Any) -> Iterator[bytes]:  # noqa: ANN401  grpc.ServicerContext
        yield _abort(context, dispatcher.refuse_unknown(path, write=True))  # so that "no write" stays a safe claim

    return grpc.stream_stream_rpc_method_handler(refuse)


def _abort(context: Any, error: Refused) -> bytes:  # noqa: ANN401  grpc.ServicerContext
    """End the call with the error's code; raises, so it returns nothing."""
    answer: bytes = context.abort(grpc_status(error), error.message)
    return answer
