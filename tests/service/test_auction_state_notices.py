"""Billing and loss of bids that hold money: told at once, again, wrongly, or to no store."""

import asyncio

import pytest

from record.traffic import VERSION
from service.test_auction_state import BILLING, LOSS, House, banner, usd
from service.test_auction_state import request_ as request_  # noqa: PLC0414 - a fixture
from service.test_auction_state_cut_off import Slow
from service.test_notify import Sender, failure
from xsp.bid.v1 import notice_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.bid_service_pb2 import NotifyRequest
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1.budget_pb2 import ReservationOutcome as Outcome
from xsp_server.config import Settings
from xsp_server.service.auctions import Auctions
from xsp_server.service.live import LiveExchange
from xsp_server.service.notify import Notices
from xsp_server.service.session import open_session
from xsp_server.state.guarded import StoreBusy
from xsp_server.upstream.notices import NoticeSettings

FULL = AuctionOptions(explain=ExplainLevel.EXPLAIN_LEVEL_FULL)
URLS = {"nurl": "https://x.example/win", "burl": "https://x.example/bill"}
URLS["lurl"] = "https://x.example/loss"


class Shop:
    """One bidder at a CPM of 9 for campaign a, and what was told of its bids."""

    def __init__(self, folder):
        self.house = House(folder, backend=Slow())
        self.house.bidder("high", banner(9, "a", **URLS))
        self.sender = Sender()
        self.notices = Notices(
            self.sender, NoticeSettings(), reservations=self.house.accounts.reservations
        )
        self.store = self.house.accounts.backend
        self._calls = 0

    async def bid(self, request):
        """An auction, and the key of its winner."""
        here = self.house
        here.exchange = here.exchange or LiveExchange(Settings(bidders=here.bidders), here.state)
        auctions = Auctions(here.exchange, self.notices, None, VERSION, state=here.state)
        session = open_session(SessionContext(user_id="u"), (), request)
        answer = await auctions.run(request, None, session=session, options=FULL)
        await asyncio.sleep(0)  # its bids are remembered after the answer
        self.sender.notices.clear()
        return {"auction_id": answer.report.auction_id, "bid_id": "0"}, answer

    async def tell(self, *notices, request_id=None):
        self._calls += 1
        numbered = [{"notice_id": str(n), **notice} for n, notice in enumerate(notices)]
        call = NotifyRequest(request_id=request_id or f"r{self._calls}", notices=numbered)
        return (await self.notices.notify(call, None)).results

    async def money(self):
        told = await self.house.money("a")
        return told.spent.micros, told.reserved.micros


@pytest.fixture
async def shop(tmp_path):
    made = Shop(tmp_path)
    caps = [{"limit": 9}]
    await made.house.campaign("a", limits={"total": usd(1)}, caps=caps)
    yield made
    await made.house.close()


async def test_billing_told_many_times_at_once_spends_and_is_sent_once(shop, request_):
    key, _ = await shop.bid(request_)
    told = await asyncio.gather(*(shop.tell({"type": BILLING, "bid": key}) for _ in range(5)))
    assert not any(result.HasField("status") for (result,) in told)
    assert [result.replayed for (result,) in told].count(False) == 1
    assert shop.sender.urls == [URLS["burl"]]
    assert await shop.money() == (9_000, 0)


async def test_one_call_made_twice_at_once_is_taken_once(shop, request_):
    key, _ = await shop.bid(request_)
    notice = {"type": BILLING, "bid": key}
    await asyncio.gather(*(shop.tell(notice, request_id="same") for _ in range(3)))
    assert shop.sender.urls == [URLS["burl"]]
    assert await shop.money() == (9_000, 0)


async def test_of_billing_and_loss_at_once_one_is_taken(shop, request_):
    for kinds in ((BILLING, LOSS), (LOSS, BILLING)):
        key, _ = await shop.bid(request_)
        spent, _ = await shop.money()
        told = await asyncio.gather(*(shop.tell({"type": kind, "bid": key}) for kind in kinds))
        refused = [failure(result)[1] for (result,) in told if result.HasField("status")]
        assert len(refused) == 1
        assert refused[0] in {"RESERVATION_RESOLVED", "NOTICE_CONFLICT"}
        assert len(shop.sender.urls) == 1
        billed = shop.sender.urls == [URLS["burl"]]
        assert await shop.money() == (spent + 9_000 * billed, 0)


async def test_a_store_that_goes_away_at_any_call_of_a_billing_spends_once_in_the_end(
    shop, request_
):
    spent = 0
    for calls in range(40):
        key, _ = await shop.bid(request_)
        shop.store.leave_after(calls)
        (told,) = await shop.tell({"type": BILLING, "bid": key}, request_id=f"b{calls}")
        was_away = told.HasField("status")
        shop.store.come_back()
        if was_away:
            assert failure(told)[0] == 14
            assert not shop.sender.urls
            (told,) = await shop.tell({"type": BILLING, "bid": key}, request_id=f"b{calls}")
            assert not told.HasField("status")
        assert shop.sender.urls == [URLS["burl"]]
        spent += 9_000
        assert await shop.money() == (spent, 0)
        shop.house.clock.go(3_600_000)  # its views are free again
        if not was_away:
            break
    assert calls > 2


async def test_a_busy_store_s_no_to_a_notice_is_not_remembered(shop, request_):
    key, _ = await shop.bid(request_)
    ask = shop.store.apply

    async def busy(*_, **__):
        raise StoreBusy("as many calls as may be", retry_after=1.0)

    shop.store.apply = busy
    (told,) = await shop.tell({"type": BILLING, "bid": key}, request_id="r")
    assert failure(told)[1] == "TOO_BUSY"
    shop.store.apply = ask
    (told,) = await shop.tell({"type": BILLING, "bid": key}, request_id="r")
    assert not told.HasField("status")
    assert await shop.money() == (9_000, 0)


async def test_a_price_in_another_currency_spends_nothing_and_is_not_sent(shop, request_):
    key, _ = await shop.bid(request_)
    price = {"currency": "EUR", "micros": 1}
    (told,) = await shop.tell({"type": BILLING, "bid": key, "price": price})
    assert failure(told)[1] == "CURRENCY_MISMATCH"
    assert not shop.sender.urls
    assert await shop.money() == (0, 9_000)


async def test_a_reservation_of_another_bid_is_spent_once_whoever_names_it(shop, request_):
    (one, first), (other, _) = await shop.bid(request_), await shop.bid(request_)
    (held,) = (winner.reservation_id for imp in first.report.imps for winner in imp.winners)
    (told,) = await shop.tell({"type": BILLING, "bid": other, "reservation_id": held})
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_COMMITTED
    assert await shop.money() == (9_000, 9_000)
    (told,) = await shop.tell({"type": BILLING, "bid": one})
    assert await shop.money() == (9_000, 9_000)
    assert not told.HasField("status") or failure(told)[1] == "RESERVATION_RESOLVED"


async def test_several_notices_of_all_kinds_in_one_call_are_judged_in_their_order(shop, request_):
    key, _ = await shop.bid(request_)
    kinds = [BILLING, pb.NOTICE_TYPE_WIN, LOSS, BILLING]
    told = await shop.tell(*({"type": kind, "bid": key} for kind in kinds))
    assert [each.status.code for each in told] == [0, 0, 9, 0]
    assert [each.replayed for each in told] == [False, True, False, True]
    assert await shop.money() == (9_000, 0)
