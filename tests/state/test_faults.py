"""Stores that die and lines that are cut under load: no limit is passed, nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count as numbers_from
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from state import servers
from state.load import PAUSE, RECOVERY, TASKS, InProcess, Load
from state.play import T0, check, count, entry
from state.postgres_server import PostgresServer, drop_schema, new_schema, shared_url
from state.servers import Cluster, Server
from xsp_server.service.state import StateServicer
from xsp_server.state.accounts import Accounts
from xsp_server.state.backend import Book, StateBackend, Status, StoreAway
from xsp_server.state.money_book import book_of
from xsp_server.state.postgres import DatabaseBackend
from xsp_server.state.redis import RedisBackend
from xsp_server.state.redis.books import key_of

pytestmark = pytest.mark.xdist_group("machine")  # it takes all of it: one at a time


@asynccontextmanager
async def loaded(
    open_: Callable[..., StateBackend], url: str, through: str = "", **settings: Any
) -> AsyncIterator[Load]:
    """A load over a store, which is checked at the end as another process finds it."""
    backend = open_(through or url, **settings)
    load = Load(InProcess(StateServicer(Accounts.over(backend))), (StoreAway,))
    await load.begin()
    yield load
    await load.end()
    await backend.close()
    fresh = open_(url, **settings)
    load.api = InProcess(StateServicer(Accounts.over(fresh)))
    await load.check()
    balances = await fresh.audit()
    assert all(balance.proven for balance in balances)
    assert bool(balances) is fresh.keeps_ledger
    await fresh.close()
    print(f"\n{load}")  # noqa: T201 with -s: the figures


async def recovered(load: Load, kill: Callable[[], object], restart: Callable[[], object]) -> None:
    """Kills under load and starts again, and waits for the load to be at work as before."""
    await asyncio.to_thread(kill)
    killed = time.monotonic()
    await asyncio.to_thread(restart)
    back = time.monotonic()
    took = await load.until_answered(300)
    print(  # noqa: T201 with -s: the figures
        f"\nback after {back - killed:.2f} s, answers {took:.2f} s later", end=""
    )
    assert took < RECOVERY


async def test_redis_is_killed_twice_under_load(tmp_path: Path):
    server = Server(tmp_path, "--appendonly", "yes", "--appendfsync", "always").start()
    try:
        async with loaded(RedisBackend, server.url) as load:
            for _ in range(2):
                await recovered(load, server.kill, server.start)
        assert load.unanswered
    finally:
        server.kill()


async def test_postgresql_is_killed_twice_under_load():
    server = PostgresServer()  # with fsync
    try:
        server.start()
        async with loaded(DatabaseBackend, server.url) as load:
            for _ in range(2):
                await recovered(load, server.kill, server.start)
        assert load.unanswered
    finally:
        server.stop()


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster that tests share; it is whole again after each."""
    cluster = servers.cluster(request.config)
    yield cluster
    for server in cluster.servers:
        if server.process is None:
            cluster.restart(server)


async def test_a_master_is_killed_under_load_and_its_replica_has_all(cluster: Cluster, tmp_path):
    namespace = f"faults-{tmp_path.name}"

    url = f"{cluster.url}?replicas=1"
    async with loaded(RedisBackend, url, namespace=namespace) as load:
        master, replica = cluster.serving(key_of(namespace, book_of("c1").name))

        def take_over_and_come_back() -> None:
            killed = time.monotonic()
            servers.wait_until(
                lambda: cluster.serving(key_of(namespace, book_of("c1").name))[0] is replica
            )
            took_over = time.monotonic() - killed
            print(f"\ntaken over after {took_over:.2f} s", end="")  # noqa: T201 with -s: the figures
            cluster.restart(master)

        await recovered(load, master.kill, take_over_and_come_back)
    assert load.unanswered


