"""Books in SQLite: rows become the book of `moves.py` as far as moves need it, and back.

What was read stays remembered, so that a busy book is only written. A remembered book has some of
its counters and moves: those that were looked for, whether they were found or not.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from xsp_server.state import moves as rule
from xsp_server.state.backend import (
    DUE_AT_ONCE,
    Balance,
    Book,
    Counter,
    HoldState,
    Kind,
    Known,
    Move,
    Movement,
    Outcome,
)
from xsp_server.state.counters import CounterState, inspect
from xsp_server.state.ledger_sql import audit_sql
from xsp_server.state.moves import BookState, Cause
from xsp_server.state.rows import counter_of, counter_row, memory_of, memory_row
from xsp_server.state.sqlite.garbage import Garbage
from xsp_server.state.windows import NEVER, WindowKind


class Books:
    """The tables of books. Inside a transaction of the store.

    Attributes:
        rows_remembered: rows that were looked for and are remembered.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.rows_remembered = 0
        self._connection = connection
        self._books: dict[str, _Remembered] = {}
        self._touched: dict[str, _Remembered] = {}
        self._movements: list[tuple[Any, ...]] = []
        self._now_ms = 0
        self._garbage = Garbage(connection)

    def reread(self) -> None:
        """Remembers nothing any more. Only where all is written."""
        self._books.clear()
        self.rows_remembered = 0

    def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend.apply."""
        remembered = self._book(book.name)
        remembered.begin(now_ms, ledger=book.ledger)
        self._read_due(remembered, now_ms)
        for move in moves:
            self._read_for(remembered, move)
        self._touched[book.name] = remembered
        self._now_ms = max(self._now_ms, now_ms)
        return rule.apply(remembered.state, moves, now_ms, remembered)

    def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend.find."""
        remembered = self._book(book)
        for id_ in ids:
            self._read_move(remembered, id_)
        return [rule.find(remembered.state, id_, now_ms) for id_ in ids]

    def open_holds(self, book: str, now_ms: int, after: str, limit: int) -> list[Known]:
        """See StateBackend.open_holds."""
        self.write()
        rows = self._connection.execute(
            "SELECT id FROM move WHERE book = ? AND hold = 'held' AND expires_at > ? AND id > ?"
            " ORDER BY id LIMIT ?",
            (book, now_ms, after, limit),
        ).fetchall()
        found = self.find(book, [id_ for (id_,) in rows], now_ms)
        return [known for known in found if known is not None]

    def counters(self, book: str, now_ms: int, after: str, limit: int) -> list[Counter]:
        """See StateBackend.counters."""
        self.apply(Book(book), (), now_ms)
        self.write()
        rows = self._connection.execute(
            "SELECT * FROM counter WHERE book = ? AND name > ?"
            " AND (held > 0 OR kept_until > ?) ORDER BY name LIMIT ?",
            (book, after, now_ms, limit),
        )
        found = (inspect(row[1], counter_of(row), now_ms) for row in rows)
        return [counter for counter in found if counter is not None]

    def movements(self, book: str, after: int, limit: int) -> list[Movement]:
        """See StateBackend.movements."""
        self.write()
        rows = self._connection.execute(
            "SELECT * FROM movement WHERE book = ? AND number > ? ORDER BY number LIMIT ?",
            (book, after, limit),
        )
        return [Movement(*row) for row in rows]

    def audit(self, book: str | None) -> list[Balance]:
        """See StateBackend.audit."""
        self.write()
        return [Balance(*row) for row in self._connection.execute(_AUDIT, {"1": book})]

    def write(self) -> None:
        """Writes what changed."""
        touched, self._touched = list(self._touched.values()), {}
        rows = {
            _PUT_COUNTER: [row for book in touched for row in book.counter_rows()],
            _DROP_COUNTER: [row for book in touched for row in book.dropped_rows()],
            _PUT_MOVE: [row for book in touched for row in book.move_rows()],
            _PUT_BOOK: [row for book in touched for row in book.book_rows()],
            _PUT_MOVEMENT: self._movements,
        }
        for statement, parameters in rows.items():
            if parameters:
                self._connection.executemany(statement, parameters)
                self._garbage.owed += len(parameters)
        for book in touched:
            book.written()
        self._movements.clear()

    def forget(self) -> None:
        """Deletes some of what can't be seen any more."""
        for name in self._garbage.overdue_books(self._now_ms):
            self.apply(Book(name), (), self._now_ms)
        self.write()
        self._garbage.delete(self._now_ms)

    def _book(self, name: str) -> "_Remembered":
        book = self._books.get(name)
        if book is None:
            row = self._connection.execute(
                "SELECT sequence, ledger, (SELECT min(expires_at) FROM move WHERE book = :book"
                " AND hold = 'held') FROM book WHERE name = :book",
                {"book": name},
            ).fetchone()
            sequence, ledger, next_due = row or (0, False, None)
            book = _Remembered(name, sequence, next_due or NEVER, self._movements, ledger=ledger)
            self._books[name] = book
        return book

    def _read_due(self, book: "_Remembered", now_ms: int) -> None:
        """Reads open holds that are due, as many as one call expires, and their counters.

        Those that were made since the book was first read are in the book's own heap.
        """
        if now_ms < book.next_due:
            return
        rows = self._connection.execute(
            "SELECT expires_at, id FROM move WHERE book = ? AND hold = 'held'"
            " AND (expires_at, id) > (?, ?) ORDER BY expires_at, id LIMIT ?",
            (book.name, *book.due_read, DUE_AT_ONCE + 1),
        ).fetchall()
        due = [row for row in rows[:DUE_AT_ONCE] if row[0] <= now_ms]
        for _, id_ in due:
            self._read_move(book, id_)
        book.due_read = due[-1] if due else book.due_read
        book.next_due = rows[len(due)][0] if len(due) < len(rows) else NEVER

    def _read_for(self, book: "_Remembered", move: Move) -> None:
        """Reads what a move asks for."""
        if move.id:
            self._read_move(book, move.id)
        if move.of:
            self._read_move(book, move.of)
        for entry in move.entries:
            self._read_counter(book, entry.counter)
        for entry in move.late:
            self._read_counter(book, entry.counter)
        if move.kind is Kind.REMOVE:
            self.write()
            rows = self._connection.execute(
                "SELECT id FROM move WHERE book = ? AND hold = 'held'", (book.name,)
            ).fetchall()
            for (id_,) in rows:
                self._read_move(book, id_)

    def _read_counter(self, book: "_Remembered", name: str) -> None:
        if name in book.names:
            return
        book.names.add(name)
        self.rows_remembered += 1
        row = self._connection.execute(
            "SELECT * FROM counter WHERE book = ? AND name = ?", (book.name, name)
        ).fetchone()
        if row is not None:
            book.state.counters[name] = counter_of(row)

    def _read_move(self, book: "_Remembered", id_: str) -> None:
        """Reads what is known of a move; of an open hold the counters, too."""
        if id_ in book.ids:
            return
        book.ids.add(id_)
        self.rows_remembered += 1
        row = self._connection.execute(
            "SELECT * FROM move WHERE book = ? AND id = ?", (book.name, id_)
        ).fetchone()
        if row is None:
            return
        memory = book.state.known[id_] = memory_of(row)
        if memory.hold is not None and memory.hold.state is HoldState.HELD:
            rule.watch(book.state, id_, memory.hold)
            for claim in memory.hold.claims:
                self._read_counter(book, claim.counter)


