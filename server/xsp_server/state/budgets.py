"""Budgets: what campaigns may spend, spent at once.

Money of a campaign and of all its parents is in one book, so a spend takes all levels or none in
one step of the store. Total, day and hour are always counted, with or without a limit, so that a
limit that comes later finds what was spent before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from xsp.state.v1.budget_pb2 import (
    BudgetRefusal,
    BudgetRefusalReason,
    BudgetState,
    BudgetStatus,
)
from xsp.state.v1.campaign_pb2 import BudgetLimits, Campaign
from xsp.state.v1.guarantee_pb2 import DecisionBasis, FailPolicy
from xsp.state.v1.state_service_pb2 import TrackSpendRequest, TrackSpendResponse
from xsp_server.errors import MissingField
from xsp_server.openrtb.money import micros_told, to_decimal
from xsp_server.state import budget_status as statuses
from xsp_server.state import expiring
from xsp_server.state.backend import (
    Book,
    Kind,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
    Why,
    apply_all,
)
from xsp_server.state.basis import away, is_open, stored
from xsp_server.state.budget_status import Level, levels_of
from xsp_server.state.campaign_rules import Settings
from xsp_server.state.campaigns import Campaigns, Lineage
from xsp_server.state.faults import Overflow, RequestIdReused
from xsp_server.state.messages import (
    HOUR_MS,
    Clock,
    amount_of,
    differences,
    machine_clock,
    money,
    packed,
    unpacked,
)
from xsp_server.state.money_book import book_of
from xsp_server.values import value

_ACTIVE: Final = BudgetState.BUDGET_STATE_ACTIVE


@value
class Standing:
    """How a campaign's money stands.

    Attributes:
        levels: the campaign and its parents.
        outcome: what the store told of their counters.
        at: when.
    """

    levels: tuple[Level, ...]
    outcome: Outcome
    at: int

    @property
    def pays(self) -> bool:
        """Whether it can pay."""
        rows = statuses.rows_of(self.outcome.numbers, self.levels)
        return statuses.state_of(self.levels, rows, self.at) == _ACTIVE

    def status(self) -> BudgetStatus:
        """It as a message."""
        return status_of(self.levels, self.outcome, self.at)


@value
class _Look:
    """How to look at a campaign's money.

    Attributes:
        levels: the campaign and its parents.
        book: of their counters.
        move: reads them.
        start: first moment at which this holds.
        end: first moment after it.
    """

    levels: tuple[Level, ...]
    book: Book
    move: Move
    start: int
    end: int

    def holds(self, settings: Settings, now_ms: int) -> bool:
        """Whether it is of these settings, which may be older than the copy, and of this hour."""
        return self.levels[0].settings is settings and self.start <= now_ms < self.end


class Budgets:
    """Reads and spends the money of campaigns."""

    def __init__(
        self,
        backend: StateBackend,
        campaigns: Campaigns,
        clock: Clock = machine_clock,
        *,
        keep_ms: int = HOUR_MS,
        fail_policy: "FailPolicy.ValueType" = FailPolicy.FAIL_POLICY_FAIL_CLOSED,
    ) -> None:
        """Takes the store and its campaigns.

        Args:
            backend: where money is counted.
            campaigns: of the same store.
            clock: milliseconds since 1970.
            keep_ms: how long request ids are known.
            fail_policy: for campaigns that don't tell one.
        """
        self._backend = backend
        self._campaigns = campaigns
        self._clock = clock
        self._keep_ms = keep_ms
        self._fail_policy = fail_policy
        self._looks: dict[str, _Look] = {}
        self._looks_version = -1

    async def get(self, settings: Settings) -> tuple[BudgetStatus, DecisionBasis]:
        """How a campaign's money stands, and what that rests on.

        While the store is away: the ids and limits alone.
        """
        now_ms = self._clock()
        lineage = self._campaigns.lineage(settings)
        try:
            return await self.read(lineage, now_ms), stored(self._backend, wrote=False)
        except StoreAway as failure:
            return self.while_away(settings, failure)

    def while_away(
        self, settings: Settings, failure: StoreAway
    ) -> tuple[BudgetStatus, DecisionBasis]:
        """What is told of a campaign when the store can't be asked: its id and limits alone."""
        now_ms = self._clock()
        levels = levels_of(self._campaigns.lineage(settings), now_ms)
        return statuses.bare(levels, now_ms), self._away(settings, failure)

    async def look(self, campaigns: Sequence[Settings]) -> "list[Standing]":
        """How the money of campaigns stands, in one round trip, told when it is wanted.

        Raises:
            StoreAway: the store can't be reached.
        """
        now_ms = self._clock()
        looks = [self._look_at(each, now_ms) for each in campaigns]
        moves: dict[Book, list[Move]] = {}
        for look in looks:
            moves.setdefault(look.book, []).append(look.move)
        outcomes = await apply_all(self._backend, moves, now_ms)
        told = {book: iter(those) for book, those in outcomes.items()}
        return [Standing(look.levels, next(told[look.book]), now_ms) for look in looks]

    def _look_at(self, settings: Settings, now_ms: int) -> "_Look":
        """How to look at a campaign's money: worked out once for an hour of its."""
        if self._looks_version != self._campaigns.version:
            self._looks, self._looks_version = {}, self._campaigns.version
        look = self._looks.get(settings.id)
        if look is None or not look.holds(settings, now_ms):
            levels = levels_of(self._campaigns.lineage(settings), now_ms)
            look = self._looks[settings.id] = _Look(
                levels,
                book_of(levels[-1].settings.id),
                Move(Kind.CHECK, statuses.entries(levels, 0, now_ms)),
                max(max(each.day[0], each.hour[0]) for each in levels),
                min(min(each.day[1], each.hour[1]) for each in levels),
            )
        return look

    async def read(self, lineage: Lineage, now_ms: int) -> BudgetStatus:
        """How a campaign's money stands.

        Raises:
            StoreAway: the store can't be reached.
        """
        levels = levels_of(lineage, now_ms)
        move = Move(Kind.CHECK, statuses.entries(levels, 0, now_ms))
        book = book_of(lineage[-1].id)
        [outcome] = await expiring.read(self._backend, book, [move], now_ms)
        return status_of(levels, outcome, now_ms)

    async def spend(self, request: TrackSpendRequest) -> TrackSpendResponse:
        """Spends at once: all of it, at all levels, or nothing.

        Raises:
            MissingField: no campaign or cost is told.
            CampaignNotFound: there is no such campaign.
            CurrencyMismatch, InvalidField: the amount can't be.
            RequestIdReused: the request id came before with other content.
            Overflow: the sum could not be counted.
            StoreAway: the store can't be reached, and its campaigns never could.
        """
        failure = await self._campaigns.freshen()
        if not request.campaign_id:
            raise MissingField("campaign_id", "the id of the campaign that pays")
        settings = self._campaigns.get(request.campaign_id)
        micros = amount_of(request, settings.currency)
        if micros is None:
            raise MissingField("amount", "what to spend, as amount or as cpm")
        if failure is None:
            try:
                return await self._spend(request, settings, micros)
            except StoreAway as away_now:
                failure = away_now
        return self._spent_while_away(settings, micros, failure)

    async def _spend(
        self, request: TrackSpendRequest, settings: Settings, micros: int
    ) -> TrackSpendResponse:
        now_ms = self._clock()
        lineage = self._campaigns.lineage(settings)
        levels = levels_of(lineage, now_ms)
        move = Move(
            Kind.COUNT,
            statuses.entries(levels, micros, now_ms),
            id=f"spend/{request.request_id}" if request.request_id else "",
            content=packed(request),
            keep_ms=self._keep_ms,
        )
        book = book_of(lineage[-1].id)
        [outcome] = await self._backend.apply(book, [move], now_ms)
        if outcome.status is Status.REUSED:
            raise _reused(request, outcome)
        if _is_held_up(outcome):
            outcome = await self._spend_again(request, book, move)
        check_overflow(outcome)
        if outcome.replayed:
            levels = levels_of(lineage, outcome.at)
        accepted = outcome.status is Status.APPLIED
        return TrackSpendResponse(
            accepted=accepted,
            amount=money(settings.currency, micros) if accepted else None,
            refusal=None if accepted else refusal_of(levels, outcome, micros, paced=False),
            budget=status_of(levels, outcome, outcome.at),
            replayed=outcome.replayed,
            basis=stored(self._backend, wrote=accepted and not outcome.replayed),
        )

    async def _spend_again(self, request: TrackSpendRequest, book: Book, move: Move) -> Outcome:
        """Spends what is refused as long as holds are there that may be due.

        A retry comes the same way: the first refusal is repeated, and so is what this becomes.
        """
        now_ms = self._clock()
        await expiring.expire(self._backend, book, now_ms)
        again = replace(move, id=f"again/{request.request_id}" if move.id else "")
        [outcome] = await self._backend.apply(book, [again], now_ms)
        return outcome

    def _spent_while_away(
        self, settings: Settings, micros: int, failure: StoreAway
    ) -> TrackSpendResponse:
        """What is answered by the campaign's policy; nothing is booked."""
        passes = is_open(settings.message.budget_fail_policy, self._fail_policy)
        return TrackSpendResponse(
            accepted=passes,
            amount=money(settings.currency, micros) if passes else None,
            refusal=None if passes else refusal_while_away(settings, micros),
            basis=self._away(settings, failure),
        )

    def _away(self, settings: Settings, failure: StoreAway) -> DecisionBasis:
        passes = is_open(settings.message.budget_fail_policy, self._fail_policy)
        return away(self._backend, failure, open_=passes)


