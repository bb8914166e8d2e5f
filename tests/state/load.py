"""Tasks that spend, reserve and show all the time, and remember each answer that they were given.

They act on one campaign and a few people through the methods of StateService: of a servicer in this
process, or of a stub. While the store or the server is away a task asks again with the same id,
until it is answered; so what was acknowledged is known exactly, and so is what the store must have.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count as numbers_from
from typing import Any

from state.settings import campaign, candidate, cap, seconds
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1.budget_pb2 import BudgetStatus, ReservationOutcome, ReservationResult
from xsp.state.v1.campaign_pb2 import BudgetLimits
from xsp.state.v1.frequency_pb2 import CapScope, CapSubject, FrequencyResult, Subject, WindowUnit
from xsp.state.v1.guarantee_pb2 import DecisionBasis, DecisionSource
from xsp_server.service.state import StateServicer

TASKS = 24
BUDGET = 1_000_000
"""Micros of the campaign; the load leaves some, which the end spends exactly."""
PEOPLE = 2
LIMIT = 200
"""Impressions of each person, by each of two caps: one of its own, one shared with its home."""
TTL = 2
"""Seconds that a reservation holds."""
PAUSE = 0.02
"""Seconds after which a caller asks again who was told that the store is away."""
RECOVERY = 30.0
"""Seconds within which calls are answered once the store is back."""


class InProcess:
    """The methods of a servicer, called as those of a stub are."""

    def __init__(self, servicer: StateServicer) -> None:
        self._servicer = servicer

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        return lambda request: getattr(self._servicer, method)(request, None)


@dataclass
class Load:
    """The tasks, and what they were told.

    Attributes:
        api: the methods.
        lost: what is raised where a call was not answered.
        spent: of each spend the micros that were accepted.
        committed: of each reservation the micros that were committed.
        shown: impressions that were allowed, of each person and cap.
        asked: calls that were answered with yes, with what says so: for asking again at the end.
        answers: how many.
        answers_of_money: how many of them say what became of money.
        unanswered: how often a call was not, and was made again.
        left: reservations that nobody came back to.
    """

    api: Any
    lost: tuple[type[Exception], ...]
    spent: dict[str, int] = field(default_factory=dict)
    committed: dict[str, int] = field(default_factory=dict)
    shown: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    answers_of_money: int = 0
    unanswered: int = 0
    left: int = 0

    async def begin(self) -> None:
        """Puts the campaign and starts the tasks; returns when they are at work."""
        limits = BudgetLimits(total=_usd(BUDGET))
        put = pb.PutCampaignRequest(request_id="put", campaign=campaign(limits=limits))
        self._going = True
        self._answered = asyncio.Event()
        await self._answer("PutCampaign", put)
        self._tasks = [asyncio.create_task(self._act(task)) for task in range(TASKS)]
        await self.until_answered(300)

    async def until_answered(self, calls: int) -> float:
        """Waits for so many more answers about money; seconds until the first of them."""
        began, first = time.monotonic(), 0.0
        wanted = self.answers_of_money + calls
        async with asyncio.timeout(RECOVERY + 30):
            while self.answers_of_money < wanted:
                self._answered.clear()
                await self._answered.wait()
                first = first or time.monotonic() - began
                for task in self._tasks:
                    if task.done():
                        task.result()
        return first

    async def end(self) -> None:
        """Each task ends what it is doing; it is answered, too."""
        self._going = False
        await asyncio.gather(*self._tasks)

    async def check(self) -> BudgetStatus:
        """Limits are not passed and reached exactly, and nothing is lost, or counted twice, or held
        past its time."""
        budget = await self._nothing_held()
        assert budget.spent.micros == sum(self.spent.values()) + sum(self.committed.values())
        await self._again()
        assert (await self._budget()).spent == budget.spent
        fills = [self._fill(who, cap_) for who in range(PEOPLE) for cap_ in (_OWN, _SHARED)]
        await asyncio.gather(*fills)
        rest = budget.remaining.micros
        assert await self._spend("rest", rest)
        assert not await self._spend("one more", 1)
        budget = await self._budget()
        assert (budget.spent.micros, budget.remaining.micros) == (BUDGET, 0)
        return budget

    def __str__(self) -> str:
        """The figures."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.outcomes.most_common())
        return f"{self.answers} answers, {self.unanswered} not answered ({kinds}, {self.left} left)"

    async def _act(self, task: int) -> None:
        """One task: one call after the other."""
        for number in numbers_from():
            if not self._going:
                return
            id_ = f"{task}-{number}"
            match number % 4:
                case 0:
                    await self._spend(id_, 1 + number % 3)
                case 1:
                    await self._show(id_, (task + number) % PEOPLE, _OWN)
                case 2:
                    await self._show(id_, (task + number) % PEOPLE, _SHARED)
                case 3:
                    await self._reserve(id_, number // 4 % 6)

    async def _spend(self, id_: str, micros: int) -> bool:
        request = pb.TrackSpendRequest(request_id=id_, campaign_id="c1", amount=_usd(micros))
        answer = await self._answer("TrackSpend", request)
        _check(answer.budget)
        if answer.accepted:
            self.spent[id_] = micros
            self.asked.append(("TrackSpend", request))
        return bool(answer.accepted)

    async def _show(self, id_: str, person: int, cap_: Any) -> bool:
        request = _impression(id_, person, cap_)
        answer = await self._answer("CheckAndIncrementFrequency", request)
        [result] = answer.results
        assert result.denied_by.count <= LIMIT, result
        if result.allowed:
            self.shown[str(person), cap_.cap_id] += 1
            assert self.shown[str(person), cap_.cap_id] <= LIMIT
            self.asked.append(("CheckAndIncrementFrequency", request))
        return bool(result.allowed)

    async def _reserve(self, id_: str, what: int) -> None:
        """Reserves, then commits all or less, releases, or never comes back."""
        spec = {"reservation_id": id_, "campaign_id": "c1", "amount": _usd(9), "ttl": seconds(TTL)}
        reserve = pb.ReserveBudgetRequest(request_id=f"{id_}r", reservations=[spec])
        held = await self._one("ReserveBudget", reserve)
        if held.outcome != ReservationOutcome.RESERVATION_OUTCOME_RESERVED:
            return
        if what == 0:
            self.left += 1
        elif what == 1:
            request = pb.ReleaseReservationRequest(request_id=f"{id_}x", reservation_ids=[id_])
            await self._one("ReleaseReservation", request)
        else:
            commit = {"reservation_id": id_, "amount": _usd(9 - what)}
            request = pb.CommitReservationRequest(request_id=f"{id_}c", commits=[commit])
            done = await self._one("CommitReservation", request)
            if done.outcome in _COMMITTED:
                self.committed[id_] = done.reservation.committed.micros
                self.asked.append(("CommitReservation", request))

    async def _one(self, method: str, request: Any) -> ReservationResult:
        """The result of the one reservation of a call."""
        [result] = (await self._answer(method, request)).results
        if result.HasField("status"):
            assert method == "ReserveBudget", result.status
            assert "cut off before it was held" in result.status.message
            self.outcomes["cut off"] += 1
            return result
        if result.HasField("budget"):
            _check(result.budget)
        self.outcomes[ReservationOutcome.Name(result.outcome)[20:].lower()] += 1
        return result

    async def _answer(self, method: str, request: Any) -> Any:
        """What the store decided; asked for until it did."""
        while True:
            try:
                answer = await getattr(self.api, method)(request)
            except self.lost:
                pass
            else:
                if not _is_away(answer):
                    break
            self.unanswered += 1
            await asyncio.sleep(PAUSE)  # what a caller does who was told retry_after
        self.answers += 1
        if method != "CheckAndIncrementFrequency":
            self.answers_of_money += 1
            self._answered.set()
        return answer

    async def _again(self) -> None:
        """Whatever was answered with yes is answered so again, and counts nothing."""
        for start in range(0, len(self.asked), 200):
            asked = self.asked[start : start + 200]
            for answer in await asyncio.gather(*(self._answer(*each) for each in asked)):
                assert _is_repeated_yes(answer), answer

    async def _fill(self, person: int, cap_: Any) -> None:
        """Shows until the cap refuses: after exactly so many impressions as it allows."""
        number = 0
        while await self._show(f"fill-{cap_.cap_id}-{person}-{number}", person, cap_):
            number += 1
        assert self.shown[str(person), cap_.cap_id] == LIMIT

    async def _budget(self) -> BudgetStatus:
        answer = await self._answer("GetBudget", pb.GetBudgetRequest(campaign_id="c1"))
        _check(answer.budget)
        return answer.budget

    async def _nothing_held(self) -> BudgetStatus:
        """The budget once nothing is held, which is when the last reservation is over."""
        end = time.monotonic() + TTL
        while True:
            asked_at = time.monotonic()
            budget = await self._budget()
            if not budget.reserved.micros:
                return budget
            assert asked_at < end, f"held past its time: {budget.reserved}"
            await asyncio.sleep(PAUSE)  # until a clock that is not ours


def _cap(cap_id: str, subject: "CapSubject.ValueType") -> Any:
    return cap(
        LIMIT,
        cap_id=cap_id,
        scope=CapScope.CAP_SCOPE_CUSTOM,
        custom_scope=cap_id,
        subject=subject,
        window=WindowUnit.WINDOW_UNIT_LIFETIME,
    )


_OWN = _cap("own", CapSubject.CAP_SUBJECT_USER)
_SHARED = _cap("shared", CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD)
_COMMITTED = (
    ReservationOutcome.RESERVATION_OUTCOME_COMMITTED,
    ReservationOutcome.RESERVATION_OUTCOME_COMMITTED_LATE,
)
_AWAY = (DecisionSource.DECISION_SOURCE_FAIL_OPEN, DecisionSource.DECISION_SOURCE_FAIL_CLOSED)


def _impression(id_: str, person: int, cap_: Any) -> pb.CheckAndIncrementFrequencyRequest:
    return pb.CheckAndIncrementFrequencyRequest(
        request_id=f"{id_}{cap_.cap_id}",
        subject=Subject(user_id=f"u{person}", household_id=f"h{person}"),
        candidates=[candidate("a", cap_)],
    )


def _usd(micros: int) -> Money:
    return Money(currency="USD", micros=micros)


def _check(budget: BudgetStatus) -> None:
    assert budget.spent.micros + budget.reserved.micros <= BUDGET


def _is_away(answer: Any) -> bool:
    bases = [each.basis for each in getattr(answer, "results", ())]
    if isinstance(getattr(answer, "basis", None), DecisionBasis):
        bases.append(answer.basis)
    return any(basis.source in _AWAY for basis in bases)


def _is_repeated_yes(answer: Any) -> bool:
    if isinstance(answer, pb.TrackSpendResponse):
        return answer.accepted and answer.replayed
    [result] = answer.results
    if isinstance(result, FrequencyResult):
        return result.allowed and answer.replayed
    return result.replayed and result.outcome in _COMMITTED
