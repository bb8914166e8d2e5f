"""One auction's winners and the store: who can't be served, what is held, and the next best bid."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Final

from xsp.bid.v1.auction_report_pb2 import StateDecision, StatePhase
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.budget_pb2 import (
    BudgetRefusalReason,
    CpmCost,
    FrequencyHold,
    ReservationOutcome,
    ReservationSpec,
)
from xsp.state.v1.frequency_pb2 import Subject
from xsp.state.v1.guarantee_pb2 import FailPolicy
from xsp_server import auction
from xsp_server.auction import BidKey, BidVerdict, Result, Winner
from xsp_server.errors import XspError
from xsp_server.openrtb import money
from xsp_server.service.campaign_views import View, look, read, subject_of
from xsp_server.service.exchange import AuctionRun, without
from xsp_server.service.held import Held, impressions_of
from xsp_server.service.state_told import Decided, Phase, Told
from xsp_server.service.state_verdicts import refusal_of
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import AMOUNT_MAX, StoreAway
from xsp_server.state.basis import away, is_open
from xsp_server.state.messages import cost_of
from xsp_server.state.reservations import Answer
from xsp_server.upstream import Session

_LOOKED: Final = frozenset({StatePhase.STATE_PHASE_AFTER_BIDS, StatePhase.STATE_PHASE_RESERVE})
_AS_THE_SERVER: Final = FailPolicy.FAIL_POLICY_UNSPECIFIED
_NONE: Final = ReservationOutcome.RESERVATION_OUTCOME_UNSPECIFIED
_RESERVED: Final = ReservationOutcome.RESERVATION_OUTCOME_RESERVED
_PASSES: Final = frozenset({_RESERVED, ReservationOutcome.RESERVATION_OUTCOME_PASSED_OPEN})
_INT64_MAX: Final = 2**63 - 1

TOO_LATE: Final = StoreAway("no answer within the time of the auction", retry_after=1)
"""Why policies decide when the time is over; told and never raised."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a winner needs.

    Attributes:
        view: its campaign.
        spec: the reservation; None: it costs nothing and nothing is counted.
        held: what is held once it is made.
        payable: whether what it costs is known, and can be counted.
    """

    view: View
    spec: ReservationSpec | None
    held: Held
    payable: bool = True


class Settlement:
    """Settles one auction.

    Attributes:
        held: what is held for its winners, by bid.
        lost: what is held for bids that win no more.
    """

    def __init__(self, accounts: Accounts, run: AuctionRun, session: Session, end: float) -> None:
        """Takes the auction.

        Args:
            accounts: of the store.
            run: the auction as decided, perhaps settled before.
            session: whose impressions caps count.
            end: when the policies decide instead, by the clock of the event loop.
        """
        self.held: dict[BidKey, Held] = dict(run.reserved)
        self.lost: list[Held] = []
        self._accounts = accounts
        self._run = run
        self._session = session
        self._end = end
        self._time = asyncio.get_running_loop().time
        self._told = Told(run.state.phases if isinstance(run.state, Told) else ())
        self._bids = {
            auction.key_of(verdict.facts): verdict
            for verdict in run.result.verdicts
            if verdict.message.cid and verdict.rule_id.startswith("auction.")
        }
        self._views: dict[BidKey, View] = {}
        self._passed: set[BidKey] = set()

    async def settle(self) -> AuctionRun:
        """Looks, withdraws, holds.

        Returns:
            The auction, decided again where bids were withdrawn, with what its winners hold.
        """
        if not self._bids and not self.held:
            return self._run
        if any(each.phase in _LOOKED for each in self._told.phases):
            self._views = self._find()
        else:
            await self._look()
        if not self._told.phases:
            return self._run
        await self._reserve()
        return replace(self._run, state=self._told, reserved=dict(self.held))

    async def _look(self) -> None:
        """Withdraws the bids whose campaigns can't be served."""
        started = self._time()
        failure: StoreAway | None = None
        try:
            async with asyncio.timeout_at(self._end):
                await self._read()
        except TimeoutError:
            failure = TOO_LATE
        except StoreAway as never_read:
            failure = never_read
        if failure is not None:
            self._views = {key: view.by_policy(failure) for key, view in self._views.items()}
        decided = {key: Decided(view.allowed, view.decision) for key, view in self._views.items()}
        if failure is not None and self._accounts.campaigns.version < 0:
            decided = {key: self._unread(bid, failure) for key, bid in self._bids.items()}
        elif len(self._accounts.campaigns):
            for key, bid in self._bids.items():
                if key not in decided:
                    decided[key] = Decided(True, partial(_decision, bid, allowed=True))
        if decided:
            self._withdraw(StatePhase.STATE_PHASE_AFTER_BIDS, decided, started)

    async def _read(self) -> None:
        """Reads the campaigns of the bids, and whether our copy is as new as the auction."""
        accounts = self._accounts
        for _ in range(2):
            version = accounts.campaigns.version
            self._views = self._find()
            if self._views:
                views = list(self._views.values())
                if accounts.backend.in_process:
                    await accounts.campaigns.freshen()
                    await look(accounts, views)
                else:
                    reading = look(accounts, views)
                    await asyncio.gather(accounts.campaigns.freshen(), reading)
            else:
                await accounts.campaigns.freshen()
            if accounts.campaigns.version == version:
                return

    def _find(self) -> dict[BidKey, View]:
        """The campaigns of the bids that have one, by the copy."""
        campaigns, result = self._accounts.campaigns, self._run.result
        if not len(campaigns):
            return {}
        pods = {imp: f"{self._run.auction_id}/{pod.id}" for pod in result.pods for imp in pod.imps}
        views = {}
        for key, bid in self._bids.items():
            settings = campaigns.search(bid.message.cid, bid.seat or "", bid.bidder)
            if settings is not None:
                rate = _rate(result, bid.bid_currency, settings.currency)
                views[key] = View(
                    self._accounts, settings, bid.bidder, bid, rate, pods.get(bid.imp, "")
                )
        if views:
            read(list(views.values()), self._subject)
        return views

    @cached_property
    def _subject(self) -> Subject:
        return subject_of(self._session)

    async def _reserve(self) -> None:
        """Holds what the winners need, until all of them have it or need nothing."""
        while True:
            started = self._time()
            asks = dict(self._asks())
            self._let_go(asks)
            new = {key: ask for key, ask in asks.items() if key not in self.held}
            if not new:
                return
            if started >= self._end:
                self._go_by_policy(started)
                continue
            await self._give_back()
            decided = await self._hold(new)
            self._withdraw(StatePhase.STATE_PHASE_RESERVE, decided, started)
            if new.keys() <= self.held.keys() | self._passed:
                return

    async def _give_back(self) -> None:
        """Gives back what losers hold, as it may be what the others need."""
        if not self.lost:
            return
        ids = [each.reservation_id for each in self.lost]
        with suppress(TimeoutError, XspError):  # then it is given back later
            async with asyncio.timeout_at(self._end):
                await self._accounts.reservations.release(ids)
                self.lost = []

    def _asks(self) -> Iterator[tuple[BidKey, _Ask]]:
        """What winners need that have a campaign, and were not let pass without."""
        for place, winner in enumerate(self._run.result.winners):
            key = auction.key_of(winner.verdict.facts)
            view = self._views.get(key)
            if view is not None and key not in self._passed:
                # Each round leaves a phase, so no id is used twice.
                id_ = f"{self._run.auction_id}.{len(self._told.phases)}.{place}"
                yield key, self._ask(id_, view, winner)

    def _ask(self, id_: str, view: View, winner: Winner) -> _Ask:
        imp = self._run.request.imp[self._run.result.auction.imp_index[winner.imp]]
        held = Held(
            reservation_id=id_,
            currency=view.settings.currency,
            rate=view.rate or Fraction(0),
            cpm_micros=money.to_micros(winner.auction_price * (view.rate or 0)),
            impressions_micros=money.to_micros(impressions_of(imp)),
        )
        spec = ReservationSpec(reservation_id=held.reservation_id, campaign_id=view.settings.id)
        cost = cost_of(held.cpm_micros, held.impressions_micros)
        if not view.rate or cost > AMOUNT_MAX or _beyond_counting(held):
            return _Ask(view, None, held, payable=False)
        if not cost:
            held = replace(held, currency="")
        else:
            cpm = Money(currency=held.currency, micros=held.cpm_micros)
            spec.cpm.CopyFrom(CpmCost(cpm=cpm, impressions_micros=held.impressions_micros))
        if view.candidate is not None:
            spec.frequency.CopyFrom(FrequencyHold(subject=self._subject, candidate=view.told()))
        return _Ask(view, spec if cost or view.candidate is not None else None, held)

    def _let_go(self, asks: Mapping[BidKey, _Ask]) -> None:
        """Takes what is held from bids that win no more, or now cost more than they hold."""
        for key, held in list(self.held.items()):
            ask = asks.get(key)
            if ask is None or ask.held.cpm_micros > held.cpm_micros:
                self.lost.append(self.held.pop(key))
            else:  # a price that fell needs no other reservation: less is committed
                self.held[key] = replace(held, cpm_micros=ask.held.cpm_micros)

    async def _hold(self, asks: Mapping[BidKey, _Ask]) -> dict[BidKey, Decided]:
        """Reserves for winners together; those refused only for each other's sake are left out."""
        decided = {
            key: Decided(False, partial(_unpayable, self._bids[key], ask))
            for key, ask in asks.items()
            if not ask.payable
        }
        self._passed |= {key for key, ask in asks.items() if ask.spec is None and ask.payable}
        asks = {key: ask for key, ask in asks.items() if ask.spec is not None}
        answers = await self._accounts.reservations.reserve_at_once(
            [ask.spec for ask in asks.values() if ask.spec is not None],
            self._end - self._time(),
        )
        for (key, ask), answer in zip(asks.items(), answers, strict=True):
            if answer is None:
                continue
            outcome = _NONE if isinstance(answer, tuple) else answer.outcome
            decided[key] = Decided(
                outcome in _PASSES, partial(_reserved, self._bids[key], ask, answer)
            )
            if outcome == _RESERVED:
                self.held[key] = ask.held
            elif outcome in _PASSES:
                self._passed.add(key)
        return decided

    def _go_by_policy(self, started: float) -> None:
        """Decides all bids that hold nothing by the policies, as no time is left to ask."""
        decided = {}
        for key, view in self._views.items():
            if not (key in self.held or key in self._passed or key in self._run.withdrawn):
                by_policy = view.by_policy(TOO_LATE)
                decided[key] = Decided(by_policy.allowed, by_policy.decision)
                self._passed.add(key)
        self._withdraw(StatePhase.STATE_PHASE_RESERVE, decided, started)

    def _withdraw(
        self, phase: StatePhase.ValueType, decided: Mapping[BidKey, Decided], started: float
    ) -> None:
        """Notes what was decided, and decides the auction again without the bids refused."""
        if not decided:
            return
        took = round((self._time() - started) * 1_000_000)
        self._told = Told((*self._told.phases, Phase(phase, took, tuple(decided.values()))))
        refused = {
            key: refusal_of(each.decision()) for key, each in decided.items() if not each.allowed
        }
        if refused:
            self._run = without(self._run, {**self._run.withdrawn, **refused})

    def _unread(self, bid: BidVerdict, failure: StoreAway) -> Decided:
        """About a bid whose campaign nobody knows, since the store could never be read."""
        passes = is_open(_AS_THE_SERVER, self._accounts.fail_policy)
        decision = _decision(bid, allowed=passes)
        decision.basis.CopyFrom(away(self._accounts.backend, failure, open_=passes))
        return Decided(passes, lambda: decision)


