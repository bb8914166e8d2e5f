"""Auctions by chance over caps and budgets: no limit is passed, all books add up, all replays."""

import asyncio
import random
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import pytest

from record import traffic
from service.test_notify import Sender
from state.clock import Clock
from xsp.bid.v1.auction_options_pb2 import ExplainLevel
from xsp.bid.v1.auction_report_pb2 import Fate, VastUnwrap
from xsp.bid.v1.bid_service_pb2 import NotifyRequest
from xsp.bid.v1.notice_pb2 import NoticeType
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp.state.v1.budget_pb2 import ReservationOutcome as Outcome
from xsp.state.v1.campaign_pb2 import Campaign
from xsp_server.auction import key_of, vast_unresolved
from xsp_server.openrtb.money import to_micros
from xsp_server.service import replay
from xsp_server.service.auction_state import AuctionState
from xsp_server.service.bid_ledger import facts_of
from xsp_server.service.exchange import without
from xsp_server.service.notify import Notices
from xsp_server.service.record import record
from xsp_server.service.report import report
from xsp_server.service.session import open_session
from xsp_server.state.accounts import Accounts
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.messages import cost_of
from xsp_server.upstream.notices import NoticeSettings

FULL = ExplainLevel.EXPLAIN_LEVEL_FULL
BILLING, LOSS = NoticeType.NOTICE_TYPE_BILLING, NoticeType.NOTICE_TYPE_LOSS
_COMMITTED = Outcome.RESERVATION_OUTCOME_COMMITTED
TTL_MS = 600_000
USERS = ["ann", "bob", "cid", ""]
CURRENCIES = ["USD", "USD", "EUR", "GBP", "XXX"]
SCOPES = ["CAMPAIGN", "CREATIVE", "ADVERTISER", "SEAT", "POD"]
SUBJECTS = ["USER", "HOUSEHOLD", "USER_AND_HOUSEHOLD"]
FAIL = ["FAIL_OPEN", "FAIL_CLOSED", "UNSPECIFIED"]
MISSING = ["ALLOW", "DENY", "UNSPECIFIED"]


def campaign(chance, place):
    """One of a tree's campaigns: the first two are at the top, some are below them."""
    id_ = f"c{place}"
    parent = f"c{place % 2}" if place > 1 and chance.random() < 0.5 else ""
    currency = ("USD", "EUR")[place % 2] if place < 2 or parent else chance.choice(CURRENCIES)

    def amount(low, high):
        return {"currency": currency, "micros": chance.randrange(low, high)}

    limits = {}
    for name, most in (("total", 60_000), ("daily", 40_000), ("hourly", 20_000)):
        if chance.random() < 0.5:
            limits[name] = amount(0, most * (4 if place < 2 else 1))
    caps = [
        {"cap_id": "own", "limit": chance.randrange(4), "window": {"unit": "WINDOW_UNIT_LIFETIME"}}
    ]
    caps += [
        {
            "cap_id": str(number),
            "scope": f"CAP_SCOPE_{chance.choice(SCOPES)}",
            "subject": f"CAP_SUBJECT_{chance.choice(SUBJECTS)}",
            "limit": chance.randrange(1, 8),
            "missing_policy": f"MISSING_POLICY_{chance.choice(MISSING)}",
            "fail_policy": f"FAIL_POLICY_{chance.choice(FAIL)}",
        }
        for number in range(chance.randrange(3))
    ]
    return Campaign(
        campaign_id=id_,
        currency=currency,
        parent_id=parent,
        key={"cid": id_, "bidder": chance.choice(("", "", "amber"))},
        limits=limits,
        budget_fail_policy=f"FAIL_POLICY_{chance.choice(FAIL)}",
        caps=caps if chance.random() < 0.7 else [],
        status="CAMPAIGN_STATUS_PAUSED" if chance.random() < 0.05 else "CAMPAIGN_STATUS_ACTIVE",
    )


def name_campaigns(chance, run):
    """Bids for campaigns, two of which nobody has; some plays are several impressions."""
    for reply in run.replies:
        if reply.response is not None:
            for seatbid in reply.response.seatbid:
                for bid in seatbid.bid:
                    bid.cid = f"c{chance.randrange(12)}"
    for imp in run.request.imp:
        if chance.random() < 0.1:
            imp.qty.multiplier = chance.choice((0.25, 2.5, 30))


