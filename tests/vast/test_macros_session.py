"""What a session tells in macros, and what privacy keeps of it."""

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as session_pb
from xsp.vast.v1 import vast_pb2
from xsp.vast.v1.resolve_options_pb2 import AdRequirements
from xsp_server.auction.privacy import BidderPrivacy, PrivacyPolicy, Refusal
from xsp_server.vast.macros import Absence, Asked, fill, values_of, values_of_ad

UUID = "123e4567-e89b-12d3-a456-426655440000"
PLAIN = Asked(UUID)

IP = "198.51.100.77"
PERSONAL = "[IFA] [IFATYPE] [DEVICEIP] [LATLONG]"
PERSON = {"LATLONG": [51.004703, 3.754806]}
OPEN = f"4e2a aaid {IP} 51.004703,3.754806"
WITHHELD = "-2 -2 -2 -2"


def session(**consent):
    return session_pb.SessionContext(
        cachebusting="01234567",
        timestamp={"seconds": 1453036507, "nanos": 127_999_999},
        device={"ip": IP, "user_agent": "TV/1.0 (x; y)", "ifa": "4e2a", "ifa_type": "aaid"},
        referrer="https://Site.Example:8443/a b?q=1",
        consent=consent,
    )


def told(text, of=None, asked=PLAIN, **options):
    return fill(text, values_of(session() if of is None else of, asked, **options))


def policy(request: BidRequest) -> BidRequest | None:
    """The auction's rules as a judge, for somebody without an id in the vendor list."""
    outcome = PrivacyPolicy().apply(request, BidderPrivacy())
    return None if isinstance(outcome, Refusal) else outcome.request


@pytest.mark.parametrize(
    ("macro", "text"),
    [
        ("CACHEBUSTING", "01234567"),
        ("TIMESTAMP", "2016-01-17T13%3A15%3A07.127%2B00%3A00"),
        ("TRANSACTIONID", UUID),
        ("DEVICEIP", IP),
        ("DEVICEUA", "TV%2F1.0%20%28x%3B%20y%29"),
        ("IFA", "4e2a"),
        ("IFATYPE", "aaid"),
        ("PAGEURL", "https%3A%2F%2FSite.Example%3A8443%2Fa%20b%3Fq%3D1"),
        ("DOMAIN", "site.example"),
        ("SERVERSIDE", "2"),
        ("SERVERUA", "XSP"),
        ("CLIENTUA", "unknown%20XSP"),
        ("LIMITADTRACKING", "[LIMITADTRACKING]"),
        ("REGULATIONS", "-1"),
        ("GDPRCONSENT", "-1"),
        ("GPPSTRING", "-1"),
        ("GPPSECTIONID", "-1"),
        ("MEDIAMIME", "-1"),
        ("APIFRAMEWORKS", "-1"),
        ("BREAKMINADLENGTH", "-1"),
        ("BREAKMAXADLENGTH", "-1"),
    ],
)
def test_what_a_session_and_its_call_know(macro, text):
    assert told(f"[{macro}]") == text


@pytest.mark.parametrize("macro", ["CACHEBUSTING", "TIMESTAMP", "LIMITADTRACKING"])
def test_required_ones_stay_where_a_session_does_not_know_them(macro):
    assert told(f"[{macro}]", session_pb.SessionContext()) == f"[{macro}]"


@pytest.mark.parametrize("macro", ["IFA", "DEVICEIP", "DEVICEUA", "PAGEURL", "DOMAIN"])
def test_what_nobody_knows_is_unknown_and_not_withheld(macro):
    assert told(f"[{macro}]", session_pb.SessionContext(consent={"coppa": True})) == "-1"


@pytest.mark.parametrize("name", ["XSP", "XSP/1.0"])
def test_the_servers_own_name_is_no_device(name):
    of = session_pb.SessionContext(device={"user_agent": name})
    assert told("[DEVICEUA] [SERVERUA]", of, Asked(UUID, "XSP/1.0")) == "-1 XSP%2F1.0"


def test_a_page_without_a_host_has_no_domain():
    of = session_pb.SessionContext(referrer="https://[oops/")
    assert told("[DOMAIN] [PAGEURL]", of) == "-1 https%3A%2F%2F%5Boops%2F"


