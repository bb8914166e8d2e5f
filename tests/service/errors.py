"""Reads `google.rpc.Status` out of a failed call."""

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

_DETAILS = (BadRequest, ErrorInfo, RetryInfo)


def details(error: grpc.aio.AioRpcError) -> dict[str, Message]:
    """The details of a call's status, by type name."""
    status = rpc_status.from_call(_Call(error))
    assert status is not None, "the call has no google.rpc.Status"
    found = {}
    for packed in status.details:
        for kind in _DETAILS:
            if packed.Is(kind.DESCRIPTOR):
                detail = kind()
                packed.Unpack(detail)
                found[kind.__name__] = detail
    return found


class _Call:
    """What grpc-status wants of a call, out of an aio error."""

    def __init__(self, error: grpc.aio.AioRpcError):
        self._error = error

    def trailing_metadata(self):
        return [(key, value) for key, value in self._error.trailing_metadata()]

    def code(self):
        return self._error.code()

    def details(self):
        return self._error.details()
