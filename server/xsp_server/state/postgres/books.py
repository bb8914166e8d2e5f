"""Books in PostgreSQL: one batch of calls is one transaction.

Its four round trips: begin; lock the books in order and read what the moves ask for, in one call
of a function; write what the pure rule of `moves.py` changed, in one more; commit. So a busy book
costs the same whether one call or a thousand wait for it, and every store has the same rule. The
price: a book stays locked for the two round trips between reading and commit.

A batch that changes nothing (CHECK, `find`) is one statement, and locks nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import orjson

from xsp_server.state import moves as rule
from xsp_server.state.backend import DUE_AT_ONCE, Book, HoldState, Kind, Move
from xsp_server.state.counters import CounterState
from xsp_server.state.moves import BookState, Cause
from xsp_server.state.postgres.columns import (
    COUNTER_COLUMNS,
    MOVE_COLUMNS,
    MOVEMENT_COLUMNS,
    columns,
)
from xsp_server.state.postgres.connections import Connections
from xsp_server.state.rows import Row, counter_of, counter_row, memory_of, memory_row
from xsp_server.state.windows import WindowKind


@dataclass(slots=True)
class Call:
    """One call: `apply` of moves, or `find` of ids where `moves` is None."""

    book: Book
    now_ms: int
    moves: Sequence[Move] | None = None
    ids: Sequence[str] = ()
    result: list[Any] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether it may change more than the holds that are due."""
        return self.moves is not None and any(move.kind is not Kind.CHECK for move in self.moves)


async def do(connections: Connections, calls: Sequence[Call]) -> int:
    """Does the calls in their order, and leaves in each its result; how many rows were written.

    Raises:
        StoreAway: whether they were applied is not known.
    """
    asked = _Asked(calls)
    try:
        return await _attempt(connections, asked, {call.book.name for call in calls if call.writes})
    except _HoldIsDueError:
        applied = {call.book.name for call in calls if call.moves is not None}
        return await _attempt(connections, asked, applied)


async def _attempt(connections: Connections, asked: "_Asked", locked: set[str]) -> int:
    """Does the calls, with these books locked.

    Raises:
        _HoldIsDueError: a book that is not locked has a hold to be expired; nothing was changed.
    """
    if not locked:
        async with connections.connection() as connection:
            read = await connection.fetchval(_READ, *asked.arguments())
        _done(asked.calls, _in_hand(asked, read, locked))
        return 0
    async with connections.transaction() as connection:
        read = await connection.fetchval(_LOCK, list(locked), *asked.arguments())
        books = _in_hand(asked, read, locked)
        _done(asked.calls, books)
        changes = _Changes([books[name] for name in sorted(locked)])
        await connection.fetchval(_WRITE, *changes.arguments())
    return changes.rows


def _done(calls: Sequence[Call], books: "dict[str, _InHand]") -> None:
    """Does the calls to books in hand."""
    for call in calls:
        book = books[call.book.name]
        if call.moves is None:
            call.result = [rule.find(book.state, id_, call.now_ms) for id_ in call.ids]
            continue
        if not book.locked and book.is_due(call.now_ms):
            raise _HoldIsDueError
        book.begin(call)
        call.result = rule.apply(book.state, call.moves, call.now_ms, book)


class _HoldIsDueError(Exception):
    """A book that was only to be read has to be changed."""


