"""Short words for campaigns, amounts and caps, and all of the state over one store."""

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration

from state.clock import Clock, Leaving
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import BudgetState, ReservationOutcome, ReservationSpec
from xsp.state.v1.campaign_pb2 import BudgetLimits, Campaign
from xsp.state.v1.frequency_pb2 import FrequencyCandidate, FrequencyCap, Subject, Window
from xsp.state.v1.state_service_pb2 import (
    CheckAndIncrementFrequencyRequest,
    CheckFrequencyRequest,
    ReservationCommit,
    TrackSpendRequest,
)
from xsp_server.state.backend import StateBackend
from xsp_server.state.budgets import Budgets
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.caps import Caps
from xsp_server.state.messages import timestamp
from xsp_server.state.reservations import Reservations


def usd(units: float) -> Money:
    return Money(currency="USD", micros=round(units * 1_000_000))


def at(text: str) -> int:
    """Milliseconds of a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def when(text: str):
    return timestamp(at(text))


def seconds(number: float) -> Duration:
    return Duration(seconds=int(number), nanos=round(number % 1 * 1e9))


def campaign(id_: str = "c1", total=None, daily=None, hourly=None, **more) -> Campaign:
    told = {"total": total, "daily": daily, "hourly": hourly}
    limits = {name: usd(units) for name, units in told.items() if units is not None}
    return Campaign(
        campaign_id=id_,
        **{
            "limits": BudgetLimits(**limits) if limits else None,
            "currency": "USD",
            **more,
        },
    )


def cap(limit=None, **more) -> FrequencyCap:
    window = more.pop("window", None)
    if isinstance(window, int):
        window = Window(unit=window)
    return FrequencyCap(limit=limit, window=window, **more)


def candidate(id_: str = "a", *caps: FrequencyCap, **more) -> FrequencyCandidate:
    return FrequencyCandidate(candidate_id=id_, caps=caps, **more)


class World:
    """All of the state over one store, with a clock that stands."""

    def __init__(self, now: str | None = None, backend: StateBackend | None = None) -> None:
        self.clock = Clock()
        if now is not None:
            self.clock.now_ms = at(now)
        self.backend = Leaving() if backend is None else backend
        self.campaigns = Campaigns(self.backend, self.clock)
        self.budgets = Budgets(self.backend, self.campaigns, self.clock)
        self.caps = Caps(self.backend, self.campaigns, self.clock)
        self.reservations = Reservations(self.backend, self.campaigns, self.caps, self.clock)
        self._calls = 0

    async def put(self, *arguments, **more):
        told, _ = await self.campaigns.put(campaign(*arguments, **more))
        return told

    async def spend(self, id_: str, units: float, request_id: str = ""):
        return await self.budgets.spend(
            TrackSpendRequest(campaign_id=id_, amount=usd(units), request_id=request_id)
        )

    async def budget(self, id_: str = "c1"):
        await self.campaigns.refresh()
        told, _ = await self.budgets.get(self.campaigns.get(id_))
        return told

    async def state(self, id_: str = "c1") -> str:
        return BudgetState.Name((await self.budget(id_)).state).removeprefix("BUDGET_STATE_")

    async def reserve(self, id_: str, units: float | None = None, by: str = "c1", **more):
        """One reservation; its result, or why it failed."""
        amount = None if units is None else usd(units)
        campaign_ = {"campaign_id": by} if by else {}
        spec = ReservationSpec(reservation_id=id_, amount=amount, **campaign_, **more)
        [item] = await self.reservations.reserve([spec])
        return item[1] if isinstance(item, tuple) else item

    async def commit(self, id_: str, units: float | None = None, **more):
        amount = None if units is None else usd(units)
        spec = ReservationCommit(reservation_id=id_, amount=amount, **more)
        [item] = await self.reservations.commit([spec])
        return item[1] if isinstance(item, tuple) else item

    async def release(self, id_: str):
        [item] = await self.reservations.release([id_])
        return item[1] if isinstance(item, tuple) else item

    async def show(self, *candidates, user="u", home="", session="", request_id=None):
        """Results of counting candidates."""
        self._calls += 1
        request = CheckAndIncrementFrequencyRequest(
            request_id=f"n{self._calls}" if request_id is None else request_id,
            subject=Subject(user_id=user, household_id=home, session_id=session),
            candidates=candidates,
            include_caps=True,
        )
        items, self.replayed = await self.caps.check_and_increment(request)
        return items

    async def shown(self, *candidates, **more) -> list[bool]:
        return [each.allowed for each in await self.show(*candidates, **more)]

    async def check(self, *candidates, user="u", home="", session=""):
        request = CheckFrequencyRequest(
            subject=Subject(user_id=user, household_id=home, session_id=session),
            candidates=candidates,
            include_caps=True,
        )
        return await self.caps.check(request)


def outcome(result) -> str:
    return ReservationOutcome.Name(result.outcome).removeprefix("RESERVATION_OUTCOME_")


def told(micros: Money) -> float:
    return micros.micros / 1_000_000
