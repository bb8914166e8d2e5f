"""What can't be seen any more is deleted bit by bit: two rows are looked at for each one written.

So the tables never grow to more than about twice what is alive, no index has to be kept for it, and
no transaction waits for a great cleaning.
"""

import sqlite3
from typing import Final

from xsp_server.state.backend import SLACK_MS

LOOKED_AT: Final = 2
"""Rows of each table that are looked at, for each row written."""

BOOKS_AT_ONCE: Final = 8
"""Books whose forgotten holds one transaction expires."""

_EMPTY_BOOK: Final = (
    "NOT EXISTS (SELECT 1 FROM counter WHERE counter.book = book.name)"
    " AND NOT EXISTS (SELECT 1 FROM move WHERE move.book = book.name)"
)

_RULES: Final = {
    "counter": ("book, name", "held = 0 AND kept_until <= :before"),
    "move": ("book, id", "known_until <= :before"),
    "book": ("name, name", _EMPTY_BOOK),
}
"""Of each table: the order that it is searched in, and which rows go."""


class Garbage:
    """Where the search stands in each table. Inside a transaction of the store.

    Attributes:
        owed: rows written since the last search.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._reached = dict.fromkeys(_RULES, ("", ""))
        self.owed = 0

    def overdue_books(self, now_ms: int) -> list[str]:
        """Books with holds that nobody came to expire."""
        rows = self._connection.execute(
            "SELECT DISTINCT book FROM move WHERE hold = 'held' AND expires_at <= ? LIMIT ?",
            (now_ms - SLACK_MS, BOOKS_AT_ONCE),
        )
        return [name for (name,) in rows]

    def delete(self, now_ms: int) -> None:
        """Looks at as many rows as are owed, and deletes those that nobody can see."""
        if not self.owed:
            return
        for table, (order, rule) in _RULES.items():
            start = self._reached[table]
            end = self._connection.execute(
                f"SELECT {order} FROM {table} WHERE ({order}) > (?, ?)"  # noqa: S608 our own text
                f" ORDER BY {order} LIMIT 1 OFFSET ?",
                (*start, LOOKED_AT * self.owed),
            ).fetchone()
            upto = "" if end is None else f"AND ({order}) <= (:to_1, :to_2)"
            to_1, to_2 = self._reached[table] = end or ("", "")
            self._connection.execute(
                f"DELETE FROM {table}"  # noqa: S608 our own text
                f" WHERE ({order}) > (:from_1, :from_2) {upto} AND {rule}",
                {
                    "from_1": start[0],
                    "from_2": start[1],
                    "to_1": to_1,
                    "to_2": to_2,
                    "before": now_ms - SLACK_MS,
                },
            )
        self.owed = 0
