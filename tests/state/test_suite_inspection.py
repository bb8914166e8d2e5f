"""Counters for people, named counts, and the calls at large: the same on every store."""

import asyncio

import pytest

from state.play import DAY, HOUR, T0, Play, count, entry, hold, hourly, remove
from xsp_server.errors import InvalidRequest
from xsp_server.state.backend import AMOUNT_MAX, Book, Counter, StateBackend, Status
from xsp_server.state.windows import FOREVER, NEVER, first, sliding


async def test_counters_are_listed_by_name_page_by_page(play: Play):
    await play(0, count(hourly(2, counter="b"), entry(3, counter="é"), hourly(1, counter="a")))
    await play(1, hold("h", hourly(4, counter="b"), entry(5, counter="held"), ttl=2 * HOUR))
    await play(2, count(hourly(1, counter="b", cooldown=DAY, forced=True)))
    slid = sliding(60_000)
    await play(3, count(entry(7, counter="s", window=slid)))
    ends = T0 + 61_000
    listed = await play.backend.counters("book", T0 + 10)
    assert listed == [
        Counter("a", first(HOUR), 1, 0, T0, T0, T0 + HOUR),
        Counter("b", first(HOUR), 3, 4, T0, T0 + 2, T0 + 2 + DAY),
        Counter("held", FOREVER, 0, 5, 0, 0, T0 + 2 * HOUR),
        Counter("s", slid, 7, 0, 0, T0 + 3, ends),
        Counter("é", FOREVER, 3, 0, T0, T0, NEVER),
    ]
    page = await play.backend.counters("book", T0 + 10, after="a", limit=2)
    assert [each.name for each in page] == ["b", "held"]
    over = await play.backend.counters("book", T0 + HOUR)
    assert [(each.name, each.counted, each.first_at) for each in over] == [
        ("b", 0, 0),
        ("held", 0, 0),
        ("é", 3, T0),
    ]
    assert await play.backend.counters("nobody", T0) == []


async def test_removed_counters_are_listed_no_more(play: Play):
    await play(0, count(entry(counter="a"), entry(counter="b")))
    await play(1, remove("a"))
    assert [each.name for each in await play.backend.counters("book", T0 + 2)] == ["b"]


async def test_named_counts_and_spends(backend: StateBackend):
    assert await backend.get_count("user") == 0
    assert await backend.increment("user") == 1
    assert await backend.increment("user", 4) == 5
    assert await backend.get_count("user") == 5
    assert await backend.get_spend("user") == 0
    assert await backend.add_spend("user", 2_500_000) == 2_500_000
    assert await backend.get_spend("user") == 2_500_000


async def test_named_counts_expire(backend: StateBackend):
    assert await backend.increment("user", expires_in=1.5, now_ms=T0) == 1
    assert await backend.increment("user", expires_in=1.5, now_ms=T0 + 1499) == 2
    assert await backend.get_count("user", now_ms=T0 + 1500) == 0
    assert await backend.increment("user", expires_in=1.5, now_ms=T0 + 1500) == 1


async def test_named_counts_are_counted_once_for_one_request(backend: StateBackend):
    assert await backend.increment("user", 2, request_id="r", now_ms=T0) == 2
    assert await backend.increment("user", 2, request_id="r", now_ms=T0 + 5) == 2
    with pytest.raises(InvalidRequest, match="'r' was used to add 2 before, now 3"):
        await backend.increment("user", 3, request_id="r", now_ms=T0 + 5)


async def test_no_fraction_and_nothing_below_zero_is_counted(backend: StateBackend):
    for amount in (1.9999, True, -1, AMOUNT_MAX + 1, "1"):
        with pytest.raises(InvalidRequest, match="expected a whole number from 0"):
            await backend.add_spend("user", amount)
    await backend.add_spend("user", AMOUNT_MAX)
    with pytest.raises(InvalidRequest, match="the sum would be above"):
        await backend.add_spend("user", 1)
    assert await backend.get_spend("user") == AMOUNT_MAX


async def test_calls_at_once_pass_no_limit(backend: StateBackend):
    move = count(entry(1, 50))
    calls = [backend.apply(Book("book"), (move,), T0 + number) for number in range(200)]
    statuses = [outcome.status for [outcome] in await asyncio.gather(*calls)]
    assert statuses == [Status.APPLIED] * 50 + [Status.REFUSED] * 150


async def test_a_cancelled_call_counts_once_when_it_is_sent_again(play: Play):
    move = count(entry(1), id="x")
    call = asyncio.create_task(play(0, move))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await play(1, move)
    assert await play.read(2) == [(1, 0)]


async def test_names_may_be_any_text(play: Play):
    odd = Play(play.backend, Book("{a}:b c/\"'%\\é\u2028😀"))
    name = "x|{y}\n😀"
    await odd(0, hold("ïd {1}", entry(2, counter=name), content='{"é": [1]}\t'))
    [known] = await odd.backend.find(odd.book.name, ["ïd {1}"], T0)
    assert known.content == '{"é": [1]}\t'
    assert await odd.read(1, entry(0, counter=name)) == [(0, 2)]


async def test_a_call_without_moves_answers_nothing(play: Play):
    assert await play.all(0) == []


async def test_it_says_whether_it_keeps_a_ledger(play: Play):
    await play(0, count(entry()))
    assert bool(await play.backend.movements("book")) == play.backend.keeps_ledger
    assert bool(await play.backend.audit()) == play.backend.keeps_ledger
    schemes = {"memory", "sqlite", "redis", "rediss", "redis+cluster", "postgresql"}
    assert play.backend.scheme in schemes


async def test_it_answers_and_closes_twice(backend: StateBackend):
    await backend.ping()
    await backend.close()
    await backend.close()
