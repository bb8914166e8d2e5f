"""A server whose store goes away and comes back: its health, its answers, its logs."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.errors import details
from service.test_state_served import CAMPAIGN, put, usd
from state.postgres_server import PostgresServer
from state.servers import Server as RedisServer
from xsp.state.v1 import state_service_pb2 as pb
from xsp.state.v1 import state_service_pb2_grpc
from xsp.state.v1.guarantee_pb2 import DecisionSource, FailPolicy
from xsp_server.errors import ConfigError

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
STATE = "xsp.state.v1.StateService"

QUICK = {"probe_ms": 10, "max_probe_ms": 50, "ping_ms": 20}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, not started yet, whose acknowledged writes are on disk."""
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.kill()


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, not started yet."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=["redis", "postgresql"])
def store(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def channel(serve) -> AsyncIterator:
    """Serves over a store; a channel to it."""
    channels = []

    async def dial(url: str, **section) -> grpc.aio.Channel:
        server = await serve(state={"url": url, **QUICK, **section})
        channels.append(grpc.aio.insecure_channel(server.address))
        return channels[-1]

    yield dial
    for each in channels:
        await each.close()


def watch(channel: grpc.aio.Channel, name: str = STATE):
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=name))


async def check(channel: grpc.aio.Channel, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    return (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status


async def next_status(watched) -> int:
    async with asyncio.timeout(30):
        return (await watched.read()).status


async def test_health_follows_the_store_and_auctions_go_on(store, channel):
    await asyncio.to_thread(store.start)
    opened = await channel(store.url)
    stub = state_service_pb2_grpc.StateServiceStub(opened)
    await put(stub, {**CAMPAIGN, "budget_fail_policy": FailPolicy.FAIL_POLICY_FAIL_OPEN})
    watched = watch(opened)
    assert await next_status(watched) == SERVING
    store.kill()
    assert await next_status(watched) == NOT_SERVING
    assert await check(opened, STATE) == NOT_SERVING
    assert await check(opened, "") == SERVING
    assert await check(opened, "xsp.bid.v1.BidService") == SERVING

    spend = pb.TrackSpendRequest(request_id="s", campaign_id="c-1", amount=usd(1))
    by_policy = await stub.TrackSpend(spend)
    assert by_policy.accepted
    assert by_policy.basis.source == DecisionSource.DECISION_SOURCE_FAIL_OPEN
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.PutCampaign(pb.PutCampaignRequest(request_id="new", campaign=CAMPAIGN))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    told = details(caught.value)
    assert told["ErrorInfo"].reason == "STATE_UNAVAILABLE"
    assert 0 < told["RetryInfo"].retry_delay.ToNanoseconds() <= 50_000_000

    await asyncio.to_thread(store.start)
    assert await next_status(watched) == SERVING
    booked = await stub.TrackSpend(spend)
    assert booked.basis.source == DecisionSource.DECISION_SOURCE_STORE
    assert (booked.replayed, booked.budget.spent.micros) == (False, 1_000_000)
    watched.cancel()


async def test_a_server_starts_beside_a_store_that_is_away_and_waits_for_it(redis, channel):
    with structlog.testing.capture_logs() as logs:
        opened = await channel(redis.url)
        assert await check(opened, STATE) == NOT_SERVING
        assert await check(opened, "") == SERVING
        watched = watch(opened)
        assert await next_status(watched) == NOT_SERVING
        await asyncio.to_thread(redis.start)
        assert await next_status(watched) == SERVING
        watched.cancel()
    told = [line["event"] for line in logs if "state store" in line["event"]]
    assert told == ["state store away", "state store back"]


@pytest.mark.parametrize("scheme", ["memory://", "sqlite:///{}/state.db"])
async def test_a_store_in_the_process_is_here(channel, tmp_path, scheme):
    opened = await channel(scheme.format(tmp_path))
    assert await check(opened, STATE) == SERVING


async def test_no_password_is_logged(redis, channel):
    url = redis.url.replace("redis://", "redis://user:secret@")
    with structlog.testing.capture_logs() as logs:
        await channel(url)
    assert any(line["event"] == "state store away" for line in logs)
    assert "secret" not in repr(logs)


async def test_a_server_does_not_start_over_tables_of_another_program(serve, tmp_path):
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(ConfigError, match="is another program's database"):
        await serve(state={"url": f"sqlite:///{tmp_path}/state.db"})


async def test_a_server_does_not_start_over_a_redis_that_evicts_keys(serve, redis):
    redis.options += ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    await asyncio.to_thread(redis.start)
    with pytest.raises(ConfigError, match=r"allkeys-lru\); expected maxmemory-policy noeviction"):
        await serve(state={"url": redis.url})
