"""Reservations: held once, resolved once, and never more than is there."""

from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from state.play import DAY, HOUR, T0
from state.settings import World, candidate, cap, outcome, seconds, told, usd, when
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import (
    BudgetPeriod,
    BudgetRefusalReason,
    CpmCost,
    FrequencyHold,
    ReservationSpec,
    ReservationState,
)
from xsp.state.v1.campaign_key_pb2 import CampaignKey
from xsp.state.v1.campaign_pb2 import CampaignStatus, Flight, Pacing, PacingMode
from xsp.state.v1.frequency_pb2 import CapDenial, CapScope, CapSubject, Subject
from xsp.state.v1.guarantee_pb2 import DecisionSource, Durability, FailPolicy
from xsp.state.v1.state_service_pb2 import (
    ReservationCommit,
    ResetFrequencyRequest,
    TrackSpendRequest,
)
from xsp_server.errors import InvalidRequest
from xsp_server.state.audit import Audit, Difference
from xsp_server.state.backend import AMOUNT_MAX, StateBackend, StoreAway
from xsp_server.state.faults import (
    CampaignNotFound,
    Overflow,
    ReservationIdReused,
    ReservationNotFound,
    ReservationResolved,
    TooManyItems,
)
from xsp_server.state.ledger import ledger_of
from xsp_server.state.reservations import DEFAULT_TTL_MS, MAX_RESERVATIONS
from xsp_server.state.sqlite import SqliteBackend

TOTAL = BudgetPeriod.BUDGET_PERIOD_TOTAL
DAILY = BudgetPeriod.BUDGET_PERIOD_DAILY
EURO = Money(currency="EUR", micros=1)
PAUSED = CampaignStatus.CAMPAIGN_STATUS_PAUSED
OPEN = FailPolicy.FAIL_POLICY_FAIL_OPEN
CUSTOM = CapScope.CAP_SCOPE_CUSTOM
BOTH = CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD
NOON = "2026-03-14 12:00:00"


def shown_to(user="u", home="", *caps, **more) -> FrequencyHold:
    subject = Subject(user_id=user, household_id=home)
    return FrequencyHold(subject=subject, candidate=candidate("", *caps, **more))


def where(result) -> str:
    """Where a reservation stands."""
    return ReservationState.Name(result.reservation.state).removeprefix("RESERVATION_STATE_")


async def money_of(world: World, id_: str = "c1") -> tuple[float, float]:
    """Spent and reserved."""
    budget = await world.budget(id_)
    return told(budget.spent), told(budget.reserved)


async def count_of(world: World, user: str = "u", *, held: bool = False) -> int:
    """Impressions of a user that are counted, or held."""
    counters = await world.backend.counters(f"user/{user}", world.clock())
    return sum(each.held if held else each.counted for each in counters)


async def limit_of(world: World, period: "BudgetPeriod.ValueType" = DAILY):
    """How a limit of the campaign stands."""
    [found] = [each for each in (await world.budget()).limits if each.period == period]
    return found


def spend_of(id_: str, micros: int) -> TrackSpendRequest:
    return TrackSpendRequest(campaign_id=id_, amount=Money(currency="USD", micros=micros))


# Held


