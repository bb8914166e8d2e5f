"""What each signal takes from a bidder's view, field by field."""

import pytest

from privacy.consent_strings import Tc, gpp, us
from privacy.requests import request
from xsp_server.auction.privacy import (
    BidderPrivacy,
    Change,
    Disclosure,
    PrivacyPolicy,
    Signal,
)

IDS = {
    "user.id",
    "user.buyeruid",
    "user.eids",
    "user.customdata",
    "user.ext.eids",
    "user.ext.*",
    "device.ifa",
    "device.didsha1",
    "device.didmd5",
    "device.dpidsha1",
    "device.dpidmd5",
    "device.macsha1",
    "device.macmd5",
    "device.ext.ifv",
    "device.ext.*",
}
PROFILE = {"user.yob", "user.gender", "user.keywords", "user.kwarray", "user.data"}
FINE = {f"{geo}.{n}" for geo in ("device.geo", "user.geo") for n in ("accuracy", "lastfix", "zip")}
GEO_EXT = {"device.geo.ext.*", "user.geo.ext.*"}
COORDINATES = {"device.geo.lat", "device.geo.lon", "user.geo.lat", "user.geo.lon"}
TOWN = {"device.geo.city", "device.geo.metro", "user.geo.city", "user.geo.metro"}
ADDRESSES = {"device.ip", "device.ipv6"}


def removed(*groups: set[str]) -> dict[str, str]:
    return {path: "remove" for group in groups for path in group}


TRUNCATED = dict.fromkeys(ADDRESSES, "truncate")
ROUNDED = dict.fromkeys(COORDINATES, "round")
LOCATION = {**TRUNCATED, **ROUNDED, **removed(FINE, GEO_EXT)}
TRACKING = {**removed(IDS, PROFILE), **LOCATION}
CHILD = {**removed(IDS, PROFILE, FINE, GEO_EXT, COORDINATES, TOWN), **TRUNCATED}

CASES = {
    "coppa": (request({"coppa": True}), CHILD),
    "gdpr without purpose 1": (
        request({"gdpr": True}, str(Tc(consents={2, 3, 4, 7}))),
        removed(IDS),
    ),
    "gdpr without purpose 4": (
        request({"gdpr": True}, str(Tc(consents={1, 2, 3, 7}))),
        removed(IDS, PROFILE),
    ),
    "gdpr without special feature 1": (request({"gdpr": True}, str(Tc(features={2}))), LOCATION),
    "gdpr without a basis for purpose 2": (
        request({"gdpr": True}, str(Tc(consents={1, 3, 4}, interests={7}))),
        TRACKING,
    ),
    "gdpr with consent to everything": (request({"gdpr": True}, str(Tc())), {}),
    "gdpr with no consent string": (request({"gdpr": True}), TRACKING),
    "us_privacy opted out": (request({"us_privacy": "1YYN"}), TRACKING),
    "us_privacy not opted out": (request({"us_privacy": "1YNN"}), {}),
    "global privacy control": (request({"ext": {"gpc": "1"}}), TRACKING),
    "gpp: national opt-out": (
        request({"gpp": gpp({7: us(7, {"sale": 1})}), "gpp_sid": [7]}),
        TRACKING,
    ),
    "gpp: exact position refused": (
        request({"gpp": gpp({7: us(7, {("sensitive", 8): 1})}), "gpp_sid": [7]}),
        LOCATION,
    ),
    "gpp: known child without consent": (
        request({"gpp": gpp({7: us(7, {("child", 2): 1})}), "gpp_sid": [7]}),
        CHILD,
    ),
    "gpp: EU without purpose 1": (
        request({"gpp": gpp({2: Tc(consents={2, 3, 4})}), "gpp_sid": [2]}),
        removed(IDS),
    ),
    "gpp: EU without purpose 4": (
        request({"gpp": gpp({2: Tc(consents={1, 2, 3})}), "gpp_sid": [2]}),
        removed(IDS, PROFILE),
    ),
    "gpp: EU without special feature 1": (
        request({"gpp": gpp({2: Tc(features=())}), "gpp_sid": [2]}),
        LOCATION,
    ),
    "gpp: EU without a basis for purpose 2": (
        request({"gpp": gpp({2: Tc(consents={1, 4}, interests=())}), "gpp_sid": [2]}),
        TRACKING,
    ),
    "lmt": (request(lmt=True), TRACKING),
    "dnt": (request(dnt=True), TRACKING),
}


