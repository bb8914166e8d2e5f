"""Money in a campaign tree, against a few lines of arithmetic, on every store.

Whatever is spent, held, resolved, left to expire or put elsewhere in the tree, in whatever order:
the answers are those of the model, and so is what each campaign has spent and holds.
"""

import random
from dataclasses import dataclass, field

import pytest

from state.settings import World, outcome, told
from xsp.state.v1.budget_pb2 import ReservationResult
from xsp_server.state.backend import StateBackend
from xsp_server.state.reservations import DEFAULT_TTL_MS

LIMITS = {"top": 60, "left": 40, "right": 30, "a": 25, "b": None}
PARENTS = {"top": "", "left": "top", "right": "top", "a": "left", "b": "right"}


@dataclass
class Held:
    campaign: str
    amount: int
    levels: list[str]
    expires_at: int
    is_open: bool = True


@dataclass
class Model:
    """What has been spent, what is held, and who is below whom."""

    parents: dict[str, str] = field(default_factory=lambda: dict(PARENTS))
    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LIMITS, 0))
    held: dict[str, Held] = field(default_factory=dict)

    def levels(self, id_: str) -> list[str]:
        above = self.parents[id_]
        return [id_, *(self.levels(above) if above else [])]

    def reserved(self, id_: str, now: int) -> int:
        return sum(
            each.amount
            for each in self.held.values()
            if each.is_open and each.expires_at > now and id_ in each.levels
        )

    def takes(self, levels: list[str], amount: int, now: int) -> bool:
        """Whether all of these have room for so much more."""
        return all(
            (limit := LIMITS[id_]) is None
            or self.spent[id_] + self.reserved(id_, now) + amount <= limit
            for id_ in levels
            if amount > 0
        )

    def spend(self, id_: str, amount: int, now: int) -> bool:
        if not self.takes(self.levels(id_), amount, now):
            return False
        for level in self.levels(id_):
            self.spent[level] += amount
        return True

    def reserve(self, name: str, id_: str, amount: int, now: int) -> str:
        levels = self.levels(id_)
        if not self.takes(levels, amount, now):
            return "REFUSED_BUDGET"
        self.held[name] = Held(id_, amount, levels, now + DEFAULT_TTL_MS)
        return "RESERVED"

    def commit(self, name: str, amount: int, now: int) -> str:
        each = self.held[name]
        if each.expires_at <= now:
            if not self.spend(each.campaign, amount, now):
                return "REFUSED_COMMIT"
            each.is_open = False
            return "COMMITTED_LATE"
        still_above = set(self.levels(each.campaign)) & set(each.levels)
        if not self.takes([*still_above], amount - each.amount, now):
            return "REFUSED_COMMIT"
        for level in each.levels:
            self.spent[level] += amount if level in still_above else min(amount, each.amount)
        each.is_open = False
        return "COMMITTED"

    def release(self, name: str, now: int) -> str:
        each = self.held[name]
        if each.expires_at <= now:
            return "ALREADY_EXPIRED"
        each.is_open = False
        return "RELEASED"


class Run:
    """Does the same in a world and in the model, by chance, and compares the answers."""

    def __init__(self, backend: StateBackend, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world, self.model = World(backend=backend), Model()
        self.steps = 0
        self.seen: set[str] = set()

    async def step(self) -> None:
        acts = {
            self.spend: 1,
            self.reserve: 5,
            self.commit: 5,
            self.release: 2,
            self.wait: 1,
            self.move: 1,
        }
        self.steps += 1
        [act] = self.chance.choices([*acts], [*acts.values()])
        await act(self.world.clock(), self.chance.choice("ab"), self.chance.randint(1, 12))

    async def spend(self, now: int, id_: str, amount: int) -> None:
        response = await self.world.spend(id_, amount)
        assert response.accepted == self.model.spend(id_, amount, now)

    async def reserve(self, now: int, id_: str, amount: int) -> None:
        name = f"r{self.steps}"
        result = await self.world.reserve(name, amount, by=id_)
        self.same(result, self.model.reserve(name, id_, amount, now))

    async def commit(self, now: int, _id: str, _amount: int) -> None:
        for name in self.one_of_those_open():
            amount = max(self.model.held[name].amount + self.chance.randint(-4, 3), 0)
            result = await self.world.commit(name, amount, allow_more=True)
            if not result.replayed:  # a refusal is repeated, whatever came since
                self.same(result, self.model.commit(name, amount, now))

    async def release(self, now: int, _id: str, _amount: int) -> None:
        for name in self.one_of_those_open():
            self.same(await self.world.release(name), self.model.release(name, now))

    async def wait(self, _now: int, _id: str, amount: int) -> None:
        self.world.clock.go(amount * DEFAULT_TTL_MS // 12)

    async def move(self, _now: int, id_: str, _amount: int) -> None:
        parent = self.chance.choice(["top", "left", "right"])
        await self.world.put(id_, LIMITS[id_], parent_id=parent)
        self.model.parents[id_] = parent

    def one_of_those_open(self) -> list[str]:
        names = [name for name, each in self.model.held.items() if each.is_open]
        return [self.chance.choice(names)] if names else []

    def same(self, result: ReservationResult, expected: str) -> None:
        assert outcome(result) == expected
        self.seen.add(expected)

    async def compare(self) -> None:
        for id_, limit in LIMITS.items():
            budget = await self.world.budget(id_)
            stands = (told(budget.spent), told(budget.reserved))
            now = self.world.clock()
            assert stands == (self.model.spent[id_], self.model.reserved(id_, now))
            assert limit is None or sum(stands) <= limit


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_money_is_what_the_model_says(backend: StateBackend, seed: int):
    run = Run(backend, seed)
    for id_, limit in LIMITS.items():
        await run.world.put(id_, limit, parent_id=PARENTS[id_])
    for _ in range(80):
        await run.step()
        await run.compare()
    assert {"RESERVED", "REFUSED_BUDGET", "COMMITTED", "RELEASED"} <= run.seen
    assert all(each.proven for each in await backend.audit())
