"""The guard of a store that may be away: its breaker, its probes, its limits."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import structlog

from state.play import T0, check, count, entry
from xsp_server.errors import ConfigError, InvalidRequest
from xsp_server.state.backend import Book, CampaignDocument, StateBackend, StoreAway
from xsp_server.state.guarded import GuardedBackend, Limits, StoreBusy
from xsp_server.state.memory import InMemoryBackend

BOOK = Book("book")
AWAY = StoreAway("host:1: refused", retry_after=9.0)


class Time:
    """A clock that stands, and sleepers that wake when it gets there."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + seconds, woken))
        await woken

    async def go(self, seconds: float) -> None:
        """Goes on; returns when all who were woken sleep again, or are done."""
        self.now += seconds
        due = [sleeper for sleeper in self.sleepers if sleeper[0] <= self.now + 1e-9]
        self.sleepers = [sleeper for sleeper in self.sleepers if sleeper not in due]
        for _, woken in due:
            if not woken.done():
                woken.set_result(None)
        for _ in range(10):
            await asyncio.sleep(0)

    def waits(self) -> list[float]:
        """How long the sleepers are to sleep from now."""
        return [round(until - self.now, 6) for until, woken in self.sleepers if not woken.done()]


class Store(InMemoryBackend):
    """In memory; away, or silent, as it is told."""

    scheme = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.silent = False
        self.calls = self.pings = 0
        self.closed = False

    async def apply(self, *arguments):
        self.calls += 1
        await self.answer()
        return await super().apply(*arguments)

    async def ping(self) -> None:
        self.pings += 1
        await self.answer()

    async def close(self) -> None:
        self.closed = True
        self.failure = StoreAway("closed", retry_after=1.0)

    async def answer(self) -> None:
        if self.silent:
            await asyncio.get_running_loop().create_future()
        if self.failure is not None:
            raise self.failure


class World:
    """A guarded store, its time, and what it tells."""

    def __init__(self, **limits) -> None:
        self.time = Time()
        self.store = Store()
        self.told: list[bool] = []
        self.chance = 0.0
        self.guarded = GuardedBackend(
            self.store,
            Limits(**limits),
            clock=self.time.clock,
            sleep=self.time.sleep,
            chance=lambda: self.chance,
        )

    async def call(self) -> None:
        await self.guarded.apply(BOOK, [count(entry(1))], T0)

    async def fail(self, times: int = 1) -> StoreAway:
        for _ in range(times):
            with pytest.raises(StoreAway) as caught:
                await self.call()
        return caught.value

    async def leave(self) -> None:
        self.store.failure = AWAY
        await self.fail(5)


@asynccontextmanager
async def guarded(**limits):
    world = World(**limits)
    yield world
    await world.guarded.close()


@pytest.fixture
async def world():
    async with guarded() as opened:
        yield opened


# The breaker


async def test_so_many_failures_in_a_row_and_calls_fail_at_once(world):
    world.store.failure = AWAY
    last = await world.fail(5)
    assert (str(last), last.retry_after) == ("host:1: refused", 9.0)
    assert world.store.calls == 5
    refused = await world.fail()
    assert world.store.calls == 5
    assert str(refused) == "host:1: refused; not asked until it is back"
    assert (refused.status, refused.reason) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
    with pytest.raises(StoreAway):
        await world.guarded.campaigns_version()


async def test_a_refusal_says_how_long_it_is_until_the_next_probe(world):
    await world.leave()
    await world.time.go(0)
    assert (await world.fail()).retry_after == pytest.approx(0.5)
    await world.time.go(0.4)
    assert (await world.fail()).retry_after == pytest.approx(0.1)
    world.store.silent = True
    await world.time.go(0.1)
    assert 0 < (await world.fail()).retry_after < 0.01


async def test_a_success_in_between_makes_up_for_a_failure(world):
    for _ in range(20):
        world.store.failure = AWAY
        await world.fail()
        world.store.failure = None
        await world.call()
    assert not world.guarded.is_away


