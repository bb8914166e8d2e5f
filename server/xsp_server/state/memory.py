"""State in this process: the fastest, and gone with it."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice
from typing import Final

from xsp_server.state import moves as rule
from xsp_server.state.backend import (
    SLACK_MS,
    Balance,
    Book,
    CampaignDocument,
    Counter,
    HoldState,
    Known,
    Move,
    Movement,
    Outcome,
    PutOutcome,
    PutStatus,
    StateBackend,
)
from xsp_server.state.counters import inspect
from xsp_server.state.moves import BookState
from xsp_server.state.windows import NEVER

SLOT_MS: Final = 4096
"""What is to be forgotten in the same four seconds is looked at together."""

BOOK_CHECK_MS: Final = 300_000
"""How often a book is searched for counters that are gone, if none is known to go earlier."""


class InMemoryBackend(StateBackend):
    """State in this process, `memory://`.

    Every call is done in one step of the event loop, without waiting. What can't be seen any more
    is forgotten bit by bit: each call looks at as many lines as it has moves, and a few more.
    """

    scheme = "memory"
    in_process = True
    durable = False
    keeps_ledger = False

    def __init__(self) -> None:
        self._books: dict[str, BookState] = {}
        self._agenda = _Agenda()
        self._campaigns = _Campaigns()

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend."""
        state = self._books.get(book.name)
        if state is None:
            state = self._books[book.name] = BookState()
            self._agenda.add(now_ms + BOOK_CHECK_MS, book.name, "")
        outcomes = rule.apply(state, moves, now_ms)
        for place, move in enumerate(moves):
            if move.id and not outcomes[place].replayed:
                known_until = max(now_ms, move.expires_at) + move.keep_ms
                self._agenda.add(known_until + SLACK_MS, book.name, move.id)
        if self._agenda.next_at <= now_ms:
            self._forget(now_ms, 2 * len(moves) + 8)
        return outcomes

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend."""
        state = self._books.get(book, _NOTHING)
        return [rule.find(state, id_, now_ms) for id_ in ids]

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """See StateBackend."""
        state = self._books.get(book, _NOTHING)
        ids = sorted({id_ for expires_at, id_ in state.due if expires_at > now_ms and id_ > after})
        found = (rule.find(state, id_, now_ms) for id_ in ids)
        held = (each for each in found if each is not None and each.hold is HoldState.HELD)
        return list(islice(held, limit))

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """See StateBackend."""
        state = self._books.get(book, _NOTHING)
        rule.apply(state, (), now_ms)
        counters = state.counters
        names = sorted(name for name in counters if name > after)
        found = (inspect(name, counters[name], now_ms) for name in names)
        return list(islice((each for each in found if each is not None), limit))

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return self._campaigns.put(document, now_ms, expected_revision, expected_version)

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend."""
        return [self._campaigns.by_id.get(campaign_id) for campaign_id in campaign_ids]

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """See StateBackend."""
        return self._campaigns.page(after, limit)

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return self._campaigns.delete(campaign_id, expected_revision, expected_version)

    async def campaigns_version(self) -> int:
        """See StateBackend."""
        return self._campaigns.version

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:  # noqa: ARG002
        """Nothing: no ledger is kept."""
        return []

    async def audit(self, book: str | None = None) -> list[Balance]:  # noqa: ARG002
        """Nothing: no ledger is kept."""
        return []

    async def ping(self) -> None:
        """Returns: it is here."""

    async def close(self) -> None:
        """Does nothing: it goes with whoever holds it."""

    def _forget(self, now_ms: int, most: int) -> None:
        """Looks at lines of the agenda that are due, so many at most."""
        for name, id_ in self._agenda.take(now_ms, most):
            book = self._books.get(name)
            if book is None:
                continue
            if id_:
                self._forget_move(name, book, id_, now_ms)
            else:
                self._forget_counters(name, book, now_ms)

    def _forget_move(self, name: str, book: BookState, id_: str, now_ms: int) -> None:
        """Forgets a move, or looks again later: a hold may be known for longer than it seemed."""
        rule.apply(book, (), now_ms)  # expires what is due
        memory = book.known.get(id_)
        if memory is None:
            return
        held = memory.hold
        if held is not None and held.state is HoldState.HELD:
            later = held.expires_at + held.keep_ms + SLACK_MS
        elif memory.known_until + SLACK_MS > now_ms:
            later = memory.known_until + SLACK_MS
        else:
            del book.known[id_]
            return
        self._agenda.add(max(later, now_ms), name, id_)

    def _forget_counters(self, name: str, book: BookState, now_ms: int) -> None:
        """Forgets counters of a book, and the book where nothing is left."""
        rule.apply(book, (), now_ms)
        later = now_ms + 12 * BOOK_CHECK_MS
        for counter_name, counter in list(book.counters.items()):
            kept_until = max(counter.kept_until, counter.held_until) + SLACK_MS
            if kept_until > now_ms:
                later = min(later, kept_until)
            elif not counter.held:
                del book.counters[counter_name]
        if book.counters or book.known:
            self._agenda.add(max(later, now_ms + BOOK_CHECK_MS), name, "")
        else:
            del self._books[name]


