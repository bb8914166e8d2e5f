"""Policies, groups and sessions of the settings, seen through a server's report."""

import pytest

from xsp.bid.v1.auction_report_pb2 import SkipReason
from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp_server.errors import ConfigError


def simulated(name, price=9.0, **settings):
    return {"type": "simulated", "name": name, "price": price, **settings}


@pytest.fixture
def report(serve, dial, sample):
    async def run(*bidders, session=None, **sections):
        server = await serve(*bidders, **sections)
        request = RunAuctionRequest(bid_request=sample, session=session)
        answer = await dial(server).RunAuction(request)
        return answer, {bidder.bidder: bidder for bidder in answer.report.bidders}

    return run


async def test_a_bidder_that_is_sampled_out_is_told_so(report):
    _, bidders = await report(simulated("a"), simulated("b", policy={"sample_rate": 0}))
    assert not bidders["b"].asked
    assert bidders["b"].skip_reason == SkipReason.SKIP_REASON_SAMPLED_OUT
    assert bidders["b"].skip_rule_id == "policy.sampled_out"
    assert bidders["a"].asked


async def test_a_waterfall_does_not_reach_who_comes_after_the_one_that_filled(report):
    group = {"name": "w", "ask": "waterfall", "members": ["first", "second"]}
    answer, bidders = await report(simulated("first"), simulated("second"), groups=(group,))
    assert bidders["first"].asked
    assert bidders["second"].skip_reason == SkipReason.SKIP_REASON_NOT_REACHED
    assert answer.report.totals.bids_won == 2


async def test_a_waterfall_goes_on_where_the_first_does_not_fill(report):
    group = {"name": "w", "ask": "waterfall", "members": ["first", "second"]}
    _, bidders = await report(
        simulated("first", no_bid_rate=1.0), simulated("second"), groups=(group,)
    )
    assert bidders["second"].asked
    assert len(bidders["second"].bids) == 2


async def test_nobody_waits_for_a_secondary_bidder(report):
    answer, bidders = await report(
        simulated("quick"), simulated("slow", latency_ms=200, policy={"secondary": True})
    )
    assert bidders["slow"].secondary
    assert not bidders["slow"].bids
    assert answer.report.totals.bids_won == 2


async def test_the_session_comes_back_filled_in_and_names_the_report(report):
    answer, _ = await report(simulated("a"), session={"request_id": "opportunity-1"})
    assert answer.session.request_id == "opportunity-1"
    assert answer.report.session_request_id == "opportunity-1"
    assert len(answer.session.cachebusting) == 8
    assert answer.session.user_id == "u-93b1"  # of the OpenRTB request


async def test_a_group_with_an_unknown_member_is_told(serve):
    with pytest.raises(ConfigError, match="nobody"):
        await serve(simulated("a"), groups=({"name": "g", "ask": "first", "members": ["nobody"]},))