async def test_a_master_is_killed_and_the_replica_goes_on_with_what_it_has(
    cluster: Cluster, tmp_path
):
    """Without `replicas` the last changes may be lost; never is more there than the limit."""
    namespace = f"faults-{tmp_path.name}"
    book, limit = Book("book"), 4000
    backend = RedisBackend(cluster.url, namespace=namespace)
    acknowledged: list[float] = []
    enough = asyncio.Event()

    async def count_on(task: int) -> None:
        for number in numbers_from():
            move = count(entry(1, limit), id=f"{task}-{number}")
            outcome = None
            while outcome is None:
                with suppress(StoreAway):
                    [outcome] = await backend.apply(book, (move,), T0)
                    break
                await asyncio.sleep(PAUSE)  # what a caller does who was told retry_after
            if outcome.status is Status.REFUSED:
                return
            assert outcome.numbers[0].counted <= limit
            acknowledged.append(time.monotonic())
            if len(acknowledged) == 1000:
                enough.set()

    tasks = [asyncio.create_task(count_on(task)) for task in range(TASKS)]
    await enough.wait()
    master, _ = cluster.serving(key_of(namespace, book.name))
    await asyncio.to_thread(master.kill)
    killed, before = time.monotonic(), len(acknowledged)
    await asyncio.gather(*tasks)
    took = acknowledged[before] - killed
    assert took < RECOVERY
    [outcome] = await backend.apply(book, (check(entry(0)),), T0)
    assert outcome.numbers[0].counted == limit
    lost = len(acknowledged) - limit
    assert 0 <= lost <= before
    print(f"\nanswers {took:.2f} s after, {lost} lost")  # noqa: T201 with -s: the figures
    await backend.close()


async def test_all_lines_to_a_cluster_are_cut_again_and_again(cluster: Cluster, tmp_path):
    namespace = f"faults-{tmp_path.name}"
    cut = 0
    async with loaded(RedisBackend, cluster.url, namespace=namespace) as load:
        for _ in range(15):
            for server in cluster.servers:
                with server.client() as client:
                    cut += client.client_kill_filter(_type="normal")
            await load.until_answered(50)
    assert cut >= 15
    print(f"{cut} lines cut")  # noqa: T201 with -s: the figures


class Cuts:
    """Stands between a store and its server; from time to time it cuts a line instead of replying.

    The server has done what it was asked then, and nobody hears of it.
    """

    def __init__(self, url: str, every: int) -> None:
        address = urlsplit(url)
        self._server = (address.hostname, address.port)
        self._url = address
        self._every = every
        self._replies = 0
        self._lines: dict[asyncio.Task[None], list[asyncio.Task[None]]] = {}
        self.cut = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as listening:
            user = f"{self._url.username}@" if self._url.username else ""
            port = listening.sockets[0].getsockname()[1]
            yield self._url._replace(netloc=f"{user}127.0.0.1:{port}").geturl()
            for ways in self._lines.values():
                for way in ways:
                    way.cancel()
        await asyncio.gather(*self._lines)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies, requests = await asyncio.open_connection(*self._server)
        ways = self._lines[asyncio.current_task()] = [
            asyncio.create_task(self._pass_on(reader, requests, lambda: True)),
            asyncio.create_task(self._pass_on(replies, writer, self._may_reply)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        requests.close()
        writer.close()

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        may_pass: Callable[[], bool],
    ) -> None:
        while (data := await source.read(65_536)) and may_pass():
            sink.write(data)
            await sink.drain()

    def _may_reply(self) -> bool:
        self._replies += 1
        if self._replies % self._every:
            return True
        self.cut += 1
        return False


async def test_lines_to_redis_are_cut_before_the_reply(request: pytest.FixtureRequest, tmp_path):
    url = servers.server_url(request.config)
    cuts = Cuts(url, every=25)
    async with cuts.open() as through:
        settings = {"namespace": f"faults-{tmp_path.name}"}
        async with loaded(RedisBackend, url, through, **settings) as load:
            await load.until_answered(900)
    assert cuts.cut >= 10
    print(f"{cuts.cut} lines cut")  # noqa: T201 with -s: the figures


async def test_lines_to_postgresql_are_cut_before_the_reply(request: pytest.FixtureRequest):
    url, schema = shared_url(request.config), new_schema()
    cuts = Cuts(url, every=40)
    async with cuts.open() as through:
        async with loaded(DatabaseBackend, url, through, schema=schema) as load:
            await load.until_answered(900)
        await drop_schema(url, schema)
    assert cuts.cut >= 10
    print(f"{cuts.cut} lines cut")  # noqa: T201 with -s: the figures
