"""The PostgreSQL backend as the event loop sees it."""

from collections.abc import Sequence
from typing import Final

from xsp_server.state.arguments import check_int
from xsp_server.state.backend import (
    Balance,
    Book,
    CampaignDocument,
    Counter,
    Known,
    Move,
    Movement,
    Outcome,
    PutOutcome,
    StateBackend,
)
from xsp_server.state.postgres.batches import Batches
from xsp_server.state.postgres.books import Call
from xsp_server.state.postgres.campaigns import Campaigns
from xsp_server.state.postgres.connections import Connections
from xsp_server.state.postgres.inspection import Inspection
from xsp_server.state.windows import NEVER

POOL_SIZE: Final = 8
"""Most connections of one backend; half of them are for batches of moves."""

TIMEOUT_SECONDS: Final = 5.0
"""How long to wait for a connection, for a lock and for each statement."""


class DatabaseBackend(StateBackend):
    """State in PostgreSQL 12 or newer, `postgresql://`: durable, and shared by many servers.

    All calls of a tick of the event loop are one transaction, which locks the books in one order,
    does the moves by the same pure rule as the stores in this process, and writes what changed.
    Needs a connection of its own for as long as it is open: a session, or a pooler in session mode.

    Nothing is tried twice here. A call that ends with `StoreAway` may have been applied; moves with
    an id may be sent again.
    """

    scheme = "postgresql"
    in_process = False
    durable = True
    keeps_ledger = True

    def __init__(
        self,
        db_url: str,
        *,
        schema: str = "xsp",
        pool_size: int = POOL_SIZE,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Keeps the settings; the first call connects and brings the tables up.

        Args:
            db_url: `postgresql://user:password@host:port/database`, with asyncpg's options.
            schema: where the tables are; it is made if it is missing.
            pool_size: most connections, from 2 up.
            timeout: seconds to wait for a connection, for a lock and for each statement.

        Raises:
            ConfigError: it is not the URL of a PostgreSQL server.
            InvalidRequest: a setting is out of its range.
        """
        check_int("pool_size", pool_size, 2, 1000)
        self._connections = Connections(db_url, schema, pool_size, timeout)
        self._batches = Batches(self._connections)
        self._campaigns = Campaigns(self._connections)
        self._inspection = Inspection(self._connections)

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend."""
        check_int("now_ms", now_ms, 1, NEVER)
        return await self._batches.run(Call(book, now_ms, moves))

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend."""
        return await self._batches.run(Call(Book(book), now_ms, ids=ids))

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """See StateBackend."""
        await self._batches.settled(book)
        return await self._inspection.open_holds(book, now_ms, after, limit)

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """See StateBackend."""
        await self.apply(Book(book), (), now_ms)
        return await self._inspection.counters(book, now_ms, after, limit)

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        check_int("now_ms", now_ms, 1, NEVER)
        return await self._campaigns.put(document, now_ms, expected_revision, expected_version)

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend."""
        return await self._campaigns.get(campaign_ids)

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """See StateBackend."""
        return await self._campaigns.page(after, limit)

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._campaigns.delete(campaign_id, expected_revision, expected_version)

    async def campaigns_version(self) -> int:
        """See StateBackend."""
        return await self._campaigns.version()

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:
        """See StateBackend."""
        await self._batches.settled(book)
        return await self._inspection.movements(book, after, limit)

    async def audit(self, book: str | None = None) -> list[Balance]:
        """See StateBackend."""
        await self._batches.settled(book)
        return await self._inspection.audit(book)

    async def ping(self) -> None:
        """Returns if the server answers, and its tables are ours."""
        async with self._connections.connection() as connection:
            await connection.fetchval("SELECT 1")

    async def close(self) -> None:
        """Ends what is under way, and lets the connections go."""
        await self._batches.close()
        await self._connections.close()
