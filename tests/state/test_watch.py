"""Watching budgets: how each stands, then what changed; nothing that still holds is missed."""

import pytest

from state.clock import Leaving
from state.settings import World, at, campaign, outcome, seconds, told, usd, when
from xsp.state.v1.budget_pb2 import BudgetChange, BudgetChangeKind, BudgetState
from xsp.state.v1.campaign_pb2 import CampaignStatus, Flight, Pacing, PacingMode
from xsp_server.state.backend import CampaignDocument, StateBackend, StoreAway
from xsp_server.state.reservations import DEFAULT_TTL_MS
from xsp_server.state.watch import LOOK_MS, Watch

PAUSED = CampaignStatus.CAMPAIGN_STATUS_PAUSED
NOON = "2026-03-14 12:00:00"


def watching(world: World, *ids: str, every: int = 0, states: bool = False) -> Watch:
    return Watch(
        world.backend,
        world.campaigns,
        world.clock,
        campaign_ids=ids,
        state_changes_only=states,
        min_interval_ms=every,
    )


def kinds(change: BudgetChange) -> list[str]:
    return [
        BudgetChangeKind.Name(each).removeprefix("BUDGET_CHANGE_KIND_") for each in change.kinds
    ]


def states(change: BudgetChange) -> tuple[str, str]:
    """The state before and after."""
    names = (BudgetState.Name(each) for each in (change.previous_state, change.budget.state))
    before, after = (each.removeprefix("BUDGET_STATE_") for each in names)
    return before, after


async def seen(watch: Watch) -> dict[str, list[str]]:
    """What happened to each campaign since the last look."""
    return {each.budget.campaign_id: kinds(each) for each in await watch.changes()}


async def test_first_how_each_stands_then_what_happens(backend: StateBackend):
    world = World(backend=backend)
    await world.put(total=10)
    await world.put("idle")
    await world.spend("c1", 1)
    watch = watching(world)
    first, idle = await watch.changes()
    assert (kinds(first), states(first)) == (["SNAPSHOT"], ("UNSPECIFIED", "ACTIVE"))
    assert first.budget == await world.budget()
    assert (idle.budget.campaign_id, kinds(idle)) == ("idle", ["SNAPSHOT"])
    assert await seen(watch) == {}
    await world.reserve("r", 4)
    assert await seen(watch) == {"c1": ["RESERVED"]}
    await world.spend("c1", 2)
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["SPENT"], ("ACTIVE", "ACTIVE"))
    assert (told(change.budget.spent), told(change.budget.remaining)) == (3, 3)
    await world.release("r")
    assert await seen(watch) == {"c1": ["RELEASED"]}
    await world.reserve("s", 4)
    await seen(watch)
    await world.commit("s")
    assert await seen(watch) == {"c1": ["SPENT"]}
    assert await seen(watch) == {}


async def test_who_stops_and_who_pays_again_is_told_with_the_state_before(backend: StateBackend):
    world = World(NOON, backend)
    await world.put(total=10)
    watch = watching(world)
    await watch.changes()
    await world.reserve("r", 10)
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["RESERVED", "STOPPED"], ("ACTIVE", "RESERVED"))
    await world.release("r")
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["RELEASED", "RESUMED"], ("RESERVED", "ACTIVE"))
    await world.spend("c1", 10)
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["SPENT", "STOPPED"], ("ACTIVE", "EXHAUSTED"))
    await world.put(total=11)
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["RESUMED", "CAMPAIGN_PUT"], ("EXHAUSTED", "ACTIVE"))


async def test_a_commit_of_less_is_spent_and_released():
    world = World()
    await world.put(total=10)
    watch = watching(world)
    await world.reserve("r", 6)
    await watch.changes()
    await world.commit("r", 2)
    assert await seen(watch) == {"c1": ["SPENT", "RELEASED"]}


async def test_what_happens_between_two_looks_is_merged():
    world = World()
    await world.put(total=10)
    watch = watching(world)
    await watch.changes()
    for _ in range(3):
        await world.spend("c1", 1)
    await world.reserve("r", 7)
    [change] = await watch.changes()
    assert kinds(change) == ["SPENT", "RESERVED", "STOPPED"]
    assert told(change.budget.spent) == 3


async def test_what_comes_and_goes_between_two_looks_is_not_told():
    world = World()
    await world.put(total=10)
    watch = watching(world)
    await watch.changes()
    await world.reserve("r", 10)
    await world.release("r")
    assert await seen(watch) == {}


async def test_expiry_is_told_though_nobody_moves_anything():
    world = World()
    await world.put(total=10)
    watch = watching(world)
    await world.reserve("r", 10)
    await watch.changes()
    world.clock.go(DEFAULT_TTL_MS - 1)
    assert await seen(watch) == {}
    world.clock.go(1)
    assert await seen(watch) == {"c1": ["RELEASED", "RESUMED"]}


