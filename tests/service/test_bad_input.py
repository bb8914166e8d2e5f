"""Hostile and broken input: a clear status each, and the server goes on."""

import grpc
import pytest

from service.errors import details
from xsp.openrtb.v2.bid_request_pb2 import BidRequest

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

START_GROUP = b"\xfb\x7f"  # field 2047, wire type 3


def valid() -> BidRequest:
    return BidRequest(id="1", imp=[{"id": "1", "banner": {"w": 300, "h": 250}}])


def truncated() -> bytes:
    return valid().SerializeToString()[:-3]


def invalid_utf8() -> bytes:
    return valid().SerializeToString().replace(b"\x0a\x011", b"\x0a\x01\xff", 1)


def wrong_wire_types() -> bytes:
    """`id` as a varint and `imp` as a fixed64: fields of the right number and another type."""
    return b"\x08\x05" + b"\x11" + b"\0" * 8


CASES = [
    ("empty", b"", INVALID, "REQUEST_INVALID"),
    ("truncated", truncated(), INVALID, "REQUEST_UNDECODABLE"),
    ("random bytes", bytes(range(256)) * 4, INVALID, "REQUEST_UNDECODABLE"),
    ("JSON instead of protobuf", b'{"id": "1"}', INVALID, "REQUEST_UNDECODABLE"),
    ("wrong wire types", wrong_wire_types(), INVALID, "REQUEST_INVALID"),
    ("invalid UTF-8", invalid_utf8(), INVALID, "REQUEST_UNDECODABLE"),
    ("deep nesting", START_GROUP * 100_000, INVALID, "REQUEST_UNDECODABLE"),
    ("5 MB", BidRequest(id="x" * 5_000_000).SerializeToString(), EXHAUSTED, "MESSAGE_TOO_LARGE"),
    ("50 MB", BidRequest(id="x" * 50_000_000).SerializeToString(), EXHAUSTED, None),
]


@pytest.fixture
async def raw(serve):
    """Sends bytes to Bid as they are."""
    server = await serve()
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(server.address, options) as channel:
        yield channel.unary_unary("/xsp.bid.v1.BidService/Bid")


@pytest.mark.parametrize(
    ("data", "status", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_bad_bytes_get_a_clear_status_and_the_server_goes_on(raw, data, status, reason):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(data, timeout=20)
    assert caught.value.code() is status
    assert caught.value.details()
    if reason is not None:  # far beyond the limit gRPC itself refuses, without details
        assert details(caught.value)["ErrorInfo"].reason == reason
        assert details(caught.value)["ErrorInfo"].domain == "xsp"
    assert await raw(valid().SerializeToString(), timeout=20)


async def test_a_message_above_the_limit_is_told_the_limit(raw):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(BidRequest(id="x" * 5_000_000).SerializeToString(), timeout=20)
    assert details(caught.value)["ErrorInfo"].metadata["limit"] == str(4 * 1024 * 1024)
    assert "server.max_message_bytes" in caught.value.details()


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (BidRequest(imp=[{"id": "1", "banner": {"w": 1, "h": 1}}]), "id"),
        (BidRequest(id="1"), "imp"),
        (BidRequest(id="1", imp=[{"banner": {"w": 1, "h": 1}}]), "imp[0].id"),
        (BidRequest(id="1", imp=[{"id": "1"}]), "imp[0]"),
        (BidRequest(id="1", imp=[{"id": "1", "video": {"w": 1}}]), "imp[0].video.mimes"),
        (
            BidRequest(id="1", imp=[{"id": "1", "banner": {}}, {"id": "1", "banner": {}}]),
            "imp[1].id",
        ),
    ],
)
async def test_a_rule_that_is_broken_is_told_with_the_openrtb_path(serve, dial, request_, path):
    bid = dial(await serve()).Bid
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bid(request_)
    assert caught.value.code() is INVALID
    violations = details(caught.value)["BadRequest"].field_violations
    assert path in {violation.field for violation in violations}
    assert all("expected" in violation.description for violation in violations)
