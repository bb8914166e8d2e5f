"""Calls to Redis that follow each other are one run of their script, and yet each its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from state import servers
from state.play import T0, Play, count, entry
from state.servers import Server, opened
from xsp_server.state.backend import Book, Status, StoreAway
from xsp_server.state.redis import RedisBackend
from xsp_server.state.redis.books import key_of
from xsp_server.state.redis.link import SHARED_BYTES, SHARED_CALLS, Request, _Job, _runs
from xsp_server.state.redis.scripts import APPLY


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return servers.server_url(request.config)


@pytest.fixture
async def backend(url: str) -> AsyncIterator[RedisBackend]:
    async with opened(url) as backend:
        await backend.ping()
        await asyncio.gather(*(counted(backend, f"u{n}") for n in range(8)))  # on all connections
        yield backend


async def counted(backend: RedisBackend, book: str) -> int:
    """Counts one; how many there are."""
    [outcome] = await backend.apply(Book(book), (count(entry(1)),), T0)
    assert outcome.status is Status.APPLIED
    return outcome.numbers[0].counted


def runs(client: Redis) -> int:
    """How many scripts the server was asked to run by their digest."""
    return client.info("commandstats")["cmdstat_evalsha"]["calls"]


async def test_calls_of_one_tick_share_runs(tmp_path: Path):
    server = Server(tmp_path).start()
    try:
        async with opened(server.url) as backend:
            await asyncio.gather(*(counted(backend, f"u{n}") for n in range(100)))
            with server.client() as client:
                before = runs(client)
                told = await asyncio.gather(*(counted(backend, f"u{n % 100}") for n in range(300)))
                assert told == [2] * 100 + [3] * 100 + [4] * 100
                assert runs(client) - before < 300 / 10
    finally:
        server.kill()


async def test_a_call_that_fails_fails_alone(backend: RedisBackend, url: str):
    with Redis.from_url(url) as client:
        client.set(f"{key_of(backend._namespace, 'u3')}:c", "not ours")
    told = await asyncio.gather(
        *(counted(backend, f"u{n}") for n in range(8)), return_exceptions=True
    )
    assert isinstance(told.pop(3), StoreAway)
    assert told == [2] * 7


async def test_ids_are_of_the_call_that_names_them(backend: RedisBackend):
    moves = [count(entry(n), id=f"id{n % 3}") for n in range(1, 9)]
    calls = [backend.apply(Book(f"of{n}"), (move, move), T0) for n, move in enumerate(moves)]
    for n, [once, again] in enumerate(await asyncio.gather(*calls), 1):
        assert (once.replayed, once.numbers[0].counted) == (False, n)
        assert (again.replayed, again.numbers[0].counted) == (True, n)


async def test_each_call_has_its_own_time(backend: RedisBackend):
    calls = [backend.apply(Book("late"), (count(entry(1)),), T0 + n) for n in range(20)]
    told = [outcome for [outcome] in await asyncio.gather(*calls)]
    assert [outcome.at for outcome in told] == [T0 + n for n in range(20)]


async def test_a_server_that_keeps_slots_apart_is_asked_call_by_call(tmp_path: Path):
    server = Server(tmp_path, "--cluster-enabled", "yes").start()
    try:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            servers.wait_until(
                lambda: b"cluster_state:ok" in servers.raw(client, "CLUSTER", "INFO")
            )
        async with opened(server.url) as backend:
            for times in (1, 2):
                told = await asyncio.gather(*(counted(backend, f"u{n}") for n in range(50)))
                assert told == [times] * 50
    finally:
        server.kill()


async def test_more_amounts_than_one_run_may_have_are_counted_all_the_same(backend: RedisBackend):
    play = Play(backend)
    named = [entry(1, counter=f"{'x' * 900}{n}") for n in range(100)]
    await asyncio.gather(*(play(0, count(*named)) for _ in range(4)))
    assert await play.read(1, entry(0, counter=named[0].counter)) == [(4, 0)]


async def test_a_run_is_bounded():
    def jobs(size: int, number: int) -> list[_Job]:
        waiting = asyncio.get_running_loop().create_future()
        return [_Job(Request((), APPLY, call=b"x" * size), waiting) for _ in range(number)]

    assert [len(run) for run in _runs(jobs(1, 150))] == [SHARED_CALLS, SHARED_CALLS, 22]
    assert [len(run) for run in _runs(jobs(SHARED_BYTES // 2, 5))] == [2, 2, 1]
    assert [len(run) for run in _runs(jobs(SHARED_BYTES + 1, 3))] == [1, 1, 1]
    alone = _Job(Request(("GET", "x")), asyncio.get_running_loop().create_future())
    asking = jobs(1, 1)
    asking[0].request.asking = True
    mixed = [*jobs(1, 2), alone, *jobs(1, 2), *asking, *jobs(1, 1)]
    assert [len(run) for run in _runs(mixed)] == [2, 1, 2, 1, 1]