@pytest.mark.parametrize(
    ("settings", "moment", "after"),
    [
        ({"daily": 5}, "2026-03-15", "ACTIVE"),
        ({"hourly": 5}, "2026-03-14 13:00", "ACTIVE"),
        ({"flights": [Flight(start_time=when("2026-03-15"))]}, "2026-03-15", "ACTIVE"),
        (
            {"daily": 9.6, "pacing": Pacing(mode=PacingMode.PACING_MODE_EVEN)},
            "2026-03-14 12:30",
            "ACTIVE",
        ),
    ],
)
async def test_what_only_time_changes_is_told_within_a_second(settings, moment, after):
    world = World(NOON)
    await world.put()
    await world.spend("c1", 5)
    await world.put(**settings)
    watch = watching(world)
    [snapshot] = await watch.changes()
    world.clock.now_ms = at(moment) - 60_001
    assert await seen(watch) == {}
    world.clock.now_ms = at(moment) + LOOK_MS
    [change] = await watch.changes()
    assert kinds(change) == ["RESUMED"]
    assert states(change) == (states(snapshot)[1], after)


async def test_a_campaign_that_ends_stops():
    world = World(NOON)
    await world.put(flights=[Flight(end_time=when("2026-03-15"))])
    watch = watching(world)
    await watch.changes()
    world.clock.now_ms = at("2026-03-15")
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["STOPPED"], ("ACTIVE", "ENDED"))


async def test_one_state_that_can_t_pay_after_another_is_told_as_well():
    """Nothing moved but what its parent has, or the time: it is told how the campaign stands."""
    world = World(NOON)
    await world.put("top", total=10)
    await world.put(parent_id="top")
    await world.put("late", total=0, flights=[Flight(start_time=when("2026-03-15"))])
    watch = watching(world, "c1", "late", states=True)
    await world.reserve("r", 10, by="top")
    assert [states(each)[1] for each in await watch.changes()] == ["RESERVED", "NOT_STARTED"]
    await world.commit("r")
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["SNAPSHOT"], ("RESERVED", "EXHAUSTED_PARENT"))
    world.clock.now_ms = at("2026-03-15")
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["SNAPSHOT"], ("NOT_STARTED", "EXHAUSTED"))
    assert await watch.changes() == []


async def test_two_changes_of_a_campaign_are_so_far_apart_unless_its_state_changes():
    world = World()
    await world.put(total=10)
    await world.put("c2", total=10)
    watch = watching(world, every=100)
    await watch.changes()
    await world.spend("c1", 1)
    world.clock.go(99)
    assert await seen(watch) == {}
    await world.spend("c1", 1)
    world.clock.go(1)
    [change] = await watch.changes()
    assert (kinds(change), told(change.budget.spent)) == (["SPENT"], 2)
    await world.spend("c1", 1)
    assert await seen(watch) == {}
    world.clock.go(50)
    await world.spend("c1", 7)
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["SPENT", "STOPPED"], ("ACTIVE", "EXHAUSTED"))
    assert told(change.budget.spent) == 10


async def test_what_was_held_back_is_told_later_though_nothing_moves_any_more():
    world = World()
    await world.put(total=10)
    watch = watching(world, every=300)
    await watch.changes()
    await world.spend("c1", 1)
    assert await seen(watch) == {}
    world.clock.go(299)
    assert await seen(watch) == {}
    world.clock.go(1)
    assert await seen(watch) == {"c1": ["SPENT"]}
    world.clock.go(300)
    assert await seen(watch) == {}


async def test_what_was_held_back_and_undone_is_not_told():
    world = World()
    await world.put(total=10)
    watch = watching(world, every=300)
    await watch.changes()
    await world.reserve("r", 1)
    assert await seen(watch) == {}
    await world.release("r")
    assert await seen(watch) == {}
    world.clock.go(300)
    assert await seen(watch) == {}


async def test_state_changes_alone_leave_movements_out():
    world = World()
    await world.put(total=10)
    watch = watching(world, states=True)
    assert await seen(watch) == {"c1": ["SNAPSHOT"]}
    await world.spend("c1", 4)
    await world.put(total=10, display_name="x")
    assert await seen(watch) == {}
    await world.spend("c1", 6)
    [change] = await watch.changes()
    assert kinds(change) == ["SPENT", "STOPPED", "CAMPAIGN_PUT"]
    assert states(change) == ("ACTIVE", "EXHAUSTED")


async def test_campaigns_are_told_as_they_are_put_and_deleted():
    world = World()
    watch = watching(world)
    assert await watch.changes() == []
    await world.put(total=10)
    assert await seen(watch) == {"c1": ["SNAPSHOT"]}
    await world.put(total=11)
    assert await seen(watch) == {"c1": ["CAMPAIGN_PUT"]}
    await world.put(status=PAUSED)
    assert await seen(watch) == {"c1": ["STOPPED", "CAMPAIGN_PUT"]}
    last = await world.budget()
    await world.campaigns.delete("c1")
    [change] = await watch.changes()
    assert (kinds(change), states(change)) == (["CAMPAIGN_DELETED"], ("PAUSED", "PAUSED"))
    assert change.budget == last
    assert await watch.changes() == []
    await world.put(total=10)
    assert await seen(watch) == {"c1": ["SNAPSHOT"]}


