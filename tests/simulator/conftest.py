"""Time and chance for the simulator's tests: none of them waits for a clock."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest


class Recorder:
    """A sleep that returns at once and remembers for how long it was asked."""

    def __init__(self):
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Steps:
    """A sleep that lasts until the test lets it end."""

    def __init__(self):
        self.begun: asyncio.Queue[float] = asyncio.Queue()
        self.ends: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        await self.begun.put(seconds)
        await self.ends.get()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits for a condition that other tasks will make true."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0)

    return wait


@pytest.fixture
def banner_request() -> BidRequest:
    """One imp, a banner of one size."""
    return BidRequest(id="auction-1", imp=[{"id": "imp-1", "banner": {"w": 300, "h": 250}}])
