"""Budgets: what was spent, what remains, and who can pay."""

import asyncio
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.clock import Clock
from state.play import HOUR, T0
from state.settings import World, at, cap, outcome, seconds, told, usd, when
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import (
    BudgetPeriod,
    BudgetRefusalReason,
    BudgetState,
    BudgetStatus,
    CpmCost,
)
from xsp.state.v1.campaign_pb2 import CampaignStatus, Flight, Pacing, PacingMode
from xsp.state.v1.guarantee_pb2 import DecisionSource, Durability, FailPolicy
from xsp.state.v1.state_service_pb2 import TrackSpendRequest
from xsp_server.errors import InvalidRequest, MissingField
from xsp_server.openrtb.money import to_decimal
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import AMOUNT_MAX, Book, Entry, Kind, Move, StateBackend, StoreAway
from xsp_server.state.backend import apply_all as apply_to_all
from xsp_server.state.budgets import BudgetTracker
from xsp_server.state.faults import CampaignNotFound, Overflow, RequestIdReused
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.messages import amount_of, cost_of
from xsp_server.state.windows import FOREVER

PAUSED = CampaignStatus.CAMPAIGN_STATUS_PAUSED
OPEN = FailPolicy.FAIL_POLICY_FAIL_OPEN
TOTAL = BudgetPeriod.BUDGET_PERIOD_TOTAL
DAILY = BudgetPeriod.BUDGET_PERIOD_DAILY
HOURLY = BudgetPeriod.BUDGET_PERIOD_HOURLY
NOON = "2026-03-14 12:00:00"
EVENLY = Pacing(mode=PacingMode.PACING_MODE_EVEN, lookahead=seconds(0))


async def spend_all(world: World, id_: str, micros: int):
    request = TrackSpendRequest(
        campaign_id=id_, amount=Money(currency="USD", micros=micros), request_id=""
    )
    return await world.budgets.spend(request)


def limits_of(budget: BudgetStatus) -> dict[int, tuple[float, float, float, float]]:
    """Limit, spent, reserved and remaining by period."""
    return {
        each.period: (
            told(each.limit),
            told(each.spent),
            told(each.reserved),
            told(each.remaining),
        )
        for each in budget.limits
    }


# In a few words


async def test_a_thousand_less_two_fifty_leaves_997_50_and_0_00_is_exhausted(
    backend: StateBackend,
):
    tracker = BudgetTracker(backend, Clock())
    await tracker.put_campaign("c1", Decimal("1000.00"))
    spent = await tracker.track_spend("c1", Decimal("2.50"))
    assert str(spent.remaining) == "997.50"
    assert (spent.accepted, spent.spent, spent.reserved) == (True, Decimal("2.50"), 0)
    assert (spent.currency, spent.state) == ("USD", "ACTIVE")
    refused = await tracker.track_spend("c1", Decimal("997.51"))
    assert (refused.accepted, refused.remaining) == (False, Decimal("997.50"))
    spent = await tracker.track_spend("c1", Decimal("997.50"))
    assert (str(spent.remaining), spent.state) == ("0.00", "EXHAUSTED")
    assert not (await tracker.track_spend("c1", Decimal("0.000001"))).accepted
    assert (await tracker.get_budget("c1")).spent == 1000


async def test_a_tracker_repeats_nothing_that_has_an_id():
    tracker = BudgetTracker(World().backend, Clock())
    await tracker.put_campaign("c1", None, currency="EUR")
    for _ in range(2):
        told_ = await tracker.track_spend("c1", Decimal(3), request_id="r")
    assert (told_.spent, told_.remaining, told_.currency) == (3, None, "EUR")
    with pytest.raises(RequestIdReused):
        await tracker.track_spend("c1", Decimal(4), request_id="r")
    await tracker.track_spend("c1", Decimal(3))
    assert (await tracker.get_budget("c1")).spent == 6


@pytest.mark.parametrize("amount", ["0.0000001", "NaN", "Infinity", "1e13", "-1e30", "-1"])
async def test_a_tracker_takes_whole_micros_only(amount):
    tracker = BudgetTracker(World().backend, Clock())
    await tracker.put_campaign("c1", None)
    with pytest.raises(InvalidRequest):
        await tracker.track_spend("c1", Decimal(amount))
    with pytest.raises(InvalidRequest):
        await tracker.put_campaign("c1", Decimal(amount))
    assert (await tracker.get_budget("c1")).spent == 0