async def test_a_campaign_put_below_another_parent_or_made_anew_is_told_as_put():
    """Whatever the revisions of old and new: here their sums are the same."""
    world = World()
    await world.put("old")
    await world.put("old", total=9)
    await world.put("new", total=5)
    await world.put(parent_id="old")
    watch = watching(world, "c1")
    await watch.changes()
    await world.put(parent_id="new")
    [change] = await watch.changes()
    assert (kinds(change), told(change.budget.remaining)) == (["CAMPAIGN_PUT"], 5)
    await world.campaigns.delete("c1")
    world.clock.go(1)
    for _ in range(2):
        await world.put(parent_id="old")
    [change] = await watch.changes()
    assert (kinds(change), told(change.budget.remaining)) == (["CAMPAIGN_PUT"], 9)


@pytest.mark.parametrize("parent", ["b", "gone"])
async def test_a_campaign_that_raced_out_of_every_tree_does_not_end_the_watch_of_others(parent):
    world = World()
    await world.put("a")
    await world.put("b", parent_id="a")
    await world.put("c", total=5)
    watch = watching(world)
    await watch.changes()
    wrong = campaign("a", parent_id=parent)
    document = CampaignDocument("a", "", wrong.SerializeToString())
    await world.backend.put_campaign(document, world.clock())
    await world.spend("c", 1)
    assert await seen(watch) == {"c": ["SPENT"]}
    await world.put("a", total=7)
    assert await seen(watch) == {"a": ["CAMPAIGN_PUT"], "b": ["CAMPAIGN_PUT"]}


async def test_only_what_is_asked_for_is_told_and_an_id_may_be_one_to_come():
    world = World()
    for id_ in ("a", "b"):
        await world.put(id_, total=5)
    watch = watching(world, "b", "later")
    assert await seen(watch) == {"b": ["SNAPSHOT"]}
    await world.put("later", total=5)
    for id_ in ("a", "b"):
        await world.spend(id_, 1)
    assert await seen(watch) == {"b": ["SPENT"], "later": ["SNAPSHOT"]}
    await world.campaigns.delete("a")
    await world.campaigns.delete("later")
    assert await seen(watch) == {"later": ["CAMPAIGN_DELETED"]}


async def test_a_tree_is_looked_at_as_one_and_a_parent_put_anew_is_told_below_it():
    world = World()
    await world.put("top", total=10)
    await world.put("c1", total=10, parent_id="top")
    watch = watching(world)
    await watch.changes()
    await world.spend("c1", 1)
    assert await seen(watch) == {"c1": ["SPENT"], "top": ["SPENT"]}
    await world.put("top", total=1)
    told_ = {each.budget.campaign_id: each for each in await watch.changes()}
    assert kinds(told_["top"]) == kinds(told_["c1"]) == ["STOPPED", "CAMPAIGN_PUT"]
    assert states(told_["c1"]) == ("ACTIVE", "EXHAUSTED_PARENT")


async def test_what_other_processes_change_is_told(backend: StateBackend):
    here, there = World(backend=backend), World(backend=backend)
    await here.put(total=10)
    watch = watching(here)
    await watch.changes()
    await there.spend("c1", 4)
    assert await seen(watch) == {"c1": ["SPENT"]}
    await there.put("c2", total=5)
    await there.put(total=4)
    assert await seen(watch) == {"c1": ["STOPPED", "CAMPAIGN_PUT"], "c2": ["SNAPSHOT"]}
    await there.campaigns.delete("c2")
    assert await seen(watch) == {"c2": ["CAMPAIGN_DELETED"]}


async def test_while_nothing_moves_no_campaign_is_read_again():
    store = Leaving()
    world = World(backend=store)
    for place in range(5):
        await world.put(str(place), total=5)
    watch = watching(world)
    await watch.changes()
    before = store.calls
    world.clock.go(LOOK_MS - 1)
    assert await watch.changes() == []
    assert store.calls - before == 1 + 5  # the campaigns' version, and each tree's sequence
    world.clock.go(1)
    assert await watch.changes() == []
    assert store.calls - before == 2 * (1 + 5) + 5


async def test_while_the_store_is_away_nothing_is_lost():
    world = World()
    await world.put(total=10)
    watch = watching(world)
    await watch.changes()
    await world.spend("c1", 4)
    for calls in range(3):
        world.backend.leave_after(calls)
        with pytest.raises(StoreAway):
            await watch.changes()
        world.backend.come_back()
    [change] = await watch.changes()
    assert (kinds(change), told(change.budget.spent)) == (["SPENT"], 4)


async def test_a_held_back_change_survives_a_store_that_was_away():
    world = World()
    await world.put(total=10)
    watch = watching(world, every=100)
    await watch.changes()
    held = await world.reserve("r", 1, ttl=seconds(60))
    assert outcome(held) == "RESERVED"
    assert await watch.changes() == []
    world.clock.go(100)
    world.backend.leave_after(1)
    with pytest.raises(StoreAway):
        await watch.changes()
    world.backend.come_back()
    [change] = await watch.changes()
    assert (kinds(change), change.budget.reserved) == (["RESERVED"], usd(1))
