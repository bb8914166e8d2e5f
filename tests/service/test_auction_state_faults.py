"""What goes wrong around caps and budgets of an auction: nothing is passed, nothing stays held."""

import asyncio
from dataclasses import replace
from fractions import Fraction

import pytest

from record.traffic import VERSION
from service.test_auction_state import (
    BILLING,
    LOSS,
    OPEN,
    banner,
    campaign_of,
    fate,
    usd,
    winners,
)
from service.test_auction_state import house as house  # noqa: PLC0414 - a fixture
from service.test_auction_state import live as live  # noqa: PLC0414 - a fixture
from service.test_auction_state import request_ as request_  # noqa: PLC0414 - a fixture
from service.test_notify import failure
from state.clock import Hanging, Leaving
from xsp.bid.v1.auction_options_pb2 import AuctionOptions, ExplainLevel
from xsp.bid.v1.auction_report_pb2 import StatePhase
from xsp.bid.v1.bid_service_pb2 import NotifyRequest
from xsp.bid.v1.notice_pb2 import NoticeType
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1.budget_pb2 import ReservationOutcome as Outcome
from xsp.state.v1.campaign_pb2 import Campaign
from xsp_server.auction import Fate as Word
from xsp_server.auction import key_of, vast_unresolved
from xsp_server.service import auctions as auctions_module
from xsp_server.service import replay
from xsp_server.service.auctions import Auctions
from xsp_server.service.exchange import without
from xsp_server.service.notify import Notices
from xsp_server.service.record import record
from xsp_server.service.report import report
from xsp_server.service.session import open_session
from xsp_server.state.accounts import Accounts
from xsp_server.upstream.notices import NoticeSettings


def later(seconds=5.0):
    return asyncio.get_running_loop().time() + seconds


async def without_an_ad(here, run, user="u"):
    """The auction, settled again after the VAST of its winner gave no ad."""
    (winner,) = run.result.winners
    key = key_of(winner.verdict.facts)
    run = without(run, {**run.withdrawn, key: vast_unresolved(303)})
    session = open_session(SessionContext(user_id=user), (), run.request)
    return await here.state.settle(run, session, later())


async def test_who_wins_in_place_of_a_bid_without_an_ad_counts_for_its_caps(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a")
    await here.campaign("b", caps=[{"limit": 1}])
    shown = [winners(await without_an_ad(here, await here.run(request_))) for _ in range(2)]
    assert shown == [[("low", "b")], []]


async def test_a_lone_winner_without_an_ad_gives_back_what_it_holds(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7))
    await here.campaign("a", limits={"total": usd(1)})
    run = await without_an_ad(here, await here.run(request_))
    assert winners(run) == [("low", "")]
    assert not run.reserved
    await here.state.close()
    assert (await here.money("a")).reserved.micros == 0


async def test_a_price_that_falls_as_rivals_are_withdrawn_is_what_is_billed(house, sample):
    """The time is over when the other imp's winner has no ad: who holds nothing is withdrawn."""
    sample.at, sample.tmax = 2, 10_000
    video = {"impid": "pre-roll", "price": 8, "cid": "v", "crid": "v", "mtype": 2, "dur": 15}
    video |= {"adm": "<VAST version='4.2'/>", "adomain": ["v.example"], "protocol": 7}
    here = house()
    here.bidder("high", banner(9, "a"), video)
    here.bidder("low", banner(7, "b"), video | {"price": 7, "cid": "b"})
    for name in ("a", "b", "v"):
        await here.campaign(name, limits={"total": usd(1)})
    run = await here.run(sample)
    first, last = run.result.winners
    assert (last.message.cid, last.clearing_price) == ("a", Fraction(701, 100))
    run = without(run, {key_of(first.verdict.facts): vast_unresolved(303)})
    session = open_session(SessionContext(user_id="u"), (), sample)
    run = await here.state.settle(run, session, later(-1))
    (winner,) = run.result.winners
    assert winner.clearing_price == Fraction(3, 5)
    (held,) = run.reserved.values()
    assert held.cpm_micros == 600_000


