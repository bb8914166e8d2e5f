"""Campaign documents in PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from xsp_server.state.backend import CampaignDocument, PutOutcome, PutStatus, StoreAway
from xsp_server.state.postgres.connections import RETRY_AFTER, Connection, Connections


class Campaigns:
    """The table of campaigns. Changes come one after the other: each locks the version first."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._asking: asyncio.Task[int] | None = None

    async def put(
        self,
        document: CampaignDocument,
        now_ms: int,
        expected_revision: int | None,
        expected_version: int | None,
    ) -> PutOutcome:
        """See StateBackend.put_campaign."""
        async with self._connections.transaction() as connection:
            version = await connection.fetchval(_LOCK)
            old = await _read(connection, "campaign_id", document.campaign_id)
            if old is not None and document.request_id and old.request_id == document.request_id:
                return PutOutcome(PutStatus.REPLAYED, old)
            revision = 0 if old is None else old.revision
            if expected_revision is not None and expected_revision != revision:
                return PutOutcome(PutStatus.DIFFERS, old)
            if expected_version not in (None, version):
                return PutOutcome(PutStatus.OUTDATED, None)
            holder = await _read(connection, "key", document.key)
            if holder is not None and holder.campaign_id != document.campaign_id:
                return PutOutcome(PutStatus.TAKEN, holder)
            created_at = now_ms if old is None else old.created_at
            stored = replace(
                document, revision=revision + 1, created_at=created_at, updated_at=now_ms
            )
            await connection.execute(
                _PUT,
                stored.campaign_id,
                stored.key or None,
                stored.body,
                stored.request_id,
                stored.revision,
                stored.created_at,
                stored.updated_at,
            )
            await connection.execute(_COUNT_CHANGE)
            return PutOutcome(PutStatus.STORED, stored)

    async def get(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend.get_campaigns."""
        rows = await self._rows(
            f"SELECT {_COLUMNS} FROM campaign WHERE campaign_id = ANY ($1)",  # noqa: S608 our own
            list(campaign_ids),
        )
        found = {document.campaign_id: document for document in rows}
        return [found.get(campaign_id) for campaign_id in campaign_ids]

    async def page(self, after: str, limit: int) -> list[CampaignDocument]:
        """See StateBackend.list_campaigns."""
        return await self._rows(
            f"SELECT {_COLUMNS} FROM campaign"  # noqa: S608 our own text
            " WHERE campaign_id > $1 ORDER BY campaign_id LIMIT $2",
            after,
            limit,
        )

    async def delete(
        self, campaign_id: str, expected_revision: int | None, expected_version: int | None
    ) -> PutOutcome:
        """See StateBackend.delete_campaign."""
        async with self._connections.transaction() as connection:
            version = await connection.fetchval(_LOCK)
            old = await _read(connection, "campaign_id", campaign_id)
            if old is None:
                return PutOutcome(PutStatus.ABSENT, None)
            if expected_revision is not None and expected_revision != old.revision:
                return PutOutcome(PutStatus.DIFFERS, old)
            if expected_version not in (None, version):
                return PutOutcome(PutStatus.OUTDATED, None)
            await connection.execute("DELETE FROM campaign WHERE campaign_id = $1", campaign_id)
            await connection.execute(_COUNT_CHANGE)
            return PutOutcome(PutStatus.STORED, old)

    async def version(self) -> int:
        """See StateBackend.campaigns_version. Callers of one tick share one question."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_version())
        try:
            return await asyncio.shield(self._asking)
        except StoreAway as failure:  # of several callers, each gets an error of its own
            raise StoreAway(str(failure), retry_after=RETRY_AFTER) from failure

    async def _ask_version(self) -> int:
        self._asking = None  # who comes from now on asks anew
        async with self._connections.connection() as connection:
            return int(await connection.fetchval("SELECT version FROM campaigns_version"))

    async def _rows(self, query: str, *arguments: Any) -> list[CampaignDocument]:
        async with self._connections.connection() as connection:
            return [CampaignDocument(*row) for row in await connection.fetch(query, *arguments)]


async def _read(connection: Connection, column: str, value: str) -> CampaignDocument | None:
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM campaign WHERE {column} = $1",  # noqa: S608 our own text
        value,
    )
    return None if row is None else CampaignDocument(*row)


_COLUMNS: Final = (
    "campaign_id, coalesce(key, ''), body, request_id, revision, created_at, updated_at"
)
_LOCK: Final = "SELECT version FROM campaigns_version FOR UPDATE"
_COUNT_CHANGE: Final = "UPDATE campaigns_version SET version = version + 1"
_PUT: Final = """
INSERT INTO campaign VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (campaign_id) DO UPDATE SET
  key = excluded.key, body = excluded.body, request_id = excluded.request_id,
  revision = excluded.revision, updated_at = excluded.updated_at
"""
