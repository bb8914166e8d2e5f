"""Stores by their URLs, and what is told of one that is none."""

import sqlite3
import sys
from contextlib import closing

import pytest

from xsp_server.errors import ConfigError
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
