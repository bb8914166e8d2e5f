"""OpenRTB JSON and messages, both ways.

OpenRTB's JSON is not protobuf's: names are the specification's, flags are 0 and 1, `ext` may hold
anything and comes back whole. Where the same member stands twice the last one counts; null is
absent; an empty array is an absent one; members that OpenRTB doesn't have are told and left out.
"""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp_server.errors import InvalidJson, TooDeep, Violation
from xsp_server.openrtb.codec import reader, writer
from xsp_server.openrtb.codec.reader import Parsed

__all__ = [
    "Parsed",
    "from_dict",
    "parse",
    "parse_bid_request",
    "parse_bid_response",
    "parse_native_request",
    "parse_native_response",
    "to_dict",
    "write",
]

M = TypeVar("M", bound=Message)

_NATIVE_ROOT = "native"
"""The member that Native before 1.1 wraps its root in."""


def parse(message_type: type[M], data: bytes | str, *, coerce: bool = False) -> Parsed[M]:
    """Reads the JSON of any OpenRTB object, whole or in part: no member is required here.

    Args:
        message_type: the message of the object, such as `BidRequest.Content`.
        data: the text, in UTF-8 if bytes.
        coerce: take "3" for 3 and 3 for "3", and tell the paths in `coerced`.

    Raises:
        JsonSyntax: not JSON.
        InvalidJson: members of wrong types; it lists all, up to 100, each with its path.
        TooDeep: nested deeper than 1024 levels, or 254 in one `ext`.
    """
    return reader.read(message_type, data, coerce=coerce)


def parse_bid_request(data: bytes | str, *, coerce: bool = False) -> Parsed[BidRequest]:
    """Reads a bid request (OpenRTB 2.6 section 3.2.1); arguments and errors as in `parse`."""
    return reader.read(BidRequest, data, coerce=coerce)


def parse_bid_response(data: bytes | str, *, coerce: bool = False) -> Parsed[BidResponse]:
    """Reads a bid response (OpenRTB 2.6 section 4.2.1); arguments and errors as in `parse`."""
    return reader.read(BidResponse, data, coerce=coerce)


def parse_native_request(data: bytes | str, *, coerce: bool = False) -> Parsed[NativeRequest]:
    """Reads a native request (Native 1.2 section 4.1), as `Imp.native.request` has it.

    The root may be wrapped in a member `native`, as before Native 1.1. Arguments and errors as in
    `parse`.
    """
    return reader.read(NativeRequest, data, coerce=coerce, wrapper=_NATIVE_ROOT)


def parse_native_response(data: bytes | str, *, coerce: bool = False) -> Parsed[NativeResponse]:
    """Reads a native response (Native 1.2 section 5.1), as `Bid.adm` has it.

    The root may be wrapped in a member `native`, as before Native 1.1. Arguments and errors as in
    `parse`.
    """
    return reader.read(NativeResponse, data, coerce=coerce, wrapper=_NATIVE_ROOT)


def from_dict(
    message_type: type[M], members: Mapping[str, Any], *, coerce: bool = False
) -> Parsed[M]:
    """Reads an object that is Python values already; `members` is left as it is.

    Arguments and errors as in `parse`. What JSON has no form for raises InvalidJson.
    """
    try:
        text = json.dumps(dict(members), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InvalidJson(Violation("", f"expected values that JSON has, got {error}")) from None
    except RecursionError:
        raise TooDeep("the document: nested deeper than we follow") from None
    return reader.read(message_type, text, coerce=coerce)


def write(message: Message, *, defaults: bool = False) -> bytes:
    """Writes a message as OpenRTB JSON, without spaces.

    Native objects inside (`Imp.native.request_native`, `Bid.adm_native`) become text, as OpenRTB
    has them. Fields of newer contracts that came over the wire are left out.

    Args:
        message: any message of `xsp.openrtb.v2`.
        defaults: fill absent members with the specification's defaults, in objects that are there.

    Raises:
        InvalidJson: the message holds what JSON can't: a number that is not finite, or a
            `raw_json` that is not a JSON object.
    """
    return writer.write(message, defaults=defaults)


def to_dict(message: Message, *, defaults: bool = False) -> dict[str, Any]:
    """The same as `write` as Python values; floats hold what doubles do, integers everything."""
    members: dict[str, Any] = json.loads(write(message, defaults=defaults))
    return members