async def test_a_tracker_tells_what_it_can_t_do():
    world = World()
    tracker = BudgetTracker(world.backend, world.clock)
    for call in (tracker.get_budget("c1"), tracker.track_spend("c1", Decimal(1))):
        with pytest.raises(CampaignNotFound):
            await call
    await tracker.put_campaign("c1", Decimal(5))
    for call in (tracker.get_budget, lambda id_: tracker.track_spend(id_, Decimal(1))):
        for calls in range(2):  # away at the campaigns, or at the money
            world.backend.leave_after(calls)
            with pytest.raises(StoreAway):
                await call("c1")
            world.backend.come_back()
    world.backend.leave_after(2)
    with pytest.raises(StoreAway):
        await tracker.track_spend("c1", Decimal(1))
    world.backend.come_back()
    assert (await tracker.get_budget("c1")).spent == 0


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (100_000, "0.10"),
        (997_500_000, "997.50"),
        (1_234_500, "1.2345"),
    ],
)
def test_amounts_have_two_decimals_at_least(micros, text):
    assert str(to_decimal(micros)) == text


# Spent at once


async def test_limit_is_spent_and_reserved_and_remaining(backend: StateBackend):
    world = World(NOON, backend)
    await world.put(total=100, daily=20, hourly=10)
    await world.spend("c1", 3)
    await world.reserve("r", 4)
    budget = await world.budget()
    assert (told(budget.spent), told(budget.reserved), told(budget.remaining)) == (3, 4, 3)
    assert limits_of(budget) == {
        TOTAL: (100, 3, 4, 93),
        DAILY: (20, 3, 4, 13),
        HOURLY: (10, 3, 4, 3),
    }
    ends = [each.HasField("resets_at") and each.resets_at for each in budget.limits]
    assert ends == [False, when("2026-03-15"), when("2026-03-14 13:00")]
    assert budget.as_of == when(NOON)


async def test_all_of_it_is_spent_or_nothing(backend: StateBackend):
    world = World(backend=backend)
    await world.put("top", total=9)
    await world.put("c1", total=10, parent_id="top")
    assert (await world.spend("c1", 8)).amount == usd(8)
    refused = await world.spend("c1", 1.000001)
    assert not refused.accepted
    assert not refused.HasField("amount")
    assert refused.refusal.campaign_id == "top"
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT
    assert (refused.refusal.period, refused.refusal.available) == (TOTAL, usd(1))
    assert refused.basis.durability == Durability.DURABILITY_UNSPECIFIED
    for id_ in ("c1", "top"):
        assert told((await world.budget(id_)).spent) == 8
    parents = (await world.budget()).parents
    assert [(each.campaign_id, limits_of(each)) for each in parents] == [
        ("top", {TOTAL: (9, 8, 0, 1)})
    ]