@pytest.mark.parametrize(
    ("consent", "text"),
    [
        ({"coppa": True}, "coppa"),
        ({"gdpr_applies": True, "coppa": False}, "gdpr"),
        ({"gdpr_applies": True, "coppa": True}, "coppa,gdpr"),
        ({"gdpr_applies": False, "coppa": False}, ""),
        ({"gdpr_applies": False}, "-1"),
        ({}, "-1"),
    ],
)
def test_regulations_are_those_that_hold(consent, text):
    assert told("[REGULATIONS]", session(**consent)) == text


def test_consent_goes_on_as_it_is_whatever_it_says():
    consent = {
        "gdpr_applies": True,
        "tcf_consent": "CPXxRfAPXxRfA.YAA",
        "gpp": "DBABMA~CPX",
        "gpp_sid": [2, 6],
        "lmt": True,
    }
    text = "[GDPRCONSENT] [GPPSTRING] [GPPSECTIONID] [LIMITADTRACKING]"
    assert told(text, session(**consent)) == "CPXxRfAPXxRfA.YAA DBABMA~CPX 2,6 1"
    assert told("[LIMITADTRACKING]", session(lmt=False)) == "0"


def test_what_an_ad_has_to_be_is_told_as_capabilities():
    requirements = AdRequirements(
        media_types=["video/mp4", "application/x-mpegURL"],
        api_frameworks=["VPAID", "simid", "own"],
        min_duration={"seconds": 5, "nanos": 1},
        max_duration={"seconds": 30, "nanos": 999_999_999},
    )
    text = "[MEDIAMIME] [APIFRAMEWORKS] [BREAKMINADLENGTH] [BREAKMAXADLENGTH]"
    expected = "video%2Fmp4,application%2Fx-mpegURL 1,2,8,9 6 30"
    assert told(text, asked=Asked(UUID, requirements=requirements)) == expected


def test_given_values_come_before_all_others():
    given = {
        "CACHEBUSTING": "7",
        "DEVICEIP": "192.0.2.1",
        "SERVERSIDE": 1,
        "TRANSACTIONID": Absence.WITHHELD,
        "IFA": Absence.UNKNOWN,
    }
    text = "[CACHEBUSTING] [DEVICEIP] [SERVERSIDE] [TRANSACTIONID] [IFA]"
    assert told(text, given=given) == "7 192.0.2.1 1 -2 -1"


def test_without_a_reason_to_withhold_all_is_told():
    consent = {"coppa": False, "gdpr_applies": False, "lmt": False, "dnt": False}
    for judge in ({}, {"judge": policy}):
        of = session(**consent, us_privacy="1YNN")
        assert told(PERSONAL, of, given=PERSON, **judge) == OPEN


@pytest.mark.parametrize(
    "consent",
    [
        {"coppa": True},
        {"gdpr_applies": True},
        {"lmt": True},
        {"dnt": True},
        {"us_privacy": "1YYN"},
        {"us_privacy": "1Y?N"},
        {"gpp": "DBABMA~CPX"},
        {"gpp_sid": [7]},
    ],
)
def test_without_a_judge_that_reads_consent_ids_and_places_are_withheld(consent):
    assert told(PERSONAL, session(**consent), given=PERSON) == WITHHELD
    assert told("[DEVICEUA]", session(**consent)) != "-2"


def test_given_values_are_judged_like_those_of_the_session():
    given = {"IFA": "other", "DEVICEIP": "2001:db8::1"}
    assert told("[IFA] [DEVICEIP]", session(coppa=True), given=given) == "-2 -2"


@pytest.mark.parametrize("consent", [{"coppa": True}, {"lmt": True}, {"us_privacy": "1YYN"}])
def test_with_the_auctions_rules_an_address_is_told_as_bidders_hear_it(consent):
    of = session(**consent)
    assert told("[IFA] [IFATYPE] [DEVICEIP]", of, judge=policy) == "-2 -2 198.51.100.0"
    given = {"DEVICEIP": "2001:db8:1:2::3"}
    assert told("[DEVICEIP]", of, given=given, judge=policy) == "2001%3Adb8%3A1%3A%3A"


