"""Two servers over one store, hundreds of auctions at once: limits are reached, never passed."""

import asyncio
from collections import Counter

import grpc
import pytest

from service.test_auction_state import BILLING, LOSS, House, banner, campaign_of
from service.test_auction_state import request_ as request_  # noqa: PLC0414 - a fixture
from service.test_state_faults import database
from state import servers
from state.postgres_server import shared_url
from xsp.bid.v1.bid_service_pb2 import NotifyRequest, RunAuctionRequest
from xsp.state.v1 import state_service_pb2_grpc
from xsp.state.v1.state_service_pb2 import GetBudgetRequest, PutCampaignRequest

pytestmark = pytest.mark.xdist_group("machine")  # it takes all of it: one at a time

AUCTIONS = 500
USERS = 20
VIEWS = 3
"""That a campaign shows a user."""
PRICE_MICROS = 2_500
PAID = 40
"""Impressions that campaign a has money for; its caps would let it have 60."""


@pytest.fixture(params=["redis", "postgresql"])
async def store_url(request, tmp_path):
    """An empty store that processes can share."""
    if request.param == "redis":
        store = servers.Server(tmp_path).start()
        yield store.url
        store.kill()
    else:
        async with database(shared_url(request.config)) as url:
            yield url


class Two:
    """Two servers over one store, with the same bidders."""

    def __init__(self, bids, state, bid_request):
        self.bids = bids
        self.state = state
        self._request = RunAuctionRequest(bid_request=bid_request)
        self.won: list[tuple[int, str, str, str]] = []

    async def auction(self, place):
        """One auction for a user; notes server, campaign, user and auction of its winner."""
        server, user = place % 2, f"u{place % USERS}"
        call = RunAuctionRequest(session={"user_id": user})
        call.MergeFrom(self._request)
        answer = await self.bids[server].RunAuction(call, timeout=30)
        for seatbid in answer.bid_response.seatbid:
            for bid in seatbid.bid:
                self.won.append((server, bid.cid, user, answer.report.auction_id))

    async def money(self, campaign_id):
        call = GetBudgetRequest(campaign_id=campaign_id)
        budget = (await self.state.GetBudget(call, timeout=10)).budget
        return budget.spent.micros, budget.reserved.micros

    def check_caps(self):
        shown = Counter((cid, user) for _, cid, user, _ in self.won)
        assert max(shown.values()) <= VIEWS

    async def tell(self, kind, won):
        server, cid, _, auction_id = won
        bid = {"auction_id": auction_id, "bidder": {"a": "high", "b": "low"}[cid], "bid_id": "0"}
        notice = {"notice_id": "n", "type": kind, "bid": bid}
        call = NotifyRequest(request_id=auction_id, notices=[notice])
        (told,) = (await self.bids[server].Notify(call, timeout=30)).results
        assert not told.HasField("status")

    def of(self, cid):
        return [each for each in self.won if each[1] == cid]


@pytest.fixture
async def two(serve, dial, tmp_path, request_, store_url):
    house = House(tmp_path)
    house.bidder("high", banner(2.5, "a"))
    house.bidder("low", banner(1.5, "b"))
    state = {"url": store_url, "auction_ms": 1000, "timeout_ms": 20_000}
    ran = [await serve(*house.bidders, state=state) for _ in range(2)]
    async with grpc.aio.insecure_channel(ran[1].address) as channel:
        stub = state_service_pb2_grpc.StateServiceStub(channel)
        caps = [{"limit": VIEWS}]
        for made in (
            campaign_of(PAID * PRICE_MICROS / 1_000_000, caps=caps),
            campaign_of(1000, caps=caps) | {"campaign_id": "b"},
        ):
            call = PutCampaignRequest(request_id=made["campaign_id"], campaign=made)
            await stub.PutCampaign(call, timeout=10)
        yield Two([dial(each) for each in ran], stub, request_)


async def test_two_servers_reach_each_limit_exactly_and_pass_none(two):
    await asyncio.gather(*map(two.auction, range(AUCTIONS)))
    two.check_caps()
    assert await two.money("a") == (0, PRICE_MICROS * len(two.of("a")))
    assert len(two.of("a")) <= PAID
    # Two auctions may have been in each other's way; what they left is there for those after them.
    for place in range(VIEWS * USERS):
        await two.auction(place % USERS)
    two.check_caps()
    assert len(two.of("a")) == PAID
    assert len(two.of("b")) == VIEWS * USERS
    # Each is told to the server that ran its auction; both spend of the same money.
    kinds = [BILLING if place % 3 else LOSS for place in range(len(two.won))]
    await asyncio.gather(*map(two.tell, kinds, two.won))
    billed = sum(
        kind == BILLING and cid == "a" for kind, (_, cid, *_) in zip(kinds, two.won, strict=True)
    )
    assert 0 < billed < PAID
    assert await two.money("a") == (billed * PRICE_MICROS, 0)
