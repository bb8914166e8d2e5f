"""Binds a class to a service of the contract.

grpcio's generated glue decodes messages before our code runs, and turns bytes that are no message
into INTERNAL. Here the bytes arrive raw, so a bad message is the caller's INVALID_ARGUMENT; every
error of ours becomes a status with details; methods the class lacks answer UNIMPLEMENTED; and one
gate counts what is at work: unary calls, and the items of streams.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, NoReturn, Protocol
from uuid import uuid4

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
    """Bounds what is at work: how many calls at once, and how large a message may be.

    A stream takes no place by itself; its method takes one for each item.

    Attributes:
        inside: calls and items at work now.
    """

    def __init__(self, settings: ServerSettings) -> None:
        """Takes the limits from the settings."""
        self._max_calls = settings.max_concurrent_calls
        self._max_bytes = settings.max_message_bytes
        self.inside = 0

    def enter(self) -> None:
        """Takes a place; `leave` gives it back.

        Raises:
            Overloaded: all places are taken.
        """
        if self.inside >= self._max_calls:
            raise Overloaded(
                f"{self._max_calls} calls and stream items are at work, the most this server "
                "carries (server.max_concurrent_calls); try again shortly",
                retry_after=RETRY_AFTER_OVERLOAD,
                limit=self._max_calls,
            )
        self.inside += 1

    def leave(self) -> None:
        """Gives a place back."""
        self.inside -= 1

    def check_size(self, data: bytes) -> None:
        """Refuses a message, the caller's or our own, that is too large.

        Raises:
            TooLarge: it has more bytes than `server.max_message_bytes`.
        """
        if len(data) > self._max_bytes:
            raise TooLarge(
                f"the message has {len(data)} bytes; this server takes and sends at most "
                f"{self._max_bytes} (server.max_message_bytes)",
                limit=self._max_bytes,
            )


class Unary(Protocol):
    """A method of a servicer: message in, message out."""

    def __call__(self, request: Any, context: Context, /) -> Awaitable[Message]:
        """Answers one call."""


class Stream:
    """One call of a method that streams both ways.

    One task may read while another writes, no more. Neither read nor write is to be cancelled while
    the call goes on: gRPC would lose the message.

    Attributes:
        gate: the method takes a place in it for each item that it works on.
        metadata: that the caller sent with the call.
        time_remaining: seconds until the call's deadline, as it began; None without one.
    """

    def __init__(self, method: MethodDescriptor, context: Context, gate: Gate) -> None:
        """Takes the call's context, which deals in bytes."""
        self._method = method
        self._parse = GetMessageClass(method.input_type).FromString
        self._context = context
        self.gate = gate
        self.metadata = tuple(context.invocation_metadata() or ())
        self.time_remaining: float | None = context.time_remaining()

    async def read(self) -> Any | None:
        """The caller's next message; None after its last one, and when it has gone.

        Raises:
            TooLarge: the message has too many bytes.
            Undecodable: it is not of the type that the method takes.
        """
        data = await self._context.read()
        if not isinstance(data, bytes):  # grpc.aio.EOF
            return None
        return _decode(self._method, self._parse, data, self.gate)

    async def write(self, data: bytes) -> None:
        """Sends one message of the type that the method gives; waits while the caller doesn't read.

        Raises:
            CancelledError: the caller has gone.
        """
        try:
            await self._context.write(data)
        except grpc.aio.InternalError:  # gRPC's own cancellation of the task follows in a moment
            raise asyncio.CancelledError from None


class Streaming(Protocol):
    """A method of a servicer that streams both ways; its return ends the call with OK."""

    def __call__(self, stream: Stream, /) -> Awaitable[None]:
        """Serves one call."""


class ServerStreaming(Protocol):
    """A method of a servicer that answers one message with many."""

    def __call__(self, request: Any, context: Context, /) -> AsyncGenerator[Message, None]:
        """Answers one call, message by message, each as it is ready."""


def fault(bug: Exception, where: str) -> XspError:
    """What a caller is told of a bug: nothing of it but the `request_id` that the log has too."""
    request_id = uuid4().hex
    log.error("fault", where=where, request_id=request_id, exc_info=bug)
    message = f"internal error in {where}; the server's log has it under {request_id}"
    return XspError(message, request_id=request_id)


def bind(service: ServiceDescriptor, servicer: object, gate: Gate) -> grpc.GenericRpcHandler:
    """The handler of a service, its methods taken from `servicer` by name."""
    handlers = {
        method.name: _handler(method, getattr(servicer, method.name, None), gate)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(
    method: MethodDescriptor, implementation: Any, gate: Gate
) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if implementation is None:
        return _KINDS[method.client_streaming, method.server_streaming](_refuser(method))
    if method.client_streaming and method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(_streaming(method, implementation, gate))
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_answering(method, implementation, gate))
    return grpc.unary_unary_rpc_method_handler(_unary(method, implementation, gate))


_KINDS: Mapping[tuple[bool, bool], Callable[[Any], "grpc.RpcMethodHandler[bytes, bytes]"]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
"""How gRPC makes a handler, by whether the client and the server stream."""


def _unary(
    method: MethodDescriptor, implementation: Unary, gate: Gate
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    parse = GetMessageClass(method.input_type).FromString

    async def call(data: bytes, context: Context) -> bytes:
        try:
            gate.enter()
            try:
                request = _decode(method, parse, data, gate)
                return (await implementation(request, context)).SerializeToString()
            finally:
                gate.leave()
        except Exception as error:  # noqa: BLE001 - a bug must be told as INTERNAL, and logged
            await _fail(method, context, error)

    return call


def _streaming(
    method: MethodDescriptor, implementation: Streaming, gate: Gate
) -> Callable[[Any, Context], Awaitable[None]]:
    async def call(_requests: object, context: Context) -> None:
        try:
            await implementation(Stream(method, context, gate))
        except Exception as error:  # noqa: BLE001 - a bug must be told as INTERNAL, and logged
            await _fail(method, context, error)

    return call


def _answering(
    method: MethodDescriptor, implementation: ServerStreaming, gate: Gate
) -> Callable[[bytes, Context], Awaitable[None]]:
    parse = GetMessageClass(method.input_type).FromString

    async def call(data: bytes, context: Context) -> None:
        try:
            gate.enter()
            try:
                answers = implementation(_decode(method, parse, data, gate), context)
                async with aclosing(answers):  # a caller that goes ends the work behind it
                    async for answer in answers:
                        await context.write(answer.SerializeToString())
            finally:
                gate.leave()
        except Exception as error:  # noqa: BLE001 - a bug must be told as INTERNAL, and logged
            await _fail(method, context, error)

    return call


async def _fail(method: MethodDescriptor, context: Context, error: Exception) -> NoReturn:
    """Ends a call with the status of an error of ours, or of a bug."""
    await abort(context, error if isinstance(error, XspError) else fault(error, method.full_name))


def _decode(
    method: MethodDescriptor, parse: Callable[[bytes], Message], data: bytes, gate: Gate
) -> Message:
    gate.check_size(data)
    try:
        return parse(data)
    except DecodeError as error:
        expected = f"expected the bytes of a {method.input_type.full_name}"
        violation = Violation("", f"{expected}, got something else ({error})")
        raise Undecodable(violation) from None


def _refuser(method: MethodDescriptor) -> Callable[[Any, Context], Awaitable[bytes]]:
    async def refuse(_request: Any, context: Context) -> bytes:
        await abort(
            context,
            NotBuilt(
                f"{method.full_name} is in the contract but not built yet", what=method.full_name
            ),
        )

    return refuse
