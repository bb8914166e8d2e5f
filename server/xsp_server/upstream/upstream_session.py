"""One session with one upstream: what it is asked, and what caps and budgets say meanwhile.

    async with UpstreamSession(upstream, context, state) as session:
        if await session.check_frequency_cap(user_id, limit=3):
            ad = await session.request()
            await session.track_budget(campaign_id, Decimal("2.50"))

Caps and budgets stand behind `SessionState`. `InMemoryState` keeps them in the process.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Literal, Protocol, Self, TypeVar, get_args

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.errors import CampaignNotFound, InvalidField, SessionClosed
from xsp_server.openrtb.money import micros_told, to_decimal
from xsp_server.upstream.session import ORIGIN, Origin, Session, SessionContext

WindowName = Literal["hour", "day", "week", "lifetime", "session"]
Window = WindowName | timedelta
"""How long a cap holds, from the first impression on: a name, or any length from 1 s up."""

Answer_co = TypeVar("Answer_co", covariant=True)


class Fetcher(Protocol[Answer_co]):
    """Whatever a session can ask."""

    @property
    def fetch(self) -> Callable[..., Awaitable[Answer_co]]:
        """Asks once, with the session's headers and cookies.

        Called as `fetch(request, params=…, session=…, timeout=…)`, without the first where
        there is no OpenRTB request.
        """
        ...


class BudgetState(StrEnum):
    """Whether a campaign can pay, as `xsp.state.v1.BudgetState` names it."""

    ACTIVE = "active"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Budget:
    """How a campaign's money stands; in micros, and as decimals.

    Attributes:
        campaign_id: the campaign.
        currency: ISO 4217, of all its money.
        spent_micros: spent since ever.
        reserved_micros: held for bids that are neither billed nor lost.
        remaining_micros: the least that remains in any hard limit; None: there is no limit.
        state: whether it can pay.
    """

    campaign_id: str
    currency: str
    spent_micros: int
    reserved_micros: int
    remaining_micros: int | None
    state: BudgetState

    @property
    def spent(self) -> Decimal:
        """Spent since ever."""
        return to_decimal(self.spent_micros)

    @property
    def reserved(self) -> Decimal:
        """Held for bids that are neither billed nor lost."""
        return to_decimal(self.reserved_micros)

    @property
    def remaining(self) -> Decimal | None:
        """The least that remains in any hard limit; None: there is no limit."""
        return None if self.remaining_micros is None else to_decimal(self.remaining_micros)


@dataclass(frozen=True, slots=True)
class Spend:
    """What became of a spend.

    Attributes:
        accepted: whether all of it was spent; if not, nothing was.
        budget: the campaign's money afterwards.
    """

    accepted: bool
    budget: Budget


class SessionState(Protocol):
    """Caps and budgets, for all sessions; each call is one atomic step."""

    async def check_and_increment(
        self, user_id: str, limit: int, window: Window, session_id: str
    ) -> bool:
        """Counts one impression of the user, unless the limit is reached.

        Args:
            user_id: whose. Empty: nobody known, and the answer is no.
            limit: greatest number of impressions in the window.
            window: from the first impression on.
            session_id: what the window "session" counts in.
        """
        ...

    async def track_spend(self, campaign_id: str, micros: int) -> Spend:
        """Spends all of it or nothing, in the campaign's currency.

        Raises:
            CampaignNotFound: no campaign has this id.
        """
        ...

    async def get_budget(self, campaign_id: str) -> Budget:
        """How the campaign's money stands.

        Raises:
            CampaignNotFound: no campaign has this id.
        """
        ...


class UpstreamSession(Generic[Answer_co]):
    """A session opened from an upstream and a context; an async context manager.

    It holds no connection: the upstream stays open for others when the session closes.
    """

    def __init__(
        self,
        upstream: Fetcher[Answer_co],
        context: SessionContext,
        state: SessionState,
        *,
        origin: Origin = ORIGIN,
    ) -> None:
        """Opens the session; nothing is asked yet.

        Args:
            upstream: what `request` asks.
            context: the ad opportunity.
            state: caps and budgets, the same for all sessions of the server.
            origin: where time and randomness come from.
        """
        self._upstream = upstream
        self._session = Session(context, origin=origin)
        self._state = state
        self._closed = False

    @property
    def context(self) -> SessionContext:
        """The context with the cookies as they are now."""
        return self._session.snapshot()

    async def request(
        self,
        request: BidRequest | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer_co:
        """Asks the upstream, as part of this session.

        Args:
            request: an OpenRTB request. Default: what the upstream asks for by itself.
            params: parameters of this call, besides the upstream's own.
            timeout: seconds. Default: the upstream's own.

        Raises:
            SessionClosed: the session is closed.
        """
        self._check_open("request")
        asked = () if request is None else (request,)
        return await self._upstream.fetch(
            *asked, params=params, session=self._session, timeout=timeout
        )

    async def check_frequency_cap(
        self, user_id: str, limit: int = 3, window: Window = "hour"
    ) -> bool:
        """Whether the user may see one more; if so, it is counted.

        Args:
            user_id: whose impressions are counted. Empty: nobody known, and the answer is no.
            limit: greatest number of impressions in the window, from 0 up.
            window: from the first impression on; "session" is the context's visit.

        Raises:
            InvalidField: `limit` or `window` is none.
            SessionClosed: the session is closed.
        """
        self._check_open("check_frequency_cap")
        if limit < 0:
            raise InvalidField("limit", f"expected 0 or more, got {limit}")
        _check_window(window)
        visit_id = self._session.context.visit_id
        return await self._state.check_and_increment(user_id, limit, window, visit_id)

    async def track_budget(self, campaign_id: str, amount: Decimal | float) -> Spend:
        """Spends, all or nothing.

        Args:
            campaign_id: who pays.
            amount: in the campaign's currency, from 0 up, with at most 6 decimals; a float stands
                for the shortest decimal that names it.

        Raises:
            InvalidField: `amount` is none.
            CampaignNotFound: no campaign has this id.
            SessionClosed: the session is closed.
        """
        self._check_open("track_budget")
        return await self._state.track_spend(campaign_id, micros_told(amount))

    async def get_budget(self, campaign_id: str) -> Budget:
        """How a campaign's money stands.

        Raises:
            CampaignNotFound: no campaign has this id.
            SessionClosed: the session is closed.
        """
        self._check_open("get_budget")
        return await self._state.get_budget(campaign_id)

    async def close(self) -> None:
        """Ends the session: calls under way go on, others are refused. Does no harm twice."""
        self._closed = True

    async def __aenter__(self) -> Self:
        """Refuses a session that is closed."""
        self._check_open("async with")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes."""
        await self.close()

    def _check_open(self, called: str) -> None:
        if self._closed:
            raise SessionClosed(
                f"{called}: session {self._session.request_id} is closed; expected an open one"
            )


