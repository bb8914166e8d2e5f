"""What the codec reads as what, and what it refuses, member by member."""

import json
import math
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp_server.errors import InvalidJson, JsonSyntax, TooDeep
from xsp_server.openrtb import codec
from xsp_server.openrtb.codec import careful, reader

INT32 = "integer from -2147483648 to 2147483647"


def refused(text, message_type=BidRequest, **options):
    with pytest.raises(InvalidJson) as caught:
        codec.parse(message_type, text, **options)
    return [str(violation) for violation in caught.value.violations]


def trip(text, message_type=BidRequest, **options):
    return json.loads(codec.write(codec.parse(message_type, text, **options).message))


# -- types


@pytest.mark.parametrize("value", ["0", "1", "false", "true", "1.0", "0.0"])
def test_a_flag_is_0_or_1_or_a_boolean_and_written_as_0_or_1(value):
    assert trip(f'{{"test": {value}}}') == {"test": int(json.loads(value))}
    assert codec.write(BidRequest(test=True)) == b'{"test":1}'


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("2", "2"),
        ("-1", "-1"),
        ("0.5", "0.5"),
        ("1.00000000000000000001", "1.00000000000000000001"),
        ('"1"', "string"),
        ("[]", "array"),
        ("{}", "object"),
    ],
)
def test_a_flag_is_nothing_else(value, got):
    assert refused(f'{{"test": {value}}}') == [f"test: expected 0 or 1, got {got}"]


@pytest.mark.parametrize(
    ("value", "read"),
    [("3", 3), ("3.0", 3), ("3e0", 3), ("30E-1", 3), ("-2147483648", -(2**31)), ("-0.0", 0)],
)
def test_an_integer_may_be_spelt_as_any_number_that_is_one(value, read):
    assert codec.parse_bid_request(f'{{"at": {value}}}').message.at == read


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("true", "expected integer, got boolean"),
        ('"3"', "expected integer, got string"),
        ("3.5", "expected integer, got 3.5"),
        ("3.00000000000000000001", "expected integer, got 3.00000000000000000001"),
        ("[3]", "expected integer, got array"),
        ('{"a": 1}', "expected integer, got object"),
        ("2147483648", f"expected {INT32}, got 2147483648"),
        ("-2147483649", f"expected {INT32}, got -2147483649"),
        ("18446744073709551616", f"expected {INT32}, got 18446744073709551616"),
        ("1e300", f"expected {INT32}, got 1e+300"),
        ("9" * 99, f"expected {INT32}, got {'9' * 30}..."),
    ],
)
def test_an_integer_is_nothing_else(value, complaint):
    assert refused(f'{{"at": {value}}}') == [f"at: {complaint}"]


@pytest.mark.parametrize(
    ("value", "read"),
    [("1", 1.0), ("0.85", 0.85), ("1e-9", 1e-9), (str(2**64), 2.0**64), ("0." + "1" * 40, 1 / 9)],
)
def test_a_number_may_be_any_number(value, read):
    message = codec.parse(BidRequest.Imp, f'{{"bidfloor": {value}}}').message
    assert message.bidfloor == read


@pytest.mark.parametrize(
    ("value", "got"), [("true", "boolean"), ('"1"', "string"), ("[1]", "array"), ("{}", "object")]
)
def test_a_number_is_nothing_else(value, got):
    assert refused(f'{{"bidfloor": {value}}}', BidRequest.Imp) == [
        f"bidfloor: expected number, got {got}"
    ]


@pytest.mark.parametrize(
    ("value", "got"), [("1", "integer"), ("1.5", "number"), ("true", "boolean"), ("[]", "array")]
)
def test_a_string_is_a_string(value, got):
    assert refused(f'{{"id": {value}}}') == [f"id: expected string, got {got}"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"cur": "USD"}', "cur: expected array, got string"),
        ('{"cur": ""}', "cur: expected array, got string"),
        ('{"cur": {"a": 1}}', "cur: expected array, got object"),
        ('{"cur": {}}', "cur: expected array, got object"),
        ('{"cur": ["USD", 3]}', "cur[1]: expected string, got integer"),
        ('{"cur": ["USD", null]}', "cur[1]: expected string, got null"),
        ('{"imp": {}}', "imp: expected array, got object"),
        ('{"imp": ""}', "imp: expected array, got string"),
        ('{"imp": [{}, []]}', "imp[1]: expected object, got array"),
        ('{"imp": [null]}', "imp[0]: expected object, got null"),
        ('{"imp": [{"banner": {"api": "7"}}]}', "imp[0].banner.api: expected array, got string"),
        (
            '{"imp": [{"banner": {"api": [true]}}]}',
            "imp[0].banner.api[0]: expected integer, got boolean",
        ),
        ('{"site": []}', "site: expected object, got array"),
        ('{"site": ""}', "site: expected object, got string"),
        ('{"ext": []}', "ext: expected object, got array"),
        ('{"site": {"publisher": {"ext": 1}}}', "site.publisher.ext: expected object, got integer"),
    ],
)
def test_arrays_and_objects_are_that(text, complaint):
    assert refused(text) == [complaint]


