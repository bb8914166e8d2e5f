"""Campaigns as the bids of one auction would have them: what caps and money say, read at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Self

from xsp.bid.v1.auction_report_pb2 import StateDecision
from xsp.state.v1.budget_pb2 import BudgetRefusal
from xsp.state.v1.frequency_pb2 import CapDenial, FrequencyCandidate, Subject
from xsp.state.v1.guarantee_pb2 import DecisionBasis, DecisionSource
from xsp_server.auction import BidVerdict
from xsp_server.errors import XspError
from xsp_server.state import budget_status as statuses
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import StoreAway
from xsp_server.state.basis import away, is_open, stored
from xsp_server.state.budgets import Standing
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.candidates import Candidate, Names, candidate_of, names_of
from xsp_server.state.cap_rules import MAX_TEXT
from xsp_server.upstream import Session

_NO_SCOPE: Final = CapDenial.CAP_DENIAL_SCOPE_MISSING
_OPEN: Final = DecisionSource.DECISION_SOURCE_FAIL_OPEN


@dataclass(slots=True)
class View:
    """One campaign as a bid, or a bidder before it bids, would have it.

    Attributes:
        accounts: of the store.
        settings: the campaign.
        bidder: whose it is.
        verdict: the bid; None: before there are any.
        rate: how much of the campaign's currency one unit of the bid's is; None: unknown.
        pod_id: the pod that the bid is for, unique; empty: none.
        candidate: what its caps ask; None: it has none.
        is_broken: whether it can't be counted, as when a parent was just deleted.
        standing: how its money stands; None: nobody could tell.
        failure: why policies decide instead of the store; None: they don't.
        stopped: what of its settings keeps policies from serving it; None: nothing.
    """

    accounts: Accounts
    settings: Settings
    bidder: str
    verdict: BidVerdict | None
    rate: Fraction | None
    pod_id: str = ""
    candidate: Candidate | None = None
    is_broken: bool = False
    standing: Standing | None = None
    failure: StoreAway | None = None
    stopped: BudgetRefusal | None = None

    def read(self, subject: Subject, names: Names) -> None:
        """Finds out what its caps ask."""
        now_ms, campaigns = self.accounts.clock(), self.accounts.campaigns
        try:
            if any(level.caps for level in campaigns.lineage(self.settings)):
                self.candidate = candidate_of(
                    self.told(),
                    subject,
                    campaigns,
                    now_ms,
                    path="bid",
                    settings=self.settings,
                    names=names,
                )
        except XspError:
            self.is_broken = True

    def by_policy(self, failure: StoreAway) -> Self:
        """The same, decided by the policies, as the store can't be asked."""
        view = replace(self, standing=None, failure=failure)
        now_ms = self.accounts.clock()
        try:
            levels = statuses.levels_of(self.accounts.campaigns.lineage(self.settings), now_ms)
        except XspError:
            view.is_broken = True
            return view
        stop = statuses.stopped(levels, now_ms)
        if stop is not None:
            view.stopped = statuses.stopped_refusal(levels, *stop, 0, now_ms)
        return view

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

    @property
    def allowed(self) -> bool:
        """Whether it may be served."""
        if self.is_broken or not self.rate:
            return False
        if self.failure is not None:
            return self.decision().allowed
        if self.standing is None or not self.standing.pays:
            return False
        return self.candidate is None or self.candidate.is_allowed or self._waits_for_a_bid()

    def _waits_for_a_bid(self) -> bool:
        """Before there is a bid nobody knows its creative, pod or seat: such caps wait for it."""
        if self.verdict is not None or self.candidate is None:
            return False
        frequency = self.accounts.caps.judged(self.candidate, wrote=False, include_caps=False)
        return frequency.denied_by.denial == _NO_SCOPE

    def decision(self) -> StateDecision:
        """What was decided about it, as a message."""
        decision = StateDecision(bidder=self.bidder, campaign_id=self.settings.id)
        if self.verdict is not None:
            decision.bid_id, decision.imp_id = self.verdict.bid, self.verdict.imp
            if not self.rate:
                decision.budget_refusal.campaign_id = self.settings.id
                decision.budget_refusal.asked.currency = self.verdict.bid_currency
        if self.is_broken:
            return decision
        if self.failure is None:
            self._decided(decision)
        else:
            self._decided_by_policy(decision, self.failure)
        return decision

    def _decided(self, decision: StateDecision) -> None:
        if self.candidate is not None:
            caps = self.accounts.caps
            decision.frequency.CopyFrom(
                caps.judged(self.candidate, wrote=False, include_caps=False)
            )
        if self.standing is not None:
            decision.budget.CopyFrom(self.standing.status())
        decision.basis.CopyFrom(stored(self.accounts.backend, wrote=False))
        decision.allowed = self.allowed

    def _decided_by_policy(self, decision: StateDecision, failure: StoreAway) -> None:
        accounts = self.accounts
        open_ = is_open(self.settings.message.budget_fail_policy, accounts.fail_policy)
        bases = [away(accounts.backend, failure, open_=open_)]
        if self.stopped is not None:
            decision.budget_refusal.CopyFrom(self.stopped)
        if self.candidate is not None:
            decision.frequency.CopyFrom(accounts.caps.while_away(self.candidate, failure))
            bases.append(decision.frequency.basis)
        decision.basis.CopyFrom(max(bases, key=_trust))
        passes = decision.basis.source == _OPEN and self.stopped is None
        decision.allowed = passes and bool(self.rate) and self._shows(decision)

    def _shows(self, decision: StateDecision) -> bool:
        return self.candidate is None or decision.frequency.allowed


