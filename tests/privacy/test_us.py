"""US privacy strings, Global Privacy Control, and the sections of GPP."""

import pytest

from privacy.consent_strings import (
    LOCATION_AT,
    NATIONAL_2022,
    US_FIELDS,
    Tc,
    gpp,
    header,
    number,
    packed,
    us,
)
from privacy.requests import request
from xsp_server.auction.privacy import BidderPrivacy, PrivacyPolicy, Reading
from xsp_server.auction.privacy.gpp import split

TCF = {"gpp.storage", "gpp.personalised", "gpp.location", "gpp.basic_ads"}
US = {"gpp.opt_out", "gpp.location", "gpp.child"}
NOTHING: set[str] = set()
STATES = sorted(US_FIELDS)


def rules(regs, consent=None, vendor=None, **reading):
    """The rules that act."""
    policy = PrivacyPolicy(reading=Reading(**reading))
    said = policy.read(request(regs, consent))
    acting = said.rules_for(vendor, unlisted_vendors=policy.reading.unlisted_vendors)
    return {
        rule.id.removeprefix("privacy.")
        for place, rule in enumerate(policy.rules)
        if acting >> place & 1 and rule.id != "privacy.policy"
    }


def of_gpp(text, *sids, **more):
    return rules({"gpp": text, "gpp_sid": sids}, **more)


@pytest.mark.parametrize("text", ["1YYN", "1NYN", "1-Y-", "1YYY", "1yyn"])
def test_y_in_the_third_place_opts_out_of_sale(text):
    assert rules({"us_privacy": text}) == {"us_privacy.opt_out"}


@pytest.mark.parametrize("text", ["1YNN", "1NNN", "1-N-", "1YNY", "1ynn", "1---", ""])
def test_other_us_privacy_strings_do_not(text):
    assert rules({"us_privacy": text}) == NOTHING


@pytest.mark.parametrize(
    "text", ["1YN", "1YNNN", "2YNN", "1Y-N", "1XNN", "yes", "1YNN\n", "\u2160YNN"]
)
def test_what_is_no_us_privacy_string_counts_as_an_opt_out_unless_told_otherwise(text):
    assert rules({"us_privacy": text}) == {"us_privacy.opt_out"}
    assert rules({"us_privacy": text}, unreadable_refuses=False) == NOTHING


def test_global_privacy_control_has_a_rule_of_its_own():
    assert rules({"us_privacy": "1YNN", "ext": {"gpc": "1"}}) == {"us_privacy.gpc"}
    assert rules({"ext": {"raw_json": '{"gpc":1}'}}) == {"us_privacy.gpc"}
    assert rules({"ext": {"gpc": "0"}}) == NOTHING


@pytest.mark.parametrize(("text", "ids"), [("DBABM", [2]), ("DBACNY", [2, 6]), ("DBABjw", [5, 6])])
def test_the_headers_of_the_specification_are_read_and_written(text, ids):
    assert list(split(text + "~x" * len(ids))) == ids
    assert header(ids) == text


@pytest.mark.parametrize("ids", [[1], [2, 7], [6, 7, 8, 9], [2, 3, 9, 10, 11, 27], [4000], []])
def test_sections_are_found_by_the_header(ids):
    sections = {id_: f"s{id_}" for id_ in ids}
    assert split(gpp(sections)) == sections


OPT_OUTS = [
    (section, name)
    for section in STATES
    for name, _ in US_FIELDS[section]
    if name in {"sale", "sharing", "targeted"}
]


@pytest.mark.parametrize(("section", "opt_out"), OPT_OUTS)
def test_each_opt_out_of_each_section_counts(section, opt_out):
    assert of_gpp(gpp({section: us(section, {opt_out: 1})}), section) == {"gpp.opt_out"}
    assert of_gpp(gpp({section: us(section, {opt_out: 3})}), section) == {"gpp.opt_out"}
    assert of_gpp(gpp({section: us(section, {opt_out: 0})}), section) == NOTHING


@pytest.mark.parametrize("section", STATES)
def test_a_section_that_refuses_nothing_changes_nothing(section):
    assert of_gpp(gpp({section: us(section)}), section) == NOTHING
    assert of_gpp(gpp({section: us(section, {"tail": 1, "notice": 1})}), section) == NOTHING


