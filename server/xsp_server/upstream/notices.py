"""Win, billing and loss notices: sent after the answer, tried again with growing pauses, once each.

A notice counts money, so it must not arrive twice. What is known about an attempt decides:

- 2xx or 3xx: it has arrived. Redirects are followed, but what they lead to changes nothing.
- It failed before the request went out (no such name, nobody listens, TLS not agreed, no time left
  while connecting): nobody was told anything, so it is tried again.
- 408, 425, 429 and 5xx: by the receiver's own word it was not taken, so it is tried again. But for
  502 and 504: there a gateway says that it doesn't know what the receiver did.
- Any other answer: it is refused for good.
- The request went out and no answer came (time ran out, the connection broke), or a 502 or 504:
  nobody knows. It is not tried again: a notice that is lost is settled by the parties' reports, one
  that is counted twice is money taken twice. This holds for all kinds alike.
"""

import asyncio
import math
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Literal, Protocol, cast

import structlog
from pydantic import BaseModel, ConfigDict, Field

from xsp_server.errors import RetryableError, Unavailable
from xsp_server.upstream.fetch import Failure, Fetched, FetchError
from xsp_server.upstream.guard import AddressGuard

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 64 * 1024
"""Of an answer to a notice; nobody looks at it, but a body that is read frees its connection."""
RETRY_AFTER_FULL = 1.0
"""Seconds that a caller is told to wait when the queue is full."""
RETRY_AFTER_STOP = 1.0
"""Seconds that a caller is told to wait when the server is stopping."""


class NoticeKind(StrEnum):
    """What a notice tells."""

    WIN = "win"
    """The bid won: `Bid.nurl`."""
    BILLING = "billing"
    """Its impression is billable: `Bid.burl`."""
    LOSS = "loss"
    """It lost: `Bid.lurl`."""
    ERROR = "error"
    """An ad of a VAST chain could not be used: `Error`."""


class NoticeOutcome(StrEnum):
    """What became of a notice in the end."""

    SENT = "sent"
    """It has arrived."""
    UNKNOWN = "unknown"
    """It went out, and nobody knows whether it arrived."""
    REJECTED = "rejected"
    """The receiver answered that it doesn't want it."""
    REFUSED = "refused"
    """The address guard refused it, or it can't be sent."""
    FAILED = "failed"
    """It was tried as often as the settings allow."""
    EXPIRED = "expired"
    """It became too old."""
    CUT = "cut"
    """The server stopped first."""


class NoticeSettings(BaseModel):
    """Win, billing and loss notices: who sends them, and how hard the server tries."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    delivery: Literal["server", "caller"] = "server"
    """Who sends them where the call doesn't say: the server, win and loss after the answer and
    billing when Notify tells of it; or the caller, who gets them with macros filled."""
    timeout_ms: Annotated[int, Field(ge=10, le=60_000)] = 2_000
    """Time for one attempt, in ms."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """How often a notice is tried at most."""
    pause_ms: Annotated[int, Field(ge=1, le=600_000)] = 500
    """Pause after the first attempt, in ms; each further pause is twice as long. Half of every
    pause is random."""
    max_pause_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 30_000
    """The longest pause, in ms."""
    max_age_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """A notice that is older is given up, however often it was tried."""
    queue_size: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Notices that wait or are under way, all together. Loss and error notices fill three quarters
    of it at most, and win notices nine tenths, so that billing finds a place."""
    host_queue_size: Annotated[int, Field(ge=1, le=1_000_000)] = 2_000
    """Likewise for one host, so that one that hangs leaves room to the others."""
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Attempts under way at once, all together."""
    host_concurrency: Annotated[int, Field(ge=1, le=1_000)] = 8
    """Attempts under way at once, to one host."""
    remember: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    """Notices that are remembered so that none is sent twice; the oldest are forgotten first."""
    remember_seconds: Annotated[float, Field(gt=0, le=604_800)] = 3_600.0
    """How long they are remembered."""
    keep_bids: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Bids that Notify may tell of. One takes 1 to 2 KiB; bids that lost are forgotten first, then
    those of the oldest auctions."""
    keep_seconds: Annotated[float, Field(gt=0, le=604_800)] = 3_600.0
    """How long after its auction a bid may be told of."""


