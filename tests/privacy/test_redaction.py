"""How fields are removed, truncated and rounded, in messages and in raw JSON."""

import math

import pytest

from privacy.requests import EIDS, request
from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy import BidderPrivacy, PrivacyPolicy


def see(message, fields, **more):
    """The view, and the changes as path and action."""
    policy = PrivacyPolicy.from_mapping({"rules": {"policy": {"fields": fields}}, **more})
    view = policy.apply(message, BidderPrivacy())
    return view.request, [(change.path, str(change.action)) for change in view.changes]


@pytest.mark.parametrize(
    ("address", "after"),
    [
        ("203.0.113.255", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("2001:DB8:1:FFFF::", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("fe80::%eth0", "fe80::"),
        ("::ffff:203.0.113.9", "::"),
    ],
)
def test_an_address_is_truncated_by_its_own_family(address, after):
    for field in ("ip", "ipv6"):
        message = BidRequest(device={field: address})
        view, changes = see(message, {f"device.{field}": "truncate"})
        assert getattr(view.device, field) == after
        assert changes == [(f"device.{field}", "truncate")]


@pytest.mark.parametrize("address", ["203.0.113.0", "2001:DB8:1::", "192.0.2.0", "::"])
def test_an_address_that_is_short_enough_stays_as_written(address):
    message = BidRequest(device={"ip": address})
    view, changes = see(message, {"device.ip": "truncate"})
    assert view is message
    assert changes == []


@pytest.mark.parametrize("text", ["", "203.0.113.x", " 203.0.113.7", "user-7", "203.0.113.7/24"])
def test_what_is_no_address_is_removed(text):
    view, changes = see(BidRequest(device={"ip": text}), {"device.ip": "truncate"})
    assert not view.device.HasField("ip")
    assert changes == [("device.ip", "remove")]


@pytest.mark.parametrize(
    ("bits", "after"), [(32, "203.0.113.7"), (9, "203.0.0.0"), (1, "128.0.0.0")]
)
def test_an_address_keeps_as_many_bits_as_told(bits, after):
    view, _ = see(
        BidRequest(device={"ip": "203.0.113.7"}), {"device.ip": "truncate"}, ipv4_bits=bits
    )
    assert view.device.ip == after


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_removed(number):
    message = BidRequest(device={"geo": {"lat": number}})
    view, changes = see(message, {"device.geo.lat": "round"})
    assert not view.device.geo.HasField("lat")
    assert changes == [("device.geo.lat", "remove")]


def test_a_number_that_is_round_stays():
    message = BidRequest(device={"geo": {"lat": 48.14, "lon": 0}})
    assert see(message, {"device.geo.lat": "round", "device.geo.lon": "round"}) == (message, [])


@pytest.mark.parametrize(
    ("year", "after"), [(1987, 1990), (1990, 1990), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31))]
)
def test_a_whole_number_is_rounded_and_stays_one_of_32_bits(year, after):
    rounding = {"user.yob": {"action": "round", "decimals": -1}}
    assert see(BidRequest(user={"yob": year}), rounding)[0].user.yob == after


@pytest.mark.parametrize(("strict", "lax"), [("policy", "lmt"), ("lmt", "policy")])
def test_the_strictest_of_two_precisions_holds_and_is_named(strict, lax):
    rules = {
        strict: {"device.ip": {"action": "truncate", "ipv4_bits": 16}},
        lax: {"device.ip": "truncate"},
    }
    policy = PrivacyPolicy.from_mapping(
        {"rules": {name: {"defaults": False, "fields": rule} for name, rule in rules.items()}}
    )
    message = BidRequest(device={"ip": "203.0.113.7", "lmt": True})
    view = policy.apply(message, BidderPrivacy())
    assert view.request.device.ip == "203.0.0.0"
    assert [change.rule_id for change in view.changes] == [f"privacy.{strict}"]


def test_two_precisions_that_each_take_something_add_up():
    rules = {
        "policy": {"device.ip": {"action": "truncate", "ipv4_bits": 16, "ipv6_bits": 48}},
        "lmt": {"device.ip": {"action": "truncate", "ipv4_bits": 24, "ipv6_bits": 32}},
    }
    policy = PrivacyPolicy.from_mapping(
        {"rules": {name: {"defaults": False, "fields": rule} for name, rule in rules.items()}}
    )
    for address, after in [("203.0.113.7", "203.0.0.0"), ("2001:db8:1::", "2001:db8::")]:
        message = BidRequest(device={"ip": address, "lmt": True})
        assert policy.apply(message, BidderPrivacy()).request.device.ip == after


def test_a_field_that_is_empty_but_there_is_removed():
    view, changes = see(BidRequest(user={"id": ""}), {"user.id": "remove"})
    assert not view.user.HasField("id")
    assert changes == [("user.id", "remove")]


