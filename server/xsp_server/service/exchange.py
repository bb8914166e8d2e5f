"""One auction from request to answer: the order in which the rooms are called."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Protocol

import structlog

from xsp.bid.v1.auction_report_pb2 import StateReport, VastUnwrap
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server import auction
from xsp_server.auction.privacy import PrivacyPolicy
from xsp_server.config import AuctionSettings
from xsp_server.errors import DeadlineTooShort, InvalidRequest, Violation
from xsp_server.openrtb.reply import NotAsked, Outcome, Reply, Skipped
from xsp_server.openrtb.validation import BidRequestValidator, Severity
from xsp_server.service.held import Held
from xsp_server.service.planning import Asked, Planner, imps_asked
from xsp_server.service.rates import RuleBook
from xsp_server.service.session import open_session
from xsp_server.upstream import FanOut, Session
from xsp_server.upstream.session import new_id
from xsp_server.values import value

log = structlog.get_logger(__name__)


@value
class Timings:
    """Where the time of an auction went, in ms.

    Attributes:
        available_ms: what the bidders were given.
        validation_ms: reading what is wrong with the request.
        planning_ms: deciding who is asked for what, and what they may see.
        bidders_ms: waiting for them.
        decision_ms: judging and pricing.
        total_ms: from start to answer.
        state_ms: waiting for caps and budgets, before and after the bids.
    """

    available_ms: float
    validation_ms: float
    planning_ms: float
    bidders_ms: float
    decision_ms: float
    total_ms: float
    state_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How an answer is written: settings of `[auction]` that change neither fates nor prices.

    Attributes:
        fill_macros: whether the macros of its bids are filled.
        seatnonbid: whether it lists who did not bid and which bids were refused.
    """

    fill_macros: bool = True
    seatnonbid: bool = False


_POLICY = PrivacyPolicy()


@value
class AuctionRun:
    """Everything that one auction was and gave.

    Attributes:
        request: as it came.
        asked: what every bidder was asked, or why it was not, in the order of the settings.
        rules: that held, the deadline among them.
        replies: of every bidder that was asked, by name.
        result: what was decided about every bid, and why.
        response: the answer, with every notice URL, whoever sends the notices.
        form: how it is written.
        withdrawn: bids that were refused from outside, and why.
        state: what caps and budgets decided, in the order of time; empty: they were not asked.
        reserved: what is held for its winners.
        privacy: the policy under which it ran.
        unwraps: what became of the VAST of bids that won once.
        vast_ms: what that took.
        started_at: when it began, UTC.
        timings: where its time went.
        skipped: bidders that were to be asked and whose policies were against it, by name.
        session_id: request id of the session.
        auction_id: what the server calls it, unique.
    """

    request: BidRequest
    asked: list[Asked]
    rules: auction.Rules
    replies: list[Reply]
    result: auction.Result
    response: BidResponse
    started_at: datetime
    timings: Timings
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    session_id: str = ""
    auction_id: str = ""
    form: AnswerForm = AnswerForm()
    withdrawn: Mapping[auction.BidKey, auction.Refusal] = field(
        default_factory=lambda: auction.NOTHING_WITHDRAWN
    )
    state: Sequence[StateReport] = ()
    reserved: Mapping[auction.BidKey, Held] = field(default_factory=dict)
    privacy: PrivacyPolicy = _POLICY
    unwraps: Mapping[auction.BidKey, VastUnwrap] = field(default_factory=dict)
    vast_ms: float = 0.0


def without(run: AuctionRun, withdrawn: Mapping[auction.BidKey, auction.Refusal]) -> AuctionRun:
    """The same auction, decided again without the bids that are withdrawn."""
    result = auction.run(
        run.request, run.replies, run.rules, imps_asked(run.asked), withdrawn=withdrawn
    )
    response = auction.build_response(
        run.request, result, seatnonbid=run.form.seatnonbid, fill_macros=run.form.fill_macros
    )
    return replace(run, result=result, response=response, withdrawn=withdrawn)


class KeepsState(Protocol):
    """What decides by caps and budgets: `AuctionState`."""

    @property
    def seconds(self) -> float:
        """What auctions keep for it after their bidders."""

    async def before(
        self, bidders: Collection[str], session: Session
    ) -> tuple[dict[str, Skipped], Sequence[StateReport]]:
        """See `AuctionState.before`."""

    async def settle(self, run: AuctionRun, session: Session, end: float) -> AuctionRun:
        """See `AuctionState.settle`."""


