"""What only the store in PostgreSQL has: servers share it, connections break, migrations run."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

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
from state.postgres_server import PostgresServer, drop_schema, new_schema, shared_url
from xsp_server.errors import ConfigError, InvalidRequest
from xsp_server.state.backend import (
    AMOUNT_MAX,
    SLACK_MS,
    Balance,
    Book,
    CampaignDocument,
    StateBackend,
    Status,
    StoreAway,
)
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.postgres import DatabaseBackend, batches, migrations
from xsp_server.state.postgres.connections import Connections
from xsp_server.state.windows import sliding

Opener = Callable[..., DatabaseBackend]


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest) -> str:
    return shared_url(request.config)


@pytest.fixture
async def schema(url: str) -> AsyncIterator[str]:
    name = new_schema()
    yield name
    await drop_schema(url, name)


@pytest.fixture
async def another(url: str, schema: str) -> AsyncIterator[Opener]:
    """Opens servers beside one another: each with a pool of its own, on the same tables."""
    opened: list[DatabaseBackend] = []

    def open_(through: str = url, **settings) -> DatabaseBackend:
        opened.append(DatabaseBackend(through, schema=schema, **settings))
        return opened[-1]

    yield open_
    for backend in opened:
        await backend.close()


@pytest.fixture
def backend(another: Opener) -> DatabaseBackend:
    return another()


@pytest.fixture
async def sql(url: str, schema: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of ours to the tables."""
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    yield connection
    await connection.close()


async def until_waiting(sql: asyncpg.Connection) -> int:
    """Returns when a session waits for a lock that this one has: the id of its process."""
    pid = None
    async with asyncio.timeout(10):
        while pid is None:
            pid = await sql.fetchval(
                "SELECT pid FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
    return pid


# What is stored


async def test_everything_is_there_after_it_was_opened_again(backend, another: Opener):
    slid = sliding(60_000)
    play = Play(backend)
    first = await play(0, count(entry(3, 9), entry(2, counter="s", window=slid), id="x"))
    await play.all(1, hold("h", entry(4)), hold("due", entry(2), ttl=5))
    await backend.put_campaign(CampaignDocument("c", "k", b"\0"), T0)
    await backend.close()

    again = another()
    play = Play(again)
    repeated = await play(2, count(entry(3, 9), entry(2, counter="s", window=slid), id="x"))
    assert repeated.replayed
    assert repeated.numbers == first.numbers
    assert await play.read(3, entry(0), entry(0, counter="s", window=slid)) == [(3, 6), (2, 0)]
    assert await play.read(5) == [(3, 4)]
    committed = await play(6, commit("h"))
    assert (committed.status, committed.sequence) == (Status.APPLIED, (T0 + 6) * 1000)
    [campaign] = await again.get_campaigns(["c"])
    assert (campaign.body, campaign.revision) == (b"\0", 1)


async def test_only_whole_numbers_are_taken(backend):
    for amount in (1.9999, True, "1", AMOUNT_MAX + 1):
        with pytest.raises(InvalidRequest, match="expected a whole number"):
            await backend.add_spend("user", amount)
    for now_ms in (T0 + 0.5, float(T0), None, 0):
        with pytest.raises(InvalidRequest, match=r"now_ms: .* expected a whole number"):
            await backend.apply(Book("user"), (count(entry()),), now_ms)
        with pytest.raises(InvalidRequest, match=r"now_ms: .* expected a whole number"):
            await backend.put_campaign(CampaignDocument("c", "", b""), now_ms)
    assert await backend.get_spend("user") == 0


async def test_numbers_are_bigint_everywhere(backend, sql, schema: str):
    await backend.ping()
    types = await sql.fetch(
        "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = $1"
        " AND table_name <> 'schema_version'",
        schema,
    )
    assert {kind for (kind,) in types} == {"bigint", "text", "boolean", "bytea"}
    await Play(backend)(0, count(entry(AMOUNT_MAX)))
    assert await sql.fetchval("SELECT counted FROM counter") == AMOUNT_MAX


async def test_what_is_counted_of_people_is_in_no_ledger(backend):
    await Play(backend, Book("user"))(0, count(entry(1)))
    await Play(backend)(0, count(hourly(1), entry(1, counter="r")))
    assert await backend.movements("user") == []
    assert [line.counter for line in await backend.movements("book")] == ["r"]
    assert [balance.counter for balance in await backend.audit()] == ["r"]


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE counter SET counted = counted - 1",
        "UPDATE counter SET held = held + 1",
        "UPDATE move SET hold = 'released', claims = '[]'",
        "DELETE FROM counter",
        "INSERT INTO movement VALUES (DEFAULT, 'book', 1, 'c', 'count', '', 1, 0, 1)",
    ],
)
async def test_the_audit_finds_what_is_wrong(backend, sql, tampering):
    await Play(backend).all(0, count(entry(5)), hold("h", entry(3)))
    [balance] = await backend.audit("book")
    assert balance == Balance("book", "c", 5, 3, 5, 3, 3)
    assert balance.proven
    assert await backend.audit("other") == []
    await sql.execute(tampering)
    [balance] = await backend.audit("book")
    assert not balance.proven