@pytest.mark.parametrize("section", STATES)
def test_of_sensitive_data_the_exact_position_alone_matters_here(section):
    count = dict(US_FIELDS[section])["sensitive"]
    for place in range(1, count + 1):
        refused = of_gpp(gpp({section: us(section, {("sensitive", place): 1})}), section)
        expected = {"gpp.location"} if place == LOCATION_AT.get(section) else NOTHING
        assert refused == expected


@pytest.mark.parametrize("section", STATES)
def test_a_known_child_without_consent_is_protected(section):
    for place in range(1, dict(US_FIELDS[section])["child"] + 1):
        text = us(section, {("child", place): 1})
        assert of_gpp(gpp({section: text}), section) == {"gpp.child"}


def test_the_shorter_national_section_of_2022_is_read_too():
    def national(values):
        return of_gpp(gpp({7: us(7, values, fields=NATIONAL_2022)}), 7)

    assert national({}) == NOTHING
    assert national({"sharing": 1}) == {"gpp.opt_out"}
    assert national({("sensitive", 8): 1}) == {"gpp.location"}
    assert national({("sensitive", 12): 1}) == NOTHING
    assert national({("child", 1): 1}) == {"gpp.child"}
    assert national({("child", 2): 1}) == {"gpp.child"}
    assert national({"tail": 1}) == NOTHING


def test_the_national_section_may_be_of_version_2():
    assert of_gpp(gpp({7: us(7, version=2)}), 7) == NOTHING
    assert of_gpp(gpp({7: us(7, {"sale": 1}, version=2)}), 7) == {"gpp.opt_out"}


@pytest.mark.parametrize("section", STATES)
def test_global_privacy_control_inside_a_section_is_an_opt_out(section):
    assert of_gpp(gpp({section: us(section, gpc=True)}), section) == {"gpp.opt_out"}
    assert of_gpp(gpp({section: us(section, gpc=False)}), section) == NOTHING
    other = us(section) + "." + packed(number(2, 2) + "1")
    assert of_gpp(gpp({section: other}), section) == NOTHING


@pytest.mark.parametrize(
    ("text", "sid", "worst"),
    [
        (gpp({7: ""}), 7, US),
        (gpp({7: "B"}), 7, US),
        (gpp({7: us(7, version=3)}), 7, US),
        (gpp({8: us(8, version=2)}), 8, US),
        (gpp({7: us(7) + ".!"}), 7, US),
        (gpp({24: us(23)}), 24, US),
        (gpp({27: us(23)}), 27, US),
        (gpp({28: us(23)}), 28, TCF | US),
        (gpp({8: us(8)}), 7, US),
        (gpp({6: "1"}), 6, {"gpp.opt_out"}),
        (gpp({5: Tc()}), 5, TCF),
        (gpp({1: Tc()}), 1, TCF),
        (gpp({99: "x"}), 99, TCF | US),
        ("", 7, US),
    ],
)
def test_a_section_that_cannot_be_read_refuses_all_that_it_could(text, sid, worst):
    assert of_gpp(text, sid) == worst
    assert of_gpp(text, sid, unreadable_refuses=False) == NOTHING


NO_END = packed("000011000001" + number(1, 12) + "0" + "0" * 60)


@pytest.mark.parametrize(
    "broken",
    [
        "x",
        "~",
        "DBABM",
        "DBABM~a~b",
        header([7], kind=2) + "~" + us(7),
        header([7], version=2) + "~" + us(7),
        header(range(1, 4000)) + "~" + us(7),
        NO_END + "~" + us(7),
        "é~" + us(7),
    ],
)
def test_a_gpp_string_that_cannot_be_read_refuses_everything_that_may_hold(broken):
    assert of_gpp(broken) == TCF | US
    assert of_gpp(broken, 7) == US
    assert of_gpp(broken, -1) == NOTHING
    assert of_gpp(broken, unreadable_refuses=False) == NOTHING
    assert of_gpp(broken, gpp_without_sid=False) == NOTHING


BOTH = gpp({7: us(7, {"sale": 1}), 8: us(8, {("child", 1): 1})})


def test_the_sections_that_hold_are_those_of_gpp_sid():
    assert of_gpp(BOTH, 7) == {"gpp.opt_out"}
    assert of_gpp(BOTH, 8) == {"gpp.child"}
    assert of_gpp(BOTH, 7, 8) == {"gpp.opt_out", "gpp.child"}
    assert of_gpp(BOTH, -1) == NOTHING
    assert of_gpp(BOTH, 3, 4, 7) == {"gpp.opt_out"}