def test_null_is_absent():
    text = '{"id": null, "test": null, "cur": null, "site": null, "imp": [{"bidfloor": null}]}'
    assert codec.parse_bid_request(text).message == BidRequest(imp=[{}])


def test_an_empty_array_is_absent():
    assert trip('{"cur": [], "imp": []}') == {}


def test_an_empty_object_stays():
    assert trip('{"site": {"ext": {}}, "imp": [{}]}') == {"site": {"ext": {}}, "imp": [{}]}


def test_absent_and_zero_differ():
    request = {"id": "", "test": 0, "at": 0, "imp": [{"bidfloor": 0.0}]}
    assert trip(json.dumps(request)) == request


def test_of_a_member_that_stands_twice_the_last_one_counts():
    assert trip('{"id": "1", "id": "2", "ext": {"a": 1, "a": 2}}') == {"id": "2", "ext": {"a": 2}}


def test_the_wrong_type_is_told_with_its_path():
    assert refused('{"imp": [{"banner": {"w": "3"}}]}') == [
        "imp[0].banner.w: expected integer, got string"
    ]


def test_all_violations_are_told_at_once():
    assert refused('{"id": 1, "imp": [{"instl": 2}, {"banner": {"w": true, "h": 250}}]}') == [
        "id: expected string, got integer",
        "imp[0].instl: expected 0 or 1, got 2",
        "imp[1].banner.w: expected integer, got boolean",
    ]


def test_no_more_than_a_hundred_violations_are_told():
    assert len(refused(json.dumps({"cur": [1] * 500}))) == 100


def test_a_path_is_cut_to_a_length_that_can_be_told():
    buyer = {"ps": {"x" * 9999: True}}
    (told,) = refused(json.dumps(buyer), BidResponse.InterestGroupAuctionBuyer)
    assert len(told) < 300


# -- the document


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "expected JSON, got an empty document"),
        (b" \n", "expected JSON, got an empty document"),
        (b"{", "not JSON at line 1 column 2: unexpected end of data"),
        (b"[" * 1000, "not JSON at line 1 column 582: more is opened than closed"),
        (b'{"id":\n "1', "not JSON at line 2 column "),
        (b'{"id": "1"} x', "not JSON at line 1 column 13"),
        (b'{"at": NaN}', "not JSON at line 1 column 8"),
        (b'{"at": -Infinity}', "not JSON at line 1 column "),
        (b'{"at": 1e999}', "not JSON at line 1 column 8"),
        (b'{"id": "\\ud800"}', "not JSON at line 1 column "),
        (b'{"id": "\xff"}', "expected UTF-8, got another byte at 8"),
        ('{"id": "\ud800"}', "expected UTF-8, got another byte at 8"),
        (b"\xef\xbb\xbf{}", "not JSON at line 1 column 1"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(data, complaint):
    with pytest.raises(JsonSyntax) as caught:
        codec.parse_bid_request(data)
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("text", "got"),
    [("[]", "array"), ('"x"', "string"), ("1", "integer"), ("null", "null"), ("true", "boolean")],
)
def test_the_root_is_an_object(text, got):
    assert refused(text) == [f"expected object, got {got}"]


def test_text_may_be_str_or_bytes():
    assert trip('{"id": "é"}') == trip('{"id": "é"}'.encode()) == {"id": "é"}


@pytest.mark.parametrize("depth", [1025, 100_000])
def test_nesting_beyond_what_json_is_read_to_is_too_deep(depth):
    with pytest.raises(TooDeep, match="1024 levels"):
        codec.parse_bid_request("[" * depth + "]" * depth)