@pytest.mark.parametrize(("rate", "rounds"), [(0.5, 4), (0.2, 3)])
async def test_too_great_a_part_of_failures_makes_it_away_too(rate, rounds):
    """Two failures for each success; the last round ends before its success."""
    async with guarded(failure_rate=rate) as world:
        failed = 0
        while not world.guarded.is_away and failed < 50:
            world.store.failure = AWAY
            await world.fail()
            failed += 1
            if failed % 2 == 0 and not world.guarded.is_away:
                world.store.failure = None
                await world.call()
        assert -(-failed // 2) == rounds


async def test_what_is_not_the_stores_fault_is_no_failure(world):
    world.store.failure = InvalidRequest()
    for _ in range(9):
        with pytest.raises(InvalidRequest):
            await world.call()
    assert not world.guarded.is_away


# Probes


async def test_probes_go_out_farther_and_farther_apart_until_one_is_answered(world):
    await world.leave()
    await world.time.go(0)
    distances = []
    for _ in range(8):
        [wait] = world.time.waits()
        distances.append(wait)
        await world.time.go(wait)
    assert distances == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert world.store.pings == 8
    assert world.guarded.is_away
    world.store.failure = None
    await world.time.go(29.9)
    assert world.guarded.is_away
    await world.time.go(0.1)
    assert not world.guarded.is_away
    await world.call()
    assert world.time.waits() == []


async def test_probes_come_before_their_time_by_chance_by_half_at_most(world):
    world.chance = 1.0
    await world.leave()
    await world.time.go(0)
    assert world.time.waits() == [0.25]
    world.chance = 0.5
    await world.time.go(0.25)
    assert world.time.waits() == [0.75]


async def test_a_store_that_answers_to_pings_alone_is_probed_less_and_less(world):
    await world.leave()
    world.store.failure = None
    await world.time.go(0)
    await world.time.go(0.5)
    assert not world.guarded.is_away
    await world.leave()
    await world.time.go(0)
    assert world.time.waits() == [1]
    world.store.failure = None
    await world.time.go(1)
    await world.call()
    await world.leave()
    await world.time.go(0)
    assert world.time.waits() == [0.5]


async def test_a_silent_store_is_probed_again_when_the_probe_has_had_its_time():
    async with guarded(timeout=0.001) as world:
        await world.leave()
        world.store.silent = True
        await world.time.go(0)
        await world.time.go(0.5)
        async with asyncio.timeout(10):
            while not world.time.waits():  # noqa: ASYNC110 - nothing tells when it has given up
                await asyncio.sleep(0)
        assert world.time.waits() == [1]


async def test_failures_of_calls_from_before_are_forgotten_when_it_is_back(world):
    await world.leave()
    world.store.failure = None
    await world.time.go(0)
    await world.time.go(0.5)
    world.store.failure = AWAY
    await world.fail(4)
    assert not world.guarded.is_away


async def test_a_late_success_of_a_call_from_before_does_not_bring_it_back(world):
    answered = asyncio.get_running_loop().create_future()
    answer, world.store.answer = world.store.answer, lambda: answered
    late = asyncio.create_task(world.call())
    await asyncio.sleep(0)
    world.store.answer = answer
    await world.leave()
    await world.time.go(0)
    await world.time.go(0.5)
    answered.set_result(None)
    await late
    assert world.guarded.is_away
    await world.time.go(1)
    assert world.time.waits() == [2]


async def test_one_line_is_logged_as_it_leaves_and_one_as_it_comes_back(world):
    with structlog.testing.capture_logs() as logs:
        await world.leave()
        await world.fail(3)
        await world.time.go(0)
        await world.time.go(0.5)
        world.store.failure = None
        await world.time.go(1)
    assert logs == [
        {
            "event": "state store away",
            "log_level": "warning",
            "store": "redis",
            "reason": "host:1: refused",
        },
        {
            "event": "state store back",
            "log_level": "info",
            "store": "redis",
            "away_seconds": 1.5,
        },
    ]


async def test_a_store_that_comes_back_unfit_stays_away_and_says_why_once(world):
    await world.leave()
    await world.time.go(0)
    world.store.failure = ConfigError("host:1: evicts keys; expected another")
    with structlog.testing.capture_logs() as logs:
        await world.time.go(0.5)
        await world.time.go(1)
    assert [(line["event"], line["reason"]) for line in logs] == [
        ("state store not fit", "host:1: evicts keys; expected another")
    ]
    refused = await world.fail()
    assert str(refused) == "host:1: evicts keys; expected another; not asked until it is back"


async def test_calls_are_told_the_reason_of_the_last_probe(world):
    await world.leave()
    await world.time.go(0)
    world.store.failure = StoreAway("host:1: loading", retry_after=1.0)
    await world.time.go(0.5)
    assert str(await world.fail()).startswith("host:1: loading; ")


# From the start, and while nobody calls


async def test_whether_it_is_here_is_told_at_the_start_and_at_each_change(world):
    await world.guarded.start(world.told.append)
    assert world.told == [True]
    await world.leave()
    await world.time.go(0)
    world.store.failure = None
    await world.time.go(0.5)
    assert world.told == [True, False, True]


async def test_a_store_that_is_away_at_the_start_is_told_and_probed(world):
    world.store.failure = AWAY
    await world.guarded.start(world.told.append)
    assert world.told == [False]
    world.store.failure = None
    await world.time.go(0)
    await world.time.go(0.5)
    assert world.told == [False, True]


async def test_a_store_that_is_not_fit_is_refused_at_the_start():
    world = World()
    world.store.failure = ConfigError("expected another one")
    with pytest.raises(ConfigError, match="expected another one"):
        await world.guarded.start(world.told.append)
    assert (world.told, world.time.waits()) == ([], [])


@pytest.mark.parametrize("failure", [AWAY, ConfigError("host:1: refused")])
async def test_a_ping_finds_out_that_it_left_where_no_call_does(world, failure):
    await world.guarded.start(world.told.append)
    await world.time.go(0)
    world.store.failure = failure
    await world.time.go(5)
    assert world.told == [True, False]
    assert str(await world.fail()).startswith("host:1: refused; ")
    pings = world.store.pings
    world.store.failure = None
    await world.time.go(0.5)
    assert world.told == [True, False, True]
    assert world.store.pings == pings + 1


async def test_while_it_is_away_there_are_probes_and_no_pings(world):
    await world.guarded.start(world.told.append)
    await world.leave()
    await world.time.go(0)
    assert sorted(world.time.waits()) == [0.5, 5]
    world.store.pings = 0
    await world.time.go(5)
    assert world.store.pings == 1


# Limits


async def test_a_call_that_takes_too_long_is_given_up_and_counts_as_a_failure():
    async with guarded(timeout=0.001, failures=2) as world:
        world.store.silent = True
        slow = await world.fail()
        assert str(slow) == "redis store: no answer in 0.001 s"
        assert world.store.calls == 1
        await world.fail()
        assert world.guarded.is_away


async def test_one_timer_looks_after_all_calls_and_is_set_for_those_that_are_left():
    async with guarded(timeout=0.001) as world:
        world.store.silent = True
        hasty = asyncio.create_task(world.fail())
        patient = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        under_way = world.guarded._under_way
        late = [*under_way._calls][1]
        late.deadline += 1000
        await hasty
        assert not patient.done()
        assert under_way._timer.when() == late.deadline
        patient.cancel()
        await asyncio.gather(patient, return_exceptions=True)


async def test_a_caller_that_is_cancelled_is_cancelled_and_nobody_counts_it(world):
    world.store.silent = True
    for _ in range(9):
        task = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    world.store.silent = False
    assert not world.guarded.is_away
    await world.call()


@pytest.mark.parametrize("also_by_others", [False, True])
async def test_who_is_cancelled_by_others_as_its_time_is_over_is_cancelled(world, also_by_others):
    world.store.silent = True
    task = asyncio.create_task(world.call())
    await asyncio.sleep(0)
    under_way = world.guarded._under_way
    [call] = under_way._calls
    call.deadline = 0.0
    under_way._look()
    under_way._look()
    assert task.cancelling() == 1
    if also_by_others:
        task.cancel()
    with pytest.raises(asyncio.CancelledError if also_by_others else StoreAway):
        await task
    assert task.cancelling() == int(also_by_others)


async def test_no_more_calls_are_under_way_than_may_be():
    async with guarded(calls=3) as world:
        world.store.silent = True
        under_way = [asyncio.create_task(world.call()) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy) as caught:
            await world.call()
        assert (caught.value.status, caught.value.reason) == ("RESOURCE_EXHAUSTED", "TOO_BUSY")
        assert str(caught.value) == "redis store: 3 calls are under way already"
        assert world.store.calls == 3
        under_way.pop().cancel()
        await asyncio.sleep(0)
        world.store.silent = False
        await world.call()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def test_calls_that_find_too_many_under_way_are_no_failures_of_the_store():
    async with guarded(calls=1) as world:
        world.store.silent = True
        under_way = asyncio.create_task(world.call())
        await asyncio.sleep(0)
        await world.fail(9)
        assert not world.guarded.is_away
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)


