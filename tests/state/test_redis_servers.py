"""What kind of Redis is used, and how it is reached: none that evicts keys; TLS."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
from redis.crc import key_slot

from state import servers
from state.play import Play, count, entry
from state.servers import Server, opened
from state.test_redis import Proxy
from upstream.certificates import Authority
from xsp_server.errors import ConfigError
from xsp_server.state.backend import StoreAway
from xsp_server.state.guarded import GuardedBackend, Limits, StoreBusy

REFUSED = (
    r"evicts keys when it has 104857600 bytes, and forgets what was counted"
    r" \(maxmemory-policy allkeys-lru\); expected maxmemory-policy noeviction"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    server = Server(tmp_path).start()
    yield server
    server.kill()


def configure(server: Server, **settings: str) -> None:
    with server.client() as client:
        for name, value in settings.items():
            client.config_set(name.replace("_", "-"), value)


EVICTING = {"maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}
KEEPING = {"maxmemory": "0", "maxmemory_policy": "noeviction"}


# Eviction


async def test_a_server_that_may_evict_keys_is_refused(server: Server):
    configure(server, **EVICTING)
    async with opened(server.url) as backend:
        with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port}: {REFUSED}"):
            await backend.ping()


async def test_a_server_that_is_full_and_refuses_writes_is_fit(server: Server):
    configure(server, maxmemory="100mb", maxmemory_policy="noeviction")
    async with opened(server.url) as backend:
        with structlog.testing.capture_logs() as logs:
            await backend.ping()
    assert logs == []


async def test_a_policy_that_would_evict_with_a_limit_is_logged_once(server: Server):
    configure(server, maxmemory="0", maxmemory_policy="volatile-ttl")
    async with opened(server.url) as backend:
        with structlog.testing.capture_logs() as logs:
            await backend.ping()
            await backend.ping()
    [line] = logs
    assert line["log_level"] == "warning"
    assert line["server"] == f"127.0.0.1:{server.port}"
    assert line["reason"] == "maxmemory-policy volatile-ttl; expected noeviction"


async def test_a_server_that_won_t_tell_is_used_and_that_is_logged_once(server: Server):
    with server.client() as client:
        client.execute_command("ACL SETUSER quiet on >secret ~* +@all -info")
    url = server.url.replace("redis://", "redis://quiet:secret@")
    async with opened(url) as backend:
        with structlog.testing.capture_logs() as logs:
            await backend.ping()
            await backend.ping()
        assert await backend.increment("n") == 1
    assert [line["event"] for line in logs] == ["can't tell whether the state store evicts keys"]
    assert "secret" not in repr(logs)


async def test_a_server_that_is_told_to_evict_later_is_left_alone_until_it_does_not(server: Server):
    told: asyncio.Queue[bool] = asyncio.Queue()
    async with opened(server.url) as backend:
        guarded = GuardedBackend(backend, Limits(ping=0.01, probe=0.01, most_probe=0.01))
        async with asyncio.timeout(20):
            await guarded.start(told.put_nowait)
            assert await told.get()
            configure(server, **EVICTING)
            assert not await told.get()
            with pytest.raises(StoreAway, match=REFUSED):
                await guarded.increment("n")
            configure(server, **KEEPING)
            assert await told.get()
            assert await guarded.increment("n") == 1
        await guarded.close()


async def test_each_server_of_a_cluster_is_asked(request: pytest.FixtureRequest):
    cluster = servers.cluster(request.config)
    by_port = {server.port: server for server in cluster.servers}
    async with opened(cluster.url) as backend:
        await backend.ping()
        names = [link.name for link in backend._store.servers()]
        assert len(names) == 3
        for name in names:
            server = by_port[int(name.rpartition(":")[2])]
            configure(server, **EVICTING)
            try:
                with pytest.raises(ConfigError, match=f"{name}: {REFUSED}"):
                    await backend.ping()
            finally:
                configure(server, **KEEPING)
        await backend.ping()


async def test_a_server_of_a_cluster_that_is_away_is_asked_another_time(request):
    cluster = servers.cluster(request.config)
    async with opened(cluster.url) as backend:
        await backend.ping()
        [*links] = backend._store.servers()
        assert len(links) == 3
        home = backend._store._slots[servers_slot(backend)]
        gone = next(link for link in links if link.name != f"{home[0]}:{home[1]}")
        await gone.close()
        await backend.ping()


def servers_slot(backend) -> int:
    """The slot of the campaigns, which a ping asks for."""
    return key_slot(backend._campaigns.encode())


# A server that hangs


async def test_while_a_server_hangs_calls_are_few_and_short_and_none_counts_twice(server: Server):
    limits = Limits(timeout=0.2, calls=4, failures=4, probe=0.01, most_probe=0.01)
    async with opened(server.url) as backend:
        guarded = GuardedBackend(backend, limits)
        changes: asyncio.Queue[bool] = asyncio.Queue()
        await guarded.start(changes.put_nowait)
        assert await changes.get()
        assert await guarded.increment("n", request_id="0") == 1
        server.process.send_signal(signal.SIGSTOP)
        calls = [guarded.increment("n", request_id=f"{number}") for number in range(1, 9)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in told] == 4 * [StoreAway] + 4 * [StoreBusy]
        assert not await changes.get()
        with pytest.raises(StoreAway, match="not asked until it is back"):
            await guarded.increment("n", request_id="9")
        server.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(20):
            assert await changes.get()
        for number in range(10):
            await guarded.increment("n", request_id=f"{number}")
        assert await guarded.get_count("n") == 10
        await guarded.close()


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def terminator(request, authority: Authority) -> AsyncIterator[Proxy]:
    """Speaks TLS as "localhost" to the one side, and to a shared server as plainly as that does."""
    pair = authority.sign("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    proxy = Proxy(servers.server_url(request.config))
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=context)
    proxy.port = listening.sockets[0].getsockname()[1]
    yield proxy
    listening.close()
    await proxy.all_ended()


@asynccontextmanager
async def over_tls(port: int, host: str = "localhost", **options: Path):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    async with opened(f"rediss://{host}:{port}?{query}") as backend:
        yield backend


async def test_rediss_speaks_tls_and_is_a_store_like_any_other(terminator, authority):
    async with over_tls(terminator.port, ssl_ca_certs=authority.pair.cert) as backend:
        await backend.ping()
        play = Play(backend)
        assert (await play(0, count(entry(2), id="x"))).numbers[0].counted == 2
        assert (await play(0, count(entry(2), id="x"))).replayed
        assert await play.read(0) == [(2, 0)]
        assert backend.scheme == "rediss"
    assert terminator.connections > 0


async def test_a_certificate_that_nobody_vouches_for_is_refused(terminator, tmp_path):
    stranger = Authority.make(tmp_path)
    async with over_tls(terminator.port, ssl_ca_certs=stranger.pair.cert) as backend:
        with pytest.raises(StoreAway, match="certificate verify failed"):
            await backend.ping()
    assert terminator.connections == 0


async def test_a_certificate_for_another_host_is_refused(terminator, authority):
    async with over_tls(terminator.port, "127.0.0.1", ssl_ca_certs=authority.pair.cert) as backend:
        with pytest.raises(StoreAway, match="certificate verify failed"):
            await backend.ping()
    assert terminator.connections == 0


async def test_without_tls_a_server_that_speaks_it_is_away(terminator):
    async with opened(f"redis://localhost:{terminator.port}", timeout=0.5) as backend:
        with pytest.raises(StoreAway):
            await backend.ping()
