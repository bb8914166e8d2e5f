"""OpenRTB dicts <-> messages, as the client turns one into the other."""

import json
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp.openrtb.v2.bid_response_pb2 import BidResponse, NativeResponse
from xsp_client import InvalidMessageError, InvalidRequestError, to_dict, to_message
from xsp_client._json import _members

Imp = BidRequest.Imp


def there_and_back(value: Mapping[str, Any], kind: type = BidRequest) -> dict[str, Any]:
    return to_dict(kind.FromString(to_message(value, kind).SerializeToString()))


def violations(value: object, kind: type = BidRequest) -> list[str]:
    with pytest.raises(InvalidRequestError) as caught:
        to_message(value, kind)
    return [str(violation) for violation in caught.value.violations]


def test_members_go_into_the_fields_of_their_names():
    request = to_message(
        {
            "id": "1",
            "test": 1,
            "cur": ["EUR", "USD"],
            "imp": [{"id": "a", "bidfloor": 0.5, "banner": {"format": [{"w": 300, "h": 250}]}}],
            "app": {"paid": 0},
        },
        BidRequest,
    )
    assert request == BidRequest(
        id="1",
        test=True,
        cur=["EUR", "USD"],
        imp=[
            Imp(
                id="a",
                bidfloor=0.5,
                banner=BidRequest.Banner(format=[BidRequest.Format(w=300, h=250)]),
            )
        ],
        app=BidRequest.App(paid=False),
    )


def test_absent_stays_absent_and_zero_stays_zero():
    value = {"tmax": 0, "test": 0, "id": "", "imp": [{"bidfloor": 0.0, "banner": {}, "ext": {}}]}
    assert there_and_back(value) == value
    assert there_and_back({}) == {}


def test_none_is_the_same_as_absent():
    assert there_and_back({"id": "1", "site": None, "cur": None}) == {"id": "1"}


def test_flags_come_out_as_0_and_1():
    value = there_and_back({"test": True, "allimps": False, "imp": [{"secure": 1}]})
    assert json.dumps(value) == '{"imp": [{"secure": 1}], "allimps": 0, "test": 1}'


def test_a_whole_float_is_an_integer_and_an_integer_is_a_number():
    value = there_and_back({"tmax": 200.0, "imp": [{"bidfloor": 2}]})
    assert json.dumps(value) == '{"imp": [{"bidfloor": 2.0}], "tmax": 200}'


def test_any_mapping_and_any_tuple_will_do():
    value = MappingProxyType({"id": "1", "cur": ("EUR",), "site": MappingProxyType({"id": "s"})})
    assert there_and_back(value) == {"id": "1", "cur": ["EUR"], "site": {"id": "s"}}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"foo": 1}, "foo: not a member of OpenRTB here; others go into ext"),
        ({"imp": [{}, {"banner": {"foo": 1}}]}, "imp[1].banner.foo: not a member of OpenRTB here"),
        ({"raw_json": "{}"}, "raw_json: not a member of OpenRTB here"),
        ({"id": 1}, "id: expected string, got integer"),
        ({"id": b"1"}, "id: expected string, got bytes"),
        ({"id": "\ud800"}, "id: expected text that UTF-8 can carry, got a lone surrogate"),
        ({"imp": [{"banner": {"w": "300"}}]}, "imp[0].banner.w: expected integer, got string"),
        ({"tmax": True}, "tmax: expected integer, got boolean"),
        ({"tmax": 1.5}, "tmax: expected integer, got number"),
        ({"tmax": float("inf")}, "tmax: expected integer, got number"),
        (
            {"tmax": 2**31},
            "tmax: expected integer from -2147483648 to 2147483647, got 2147483648",
        ),
        (
            {"tmax": -(2**31) - 1},
            "tmax: expected integer from -2147483648 to 2147483647, got -2147483649",
        ),
        (
            {"tmax": 10**5000},
            "tmax: expected integer from -2147483648 to 2147483647, got a larger one",
        ),
        ({"test": 2}, "test: expected 0 or 1, got 2"),
        ({"test": "1"}, "test: expected 0 or 1, got string"),
        ({"test": 0.5}, "test: expected 0 or 1, got number"),
        ({"imp": [{"bidfloor": "1"}]}, "imp[0].bidfloor: expected number, got string"),
        ({"imp": [{"bidfloor": True}]}, "imp[0].bidfloor: expected number, got boolean"),
        ({"imp": [{"bidfloor": float("nan")}]}, "imp[0].bidfloor: expected finite number, got nan"),
        (
            {"imp": [{"bidfloor": 10**400}]},
            "imp[0].bidfloor: expected number that a double holds, got a larger one",
        ),
        ({"imp": {}}, "imp: expected array, got object"),
        ({"imp": "1"}, "imp: expected array, got string"),
        ({"imp": [None]}, "imp[0]: expected object, got null"),
        ({"imp": [[]]}, "imp[0]: expected object, got array"),
        ({"cur": ["USD", 1]}, "cur[1]: expected string, got integer"),
        ({"site": "x"}, "site: expected object, got string"),
        ({"ext": []}, "ext: expected object, got array"),
        ({"imp": [{"ext": 1}]}, "imp[0].ext: expected object, got integer"),
        (
            {"site": {}, "app": {}},
            "app: expected at most one of site, app, dooh, got site as well",
        ),
        (
            {"imp": [{"native": {"request": {"ver": "1.2"}}}]},
            "imp[0].native.request: expected string, got object",
        ),
        ({"imp": [{"native": {"request_native": {}}}]}, "imp[0].native.request_native: not a"),
        ({"ext": {"a": {1}}}, "ext: expected JSON values: Object of type set is not"),
        ({"ext": {"a": float("nan")}}, "ext: expected JSON values: Out of range float"),
        ({"ext": {"a": "\ud800"}}, "ext: expected text that UTF-8 can carry, got a lone surrogate"),
    ],
)
def test_what_does_not_fit_is_told_with_its_path(value, told):
    (only,) = violations(value)
    assert only.startswith(told)