class _Agenda:
    """What is to be looked at, in slots of time: (book, id of a move), or (book, "")."""

    __slots__ = ("_order", "_slots", "next_at")

    def __init__(self) -> None:
        self.next_at: int = NEVER
        """When the first line is due."""
        self._slots: dict[int, list[tuple[str, str]]] = {}
        self._order: list[int] = []

    def add(self, at: int, book: str, id_: str) -> None:
        """Puts a line where it is due soon after `at`."""
        slot = at // SLOT_MS + 1
        lines = self._slots.get(slot)
        if lines is None:
            lines = self._slots[slot] = []
            heappush(self._order, slot)
            self.next_at = self._order[0] * SLOT_MS
        lines.append((book, id_))

    def take(self, now_ms: int, most: int) -> list[tuple[str, str]]:
        """Takes lines that are due, so many at most."""
        taken: list[tuple[str, str]] = []
        while len(taken) < most and self.next_at <= now_ms:
            lines = self._slots[self._order[0]]
            keep = max(len(lines) - most + len(taken), 0)
            taken += lines[keep:]
            del lines[keep:]
            if not lines:
                del self._slots[heappop(self._order)]
                self.next_at = self._order[0] * SLOT_MS if self._order else NEVER
        return taken


class _Campaigns:
    """Campaign documents by id, in the order of their ids, and by key."""

    __slots__ = ("_ids", "by_id", "by_key", "version")

    def __init__(self) -> None:
        self.by_id: dict[str, CampaignDocument] = {}
        self.by_key: dict[str, str] = {}
        self.version = 0
        self._ids: list[str] = []

    def put(
        self,
        document: CampaignDocument,
        now_ms: int,
        expected_revision: int | None,
        expected_version: int | None,
    ) -> PutOutcome:
        """See StateBackend.put_campaign."""
        old = self.by_id.get(document.campaign_id)
        if old is not None and document.request_id and old.request_id == document.request_id:
            return PutOutcome(PutStatus.REPLAYED, old)
        revision = 0 if old is None else old.revision
        if expected_revision is not None and expected_revision != revision:
            return PutOutcome(PutStatus.DIFFERS, old)
        if expected_version not in (None, self.version):
            return PutOutcome(PutStatus.OUTDATED, None)
        holder = self.by_key.get(document.key, document.campaign_id)
        if holder != document.campaign_id:
            return PutOutcome(PutStatus.TAKEN, self.by_id[holder])
        created_at = now_ms if old is None else old.created_at
        stored = replace(document, revision=revision + 1, created_at=created_at, updated_at=now_ms)
        if old is None:
            insort(self._ids, stored.campaign_id)
        else:
            self.by_key.pop(old.key, None)
        if stored.key:
            self.by_key[stored.key] = stored.campaign_id
        self.by_id[stored.campaign_id] = stored
        self.version += 1
        return PutOutcome(PutStatus.STORED, stored)

    def page(self, after: str, limit: int) -> list[CampaignDocument]:
        """The documents after an id."""
        start = bisect_right(self._ids, after)
        return [self.by_id[campaign_id] for campaign_id in self._ids[start : start + limit]]

    def delete(
        self, campaign_id: str, expected_revision: int | None, expected_version: int | None
    ) -> PutOutcome:
        """See StateBackend.delete_campaign."""
        old = self.by_id.get(campaign_id)
        if old is None:
            return PutOutcome(PutStatus.ABSENT, None)
        if expected_revision is not None and expected_revision != old.revision:
            return PutOutcome(PutStatus.DIFFERS, old)
        if expected_version not in (None, self.version):
            return PutOutcome(PutStatus.OUTDATED, None)
        del self.by_id[campaign_id]
        self._ids.remove(campaign_id)
        self.by_key.pop(old.key, None)
        self.version += 1
        return PutOutcome(PutStatus.STORED, old)


_NOTHING: Final = BookState()
"""A book that nobody wrote in; reading doesn't change it."""
