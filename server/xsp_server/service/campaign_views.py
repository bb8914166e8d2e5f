"""Campaigns as the bids of one auction would have them: what caps and money say, read at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from xsp.bid.v1.auction_report_pb2 import StateDecision
from xsp.state.v1.budget_pb2 import BudgetState, BudgetStatus
from xsp.state.v1.frequency_pb2 import CapDenial, FrequencyCandidate, FrequencyResult, Subject
from xsp.state.v1.guarantee_pb2 import DecisionBasis, DecisionSource
from xsp_server.auction import BidVerdict
from xsp_server.errors import XspError
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import StoreAway
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.candidates import Candidate, candidate_of
from xsp_server.state.cap_rules import MAX_TEXT
from xsp_server.upstream import Session


@dataclass(slots=True)
class View:
    """One campaign as a bid, or a bidder before it bids, would have it.

    Attributes:
        settings: the campaign.
        bidder: whose it is.
        verdict: the bid; None: before there are any.
        rate: how much of the campaign's currency one unit of the bid's is; None: unknown.
        pod_id: the pod that the bid is for, unique; empty: none.
        candidate: what its caps ask; None: it has none.
        is_broken: whether it can't be counted, as when a parent was just deleted.
        frequency: what its caps said.
        budget: how its money stands.
        basis: what that rests on.
    """

    settings: Settings
    bidder: str
    verdict: BidVerdict | None
    rate: Fraction | None
    pod_id: str = ""
    candidate: Candidate | None = None
    is_broken: bool = False
    frequency: FrequencyResult | None = None
    budget: BudgetStatus | None = None
    basis: DecisionBasis | None = None

    def read(self, accounts: Accounts, subject: Subject) -> None:
        """Finds out what its caps ask."""
        now_ms, campaigns = accounts.clock(), accounts.campaigns
        try:
            if any(level.caps for level in campaigns.lineage(self.settings)):
                self.candidate = candidate_of(
                    self.told(), subject, campaigns, now_ms, path="bid", settings=self.settings
                )
        except XspError:
            self.is_broken = True

    def go_by_policy(self, accounts: Accounts, failure: StoreAway) -> None:
        """Lets the policies decide, as the store can't be asked."""
        if self.candidate is not None:
            self.frequency = accounts.caps.while_away(self.candidate, failure)
        if not self.is_broken:
            self.budget, self.basis = accounts.budgets.while_away(self.settings, failure)

    def told(self) -> FrequencyCandidate:
        """What is to be shown, as far as it is known."""
        if self.verdict is None:
            return FrequencyCandidate(candidate_id=self.settings.id, bidder=self.bidder)
        message = self.verdict.message
        return FrequencyCandidate(
            candidate_id=self.verdict.bid,
            creative_id=_countable(message.crid),
            advertiser=_countable(message.adomain[0]) if message.adomain else "",
            bidder=self.bidder,
            seat=_countable(self.verdict.seat or ""),
            pod_id=self.pod_id,
        )

    def decision(self) -> StateDecision:
        """What was decided about it."""
        decision = StateDecision(
            bidder=self.bidder,
            bid_id="" if self.verdict is None else self.verdict.bid,
            imp_id="" if self.verdict is None else self.verdict.imp,
            campaign_id=self.settings.id,
            allowed=bool(self.rate) and not self.is_broken and self._pays() and self._shows(),
            frequency=self.frequency,
            budget=self.budget,
        )
        if not self.rate and self.verdict is not None:
            decision.budget_refusal.campaign_id = self.settings.id
            decision.budget_refusal.asked.currency = self.verdict.bid_currency
        bases = [] if self.basis is None else [self.basis]
        if self.frequency is not None:
            bases.append(self.frequency.basis)
        if bases:
            decision.basis.CopyFrom(max(bases, key=_trust))
        return decision

    def _pays(self) -> bool:
        if self.basis is None or self.basis.source != DecisionSource.DECISION_SOURCE_STORE:
            return self.basis is not None and (
                self.basis.source == DecisionSource.DECISION_SOURCE_FAIL_OPEN
            )
        return self.budget is not None and self.budget.state == BudgetState.BUDGET_STATE_ACTIVE

    def _shows(self) -> bool:
        frequency = self.frequency
        if frequency is None or frequency.allowed:
            return True
        # Before there is a bid nobody knows its creative, pod or seat: such caps wait for it.
        unknown = frequency.denied_by.denial == CapDenial.CAP_DENIAL_SCOPE_MISSING
        return self.verdict is None and unknown


def _countable(text: str) -> str:
    """What a bid tells, or nothing where it is too long to count by: then it is unknown."""
    return text if len(text.encode()) <= MAX_TEXT else ""


def subject_of(session: Session) -> Subject:
    """Whose impressions caps count in an auction."""
    context = session.context
    return Subject(
        user_id=context.user_id or "",
        household_id=context.household_id or "",
        session_id=context.visit_id,
    )


def _trust(basis: DecisionBasis) -> int:
    return _TRUST.index(basis.source)


_TRUST: Final = (
    DecisionSource.DECISION_SOURCE_UNSPECIFIED,
    DecisionSource.DECISION_SOURCE_STORE,
    DecisionSource.DECISION_SOURCE_FAIL_OPEN,
    DecisionSource.DECISION_SOURCE_FAIL_CLOSED,
)
"""What a decision made of several rests on: the last of these."""


async def look(accounts: Accounts, views: Sequence[View], subject: Subject) -> None:
    """Reads caps and money of campaigns: one round trip. While the store is away policies decide.

    Args:
        accounts: of the store.
        views: campaigns; what was found is written into them.
        subject: whose impressions caps count.
    """
    for view in views:
        view.read(accounts, subject)
    capped = [view for view in views if view.candidate is not None]
    campaigns = {view.settings.id: view.settings for view in views if not view.is_broken}
    frequencies, budgets = await asyncio.gather(
        accounts.caps.look([view.candidate for view in capped if view.candidate is not None]),
        asyncio.gather(*(accounts.budgets.get(each) for each in campaigns.values())),
    )
    for view, frequency in zip(capped, frequencies, strict=True):
        view.frequency = frequency
    money = dict(zip(campaigns, budgets, strict=True))
    for view in views:
        if view.settings.id in money:
            view.budget, view.basis = money[view.settings.id]
