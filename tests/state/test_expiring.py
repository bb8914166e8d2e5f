"""More reservations fall due together than one call of a store expires: no answer tells them."""

import pytest

from state.clock import Leaving
from state.play import T0, check, count, entry, hold
from state.settings import World, outcome, seconds, told, usd
from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp_server.state import expiring
from xsp_server.state.backend import DUE_AT_ONCE, Book, StateBackend
from xsp_server.state.watch import Watch

MANY = 4 * DUE_AT_ONCE


async def over(backend: StateBackend, held: int = MANY, **limits) -> World:
    """A world where so many reservations of 1 are due, and nobody came since."""
    world = World(backend=backend)
    await world.put(**limits or {"total": held})
    await hold_many(world, held)
    world.clock.go(2000)
    return world


async def hold_many(world: World, number: int, by: str = "c1") -> None:
    for start in range(0, number, 1000):
        specs = [
            ReservationSpec(
                reservation_id=f"{by}-{place}", campaign_id=by, amount=usd(1), ttl=seconds(1)
            )
            for place in range(start, min(start + 1000, number))
        ]
        results = await world.reservations.reserve(specs)
        assert {outcome(each) for each in results} == {"RESERVED"}


async def test_a_budget_is_read_without_what_is_due(backend: StateBackend):
    world = await over(backend)
    budget = await world.budget()
    assert (told(budget.reserved), told(budget.remaining)) == (0, MANY)


async def test_what_is_not_due_yet_stays_held(backend: StateBackend):
    world = await over(backend)
    await world.reserve("live", 5)
    budget = await world.budget()
    assert (told(budget.reserved), told(budget.remaining)) == (5, MANY - 5)


async def test_a_spend_is_not_refused_for_what_is_due_and_a_retry_gets_its_answer(
    backend: StateBackend,
):
    world = await over(backend)
    spent = await world.spend("c1", MANY, "id")
    assert (spent.accepted, spent.replayed, told(spent.budget.reserved)) == (True, False, 0)
    again = await World(backend=backend).spend("c1", MANY, "id")
    assert (again.accepted, again.replayed, told(again.budget.spent)) == (True, True, MANY)
    assert not (await world.spend("c1", 1)).accepted


async def test_a_spend_that_live_holds_refuse_is_refused_again_when_they_are_gone(
    backend: StateBackend,
):
    world = World(backend=backend)
    await world.put(total=10)
    await world.reserve("r", 6)
    refused = await world.spend("c1", 5, "id")
    assert (refused.accepted, told(refused.refusal.available)) == (False, 4)
    await world.release("r")
    again = await world.spend("c1", 5, "id")
    assert (again.accepted, again.replayed, again.refusal) == (False, True, refused.refusal)
    assert (await world.spend("c1", 5)).accepted


async def test_a_parent_s_holds_do_not_stand_in_the_way_when_they_are_due(backend: StateBackend):
    world = World(backend=backend)
    await world.put("top", total=MANY)
    await world.put("one", parent_id="top")
    await world.put("other", parent_id="top")
    await hold_many(world, MANY, "one")
    world.clock.go(2000)
    assert (await world.spend("other", MANY)).accepted


async def test_a_reservation_is_not_refused_for_what_is_due(backend: StateBackend):
    world = await over(backend)
    result = await world.reserve("new", MANY)
    assert outcome(result) == "RESERVED"
    assert told(result.budget.reserved) == MANY
    assert told((await world.commit("new")).budget.spent) == MANY


async def test_reservations_of_one_call_need_room_for_all(backend: StateBackend):
    world = await over(backend)
    halves = [
        ReservationSpec(reservation_id=each, campaign_id="c1", amount=usd(MANY / 2))
        for each in ("a", "b", "c")
    ]
    results = await world.reservations.reserve(halves)
    assert [outcome(each) for each in results] == ["RESERVED", "RESERVED", "REFUSED_BUDGET"]


async def test_a_watch_begins_without_what_is_due(backend: StateBackend):
    world = await over(backend)
    [change] = await Watch(backend, world.campaigns, world.clock).changes()
    assert told(change.budget.reserved) == 0


async def test_money_that_is_due_does_not_keep_a_campaign_in_its_currency(backend: StateBackend):
    world = await over(backend)
    assert (await world.put(currency="EUR", limits=None)).currency == "EUR"


async def test_what_nothing_holds_up_asks_the_store_no_more_often():
    world = World(backend=Leaving())
    await world.put(total=10)
    await world.put("free")
    asked = []
    for call in (
        lambda: world.spend("c1", 1),
        lambda: world.spend("c1", 100),
        lambda: world.budget("c1"),
        lambda: world.reserve("r", 1),
        lambda: world.spend("c1", 1),
        lambda: world.reserve("f", 1, by="free"),
    ):
        before = world.backend.calls
        await call()
        asked.append(world.backend.calls - before)
    # A reservation: the version, its plan, the room beside it, and the money. Where no limit is,
    # nobody asks for room.
    assert asked == [2, 2, 2, 4, 2, 3]


async def test_a_book_that_others_change_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch):
    class Busy(Leaving):
        """Somebody else counts between any two calls."""

        async def apply(self, book, moves, now_ms):
            await super().apply(book, [count(entry(counter="other"))], now_ms)
            return await super().apply(book, moves, now_ms)

    monkeypatch.setattr(expiring, "ROUNDS", 3)
    backend, book = Busy(), Book("b")
    await backend.apply(book, [hold("h", entry())], T0)
    [read] = await expiring.read(backend, book, [check(entry(0))], T0)
    assert read.numbers[0].held == 1
    calls = backend.calls
    await expiring.expire(backend, book, T0)
    assert backend.calls - calls == 2 * 2 * 3
