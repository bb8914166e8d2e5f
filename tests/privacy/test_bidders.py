"""What bidders differ in, and what they share."""

import pytest

from privacy.consent_strings import Tc
from privacy.requests import request
from xsp_server.auction.privacy import (
    Action,
    BidderPrivacy,
    Disclosure,
    PrivacyPolicy,
    Refusal,
    Rule,
    Signal,
    Treatment,
)

REMOVE = Treatment(Action.REMOVE)

CONSENT_OF_755 = str(Tc(vendor_consents=(755,), vendor_interests=()))


def changed(policy, message, bidder):
    view = policy.apply(message, bidder)
    assert isinstance(view, Disclosure)
    return {change.path: change.rule_id for change in view.changes}


def test_each_vendor_sees_what_the_user_granted_it():
    policy, message = PrivacyPolicy(), request({"gdpr": True}, CONSENT_OF_755)
    assert changed(policy, message, BidderPrivacy(755)) == {}
    assert "user.id" in changed(policy, message, BidderPrivacy(32))


def test_a_signal_does_not_count_for_a_bidder_that_is_exempt():
    policy, message = PrivacyPolicy(), request({"us_privacy": "1YYN"}, lmt=True)
    for exempt, rule in [
        ({Signal.LMT}, "privacy.us_privacy.opt_out"),
        ({Signal.US_PRIVACY}, "privacy.lmt"),
    ]:
        bidder = BidderPrivacy(exempt=frozenset(exempt))
        assert set(changed(policy, message, bidder).values()) == {rule}
    both = BidderPrivacy(exempt=frozenset({Signal.LMT, Signal.US_PRIVACY}))
    assert policy.apply(message, both).request is message


@pytest.mark.parametrize("signal", list(Signal))
def test_an_exemption_is_from_one_signal_alone(signal):
    policy = PrivacyPolicy.from_mapping({"rules": {"policy": {"fields": {"device.ua": "remove"}}}})
    regs = {"coppa": True, "gdpr": True, "us_privacy": "1YYN", "gpp": "broken"}
    acting = policy.read(request(regs, "", lmt=True, dnt=True)).rules
    assert acting == (1 << len(policy.rules)) - 1 - (1 << _place(policy, "privacy.us_privacy.gpc"))
    plan = policy.plan(
        policy.read(request(regs, "", lmt=True, dnt=True)),
        BidderPrivacy(exempt=frozenset(Signal) - {signal}),
    )
    view = plan.apply(request())
    assert {change.signal for change in view.changes} == {signal}


def _place(policy, id_):
    return [rule.id for rule in policy.rules].index(id_)


def test_the_exchange_can_withhold_fields_whatever_the_request_says():
    policy = PrivacyPolicy.from_mapping(
        {
            "rules": {
                "policy": {"fields": {"device.ip": "truncate", "user.ext.hashed_email": "remove"}}
            }
        }
    )
    assert changed(policy, request(), BidderPrivacy()) == {
        "device.ip": "privacy.policy",
        "user.ext.hashed_email": "privacy.policy",
    }
    view = policy.apply(request(), BidderPrivacy())
    assert {change.signal for change in view.changes} == {Signal.POLICY}


def test_a_bidder_may_see_less_or_more_than_others():
    policy = PrivacyPolicy()
    less = policy.bidder({"rules": {"policy": {"fields": {"user.eids": "remove"}}}})
    more = policy.bidder({"rules": {"lmt": {"fields": {"device.ip": "keep"}}}})
    assert changed(policy, request(), less) == {"user.eids": "privacy.policy"}
    assert changed(policy, request(), more) == {}
    of_all = changed(policy, request(lmt=True), BidderPrivacy())
    of_more = changed(policy, request(lmt=True), more)
    assert of_all.keys() - of_more.keys() == {"device.ip"}
    assert changed(policy, request(lmt=True), less).keys() == of_all.keys()


def test_bidders_without_a_legal_basis_are_not_asked_where_the_table_says_so():
    policy = PrivacyPolicy.from_mapping({"rules": {"gdpr": {"basic_ads": {"skip": True}}}})
    message = request({"gdpr": True}, CONSENT_OF_755)
    refusal = Refusal(Signal.GDPR, "privacy.gdpr.basic_ads")
    assert policy.apply(message, BidderPrivacy(32)) == refusal
    assert policy.apply(request({"gdpr": True}, "broken"), BidderPrivacy(755)) == refusal
    assert policy.apply(message, BidderPrivacy(755)) == Disclosure(message)
    assert policy.apply(request(), BidderPrivacy(32)) == Disclosure(request())


def test_the_first_rule_that_forbids_is_named():
    policy = PrivacyPolicy.from_mapping({"rules": {"lmt": {"skip": True}, "coppa": {"skip": True}}})
    view = policy.apply(request({"coppa": True}, lmt=True), BidderPrivacy())
    assert view == Refusal(Signal.COPPA, "privacy.coppa")


def test_one_bidder_alone_may_be_skipped():
    policy = PrivacyPolicy()
    skipped = policy.bidder({"rules": {"coppa": {"skip": True}}})
    message = request({"coppa": True})
    assert policy.apply(message, skipped) == Refusal(Signal.COPPA, "privacy.coppa")
    assert isinstance(policy.apply(message, BidderPrivacy()), Disclosure)


def test_the_same_doings_are_the_same_plan_whichever_the_bidder():
    policy = PrivacyPolicy()
    own = {"rules": {"lmt": {"skip": True}}}
    said = policy.read(
        request({"gdpr": True}, str(Tc(vendor_consents=(1, 2), vendor_interests=())))
    )
    plans = [policy.plan(said, BidderPrivacy(vendor)) for vendor in (1, 2, 3, 4)]
    assert plans[0] is plans[1]
    assert plans[2] is plans[3]
    assert plans[0] is not plans[2]
    assert policy.plan(said, policy.bidder(own)) is policy.plan(said, policy.bidder(own))
    assert policy.plan(said, policy.bidder(own)) is not policy.plan(said, BidderPrivacy())


def test_equal_settings_are_equal_and_can_be_keys():
    policy = PrivacyPolicy()
    table = {"vendor_id": 755, "exempt": ["lmt"], "rules": {"lmt": {"skip": True}}}
    assert len({policy.bidder(table), policy.bidder(table), BidderPrivacy(755)}) == 2
    del table["rules"]
    assert policy.bidder(table) == BidderPrivacy(755, frozenset({Signal.LMT}))
    assert policy.bidder({}) == BidderPrivacy()


def test_the_number_of_plans_that_are_kept_is_bounded():
    policy = PrivacyPolicy()
    said = policy.read(request())
    for number in range(1500):
        own = Rule("privacy.policy", Signal.POLICY, ((f"user.ext.x{number}", REMOVE),))
        policy.plan(said, BidderPrivacy(rules=(own,)))
    assert len(policy._plans) == 1500 - 1024
