"""What the state of caps and budgets said about a bid, as a fate with its evidence.

Pure: the same decision always gives the same refusal, so that a record can be run again.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from xsp.bid.v1.auction_report_pb2 import StateDecision, StatePhase, StateReport
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import BudgetRefusal, BudgetState
from xsp.state.v1.budget_pb2 import BudgetRefusalReason as Reason
from xsp.state.v1.frequency_pb2 import CapDenial, CapStatus, CapSubject
from xsp.state.v1.guarantee_pb2 import DecisionSource
from xsp_server import auction
from xsp_server.auction import Evidence, Fate, Relation
from xsp_server.openrtb.money import MICROS

_REASONS: Mapping[int, Fate] = MappingProxyType(
    {
        Reason.BUDGET_REFUSAL_REASON_UNSPECIFIED: Fate.NO_BUDGET,
        Reason.BUDGET_REFUSAL_REASON_LIMIT: Fate.NO_BUDGET,
        Reason.BUDGET_REFUSAL_REASON_PACING: Fate.PACED,
        Reason.BUDGET_REFUSAL_REASON_NOT_IN_FLIGHT: Fate.CAMPAIGN_INACTIVE,
        Reason.BUDGET_REFUSAL_REASON_PAUSED: Fate.CAMPAIGN_INACTIVE,
        Reason.BUDGET_REFUSAL_REASON_STORE_AWAY: Fate.STATE_UNAVAILABLE,
    }
)
"""Fates by what refused money; unspecified: its currency can't be made the campaign's."""

_STATES: Mapping[int, Fate] = MappingProxyType(
    {
        BudgetState.BUDGET_STATE_PAUSED: Fate.CAMPAIGN_INACTIVE,
        BudgetState.BUDGET_STATE_ENDED: Fate.CAMPAIGN_INACTIVE,
        BudgetState.BUDGET_STATE_NOT_STARTED: Fate.CAMPAIGN_INACTIVE,
        BudgetState.BUDGET_STATE_EXHAUSTED: Fate.NO_BUDGET,
        BudgetState.BUDGET_STATE_EXHAUSTED_DAILY: Fate.NO_BUDGET,
        BudgetState.BUDGET_STATE_EXHAUSTED_HOURLY: Fate.NO_BUDGET,
        BudgetState.BUDGET_STATE_EXHAUSTED_PARENT: Fate.NO_BUDGET,
        BudgetState.BUDGET_STATE_RESERVED: Fate.NO_BUDGET,
        BudgetState.BUDGET_STATE_PACED: Fate.PACED,
    }
)
"""Fates by the state of a campaign that can't pay."""

_ABOUT_BIDS = frozenset({StatePhase.STATE_PHASE_AFTER_BIDS, StatePhase.STATE_PHASE_RESERVE})

BidName = tuple[str, str, str]
"""Bidder, Imp.id and Bid.id; of bids that passed every check no two share it."""


def refusal_of(decision: StateDecision) -> auction.Refusal:
    """Why a decision that doesn't allow a bid refuses it: caps before money."""
    if decision.basis.source == DecisionSource.DECISION_SOURCE_FAIL_CLOSED:
        return auction.refused_by_state(
            Fate.STATE_UNAVAILABLE,
            Evidence("state", decision.basis.failure, Relation.EQUAL, "available"),
        )
    if decision.HasField("frequency") and not decision.frequency.allowed:
        return _capped(decision.frequency.denied_by)
    if decision.HasField("budget_refusal"):
        return _refused_money(decision.budget_refusal)
    state = decision.budget.state
    return auction.refused_by_state(
        _STATES.get(state, Fate.CAMPAIGN_INACTIVE),
        Evidence(
            "campaign.state",
            BudgetState.Name(state).removeprefix("BUDGET_STATE_"),
            Relation.EQUAL,
            "active",
            "ACTIVE",
        ),
    )


def refusals_of(reports: Iterable[StateReport]) -> dict[BidName, auction.Refusal]:
    """Bids that state refused, by their names; the last word about a bid counts."""
    last: dict[BidName, StateDecision] = {}
    for report in reports:
        if report.phase in _ABOUT_BIDS:
            last |= {(each.bidder, each.imp_id, each.bid_id): each for each in report.decisions}
    return {name: refusal_of(each) for name, each in last.items() if not each.allowed}


def reservations_of(reports: Iterable[StateReport]) -> dict[BidName, str]:
    """What is held for bids, by their names; the last word about a bid counts."""
    return {
        (each.bidder, each.imp_id, each.bid_id): each.reservation_id
        for report in reports
        if report.phase == StatePhase.STATE_PHASE_RESERVE
        for each in report.decisions
    }


def fate_of(decision: StateDecision) -> Fate:
    """The fate that a refusal means."""
    return refusal_of(decision).rule.fate


def _capped(cap: CapStatus) -> auction.Refusal:
    name = f"caps[{cap.cap_id}]"
    if cap.denial == CapDenial.CAP_DENIAL_STORE_AWAY:
        return auction.refused_by_state(
            Fate.STATE_UNAVAILABLE, Evidence("state", name, Relation.EQUAL, "available")
        )
    if cap.denial == CapDenial.CAP_DENIAL_SUBJECT_MISSING:
        household = cap.subject == CapSubject.CAP_SUBJECT_HOUSEHOLD
        told = "session.household_id" if household else "session.user_id"
        return auction.refused_by_state(Fate.CAPPED, Evidence(told, None, Relation.PRESENT, name))
    if cap.denial == CapDenial.CAP_DENIAL_SCOPE_MISSING:
        return auction.refused_by_state(
            Fate.CAPPED, Evidence(f"{name}.scope", None, Relation.PRESENT, name)
        )
    if cap.denial == CapDenial.CAP_DENIAL_COOLDOWN:
        frees_at = cap.frees_at.ToJsonString() if cap.HasField("frees_at") else None
        return auction.refused_by_state(
            Fate.CAPPED, Evidence(f"{name}.frees_at", frees_at, Relation.AT_MOST, "now")
        )
    return auction.refused_by_state(
        Fate.CAPPED,
        Evidence(f"{name}.count", cap.count + 1, Relation.AT_MOST, f"{name}.limit", cap.limit),
    )


def _refused_money(refusal: BudgetRefusal) -> auction.Refusal:
    fate = _REASONS.get(refusal.reason, Fate.NO_BUDGET)
    if fate is Fate.CAMPAIGN_INACTIVE:
        reason = Reason.Name(refusal.reason).removeprefix("BUDGET_REFUSAL_REASON_")
        return auction.refused_by_state(
            fate, Evidence("campaign.state", reason, Relation.EQUAL, "active", "ACTIVE")
        )
    if not refusal.reason:
        return auction.refused_by_state(
            fate,
            Evidence("cost.currency", refusal.asked.currency, Relation.EQUAL, "campaign.currency"),
        )
    available = _text(refusal.available) if refusal.HasField("available") else None
    return auction.refused_by_state(
        fate,
        Evidence("cost", _text(refusal.asked), Relation.AT_MOST, "campaign.available", available),
    )


def _text(amount: Money) -> str:
    return f"{amount.micros // MICROS}.{amount.micros % MICROS:06d} {amount.currency}"
