"""Calls of one tick of the event loop travel together, in one transaction.

A few batches are under way at once, each on a connection of its own, and no two of them with the
same book: the calls to a book that is busy wait, gather, and are one batch when it is free. So the
calls to one book keep their order, and the more callers there are the more share a round trip. They
share a failure, too: where somebody else keeps one book of a batch locked, the whole batch fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from xsp_server.state.backend import SLACK_MS, Book, StoreAway
from xsp_server.state.postgres import books
from xsp_server.state.postgres.books import Call
from xsp_server.state.postgres.connections import RETRY_AFTER, Connections

CALLS_AT_ONCE: Final = 1000
"""Most calls in one batch."""

FORGET_AFTER: Final = 100
"""Rows written after which what can't be seen any more is looked for, twice as many."""

BOOKS_AT_ONCE: Final = 8
"""Books whose forgotten holds are expired in one go."""


_Waiting = tuple[Call, asyncio.Future[list[Any]]]
"""A call, and who waits for it."""


class Batches:
    """Gathers calls and sends them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._most = max(1, connections.size // 2)  # the others are for people, and for garbage
        self._waiting: list[_Waiting] = []
        self._busy: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._closed = False
        self._garbage = _Garbage(connections, self._expire)

    async def run(self, call: Call) -> list[Any]:
        """Does a call with the others of this tick; its result, when it is on disk.

        The call is done also if the caller is cancelled meanwhile.

        Raises:
            StoreAway: whether it was done is not known.
        """
        if self._closed:
            raise StoreAway("closed", retry_after=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        result: asyncio.Future[list[Any]] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.append((call, result))
        return await result

    async def settled(self, book: str | None) -> None:
        """Waits for the calls made before, to one book or to all."""
        names = {call.book.name for call, _ in self._waiting} | self._busy
        asked = [Call(Book(name), 0) for name in names if book in {None, name}]
        await asyncio.gather(*(self.run(call) for call in asked))

    async def close(self) -> None:
        """Returns when all that was called is done; no more is taken."""
        self._closed = True
        self._send()
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._garbage.close()

    def _send(self) -> None:
        """Begins batches with the calls that wait, as far as connections and books are free."""
        while self._waiting and len(self._under_way) < self._most:
            batch: list[_Waiting] = []
            later: list[_Waiting] = []
            for place, (call, result) in enumerate(self._waiting):
                if len(batch) == CALLS_AT_ONCE:
                    later += self._waiting[place:]
                    break
                (later if call.book.name in self._busy else batch).append((call, result))
            if not batch:
                return
            self._waiting = later
            names = {call.book.name for call, _ in batch}
            self._busy |= names
            task = asyncio.create_task(self._do(batch, names))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            task.add_done_callback(lambda _: self._send())

    async def _do(self, batch: list[_Waiting], names: set[str]) -> None:
        """One batch; wakes its callers. One that was cancelled is not told."""
        failure: Exception | None = None
        try:
            rows = await books.do(self._connections, [call for call, _ in batch])
            self._garbage.wrote(rows, max(call.now_ms for call, _ in batch))
        except Exception as error:  # noqa: BLE001 a caller waits for whatever it is
            failure = error
        finally:
            self._busy -= names
        for call, result in batch:
            if result.done():
                continue
            if failure is None:
                result.set_result(call.result)
            else:
                result.set_exception(_own(failure))

    async def _expire(self, names: Sequence[str], now_ms: int) -> None:
        """Expires holds that nobody came back for."""
        await asyncio.gather(*(self.run(Call(Book(name), now_ms, ())) for name in names))


class _Garbage:
    """Deletes bit by bit, beside the batches, what can't be seen any more."""

    def __init__(
        self,
        connections: Connections,
        expire: Callable[[Sequence[str], int], Awaitable[None]],
    ) -> None:
        self._connections = connections
        self._expire = expire
        self._owed = 0
        self._now_ms = 0
        self._task: asyncio.Task[None] | None = None

    def wrote(self, rows: int, now_ms: int) -> None:
        """Rows were written: as many, and more, are looked at in return."""
        self._owed += rows
        self._now_ms = max(self._now_ms, now_ms)
        if self._owed >= FORGET_AFTER and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._forget())

    async def close(self) -> None:
        """Returns when nothing is under way."""
        if self._task is not None:
            await self._task

    async def _forget(self) -> None:
        most, self._owed = 2 * self._owed, 0
        before = self._now_ms - SLACK_MS
        with suppress(StoreAway):  # whoever comes next will do it
            async with self._connections.connection() as connection:
                overdue = await connection.fetchval(
                    "SELECT forget($1, $2, $3)", before, most, BOOKS_AT_ONCE
                )
            await self._expire(overdue, self._now_ms)


def _own(failure: Exception) -> Exception:
    """A failure as one of several callers is told it: an error of its own."""
    if not isinstance(failure, StoreAway):
        return failure
    away = StoreAway(str(failure), retry_after=RETRY_AFTER)
    away.__cause__ = failure.__cause__
    return away
