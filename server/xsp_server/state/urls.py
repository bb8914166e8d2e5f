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
    if scheme == "memory" and not rest:
        return InMemoryBackend(**settings)
    if scheme == "sqlite":
        path = unquote(urlsplit(url).path.removeprefix("/"))
        if path and not urlsplit(url).netloc:
            return _built("xsp_server.state.sqlite", "SqliteBackend", path=path, **settings)
    elif scheme in _SERVERS and rest:
        module, name, argument = _SERVERS[scheme]
        return _built(module, name, **{argument: url}, **settings)
    raise ConfigError(f"state.url: got {scheme!r:.40} with something else; expected {_EXPECTED}")


def _built(module: str, name: str, **arguments: Any) -> StateBackend:
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"state.url: this store needs {error.name}, which is not installed; expected "
            "the installation xsp[server]"
        ) from None
    backend: StateBackend = getattr(loaded, name)(**arguments)
    return backend
