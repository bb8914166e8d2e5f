"""`xsp bid --explain`: every decision with its reason."""

import io

import pytest
from rich.console import Console

from xsp.bid.v1.bid_service_pb2 import RunAuctionRequest
from xsp_server.cli import explanation


def simulated(name, price, **settings):
    return {"type": "simulated", "name": name, "price": price, **settings}


@pytest.fixture
def explain(serve, dial, sample):
    """Runs the sample against bidders and draws the report."""

    async def run(*bidders, change=None, **sections):
        if change is not None:
            change(sample)
        server = await serve(*bidders, **sections)
        answer = await dial(server).RunAuction(RunAuctionRequest(bid_request=sample))
        text = io.StringIO()
        explanation.draw(answer.report, Console(file=text, width=200, highlight=False))
        return text.getvalue()

    return run


async def test_a_winner_says_what_made_its_price(explain):
    text = await explain(simulated("a", 9.0), simulated("b", 5.0))
    assert "won  [auction.won]" in text
    assert "pays 5.01: rival b/" in text


async def test_a_loser_says_what_would_have_won(explain):
    text = await explain(simulated("a", 9.0), simulated("b", 5.0))
    assert "lost price  [auction.lost_price]" in text
    assert "rank_value 5.00 must be above winner.rank_value 9.00" in text
    assert "Would have won with a price of 9.000001 USD or more." in text


async def test_a_bid_under_the_floor_says_whose_floor(explain):
    text = await explain(simulated("a", 4.0))
    assert "below floor  [bid.below_floor]" in text
    assert "floor 4.50 of imp" in text
    assert "Would have won with a price of 4.500000 USD or more." in text


async def test_another_currency_shows_rate_and_what_counts(explain):
    text = await explain(
        simulated("a", 5.0, currency="EUR"),
        change=lambda request: request.cur.append("EUR"),
        rules={"rates": {"EUR": {"USD": "1.1"}}, "bid_adjustments": {"a": "0.5"}},
    )
    assert "bids 5.00 EUR" in text
    assert "counts 2.75 by rate 1.1 by factor 0.5" in text


async def test_who_is_not_asked_and_what_privacy_took_is_told(explain):
    text = await explain(
        simulated("a", 9.0),
        simulated("video-only", 5.0, media_types=["video"]),
        simulated("abroad", 5.0, countries=["FRA"]),
        change=lambda request: setattr(request.regs, "coppa", True),
    )
    assert "abroad: not asked, country  [plan.country]" in text
    assert "not asked for imp home-banner  [plan.media_type]" in text
    assert "device.ifa removed for coppa  [privacy.coppa" in text


async def test_an_auction_that_nobody_won_tells_its_nbr(explain):
    text = await explain(simulated("quiet", 9.0, no_bid_rate=1.0))
    assert "nothing won: nbr 500" in text
    assert "quiet: no bid" in text


async def test_a_bidder_that_did_not_answer_is_told(explain):
    text = await explain(simulated("slow", 9.0, latency_ms=5000), simulated("b", 5.0))
    assert "slow: timeout" in text
