"""What several test folders share: requests, and servers over real sockets."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from xsp.bid.v1 import bid_service_pb2_grpc
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.config import Settings
from xsp_server.openrtb import codec
from xsp_server.service.server import Server

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "examples" / "requests" / "ctv_and_banner.json"

ServerFactory = Callable[..., Awaitable[Server]]


@pytest.fixture
def sample() -> BidRequest:
    """A request with a video and a banner imp, floors 4.50 and 0.60 USD, second price."""
    return codec.parse_bid_request(SAMPLE.read_bytes()).message


@pytest.fixture
def sample_json() -> dict[str, Any]:
    return json.loads(SAMPLE.read_bytes())


@pytest.fixture(scope="session")
def openrtb_examples() -> Path:
    """The folder of IAB's own example files, which may not be copied into this project."""
    default = ROOT.parent / "shared" / "reference" / "openrtb_examples"
    folder = Path(os.environ.get("XSP_OPENRTB_EXAMPLES", default))
    if not folder.is_dir():
        pytest.skip(f"IAB's OpenRTB examples are not in {folder}; set XSP_OPENRTB_EXAMPLES")
    return folder


@pytest.fixture
async def serve() -> AsyncIterator[ServerFactory]:
    """Starts servers on free ports; they stop with the test."""
    async with AsyncExitStack() as stack:

        async def start(*bidders: dict[str, Any], **sections: dict[str, Any]) -> Server:
            listen = {"listen": "127.0.0.1:0", "drain_seconds": 1.0}
            server = {**listen, **sections.pop("server", {})}
            settings = Settings(server=server, bidders=bidders, **sections)
            return await stack.enter_async_context(Server(settings))

        yield start


@pytest.fixture
async def dial() -> AsyncIterator[Callable[[Server], bid_service_pb2_grpc.BidServiceStub]]:
    """Opens channels to servers; they close with the test."""
    async with AsyncExitStack() as stack:
        channels = []

        def stub(server: Server) -> bid_service_pb2_grpc.BidServiceStub:
            options = [
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ]
            channel = grpc.aio.insecure_channel(server.address, options)
            channels.append(channel)
            stack.push_async_callback(channel.close)
            return bid_service_pb2_grpc.BidServiceStub(channel)

        yield stub
