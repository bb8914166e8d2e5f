"""Caps and budgets that can't be passed: one backend protocol, stores behind it, rules on top.

    FrequencyCap, BudgetTracker     the rules, over any store
    StateBackend                    what a store is
    InMemoryBackend, SqliteBackend, RedisBackend, DatabaseBackend

Each is imported when it is first asked for: nobody loads the library of a store that he doesn't
use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xsp_server.state.backend import StateBackend
    from xsp_server.state.budgets import BudgetTracker
    from xsp_server.state.caps import FrequencyCap
    from xsp_server.state.memory import InMemoryBackend
    from xsp_server.state.postgres import DatabaseBackend
    from xsp_server.state.redis import RedisBackend
    from xsp_server.state.sqlite import SqliteBackend

__all__ = [
    "BudgetTracker",
    "DatabaseBackend",
    "FrequencyCap",
    "InMemoryBackend",
    "RedisBackend",
    "SqliteBackend",
    "StateBackend",
]

_MODULES = {
    "BudgetTracker": "budgets",
    "DatabaseBackend": "postgres",
    "FrequencyCap": "caps",
    "InMemoryBackend": "memory",
    "RedisBackend": "redis",
    "SqliteBackend": "sqlite",
    "StateBackend": "backend",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
