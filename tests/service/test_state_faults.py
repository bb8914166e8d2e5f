"""The server is killed under load, and started again: no limit is passed, nothing is lost."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import grpc
import pytest

from state import servers
from state.load import RECOVERY, Load
from state.postgres_server import shared_url
from xsp.state.v1 import state_service_pb2_grpc

pytestmark = pytest.mark.xdist_group("machine")  # it takes all of it: one at a time

XSP = Path(sys.executable).parent / "xsp"

SOON = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]


class ServerProcess:
    """`xsp serve` with a store; it keeps its address when it is started again."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.address = f"127.0.0.1:{servers.free_port()}"
        self._file = folder / "xsp.toml"
        self._file.write_text(
            f'[server]\nlisten = "{self.address}"\n[state]\nurl = "{store_url}"\n'
            '[log]\nlevel = "warning"\n'
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        # Its lines can't be counted: it is killed.
        kept = {name: told for name, told in os.environ.items() if "COVERAGE" not in name}
        self._process = await asyncio.create_subprocess_exec(
            XSP, "serve", "--config", self._file, env=kept
        )
        async with grpc.aio.insecure_channel(self.address, SOON) as channel:
            await asyncio.wait_for(channel.channel_ready(), RECOVERY)

    async def kill(self) -> None:
        """Ends it at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()


async def prove(store_url: str) -> None:
    """Of every campaign limit = spent + reserved + available, by the ledger alone."""
    audit = await asyncio.create_subprocess_exec(
        *(XSP, "state", "audit", "--url", store_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await audit.communicate()
    assert audit.returncode == 0, printed.decode()


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
async def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty store that outlives the server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
    elif request.param == "redis":
        store = servers.Server(tmp_path).start()
        yield store.url
        store.kill()
    else:
        async with database(shared_url(request.config)) as url:
            yield url


@asynccontextmanager
async def database(url: str) -> AsyncIterator[str]:
    """A database of our own on a server that others use."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(url)._replace(path=f"/{name}").geturl()
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def test_the_server_is_killed_under_load_and_started_again(store_url: str, tmp_path: Path):
    server = ServerProcess(tmp_path, store_url)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(server.address, SOON) as channel:
            stub = state_service_pb2_grpc.StateServiceStub(channel)
            load = Load(stub, (grpc.aio.AioRpcError,))
            await load.begin()
            await server.kill()
            killed = time.monotonic()
            await server.start()
            back = time.monotonic() - killed
            took = await load.until_answered(300)
            assert took < RECOVERY
            await load.end()
            assert load.unanswered
            # What the server remembers of its own is gone: what it says now is in the store.
            await server.kill()
            await server.start()
            await load.check()
        print(f"\nback after {back:.2f} s, answers {took:.2f} s later")  # noqa: T201 with -s
        print(load)  # noqa: T201 with -s
        if not store_url.startswith("redis"):
            await prove(store_url)
    finally:
        await server.kill()
