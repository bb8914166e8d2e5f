"""The store of caps and budgets as a server has it: guarded, and its health told."""

import asyncio
from typing import Final

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from xsp_server.config import StateSettings
from xsp_server.errors import ConfigError
from xsp_server.state.backend import StateBackend
from xsp_server.state.guarded import GuardedBackend, Limits
from xsp_server.state.urls import backend_of

_OVER_A_NETWORK: Final = ("redis", "rediss", "redis+cluster", "postgresql")


def store_of(settings: StateSettings) -> StateBackend:
    """The store of the settings; nothing is opened or dialled yet.

    What is in this process can't be away, and is not guarded.

    Raises:
        ConfigError: no store has this URL, or what it needs isn't installed.
    """
    timeout = settings.timeout_ms / 1000
    scheme = settings.url.partition("://")[0]
    options = {"timeout": timeout} if scheme in _OVER_A_NETWORK else {}
    backend = backend_of(settings.url, **options)
    if backend.in_process:
        return backend
    limits = Limits(
        timeout=timeout,
        calls=settings.max_calls,
        failures=settings.failures,
        failure_rate=settings.failure_rate,
        probe=settings.probe_ms / 1000,
        most_probe=settings.max_probe_ms / 1000,
        ping=settings.ping_ms / 1000,
    )
    return GuardedBackend(backend, limits)


class StoreHealth:
    """Tells on the gRPC health service whether the store of a service is here."""

    def __init__(self, store: StateBackend, servicer: "health.HealthServicer", name: str) -> None:
        """Takes the store, and the service's full name."""
        self._store = store
        self._servicer = servicer
        self._name = name
        self._telling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Asks the store for the first time, and tells from now on until the store is closed.

        Raises:
            ConfigError: the store is not fit to be used; it is closed.
        """
        if not isinstance(self._store, GuardedBackend):
            self._tell(here=True)
        else:
            try:
                await self._store.start(lambda here: self._tell(here=here))
            except ConfigError:
                await self._store.close()
                raise
        await asyncio.gather(*self._telling)

    def _tell(self, *, here: bool) -> None:
        """Sets the status. Tasks begin in the order in which they were made."""
        statuses = health_pb2.HealthCheckResponse
        status = statuses.SERVING if here else statuses.NOT_SERVING
        task = asyncio.create_task(self._servicer.set(self._name, status))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