class _Remembered:
    """What is remembered of a book, and what of it is to be written: the journal of its moves.

    Attributes:
        name: its name.
        state: its state, as far as it was read.
        names: counters that were looked for.
        ids: moves that were looked for.
        next_due: when the next open hold is due that was not read. `NEVER`: there is none.
        due_read: the last of the due holds that were read, as (expires_at, id).
    """

    def __init__(
        self,
        name: str,
        sequence: int,
        next_due: int,
        movements: list[tuple[Any, ...]],
        *,
        ledger: bool,
    ) -> None:
        self.name = name
        self.state = BookState(sequence=sequence)
        self.names: set[str] = set()
        self.ids: set[str] = set()
        self.next_due = next_due
        self.due_read = (0, "")
        self._sequence_written = sequence
        self._changed_counters: set[str] = set()
        self._changed_moves: set[str] = set()
        self._movements = movements
        self._ledger = bool(ledger)
        self._now_ms = 0

    def begin(self, now_ms: int, *, ledger: bool) -> None:
        """A call begins."""
        self._now_ms = now_ms
        self._ledger = self._ledger or ledger

    def counter(
        self, name: str, counter: CounterState, cause: Cause, counted: int, held: int
    ) -> None:
        """See Journal."""
        self._changed_counters.add(name)
        if self._ledger and counter.window.kind in _LEDGERED:
            self._movements.append(
                (self.name, self.state.sequence, name, *cause, counted, held, self._now_ms)
            )

    def memory(self, id_: str) -> None:
        """See Journal."""
        self._changed_moves.add(id_)

    def counter_rows(self) -> Iterator[tuple[Any, ...]]:
        """Counters to be put."""
        counters = self.state.counters
        for name in self._changed_counters & counters.keys():
            yield counter_row(self.name, name, counters[name])

    def dropped_rows(self) -> Iterator[tuple[Any, ...]]:
        """Counters to be dropped."""
        for name in self._changed_counters - self.state.counters.keys():
            yield self.name, name

    def move_rows(self) -> Iterator[tuple[Any, ...]]:
        """Moves to be put."""
        for id_ in self._changed_moves:
            yield memory_row(self.name, id_, self.state.known[id_])

    def book_rows(self) -> Iterator[tuple[Any, ...]]:
        """The book itself, if it changed."""
        if self.state.sequence != self._sequence_written:
            yield self.name, self.state.sequence, self._ledger

    def written(self) -> None:
        """All that changed is written."""
        self._sequence_written = self.state.sequence
        self._changed_counters.clear()
        self._changed_moves.clear()


_PUT_COUNTER: Final = "INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DROP_COUNTER: Final = "DELETE FROM counter WHERE book = ? AND name = ?"
_PUT_MOVE: Final = "INSERT OR REPLACE INTO move VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_BOOK: Final = (
    "INSERT INTO book VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
    " SET sequence = excluded.sequence, ledger = excluded.ledger"
)
_PUT_MOVEMENT: Final = "INSERT INTO movement VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"

_LEDGERED: Final = (WindowKind.UNTIL, WindowKind.FOREVER)

_AUDIT: Final = audit_sql("json_each(claims)")