async def test_the_same_request_again_spends_once(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    first = await world.spend("c1", 4, "r")
    await world.spend("c1", 5)
    world.clock.go(HOUR - 1)
    again = await world.spend("c1", 4, "r")
    assert again.replayed
    assert (again.accepted, again.amount, again.budget) == (True, first.amount, first.budget)
    with pytest.raises(RequestIdReused) as reused:
        await world.spend("c1", 3, "r")
    assert reused.value.metadata == {"amount.micros": "first '4000000', now '3000000'"}
    assert told((await world.budget()).spent) == 9
    world.clock.go(1)
    assert not (await world.spend("c1", 4, "r")).replayed


async def test_a_refusal_is_repeated_too_also_where_the_tree_has_changed():
    world = World()
    await world.put("top", total=5)
    await world.put("mid", parent_id="top")
    await world.put("c1", parent_id="mid")
    await world.spend("c1", 1)
    assert (await world.spend("c1", 5, "r")).refusal.campaign_id == "top"
    again = await world.spend("c1", 5, "r")
    assert (again.replayed, again.refusal.campaign_id) == (True, "top")
    await world.put("c1", parent_id="top")
    again = await world.spend("c1", 5, "r")
    assert (again.replayed, again.accepted) == (True, False)
    assert told((await world.budget()).spent) == 1


async def test_only_hard_limits_refuse_what_is_tracked():
    world = World(NOON)
    over = [Flight(end_time=when("2026-03-14"))]
    await world.put("paused", total=5, status=PAUSED)
    await world.put("over", total=5, flights=over)
    await world.put("paced", daily=5, pacing=EVENLY)
    for id_ in ("paused", "over", "paced"):
        assert (await world.spend(id_, 5)).accepted
        assert not (await world.spend(id_, 1)).accepted


async def test_nothing_may_be_spent_of_0_and_0_always_may():
    world = World()
    await world.put(total=0)
    assert (await world.spend("c1", 0)).accepted
    refused = await world.spend("c1", 0.000001)
    assert not refused.accepted
    assert not refused.refusal.HasField("frees_at")


async def test_a_limit_that_comes_later_finds_what_was_spent_before():
    world = World(NOON)
    await world.put()
    await world.spend("c1", 3)
    budget = await world.budget()
    assert not budget.HasField("remaining")
    assert not budget.HasField("spendable")
    assert not budget.limits
    await world.put(total=10, daily=4, hourly=2)
    assert limits_of(await world.budget()) == {
        TOTAL: (10, 3, 0, 7),
        DAILY: (4, 3, 0, 1),
        HOURLY: (2, 3, 0, 0),
    }
    assert not (await world.spend("c1", 0.1)).accepted


async def test_the_sequence_grows_with_each_movement_and_with_nothing_else():
    world = World()
    await world.put(total=5)
    seen = [(await world.budget()).sequence]
    assert seen == [0]
    seen += [(await world.spend("c1", units)).budget.sequence for units in (1, 1, 9)]
    assert seen[1] < seen[2] == seen[3] == (await world.budget()).sequence


async def test_what_would_be_more_than_can_be_counted_is_refused_as_overflow():
    world = World()
    await world.put()
    assert (await spend_all(world, "c1", AMOUNT_MAX)).accepted
    with pytest.raises(Overflow):
        await spend_all(world, "c1", 1)
    with pytest.raises(Overflow):
        await spend_all(world, "c1", AMOUNT_MAX + 1)


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (TrackSpendRequest(amount=usd(1)), "campaign_id"),
        (TrackSpendRequest(campaign_id="c1"), "amount"),
        (TrackSpendRequest(campaign_id="c1", amount=usd(-1)), "amount.micros"),
        (TrackSpendRequest(campaign_id="c1", amount=Money(micros=1)), "amount.currency"),
        (TrackSpendRequest(campaign_id="c1", cpm=CpmCost()), "cpm.cpm"),
        (TrackSpendRequest(campaign_id="c1", cpm=CpmCost(cpm=usd(-1))), "cpm.cpm.micros"),
        (
            TrackSpendRequest(campaign_id="c1", cpm=CpmCost(cpm=Money(currency="EUR"))),
            "cpm.cpm.currency",
        ),
        (
            TrackSpendRequest(campaign_id="c1", cpm=CpmCost(cpm=usd(1), impressions_micros=-1)),
            "cpm.impressions_micros",
        ),
    ],
)
async def test_what_a_spend_may_not_say_is_told_with_its_path(request_, path):
    world = World()
    await world.put()
    with pytest.raises(InvalidRequest) as refused:
        await world.budgets.spend(request_)
    assert refused.value.violations[0].path == path


async def test_no_campaign_no_spend():
    with pytest.raises(CampaignNotFound):
        await World().spend("c1", 1)
    with pytest.raises(MissingField):
        await World().budgets.spend(TrackSpendRequest(amount=usd(1)))


# CPM


@pytest.mark.parametrize(
    ("cpm", "impressions", "cost"),
    [
        (2_500_000, 1_000_000, 2_500),
        (1_500, 1_000_000, 2),  # 1.5
        (2_500, 1_000_000, 2),  # 2.5
        (2_501, 1_000_000, 3),
        (500, 1_000_000, 0),  # 0.5
        (5_000_000, 30_300_000, 151_500),  # a DOOH play
        (10**18, 10**12, 10**21),
    ],
)
def test_a_cpm_is_rounded_once_half_to_even(cpm, impressions, cost):
    assert cost_of(cpm, impressions) == cost


@given(cpm=st.integers(0, 2**63 - 1), impressions=st.integers(0, 2**63 - 1))
def test_a_cpm_is_worked_out_exactly(cpm, impressions):
    assert cost_of(cpm, impressions) == round(Fraction(cpm * impressions, 10**9))


@given(half=st.integers(0, 10**12))
def test_a_half_goes_to_the_even_one(half):
    assert cost_of(500 + 1000 * half, 1_000_000) == half + half % 2


def test_a_cpm_is_of_one_impression_where_no_number_is_told():
    request = TrackSpendRequest(cpm=CpmCost(cpm=usd(2500)))
    assert amount_of(request, "USD") == 2_500_000
    request.cpm.impressions_micros = 0
    assert amount_of(request, "USD") == 0