def test_deep_nesting_in_what_is_left_out_is_harmless():
    deep = "[" * 1000 + "]" * 1000
    assert codec.parse_bid_request(f'{{"x": {deep}}}').unknown == ("x",)


def test_deep_nesting_beside_a_violation_ends_in_either_error():
    deep = "[" * 1000 + "]" * 1000
    with pytest.raises((TooDeep, InvalidJson)):
        codec.parse_bid_request(f'{{"at": "x", "x": {deep}}}')


def test_text_that_python_can_no_longer_follow_is_too_deep(monkeypatch):
    def exhausted(_text):
        raise RecursionError

    monkeypatch.setattr(reader.exact, "load", exhausted)
    with pytest.raises(TooDeep):
        codec.parse_bid_request('{"at": "x"}')


# -- what excludes each other


@pytest.mark.parametrize(
    ("message_type", "text", "complaint"),
    [
        (BidRequest, '{"app": {}, "site": {}}', "site: at most one of site, app, dooh"),
        (BidRequest, '{"dooh": {}, "app": {}}', "app: at most one of site, app, dooh"),
        (
            NativeRequest,
            '{"assets": [{"data": {}, "img": {}}]}',
            "assets[0].img: at most one of title, img, video, data",
        ),
        (
            NativeResponse,
            '{"assets": [{"title": {}, "video": {}}]}',
            "assets[0].title: at most one of title, img, video, data",
        ),
    ],
)
def test_at_most_one_of_a_oneof_may_be_there(message_type, text, complaint):
    assert refused(text, message_type) == [complaint]


def test_a_null_excludes_nothing():
    assert trip('{"app": {"id": "1"}, "site": null}') == {"app": {"id": "1"}}


# -- unknown members


def test_unknown_members_are_left_out_and_told_with_their_paths():
    parsed = codec.parse_bid_request(
        '{"zzz": 1, "imp": [{}, {"banner": {"foo": null}}], "device": {"geo": {"long": 1}}}'
    )
    assert parsed.unknown == ("device.geo.long", "imp[1].banner.foo", "zzz")
    assert json.loads(codec.write(parsed.message)) == {
        "imp": [{}, {"banner": {}}],
        "device": {"geo": {}},
    }


def test_the_careful_walk_tells_the_same_unknown_members():
    quick = codec.parse_bid_request('{"zzz": 1, "imp": [{"foo": {}, "id": "1"}], "at": 1}')
    slow = codec.parse_bid_request('{"zzz": 1, "imp": [{"foo": {}, "id": "1"}], "at": 1.0}')
    assert slow == quick


@pytest.mark.parametrize("number", ["1", "1.0"])
def test_no_more_than_a_hundred_unknown_members_are_told(number):
    many = {f"x{index}": index for index in range(500)} | {"at": 1}
    assert (
        len(codec.parse_bid_request(json.dumps(many).replace('"at": 1', f'"at": {number}')).unknown)
        == 100
    )


def test_many_unknown_members_cost_no_more_than_their_number():
    many = json.dumps({f"x{index}": index for index in range(200_000)})
    assert len(codec.parse_bid_request(many).unknown) == 100


def test_fields_of_our_own_are_unknown_in_json():
    text = '{"imp": [{"native": {"request_native": {}}}], "ext": {"raw_json": "x"}}'
    parsed = codec.parse_bid_request(text)
    assert parsed.unknown == ("imp[0].native.request_native",)
    assert json.loads(codec.write(parsed.message))["ext"] == {"raw_json": "x"}


# -- coercion


def test_text_of_numbers_and_numbers_as_text_are_taken_on_demand_and_told():
    text = """{"id": 5, "tmax": "250", "test": "1", "wseat": [7.5, "a"],
               "imp": [{"bidfloor": "0.5", "banner": {"api": ["5", 6]}}]}"""
    parsed = codec.parse_bid_request(text, coerce=True)
    assert json.loads(codec.write(parsed.message)) == {
        "id": "5",
        "tmax": 250,
        "test": 1,
        "wseat": ["7.5", "a"],
        "imp": [{"bidfloor": 0.5, "banner": {"api": [5, 6]}}],
    }
    assert parsed.coerced == (
        "id",
        "imp[0].banner.api[0]",
        "imp[0].bidfloor",
        "test",
        "tmax",
        "wseat[0]",
    )


