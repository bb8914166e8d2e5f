"""Our errors as `google.rpc.Status`: one gRPC code, one message, typed details."""

from typing import NoReturn, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from xsp_server.errors import InvalidRequest, RetryableError, XspError

DOMAIN = "xsp"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


def to_status(error: XspError) -> Status:
    """The status of an error, with these details.

    `ErrorInfo` (reason from `xsp.rpc.v1.ErrorReason`, domain `xsp`) is always there; `BadRequest`
    carries field paths in OpenRTB's spelling; `RetryInfo` says when a new attempt makes sense.
    """
    details: list[Message] = [
        ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if isinstance(error, InvalidRequest):
        details.append(
            BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(field=v.path, description=v.description)
                    for v in error.violations
                ]
            )
        )
    if isinstance(error, RetryableError):
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        details.append(retry)
    status = Status(code=grpc.StatusCode[error.status].value[0], message=str(error))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


async def abort(context: Context, error: XspError) -> NoReturn:
    """Ends the call with the error's status, its details in the trailing metadata."""
    status = rpc_status.to_status(to_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort never returns")  # for the type checker
