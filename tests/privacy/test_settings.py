"""The policy as TOML."""

import tomllib

import pytest

from privacy.requests import request
from xsp_server.auction.privacy import (
    Action,
    BidderPrivacy,
    PrivacyPolicy,
    Reading,
    Rule,
    Signal,
    Treatment,
)
from xsp_server.errors import ConfigError


def fields(policy, rule_id):
    return next(dict(rule.fields) for rule in policy.rules if rule.id == rule_id)


def view(policy, message):
    return policy.apply(message, BidderPrivacy()).request


@pytest.mark.parametrize(
    "bounds",
    [
        {"ipv4_bits": 0, "ipv6_bits": 0, "decimals": -9, "tcf_policy_version": 0},
        {"ipv4_bits": 32, "ipv6_bits": 128, "decimals": 15, "tcf_policy_version": 63},
    ],
)
def test_the_bounds_of_numbers_are_allowed(bounds):
    assert PrivacyPolicy.from_mapping(bounds).to_mapping().items() >= bounds.items()


def test_an_empty_section_is_the_default_policy():
    assert PrivacyPolicy.from_mapping({}) == PrivacyPolicy()


def test_a_section_says_only_what_differs():
    policy = PrivacyPolicy.from_mapping(
        tomllib.loads("""
            assume_gdpr = true
            tcf_policy_version = 5
            [rules.coppa.fields]
            "user.geo" = "remove"
            "device.ip" = { action = "truncate", ipv4_bits = 16 }
            "user.yob" = { action = "round", decimals = -1 }
            "device.ext.*" = "keep"
            [rules.gdpr.basic_ads]
            skip = true
        """)
    )
    assert policy.reading == Reading(assume_gdpr=True, tcf_policy_version=5)
    expected = fields(PrivacyPolicy(), "privacy.coppa")
    del expected["device.ext.*"]
    after = fields(policy, "privacy.coppa")
    assert after.keys() == expected.keys() | {"user.geo"}
    message = view(policy, request({"coppa": True, "gdpr": False}))
    assert message.device.ip == "198.51.0.0"
    assert message.user.yob == 1990
    assert not message.user.HasField("geo")
    assert message.device.ext.raw_json == '{"idfv":"x"}'
    assert [rule.id for rule in policy.rules if rule.skip] == ["privacy.gdpr.basic_ads"]


def test_paths_may_be_written_as_tables():
    nested = tomllib.loads("""
        [rules.lmt.fields]
        device.ip = "keep"
        device.geo.lat = { action = "round", decimals = 0 }
        user.ext."*" = "keep"
    """)
    flat = tomllib.loads("""
        [rules.lmt.fields]
        "device.ip" = "keep"
        "device.geo.lat" = { action = "round", decimals = 0 }
        "user.ext.*" = "keep"
    """)
    assert PrivacyPolicy.from_mapping(nested) == PrivacyPolicy.from_mapping(flat)
    assert view(PrivacyPolicy.from_mapping(nested), request(lmt=True)).device.geo.lat == 48


def test_a_rule_can_begin_without_defaults():
    policy = PrivacyPolicy.from_mapping(
        {"rules": {"dnt": {"defaults": False, "fields": {"user.id": "remove"}}}}
    )
    assert fields(policy, "privacy.dnt") == {"user.id": Treatment(Action.REMOVE)}


def test_precision_holds_for_all_rules_that_say_no_more():
    policy = PrivacyPolicy.from_mapping(
        {
            "ipv4_bits": 8,
            "ipv6_bits": 32,
            "decimals": 1,
            "rules": {"lmt": {"fields": {"user.geo.lat": {"action": "round", "decimals": 0}}}},
        }
    )
    message = view(policy, request(lmt=True))
    assert (message.device.ip, message.device.ipv6) == ("198.0.0.0", "2001:db8::")
    assert (message.device.geo.lat, message.user.geo.lat, message.user.geo.lon) == (48.1, 48, 11.6)
    bidder = policy.bidder({"rules": {"policy": {"fields": {"device.ip": "truncate"}}}})
    assert policy.apply(request(), bidder).request.device.ip == "198.0.0.0"