@pytest.mark.parametrize(
    "change", ["UPDATE movement SET counted = 0", "DELETE FROM movement", "TRUNCATE movement"]
)
async def test_the_ledger_is_append_only(backend, sql, change):
    await Play(backend)(0, count(entry(5)))
    with pytest.raises(asyncpg.RaiseError, match="the ledger is append-only"):
        await sql.execute(change)


async def test_what_is_over_is_deleted_as_others_write(backend, sql, monkeypatch):
    monkeypatch.setattr(batches, "FORGET_AFTER", 20)
    for number in range(40):
        ttl = HOUR if number % 2 else DAY
        play = Play(backend, Book(f"user-{number}"))
        await play.all(
            0, count(hourly(), id="x", keep=1000), hold("h", hourly(), ttl=ttl, keep=1000)
        )
    assert await sql.fetchval("SELECT count(*) FROM counter") == 40
    busy = Play(backend, Book("busy"))
    later = 2 * HOUR + SLACK_MS
    for number in range(120):
        await busy(later, count(entry(counter=str(number % 7)), id=f"n{number}"))
    await backend.close()
    left = await sql.fetchrow("SELECT count(*), sum(held) FROM counter WHERE book <> 'busy'")
    assert tuple(left) == (20, 20)
    assert await sql.fetchval("SELECT count(*) FROM move WHERE book <> 'busy'") == 20
    assert await sql.fetchval("SELECT count(*) FROM book") == 21


async def test_garbage_of_a_book_that_somebody_works_on_is_left_to_later(
    backend, another: Opener, sql, monkeypatch
):
    before = another()
    for name in ("user", "other"):
        await Play(before, Book(name))(0, count(hourly()))
    monkeypatch.setattr(batches, "FORGET_AFTER", 1)
    async with sql.transaction():
        await sql.execute("SELECT FROM book WHERE name = 'user' FOR UPDATE")
        await Play(backend, Book("busy"))(2 * HOUR, count(entry()))
        await backend.close()
        left = await sql.fetch("SELECT name FROM book ORDER BY name")
    assert [name for (name,) in left] == ["busy", "user"]


# Calls and transactions


async def test_all_calls_of_a_tick_are_one_transaction(backend, monkeypatch):
    transactions = []
    transaction = Connections.transaction

    def counted(self):
        transactions.append(self)
        return transaction(self)

    monkeypatch.setattr(Connections, "transaction", counted)
    calls = [
        backend.apply(Book(f"b{number % 9}"), (count(entry()),), T0 + number)
        for number in range(100)
    ]
    outcomes = await asyncio.gather(*calls)
    assert len(transactions) == 1
    assert [outcome.numbers[0].counted for [outcome] in outcomes] == [
        1 + number // 9 for number in range(100)
    ]


async def test_the_version_of_campaigns_is_asked_once_a_tick(backend, another, monkeypatch):
    asked = []
    connection = Connections.connection

    def counted(self):
        asked.append(self)
        return connection(self)

    await backend.ping()
    monkeypatch.setattr(Connections, "connection", counted)
    assert await asyncio.gather(*(backend.campaigns_version() for _ in range(50))) == [0] * 50
    assert len(asked) == 1
    await another().put_campaign(CampaignDocument("c", "", b""), T0)
    assert await backend.campaigns_version() == 1


