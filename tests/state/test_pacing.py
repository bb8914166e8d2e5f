"""Pacing: what a plan allows, exactly."""

import pytest

from state.settings import World, outcome, seconds, told, when
from xsp.state.v1.budget_pb2 import BudgetRefusalReason
from xsp.state.v1.campaign_pb2 import Flight, Pacing, PacingMode, PacingPeriod, PacingPoint
from xsp_server.state.pacing import FULL, Plan, first_moment, merged

EVEN = PacingMode.PACING_MODE_EVEN
CURVE = PacingMode.PACING_MODE_CURVE
STRAIGHT = ((0, 0), (FULL, FULL))


def test_evenly_no_more_than_the_share_of_the_time_that_has_passed():
    plan = Plan(1000, ((0, 100),), STRAIGHT, 0)
    assert [plan.allows(at) for at in (0, 1, 50, 99, 100, 1000)] == [0, 10, 500, 990, 1000, 1000]


def test_shares_are_rounded_down():
    assert Plan(10, ((0, 3),), STRAIGHT, 0).allows(1) == 3


def test_the_plan_is_told_for_so_much_later():
    assert Plan(1000, ((100, 200),), STRAIGHT, 10).allows(100) == 100
    assert Plan(1000, ((100, 200),), STRAIGHT, 10).allows(0) == 0


def test_a_curve_is_straight_between_its_points_and_may_jump():
    plan = Plan(1000, ((0, 100),), ((0, 0), (0, 100_000), (500_000, 600_000), (FULL, FULL)), 0)
    assert [plan.allows(at) for at in (0, 25, 50, 75, 100)] == [100, 350, 600, 800, 1000]


def test_time_between_flights_does_not_count():
    plan = Plan(1000, ((0, 100), (500, 600)), STRAIGHT, 0)
    assert [plan.allows(at) for at in (50, 100, 300, 500, 550)] == [250, 500, 500, 500, 750]


def test_spans_that_meet_are_one():
    assert merged([(5, 9), (0, 3), (3, 4), (6, 7)]) == ((0, 4), (5, 9))


def test_the_moment_at_which_a_plan_allows_an_amount():
    plan = Plan(1000, ((0, 100),), STRAIGHT, 0)
    assert plan.allows_at(500, 0) == 50
    assert plan.allows_at(1001, 0) == 0
    assert first_moment(5, 4, bool) == 0


@pytest.mark.parametrize("period", [PacingPeriod.PACING_PERIOD_UNSPECIFIED, 1])
async def test_pacing_holds_reservations_back_and_not_what_is_tracked(period):
    world = World("2026-03-02T12:00:00")
    pacing = Pacing(mode=EVEN, period=period, lookahead=seconds(0))
    await world.put(daily=240, pacing=pacing)
    assert outcome(await world.reserve("r1", 120)) == "RESERVED"
    assert await world.state() == "PACED"
    budget = await world.budget()
    assert (told(budget.remaining), told(budget.spendable)) == (120, 0)
    assert budget.resumes_at.seconds - budget.as_of.seconds < 2
    refused = await world.reserve("r2", 10)
    assert outcome(refused) == "REFUSED_BUDGET"
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_PACING
    assert refused.refusal.frees_at == when("2026-03-02T13:00:00")
    assert told(refused.refusal.available) == 0
    assert (await world.spend("c1", 10)).accepted
    world.clock.go(2 * 3_600_000)  # by now 140 may be out, the reservation has expired
    assert await world.state() == "ACTIVE"
    assert told((await world.budget()).spendable) == 130


async def test_what_pacing_never_allows_in_its_day_frees_never():
    world = World("2026-03-02T12:00:00")
    await world.put(daily=24, pacing=Pacing(mode=EVEN, lookahead=seconds(0)), total=1000)
    refused = await world.reserve("r1", 24.0)
    assert refused.refusal.frees_at == when("2026-03-03T00:00:00")
    refused = await world.reserve("r2", 25)
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT


async def test_pacing_over_flights_spreads_the_total():
    world = World("2026-03-02T00:00:00")
    flights = [Flight(start_time=when("2026-03-01"), end_time=when("2026-03-11"))]
    points = [PacingPoint(elapsed_ppm=100_000, spend_ppm=500_000)]
    pacing = Pacing(mode=CURVE, curve=points, lookahead=seconds(0), period=2)
    await world.put(total=100, daily=80, flights=flights, pacing=pacing)
    assert told((await world.budget()).spendable) == 50
    plan = world.campaigns.get("c1").plan(world.clock())
    assert plan.spans == ((1772323200000, 1773187200000),)


async def test_without_a_word_the_plan_looks_a_minute_ahead():
    world = World("2026-03-02T00:00:00")
    await world.put(daily=1440, pacing=Pacing(mode=EVEN))
    assert told((await world.budget()).spendable) == 1
