"""The ledger of a store, read beside the servers that write it: for the audit.

Nothing is changed, made or locked, and all is as it was at one moment. Rows come as they are asked
for, so that no ledger is too long.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

from xsp_server.errors import ConfigError
from xsp_server.state import ledger_sql as sql
from xsp_server.state.backend import Balance, CampaignDocument
from xsp_server.state.urls import imported, path_of
from xsp_server.values import value

ROWS_AT_ONCE: Final = 1000
"""Rows that are asked for at a time."""


@value
class DueHold:
    """A hold that is held though it is due: nobody came yet to expire it, or something is wrong.

    Attributes:
        book: its book.
        id: its id.
        expires_at: when it was due.
        sequence: of the book's last change.
    """

    book: str
    id: str
    expires_at: int
    sequence: int


class Rows(Protocol):
    """Asks a database, in the snapshot of one moment."""

    def __call__(self, query: str, *arguments: Any) -> AsyncIterator[tuple[Any, ...]]:
        """The rows of a query whose parameters are `$1`, `$2` and so on.

        Raises:
            StoreAway: the database can't be read any more.
        """
        ...


class Ledger:
    """What the audit asks."""

    def __init__(self, rows: Rows, each_claim: str) -> None:
        """Takes what asks the database, and its part of `ledger_sql.audit_sql`."""
        self._rows = rows
        self._audit = sql.audit_sql(each_claim)

    async def campaigns(self) -> AsyncIterator[CampaignDocument]:
        """All campaigns, in the order of their ids."""
        async for row in self._rows(sql.CAMPAIGNS):
            campaign_id, key, body, *rest = row
            yield CampaignDocument(campaign_id, key or "", bytes(body), *rest)

    async def balances(self) -> AsyncIterator[Balance]:
        """Ledger, counter and holds of each counter, in the order of books and counters."""
        async for row in self._rows(self._audit, None):
            yield Balance(*row)

    async def due_holds(self, now_ms: int) -> AsyncIterator[DueHold]:
        """Holds of money that are held though they are due, the oldest first."""
        async for row in self._rows(sql.DUE_HOLDS, now_ms):
            yield DueHold(*row)

    async def expired_at(self, book: str, at: int) -> int:
        """How many holds of a book calls of this time expired."""
        return int(await self._one(sql.EXPIRED_AT, book, at))

    async def grew_after(self, book: str, counter: str, at: int) -> bool:
        """Whether something was spent or held of a counter after a time."""
        return bool(await self._one(sql.GREW_AFTER, book, counter, at))

    async def movements(self) -> int:
        """How many lines the ledger has."""
        return int(await self._one(sql.MOVEMENTS))

    async def _one(self, query: str, *arguments: Any) -> Any:
        [row] = [row async for row in self._rows(query, *arguments)]
        return row[0]


def ledger_of(url: str, **settings: Any) -> AbstractAsyncContextManager[Ledger]:
    """Opens the ledger of a store, for as long as the context lasts.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`, as `state.url`.
        settings: for PostgreSQL `schema`, as `DatabaseBackend` has it.

    Raises:
        ConfigError: the store of this URL keeps no ledger, or is not ours.
        StoreAway: it can't be read.
    """
    scheme = url.partition("://")[0]
    if scheme == "sqlite":
        return _opened("xsp_server.state.sqlite.ledger", path_of(url), "json_each(claims)")
    if scheme in {"postgresql", "postgres"}:
        each = "json_array_elements(claims::json)"
        return _opened("xsp_server.state.postgres.ledger", url, each, **settings)
    raise ConfigError(
        f"state.url: {scheme or 'this'}:// keeps no ledger, so there is nothing to audit; "
        "expected sqlite:///FILE or postgresql://…"
    )


@asynccontextmanager
async def _opened(
    module: str, place: str, each_claim: str, **settings: Any
) -> AsyncIterator[Ledger]:
    async with imported(module).reading(place, **settings) as rows:
        yield Ledger(rows, each_claim)
