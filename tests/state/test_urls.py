"""Stores by their URLs, and what is told of one that is none."""

import sqlite3
import sys
from contextlib import closing

import pytest

from xsp_server.errors import ConfigError
from xsp_server.state import urls
from xsp_server.state.memory import InMemoryBackend
from xsp_server.state.postgres import DatabaseBackend
from xsp_server.state.redis import RedisBackend
from xsp_server.state.sqlite import SqliteBackend
from xsp_server.state.urls import backend_of


@pytest.mark.parametrize(
    ("url", "kind", "scheme"),
    [
        ("memory://", InMemoryBackend, "memory"),
        ("sqlite:///state.db", SqliteBackend, "sqlite"),
        ("redis://localhost", RedisBackend, "redis"),
        ("rediss://localhost:6380/1", RedisBackend, "rediss"),
        ("redis+cluster://one:7000,two:7000", RedisBackend, "redis+cluster"),
        ("postgresql://user@localhost/db", DatabaseBackend, "postgresql"),
    ],
)
async def test_each_scheme_has_its_store_and_nothing_is_opened(url, kind, scheme, tmp_path):
    backend = backend_of(url.replace("sqlite:///", f"sqlite:///{tmp_path}/"))
    assert type(backend) is kind
    assert backend.scheme == scheme
    assert [*tmp_path.iterdir()] == []
    await backend.close()


@pytest.mark.parametrize("absolute", [False, True])
async def test_the_path_of_a_file_is_relative_or_absolute_and_may_have_any_character(
    tmp_path, monkeypatch, absolute
):
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///a%20b%3F.db" if not absolute else f"sqlite:///{tmp_path}/a%20b%3F.db"
    backend = backend_of(url)
    await backend.ping()
    await backend.close()
    with closing(sqlite3.connect(tmp_path / "a b?.db")) as connection:
        assert connection.execute("SELECT count(*) FROM book").fetchall() == [(0,)]


def test_settings_go_to_the_store():
    with pytest.raises(ConfigError, match="namespace 'a b': expected letters"):
        backend_of("redis://localhost", namespace="a b")
    with pytest.raises(TypeError, match="namespace"):
        backend_of("memory://", namespace="a")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory://somewhere",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/state.db",
        "redis://",
        "postgresql://",
        "mysql://user:secret@host/db",
        "secret",
    ],
)
def test_another_url_is_told_with_all_that_there_are_and_is_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        backend_of(url)
    message = str(caught.value)
    assert message.startswith("state.url: got ")
    assert message.endswith(
        "expected memory://, sqlite:///FILE, redis://…, rediss://…, redis+cluster://… or "
        "postgresql://…"
    )
    assert "secret" not in message or url == "secret"


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("postgres://user:secret@host/db", "postgresql://…"),
        ("sqlite://state.db", "sqlite:///FILE, with three slashes"),
        ("sqlite3:///state.db", "sqlite:///FILE"),
        ("valkey://host", "redis://…"),
    ],
)
def test_another_way_to_write_a_store_of_ours_is_told(url, meant):
    with pytest.raises(ConfigError) as caught:
        backend_of(url)
    scheme = url.partition(":")[0]
    assert str(caught.value).startswith(f"state.url: got {scheme}://: did you mean {meant}?")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://h/abc", "redis://… has a database that is no number"),
        ("redis+cluster://a:1,b:2/abc", "redis+cluster://… has a database that is no number"),
        ("rediss://h:99999", "rediss://… has a port above 65535"),
        ("redis+cluster://a:1,b:many", "redis+cluster://… has a port that is no number"),
        ("postgresql://u:p@h:99999/db", "postgresql://… has a port above 65535"),
        ("postgresql://u:p@h:many/db", "postgresql://… has a port that is no number"),
        ("postgresql://u:p@[::1/db", "postgresql://… can't be read"),
    ],
)
def test_a_url_that_a_client_would_read_in_its_own_way_is_refused(url, told):
    with pytest.raises(ConfigError) as caught:
        backend_of(url)
    scheme = url.partition(":")[0]
    assert str(caught.value) == (
        f"state.url: {told}; expected {scheme}://user:password@host:port/database, with %2F and "
        "%40 for / and @ in a password"
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://[::1]",
        "redis://[::1]:6380/15",
        "redis://h:/",
        "redis+cluster://a:1,b",
        "postgresql://u@one:5432,two:5433/db",
        "postgresql:///db",
    ],
)
async def test_a_url_that_fits_is_taken(url):
    await backend_of(url).close()


def test_a_file_that_can_not_be_made_is_refused_at_once(tmp_path, monkeypatch):
    with pytest.raises(ConfigError) as caught:
        backend_of(f"sqlite:///{tmp_path}/gone/state.db")
    assert str(caught.value) == (
        f"state.url: there is no folder {tmp_path}/gone; expected one for state.db"
    )
    file = tmp_path / "state.db"
    file.touch()
    monkeypatch.setattr(urls.os, "access", lambda place, _: place != file)
    with pytest.raises(ConfigError, match=r"state.url: .*/state.db can't be written; expected"):
        backend_of(f"sqlite:///{file}")
    monkeypatch.setattr(urls.os, "access", lambda place, _: place != tmp_path)
    with pytest.raises(ConfigError, match=f"state.url: {tmp_path} can't be written; expected"):
        backend_of(f"sqlite:///{tmp_path}/new.db")


def test_the_class_for_a_sqlite_file_is_named_to_who_takes_the_one_for_databases():
    with pytest.raises(ConfigError, match=r"SQLite files are for SqliteBackend\(path\)"):
        DatabaseBackend("sqlite:///state.db")
    with pytest.raises(ConfigError, match=r"the scheme 'mysql'; expected postgresql://[^;]*$"):
        DatabaseBackend("mysql://host/db")


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:sec/ret@host:1",
        "redis://:se:cret@host:many",
        "redis://user:secret@host:many",
        "redis+cluster://user:secret@host:1,other:many",
        "postgresql://user:sec/ret@host/db",
        "postgresql://user:secret@host:many/db",
        "postgresql://user:secret@[::1/db",
    ],
)
async def test_no_part_of_a_password_is_repeated(url):
    with pytest.raises(ConfigError) as caught:
        await used(url)
    for part in ("sec", "ret", "cret"):
        assert part not in str(caught.value)
        assert part not in repr(caught.value.__cause__)


async def used(url: str) -> None:
    """Some URLs are read by the first call."""
    backend = backend_of(url)
    try:
        await backend.ping()
    finally:
        await backend.close()


@pytest.mark.parametrize(
    ("url", "library"),
    [("redis://localhost", "redis"), ("postgresql://localhost/db", "asyncpg")],
)
def test_a_library_that_is_not_installed_is_named(url, library, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith(("xsp_server.state.redis", "xsp_server.state.postgres")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError) as caught:
        backend_of(url)
    assert str(caught.value) == (
        f"state.url: this store needs {library}, which is not installed; expected the "
        "installation xsp[server]"
    )