async def test_a_batch_is_rounded_as_a_whole():
    world = World()
    await world.put(total=1)
    cpm = CpmCost(cpm=Money(currency="USD", micros=1_400), impressions_micros=10_000_000)
    request = TrackSpendRequest(campaign_id="c1", cpm=cpm)
    assert (await world.budgets.spend(request)).amount.micros == 14


# Days and hours


async def test_days_and_hours_start_again(backend: StateBackend):
    world = World("2026-03-14 23:30:00", backend)
    await world.put(total=100, daily=5, hourly=3)
    await world.spend("c1", 3)
    refused = await world.spend("c1", 1)
    assert refused.refusal.period == HOURLY
    assert refused.refusal.frees_at == when("2026-03-15")
    world.clock.now_ms = at("2026-03-15")
    assert (await world.spend("c1", 3)).accepted
    world.clock.go(HOUR)
    refused = await world.spend("c1", 2.5)
    assert (refused.refusal.period, refused.refusal.frees_at) == (DAILY, when("2026-03-16"))
    assert (await world.spend("c1", 2)).accepted
    assert limits_of(await world.budget())[TOTAL] == (100, 8, 0, 92)


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-03-08 12:00", "2026-03-09 04:00"),  # the day of 23 hours, which began at 05:00
        ("2026-11-01 12:00", "2026-11-02 05:00"),  # the day of 25 hours
        ("2026-03-14 03:59", "2026-03-14 04:00"),
    ],
)
async def test_a_day_is_that_of_the_campaign_s_time_zone(now, ends):
    world = World(now)
    await world.put(daily=5, time_zone="America/New_York")
    await world.spend("c1", 5)
    [limit] = (await world.budget()).limits
    assert limit.resets_at == when(ends)
    world.clock.now_ms = at(ends) - 1
    assert not (await world.spend("c1", 5)).accepted
    world.clock.go(1)
    assert (await world.spend("c1", 5)).accepted


async def test_an_hour_that_comes_twice_has_its_money_twice():
    world = World("2026-11-01 05:30")  # 01:30 in New York, for the first time
    await world.put(hourly=5, time_zone="America/New_York")
    assert (await world.spend("c1", 5)).accepted
    world.clock.now_ms = at("2026-11-01 05:59")
    assert not (await world.spend("c1", 1)).accepted
    world.clock.go(60_000)
    assert (await world.spend("c1", 5)).accepted


async def test_an_hour_is_that_of_the_clock_also_where_it_is_apart_by_a_part():
    world = World("2026-03-14 12:00")  # 17:45 in Kathmandu
    await world.put(hourly=5, time_zone="Asia/Kathmandu")
    await world.spend("c1", 5)
    [limit] = (await world.budget()).limits
    assert limit.resets_at == when("2026-03-14 12:15")


async def test_each_level_has_the_days_of_its_own_time_zone():
    world = World("2026-03-14 20:00")
    await world.put("top", daily=5)
    await world.put("c1", daily=3, time_zone="Asia/Tokyo", parent_id="top")
    await world.spend("c1", 3)
    world.clock.now_ms = at("2026-03-14 23:00")
    refused = await world.spend("c1", 3)
    assert refused.refusal.campaign_id == "c1"
    assert refused.refusal.frees_at == when("2026-03-15 15:00")
    world.clock.now_ms = at("2026-03-15 00:00")
    assert not (await world.spend("c1", 1)).accepted  # in Tokyo it is 9 in the morning
    world.clock.now_ms = at("2026-03-15 15:00")
    assert (await world.spend("c1", 3)).accepted


# States

LATER = [Flight(start_time=when("2026-03-15"), end_time=when("2026-03-16"))]
OVER = [Flight(end_time=when("2026-03-14"))]


async def test_of_several_states_the_first_of_the_list_is_told():
    world = World(NOON)
    everything = {"total": 5, "daily": 5, "hourly": 5}
    await world.put("top", total=5)
    await world.spend("top", 5)
    await world.put("c1")
    await world.spend("c1", 5)
    for state, settings in (
        ("PAUSED", {**everything, "status": PAUSED, "flights": OVER}),
        ("ENDED", {**everything, "flights": OVER}),
        ("NOT_STARTED", {**everything, "flights": LATER}),
        ("EXHAUSTED", everything),
        ("EXHAUSTED_DAILY", {"daily": 5, "hourly": 5}),
        ("EXHAUSTED_HOURLY", {"hourly": 5}),
        ("ACTIVE", {"total": 6}),
        ("ACTIVE", {}),
    ):
        await world.put("c1", **settings)
        assert await world.state() == state