async def test_a_caller_that_goes_while_a_loser_gives_back_leaves_nothing_held(house, sample):
    """Of two winners one is refused by its cap; the money of both is to be given back."""
    sample.at, sample.tmax = 1, 10_000
    video = {"impid": "pre-roll", "price": 8, "cid": "v", "crid": "v", "mtype": 2, "dur": 15}
    video |= {"adm": "<VAST version='4.2'/>", "adomain": ["v.example"], "protocol": 7}
    store = Hanging()
    here = house(backend=store)
    here.bidder("high", banner(9, "a"), video)
    await here.campaign("a", limits={"total": usd(0.001)})  # less than its price
    await here.campaign("v", limits={"total": usd(1)}, caps=[{"limit": 1}])
    giving_back = store.hang_at("release")
    running = asyncio.create_task(here.run(sample))
    await giving_back.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await store.let_go()
    await here.state.close()
    assert [(await here.money(each)).reserved.micros for each in ("a", "v")] == [0, 0]


async def test_no_time_at_all_leaves_caps_to_their_own_policy(house, request_):
    here = house(backend=Hanging(), seconds=0.0)
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", caps=[{"limit": 1}], budget_fail_policy=OPEN)
    run = await here.run(request_)
    assert winners(run) != []  # there was time
    run = without(run, {})
    session = open_session(SessionContext(user_id="another"), (), request_)
    run = await here.state.settle(replace(run, state=(), reserved={}), session, later(-1))
    assert winners(run) == []
    assert fate(run, "high") is Word.STATE_UNAVAILABLE


async def test_a_paused_campaign_is_not_served_by_fail_open(house, request_):
    here = house(backend=Hanging(), seconds=0.02)
    here.bidder("high", banner(9, "a"))
    here.bidder("over", banner(8, "o"))
    await here.campaign("a", status="CAMPAIGN_STATUS_PAUSED", budget_fail_policy=OPEN)
    await here.campaign("o", flights=[{"end_time": {"seconds": 1}}], budget_fail_policy=OPEN)
    request_.tmax = 300
    here.accounts.backend.hangs = True
    run = await here.run(request_)
    here.accounts.backend.hangs = False
    here.accounts.backend.go.set()
    assert winners(run) == []
    assert fate(run, "high") is Word.CAMPAIGN_INACTIVE
    assert fate(run, "over") is Word.CAMPAIGN_INACTIVE


async def test_a_decision_while_the_store_is_away_tells_no_money(house, request_):
    here = house(backend=Leaving())
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", budget_fail_policy=OPEN, limits={"total": usd(1)})
    here.accounts.backend.leave_after()
    run = await here.run(request_)
    assert winners(run) == [("high", "a")]
    assert not any(each.HasField("budget") for told in run.state for each in told.decisions)


