"""When the writer of a stream goes, by a clock that passes at once."""

import asyncio
from itertools import pairwise

import pytest

from upstream.virtual_time import run
from xsp_server.upstream.gathering import LONGEST_REST, Gathering

WAIT = 0.004


class Writer:
    """Takes all that is there whenever it is woken, and says when and how many."""

    def __init__(self, seconds=WAIT):
        self.gathering = Gathering(self.wake, seconds)
        self.there = 0
        self.took = []
        self.started = asyncio.get_running_loop().time()

    @property
    def ms(self):
        return round((asyncio.get_running_loop().time() - self.started) * 1000, 3)

    def wake(self):
        self.took.append((self.ms, self.there))
        self.there = 0
        self.gathering.taken()

    def add(self, **how):
        self.there += 1
        self.gathering.add(**how)


async def added(writer, *at_ms):
    for at in at_ms:
        await asyncio.sleep((at - writer.ms) / 1000)
        writer.add()
    await asyncio.sleep(1)
    return writer.took


@pytest.mark.parametrize(
    ("at_ms", "took"),
    [
        ([0], [(0, 1)]),
        ([0, 4, 8.5, 20], [(0, 1), (4, 1), (8.5, 1), (20, 1)]),
        ([0, 1, 2, 3], [(0, 1), (5, 3)]),
        ([0, 1, 2, 5.5, 7], [(0, 1), (5, 2), (9.5, 2)]),
        ([0, 1, 2, 9, 10, 11], [(0, 1), (5, 2), (9, 1), (14, 2)]),
    ],
    ids=["one", "rare ones", "often", "often for long", "often, a pause, often"],
)
def test_what_comes_often_waits_for_more_and_what_comes_alone_goes(at_ms, took):
    async def scenario():
        return await added(Writer(), *at_ms)

    assert run(scenario()) == took


def test_without_a_time_nothing_waits():
    async def scenario():
        return await added(Writer(seconds=0), 0, 1, 2)

    assert run(scenario()) == [(0, 1), (1, 1), (2, 1)]


def test_one_in_a_hurry_takes_along_those_that_wait():
    async def scenario():
        writer = Writer()
        writer.add()
        await asyncio.sleep(0.001)
        writer.add()
        writer.add(in_a_hurry=True)
        await asyncio.sleep(1)
        return writer.took

    assert run(scenario()) == [(0, 1), (1, 2)]


def test_who_waits_in_vain_waits_ever_less_often():
    """One item at a time, each when the one before is gone: nothing ever comes while one waits."""

    async def scenario():
        writer = Writer()
        waited = []
        for number in range(1000):
            writer.add()
            if writer.there:
                waited.append(number)
                await asyncio.sleep(WAIT)
            await asyncio.sleep(0.001)
        return waited

    waited = run(scenario())
    rests = [after - before - 1 for before, after in pairwise(waited)]
    # The one after a wait comes alone, as the wait was longer than it; it counts as rest too.
    assert rests[:6] == [1, 3, 7, 15, 31, 63]
    assert set(rests[6:]) == {LONGEST_REST}


def test_a_wait_that_brought_more_ends_the_rest():
    async def scenario():
        # 1 waits in vain, so 6 goes; 7 waits for two more; 12 in vain, so 17 goes, but 18 waits.
        return await added(Writer(), 0, 1, 6, 7, 8, 9, 12, 17, 18)

    assert run(scenario()) == [(0, 1), (5, 1), (6, 1), (11, 3), (16, 1), (17, 1), (22, 1)]


def test_the_writer_that_went_for_another_reason_has_taken_what_waited():
    async def scenario():
        writer = Writer()
        writer.add()
        writer.add()
        writer.wake()
        await asyncio.sleep(1)
        return writer.took

    assert run(scenario()) == [(0, 1), (0, 1)]
