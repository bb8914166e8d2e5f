"""A store that may be away, guarded: no call waits for long, and none goes where nobody answers.

       ┌──────── too many failures, or a ping ────────┐
    here                                             away
       └──────────────── a probe ─────────────────────┘

Failures count up to `failures`, and each success makes up for some, so that a row of failures opens
it as well as too great a part. While it is away calls fail at once, and probes (`ping`) go out, the
farther apart the more of them failed; the first that is answered brings it back. How far apart is
forgotten with the next success of a call, so that a store that answers to pings alone is probed
less and less.

The stores repeat nothing by themselves while they are away: reconnecting waits for the probes.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import structlog

from xsp_server.errors import ConfigError
from xsp_server.state.backend import (
    Balance,
    Book,
    CampaignDocument,
    Counter,
    Known,
    Move,
    Movement,
    Outcome,
    PutOutcome,
    StateBackend,
    StoreAway,
)
from xsp_server.values import value

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

LEAST_RETRY_SECONDS: Final = 0.001
"""Advice on when to come again, where a probe is under way."""


class StoreBusy(StoreAway):
    """As many calls are under way as the store may have. This one was not begun."""

    status = "RESOURCE_EXHAUSTED"
    reason = "TOO_BUSY"


@value
class Limits:
    """When a store counts as away, and what calls may cost.

    Attributes:
        timeout: seconds that a call may take.
        calls: that may be under way at once; one more is `StoreBusy`.
        failures: in a row that make it away.
        failure_rate: part of the calls, above 0 and below 1, that may fail for ever: a success
            makes up for rate / (1 - rate) failures.
        probe: seconds until the first probe, and at least until the next.
        most_probe: seconds between two probes at most.
        ping: seconds between two pings while it is here.
    """

    timeout: float = 2.0
    calls: int = 10_000
    failures: int = 5
    failure_rate: float = 0.5
    probe: float = 0.5
    most_probe: float = 30.0
    ping: float = 5.0


class GuardedBackend(StateBackend):
    """Another store, with a limit on the time and number of its calls, and a breaker.

    Calls raise `StoreAway`, with the time until the next probe, while the store is away, and
    `StoreBusy` while too many are under way. A call that takes too long is given up; it may be
    applied all the same.
    """

    def __init__(
        self,
        backend: StateBackend,
        limits: Limits = Limits(),  # noqa: B008 - a value
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Takes the store; it counts as here until it is asked.

        Args:
            backend: the store; it is closed with this one.
            limits: when it counts as away.
            clock: seconds, for times until probes.
            sleep: how to wait for probes and pings.
            chance: from 0 to 1: how much a probe comes before its time, by half at most, so that
                not all processes come at once.
        """
        self._backend = backend
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._tell: Callable[[bool], None] = _nobody
        self._under_way = _UnderWay(limits.timeout)
        self._made_up = limits.failure_rate / (1 - limits.failure_rate)
        self._failures = 0.0
        self._delay = limits.probe
        self._away_since: float | None = None
        self._probe_at = 0.0
        self._reason = ""
        self._closed = False
        self._probing: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None

    @property
    def scheme(self) -> str:
        """See StateBackend."""
        return self._backend.scheme

    @property
    def in_process(self) -> bool:
        """See StateBackend."""
        return self._backend.in_process

    @property
    def durable(self) -> bool:
        """See StateBackend."""
        return self._backend.durable

    @property
    def keeps_ledger(self) -> bool:
        """See StateBackend."""
        return self._backend.keeps_ledger

    @property
    def is_away(self) -> bool:
        """Whether calls fail at once."""
        return self._away_since is not None

    async def start(self, tell: Callable[[bool], None]) -> None:
        """Asks the store for the first time, and pings it from now on until it is closed.

        Args:
            tell: is called with whether the store is here: now, and at each change.

        Raises:
            ConfigError: the store is not fit to be used; the message says what would be right.
        """
        self._tell = tell
        try:
            await self._answers()
        except StoreAway as failure:
            self._leave(str(failure))
        else:
            tell(True)
        self._pinging = asyncio.create_task(self._keep_pinging())

    async def close(self) -> None:
        """See StateBackend."""
        self._closed = True
        for task in (self._pinging, self._probing):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._backend.close()

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend."""
        return await self._call(self._backend.apply, book, moves, now_ms)

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend."""
        return await self._call(self._backend.find, book, ids, now_ms)

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """See StateBackend."""
        return await self._call(self._backend.open_holds, book, now_ms, after=after, limit=limit)

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """See StateBackend."""
        return await self._call(self._backend.counters, book, now_ms, after=after, limit=limit)

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._call(
            self._backend.put_campaign,
            document,
            now_ms,
            expected_revision=expected_revision,
            expected_version=expected_version,
        )

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend."""
        return await self._call(self._backend.get_campaigns, campaign_ids)

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """See StateBackend."""
        return await self._call(self._backend.list_campaigns, after=after, limit=limit)

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._call(
            self._backend.delete_campaign,
            campaign_id,
            expected_revision=expected_revision,
            expected_version=expected_version,
        )

    async def campaigns_version(self) -> int:
        """See StateBackend."""
        return await self._call(self._backend.campaigns_version)

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:
        """See StateBackend."""
        return await self._call(self._backend.movements, book, after=after, limit=limit)

    async def audit(self, book: str | None = None) -> list[Balance]:
        """See StateBackend. It may take as long as it takes."""
        return await self._backend.audit(book)

    async def ping(self) -> None:
        """See StateBackend."""
        await self._call(self._backend.ping)

    async def _call(
        self, ask: Callable[..., Awaitable[Result]], *arguments: Any, **options: Any
    ) -> Result:
        """Asks the store, if it is here."""
        if self._away_since is not None:
            raise self._left_alone()
        if len(self._under_way) >= self._limits.calls:
            raise StoreBusy(
                f"{self.scheme} store: {self._limits.calls} calls are under way already",
                retry_after=self._limits.timeout,
            )
        call = self._under_way.begin()
        try:
            result = await ask(*arguments, **options)
        except StoreAway as failure:
            self._failed(str(failure))
            raise
        except asyncio.CancelledError:
            if not call.was_given_up():
                raise
            slow = f"no answer in {self._limits.timeout:g} s"
            self._failed(slow)
            raise StoreAway(f"{self.scheme} store: {slow}", retry_after=self._delay) from None
        finally:
            self._under_way.end(call)
        if self._failures:
            self._failures = max(self._failures - self._made_up, 0.0)
        if self._away_since is None:
            self._delay = self._limits.probe
        return result

    def _left_alone(self) -> StoreAway:
        wait = max(self._probe_at - self._clock(), LEAST_RETRY_SECONDS)
        return StoreAway(f"{self._reason}; not asked until it is back", retry_after=wait)

    def _failed(self, reason: str) -> None:
        """Counts a failure; too many, and the store is away."""
        self._failures += 1
        if self._failures >= self._limits.failures:
            self._leave(reason)

    def _leave(self, reason: str) -> None:
        """From now on the store is away."""
        if self._closed or self._away_since is not None:
            return
        self._reason = reason
        self._away_since = self._clock()
        self._probing = asyncio.create_task(self._probe())
        log.warning("state store away", store=self.scheme, reason=reason)
        self._tell(False)

    def _come_back(self) -> None:
        """From now on the store is here."""
        away = self._clock() - (self._away_since or 0.0)
        self._away_since = None
        self._failures = 0.0
        log.info("state store back", store=self.scheme, away_seconds=round(away, 3))
        self._tell(True)

    async def _probe(self) -> None:
        """Pings the store until it answers, at greater and greater distances."""
        while True:
            wait = self._delay * (1 - self._chance() / 2)
            self._delay = min(2 * self._delay, self._limits.most_probe)
            self._probe_at = self._clock() + wait
            await self._sleep(wait)
            try:
                await self._answers()
            except StoreAway as failure:
                self._reason = str(failure)
            except ConfigError as unfit:
                if self._reason != str(unfit):
                    log.warning("state store not fit", store=self.scheme, reason=str(unfit))
                self._reason = str(unfit)
            else:
                break
        self._come_back()

    async def _keep_pinging(self) -> None:
        """Finds out that the store went away, or is not fit any more, where no call does."""
        while True:
            await self._sleep(self._limits.ping)
            if self._away_since is not None:
                continue
            try:
                await self._answers()
            except (StoreAway, ConfigError) as failure:
                self._leave(str(failure))

    async def _answers(self) -> None:
        """Raises StoreAway or ConfigError unless the store answers in time."""
        try:
            async with asyncio.timeout(self._limits.timeout):
                await self._backend.ping()
        except TimeoutError:
            slow = f"no answer to a ping in {self._limits.timeout:g} s"
            raise StoreAway(f"{self.scheme} store: {slow}", retry_after=self._delay) from None


class _Call:
    """A call that is under way."""

    __slots__ = ("cancelling", "deadline", "given_up", "task")

    def __init__(self, task: "asyncio.Task[Any]", deadline: float) -> None:
        self.task = task
        self.deadline = deadline
        self.cancelling = task.cancelling()
        self.given_up = False

    def was_given_up(self) -> bool:
        """Whether its time was over and nobody else cancelled its task; asked once."""
        return self.given_up and self.task.uncancel() <= self.cancelling


class _UnderWay:
    """Calls that are under way, and one timer for all: `asyncio.timeout` costs 5 us each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._calls: dict[_Call, None] = {}  # in the order of their deadlines
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self) -> _Call:
        """A call of this task begins."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in a coroutine
        loop = task.get_loop()
        call = _Call(task, loop.time() + self._seconds)
        self._calls[call] = None
        if self._timer is None:
            self._timer = loop.call_at(call.deadline, self._look)
        return call

    def end(self, call: _Call) -> None:
        """It has ended."""
        self._calls.pop(call, None)

    def _look(self) -> None:
        """Gives up calls whose time is over, and comes back when the next one's is."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for call in list(self._calls):
            if call.deadline > now:
                self._timer = call.task.get_loop().call_at(call.deadline, self._look)
                return
            if not call.given_up:
                call.given_up = True
                call.task.cancel()


def _nobody(_here: bool) -> None:
    """Nobody wants to hear of it."""