@pytest.mark.parametrize("price", [1e16, 1e30, 1e300])
async def test_a_price_beyond_all_counting_can_t_be_paid(house, request_, price):
    here = house()
    here.bidder("high", banner(price, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", caps=[{"limit": 1}])
    await here.campaign("b")
    run = await here.run(request_)
    assert winners(run) == [("low", "b")]
    assert fate(run, "high") is Word.NO_BUDGET


@pytest.mark.parametrize("multiplier", [1e13, 1e30, 1e300])
async def test_a_play_of_more_impressions_than_can_be_counted_can_t_be_paid(
    house, request_, multiplier
):
    here = house()
    here.bidder("high", banner(1e6, "a"))
    await here.campaign("a")
    request_.imp[0].qty.multiplier = multiplier
    run = await here.run(request_)
    assert winners(run) == []


async def test_the_report_names_what_is_held_for_each_winner(house, request_):
    here = house()
    here.bidder("high", banner(9, "a"))
    here.bidder("low", banner(7, "b"))
    await here.campaign("a", limits={"total": usd(0.004)})
    await here.campaign("b", limits={"total": usd(1)})
    run = await here.run(request_)
    full = report(run, run.auction_id, ExplainLevel.EXPLAIN_LEVEL_FULL)
    (winner,) = full.imps[0].winners
    (held,) = run.reserved.values()
    assert winner.reservation_id == held.reservation_id
    kept = record(run, full, VERSION)
    assert replay.differences(kept, replay.run_again(kept)) == []


class NoSender:
    """Sends nothing."""

    def send(self, _notice):
        return True


async def test_an_answer_that_can_t_be_made_leaves_nothing_held(house, request_, monkeypatch):
    here = house()
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", limits={"total": usd(1)})
    await here.run(request_, user="first")  # builds the exchange; holds
    auctions = Auctions(
        here.exchange,
        Notices(NoSender(), NoticeSettings(), reservations=here.accounts.reservations),
        None,
        VERSION,
        state=here.state,
    )

    def fails(*_, **__):
        raise RuntimeError("no report")

    monkeypatch.setattr(auctions_module, "report_in_turns", fails)
    full = AuctionOptions(explain=ExplainLevel.EXPLAIN_LEVEL_FULL)
    with pytest.raises(RuntimeError):
        await auctions.run(request_, None, options=full)
    await here.state.close()
    assert (await here.money("a")).reserved.micros == 9_000  # of the first alone


async def test_a_billing_price_beyond_all_counting_is_refused_alone(live):
    euros = {"total": {"currency": "EUR", "micros": 10_000_000}}
    rules = {"rates": {"EUR": {"USD": "0.001"}}}
    await live.start(campaign_of(0, currency="EUR", limits=euros), rules=rules)
    answer = await live.auction()
    most = {"currency": "USD", "micros": 2**63 - 1}
    told = await live.tell(answer, BILLING, price=most)
    assert failure(told)[:2] == (3, "FIELD_INVALID")
    told = await live.tell(answer, BILLING, request_id="other")
    assert told.reservation.outcome == Outcome.RESERVATION_OUTCOME_COMMITTED
    assert await live.money() == (2_500_000, 0, 7_500_000)


async def test_notices_about_one_bid_are_taken_in_their_order_whatever_they_tell(live):
    await live.start(campaign_of(1000), notices={"delivery": "caller"})
    answer = await live.auction()
    key = {"auction_id": answer.report.auction_id, "bid_id": "0"}
    kinds = [LOSS, NoticeType.NOTICE_TYPE_WIN]
    notices = [{"notice_id": str(n), "type": kind, "bid": key} for n, kind in enumerate(kinds)]
    told = await live.bids.Notify(NotifyRequest(request_id="r", notices=notices), timeout=10)
    assert [each.status.code for each in told.results] == [0, 9]


async def test_a_look_before_the_fan_out_that_fails_is_told_with_its_error(house, request_):
    here = house(backend=Leaving())
    here.bidder("own", banner(9, "a"), campaigns_only=True)
    await here.campaign("a", key={"cid": "a", "bidder": "own"}, budget_fail_policy=OPEN)
    here.accounts.backend.leave_after()
    run = await here.run(request_)
    before = run.state[0]
    assert before.phase == StatePhase.STATE_PHASE_BEFORE_FAN_OUT
    assert (before.error.code, len(before.decisions)) == (14, 0)
    assert "away" in before.error.message
    assert winners(run) == [("own", "a")]


async def test_time_is_kept_where_another_server_may_have_put_the_first_campaign(house):
    shared, alone = house(backend=Hanging()), house()
    for here in (shared, alone):
        assert here.state.seconds == 5  # nobody has read the campaigns yet
        await here.state.start()
    assert (shared.state.seconds, alone.state.seconds) == (5, 0)


@pytest.mark.parametrize("store", [Leaving, Hanging])
async def test_what_another_server_changes_holds_from_the_next_auction_on(house, request_, store):
    here = house(backend=store())
    there = Accounts.over(here.accounts.backend, here.clock)
    here.bidder("high", banner(9, "a"))
    served = []
    for limit in (0, 1, 0, 1):
        changed = Campaign(campaign_id="a", currency="USD", limits={"total": usd(limit)})
        await there.campaigns.put(changed)
        served += [len(winners(await here.run(request_))) for _ in range(2)]
    assert served == [0, 0, 1, 1, 0, 0, 1, 1]


async def test_closing_waits_also_for_what_begins_to_be_given_back_meanwhile(house, request_):
    store = Hanging()
    here = house(backend=store)
    here.bidder("high", banner(9, "a"))
    await here.campaign("a", limits={"total": usd(1)})
    one, other = await here.run(request_), await here.run(request_)
    store.hangs = True
    here.state.give_back(one.reserved.values())
    closing = asyncio.create_task(here.state.close())
    await settle_down()
    first, store.go = store.go, asyncio.Event()
    here.state.give_back(other.reserved.values())  # as an auction that the stop has cut off
    await settle_down()
    store.hangs = False
    first.set()
    await settle_down()
    was_early = closing.done()
    store.go.set()
    await closing
    assert not was_early
    assert (await here.money("a")).reserved.micros == 0


async def settle_down():
    """Lets all tasks go on until each of them waits for an event."""
    for _ in range(50):
        await asyncio.sleep(0)