async def test_what_is_held_is_not_there_for_others(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    held = await world.reserve("r", 6)
    assert (outcome(held), where(held), held.replayed) == ("RESERVED", "HELD", False)
    assert held.reservation.amount == usd(6)
    assert held.reservation.campaign_id == "c1"
    assert (told(held.budget.reserved), told(held.budget.remaining)) == (6, 4)
    refused = await world.reserve("s", 4.000001)
    assert outcome(refused) == "REFUSED_BUDGET"
    assert refused.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT
    assert refused.refusal.period == TOTAL
    assert (refused.refusal.asked, refused.refusal.available) == (usd(4.000001), usd(4))
    assert not refused.HasField("reservation")
    assert not (await world.spend("c1", 5)).accepted
    assert outcome(await world.reserve("t", 4)) == "RESERVED"
    assert await money_of(world) == (0, 10)


async def test_the_same_again_repeats_the_answer_and_holds_nothing_more(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10, caps=[cap(2)])
    first = await world.reserve("r", 4, frequency=shown_to())
    world.clock.go(1000)
    await world.spend("c1", 5)
    again = await world.reserve("r", 4, frequency=shown_to())
    assert again.replayed
    assert (again.outcome, again.reservation, again.budget) == (
        first.outcome,
        first.reservation,
        first.budget,
    )
    assert again.frequency.allowed
    assert again.basis.durability == Durability.DURABILITY_UNSPECIFIED
    assert await money_of(world) == (5, 4)
    assert await count_of(world, held=True) == 1


async def test_the_same_id_with_other_content_is_refused_with_what_differs(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    await world.reserve("r", 4, frequency=shown_to("secret-1"))
    reused = await world.reserve("r", 5, ttl=seconds(60), frequency=shown_to("secret-2"))
    assert isinstance(reused, ReservationIdReused)
    assert reused.metadata == {
        "amount.micros": "first '4000000', now '5000000'",
        "ttl": f"first nothing, now {str(seconds(60))!r}",
        "frequency.subject": "differs",
    }
    assert await money_of(world) == (0, 4)


async def test_a_refusal_is_repeated_as_well(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=1)
    first = await world.reserve("r", 2)
    await world.put(total=5)
    again = await world.reserve("r", 2)
    assert (outcome(again), again.replayed) == ("REFUSED_BUDGET", True)
    assert again.refusal.reason == first.refusal.reason
    assert outcome(await world.reserve("s", 2)) == "RESERVED"


async def test_what_is_held_stays_so_when_it_is_asked_for_again_of_a_paused_campaign():
    world = World()
    await world.put(total=10)
    await world.reserve("r", 4)
    await world.put(total=10, status=PAUSED)
    again = await world.reserve("r", 4)
    assert (outcome(again), again.replayed, where(again)) == ("RESERVED", True, "HELD")
    assert await money_of(world) == (0, 4)
    assert outcome(await world.commit("r", 3)) == "COMMITTED"
    assert await money_of(world) == (3, 0)


async def test_what_is_repeated_after_it_was_resolved_tells_how(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10, caps=[cap(5)])
    for id_ in ("spent", "back", "late"):
        await world.reserve(id_, 1, frequency=shown_to())
    await world.commit("spent", 0.5)
    await world.release("back")
    world.clock.go(DEFAULT_TTL_MS)
    for id_, state in (("spent", "COMMITTED"), ("back", "RELEASED"), ("late", "EXPIRED")):
        again = await world.reserve(id_, 1, frequency=shown_to())
        assert (outcome(again), again.replayed, where(again)) == ("RESERVED", True, state)
        assert again.reservation.HasField("committed") == (state == "COMMITTED")
        assert again.reservation.HasField("resolve_time")
    assert await money_of(world) == (0.5, 0)
    assert (await count_of(world), await count_of(world, held=True)) == (1, 0)


async def test_each_sees_what_those_before_it_left():
    world = World()
    await world.put(total=5)
    specs = [
        ReservationSpec(reservation_id=str(place), campaign_id="c1", amount=usd(2))
        for place in range(4)
    ]
    told_ = [outcome(each) for each in await world.reservations.reserve(specs)]
    assert told_ == ["RESERVED", "RESERVED", "REFUSED_BUDGET", "REFUSED_BUDGET"]


async def test_a_capped_one_is_not_in_the_way_of_those_after_it():
    world = World()
    await world.put(total=4, caps=[cap(1)])
    await world.reserve("seen", frequency=shown_to())
    plain = {"campaign_id": "c1", "amount": usd(2)}
    specs = [
        ReservationSpec(reservation_id="a", **plain),
        ReservationSpec(reservation_id="b", **plain, frequency=shown_to()),
        ReservationSpec(reservation_id="c", **plain),
    ]
    told_ = [outcome(each) for each in await world.reservations.reserve(specs)]
    assert told_ == ["RESERVED", "REFUSED_FREQUENCY", "RESERVED"]


async def test_one_that_can_t_be_held_fails_alone():
    world = World()
    await world.put(total=4)
    await world.put("full")
    await world.budgets.spend(spend_of("full", AMOUNT_MAX))
    specs = [
        ReservationSpec(reservation_id="a", campaign_id="c1", amount=usd(1)),
        ReservationSpec(reservation_id="b", campaign_id="gone", amount=usd(1)),
        ReservationSpec(reservation_id="c", campaign_key=CampaignKey(cid="gone"), amount=usd(1)),
        ReservationSpec(reservation_id="d", campaign_id="full", amount=usd(1)),
        ReservationSpec(reservation_id="e", campaign_key=CampaignKey(cid="c1"), amount=usd(1)),
    ]
    a, b, c, d, e = await world.reservations.reserve(specs)
    assert (outcome(a), outcome(e)) == ("RESERVED", "RESERVED")
    assert [(id_, type(error)) for id_, error in (b, c, d)] == [
        ("b", CampaignNotFound),
        ("c", CampaignNotFound),
        ("d", Overflow),
    ]
    assert await money_of(world) == (0, 2)


# Committed


@pytest.mark.parametrize("units", [0, 2.5, 6, None])
async def test_a_commit_spends_what_was_spent_and_gives_back_the_rest(
    backend: StateBackend, units: float | None
):
    world = World(backend=backend)
    await world.put(total=10)
    await world.reserve("r", 6)
    world.clock.go(1000)
    result = await world.commit("r", units)
    spent = 6 if units is None else units
    assert (outcome(result), where(result), result.replayed) == ("COMMITTED", "COMMITTED", False)
    assert (result.reservation.amount, result.reservation.committed) == (usd(6), usd(spent))
    assert result.reservation.resolve_time.seconds * 1000 == T0 + 1000
    assert (told(result.budget.spent), told(result.budget.remaining)) == (spent, 10 - spent)
    assert await money_of(world) == (spent, 0)


async def test_the_same_commit_again_repeats_the_first_answer(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    await world.reserve("r", 6)
    first = await world.commit("r", 4)
    world.clock.go(HOUR)
    again = await world.commit("r", 4)
    assert again.replayed
    assert (again.outcome, again.reservation) == (first.outcome, first.reservation)
    assert await money_of(world) == (4, 0)


async def test_each_reservation_is_resolved_once(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    for id_ in "ab":
        await world.reserve(id_, 2)
    await world.commit("a")
    await world.release("b")
    for again in (await world.commit("a", 1), await world.release("a")):
        assert isinstance(again, ReservationResolved)
        assert again.metadata == {"state": "COMMITTED"}
    again = await world.commit("b")
    assert isinstance(again, ReservationResolved)
    assert again.metadata == {"state": "RELEASED"}
    assert await money_of(world) == (2, 0)


async def test_more_than_is_held_needs_to_be_allowed_and_room_in_the_limits(backend: StateBackend):
    world = World(backend=backend)
    await world.put("top", total=9)
    await world.put(total=20, parent_id="top")
    await world.reserve("r", 6)
    wrong = await world.commit("r", 7)
    assert isinstance(wrong, InvalidRequest)
    assert wrong.violations[0].path == "amount"
    poor = await world.commit("r", 9.5, allow_more=True)
    assert (outcome(poor), where(poor)) == ("REFUSED_COMMIT", "HELD")
    assert poor.refusal.campaign_id == "top"
    assert (poor.refusal.asked, poor.refusal.available) == (usd(9.5), usd(3))
    assert poor.basis.durability == Durability.DURABILITY_UNSPECIFIED
    assert await money_of(world) == (0, 6)
    rich = await world.commit("r", 9, allow_more=True)
    assert outcome(rich) == "COMMITTED"
    assert await money_of(world) == await money_of(world, "top") == (9, 0)


async def test_what_is_refused_more_can_still_be_committed_for_what_is_held():
    world = World()
    await world.put(total=6)
    await world.reserve("r", 6)
    assert outcome(await world.commit("r", 7, allow_more=True)) == "REFUSED_COMMIT"
    assert outcome(await world.commit("r")) == "COMMITTED"
    assert await money_of(world) == (6, 0)


async def test_pacing_does_not_hold_a_commit_back():
    world = World(NOON)
    pacing = Pacing(mode=PacingMode.PACING_MODE_EVEN, lookahead=seconds(0))
    await world.put(daily=24, pacing=pacing)
    await world.reserve("r", 12)
    assert outcome(await world.commit("r", 13, allow_more=True)) == "COMMITTED"
    assert outcome(await world.reserve("s", 1)) == "REFUSED_BUDGET"


async def test_a_late_commit_is_good_for_as_long_as_the_money_remains(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    await world.reserve("r", 6)
    await world.reserve("s", 4)
    world.clock.go(DEFAULT_TTL_MS)
    await world.spend("c1", 3)
    late = await world.commit("r")
    assert (outcome(late), where(late)) == ("COMMITTED_LATE", "COMMITTED")
    assert late.reservation.committed == usd(6)
    assert await money_of(world) == (9, 0)
    again = await world.commit("r")
    assert (outcome(again), again.replayed) == ("COMMITTED_LATE", True)
    poor = await world.commit("s")
    assert (outcome(poor), where(poor)) == ("REFUSED_COMMIT", "EXPIRED")
    assert poor.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT
    assert poor.refusal.available == usd(1)
    assert outcome(await world.commit("s", 1)) == "COMMITTED_LATE"
    assert await money_of(world) == (10, 0)


async def test_an_impression_that_comes_late_is_counted_without_asking(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10, caps=[cap(1)])
    await world.reserve("r", 1, frequency=shown_to())
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.reserve("s", 1, frequency=shown_to())) == "RESERVED"
    await world.commit("s")
    assert outcome(await world.commit("r")) == "COMMITTED_LATE"
    assert await count_of(world) == 2
    assert await money_of(world) == (2, 0)


async def test_paused_campaigns_still_pay_for_what_is_held():
    world = World()
    await world.put(total=10)
    await world.reserve("r", 4)
    await world.put(total=10, status=PAUSED)
    assert outcome(await world.commit("r")) == "COMMITTED"


async def test_a_commit_counts_only_what_its_reservation_holds():
    world = World()
    await world.put(total=10)
    await world.put("free", caps=[cap(1)])
    await world.reserve("r", 4)
    await world.reserve("s", by="free", frequency=shown_to())
    euros = await world.commit("r", cpm=CpmCost(cpm=EURO))
    assert isinstance(euros, InvalidRequest)
    money = await world.commit("s", 1)
    assert isinstance(money, InvalidRequest)
    by_cpm = await world.commit("r", cpm=CpmCost(cpm=usd(2500)))
    assert by_cpm.reservation.committed == usd(2.5)
    seen = await world.commit("s")
    assert (outcome(seen), seen.HasField("budget")) == ("COMMITTED", False)
    assert await count_of(world) == 1


# Released, and expired


async def test_a_release_gives_back_money_and_impressions(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10, caps=[cap(1)])
    await world.reserve("r", 10, frequency=shown_to())
    result = await world.release("r")
    assert (outcome(result), where(result)) == ("RELEASED", "RELEASED")
    assert told(result.budget.remaining) == 10
    assert await count_of(world, held=True) == 0
    again = await world.release("r")
    assert (outcome(again), again.replayed) == ("RELEASED", True)
    assert again.reservation == result.reservation
    assert outcome(await world.reserve("s", 10, frequency=shown_to())) == "RESERVED"


async def test_silence_gives_back_when_the_time_has_come(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10, caps=[cap(1)])
    held = await world.reserve("r", 10, frequency=shown_to(), ttl=seconds(30))
    assert held.reservation.expire_time.seconds * 1000 == T0 + 30_000
    world.clock.go(29_999)
    assert outcome(await world.reserve("s", 1)) == "REFUSED_BUDGET"
    world.clock.go(1)
    assert await money_of(world) == (0, 0)
    result = await world.release("r")
    assert (outcome(result), where(result)) == ("ALREADY_EXPIRED", "EXPIRED")
    assert result.reservation.resolve_time == held.reservation.expire_time
    assert outcome(await world.reserve("t", 10, frequency=shown_to())) == "RESERVED"


@pytest.mark.parametrize(
    ("told_", "own", "expected"),
    [
        (None, None, DEFAULT_TTL_MS),
        (None, 90, 90_000),
        (1, 90, 1000),
        (86_400, None, DAY),
    ],
)
async def test_it_holds_as_long_as_it_says_else_its_campaign_else_the_server(told_, own, expected):
    world = World()
    await world.put(**{"reservation_ttl": seconds(own)} if own else {})
    held = await world.reserve("r", 1, **{"ttl": seconds(told_)} if told_ else {})
    expires = held.reservation.expire_time
    assert expires.seconds * 1000 + expires.nanos // 1_000_000 == T0 + expected


async def test_ids_are_known_for_a_day_after_they_are_resolved():
    world = World()
    await world.put(total=10)
    await world.reserve("r", 4)
    world.clock.go(1000)
    await world.commit("r")
    world.clock.go(DAY - 1)
    assert (await world.commit("r")).replayed
    assert isinstance(await world.reserve("r", 5), ReservationIdReused)
    world.clock.go(1)
    assert isinstance(await world.commit("r"), ReservationNotFound)
    assert isinstance(await world.release("r"), ReservationNotFound)
    new = await world.reserve("r", 5)
    assert (outcome(new), new.replayed) == ("RESERVED", False)


async def test_what_was_never_held_can_t_be_resolved():
    world = World()
    await world.put(total=1, caps=[cap(0)])
    await world.put("paused", status=PAUSED)
    assert outcome(await world.reserve("poor", 2)) == "REFUSED_BUDGET"
    assert outcome(await world.reserve("capped", 1, frequency=shown_to())) == "REFUSED_FREQUENCY"
    assert outcome(await world.reserve("stopped", 1, by="paused")) == "REFUSED_BUDGET"
    for id_ in ("poor", "capped", "stopped", "never"):
        assert isinstance(await world.commit(id_), ReservationNotFound)
        assert isinstance(await world.release(id_), ReservationNotFound)


async def test_held_reservations_of_a_campaign_are_found_page_by_page():
    world = World()
    await world.put("top")
    await world.put(parent_id="top")
    specs = [
        ReservationSpec(reservation_id=f"{place:03}", campaign_id=id_, amount=usd(1))
        for place, id_ in enumerate(["c1", "top"] * 130)
    ]
    await world.reservations.reserve(specs)
    await world.release("000")
    held = await world.reservations.held_by(world.campaigns.get("c1"))
    assert held == [f"{place:03}" for place in range(2, 260, 2)]


# Money and caps together


async def test_money_and_impressions_are_both_held_or_neither(backend: StateBackend):
    world = World(backend=backend)
    both = cap(1, subject=BOTH)
    await world.put(total=4, caps=[both])
    assert outcome(await world.reserve("a", 2, frequency=shown_to("u", "h"))) == "RESERVED"
    capped = await world.reserve("b", 2, frequency=shown_to("v", "h"))
    assert outcome(capped) == "REFUSED_FREQUENCY"
    assert capped.frequency.denied_by.subject == CapSubject.CAP_SUBJECT_HOUSEHOLD
    assert capped.frequency.denied_by.denial == CapDenial.CAP_DENIAL_LIMIT
    assert not capped.HasField("reservation")
    assert (told(capped.budget.reserved), told(capped.budget.remaining)) == (2, 2)
    assert await money_of(world) == (0, 2)
    assert await count_of(world, "v", held=True) == 0
    poor = await world.reserve("c", 3, frequency=shown_to("w", "i"))
    assert outcome(poor) == "REFUSED_BUDGET"
    assert not poor.HasField("frequency")
    assert await count_of(world, "w", held=True) == 0
    again = await world.reserve("b", 2, frequency=shown_to("v", "h"))
    assert (outcome(again), again.replayed) == ("REFUSED_FREQUENCY", True)
    assert outcome(await world.reserve("d", 2, frequency=shown_to("v", "i"))) == "RESERVED"


async def test_a_reservation_may_be_of_impressions_alone(backend: StateBackend):
    world = World(backend=backend)
    own = cap(2, scope=CUSTOM, custom_scope="x")
    held = await world.reserve(
        "r", by="", frequency=shown_to("u", "", own, impressions=2), ttl=seconds(60)
    )
    assert (outcome(held), held.reservation.impressions) == ("RESERVED", 2)
    assert not held.reservation.HasField("amount")
    assert not held.HasField("budget")
    assert held.frequency.candidate_id == "r"
    assert await count_of(world, held=True) == 2
    refused = await world.reserve("s", by="", frequency=shown_to("u", "", own))
    assert outcome(refused) == "REFUSED_FREQUENCY"
    done = await world.commit("r")
    assert (outcome(done), done.HasField("budget")) == ("COMMITTED", False)
    assert (await world.commit("r")).replayed
    assert await count_of(world) == 2


async def test_impressions_alone_are_given_back_and_counted_late_as_well():
    world = World()
    own = cap(1, scope=CUSTOM, custom_scope="x")
    await world.reserve("a", by="", frequency=shown_to("u", "", own))
    assert outcome(await world.release("a")) == "RELEASED"
    await world.reserve("b", by="", frequency=shown_to("u", "", own))
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("b")) == "COMMITTED_LATE"
    assert await count_of(world) == 1


async def test_a_reservation_that_nothing_limits_is_resolved_like_any_other():
    world = World()
    for id_ in "ab":
        assert outcome(await world.reserve(id_, by="", frequency=shown_to())) == "RESERVED"
    assert outcome(await world.commit("a")) == "COMMITTED"
    assert outcome(await world.release("b")) == "RELEASED"
    assert isinstance(await world.release("a"), ReservationResolved)
    await world.reserve("c", by="", frequency=shown_to())
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("c")) == "COMMITTED_LATE"


async def test_a_campaign_without_money_to_hold_still_caps():
    world = World()
    await world.put(total=0, caps=[cap(1)])
    assert outcome(await world.reserve("a", frequency=shown_to())) == "RESERVED"
    assert outcome(await world.reserve("b", frequency=shown_to())) == "REFUSED_FREQUENCY"
    released = await world.release("a")
    assert (outcome(released), released.HasField("budget")) == ("RELEASED", False)
    assert outcome(await world.reserve("c", frequency=shown_to())) == "RESERVED"


async def test_who_is_not_known_is_refused_before_any_store_is_asked():
    world = World()
    await world.put(total=5, caps=[cap(3)])
    refused = await world.reserve("r", 1, frequency=shown_to(""))
    assert outcome(refused) == "REFUSED_FREQUENCY"
    assert refused.frequency.denied_by.denial == CapDenial.CAP_DENIAL_SUBJECT_MISSING
    assert await money_of(world) == (0, 0)
    again = await world.reserve("r", 1, frequency=shown_to(""))
    assert (outcome(again), again.replayed) == ("REFUSED_FREQUENCY", True)


async def test_without_frequency_the_caps_of_a_campaign_are_not_looked_at():
    world = World()
    await world.put(total=5, caps=[cap(0)])
    result = await world.reserve("r", 1)
    assert (outcome(result), result.HasField("frequency")) == ("RESERVED", False)


async def test_counts_that_were_forgotten_meanwhile_are_counted_anew_at_the_commit():
    world = World()
    await world.put(total=5, caps=[cap(1)])
    await world.reserve("r", 1, frequency=shown_to())
    request = ResetFrequencyRequest(request_id="x", subject=Subject(user_id="u"))
    assert await world.caps.reset(request) == 1
    assert outcome(await world.commit("r")) == "COMMITTED"
    assert await count_of(world) == 1


async def test_caps_that_change_meanwhile_change_nothing_of_what_is_held():
    world = World()
    await world.put(total=5, caps=[cap(2)])
    for id_ in ("r", "s"):
        await world.reserve(id_, 1, frequency=shown_to("u", "h"))
    homes = cap(1, subject=CapSubject.CAP_SUBJECT_HOUSEHOLD)
    await world.put(total=5, caps=[homes])
    again = await world.reserve("r", 1, frequency=shown_to("u", "h"))
    assert (outcome(again), again.replayed) == ("RESERVED", True)
    assert outcome(await world.commit("r")) == "COMMITTED"
    assert await count_of(world) == 1
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("s")) == "COMMITTED_LATE"
    assert await money_of(world) == (2, 0)
    assert outcome(await world.reserve("t", 1, frequency=shown_to("u", "h"))) == "RESERVED"


# Parents, limits, times


async def test_all_levels_hold_or_none_does(backend: StateBackend):
    world = World(backend=backend)
    await world.put("top", total=10)
    await world.put("mid", total=6, parent_id="top")
    await world.put("c1", total=20, parent_id="mid")
    assert outcome(await world.reserve("a", 5)) == "RESERVED"
    refused = await world.reserve("b", 2)
    assert (outcome(refused), refused.refusal.campaign_id) == ("REFUSED_BUDGET", "mid")
    for id_ in ("top", "mid", "c1"):
        assert await money_of(world, id_) == (0, 5)
    await world.commit("a", 3)
    for id_ in ("top", "mid", "c1"):
        assert await money_of(world, id_) == (3, 0)


@pytest.mark.parametrize(
    ("resolve", "spent"),
    [
        (lambda world: world.commit("r", 3), 3),
        (lambda world: world.commit("r"), 4),
        (lambda world: world.commit("r", 5, allow_more=True), 5),
        (lambda world: world.release("r"), 0),
    ],
    ids=["less", "equal", "more", "released"],
)
async def test_a_campaign_put_elsewhere_in_its_tree_resolves_where_it_held(
    tmp_path: Path, resolve, spent
):
    """Its parent of then counts what it held, and no more: its limit asks for nothing else."""
    store = SqliteBackend(tmp_path / "state.db")
    world = World(NOON, store)
    await world.put("top", total=10)
    await world.put("mid", total=4, parent_id="top")
    await world.put("c1", parent_id="mid")
    await world.reserve("r", 4)
    await world.put("c1", parent_id="top")
    assert outcome(await resolve(world)) in ("COMMITTED", "RELEASED")
    assert await money_of(world) == await money_of(world, "top") == (spent, 0)
    assert await money_of(world, "mid") == (min(spent, 4), 0)
    assert outcome(await world.reserve("s", 10 - spent)) == "RESERVED"
    async with ledger_of(f"sqlite:///{tmp_path / 'state.db'}") as opened:
        run = Audit(opened, world.clock())
        assert [each async for each in run.run() if isinstance(each, Difference)] == []
    assert all(each.proven for each in await store.audit())
    await store.close()


async def test_a_late_commit_of_a_campaign_in_another_tree_is_refused():
    """What it held is over, and the book that knows it is not the one that pays now."""
    world = World()
    await world.put("old", total=10)
    await world.put("new", total=3)
    await world.put(parent_id="old")
    await world.reserve("r", 2)
    await world.reserve("s", 2)
    world.clock.go(DEFAULT_TTL_MS)
    await world.put(parent_id="new")
    assert isinstance(await world.commit("r"), ReservationNotFound)
    await world.spend("c1", 3)
    released = await world.release("s")
    assert (outcome(released), told(released.budget.spent)) == ("ALREADY_EXPIRED", 3)
    for id_, spent in (("c1", 3), ("new", 3), ("old", 0)):
        assert await money_of(world, id_) == (spent, 0)


async def test_a_late_commit_is_counted_where_the_campaign_stands_now():
    world = World()
    await world.put("top")
    await world.put("mid", parent_id="top")
    await world.put("c1", parent_id="mid")
    await world.reserve("r", 4)
    await world.put("c1", parent_id="top")
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("r")) == "COMMITTED_LATE"
    assert [await money_of(world, id_) for id_ in ("c1", "mid", "top")] == [(4, 0), (0, 0), (4, 0)]