def test_a_request_that_is_no_object_is_told():
    assert violations(["x"]) == ["expected object, got array"]


def test_an_ext_nested_without_end_is_told():
    ext: dict[str, Any] = {}
    ext["self"] = ext
    (only,) = violations({"ext": ext})
    assert only.startswith("ext: expected JSON values: ")
    (only,) = violations({"ext": {"deep": nested(100_000)}})
    assert only.startswith("ext: expected JSON values: ")


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_an_ext_of_a_hundred_levels_survives():
    ext = {"x": nested(100), "skadn": {"ext": {"x": nested(100)}}}
    assert there_and_back({"ext": ext}, Imp) == {"ext": ext}


@pytest.mark.parametrize("depth", [*range(200, 1200, 25), *range(1488, 1500), *range(9988, 10000)])
def test_an_ext_nested_about_as_deep_as_python_goes_never_ends_in_a_recursion_error(depth):
    ext = {"x": nested(depth), "skadn": {"ext": {"x": nested(depth)}}}
    with suppress(InvalidRequestError, InvalidMessageError):
        to_dict(to_message({"ext": ext}, Imp))


def test_a_member_too_deep_to_be_compared_is_kept_as_text():
    class Deep(str):
        __slots__ = ()
        __hash__ = None

        def __eq__(self, other):
            raise RecursionError

    assert to_message({"ext": {"gpid": Deep("x")}}, Imp).ext.raw_json == '{"gpid":"x"}'


def test_all_that_is_wrong_is_told_at_once():
    wrong = {"id": 1, "imp": [{"foo": 1}, {"banner": []}], "cur": [1, 2]}
    assert len(violations(wrong)) == 5


def test_members_of_an_ext_that_iab_defines_are_typed():
    imp = to_message({"ext": {"gpid": "/1/home", "skadn": {"skoverlay": 1}}}, Imp)
    assert imp.ext.gpid == "/1/home"
    assert imp.ext.skadn.skoverlay is True
    assert not imp.ext.HasField("raw_json")


def test_all_other_members_of_an_ext_are_kept_as_json_text():
    ext = {"gpid": "/1/home", "prebid": {"b": [2**60, None, True, 1e-7], "a": "é"}, "z": {}}
    imp = to_message({"ext": ext}, Imp)
    assert (
        imp.ext.raw_json == '{"prebid":{"b":[1152921504606846976,null,true,1e-07],"a":"é"},"z":{}}'
    )
    assert json.dumps(to_dict(imp)["ext"], sort_keys=True) == json.dumps(ext, sort_keys=True)


@pytest.mark.parametrize(
    ("kind", "ext"),
    [
        pytest.param(Imp, {"gpid": 7}, id="of another type"),
        pytest.param(Imp, {"gpid": None}, id="null"),
        pytest.param(Imp, {"skadn": {"version": None}}, id="with a null inside"),
        pytest.param(Imp, {"skadn": {"versions": []}}, id="with an empty array inside"),
        pytest.param(Imp, {"skadn": {"foo": 1}}, id="with an unknown member inside"),
        pytest.param(Imp, {"intrinsic": 2}, id="out of range"),
        pytest.param(BidRequest.Data, {"cids": []}, id="an empty array"),
        pytest.param(
            BidResponse, {"igi": [{"igb": [{"pbs": {"n": 2**53 + 1}}]}]}, id="a number too precise"
        ),
        pytest.param(BidResponse, {"igi": [{"igb": [{"ps": {"n": "1"}}]}]}, id="text for a number"),
        pytest.param(BidResponse, {"igi": [{"igb": [{"ps": 1}]}]}, id="no map"),
        pytest.param(BidResponse, {"igi": [{"igb": [{"pbs": 10**400}]}]}, id="above any double"),
        pytest.param(Imp, {"raw_json": "{}"}, id="named like our own field"),
    ],
)
def test_a_member_that_its_field_cannot_hold_is_kept_as_text(kind, ext):
    message = to_message({"ext": ext}, kind)
    assert json.loads(message.ext.raw_json) == ext
    assert to_dict(message)["ext"] == ext


