"""How the simulator passes time, so that tests can do without waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeAlias

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits some seconds; `asyncio.sleep` unless a test says otherwise."""


async def forever() -> NoReturn:
    """Waits until it is cancelled."""
    while True:
        await asyncio.Event().wait()
