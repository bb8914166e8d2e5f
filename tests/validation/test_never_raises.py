"""Whatever a message holds, the validators give a result."""

import json

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.openrtb.validation import RULES, BidRequestValidator, BidResponseValidator

# Texts of every format and near misses of it, so that checks behind a format are reached, too.
TEXTS = st.one_of(
    st.sampled_from(
        [
            *["", "1", "2", "USD", "EUR", "en", "de-AT", "IAB1", "IAB1-2", "1.0", "1.2", "USA"],
            *["a.example", "b.a.example", "http://a.example", "<VAST></VAST>", "<?xml", "<b/>"],
            *['{"native":{"assets":[]}}', '{"ver":"1.0","assets":[{"id":1},{}]}', "{", "[]"],
        ]
    ),
    st.text(max_size=20),
)
SCALARS = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.one_of(st.floats(), st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    FieldDescriptor.TYPE_INT32: st.one_of(
        st.integers(-3, 40), st.integers(min_value=-(2**31), max_value=2**31 - 1)
    ),
}
DEPTH = 6
NOT_OURS = {"pbs", "config", "ps"}
"""Fields of protobuf's own types: Value and a map."""


@st.composite
def messages(draw, kind, depth=DEPTH):
    """A message with a few fields of any kind in any place."""
    message = kind()
    fields = [field for field in kind.DESCRIPTOR.fields if field.name not in NOT_OURS]
    for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda f: f.name)):
        if field.message_type is None:
            values = SCALARS[field.type]
        elif depth:
            values = messages(field.message_type._concrete_class, depth - 1)
        else:
            continue
        if field.is_repeated:
            items = draw(st.lists(values, max_size=3))
            getattr(message, field.name).extend(items)
        elif field.message_type is None:
            setattr(message, field.name, draw(values))
        else:
            getattr(message, field.name).CopyFrom(draw(values))
    return message


LONG = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def judge(result):
    assert result.ok == (result.error_count == 0)
    assert len(result.violations) <= result.error_count + result.warning_count
    for violation in result.violations:
        rule = RULES[violation.rule]
        assert rule.severity is violation.severity
        assert violation.found
        assert violation.expected
        assert len(violation.found) < 500


@LONG
@given(messages(BidRequest))
def test_any_request_gets_a_result(message):
    judge(BidRequestValidator().validate(message, {"site": {}, "app": []}))


@LONG
@given(messages(BidResponse), messages(BidRequest))
def test_any_response_to_any_request_gets_a_result(answer, asked):
    judge(BidResponseValidator().validate(answer))
    judge(BidResponseValidator().validate(answer, asked))


@LONG
@given(messages(BidResponse.Bid), messages(BidRequest.Imp))
def test_any_bid_for_any_imp_gets_a_result(bid, imp):
    imp.id = bid.impid = "1"
    answer = BidResponse(id="r", seatbid=[BidResponse.SeatBid(bid=[bid], group=True)])
    asked = BidRequest(id="r", imp=[imp], badv=["a.example"])
    judge(BidResponseValidator().validate(answer, asked))


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["assets", "native", "ver", "title", "id", "video"]), inner, max_size=4
        )
    ),
)


@LONG
@given(DOCUMENTS)
def test_any_native_text_gets_a_result(document):
    message = BidRequest(id="1", imp=[BidRequest.Imp(id="1")])
    message.imp[0].native.request = json.dumps(document)
    judge(BidRequestValidator().validate(message))


@LONG
@given(messages(NativeRequest))
def test_any_native_message_gets_a_result(native):
    message = BidRequest(id="1", imp=[BidRequest.Imp(id="1")])
    message.imp[0].native.request_native.CopyFrom(native)
    judge(BidRequestValidator().validate(message))
