"""A bidder: a transport with a name, whose every call ends in a reply.

What one bidder may cost, and what it is spared, is in `policies`; here they meet the call.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome, Reply, Skipped
from xsp_server.upstream.policies.admission import Admission
from xsp_server.upstream.policies.breaker import BreakerState, Entry
from xsp_server.upstream.policies.health import Health, health
from xsp_server.upstream.policies.hedge import Hedge
from xsp_server.upstream.policies.latency import LatencyWindow
from xsp_server.upstream.policies.learned_timeout import LearnedTimeout
from xsp_server.upstream.policies.settings import PolicySettings
from xsp_server.upstream.transport import Ask, Transport, TransportError

log = structlog.get_logger(__name__)

DEFAULT_POLICY = PolicySettings()

_BIDS, _NO_BID, _TIMEOUT = Outcome.BIDS, Outcome.NO_BID, Outcome.TIMEOUT
_GOOD = Health.GOOD  # which Python 3.11 takes 8 times as long to find, as those above


@dataclass(slots=True, eq=False)
class Call:
    """One call that a bidder's policies have let through. Times are by the clock, in seconds.

    Attributes:
        ask: the request.
        started: when the auction began.
        sent: when the call began.
        deadline: when the auction ends.
        wait_until: how long the auction waits for this bidder; at most until the deadline.
        is_waited_for: whether it waits at all: not for secondary bidders, nor for probes.
        limit: seconds after which the call ends by itself.
        entry: what the breaker knows it by.
        hedge_ms: when a second try may start, in ms from `sent`; None: there is none.
        attempts: tries so far.
    """

    ask: Ask
    started: float
    sent: float
    deadline: float
    wait_until: float
    is_waited_for: bool
    limit: float
    entry: Entry
    hedge_ms: float | None
    attempts: int = 1


class Bidder:
    """Asks one upstream and says how it went; it never raises.

    Attributes:
        name: unique among the bidders of an exchange.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float],
        policy: PolicySettings = DEFAULT_POLICY,
    ) -> None:
        """Wraps a transport.

        Args:
            transport: how the bidder is reached.
            clock: seconds, monotonic; the event loop's own in production.
            policy: what it may cost, and what it is spared.
        """
        self.name = transport.settings.name
        self._transport = transport
        self._clock = clock
        self._policy = policy
        self._longest = transport.settings.timeout_ms / 1000
        self._late = policy.late_ms / 1000
        self._is_secondary = policy.secondary
        self._admission = Admission(self.name, policy, self._log_breaker)
        self._learned: LearnedTimeout | None = None
        self._hedge: Hedge | None = None
        self._latency: LatencyWindow | None = None
        self._tries: set[asyncio.Task[BidResponse | None]] = set()
        if policy.learned_timeout.enabled or policy.hedge.enabled:
            self._latency = LatencyWindow(policy.latency)
            if policy.learned_timeout.enabled:
                self._learned = LearnedTimeout(policy.learned_timeout, self._latency)
            if policy.hedge.enabled:
                self._hedge = Hedge(policy.hedge, self._latency)

    def admit(
        self, ask: Ask, started: float, deadline: float, turn_ends: float | None = None
    ) -> Call | Skipped:
        """Lets a call through, or says why not. A call let through has to be made by `begin`.

        Args:
            ask: the request.
            started: when the auction began, by the clock.
            deadline: when its answer is of no use any more, by the clock.
            turn_ends: when the auction stops waiting for it and asks the next; by default at the
                deadline.
        """
        now, longest = self._clock(), self._longest
        left = deadline - now
        wait = min(left if turn_ends is None else turn_ends - now, longest)
        entry = self._admission.admit(ask.request.id, now, wait)
        if isinstance(entry, Skipped):
            return entry
        if self._learned is not None:
            learned = self._learned.timeout_ms(now)
            if learned is not None:
                wait = min(wait, learned / 1000)
        is_waited_for = not (self._is_secondary or entry.is_probe)
        return Call(
            ask,
            started,
            now,
            deadline,
            now + wait,
            is_waited_for,
            min(left + self._late, longest),
            entry,
            self._hedge.delay_ms(now) if self._hedge and is_waited_for else None,
        )

    def begin(self, call: Call) -> "Reply | asyncio.Future[BidResponse | None]":
        """Makes a call that `admit` has let through; nothing is awaited.

        Returns:
            How it ended, where it ended at once; else what its answer comes by. That one is to be
            given to `end` when it is done, which it is by the call's limit, and not to be
            cancelled: cancelling grpc.aio calls leaks memory.
        """
        try:
            if self._hedge is None or call.hedge_ms is None:
                begun = self._transport.begin(call.ask, call.limit)
            else:
                twice = self._try_twice(call, self._hedge, call.hedge_ms / 1000)
                begun = asyncio.get_running_loop().create_task(twice, name=self.name)
        except Exception as error:  # noqa: BLE001 - a plug-in's bug must not cost the auction
            return self._failed(call, error)
        return begun if isinstance(begun, asyncio.Future) else self._answered(call, begun)

    def end(self, call: Call, answer: "asyncio.Future[BidResponse | None]") -> Reply | None:
        """The reply of a call whose answer is there, or has failed; to be asked for once.

        Returns:
            The reply; None where the call was cut off with the event loop.
        """
        if answer.cancelled():
            self._ended(call, Health.UNKNOWN, self._clock())
            return None
        error = answer.exception()
        return self._answered(call, answer.result()) if error is None else self._failed(call, error)

    def unanswered(self, call: Call, *, gave_up: bool) -> Reply:
        """The reply of a call that is still out when the auction is over.

        Args:
            call: the call.
            gave_up: the auction had waited for it as long as it would; else it was over before.
        """
        outcome = Outcome.TIMEOUT if gave_up else Outcome.CANCELLED
        timeout_ms = _ms(call.wait_until - call.sent)
        return Reply(
            self.name,
            outcome,
            None,
            detail=(
                f"no answer in {timeout_ms:.0f} ms"
                if gave_up
                else "the auction was over, and did not wait for it"
            ),
            attempts=call.attempts,
            sent_ms=_ms(call.sent - call.started),
            timeout_ms=timeout_ms,
            secondary=self._is_secondary,
        )

    async def close(self) -> None:
        """Waits for tries that lost, each bounded by its limit, then closes the transport."""
        while self._tries:
            await asyncio.wait(self._tries)
        await self._transport.close()

    def _answered(self, call: Call, response: BidResponse | None) -> Reply:
        try:
            bids = _count_bids(response, self._policy.max_bids)
            outcome = _BIDS if bids else _NO_BID
        except Exception as error:  # noqa: BLE001 - it is no response: a plug-in's bug as well
            return self._failed(call, error)
        if bids > self._policy.max_bids:
            detail = f"{bids} bids or seats; expected at most {self._policy.max_bids} (max_bids)"
            return self._failed(call, TransportError(Outcome.INVALID_RESPONSE, detail))
        now = self._clock()
        reply = Reply(
            self.name,
            outcome,
            _ms(now - call.started),
            response,
            "",
            call.attempts,
            _ms(call.sent - call.started),
            _ms(call.wait_until - call.sent),
            self._is_secondary,
        )
        shown = _GOOD if now <= call.deadline else self._health(call, reply, now)
        self._ended(call, shown, now)
        if self._latency is not None:
            self._latency.observe(now, (now - call.sent) * 1000, answered=True)
        return reply

    def _failed(self, call: Call, error: BaseException) -> Reply:
        now = self._clock()
        if isinstance(error, TransportError):
            told = error
        else:
            told = _bug(error)
            log.error("fault", where=f"transport of {self.name}", exc_info=error)
        outcome = told.outcome
        reply = Reply(
            self.name,
            outcome,
            None if outcome is _TIMEOUT else _ms(now - call.started),
            detail=told.detail,
            attempts=call.attempts,
            sent_ms=_ms(call.sent - call.started),
            timeout_ms=_ms(call.wait_until - call.sent),
            secondary=self._is_secondary,
            http_status=told.http_status,
            grpc_status=told.grpc_status,
        )
        self._ended(call, self._health(call, reply, now), now)
        if self._latency is not None and outcome is _TIMEOUT:  # a failure's own time tells nothing
            self._latency.observe(now, (now - call.sent) * 1000, answered=False)
        return reply

    def _health(self, call: Call, reply: Reply, now: float) -> Health:
        return health(
            reply,
            in_time=now <= call.deadline,
            had_ms=min(call.deadline - call.sent, self._longest) * 1000,
            timeout_from_ms=self._policy.breaker.timeout_from_ms,
        )

    def _ended(self, call: Call, shown: Health, now: float) -> None:
        """Tells admission that a call is over; tries of a hedged one give back their own places."""
        if call.hedge_ms is None:
            self._admission.attempt_ended()
        self._admission.call_ended(call.entry, shown, now)

    async def _try(self, call: Call, limit: float) -> BidResponse | None:
        try:
            return await self._transport.send(call.ask, limit)
        finally:
            self._admission.attempt_ended()

    async def _try_twice(self, call: Call, hedge: Hedge, after: float) -> BidResponse | None:
        """The first answer of two tries, the second of which starts only if the first is slow.

        The try that loses goes on to its limit: a connection that is cut is one to build anew.
        """
        first = self._start_try(call, call.limit)
        await asyncio.wait((first,), timeout=after)
        now = self._clock()
        is_due = not first.done() and now < call.wait_until
        if not (is_due and hedge.take() and self._admission.admit_again(now)):
            return await first
        call.attempts = 2
        second = self._start_try(call, call.limit - (now - call.sent))
        await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
        tries = (first, second)
        answered = [task for task in tries if task.done() and task.exception() is None]
        still_out = [task for task in tries if not task.done()]
        return await (*answered, *still_out, first)[0]

    def _start_try(self, call: Call, limit: float) -> "asyncio.Task[BidResponse | None]":
        task = asyncio.get_running_loop().create_task(self._try(call, limit), name=self.name)
        self._tries.add(task)
        task.add_done_callback(self._try_ended)
        return task

    def _try_ended(self, task: "asyncio.Task[BidResponse | None]") -> None:
        self._tries.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio doesn't report a try that lost

    def _log_breaker(self, state: BreakerState) -> None:
        write = log.warning if state is BreakerState.OPEN else log.info
        write("breaker", bidder=self.name, state=str(state))


def _count_bids(response: BidResponse | None, most: int) -> int:
    """How many bids there are; of seats above `most`, how many of those, however empty they are."""
    count = 0
    if response is not None:
        seatbids = response.seatbid
        if len(seatbids) > most:
            return len(seatbids)
        for seatbid in seatbids:  # sum() over a generator takes three times as long
            count += len(seatbid.bid)
    return count


def _bug(error: BaseException) -> TransportError:
    return TransportError(Outcome.ERROR, f"{type(error).__name__} in the transport")


def _ms(seconds: float) -> float:
    """Milliseconds in whole microseconds: what a record of the auction can hold exactly."""
    return round(seconds * 1e6) / 1000  # rounding to three places takes three times as long
