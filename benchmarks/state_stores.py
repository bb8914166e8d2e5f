"""Stores of state to measure, each beside the bare client library that does the same by itself.

Servers come up as for the tests: private ones on free ports. What is acknowledged is as durable on
both sides: SQLite syncs at each commit on both, PostgreSQL runs with its defaults (`fsync`,
`synchronous_commit`), Redis and its cluster keep no file.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from redis.asyncio import Redis, RedisCluster

from xsp_server.state.backend import Entry, Kind, Move, StateBackend
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.postgres import DatabaseBackend
from xsp_server.state.redis import RedisBackend
from xsp_server.state.redis.books import key_of
from xsp_server.state.redis.scripts import APPLY
from xsp_server.state.sqlite import SqliteBackend
from xsp_server.state.windows import first
from xsp_server.state.wire import move_to_wire

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from state import postgres_server, servers

NOW = 1_800_000_000_000
"""Milliseconds; the time of each call."""

LIMIT = 10**12
"""Of each cap: nothing is refused, as a refusal costs less than to count."""

HOUR_MS = 3_600_000

CAPS = tuple(
    (f'[6,"s","v",0,{HOUR_MS * hours},1,"","",0]', first(HOUR_MS * hours)) for hours in range(1, 11)
)
"""Name and window of each cap's counter."""

BOOKS = 1000
"""Books that are taken in turn."""

Bare = Callable[[str, int], Awaitable[object]]
"""Checks and counts so many caps of a book by the bare client library."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store at work.

    Attributes:
        backend: ours.
        bare: the peer.
        servers: processes of the store; those that they start count, too.
        hot: whether to measure it on one book, too, which everybody counts in.
    """

    backend: StateBackend
    bare: Bare
    servers: Sequence[int] = ()
    hot: bool = False

    def server_cpu_seconds(self) -> float:
        """What the store's processes worked so far (proc(5), schedstat of each thread)."""
        files = [
            file
            for pid in (
                *self.servers,
                *(each for server in self.servers for each in _below(server)),
            )
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat")
        ]
        return sum(_nanoseconds(file) for file in files) / 1e9


def _below(pid: int) -> list[int]:
    """The processes that a process has started."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text("ascii").split()]


def _nanoseconds(file: Path) -> int:
    """Time on a CPU; 0 for who has ended meanwhile."""
    try:
        return int(file.read_text("ascii").split()[0])
    except OSError:
        return 0


Opening = Callable[[Path], AbstractAsyncContextManager[Store]]


def entries(caps: int) -> tuple[Entry, ...]:
    """What one impression counts."""
    return tuple([Entry(name, window, 1, LIMIT) for name, window in CAPS[:caps]])


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[Store]:
    """The peer: a coroutine that compares and adds in a dictionary of dictionaries."""
    counts: dict[str, dict[str, int]] = {}

    async def bare(book: str, caps: int) -> None:
        counters = counts.setdefault(book, {})
        told = [counters.get(name, 0) for name, _ in CAPS[:caps]]
        if all(count < LIMIT for count in told):
            for (name, _), count in zip(CAPS, told, strict=False):
                counters[name] = count + 1

    yield Store(InMemoryBackend(), bare)


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Store]:
    """The peer: `sqlite3`, one transaction each time, without a thread between."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE bare (book, name, n INTEGER, PRIMARY KEY (book, name)) WITHOUT ROWID",
    ):
        connection.execute(statement)
    count = (
        "INSERT INTO bare VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 WHERE n < ?"
        " RETURNING n"
    )

    async def bare(book: str, caps: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in CAPS[:caps]:
            [_n] = connection.execute(count, (book, name, LIMIT)).fetchone()
        connection.execute("COMMIT")

    backend = SqliteBackend(folder / "ours.db")
    try:
        yield Store(backend, bare)
    finally:
        await backend.close()
        connection.close()


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Store]:
    """The peer: redis-py's own pool, our script once for each operation."""
    server = servers.Server(folder).start()
    try:
        async with Redis(port=server.port) as client:
            await client.script_load(APPLY.text)
            backend = RedisBackend(server.url)
            try:
                yield Store(backend, _by_script(client), _pids([server]))
            finally:
                await backend.close()
    finally:
        server.kill()


@asynccontextmanager
async def redis_cluster(folder: Path) -> AsyncIterator[Store]:
    """The peer: redis-py's cluster client, our script once for each operation."""
    cluster = servers.Cluster(folder)
    try:
        cluster.start()
        async with RedisCluster("127.0.0.1", cluster.servers[0].port) as client:
            for each in cluster.servers[:3]:
                with each.client() as one:
                    one.script_load(APPLY.text)
            backend = RedisBackend(cluster.url)
            try:
                yield Store(backend, _by_script(client), _pids(cluster.servers))
            finally:
                await backend.close()
    finally:
        cluster.kill()


def _pids(running: list[servers.Server]) -> list[int]:
    return [server.process.pid for server in running if server.process is not None]


def _by_script(client: Any) -> Bare:
    """The same moves by the same script; what is sent is ready made."""
    texts = {
        caps: orjson.dumps([[NOW, [move_to_wire(Move(Kind.COUNT, entries(caps)))], []]])
        for caps in (1, 10)
    }

    async def bare(book: str, caps: int) -> None:
        key = key_of("bare", book)
        await client.evalsha(APPLY.digest, 3, f"{key}:c", f"{key}:h", f"{key}:d", texts[caps])

    return bare


_COUNT = """
CREATE TABLE bare (book text, name text, n bigint, PRIMARY KEY (book, name)) WITH (fillfactor = 50);
CREATE FUNCTION bare_count(of_book text, names text[], most bigint) RETURNS bigint[] AS $$
DECLARE
  counts bigint[];
  each text;
  now_at bigint;
BEGIN
  FOREACH each IN ARRAY names LOOP
    INSERT INTO bare VALUES (of_book, each, 1)
    ON CONFLICT (book, name) DO UPDATE SET n = bare.n + 1 WHERE bare.n < most
    RETURNING n INTO STRICT now_at;
    counts := counts || now_at;
  END LOOP;
  RETURN counts;
END $$ LANGUAGE plpgsql;
"""


@asynccontextmanager
async def postgresql(_folder: Path) -> AsyncIterator[Store]:
    """The peer: asyncpg's own pool, one call of a function for each operation."""
    server = postgres_server.PostgresServer()
    try:
        await asyncio.to_thread(server.start)
        async with asyncpg.create_pool(server.url) as pool:
            await pool.execute(_COUNT)

            async def bare(book: str, caps: int) -> None:
                names = [name for name, _ in CAPS[:caps]]
                await pool.fetchval("SELECT bare_count($1, $2, $3)", book, names, LIMIT)

            backend = DatabaseBackend(server.url)
            try:
                yield Store(backend, bare, [server._process.pid], hot=True)  # noqa: SLF001
            finally:
                await backend.close()
    finally:
        server.stop()


STORES: dict[str, Opening] = {
    "memory": memory,
    "sqlite": sqlite,
    "redis": redis,
    "redis+cluster": redis_cluster,
    "postgresql": postgresql,
}
"""What opens each, in a folder of its own."""
