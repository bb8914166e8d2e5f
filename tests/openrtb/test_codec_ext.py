"""`ext` comes back whole, whatever is in it."""

import json

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.errors import TooDeep
from xsp_server.openrtb import codec


def ext_of(text, message_type=BidRequest):
    return codec.parse(message_type, f'{{"ext": {text}}}').message.ext


def written(text, message_type=BidRequest):
    message = codec.parse(message_type, f'{{"ext": {text}}}').message
    return codec.write(message).decode().removeprefix('{"ext":').removesuffix("}")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"b":1,"a":2,"c":{"z":1,"y":2}}',
        '{"n":null,"l":[null,{"n":null}],"e":{},"f":[]}',
        '{"t":true,"f":false,"s":"\\u0000\\"\\\\é","raw_json":"{}"}',
        '{"n":9007199254740993,"m":-9007199254740993,"u":18446744073709551615}',
        '{"n":18446744073709551616,"m":-9223372036854775809,"l":[123456789012345678901234567890]}',
        '{"n":0.1234567890123456789,"m":[-1.00000000000000000001,3.14]}',
        '{"n":123456789012.1234567}',
        '{"n":1e-400}',
        '{"n":2.5e-99999999999999999999}',
    ],
)
def test_members_without_a_field_come_back_as_they_were(text):
    assert ext_of(text).raw_json == ("" if text == "{}" else text)
    assert written(text) == text


def test_a_number_that_a_double_holds_may_be_spelt_anew():
    assert written('{"a": 1.50, "b": 1E3, "c": 3.0e0}') == '{"a":1.5,"b":1000.0,"c":3.0}'


def test_spaces_go():
    assert written('{ "a" : [ 1 , 2 ] }') == '{"a":[1,2]}'


def test_members_with_a_field_are_typed_and_the_rest_is_raw():
    ext = ext_of('{"z": 1, "gpid": "g", "igs": {"ae": 3, "biddable": true}}', BidRequest.Imp)
    assert ext == BidRequest.Imp.Ext(gpid="g", igs={"ae": 3, "biddable": True}, raw_json='{"z":1}')


def test_typed_and_raw_members_are_written_as_one_object():
    message = BidRequest.Imp(ext={"gpid": "g", "raw_json": ' {"z": 1} '})
    assert json.loads(codec.write(message)) == {"ext": {"gpid": "g", "z": 1}}


def test_where_all_members_are_typed_nothing_is_raw():
    ext = ext_of('{"gpid": "g"}', BidRequest.Imp)
    assert not ext.HasField("raw_json")


def test_objects_in_a_typed_member_have_an_ext_of_their_own():
    text = '{"schain":{"complete":1,"nodes":[{"asi":"a","ext":{"x":[1]}}],"ext":{"y":null}}}'
    ext = ext_of(text, BidRequest.Source)
    assert ext.schain.nodes[0].ext.raw_json == '{"x":[1]}'
    assert json.loads(written(text, BidRequest.Source)) == json.loads(text)


@pytest.mark.parametrize(
    ("message_type", "text"),
    [
        (BidRequest.Imp, '{"gpid":5}'),
        (BidRequest.Imp, '{"gpid":null}'),
        (BidRequest.Imp, '{"intrinsic":2}'),
        (BidRequest.Imp, '{"intrinsic":1.0}'),
        (BidRequest.Imp, '{"intrinsic":"1"}'),
        (BidRequest.Imp, '{"igs":[{"ae":1}]}'),
        (BidRequest.Imp, '{"igs":{"ae":1.0}}'),
        (BidRequest.Imp, '{"igs":{"ae":true}}'),
        (BidRequest.Imp, '{"igs":{"ae":2147483648}}'),
        (BidRequest.Imp, '{"igs":{"ae":1,"unknown":1}}'),
        (BidRequest.Imp, '{"igs":{"ae":null}}'),
        (BidRequest.Imp, '{"skadn":{"versions":[]}}'),
        (BidRequest.Imp, '{"skadn":{"versions":["2.0",3]}}'),
        (BidRequest.Imp, '{"skadn":{"ext":1}}'),
        (BidRequest.Imp, '{"skadn":{"skadnetlist":{"excl":[true]}}}'),
        (BidRequest.Imp, '{"skadn":{"skadnetlist":{"excl":[1,2147483648]}}}'),
        (BidRequest.User, '{"eids":{}}'),
        (BidRequest.User, '{"eids":[]}'),
        (BidRequest.User, '{"eids":[null]}'),
        (BidRequest.User, '{"eids":[{"uids":[{"id":7}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"maxbid":0.12345678901234567891}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"maxbid":9007199254740993}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"maxbid":true}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"ps":{}}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"ps":[]}]}]}'),
        (BidResponse, '{"igi":[{"igb":[{"ps":{"a":"1"}}]}]}'),
        (BidResponse, '{"igi":[{"igs":[{"config":null}]}]}'),
        (BidResponse, '{"igi":[{"igs":[{"config":18446744073709551617}]}]}'),
        (BidResponse, '{"igi":[{"igs":[{"config":{"a":[9007199254740993]}}]}]}'),
        (BidResponse, '{"igi":[{"igs":[{"config":%s}]}]}' % ("[" * 17 + "]" * 17)),
    ],
)
def test_a_member_that_its_field_would_change_stays_raw(message_type, text):
    assert ext_of(text, message_type).raw_json == text
    assert written(text, message_type) == text


def test_what_a_field_may_change_is_how_a_flag_is_spelt():
    assert written('{"intrinsic": true}', BidRequest.Imp) == '{"intrinsic":1}'


def test_open_members_are_typed():
    text = '{"igi":[{"igb":[{"pbs":{"a":[1,0.5,null,"x",true]},"ps":{"b":2.5}}]}]}'
    ext = ext_of(text, BidResponse)
    (buyer,) = ext.igi[0].igb
    assert buyer.ps["b"] == 2.5
    assert buyer.pbs.struct_value.fields["a"].list_value.values[3].string_value == "x"
    assert written(text, BidResponse) == text


def test_a_fraction_alone_needs_no_second_look(monkeypatch):
    monkeypatch.setattr("xsp_server.openrtb.codec.reader.exact.load", None)
    assert written('{"floor":0.5,"version":"1.2","far":1e30}') == (
        '{"floor":0.5,"version":"1.2","far":1e+30}'
    )


def test_the_document_is_searched_once_however_many_ext_objects_it_has(monkeypatch):
    class Counting:
        asked = 0

        def search(self, _text):
            self.asked += 1

    counting = Counting()
    monkeypatch.setattr("xsp_server.openrtb.codec.exact._LONG_NUMBER", counting)
    imps = ",".join(['{"ext":{"a":0.5}}'] * 9)
    codec.parse_bid_request(f'{{"imp":[{imps}]}}')
    assert counting.asked == 1


def test_ext_may_be_nested_254_levels_deep_and_no_deeper():
    assert len(written('{"a":' * 254 + "1" + "}" * 254)) > 254
    with pytest.raises(TooDeep, match=r"^imp\[1\].ext: expected at most 254 levels of nesting$"):
        codec.parse_bid_request('{"imp":[{},{"ext":' + '{"a":' * 255 + "1" + "}" * 255 + "}]}")
