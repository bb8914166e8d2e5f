"""A call that was cut off, wherever it was, and is made again is as one call.

Each call is cut at each of its steps: the step does not reach the store, or its reply is lost. Then
it is made again, at once or later, and what it answers is what the store has.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count as numbers_from
from typing import Any

import pytest

from state.clock import Leaving
from state.settings import World, candidate, cap, outcome, told
from xsp.state.v1.budget_pb2 import ReservationOutcome
from xsp.state.v1.frequency_pb2 import CapScope, CapSubject, Subject, WindowUnit
from xsp_server.state.backend import StoreAway
from xsp_server.state.faults import ReservationNotFound
from xsp_server.state.memory import InMemoryBackend

CAPS = candidate(
    "a",
    cap(
        1,
        cap_id="both",
        scope=CapScope.CAP_SCOPE_CUSTOM,
        subject=CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD,
        window=WindowUnit.WINDOW_UNIT_LIFETIME,
        custom_scope="x",
    ),
)
SUBJECT = Subject(user_id="u", household_id="h")

TTL = 600_000
LATER = {"at once": 0, "soon": 5_000, "after a pair is over": 20_000, "after the ttl": TTL + 1}


class Cutting(Leaving):
    """A store whose calls are cut off from one of them on, until it comes back.

    Attributes:
        cut: how many were.
    """

    def __init__(self, *, lose_reply: bool) -> None:
        super().__init__()
        self._lose_reply = lose_reply
        self.cut = 0

    async def apply(self, *arguments, **more):
        return await self._cut_or(lambda: InMemoryBackend.apply(self, *arguments, **more))

    async def find(self, *arguments):
        return await self._cut_or(lambda: InMemoryBackend.find(self, *arguments))

    async def campaigns_version(self):
        return await InMemoryBackend.campaigns_version(self)

    async def _cut_or(self, do: Callable[[], Awaitable[Any]]) -> Any:
        try:
            self._ask()
        except StoreAway:
            self.cut += 1
            if self._lose_reply and self.cut == 1:
                await do()
            raise
        return await do()


@pytest.fixture(params=[False, True], ids=["request is lost", "reply is lost"])
def make(request) -> Callable[[], World]:
    """Makes a world with a campaign of 10 USD, over a store that cuts."""
    return lambda: World(backend=Cutting(lose_reply=request.param))


async def cut_everywhere(
    make: Callable[[], World],
    before: Callable[[World], Awaitable[object]],
    call: Callable[[World], Awaitable[object]],
    wait: int,
    check: Callable[[World, object], Awaitable[None]],
) -> int:
    """Makes the call in world after world, cut one step later in each, until it isn't any more."""
    for step in numbers_from():
        world = make()
        await world.put(total=10)
        await before(world)
        world.backend.leave_after(step)
        with suppress(StoreAway):
            await call(world)
        world.backend.come_back()
        world.clock.go(wait)
        await check(world, await call(world))
        await check(world, await call(world))
        if not world.backend.cut:
            return step
    raise AssertionError


async def nothing(_world: World) -> None:
    pass


def reserve(world: World) -> Awaitable:
    return world.reserve("r", 3, frequency={"subject": SUBJECT, "candidate": CAPS})


def commit(world: World) -> Awaitable:
    return world.commit("r", 2)


def release(world: World) -> Awaitable:
    return world.release("r")


async def stands(world: World) -> tuple[float, float, list[tuple[int, int]]]:
    """What is spent and held of the money, and of each person and home what is counted and held."""
    budget = await world.budget()
    counts = []
    for book in ("user/u", "household/h"):
        counters = await world.backend.counters(book, world.clock.now_ms)
        counts.append((sum(each.counted for each in counters), sum(each.held for each in counters)))
    return told(budget.spent), told(budget.reserved), counts


@pytest.mark.parametrize("wait", LATER.values(), ids=LATER)
async def test_a_spend(make, wait):
    async def check(world: World, answer) -> None:
        assert answer.accepted
        assert await stands(world) == (3, 0, [(0, 0), (0, 0)])

    steps = await cut_everywhere(
        make, nothing, lambda world: world.spend("c1", 3, "s"), wait, check
    )
    assert steps >= 1


@pytest.mark.parametrize("wait", LATER.values(), ids=LATER)
async def test_an_impression_of_a_user_and_a_home(make, wait):
    async def check(world: World, answer) -> None:
        assert answer == [True]
        assert await stands(world) == (0, 0, [(1, 0), (1, 0)])

    steps = await cut_everywhere(
        make, nothing, lambda world: world.shown(CAPS, home="h", request_id="i"), wait, check
    )
    assert steps >= 3


@pytest.mark.parametrize("wait", LATER.values(), ids=LATER)
async def test_a_reservation(make, wait):
    """Reserved is what can be committed; what is over held nothing, and can't be."""

    async def check(world: World, answer) -> None:
        over = wait > TTL
        if isinstance(answer, ReservationNotFound):
            assert over
            assert await stands(world) == (0, 0, [(0, 0), (0, 0)])
            return
        assert outcome(answer) == "RESERVED"
        if not over and not answer.reservation.committed.micros:
            assert await stands(world) in (
                (0, 3, [(0, 1), (0, 1)]),
                (2, 0, [(1, 0), (1, 0)]),  # committed, by the check before
            )
        assert outcome(await commit(world)) in (("COMMITTED", "COMMITTED_LATE")[: 1 + over])
        assert await stands(world) == (2, 0, [(1, 0), (1, 0)])

    steps = await cut_everywhere(make, nothing, reserve, wait, check)
    assert steps >= 4


@pytest.mark.parametrize("wait", LATER.values(), ids=LATER)
async def test_a_commit(make, wait):
    async def check(world: World, answer) -> None:
        assert outcome(answer) in ("COMMITTED", "COMMITTED_LATE")
        assert await stands(world) == (2, 0, [(1, 0), (1, 0)])
        again = await reserve(world)
        assert again.reservation.committed.micros == 2_000_000

    assert await cut_everywhere(make, reserve, commit, wait, check) >= 4


@pytest.mark.parametrize("wait", LATER.values(), ids=LATER)
async def test_a_release(make, wait):
    async def check(world: World, answer) -> None:
        assert answer.outcome in (
            ReservationOutcome.RESERVATION_OUTCOME_RELEASED,
            ReservationOutcome.RESERVATION_OUTCOME_ALREADY_EXPIRED,
        )
        assert await stands(world) == (0, 0, [(0, 0), (0, 0)])

    assert await cut_everywhere(make, reserve, release, wait, check) >= 4


async def test_a_reservation_that_a_cap_refuses_holds_no_money(make):
    async def check(world: World, answer) -> None:
        assert outcome(answer) == "REFUSED_FREQUENCY"
        world.clock.go(TTL)  # what could not be given back is over
        assert await stands(world) == (0, 0, [(1, 0), (1, 0)])

    async def before(world: World) -> None:
        assert await world.shown(CAPS, home="h", request_id="i") == [True]

    assert await cut_everywhere(make, before, reserve, 0, check) >= 4
