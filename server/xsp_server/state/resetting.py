"""Forgetting counts of a subject: all that are meant, once for each request.

Which counters a reset removes is written down first, and each removal has an id. So a reset that is
repeated removes nothing that was counted since, and one that was cut off is completed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xsp.state.v1.frequency_pb2 import CapScope
from xsp.state.v1.state_service_pb2 import ResetFrequencyRequest
from xsp_server.errors import MissingField
from xsp_server.state.answered import Answered
from xsp_server.state.backend import ENTRIES_MAX, Book, Counter, Entry, Kind, Move, StateBackend
from xsp_server.state.candidates import books_of
from xsp_server.state.cap_rules import CounterName, counter_name
from xsp_server.state.messages import Clock
from xsp_server.state.windows import FOREVER

_PLAN: Final = "plan"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be removed.

    Attributes:
        at: when that was decided. It tells the removals of a request from those of one that came
            before with the same id, and is not known any more.
        names: of counters, by book.
    """

    at: int
    names: list[list[str]]


@dataclass(frozen=True, slots=True)
class Resetting:
    """Removes counters.

    Attributes:
        backend: where impressions are counted.
        clock: milliseconds since 1970.
        keep_ms: how long request ids are known.
    """

    backend: StateBackend
    clock: Clock
    keep_ms: int

    async def reset(self, request: ResetFrequencyRequest) -> int:
        """Forgets counters of a subject; how many, or how many the same request did before.

        Raises:
            InvalidRequest: the request can't be.
            RequestIdReused: the request id came before with other content.
            StoreAway: the store can't be reached; the same call again completes it.
        """
        books = [book for _, _, book in books_of(request.subject)]
        if not books:
            raise MissingField("subject", "a user_id or a household_id")
        if request.HasField("scope_value") and not request.scope:
            raise MissingField("scope", "the scope that scope_value is of")
        plan = await self._plan(request, books)
        for book, names in zip(books, plan.names, strict=True):
            for start in range(0, len(names), ENTRIES_MAX):
                move = self._remove(request, plan, start, names[start : start + ENTRIES_MAX])
                await self.backend.apply(book, [move], self.clock())
        # That of a cooldown is part of its cap, as a list of counts tells them.
        return sum(not counter_name(name).is_rest for names in plan.names for name in names)

    async def _plan(self, request: ResetFrequencyRequest, books: Sequence[Book]) -> _Plan:
        """What the request removes; what it was to remove when it came first."""
        answered = Answered(self.backend, self.clock, self.keep_ms)
        kept: bytes | None = None
        if request.request_id:
            kept = await answered.find(_PLAN, request.request_id, request)
        if kept is None:
            meant = [await self._meant(request, each) for each in books]
            kept = json.dumps([self.clock(), meant]).encode()
            if request.request_id:
                kept = await answered.keep(_PLAN, request.request_id, request, kept)
        return _Plan(*json.loads(kept))

    async def _meant(self, request: ResetFrequencyRequest, book: Book) -> list[str]:
        """Names of the counters of a book that a request means."""
        counters = await counters_of(self.backend, book, self.clock())
        return [each.name for each in counters if _is_meant(counter_name(each.name), request)]

    def _remove(
        self, request: ResetFrequencyRequest, plan: _Plan, start: int, names: Sequence[str]
    ) -> Move:
        return Move(
            Kind.REMOVE,
            tuple(Entry(name, FOREVER, 0) for name in names),
            id=f"reset/{plan.at}/{start}/{request.request_id}" if request.request_id else "",
            keep_ms=self.keep_ms,
        )


async def counters_of(
    backend: StateBackend, book: Book, now_ms: int, after: str = ""
) -> list[Counter]:
    """All counters of a book, from after a name.

    Raises:
        StoreAway: the store can't be reached.
    """
    found: list[Counter] = []
    page = await backend.counters(book.name, now_ms, after=after, limit=1000)
    while page:
        found += page
        page = await backend.counters(book.name, now_ms, after=page[-1].name, limit=1000)
    return found


def _is_meant(name: CounterName, request: ResetFrequencyRequest) -> bool:
    """Whether a reset means a counter."""
    return (
        request.subject.session_id in ("", name.session_id)
        and request.scope in (CapScope.CAP_SCOPE_UNSPECIFIED, name.scope)
        and request.custom_scope in ("", name.custom_scope)
        and (not request.HasField("scope_value") or request.scope_value == name.scope_value)
    )
