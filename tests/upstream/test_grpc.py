"""gRPC bidders over real sockets."""

import asyncio
import contextlib
import os
import socket
import stat
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from pydantic import ValidationError

from upstream.certificates import Authority
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import ConfigError
from xsp_server.openrtb.reply import Outcome
from xsp_server.upstream import Ask, GrpcTransport, TransportError
from xsp_server.upstream import grpc as grpc_transport

ASK = Ask(BidRequest(id="1"))


@pytest.fixture
async def bidder():
    """Serves a function as BidService.Bid and gives a transport to it."""
    async with AsyncExitStack() as stack:

        async def start(function, credentials=None, **settings):
            server = grpc.aio.server()
            handler = grpc.unary_unary_rpc_method_handler(
                function,
                request_deserializer=BidRequest.FromString,
                response_serializer=lambda answer: getattr(
                    answer, "SerializeToString", lambda: answer
                )(),
            )
            service = grpc.method_handlers_generic_handler(
                "xsp.bid.v1.BidService", {"Bid": handler}
            )
            server.add_generic_rpc_handlers([service])
            if credentials is None:
                port = server.add_insecure_port("127.0.0.1:0")
            else:
                port = server.add_secure_port("127.0.0.1:0", credentials)
            await server.start()
            stack.push_async_callback(server.stop, None)
            endpoint = settings.pop("host", "127.0.0.1")
            transport = made(endpoint=f"{endpoint}:{port}", **settings)
            stack.push_async_callback(transport.close)
            return transport

        yield start


def made(**settings):
    return GrpcTransport(GrpcTransport.Settings(**({"name": "acme"} | settings)))


async def failure(transport, timeout=5.0):
    with pytest.raises(TransportError) as caught:
        await transport.send(ASK, timeout)
    return caught.value


async def no_bid(request, context):  # noqa: ARG001
    return BidResponse(id=request.id)


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
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Outcome.ERROR),
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
    assert error.grpc_status == status.name


async def test_bytes_that_are_no_response_are_an_invalid_response(bidder):
    async def garbage(request, context):  # noqa: ARG001
        return b"\xff\xff\xff"

    assert (await failure(await bidder(garbage))).outcome is Outcome.INVALID_RESPONSE


async def test_an_answer_above_the_limit_is_an_invalid_response(bidder):
    async def large(request, context):  # noqa: ARG001
        return BidResponse(id=request.id, customdata="x" * 5000)

    error = await failure(await bidder(large, max_response_bytes=2048))
    assert error.outcome is Outcome.INVALID_RESPONSE
    assert "2048" in error.detail


async def test_nobody_listening_is_unreachable():
    transport = made(name="gone", endpoint="127.0.0.1:1")
    assert (await failure(transport)).outcome is Outcome.UNREACHABLE
    await transport.close()


async def test_closing_what_was_never_opened_is_fine():
    await made(endpoint="127.0.0.1:1").close()


@pytest.mark.parametrize(("retries", "outcome"), [(0, Outcome.UNREACHABLE), (1, None)])
async def test_a_bidder_that_is_unavailable_for_a_moment_is_tried_again(bidder, retries, outcome):
    calls = 0

    async def second_time(request, context):
        nonlocal calls
        calls += 1
        if calls == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return BidResponse(id=request.id)

    transport = await bidder(second_time, retries=retries)
    if outcome is None:
        assert await transport.send(ASK, 5) == BidResponse(id="1")
    else:
        assert (await failure(transport)).outcome is outcome


class Session:
    """What gRPC asks of a session."""

    def metadata(self):
        return (("traceparent", "t-1"), ("x-api-key", "theirs"))


async def test_headers_and_session_go_along_as_metadata_below_the_settings(bidder):
    seen = []

    async def bid(request, context):
        seen.extend(context.invocation_metadata())
        return BidResponse(id=request.id)

    transport = await bidder(bid, headers={"X-Api-Key": "ours"})
    headers = {"X-Request-Id": "r-1", "X-Cafe": "café", "grpc-tags": "no", "a-bin": "no"}
    await transport.send(Ask(ASK.request, headers, Session()), 5)
    told = [pair for pair in seen if pair[0] in {"x-api-key", "x-request-id", "traceparent"}]
    assert sorted(told) == [
        ("traceparent", "t-1"),
        ("x-api-key", "ours"),
        ("x-request-id", "r-1"),
    ]
    assert not {"x-cafe", "a-bin"} & {name for name, _ in seen}


async def test_without_settings_of_its_own_a_call_says_what_the_ask_brings(bidder):
    seen = []

    async def bid(request, context):
        seen.extend(context.invocation_metadata())
        return BidResponse(id=request.id)

    await (await bidder(bid)).send(Ask(ASK.request, {"X-Request-Id": "r-1"}), 5)
    assert ("x-request-id", "r-1") in seen


