"""The pool of connections: bounded, with a time limit on everything, and new ones after a loss."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import asyncpg

from xsp_server.errors import ConfigError
from xsp_server.state.arguments import check_text
from xsp_server.state.backend import StoreAway
from xsp_server.state.postgres.migrations import migrate

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
"""A connection of the pool."""

_Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

RETRY_AFTER: Final = 1.0
"""Seconds after which a call to a store that is away makes sense again."""

AWAY: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was told of its end, and is used once more
    OSError,  # also TimeoutError
)
"""What says that the server is away or failed."""

EXPECTED: Final = "postgresql://user:password@host:port/database"


def shown_url(db_url: str) -> str:
    """The URL as it may be shown: host and database, no password."""
    nothing = "postgresql://"
    try:
        address = urlsplit(db_url)
    except ValueError:
        return nothing
    # A path with an @ is what follows the slash in a password.
    return nothing if "@" in address.path else f"{nothing}{address.hostname or ''}{address.path}"


def unreadable(db_url: str, error: ValueError) -> ConfigError:
    """What is told of a URL that is none; an error may repeat a part of a password."""
    reason = "can't be read" if "@" in db_url else str(error)
    return ConfigError(f"database URL: {reason}; expected {EXPECTED}")


class Connections:
    """The pool. It is made, and the tables brought up, by the first call; so it is of its loop.

    A lost connection fails what is under way on it, which is not tried again here: whether it was
    applied is not known, and only its caller has the ids that make a second try harmless.
    """

    def __init__(self, db_url: str, schema: str, size: int, timeout: float) -> None:
        """See DatabaseBackend."""
        check_text("schema", schema, 1, 63)
        self.size = size
        self._db_url = db_url
        self._schema = schema
        self._timeout = timeout
        self._opening: asyncio.Task[_Pool] | None = None
        self._closed = False
        scheme = db_url.partition("://")[0]
        if scheme not in {"postgresql", "postgres"}:
            hint = "; SQLite files are for SqliteBackend(path)" if scheme == "sqlite" else ""
            raise ConfigError(
                f"database URL: got the scheme {scheme!r:.40}; expected {EXPECTED}{hint}"
            )
        self._name = shown_url(db_url)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection within a transaction: all that is done is on disk after it, or nothing is.

        Raises:
            StoreAway: as `connection`.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool; each statement is a transaction.

        Raises:
            StoreAway: the server can't be reached, fails or takes too long, or this is closed.
            ConfigError: the schema is not ours.
        """
        if self._closed:
            raise StoreAway(f"{self._name}: closed", retry_after=RETRY_AFTER)
        try:
            pool = await self._pool()
            async with pool.acquire(timeout=self._timeout) as connection:
                try:
                    yield connection
                except asyncpg.InternalClientError:
                    connection.terminate()
                    raise
        except AWAY as error:
            reason = str(_first(error)) or f"no answer in {self._timeout} s"
            raise StoreAway(f"{self._name}: {reason}", retry_after=RETRY_AFTER) from error

    async def close(self) -> None:
        """Lets all connections go. What is under way was waited for by the caller."""
        self._closed = True
        if self._opening is None:
            return
        opening, self._opening = self._opening, None
        with suppress(*AWAY, ConfigError):
            pool = await opening
            try:
                await asyncio.wait_for(pool.close(), self._timeout)
            except TimeoutError:
                pool.terminate()

    async def _pool(self) -> _Pool:
        """The pool, opened by whoever comes first; if that failed, by who comes next."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except (*AWAY, ConfigError):
            if self._opening is opening:
                self._opening = None
            raise

    async def _open(self) -> _Pool:
        arguments: dict[str, Any] = {
            "timeout": self._timeout,
            "server_settings": self._server_settings(),
        }
        try:
            first = await asyncpg.connect(self._db_url, **arguments)
        except ValueError as error:
            raise unreadable(self._db_url, error) from None
        try:
            await migrate(first, self._schema)
        finally:
            with suppress(*AWAY):
                await first.close(timeout=self._timeout)
        return await asyncpg.create_pool(
            self._db_url,
            min_size=0,  # nothing reconnects behind our back
            max_size=self.size,
            command_timeout=self._timeout,
            reset=_leave,
            **arguments,
        )

    def _server_settings(self) -> dict[str, str]:
        """What every session is begun with."""
        timeout_ms = str(round(self._timeout * 1000))
        return {
            "application_name": "xsp state",
            "search_path": '"' + self._schema.replace('"', '""') + '"',
            "default_transaction_isolation": "read committed",  # locked first, then read
            "synchronous_commit": "on",  # a commit returns when it is on disk
            "lock_timeout": timeout_ms,
            # Who dies or hangs in a transaction keeps its books locked for so long at most.
            "idle_in_transaction_session_timeout": timeout_ms,
            "tcp_keepalives_idle": "30",
            "jit": "off",
            "plan_cache_mode": "force_generic_plan",  # functions of arrays: one plan is the best
        }


def _first(error: BaseException) -> BaseException:
    """What failed first: an end of the connection makes the end of a transaction fail, too."""
    while isinstance(error.__context__, AWAY):
        error = error.__context__
    return error


async def _leave(_connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Nothing to reset: no session here is ever changed. Saves a round trip for each batch."""
