"""A campaign in auctions: the winner's money is held, spent by billing, and gone at zero.

An exchange of two bidders, in one process. Acme's campaign may spend half a cent and pays 2.50 a
thousand, so it wins twice; then the house ad has its turn.

    python examples/campaign_in_auctions.py
"""

import asyncio
import uuid

import grpc

from xsp.bid.v1.bid_service_pb2 import NotifyRequest, RunAuctionRequest
from xsp.bid.v1.bid_service_pb2_grpc import (
    BidServiceServicer,
    BidServiceStub,
    add_BidServiceServicer_to_server,
)
from xsp.bid.v1.notice_pb2 import Notice, NoticeType
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.state.v1 import state_service_pb2 as state_pb
from xsp.state.v1.state_service_pb2_grpc import StateServiceStub
from xsp_client import XspClient
from xsp_server.config import Settings
from xsp_server.service.server import Server

REQUEST = BidRequest(id="1", at=1, imp=[{"id": "top", "banner": {"w": 728, "h": 90}}])


class Bidder(BidServiceServicer):
    """Bids the same on everything, for one campaign."""

    def __init__(self, cid: str, price: float) -> None:
        """Takes the campaign and the price."""
        self._bid = BidResponse.Bid(
            id="b", impid="top", price=price, cid=cid, adm="<b>ad</b>", adomain=[f"{cid}.example"]
        )

    async def Bid(self, request: BidRequest, context: object) -> BidResponse:
        """Answers one request."""
        return BidResponse(id=request.id, seatbid=[{"seat": self._bid.cid, "bid": [self._bid]}])


async def start(cid: str, price: float) -> tuple[grpc.aio.Server, dict[str, str]]:
    """Starts a bidder; it, and its section in the settings."""
    server = grpc.aio.server()
    add_BidServiceServicer_to_server(Bidder(cid, price), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, {"type": "grpc", "name": cid, "endpoint": f"127.0.0.1:{port}"}


async def auction(client: XspClient) -> None:
    """Runs one auction, and bills what won."""
    bids = BidServiceStub(client.channel)
    answer = await bids.RunAuction(RunAuctionRequest(bid_request=REQUEST))
    [seat] = answer.bid_response.seatbid
    [bid] = seat.bid
    print(f"{seat.seat} wins at {bid.price:.2f}")
    for report in answer.report.state:
        for decision in report.decisions:
            money = decision.budget.remaining.micros / 1_000_000
            said = "held" if decision.reservation_id else "allowed" if decision.allowed else "no"
            if decision.campaign_id:
                print(f"  {decision.campaign_id}: {said}, {money:.4f} USD remain")
    billed = Notice(notice_id="1", type=NoticeType.NOTICE_TYPE_BILLING)
    billed.bid.auction_id, billed.bid.bid_id = answer.report.auction_id, bid.id
    billed.bid.seat = seat.seat
    await bids.Notify(NotifyRequest(request_id=str(uuid.uuid4()), notices=[billed]))


async def main() -> None:
    """Puts a campaign, and runs three auctions."""
    (acme, acmes), (house, houses) = await start("acme", 2.5), await start("house", 0.5)
    settings = Settings(server={"listen": "127.0.0.1:0"}, bidders=(acmes, houses))
    async with Server(settings) as exchange, XspClient(exchange.address) as client:
        state = StateServiceStub(client.channel)
        campaign = {
            "campaign_id": "acme",
            "currency": "USD",
            "limits": {"total": {"currency": "USD", "micros": 5_000}},
        }
        await state.PutCampaign(state_pb.PutCampaignRequest(request_id="1", campaign=campaign))
        for _ in range(3):
            await auction(client)
        budget = (await state.GetBudget(state_pb.GetBudgetRequest(campaign_id="acme"))).budget
        print(f"spent {budget.spent.micros} micros, {budget.remaining.micros} remain")
    for bidder in (acme, house):
        await bidder.stop(None)


asyncio.run(main())