def test_a_number_becomes_the_text_that_was_written():
    text = f'{{"id": {10**30}, "cur": [0.{"1" * 30}]}}'
    message = codec.parse_bid_request(text, coerce=True).message
    assert (message.id, message.cur[0]) == (str(10**30), "0." + "1" * 30)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"at": "three"}', "at: expected integer, got string"),
        ('{"at": ""}', "at: expected integer, got string"),
        ('{"at": " 3"}', "at: expected integer, got string"),
        ('{"at": "0x3"}', "at: expected integer, got string"),
        ('{"at": "٣"}', "at: expected integer, got string"),
        ('{"at": "1e999"}', "at: expected integer, got string"),
        ('{"at": "3.5"}', "at: expected integer, got 3.5"),
        ('{"at": "3000000000"}', f"at: expected {INT32}, got 3000000000"),
        ('{"at": true}', "at: expected integer, got boolean"),
        ('{"test": "2"}', "test: expected 0 or 1, got 2"),
        ('{"id": true}', "id: expected string, got boolean"),
    ],
)
def test_coercion_takes_nothing_but_numbers(text, complaint):
    assert refused(text, coerce=True) == [complaint]


def test_coercion_leaves_right_types_alone():
    assert codec.parse_bid_request('{"at": 1}', coerce=True) == (BidRequest(at=1), (), ())


def test_nothing_is_coerced_in_ext():
    text = '{"imp": [{"id": 1, "ext": {"gpid": 7}}]}'
    assert trip(text, coerce=True) == {"imp": [{"id": "1", "ext": {"gpid": 7}}]}


# -- the four roots


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (codec.parse_bid_request, BidRequest(id="1")),
        (codec.parse_bid_response, BidResponse(id="1")),
        (codec.parse_native_request, NativeRequest(ver="1.2")),
        (codec.parse_native_response, NativeResponse(ver="1.2")),
    ],
)
def test_each_root_has_a_function_of_its_own(parse, message):
    assert parse(codec.write(message)) == (message, (), ())


# -- native


@pytest.mark.parametrize(
    ("parse", "members"),
    [
        (codec.parse_native_request, {"ver": "1.2", "assets": [{"id": 1, "title": {"len": 25}}]}),
        (codec.parse_native_response, {"ver": "1.2", "link": {"url": "https://a.example/"}}),
    ],
)
def test_a_native_document_may_be_wrapped(parse, members):
    bare = parse(json.dumps(members))
    assert json.loads(codec.write(bare.message)) == members
    assert parse(json.dumps({"native": members})) == bare


def test_beside_the_wrapped_root_everything_is_unknown():
    parsed = codec.parse_native_request('{"x": 1, "native": {"ver": "1.2", "y": 2}}')
    assert parsed == (NativeRequest(ver="1.2"), ("native.y", "x"), ())
    assert codec.parse_native_request('{"x": 1, "native": {"seq": 0.0, "y": 2}}').unknown == (
        "native.y",
        "x",
    )


def test_a_null_wraps_nothing():
    parsed = codec.parse_native_request('{"native": null, "ver": "1.2"}')
    assert parsed == (NativeRequest(ver="1.2"), ("native",), ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"native": "x"}', "native: expected object, got string"),
        ('{"native": {"ver": 1}}', "native.ver: expected string, got integer"),
        ('{"ver": 1}', "ver: expected string, got integer"),
        ("[]", "expected object, got array"),
    ],
)
def test_paths_in_a_wrapped_document_begin_with_the_wrapper(text, complaint):
    with pytest.raises(InvalidJson) as caught:
        codec.parse_native_response(text)
    assert [str(violation) for violation in caught.value.violations] == [complaint]


def test_a_native_request_in_the_message_is_written_as_text():
    request = NativeRequest(ver="1.2", privacy=True, ext={"raw_json": '{"a":1}'})
    message = BidRequest(imp=[{"native": {"request_native": request, "ver": "1.2"}}])
    (imp,) = json.loads(codec.write(message))["imp"]
    assert imp["native"]["ver"] == "1.2"
    assert json.loads(imp["native"]["request"]) == {"ver": "1.2", "privacy": 1, "ext": {"a": 1}}
    assert codec.parse_native_request(imp["native"]["request"]).message == request