def _check_window(window: Window) -> None:
    if isinstance(window, timedelta):
        if window < timedelta(seconds=1) or window.microseconds % 1000:
            raise InvalidField("window", f"expected whole ms from 1 s up, got {window}")
    elif window not in get_args(WindowName):
        names = ", ".join(f'"{name}"' for name in get_args(WindowName))
        raise InvalidField("window", f"expected {names} or a timedelta, got {window!r}")


class InMemoryState:
    """Caps and budgets in the process: exact, bounded, gone with it.

    A window is fixed: the first impression opens it, and all end with it. A denial counts nothing.
    """

    def __init__(
        self, clock: Callable[[], int] = time.monotonic_ns, *, max_counters: int = 1_000_000
    ) -> None:
        """Begins empty.

        Args:
            clock: ns.
            max_counters: counters held at once; beyond them new users are denied, so that no cap
                is ever passed.
        """
        self._clock = clock
        self._left = max_counters
        self._windows: dict[Window, OrderedDict[tuple[str, str], _Counter]] = {}
        self._budgets: dict[str, Budget] = {}

    def put_campaign(
        self, campaign_id: str, total: Decimal | float | None, *, currency: str = "USD"
    ) -> None:
        """Adds a campaign, or changes its limit; what it has spent stays.

        Args:
            campaign_id: its id.
            total: what it may spend in all; None: no limit.
            currency: ISO 4217.

        Raises:
            InvalidField: `total` is no amount.
        """
        limit = None if total is None else micros_told(total, "total")
        before = self._budgets.get(campaign_id)
        spent = 0 if before is None else before.spent_micros
        left = None if limit is None else max(limit - spent, 0)
        self._budgets[campaign_id] = _budget(campaign_id, currency, spent, left)

    async def check_and_increment(
        self, user_id: str, limit: int, window: Window, session_id: str
    ) -> bool:
        """See `SessionState`."""
        now = self._clock()
        self._forget_ended(now)
        if not user_id:
            return False
        counters = self._windows.get(window, _NO_COUNTERS)
        key = user_id, session_id if window == "session" else ""
        counter = counters.get(key)
        if counter is None:
            if limit < 1 or self._left < 1:
                return False
            self._left -= 1
            counter = _Counter(_end(window, now))
            counters = self._windows.setdefault(window, OrderedDict())
            counters[key] = counter
        if counter.count >= limit:
            return False
        counter.count += 1
        if window == "session":  # kept for so long after the last impression
            counter.ends = _end(window, now)
            counters.move_to_end(key)
        return True

    async def track_spend(self, campaign_id: str, micros: int) -> Spend:
        """See `SessionState`."""
        before = self._find(campaign_id)
        spent, left = before.spent_micros + micros, before.remaining_micros
        if left is not None:
            left -= micros
            if left < 0:
                return Spend(accepted=False, budget=before)
        after = _budget(campaign_id, before.currency, spent, left)
        self._budgets[campaign_id] = after
        return Spend(accepted=True, budget=after)

    async def get_budget(self, campaign_id: str) -> Budget:
        """See `SessionState`."""
        return self._find(campaign_id)

    def _find(self, campaign_id: str) -> Budget:
        try:
            return self._budgets[campaign_id]
        except KeyError:
            raise CampaignNotFound(
                f'no campaign has the id "{campaign_id}"', campaign_id=campaign_id
            ) from None

    def _forget_ended(self, now: int) -> None:
        """In one window counters end in the order in which they stand."""
        for window, counters in list(self._windows.items()):
            while counters and next(iter(counters.values())).ends <= now:
                counters.popitem(last=False)
                self._left += 1
            if not counters:
                del self._windows[window]


@dataclass(slots=True)
class _Counter:
    """Impressions of one user in one window, which ends at a time in ns."""

    ends: float
    count: int = 0


_NO_COUNTERS: OrderedDict[tuple[str, str], _Counter] = OrderedDict()
_LENGTHS: Mapping[Any, timedelta] = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "session": timedelta(days=1),
}


def _end(window: Window, now: int) -> float:
    if window == "lifetime":
        return float("inf")
    length = window if isinstance(window, timedelta) else _LENGTHS[window]
    return now + length // timedelta(microseconds=1) * 1000


def _budget(campaign_id: str, currency: str, spent: int, left: int | None) -> Budget:
    state = BudgetState.EXHAUSTED if left == 0 else BudgetState.ACTIVE
    return Budget(campaign_id, currency, spent, 0, left, state)