def test_what_is_written_is_read_back_the_same():
    changed = PrivacyPolicy.from_mapping(
        {
            "gpp_without_sid": False,
            "decimals": 1,
            "rules": {"lmt": {"skip": True, "fields": {"user.id": "keep"}}},
        }
    )
    for policy in (PrivacyPolicy(), changed):
        assert PrivacyPolicy.from_mapping(policy.to_mapping()) == policy
    written = changed.to_mapping()
    assert (written["gpp_without_sid"], written["decimals"]) == (False, 1)
    assert written["rules"]["lmt"]["skip"] is True
    assert written["rules"]["gdpr"]["storage"]["fields"]["user.id"] == "remove"


def test_the_table_of_an_exchange_is_what_its_bidders_change():
    policy = PrivacyPolicy.from_mapping({"rules": {"lmt": {"skip": True}}})
    bidder = policy.bidder({"rules": {"lmt": {"fields": {"user.id": "keep"}}}})
    assert [(rule.id, rule.skip) for rule in bidder.rules] == [("privacy.lmt", True)]


WORDS = (
    "one of: remove, truncate, round, keep; or a table with action, ipv4_bits, ipv6_bits, decimals"
)
WRONG = {
    "an unknown setting": (
        {"gpdr": True},
        "p.gpdr: no such setting; expected one of: assume_gdpr, decimals, gpp_without_sid,",
    ),
    "no flag": ({"assume_gdpr": 1}, "p.assume_gdpr: got 1; expected true or false"),
    "no number": (
        {"tcf_policy_version": True},
        "p.tcf_policy_version: got True; expected a whole number, 0 to 63",
    ),
    "out of range": ({"ipv4_bits": 33}, "p.ipv4_bits: got 33; expected a whole number, 0 to 32"),
    "too many bits": (
        {"ipv6_bits": 129},
        "p.ipv6_bits: got 129; expected a whole number, 0 to 128",
    ),
    "too few decimals": (
        {"decimals": -10},
        "p.decimals: got -10; expected a whole number, -9 to 15",
    ),
    "no table of rules": ({"rules": []}, "p.rules: got []; expected a table"),
    "no table of a signal": (
        {"rules": {"gdpr": "all"}},
        "p.rules.gdpr: got 'all'; expected a table",
    ),
    "no table of a rule": ({"rules": {"lmt": 1}}, "p.rules.lmt: got 1; expected a table"),
    "no table of fields": (
        {"rules": {"lmt": {"fields": 1}}},
        "p.rules.lmt.fields: got 1; expected a table",
    ),
    "an unknown rule": (
        {"rules": {"gdpr": {"storag": {}}}},
        "p.rules.gdpr.storag: no such rule; expected one of: policy, coppa, gdpr.storage,",
    ),
    "an unknown setting of a rule": (
        {"rules": {"lmt": {"field": {}}}},
        "p.rules.lmt.field: no such setting; expected one of: defaults, fields, skip",
    ),
    "a wrong setting of a rule": (
        {"rules": {"lmt": {"skip": "yes"}}},
        "p.rules.lmt.skip: got 'yes'; expected true or false",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named_with_what_would_be_right(name):
    values, message = WRONG[name]
    with pytest.raises(ConfigError) as error:
        PrivacyPolicy.from_mapping(values, "p")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


WRONG_FIELDS = [
    ("device.ipp", "remove", "a path of OpenRTB: Device has no 'ipp'"),
    ("device.ipp", "keep", "a path of OpenRTB: Device has no 'ipp'"),
    ("devices", "remove", "a path of OpenRTB: BidRequest has no 'devices'"),
    ("device.ip.first", "remove", "a path of OpenRTB: 'ip' is no object"),
    ("user.ext.raw_json.x", "truncate", "remove, the only thing"),
    ("user.ext.consent.x", "remove", "a path of OpenRTB: 'consent' is no object"),
    ("user.ext.x", "truncate", "remove, the only thing that can be done to a member without a"),
    ("user.ext.x", "round", "remove, the only thing that can be done to a member without a field"),
    ("user.ext.*.x", "remove", "names between dots, or one '*' after an ext"),
    ("user.ext.x.*", "remove", "names between dots, or one '*' after an ext"),
    ("user.ext.x.", "remove", "names between dots, or one '*' after an ext"),
    ("user.*", "remove", "a path of OpenRTB: User has no '*'"),
    ("device.devicetype", "truncate", "remove or keep; only an IP address can be truncated"),
    ("user.kwarray", "truncate", "remove or keep; only an IP address can be truncated"),
    ("device.geo", "truncate", "remove or keep; only an IP address can be truncated"),
    ("device.ip", "round", "remove or keep; only a number can be rounded"),
    ("regs.gpp_sid", "round", "remove or keep; only a number can be rounded"),
    ("device.lmt", "round", "remove or keep; only a number can be rounded"),
    ("user.yob", "round", "decimals below 0 to round a whole number: -1 rounds to tens"),
    ("user.yob", {"action": "round", "decimals": 0}, "decimals below 0 to round a whole number"),
    ("device.ip", "hash", WORDS),
    ("device.ip", 1, WORDS),
    ("device.ip", [], WORDS),
    ("device.ip", {"action": "keep"}, WORDS),
    ("device.ip", {"action": "truncate", "bits": 8}, WORDS),
    ("device.ip", {"action": "truncate", "ipv4_bits": -1}, "a whole number, 0 to 32"),
]


@pytest.mark.parametrize(("path", "value", "expected"), WRONG_FIELDS)
def test_a_wrong_field_is_named_with_what_would_be_right(path, value, expected):
    with pytest.raises(ConfigError) as error:
        PrivacyPolicy.from_mapping({"rules": {"lmt": {"fields": {path: value}}}}, "p")
    start = f'p.rules.lmt.fields."{path}": got {value!r}; expected {expected}'
    assert str(error.value).startswith(start)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"vendor": 1}, "b.vendor: no such setting; expected one of: exempt, rules, vendor_id"),
        ({"vendor_id": 0}, "b.vendor_id: got 0; expected a whole number, 1 to 65535"),
        ({"vendor_id": "755"}, "b.vendor_id: got '755'; expected a whole number, 1 to 65535"),
        (
            {"exempt": ["lmt", "ccpa"]},
            "b.exempt: got ['lmt', 'ccpa']; expected a list of: policy, coppa, gdpr, us_privacy,",
        ),
        ({"exempt": "lmt"}, "b.exempt: got 'lmt'; expected a list of: policy,"),
        ({"exempt": [[]]}, "b.exempt: got [[]]; expected a list of: policy,"),
        ({"rules": {"lmt": {"skip": 1}}}, "b.rules.lmt.skip: got 1; expected true or false"),
    ],
)
def test_a_wrong_setting_of_a_bidder_is_named(values, message):
    with pytest.raises(ConfigError) as error:
        PrivacyPolicy().bidder(values, "b")
    assert str(error.value).startswith(message)


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        PrivacyPolicy.from_mapping({"x": 1, "decimals": "2", "rules": {"y": {}, "lmt": 3}})
    lines = str(error.value).split("\n")
    assert [line.partition(":")[0] for line in lines] == [
        "privacy.x",
        "privacy.decimals",
        "privacy.rules.y",
        "privacy.rules.lmt",
    ]


def test_rules_made_in_code_are_checked_too():
    with pytest.raises(ValueError, match="Device has no 'ipp'"):
        Rule("privacy.lmt", Signal.LMT, (("device.ipp", Treatment(Action.REMOVE)),))
    with pytest.raises(ConfigError, match=r"expected privacy\.policy, privacy\.coppa"):
        PrivacyPolicy(rules=PrivacyPolicy().rules[1:])
