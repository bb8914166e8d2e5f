"""The ledger of a PostgreSQL store, read beside the servers that write it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import asyncpg

from xsp_server.errors import ConfigError
from xsp_server.state.backend import StoreAway
from xsp_server.state.ledger import ROWS_AT_ONCE, Rows
from xsp_server.state.postgres.connections import AWAY, RETRY_AFTER, shown_url, unreadable
from xsp_server.state.postgres.migrations import LATEST

CONNECT_SECONDS: Final = 10.0
"""How long to wait for the connection. A query may take as long as it takes."""


@asynccontextmanager
async def reading(db_url: str, *, schema: str = "xsp") -> AsyncIterator[Rows]:
    """A snapshot of the store; who writes goes on writing.

    Raises:
        ConfigError: it is no URL of a server, or the schema is not there, or not ours.
        StoreAway: it can't be read.
    """
    with _told(db_url):
        connection = await _connected(db_url, schema)
    try:
        with _told(db_url):
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            await _check_ours(connection, schema)

        async def rows(query: str, *arguments: Any) -> AsyncIterator[tuple[Any, ...]]:
            with _told(db_url):
                async for row in connection.cursor(query, *arguments, prefetch=ROWS_AT_ONCE):
                    yield tuple(row)

        yield rows
    finally:
        with suppress(*AWAY):
            await connection.close(timeout=CONNECT_SECONDS)


async def _connected(db_url: str, schema: str) -> "asyncpg.Connection[Any]":
    try:
        return await asyncpg.connect(
            db_url,
            timeout=CONNECT_SECONDS,
            server_settings={
                "application_name": "xsp state audit",
                "search_path": '"' + schema.replace('"', '""') + '"',
                "jit": "off",
                "statement_timeout": "0",
                "idle_in_transaction_session_timeout": "0",  # who reads the table may pause
            },
        )
    except ValueError as error:
        raise unreadable(db_url, error) from None


async def _check_ours(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    if await connection.fetchval("SELECT to_regclass('schema_version') IS NULL"):
        raise ConfigError(
            f"schema {schema!r}: has no state; expected one that a server has written"
        )
    version = await connection.fetchval("SELECT version FROM schema_version")
    if version != LATEST:
        raise ConfigError(
            f"schema {schema!r}: has tables of version {version}; this server knows {LATEST}"
        )


@contextmanager
def _told(db_url: str) -> Iterator[None]:
    """Tells a failure of the server as what it is for its caller."""
    try:
        yield
    except AWAY as error:
        raise StoreAway(f"{shown_url(db_url)}: {error}", retry_after=RETRY_AFTER) from error
