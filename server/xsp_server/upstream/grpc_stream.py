"""Bidders over one long-lived gRPC stream: many asks in flight, answers in any order."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, ClassVar, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from pydantic import BaseModel, Field

from xsp.bid.v1.bid_service_pb2 import (
    StreamBidsItem,
    StreamBidsRequest,
    StreamBidsResponse,
    StreamBidsResult,
)
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.openrtb.reply import Outcome
from xsp_server.registry import configurable
from xsp_server.upstream.grpc import OUTCOMES, ChannelSettings, Dialer, session_metadata
from xsp_server.upstream.transport import Ask, Transport, TransportError, timed_out

STREAM_METHOD = "/xsp.bid.v1.BidService/StreamBids"
MESSAGE_BYTES = 256 * 1024
"""Asks share a message up to this size; a larger ask has one of its own."""
REMEMBERED = 10_000
"""Asks without an answer whose ids are kept, to know a late answer when it comes."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a stream is opened again, after the first failure and after many."""
CLOSING_SECONDS = 1.0
"""How long the bidder may take to end the stream when we close it."""

_Method: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"
_Stream: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class GrpcStreamSettings(ChannelSettings):
    """A bidder that implements xsp.bid.v1.BidService with StreamBids."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Asks that wait for their answers at once; one more fails."""


