"""A gRPC status becomes an error of the tree, with everything that its details tell."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, RetryInfo
from google.rpc.status_pb2 import Status

import xsp_client
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_client import (
    DeadlineExceededError,
    InvalidRequestError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
    Violation,
    XspClient,
    XspClientError,
)

REQUEST = BidRequest(id="1")
DETAILS = "grpc-status-details-bin"


def status(code: grpc.StatusCode, message: str = "told so", *details: Message) -> Status:
    result = Status(code=code.value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        result.details.append(packed)
    return result


async def error_of(start, answer) -> XspClientError:
    bids = await start(answer)
    options = xsp_client.ChannelOptions(attempts=1)
    async with XspClient(bids.address, options=options) as client:
        with pytest.raises(XspClientError) as caught:
            await client.bid(REQUEST)
    return caught.value


@pytest.mark.parametrize(
    ("code", "kind", "builtin", "advice"),
    [
        (
            grpc.StatusCode.INVALID_ARGUMENT,
            InvalidRequestError,
            ValueError,
            "Correct the request; .violations names the fields.",
        ),
        (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            DeadlineExceededError,
            TimeoutError,
            "The call had 1 s; give more by timeout= or the request's tmax.",
        ),
        (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            ResourceExhaustedError,
            Exception,
            "Send less, or raise the limit that is named.",
        ),
        (
            grpc.StatusCode.UNAVAILABLE,
            UnavailableError,
            Exception,
            "Check the address, TLS and that the server runs.",
        ),
        (
            grpc.StatusCode.UNIMPLEMENTED,
            UnimplementedError,
            Exception,
            "Call a server that offers it.",
        ),
    ],
)
async def test_each_status_has_its_error_that_says_what_to_do(start, code, kind, builtin, advice):
    error = await error_of(start, status(code))
    assert type(error) is kind
    assert isinstance(error, builtin)
    assert error.status is code
    assert str(error).startswith("/xsp.bid.v1.BidService/Bid of 127.0.0.1:")
    assert str(error).endswith(f": {code.name}: told so. {advice}")
    assert isinstance(error.__cause__, grpc.aio.AioRpcError)


async def test_a_status_without_a_class_of_its_own_is_the_root_s(start):
    error = await error_of(start, status(grpc.StatusCode.PERMISSION_DENIED))
    assert type(error) is XspClientError
    assert error.status is grpc.StatusCode.PERMISSION_DENIED
    assert str(error).endswith(": PERMISSION_DENIED: told so.")


async def test_reason_and_metadata_come_from_error_info(start):
    info = ErrorInfo(reason="MESSAGE_TOO_LARGE", domain="xsp", metadata={"limit": "4194304"})
    error = await error_of(start, status(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large", info))
    assert error.reason == "MESSAGE_TOO_LARGE"
    assert dict(error.metadata) == {"limit": "4194304"}
    assert error.retry_after is None


async def test_violations_come_from_bad_request(start):
    bad = BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field="imp[0].id", description="expected an id, got none"),
            BadRequest.FieldViolation(description="expected at least one imp"),
        ]
    )
    error = await error_of(start, status(grpc.StatusCode.INVALID_ARGUMENT, "invalid", bad))
    assert error.violations == (
        Violation("imp[0].id", "expected an id, got none"),
        Violation("", "expected at least one imp"),
    )
    assert [str(violation) for violation in error.violations] == [
        "imp[0].id: expected an id, got none",
        "expected at least one imp",
    ]


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE])
@pytest.mark.parametrize(("delay", "text"), [(0.25, "0.25 s"), (2, "2 s")])
async def test_retry_info_says_when_to_come_again(start, code, delay, text):
    retry = RetryInfo()
    retry.retry_delay.FromMilliseconds(int(delay * 1000))
    error = await error_of(start, status(code, "busy.", Help(), retry))
    assert error.retry_after == delay
    assert str(error).endswith(f": {code.name}: busy. Try again in {text}.")


async def test_a_status_without_details_tells_nothing_more(start):
    error = await error_of(start, status(grpc.StatusCode.INTERNAL, ""))
    assert (error.reason, error.violations, error.retry_after) == ("", (), None)
    assert dict(error.metadata) == {}
    assert str(error).endswith(": INTERNAL: no details.")


async def test_a_status_that_grpc_made_itself_has_no_details(refused_address):
    async with XspClient(refused_address) as client:
        with pytest.raises(UnavailableError, match="UNAVAILABLE: ") as caught:
            await client.bid(REQUEST, timeout=30.0)
    assert caught.value.reason == ""


def undecodable_detail() -> bytes:
    detail = Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    return Status(code=5, message="gone", details=[detail]).SerializeToString()


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(b"\xff\xff", id="are no status"),
        pytest.param(Status(code=3, message="gone").SerializeToString(), id="have another code"),
        pytest.param(Status(code=5, message="?").SerializeToString(), id="have another message"),
        pytest.param(undecodable_detail(), id="have a detail that is none"),
    ],
)
async def test_the_status_holds_when_its_details(start, details):
    async def abort(context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone", ((DETAILS, details),))

    error = await error_of(start, abort)
    assert error.status is grpc.StatusCode.NOT_FOUND
    assert (error.reason, error.violations) == ("", ())


def test_every_error_is_exported_and_of_one_tree():
    kinds = {XspClientError}
    while more := {sub for kind in kinds for sub in kind.__subclasses__()} - kinds:
        kinds |= more
    assert {kind.__name__ for kind in kinds} == {n for n in dir(xsp_client) if n.endswith("Error")}
    assert {kind.__name__ for kind in kinds} <= set(xsp_client.__all__)