class Exchange:
    """Runs auctions: validate, ask everybody under one deadline, decide, answer."""

    def __init__(  # noqa: PLR0913, PLR0917 - the rooms that it calls
        self,
        settings: AuctionSettings,
        rules: RuleBook,
        planner: Planner,
        bidders: FanOut,
        state: KeepsState | None = None,
        campaigns_only: Collection[str] = (),
    ) -> None:
        """Takes what it calls.

        Args:
            settings: how time is given.
            rules: the rules.
            planner: says who is asked for what.
            bidders: asks them.
            state: caps and budgets; None: nothing is limited.
            campaigns_only: bidders that bid for campaigns of their own alone.
        """
        self._state = state
        self._campaigns_only = frozenset(campaigns_only)
        self._settings = settings
        self._planner = planner
        self._bidders = bidders
        self._rules = rules
        self._form = AnswerForm(settings.fill_macros, settings.seatnonbid)
        self._validator = BidRequestValidator()

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: Callable[[Reply], None] | None = None,
        session: Session | None = None,
    ) -> AuctionRun:
        """One auction.

        Args:
            request: what is for sale.
            time_remaining: seconds until the caller stops waiting; None when it did not say.
            on_reply: told of each bidder's reply as it comes; never after the end of `run`.
            session: that the auction belongs to; None: one of its own.

        Raises:
            InvalidRequest: the request breaks a rule of OpenRTB 2.6.
            DeadlineTooShort: the caller stops waiting before anybody could be asked.
        """
        clock = asyncio.get_running_loop().time
        started_at, started = datetime.now(UTC), clock()
        state = self._state
        kept = 0.0 if state is None else state.seconds
        timeout = max(self._timeout(request, time_remaining) - kept, 0.0)
        rules = self._rules.current().with_deadline(round(timeout * 1000, 3))
        self._refuse_invalid(request)
        validated = clock()
        session = session or open_session(None, (), request)
        asked = self._planner.plan(request, timeout * 1000, session)
        planned = before = clock()
        spared: dict[str, Skipped] = {}
        told: Sequence[StateReport] = ()
        if state is not None and self._campaigns_only:
            names = [each.plan.bidder for each in asked if each.ask is not None]
            spared, told = await state.before(self._campaigns_only.intersection(names), session)
            before = clock()
        replies, skipped = await self._ask(asked, started, timeout, on_reply, spared)
        replied = clock()
        result = auction.run(request, replies, rules, imps_asked(asked))
        response = auction.build_response(
            request,
            result,
            seatnonbid=self._form.seatnonbid,
            fill_macros=self._form.fill_macros,
        )
        decided = clock()
        timings = Timings(
            available_ms=timeout * 1000,
            validation_ms=(validated - started) * 1000,
            planning_ms=(planned - validated) * 1000,
            bidders_ms=(replied - before) * 1000,
            decision_ms=(decided - replied) * 1000,
            total_ms=(decided - started) * 1000,
            state_ms=(before - planned) * 1000,
        )
        run = AuctionRun(
            request=request,
            asked=asked,
            rules=rules,
            replies=replies,
            result=result,
            response=response,
            started_at=started_at,
            timings=timings,
            skipped=skipped,
            session_id=session.request_id,
            auction_id=new_id(),
            form=self._form,
            state=told,
            privacy=self._planner.policy,
        )
        if state is None:
            return run
        settled = await state.settle(run, session, started + timeout + kept)
        if settled is run:
            return run
        ended = clock()
        state_ms = timings.state_ms + (ended - decided) * 1000
        return replace(
            settled,
            timings=replace(timings, state_ms=state_ms, total_ms=(ended - started) * 1000),
        )

    async def _ask(
        self,
        asked: Sequence[Asked],
        started: float,
        timeout: float,
        on_reply: Callable[[Reply], None] | None,
        spared: Mapping[str, Skipped],
    ) -> tuple[list[Reply], dict[str, Skipped]]:
        """The replies by name of bidder, and who was not asked after all, by name."""
        asks = {each.plan.bidder: each.ask for each in asked if each.ask is not None}
        for bidder in spared:
            del asks[bidder]
        calls = self._bidders.open(asks, started + timeout, started=started, on_late=_log_late)
        if on_reply is not None:
            async for reply in calls:
                on_reply(reply)
        replies = await calls.replies()
        skipped = {each.bidder: each for each in calls.skipped}
        if skipped:
            replies += _out_of_time(skipped)
        skipped |= spared
        replies.sort(key=attrgetter("bidder"))  # as a record holds them
        return replies, skipped

    def _refuse_invalid(self, request: BidRequest) -> None:
        found = self._validator.validate(request)
        if not found.ok:
            raise InvalidRequest(
                *(
                    Violation(violation.path, violation.description)
                    for violation in found.violations
                    if violation.severity is Severity.ERROR
                )
            )

    def _timeout(self, request: BidRequest, time_remaining: float | None) -> float:
        """Seconds for the bidders: the tighter of `tmax` and the caller's deadline, less ours.

        A `tmax` inside the margin leaves 0: nobody is asked, and the answer's `nbr` says so.
        """
        margin = self._settings.margin_ms
        timeout = ((request.tmax or self._settings.default_timeout_ms) - margin) / 1000
        if time_remaining is not None:
            if time_remaining * 1000 <= margin:
                raise DeadlineTooShort(
                    f"the deadline leaves {time_remaining * 1000:.0f} ms; expected more than "
                    f"{margin} ms, which is kept for our own work (auction.margin_ms)",
                    needed_ms=margin + 1,
                )
            timeout = min(timeout, time_remaining - margin / 1000)
        return max(timeout, 0.0)


def _out_of_time(skipped: dict[str, Skipped]) -> Iterator[Reply]:
    """Who could not be asked for lack of time, as timeouts; they leave `skipped`."""
    for name in [name for name, each in skipped.items() if each.reason is NotAsked.NO_TIME]:
        yield Reply(name, Outcome.TIMEOUT, None, detail=skipped.pop(name).detail)


def _log_late(reply: Reply) -> None:
    log.info("late reply", bidder=reply.bidder, arrived_ms=reply.arrived_ms, outcome=reply.outcome)
