"""Caps and budgets decide in auctions: who is asked, who may win, what winners hold."""

import asyncio
import json
from fractions import Fraction

import grpc
import pytest

from record.traffic import VERSION
from service.test_notify import failure
from service.test_vast import INLINE, wrapper
from state.clock import Clock, Hanging, Leaving
from state.play import HOUR
from xsp.bid.v1 import auction_report_pb2 as pb
from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.bid.v1.auction_report_pb2 import Fate, StatePhase
from xsp.bid.v1.bid_service_pb2 import NotifyRequest, RunAuctionRequest
from xsp.bid.v1.notice_pb2 import NoticeType
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1 import state_service_pb2_grpc
from xsp.state.v1.budget_pb2 import BudgetState
from xsp.state.v1.budget_pb2 import ReservationOutcome as Outcome
from xsp.state.v1.campaign_pb2 import Campaign
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp.state.v1.state_service_pb2 import GetBudgetRequest, PutCampaignRequest
from xsp_server.auction import Fate as Word
from xsp_server.config import Settings
from xsp_server.service import replay
from xsp_server.service.auction_state import AuctionState
from xsp_server.service.live import LiveExchange
from xsp_server.service.record import record
from xsp_server.service.report import report
from xsp_server.service.session import open_session
from xsp_server.state.accounts import Accounts

OPEN = FailPolicy.FAIL_POLICY_FAIL_OPEN
LOOKED, HELD = StatePhase.STATE_PHASE_AFTER_BIDS, StatePhase.STATE_PHASE_RESERVE
BEFORE = StatePhase.STATE_PHASE_BEFORE_FAN_OUT
BILLING, LOSS = NoticeType.NOTICE_TYPE_BILLING, NoticeType.NOTICE_TYPE_LOSS


def usd(amount):
    return {"currency": "USD", "micros": round(amount * 1_000_000)}


def banner(price, cid="", **more):
    bid = {"impid": "home-banner", "price": price, "w": 970, "h": 250, "adm": "<b>ad</b>"}
    return bid | {"cid": cid, "crid": f"{cid}-1", "adomain": [f"{cid or 'none'}.example"]} | more


class House:
    """An exchange over a store, with bidders that always bid the same."""

    def __init__(self, folder, backend=None, seconds=5.0, **policy):
        self.clock = Clock()
        self.accounts = Accounts.over(backend or Leaving(), self.clock, **policy)
        self.state = AuctionState(self.accounts, seconds)
        self.bidders = []
        self.exchange: LiveExchange | None = None
        self._folder = folder

    def bidder(self, name, *bids, **more):
        numbered = [{"id": str(place), **bid} for place, bid in enumerate(bids)]
        file = self._folder / f"{name}.json"
        file.write_text(json.dumps({"id": "{request_id}", "seatbid": [{"bid": numbered}]}))
        self.bidders.append({"type": "file", "name": name, "path": str(file), **more})

    async def campaign(self, campaign_id, **more):
        await self.accounts.campaigns.put(
            Campaign(campaign_id=campaign_id, currency=more.pop("currency", "USD"), **more)
        )

    async def run(self, request, user="u", **told):
        if self.exchange is None:
            self.exchange = LiveExchange(Settings(bidders=self.bidders), self.state)
        session = open_session(SessionContext(user_id=user, **told), (), request)
        return await self.exchange.run(request, None, session=session)

    async def money(self, campaign_id):
        await self.accounts.campaigns.refresh()
        settings = self.accounts.campaigns.get(campaign_id)
        status, _ = await self.accounts.budgets.get(settings)
        return status

    async def close(self):
        await self.state.close()
        if self.exchange is not None:
            await self.exchange.close()


@pytest.fixture
async def house(tmp_path):
    houses = []

    def build(**more):
        houses.append(House(tmp_path, **more))
        return houses[-1]

    yield build
    for each in houses:
        await each.close()


