"""What holds for every document, tried with many."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openrtb.random_json import any_json, objects
from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp_server.errors import InvalidJson, XspError
from xsp_server.openrtb import codec
from xsp_server.openrtb.codec import reader
from xsp_server.openrtb.codec.schema import schema_of

ROOTS = [BidRequest, BidResponse, NativeRequest, NativeResponse]

trips = settings(max_examples=300, deadline=None, derandomize=True)


@pytest.mark.parametrize("message_type", ROOTS, ids=lambda root: root.__name__)
def test_json_comes_back_from_the_message_and_from_its_bytes(message_type):
    @trips
    @given(objects(message_type.DESCRIPTOR))
    def holds(document):
        parsed = codec.parse(message_type, json.dumps(document))
        assert parsed.unknown == parsed.coerced == ()
        carried = message_type.FromString(parsed.message.SerializeToString())
        assert carried == parsed.message
        assert json.loads(codec.write(carried)) == document
        assert codec.parse(message_type, codec.write(carried)).message == carried

    holds()


@pytest.mark.parametrize("message_type", ROOTS, ids=lambda root: root.__name__)
def test_the_quick_pass_and_the_careful_walk_agree(message_type):
    quick_ones = []

    @trips
    @given(objects(message_type.DESCRIPTOR, faulty=True))
    def holds(document):
        text = json.dumps(document).encode()
        try:
            quick = reader._quick(message_type, schema_of(message_type), document, text, "")
        except (reader.Irregular, TypeError, ValueError):
            return
        quick_ones.append(quick)
        assert reader._careful(message_type, schema_of(message_type), text, "", coerce=False) == (
            quick
        )

    holds()
    assert len(quick_ones) > 50


@pytest.mark.parametrize("message_type", ROOTS, ids=lambda root: root.__name__)
def test_whatever_is_in_the_document_the_answer_is_a_message_or_our_error(message_type):
    @trips
    @given(objects(message_type.DESCRIPTOR, faulty=True) | any_json, st.booleans())
    def holds(document, coerce):
        with contextlib.suppress(InvalidJson):
            parsed = codec.parse(message_type, json.dumps(document), coerce=coerce)
            json.loads(codec.write(parsed.message, defaults=True))

    holds()


@trips
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123eE+-.\\u"', max_size=40))
def test_whatever_bytes_come_the_answer_is_a_message_or_our_error(data):
    with contextlib.suppress(XspError):
        codec.parse_bid_request(data)