async def test_a_refused_late_commit_is_repeated_though_the_tree_has_changed():
    world = World()
    await world.put("top", total=5)
    await world.put("mid", parent_id="top")
    await world.put("c1", parent_id="mid")
    await world.spend("c1", 1)
    await world.reserve("r", 2)
    assert outcome(await world.commit("r", 9, allow_more=True)) == "REFUSED_COMMIT"
    await world.put("c1", parent_id="top")
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("r", 9, allow_more=True)) == "REFUSED_COMMIT"
    assert await money_of(world) == (1, 0)


async def test_a_reservation_belongs_to_the_day_and_hour_in_which_it_was_made(
    backend: StateBackend,
):
    world = World("2026-03-14 23:59:00", backend)
    await world.put(daily=10, hourly=8)
    await world.reserve("r", 8)
    assert outcome(await world.reserve("s", 1)) == "REFUSED_BUDGET"
    world.clock.go(60_000)
    today = await limit_of(world)
    assert (told(today.reserved), told(today.remaining)) == (0, 10)
    assert today.resets_at == when("2026-03-16")
    assert outcome(await world.reserve("t", 8)) == "RESERVED"
    assert outcome(await world.commit("r", 7)) == "COMMITTED"
    today = await limit_of(world)
    assert (told(today.spent), told(today.reserved)) == (0, 8)
    assert await money_of(world) == (7, 8)