@pytest.fixture
def request_(sample):
    """The sample's banner alone, by first price."""
    sample.at = 1
    sample.tmax = 10_000
    del sample.imp[0]
    return sample


def winners(run):
    return [(winner.bidder, winner.message.cid) for winner in run.result.winners]


def fate(run, bidder, place=0):
    (verdict,) = (
        each
        for each in run.result.verdicts
        if (each.bidder, each.facts.bid_index) == (bidder, place)
    )
    return verdict.fate


def decisions(run, phase):
    return [each for report in run.state if report.phase == phase for each in report.decisions]


async def test_three_ads_an_hour_the_fourth_goes_to_the_next_best_and_after_the_hour_again(
    house, request_
):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", caps=[{"cap_id": "three", "limit": 3}])
    won = [winners(await here.run(request_)) for _ in range(4)]
    assert won == [[("high", "a")]] * 3 + [[("low", "b")]]
    assert winners(await here.run(request_, user="another")) == [("high", "a")]
    here.clock.go(HOUR)
    assert winners(await here.run(request_)) == [("high", "a")]


async def test_a_capped_bid_tells_the_cap_and_its_count(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", caps=[{"cap_id": "one", "limit": 1}])
    await here.run(request_)
    run = await here.run(request_)
    assert run.response.nbr
    told = report(run, "x", ExplainLevel.EXPLAIN_LEVEL_FULL)
    (bid,) = told.bidders[0].bids
    assert (bid.fate, bid.rule_id) == (Fate.FATE_CAPPED, "bid.capped")
    assert (bid.loss_reason, bid.nonbid_status) == (500, 300)
    (comparison,) = bid.comparisons
    assert (comparison.found.name, comparison.found.integer) == ("caps[one].count", 2)
    assert (comparison.required.name, comparison.required.integer) == ("caps[one].limit", 1)
    assert bid.least_change.text == "No price would have helped against bid.capped."
    (decision,) = decisions(run, LOOKED)
    assert (decision.campaign_id, decision.allowed) == ("a", False)
    assert decision.frequency.denied_by.cap_id == "one"


async def test_an_auction_holds_the_clearing_price_and_the_impression(house, request_):
    here = house()
    here.bidder("high", banner(2.5, "a"))
    await here.campaign("a", limits={"total": usd(1)}, caps=[{"limit": 3}])
    run = await here.run(request_)
    (held,) = run.reserved.values()
    money = await here.money("a")
    assert money.reserved.micros == 2_500  # 2.50 for a thousand
    (decision,) = decisions(run, HELD)
    assert decision.reservation_id == held.reservation_id
    assert decision.budget.remaining.micros == 1_000_000 - 2_500
    [item] = await here.accounts.reservations.release([held.reservation_id])
    assert item.reservation.impressions == 1


async def test_a_campaign_is_exhausted_at_zero(house, request_):
    here = house()
    here.bidder("high", banner(2.5, "a"))
    here.bidder("low", banner(1.5, "b"))
    await here.campaign("a", limits={"total": usd(0.005)})
    runs = [await here.run(request_) for _ in range(3)]
    assert [winners(run) for run in runs] == [[("high", "a")]] * 2 + [[("low", "b")]]
    assert fate(runs[2], "high") is Word.NO_BUDGET
    assert decisions(runs[2], LOOKED)[0].budget.state == BudgetState.BUDGET_STATE_RESERVED


async def test_a_price_that_can_t_be_paid_gives_the_next_best_its_chance(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", limits={"total": usd(0.004)})
    await here.campaign("b", limits={"total": usd(1)})
    run = await here.run(request_)
    assert winners(run) == [("low", "b")]
    assert fate(run, "high") is Word.NO_BUDGET
    assert [len(each.decisions) for each in run.state] == [2, 1, 1]
    assert [each.phase for each in run.state] == [LOOKED, HELD, HELD]
    assert (await here.money("a")).reserved.micros == 0
    assert (await here.money("b")).reserved.micros == 7_000


async def test_a_withdrawn_rival_sets_no_second_price(house, request_):
    request_.at = 2
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("b", limits={"total": usd(0)})
    run = await here.run(request_)
    (winner,) = run.result.winners
    assert winner.clearing_price == Fraction(3, 5)  # the floor, not 7.01


async def test_paused_ended_and_paced_campaigns_are_told_apart(house, request_):
    here = house()
    for name, price in (("paused", 9), ("over", 8), ("slow", 7)):
        here.bidder(name, banner(price, name))
    await here.campaign("paused", status="CAMPAIGN_STATUS_PAUSED")
    await here.campaign("over", flights=[{"end_time": {"seconds": 1}}])
    await here.campaign(
        "slow",
        limits={"daily": usd(1)},
        pacing={
            "mode": "PACING_MODE_CURVE",
            "curve": [{"elapsed_ppm": 999_999, "spend_ppm": 0}],
            "lookahead": {},
        },
    )
    run = await here.run(request_)
    assert winners(run) == []
    assert [fate(run, name) for name in ("paused", "over", "slow")] == [
        Word.CAMPAIGN_INACTIVE,
        Word.CAMPAIGN_INACTIVE,
        Word.PACED,
    ]


async def test_a_campaign_is_found_by_the_most_telling_key_and_bids_without_one_are_free(
    house, request_
):
    here = house()
    here.bidder("one", banner(9, "x"))
    here.bidder("two", banner(8, "x"))
    here.bidder("none", banner(7, "unknown"))
    await here.campaign("c-1", key={"cid": "x", "bidder": "one"}, limits={"total": usd(0)})
    await here.campaign("c-2", key={"cid": "x"}, limits={"total": usd(1)})
    run = await here.run(request_)
    assert winners(run) == [("two", "x")]
    found = {each.bidder: each.campaign_id for each in decisions(run, LOOKED)}
    assert found == {"one": "c-1", "two": "c-2", "none": ""}


async def test_two_winners_of_one_campaign_share_what_is_left(house, sample):
    sample.at = 1
    sample.tmax = 10_000
    video = {"impid": "pre-roll", "price": 8, "cid": "a", "crid": "v", "mtype": 2, "dur": 15}
    video |= {"adm": "<VAST version='4.2'/>", "adomain": ["a.example"], "protocol": 7}
    here = house()
    here.bidder("high", banner(9, "a"), video)
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", caps=[{"limit": 1}], limits={"total": usd(1)})
    run = await here.run(sample)
    assert winners(run) == [("high", "a"), ("low", "b")]
    assert run.result.winners[0].imp == "pre-roll"  # the first imp's winner had the only view
    assert fate(run, "high", 0) is Word.CAPPED
    assert (await here.money("a")).reserved.micros == 8_000


async def test_a_price_in_another_currency_is_held_in_the_campaign_s(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"), currencies=["USD"])
    await here.campaign("a", currency="EUR")
    await here.campaign("b", currency="XXX", key={"cid": "never"})
    here.exchange = LiveExchange(
        Settings(bidders=here.bidders, rules={"rates": {"EUR": {"USD": "1.25"}}}), here.state
    )
    await here.run(request_)
    assert (await here.money("a")).reserved.micros == 7_200


async def test_a_currency_nobody_can_convert_can_t_pay(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", currency="XXX")
    run = await here.run(request_)
    (bid,) = report(run, "x", ExplainLevel.EXPLAIN_LEVEL_FULL).bidders[0].bids
    assert bid.fate == Fate.FATE_NO_BUDGET
    assert bid.comparisons[0].found.name == "cost.currency"


@pytest.mark.parametrize("policy", ["open", "closed"])
async def test_while_the_store_is_away_policies_decide_and_say_so(house, request_, policy):
    here = house(backend=Leaving())
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7))
    open_ = {"budget_fail_policy": OPEN} if policy == "open" else {}
    await here.campaign("a", **open_)
    store = here.accounts.backend
    store.leave_after()
    run = await here.run(request_)
    assert winners(run) == ([("high", "a")] if open_ else [("low", "")])
    assert fate(run, "high") is (Word.WON if open_ else Word.STATE_UNAVAILABLE)
    assert not run.reserved
    sources = {each.basis.source for each in decisions(run, LOOKED)}
    assert sources == {2 if open_ else 3}


async def test_a_store_that_was_never_read_lets_no_bid_with_a_cid_win(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "", crid="x"))
    here.accounts.backend.leave_after()
    await here.state.start()
    run = await here.run(request_)
    assert winners(run) == [("low", "")]
    assert fate(run, "high") is Word.STATE_UNAVAILABLE
    here.accounts.backend.come_back()
    assert winners(await here.run(request_)) == [("high", "a")]


async def test_a_store_that_hangs_costs_no_more_than_its_time_and_keeps_nothing(house, request_):
    store = Hanging()
    here = house(backend=store, seconds=0.02)
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7))
    await here.campaign("a", limits={"total": usd(1)})
    request_.tmax = 300
    store.hangs = True
    run = await here.run(request_)
    assert winners(run) == [("low", "")]
    assert fate(run, "high") is Word.STATE_UNAVAILABLE
    await store.let_go()
    await here.state.close()
    assert (await here.money("a")).reserved.micros == 0


