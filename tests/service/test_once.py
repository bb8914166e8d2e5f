"""Calls that come again: while the first is under way, after it, and after everybody has gone."""

import asyncio

import pytest

from xsp.bid.v1.bid_service_pb2 import NotifyRequest, NotifyResponse
from xsp_server.errors import RequestIdReused
from xsp_server.service.once import Once
from xsp_server.service.request_ids import Answers


def request(notice_id="1") -> NotifyRequest:
    return NotifyRequest(request_id="r", notices=[{"notice_id": notice_id}])


class Work:
    """What calls ask for; it ends when it is let go, and counts."""

    def __init__(self) -> None:
        self.once = Once(Answers(NotifyResponse, 60, lambda: 0.0))
        self.begun = 0
        self.cut_off = 0
        self.go = asyncio.Event()
        self.begins = asyncio.Event()
        self.is_final = True
        self.error: Exception | None = None

    async def act(self) -> NotifyResponse:
        self.begun += 1
        number = self.begun
        self.begins.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        if self.error is not None:
            raise self.error
        return NotifyResponse(results=[{"notice_id": str(number)}])

    async def ask(self, request_=None) -> str:
        answer = await self.once.answer(
            "r", request_ or request(), self.act, lambda _: self.is_final
        )
        return answer.results[0].notice_id

    async def begin(self) -> "asyncio.Task[str]":
        """A call that waits."""
        self.begins.clear()
        call = asyncio.create_task(self.ask())
        await self.begins.wait()
        return call


async def turns(number=3):
    for _ in range(number):
        await asyncio.sleep(0)


async def test_calls_at_the_same_time_are_one_run():
    work = Work()
    first = await work.begin()
    others = [asyncio.create_task(work.ask()) for _ in range(3)]
    await turns()
    work.go.set()
    assert await asyncio.gather(first, *others) == ["1"] * 4
    assert work.begun == 1


async def test_a_call_that_comes_later_gets_the_same_answer():
    work = Work()
    work.go.set()
    assert [await work.ask(), await work.ask()] == ["1", "1"]


async def test_an_answer_that_is_not_final_is_not_remembered():
    work = Work()
    work.is_final = False
    work.go.set()
    assert [await work.ask(), await work.ask()] == ["1", "2"]


async def test_other_content_is_refused_while_the_first_is_under_way():
    work = Work()
    first = await work.begin()
    with pytest.raises(RequestIdReused) as caught:
        await work.ask(request("2"))
    assert caught.value.metadata == {"notices[0].notice_id": "first '1', now '2'"}
    work.go.set()
    assert await first == "1"


async def test_a_run_goes_on_while_somebody_waits_for_it():
    work = Work()
    first = await work.begin()
    second = asyncio.create_task(work.ask())
    await turns()
    first.cancel()
    await asyncio.wait([first])
    work.go.set()
    assert await second == "1"
    assert (work.begun, work.cut_off) == (1, 0)


async def test_a_run_ends_when_nobody_waits_any_more_and_the_next_call_begins_another():
    work = Work()
    first = await work.begin()
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(work.ask())  # while the first run is being cut off
    await turns()
    work.go.set()
    assert await second == "2"
    assert (work.begun, work.cut_off) == (2, 1)
    assert await work.ask() == "2"


async def test_all_calls_of_a_run_that_fails_hear_of_it_and_the_next_one_begins_anew():
    work = Work()
    work.error = ValueError("a bug")
    calls = [await work.begin(), asyncio.create_task(work.ask())]
    await turns()
    work.go.set()
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert told == [work.error, work.error]
    work.error = None
    assert await work.ask() == "2"