class _Asked:
    """What a batch asks for: its books, and the rows of each."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.books: dict[str, _AskedOfBook] = {}
        for call in calls:
            name = call.book.name
            if name not in self.books:
                self.books[name] = _AskedOfBook()
            self.books[name].add(call)

    def arguments(self) -> list[Sequence[Any]]:
        """As `read_books` takes it."""
        books = self.books.items()
        return [
            *columns(((name, book.due_by, book.due_most, book.removes) for name, book in books), 4),
            *columns(((name, id_) for name, book in books for id_ in book.ids), 2),
            *columns(((name, counter) for name, book in books for counter in book.counters), 2),
        ]


@dataclass(slots=True)
class _AskedOfBook:
    """What a batch asks of one book.

    Each call expires up to `DUE_AT_ONCE` holds, and each move may resolve one more that is due:
    with as many read as that, none is missing.
    """

    due_by: int = 0
    due_most: int = 0
    removes: bool = False
    ids: set[str] = field(default_factory=set)
    counters: set[str] = field(default_factory=set)

    def add(self, call: Call) -> None:
        if call.moves is None:
            self.ids.update(call.ids)
            return
        self.due_by = max(self.due_by, call.now_ms)
        self.due_most += DUE_AT_ONCE + len(call.moves)
        for move in call.moves:
            self.removes = self.removes or move.kind is Kind.REMOVE
            self.ids.update(filter(None, (move.id, move.of)))
            self.counters.update(entry.counter for entry in chain(move.entries, move.late))


def _in_hand(asked: _Asked, read: str, locked: set[str]) -> "dict[str, _InHand]":
    """The books of a batch as they were read."""
    books = {name: _InHand(name, locked=name in locked) for name in asked.books}
    rows, moves, counters = orjson.loads(read)
    for name, sequence, ledger in rows or ():
        books[name].read(sequence, ledger=ledger)
    for row in counters or ():
        books[row[0]].state.counters[row[1]] = counter_of(row)
    for row in moves or ():
        state, id_ = books[row[0]].state, row[1]
        memory = state.known[id_] = memory_of(row)
        if memory.hold is not None and memory.hold.state is HoldState.HELD:
            rule.watch(state, id_, memory.hold)
    return books


class _InHand:
    """A book as far as it was read, and what of it is to be written: the journal of its moves.

    Attributes:
        name: its name.
        state: its state.
        locked: whether it may be changed.
        movements: rows of the ledger.
    """

    def __init__(self, name: str, *, locked: bool) -> None:
        self.name = name
        self.locked = locked
        self.state = BookState()
        self.movements: list[Row] = []
        self._sequence_read = 0
        self._ledger = False
        self._counters: set[str] = set()
        self._moves: set[str] = set()
        self._now_ms = 0

    def read(self, sequence: int, *, ledger: bool) -> None:
        """Takes over its own row."""
        self.state.sequence = self._sequence_read = sequence
        self._ledger = ledger

    def is_due(self, now_ms: int) -> bool:
        """Whether a hold is to be expired."""
        due = self.state.due
        return bool(due) and due[0][0] <= now_ms

    def begin(self, call: Call) -> None:
        """A call begins."""
        self._now_ms = call.now_ms
        self._ledger = self._ledger or call.book.ledger

    def counter(
        self, name: str, counter: CounterState, cause: Cause, counted: int, held: int
    ) -> None:
        """See Journal."""
        self._counters.add(name)
        if self._ledger and counter.window.kind in _LEDGERED:
            self.movements.append(
                (self.name, self.state.sequence, name, *cause, counted, held, self._now_ms)
            )

    def memory(self, id_: str) -> None:
        """See Journal."""
        self._moves.add(id_)

    def book_rows(self) -> Iterator[Row]:
        """The book itself, if it changed."""
        if self.state.sequence != self._sequence_read:
            yield self.name, self.state.sequence, self._ledger

    def idle_names(self) -> Iterator[str]:
        """Its name, if it may hold nothing at all."""
        if not self.state.sequence and not self._moves:
            yield self.name

    def counter_rows(self) -> Iterator[Row]:
        """Counters to be put."""
        counters = self.state.counters
        for name in self._counters & counters.keys():
            yield counter_row(self.name, name, counters[name])

    def dropped_rows(self) -> Iterator[Row]:
        """Counters to be dropped."""
        for name in self._counters - self.state.counters.keys():
            yield self.name, name

    def move_rows(self) -> Iterator[Row]:
        """Moves to be put."""
        for id_ in self._moves:
            yield memory_row(self.name, id_, self.state.known[id_])


class _Changes:
    """What is to be written of the books of a batch.

    Attributes:
        rows: how many rows.
    """

    def __init__(self, books: Sequence[_InHand]) -> None:
        self._books = _rows(book.book_rows() for book in books)
        self._counters = _rows(book.counter_rows() for book in books)
        self._dropped = _rows(book.dropped_rows() for book in books)
        self._moves = _rows(book.move_rows() for book in books)
        self._movements = _rows(book.movements for book in books)
        self._idle = [name for book in books for name in book.idle_names()]
        self.rows = len(self._books) + len(self._counters) + len(self._moves)

    def arguments(self) -> list[Sequence[Any]]:
        """As `write_books` takes it."""
        return [
            *columns(self._books, 3),
            *columns(self._counters, COUNTER_COLUMNS),
            *columns(self._dropped, 2),
            *columns(self._moves, MOVE_COLUMNS),
            *columns(self._movements, MOVEMENT_COLUMNS),
            self._idle,
        ]


def _rows(of_books: Iterable[Iterable[Row]]) -> list[Row]:
    return list(chain.from_iterable(of_books))


def _call(function: str, arguments: int) -> str:
    return f"SELECT {function}({', '.join(f'${place}' for place in range(1, arguments + 1))})"


_READ: Final = _call("read_books", 8)
_LOCK: Final = _call("lock_books", 9)
_WRITE: Final = _call("write_books", 3 + COUNTER_COLUMNS + 2 + MOVE_COLUMNS + MOVEMENT_COLUMNS + 1)

_LEDGERED: Final = (WindowKind.UNTIL, WindowKind.FOREVER)
