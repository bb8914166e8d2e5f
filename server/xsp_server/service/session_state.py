"""Caps and budgets of a store, as sessions with one upstream ask for them."""

from typing import Final

from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import BudgetState as State
from xsp.state.v1.budget_pb2 import BudgetStatus
from xsp.state.v1.state_service_pb2 import TrackSpendRequest
from xsp_server.state.backend import StateBackend, StoreAway
from xsp_server.state.budgets import Budgets
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.caps import FrequencyCap
from xsp_server.state.messages import Clock, machine_clock
from xsp_server.upstream.upstream_session import Budget, BudgetState, Spend, Window

RETRY_SECONDS: Final = 1.0


class StoredState:
    """The `SessionState` of `xsp_server.upstream.upstream_session` over a store."""

    def __init__(self, backend: StateBackend, clock: Clock = machine_clock) -> None:
        """Takes the store.

        Args:
            backend: where all is stored.
            clock: milliseconds since 1970.
        """
        self._campaigns = Campaigns(backend, clock)
        self._budgets = Budgets(backend, self._campaigns, clock)
        self._cap = FrequencyCap(backend, clock)

    async def check_and_increment(
        self, user_id: str, limit: int, window: Window, session_id: str
    ) -> bool:
        """See `SessionState`. While the store is away the answer is no."""
        return await self._cap.check_and_increment(user_id, limit, window, session_id=session_id)

    async def track_spend(self, campaign_id: str, micros: int) -> Spend:
        """See `SessionState`.

        Raises:
            CampaignNotFound: no campaign has this id.
            StoreAway: the store can't be reached.
        """
        settings = await self._find(campaign_id)
        amount = Money(currency=settings.currency, micros=micros)
        response = await self._budgets.spend(
            TrackSpendRequest(campaign_id=campaign_id, amount=amount)
        )
        if not response.HasField("budget"):
            raise StoreAway(response.basis.failure, retry_after=RETRY_SECONDS)
        return Spend(response.accepted, _budget(response.budget, settings.currency))

    async def get_budget(self, campaign_id: str) -> Budget:
        """See `SessionState`.

        Raises:
            CampaignNotFound: no campaign has this id.
            StoreAway: the store can't be reached.
        """
        settings = await self._find(campaign_id)
        budget, basis = await self._budgets.get(settings)
        if basis.failure:
            raise StoreAway(basis.failure, retry_after=RETRY_SECONDS)
        return _budget(budget, settings.currency)

    async def _find(self, campaign_id: str) -> Settings:
        await self._campaigns.refresh()
        return self._campaigns.get(campaign_id)


def _budget(told: BudgetStatus, currency: str) -> Budget:
    """The money in a session's words: whatever keeps it from paying is told as exhausted."""
    pays = told.state == State.BUDGET_STATE_ACTIVE
    return Budget(
        campaign_id=told.campaign_id,
        currency=currency,
        spent_micros=told.spent.micros,
        reserved_micros=told.reserved.micros,
        remaining_micros=told.remaining.micros if told.HasField("remaining") else None,
        state=BudgetState.ACTIVE if pays else BudgetState.EXHAUSTED,
    )
