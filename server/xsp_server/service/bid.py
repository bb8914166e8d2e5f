"""BidService: auctions over gRPC."""

import time
from typing import Final

from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import (
    NotifyRequest,
    NotifyResponse,
    RunAuctionRequest,
    RunAuctionResponse,
)
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import MissingField
from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.service.auctions import Auctions
from xsp_server.service.methods import Stream
from xsp_server.service.notify import Notices
from xsp_server.service.once import Once
from xsp_server.service.request_ids import Answers, check_request_id
from xsp_server.service.session import open_session
from xsp_server.service.status import Context
from xsp_server.service.stream import BidStreams, partial_result

KEEP_SECONDS: Final = 300.0
"""How long the answer to a RunAuction with a `request_id` is remembered, while there is room."""
KEEP_BYTES: Final = 64 * 1024 * 1024
"""The room: some thousands of answers with full reports."""


class BidServicer:
    """The methods of xsp.bid.v1.BidService."""

    def __init__(self, auctions: Auctions, streams: BidStreams, notices: Notices) -> None:
        """Takes what runs the auctions, what serves StreamBids, and what takes notices."""
        self._auctions = auctions
        self._streams = streams
        self._notices = notices
        self._once = Once(
            Answers(RunAuctionResponse, KEEP_SECONDS, time.monotonic, max_bytes=KEEP_BYTES)
        )

    async def Bid(self, request: BidRequest, context: Context) -> BidResponse:  # noqa: N802
        """Plain OpenRTB in and out."""
        session = open_session(None, context.invocation_metadata(), request)
        answer = await self._auctions.run(request, context.time_remaining(), session=session)
        return answer.response

    async def StreamBids(self, stream: Stream) -> None:  # noqa: N802
        """Many auctions over one stream."""
        await self._streams.serve(stream)

    async def RunAuction(  # noqa: N802
        self, request: RunAuctionRequest, context: Context
    ) -> RunAuctionResponse:
        """One auction with its report, and its session as filled in, for the calls that follow.

        A call that comes again with its `request_id` gets the answer of the first, also while that
        is under way: nothing is reserved twice, nobody is asked again.

        Raises:
            MissingField: there is no `bid_request`.
            NotBuilt: an option is asked for that this server doesn't have.
            RequestIdInvalid: `request_id` is none.
            RequestIdReused: it came before with other content.
        """
        if not request.request_id:
            return await self._run(request, context)
        check_request_id(request.request_id)
        return await self._once.answer(
            request.request_id, request, lambda: self._run(request, context)
        )

    async def _run(self, request: RunAuctionRequest, context: Context) -> RunAuctionResponse:
        if not request.HasField("bid_request"):
            raise MissingField("bid_request", "the OpenRTB request to run")
        options = AuctionOptions()
        options.CopyFrom(request.options)
        options.explain = options.explain or ExplainLevel.EXPLAIN_LEVEL_FULL
        told = request.session if request.HasField("session") else None
        session = open_session(told, context.invocation_metadata(), request.bid_request)
        replies: list[Reply] = []
        answer = await self._auctions.run(
            request.bid_request,
            context.time_remaining(),
            replies.append if options.partial_results else None,
            session,
            options,
        )
        return RunAuctionResponse(
            bid_response=answer.response,
            report=answer.report,
            record=answer.record,
            session=session.to_message(),
            notices=answer.notices,
            partial_results=[
                partial_result(reply) for reply in replies if reply.outcome is Outcome.BIDS
            ],
        )

    async def Notify(self, request: NotifyRequest, context: Context) -> NotifyResponse:  # noqa: N802
        """Takes win, billing and loss notices of this server's auctions."""
        return await self._notices.notify(request, context)
