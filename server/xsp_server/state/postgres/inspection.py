"""What people ask of books in PostgreSQL: holds, counters, the ledger and its audit."""

from typing import Any, Final

from xsp_server.state import moves as rule
from xsp_server.state.backend import Balance, Counter, Known, Movement
from xsp_server.state.counters import inspect
from xsp_server.state.ledger_sql import audit_sql
from xsp_server.state.moves import BookState
from xsp_server.state.postgres.connections import Connections
from xsp_server.state.rows import counter_of, memory_of


class Inspection:
    """Queries, each of which is one statement and locks nothing."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def open_holds(self, book: str, now_ms: int, after: str, limit: int) -> list[Known]:
        """See StateBackend.open_holds."""
        rows = await self._rows(
            "SELECT * FROM move WHERE book = $1 AND hold = 'held' AND expires_at > $2 AND id > $3"
            " ORDER BY id LIMIT $4",
            book,
            now_ms,
            after,
            limit,
        )
        state = BookState(known={row[1]: memory_of(row) for row in rows})
        found = (rule.find(state, id_, now_ms) for id_ in state.known)
        return [known for known in found if known is not None]

    async def counters(self, book: str, now_ms: int, after: str, limit: int) -> list[Counter]:
        """See StateBackend.counters. Without expiring what is due."""
        rows = await self._rows(
            "SELECT * FROM counter WHERE book = $1 AND (held > 0 OR kept_until > $2) AND name > $3"
            " ORDER BY name LIMIT $4",
            book,
            now_ms,
            after,
            limit,
        )
        found = (inspect(row[1], counter_of(row), now_ms) for row in rows)
        return [counter for counter in found if counter is not None]

    async def movements(self, book: str, after: int, limit: int) -> list[Movement]:
        """See StateBackend.movements."""
        rows = await self._rows(
            "SELECT * FROM movement WHERE book = $1 AND number > $2 ORDER BY number LIMIT $3",
            book,
            after,
            limit,
        )
        return [Movement(*row) for row in rows]

    async def audit(self, book: str | None) -> list[Balance]:
        """See StateBackend.audit."""
        return [Balance(*row) for row in await self._rows(_AUDIT, book)]

    async def _rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with self._connections.connection() as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]


_AUDIT: Final = audit_sql("json_array_elements(claims::json)")
