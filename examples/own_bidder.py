"""A bidder of your own over gRPC, and an exchange that asks it, in one process.

A bidder implements `xsp.bid.v1.BidService.Bid`; any language with gRPC will do.

    python examples/own_bidder.py
"""

import asyncio

import grpc

from xsp.bid.v1.bid_service_pb2_grpc import BidServiceServicer, add_BidServiceServicer_to_server
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_client import XspClient
from xsp_server.config import Settings
from xsp_server.service.server import Server


class PennyBidder(BidServiceServicer):
    """Bids one cent over the floor of every banner."""

    async def Bid(self, request: BidRequest, context: object) -> BidResponse:
        """Answers one request; an imp without a banner gets no bid."""
        response = BidResponse(id=request.id)
        seatbid = response.seatbid.add(seat="penny")
        for imp in request.imp:
            if imp.HasField("banner"):
                seatbid.bid.add(
                    id=imp.id,
                    impid=imp.id,
                    price=round(imp.bidfloor + 0.01, 2),
                    adm="<div>Buy pennies</div>",
                    adomain=["penny.example.com"],
                )
        return response


async def main() -> None:
    """Starts the bidder, then an exchange with it, then asks the exchange."""
    bidder = grpc.aio.server()
    add_BidServiceServicer_to_server(PennyBidder(), bidder)
    port = bidder.add_insecure_port("127.0.0.1:0")
    await bidder.start()

    penny = {"type": "grpc", "name": "penny", "endpoint": f"127.0.0.1:{port}"}
    settings = Settings(server={"listen": "127.0.0.1:0"}, bidders=(penny,))
    async with Server(settings) as exchange, XspClient(exchange.address) as client:
        response = await client.bid(
            {
                "id": "1",
                "at": 1,
                "imp": [{"id": "top", "bidfloor": 2.5, "banner": {"w": 728, "h": 90}}],
            }
        )
        [seat] = response["seatbid"]
        [bid] = seat["bid"]
        print(f"imp {bid['impid']}: {seat['seat']} pays {bid['price']} {response['cur']}")
    await bidder.stop(None)


asyncio.run(main())
