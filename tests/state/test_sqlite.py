"""What only the store in a file has: it is on disk, keeps a ledger, and is shared by processes."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from state import sqlite_processes
from state.play import (
    DAY,
    HOUR,
    T0,
    Play,
    commit,
    count,
    entry,
    hold,
    hourly,
    release,
    remove,
)
from xsp_server.errors import ConfigError
from xsp_server.state.backend import (
    SLACK_MS,
    Balance,
    Book,
    CampaignDocument,
    Status,
    StoreAway,
)
from xsp_server.state.sqlite import SqliteBackend, schema, store
from xsp_server.state.windows import sliding

TESTS = Path(__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def backend(path: Path):
    backend = SqliteBackend(path)
    yield backend
    await backend.close()


def rows(path: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def process(what: str, path: Path) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    arguments = [sys.executable, sqlite_processes.__file__, what, str(path)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


async def test_everything_is_there_after_it_was_opened_again(path: Path, backend):
    slid = sliding(60_000)
    play = Play(backend)
    first = await play(0, count(entry(3, 9), entry(2, counter="s", window=slid), id="x"))
    await play.all(1, hold("h", entry(4)), hold("due", entry(2), ttl=5))
    await backend.put_campaign(CampaignDocument("c", "k", b"\0"), T0)
    await backend.close()

    again = SqliteBackend(path)
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
    await again.close()


async def test_what_was_acknowledged_outlives_the_death_of_the_process(path: Path):
    writer = process("spend_until_killed", path)
    acknowledged = [writer.stdout.readline().strip() for _ in range(300)]
    writer.kill()
    acknowledged += writer.communicate()[0].split("\n")[:-1]

    backend = SqliteBackend(path)
    found = await backend.find("campaign", acknowledged, T0)
    assert None not in found
    [(spent, held)] = await Play(backend, sqlite_processes.BOOK).read(0)
    assert spent >= 3 * sum(id_.startswith("s") for id_ in acknowledged)
    assert held >= 2 * sum(id_.startswith("h") for id_ in acknowledged)
    [balance] = await backend.audit()
    assert balance.proven
    assert (balance.counted, balance.held) == (spent, held)
    await backend.close()


async def test_processes_that_share_a_file_reach_the_limit_exactly(path: Path, backend):
    await backend.ping()  # the tables are there
    processes = [process("spend_to_the_limit", path) for _ in range(2)]
    counted = await sqlite_shares(backend)
    applied = [int(each.communicate(timeout=60)[0]) for each in processes]
    assert sum(applied) + counted == sqlite_processes.LIMIT
    assert await Play(backend, sqlite_processes.BOOK).read(0) == [(sqlite_processes.LIMIT, 0)]


async def sqlite_shares(backend: SqliteBackend) -> int:
    play = Play(backend, sqlite_processes.BOOK)
    move = count(entry(1, sqlite_processes.LIMIT))
    return [(await play(0, move)).status for _ in range(50)].count(Status.APPLIED)


async def test_all_calls_of_a_tick_are_one_transaction(backend, monkeypatch):
    transactions = []
    transaction = store.Store.transaction

    def counted(self):
        transactions.append(self)
        return transaction(self)

    monkeypatch.setattr(store.Store, "transaction", counted)
    await asyncio.gather(*(backend.apply(Book("b"), (count(entry()),), T0) for _ in range(100)))
    assert len(transactions) == 1


async def test_what_is_counted_of_people_is_in_no_ledger(backend):
    play = Play(backend, Book("user"))
    await play(0, count(entry(1)))
    ledgered = Play(backend)
    await ledgered(0, count(hourly(1), entry(1, counter="r")))
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
        "INSERT INTO movement VALUES (NULL, 'book', 1, 'c', 'count', '', 1, 0, 1)",
    ],
)
async def test_the_audit_finds_what_is_wrong(path: Path, backend, tampering):
    play = Play(backend)
    await play.all(0, count(entry(5)), hold("h", entry(3)))
    [balance] = await backend.audit("book")
    assert balance == Balance("book", "c", 5, 3, 5, 3, 3)
    assert balance.proven
    assert await backend.audit("other") == []
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(tampering)
        connection.commit()
    [balance] = await backend.audit("book")
    assert not balance.proven


@pytest.mark.parametrize("change", ["UPDATE movement SET counted = 0", "DELETE FROM movement"])
async def test_the_ledger_is_append_only(path: Path, backend, change):
    await Play(backend)(0, count(entry(5)))
    with pytest.raises(sqlite3.IntegrityError, match="the ledger is append-only"):
        rows(path, change)


async def test_what_is_over_is_deleted_as_others_write(path: Path, backend):
    for number in range(40):
        ttl = HOUR if number % 2 else DAY
        play = Play(backend, Book(f"user-{number}"))
        await play.all(
            0, count(hourly(), id="x", keep=1000), hold("h", hourly(), ttl=ttl, keep=1000)
        )
    assert rows(path, "SELECT count(*) FROM counter") == [(40,)]
    busy = Play(backend, Book("busy"))
    later = 2 * HOUR + SLACK_MS
    for number in range(120):
        await busy(later, count(entry(counter=str(number % 7)), id=f"n{number}"))
    assert rows(path, "SELECT count(*), sum(held) FROM counter WHERE book <> 'busy'") == [(20, 20)]
    assert rows(path, "SELECT count(*) FROM move WHERE book <> 'busy'") == [(20,)]
    assert rows(path, "SELECT count(*) FROM book") == [(21,)]


async def test_rows_are_read_anew_when_too_many_are_remembered(backend, monkeypatch):
    monkeypatch.setattr(store, "ROWS_REMEMBERED", 3)
    play = Play(backend)
    for number in range(5):
        await play(0, count(entry(1, 3), id=f"n{number}"))
        await play(0, count(entry(1, counter=f"c{number}")))
    assert await play.read(0) == [(3, 0)]
    assert (await play(0, count(entry(1, 3), id="n0"))).replayed


async def test_a_removal_finds_the_holds_of_another_process(path: Path, backend):
    other = SqliteBackend(path)
    await Play(other)(0, hold("h", entry(4)))
    await other.close()
    await Play(backend).all(1, remove("c"), hold("mine", entry(5)))
    await Play(backend)(2, release("h"))
    assert await Play(backend).read(3) == [(0, 5)]


async def test_a_store_that_is_away_is_told_and_comes_back(tmp_path: Path):
    folder = tmp_path / "later"
    backend = SqliteBackend(folder / "state.db")
    for _ in range(2):
        with pytest.raises(StoreAway, match="unable to open database file"):
            await backend.ping()
    folder.mkdir()
    assert (await Play(backend)(0, count(entry()))).status is Status.APPLIED
    await backend.close()


async def test_a_failure_within_a_transaction_undoes_all_of_it(path: Path, backend):
    play = Play(backend)
    await play(0, count(entry(1)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE book RENAME TO gone")
    with pytest.raises(StoreAway, match="no such table"):
        await play(1, count(entry(1)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE gone RENAME TO book")
    assert await play.read(2) == [(1, 0)]


async def test_a_file_that_another_process_keeps_is_away(path: Path, backend, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.01)
    await backend.ping()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreAway, match="database is locked"):
            await SqliteBackend(path).ping()
        connection.execute("ROLLBACK")
    await backend.ping()


async def test_a_mistake_of_ours_is_told_as_it_is(backend):
    with pytest.raises(AttributeError):
        await backend.apply(Book("book"), ("no move",), T0)
    assert await Play(backend).read(0) == [(0, 0)]


async def test_a_closed_store_is_away(backend):
    await backend.ping()
    await backend.close()
    with pytest.raises(StoreAway, match="closed"):
        await backend.ping()


async def test_calls_before_the_close_are_done(path: Path):
    backend = SqliteBackend(path)
    call = asyncio.create_task(backend.apply(Book("book"), (count(entry()),), T0))
    await asyncio.sleep(0)
    await backend.close()
    [outcome] = await call
    assert outcome.status is Status.APPLIED


def test_a_loop_that_ended_is_not_waited_for(path: Path):
    backend = SqliteBackend(path)

    async def leave():
        call = asyncio.create_task(backend.apply(Book("book"), (count(entry()),), T0))
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        call.cancel()

    asyncio.run(leave())

    async def read():
        counted = await Play(backend).read(0)
        await backend.close()
        return counted

    assert asyncio.run(read()) == [(1, 0)]


async def test_a_file_of_another_program_is_left_alone(path: Path, backend):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(ConfigError, match="is another program's database"):
        await backend.ping()
    assert rows(path, "SELECT name FROM sqlite_schema") == [("theirs",)]


async def test_a_file_of_a_newer_server_is_left_alone(path: Path, backend):
    await backend.ping()
    await backend.close()
    newest = len(schema.VERSIONS)
    rows(path, f"PRAGMA user_version = {newest + 1}")
    newer = SqliteBackend(path)
    with pytest.raises(
        ConfigError, match=f"version {newest + 1}; this server knows up to {newest}"
    ):
        await newer.ping()
    await newer.close()


async def test_a_file_of_an_older_server_is_brought_up(path: Path, backend, monkeypatch):
    await Play(backend)(0, count(entry(2)))
    await backend.close()
    step = "ALTER TABLE campaign ADD COLUMN note TEXT;\nALTER TABLE counter ADD note TEXT;\n"
    monkeypatch.setattr(schema, "VERSIONS", (*schema.VERSIONS, step))
    newer = SqliteBackend(path)
    await newer.ping()
    await newer.close()
    assert rows(path, "PRAGMA user_version") == [(len(schema.VERSIONS),)]
    assert rows(path, "SELECT counted, note FROM counter") == [(2, None)]


async def test_an_acknowledged_write_waits_for_the_disk(path: Path):
    opened = store.Store(str(path))
    [synchronous] = opened._connection.execute("PRAGMA synchronous").fetchone()
    [journal] = opened._connection.execute("PRAGMA journal_mode").fetchone()
    opened.close()
    assert (synchronous, journal) == (2, "wal")
