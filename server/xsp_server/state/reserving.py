"""Reserving one after the other: each sees what those before it have left.

Each reservation goes through its books in their order, and is given back where a later one refuses.
One that is repeated, or was cut off, finds its plan in the book of its id and goes on with it.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from xsp.state.v1.budget_pb2 import ReservationSpec
from xsp_server.errors import XspError
from xsp_server.state import budget_status as statuses
from xsp_server.state import expiring
from xsp_server.state.backend import (
    AMOUNT_MAX,
    ENTRIES_MAX,
    Book,
    Entry,
    Kind,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
)
from xsp_server.state.faults import ReservationIdReused, ReservationNotFound
from xsp_server.state.messages import Clock, differences, unpacked
from xsp_server.state.reservation_moves import INDEX, REFUSED, Moves, hold_id, index_of
from xsp_server.state.reservation_plan import Plan, Work
from xsp_server.state.reservation_results import Item, Results

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reserving:
    """Takes reservations through their books.

    Attributes:
        backend: where money and impressions are held.
        clock: milliseconds since 1970.
        moves: makes their moves.
        results: makes their results.
    """

    backend: StateBackend
    clock: Clock
    moves: Moves
    results: Results

    async def reserve(self, works: Sequence[Work], failure: StoreAway | None) -> dict[str, Item]:
        """Holds reservations in their order; what is answered, by id.

        Args:
            works: what to hold.
            failure: why the store can't be reached, if it can't; then the policies decide. So they
                do of those that are left when it goes away.
        """
        items: dict[str, Item] = {}
        for batch in _batches(works):
            if failure is None:
                try:
                    items |= await self._reserve(batch)
                    continue
                except StoreAway as away_now:
                    failure = away_now
            items |= {each.id: self.results.while_away(each, failure) for each in batch}
        return items

    async def _reserve(self, works: Sequence[Work]) -> dict[str, Item]:
        """Takes reservations through their books, all of them through each book at once."""
        *errors, _ = await self._together(self._beginnings(works))
        failed: dict[str, Item] = {
            work.id: (work.id, error)
            for work, error in zip(works, errors, strict=True)
            if error is not None
        }
        going = [work for work in works if work.id not in failed and not work.plan.refused]
        for place in range(max((len(work.plan.books) for work in going), default=0)):
            here: dict[Book, list[Work]] = {}
            for work in going:
                if not work.refused and place < len(work.plan.books):
                    here.setdefault(work.plan.books[place], []).append(work)
            await self._together(self._hold(book, those) for book, those in here.items())
        await self._together(self._undo(work) for work in going if work.refused)
        for work in going:
            if work.cut_off and not work.refused:
                failed[work.id] = (work.id, _cut_off(work.id))
        return failed | {
            work.id: self.results.item(work) for work in works if work.id not in failed
        }

    async def _together(self, calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Makes calls at once; where none ever waits, a task for each would cost more than it."""
        if self.backend.in_process:
            return [await each for each in calls]
        return await asyncio.gather(*calls)

    def _beginnings(self, works: Sequence[Work]) -> Iterator[Coroutine[Any, Any, XspError | None]]:
        """The first step of all: their plans, and beside these the room for them."""
        yield from (self._begin(work) for work in works)
        yield self._make_room(works)

    async def _begin(self, work: Work) -> XspError | None:
        """Writes the plan, or finds the one of the same reservation before."""
        book = index_of(work.id)
        [outcome] = await self.backend.apply(book, [self.moves.plan(work)], work.plan.at)
        if outcome.status is Status.APPLIED and not outcome.replayed:
            return None
        [known] = await self.backend.find(book.name, [INDEX], self.clock())
        if known is None:
            return ReservationNotFound(f"reservation {work.id} expired while it was repeated")
        first = Plan.from_text(known.content)
        if first.spec != work.plan.spec:
            return _reused(work, first)
        work.plan, work.known, work.replayed = first, known, True
        return None

    async def _make_room(self, works: Sequence[Work]) -> None:
        """Expires what is due where too much is held for all of these.

        It travels with their plans: a refusal is kept under its id, so that it is too late after
        it.
        """
        asked: dict[Book, dict[str, Entry]] = {}
        for work in works:
            if work.plan.amount is not None and not work.plan.refused:
                book = work.plan.books[0]
                _add(asked.setdefault(book, {}), self.moves.hold(work, book).entries)
        await self._together(
            self._make_room_in(book, list(entries.values())) for book, entries in asked.items()
        )

    async def _make_room_in(self, book: Book, entries: Sequence[Entry]) -> None:
        """Expires what is due in a book, where these would be refused and something is held."""
        starts = range(0, len(entries), ENTRIES_MAX)
        moves = [Move(Kind.CHECK, tuple(entries[each : each + ENTRIES_MAX])) for each in starts]
        if not moves:
            return
        outcomes = await self.backend.apply(book, moves, self.clock())
        if any(numbers.why and numbers.held for each in outcomes for numbers in each.numbers):
            await expiring.expire(self.backend, book, self.clock())

    async def _hold(self, book: Book, works: Sequence[Work]) -> None:
        """Holds in one book, or reads what became of it before."""
        now_ms = self.clock()
        over = [work for work in works if work.is_over]
        found = await self._together(
            self.backend.find(book.name, [hold_id(work.id)], now_ms) for work in over
        )
        for work, [known] in zip(over, found, strict=True):
            if known is None:
                work.cut_off = True
            else:
                _take(work, book, known.outcome)
        asking = [work for work in works if not work.is_over]
        moves = [self.moves.hold(work, book) for work in asking]
        outcomes = await self.backend.apply(book, moves, now_ms) if moves else []
        for work, outcome in zip(asking, outcomes, strict=True):
            _take(work, book, outcome)

    async def _undo(self, work: Work) -> None:
        """Gives back what was held before a book refused."""
        if work.is_over:
            return
        for book in work.plan.books[: len(work.outcomes) - 1]:
            moves = [self.moves.end(hold_id(work.id), REFUSED)]
            if book.ledger:
                moves.append(Move(Kind.CHECK, statuses.entries(work.levels, 0, work.plan.at)))
            *_, told = await self.backend.apply(book, moves, self.clock())
            if book.ledger:
                work.settled = told
        await self.backend.apply(index_of(work.id), [self.moves.end(INDEX, REFUSED)], self.clock())


