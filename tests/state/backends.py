"""Every store that the suite of behaviour runs over.

A store joins by a line in `BACKENDS`: a name, and what opens an empty store. It gets the request of
the fixture, so that it can ask for a server that is shared by the session, and a folder of its own.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from state.postgres_server import postgresql
from state.servers import redis, redis_cluster
from xsp_server.state.backend import StateBackend
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.sqlite import SqliteBackend

Factory = Callable[[pytest.FixtureRequest, Path], AbstractAsyncContextManager[StateBackend]]


@asynccontextmanager
async def memory(_request: pytest.FixtureRequest, _folder: Path) -> AsyncIterator[StateBackend]:
    backend = InMemoryBackend()
    yield backend
    await backend.close()


@asynccontextmanager
async def sqlite(_request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[StateBackend]:
    backend = SqliteBackend(folder / "state.db")
    yield backend
    await backend.close()


BACKENDS: dict[str, Factory] = {
    "memory": memory,
    "sqlite": sqlite,
    "redis": redis,
    "redis+cluster": redis_cluster,
    "postgresql": postgresql,
}