def test_free_json_of_an_auction_in_the_browser_is_typed():
    igb = {"origin": "https://a.example", "pbs": {"x": [1, None]}, "ps": {"p": 0.5}, "maxbid": 2.0}
    ext = {"igi": [{"impid": "1", "igb": [igb]}, {"igs": [{"impid": "2", "config": [True]}]}]}
    response = to_message({"ext": ext}, BidResponse)
    assert response.ext.igi[0].igb[0].ps == {"p": 0.5}
    assert not response.ext.HasField("raw_json")
    assert there_and_back({"ext": ext}, BidResponse) == {"ext": ext}


def test_a_typed_member_wins_over_the_same_one_in_the_text():
    ext = Imp.Ext(gpid="typed", raw_json='{"gpid":"text","x":1}')
    assert to_dict(Imp(ext=ext)) == {"ext": {"gpid": "typed", "x": 1}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        ("[]", "got array"),
        ("1", "got integer"),
        ("[" * 100_000, ""),
    ],
)
def test_an_ext_whose_text_is_no_json_object_is_told(text, told):
    message = Imp(ext=Imp.Ext(raw_json=text))
    with pytest.raises(InvalidMessageError) as caught:
        to_dict(message)
    assert str(caught.value).startswith(
        "xsp.openrtb.v2.BidRequest.Imp.Ext.raw_json: expected a JSON object"
    )
    assert told in str(caught.value)


def test_native_text_stays_text():
    request = {"imp": [{"native": {"request": '{"ver": "1.2"}', "ver": "1.2"}}]}
    response = {"seatbid": [{"bid": [{"adm": "<VAST/>"}]}]}
    assert there_and_back(request) == request
    assert there_and_back(response, BidResponse) == response


def test_native_messages_become_the_text_that_openrtb_has_in_their_place():
    asked = NativeRequest(ver="1.2", assets=[NativeRequest.Asset(id=1, required=True)])
    imp = Imp(native=BidRequest.Native(request_native=asked))
    assert to_dict(imp) == {"native": {"request": '{"ver":"1.2","assets":[{"id":1,"required":1}]}'}}
    answered = NativeResponse(link=NativeResponse.Link(url="https://é.example"))
    bid = BidResponse.Bid(adm_native=answered)
    assert to_dict(bid) == {"adm": '{"link":{"url":"https://é.example"}}'}


KINDS = [
    GetMessageClass(kind)
    for outer in (BidRequest, NativeRequest, BidResponse, NativeResponse)
    for kind in (outer.DESCRIPTOR, *outer.DESCRIPTOR.nested_types)
    # What has free JSON in it is whole only in an ext, where text can stand in.
    if kind.name != "Ext" and not kind.name.startswith("InterestGroupAuction")
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SCALARS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_BOOL: st.sampled_from([0, 1]),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    FieldDescriptor.TYPE_STRING: TEXT,
}


@st.composite
def objects(draw: st.DrawFn, kind: Descriptor) -> dict[str, Any]:
    """A valid OpenRTB object: a few of its members, never two of one oneof, no empty arrays."""
    members = list(_members(kind).values())
    chosen = draw(
        st.lists(
            st.sampled_from(members),
            max_size=4,
            unique_by=lambda f: f.containing_oneof.name if f.containing_oneof else f.name,
        )
    )
    return {field.name: draw(values(field)) for field in chosen}


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.name == "ext":
        return exts(field.message_type)
    one = objects(field.message_type) if field.message_type else SCALARS[field.type]
    return st.lists(one, min_size=1, max_size=2) if field.is_repeated else one


@st.composite
def exts(draw: st.DrawFn, kind: Descriptor) -> dict[str, Any]:
    """Any JSON object, some members under the names of typed fields, fitting or not."""
    members = {name: field for name, field in _members(kind).items() if name != "igi"}
    ext = draw(st.dictionaries(TEXT | st.sampled_from([*members, "x"]), JSON, max_size=3))
    for name in draw(st.sets(st.sampled_from([*members, "x"]), max_size=2)) & members.keys():
        ext[name] = draw(values(members[name]))
    return ext


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=st.data())
def test_dict_message_bytes_message_dict_gives_the_same_dict(data):
    kind = data.draw(st.sampled_from(KINDS))
    value = data.draw(objects(kind.DESCRIPTOR))
    assert there_and_back(value, kind) == value