async def test_a_parent_stops_what_is_below_it():
    world = World(NOON)
    await world.put("top", total=10)
    await world.put("c1", total=5, parent_id="top")
    await world.reserve("r", 10, by="top")
    assert await world.state() == "RESERVED"
    await world.commit("r")
    assert await world.state() == "EXHAUSTED_PARENT"
    for state, settings in (
        ("PAUSED", {"status": PAUSED}),
        ("ENDED", {"flights": OVER}),
        ("NOT_STARTED", {"flights": LATER}),
    ):
        await world.put("top", total=10, **settings)
        assert await world.state() == state
        assert told((await world.budget()).spendable) == 0
    assert told((await world.budget()).remaining) == 0


@pytest.mark.parametrize(
    ("settings", "state", "resumes"),
    [
        ({"total": 5}, "EXHAUSTED", None),
        ({"daily": 5}, "EXHAUSTED_DAILY", "2026-03-15"),
        ({"hourly": 5}, "EXHAUSTED_HOURLY", "2026-03-14 13:00"),
        ({"daily": 5, "hourly": 5}, "EXHAUSTED_DAILY", "2026-03-15"),
        ({"total": 9, "flights": LATER}, "NOT_STARTED", "2026-03-15"),
        ({"hourly": 5, "flights": LATER}, "NOT_STARTED", "2026-03-15"),
        ({"total": 9, "flights": OVER}, "ENDED", None),
        ({"hourly": 5, "status": PAUSED}, "PAUSED", None),
        ({"daily": 0}, "EXHAUSTED_DAILY", None),
        ({"daily": 9.6, "pacing": EVENLY}, "PACED", "2026-03-14 12:30:00.009"),
        ({"total": 9}, "ACTIVE", None),
    ],
)
async def test_it_is_told_when_it_is_likely_to_pay_again(settings, state, resumes):
    world = World(NOON)
    await world.put()
    await world.spend("c1", 5)
    await world.put(**settings)
    budget = await world.budget()
    assert BudgetState.Name(budget.state) == f"BUDGET_STATE_{state}"
    assert (budget.resumes_at if budget.HasField("resumes_at") else None) == (
        resumes and when(resumes)
    )


async def test_a_parent_that_paces_tells_when_what_is_below_it_pays_again():
    world = World(NOON)
    await world.put("top", daily=24, pacing=EVENLY)
    await world.put("c1", total=100, parent_id="top")
    await world.spend("c1", 13)
    budget = await world.budget()
    assert budget.state == BudgetState.BUDGET_STATE_PACED
    assert budget.resumes_at == when("2026-03-14 13:00:00.004")  # 1 micro takes 3.6 ms


async def test_a_spendable_amount_is_what_pacing_of_any_level_lets_be_spent():
    world = World(NOON)
    await world.put("top", daily=20, pacing=EVENLY)
    await world.put("c1", daily=40, parent_id="top")
    await world.spend("c1", 4)
    budget = await world.budget()
    assert (told(budget.remaining), told(budget.spendable)) == (16, 6)
    refused = await world.reserve("r", 7)
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_PACING
    assert refused.refusal.campaign_id == "top"
    assert (refused.refusal.period, refused.refusal.available) == (0, usd(6))


# While the store is away


@pytest.mark.parametrize("calls", [0, 1], ids=["at the campaigns", "at the money"])
async def test_while_the_store_is_away_a_spend_follows_the_campaign_s_policy(calls):
    world = World()
    await world.put("closed", total=5)
    await world.put("open", total=5, budget_fail_policy=OPEN)
    world.backend.leave_after(calls)
    refused = await world.spend("closed", 1)
    assert not refused.accepted
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_STORE_AWAY
    assert not refused.refusal.HasField("available")
    assert not refused.HasField("budget")
    assert refused.basis.source == DecisionSource.DECISION_SOURCE_FAIL_CLOSED
    world.backend.leave_after(calls)
    passed = await world.spend("open", 1)
    assert (passed.accepted, passed.amount, passed.HasField("budget")) == (True, usd(1), False)
    assert passed.basis.source == DecisionSource.DECISION_SOURCE_FAIL_OPEN
    world.backend.come_back()
    for id_ in ("closed", "open"):
        assert told((await world.budget(id_)).spent) == 0