class World:
    """A store, auctions over it, and books of our own."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.accounts = Accounts.over(InMemoryBackend(), self.clock, ttl_ms=TTL_MS)
        self.state = AuctionState(self.accounts, 5.0)
        self.notices = Notices(Sender(), NoticeSettings(), reservations=self.accounts.reservations)
        self.campaigns: dict[str, Campaign] = {}
        self.billed: dict[str, int] = defaultdict(int)
        self.shown: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self.open: dict[str, dict[str, int]] = defaultdict(dict)
        self.fates: set[int] = set()
        self.unwrapped = self.committed = 0

    async def build(self):
        for place in range(10):
            made = campaign(self.chance, place)
            self.campaigns[made.campaign_id] = made
            await self.accounts.campaigns.put(made)

    async def auction(self, run, number):
        """One auction from its bids to what its winners came to."""
        chance = self.chance
        name_campaigns(chance, run)
        told = SessionContext(
            user_id=chance.choice(USERS), household_id=chance.choice(("", "home"))
        )
        session = open_session(told, (), run.request)
        run = await self.settled(without(replace(run, auction_id=f"a{number}"), {}), session)
        if run.result.winners and chance.random() < 0.3:  # the VAST of one ends in no ad
            key = key_of(chance.choice(run.result.winners).verdict.facts)
            self.unwrapped += 1
            run = without(run, {**run.withdrawn, key: vast_unresolved(303)})
            run = await self.settled(run, session)
            run = replace(run, unwraps={key: VastUnwrap(error_code=303)})
        await self.state.close()
        self.replays(run)
        self.notices.prepare_for(facts_of(run.auction_id, run.result, held=run.reserved))
        for winner in run.result.winners:
            held = run.reserved.get(key_of(winner.verdict.facts))
            if held is not None:
                await self.resolve(run, winner, held, session.context.user_id)

    async def settled(self, run, session):
        left = 5 if self.chance.random() < 0.9 else -1  # else policies decide
        end = asyncio.get_running_loop().time() + left
        return await self.state.settle(run, session, end)

    def replays(self, run):
        full = report(run, run.auction_id, FULL)
        self.fates |= {bid.fate for bidder in full.bidders for bid in bidder.bids}
        told = {each.reservation_id for imp in full.imps for each in imp.winners}
        assert told - {""} == {each.reservation_id for each in run.reserved.values()}
        kept = record(run, full, traffic.VERSION)
        again = replay.run_again(type(kept).FromString(kept.SerializeToString()))
        assert replay.differences(kept, again) == []

    async def resolve(self, run, winner, held, user):
        """Bills, loses or forgets a winner, each perhaps told several times."""
        chance = self.chance
        settings = self.accounts.campaigns.search(
            winner.message.cid, winner.seat or "", winner.bidder
        )
        views = self.shown[settings.id, user or ""]
        views[held.reservation_id] = self.clock() + TTL_MS
        self.open[settings.id][held.reservation_id] = self.clock() + TTL_MS
        kind = chance.choice((BILLING, BILLING, LOSS, None))
        if kind is None:
            return
        key = {
            "auction_id": run.auction_id,
            "bidder": winner.bidder,
            "imp_id": winner.imp,
            "bid_id": winner.bid,
            **({} if winner.seat is None else {"seat": winner.seat}),
        }
        notice = {"notice_id": "n", "type": kind, "bid": key}
        if kind == BILLING and chance.random() < 0.5:
            price = round(winner.auction_price * 1_000_000 * chance.choice((Fraction(1, 2), 1, 3)))
            notice["price"] = {"currency": winner.bid_currency, "micros": price}
        calls = [
            self.notices.notify(
                NotifyRequest(request_id=f"{held.reservation_id}/{n}", notices=[notice]), None
            )
            for n in range(chance.choice((1, 1, 3)))
        ]
        answers = [result for call in await asyncio.gather(*calls) for result in call.results]
        assert not any(each.HasField("status") for each in answers)
        done = [each.reservation for each in answers if each.HasField("reservation")]
        if user and any(cap.cap_id == "own" for cap in self.campaigns[settings.id].caps):
            assert done[0].reservation.impressions == 1
        if done[0].outcome != Outcome.RESERVATION_OUTCOME_REFUSED_COMMIT:
            del self.open[settings.id][held.reservation_id]
        if kind == LOSS:
            del views[held.reservation_id]
        elif done[0].outcome == _COMMITTED:
            views[held.reservation_id] = 2**62
            self.committed += 1
            spent = done[0].reservation.committed.micros
            if held.currency and "price" not in notice:
                cpm_micros = to_micros(winner.auction_price * held.rate)
                assert spent == cost_of(cpm_micros, held.impressions_micros)
            while settings is not None:
                self.billed[settings.id] += spent
                parent = settings.parent_id
                settings = self.accounts.campaigns.get(parent) if parent else None

    def check_caps(self):
        for (id_, user), views in self.shown.items():
            for gone in [each for each, until in views.items() if until <= self.clock()]:
                del views[gone]
            limits = [cap.limit for cap in self.campaigns[id_].caps if cap.cap_id == "own"]
            if limits and user:
                assert len(views) <= limits[0], (id_, user)

    async def check_held(self):
        for id_ in self.campaigns:
            held = await self.accounts.reservations.held_by(self.accounts.campaigns.get(id_))
            assert set(held) == {
                each for each, until in self.open[id_].items() if until > self.clock()
            }

    async def check_money(self, *, over):
        for id_, made in self.campaigns.items():
            told, _ = await self.accounts.budgets.get(self.accounts.campaigns.get(id_))
            assert told.spent.micros == self.billed[id_], id_
            for limit in told.limits:
                assert limit.spent.micros + limit.reserved.micros <= limit.limit.micros, made
            if over:
                assert told.reserved.micros == 0, id_


@pytest.mark.parametrize("seed", range(6))
async def test_no_limit_is_passed_books_add_up_and_records_replay(seed):
    world = World(seed)
    await world.build()
    for number, run in enumerate(traffic.runs(60, seed)):
        await world.auction(run, number)
        world.check_caps()
        await world.check_held()
        await world.check_money(over=False)
        world.clock.go(world.chance.randrange(200_000))
    world.clock.go(TTL_MS)
    await world.check_money(over=True)
    assert world.committed > 3
    assert world.unwrapped
    assert {Fate.FATE_CAPPED, Fate.FATE_NO_BUDGET, Fate.FATE_WON} <= world.fates
