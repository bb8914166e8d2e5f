"""Everything that is counted in one store, put together."""

from dataclasses import dataclass
from typing import Self

from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.state.backend import StateBackend
from xsp_server.state.budgets import Budgets
from xsp_server.state.campaigns import Campaigns
from xsp_server.state.caps import Caps
from xsp_server.state.messages import HOUR_MS, Clock, machine_clock
from xsp_server.state.reservations import DEFAULT_TTL_MS, Reservations


@dataclass(frozen=True, slots=True)
class Accounts:
    """Campaigns with their caps, budgets and reservations, over one store.

    Attributes:
        backend: the store, which its owner closes.
        clock: milliseconds since 1970.
        fail_policy: for caps and campaigns that don't tell one.
        campaigns: the campaigns.
        caps: their caps, and those that calls bring.
        budgets: their money.
        reservations: what is held of both.
    """

    backend: StateBackend
    clock: Clock
    fail_policy: "FailPolicy.ValueType"
    campaigns: Campaigns
    caps: Caps
    budgets: Budgets
    reservations: Reservations

    @classmethod
    def over(
        cls,
        backend: StateBackend,
        clock: Clock = machine_clock,
        *,
        fail_policy: "FailPolicy.ValueType" = FailPolicy.FAIL_POLICY_FAIL_CLOSED,
        keep_ms: int = HOUR_MS,
        ttl_ms: int = DEFAULT_TTL_MS,
    ) -> Self:
        """Puts them together.

        Args:
            backend: where all is stored.
            clock: milliseconds since 1970.
            fail_policy: for caps and campaigns that don't tell one.
            keep_ms: how long request ids are known.
            ttl_ms: how long a reservation holds when nobody tells.
        """
        campaigns = Campaigns(backend, clock)
        caps = Caps(backend, campaigns, clock, keep_ms=keep_ms, fail_policy=fail_policy)
        budgets = Budgets(backend, campaigns, clock, keep_ms=keep_ms, fail_policy=fail_policy)
        reservations = Reservations(
            backend, campaigns, caps, clock, ttl_ms=ttl_ms, fail_policy=fail_policy
        )
        return cls(backend, clock, fail_policy, campaigns, caps, budgets, reservations)
