"""Many auctions on one stream, answered in the order in which they end.

python examples/stream.py [HOST:PORT]      # by default the server of `make run`
"""

import asyncio
import sys

from xsp.bid.v1.bid_service_pb2 import StreamBidsItem, StreamBidsRequest
from xsp.bid.v1.bid_service_pb2_grpc import BidServiceStub
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_client import XspClient

AUCTIONS = 100


async def main(server: str) -> None:
    """Sends all, then reads all."""
    async with XspClient(server) as client:
        stream = BidServiceStub(client.channel).StreamBids()
        for number in range(AUCTIONS):
            request = BidRequest(
                id=f"request-{number}",
                tmax=1000,
                imp=[{"id": "1", "bidfloor": 0.5, "banner": {"w": 300, "h": 250}}],
            )
            item = StreamBidsItem(id=str(number), bid_request=request)
            await stream.write(StreamBidsRequest(items=[item]))
        await stream.done_writing()
        won = messages = answers = 0
        async for message in stream:
            messages += 1
            for result in message.results:
                answers += 1
                won += bool(result.bid_response.seatbid)
        print(f"{answers} answers in {messages} messages, {won} auctions won")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