def _decision(bid: BidVerdict, *, allowed: bool) -> StateDecision:
    return StateDecision(bidder=bid.bidder, bid_id=bid.bid, imp_id=bid.imp, allowed=allowed)


def _beyond_counting(held: Held) -> bool:
    """Whether a message can't tell its price or its impressions."""
    return max(held.cpm_micros, held.impressions_micros) > _INT64_MAX


def _unpayable(bid: BidVerdict, ask: _Ask) -> StateDecision:
    """About a winner whose cost is beyond all counting, or not to be had in its currency."""
    decision = _decision(bid, allowed=False)
    decision.campaign_id = ask.view.settings.id
    refusal = decision.budget_refusal
    refusal.campaign_id = decision.campaign_id
    if ask.view.rate:
        refusal.reason = BudgetRefusalReason.BUDGET_REFUSAL_REASON_LIMIT
        refusal.asked.currency, refusal.asked.micros = ask.held.currency, _INT64_MAX
    else:
        refusal.asked.currency = bid.bid_currency
    return decision


def _reserved(bid: BidVerdict, ask: _Ask, answer: Answer | tuple[str, XspError]) -> StateDecision:
    """What a reservation came to."""
    decision = _decision(bid, allowed=False)
    decision.campaign_id = ask.view.settings.id
    if isinstance(answer, tuple):  # such as a campaign that was deleted meanwhile
        return decision
    result = answer.result()
    decision.allowed = answer.outcome in _PASSES
    if result.HasField("frequency"):
        decision.frequency.CopyFrom(result.frequency)
    if result.HasField("refusal"):
        decision.budget_refusal.CopyFrom(result.refusal)
    if result.HasField("budget"):
        decision.budget.CopyFrom(result.budget)
    decision.basis.CopyFrom(result.basis)
    if answer.outcome == _RESERVED:
        decision.reservation_id = result.reservation_id
    return decision


def _rate(result: Result, bid_currency: str, currency: str) -> Fraction | None:
    """How much of one currency a unit of the bid's is; None: no way to convert."""
    if bid_currency == currency:
        return Fraction(1)
    of_bid, of_campaign = result.auction.rate(bid_currency), result.auction.rate(currency)
    return of_bid / of_campaign if of_bid and of_campaign else None
