"""One ad opportunity from the client's side: auctions, caps and budgets that belong together."""

import random
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal, Inexact
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, Self, Unpack

import grpc

from xsp.bid.v1.auction_options_pb2 import AuctionOptions
from xsp.bid.v1.bid_service_pb2 import RunAuctionResponse
from xsp.money.v1.money_pb2 import Money
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1.session_context_pb2 import Cookie, SessionContext
from xsp.state.v1.budget_pb2 import BudgetRefusalReason, BudgetState, BudgetStatus
from xsp.state.v1.frequency_pb2 import (
    CapScope,
    FrequencyCandidate,
    FrequencyCap,
    Subject,
    WindowUnit,
)
from xsp.state.v1.frequency_pb2 import Window as WindowMessage
from xsp.state.v1.state_service_pb2 import (
    CheckAndIncrementFrequencyRequest,
    CheckAndIncrementFrequencyResponse,
    GetBudgetRequest,
    GetBudgetResponse,
    TrackSpendRequest,
    TrackSpendResponse,
)
from xsp_client import openrtb
from xsp_client._call import Caller, CallOptions
from xsp_client._errors import (
    Facts,
    InvalidMessageError,
    InvalidRequestError,
    UnavailableError,
    Violation,
    XspClientError,
)

SERVICE: Final = "/xsp.state.v1.StateService"
CHECK: Final = f"{SERVICE}/CheckAndIncrementFrequency"
TRACK: Final = f"{SERVICE}/TrackSpend"
GET: Final = f"{SERVICE}/GetBudget"

CAP_SCOPE: Final = "ads"
"""The custom scope that `check_frequency_cap` counts in: all ads of a user together."""
MOST_CURRENCIES: Final = 10_000
"""Campaigns whose currency a client remembers."""

WindowName = Literal["hour", "day", "week", "lifetime", "session"]
Window = WindowName | timedelta
"""How long a cap holds, from the first impression on: a name, or any length from 1 s up."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How a campaign's money stands.

    Attributes:
        campaign_id: the campaign.
        currency: ISO 4217, of all its money.
        spent: spent since ever.
        reserved: held for bids that are neither billed nor lost.
        remaining: the least that remains in any hard limit; None: there is no limit.
        state: whether it can pay: a value of `xsp.state.v1.BudgetState` in lower case without its
            prefix, such as `active` or `exhausted`.
    """

    campaign_id: str
    currency: str
    spent: Decimal
    reserved: Decimal
    remaining: Decimal | None
    state: str


@dataclass(frozen=True, slots=True)
class Spend:
    """What became of a spend.

    Attributes:
        accepted: whether all of it was spent; if not, nothing was. While the server's store is
            away it follows the campaign's policy.
        budget: the campaign's money afterwards; None: the store was away.
        refusal: why nothing was spent: a value of `xsp.state.v1.BudgetRefusalReason` in lower case
            without its prefix, such as `limit`; empty: it was spent.
    """

    accepted: bool
    budget: Budget | None
    refusal: str = ""


class RunAuction(Protocol):
    """`XspClient.run_auction`."""

    async def __call__(
        self,
        request: BidRequest | openrtb.BidRequest,
        *,
        session: SessionContext,
        options: AuctionOptions | None,
        **call: Unpack[CallOptions],
    ) -> RunAuctionResponse:
        """Runs one auction."""
        ...


