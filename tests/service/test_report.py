"""The report of an auction: its numbers, and that one of many bids holds nobody up."""

import asyncio

from service.test_auction_state import house as house  # noqa: PLC0414 - a fixture
from service.test_auction_state import request_ as request_  # noqa: PLC0414 - a fixture
from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.bid.v1.auction_report_pb2 import BidderOutcome
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp_server.service.report import BIDS_A_STEP, report, report_in_turns

FULL = ExplainLevel.EXPLAIN_LEVEL_FULL


async def test_while_many_bids_are_told_others_have_their_turns(house, request_):
    here = house()
    for name in ("a", "b"):
        bid = {"impid": "home-banner", "price": 1, "crid": "x", "adomain": ["x.example"]}
        here.bidder(name, *[bid | {"id": f"{name}{number}"} for number in range(2 * BIDS_A_STEP)])
    run = await here.run(request_)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    told = await report_in_turns(run, "1", FULL)
    task.cancel()
    assert sum(len(bidder.bids) for bidder in told.bidders) == 4 * BIDS_A_STEP
    assert turns == 4
    assert told == report(run, "1", FULL)


async def test_who_never_answered_took_no_longer_than_the_auction_waited(serve, dial, sample):
    group = {"name": "w", "ask": "waterfall", "members": ["dead", "slow"]}
    server = await serve(
        {"type": "simulated", "name": "dead", "timeout_rate": 1.0},
        {"type": "simulated", "name": "slow", "latency_ms": 30},
        groups=(group,),
    )
    answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample))
    dead, slow = answer.report.bidders
    assert [dead.outcome, slow.outcome] == [
        BidderOutcome.BIDDER_OUTCOME_TIMEOUT,
        BidderOutcome.BIDDER_OUTCOME_BIDS,
    ]
    assert dead.latency == dead.timeout
    assert slow.sent_at.ToMicroseconds() >= dead.timeout.ToMicroseconds()


async def test_rates_and_adjustments_are_told_exactly(serve, dial, sample):
    sample.cur[:] = ["USD", "EUR"]
    server = await serve(
        {"type": "simulated", "name": "a", "price": 9.0, "currency": "EUR"},
        rules={"bid_adjustments": {"a": 0.85}, "rates": {"EUR": {"USD": 1.0825}}},
    )
    answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample))
    bids = answer.report.bidders[0].bids
    assert {(bid.rate, bid.adjustment) for bid in bids} == {("1.0825", "0.85")}
