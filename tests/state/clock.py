"""A clock that stands until it is told to go on, and a store that can be taken away."""

import asyncio
from collections.abc import Callable

from state.play import T0
from xsp_server.state.backend import StoreAway
from xsp_server.state.memory import InMemoryBackend


class Clock:
    """Milliseconds; begins at `play.T0`."""

    def __init__(self) -> None:
        self.now_ms = T0

    def __call__(self) -> int:
        return self.now_ms

    def go(self, ms: int) -> None:
        self.now_ms += ms


class Leaving(InMemoryBackend):
    """A store in memory that is away while `gone` says so; it counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: Callable[[], bool] = lambda: False
        self.calls = 0

    def leave_after(self, calls: int = 0) -> None:
        """Goes away once it has been asked so often more."""
        last = self.calls + calls
        self.gone = lambda: self.calls > last

    def come_back(self) -> None:
        self.gone = lambda: False

    async def apply(self, *arguments, **more):
        self._ask()
        return await super().apply(*arguments, **more)

    async def campaigns_version(self):
        self._ask()
        return await super().campaigns_version()

    def _ask(self) -> None:
        self.calls += 1
        if self.gone():
            raise StoreAway("the store is away", retry_after=1.0)


class Hanging(Leaving):
    """A store whose changes hang until they are let go."""

    in_process = False

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.go = asyncio.Event()
        self.came = asyncio.Event()
        self._at = ""
        self._under_way = 0
        self._idle = asyncio.Event()

    def hang_at(self, kind: str) -> asyncio.Event:
        """Lets moves of this kind hang; set when the first has come."""
        self._at = kind
        return self.came

    async def let_go(self) -> None:
        """Returns when all that hung has been done."""
        self.hangs, self._at = False, ""
        self.go.set()
        await self._idle.wait()

    async def apply(self, book, moves, now_ms):
        if moves[0].kind == self._at:
            self.came.set()
        self._under_way += 1
        self._idle.clear()
        try:
            if self.hangs or moves[0].kind == self._at:
                await self.go.wait()
            return await super().apply(book, moves, now_ms)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