class Session:
    """One ad opportunity: `XspClient.session` opens it. An async context manager.

        async with client.session(context) as session:
            if await session.check_frequency_cap(user_id, limit=3):
                ad = await session.request()
                await session.track_budget(campaign_id, Decimal("2.50"))

    All its calls carry one request id. What the server fills in and the cookies that hosts set go
    along from one call to the next. It takes any number of calls at once.
    """

    def __init__(
        self,
        context: SessionContext,
        request: BidRequest | openrtb.BidRequest | None,
        *,
        run_auction: RunAuction,
        call: Caller,
        currencies: MutableMapping[str, str],
    ) -> None:
        """For `XspClient.session`.

        Args:
            context: the ad opportunity; it is copied.
            request: what `request` asks for when it isn't told.
            run_auction: the client's.
            call: makes calls on the client's channel.
            currencies: of campaigns, as all sessions of the client learn them.
        """
        self._context = _begun(context)
        self._is_filled = False
        self._request = request
        self._run_auction = run_auction
        self._call = call
        self._currencies = currencies
        self._closed = False

    @property
    def context(self) -> SessionContext:
        """The context as it is now, with the cookies that hosts set: a copy."""
        copy = SessionContext()
        copy.CopyFrom(self._context)
        return copy

    async def request(
        self,
        request: BidRequest | openrtb.BidRequest | None = None,
        *,
        options: AuctionOptions | None = None,
        **call: Unpack[CallOptions],
    ) -> RunAuctionResponse:
        """Runs one auction as part of this session.

        Args:
            request: a message, or the same as a dict of OpenRTB's JSON. Default: the session's,
                else one imp, for an MP4 video or a banner of 300x250, with the user, device, page
                and consent of the context.
            options: how much to explain, whether to record and more. Default: a full report.
            call: see `CallOptions`.

        Raises:
            InvalidRequestError: the request breaks a rule; `violations` has the paths.
            XspClientError: the session is closed, or the call failed otherwise.
        """
        self._check_open("request")
        sent = self.context
        asked = self._request if request is None else request
        if asked is None:
            asked = _plain_request(sent)
        call = self._with_metadata(call)
        answer = await self._run_auction(asked, session=sent, options=options, **call)
        if answer.session.request_id == sent.request_id:
            self._learn(sent, answer.session)
        return answer

    async def check_frequency_cap(
        self,
        user_id: str,
        limit: int = 3,
        window: Window = "hour",
        *,
        request_id: str | None = None,
        **call: Unpack[CallOptions],
    ) -> bool:
        """Whether the user may see one more ad; if so, it is counted.

        Counted are all ads of the user that are asked for this way, in a window that the first of
        them opens.

        Args:
            user_id: whose. Empty: nobody known, and the answer is no.
            limit: greatest number in the window, from 0 up.
            window: "session" is the visit of the context.
            request_id: names the impression, so that a retry counts nothing twice. Default: a new
                random id, kept through the client's own retries.
            call: see `CallOptions`.

        Raises:
            InvalidRequestError: `limit` or `window` is none.
            XspClientError: the session is closed, or the call failed otherwise.
        """
        self._check_open("check_frequency_cap")
        context = self._context
        cap = FrequencyCap(
            scope=CapScope.CAP_SCOPE_CUSTOM,
            custom_scope=CAP_SCOPE,
            limit=_limit(limit),
            window=_window(window),
        )
        asked = CheckAndIncrementFrequencyRequest(
            request_id=request_id or uuid.uuid4().hex,
            subject=Subject(
                user_id=user_id,
                household_id=context.household_id,
                session_id=context.visit_id or context.request_id,
            ),
            candidates=[FrequencyCandidate(candidate_id="1", caps=[cap])],
        )
        answer = await self._call(
            CHECK, asked, CheckAndIncrementFrequencyResponse, self._with_metadata(call)
        )
        if len(answer.results) != 1:
            raise InvalidMessageError(
                f"{CHECK}: expected a result for the one candidate, got {len(answer.results)}"
            )
        status = answer.results[0].status
        if status.code:
            code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
            raise XspClientError(f"{CHECK}: {code.name}: {status.message}", status=code)
        return answer.results[0].allowed

    async def track_budget(
        self,
        campaign_id: str,
        amount: Decimal | float,
        *,
        currency: str | None = None,
        request_id: str | None = None,
        **call: Unpack[CallOptions],
    ) -> Spend:
        """Spends, all or nothing. That the money doesn't suffice is an answer, not an error.

        Args:
            campaign_id: who pays.
            amount: from 0 up, with at most 6 decimals; a float stands for the shortest decimal that
                names it.
            currency: of the amount, ISO 4217; another than the campaign's is refused. Default: the
                campaign's, which the client asks for once.
            request_id: names the spend, so that a retry spends nothing twice. Default: a new
                random id, kept through the client's own retries.
            call: see `CallOptions`.

        Raises:
            InvalidRequestError: `amount` is none, or in another currency.
            XspClientError: no campaign has this id (NOT_FOUND), the session is closed, or the call
                failed otherwise.
        """
        self._check_open("track_budget")
        micros = _micros(amount)
        currency = currency or self._currencies.get(campaign_id)
        if currency is None:
            currency = (await self.get_budget(campaign_id, **call)).currency
        asked = TrackSpendRequest(
            request_id=request_id or uuid.uuid4().hex,
            campaign_id=campaign_id,
            amount=Money(currency=currency, micros=micros),
        )
        try:
            answer = await self._call(TRACK, asked, TrackSpendResponse, self._with_metadata(call))
        except XspClientError:
            self._currencies.pop(campaign_id, None)  # perhaps it has another one now
            raise
        budget = self._read(answer.budget) if answer.HasField("budget") else None
        reason = BudgetRefusalReason.Name(answer.refusal.reason)
        refusal = "" if answer.accepted else reason.removeprefix("BUDGET_REFUSAL_REASON_").lower()
        return Spend(answer.accepted, budget, refusal)

    async def get_budget(self, campaign_id: str, **call: Unpack[CallOptions]) -> Budget:
        """How a campaign's money stands.

        Args:
            campaign_id: whose money.
            call: see `CallOptions`.

        Raises:
            UnavailableError: the server can't be reached, or its store is away.
            XspClientError: no campaign has this id (NOT_FOUND), the session is closed, or the call
                failed otherwise.
        """
        self._check_open("get_budget")
        asked = GetBudgetRequest(campaign_id=campaign_id)
        answer = await self._call(GET, asked, GetBudgetResponse, self._with_metadata(call))
        if not answer.budget.HasField("spent"):
            failure = answer.basis.failure or "no reason given"
            raise UnavailableError(f"{GET}: the server's store of budgets is away: {failure}")
        return self._read(answer.budget)

    async def close(self) -> None:
        """Ends the session: calls under way go on, others are refused. Does no harm twice.

        The client stays open.
        """
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
            raise XspClientError(
                f"{called}: session {self._context.request_id} is closed; open another one"
            )

    def _with_metadata(self, call: CallOptions) -> CallOptions:
        """The session's metadata, below what the call says itself."""
        own = {"x-request-id": self._context.request_id}
        for name in ("traceparent", "tracestate"):
            if self._context.HasField(name):
                own[name] = getattr(self._context, name)
        return {**call, "metadata": {**own, **call.get("metadata", {})}}

    def _learn(self, sent: SessionContext, back: SessionContext) -> None:
        """Takes what the first answer filled in, and what each did to the cookies.

        Answers of calls that ran at once don't know of each other's cookies; so what counts is
        what changed between a call and its answer.
        """
        jar = {_key(cookie): cookie for cookie in self._context.cookies}
        before = {_key(cookie): cookie for cookie in sent.cookies}
        after = {_key(cookie): cookie for cookie in back.cookies}
        for key in before.keys() - after.keys():
            jar.pop(key, None)
        jar.update({key: cookie for key, cookie in after.items() if before.get(key) != cookie})
        if not self._is_filled:
            self._context.CopyFrom(back)
            self._is_filled = True
        cookies = list(jar.values())
        del self._context.cookies[:]
        self._context.cookies.extend(cookies)

    def _read(self, status: BudgetStatus) -> Budget:
        if len(self._currencies) >= MOST_CURRENCIES:
            self._currencies.clear()
        self._currencies[status.campaign_id] = status.spent.currency
        remaining = _amount(status.remaining.micros) if status.HasField("remaining") else None
        return Budget(
            campaign_id=status.campaign_id,
            currency=status.spent.currency,
            spent=_amount(status.spent.micros),
            reserved=_amount(status.reserved.micros),
            remaining=remaining,
            state=BudgetState.Name(status.state).removeprefix("BUDGET_STATE_").lower(),
        )