@pytest.mark.parametrize("sids", [[], [0], [3]])
def test_where_gpp_sid_does_not_tell_all_sections_hold_unless_told_otherwise(sids):
    assert of_gpp(BOTH, *sids) == {"gpp.opt_out", "gpp.child"}
    assert of_gpp(BOTH, *sids, gpp_without_sid=False) == NOTHING


def test_the_us_privacy_string_may_come_in_gpp():
    assert of_gpp(gpp({6: "1YYN"}), 6) == {"gpp.opt_out"}
    assert of_gpp(gpp({6: "1YNN"}), 6) == NOTHING


def test_a_section_that_is_missing_may_stand_in_its_own_field():
    assert rules({"us_privacy": "1YNN", "gpp_sid": [6]}) == NOTHING
    assert rules({"us_privacy": "1YYN", "gpp_sid": [6]}) == {"us_privacy.opt_out", "gpp.opt_out"}
    assert rules({"gpp_sid": [2]}, str(Tc())) == NOTHING
    assert rules({"gpp_sid": [2]}, str(Tc(features=()))) == {"gpp.location"}
    assert rules({"gpp_sid": [2]}) == TCF


def test_the_eu_section_is_judged_vendor_by_vendor():
    text = gpp({2: Tc(vendor_consents=(7,), vendor_interests=())})
    assert of_gpp(text, 2, vendor=7) == NOTHING
    assert of_gpp(text, 2, vendor=8) == TCF
    assert of_gpp(text, 2) == NOTHING
    assert of_gpp(text, 2, unlisted_vendors=False) == TCF


def test_two_consent_strings_are_both_heard():
    message = {"gdpr": True, "gpp": gpp({2: Tc(consents={2, 4})}), "gpp_sid": [2]}
    assert rules(message, str(Tc(features=()))) == {"gdpr.location", "gpp.storage"}


def test_a_signal_in_its_old_place_counts():
    assert rules({"ext": {"gdpr": True}}, str(Tc(features=()))) == {"gdpr.location"}
    assert rules({"ext": {"us_privacy": "1YYN"}}) == {"us_privacy.opt_out"}
    message = request({"gdpr": True})
    message.user.ext.consent = str(Tc(features=()))
    view = PrivacyPolicy().apply(message, BidderPrivacy())
    assert {change.rule_id for change in view.changes} == {"privacy.gdpr.location"}


def test_of_two_places_the_one_that_protects_more_counts():
    assert rules({"gdpr": False, "ext": {"gdpr": True}}, str(Tc(features=()))) == {"gdpr.location"}
    assert rules({"gdpr": True, "ext": {"gdpr": False}}, str(Tc(features=()))) == {"gdpr.location"}
    assert rules({"us_privacy": "1YNN", "ext": {"us_privacy": "1YYN"}}) == {"us_privacy.opt_out"}
    assert rules({"us_privacy": "1YYN", "ext": {"us_privacy": "1YNN"}}) == {"us_privacy.opt_out"}


@pytest.mark.parametrize("flag", ["1", '"1"', "1.0", "true"])
def test_a_flag_of_the_wrong_type_is_heard_all_the_same(flag):
    """The codec keeps it as raw JSON, as the field could not hold it."""
    regs = {"ext": {"raw_json": f'{{"gdpr":{flag}}}'}}
    assert rules(regs, str(Tc(features=()))) == {"gdpr.location"}


@pytest.mark.parametrize("flag", ["0", '"0"', "2", "[1]", "{}", "null"])
def test_another_value_is_no_flag(flag):
    assert rules({"ext": {"raw_json": f'{{"gdpr":{flag}}}'}}, "") == NOTHING


@pytest.mark.parametrize("raw", ["[]", "x", "1", '{"gpp":7,"gpp_sid":"7"}', '{"gpp_sid":["7"]}'])
def test_other_members_of_an_ext_say_nothing(raw):
    assert rules({"ext": {"raw_json": raw}}) == NOTHING


def test_gpp_is_read_in_the_ext_of_openrtb_2_5():
    text = gpp({7: us(7, {"sale": 1}), 8: us(8, {("child", 1): 1})})
    assert rules({"ext": {"raw_json": f'{{"gpp":"{text}","gpp_sid":[7]}}'}}) == {"gpp.opt_out"}
