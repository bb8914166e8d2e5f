"""A request on its way: encodings made once, and headers that every way of asking can carry."""

import gzip

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.upstream import Ask

REQUEST = BidRequest(id="1")


@pytest.mark.parametrize("encoding", ["json", "protobuf", "gzipped_json", "gzipped_protobuf"])
def test_each_encoding_is_made_once(encoding):
    ask = Ask(REQUEST)
    assert getattr(ask, encoding) is getattr(ask, encoding)


def test_the_encodings_are_of_the_request():
    ask = Ask(REQUEST)
    assert ask.json == gzip.decompress(ask.gzipped_json) == b'{"id":"1"}'
    assert ask.protobuf == gzip.decompress(ask.gzipped_protobuf) == REQUEST.SerializeToString()


def test_without_headers_there_are_none():
    assert dict(Ask(REQUEST).headers) == {}
    assert Ask(REQUEST).metadata == ()
    assert Ask(REQUEST).session is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Evil", "a\r\nX-Key: b"),
        ("X-Evil\r\n", "a"),
        ("X Evil", "a"),
        ("", "a"),
        ("X-Nul", "a\x00"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("Content-Type", "text/html"),
        ("Host", "elsewhere"),
        ("Cookie", "user=1"),
    ],
)
def test_a_header_that_would_break_the_call_is_left_out(name, value):
    assert dict(Ask(REQUEST, {name: value, "X-Good": "a b"}).headers) == {"X-Good": "a b"}


def test_headers_are_metadata_in_lower_case_where_grpc_can_carry_them():
    headers = {
        "X-Request-Id": "r-1",
        "X-Cafe": "café",
        "grpc-timeout": "1S",
        "x-bin": "AA==",
        "x!": "a",
    }
    ask = Ask(REQUEST, headers)
    assert ask.metadata == (("x-request-id", "r-1"),)
    assert ask.headers["X-Cafe"] == "café"