def test_arrays_are_walked_item_by_item():
    message = BidRequest(
        imp=[{"id": "1", "ext": {"tid": "a"}}, {"id": "2"}, {"id": "3", "ext": {"tid": "b"}}],
        user={"eids": [{"uids": [{"id": "x", "atype": 1}, {"id": "y"}]}]},
    )
    view, changes = see(message, {"imp.ext.tid": "remove", "user.eids.uids.id": "remove"})
    assert changes == [
        ("imp[0].ext.tid", "remove"),
        ("imp[2].ext.tid", "remove"),
        ("user.eids[0].uids[0].id", "remove"),
        ("user.eids[0].uids[1].id", "remove"),
    ]
    assert view.user.eids[0].uids[0].atype == 1
    assert len(view.imp) == 3


def test_what_is_below_a_removed_object_needs_no_change_of_its_own():
    fields = {"user.geo.lat": "round", "user.geo": "remove", "user.geo.lon": "round"}
    view, changes = see(request(), fields)
    assert not view.user.HasField("geo")
    assert changes == [("user.geo", "remove")]


def test_whole_arrays_of_objects_can_go():
    view, changes = see(request(), {"user.data": "remove"})
    assert not view.user.data
    assert changes == [("user.data", "remove")]


def raw(text):
    return BidRequest(user={"ext": {"raw_json": text}})


def test_members_without_a_field_are_removed_by_name_and_all_others_stay_as_written():
    text = '{"a":12345678901234567890123,"uid":"x","b":1.0000000000000000001,"z":[null]}'
    view, changes = see(raw(text), {"user.ext.uid": "remove"})
    assert (
        view.user.ext.raw_json
        == '{"a":12345678901234567890123,"b":1.0000000000000000001,"z":[null]}'
    )
    assert changes == [("user.ext.uid", "remove")]


def test_members_are_removed_at_any_depth_and_in_arrays():
    text = '{"p":{"ids":{"x":1},"n":1},"q":[{"id":1},2,{"id":3,"n":4}],"s":"id"}'
    fields = {"user.ext.p.ids": "remove", "user.ext.q.id": "remove", "user.ext.s.id": "remove"}
    view, changes = see(raw(text), fields)
    assert view.user.ext.raw_json == '{"p":{"n":1},"q":[{},2,{"n":4}],"s":"id"}'
    assert [path for path, _ in changes] == [
        "user.ext.p.ids",
        "user.ext.q[0].id",
        "user.ext.q[2].id",
    ]


def test_a_name_written_with_escapes_is_found():
    view, _ = see(raw('{"\\u0075id":"x","n":1}'), {"user.ext.uid": "remove"})
    assert view.user.ext.raw_json == '{"n":1}'


def test_raw_json_without_members_left_is_absent():
    view, _ = see(raw('{"uid":"x"}'), {"user.ext.uid": "remove"})
    assert not view.user.ext.HasField("raw_json")


@pytest.mark.parametrize("text", ['{"n":1}', '{"p":1}', '{"p":{"n":"uid"}}', "{}"])
def test_raw_json_without_such_a_member_stays(text):
    message = raw(text)
    fields = {"user.ext.uid": "remove", "user.ext.p.uid": "remove"}
    assert see(message, fields) == (message, [])
    assert see(message, fields)[0] is message


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", '"uid"', '{"uid":1', "7", '{"uid":1,"n":' + "[" * 300 + "]" * 300 + "}"],
    ids=["empty", "no JSON", "array", "text", "cut", "number", "too deep"],
)
def test_raw_json_that_cannot_be_read_or_written_goes_whole(text):
    view, changes = see(raw(text), {"user.ext.uid": "remove"})
    assert not view.user.ext.HasField("raw_json")
    assert changes == [("user.ext.*", "remove")]


def test_an_iab_member_of_an_ext_is_removed_from_its_field_and_from_raw_json():
    """The codec leaves in raw JSON what does not fit the field."""
    message = BidRequest(user={"ext": {"eids": EIDS, "raw_json": '{"eids":[{"id":7}],"n":1}'}})
    view, changes = see(message, {"user.ext.eids": "remove"})
    assert not view.user.ext.eids
    assert view.user.ext.raw_json == '{"n":1}'
    assert changes == [("user.ext.eids", "remove")]


def test_all_members_without_a_field_go_by_a_star():
    view, changes = see(request(), {"user.ext.*": "remove", "user.ext.hashed_email": "remove"})
    assert not view.user.ext.HasField("raw_json")
    assert view.user.ext.eids
    assert changes == [("user.ext.*", "remove")]


def test_the_ext_of_the_request_itself_has_members_too():
    message = BidRequest(id="1", ext={"raw_json": '{"uid":1,"p":{"uid":2}}'})
    view, changes = see(message, {"ext.uid": "remove", "ext.p.uid": "remove"})
    assert view.ext.raw_json == '{"p":{}}'
    assert [path for path, _ in changes] == ["ext.uid", "ext.p.uid"]
    assert see(message, {"ext.*": "remove"})[1] == [("ext.*", "remove")]


def test_a_number_in_a_field_of_an_ext_can_be_rounded():
    message = BidRequest(device={"ext": {"atts": 13, "raw_json": '{"atts":"x"}'}})
    view, changes = see(message, {"device.ext.atts": {"action": "round", "decimals": -1}})
    assert view.device.ext.atts == 10
    assert view.device.ext.raw_json == '{"atts":"x"}'
    assert changes == [("device.ext.atts", "round")]