def status_of(levels: tuple[Level, ...], outcome: Outcome, now_ms: int) -> BudgetStatus:
    """The money as an outcome tells it."""
    rows = statuses.rows_of(outcome.numbers, levels)
    return statuses.status(levels, rows, now_ms, outcome.sequence)


def refusal_of(
    levels: tuple[Level, ...], outcome: Outcome, asked: int, *, paced: bool
) -> BudgetRefusal:
    """Why an outcome is a refusal."""
    rows = statuses.rows_of(outcome.numbers, levels)
    return statuses.refusal(levels, rows, asked, outcome.at, paced=paced)


def refusal_while_away(settings: Settings, asked: int) -> BudgetRefusal:
    """The refusal of a campaign whose policy refuses while the store is away."""
    return BudgetRefusal(
        campaign_id=settings.id,
        reason=BudgetRefusalReason.BUDGET_REFUSAL_REASON_STORE_AWAY,
        asked=money(settings.currency, asked),
    )


def _is_held_up(outcome: Outcome) -> bool:
    """Whether all that refused might pass if what is held were less."""
    refused = [numbers for numbers in outcome.numbers if numbers.why]
    return bool(refused) and all(numbers.held for numbers in refused)


def check_overflow(outcome: Outcome) -> None:
    """Raises Overflow where a counter is full, whatever its limit."""
    if any(numbers.why & Why.OVERFLOW for numbers in outcome.numbers):
        raise Overflow("amount: the sum would be above what can be counted, 10^18 - 1 micros")


