"""Many bidders, one deadline: nobody can delay or break another.

A round is one auction's calls. It is over when nobody is waited for any more: every bidder has
answered, or has had the time that the auction gives it. What is in by then counts, also from those
that were not waited for. Calls that are still out are not cancelled (cancelling grpc.aio calls
leaks memory, and a cut HTTP connection is one to build anew): they end by their own limit, and
their answers are told as late.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import NotAsked, Outcome, Reply, Skipped
from xsp_server.upstream.bidder import Bidder, Call
from xsp_server.upstream.groups import Group
from xsp_server.upstream.transport import Ask

_CLOCK_TICK = 0.0005
"""Event loops tell time in ms: what ends within half of one of the deadline ends with it."""

OnLate: TypeAlias = Callable[[Reply], None]
"""Told of every answer, or failure, that comes when the auction is over; must return at once."""
_BIDS = Outcome.BIDS
Awaited: TypeAlias = "asyncio.Future[BidResponse | None]"
"""What the answer of a call comes by."""


class FanOut:
    """The bidders of an exchange, and in what order they are asked: all at once, or by groups."""

    def __init__(self, bidders: Sequence[Bidder], group: Group[str] | None = None) -> None:
        """Takes the bidders.

        Args:
            bidders: their order is the order of the replies.
            group: all of them by name, each once; None: all at once.
        """
        self._bidders = {bidder.name: bidder for bidder in bidders}
        self._group = group
        self._out: set[Awaited] = set()

    def open(
        self,
        asks: Mapping[str, Ask],
        deadline: float,
        *,
        started: float | None = None,
        on_late: OnLate | None = None,
    ) -> "Round":
        """Asks bidders; nothing is awaited. It needs a running event loop.

        Args:
            asks: the request as each bidder sees it, by bidder; who is not in it is not asked.
            deadline: loop time after which nobody is waited for.
            started: loop time from which arrivals count; now by default.
            on_late: told of what comes when the round is over.
        """
        loop = asyncio.get_running_loop()
        opened = Round(loop, loop.time() if started is None else started, deadline, on_late)
        wanted = {
            name: (bidder, asks[name]) for name, bidder in self._bidders.items() if name in asks
        }
        opened.start(wanted, self._group, self._out)
        return opened

    async def ask(self, asks: Mapping[str, Ask], deadline: float) -> list[Reply]:
        """`open` for callers that want the replies alone, of every bidder that was asked.

        A bidder with too little time left to be asked is a timeout here.
        """
        opened = self.open(asks, deadline)
        replies = await opened.replies()
        return replies + [
            Reply(skipped.bidder, Outcome.TIMEOUT, None, detail=skipped.detail)
            for skipped in opened.skipped
            if skipped.reason is NotAsked.NO_TIME
        ]

    async def drain(self) -> None:
        """Waits for late calls, each bounded by its limit."""
        while self._out:
            await asyncio.wait(self._out)

    async def close(self) -> None:
        """Waits for late calls, then closes every bidder."""
        await self.drain()
        await asyncio.gather(*(bidder.close() for bidder in self._bidders.values()))


class _Flight:
    """One call of a round.

    Attributes:
        answer: what its answer comes by; None: it was there at once.
        reply: None while it is out and the round is not over.
        is_waited_for: whether the round waits for it now.
        is_out: the round ended without its answer.
        settled: done when the round stops waiting for it; only where a group asks.
    """

    __slots__ = (
        *("answer", "bidder", "call", "gave_up", "is_out", "is_waited_for", "reply", "settled"),
    )

    def __init__(self, bidder: Bidder, call: Call) -> None:
        self.bidder = bidder
        self.call = call
        self.answer: Awaited | None = None
        self.reply: Reply | None = None
        self.is_waited_for = False
        self.gave_up = False
        self.is_out = False
        self.settled: asyncio.Future[None] | None = None

    @property
    def has_bids(self) -> bool:
        """Bids for this request: who answers another one has not filled it."""
        reply = self.reply
        if reply is None or reply.outcome is not _BIDS or reply.response is None:
            return False
        return reply.response.id == self.call.ask.request.id


class Round:
    """One auction's calls.

    `async for reply in round` gives answers and failures as they come; `await round.replies()`
    gives the reply of every bidder that was asked, once the round is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        started: float,
        deadline: float,
        on_late: OnLate | None,
    ) -> None:
        """Made by `FanOut.open`."""
        self._loop = loop
        self._started = started
        self._deadline = deadline
        self._on_late = on_late
        self._wanted: Mapping[str, tuple[Bidder, Ask]] = {}
        self._flights: dict[str, _Flight] = {}
        self._skipped: dict[str, Skipped] = {}
        self._arrived: list[Reply] = []
        self._waiting = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._course: asyncio.Task[bool] | None = None
        self._calls_out: set[Awaited] = set()
        self._is_over = False
        self._end_told: asyncio.Future[None] | None = None  # where somebody waits for the end
        self._arrival: asyncio.Event | None = None  # where somebody listens to arrivals

    def start(
        self,
        wanted: Mapping[str, tuple[Bidder, Ask]],
        group: Group[str] | None,
        out: set[Awaited],
    ) -> None:
        """Asks the bidders, or the first of them.

        Args:
            wanted: bidders and their requests, by name.
            group: the order in which they are asked.
            out: holds the calls that are out, and after the round those that are late.
        """
        self._wanted, self._calls_out = wanted, out
        if group is None:
            for bidder, ask in wanted.values():
                self._launch(bidder, ask, None)
            self._wait_for_somebody()
        else:
            self._waiting = 1  # for the course, which waits for its members
            self._course = self._loop.create_task(
                group.run(self._step, self._loop.time, self._deadline)
            )
            self._course.add_done_callback(self._end_course)
        if self._waiting:
            self._timers.append(self._loop.call_at(self._deadline, self._end_in_time))
        else:
            self._end()

    @property
    def is_over(self) -> bool:
        """Whether nobody is waited for any more."""
        return self._is_over

    @property
    def skipped(self) -> list[Skipped]:
        """Bidders that were to be asked and were not; complete when the round is over."""
        return [self._skipped[name] for name in self._wanted if name in self._skipped]

    async def replies(self) -> list[Reply]:
        """The reply of every bidder that was asked, those included that did not answer.

        They are in the order of the bidders. A caller that is cancelled here ends the round.
        """
        if not self._is_over:
            self._end_told = self._loop.create_future()
            try:
                await self._end_told
            except asyncio.CancelledError:
                self._end()
                raise
        flights = [self._flights[name] for name in self._wanted if name in self._flights]
        return [flight.reply for flight in flights if flight.reply is not None]

    async def __aiter__(self) -> AsyncIterator[Reply]:
        """Answers and failures in the order in which they come, until the round is over."""
        told = 0
        self._arrival = arrival = asyncio.Event()
        while True:
            while told < len(self._arrived):
                told += 1
                yield self._arrived[told - 1]
            if self._is_over:
                return
            arrival.clear()
            await arrival.wait()

    def _launch(self, bidder: Bidder, ask: Ask, turn_ends: float | None) -> _Flight | None:
        """Asks one bidder; None: its policies are against it."""
        call = bidder.admit(ask, self._started, self._deadline, turn_ends)
        if isinstance(call, Skipped):
            self._skipped[bidder.name] = call
            return None
        flight = self._flights[bidder.name] = _Flight(bidder, call)
        begun = bidder.begin(call)
        if isinstance(begun, Reply):
            self._take(flight, begun)
            return flight
        flight.answer = begun
        self._calls_out.add(begun)  # the loop itself keeps only weak references
        begun.add_done_callback(partial(self._land, flight))
        if call.is_waited_for:
            self._wait_for(flight)
        return flight

    async def _step(self, name: str, turn_ends: float) -> bool:
        """A member's turn in a group: asks it, and waits until it is done or its time is up."""
        if name not in self._wanted:
            return False
        flight = self._launch(*self._wanted[name], turn_ends)
        if flight is None:
            return False
        if not flight.is_waited_for:
            return flight.call.is_waited_for and flight.has_bids
        flight.settled = self._loop.create_future()
        try:
            await flight.settled
        finally:
            self._stop_waiting_for(flight)
        return flight.has_bids

    def _wait_for(self, flight: _Flight) -> None:
        flight.is_waited_for = True
        self._waiting += 1
        wait_until = flight.call.wait_until
        if wait_until < self._deadline - _CLOCK_TICK:
            self._timers.append(self._loop.call_at(wait_until, self._give_up, flight))

    def _wait_for_somebody(self) -> None:
        """Where everybody asked is secondary, or a probe, they are waited for after all."""
        flights = self._flights.values()
        for flight in flights:
            if flight.call.is_waited_for:
                return
        for flight in flights:
            if flight.reply is None:
                self._wait_for(flight)

    def _stop_waiting_for(self, flight: _Flight) -> None:
        if not flight.is_waited_for:
            return
        flight.is_waited_for = False
        if flight.settled is not None and not flight.settled.done():
            flight.settled.set_result(None)
        self._waiting -= 1
        if not self._waiting:
            self._end()

    def _give_up(self, flight: _Flight) -> None:
        flight.gave_up = True
        self._stop_waiting_for(flight)

    def _land(self, flight: _Flight, answer: Awaited) -> None:
        """A call has ended: in time for the round, or late."""
        self._calls_out.discard(answer)
        if flight.reply is not None and not flight.is_out:  # taken already, as the round ended
            return
        reply = flight.bidder.end(flight.call, answer)
        if flight.is_out:
            if reply is not None and reply.arrived_ms is not None and self._on_late is not None:
                self._on_late(replace(reply, late=True))
            return
        if reply is not None:  # else cut off by the end of the event loop
            self._take(flight, reply)
        self._stop_waiting_for(flight)

    def _take(self, flight: _Flight, reply: Reply) -> None:
        flight.reply = reply
        self._arrived.append(reply)
        if self._arrival is not None:
            self._arrival.set()

    def _end_course(self, _: asyncio.Task[bool]) -> None:
        if self._is_over:
            return
        self._wait_for_somebody()
        self._waiting -= 1
        if not self._waiting:
            self._end()

    def _end_in_time(self) -> None:
        """The deadline: whoever is still out has had all the time there was."""
        for flight in self._flights.values():
            flight.gave_up = True
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._end_told is not None and not self._end_told.done():
            self._end_told.set_result(None)
        if self._arrival is not None:
            self._arrival.set()
        for timer in self._timers:
            timer.cancel()
        if self._course is not None:
            self._course.cancel()
        for flight in self._flights.values():
            if flight.reply is None:
                self._close(flight)
        if len(self._flights) + len(self._skipped) < len(self._wanted):
            self._skip_the_rest()

    def _skip_the_rest(self) -> None:
        for name in self._wanted:
            if name not in self._flights and name not in self._skipped:
                self._skipped[name] = Skipped(name, NotAsked.NOT_REACHED)

    def _close(self, flight: _Flight) -> None:
        """Gives a flight the reply that counts; one that has just ended is still in time."""
        answer = flight.answer
        if answer is not None and answer.done() and not answer.cancelled():
            reply = flight.bidder.end(flight.call, answer)
            if reply is not None:
                self._take(flight, reply)
                return
        flight.is_out = True
        flight.reply = flight.bidder.unanswered(flight.call, gave_up=flight.gave_up)