async def test_while_the_store_is_away_ids_and_limits_alone_are_known():
    world = World(NOON)
    await world.put("top", total=9)
    await world.put("c1", daily=5, hourly=0, parent_id="top")
    await world.spend("c1", 0)
    settings = world.campaigns.get("c1")
    world.backend.leave_after()
    budget, basis = await world.budgets.get(settings)
    assert budget == BudgetStatus(
        campaign_id="c1",
        as_of=when(NOON),
        limits=[
            {"period": DAILY, "limit": usd(5)},
            {"period": HOURLY, "limit": usd(0)},
        ],
        parents=[
            {
                "campaign_id": "top",
                "as_of": when(NOON),
                "limits": [{"period": TOTAL, "limit": usd(9)}],
            }
        ],
    )
    assert (basis.failure, basis.backend) == ("the store is away", "memory")
    failure = StoreAway("the store is away", retry_after=1)
    assert (budget, basis) == world.budgets.while_away(settings, failure)


# Many at once


async def test_many_campaigns_are_looked_at_as_each_alone(backend: StateBackend):
    world = World(NOON, backend)
    await world.put("top", total=9)
    await world.put("a", daily=5, parent_id="top")
    await world.put("b", total=3)
    await world.put("c", status=PAUSED, parent_id="top")
    await world.spend("a", 4)
    await world.spend("b", 3)
    ids = ["b", "a", "c", "top", "a"]
    standings = await world.budgets.look([world.campaigns.get(each) for each in ids])
    assert [each.pays for each in standings] == [False, True, False, True, True]
    for id_, standing in zip(ids, standings, strict=True):
        assert standing.status() == await world.budget(id_)
    assert await world.budgets.look([]) == []


async def test_looking_while_the_store_is_away_says_so():
    world = World()
    await world.put()
    world.backend.leave_after()
    with pytest.raises(StoreAway):
        await world.budgets.look([world.campaigns.get("c1")])


async def test_moves_of_many_books_are_all_done_each_in_order(backend: StateBackend):
    def add(units: int) -> Move:
        return Move(Kind.COUNT, (Entry("c", FOREVER, units),))

    books = [Book(name) for name in "abc"]
    for wanted in ({}, {books[0]: [add(1)]}, {each: [add(1), add(2)] for each in books}):
        told_ = await apply_to_all(backend, wanted, T0)
        assert {book: len(each) for book, each in told_.items()} == {
            book: len(each) for book, each in wanted.items()
        }
    assert [outcome_.numbers[0].counted for outcome_ in told_[books[0]]] == [2, 4]
    assert [outcome_.numbers[0].counted for outcome_ in told_[books[1]]] == [1, 3]


async def test_where_a_book_can_t_be_reached_the_others_are_done_before_that_is_told():
    class Apart(InMemoryBackend):
        in_process = False  # so that all books are asked at the same time

        async def apply(self, book: Book, *arguments):
            if book.name == "b":
                raise StoreAway("one node is away", retry_after=1)
            await asyncio.sleep(0)
            return await super().apply(book, *arguments)

    store = Apart()
    add = Move(Kind.COUNT, (Entry("c", FOREVER, 1),))
    with pytest.raises(StoreAway):
        await apply_to_all(store, {Book(name): [add] for name in "abc"}, T0)
    for name, counted in (("a", 1), ("c", 1)):
        [outcome_] = await store.apply(Book(name), [Move(Kind.CHECK, add.entries)], T0)
        assert outcome_.numbers[0].counted == counted


async def test_accounts_put_all_over_one_store_with_one_clock_and_policy():
    world = World()
    accounts = Accounts.over(
        world.backend, world.clock, fail_policy=OPEN, keep_ms=5_000, ttl_ms=7_000
    )
    world.campaigns, world.budgets = accounts.campaigns, accounts.budgets
    world.caps, world.reservations = accounts.caps, accounts.reservations
    await world.put(total=9, caps=[cap(1)])
    held = await world.reserve("r", 4)
    assert held.reservation.expire_time.seconds * 1000 == T0 + 7_000
    assert not (await world.spend("c1", 1, "s")).replayed
    world.clock.go(4_999)
    assert (await world.spend("c1", 1, "s")).replayed
    world.clock.go(1)
    assert not (await world.spend("c1", 1, "s")).replayed
    assert told((await world.budget()).spent) == 2
    world.backend.leave_after()
    assert outcome(await world.reserve("s", 1)) == "PASSED_OPEN"
    assert (await world.spend("c1", 1)).accepted