def test_a_native_response_in_the_message_is_written_as_text():
    response = NativeResponse(link={"url": "https://a.example/"})
    message = BidResponse(seatbid=[{"bid": [{"adm_native": response}]}])
    adm = json.loads(codec.write(message))["seatbid"][0]["bid"][0]["adm"]
    assert codec.parse_native_response(adm).message == response


def test_native_text_is_kept_as_text():
    text = json.dumps({"imp": [{"native": {"request": '{"native": {}} '}}]})
    message = codec.parse_bid_request(text).message
    assert message.imp[0].native.request == '{"native": {}} '


# -- open members: any JSON, numbers by name


@pytest.mark.parametrize(
    "value", ['"x"', "1", "1.5", "true", "[1, null, [{}]]", '{"a": {"b": []}}']
)
def test_a_value_holds_any_json(value):
    text = f'{{"config": {value}}}'
    message_type = BidResponse.InterestGroupAuctionSeller
    assert trip(text, message_type) == json.loads(text)
    assert codec.write(codec.parse(message_type, '{"config": 3}').message) == b'{"config":3}'


def test_numbers_by_name_are_a_map():
    text = '{"ps": {"a": 1, "b": -0.5}, "maxbid": 1e300}'
    message = codec.parse(BidResponse.InterestGroupAuctionBuyer, text).message
    assert dict(message.ps) == {"a": 1.0, "b": -0.5}
    assert json.loads(codec.write(message)) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"ps": []}', "ps: expected object, got array"),
        ('{"ps": {"a": true}}', "ps.a: expected number, got boolean"),
        ('{"ps": {"a": null}}', "ps.a: expected number, got null"),
    ],
)
def test_numbers_by_name_are_nothing_else(text, complaint):
    assert refused(text, BidResponse.InterestGroupAuctionBuyer) == [complaint]


def test_a_value_that_bytes_could_not_carry_is_too_deep():
    deep = "[" * 17 + "]" * 17
    with pytest.raises(TooDeep, match="config: expected at most 16 levels"):
        codec.parse(BidResponse.InterestGroupAuctionSeller, f'{{"config": {deep}}}')


def test_numbers_beyond_a_double_are_rounded_where_the_member_itself_is_the_root():
    text = '{"maxbid": "1", "pbs": [0.1234567890123456789], "ps": {"a": 0.1234567890123456789}}'
    message = codec.parse(BidResponse.InterestGroupAuctionBuyer, text, coerce=True).message
    assert message.pbs.list_value.values[0].number_value == message.ps["a"] == 0.12345678901234568


# -- dicts


def test_dicts_are_read_as_their_json_and_left_as_they_are():
    members = {"id": "1", "imp": [{"ext": {"big": 2**70, "gpid": "g"}}], "foo": (1, 2)}
    parsed = codec.from_dict(BidRequest, members)
    assert parsed.unknown == ("foo",)
    assert members["imp"] == [{"ext": {"big": 2**70, "gpid": "g"}}]
    assert codec.to_dict(parsed.message) == {"id": "1", "imp": members["imp"]}


def test_dicts_may_be_coerced():
    assert codec.from_dict(BidRequest, {"at": "1"}, coerce=True).coerced == ("at",)


def _endless():
    members = {}
    members["ext"] = members
    return members


@pytest.mark.parametrize("members", [{"at": math.nan}, {"x": Decimal(1)}, _endless()])
def test_dicts_of_what_json_has_not_are_refused(members):
    with pytest.raises(InvalidJson, match="expected values that JSON has"):
        codec.from_dict(BidRequest, members)


def test_dicts_nested_beyond_what_python_follows_are_too_deep():
    members = {}
    for _ in range(100_000):
        members = {"ext": members}
    with pytest.raises(TooDeep):
        codec.from_dict(BidRequest, members)


def test_a_type_that_openrtb_json_does_not_have_is_refused():
    with pytest.raises(TypeError, match=r"Timestamp.seconds: OpenRTB JSON has no form"):
        codec.parse(Timestamp, "{}")


# -- the two ways


def test_a_regular_document_takes_the_quick_way(monkeypatch, sample_json):
    monkeypatch.setattr(careful.Walk, "document", None)
    text = json.dumps(sample_json)
    assert json.loads(codec.write(codec.parse_bid_request(text).message)) == sample_json
