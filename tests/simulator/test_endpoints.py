"""One simulated bidder over HTTP and gRPC at once."""

import asyncio

import aiohttp
import grpc
import pytest

from xsp.bid.v1 import bid_service_pb2_grpc
from xsp_server.errors import ConfigError
from xsp_server.openrtb import codec
from xsp_server.simulator import BidderModel, BidderSettings, running, serve

SETTINGS = BidderSettings(price="uniform min=1 max=9")


async def ask_both(endpoints, request):
    """The answers over HTTP and over gRPC."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(endpoints.http_url, data=codec.write(request)) as response,
    ):
        over_http = codec.parse_bid_response(await response.read()).message
    async with grpc.aio.insecure_channel(endpoints.grpc_target) as channel:
        stub = bid_service_pb2_grpc.BidServiceStub(channel)
        return over_http, await stub.Bid(request, timeout=10)


async def test_both_give_the_same_answer(banner_request):
    expected = BidderModel(SETTINGS, seed=9).plan(banner_request).response
    async with running(SETTINGS, seed=9) as endpoints:
        assert await ask_both(endpoints, banner_request) == (expected, expected)


async def test_ports_are_those_that_were_asked_for():
    async with running(SETTINGS) as free:
        ports = ports_of(free)
    async with running(SETTINGS, *ports) as endpoints:
        assert endpoints == free


async def test_serving_tells_where_and_lasts_until_it_is_cancelled(banner_request):
    told = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(SETTINGS, started=told.set_result))
    async with asyncio.timeout(10):
        endpoints = await told
        assert await ask_both(endpoints, banner_request)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    async with running(SETTINGS, *ports_of(endpoints)):
        pass  # both ports are free again


async def test_a_taken_port_leaves_nothing_listening():
    async with running(SETTINGS) as first:
        http, grpc_port = ports_of(first)
    async with running(SETTINGS, 0, grpc_port):
        with pytest.raises(ConfigError):
            await serve(SETTINGS, http, grpc_port, started=lambda _: None)
        async with running(SETTINGS, http):
            pass


def ports_of(endpoints) -> tuple[int, int]:
    return (
        int(endpoints.http_url.rpartition(":")[2].partition("/")[0]),
        int(endpoints.grpc_target.rpartition(":")[2]),
    )