def _reused(request: TrackSpendRequest, outcome: Outcome) -> RequestIdReused:
    first = unpacked(outcome.content, TrackSpendRequest)
    different = differences(first, request)
    return RequestIdReused(
        f"request_id {request.request_id!r} came before with other {', '.join(different)}; "
        "expected an id of its own for other content",
        **different,
    )


@dataclass(frozen=True, slots=True)
class Tracked:
    """A campaign's money after a spend.

    Attributes:
        accepted: whether all of it was spent; if not, nothing was.
        currency: ISO 4217.
        spent: spent since ever.
        reserved: held by reservations.
        remaining: the least that remains in any hard limit; None: there is none.
        state: whether it can pay, as `BudgetState` names it: "ACTIVE", "EXHAUSTED" and so on.
    """

    accepted: bool
    currency: str
    spent: Decimal
    reserved: Decimal
    remaining: Decimal | None
    state: str


class BudgetTracker:
    """Budgets in a few words.

    tracker = BudgetTracker(backend)
    await tracker.put_campaign("c1", Decimal("1000.00"))
    (await tracker.track_spend("c1", Decimal("2.50"))).remaining   # Decimal("997.50")
    """

    def __init__(self, backend: StateBackend, clock: Clock = machine_clock) -> None:
        """Takes the store.

        Args:
            backend: where money is counted.
            clock: milliseconds since 1970.
        """
        self._campaigns = Campaigns(backend, clock)
        self._budgets = Budgets(backend, self._campaigns, clock)

    async def put_campaign(
        self, campaign_id: str, total: Decimal | float | None, *, currency: str = "USD"
    ) -> None:
        """Creates a campaign, or replaces its settings; what it has spent stays.

        Args:
            campaign_id: its id.
            total: what it may spend in all; None: no limit.
            currency: ISO 4217.

        Raises:
            InvalidRequest: one of these can't be.
            StoreAway: the store can't be reached.
        """
        total_ = None if total is None else money(currency, micros_told(total, "total"))
        limits = None if total_ is None else BudgetLimits(total=total_)
        await self._campaigns.put(
            Campaign(campaign_id=campaign_id, currency=currency, limits=limits)
        )

    async def track_spend(
        self, campaign_id: str, amount: Decimal | float, *, request_id: str = ""
    ) -> Tracked:
        """Spends all of it, or nothing.

        Args:
            campaign_id: who pays.
            amount: in the campaign's currency, from 0 up, with at most 6 decimals; a float stands
                for the shortest decimal that names it.
            request_id: makes a retry harmless, for an hour. Empty: a retry spends again.

        Raises:
            InvalidRequest: the amount can't be.
            CampaignNotFound: there is no such campaign.
            StoreAway: the store can't be reached.
        """
        await self._campaigns.refresh()
        currency = self._campaigns.get(campaign_id).currency
        response = await self._budgets.spend(
            TrackSpendRequest(
                request_id=request_id,
                campaign_id=campaign_id,
                amount=money(currency, micros_told(amount)),
            )
        )
        if not response.HasField("budget"):
            raise StoreAway(response.basis.failure, retry_after=1.0)
        return _tracked(response.budget, currency, accepted=response.accepted)

    async def get_budget(self, campaign_id: str) -> Tracked:
        """How a campaign's money stands; nothing is spent.

        Raises:
            CampaignNotFound: there is no such campaign.
            StoreAway: the store can't be reached.
        """
        await self._campaigns.refresh()
        settings = self._campaigns.get(campaign_id)
        told, basis = await self._budgets.get(settings)
        if basis.failure:
            raise StoreAway(basis.failure, retry_after=1.0)
        return _tracked(told, settings.currency, accepted=True)


def _tracked(told: BudgetStatus, currency: str, *, accepted: bool) -> Tracked:
    return Tracked(
        accepted=accepted,
        currency=currency,
        spent=to_decimal(told.spent.micros),
        reserved=to_decimal(told.reserved.micros),
        remaining=to_decimal(told.remaining.micros) if told.HasField("remaining") else None,
        state=state_name(told),
    )


def state_name(told: BudgetStatus) -> str:
    """The state without its prefix."""
    return BudgetState.Name(told.state).removeprefix("BUDGET_STATE_")
