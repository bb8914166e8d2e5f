"""The SQLite backend as the event loop sees it."""

from collections.abc import Sequence
from os import PathLike, fspath

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
from xsp_server.state.sqlite.writer import Writer


class SqliteBackend(StateBackend):
    """State in a SQLite file, `sqlite:///path`: what is acknowledged is on disk.

    All calls of a tick of the event loop are one transaction, made by one thread. Processes of one
    machine may share the file; each waits while another writes.
    """

    scheme = "sqlite"
    in_process = False
    durable = True
    keeps_ledger = True

    def __init__(self, path: str | PathLike[str]) -> None:
        """Keeps the path; the file is opened, or made, by the first call."""
        self._writer = Writer(fspath(path))

    async def apply(self, book: Book, moves: Sequence[Move], now_ms: int) -> list[Outcome]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.books.apply(book, moves, now_ms))

    async def find(self, book: str, ids: Sequence[str], now_ms: int) -> list[Known | None]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.books.find(book, ids, now_ms))

    async def open_holds(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Known]:
        """See StateBackend."""
        return await self._writer.run(
            lambda store: store.books.open_holds(book, now_ms, after, limit)
        )

    async def counters(
        self, book: str, now_ms: int, *, after: str = "", limit: int = 100
    ) -> list[Counter]:
        """See StateBackend."""
        return await self._writer.run(
            lambda store: store.books.counters(book, now_ms, after, limit)
        )

    async def put_campaign(
        self,
        document: CampaignDocument,
        now_ms: int,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._writer.run(
            lambda store: store.campaigns.put(document, now_ms, expected_revision, expected_version)
        )

    async def get_campaigns(self, campaign_ids: Sequence[str]) -> list[CampaignDocument | None]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.campaigns.get(campaign_ids))

    async def list_campaigns(self, *, after: str = "", limit: int = 100) -> list[CampaignDocument]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.campaigns.page(after, limit))

    async def delete_campaign(
        self,
        campaign_id: str,
        *,
        expected_revision: int | None = None,
        expected_version: int | None = None,
    ) -> PutOutcome:
        """See StateBackend."""
        return await self._writer.run(
            lambda store: store.campaigns.delete(campaign_id, expected_revision, expected_version)
        )

    async def campaigns_version(self) -> int:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.campaigns.version())

    async def movements(self, book: str, *, after: int = 0, limit: int = 1000) -> list[Movement]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.books.movements(book, after, limit))

    async def audit(self, book: str | None = None) -> list[Balance]:
        """See StateBackend."""
        return await self._writer.run(lambda store: store.books.audit(book))

    async def ping(self) -> None:
        """Returns if the file can be written."""
        await self._writer.run(lambda _: None)

    async def close(self) -> None:
        """Ends what is under way, and closes the file."""
        await self._writer.close()