def test_with_the_auctions_rules_a_consent_string_is_read():
    # TCF 2.2: no purpose allowed to anybody.
    refused = "CQAAAAAQAAAAAAHABBENAAAAAAAAAAAAAAAAAAAAAAAA"
    of = session(gdpr_applies=True, tcf_consent=refused)
    assert told("[IFA]", of, judge=policy) == "-2"
    assert told("[IFA]", session(gdpr_applies=False, tcf_consent=refused), judge=policy) == "4e2a"


@pytest.mark.parametrize(
    "place", [[51.004703, 3.754806], ["51.004703", "3.754806"], "51.004703,3.754806"]
)
def test_a_position_is_rounded_where_only_a_rough_one_may_be_told(place):
    given = {"LATLONG": place}
    assert told("[LATLONG]", session(lmt=True), given=given, judge=policy) == "51.0,3.75"
    assert told("[LATLONG]", session(coppa=True), given=given, judge=policy) == "-2"


@pytest.mark.parametrize("place", ["Bruges", [1, 2, 3], 7, ["x", "y"]])
def test_a_position_that_nobody_can_round_is_withheld(place):
    given = {"LATLONG": place}
    assert told("[LATLONG]", session(lmt=True), given=given, judge=policy) == "-2"
    assert told("[LATLONG]", session(), given=given, judge=policy) not in ("-1", "-2")


def test_the_kind_of_an_id_goes_with_the_id_also_where_the_id_is_not_known():
    of = session_pb.SessionContext(device={"ifa_type": "aaid"}, consent={"lmt": True})
    assert told("[IFATYPE] [IFA]", of, judge=policy) == "-2 -1"


def test_a_judge_that_refuses_lets_nothing_personal_out():
    text = f"{PERSONAL} [DEVICEUA] [PAGEURL] [DOMAIN] [CACHEBUSTING]"
    judged = told(text, given=PERSON, judge=lambda _request: None)
    assert judged == f"{WITHHELD} -2 -2 -2 01234567"


def test_a_judge_may_change_any_personal_value():
    def coarse(request):
        seen = BidRequest()
        seen.CopyFrom(request)
        seen.device.ua = "TV"
        seen.site.page = "https://site.example/"
        seen.site.ClearField("domain")
        return seen

    expected = "TV https%3A%2F%2Fsite.example%2F -2 4e2a aaid"
    assert told("[DEVICEUA] [PAGEURL] [DOMAIN] [IFA] [IFATYPE]", judge=coarse) == expected


def test_nobody_is_judged_before_a_url_asks():
    asked = []
    values = values_of(session(), PLAIN, given={"ADCOUNT": 3}, judge=asked.append)
    assert fill("http://a.test/?c=[ADCOUNT]&v=[VENDOR]", values) == "http://a.test/?c=3&v=[VENDOR]"
    assert asked == []
    assert fill("[IFA] [IFA]", values) == "-2 -2"
    assert len(asked) == 1


def ad(**fields):
    return vast_pb2.Ad(**fields)


def universal(*ids):
    found = [{"id_registry": registry, "value": value} for registry, value in ids]
    return {"universal_ad_ids": found}


def test_an_ad_tells_what_is_settled_by_it():
    creatives = [
        universal(("ad-id.org", "CNPA0484000H")),
        universal(("ad-id.org", "CNPA0484000H"), ("clearcast.co.uk", "AAA/BBBB123/030")),
    ]
    inline = {"ad_serving_id": "server-1", "creatives": creatives}
    values = values_of_ad(ad(sequence=2, ad_type="audio", inline=inline))
    text = "[ADSERVINGID] [PODSEQUENCE] [ADTYPE] [UNIVERSALADID]"
    ids = "ad-id.org%20CNPA0484000H,clearcast.co.uk%20AAA%2FBBBB123%2F030"
    assert fill(text, values) == f"server-1 2 audio {ids}"


def test_what_an_ad_does_not_say_is_unknown_and_its_type_is_video():
    text = "[ADSERVINGID] [PODSEQUENCE] [ADTYPE] [UNIVERSALADID]"
    nothing = universal(("unknown", "unknown"), ("ad-id.org", ""))
    assert fill(text, values_of_ad(ad(inline={"creatives": [nothing]}))) == "-1 -1 video -1"


def test_an_id_without_a_registry_says_so():
    creative = {"universal_ad_ids": [{"value": "7"}]}
    values = values_of_ad(ad(inline={"creatives": [creative]}))
    assert fill("[UNIVERSALADID]", values) == "unknown%207"
