"""The ledger of a SQLite file, read beside the processes that write it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from xsp_server.errors import ConfigError
from xsp_server.state.backend import StoreAway
from xsp_server.state.ledger import ROWS_AT_ONCE, Rows
from xsp_server.state.sqlite.schema import APPLICATION_ID, VERSIONS
from xsp_server.state.sqlite.store import BUSY_SECONDS


@asynccontextmanager
async def reading(path: str) -> AsyncIterator[Rows]:
    """A snapshot of the file; who writes goes on writing.

    Raises:
        ConfigError: the file is not there, or is not ours.
        StoreAway: it can't be read.
    """
    connection = await asyncio.to_thread(_open, path)
    try:
        with _told(path):
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            _check_ours(connection, path)

        async def rows(query: str, *arguments: Any) -> AsyncIterator[tuple[Any, ...]]:
            named = {str(place): each for place, each in enumerate(arguments, 1)}
            with _told(path):
                cursor = await asyncio.to_thread(connection.execute, query, named)
                while page := await asyncio.to_thread(cursor.fetchmany, ROWS_AT_ONCE):
                    for row in page:
                        yield row

        yield rows
    finally:
        connection.close()


def _open(path: str) -> sqlite3.Connection:
    """Opens a file that exists; one that is missing is not made."""
    if not Path(path).exists():
        raise ConfigError(f"{path}: there is no such file; expected one that a server has written")
    with _told(path):
        return sqlite3.connect(
            f"file:{quote(path)}?mode=rw",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,  # one call at a time, whatever its thread
        )


def _check_ours(connection: sqlite3.Connection, path: str) -> None:
    [application] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise ConfigError(f"{path}: is another program's database; expected one of ours")
    if version != len(VERSIONS):
        raise ConfigError(
            f"{path}: has tables of version {version}; this server knows {len(VERSIONS)}"
        )


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Tells a failure of the file as what it is for its caller."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreAway(f"{path}: {error}", retry_after=1.0) from error