async def test_calls_to_a_busy_book_keep_their_order_and_gather(backend, sql, monkeypatch):
    await Play(backend)(0, count(entry()))
    batched = []
    do = batches.books.do

    async def seen(connections, calls):
        batched.append([call.book.name for call in calls])
        return await do(connections, calls)

    monkeypatch.setattr(batches.books, "do", seen)
    async with sql.transaction():
        await sql.execute("SELECT FROM book WHERE name = 'book' FOR UPDATE")
        calls = [asyncio.create_task(Play(backend)(1, count(entry())))]
        await until_waiting(sql)
        calls += [asyncio.create_task(Play(backend)(1, count(entry()))) for _ in range(5)]
        free = await Play(backend, Book("free"))(1, count(entry()))
        assert free.status is Status.APPLIED
    outcomes = await asyncio.gather(*calls)
    assert [outcome.numbers[0].counted for outcome in outcomes] == [2, 3, 4, 5, 6, 7]
    assert batched == [["book"], ["free"], ["book"] * 5]


async def test_more_calls_than_one_batch_takes_are_done_in_order(backend, monkeypatch):
    monkeypatch.setattr(batches, "CALLS_AT_ONCE", 7)
    calls = [backend.apply(Book("book"), (count(entry()),), T0) for _ in range(30)]
    outcomes = await asyncio.gather(*calls)
    assert [outcome.numbers[0].counted for [outcome] in outcomes] == list(range(1, 31))


async def test_what_is_asked_in_the_same_tick_sees_the_calls_before(backend):
    play = Play(backend)
    *_, holds, movements, balances = await asyncio.gather(
        play(0, count(entry(2))),
        play(0, hold("h", entry(1))),
        backend.open_holds("book", T0),
        backend.movements("book"),
        backend.audit(),
    )
    assert [known.id for known in holds] == ["h"]
    assert [line.kind for line in movements] == ["count", "hold"]
    assert [(balance.counted, balance.held) for balance in balances] == [(2, 1)]


async def test_reading_locks_nothing_and_leaves_nothing(backend, sql):
    await Play(backend)(0, count(entry(2)))
    async with sql.transaction():
        await sql.execute("SELECT FROM book WHERE name = 'book' FOR UPDATE")
        assert await Play(backend).read(1) == [(2, 0)]
        assert await Play(backend, Book("nobody")).read(1) == [(0, 0)]
        assert await backend.find("nobody", ["x"], T0) == [None]
    refused = await Play(backend, Book("nobody"))(1, count(entry(2, 1)))
    assert refused.status is Status.REFUSED
    assert await sql.fetchval("SELECT count(*) FROM book") == 1


async def test_a_reader_that_finds_a_hold_due_expires_it(backend, sql):
    await Play(backend)(0, hold("h", entry(3), ttl=5))
    other = Play(backend, Book("other"))
    outcomes = await asyncio.gather(Play(backend).read(5), other(5, count(entry())))
    assert outcomes[0] == [(0, 0)]
    assert outcomes[1].numbers[0].counted == 1
    assert await sql.fetchval("SELECT hold FROM move WHERE id = 'h'") == "expired"


