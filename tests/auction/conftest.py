"""Small auctions that several tests start from."""

import pytest

from auction.small import reply
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction import Rules, run

DEFAULT = Rules()


@pytest.fixture
def auction():
    """Runs an auction of banner imps without floors at first price."""

    def run_auction(*replies, rules=DEFAULT, imp=None, imps=None, **request):
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
