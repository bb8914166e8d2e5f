"""Runs an auction from Python: an OpenRTB dict in, the winners out.

python examples/bid.py [HOST:PORT]      # by default the server of `make run`
"""

import asyncio
import sys

from xsp_client import InvalidRequestError, XspClient, openrtb

REQUEST: openrtb.BidRequest = {
    "id": "example-1",
    "tmax": 400,
    "imp": [{"id": "1", "bidfloor": 0.5, "banner": {"format": [{"w": 300, "h": 250}]}}],
    "site": {"domain": "news.example.com"},
}


async def main(server: str) -> None:
    """Bids once rightly and once wrongly."""
    async with XspClient(server) as client:
        response = await client.bid(REQUEST)
        for seat in response.get("seatbid", []):
            for bid in seat["bid"]:
                print(f"imp {bid['impid']}: {seat['seat']} pays {bid['price']} {response['cur']}")

        try:
            await client.bid({"id": "example-2", "imp": [{"id": "1"}]})
        except InvalidRequestError as error:
            print("refused:", *error.violations, sep="\n  ")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051"))
