"""Resolving reservations: commit and release.

The campaign's book, or the user's where no campaign is named, says how a reservation was resolved;
the others follow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from xsp.state.v1.budget_pb2 import (
    BudgetStatus,
    ReservationOutcome,
    ReservationResult,
    ReservationSpec,
)
from xsp.state.v1.state_service_pb2 import ReservationCommit
from xsp_server.errors import XspError
from xsp_server.state import budget_status as statuses
from xsp_server.state.backend import (
    Book,
    Entry,
    HoldState,
    Kind,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
)
from xsp_server.state.basis import stored
from xsp_server.state.budget_status import Level, levels_of
from xsp_server.state.budgets import check_overflow, refusal_of, status_of
from xsp_server.state.candidates import Candidate
from xsp_server.state.faults import InvalidField, ReservationNotFound, ReservationResolved
from xsp_server.state.messages import amount_of, unpacked
from xsp_server.state.money_book import book_of
from xsp_server.state.reservation_moves import INDEX, NOTHING, REFUSED, Moves, hold_id, index_of
from xsp_server.state.reservation_plan import Plan, Reader
from xsp_server.state.reservation_results import Item, reservation_of, resolved

_COMMITS: Final = {
    Status.APPLIED: ReservationOutcome.RESERVATION_OUTCOME_COMMITTED,
    Status.LATE: ReservationOutcome.RESERVATION_OUTCOME_COMMITTED_LATE,
    Status.REFUSED: ReservationOutcome.RESERVATION_OUTCOME_REFUSED_COMMIT,
}


@dataclass(frozen=True, slots=True)
class Resolving:
    """Commits and releases what is held, each reservation apart from the others.

    Attributes:
        backend: where money and impressions are held.
        reader: reads what a reservation asked for; its copy of the campaigns is current.
        moves: makes the moves.
    """

    backend: StateBackend
    reader: Reader
    moves: Moves

    async def commit(self, commits: Sequence[ReservationCommit]) -> list[Item]:
        """Spends what reservations hold, and confirms their cap counts.

        Raises:
            StoreAway: the store can't be reached; the same call again completes it.
        """
        ids = [each.reservation_id for each in commits]
        return await self._each(
            ids, lambda place, plan: _Commit(self, commits[place], plan).result()
        )

    async def release(self, ids: Sequence[str]) -> list[Item]:
        """Gives back what reservations hold.

        Raises:
            StoreAway: the store can't be reached; the same call again completes it.
        """
        return await self._each(ids, lambda place, plan: self._release(ids[place], plan))

    async def _each(
        self, ids: Sequence[str], resolve: Callable[[int, Plan], Awaitable[ReservationResult]]
    ) -> list[Item]:
        """Finds the plans of reservations, and resolves each; or says why it alone failed."""

        async def one(place: int, id_: str) -> Item:
            try:
                return await resolve(place, await self._plan(id_))
            except StoreAway:
                raise
            except XspError as error:
                return id_, error

        return list(await asyncio.gather(*(one(place, id_) for place, id_ in enumerate(ids))))

    async def _plan(self, id_: str) -> Plan:
        """The plan of a reservation that was held, as far as the book of its id knows."""
        [known] = await self.backend.find(index_of(id_).name, [INDEX], self.reader.clock())
        if known is None or known.resolution == REFUSED:
            raise _not_found(id_)
        plan = Plan.from_text(known.content)
        if plan.refused:
            raise _not_found(id_)
        return plan

    async def _release(self, id_: str, plan: Plan) -> ReservationResult:
        """Releases one reservation, in all its books."""
        now_ms = self.reader.clock()
        levels = self.levels(plan, now_ms)
        first, *rest = [*((book, hold_id(id_)) for book in plan.books), (index_of(id_), INDEX)]
        outcome, budget = await self.resolve(first[0], self.moves.end(first[1]), levels, now_ms)
        if outcome.status is Status.COMMITTED or outcome.status is Status.UNKNOWN:
            raise _not_open(id_, outcome)
        for book, hold in rest:
            await self.backend.apply(book, [self.moves.end(hold)], now_ms)
        expired = outcome.status is Status.EXPIRED
        state = HoldState.EXPIRED if expired else HoldState.RELEASED
        at = plan.expires_at if expired else outcome.at
        return ReservationResult(
            reservation_id=id_,
            outcome=ReservationOutcome.RESERVATION_OUTCOME_ALREADY_EXPIRED
            if expired
            else ReservationOutcome.RESERVATION_OUTCOME_RELEASED,
            replayed=outcome.replayed,
            reservation=resolved(id_, plan, state, at),
            budget=budget,
            basis=stored(self.backend, wrote=not expired and not outcome.replayed),
        )

    def levels(self, plan: Plan, now_ms: int) -> tuple[Level, ...]:
        """The campaign and its parents as they are now; none where no money is held."""
        if plan.amount is None:
            return ()
        campaigns = self.reader.campaigns
        return levels_of(campaigns.lineage(campaigns.get(plan.campaign_id)), now_ms)

    async def resolve(
        self, book: Book, move: Move, levels: Sequence[Level], now_ms: int
    ) -> tuple[Outcome, BudgetStatus | None]:
        """Does a move, and reads the money of the levels after it, where there are any."""
        if not levels:
            [outcome] = await self.backend.apply(book, [move], now_ms)
            return outcome, None
        look = Move(Kind.CHECK, statuses.entries(levels, 0, now_ms))
        pays_now = book_of(levels[-1].settings.id)
        if pays_now == book:
            outcome, read = await self.backend.apply(book, [move, look], now_ms)
        else:  # it expired, and the campaign was put into another tree since
            [outcome] = await self.backend.apply(book, [move], now_ms)
            [read] = await self.backend.apply(pays_now, [look], now_ms)
        return outcome, status_of(tuple(levels), read, now_ms)


class _Commit:
    """One commit."""

    def __init__(self, resolving: Resolving, commit: ReservationCommit, plan: Plan) -> None:
        self._resolving = resolving
        self._backend = resolving.backend
        self._commit = commit
        self._plan = plan
        self._id = commit.reservation_id
        self._now_ms = resolving.reader.clock()
        self._amount = _actual(commit, plan)
        self._levels = resolving.levels(plan, self._now_ms)
        self._candidate = self._asked()

    async def result(self) -> ReservationResult:
        """Commits in all books of the reservation, the one that decides first."""
        moves = [
            *((book, self._move(book)) for book in self._plan.books),
            (index_of(self._id), self._resolving.moves.commit(INDEX, self._commit, self._amount)),
        ]
        (book, move), *rest = moves
        outcome, budget = await self._resolving.resolve(book, move, self._levels, self._now_ms)
        check_overflow(outcome)
        if outcome.status not in _COMMITS:
            raise _not_open(self._id, outcome)
        result = ReservationResult(
            reservation_id=self._id,
            replayed=outcome.replayed,
            outcome=_COMMITS[outcome.status],
            budget=budget,
        )
        if outcome.status is Status.REFUSED:
            await self._refuse(result, outcome)
            return result
        for book, move in rest:
            await self._backend.apply(book, [move], self._now_ms)
        result.reservation.CopyFrom(
            resolved(self._id, self._plan, HoldState.COMMITTED, outcome.at, self._amount)
        )
        result.basis.CopyFrom(stored(self._backend, wrote=not outcome.replayed))
        return result

    async def _refuse(self, result: ReservationResult, outcome: Outcome) -> None:
        """Says why money was refused, and that the reservation stands as it did."""
        [known] = await self._backend.find(
            self._plan.books[0].name, [hold_id(self._id)], self._now_ms
        )
        is_late = known is not None and known.hold is HoldState.EXPIRED
        levels = self._levels if is_late else self._held()
        result.refusal.CopyFrom(refusal_of(levels, outcome, self._amount or 0, paced=False))
        result.reservation.CopyFrom(reservation_of(self._id, self._plan, known))
        result.basis.CopyFrom(stored(self._backend, wrote=False))

    def _move(self, book: Book) -> Move:
        """Commits in one book of the plan."""
        entries, late = self._money(book) if book.ledger else ((), self._late_caps(book))
        return self._resolving.moves.commit(
            hold_id(self._id), self._commit, self._amount, entries, late
        )

    def _money(self, book: Book) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """What it spends other than what is held; and what, where it has expired."""
        held, spent = self._plan.amount, self._amount
        if held is None or spent is None:
            return (), (NOTHING,)
        entries: tuple[Entry, ...] = ()
        if spent != held:
            # What is above the campaign no more takes no more than it held.
            ids = {each.settings.id for each in self._levels}
            asked = [each for each in self._held() if spent < held or each.settings.id in ids]
            entries = statuses.entries(asked, spent, self._now_ms)
        pays_here = book_of(self._levels[-1].settings.id) == book
        late = statuses.entries(self._levels, spent, self._now_ms) if pays_here else ()
        return entries, late

    def _late_caps(self, book: Book) -> tuple[Entry, ...]:
        """What is counted in a book of impressions where the reservation has expired."""
        candidate = self._candidate
        counted = candidate is not None and book.name in candidate.books
        late = candidate.entries(book.name, forced=True) if candidate and counted else ()
        return tuple(late) or (NOTHING,)

    def _held(self) -> tuple[Level, ...]:
        """The levels that hold it."""
        return self._plan.levels_at(tuple(each.settings for each in self._levels))

    def _asked(self) -> Candidate | None:
        """What its caps ask by now."""
        reader, plan = self._resolving.reader, self._plan
        settings = reader.campaigns.get(plan.campaign_id) if plan.campaign_id else None
        spec = unpacked(plan.spec, ReservationSpec)
        return reader.candidate(spec, settings, self._now_ms, "reservation")


def _actual(commit: ReservationCommit, plan: Plan) -> int | None:
    """Micros to spend; None: it holds no money."""
    if plan.amount is None:
        if commit.WhichOneof("cost"):
            raise InvalidField("amount", "expected none, since the reservation holds no money")
        return None
    amount = amount_of(commit, plan.currency)
    if amount is None:
        return plan.amount
    if amount > plan.amount and not commit.allow_more:
        raise InvalidField(
            "amount", f"expected at most the {plan.amount} micros held, or allow_more; got {amount}"
        )
    return amount


def _not_found(id_: str) -> ReservationNotFound:
    return ReservationNotFound(f"no reservation has the id {id_!r}", reservation_id=id_)


def _not_open(id_: str, outcome: Outcome) -> XspError:
    """Why a reservation can't be resolved so: it is not there, or was resolved otherwise."""
    if outcome.status is Status.UNKNOWN:
        return _not_found(id_)
    if outcome.status is Status.EXPIRED:
        return ReservationNotFound(
            f"reservation {id_!r} is over, and its campaign has been put into another tree; "
            "expected what was shown to be tracked",
            reservation_id=id_,
        )
    state = outcome.status.value.upper()
    return ReservationResolved(f"reservation {id_} was {state} otherwise before", state=state)
