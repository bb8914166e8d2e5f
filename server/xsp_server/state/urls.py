"""Stores by their URLs."""

from importlib import import_module
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
        ConfigError: no store has this URL, or what it needs isn't installed. Passwords are not
            repeated.
    """
    scheme, _, rest = url.partition("://")
    if url == "memory://":
        return InMemoryBackend(**settings)
    if scheme == "sqlite":
        return _built("xsp_server.state.sqlite", "SqliteBackend", path=path_of(url), **settings)
    if scheme in _SERVERS and rest:
        module, name, argument = _SERVERS[scheme]
        return _built(module, name, **{argument: url}, **settings)
    raise _not_one(scheme)


def path_of(url: str) -> str:
    """The file of a `sqlite:///FILE`.

    Raises:
        ConfigError: it names no file, or a host.
    """
    parts = urlsplit(url)
    path = unquote(parts.path.removeprefix("/"))
    if not path or parts.netloc:
        raise _not_one(parts.scheme)
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


def _not_one(scheme: str) -> ConfigError:
    return ConfigError(f"state.url: got {scheme!r:.40} with something else; expected {_EXPECTED}")