# The rest


async def test_all_ends_with_the_close(world):
    await world.guarded.start(world.told.append)
    await world.leave()
    await world.time.go(0)
    await world.guarded.close()
    assert world.store.closed
    assert world.time.waits() == []
    assert len(asyncio.all_tasks()) == 1


async def test_a_store_that_was_closed_is_neither_away_nor_probed(world):
    await world.guarded.close()
    closed = await world.fail(9)
    assert str(closed) == "closed"
    assert (world.guarded.is_away, world.time.waits()) == (False, [])


async def test_it_is_the_store_that_it_guards():
    store = InMemoryBackend()
    guard = GuardedBackend(store)
    assert (guard.scheme, guard.durable, guard.keeps_ledger) == ("memory", False, False)
    document = CampaignDocument("c", "k", b"body")

    async def ask(backend: StateBackend, id_: str):
        hold = count(entry(2), id=id_)
        return [
            [each.numbers for each in await backend.apply(BOOK, [hold, check(entry(0))], T0)],
            [known and known.kind for known in await backend.find(BOOK.name, [id_, "-"], T0)],
            await backend.open_holds(BOOK.name, T0, after="a", limit=1),
            await backend.counters(BOOK.name, T0, after="", limit=1),
            (await backend.put_campaign(document, T0, expected_revision=0)).status,
            (await backend.put_campaign(document, T0, expected_revision=0)).status,
            await backend.get_campaigns(["c", "d"]),
            await backend.list_campaigns(after="", limit=1),
            await backend.campaigns_version(),
            (await backend.delete_campaign("c", expected_revision=9)).status,
            (await backend.delete_campaign("c", expected_revision=1)).status,
            await backend.movements(BOOK.name, after=0, limit=1),
            await backend.audit(BOOK.name),
            await backend.ping(),
            await backend.increment("n", 3, now_ms=T0),
        ]

    assert await ask(guard, "x") == await ask(InMemoryBackend(), "x")
    assert [counter.counted for counter in await store.counters(BOOK.name, T0)] == [2]
    await guard.close()
