"""What only stores in Redis have: scripts, one pipeline, lost replies, servers that die."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.crc import key_slot

from state import servers
from state.play import (
    DAY,
    HOUR,
    T0,
    Play,
    check,
    commit,
    count,
    entry,
    hold,
    hourly,
    release,
    remove,
)
from state.servers import Cluster, Server, opened
from xsp_server.errors import ConfigError
from xsp_server.state.backend import (
    AMOUNT_MAX,
    SLACK_MS,
    Book,
    CampaignDocument,
    HoldState,
    PutStatus,
    Status,
    StoreAway,
)
from xsp_server.state.redis import RedisBackend, scripts
from xsp_server.state.redis.books import key_of
from xsp_server.state.redis.cluster import LANES
from xsp_server.state.redis.link import Request
from xsp_server.state.windows import FOREVER, sliding

BOOK = Book("book")


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A server that is shared with other tests."""
    return servers.server_url(request.config)


@pytest.fixture
async def backend(url: str) -> AsyncIterator[RedisBackend]:
    async with opened(url) as backend:
        yield backend


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    with Redis.from_url(url) as client:
        yield client


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, which it may kill. What it acknowledges is on disk."""
    server = Server(tmp_path, "--appendonly", "yes", "--appendfsync", "always").start()
    yield server
    server.kill()


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return servers.cluster(request.config)


class Proxy:
    """Stands between a store and its server, and loses replies.

    Attributes:
        losing: how many times from now on a reply is lost, and the connection with it.
        served: set when the server has replied.
        gate: replies pass while it is set.
    """

    def __init__(self, server_url: str) -> None:
        address = urlsplit(server_url)
        self.server = (address.hostname, address.port)
        self.port = 0
        self.losing = 0
        self.connections = 0
        self.open = 0
        self.served = asyncio.Event()
        self.ended = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        replies, requests = await asyncio.open_connection(*self.server)
        passing = [
            asyncio.create_task(self.pass_on(reader, requests, self.ask)),
            asyncio.create_task(self.pass_on(replies, writer, self.answer)),
        ]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in passing:
                each.cancel()
            requests.close()
            writer.close()
            self.open -= 1
            self.ended.set()

    async def all_ended(self) -> None:
        while self.open:
            self.ended.clear()
            await self.ended.wait()

    async def pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        let_pass: Callable[[], Awaitable[bool]],
    ) -> None:
        while data := await source.read(65_536):
            if not await let_pass():
                return
            sink.write(data)
            await sink.drain()

    async def ask(self) -> bool:
        return True

    async def answer(self) -> bool:
        self.served.set()
        await self.gate.wait()
        self.losing -= 1
        return self.losing < 0


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, RedisBackend]]:
    """A store behind a proxy, connected already."""
    proxy = Proxy(url)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listening:
        proxy.port = listening.sockets[0].getsockname()[1]
        async with opened(proxy.url) as backend:
            await counted(backend)  # the server knows the script now
            yield proxy, backend
        await proxy.all_ended()


async def counted(backend: RedisBackend, book: Book = BOOK) -> int:
    [outcome] = await backend.apply(book, (check(entry(0)),), T0)
    return outcome.numbers[0].counted


# Lost replies and repetition


async def test_a_lost_reply_is_asked_for_again_by_id_and_counts_once(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.losing = 1
        [outcome] = await backend.apply(BOOK, (count(entry(3), id="x"),), T0)
        assert (outcome.status, outcome.replayed) == (Status.APPLIED, True)
        assert (await counted(backend), proxy.connections) == (3, 2)


async def test_a_move_without_id_whose_reply_is_lost_is_told_and_not_sent_again(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.losing = 1
        with pytest.raises(StoreAway, match=str(proxy.port)):
            await backend.apply(BOOK, (count(entry(3)),), T0)
        assert await counted(backend) == 3


async def test_a_reply_that_is_lost_twice_is_told(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.losing = 5
        with pytest.raises(StoreAway) as away:
            await backend.apply(BOOK, (count(entry(3), id="x"),), T0)
        assert away.value.retry_after is not None
        proxy.losing = 0
        again = await until_here(backend, count(entry(3), id="x"))
        assert again.replayed
        assert await counted(backend) == 3


async def test_of_a_lost_pipeline_only_what_has_ids_is_sent_again(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.losing = 1
        ids = ["a", "", "b", "", "c"]
        calls = [backend.apply(BOOK, (count(entry(1), id=id_),), T0) for id_ in ids]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(each, StoreAway) for each in told] == [not id_ for id_ in ids]
        assert await counted(backend) == 5


async def test_a_cancelled_call_is_done_and_its_retry_replayed(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.gate.clear()
        proxy.served.clear()
        move = count(entry(3), id="x")
        call = asyncio.create_task(backend.apply(BOOK, (move,), T0))
        await proxy.served.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        proxy.gate.set()
        [outcome] = await backend.apply(BOOK, (move,), T0 + 1)
        assert (outcome.replayed, outcome.at) == (True, T0)
        assert await counted(backend) == 3


async def test_a_call_that_is_cancelled_before_it_was_sent_is_done(backend: RedisBackend):
    call = asyncio.create_task(backend.apply(BOOK, (count(entry(3), id="x"),), T0))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert await counted(backend) == 3


# Pipelines


async def test_callers_by_the_hundred_share_two_connections(url: str):
    async with proxied(url) as (proxy, backend):
        calls = [backend.apply(Book(f"u{n}"), (count(entry(1)),), T0) for n in range(1500)]
        told = await asyncio.gather(*calls)
        assert all(outcome.status is Status.APPLIED for [outcome] in told)
        assert proxy.connections == LANES == 2


async def test_calls_of_one_tick_are_done_in_their_order(backend: RedisBackend):
    calls = [backend.apply(BOOK, (count(entry(1)),), T0) for _ in range(100)]
    told = await asyncio.gather(*calls)
    assert [outcome.numbers[0].counted for [outcome] in told] == list(range(1, 101))


async def test_calls_of_one_tick_are_one_packet(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.losing = 1  # all replies of the pipeline are lost with the first
        calls = [backend.apply(BOOK, (count(entry(1)),), T0) for _ in range(20)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, StoreAway) for each in told)


async def test_scripts_that_the_server_forgot_are_sent_again_in_order(
    backend: RedisBackend, client: Redis
):
    await counted(backend)
    client.script_flush()
    calls = [backend.apply(BOOK, (count(entry(1)),), T0) for _ in range(50)]
    told = await asyncio.gather(*calls)
    assert [outcome.numbers[0].counted for [outcome] in told] == list(range(1, 51))
    assert client.script_exists(scripts.APPLY.digest) == [True]
    client.script_flush()
    put = await backend.put_campaign(CampaignDocument("c", "", b""), T0)
    assert put.status is PutStatus.STORED


# Amounts: Lua's numbers are exact to 2^53; ours are two halves of nine digits.

HALVES = [
    (999_999_999, 1),
    (10**9 - 1, 10**9 - 1),
    (10**9, 10**9),
    (2**53, 1),
    (2**53 + 1, 2**53 + 3),
    (123_456_789_000_000_001, 876_543_210_999_999_998),
    (AMOUNT_MAX - 1, 1),
]


@pytest.mark.parametrize(("one", "other"), HALVES)
async def test_amounts_are_exact_across_the_halves(backend: RedisBackend, one: int, other: int):
    play = Play(backend)
    total = one + other
    await play(0, count(entry(one)))
    assert (await play(0, count(entry(other, total - 1)))).status is Status.REFUSED
    assert (await play(0, hold("h", entry(other, total)))).status is Status.APPLIED
    assert await play.read(1) == [(one, other)]
    await play(1, commit("h", entry(other - 1)))
    assert await play.read(2) == [(total - 1, 0)]
    assert (await play(3, count(entry(1, total)))).numbers[0].counted == total


@pytest.mark.parametrize(("one", "other"), HALVES)
async def test_what_is_given_back_is_exact_across_the_halves(backend, one: int, other: int):
    play = Play(backend)
    await play.all(0, hold("a", entry(one)), hold("b", entry(other)))
    assert (await play(1, release("a"))).numbers[0].held == other
    assert (await play(1, release("b"))).numbers[0].held == 0


async def test_a_sliding_window_takes_an_impression_of_a_clock_that_is_behind(backend):
    play = Play(backend)
    window = sliding(60_000)
    for at in (5000, 9000, 1500, 5100):
        await play(at, count(entry(window=window)))
    assert await play.read(61_999, entry(0, window=window)) == [(4, 0)]
    assert await play.read(62_000, entry(0, window=window)) == [(3, 0)]


# Garbage: the server's clock deletes what can't be seen any more, and nothing else.


def ttl(client: Redis, backend: RedisBackend, suffix: str, book: str = "book") -> int:
    return client.pttl(key_of(backend._namespace, book) + suffix)


async def test_keys_are_forgotten_some_time_after_they_are_over(backend, client: Redis):
    await backend.apply(BOOK, (count(hourly(), id="x", keep=5000),), T0)
    await backend.apply(BOOK, (hold("h", hourly(), ttl=2 * HOUR, keep=9000),), T0)
    room = 1000  # for a slow machine
    assert 5000 + SLACK_MS - room < ttl(client, backend, ":m:x") <= 5000 + SLACK_MS
    hold_ends = 2 * HOUR + 9000 + SLACK_MS
    assert hold_ends - room < ttl(client, backend, ":m:h") <= hold_ends
    for part in (":c", ":h", ":d"):
        assert 2 * HOUR + SLACK_MS - room < ttl(client, backend, part) <= 2 * HOUR + 2 * SLACK_MS


async def test_a_book_is_not_told_to_expire_at_each_call(backend, client: Redis):
    await backend.apply(BOOK, (count(hourly()),), T0)
    before = client.pexpiretime(key_of(backend._namespace, "book") + ":c")
    await backend.apply(BOOK, (count(hourly()),), T0 + 1000)
    assert client.pexpiretime(key_of(backend._namespace, "book") + ":c") == before


async def test_a_book_with_a_lifetime_counter_is_kept_until_that_is_removed(backend, client):
    await backend.apply(BOOK, (count(entry(window=FOREVER), hourly(counter="h")),), T0)
    await backend.apply(BOOK, (hold("x", entry()),), T0)
    assert [ttl(client, backend, part) for part in (":c", ":h", ":d")] == [-1, -1, -1]
    await backend.apply(BOOK, (release("x"), remove("c")), T0 + 1)
    assert 0 < ttl(client, backend, ":c") <= HOUR + 2 * SLACK_MS


async def test_counters_that_are_over_are_dropped_from_a_book_that_lives(backend, client: Redis):
    key = key_of(backend._namespace, "book") + ":c"
    await backend.apply(BOOK, (count(entry(), hourly(counter="h")),), T0)
    await backend.apply(BOOK, (count(entry()),), T0 + HOUR + SLACK_MS - 1)
    assert client.hexists(key, "h")
    await backend.apply(BOOK, (count(entry()),), T0 + DAY)
    assert set(client.hkeys(key)) == {b"", b"c"}


async def test_a_hold_whose_record_is_forgotten_still_gives_back(backend, client: Redis):
    play = Play(backend)
    await play(0, hold("h", entry(6), ttl=1000, keep=1000))
    client.delete(key_of(backend._namespace, "book") + ":m:h")
    assert await play.read(DAY) == [(0, 0)]
    assert await backend.open_holds("book", T0) == []


async def test_holds_of_a_book_that_was_lost_are_not_of_the_new_one(backend, client: Redis):
    play = Play(backend)
    await play(0, hold("h", entry(6)))
    client.delete(key_of(backend._namespace, "book") + ":c")
    assert await play.read(DAY) == [(0, 0)]


async def test_an_id_that_is_over_is_used_anew_before_the_server_forgot_it(backend):
    play = Play(backend)
    await play(0, hold("h", entry(6), ttl=1000, keep=1000))
    await play(5000, count(entry(2), id="h"))
    [known] = await backend.find("book", ["h"], T0 + 5000)
    assert (known.hold, known.expires_at) == (None, 0)


async def test_books_that_look_alike_are_apart(backend: RedisBackend):
    names = ["a", "a}", "a%7D", "{a}", "}", "%", "campaigns"]
    for number, name in enumerate(names):
        await backend.apply(Book(name), (count(entry(number + 1)),), T0)
    assert [await counted(backend, Book(name)) for name in names] == list(range(1, 8))
    for name in names:
        keys = {key_slot((key_of("xsp", name) + part).encode()) for part in (":c", ":m:x}", ":d")}
        assert len(keys) == 1


# Servers that are away


async def until_here(backend: RedisBackend, move) -> object:
    """The outcome of a move, asked for until the store is back."""
    for _ in range(600):
        with suppress(StoreAway):
            [outcome] = await backend.apply(BOOK, (move,), T0)
            return outcome
        await asyncio.sleep(0.02)  # what a caller does who was told retry_after
    raise AssertionError("the store did not come back")


async def test_what_is_acknowledged_outlives_the_death_of_the_server(server: Server):
    acknowledged = 0
    asked = 0

    async with opened(server.url) as backend:

        async def spend(caller: int) -> None:
            nonlocal acknowledged, asked
            for number in range(10_000):
                asked += 1
                await backend.apply(BOOK, (count(entry(1), id=f"{caller}-{number}"),), T0)
                acknowledged += 1
                if acknowledged == 300:
                    server.kill()

        calls = [spend(caller) for caller in range(16)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(failure, StoreAway) for failure in failures)
        assert backend.durable
        with pytest.raises(StoreAway):
            await backend.ping()
        started = asyncio.to_thread(server.start)
        await started
        outcome = await until_here(backend, check(entry(0)))
        assert acknowledged <= outcome.numbers[0].counted <= asked
        first = await until_here(backend, count(entry(1), id="0-0"))
        assert first.replayed


async def test_calls_fail_at_once_while_the_server_is_away(server: Server):
    server.kill()
    async with opened(server.url) as backend:
        for _ in range(8):
            with pytest.raises(StoreAway):
                await backend.ping()
        start = time.monotonic()
        for _ in range(50):
            with pytest.raises(StoreAway, match=r"111|refused") as away:
                await backend.ping()
            assert 0 < away.value.retry_after <= 1.0
        assert time.monotonic() - start < 0.5


async def test_a_server_that_hangs_is_away_after_the_timeout(server: Server):
    async with opened(server.url, timeout=0.4) as backend:
        await backend.ping()
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            calls = [backend.apply(BOOK, (count(entry(1), id=str(n)),), T0) for n in range(5)]
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert [str(each).partition(": ")[2] for each in told] == ["no answer in time"] * 5
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        for number in range(5):
            await until_here(backend, count(entry(1), id=str(number)))
        assert await counted(backend) == 5


async def test_a_server_that_was_started_again_is_used_without_a_failure(server: Server):
    async with opened(server.url) as backend:
        await backend.apply(BOOK, (count(entry(1)),), T0)
        server.kill()
        await asyncio.to_thread(server.start)
        await backend.apply(BOOK, (count(entry(1)),), T0)
        assert await counted(backend) == 2


async def test_a_server_without_room_refuses_and_nothing_moves(server: Server):
    async with opened(server.url) as backend:
        await backend.apply(BOOK, (count(entry(1)),), T0)
        with server.client() as client:
            client.config_set("maxmemory", 1)
            with pytest.raises(StoreAway, match="maxmemory"):
                await backend.apply(BOOK, (count(entry(1)),), T0)
            client.config_set("maxmemory", 0)
        assert await counted(backend) == 1


async def test_it_says_what_outlives_the_server(server: Server):
    async with opened(server.url) as backend:
        assert not backend.durable  # not asked yet
        await backend.ping()
        assert backend.durable
    with server.client() as client:
        client.config_set("appendfsync", "everysec")
        async with opened(server.url) as backend:
            await backend.ping()
            assert not backend.durable
        client.config_set("appendfsync", "always")
        client.execute_command("ACL SETUSER guest on >secret ~* +@all -config")
    async with opened(server.url.replace("//", "//guest:secret@")) as backend:
        await backend.ping()
        assert not backend.durable
    async with opened(server.url.replace("//", "//guest:wrong@")) as backend:
        with pytest.raises(StoreAway, match="password"):
            await backend.ping()


async def test_a_change_that_no_replica_has_is_not_acknowledged(server: Server):
    async with opened(f"{server.url}?replicas=1", timeout=1.0) as backend:
        with pytest.raises(StoreAway, match="0 replicas have the change, 1 are wanted"):
            await backend.apply(BOOK, (count(entry(1), id="x"),), T0)


async def test_a_retry_of_a_change_that_no_replica_has_is_not_acknowledged_either(
    server: Server, tmp_path: Path
):
    replica = Server(tmp_path, "--replicaof", f"127.0.0.1 {server.port}").start()
    url = f"{server.url}?replicas=1"
    try:
        with replica.client() as client:
            servers.wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        async with opened(url) as backend:
            namespace = backend._namespace
            await backend.apply(BOOK, (count(entry(1), id="first"),), T0)
        os.kill(replica.process.pid, signal.SIGSTOP)
        for _ in range(2):  # the second one changes nothing any more
            async with opened(url, namespace=namespace, timeout=2.0) as backend:
                with pytest.raises(StoreAway, match="0 replicas have the change, 1 are wanted"):
                    await backend.apply(BOOK, (count(entry(1), id="x"),), T0)
        os.kill(replica.process.pid, signal.SIGCONT)
        async with opened(url, namespace=namespace) as backend:
            assert (await until_here(backend, count(entry(1), id="x"))).replayed
            assert await counted(backend) == 2
    finally:
        os.kill(replica.process.pid, signal.SIGCONT)
        replica.kill()


async def test_what_waits_is_done_before_it_closes(backend: RedisBackend, url: str):
    async with opened(url, namespace=backend._namespace) as other:
        call = asyncio.create_task(other.apply(BOOK, (count(entry(1)),), T0))
        await asyncio.sleep(0)
        await other.close()
        assert call.done()
        for refused in (other.ping(), other.apply(BOOK, (), T0)):
            with pytest.raises(StoreAway, match="closed"):
                await refused
    assert await counted(backend) == 1


async def test_nobody_waits_for_ever_when_the_work_is_ended(url: str):
    async with proxied(url) as (proxy, backend):
        proxy.gate.clear()
        call = asyncio.create_task(backend.ping())
        proxy.served.clear()
        await proxy.served.wait()
        for link in backend._store._links:
            if link._working is not None:
                link._working.cancel()
        with pytest.raises(StoreAway, match="gave up"):
            await call
        proxy.gate.set()


# Clusters


def master_of(cluster: Cluster, key: str) -> tuple[Server, Server]:
    """The server of a key, and a replica of it."""
    slot = key_slot(key.encode())
    with cluster.servers[0].client() as client:
        ranges = servers.raw(client, "CLUSTER", "SLOTS")
    for first, last, master, *replicas in ranges:
        if first <= slot <= last:
            by_port = {server.port: server for server in cluster.servers}
            return by_port[master[1]], by_port[replicas[0][1]]
    raise AssertionError(f"nobody serves slot {slot}")


async def test_calls_of_many_books_spread_over_the_cluster(cluster: Cluster):
    async with opened(cluster.url) as backend:
        books = [Book(f"user-{number}") for number in range(300)]
        calls = [backend.apply(book, (count(entry(1)),), T0) for book in books]
        assert all(outcome.status is Status.APPLIED for [outcome] in await asyncio.gather(*calls))
        masters = set(backend._store._slots)
        assert len(masters) == 3
        lanes = {(master, lane) for master in masters for lane in range(LANES)}
        assert lanes <= backend._store._links.keys()
        assert not backend.durable


async def test_calls_follow_a_slot_that_is_moving_and_has_moved(cluster: Cluster):
    async with opened(cluster.url) as backend:
        await counted(backend)
        key = key_of(backend._namespace, "book")
        slot = key_slot(key.encode())
        source, _ = master_of(cluster, key)
        target, _ = next(
            pair for pair in (master_of(cluster, name) for name in "abcdefgh") if source not in pair
        )
        with source.client() as leaving, target.client() as joining:
            source_id, target_id = (
                client.execute_command("CLUSTER", "MYID") for client in (leaving, joining)
            )
            for left_behind in leaving.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10_000):
                leaving.delete(left_behind)  # by other tests: a slot moves when it is empty
            joining.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            leaving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            # One key that isn't there may be asked of the new server; several may be split.
            assert await backend._store.run(key, Request(("HLEN", f"{key}:c"))) == 0
            with pytest.raises(StoreAway, match=r"TRYAGAIN|rehashing"):
                await backend.apply(BOOK, (count(entry(3), id="x"),), T0)
            for client in (joining, leaving):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        calls = [backend.apply(BOOK, (count(entry(1)),), T0) for _ in range(10)]
        await asyncio.gather(*calls)
        assert await counted(backend) == 10
        assert backend._store._slots[slot] == ("127.0.0.1", target.port)


async def test_a_replica_takes_over_and_nothing_acknowledged_is_lost(cluster: Cluster):
    async with opened(cluster.url, replicas=1) as careful:
        namespace = careful._namespace
        for number in range(50):
            await careful.apply(BOOK, (count(entry(1), id=f"{number}"),), T0)
    master, _ = master_of(cluster, key_of(namespace, "book"))
    async with opened(cluster.url, namespace=namespace, timeout=1.0) as backend:
        await backend.ping()
        await asyncio.to_thread(master.kill)
        try:
            outcome = await until_here(backend, count(entry(1), id="after"))
            assert outcome.numbers[0].counted == 51
            assert all(await backend.find("book", [f"{number}" for number in range(50)], T0))
        finally:
            await asyncio.to_thread(cluster.restart, master)


async def test_a_cluster_that_is_away_is_told(cluster: Cluster):
    nobody = servers.free_port()
    async with opened(f"redis+cluster://127.0.0.1:{nobody}") as backend:
        with pytest.raises(StoreAway, match="the cluster is away"):
            await backend.ping()
    async with opened(cluster.url) as backend:
        await backend.ping()
        await backend.close()
        with pytest.raises(StoreAway, match="closed"):
            await backend.ping()


async def test_one_server_that_is_alive_is_enough_to_find_the_others(cluster: Cluster):
    nobody, alive = servers.free_port(), cluster.servers[1].port
    async with opened(f"redis+cluster://127.0.0.1:{nobody},127.0.0.1:{alive}") as backend:
        await backend.ping()


# Settings


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
@pytest.mark.parametrize(("query", "replicas"), [("", 2), ("?replicas=1", 1), ("/0?replicas=0", 0)])
def test_the_url_says_how_many_replicas_must_have_a_change(scheme, query, replicas):
    hosts = "a:1" if scheme == "redis" else "a:1,b:2"
    store = RedisBackend(f"{scheme}://{hosts}{query}", replicas=2)._store
    link = store._links[0] if scheme == "redis" else store._make_link(("a", 1))
    assert link._settings.replicas == replicas


WRONG = {
    "a number of replicas that is none": "redis+cluster://localhost:1?replicas=-1",
    "another scheme": "http://localhost",
    "a port that is none": "redis://localhost:port",
    "an unknown option": "redis://localhost?colour=red",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_url_that_is_none_is_told_at_once(wrong: str):
    with pytest.raises(ConfigError, match="expected"):
        RedisBackend(wrong)


def test_a_namespace_has_no_braces():
    with pytest.raises(ConfigError, match="namespace"):
        RedisBackend("redis://localhost", namespace="{x}")


def test_no_password_is_told():
    with pytest.raises(ConfigError) as told:
        RedisBackend("redis://user:secret@localhost:port")
    assert "secret" not in str(told.value)


def test_the_scheme_says_whether_tls_is_used():
    for scheme, tls in (("redis", False), ("rediss", True)):
        backend = RedisBackend(f"{scheme}://localhost:1/2")
        connection = backend._store._links[0]._settings.connect()
        assert (backend.scheme, "SSL" in repr(type(connection)), connection.db) == (scheme, tls, 2)


async def test_a_hold_is_told_as_expired_before_anybody_expired_it(backend: RedisBackend):
    play = Play(backend)
    held = await play(0, hold("h", entry(6), ttl=1000, keep=5000))
    [known] = await backend.find("book", ["h"], T0 + 1000)
    assert (known.hold, known.resolved_at) == (HoldState.EXPIRED, T0 + 1000)
    assert known.outcome == replace(held, replayed=True)
    assert await backend.find("book", ["h"], T0 + 6000) == [None]
