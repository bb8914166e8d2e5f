"""The simulated bidder over gRPC, on a real socket."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest

from xsp.bid.v1 import bid_service_pb2_grpc
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.simulator import BidderModel, BidderSettings, GrpcSimulator


def model(**settings) -> BidderModel:
    return BidderModel(BidderSettings(**settings))


@asynccontextmanager
async def bidding(simulator):
    """The Bid method of a running simulator."""
    async with simulator, grpc.aio.insecure_channel(simulator.target) as channel:
        yield bid_service_pb2_grpc.BidServiceStub(channel).Bid


async def failure(call) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_a_bid_is_the_response_of_the_model(banner_request):
    bidder = model(price="uniform min=1 max=9")
    async with bidding(GrpcSimulator(bidder)) as bid:
        assert await bid(banner_request, timeout=10) == bidder.plan(banner_request).response


async def test_a_no_bid_has_the_id_and_no_seatbid(banner_request):
    async with bidding(GrpcSimulator(model(no_bid_rate=1))) as bid:
        assert await bid(banner_request, timeout=10) == BidResponse(id="auction-1")


async def test_an_error_is_internal(banner_request):
    async with bidding(GrpcSimulator(model(error_rate=1))) as bid:
        error = await failure(bid(banner_request, timeout=10))
    assert (error.code(), error.details()) == (grpc.StatusCode.INTERNAL, "simulated error")


async def test_the_answer_comes_after_the_latency(banner_request, recorder):
    async with bidding(GrpcSimulator(model(latency_ms=250), sleep=recorder)) as bid:
        await bid(banner_request, timeout=10)
    assert recorder.slept == [0.25]


async def test_another_model_counts_from_the_next_request_on(banner_request):
    simulator = GrpcSimulator(model())
    async with bidding(simulator) as bid:
        assert (await bid(banner_request, timeout=10)).seatbid
        simulator.model = model(no_bid_rate=1)
        assert not (await bid(banner_request, timeout=10)).seatbid


async def test_a_timeout_is_never_answered(banner_request):
    async with bidding(GrpcSimulator(model(timeout_rate=1))) as bid:
        error = await failure(bid(banner_request, timeout=0.05))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_stopping_cuts_answers_that_are_still_delayed(banner_request, steps):
    simulator = GrpcSimulator(model(latency_ms=1), sleep=steps)
    async with bidding(simulator) as bid:
        waiting = asyncio.ensure_future(failure(bid(banner_request, timeout=10)))
        await steps.begun.get()
        await simulator.stop()
        error = await waiting
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def test_a_port_that_is_taken_is_a_setting_to_change():
    async with GrpcSimulator(model()) as first:
        second = GrpcSimulator(model(), port=first.port)
        with pytest.raises(ConfigError, match=f"127.0.0.1:{first.port}; expected a free port"):
            async with second:
                pass


async def test_stopping_what_never_started_does_nothing():
    await GrpcSimulator(model()).stop()
