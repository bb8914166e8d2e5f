"""The Python client of XSP: auctions over gRPC, with OpenRTB 2.6 as messages or as dicts.

`XspClient` is the way in; its `session` ties together the calls of one ad opportunity.
`xsp_client.openrtb` has the TypedDicts of OpenRTB, for type checkers and editors; the messages are
in the package `xsp`.
"""

from xsp_client import openrtb
from xsp_client._call import CallOptions
from xsp_client._channel import ChannelOptions, Tls
from xsp_client._client import XspClient
from xsp_client._errors import (
    DeadlineExceededError,
    InvalidMessageError,
    InvalidRequestError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
    Violation,
    XspClientError,
)
from xsp_client._json import to_dict, to_message
from xsp_client._session import Budget, Session, Spend

__all__ = [
    "Budget",
    "CallOptions",
    "ChannelOptions",
    "DeadlineExceededError",
    "InvalidMessageError",
    "InvalidRequestError",
    "ResourceExhaustedError",
    "Session",
    "Spend",
    "Tls",
    "UnavailableError",
    "UnimplementedError",
    "Violation",
    "XspClient",
    "XspClientError",
    "openrtb",
    "to_dict",
    "to_message",
]
