"""What is answered of a reservation, from what its books or the policies decided."""

from dataclasses import dataclass
from typing import Final

from xsp.state.v1.budget_pb2 import (
    BudgetRefusal,
    Reservation,
    ReservationOutcome,
    ReservationResult,
    ReservationState,
)
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server.errors import XspError
from xsp_server.state.backend import HoldState, Known, StateBackend, StoreAway
from xsp_server.state.basis import away, is_open, stored
from xsp_server.state.budgets import check_overflow, refusal_of, refusal_while_away, status_of
from xsp_server.state.caps import Caps
from xsp_server.state.messages import money, timestamp, unpacked
from xsp_server.state.reservation_plan import Plan, Work

Item = ReservationResult | tuple[str, XspError]
"""A result, or a reservation's id and why it alone failed."""

_STATES: Final = {
    HoldState.HELD: ReservationState.RESERVATION_STATE_HELD,
    HoldState.COMMITTED: ReservationState.RESERVATION_STATE_COMMITTED,
    HoldState.RELEASED: ReservationState.RESERVATION_STATE_RELEASED,
    HoldState.EXPIRED: ReservationState.RESERVATION_STATE_EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Results:
    """Makes the results of reserving.

    Attributes:
        backend: the store, which answers name.
        caps: of the same store.
        fail_policy: for campaigns that don't tell one.
    """

    backend: StateBackend
    caps: Caps
    fail_policy: "FailPolicy.ValueType"

    def item(self, work: Work) -> Item:
        """What is answered once the books were asked."""
        try:
            return self.reserved(work)
        except XspError as error:  # a counter is full, and so it was refused
            return work.id, error

    def reserved(self, work: Work) -> ReservationResult:
        """As `item`, of one that its books hold, or refuse.

        Raises:
            Overflow: the sum could not be counted.
        """
        plan = work.plan
        result = ReservationResult(
            reservation_id=work.id,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_RESERVED,
            replayed=work.replayed,
        )
        if plan.refused:
            _refuse(work, result)
        elif work.refused and plan.campaign_id and len(work.outcomes) == 1:
            check_overflow(work.outcomes[-1])
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
            result.refusal.CopyFrom(
                refusal_of(work.levels, work.outcomes[0], plan.amount or 0, paced=True)
            )
        elif work.refused:
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
        is_held = result.outcome == ReservationOutcome.RESERVATION_OUTCOME_RESERVED
        if work.candidate is not None and not result.HasField("refusal"):
            result.frequency.CopyFrom(
                self.caps.judged(work.candidate, wrote=not work.replayed, include_caps=False)
            )
        if is_held:
            result.reservation.CopyFrom(reservation_of(work.id, plan, work.known))
        if plan.amount is not None and work.outcomes:
            outcome = work.settled or work.outcomes[0]
            result.budget.CopyFrom(status_of(work.levels, outcome, outcome.at))
        result.basis.CopyFrom(stored(self.backend, wrote=is_held and not work.replayed))
        return result

    def while_away(self, work: Work, failure: StoreAway) -> ReservationResult:
        """What settings and policies decide while the store is away; nothing is held."""
        settings = work.settings
        result = ReservationResult(
            reservation_id=work.id,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_PASSED_OPEN,
        )
        if work.candidate is not None:
            result.frequency.CopyFrom(self.caps.while_away(work.candidate, failure))
            if not result.frequency.allowed:
                result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
        if work.plan.refused:
            _refuse(work, result)
        elif (
            settings is not None
            and work.plan.amount is not None
            and not is_open(settings.message.budget_fail_policy, self.fail_policy)
        ):
            result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
            result.refusal.CopyFrom(refusal_while_away(settings, work.plan.amount))
        passes = result.outcome == ReservationOutcome.RESERVATION_OUTCOME_PASSED_OPEN
        result.basis.CopyFrom(away(self.backend, failure, open_=passes))
        return result


def reservation_of(id_: str, plan: Plan, known: Known | None) -> Reservation:
    """A reservation as a book knows it; None: it was just made."""
    state = HoldState.HELD if known is None or known.hold is None else known.hold
    spent = (
        int(known.resolution)
        if known and state is HoldState.COMMITTED and known.resolution
        else None
    )
    return resolved(id_, plan, state, 0 if known is None else known.resolved_at, spent)


def resolved(
    id_: str, plan: Plan, state: HoldState, at: int, committed: int | None = None
) -> Reservation:
    """A reservation in a state.

    Args:
        id_: its id.
        plan: what it holds, or held.
        state: where it stands.
        at: when it was resolved; 0: it is held.
        committed: micros that it spent; None: it is not committed, or held no money.
    """
    told = Reservation(
        reservation_id=id_,
        campaign_id=plan.campaign_id,
        state=_STATES[state],
        impressions=plan.impressions,
        create_time=timestamp(plan.at),
        expire_time=timestamp(plan.expires_at),
    )
    if plan.amount is not None:
        told.amount.CopyFrom(money(plan.currency, plan.amount))
    if committed is not None:
        told.committed.CopyFrom(money(plan.currency, committed))
    if at:
        told.resolve_time.CopyFrom(timestamp(at))
    return told


def _refuse(work: Work, result: ReservationResult) -> None:
    """What is answered where the settings refuse."""
    if work.plan.refused == "caps":
        result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_FREQUENCY
        return
    result.outcome = ReservationOutcome.RESERVATION_OUTCOME_REFUSED_BUDGET
    result.refusal.CopyFrom(unpacked(work.plan.refused, BudgetRefusal))
