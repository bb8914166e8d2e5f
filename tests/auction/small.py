"""Replies in as few words as a test needs."""

from typing import Any

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome, Reply


def reply(
    bidder: str,
    *bids: dict[str, Any],
    arrived_ms: float = 5,
    seat: str | None = None,
    **response: Any,
) -> Reply:
    """One bidder's answer; a bid needs no more than what the test is about."""
    made = [
        {"id": str(n), "impid": "1", "price": 1, "adm": "<div>ad</div>", **bid}
        for n, bid in enumerate(bids)
    ]
    answer = BidResponse(**{"id": "req", **response})
    answer.seatbid.add(seat=seat, bid=made)
    return Reply(bidder, Outcome.BIDS, arrived_ms, answer)
