"""What a TC string lets a bidder see (TCF 2.3)."""

import pytest

from privacy.consent_strings import Tc, gpp, packed
from privacy.requests import request
from xsp_server.auction.privacy import BidderPrivacy, PrivacyPolicy, Reading
from xsp_server.auction.privacy.bits import MAX_CHARACTERS
from xsp_server.auction.privacy.tcf import TcString

EVERYTHING = {"storage", "personalised", "location", "basic_ads"}
NOTHING: set[str] = set()


def refused(consent, vendor=None, **reading):
    """The grounds on which a bidder's view is cut."""
    policy = PrivacyPolicy(reading=Reading(**reading))
    said = policy.read(request({"gdpr": True}, str(consent)))
    acting = said.rules_for(vendor, unlisted_vendors=policy.reading.unlisted_vendors)
    return {
        rule.id.removeprefix("privacy.gdpr.")
        for place, rule in enumerate(policy.rules)
        if acting >> place & 1 and rule.id != "privacy.policy"
    }


@pytest.mark.parametrize("purpose", range(1, 12))
def test_each_purpose_stands_for_its_ground(purpose):
    tc = Tc(consents={*range(1, 12)} - {purpose}, interests=())
    expected = {1: {"storage"}, 2: {"basic_ads"}, 4: {"personalised"}}
    assert refused(tc) == expected.get(purpose, NOTHING)


def test_exact_position_needs_special_feature_1():
    assert refused(Tc(features={1})) == NOTHING
    assert refused(Tc(features={2})) == {"location"}


def test_plain_ads_may_rest_on_legitimate_interest():
    assert refused(Tc(consents={1, 4}, interests={2})) == NOTHING


def test_storage_and_profiles_rest_on_consent_alone():
    assert refused(Tc(consents={2}, interests={1, 4})) == {"storage", "personalised"}


@pytest.mark.parametrize(
    "vendors", [(3, 755, 800), ((3, 3), (700, 760), (800, 800))], ids=["bit field", "ranges"]
)
def test_a_vendor_that_the_user_did_not_agree_to_sees_nothing_personal(vendors):
    tc = Tc(vendor_consents=vendors, vendor_interests=())
    assert refused(tc, 755) == NOTHING
    assert refused(tc, 3) == NOTHING
    for vendor in (2, 4, 699, 761, 801, 65_535):
        assert refused(tc, vendor) == EVERYTHING


@pytest.mark.parametrize("vendors", [(755,), ((700, 755),)], ids=["bit field", "ranges"])
def test_legitimate_interest_needs_the_vendor_to_be_told(vendors):
    """Without the vendor's consent, what rests on consent is refused all the same."""
    tc = Tc(vendor_consents=(), vendor_interests=vendors)
    assert refused(tc, 755) == EVERYTHING - {"basic_ads"}
    assert refused(tc, 756) == EVERYTHING


def test_a_bidder_without_vendor_id_is_judged_by_purposes():
    tc = Tc(vendor_consents=(), vendor_interests=())
    assert refused(tc) == NOTHING
    assert refused(tc, unlisted_vendors=False) == EVERYTHING


def test_a_publisher_may_forbid_a_purpose_to_vendors():
    tc = Tc(restrictions=((1, 0, ((10, 20),)), (2, 0, ((30, 30),))))
    assert refused(tc, 15) == {"storage"}
    assert refused(tc, 30) == {"basic_ads"}
    assert refused(tc, 21) == NOTHING
    assert refused(tc) == NOTHING


def test_a_publisher_may_ask_for_consent():
    told = Tc(consents={1, 4}, interests={2}, restrictions=((2, 1, ((10, 20),)),))
    consented = Tc(consents={1, 2, 4}, interests=(), restrictions=((2, 1, ((10, 20),)),))
    assert refused(told, 15) == {"basic_ads"}
    assert refused(told, 21) == NOTHING
    assert refused(consented, 15) == NOTHING


def test_a_publisher_may_ask_for_legitimate_interest():
    told = Tc(consents={1, 4}, interests={2}, restrictions=((2, 2, ((10, 20),)),))
    consented = Tc(consents={1, 2, 4}, interests=(), restrictions=((2, 2, ((10, 20),)),))
    assert refused(told, 15) == NOTHING
    assert refused(consented, 15) == {"basic_ads"}


def test_an_undefined_restriction_restricts_nothing():
    assert refused(Tc(restrictions=((2, 3, ((10, 20),)),)), 15) == NOTHING


CORE = packed(Tc().bits())


@pytest.mark.parametrize(
    "broken",
    [
        "",
        ".",
        "B" + CORE[1:],
        "D" + CORE[1:],
        CORE[:-12],
        CORE[:30],
        CORE[:20] + "!" + CORE[21:],
        CORE[:20] + " " + CORE[21:],
        "é" + CORE,
        "1YNN",
        str(Tc(service_specific=0)),
        str(Tc(version=3)),
        str(Tc(policy_version=3)),
        CORE + "A" * MAX_CHARACTERS,
    ],
    ids=[
        "empty",
        "no core",
        "version 1",
        "GPP",
        "without the end",
        "without vendors",
        "no base64",
        "blank",
        "no ASCII",
        "US privacy",
        "global scope",
        "version 3",
        "old policies",
        "endless",
    ],
)
def test_what_is_no_valid_tc_string_is_no_consent(broken):
    assert refused(broken) == EVERYTHING
    assert refused(broken, unreadable_refuses=False) == EVERYTHING


def test_the_oldest_policy_version_can_be_set():
    assert refused(Tc(policy_version=4)) == NOTHING
    assert refused(Tc(policy_version=3), tcf_policy_version=2) == NOTHING
    assert refused(Tc(policy_version=5), tcf_policy_version=6) == EVERYTHING


def test_padding_is_no_part_of_a_string():
    assert refused(CORE + "==") == NOTHING


def test_the_example_of_the_specification_is_read():
    """Its core says no to everything, for vendors 1 to 4."""
    example = "CQSbk4AQSbk4ANwAAAENAwCgAAAAAAAAAAYgACPAAAAA.IDKQA4AAgAKAGQAygAAA.YAAAAAAAAAAA"
    decided = TcString.decode(example)
    assert decided.policy_version == 2
    assert [vendor for vendor in range(1, 20) if vendor in decided.vendor_consents] == [1, 2, 3, 4]
    assert "1" not in decided.consents + decided.interests + decided.features


def test_gdpr_holds_where_the_request_says_so():
    def acts(policy, message):
        return policy.apply(message, BidderPrivacy()).request is not message

    assuming = PrivacyPolicy(reading=Reading(assume_gdpr=True))
    assert not acts(PrivacyPolicy(), request(None, ""))
    assert acts(assuming, request(None, ""))
    assert acts(assuming, request({}, ""))
    assert not acts(assuming, request(None, str(Tc())))
    assert not acts(assuming, request({"gdpr": False}, ""))


def test_consent_may_come_by_gpp_alone():
    for sids in ([2], [-1], []):
        message = request({"gdpr": True, "gpp": gpp({2: Tc(features=())}), "gpp_sid": sids})
        view = PrivacyPolicy().apply(message, BidderPrivacy())
        rules = {change.rule_id for change in view.changes}
        assert rules == {"privacy.gdpr.location"}