async def test_what_is_held_after_all_is_given_back(house, request_):
    """The look is quick; the reservation hangs past the auction's time."""
    store = Hanging()
    here = house(backend=store, seconds=0.02)
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", limits={"total": usd(1)}, caps=[{"limit": 1}])
    request_.tmax = 300
    holding = store.hang_at("hold")
    run = await here.run(request_)
    assert winners(run) == []
    assert holding.is_set()
    await store.let_go()
    await here.state.close()
    assert (await here.money("a")).reserved.micros == 0
    assert winners(await here.run(request_)) == [("high", "a")]  # and its one impression is free


async def test_a_caller_that_goes_leaves_nothing_held(house, request_):
    store = Hanging()
    here = house(backend=store)
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", limits={"total": usd(1)})
    holding = store.hang_at("hold")
    running = asyncio.create_task(here.run(request_))
    await holding.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await store.let_go()
    await here.state.close()
    assert (await here.money("a")).reserved.micros == 0


async def test_a_bidder_all_of_whose_campaigns_are_capped_is_not_asked(house, request_):
    here = house()
    here.bidder("own", banner(9, "a"), campaigns_only=True)
    here.bidder("low", banner(7, "b"))
    key = {"cid": "a", "bidder": "own"}
    await here.campaign("a", key=key, caps=[{"limit": 1}])
    first, second = await here.run(request_), await here.run(request_)
    assert winners(first) == [("own", "a")]
    assert [each.allowed for each in decisions(first, BEFORE)] == [True]
    assert winners(second) == [("low", "b")]
    (told, _) = sorted(report(second, "x", 3).bidders, key=lambda each: each.bidder != "own")
    assert (told.asked, told.skip_reason) == (False, pb.SKIP_REASON_CAPPED)
    assert "capped" in told.detail
    await here.campaign("z", key={"cid": "z", "bidder": "own"})
    assert report(await here.run(request_), "x", 3).bidders[1].asked  # one campaign is free