@pytest.mark.skipif(sys.platform != "linux", reason="reads sockets out of /proc")
async def test_packets_that_nobody_acknowledges_end_a_connection(bidder):
    transport = await bidder(no_bid)
    await transport.send(ASK, 5)
    port = int(transport.settings.endpoint.rpartition(":")[2])
    assert list(user_timeouts(port)) == [grpc_transport.SILENCE_MS]


def user_timeouts(port):
    """TCP_USER_TIMEOUT, in ms, of our connections to a port."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # no socket, no connection, or gone
            if stat.S_ISSOCK(entry.stat().st_mode):
                with socket.socket(fileno=os.dup(int(entry.name))) as own:
                    inet = own.family in {socket.AF_INET, socket.AF_INET6}
                    if inet and own.getpeername()[1] == port:
                        yield own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


async def test_a_connection_without_a_sign_of_life_is_given_up(bidder, monkeypatch):
    """A peer that the network swallowed: packets go out, nothing ever comes back."""
    monkeypatch.setattr(grpc_transport, "SILENCE_MS", 200)
    swallowed, tasks, writers = asyncio.Event(), [], []
    port = int((await bidder(no_bid)).settings.endpoint.rpartition(":")[2])

    async def connected(reader, writer):
        tasks.append(asyncio.current_task())
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, to_writer))

        async def pump(source, sink):
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    if not swallowed.is_set():
                        sink.write(data)

        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    tunnel = await asyncio.start_server(connected, "127.0.0.1", 0)
    endpoint = f"127.0.0.1:{tunnel.sockets[0].getsockname()[1]}"
    transport = made(endpoint=endpoint, ping_seconds=0.1)
    assert await transport.send(ASK, 5)
    swallowed.set()
    error = await failure(transport, timeout=30)
    assert error.outcome is Outcome.UNREACHABLE
    await transport.close()
    tunnel.close()
    for writer in writers:
        writer.close()
    await asyncio.gather(*tasks)


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def localhost(authority):
    return authority.sign("localhost")


@pytest.fixture(scope="module")
def exchange(authority):
    return authority.sign("exchange.example")


def server_credentials(pair, authority=None):
    return grpc.ssl_server_credentials(
        [(pair.key.read_bytes(), pair.cert.read_bytes())],
        root_certificates=None if authority is None else authority.pair.cert.read_bytes(),
        require_client_auth=authority is not None,
    )


async def test_a_certificate_of_a_trusted_authority_will_do(bidder, authority, localhost):
    ca = authority.pair.cert
    transport = await bidder(no_bid, server_credentials(localhost), host="localhost", ca=ca)
    assert await transport.send(ASK, 5)


async def test_the_certificate_may_be_for_another_name_that_is_told(bidder, authority, localhost):
    credentials = server_credentials(localhost)
    ca = authority.pair.cert
    error = await failure(await bidder(no_bid, credentials, ca=ca))
    assert error.outcome is Outcome.UNREACHABLE
    assert await (await bidder(no_bid, credentials, ca=ca, server_name="localhost")).send(ASK, 5)


async def test_with_tls_alone_the_authorities_are_the_system_s(bidder, localhost):
    transport = await bidder(no_bid, server_credentials(localhost), host="localhost", tls=True)
    assert (await failure(transport)).outcome is Outcome.UNREACHABLE


async def test_a_bidder_may_ask_who_we_are(bidder, authority, localhost, exchange):
    credentials = server_credentials(localhost, authority)
    common = {"host": "localhost", "ca": authority.pair.cert}
    anonymous = await bidder(no_bid, credentials, **common)
    assert (await failure(anonymous)).outcome is Outcome.UNREACHABLE
    own = {"client_cert": exchange.cert, "client_key": exchange.key}
    assert await (await bidder(no_bid, credentials, **common, **own)).send(ASK, 5)


def test_certificate_and_key_may_be_one_file(tmp_path, exchange):
    both = tmp_path / "both.pem"
    both.write_bytes(exchange.cert.read_bytes() + exchange.key.read_bytes())
    made(endpoint="localhost:1", client_cert=both)


def test_a_missing_file_of_authorities_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.pem: No such file.*PEM"):
        made(endpoint="h:1", ca=tmp_path / "gone.pem")


@pytest.mark.parametrize(
    "headers", [{"grpc-timeout": "1"}, {"key-bin": "x"}, {"x-name": "café"}, {"te": "trailers"}]
)
def test_a_header_that_can_not_be_metadata_is_refused(headers):
    with pytest.raises(ValidationError, match="headers"):
        made(endpoint="h:1", headers=headers)
