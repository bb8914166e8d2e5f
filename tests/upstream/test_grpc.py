"""gRPC bidders over real sockets."""

import asyncio

import grpc
import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, GrpcTransport, TransportError

ASK = Ask(BidRequest(id="1"))


@pytest.fixture
async def bidder():
    """Serves a function as BidService.Bid and gives a transport to it."""
    server = grpc.aio.server()
    transports = []

    async def start(function):
        handler = grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=BidRequest.FromString,
            response_serializer=lambda answer: getattr(
                answer, "SerializeToString", lambda: answer
            )(),
        )
        service = grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", {"Bid": handler})
        server.add_generic_rpc_handlers([service])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        settings = GrpcTransport.Settings(name="acme", endpoint=f"127.0.0.1:{port}")
        transports.append(GrpcTransport(settings))
        return transports[0]

    yield start
    for transport in transports:
        await transport.close()
    await server.stop(None)


async def failure(transport, timeout=5.0):
    with pytest.raises(TransportError) as caught:
        await transport.send(ASK, timeout)
    return caught.value


async def test_the_request_arrives_and_the_response_comes_back(bidder):
    async def bid(request, context):  # noqa: ARG001
        return BidResponse(id=request.id, bidid="b")

    response = await (await bidder(bid)).send(ASK, 5)
    assert response == BidResponse(id="1", bidid="b")


async def test_the_timeout_is_the_deadline_that_the_bidder_sees(bidder):
    seen = []

    async def hang(request, context):  # noqa: ARG001
        seen.append(context.time_remaining())
        await asyncio.Event().wait()

    error = await failure(await bidder(hang), timeout=0.2)
    assert error.outcome is Outcome.TIMEOUT
    assert 0 < seen[0] <= 0.21  # gRPC rounds up to its own units on the way


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (grpc.StatusCode.INTERNAL, Outcome.ERROR),
        (grpc.StatusCode.UNIMPLEMENTED, Outcome.ERROR),
        (grpc.StatusCode.UNAVAILABLE, Outcome.UNREACHABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Outcome.TIMEOUT),
    ],
)
async def test_a_status_becomes_an_outcome(bidder, status, outcome):
    async def fail(request, context):  # noqa: ARG001
        await context.abort(status, "because")

    error = await failure(await bidder(fail))
    assert error.outcome is outcome
    assert error.detail == f"{status.name}: because"


async def test_bytes_that_are_no_response_are_an_invalid_response(bidder):
    async def garbage(request, context):  # noqa: ARG001
        return b"\xff\xff\xff"

    assert (await failure(await bidder(garbage))).outcome is Outcome.INVALID_RESPONSE


async def test_nobody_listening_is_unreachable():
    transport = GrpcTransport(GrpcTransport.Settings(name="gone", endpoint="127.0.0.1:1"))
    assert (await failure(transport)).outcome is Outcome.UNREACHABLE
    await transport.close()


def test_a_missing_file_of_authorities_is_told(tmp_path):
    settings = GrpcTransport.Settings(name="a", endpoint="h:1", ca=tmp_path / "gone.pem")
    with pytest.raises(ConfigError, match=r"gone.pem: No such file.*PEM"):
        GrpcTransport(settings)
