"""The auction as a pure function: one request, three replies, every bid explained.

python examples/auction_by_hand.py
"""

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import Rules, run
from xsp_server.openrtb import money
from xsp_server.openrtb.reply import Outcome, Reply

REQUEST = BidRequest(
    id="r1",
    at=2,
    cur=["USD"],
    imp=[{"id": "1", "bidfloor": 1.0, "banner": {"format": [{"w": 300, "h": 250}]}}],
    badv=["rival.example.com"],
)


def reply(bidder: str, price: float, advertiser: str) -> Reply:
    """A bidder's answer with one bid that arrived after 10 ms."""
    bid = BidResponse.Bid(
        id="b", impid="1", price=price, adm="<div>ad</div>", adomain=[advertiser], w=300, h=250
    )
    return Reply(bidder, Outcome.BIDS, 10.0, BidResponse(id="r1", seatbid=[{"bid": [bid]}]))


def main() -> None:
    """Runs the auction twice: as it is, and with a bidder whose price counts less."""
    replies = [
        reply("acme", 4.0, "shoes.example.com"),
        reply("beta", 3.0, "cars.example.com"),
        reply("gamma", 9.0, "shop.rival.example.com"),
    ]
    for rules in (Rules(), Rules.from_mapping({"bid_adjustments": {"acme": "0.7"}})):
        result = run(REQUEST, replies, rules)
        [winner] = result.winners
        price = money.to_text(winner.clearing_price)
        print(f"{winner.bidder} wins and pays {price} {winner.currency}")
        for verdict in result.verdicts:
            print(f"  {verdict.key}: {verdict.fate} [{verdict.rule_id}]")


main()