async def test_caps_that_need_a_bid_keep_nobody_from_being_asked(house, request_):
    here = house()
    here.bidder("own", banner(9, "a"), campaigns_only=True)
    cap = {"scope": "CAP_SCOPE_CREATIVE", "limit": 1}
    await here.campaign("a", key={"cid": "a", "bidder": "own"}, caps=[cap])
    assert winners(await here.run(request_)) == [("own", "a")]
    run = await here.run(request_)
    assert winners(run) == []
    assert fate(run, "own") is Word.CAPPED  # asked, and then its creative was known


async def test_a_bidder_without_money_is_not_asked_and_one_with_an_absent_store_is(house, request_):
    here = house()
    here.bidder("own", banner(9, "a"), campaigns_only=True)
    await here.campaign("a", key={"cid": "a", "bidder": "own"}, limits={"total": usd(0)})
    (told,) = report(await here.run(request_), "x", 3).bidders
    assert (told.asked, told.skip_reason) == (False, pb.SKIP_REASON_NO_BUDGET)
    here.accounts.backend.leave_after()
    (told,) = report(await here.run(request_), "x", 3).bidders
    assert told.asked
    assert told.bids[0].fate == Fate.FATE_STATE_UNAVAILABLE


async def test_an_auction_with_state_replays_without_asking_any_store(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("mid", banner(8, "m"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", limits={"total": usd(0.004)})
    await here.campaign("m", caps=[{"limit": 0}])
    run = await here.run(request_)
    assert winners(run) == [("low", "b")]
    full = report(run, run.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
    kept = record(run, full, VERSION)
    again = replay.run_again(type(kept).FromString(kept.SerializeToString()))
    assert replay.differences(kept, again) == []
    assert kept.state == kept.report.state
    assert kept.report.timings.HasField("state")


async def test_without_campaigns_nothing_is_reported_and_no_time_is_kept(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    run = await here.run(request_)
    assert (winners(run), run.state, here.state.seconds) == ([("high", "a")], (), 0)
    await here.campaign("a")
    assert here.state.seconds == 5


async def test_a_bid_with_an_absurd_creative_id_harms_nobody_else(house, request_):
    here = house()
    here.bidder("high", banner(9, "a", crid="x" * 5000))
    here.bidder("low", banner(7, "b"))
    cap = {"scope": "CAP_SCOPE_CREATIVE", "limit": 1}
    await here.campaign("a", caps=[cap])
    assert winners(await here.run(request_)) == [("low", "b")]


async def test_an_advertiser_s_cap_counts_over_bidders_and_household_and_session_are_told(
    house, request_
):
    here = house()
    here.bidder("high", banner(9, "a", adomain=["shop.example"]))
    here.bidder("low", banner(7, "b", adomain=["shop.example"]))
    cap = {"scope": "CAP_SCOPE_ADVERTISER", "subject": "CAP_SUBJECT_HOUSEHOLD", "limit": 1}
    await here.campaign("a", caps=[cap])
    await here.campaign("b", caps=[cap])
    assert winners(await here.run(request_, household_id="h")) == [("high", "a")]
    assert winners(await here.run(request_, user="v", household_id="h")) == []
    assert winners(await here.run(request_, household_id="i")) == [("high", "a")]


def campaign_of(limit, **more):
    return {"campaign_id": "a", "currency": "USD", "limits": {"total": usd(limit)}, **more}


@pytest.fixture
async def live(serve, dial, tmp_path, request_):
    """A running server with one bidder: an auction's answer, a notice, and the campaign's money."""
    house = House(tmp_path)
    house.bidder("high", banner(2.5, "a"))
    channels = []

    class Live:
        async def start(self, campaign, **sections):
            server = await serve(*house.bidders, **sections)
            self.bids = dial(server)
            channels.append(grpc.aio.insecure_channel(server.address))
            self.state = state_service_pb2_grpc.StateServiceStub(channels[-1])
            await self.state.PutCampaign(
                PutCampaignRequest(request_id="put", campaign=campaign), timeout=10
            )
            return self

        async def auction(self, user="u", request_id=""):
            call = RunAuctionRequest(
                request_id=request_id, bid_request=request_, session={"user_id": user}
            )
            return await self.bids.RunAuction(call, timeout=10)

        async def tell(self, answer, kind, request_id=None, **more):
            key = {"auction_id": answer.report.auction_id, "bid_id": "0"}
            notice = {"notice_id": "n", "type": kind, "bid": key, **more}
            request_id = request_id or f"{answer.report.auction_id}-{kind}"
            told = await self.bids.Notify(
                NotifyRequest(request_id=request_id, notices=[notice]), timeout=10
            )
            return told.results[0]

        async def money(self):
            answer = await self.state.GetBudget(GetBudgetRequest(campaign_id="a"), timeout=10)
            budget = answer.budget
            return budget.spent.micros, budget.reserved.micros, budget.remaining.micros

    yield Live()
    for channel in channels:
        await channel.close()


async def test_billing_spends_what_the_auction_held_once(live):
    await live.start(campaign_of(1000))
    answer = await live.auction()
    assert await live.money() == (0, 2_500, 999_997_500)
    told = await live.tell(answer, BILLING)
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_COMMITTED
    assert await live.money() == (2_500, 0, 999_997_500)
    again = await live.tell(answer, BILLING, request_id="another call")
    assert again.replayed
    assert not again.HasField("status")
    assert await live.money() == (2_500, 0, 999_997_500)


async def test_a_thousand_less_two_fifty_leaves_997_50(live):
    """A thousand impressions at a CPM of 2.50."""
    await live.start(campaign_of(1000))
    for _ in range(100):
        answers = await asyncio.gather(*(live.auction() for _ in range(10)))
        await asyncio.gather(*(live.tell(answer, BILLING) for answer in answers))
    assert await live.money() == (2_500_000, 0, 997_500_000)


async def test_an_auction_that_is_asked_for_again_is_the_same_and_holds_nothing_twice(live):
    await live.start(campaign_of(1000))
    first = await live.auction(request_id="r")
    at_once = await asyncio.gather(*(live.auction(request_id="r") for _ in range(5)))
    assert at_once == [first] * 5
    assert await live.money() == (0, 2_500, 999_997_500)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await live.auction(user="v", request_id="r")
    assert caught.value.code() == grpc.StatusCode.ALREADY_EXISTS
    assert (await live.auction(request_id="s")).report.auction_id != first.report.auction_id
    assert await live.money() == (0, 5_000, 999_995_000)


@pytest.mark.parametrize("request_id", ["é", "x" * 129])
async def test_an_auction_s_request_id_is_printable_ascii(live, request_id):
    await live.start(campaign_of(1000))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await live.auction(request_id=request_id)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "request_id" in caught.value.details()


async def test_a_loss_gives_back_what_the_auction_held(live):
    await live.start(campaign_of(0.0025, caps=[{"limit": 1}]))
    answer = await live.auction()
    assert not (await live.auction()).bid_response.seatbid
    told = await live.tell(answer, LOSS)
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_RELEASED
    assert await live.money() == (0, 0, 2_500)
    assert (await live.auction()).bid_response.seatbid  # its money and its one view are back


async def test_billing_at_another_price_spends_that_and_no_more_than_there_is(live):
    await live.start(campaign_of(0.006))
    first, second = await live.auction(), await live.auction()
    told = await live.tell(first, BILLING, price=usd(3.5))  # more than held, and there
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_COMMITTED
    assert await live.money() == (3_500, 2_500, 0)
    told = await live.tell(second, BILLING, price=usd(3.5))
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_REFUSED_COMMIT
    assert await live.money() == (3_500, 2_500, 0)


async def test_a_bid_can_t_be_billed_and_lost(live):
    await live.start(campaign_of(1000))
    answer = await live.auction()
    await live.tell(answer, LOSS)
    told = await live.tell(answer, BILLING)
    assert failure(told)[1] == "NOTICE_CONFLICT"
    assert await live.money() == (0, 0, 1_000_000_000)


async def test_several_notices_about_one_bid_in_one_call_are_taken_in_turn(live):
    await live.start(campaign_of(1000))
    answer = await live.auction()
    key = {"auction_id": answer.report.auction_id, "bid_id": "0"}
    kinds = [BILLING, LOSS, BILLING]
    notices = [{"notice_id": str(n), "type": kind, "bid": key} for n, kind in enumerate(kinds)]
    told = await live.bids.Notify(NotifyRequest(request_id="r", notices=notices), timeout=10)
    assert [each.status.code for each in told.results] == [0, 9, 0]
    assert [each.replayed for each in told.results] == [False, False, True]
    assert await live.money() == (2_500, 0, 999_997_500)


async def test_a_reservation_that_a_notice_names_is_resolved_though_its_bid_is_forgotten(live):
    await live.start(campaign_of(1000))
    answer = await live.auction()
    (reserved,) = [each for each in answer.report.state if each.phase == HELD]
    id_ = reserved.decisions[0].reservation_id
    key = {"auction_id": "of a server before", "bid_id": "0"}
    notice = {"notice_id": "n", "type": BILLING, "bid": key, "reservation_id": id_}
    told = await live.bids.Notify(NotifyRequest(request_id="r", notices=[notice]), timeout=10)
    (result,) = told.results
    assert failure(result)[1] == "BID_NOT_FOUND"
    assert result.reservation.outcome == Outcome.RESERVATION_OUTCOME_COMMITTED
    assert await live.money() == (2_500, 0, 999_997_500)


async def test_a_hundred_auctions_at_once_never_pass_a_budget_nor_a_cap(live):
    await live.start(campaign_of(0.1, caps=[{"limit": 3}]))
    users = [f"u{n % 20}" for n in range(200)]
    answers = await asyncio.gather(*map(live.auction, users))
    won = [user for user, each in zip(users, answers, strict=True) if each.bid_response.seatbid]
    assert len(won) == 40  # of the money: 0.1 is 40 times 0.0025
    assert max(map(won.count, won)) <= 3
    assert await live.money() == (0, 100_000, 0)


async def test_a_winner_without_an_ad_gives_back_and_the_next_best_holds(
    serve, dial, tmp_path, sample
):
    sample.at, sample.tmax = 1, 10_000
    del sample.imp[1]
    house = House(tmp_path)
    for name, price, url in (("high", 9, "http://127.0.0.1:1/gone"), ("low", 7, "")):
        markup = INLINE if not url else wrapper(url)
        bid = {"impid": "pre-roll", "price": price, "cid": name, "mtype": 2, "dur": 15}
        house.bidder(name, bid | {"adm": markup, "adomain": ["x.example"], "protocol": 3})
    sample.imp[0].ClearField("secure")
    server = await serve(*house.bidders, guard={"allow_networks": ["127.0.0.1/32"], "ports": []})
    bids = dial(server)
    async with grpc.aio.insecure_channel(server.address) as channel:
        state = state_service_pb2_grpc.StateServiceStub(channel)
        for name in ("high", "low"):
            campaign = {"campaign_id": name, "currency": "USD", "limits": {"total": usd(1)}}
            await state.PutCampaign(PutCampaignRequest(request_id=name, campaign=campaign))
        options = {"resolve_vast": {"require_ad": True}}
        answer = await bids.RunAuction(
            RunAuctionRequest(bid_request=sample, options=options), timeout=10
        )
        assert [seat.bid[0].cid for seat in answer.bid_response.seatbid] == ["low"]
        held = {}
        async with asyncio.timeout(10):
            while held != {"high": 0, "low": 7_000}:  # what is given back, is so after the answer
                for name in ("high", "low"):
                    told = await state.GetBudget(GetBudgetRequest(campaign_id=name))
                    held[name] = told.budget.reserved.micros


async def test_a_user_with_an_absurd_id_counts_as_nobody(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", caps=[{"limit": 3}])
    await here.campaign("b", caps=[{"limit": 3, "missing_policy": "MISSING_POLICY_ALLOW"}])
    run = await here.run(request_, user="u" * 10_000)
    assert winners(run) == [("low", "b")]
    assert fate(run, "high") is Word.CAPPED