async def test_a_batch_expires_just_what_the_rule_expires(backend):
    stores = [backend, InMemoryBackend()]
    for store in stores:
        holds = [hold(f"h{number:03}", entry(), ttl=number // 15) for number in range(1500)]
        await store.apply(Book("book", ledger=True), holds, T0 - 1)
    resolved = [release(f"h{number}") for number in range(300, 700)]

    async def tick(store: StateBackend) -> list:
        play = Play(store)
        return await asyncio.gather(
            play.all(40, *resolved[:9], count(entry())),
            play.all(90, *resolved),
            play.read(99),
            store.find("book", [f"h{number:03}" for number in range(0, 1500, 50)], T0 + 99),
        )

    told = [await tick(store) for store in stores]
    assert told[0] == told[1]
    assert told[0][2] == [(1, 1500 - 3 * 256 - 188)]
    for _ in range(4):
        told = [await Play(store)(100, check(entry(0))) for store in stores]
        assert told[0] == told[1]
    assert (told[0].numbers[0].counted, told[0].numbers[0].held) == (1, 0)


async def test_shuffled_books_never_wait_in_a_circle(another: Opener, monkeypatch):
    monkeypatch.setattr(batches, "FORGET_AFTER", 10)
    chance = random.Random(6)
    backends = [another(pool_size=4) for _ in range(3)]
    names = [f"book-{number}" for number in range(12)]
    later = T0

    async def tick(backend: DatabaseBackend) -> None:
        """Moves of all books, some of which are new, and some over by now."""
        for _ in range(25):
            calls = []
            for name in chance.sample(names, len(names)):
                window = hourly if name > "book-5" else entry
                calls.append(backend.apply(Book(name), (count(window()),), later))
            fleeting = Book(f"fleeting-{chance.randrange(6)}")
            calls.insert(3, backend.apply(fleeting, (count(hourly(1, 0)),), later))
            await asyncio.gather(*calls)

    await asyncio.gather(*(tick(backend) for backend in backends))
    later = T0 + 2 * HOUR
    await asyncio.gather(*(tick(backend) for backend in backends))
    counts = [await Play(backends[0], Book(name)).read(2 * HOUR) for name in names]
    assert counts == [[(75 if name > "book-5" else 150, 0)] for name in names]


async def test_servers_that_share_a_book_reach_its_limit_exactly(another: Opener):
    backends = [another(pool_size=4) for _ in range(3)]

    async def spend(backend: DatabaseBackend) -> int:
        statuses = []
        for _ in range(10):
            calls = [Play(backend)(0, count(entry(1, 200))) for _ in range(20)]
            statuses += [outcome.status for outcome in await asyncio.gather(*calls)]
        return statuses.count(Status.APPLIED)

    assert sum(await asyncio.gather(*(spend(backend) for backend in backends))) == 200
    assert await Play(backends[0]).read(0) == [(200, 0)]
    [balance] = await backends[0].audit()
    assert balance.proven


async def test_a_removal_finds_the_holds_of_another_server(backend, another: Opener):
    await Play(another())(0, hold("h", entry(4)))
    await Play(backend).all(1, remove("c"), hold("mine", entry(5)))
    await Play(backend)(2, release("h"))
    assert await Play(backend).read(3) == [(0, 5)]


async def test_a_cancelled_call_is_applied_all_the_same(backend, sql):
    play = Play(backend)
    await play(0, count(entry()))
    async with sql.transaction():
        await sql.execute("SELECT FROM book FOR UPDATE")
        call = asyncio.create_task(play(1, count(entry(5), id="x")))
        await until_waiting(sql)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    assert call.cancelled()
    assert await play.read(2) == [(6, 0)]
    assert (await play(3, count(entry(5), id="x"))).replayed


async def test_a_mistake_of_ours_is_told_as_it_is_and_undone(backend, sql):
    with pytest.raises(AttributeError):
        await backend.apply(Book("book"), (count(entry()), "no move"), T0)
    assert await Play(backend).read(0) == [(0, 0)]
    assert await sql.fetchval("SELECT count(*) FROM book") == 0


# Connections that break


async def test_a_connection_lost_in_flight_is_told_and_a_retry_counts_once(backend, sql):
    play = Play(backend)
    await play(0, count(entry()))
    async with sql.transaction():
        await sql.execute("SELECT FROM book FOR UPDATE")
        call = asyncio.create_task(play(1, count(entry(5), id="x")))
        await sql.execute("SELECT pg_terminate_backend($1)", await until_waiting(sql))
        with pytest.raises(StoreAway, match=r"terminating connection|connection was closed"):
            await call
    assert not (await play(2, count(entry(5), id="x"))).replayed
    assert await play.read(3) == [(6, 0)]


class _Proxy:
    """Hands on what is said to the server; cuts the line once it was told a word and did it."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self.cut_at: bytes | None = None
        self.cuts = 0

    @property
    def url(self) -> str:
        name, port = self._server.sockets[0].getsockname()
        address = self._address._replace(netloc=f"{self._address.username}@{name}:{port}")
        return urlunsplit(address)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["_Proxy"]:
        self._lines: dict[asyncio.Task, asyncio.StreamWriter] = {}
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield self
        self._server.close()
        for writer in self._lines.values():
            writer.close()
        await asyncio.gather(*self._lines)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines[asyncio.current_task()] = writer
        there, back = await asyncio.open_connection(self._address.hostname, self._address.port)
        answers = asyncio.create_task(self._hand_on(there, writer))
        with suppress(ConnectionError):
            while said := await reader.read(65536):
                if self.cut_at is not None and self.cut_at in said:
                    await _ended(answers)
                    back.write(said)
                    self.cut_at = None
                    self.cuts += 1
                    await there.read(65536)  # it is done, but nobody hears of it
                    break
                back.write(said)
        await _ended(answers)
        for each in (writer, back):
            each.close()
            with suppress(ConnectionError):
                await each.wait_closed()

    async def _hand_on(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while answer := await there.read(65536):
                writer.write(answer)
            writer.close()


async def _ended(task: asyncio.Task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_lost_reply_is_told_and_the_retry_replayed(url: str, another: Opener):
    async with _Proxy(url).open() as proxy:
        play = Play(another(proxy.url))
        await play(0, count(entry()))
        proxy.cut_at = b"COMMIT"
        with pytest.raises(StoreAway):
            await play(1, count(entry(5), id="x"))
        assert proxy.cuts == 1
        assert (await play(2, count(entry(5), id="x"))).replayed
        assert await play.read(3) == [(6, 0)]


async def test_each_of_several_callers_gets_an_error_of_its_own(another: Opener):
    backend = another("postgresql://xsp@127.0.0.1:1/postgres")
    calls = [Play(backend)(0, count(entry())) for _ in range(3)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(failure, StoreAway) for failure in failures)
    assert len({id(failure) for failure in failures}) == 3
    assert "127.0.0.1/postgres" in str(failures[0])
    pings = await asyncio.gather(*(backend.ping() for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in pings] == [StoreAway] * 3
    asking = (backend.campaigns_version() for _ in range(3))
    failures = await asyncio.gather(*asking, return_exceptions=True)
    assert len({id(failure) for failure in failures}) == 3


async def test_a_book_that_somebody_keeps_is_away_and_the_others_are_not(another: Opener, sql):
    backend = another(timeout=1.0)
    await Play(backend)(0, count(entry()))
    async with sql.transaction():
        await sql.execute("SELECT FROM book FOR UPDATE")
        kept = asyncio.create_task(Play(backend)(1, count(entry())))
        await until_waiting(sql)
        assert (await Play(backend, Book("free"))(1, count(entry()))).status is Status.APPLIED
        with pytest.raises(StoreAway, match=r"lock timeout|no answer in 1\.0 s"):
            await kept
    assert (await Play(backend)(2, count(entry()))).status is Status.APPLIED


async def test_who_hangs_with_a_book_locked_loses_it(another: Opener):
    hanging, other = another(timeout=1.0), another()
    await Play(other)(0, count(entry()))

    async def hang() -> None:
        async with hanging._connections.transaction() as connection:
            await connection.execute("UPDATE book SET sequence = 0")
            assert (await Play(other)(1, count(entry()))).status is Status.APPLIED

    with pytest.raises(StoreAway):
        await hang()
    assert (await Play(other)(2, count(entry()))).sequence == (T0 + 2) * 1000


async def test_what_was_acknowledged_outlives_the_death_of_the_server():
    server = PostgresServer()  # with fsync
    backend = DatabaseBackend(server.url, timeout=2.0)
    try:
        with pytest.raises(StoreAway):
            await backend.ping()
        server.start()
        await backend.ping()
        book = Book("campaign", ledger=True)
        acknowledged: list[str] = []
        enough = asyncio.Event()

        async def spend(caller: int) -> None:
            number = 0
            while True:
                move = count(entry(3), id=f"s{caller}-{number}")
                number += 1
                try:
                    await backend.apply(book, (move,), T0)
                except StoreAway:
                    return
                acknowledged.append(move.id)
                if len(acknowledged) >= 200:
                    enough.set()

        callers = [asyncio.create_task(spend(caller)) for caller in range(8)]
        await enough.wait()
        server.kill()
        await asyncio.gather(*callers)
        with pytest.raises(StoreAway):
            await backend.ping()

        await asyncio.to_thread(server.start)
        found = await backend.find("campaign", acknowledged, T0)
        assert None not in found
        [(spent, _)] = await Play(backend, book).read(0)
        assert 3 * len(acknowledged) <= spent <= 3 * (len(acknowledged) + 8)
        [balance] = await backend.audit()
        assert balance.proven
        assert balance.counted == spent
    finally:
        await backend.close()
        server.stop()


async def test_a_connection_in_disorder_is_not_used_again(backend):
    connections = backend._connections
    pids = []

    async def fail() -> None:
        async with connections.connection() as connection:
            pids.append(await connection.fetchval("SELECT pg_backend_pid()"))
            raise asyncpg.InternalClientError("another operation is in progress")

    for _ in range(2):
        with pytest.raises(StoreAway, match="another operation is in progress"):
            await fail()
    assert pids[0] != pids[1]


async def test_a_close_waits_for_nobody_longer_than_the_timeout(another: Opener):
    backend = another(timeout=0.5)
    async with backend._connections.connection() as connection:
        await backend.close()
        with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
            await connection.fetchval("SELECT 1")


async def test_a_closed_store_is_away(backend):
    await backend.ping()
    await backend.close()
    for call in (backend.ping(), Play(backend)(0, count(entry()))):
        with pytest.raises(StoreAway, match="closed"):
            await call


async def test_calls_before_the_close_are_done(backend):
    call = asyncio.create_task(backend.apply(Book("book"), (count(entry()),), T0))
    await asyncio.sleep(0)
    await backend.close()
    [outcome] = await call
    assert outcome.status is Status.APPLIED


async def test_a_commit_waits_for_the_disk(backend):
    async with backend._connections.connection() as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"


# Migrations


async def test_migrations_run_once_however_many_servers_start(another: Opener, sql):
    servers = [another() for _ in range(6)]
    await asyncio.gather(*(server.ping() for server in servers))
    await Play(servers[0])(0, count(entry(2)))
    again = another()
    assert await Play(again).read(0) == [(2, 0)]
    versions = await sql.fetch("SELECT version FROM schema_version")
    assert [version for (version,) in versions] == [migrations.LATEST]


async def test_a_schema_of_an_older_server_is_brought_up(
    backend, another: Opener, sql, monkeypatch, tmp_path: Path
):
    await Play(backend)(0, count(entry(2)))
    (tmp_path / "versions").mkdir()
    step = "ALTER TABLE campaign ADD note text; ALTER TABLE campaign ADD other text;"
    (tmp_path / "versions" / f"{migrations.LATEST + 1:03}.sql").write_text(step)
    monkeypatch.setattr(migrations, "files", lambda _: tmp_path)
    monkeypatch.setattr(migrations, "LATEST", migrations.LATEST + 1)
    newer = [another() for _ in range(3)]
    await asyncio.gather(*(server.ping() for server in newer))
    assert await sql.fetchval("SELECT version FROM schema_version") == migrations.LATEST
    assert await sql.fetch("SELECT note, other FROM campaign") == []
    assert await Play(newer[0]).read(1) == [(2, 0)]


async def test_a_migration_that_fails_leaves_nothing(
    another: Opener, sql, schema: str, monkeypatch, tmp_path: Path
):
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "001.sql").write_text("CREATE TABLE a (b int); SELECT nonsense;")
    monkeypatch.setattr(migrations, "files", lambda _: tmp_path)
    with pytest.raises(StoreAway, match="nonsense"):
        await another().ping()
    assert await sql.fetchval("SELECT to_regnamespace($1)", schema) is None
    monkeypatch.undo()
    await another().ping()


async def test_a_schema_of_a_newer_server_is_left_alone(backend, another: Opener, sql):
    await backend.ping()
    await sql.execute("UPDATE schema_version SET version = version + 1")
    newest = migrations.LATEST
    expected = f"version {newest + 1}; this server knows up to {newest}"
    for _ in range(2):
        with pytest.raises(ConfigError, match=expected):
            await another().ping()


async def test_a_schema_of_another_program_is_left_alone(another: Opener, sql, schema: str):
    await sql.execute(f"CREATE SCHEMA {schema}")
    await sql.execute("CREATE TABLE theirs (a int)")
    with pytest.raises(ConfigError, match="is another program's"):
        await another().ping()
    tables = await sql.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace", schema
    )
    assert [name for (name,) in tables] == ["theirs"]


async def test_a_database_with_other_text_than_utf_8_is_refused(url: str, another: Opener, sql):
    name = new_schema()
    await sql.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    latin = another(urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
    with pytest.raises(ConfigError, match="keeps text in LATIN1; expected UTF8"):
        await latin.ping()
    await latin.close()
    await sql.execute(f"DROP DATABASE {name}")


async def test_only_the_url_of_a_postgresql_server_is_taken():
    with pytest.raises(ConfigError, match=r"database URL: .*many"):
        await DatabaseBackend("postgresql://host:many/db").ping()
    with pytest.raises(ConfigError, match="got the scheme 'mysql'; expected postgresql://"):
        DatabaseBackend("mysql://host/db")
    with pytest.raises(InvalidRequest, match="pool_size: got 1"):
        DatabaseBackend("postgresql://host/db", pool_size=1)
