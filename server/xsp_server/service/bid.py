"""BidService: auctions over gRPC."""

from collections.abc import Callable

from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, RunAuctionResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import MissingField
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.exchange import AuctionRun, Exchange
from xsp_server.service.methods import Stream
from xsp_server.service.record import Origin, record, rules_in_force
from xsp_server.service.recorder import Recorder
from xsp_server.service.report import report
from xsp_server.service.session import logged, open_session
from xsp_server.service.status import Context
from xsp_server.service.stream import BidStreams, partial_result, refuse_unbuilt
from xsp_server.upstream import Session


class Auctions:
    """Runs the auctions of every method: the session in the logs, a record of each."""

    def __init__(self, exchange: Exchange, recorder: Recorder | None) -> None:
        """Takes what runs auctions, and what keeps records; None: nothing does."""
        self._exchange = exchange
        self._recorder = recorder

    async def run(
        self,
        request: BidRequest,
        time_remaining: float | None,
        on_reply: Callable[[Reply], None] | None = None,
        session: Session | None = None,
        options: AuctionOptions | None = None,
    ) -> AuctionRun:
        """One auction; arguments and errors are those of `Exchange.run`."""
        session = session or open_session(None, (), request)
        with logged(session):
            run = await self._exchange.run(request, time_remaining, on_reply, session)
        if self._recorder is not None:
            self._recorder.take(run, run.auction_id, session.to_message(), options)
        return run


class BidServicer:
    """The methods of xsp.bid.v1.BidService that are built."""

    def __init__(self, auctions: Auctions, streams: BidStreams, origin: Origin) -> None:
        """Takes what runs the auctions.

        Args:
            auctions: runs them.
            streams: serves StreamBids.
            origin: what a record says of this server.
        """
        self._auctions = auctions
        self._streams = streams
        self._origin = origin

    async def Bid(self, request: BidRequest, context: Context) -> BidResponse:  # noqa: N802
        """Plain OpenRTB in and out."""
        session = open_session(None, context.invocation_metadata(), request)
        run = await self._auctions.run(request, context.time_remaining(), session=session)
        return run.response

    async def StreamBids(self, stream: Stream) -> None:  # noqa: N802
        """Many auctions over one stream."""
        await self._streams.serve(stream)

    async def RunAuction(  # noqa: N802
        self, request: RunAuctionRequest, context: Context
    ) -> RunAuctionResponse:
        """One auction with its report, and its session as filled in, for the calls that follow.

        Raises:
            MissingField: there is no `bid_request`.
            NotBuilt: an option is asked for that this server doesn't have.
        """
        if not request.HasField("bid_request"):
            raise MissingField("bid_request", "the OpenRTB request to run")
        options = request.options
        refuse_unbuilt(options)
        told = request.session if request.HasField("session") else None
        session = open_session(told, context.invocation_metadata(), request.bid_request)
        partial: list[Reply] = []
        run = await self._auctions.run(
            request.bid_request,
            context.time_remaining(),
            partial.append if options.partial_results else None,
            session,
            options,
        )
        return self._answer(run, options, session, partial)

    def _answer(
        self, run: AuctionRun, options: AuctionOptions, session: Session, partial: list[Reply]
    ) -> RunAuctionResponse:
        response = RunAuctionResponse(bid_response=run.response, session=session.to_message())
        response.partial_results.extend(
            partial_result(reply) for reply in partial if reply.outcome is Outcome.BIDS
        )
        level = options.explain or ExplainLevel.EXPLAIN_LEVEL_FULL
        if level != ExplainLevel.EXPLAIN_LEVEL_NONE:
            response.report.CopyFrom(report(run, run.auction_id, level))
            response.report.rules_digest = rules_in_force(run.rules, self._origin.form).digest
        if options.record:
            full = report(run, run.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
            response.record.CopyFrom(
                record(run, full, self._origin, session=response.session, options=options)
            )
        return response
