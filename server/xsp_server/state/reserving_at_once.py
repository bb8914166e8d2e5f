"""Reserving in one round trip: every reservation asks all its books at the same moment.

What a book refuses is given back in the others, in a second round trip. Until then it is in the way
of those after it, who may be told to ask again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Self

from xsp.state.v1.budget_pb2 import ReservationOutcome, ReservationResult
from xsp_server.errors import XspError
from xsp_server.state.backend import (
    Book,
    Move,
    Outcome,
    StateBackend,
    Status,
    StoreAway,
    apply_all,
)
from xsp_server.state.messages import Clock
from xsp_server.state.reservation_moves import INDEX, REFUSED, Moves, hold_id, index_of
from xsp_server.state.reservation_plan import Read, Work
from xsp_server.state.reservation_results import Results
from xsp_server.values import value

_RESERVED: Final = ReservationOutcome.RESERVATION_OUTCOME_RESERVED


@value
class Answer:
    """What became of a reservation that was made at once with others.

    Attributes:
        outcome: what was decided.
        result: makes its message, which nobody may want.
    """

    outcome: "ReservationOutcome.ValueType"
    result: Callable[[], ReservationResult]

    @classmethod
    def of(cls, result: ReservationResult) -> Self:
        """One whose message is there."""
        return cls(result.outcome, lambda: result)


@dataclass(frozen=True, slots=True)
class ReservingAtOnce:
    """Holds reservations all at once.

    Attributes:
        backend: where money and impressions are held.
        clock: milliseconds since 1970.
        moves: makes their moves.
        results: makes their results.
        ending: what is being given back.
    """

    backend: StateBackend
    clock: Clock
    moves: Moves
    results: Results
    ending: set[asyncio.Task[None]] = field(default_factory=set)

    async def reserve(
        self, works: Sequence[Read], seconds: float
    ) -> list[Answer | tuple[str, XspError] | None]:
        """Holds as `Reservations.reserve_at_once` tells."""
        end = asyncio.get_running_loop().time() + seconds
        tries = [_Try(work) for work in works if isinstance(work, Work) and not work.plan.refused]
        failure = await self._try_for(seconds, tries)
        if failure is not None:
            return [
                Answer.of(self.results.while_away(work, failure))
                if isinstance(work, Work)
                else work
                for work in works
            ]
        refused = [each for each in tries if each.refused_in]
        if refused:
            giving_back = self._spawn(self._give_back(refused))
            try:
                await asyncio.wait([giving_back], timeout=end - asyncio.get_running_loop().time())
            except asyncio.CancelledError:  # then nobody hears what the others hold
                self._spawn(self._give_back([each for each in tries if not each.refused_in]))
                raise
        crowded = _crowded(tries)
        return [
            work if isinstance(work, tuple) else None if work.id in crowded else self._answer(work)
            for work in works
        ]

    async def close(self) -> None:
        """Waits until what is being given back is; each call has its own limit."""
        while self.ending:
            await asyncio.wait(self.ending)

    async def _try_for(self, seconds: float, tries: "Sequence[_Try]") -> StoreAway | None:
        """As `_try`; what takes too long, or is left by its caller, is given back."""
        if self.backend.in_process:
            return await self._try(tries)
        holding = asyncio.ensure_future(self._try(tries))
        try:
            await asyncio.wait([holding], timeout=seconds)
        except asyncio.CancelledError:
            self._give_back_later(holding, tries)
            raise
        failure = (
            holding.result()
            if holding.done()
            else StoreAway(f"no answer in {seconds * 1000:.0f} ms", retry_after=1)
        )
        if failure is not None:
            self._give_back_later(holding, tries)
        return failure

    async def _try(self, tries: "Sequence[_Try]") -> StoreAway | None:
        """Asks all books of all reservations at once; why that failed, if it did."""
        moves: dict[Book, list[Move]] = {}
        here: dict[Book, list[_Try]] = {}
        for each in tries:
            moves[index_of(each.work.id)] = [self.moves.plan(each.work)]
            for book in each.work.plan.books:
                moves.setdefault(book, []).append(self.moves.hold(each.work, book))
                here.setdefault(book, []).append(each)
        try:
            outcomes = await apply_all(self.backend, moves, self.clock())
        except StoreAway as failure:
            return failure
        for book, those in here.items():
            for each, outcome in zip(those, outcomes[book], strict=True):
                each.outcomes[book] = outcome
        for each in tries:
            each.settle()
        return None

    def _answer(self, work: Work) -> "Answer | tuple[str, XspError]":
        if not work.refused and not work.plan.refused:
            return Answer(_RESERVED, partial(self.results.reserved, work))
        item = self.results.item(work)
        return item if isinstance(item, tuple) else Answer.of(item)

    async def _give_back(self, tries: "Sequence[_Try]") -> None:
        """Gives back what reservations hold in any book, as far as the store can be reached."""
        here: dict[Book, list[Move]] = {}
        for each in tries:
            work = each.work
            for book in each.held:
                here.setdefault(book, []).append(self.moves.end(hold_id(work.id), REFUSED))
            here[index_of(work.id)] = [self.moves.end(INDEX, REFUSED)]
        now_ms = self.clock()
        await asyncio.gather(
            *(self.backend.apply(book, moves, now_ms) for book, moves in here.items()),
            return_exceptions=True,  # what stays held expires
        )

    def _give_back_later(
        self, holding: "asyncio.Future[StoreAway | None]", tries: "Sequence[_Try]"
    ) -> None:
        """Gives back whatever was held after all, once that is known."""

        async def give_back() -> None:
            with suppress(Exception):  # whatever it was, what was held is given back or expires
                await holding
            for each in tries:
                each.held = each.work.plan.books
            await self._give_back(tries)

        self._spawn(give_back())

    def _spawn(self, ending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Starts what must end although nobody may wait for it."""
        task = asyncio.get_running_loop().create_task(ending)
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)
        return task


@dataclass(slots=True)
class _Try:
    """A reservation that asks all its books at once.

    Attributes:
        work: the reservation.
        outcomes: of its books, once they answered.
        held: books that hold it now.
        refused_in: books that refused it.
    """

    work: Work
    outcomes: dict[Book, Outcome] = field(default_factory=dict)
    held: list[Book] = field(default_factory=list)
    refused_in: list[Book] = field(default_factory=list)

    def settle(self) -> None:
        """Sorts the outcomes, and gives them to the work: up to the first book that refused."""
        for book in self.work.plan.books:
            outcome = self.outcomes[book]
            refused = outcome.status is Status.REFUSED
            (self.refused_in if refused else self.held).append(book)
            if len(self.refused_in) <= refused:
                self.work.outcomes.append(outcome)
            candidate = self.work.candidate
            if candidate is not None and book.name in candidate.books:
                candidate.take(book.name, outcome)


def _crowded(tries: Sequence[_Try]) -> set[str]:
    """Ids of those refused only by books in which an earlier one held that was refused itself."""
    crowded: set[str] = set()
    given_back: set[Book] = set()
    for each in tries:
        if each.refused_in and given_back.issuperset(each.refused_in):
            crowded.add(each.work.id)
        if each.refused_in:
            given_back.update(each.held)
    return crowded
