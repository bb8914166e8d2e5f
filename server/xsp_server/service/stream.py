"""StreamBids: many auctions at once on one stream, answered in any order.

Of each stream one task reads, the call's own task writes, and every auction has a task. What is
ready when the writer comes by goes out as one message. A peer that does not read lets the unsent
answers grow to a bound; from there on its requests aren't read either, so that memory stays flat.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias

from google.protobuf.duration_pb2 import Duration

from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.bid.v1.bid_service_pb2 import (
    PartialResult,
    StreamBidsItem,
    StreamBidsRequest,
    StreamBidsResponse,
)
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.rpc.v1.status_pb2 import Status
from xsp_server.errors import (
    DeadlinePassed,
    InvalidField,
    MissingField,
    TooLarge,
    Unavailable,
    XspError,
)
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.auctions import Answer
from xsp_server.service.methods import Gate, Stream, fault
from xsp_server.service.session import open_session
from xsp_server.service.status import to_status
from xsp_server.upstream.session import REQUEST_ID, Session

MAX_ID_BYTES = 128
"""The longest id of an item."""
MAX_UNSENT_BYTES = 1024 * 1024
"""Answers waiting for a peer that doesn't read; with so many, no more of its items are taken. Those
under way may add to them, each one answer, and their number is bounded by the gate."""
MAX_SHARED_BYTES = 256 * 1024
"""Answers share a message up to this size; a larger answer has one of its own."""
RETRY_AFTER_DRAIN = 1.0
"""Seconds that the peer of a stopping server is told to wait."""

OnReply: TypeAlias = Callable[[Reply], None]


class Auctions(Protocol):
    """What runs an auction."""

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: OnReply | None = None,
        session: Session | None = None,
        options: AuctionOptions | None = None,
    ) -> Answer:
        """One auction.

        Args:
            request: what is for sale.
            time_remaining: seconds until its answer is of no use; None: as the request says.
            on_reply: is told of each bidder's reply as it comes; never after the end of `run`.
            session: that it belongs to.
            options: what its caller wants besides.

        Raises:
            XspError: the auction can't be run.
        """


class ItemIdInFlight(XspError):
    """An item has the id of one that is not answered yet."""

    status = "ALREADY_EXISTS"
    reason = "ITEM_ID_IN_FLIGHT"


class BidStreams:
    """All streams of a server."""

    def __init__(
        self,
        auctions: Auctions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes what the streams need.

        Args:
            auctions: runs them.
            clock: seconds, monotonic; by it items have their time.
        """
        self._auctions = auctions
        self._clock = clock
        self._open: set[_BidStream] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._draining = False

    async def serve(self, stream: Stream) -> None:
        """Serves one stream until its client has no more to send and every item is answered.

        When the client goes before, auctions under way end by their own deadlines, unheard.

        Raises:
            InvalidRequest: a message was none; what came before it is answered first.
            TooLarge: a message has too many bytes; likewise.
            Unavailable: the server is stopping; likewise.
        """
        if self._draining:
            raise _stopping()
        bids = _BidStream(stream, self._auctions, self._clock, self._spawn)
        self._open.add(bids)
        try:
            await bids.run()
        finally:
            self._open.discard(bids)

    def drain(self) -> None:
        """Takes no more items: each stream answers what is under way, then ends as UNAVAILABLE."""
        self._draining = True
        for bids in self._open:
            bids.drain()

    async def close(self) -> None:
        """Waits for the auctions whose clients have gone; each is bounded by its deadline."""
        while self._running:
            await asyncio.wait(self._running)

    def _spawn(self, auction: Coroutine[None, None, None]) -> None:
        """Holds the task of an auction until it ends; the loop itself keeps only a weak one."""
        task = asyncio.get_running_loop().create_task(auction)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class _BidStream:
    """One stream."""

    def __init__(
        self,
        stream: Stream,
        auctions: Auctions,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self._stream = stream
        self._gate: Gate = stream.gate
        self._auctions = auctions
        self._clock = clock
        self._spawn = spawn
        # Of the stream's metadata an item has the trace; its request_id is its own.
        self._metadata = [entry for entry in stream.metadata if entry[0] != REQUEST_ID]
        remaining = stream.time_remaining
        self._deadline = math.inf if remaining is None else clock() + remaining
        self._in_flight: set[str] = set()  # ids of items whose final answer isn't sent
        self._unsent: deque[tuple[str | None, bytes]] = deque()
        self._unsent_bytes = 0
        self._room = asyncio.Event()  # for more answers
        self._room.set()
        self._news = asyncio.Event()  # for the writer: an answer, or the end of reading
        self._read_all = False
        self._draining = False
        self._gone = False
        self._error: BaseException | None = None

    async def run(self) -> None:
        """See `BidStreams.serve`."""
        reader = asyncio.get_running_loop().create_task(self._read())
        reader.add_done_callback(self._end_reading)
        try:
            await self._write()
        finally:
            self._gone = True
            reader.cancel()
        if self._error is not None:
            raise self._error
        if self._draining:
            raise _stopping()

    def drain(self) -> None:
        self._draining = True
        self._news.set()

    async def _read(self) -> None:
        while not self._draining:
            request: StreamBidsRequest | None = await self._stream.read()
            if request is None:
                return
            read_at = self._clock()
            for item in request.items:
                if self._unsent_bytes >= MAX_UNSENT_BYTES:
                    self._room.clear()
                    await self._room.wait()
                self._take(item, read_at)

    def _end_reading(self, reader: asyncio.Task[None]) -> None:
        self._read_all = True
        self._error = None if reader.cancelled() else reader.exception()
        self._news.set()

    async def _write(self) -> None:
        while self._in_flight or self._unsent or not (self._read_all or self._draining):
            await self._news.wait()
            self._news.clear()
            while self._unsent:
                await self._stream.write(self._next_message())

    def _next_message(self) -> bytes:
        """Answers that fit into one message. Messages end to end are one with all their lists."""
        item_id, message = self._unsent.popleft()
        answered, parts, size = [item_id], [message], len(message)
        while self._unsent and size + len(self._unsent[0][1]) <= MAX_SHARED_BYTES:
            item_id, message = self._unsent.popleft()
            answered.append(item_id)
            parts.append(message)
            size += len(message)
        self._in_flight.difference_update(answered)  # before the client can know and use ids again
        self._unsent_bytes -= size
        if self._unsent_bytes < MAX_UNSENT_BYTES:
            self._room.set()
        return b"".join(parts)

    def _take(self, item: StreamBidsItem, read_at: float) -> None:
        """Starts the auction of an item, or refuses it."""
        try:
            _check_id(item.id, self._in_flight)
        except XspError as error:
            self._put(None, _failure(item.id, error))
            return
        self._in_flight.add(item.id)
        try:
            deadline = self._check(item, read_at)
            self._gate.enter()
        except XspError as error:
            self._put(item.id, _failure(item.id, error))
        else:
            self._spawn(self._run(item, deadline))

    def _check(self, item: StreamBidsItem, read_at: float) -> float:
        """When the item's time is over, by the clock; infinite where only `tmax` says."""
        if self._draining:
            raise _stopping()
        if not item.HasField("bid_request"):
            raise MissingField("bid_request", "the OpenRTB request to run")
        if not item.HasField("timeout"):
            return self._deadline
        seconds = item.timeout.seconds + item.timeout.nanos / 1e9
        if seconds <= 0:
            raise InvalidField("timeout", f"expected a time above 0, got {seconds:g} s")
        return min(self._deadline, read_at + seconds)

    async def _run(self, item: StreamBidsItem, deadline: float) -> None:
        """One auction, from start to answer."""
        result: Mapping[str, Any]
        try:
            result = await self._auction(item, deadline)
        except XspError as error:
            result = _failure(item.id, error)
        except Exception as bug:  # noqa: BLE001 - it may cost its item, never the stream
            result = _failure(item.id, fault(bug, "an auction of StreamBids"))
        finally:
            self._gate.leave()
        if not self._gone:
            self._put(item.id, result)

    async def _auction(self, item: StreamBidsItem, deadline: float) -> dict[str, Any]:
        remaining = None if deadline == math.inf else deadline - self._clock()
        if remaining is not None and remaining <= 0:
            raise DeadlinePassed("the time of the item ran out before its auction could begin")
        request, options = item.bid_request, item.options if item.HasField("options") else None
        told = item.session if item.HasField("session") else None
        session = open_session(told, self._metadata, request)
        on_reply = self._partial(item.id) if options and options.partial_results else None
        answer = await self._auctions.run(request, remaining, on_reply, session, options)
        return {
            "id": item.id,
            "bid_response": answer.response,
            "report": answer.report,
            "record": answer.record,
            "notices": answer.notices,
        }

    def _partial(self, item_id: str) -> OnReply:
        """Hands on the replies that have bids."""

        def on_reply(reply: Reply) -> None:
            if reply.outcome is not Outcome.BIDS or self._gone:
                return
            self._put(None, {"id": item_id, "partial": partial_result(reply)})

        return on_reply

    def _put(self, answered: str | None, result: Mapping[str, Any]) -> None:
        """Leaves a result for the writer.

        Args:
            answered: id of the item that it settles; None: it settles none.
            result: the fields of a StreamBidsResult.
        """
        message = _encode(result)
        try:
            self._gate.check_size(message)
        except TooLarge as error:
            if "partial" in result:
                return  # the item goes on without it
            message = _encode(_failure(result["id"][:MAX_ID_BYTES], error))
        self._unsent.append((answered, message))
        self._unsent_bytes += len(message)
        self._news.set()


def partial_result(reply: Reply) -> PartialResult:
    """One bidder's bids as they came, not judged."""
    arrival = Duration()
    arrival.FromMicroseconds(round((reply.arrived_ms or 0.0) * 1000))
    return PartialResult(bidder=reply.bidder, arrival=arrival, bid_response=reply.response)


def _encode(result: Mapping[str, Any]) -> bytes:
    message = StreamBidsResponse()
    message.results.add(**result)
    return message.SerializeToString()


def _check_id(item_id: str, in_flight: set[str]) -> None:
    if not item_id:
        raise MissingField("id", f"a text of 1 to {MAX_ID_BYTES} bytes, chosen by the client")
    if item_id in in_flight:
        raise ItemIdInFlight(
            f'an item with the id "{item_id}" is in flight; expected an id that no item has which '
            "is not answered finally"
        )
    size = len(item_id.encode())
    if size > MAX_ID_BYTES:
        raise InvalidField("id", f"expected at most {MAX_ID_BYTES} bytes, got {size}")


def _failure(item_id: str, error: XspError) -> Mapping[str, Any]:
    """The result of an item that failed; our Status is google.rpc's on the wire."""
    return {"id": item_id, "status": Status.FromString(to_status(error).SerializeToString())}


def _stopping() -> Unavailable:
    return Unavailable(
        "the server is stopping; open a stream to another, or try again",
        retry_after=RETRY_AFTER_DRAIN,
    )
