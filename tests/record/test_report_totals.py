"""What an auction earned: CPMs, times the impressions that a play is."""

import pytest

from record.traffic import FULL, bid, run
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.service.report import report


def revenue(**qty):
    request = BidRequest(
        id="req",
        at=1,
        dooh={"id": "d"},
        imp=[{"id": "1", "banner": {"w": 300, "h": 250}, **({"qty": qty} if qty else {})}],
    )
    won = run(request, [bid("a", 2.5)])
    return report(won, "a-1", FULL).totals.revenue.micros


@pytest.mark.parametrize(
    ("qty", "micros"),
    [
        ({}, 2_500_000),
        ({"multiplier": 14.2, "sourcetype": 1}, 35_500_000),
        ({"multiplier": 0.0}, 2_500_000),
        ({"multiplier": float("inf")}, 2_500_000),
        ({"multiplier": float("nan")}, 2_500_000),
    ],
    ids=str,
)
def test_revenue_counts_the_impressions_of_a_play(qty, micros):
    assert revenue(**qty) == micros
