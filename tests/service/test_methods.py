"""Methods bound to the contract: what isn't built, what fails, and how much fits in."""

import asyncio

import grpc
import pytest

from service.errors import details
from xsp.bid.v1 import bid_service_pb2, bid_service_pb2_grpc
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp.state.v1 import state_service_pb2, state_service_pb2_grpc
from xsp.vast.v1 import vast_service_pb2, vast_service_pb2_grpc
from xsp_server.config import ServerSettings
from xsp_server.service.methods import Gate, bind

BID = bid_service_pb2.DESCRIPTOR.services_by_name["BidService"]


@pytest.fixture
async def host():
    """Serves one servicer as BidService and gives a stub to it."""
    server = grpc.aio.server()
    channels = []

    async def start(servicer, **limits):
        server.add_generic_rpc_handlers([bind(BID, servicer, Gate(ServerSettings(**limits)))])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return bid_service_pb2_grpc.BidServiceStub(channels[0])

    yield start
    for channel in channels:
        await channel.close()
    await server.stop(None)


async def test_methods_that_are_not_built_answer_unimplemented(serve):
    server = await serve()
    async with grpc.aio.insecure_channel(server.address) as channel:
        state = state_service_pb2_grpc.StateServiceStub(channel)
        vast = vast_service_pb2_grpc.VastServiceStub(channel)
        bid = bid_service_pb2_grpc.BidServiceStub(channel)
        calls = [
            state.GetBudget(state_service_pb2.GetBudgetRequest()),
            vast.ResolveVast(vast_service_pb2.ResolveVastRequest()),
            vast.StreamResolveVast(vast_service_pb2.StreamResolveVastRequest()).read(),
            bid.StreamBids(iter(())).read(),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert details(caught.value)["ErrorInfo"].reason == "NOT_BUILT"


async def test_a_bug_is_internal_without_a_word_of_the_traceback(host, capsys):
    class Broken:
        async def Bid(self, request, context):  # noqa: ARG002, N802
            raise ZeroDivisionError("secret")

    stub = await host(Broken())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Bid(BidRequest())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert details(caught.value)["ErrorInfo"].reason == "INTERNAL_FAULT"
    assert "secret" not in caught.value.details()
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


async def test_one_call_too_many_is_told_to_come_again(host):
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow:
        async def Bid(self, request, context):  # noqa: ARG002, N802
            entered.set()
            await leave.wait()
            return BidResponse(id="done")

    stub = await host(Slow(), max_concurrent_calls=1)
    first = asyncio.ensure_future(stub.Bid(BidRequest()))
    await entered.wait()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Bid(BidRequest())
    leave.set()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(caught.value)["ErrorInfo"].reason == "TOO_BUSY"
    assert details(caught.value)["RetryInfo"].retry_delay.ToMilliseconds() == 50
    assert (await first).id == "done"
    assert (await stub.Bid(BidRequest())).id == "done"  # the place is free again
