"""The file as the writer thread sees it: transactions, and what is done in them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from xsp_server.state.sqlite.books import Books
from xsp_server.state.sqlite.campaigns import Campaigns
from xsp_server.state.sqlite.schema import migrate

BUSY_SECONDS: Final = 5.0
"""How long to wait for another process that writes."""

_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit returns when it is on disk
    "cache_size = -65536",  # 64 MiB
    "wal_autocheckpoint = 8000",  # pages: 32 MiB; users' rows lie far apart
)

ROWS_REMEMBERED: Final = 200_000
"""Rows that are remembered between transactions; with one more all are read anew."""


class Store:
    """An open file. Not for more than one thread.

    Several processes of one machine may share a file: what is remembered of it is dropped when
    another has written.
    """

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            migrate(self._connection, path)
        except BaseException:
            self._connection.close()
            raise
        self.books = Books(self._connection)
        self.campaigns = Campaigns(self._connection)
        self._seen = self._version()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is on disk after it, or nothing is."""
        self._connection.execute("BEGIN IMMEDIATE")
        version = self._version()
        if version != self._seen or self.books.rows_remembered > ROWS_REMEMBERED:
            self.books.reread()
            self._seen = version
        yield
        self.books.write()
        self.books.forget()
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Lets the file go; a transaction that is open is undone."""
        self._connection.close()

    def _version(self) -> int:
        """A number that changes when another connection has written."""
        [version] = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)
