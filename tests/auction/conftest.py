"""Small auctions that several tests start from."""

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import Rules, run
from xsp_server.openrtb.reply import Outcome, Reply


def reply(bidder, *bids, arrived_ms=5, seat=None, **response):
    """One bidder's answer; a bid needs no more than an imp and a price."""
    made = [
        {"id": str(n), "impid": "1", "price": 1, "adm": "<div>ad</div>", **bid}
        for n, bid in enumerate(bids)
    ]
    answer = BidResponse(**{"id": "req", **response})
    answer.seatbid.add(seat=seat, bid=made)
    return Reply(bidder, Outcome.BIDS, arrived_ms, answer)


@pytest.fixture
def auction():
    """Runs an auction of banner imps without floors at first price."""

    def run_auction(*replies, rules=Rules(), imp=None, imps=None, **request):
        offered = imps or [{"id": "1", "banner": {}, **(imp or {})}]
        return run(BidRequest(**{"id": "req", "at": 1, "imp": offered, **request}), replies, rules)

    return run_auction


@pytest.fixture
def video_pod():
    """Runs an auction of one break of 45 seconds; the bids are from bidders a, b, c."""

    def run_auction(bids, rules, **video):
        imp = {
            "id": "1",
            "banner": {},
            "video": {"podid": "pod_1", "poddur": 45, "maxduration": 15, **video},
        }
        replies = [
            reply(bidder, {"id": "0", "adm": "<VAST></VAST>", "mtype": 2, **bid})
            for bidder, bid in zip("abcdefgh", bids, strict=False)
        ]
        return run(BidRequest(id="req", at=1, imp=[imp]), replies, rules)

    return run_auction
