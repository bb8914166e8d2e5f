"""Bidders over one long-lived gRPC stream: many asks in flight, answers in any order."""

import asyncio
import math
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
from xsp_server.upstream.gathering import Gathering
from xsp_server.upstream.grpc import (
    OUTCOMES,
    ChannelSettings,
    Dialer,
    failure,
    session_metadata,
)
from xsp_server.upstream.transport import Ask, Transport, TransportError, timed_out

STREAM_METHOD = "/xsp.bid.v1.BidService/StreamBids"
MESSAGE_BYTES = 256 * 1024
"""Asks share a message up to this size; a larger ask has one of its own."""
REMEMBERED = 10_000
"""Asks without an answer whose ids are kept, to know a late answer when it comes."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a stream is opened again, after the first failure and after many."""
HURRY = 10
"""Asks with less time than so many times `gather_ms` wait for no others."""
CLOCK_TICK = 0.001
"""Event loops tell time in ms: what ends within one ends now, else its timer would go off over and
over until then."""
CLOSING_SECONDS = 1.0
"""How long the bidder may take to end the stream when we close it."""

_Method: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"
_Stream: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class GrpcStreamSettings(ChannelSettings):
    """A bidder that implements xsp.bid.v1.BidService with StreamBids."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Asks that wait for their answers at once; one more fails."""
    gather_ms: Annotated[float, Field(ge=0, le=50)] = 5.0
    """How long asks wait for each other at most, to share a message, in ms. Only asks that come
    faster than one in so long wait, and none that has less than ten times as long for its answer.
    0: none wait, but those of one turn of the event loop share a message all the same."""


