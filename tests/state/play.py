"""Short words for moves, so that a test reads as the rule that it proves."""

from dataclasses import dataclass
from itertools import count as numbers_from

from xsp_server.state.backend import Book, Entry, Kind, Move, Outcome, StateBackend
from xsp_server.state.windows import FOREVER, Window, first

T0 = 1_700_000_000_000
"""The time that tests count from, in milliseconds."""

HOUR = 3_600_000
DAY = 24 * HOUR


def entry(
    add: int = 1,
    limit: int | None = None,
    *,
    counter: str = "c",
    window: Window = FOREVER,
    soft: int | None = None,
    cooldown: int = 0,
    forced: bool = False,
) -> Entry:
    return Entry(counter, window, add, limit, soft, cooldown, forced)


def hourly(add: int = 1, limit: int | None = None, **more) -> Entry:
    return entry(add, limit, window=first(HOUR), **more)


def check(*entries: Entry) -> Move:
    return Move(Kind.CHECK, entries)


def count(*entries: Entry, id: str = "", content: str = "", keep: int = DAY) -> Move:  # noqa: A002
    return Move(Kind.COUNT, entries, id, content, keep)


def hold(id: str, *entries: Entry, ttl: int = 600_000, content: str = "", keep: int = DAY) -> Move:  # noqa: A002
    """A hold whose expiry counts from T0."""
    return Move(Kind.HOLD, entries, id, content, keep, expires_at=T0 + ttl)


_ids = numbers_from(1)


def commit(
    of: str,
    *entries: Entry,
    late: tuple[Entry, ...] = (),
    id: str | None = None,  # noqa: A002
    content: str = "",
) -> Move:
    id_ = f"commit-{next(_ids)}" if id is None else id
    return Move(Kind.COMMIT, entries, id_, content, DAY, of=of, late=late)


def release(of: str, *, id: str | None = None) -> Move:  # noqa: A002
    return Move(Kind.RELEASE, (), f"release-{next(_ids)}" if id is None else id, "", DAY, of=of)


def remove(*counters: str, id: str = "") -> Move:  # noqa: A002
    return Move(Kind.REMOVE, tuple(Entry(name, FOREVER, 0) for name in counters), id, "", DAY)


@dataclass
class Play:
    """One book of a store."""

    backend: StateBackend
    book: Book = Book("book", ledger=True)  # noqa: RUF009 a value

    async def __call__(self, at: int, move: Move) -> Outcome:
        """One move, so many milliseconds after T0."""
        [outcome] = await self.all(at, move)
        return outcome

    async def all(self, at: int, *moves: Move) -> list[Outcome]:
        """Moves in one call."""
        return await self.backend.apply(self.book, moves, T0 + at)

    async def read(self, at: int, *entries: Entry) -> list[tuple[int, int]]:
        """What is counted and held; without entries of the counter "c"."""
        outcome = await self(at, check(*(entries or (entry(0),))))
        return [(each.counted, each.held) for each in outcome.numbers]