def _add(sums: dict[str, Entry], entries: Iterable[Entry]) -> None:
    """Adds entries that may be refused to sums by their counters."""
    for entry in entries:
        if entry.limit is not None or entry.soft is not None:
            before = sums.get(entry.counter)
            add = entry.add if before is None else min(before.add + entry.add, AMOUNT_MAX)
            sums[entry.counter] = replace(entry, add=add)


def _batches(works: Iterable[Work]) -> Iterable[list[Work]]:
    """Works that may go through the books together.

    One with caps goes alone: what a later book refuses is given back in an earlier one, and must
    not have been in the way of those after it.
    """
    batch: list[Work] = []
    for work in works:
        if work.plan.caps:
            if batch:
                yield batch
            yield [work]
            batch = []
        else:
            batch.append(work)
    if batch:
        yield batch


def _take(work: Work, book: Book, outcome: Outcome) -> None:
    """Notes what a book told."""
    work.outcomes.append(outcome)
    if not book.ledger and work.candidate is not None and book.name in work.candidate.books:
        work.candidate.take(book.name, outcome)


def _reused(work: Work, first: Plan) -> ReservationIdReused:
    different = differences(
        unpacked(first.spec, ReservationSpec), unpacked(work.plan.spec, ReservationSpec)
    )
    return ReservationIdReused(
        f"reservation_id {work.id!r} came before with other {', '.join(different)}; "
        "expected an id of its own for other content",
        **different,
    )


def _cut_off(id_: str) -> ReservationNotFound:
    return ReservationNotFound(
        f"reservation {id_!r} was cut off before it was held, and is over; "
        "expected an id of its own for another attempt",
        reservation_id=id_,
    )