async def test_more_than_is_held_needs_room_in_the_day_it_was_held_in():
    world = World("2026-03-14 23:59:00")
    await world.put(daily=10)
    await world.spend("c1", 5)
    await world.reserve("r", 4)
    world.clock.go(60_000)
    refused = await world.commit("r", 6, allow_more=True)
    assert outcome(refused) == "REFUSED_COMMIT"
    assert refused.refusal.period == DAILY
    assert outcome(await world.commit("r", 5, allow_more=True)) == "COMMITTED"
    assert told((await limit_of(world)).spent) == 0


async def test_a_late_commit_belongs_to_the_day_in_which_it_came():
    world = World("2026-03-14 23:59:00")
    await world.put(daily=10)
    await world.reserve("r", 4)
    world.clock.go(DEFAULT_TTL_MS)
    assert outcome(await world.commit("r")) == "COMMITTED_LATE"
    assert told((await limit_of(world)).spent) == 4


async def test_lowered_limits_refuse_what_is_new_and_not_what_is_held(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    await world.spend("c1", 4)
    await world.reserve("r", 3)
    await world.reserve("s", 2)
    await world.put(total=5)
    limit = await limit_of(world, TOTAL)
    assert [told(each) for each in (limit.limit, limit.spent, limit.reserved)] == [5, 4, 5]
    assert told(limit.remaining) == 0
    assert outcome(await world.reserve("t", 0.000001)) == "REFUSED_BUDGET"
    assert outcome(await world.commit("r")) == "COMMITTED"
    assert outcome(await world.commit("s", 2.000001, allow_more=True)) == "REFUSED_COMMIT"
    assert outcome(await world.commit("s", 1)) == "COMMITTED"
    assert await money_of(world) == (8, 0)


@pytest.mark.parametrize("parent", [False, True])
async def test_campaigns_that_may_not_run_hold_nothing(parent):
    world = World(NOON)
    flight = Flight(start_time=when("2026-03-15"), end_time=when("2026-03-16"))
    stops = {
        "paused": {"status": PAUSED},
        "early": {"flights": [flight]},
        "over": {"flights": [Flight(end_time=when("2026-03-14"))]},
    }
    for name, settings in stops.items():
        await world.put(name, total=5, **settings)
        if parent:
            await world.put(f"of {name}", parent_id=name)
    results = {
        name: await world.reserve(name, 1, by=f"of {name}" if parent else name) for name in stops
    }
    reasons = [BudgetRefusalReason.Name(each.refusal.reason)[22:] for each in results.values()]
    assert reasons == ["PAUSED", "NOT_IN_FLIGHT", "NOT_IN_FLIGHT"]
    for name, result in results.items():
        assert outcome(result) == "REFUSED_BUDGET"
        assert result.refusal.campaign_id == name
        assert (result.refusal.asked, result.refusal.available) == (usd(1), usd(0))
    assert results["early"].refusal.frees_at == when("2026-03-15")
    assert not results["over"].refusal.HasField("frees_at")
    world.clock.go(12 * HOUR)
    assert (await world.reserve("early", 1, by="of early" if parent else "early")).replayed
    assert outcome(await world.reserve("new", 1, by="early")) == "RESERVED"


# While the store is away


async def test_while_the_store_is_away_nothing_is_held_and_the_policies_decide():
    world = World()
    await world.put("closed", total=5)
    await world.put("open", total=5, budget_fail_policy=OPEN, caps=[cap(1, fail_policy=OPEN)])
    await world.put("capped", total=5, budget_fail_policy=OPEN, caps=[cap(1)])
    await world.put("paused", total=5, budget_fail_policy=OPEN, status=PAUSED)
    world.backend.leave_after()
    closed = await world.reserve("a", 1, by="closed")
    assert outcome(closed) == "REFUSED_BUDGET"
    assert closed.refusal.reason == BudgetRefusalReason.BUDGET_REFUSAL_REASON_STORE_AWAY
    assert closed.refusal.asked == usd(1)
    assert not closed.HasField("budget")
    assert closed.basis.source == DecisionSource.DECISION_SOURCE_FAIL_CLOSED
    passed = await world.reserve("b", 1, by="open", frequency=shown_to())
    assert (outcome(passed), passed.HasField("reservation")) == ("PASSED_OPEN", False)
    assert passed.frequency.allowed
    assert passed.basis.source == DecisionSource.DECISION_SOURCE_FAIL_OPEN
    assert passed.basis.failure == "the store is away"
    capped = await world.reserve("c", 1, by="capped", frequency=shown_to())
    assert outcome(capped) == "REFUSED_FREQUENCY"
    assert capped.frequency.denied_by.denial == CapDenial.CAP_DENIAL_STORE_AWAY
    for id_ in "ab":
        with pytest.raises(StoreAway):
            await world.commit(id_)
    world.backend.come_back()
    for id_ in "abc":
        assert isinstance(await world.commit(id_), ReservationNotFound)


@pytest.mark.parametrize("at_once", [False, True])
async def test_also_while_the_store_is_away_what_is_paused_is_not_served(at_once):
    world = World()
    await world.put("paused", total=5, budget_fail_policy=OPEN, status=PAUSED)
    await world.put("open", total=5, budget_fail_policy=OPEN)
    world.backend.leave_after()
    specs = [
        ReservationSpec(reservation_id=id_, campaign_id=id_, amount=usd(1))
        for id_ in ("paused", "open")
    ]
    if at_once:
        paused, passed = await world.reservations.reserve_at_once(specs, 30)
    else:
        paused, passed = await world.reservations.reserve(specs)
    assert (outcome(paused), outcome(passed)) == ("REFUSED_BUDGET", "PASSED_OPEN")


async def test_a_store_that_was_never_there_can_t_be_asked():
    world = World()
    world.backend.leave_after()
    with pytest.raises(StoreAway):
        await world.reserve("r", 1)


async def test_a_store_that_leaves_within_a_call_leaves_the_rest_to_the_policies():
    world = World()
    await world.put(total=5, caps=[cap(9)])
    specs = [
        ReservationSpec(
            reservation_id=str(place), campaign_id="c1", amount=usd(1), frequency=shown_to()
        )
        for place in range(3)
    ]
    world.backend.leave_after(5)  # the version of the campaigns, three books, and one of the next
    told_ = [outcome(each) for each in await world.reservations.reserve(specs)]
    assert told_ == ["RESERVED", "REFUSED_BUDGET", "REFUSED_BUDGET"]


# What may be said


@pytest.mark.parametrize(
    ("told_", "path"),
    [
        ({"id_": ""}, "reservation_id"),
        ({"id_": "é"}, "reservation_id"),
        ({"id_": "x" * 129}, "reservation_id"),
        ({"units": None}, "amount"),
        ({"by": ""}, "campaign_id"),
        ({"units": 0}, "amount.micros"),
        ({"units": -1}, "amount.micros"),
        ({"units": None, "cpm": CpmCost(cpm=usd(0.000001))}, "cpm.cpm.micros"),
        ({"units": None, "cpm": CpmCost()}, "cpm.cpm"),
        ({"units": None, "cpm": CpmCost(cpm=EURO)}, "cpm.cpm.currency"),
        ({"ttl": seconds(0.999)}, "ttl"),
        ({"ttl": Duration(seconds=86_400, nanos=1_000_000)}, "ttl"),
        ({"frequency": shown_to("u", "", cap())}, "frequency.candidate.caps[0].limit"),
        ({"frequency": shown_to(impressions=0)}, "frequency.candidate.impressions"),
    ],
)
async def test_what_a_reservation_may_not_say_is_told_with_its_path(told_, path):
    world = World()
    await world.put(total=10)
    with pytest.raises(InvalidRequest) as refused:
        await world.reserve(**{"id_": "r", "units": 1, **told_})
    assert refused.value.violations[0].path == f"reservations[0].{path}"
    assert await money_of(world) == (0, 0)


async def test_one_that_could_not_be_kept_whole_is_refused():
    world = World()
    await world.put(total=10)
    scopes = {str(number): "x" * 1000 for number in range(16)}
    with pytest.raises(InvalidRequest) as refused:
        await world.reserve("r", 1, frequency=shown_to(custom_scopes=scopes))
    assert refused.value.violations[0].path == "reservations[0]"


async def test_a_call_names_each_reservation_once_and_not_too_many():
    world = World()
    reservations = world.reservations
    spec = ReservationSpec(reservation_id="r", campaign_id="c1", amount=usd(1))
    commit = ReservationCommit(reservation_id="r")
    for call, one in (
        (reservations.reserve, spec),
        (reservations.commit, commit),
        (reservations.release, "r"),
    ):
        with pytest.raises(InvalidRequest):
            await call([])
        with pytest.raises(InvalidRequest):
            await call([one, one])
        with pytest.raises(TooManyItems):
            await call([one] * (MAX_RESERVATIONS + 1))
    with pytest.raises(InvalidRequest) as refused:
        await reservations.release(["r", ""])
    assert refused.value.violations[0].path == "reservation_ids[1]"
    with pytest.raises(InvalidRequest) as refused:
        await reservations.commit([ReservationCommit()])
    assert refused.value.violations[0].path == "commits[0].reservation_id"


async def test_more_money_than_can_be_counted_fails_with_overflow():
    world = World()
    await world.put()
    await world.budgets.spend(spend_of("c1", AMOUNT_MAX - 5))
    full = await world.reserve("r", 1)
    assert isinstance(full, Overflow)
    much = Money(currency="USD", micros=AMOUNT_MAX + 1)
    [(_, error)] = await world.reservations.reserve(
        [ReservationSpec(reservation_id="s", campaign_id="c1", amount=much)]
    )
    assert isinstance(error, Overflow)
    few = Money(currency="USD", micros=5)
    await world.reservations.reserve(
        [ReservationSpec(reservation_id="t", campaign_id="c1", amount=few)]
    )
    more = ReservationCommit(reservation_id="t", amount=usd(1), allow_more=True)
    [(_, error)] = await world.reservations.commit([more])
    assert isinstance(error, Overflow)


async def test_a_campaign_deleted_since_can_t_be_charged():
    world = World()
    await world.put()
    await world.reserve("r", 1)
    world.clock.go(DEFAULT_TTL_MS)
    await world.campaigns.delete("c1")
    assert isinstance(await world.commit("r"), CampaignNotFound)


async def test_who_was_cut_off_before_anything_was_held_has_nothing_to_resolve():
    world = World()
    await world.put(total=5)
    world.backend.leave_after(2)  # the version of the campaigns, and the plan
    assert outcome(await world.reserve("r", 1)) == "REFUSED_BUDGET"
    world.backend.come_back()
    assert isinstance(await world.commit("r"), ReservationNotFound)
    assert isinstance(await world.release("r"), ReservationNotFound)
    assert outcome(await world.reserve("r", 1)) == "RESERVED"


async def test_one_that_is_forgotten_while_it_is_repeated_is_not_found():
    world = World()
    await world.put(total=5)
    await world.reserve("r", 1)
    world.clock.go(DEFAULT_TTL_MS + DAY - 1)
    apply = world.backend.apply

    async def slowly(*arguments):
        told_ = await apply(*arguments)
        world.clock.go(1)
        return told_

    world.backend.apply = slowly
    assert isinstance(await world.reserve("r", 1), ReservationNotFound)


async def test_who_was_cut_off_before_all_was_held_and_is_over_needs_an_id_of_its_own():
    world = World()
    await world.put(total=5, caps=[cap(1)])
    world.backend.leave_after(4)  # the version of the campaigns, the plan, the room, the money
    assert outcome(await world.reserve("r", 1, frequency=shown_to())) == "REFUSED_BUDGET"
    world.backend.come_back()
    assert await money_of(world) == (0, 1)
    world.clock.go(DEFAULT_TTL_MS)
    over = await world.reserve("r", 1, frequency=shown_to())
    assert isinstance(over, ReservationNotFound)
    assert await money_of(world) == (0, 0)
