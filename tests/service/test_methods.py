"""Methods bound to the contract: what isn't built, what fails, and how much fits in."""

import asyncio

import grpc
import pytest

from service.errors import details
from xsp.bid.v1 import bid_service_pb2, bid_service_pb2_grpc
from xsp.bid.v1.bid_service_pb2 import StreamBidsRequest, StreamBidsResponse
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.config import ServerSettings
from xsp_server.service.methods import Gate, Stream, bind

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
        call = channel.unary_unary(
            "/com.iabtechlab.bidstream.mutation.services.v1.RTBExtensionPoint/GetMutations"
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert details(caught.value)["ErrorInfo"].reason == "NOT_BUILT"


async def test_a_stream_that_is_not_built_answers_unimplemented(host):
    stub = await host(object())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StreamBids(iter(())).read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert details(caught.value)["ErrorInfo"].metadata["what"] == "xsp.bid.v1.BidService.StreamBids"


async def test_a_bug_is_internal_without_a_word_of_the_traceback(host, capsys):
    class Broken:
        async def Bid(self, request, context):  # noqa: ARG002, N802
            raise ZeroDivisionError("secret")

    stub = await host(Broken())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Bid(BidRequest())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    info = details(caught.value)["ErrorInfo"]
    assert info.reason == "INTERNAL_FAULT"
    assert "secret" not in caught.value.details()
    log = "".join(capsys.readouterr())
    assert "ZeroDivisionError" in log
    assert info.metadata["request_id"] in log


async def test_a_bug_in_a_stream_is_internal_too(host, capsys):
    class Broken:
        async def StreamBids(self, stream):  # noqa: ARG002, N802
            raise ZeroDivisionError("secret")

    stub = await host(Broken())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StreamBids(iter(())).read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    info = details(caught.value)["ErrorInfo"]
    assert info.reason == "INTERNAL_FAULT"
    assert info.metadata["request_id"] in "".join(capsys.readouterr())


async def test_messages_go_both_ways_until_the_method_returns(host):
    class Echo:
        async def StreamBids(self, stream):  # noqa: N802
            while (request := await stream.read()) is not None:
                results = [{"id": item.id} for item in request.items]
                await stream.write(StreamBidsResponse(results=results).SerializeToString())

    call = (await host(Echo())).StreamBids()
    for id_ in ("a", "b"):
        await call.write(StreamBidsRequest(items=[{"id": id_}]))
        assert (await call.read()).results[0].id == id_
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_writing_to_a_caller_that_has_gone_ends_the_method_quietly(host, caplog):
    ended = asyncio.get_running_loop().create_future()

    class Flood:
        async def StreamBids(self, stream):  # noqa: N802
            try:
                while True:
                    await stream.write(bytes(100_000))
            except BaseException as error:
                ended.set_result(type(error))
                raise

    call = (await host(Flood())).StreamBids()
    await call.initial_metadata()  # the first message is on its way
    call.cancel()
    assert await ended is asyncio.CancelledError
    assert not caplog.records


async def test_a_write_that_grpc_fails_is_a_cancellation():
    """gRPC fails the write first and cancels a moment later; without that it would be a fault."""

    class Gone:
        def invocation_metadata(self):
            return None

        def time_remaining(self):
            return None

        async def write(self, data):  # noqa: ARG002
            raise grpc.aio.InternalError

    stream = Stream(BID.methods_by_name["StreamBids"], Gone(), Gate(ServerSettings()))
    with pytest.raises(asyncio.CancelledError):
        await stream.write(b"")


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
