"""Caps and budgets of a store, as sessions with one upstream ask for them."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest

from state.clock import Clock, Leaving
from state.settings import campaign, seconds, usd
from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp.state.v1.campaign_pb2 import CampaignStatus
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.errors import CampaignNotFound
from xsp_server.service.session_state import StoredState
from xsp_server.state.backend import StoreAway
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.caps import Caps
from xsp_server.state.reservations import Reservations
from xsp_server.upstream.session import SessionContext
from xsp_server.upstream.upstream_session import (
    Budget,
    BudgetState,
    InMemoryState,
    Spend,
    UpstreamSession,
)

HOUR_MS = 3_600_000


class World:
    """A session's state over a store, and campaigns of the same store."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.backend = Leaving()
        self.state = StoredState(self.backend, self.clock)
        self.campaigns = Campaigns(self.backend, self.clock)

    async def put(self, *arguments, **more) -> None:
        await self.campaigns.put(campaign(*arguments, **more))

    def session(self) -> UpstreamSession:
        return UpstreamSession(None, SessionContext.from_message(), self.state)


@pytest.fixture
def world() -> World:
    return World()


def budget(spent: float, left: float | None, reserved: float = 0, **more) -> Budget:
    return Budget(
        campaign_id="c1",
        currency="USD",
        spent_micros=round(spent * 1e6),
        reserved_micros=round(reserved * 1e6),
        remaining_micros=None if left is None else round(left * 1e6),
        **{"state": BudgetState.ACTIVE, **more},
    )


async def test_three_ads_an_hour_the_fourth_is_blocked_and_after_the_hour_there_are_more(world):
    async with world.session() as session:
        shown = [await session.check_frequency_cap("u", limit=3) for _ in range(4)]
        assert shown == [True, True, True, False]
        assert await session.check_frequency_cap("other", limit=3)
        world.clock.go(HOUR_MS - 1)
        assert not await session.check_frequency_cap("u", limit=3)
        world.clock.go(1)
        assert await session.check_frequency_cap("u", limit=3)


async def test_a_thousand_less_two_fifty_leaves_the_rest_until_it_is_exhausted_at_nothing(world):
    await world.put("c1", 1000)
    async with world.session() as session:
        spent = await session.track_budget("c1", Decimal("2.50"))
        assert spent == Spend(accepted=True, budget=budget(2.5, 997.5))
        assert spent.budget.remaining == Decimal("997.50")
        over = await session.track_budget("c1", Decimal("997.51"))
        assert over == Spend(accepted=False, budget=budget(2.5, 997.5))
        last = await session.track_budget("c1", Decimal("997.50"))
        exhausted = budget(1000, 0, state=BudgetState.EXHAUSTED)
        assert last == Spend(accepted=True, budget=exhausted)
        assert await session.get_budget("c1") == exhausted


async def test_a_campaign_without_a_limit_has_no_rest(world):
    await world.put("c1")
    assert await world.state.track_spend("c1", 500_000) == Spend(
        accepted=True, budget=budget(0.5, None)
    )


async def test_what_is_held_is_told_and_is_not_left(world):
    await world.put("c1", 10)
    caps = Caps(world.backend, world.campaigns, world.clock)
    reservations = Reservations(world.backend, world.campaigns, caps, world.clock)
    spec = ReservationSpec(reservation_id="r", campaign_id="c1", amount=usd(4), ttl=seconds(60))
    await reservations.reserve([spec])
    assert await world.state.get_budget("c1") == budget(0, 6, reserved=4)


async def test_a_campaign_that_is_paused_can_not_pay_though_money_is_left(world):
    await world.put("c1", 10, status=CampaignStatus.CAMPAIGN_STATUS_PAUSED)
    told = await world.state.get_budget("c1")
    assert told == budget(0, 10, state=BudgetState.EXHAUSTED)


async def test_what_another_process_puts_is_seen_at_once(world):
    with pytest.raises(CampaignNotFound):
        await world.state.get_budget("c1")
    await world.put("c1", 10)
    assert await world.state.get_budget("c1") == budget(0, 10)
    await world.put("c1", 20)
    assert (await world.state.track_spend("c1", 0)).budget == budget(0, 20)


@pytest.mark.parametrize("call", ["track_spend", "get_budget"])
async def test_a_campaign_that_nobody_put_is_not_found(world, call):
    more = [1] if call == "track_spend" else []
    with pytest.raises(CampaignNotFound) as caught:
        await getattr(world.state, call)("c9", *more)
    assert caught.value.metadata == {"campaign_id": "c9"}


@pytest.mark.parametrize("calls", [0, 1, 2])
async def test_while_the_store_is_away_nobody_says_that_money_was_spent(world, calls):
    """Also where the campaign would let pass: a session has no way to say that nothing counted."""
    await world.put("c1", 10, budget_fail_policy=FailPolicy.FAIL_POLICY_FAIL_OPEN)
    await world.state.get_budget("c1")
    world.backend.leave_after(calls)
    with pytest.raises(StoreAway, match="the store is away"):
        await world.state.track_spend("c1", 1_000_000)
    world.backend.come_back()
    assert await world.state.get_budget("c1") == budget(0, 10)


@pytest.mark.parametrize("calls", [0, 1])
async def test_while_the_store_is_away_no_budget_is_told(world, calls):
    await world.put("c1", 10)
    await world.state.get_budget("c1")
    world.backend.leave_after(calls)
    with pytest.raises(StoreAway, match="the store is away") as caught:
        await world.state.get_budget("c1")
    assert caught.value.retry_after == 1.0


async def test_while_the_store_is_away_no_impression_is_allowed(world):
    world.backend.leave_after()
    async with world.session() as session:
        assert not await session.check_frequency_cap("u", limit=3)
        world.backend.come_back()
        assert await session.check_frequency_cap("u", limit=3)


@pytest.mark.parametrize("seed", range(3))
async def test_a_store_answers_sessions_as_the_state_in_the_process_does(seed):
    world, chance = World(), random.Random(seed)
    memory = InMemoryState(lambda: world.clock.now_ms * 1_000_000)
    await world.put("c1", 5)
    memory.put_campaign("c1", Decimal(5))
    windows = ["hour", "day", "week", "lifetime", "session", timedelta(seconds=90)]
    for _ in range(300):
        world.clock.go(chance.choice((0, 1_000, 60_000, HOUR_MS // 2)))
        user, visit = chance.choice(("", "u1", "u2")), chance.choice(("v1", "v2"))
        asked = user, chance.randrange(5), chance.choice(windows), visit
        expected = await memory.check_and_increment(*asked)
        assert await world.state.check_and_increment(*asked) is expected, asked
        micros = chance.randrange(60_000)
        assert await world.state.track_spend("c1", micros) == await memory.track_spend("c1", micros)
    assert (await memory.get_budget("c1")).spent_micros > 4_000_000
    assert await world.state.get_budget("c1") == await memory.get_budget("c1")