def read(views: Sequence[View], subject: Subject) -> None:
    """Finds out what the caps of campaigns ask.

    Args:
        views: campaigns; what was found is written into them.
        subject: whose impressions caps count.
    """
    names = names_of(subject)
    for view in views:
        view.read(subject, names)


async def look(accounts: Accounts, views: Sequence[View]) -> None:
    """Reads caps and money of campaigns that were read: one round trip.

    Args:
        accounts: of the store.
        views: campaigns; what was found is written into them.

    Raises:
        StoreAway: the store can't be reached.
    """
    candidates = [view.candidate for view in views if view.candidate is not None]
    campaigns = {view.settings.id: view.settings for view in views if not view.is_broken}
    reading = accounts.budgets.look(list(campaigns.values()))
    if candidates and not accounts.backend.in_process:
        standings, _ = await asyncio.gather(reading, accounts.caps.look(candidates))
    else:
        standings = await reading
        await accounts.caps.look(candidates)
    found = dict(zip(campaigns, standings, strict=True))
    for view in views:
        view.standing = found.get(view.settings.id)


def _countable(text: str) -> str:
    """What a bid tells, or nothing where it is too long to count by: then it is unknown."""
    return text if len(text.encode()) <= MAX_TEXT else ""


def subject_of(session: Session) -> Subject:
    """Whose impressions caps count in an auction; nobody's, where an id is too long to count by."""
    context = session.context
    subject = Subject(
        user_id=context.user_id or "",
        household_id=context.household_id or "",
        session_id=_countable(context.visit_id),
    )
    try:
        names_of(subject)
    except XspError:
        return Subject(session_id=subject.session_id)
    return subject


def _trust(basis: DecisionBasis) -> int:
    return _TRUST.index(basis.source)


_TRUST: Final = (
    DecisionSource.DECISION_SOURCE_UNSPECIFIED,
    DecisionSource.DECISION_SOURCE_STORE,
    DecisionSource.DECISION_SOURCE_FAIL_OPEN,
    DecisionSource.DECISION_SOURCE_FAIL_CLOSED,
)
"""What a decision made of several rests on: the last of these."""
