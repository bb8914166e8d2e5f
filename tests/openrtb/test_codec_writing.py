"""Messages that never were JSON, and the specification's defaults."""

import json
import math
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import NULL_VALUE, Value

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import InvalidJson
from xsp_server.openrtb import codec
from xsp_server.openrtb.codec.defaults import DEFAULTS

DATA = Path(__file__).parent.parent / "data"


def refused(message):
    with pytest.raises(InvalidJson) as caught:
        codec.write(message)
    return [str(violation) for violation in caught.value.violations]


def test_an_empty_message_is_an_empty_object():
    assert codec.write(BidRequest()) == b"{}"


def test_text_is_utf_8_without_escapes_and_spaces():
    assert codec.write(BidRequest(id='é"', cur=["USD"])) == '{"id":"é\\"","cur":["USD"]}'.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_with_their_path(number):
    message = BidRequest(imp=[{}, {"bidfloor": number, "qty": {"multiplier": number}}])
    assert refused(message) == [
        f"imp[1].bidfloor: expected finite number, got {number}",
        f"imp[1].qty.multiplier: expected finite number, got {number}",
    ]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ("", "raw_json is not JSON: "),
        ("{", "raw_json is not JSON: "),
        ('{"a":NaN}', "raw_json is not JSON: "),
        ('{} , "injected": 1', "raw_json is not JSON: "),
        ("[]", "expected object in raw_json, got array"),
        ("null", "expected object in raw_json, got null"),
    ],
)
def test_raw_json_that_is_no_object_is_refused_with_its_path(raw, complaint):
    message = BidRequest(
        imp=[{"ext": {"raw_json": raw, "gpid": "g"}}], site={"ext": {"raw_json": raw}}
    )
    told = refused(message)
    assert [line.split(":")[0] for line in told] == ["imp[0].ext", "site.ext"]
    assert all(complaint in line for line in told)


def test_faults_in_a_native_object_are_told_in_place_of_its_text():
    native = NativeRequest(assets=[{"title": {"ext": {"raw_json": "1"}}}])
    message = BidRequest(imp=[{"native": {"request_native": native}}])
    assert refused(message) == [
        "imp[0].native.request.assets[0].title.ext: expected object in raw_json, got integer"
    ]


def test_a_typed_member_wins_over_a_raw_one_of_its_name():
    ext = {"gpid": "typed", "raw_json": '{"a":1.00000000000000000001,"gpid":"raw","b":2}'}
    text = codec.write(BidRequest.Imp(ext=ext))
    assert text == b'{"ext":{"gpid":"typed","a":1.00000000000000000001,"b":2}}'
    ext["raw_json"] = '{"gpid":"raw"}'
    assert codec.write(BidRequest.Imp(ext=ext)) == b'{"ext":{"gpid":"typed"}}'
    ext["raw_json"] = " {} "
    assert codec.write(BidRequest.Imp(ext=ext)) == b'{"ext":{"gpid":"typed"}}'


def test_a_raw_member_under_a_typed_name_must_not_be_too_deep():
    deep = "[" * 300 + "]" * 300
    ext = {"gpid": "typed", "raw_json": f'{{"gpid":"raw","a":{deep}}}'}
    assert "at most 254 levels" in refused(BidRequest.Imp(ext=ext))[0]


def _buyer(**fields):
    return BidResponse(ext={"igi": [{"igb": [fields]}]})


def test_faults_in_open_members_are_told():
    assert refused(_buyer(pbs=Value())) == [
        "ext.igi[0].igb[0].pbs: expected a value, got google.protobuf.Value with nothing set"
    ]
    assert refused(_buyer(pbs=Value(number_value=math.nan), ps={"a": math.inf})) == [
        "ext.igi[0].igb[0].pbs: expected finite number, got nan",
        "ext.igi[0].igb[0].ps: expected finite number, got inf",
    ]


def test_values_nested_deeper_than_bytes_carry_are_refused():
    message = _buyer()
    value = message.ext.igi[0].igb[0].pbs
    for _ in range(70):
        value = value.list_value.values.add()
    value.null_value = NULL_VALUE
    assert refused(message) == ["ext.igi[0].igb[0].pbs: expected at most 64 levels of nesting"]


def test_a_null_value_is_null():
    text = codec.write(_buyer(pbs=Value(null_value=NULL_VALUE)))
    assert json.loads(text) == {"ext": {"igi": [{"igb": [{"pbs": None}]}]}}


def test_fields_of_newer_contracts_are_left_out():
    newer = BidRequest(id="1").SerializeToString() + b"\xfa\x7f\x01x"
    assert codec.write(BidRequest.FromString(newer)) == b'{"id":"1"}'


# -- defaults


def test_defaults_are_written_on_demand_where_the_object_is_there():
    request = {"id": "1", "imp": [{"id": "1", "video": {}, "bidfloorcur": "EUR"}], "at": 1}
    message = codec.parse_bid_request(json.dumps(request)).message
    assert codec.to_dict(message) == request
    assert codec.to_dict(message, defaults=True) == {
        "id": "1",
        "at": 1,
        "test": 0,
        "allimps": 0,
        "cattax": 1,
        "imp": [
            {
                "id": "1",
                "bidfloor": 0.0,
                "bidfloorcur": "EUR",
                "instl": 0,
                "rwdd": 0,
                "ssai": 0,
                "video": {
                    "boxingallowed": 1,
                    "minduration": 0,
                    "podseq": 0,
                    "sequence": 0,
                    "skipafter": 0,
                    "skipmin": 0,
                    "slotinpod": 0,
                },
            }
        ],
    }


def test_defaults_reach_typed_members_of_ext_and_native_text():
    imp = BidRequest.Imp(
        ext={"igs": {}, "raw_json": '{"a":1}'},
        native={"request_native": {"assets": [{"id": 1}]}},
    )
    members = codec.to_dict(imp, defaults=True)
    assert members["ext"] == {"igs": {"ae": 1, "biddable": 0}, "a": 1}
    native = json.loads(members["native"]["request"])
    assert native == {"plcmtcnt": 1, "seq": 0, "assets": [{"id": 1, "required": 0}]}


def _defaults_of_the_facts():
    """Message, member and default, of the specification and of IAB's proto."""
    wire = json.loads((DATA / "openrtb_proto_wire.json").read_bytes())["openrtb"]["messages"]
    spec = json.loads((DATA / "openrtb_2_6_fields.json").read_bytes())["objects"]
    inner = {name.rpartition(".")[2].lower(): name for name in reversed(wire) if "Nat" not in name}
    for objects, named in ((wire, str), (spec, lambda name: inner[name.lower()])):
        for name, table in objects.items():
            for member, facts in table["fields"].items():
                if "default" in facts:
                    yield named(name), member, facts["default"]


def test_defaults_are_those_of_the_specification_and_of_iabs_proto():
    facts = set(_defaults_of_the_facts())
    assert len(facts) > 40
    assert {(name, *item) for name, table in DEFAULTS.items() for item in table.items()} == facts
