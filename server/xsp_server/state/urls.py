"""Stores by their URLs."""

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from xsp_server.errors import ConfigError
from xsp_server.state.backend import StateBackend
from xsp_server.state.memory import InMemoryBackend

_SERVERS: Final = {
    "redis": ("xsp_server.state.redis", "RedisBackend", "redis_url"),
    "rediss": ("xsp_server.state.redis", "RedisBackend", "redis_url"),
    "redis+cluster": ("xsp_server.state.redis", "RedisBackend", "redis_url"),
    "postgresql": ("xsp_server.state.postgres", "DatabaseBackend", "db_url"),
}
"""Where the class of a scheme is, and which argument takes the URL; imported when asked for."""

SCHEMES: Final = frozenset({"memory", "sqlite", "postgres", *_SERVERS})
"""All that the URL of a store may begin with; `postgres` only where one is audited."""

_MEANT: Final = {
    "postgres": "postgresql://…",
    "sqlite": "sqlite:///FILE, with three slashes",
    "sqlite3": "sqlite:///FILE",
    "valkey": "redis://…",
    "valkeys": "rediss://…",
}
"""What others call a store of ours, or write in another way."""

_EXPECTED: Final = (
    "memory://, sqlite:///FILE, redis://…, rediss://…, redis+cluster://… or postgresql://…"
)


def backend_of(url: str, **settings: Any) -> StateBackend:
    """The store of a URL; nothing is opened or dialled yet.

    Args:
        url: `memory://`, `sqlite:///relative/file`, `sqlite:////absolute/file`, `redis://`,
            `rediss://`, `redis+cluster://` or `postgresql://`.
        settings: handed on to the class of the store.

    Raises:
        ConfigError: no store has this URL, its file can't be made or written, or what it needs
            isn't installed. Passwords are not repeated.
    """
    scheme, _, rest = url.partition("://")
    if url == "memory://":
        return InMemoryBackend(**settings)
    if scheme == "sqlite":
        path = path_of(url)
        _check_file(Path(path))
        return _built("xsp_server.state.sqlite", "SqliteBackend", path=path, **settings)
    if scheme in _SERVERS and rest:
        _check_address(url)
        module, name, argument = _SERVERS[scheme]
        return _built(module, name, **{argument: url}, **settings)
    raise not_one(url)


def not_one(url: str) -> ConfigError:
    """What is told of a URL that no store has; it may hold a password, and is not repeated."""
    scheme, slashes, _ = url.partition("://")
    meant = _MEANT.get(scheme)
    told = f"did you mean {meant}?" if meant and slashes else "no such store;"
    return ConfigError(f"state.url: got {scheme:.40}{slashes}: {told} expected {_EXPECTED}")


def path_of(url: str) -> str:
    """The file of a `sqlite:///FILE`.

    Raises:
        ConfigError: it names no file, or a host.
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if not path or parts.netloc:
        raise not_one(url)
    return path


def imported(module: str) -> Any:
    """A module of a store. Raises ConfigError where what it needs isn't installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"state.url: this store needs {error.name}, which is not installed; expected "
            "the installation xsp[server]"
        ) from None


def _built(module: str, name: str, **arguments: Any) -> StateBackend:
    backend: StateBackend = getattr(imported(module), name)(**arguments)
    return backend


def _check_file(file: Path) -> None:
    """Refuses now what would be a store that is away for ever."""
    folder = file.parent
    if not folder.is_dir():
        raise ConfigError(f"state.url: there is no folder {folder}; expected one for {file.name}")
    # The folder, too: SQLite's journal is a file beside the database.
    for place in (folder, file):
        if place.exists() and not os.access(place, os.W_OK):
            raise ConfigError(f"state.url: {place} can't be written; expected the right to do so")


def _check_address(url: str) -> None:
    """Refuses ports and numbers of databases that the clients would read in their own ways."""
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unreadable(scheme, "can't be read") from None
    for host in parts.netloc.rpartition("@")[2].split(","):
        port = re.search(r":([^:\]]*)$", host)
        if port and port[1] and not re.fullmatch("[0-9]{1,5}", port[1], re.ASCII):
            raise _unreadable(scheme, "has a port that is no number")
        if port and port[1] and int(port[1]) > 65535:
            raise _unreadable(scheme, "has a port above 65535")
    if scheme != "postgresql" and not re.fullmatch("/?[0-9]*", parts.path, re.ASCII):
        raise _unreadable(scheme, "has a database that is no number")


def _unreadable(scheme: str, fault: str) -> ConfigError:
    return ConfigError(
        f"state.url: {scheme}://… {fault}; expected {scheme}://user:password@host:port/database, "
        "with %2F and %40 for / and @ in a password"
    )
