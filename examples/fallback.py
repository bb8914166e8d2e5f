"""A waterfall: the premium bidder first, the others only if it doesn't fill.

python examples/fallback.py
"""

import asyncio

from xsp_client import XspClient
from xsp_server.config import Settings
from xsp_server.service.server import Server

BIDDERS = (
    {"type": "simulated", "name": "premium", "price": 12.0, "no_bid_rate": 0.5, "seed": 3},
    {"type": "simulated", "name": "acme", "price": 4.0},
    {"type": "simulated", "name": "beta", "price": 3.0},
)
GROUPS = (
    {"name": "premium-first", "ask": "waterfall", "members": ["premium", "rest"]},
    {"name": "rest", "ask": "parallel", "members": ["acme", "beta"]},
)


async def main() -> None:
    """Runs a few auctions and says who won each."""
    settings = Settings(server={"listen": "127.0.0.1:0"}, bidders=BIDDERS, groups=GROUPS)
    async with Server(settings) as server, XspClient(server.address) as client:
        for number in range(6):
            imp = {"id": "1", "bidfloor": 1.0, "banner": {"w": 300, "h": 250}}
            response = await client.bid({"id": f"auction-{number}", "at": 1, "imp": [imp]})
            [seat] = response["seatbid"]
            print(f"auction-{number}: {seat['bid'][0]['price']:.2f} {response['cur']}")


asyncio.run(main())