class _Flight:
    """One ask on its way: queued, then sent, then settled."""

    __slots__ = ("answer", "deadline", "id", "item", "timeout")

    def __init__(
        self, ask_id: str, ask: Ask, timeout: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.id = ask_id
        self.item = _item(ask_id, ask)  # its parts
        self.timeout = timeout
        self.deadline = loop.time() + timeout
        self.answer: asyncio.Future[BidResponse | None] = loop.create_future()


_Answer: TypeAlias = BidResponse | TransportError


@configurable("grpc-stream")
class GrpcStreamTransport(Transport):
    """Asks over `BidService.StreamBids`.

    Asks of one loop tick share a message; where they come often, so do those of some ms
    (`gather_ms`). An ask ends at its own deadline, and the stream goes on.
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
        self._wanted = asyncio.Event()  # for the writer: what is queued is to go, or we close
        self._gathering = Gathering(self._wanted.set, settings.gather_ms / 1000)
        self._hurry_below = settings.gather_ms / 1000 * HURRY
        self._closing = False
        self._down: TransportError | None = None
        self._channel: grpc.aio.Channel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # for all asks in flight
        self._wakes_at = math.inf

    @property
    def in_flight(self) -> int:
        """Asks that wait for their answers now."""
        return len(self._in_flight)

    async def send(self, ask: Ask, timeout: float) -> BidResponse | None:
        """See `Transport.send`."""
        flight = self._take_off(ask, timeout)
        try:
            return await flight.answer
        finally:
            self._forget(flight)

    def begin(self, ask: Ask, timeout: float) -> "asyncio.Future[BidResponse | None]":
        """See `Transport.begin`."""
        return self._take_off(ask, timeout).answer

    def _take_off(self, ask: Ask, timeout: float) -> _Flight:
        if self._down is not None:
            raise TransportError(self._down.outcome, f"waiting to reconnect: {self._down.detail}")
        if len(self._in_flight) >= self._max_in_flight:
            detail = f"{self._max_in_flight} asks are in flight (max_in_flight)"
            raise TransportError(Outcome.ERROR, detail)
        loop = asyncio.get_running_loop()
        self._asked += 1
        flight = _Flight(str(self._asked), ask, timeout, loop)
        self._in_flight[flight.id] = self._queued[flight.id] = flight
        if self._keeper is None or self._keeper.done():
            self._keep_stream(loop)
        self._gathering.add(in_a_hurry=timeout < self._hurry_below)
        if flight.deadline < self._wakes_at:
            self._wake_at(flight.deadline, loop)
        return flight

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
        self._gathering.taken()
        if self._timer is not None:
            self._timer.cancel()
        for flight in list(self._in_flight.values()):  # which nobody will send any more
            self._settle(flight, TransportError(Outcome.UNREACHABLE, "the transport was closed"))

    def _keep_stream(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._channel is None:
            self._channel = self._dialer.open()
        self._keeper = loop.create_task(self._keep(self._channel))

    def _wake_at(self, deadline: float, loop: asyncio.AbstractEventLoop) -> None:
        """Sets the one timer: deadlines nearly always grow, so few asks ever move it."""
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = deadline
        self._timer = loop.call_at(deadline, self._end_overdue, loop)

    def _end_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        self._wakes_at, by_now = math.inf, loop.time() + CLOCK_TICK
        for flight in list(self._in_flight.values()):
            if flight.deadline <= by_now:
                self._settle(flight, timed_out(flight.timeout))
        if self._in_flight:
            self._wake_at(min(flight.deadline for flight in self._in_flight.values()), loop)

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
            why = failure(error)
            detail = f"the stream broke: {why.detail}"
            return TransportError(why.outcome, detail, grpc_status=why.grpc_status)
        else:
            return TransportError(Outcome.ERROR, "the bidder ended the stream")
        finally:
            writer.cancel()  # the stream is over: no write is cut off by this

    async def _write(self, stream: _Stream) -> None:
        try:
            if self._queued:  # which the stream before this one left
                self._wanted.set()
            while not self._closing:
                await self._wanted.wait()
                self._wanted.clear()
                if self._queued:
                    await stream.write(self._message())
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
            timeout = _timeout(flight.deadline - now)
            length = sum(map(len, flight.item)) + len(timeout)
            parts += (_ITEMS, _varint(length), *flight.item, timeout)
            size += length
        self._gathering.taken()
        if self._queued:  # which goes next
            self._wanted.set()
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
            if result.HasField("partial"):  # which we did not ask for
                continue
            flight = self._in_flight.pop(result.id, None)
            if flight is not None:
                self._answered += 1
                self._settle(flight, _answer(result, len(data), self._max_bytes))
            elif result.id in self._unanswered:
                self._answered += 1
                self.late += 1
                del self._unanswered[result.id]
            else:
                self.strays += 1

    def _fail_sent(self, error: TransportError) -> None:
        for ask_id, flight in list(self._in_flight.items()):
            if ask_id not in self._queued:
                self._settle(flight, error.again())

    def _fail_queued(self, error: TransportError) -> None:
        for flight in list(self._queued.values()):
            self._settle(flight, error.again())

    def _settle(self, flight: _Flight, answer: _Answer) -> None:
        self._forget(flight)
        if flight.answer.done():  # its caller has gone
            return
        if isinstance(answer, TransportError):
            flight.answer.set_exception(answer)
        else:
            flight.answer.set_result(answer)

    def _forget(self, flight: _Flight) -> None:
        """Frees the place of an ask that has ended; one sent without an answer is remembered."""
        sent = self._queued.pop(flight.id, None) is None
        if self._in_flight.pop(flight.id, None) is not None and sent:
            self._unanswered[flight.id] = None
            if len(self._unanswered) > REMEMBERED:
                self._unanswered.popitem(last=False)


def _answer(result: StreamBidsResult, message_bytes: int, max_bytes: int) -> _Answer:
    """The answer in a result, or what is wrong with it.

    Args:
        result: of one item.
        message_bytes: of the message that it came in; only one in a large message can be too large.
        max_bytes: the most that it may have.
    """
    if message_bytes > max_bytes and result.ByteSize() > max_bytes:
        detail = f"an answer above {max_bytes} bytes (max_response_bytes)"
        return TransportError(Outcome.INVALID_RESPONSE, detail)
    if result.HasField("status") and result.status.code:
        code = _CODES.get(result.status.code, grpc.StatusCode.UNKNOWN)
        outcome = OUTCOMES.get(code, Outcome.ERROR)
        detail = f"{code.name}: {result.status.message}"
        return TransportError(outcome, detail, grpc_status=code.name)
    if not result.HasField("bid_response"):
        return TransportError(Outcome.INVALID_RESPONSE, "a result with neither status nor answer")
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
    if number < 0x80:  # as most are, at a fifth of the time
        return _BYTES[number]
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_BYTES = [bytes((number,)) for number in range(0x80)]
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


def _item(ask_id: str, ask: Ask) -> tuple[bytes, ...]:
    """The parts of a StreamBidsItem without its timeout."""
    return _field(_ID, ask_id.encode()), _session(ask), ask.once(_bid_request)


def _bid_request(ask: Ask) -> bytes:
    return _field(_BID_REQUEST, ask.protobuf)


def _timeout(seconds: float) -> bytes:
    """What is left of an item's time, as its last field: fields come in any order."""
    whole, micros = divmod(max(round(seconds * 1e6), 1), 1_000_000)
    # Duration: seconds is field 1, nanos field 2, both varints.
    return _field(_TIMEOUT, b"\x08%b\x10%b" % (_varint(whole), _varint(micros * 1000)))


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