class NoticeQueueFull(RetryableError):
    """As many notices wait as the settings allow."""

    status = "RESOURCE_EXHAUSTED"
    reason = "NOTICE_QUEUE_FULL"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice to send.

    Attributes:
        auction: id of the auction.
        bidder: name of the bidder.
        bid: what tells the bid from the others of the bidder in the auction.
        kind: what it tells. One notice is sent of each kind for each bid.
        url: where it goes, macros filled.
        headers: that go along, such as a traceparent.
    """

    auction: str
    bidder: str
    bid: str
    kind: NoticeKind
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Fetcher(Protocol):
    """What calls a URL: `GuardedFetcher`."""

    @property
    def guard(self) -> AddressGuard:
        """Says where calls may lead."""

    async def get(
        self,
        url: str,
        *,
        timeout: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Fetched:
        """See `GuardedFetcher.get`."""


class NoticeSender:
    """Takes notices at once and sends them in tasks of its own.

    Attributes:
        pending: notices that wait or are under way.
        outcomes: how many notices ended how, by kind and outcome.
        retries: attempts after the first, by kind.
        duplicates: notices that had been taken before, by kind.
        dropped: notices that found the queue full, by kind.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        settings: NoticeSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        """Starts with an empty queue.

        Args:
            fetcher: calls the URLs.
            settings: the limits.
            clock: seconds, monotonic.
            sleep: waits for so many seconds.
            rng: where the random half of a pause comes from.
        """
        self._fetcher = fetcher
        self._settings = settings or NoticeSettings()
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - spreads attempts, guards nothing
        self._taken = _Taken(self._settings.remember, self._settings.remember_seconds)
        self._places = asyncio.Semaphore(self._settings.concurrency)
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: dict[asyncio.Task[None], float] = {}
        self._stop_at = math.inf
        self.outcomes: Counter[tuple[NoticeKind, NoticeOutcome]] = Counter()
        self.retries: Counter[NoticeKind] = Counter()
        self.duplicates: Counter[NoticeKind] = Counter()
        self.dropped: Counter[NoticeKind] = Counter()

    @property
    def pending(self) -> int:
        """Notices that wait or are under way."""
        return len(self._tasks)

    def send(self, notice: Notice) -> bool:
        """Takes a notice; it is sent from now on.

        Returns:
            False: it was taken before, whatever became of it, and nothing is done.

        Raises:
            AddressRefused: its URL can't lead anywhere that may be called.
            NoticeQueueFull: too many wait. It is not remembered: it may be offered again.
            Unavailable: the server is stopping.
        """
        if self._stop_at < math.inf:
            raise Unavailable(
                "the server is stopping; tell another one", retry_after=RETRY_AFTER_STOP
            )
        host = self._fetcher.guard.check_url(notice.url).host
        now = self._clock()
        if self._taken.has(notice, now):
            self.duplicates[notice.kind] += 1
            return False
        lane = self._lanes.get(host) or _Lane(self._settings.host_concurrency)
        self._refuse_full(notice.kind, host, lane)
        self._lanes[host] = lane
        lane.pending += 1
        self._taken.add(notice, now)
        deliver = self._deliver(notice, host, lane, now + self._settings.max_age_seconds)
        task = asyncio.get_running_loop().create_task(deliver, name=f"{notice.kind} notice")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self, timeout: float) -> None:
        """Takes no more notices, and lets those that wait go out.

        Args:
            timeout: seconds after which the rest is cut. What would be tried again only later is
                cut at once.
        """
        self._stop_at = self._clock() + timeout
        for task, wake_at in self._resting.items():
            if wake_at >= self._stop_at:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        cut = list(self._tasks)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    def _refuse_full(self, kind: NoticeKind, host: str, lane: "_Lane") -> None:
        settings = self._settings
        for waiting, size, name, where in (
            (self.pending, settings.queue_size, "queue_size", "in all"),
            (lane.pending, settings.host_queue_size, "host_queue_size", f"for {host}"),
        ):
            limit = max(int(size * _SHARES[kind]), 1)
            if waiting >= limit:
                self.dropped[kind] += 1
                raise NoticeQueueFull(
                    f"{waiting} notices wait {where}; a {kind} notice is taken while fewer than "
                    f"{limit} do (notices.{name})",
                    retry_after=RETRY_AFTER_FULL,
                    limit=limit,
                )

    async def _deliver(self, notice: Notice, host: str, lane: "_Lane", give_up_at: float) -> None:
        """Tries until it is known what becomes of a notice."""
        outcome = NoticeOutcome.CUT
        try:
            outcome = await self._try_all(notice, lane, give_up_at)
        except Exception:
            outcome = NoticeOutcome.FAILED
            log.exception("notice", kind=str(notice.kind), bidder=notice.bidder, host=host)
        finally:
            self.outcomes[notice.kind, outcome] += 1
            lane.pending -= 1
            if not lane.pending:
                del self._lanes[host]
        if outcome is not NoticeOutcome.SENT:
            told = {"kind": str(notice.kind), "outcome": str(outcome)}
            log.info("notice", **told, bidder=notice.bidder, host=host)

    async def _try_all(self, notice: Notice, lane: "_Lane", give_up_at: float) -> NoticeOutcome:
        attempt = 0
        while True:
            attempt += 1
            async with lane.places, self._places:
                if self._clock() >= give_up_at:
                    return NoticeOutcome.EXPIRED
                outcome = await self._try(notice)
            if outcome is not None:
                return outcome
            if attempt == self._settings.attempts:
                return NoticeOutcome.FAILED
            pause = self._pause(attempt)
            wake_at = self._clock() + pause
            if wake_at >= give_up_at:
                return NoticeOutcome.EXPIRED
            if wake_at >= self._stop_at:
                return NoticeOutcome.CUT
            await self._rest(pause, wake_at)
            self.retries[notice.kind] += 1

    async def _rest(self, pause: float, wake_at: float) -> None:
        """Sleeps; a stop that comes before `wake_at` need not wait for it."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._resting[task] = wake_at
        try:
            await self._sleep(pause)
        finally:
            del self._resting[task]

    async def _try(self, notice: Notice) -> NoticeOutcome | None:
        """What an attempt came to; None: it may be tried again."""
        try:
            answer = await self._fetcher.get(
                notice.url,
                timeout=self._settings.timeout_ms / 1000,
                max_bytes=MAX_BODY_BYTES,
                headers=notice.headers,
                once=True,
            )
        except FetchError as error:
            if error.redirects:
                return NoticeOutcome.SENT
            if error.status is not None:
                return _outcome_of(error.status)
            if error.failure in (Failure.REFUSED, Failure.HEADER):
                return NoticeOutcome.REFUSED
            return NoticeOutcome.UNKNOWN if error.sent else None
        return NoticeOutcome.SENT if answer.redirects else _outcome_of(answer.status)

    def _pause(self, attempt: int) -> float:
        """Seconds after an attempt: doubled each time, half of them random."""
        settings = self._settings
        pause = min(settings.pause_ms << (attempt - 1), settings.max_pause_ms) / 1000
        return pause * self._rng.uniform(0.5, 1.0)


_SHARES = {
    NoticeKind.BILLING: 1.0,
    NoticeKind.WIN: 0.9,
    NoticeKind.LOSS: 0.75,
    NoticeKind.ERROR: 0.75,
}
"""How full the queue may be for a notice of a kind to be taken."""

_NOT_KNOWN = frozenset({502, 504})
_NOT_TAKEN = frozenset({408, 425, 429, *range(500, 600)}) - _NOT_KNOWN


def _outcome_of(status: int) -> NoticeOutcome | None:
    """What the status of an answer says; None: it may be tried again."""
    if status < 400:
        return NoticeOutcome.SENT
    if status in _NOT_KNOWN:
        return NoticeOutcome.UNKNOWN
    return None if status in _NOT_TAKEN else NoticeOutcome.REJECTED


class _Lane:
    """The notices for one host.

    Attributes:
        pending: that wait or are under way.
        places: for attempts under way.
    """

    __slots__ = ("pending", "places")

    def __init__(self, places: int) -> None:
        self.pending = 0
        self.places = asyncio.Semaphore(places)


class _Taken:
    """Which notices were taken, as far back as it may remember."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def has(self, notice: Notice, now: float) -> bool:
        until = self._until.get(_digest(notice))
        return until is not None and until > now

    def add(self, notice: Notice, now: float) -> None:
        """Remembers a notice and forgets what is too old or too much."""
        digest = _digest(notice)
        self._until[digest] = now + self._seconds
        self._until.move_to_end(digest)
        while len(self._until) > self._size or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)


def _digest(notice: Notice) -> bytes:
    """16 bytes in place of ids of any length; only the last part is a stranger's choice."""
    key = f"{notice.auction}\0{notice.bidder}\0{notice.kind}\0{notice.bid}"
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