_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_RANDOM: Final = random.SystemRandom()


def _begun(context: SessionContext) -> SessionContext:
    """A copy that has what stays the same in all calls, also in those that run at once."""
    begun = SessionContext()
    begun.CopyFrom(context)
    if not begun.HasField("request_id"):
        begun.request_id = str(uuid.uuid4())
    if not begun.HasField("correlator"):
        begun.correlator = f"{_RANDOM.randrange(10**16):016d}"
    if not begun.HasField("cachebusting"):
        begun.cachebusting = f"{_RANDOM.randrange(10**8):08d}"
    if not begun.HasField("timestamp"):
        begun.timestamp.GetCurrentTime()
    return begun


def _key(cookie: Cookie) -> tuple[str, str, str]:
    """What makes two cookies the same one (RFC 6265 section 5.3)."""
    return cookie.name, cookie.domain or cookie.host, cookie.path or "/"


def _plain_request(context: SessionContext) -> BidRequest:
    """One imp that most bidders have something for, and what the context tells."""
    request = BidRequest(id=uuid.uuid4().hex)
    imp = request.imp.add(id="1")
    imp.banner.format.add(w=300, h=250)
    imp.video.mimes.append("video/mp4")
    device, consent = context.device, context.consent
    _copy(context, request.user, ("user_id", "id"))
    _copy(context, request.site, ("referrer", "page"))
    _copy(context, request.device, ("language", "langb"))
    _copy(device, request.device, ("user_agent", "ua"), ("ifa", "ifa"))
    _copy(device, request.device, ("ip", "ipv6" if ":" in device.ip else "ip"))
    _copy(consent, request.device, ("lmt", "lmt"), ("dnt", "dnt"))
    _copy(consent, request.user, ("tcf_consent", "consent"))
    names = ("us_privacy", "gpp", "coppa")
    _copy(consent, request.regs, ("gdpr_applies", "gdpr"), *zip(names, names, strict=True))
    if consent.gpp_sid:
        request.regs.gpp_sid.extend(consent.gpp_sid)
    return request


