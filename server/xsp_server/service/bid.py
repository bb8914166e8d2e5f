"""BidService: auctions over gRPC."""

import uuid

from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest, RunAuctionResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import MissingField, NotBuilt
from xsp_server.service.exchange import Exchange
from xsp_server.service.record import Origin, record, rules_in_force
from xsp_server.service.recorder import Recorder
from xsp_server.service.report import report
from xsp_server.service.status import Context


class BidServicer:
    """The methods of xsp.bid.v1.BidService that are built."""

    def __init__(self, exchange: Exchange, origin: Origin, recorder: Recorder | None) -> None:
        """Takes the exchange that runs the auctions.

        Args:
            exchange: runs them.
            origin: what a record says of this server.
            recorder: keeps a record of each; None: none are kept.
        """
        self._exchange = exchange
        self._origin = origin
        self._recorder = recorder

    async def Bid(self, request: BidRequest, context: Context) -> BidResponse:  # noqa: N802
        """Plain OpenRTB in and out."""
        run = await self._exchange.run(request, context.time_remaining())
        if self._recorder is not None:
            self._recorder.take(run, _new_id())
        return run.response

    async def RunAuction(  # noqa: N802
        self, request: RunAuctionRequest, context: Context
    ) -> RunAuctionResponse:
        """One auction with its report. The session is given back as it came.

        Raises:
            MissingField: there is no `bid_request`.
            NotBuilt: an option is asked for that this server doesn't have.
        """
        if not request.HasField("bid_request"):
            raise MissingField("bid_request", "the OpenRTB request to run")
        options = request.options
        _refuse_unbuilt(options)
        level = options.explain or ExplainLevel.EXPLAIN_LEVEL_FULL
        run = await self._exchange.run(request.bid_request, context.time_remaining())
        auction_id = _new_id()
        if self._recorder is not None:
            self._recorder.take(run, auction_id, request.session, options)
        response = RunAuctionResponse(bid_response=run.response, session=request.session)
        if level != ExplainLevel.EXPLAIN_LEVEL_NONE:
            response.report.CopyFrom(report(run, auction_id, level))
            response.report.rules_digest = rules_in_force(run.rules, self._origin.form).digest
        if options.record:
            full = report(run, auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
            response.record.CopyFrom(
                record(run, full, self._origin, session=request.session, options=options)
            )
        return response


def _new_id() -> str:
    return str(uuid.uuid4())


def _refuse_unbuilt(options: AuctionOptions) -> None:
    """What the contract offers and this server doesn't is refused, never ignored."""
    for name in ("partial_results", "resolve_vast", "notice_delivery", "test"):
        if any(field.name == name for field, _ in options.ListFields()):
            raise NotBuilt(
                f"options.{name} is in the contract but not built yet; leave it out",
                what=f"options.{name}",
            )
