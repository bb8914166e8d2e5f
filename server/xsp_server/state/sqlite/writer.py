"""One thread that works on the file; all calls of a tick of the event loop are one transaction.

While the thread waits for the disk the calls of the next ticks gather; they are the next
transaction. So the more callers there are the more share one wait.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeVar

from xsp_server.state.backend import StoreAway
from xsp_server.state.sqlite.store import Store

T = TypeVar("T")

RETRY_AFTER: Final = 1.0
"""Seconds after which a call to a store that is away makes sense again."""


@dataclass(slots=True)
class _Job:
    """One call: what to do, and who waits for it."""

    do: Callable[[Store], Any]
    waiting: asyncio.Future[Any]
    result: Any = None


class Writer:
    """The thread of one file. It starts with the first call.

    After a failure the file is opened anew with the next call.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._tick: list[_Job] = []
        self._ticks: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

    async def run(self, do: Callable[[Store], T]) -> T:
        """Does something in the thread; returns when it is on disk.

        Raises:
            StoreAway: the file can't be opened, read or written, or the writer is closed.
            ConfigError: the file is not ours.
        """
        if self._closed:
            raise StoreAway(f"{self._path}: closed", retry_after=RETRY_AFTER)
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        if not self._tick:
            loop.call_soon(self._send)
        self._tick.append(_Job(do, waiting))
        return await waiting

    async def close(self) -> None:
        """Ends the thread after all that was called."""
        self._closed = True
        self._send()
        if self._thread is not None:
            self._ticks.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _send(self) -> None:
        """Hands the calls of this tick to the thread."""
        if not self._tick:
            return
        jobs, self._tick = self._tick, []
        if self._thread is None:
            self._thread = Thread(target=self._work, name=f"sqlite {self._path}", daemon=True)
            self._thread.start()
        self._ticks.put(jobs)

    def _work(self) -> None:
        """The thread: transaction after transaction."""
        store: Store | None = None
        open_ = True
        while open_:
            jobs, open_ = self._gather()
            if not jobs:
                continue
            try:
                store = store or Store(self._path)
                with store.transaction():
                    for job in jobs:
                        job.result = job.do(store)
            except Exception as error:  # noqa: BLE001 a caller waits for whatever it is
                _dropped(store)
                store = None
                _deliver(jobs, partial(self._told, error))
            else:
                _deliver(jobs, None)
        _dropped(store)

    def _gather(self) -> tuple[list[_Job], bool]:
        """All calls that wait, at least those of one tick; and whether more may come."""
        jobs: list[_Job] = []
        tick = self._ticks.get()
        with suppress(Empty):
            while tick is not None:
                jobs += tick
                tick = self._ticks.get_nowait()
            return jobs, False
        return jobs, True

    def _told(self, error: Exception) -> Exception:
        """The failure as a caller is told it. What is not the file's fault is told as it is."""
        if not isinstance(error, sqlite3.Error | OSError):
            return error
        away = StoreAway(f"{self._path}: {error}", retry_after=RETRY_AFTER)
        away.__cause__ = error
        return away


def _dropped(store: Store | None) -> None:
    if store is not None:
        with suppress(sqlite3.Error):
            store.close()


def _deliver(jobs: list[_Job], failure: Callable[[], Exception] | None) -> None:
    """Tells all callers, those of one loop together."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.waiting.get_loop(), []).append(job)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, waiting, failure)


def _resolve(jobs: list[_Job], failure: Callable[[], Exception] | None) -> None:
    """Wakes callers. One that was cancelled is not told; its call was done all the same."""
    for job in jobs:
        if job.waiting.done():
            continue
        if failure is None:
            job.waiting.set_result(job.result)
        else:
            job.waiting.set_exception(failure())
