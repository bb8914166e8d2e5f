"""Functions that act as bidders, for the tests of the memory transport."""

import asyncio
import functools
import threading

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import TransportError

NO_FUNCTION = 5

release = threading.Event()
"""Lets `blocked` go on."""


def answer(request):
    return BidResponse(id=request.id, bidid=threading.current_thread().name)


async def answer_async(request):
    await asyncio.sleep(0)
    return answer(request)


class Bidder:
    """Callable in every way."""

    def __call__(self, request):
        return answer(request)

    async def method(self, request):
        return answer(request)


class AsyncBidder:
    async def __call__(self, request):
        return answer(request)


bidder = Bidder()
async_bidder = AsyncBidder()
partial = functools.partial(lambda request, extra: answer_async(request), extra=None)  # noqa: ARG005


def nothing(_request):
    return None


def change(request):
    request.id = "changed"
    return answer(request)


def wrong(_request):
    return {"id": "1"}


async def broken(_request):
    raise ZeroDivisionError("no")


async def out_of_time(_request):
    raise TimeoutError("of its own")


async def refuses(_request):
    raise TransportError(Outcome.UNREACHABLE, "on purpose")


async def hang(_request):
    await asyncio.Event().wait()


def blocked(request):
    release.wait(10)
    return answer(request)
