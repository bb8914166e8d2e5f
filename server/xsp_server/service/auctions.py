"""Auctions as callers get them: the answer, and what goes around it by their options.

The exchange decides; here its run becomes an answer with report, record and notices, is handed to
the recorder, and its bidders hear of it.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from xsp.bid.v1.auction_options_pb2 import (
    AuctionOptions,
    ExplainLevel,
    NoticeDelivery,
    VastResolution,
)
from xsp.bid.v1.auction_record_pb2 import AuctionRecord
from xsp.bid.v1.auction_report_pb2 import AuctionReport
from xsp.bid.v1.notice_pb2 import PreparedNotice
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import InvalidField, NotBuilt
from xsp_server.openrtb.reply import Reply
from xsp_server.service.auction_state import AuctionState
from xsp_server.service.bid_ledger import facts_of
from xsp_server.service.exchange import AuctionRun
from xsp_server.service.notify import CALLER, Notices, withheld
from xsp_server.service.record import record, rules_in_force
from xsp_server.service.recorder import Recorder
from xsp_server.service.report import report_in_turns
from xsp_server.service.session import logged, open_session
from xsp_server.service.unwrapping import Unwrapping
from xsp_server.service.unwrapping import check as check_unwrapping
from xsp_server.upstream import Session
from xsp_server.values import value

UNBUILT = frozenset({"test"})
"""Options that the contract has and this server doesn't."""

_NO_OPTIONS = AuctionOptions()


class RunsAuctions(Protocol):
    """What decides auctions: an exchange."""

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: Callable[[Reply], None] | None = None,
        session: Session | None = None,
    ) -> AuctionRun:
        """See `Exchange.run`."""


@value
class Answer:
    """What a caller gets of one auction.

    Attributes:
        response: the answer. Where the server sends the notices, without their URLs.
        report: why it came out so; None: not asked for.
        record: all of it, to be run again; None: not asked for.
        notices: that the caller is to send.
    """

    response: BidResponse
    report: AuctionReport | None = None
    record: AuctionRecord | None = None
    notices: Sequence[PreparedNotice] = ()


