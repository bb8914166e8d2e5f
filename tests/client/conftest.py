"""A bid server over a real socket that answers as the test tells it to."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from xsp.openrtb.v2.bid_response_pb2 import BidResponse

Context = grpc.aio.ServicerContext


@dataclass(frozen=True)
class Seen:
    """One call as it reached the server."""

    method: str
    data: bytes
    metadata: dict[str, str | bytes]
    time_remaining: float


@dataclass
class BidServer:
    """Plays its answers one by one and then the last one for ever.

    An answer is a message, raw bytes, a google.rpc.Status to abort with, or a function that
    takes the call's context and returns bytes.
    """

    address: str = ""
    answers: list[object] = field(default_factory=lambda: [BidResponse(id="1")])
    calls: list[Seen] = field(default_factory=list)

    async def play(self, method: str, data: bytes, context: Context) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        self.calls.append(Seen(method, data, metadata, context.time_remaining()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Status):
            status = rpc_status.to_status(answer)
            await context.abort(status.code, status.details, status.trailing_metadata)
        if isinstance(answer, Message):
            return answer.SerializeToString()
        return answer if isinstance(answer, bytes) else await answer(context)


Start = Callable[..., Awaitable[BidServer]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts bid servers on free ports of the loopback; they stop with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(
            *answers: object, credentials: grpc.ServerCredentials | None = None
        ) -> BidServer:
            bids = BidServer(answers=list(answers)) if answers else BidServer()
            server = grpc.aio.server()
            methods = {
                name: grpc.unary_unary_rpc_method_handler(partial(bids.play, name))
                for name in ("Bid", "RunAuction")
            }
            handler = grpc.method_handlers_generic_handler("xsp.bid.v1.BidService", methods)
            server.add_generic_rpc_handlers([handler])
            port = (
                server.add_insecure_port("127.0.0.1:0")
                if credentials is None
                else server.add_secure_port("127.0.0.1:0", credentials)
            )
            bids.address = f"127.0.0.1:{port}"
            await server.start()
            stack.push_async_callback(server.stop, None)
            return bids

        yield start_one


@pytest.fixture
async def bids(start: Start) -> BidServer:
    """One bid server; by default it answers every call with an empty BidResponse of id 1."""
    return await start()


@pytest.fixture
def refused_address() -> Iterator[str]:
    """Where nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"