def _copy(source: Any, target: Any, *names: tuple[str, str]) -> None:
    """Fields by their names here and there, those that are set."""
    for name, there in names:
        if source.HasField(name):
            setattr(target, there, getattr(source, name))


def _limit(limit: int) -> int:
    if not 0 <= limit < 2**63:
        raise _invalid("limit", f"expected 0 or more, got {limit}")
    return limit


def _window(window: Window) -> WindowMessage:
    if isinstance(window, timedelta):
        if window < timedelta(seconds=1) or window.microseconds % 1000:
            raise _invalid("window", f"expected whole ms from 1 s up, got {window}")
        message = WindowMessage()
        message.duration.FromTimedelta(window)
        return message
    unit = _UNITS.get(window)
    if unit is None:
        names = ", ".join(f'"{name}"' for name in _UNITS)
        raise _invalid("window", f"expected {names} or a timedelta, got {window!r}")
    return WindowMessage(unit=unit)


_UNITS: Final[Mapping[str, WindowUnit.ValueType]] = MappingProxyType(
    {
        "hour": WindowUnit.WINDOW_UNIT_HOUR,
        "day": WindowUnit.WINDOW_UNIT_DAY,
        "week": WindowUnit.WINDOW_UNIT_WEEK,
        "lifetime": WindowUnit.WINDOW_UNIT_LIFETIME,
        "session": WindowUnit.WINDOW_UNIT_SESSION,
    }
)


def _micros(amount: Decimal | float) -> int:
    """Whole micros, exactly; a float stands for the shortest decimal that names it."""
    if isinstance(amount, bool) or not isinstance(amount, Decimal | int | float):
        got = type(amount).__name__
        raise _invalid("amount", f'expected a number, such as Decimal("2.50"), got {got}')
    told = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    if not (told.is_finite() and 0 <= told <= _MOST):
        raise _invalid("amount", f"expected 0 to {_MOST}, got {told:.20}")
    try:
        return int(told.scaleb(6, _EXACT).to_integral_exact(context=_EXACT))
    except Inexact:
        raise _invalid("amount", f"expected at most 6 decimals, got {told}") from None


def _amount(micros: int) -> Decimal:
    """The amount, with at least two decimals: 997500000 is 997.50."""
    whole, part = divmod(micros, 1_000_000)
    return Decimal(f"{whole}.{f'{part:06d}'.rstrip('0').ljust(2, '0')}")


_MOST: Final = _amount(2**63 - 1)
_EXACT: Final = Context(prec=60, traps=[Inexact])
"""More digits than any amount has; rounding raises."""


def _invalid(path: str, description: str) -> InvalidRequestError:
    """An argument that can't be sent."""
    violation = Violation(path, description)
    return InvalidRequestError(
        f"{violation}; nothing was sent", facts=Facts(violations=(violation,))
    )