class Auctions:
    """Runs the auctions of every method: the session in the logs, notices and a record of each."""

    def __init__(  # noqa: PLR0913 - the parts that it joins
        self,
        exchange: RunsAuctions,
        notices: Notices,
        recorder: Recorder | None,
        server_version: str,
        *,
        unwrapping: Unwrapping | None = None,
        state: AuctionState | None = None,
    ) -> None:
        """Takes what an auction needs.

        Args:
            exchange: runs auctions.
            notices: tells the bidders, or prepares what callers tell them.
            recorder: keeps records of all auctions; None: nothing does.
            server_version: for records, as `0.3.0`.
            unwrapping: follows the VAST of winners; None: nothing does, and it is refused.
            state: caps and budgets of the exchange; None: nothing is limited.
        """
        self._state = state
        self._exchange = exchange
        self._notices = notices
        self._recorder = recorder
        self._server_version = server_version
        self._unwrapping = unwrapping
        self._unbuilt = UNBUILT if unwrapping else UNBUILT | {"resolve_vast"}

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: Callable[[Reply], None] | None = None,
        session: Session | None = None,
        options: AuctionOptions | None = None,
    ) -> Answer:
        """One auction.

        Args:
            request: what is for sale.
            time_remaining: seconds until its answer is of no use; None: as the request says.
            on_reply: is told of each bidder's reply as it comes; never after the end of `run`.
            session: that it belongs to; None: one of its own.
            options: what its caller wants besides. An unspecified `explain` is none.

        Raises:
            InvalidRequest: request or options break a rule.
            DeadlineTooShort: the caller stops waiting before anybody could be asked.
            NotBuilt: an option is asked for that this server doesn't have.
        """
        session = session or open_session(None, (), request)
        asked_for = _NO_OPTIONS if options is None else options
        refuse_unbuilt(asked_for, self._unbuilt)
        if asked_for.HasField("resolve_vast"):
            check_unwrapping(asked_for.resolve_vast)
        if asked_for.explain not in _LEVELS:
            raise InvalidField("options.explain", f"got {asked_for.explain}; expected 0 to 3")
        delivery = self._notices.delivery(asked_for.notice_delivery)
        with logged(session):
            run = await self._exchange.run(request, time_remaining, on_reply, session)
            response = run.response
            if self._unwrapping is not None and asked_for.HasField("resolve_vast"):
                run, response = await self._unwrap(run, asked_for.resolve_vast, session)
        try:
            return await self._answer(run, response, session, options, delivery)
        except BaseException:
            if self._state is not None:
                self._state.give_back(run.reserved.values())
            raise

    async def _answer(
        self,
        run: AuctionRun,
        response: BidResponse,
        session: Session,
        options: AuctionOptions | None,
        delivery: NoticeDelivery.ValueType,
    ) -> Answer:
        """An auction as its caller gets it; the recorder and the bidders get theirs."""
        asked_for = _NO_OPTIONS if options is None else options
        report_ = record_ = None
        if asked_for.explain not in _NO_REPORT:
            report_ = await _report(run, asked_for.explain)
        if asked_for.record:
            record_ = await self._record(run, session, options)
        # From here on nothing waits: what is recorded and told to bidders is what is answered.
        if self._recorder is not None:
            self._recorder.take(run, run.auction_id, session.to_message(), options)
        if delivery == CALLER:
            notices = self._notices.prepare_for(
                facts_of(run.auction_id, run.result, held=run.reserved)
            )
            return Answer(response, report_, record_, notices)
        # The callback runs when the answer is with gRPC: telling bidders delays no caller.
        asyncio.get_running_loop().call_soon(self._send_notices, run, session)
        return Answer(withheld(response), report_, record_)

    async def _unwrap(
        self, run: AuctionRun, wanted: VastResolution, session: Session
    ) -> tuple[AuctionRun, BidResponse]:
        """Follows the VAST of winners; who wins instead of one without an ad is settled, too."""
        unwrapping, state = self._unwrapping, self._state
        assert unwrapping is not None  # noqa: S101 - else the option was refused
        if state is None:
            return await unwrapping.unwrap(run, wanted, session)
        latest = run

        async def settle(run: AuctionRun, end: float) -> AuctionRun:
            nonlocal latest
            latest = await state.settle(run, session, end)
            return latest

        try:
            return await unwrapping.unwrap(run, wanted, session, settle)
        except BaseException:  # such as a caller that has gone
            state.give_back(latest.reserved.values())
            raise

    def _send_notices(self, run: AuctionRun, session: Session) -> None:
        self._notices.send_for(
            facts_of(run.auction_id, run.result, lambda: dict(session.metadata()), run.reserved)
        )

    async def _record(
        self, run: AuctionRun, session: Session, options: AuctionOptions | None
    ) -> AuctionRecord:
        full = await report_in_turns(run, run.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
        told = session.to_message()
        return record(run, full, self._server_version, session=told, options=options)


_LEVELS = frozenset(ExplainLevel.values())
_NO_REPORT = frozenset({ExplainLevel.EXPLAIN_LEVEL_UNSPECIFIED, ExplainLevel.EXPLAIN_LEVEL_NONE})


def refuse_unbuilt(options: AuctionOptions, unbuilt: Collection[str] = UNBUILT) -> None:
    """What the contract offers and this server doesn't is refused, never ignored.

    Raises:
        NotBuilt: one of `unbuilt` is asked for.
    """
    for field, _ in options.ListFields():
        if field.name in unbuilt:
            raise NotBuilt(
                f"options.{field.name} is in the contract but not built yet; leave it out",
                what=f"options.{field.name}",
            )


async def _report(run: AuctionRun, level: ExplainLevel.ValueType) -> AuctionReport:
    told = await report_in_turns(run, run.auction_id, level)
    told.rules_digest = rules_in_force(run.rules, run.form).digest
    return told
