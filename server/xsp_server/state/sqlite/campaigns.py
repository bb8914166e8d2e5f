"""Campaign documents in SQLite."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from xsp_server.state.backend import CampaignDocument, PutOutcome, PutStatus

_COLUMNS: Final = (
    "campaign_id, coalesce(key, ''), body, request_id, revision, created_at, updated_at"
)


class Campaigns:
    """The table of campaigns. Inside a transaction of the store."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(
        self,
        document: CampaignDocument,
        now_ms: int,
        expected_revision: int | None,
        expected_version: int | None,
    ) -> PutOutcome:
        """See StateBackend.put_campaign."""
        old = self._read("campaign_id = ?", document.campaign_id)
        if old is not None and document.request_id and old.request_id == document.request_id:
            return PutOutcome(PutStatus.REPLAYED, old)
        revision = 0 if old is None else old.revision
        if expected_revision is not None and expected_revision != revision:
            return PutOutcome(PutStatus.DIFFERS, old)
        if expected_version is not None and expected_version != self.version():
            return PutOutcome(PutStatus.OUTDATED, None)
        holder = self._read("key = ?", document.key)
        if holder is not None and holder.campaign_id != document.campaign_id:
            return PutOutcome(PutStatus.TAKEN, holder)
        created_at = now_ms if old is None else old.created_at
        stored = replace(document, revision=revision + 1, created_at=created_at, updated_at=now_ms)
        self._connection.execute(
            "INSERT OR REPLACE INTO campaign VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                stored.campaign_id,
                stored.key or None,
                stored.body,
                stored.request_id,
                stored.revision,
                stored.created_at,
                stored.updated_at,
            ),
        )
        self._count_change()
        return PutOutcome(PutStatus.STORED, stored)

    def get(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend.get_campaigns."""
        return [self._read("campaign_id = ?", campaign_id) for campaign_id in campaign_ids]

    def page(self, after: str, limit: int) -> list[CampaignDocument]:
        """See StateBackend.list_campaigns."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM campaign"  # noqa: S608 our own text
            " WHERE campaign_id > ? ORDER BY campaign_id LIMIT ?",
            (after, limit),
        )
        return [CampaignDocument(*row) for row in rows]

    def delete(
        self, campaign_id: str, expected_revision: int | None, expected_version: int | None
    ) -> PutOutcome:
        """See StateBackend.delete_campaign."""
        old = self._read("campaign_id = ?", campaign_id)
        if old is None:
            return PutOutcome(PutStatus.ABSENT, None)
        if expected_revision is not None and expected_revision != old.revision:
            return PutOutcome(PutStatus.DIFFERS, old)
        if expected_version is not None and expected_version != self.version():
            return PutOutcome(PutStatus.OUTDATED, None)
        self._connection.execute("DELETE FROM campaign WHERE campaign_id = ?", (campaign_id,))
        self._count_change()
        return PutOutcome(PutStatus.STORED, old)

    def version(self) -> int:
        """See StateBackend.campaigns_version."""
        [version] = self._connection.execute("SELECT version FROM campaigns_version").fetchone()
        return int(version)

    def _count_change(self) -> None:
        self._connection.execute("UPDATE campaigns_version SET version = version + 1")

    def _read(self, condition: str, value: Any) -> CampaignDocument | None:
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM campaign WHERE {condition}",  # noqa: S608 our own text
            (value,),
        ).fetchone()
        return None if row is None else CampaignDocument(*row)
