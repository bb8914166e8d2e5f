"""Binds a class to a service of the contract.

grpcio's generated glue decodes messages before our code runs, and turns bytes that are no message
into INTERNAL. Here the bytes arrive raw, so a bad message is the caller's INVALID_ARGUMENT; every
error of ours becomes a status with details; methods the class lacks answer UNIMPLEMENTED; and one
gate counts the calls at work.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from xsp_server.config import ServerSettings
from xsp_server.errors import NotBuilt, Overloaded, TooLarge, Undecodable, Violation, XspError
from xsp_server.service.status import Context, abort

log = structlog.get_logger(__name__)

RETRY_AFTER_OVERLOAD = 0.05
"""Seconds that a refused caller is told to wait: a few auctions' time."""


class Gate:
    """Bounds what is at work: how many calls at once, and how large each may be.

    Attributes:
        inside: calls at work now.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Takes the limits from the settings."""
        self._max_calls = settings.max_concurrent_calls
        self._max_bytes = settings.max_message_bytes
        self.inside = 0

    def __enter__(self) -> None:
        """Takes a place.

        Raises:
            Overloaded: all places are taken.
        """
        if self.inside >= self._max_calls:
            raise Overloaded(
                f"{self._max_calls} calls are at work, the most this server carries "
                "(server.max_concurrent_calls); try again shortly",
                retry_after=RETRY_AFTER_OVERLOAD,
                limit=self._max_calls,
            )
        self.inside += 1

    def __exit__(self, *_: object) -> None:
        """Gives the place back."""
        self.inside -= 1

    def check_size(self, data: bytes) -> None:
        """Refuses a message that is too large.

        Raises:
            TooLarge: it has more bytes than `server.max_message_bytes`.
        """
        if len(data) > self._max_bytes:
            raise TooLarge(
                f"the message has {len(data)} bytes; this server takes at most {self._max_bytes} "
                "(server.max_message_bytes)",
                limit=self._max_bytes,
            )


class Unary(Protocol):
    """A method of a servicer: message in, message out."""

    def __call__(self, request: Any, context: Context, /) -> Awaitable[Message]:
        """Answers one call."""


def bind(service: ServiceDescriptor, servicer: object, gate: Gate) -> grpc.GenericRpcHandler:
    """The handler of a service, its methods taken from `servicer` by name."""
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name, None), gate)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(
    method: MethodDescriptor, implementation: Unary | None, gate: Gate
) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if implementation is not None:
        return grpc.unary_unary_rpc_method_handler(_unary(method, implementation, gate))
    refuse = _refuser(method)
    if method.client_streaming:
        kind = (
            grpc.stream_stream_rpc_method_handler
            if method.server_streaming
            else grpc.stream_unary_rpc_method_handler
        )
    else:
        kind = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
    return kind(refuse)


def _unary(
    method: MethodDescriptor, implementation: Unary, gate: Gate
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    parse = GetMessageClass(method.input_type).FromString
    name = method.full_name

    async def call(data: bytes, context: Context) -> bytes:
        try:
            with gate:
                gate.check_size(data)
                try:
                    request = parse(data)
                except DecodeError as error:
                    raise _undecodable(method, error) from None
                return (await implementation(request, context)).SerializeToString()
        except XspError as error:
            await abort(context, error)
        except Exception:
            log.exception("method failed", method=name)
            await abort(context, XspError(f"internal error in {name}; the server's log has it"))

    return call


def _undecodable(method: MethodDescriptor, error: DecodeError) -> Undecodable:
    expected = f"expected the bytes of a {method.input_type.full_name}"
    return Undecodable(Violation("", f"{expected}, got something else ({error})"))


def _refuser(method: MethodDescriptor) -> Callable[[Any, Context], Awaitable[bytes]]:
    async def refuse(_request: Any, context: Context) -> bytes:
        await abort(
            context,
            NotBuilt(
                f"{method.full_name} is in the contract but not built yet", what=method.full_name
            ),
        )

    return refuse
