"""One of several processes that race: `python race_processes.py '{"url": …, "place": 0, …}'`.

Its tasks count, spend, reserve, commit and release in bursts, all for one user and one campaign.
Some ids are asked for twice at once, and some by every process. It prints what it was told.
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from state.settings import candidate, cap
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import ReservationOutcome, ReservationResult, ReservationSpec
from xsp.state.v1.frequency_pb2 import CapScope, FrequencyResult, Subject, WindowUnit
from xsp.state.v1.state_service_pb2 import (
    CheckAndIncrementFrequencyRequest,
    ReservationCommit,
    TrackSpendRequest,
)
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import StateBackend, StoreAway
from xsp_server.state.urls import backend_of

PROCESSES = 4
TASKS = 16
"""Of each process."""

USER = Subject(user_id="u")
CAP = cap(
    3000,
    cap_id="cap",
    scope=CapScope.CAP_SCOPE_CUSTOM,
    custom_scope="race",
    window=WindowUnit.WINDOW_UNIT_LIFETIME,
)
"""What is counted."""

BUDGET = 24_000
"""Micros that the campaign has."""

CALLS, CANDIDATES, SPENDS, RESERVES = 6, 10, 30, 8
"""Of one burst: calls that count, and the candidates of each; spends; reservations. The first of
each every process asks for, too."""

BURST = (CALLS + 1) * CANDIDATES + SPENDS + 1 + 2 * RESERVES
"""Operations of one burst: a call and a spend are repeated, a reservation is made and resolved."""


@dataclass
class Told:
    """What one process was told.

    Attributes:
        counted: of each impression whether it was allowed.
        spent: of each spend the micros; 0: refused.
        committed: of each reservation the micros; 0: refused or released.
        operations: how many were asked for.
        replays: how many answers were those of before.
        away: how often the store was.
    """

    counted: dict[str, bool] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    operations: int = 0
    replays: int = 0
    away: int = 0

    def take(self, answers: dict[str, Any], id_: str, answer: object) -> None:
        """The answer to an id is always the same."""
        first = answers.setdefault(id_, answer)
        assert first == answer, f"{id_}: first {first}, then {answer}"
        self.operations += 1


class Racer:
    """One process."""

    def __init__(self, backend: StateBackend, place: int) -> None:
        accounts = Accounts.over(backend)
        self._caps, self._budgets = accounts.caps, accounts.budgets
        self._reservations = accounts.reservations
        self._place = place
        self.told = Told()

    async def race(self, operations: int) -> None:
        """All tasks, with so many operations altogether."""
        bursts = ceil(operations / TASKS / BURST)
        await asyncio.gather(*(self._task(task, bursts) for task in range(TASKS)))

    async def _task(self, task: int, bursts: int) -> None:
        for number in range(bursts):
            ids = [f"{self._place}/{task}/{number}/{each}" for each in range(SPENDS)]
            ids[0] = f"all/{task}/{number}"  # every process asks for it
            # At the end nothing is held: what was given back is taken by somebody.
            resolving = () if number + 2 >= bursts else (self._reserve(ids[:RESERVES]),)
            await asyncio.gather(
                *(self._count(id_) for id_ in [*ids[:CALLS], ids[number % CALLS]]),
                *(self._spend(id_) for id_ in [*ids, ids[number % SPENDS]]),
                *resolving,
            )

    async def _count(self, id_: str) -> None:
        candidates = [candidate(str(place), CAP) for place in range(CANDIDATES)]
        request = CheckAndIncrementFrequencyRequest(
            request_id=id_, subject=USER, candidates=candidates, include_caps=True
        )
        while True:
            results, replayed = await self._caps.check_and_increment(request)
            if not any(_result(each).basis.failure for each in results):
                break
            self.told.away += 1
        self.told.replays += replayed
        for result in map(_result, results):
            assert result.caps[0].count <= CAP.limit
            self.told.take(self.told.counted, f"{id_}/{result.candidate_id}", result.allowed)

    async def _spend(self, id_: str) -> None:
        micros = 1 + len(id_) % 2
        request = TrackSpendRequest(request_id=id_, campaign_id="c1", amount=_usd(micros))
        while True:
            answer = await self._budgets.spend(request)
            if not answer.basis.failure:
                break
            self.told.away += 1
        assert answer.budget.spent.micros + answer.budget.reserved.micros <= BUDGET
        self.told.replays += answer.replayed
        self.told.take(self.told.spent, id_, micros if answer.accepted else 0)

    async def _reserve(self, ids: list[str]) -> None:
        """Reservations: the first of them with a cap, too; then commits, and releases."""
        specs = [ReservationSpec(reservation_id=id_, amount=_usd(5)) for id_ in ids]
        for spec in specs:
            spec.campaign_id = "c1"
        specs[0].frequency.subject.CopyFrom(USER)
        specs[0].frequency.candidate.CopyFrom(candidate("a", CAP))
        held = await self._asked(lambda: self._reservations.reserve(specs))
        self.told.operations += len(ids)
        for each in held:
            if each.HasField("budget"):
                assert each.budget.spent.micros + each.budget.reserved.micros <= BUDGET
        reserved = [each.reservation_id for each in held if each.outcome == _RESERVED]
        for id_ in set(ids) - set(reserved):
            self.told.take(self.told.committed, id_, 0)
        commits = [ReservationCommit(reservation_id=id_) for id_ in reserved if _spends(id_)]
        for place, commit in enumerate(commits):
            if not commit.reservation_id.startswith("all"):
                commit.amount.CopyFrom(_usd(5 - place))
        released = [id_ for id_ in reserved if not _spends(id_)]
        done = []
        if commits:
            done += await self._asked(lambda: self._reservations.commit(commits))
        if released:
            done += await self._asked(lambda: self._reservations.release(released))
        for each in done:
            assert each.outcome in _RESOLVED, each
            self.told.take(
                self.told.committed, each.reservation_id, each.reservation.committed.micros
            )
            self.told.replays += each.replayed

    async def _asked(self, call) -> list[ReservationResult]:
        """The results of a call, which is repeated while the store is away."""
        while True:
            try:
                results = await call()
            except StoreAway:
                self.told.away += 1
                continue
            assert not [each for each in results if isinstance(each, tuple)], results
            if not any(each.basis.failure for each in results):
                return results
            self.told.away += 1


def _result(item: object) -> FrequencyResult:
    assert isinstance(item, FrequencyResult), item
    return item


def _usd(micros: int) -> Money:
    return Money(currency="USD", micros=micros)


def _spends(id_: str) -> bool:
    return int(id_.rpartition("/")[2]) % 5 < 3


_RESERVED = ReservationOutcome.RESERVATION_OUTCOME_RESERVED
_RESOLVED = (
    ReservationOutcome.RESERVATION_OUTCOME_COMMITTED,
    ReservationOutcome.RESERVATION_OUTCOME_RELEASED,
)


async def race(url: str, settings: dict[str, Any], place: int, operations: int) -> None:
    backend = backend_of(url, **settings)
    racer = Racer(backend, place)
    await racer.race(operations)
    await backend.close()
    print(json.dumps(asdict(racer.told)))  # noqa: T201 what the test reads


if __name__ == "__main__":
    asyncio.run(race(**json.loads(sys.argv[1])))