@pytest.mark.parametrize("name", CASES)
def test_a_signal_takes_what_its_table_says_and_nothing_else(name):
    message, expected = CASES[name]
    view = PrivacyPolicy().apply(message, BidderPrivacy())
    assert isinstance(view, Disclosure)
    assert {change.path: str(change.action) for change in view.changes} == expected
    assert len(view.changes) == len(expected)


@pytest.mark.parametrize("name", CASES)
def test_what_the_table_does_not_name_stays(name):
    """The view, with the changed fields put back, is the request again."""
    message, expected = CASES[name]
    view = PrivacyPolicy().apply(message, BidderPrivacy())
    for path in expected:
        *way, last = path.replace("*", "raw_json").split(".")
        there, here = message, view.request
        for step in way:
            there, here = getattr(there, step), getattr(here, step)
        here.MergeFrom(type(here)(**{last: getattr(there, last)}))
    assert view.request == message


def test_addresses_and_positions_become_less_exact():
    view = PrivacyPolicy().apply(request({"us_privacy": "1YYN"}), BidderPrivacy()).request
    assert (view.device.ip, view.device.ipv6) == ("198.51.100.0", "2001:db8:aaaa::")
    assert (view.device.geo.lat, view.device.geo.lon) == (48.14, 11.58)
    assert (view.user.geo.lat, view.user.geo.lon) == (48.14, 11.58)
    assert (view.device.geo.country, view.device.geo.city) == ("DEU", "Munich")


def test_the_request_that_is_given_stays_as_it_is():
    message, before = request({"coppa": True}), request({"coppa": True})
    PrivacyPolicy().apply(message, BidderPrivacy())
    assert message == before


def test_a_change_names_the_signal_and_the_rule_but_no_value():
    view = PrivacyPolicy().apply(request({"gdpr": True}, str(Tc(features=()))), BidderPrivacy())
    (change,) = [change for change in view.changes if change.path == "device.ip"]
    assert change == Change("device.ip", "truncate", Signal.GDPR, "privacy.gdpr.location")
    assert "198.51" not in str(view.changes)


def test_two_signals_add_up_to_the_strictest():
    """COPPA removes the position that lmt would round; each rule is named for its own."""
    view = PrivacyPolicy().apply(request({"coppa": True}, lmt=True), BidderPrivacy())
    by_path = {change.path: change for change in view.changes}
    assert by_path["device.geo.lat"].action == "remove"
    assert {change.signal for change in view.changes} == {Signal.COPPA}

    view = PrivacyPolicy().apply(
        request({"gdpr": True}, str(Tc(features=())), lmt=True), BidderPrivacy()
    )
    by_path = {change.path: change.rule_id for change in view.changes}
    assert by_path["device.geo.lat"] == "privacy.gdpr.location"
    assert by_path["user.id"] == "privacy.lmt"


@pytest.mark.parametrize(
    "message",
    [
        request(),
        request({}),
        request({"coppa": False, "gdpr": False, "us_privacy": "", "gpp": "", "gpp_sid": []}),
        request({"us_privacy": "1---"}),
        request({"gdpr": False}, "no consent string at all"),
        request(lmt=False, dnt=False),
        request({"gpp_sid": [-1], "gpp": "broken"}),
        request({"ext": {"gpc": "0", "gdpr": False}}),
    ],
    ids=range(8),
)
def test_a_request_without_a_signal_is_handed_on_as_it_is(message):
    view = PrivacyPolicy().apply(message, BidderPrivacy())
    assert view.request is message
    assert view.changes == ()


def test_a_request_with_nothing_to_take_is_handed_on_as_it_is():
    message = request({"coppa": True})
    message.ClearField("user")
    message.ClearField("device")
    assert PrivacyPolicy().apply(message, BidderPrivacy()).request is message