class _Flight:
    """One ask on its way: queued, then sent, then settled."""

    __slots__ = ("answer", "deadline", "id", "item", "timeout")

    def __init__(
        self, ask_id: str, ask: Ask, timeout: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.id = ask_id
        self.item = _item(ask_id, ask)
        self.timeout = timeout
        self.deadline = loop.time() + timeout
        self.answer: asyncio.Future[_Answer] = loop.create_future()

    def expire(self) -> None:
        self.settle(timed_out(self.timeout))

    def settle(self, answer: "_Answer") -> None:
        if not self.answer.done():  # else its caller has gone
            self.answer.set_result(answer)


_Answer: TypeAlias = StreamBidsResult | TransportError


@configurable("grpc-stream")
class GrpcStreamTransport(Transport):
    """Asks over `BidService.StreamBids`.

    Asks of one loop tick share a message. An ask ends at its own deadline, and the stream goes on.
    When a stream breaks, the asks that it carries fail, and another is opened: at once if it had
    answered anything, else after a pause that grows from failure to failure. While it pauses, asks
    fail without waiting.

    Attributes:
        streams: opened so far.
        late: answers that came after the deadline of their ask.
        strays: answers to nothing that was asked.
    """

    Settings: ClassVar[type[BaseModel]] = GrpcStreamSettings

    def __init__(
        self,
        settings: GrpcStreamSettings,
        /,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Reads the certificates; the stream opens with the first ask.

        Args:
            settings: of the bidder.
            sleep: waits some seconds.
            chance: from 0 up to 1, so that not all exchanges come back at the same moment.

        Raises:
            ConfigError: a file of certificates can't be read.
        """
        super().__init__(settings)
        self.streams = 0
        self.late = 0
        self.strays = 0
        self._max_bytes = settings.max_response_bytes
        # One answer too many bytes long must not break the stream: we refuse it by ourselves.
        self._dialer = Dialer(settings, 2 * self._max_bytes + MESSAGE_BYTES)
        self._max_in_flight = settings.max_in_flight
        self._sleep = sleep
        self._chance = chance
        self._asked = 0
        self._answered = 0
        self._in_flight: dict[str, _Flight] = {}  # queued or sent
        self._queued: dict[str, _Flight] = {}
        self._unanswered: OrderedDict[str, None] = OrderedDict()
        self._wanted = asyncio.Event()  # for the writer: something is queued, or we close
        self._closing = False
        self._down: TransportError | None = None
        self._channel: grpc.aio.Channel | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Asks that wait for their answers now."""
        return len(self._in_flight)

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        if self._down is not None:
            raise TransportError(self._down.outcome, f"waiting to reconnect: {self._down.detail}")
        if len(self._in_flight) >= self._max_in_flight:
            detail = f"{self._max_in_flight} asks are in flight (max_in_flight)"
            raise TransportError(Outcome.ERROR, detail)
        loop = asyncio.get_running_loop()
        self._asked += 1
        flight = _Flight(str(self._asked), ask, timeout, loop)
        self._in_flight[flight.id] = self._queued[flight.id] = flight
        self._keep_stream(loop)
        self._wanted.set()
        timer = loop.call_at(flight.deadline, flight.expire)
        try:
            answer = await flight.answer
        finally:
            timer.cancel()
            self._forget(flight)
        if isinstance(answer, TransportError):
            raise answer
        return _response(answer)

    async def close(self) -> None:
        """Tells the bidder that no more will come, and closes the channel."""
        self._closing = True
        self._wanted.set()
        if self._keeper is not None:
            if self._down is not None:
                self._keeper.cancel()
            await asyncio.wait((self._keeper,), timeout=CLOSING_SECONDS)
        if self._channel is not None:
            await self._channel.close()
        if self._keeper is not None:
            await asyncio.wait((self._keeper,))

    def _keep_stream(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._channel is None:
            self._channel = self._dialer.open()
        if self._keeper is None or self._keeper.done():
            self._keeper = loop.create_task(self._keep(self._channel))

    async def _keep(self, channel: grpc.aio.Channel) -> None:
        """Opens streams, one after the other, until we close."""
        method: _Method = channel.stream_stream(STREAM_METHOD)
        pause = FIRST_PAUSE
        while not self._closing:
            answered = self._answered
            self.streams += 1
            error = await self._serve(method(metadata=self._dialer.metadata))
            self._fail_sent(error)
            if self._answered > answered:  # it worked: what is queued goes over the next one
                pause = FIRST_PAUSE
                continue
            self._fail_queued(error)
            if not self._closing:
                await self._rest(pause, error)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _rest(self, pause: float, error: TransportError) -> None:
        self._down = error
        try:
            await self._sleep(pause * (0.5 + self._chance() / 2))
        finally:
            self._down = None

    async def _serve(self, stream: _Stream) -> TransportError:
        """Writes and reads until the stream ends, and tells why."""
        writer = asyncio.get_running_loop().create_task(self._write(stream))
        try:
            while isinstance(data := await stream.read(), bytes):
                self._take(data)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            detail = f"the stream broke: {code}: {error.details()}"
            return TransportError(Outcome.UNREACHABLE, detail, grpc_status=code)
        else:
            return TransportError(Outcome.UNREACHABLE, "the bidder ended the stream")
        finally:
            writer.cancel()  # the stream is over: no write is cut off by this

    async def _write(self, stream: _Stream) -> None:
        try:
            while not self._closing:
                while self._queued:  # first what the stream before this one left
                    await stream.write(self._message())
                await self._wanted.wait()
                self._wanted.clear()
            await stream.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the stream is over, and the reader knows why

    def _message(self) -> bytes:
        """What is queued, up to the size of a message. Items end to end are a list of items."""
        now = asyncio.get_running_loop().time()
        parts: list[bytes] = []
        size = 0
        while self._queued and size < MESSAGE_BYTES:
            flight = self._queued.pop(next(iter(self._queued)))
            part = _timed(flight.item, flight.deadline - now)
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _take(self, data: bytes) -> None:
        """Hands the answers of a message to their asks."""
        try:
            results = StreamBidsResponse.FromString(data).results
        except DecodeError as error:  # whose answers were in it, nobody can tell
            detail = f"not a StreamBidsResponse: {error}"
            self._fail_sent(TransportError(Outcome.INVALID_RESPONSE, detail))
            return
        for result in results:
            if result.WhichOneof("answer") == "partial":  # which we did not ask for
                continue
            flight = self._in_flight.pop(result.id, None)
            if flight is not None:
                self._answered += 1
                flight.settle(self._checked(result, len(data)))
            elif result.id in self._unanswered:
                self._answered += 1
                self.late += 1
                del self._unanswered[result.id]
            else:
                self.strays += 1

    def _checked(self, result: StreamBidsResult, message_bytes: int) -> _Answer:
        """The result, unless it is too large; only one in a large message can be."""
        if message_bytes > self._max_bytes and result.ByteSize() > self._max_bytes:
            detail = f"an answer above {self._max_bytes} bytes (max_response_bytes)"
            return TransportError(Outcome.INVALID_RESPONSE, detail)
        return result

    def _fail_sent(self, error: TransportError) -> None:
        for ask_id, flight in list(self._in_flight.items()):
            if ask_id not in self._queued:
                flight.settle(error.again())

    def _fail_queued(self, error: TransportError) -> None:
        for flight in self._queued.values():
            flight.settle(error.again())
        self._queued.clear()

    def _forget(self, flight: _Flight) -> None:
        """Frees the place of an ask that has ended; one sent without an answer is remembered."""
        sent = self._queued.pop(flight.id, None) is None
        if self._in_flight.pop(flight.id, None) is not None and sent:
            self._unanswered[flight.id] = None
            if len(self._unanswered) > REMEMBERED:
                self._unanswered.popitem(last=False)


def _response(result: StreamBidsResult) -> BidResponse:
    """The answer in a result.

    Raises:
        TransportError: the item failed, or there is none.
    """
    if result.status.code:
        code = _CODES.get(result.status.code, grpc.StatusCode.UNKNOWN)
        outcome = OUTCOMES.get(code, Outcome.ERROR)
        detail = f"{code.name}: {result.status.message}"
        raise TransportError(outcome, detail, grpc_status=code.name)
    if not result.HasField("bid_response"):
        raise TransportError(Outcome.INVALID_RESPONSE, "a result with neither status nor answer")
    return result.bid_response


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _field(tag: bytes, value: bytes) -> bytes:
    """A field that holds text or a message: its tag, its length and its bytes.

    Items are put together by hand: most of their bytes are the request, which is encoded once for
    all bidders that see the same, and messages around it would copy and encode it for each.
    """
    return b"%b%b%b" % (tag, _varint(len(value)), value)


def _tag(message: type[Message], name: str) -> bytes:
    """What a field begins with: its number, and that a length follows."""
    return _varint(message.DESCRIPTOR.fields_by_name[name].number << 3 | 2)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the least first; the highest bit says that more come."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_ITEMS = _tag(StreamBidsRequest, "items")
_ID = _tag(StreamBidsItem, "id")
_BID_REQUEST = _tag(StreamBidsItem, "bid_request")
_TIMEOUT = _tag(StreamBidsItem, "timeout")
_SESSION = _tag(StreamBidsItem, "session")
_SESSION_FIELDS = {
    "x-request-id": _tag(SessionContext, "request_id"),
    "traceparent": _tag(SessionContext, "traceparent"),
    "tracestate": _tag(SessionContext, "tracestate"),
    "accept-language": _tag(SessionContext, "language"),
    "referer": _tag(SessionContext, "referrer"),
}
"""Where a session's metadata goes in its message."""


def _item(ask_id: str, ask: Ask) -> bytes:
    """A StreamBidsItem without its timeout."""
    return b"%b%b%b" % (
        _field(_ID, ask_id.encode()),
        _session(ask),
        _field(_BID_REQUEST, ask.protobuf),
    )


def _timed(item: bytes, seconds: float) -> bytes:
    """The item with what is left of its time, as part of a message: fields come in any order."""
    whole, micros = divmod(max(round(seconds * 1e6), 1), 1_000_000)
    # Duration: seconds is field 1, nanos field 2, both varints.
    duration = b"\x08%b\x10%b" % (_varint(whole), _varint(micros * 1000))
    return _field(_ITEMS, item + _field(_TIMEOUT, duration))


def _session(ask: Ask) -> bytes:
    """The session of an ask: an item has no metadata of its own, so it goes in as a message."""
    if ask.session is None and not ask.headers:
        return b""
    fields = [
        _field(tag, value.encode())
        for name, value in session_metadata(ask)
        if (tag := _SESSION_FIELDS.get(name)) is not None
    ]
    return _field(_SESSION, b"".join(fields))
