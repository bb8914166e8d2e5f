"""The checks of a bid: each is proved by a vector, and shows what it compared."""

import pytest

from auction import vector_files
from auction.small import reply
from xsp.openrtb.v2.bid_response_pb2 import NativeResponse
from xsp_server.auction import Fate, Relation, Rules, checks

VECTORS = [vector_files.read(path) for path in vector_files.files()]


@pytest.mark.parametrize("check", checks.BID_CHECKS, ids=lambda check: check.rule.id)
def test_without_any_one_check_a_vector_fails(check, monkeypatch):
    left = [other for other in checks.BID_CHECKS if other is not check]
    monkeypatch.setattr(checks, "BID_CHECKS", left)
    assert any(fails(vector) for vector in VECTORS)


def fails(vector):
    """Whether a vector comes out wrong, or not at all: later steps rely on the checks."""
    try:
        return vector.found() != vector.expected
    except (AssertionError, KeyError):
        return True


PLAIN = [check for check in checks.BID_CHECKS if check.is_plain]


def all_bids():
    """Every bid of every vector, late ones and those to other requests too."""
    return [verdict.facts for vector in VECTORS for verdict in vector.run().verdicts]


def test_no_plain_check_has_anything_against_a_plain_bid():
    bids = all_bids()
    plain = [bid for bid in bids if checks.is_plain(bid)]
    assert len(plain) > len(bids) / 2
    assert not [(check.rule.id, bid) for check in PLAIN for bid in plain if check.find(bid)]


@pytest.mark.parametrize("check", PLAIN, ids=lambda check: check.rule.id)
def test_a_bid_that_one_plain_check_alone_refuses_is_not_plain(check):
    others = [other for other in checks.BID_CHECKS if other is not check]
    refused = [
        bid
        for bid in all_bids()
        if check.find(bid) and not any(other.find(bid) for other in others if other.is_plain)
    ]
    assert refused
    assert not any(map(checks.is_plain, refused))


def test_fates_have_the_codes_of_the_conventions():
    """Each fate's codes, in the order of the checks, as index.json lists them."""
    listed = vector_files.conventions()["checks"]["each_bid_in_order"]
    assert [
        (check.rule.fate, check.rule.loss_code, check.rule.nonbid) for check in checks.BID_CHECKS
    ] == [(line["fate"], line["loss_code"], line["nonbid"]) for line in listed]


def test_rules_have_names_of_their_own():
    names = [check.rule.id for check in checks.BID_CHECKS]
    assert len({*names}) == len(names)


VIDEO = {"video": {"rqddurs": [15, 30], "protocols": [2], "podid": "p", "poddur": 60}}
SHORT = {"video": {"minduration": 6, "maxduration": 30, "maxextended": 5, "poddur": 33}}


@pytest.mark.parametrize(
    ("imp", "bid", "expected"),
    [
        ({}, {"impid": "9"}, ("impid", "9", Relation.IN, "imp[].id", ("1",))),
        ({}, {"price": 0}, ("price", 0, Relation.ABOVE, "0", 0)),
        ({}, {"adm": ""}, ("adm", None, Relation.PRESENT, "", None)),
        ({}, {"dealid": "d1"}, ("dealid", "d1", Relation.IN, "imp[0].pmp.deals[].id", ())),
        (
            {"pmp": {"deals": [{"id": "d1", "wadomain": ["a.example.com"]}]}},
            {"dealid": "d1", "adomain": ["b.example.com"]},
            (
                "adomain",
                ("b.example.com",),
                Relation.IN,
                "imp[0].pmp.deals[0].wadomain",
                ("a.example.com",),
            ),
        ),
        ({"banner": {}}, {"mtype": 2}, ("mtype", 2, Relation.IN, "imp[0]", (1,))),
        ({"banner": {}}, {"mtype": 9}, ("mtype", 9, Relation.IN, "imp[0]", (1,))),
        (
            {"banner": {"battr": [3, 1]}},
            {"attr": [3, 4]},
            ("attr", (3, 4), Relation.NOT_IN, "imp[0].banner.battr", (3,)),
        ),
        (
            {"secure": True},
            {"adm": "<a href='HTTP://a.example.com/'>"},
            ("adm", "HTTP://a.example.com/'>", Relation.EQUAL, "imp[0].secure", 1),
        ),
        (
            {"banner": {"w": 1, "h": 2, "format": [{"wratio": 16, "hratio": 9, "wmin": 5}]}},
            {"w": 3, "h": 4},
            ("w x h", (3, 4), Relation.IN, "imp[0].banner", ("1x2", "16:9 from 5")),
        ),
        (
            {"banner": {"w": 1, "h": 2}},
            {"wratio": 3, "hratio": 4},
            ("wratio:hratio", (3, 4), Relation.IN, "imp[0].banner", ("1x2",)),
        ),
        (VIDEO, {"dur": 20}, ("dur", 20, Relation.IN, "imp[0].video.rqddurs", (15, 30))),
        (SHORT, {"dur": 5}, ("dur", 5, Relation.AT_LEAST, "imp[0].video.minduration", 6)),
        (SHORT, {"dur": 36}, ("dur", 36, Relation.AT_MOST, "imp[0].video.maxduration", 35)),
        (SHORT, {"dur": 34}, ("dur", 34, Relation.AT_MOST, "imp[0].video.poddur", 33)),
        (VIDEO, {"protocol": 7}, ("protocol", 7, Relation.IN, "imp[0].video.protocols", (2,))),
        (VIDEO, {"apis": [7]}, ("apis", (7,), Relation.IN, "imp[0].video.api", ())),
        (VIDEO, {"slotinpod": 1}, ("slotinpod", 1, Relation.IN, "imp[0].video.slotinpod", (0,))),
    ],
)
def test_a_refusal_shows_what_it_found_and_what_it_held_that_against(auction, imp, bid, expected):
    media = {} if imp.keys() & {"banner", "video"} else {"banner": {}}
    result = auction(reply("a", bid), imps=[{"id": "1", **media, **imp}])
    found = result.verdicts[0].evidence
    name = found.name.removeprefix("seatbid[0].bid[0].")
    assert (name, found.found, found.relation, found.against, found.required) == expected


@pytest.mark.parametrize(
    ("request_", "bid", "expected"),
    [
        ({"wseat": ["s2"]}, {}, ("s1", Relation.IN, ("s2",))),
        ({"bseat": ["s1"]}, {}, ("s1", Relation.NOT_IN, ("s1",))),
        ({"badv": ["a.com"]}, {"adomain": ["x.A.com"]}, ("x.A.com", Relation.NOT_IN, ("a.com",))),
        ({"bcat": ["IAB1"]}, {"cat": ["IAB1-2"]}, ("IAB1-2", Relation.NOT_IN, ("IAB1",))),
        ({"acat": ["IAB1"]}, {"cat": ["IAB2", "IAB1"]}, (("IAB2",), Relation.IN, ("IAB1",))),
        ({"acat": ["IAB1"]}, {}, (None, Relation.IN, ("IAB1",))),
        ({"acat": ["IAB1"]}, {"cat": ["IAB1"], "cattax": 7}, (7, Relation.EQUAL, 1)),
        ({"bapp": ["com.a"]}, {"bundle": "com.a"}, ("com.a", Relation.NOT_IN, ("com.a",))),
        ({"wlang": ["de"]}, {"language": "fr"}, ("fr", Relation.IN, ("de",))),
        ({"wlangb": ["de-CH"]}, {"langb": "de"}, ("de", Relation.IN, ("de-ch",))),
        ({"cur": ["EUR"]}, {}, ("USD", Relation.IN, ("EUR",))),
        ({"cur": ["EUR", "USD"]}, {}, (None, Relation.PRESENT, None)),
    ],
)
def test_a_list_of_the_request_is_shown_with_what_met_it(auction, request_, bid, expected):
    result = auction(reply("a", bid, seat="s1"), **request_)
    found = result.verdicts[0].evidence
    assert (found.found, found.relation, found.required) == expected


def test_whole_replies_show_what_they_were_refused_for(auction):
    result = auction(reply("a", {}, arrived_ms=9), reply("b", {}, id="x"), tmax=8)
    late, other = (verdict.evidence for verdict in result.verdicts)
    assert (late.name, late.found, late.required) == ("arrival", 9, 8)
    assert (other.name, other.found, other.required) == ("id", "x", "req")


NATIVE = [{"id": "1", "native": {}, "banner": {}, "secure": True}]


@pytest.mark.parametrize(
    ("url", "fate"),
    [("https://a.example.com/", Fate.WON), ("http://a.example.com/", Fate.NOT_SECURE)],
)
def test_a_native_message_is_markup_and_is_looked_through(auction, url, fate):
    native = NativeResponse(link={"url": url})
    result = auction(reply("a", {"adm": "", "adm_native": native}), imps=NATIVE)
    assert result.verdicts[0].fate is fate
    assert result.verdicts[0].media_type.name == "NATIVE"


def test_a_preloaded_ad_has_no_address_to_be_secure(auction):
    rules = Rules.from_mapping({"allow_adid_only": True})
    result = auction(reply("a", {"adm": "", "adid": "7"}), imp={"secure": True}, rules=rules)
    assert result.verdicts[0].fate is Fate.WON


@pytest.mark.parametrize(
    "markup",
    [
        '{"vast":"<VAST xmlns=\\"http://www.iab.com/VAST\\">"}',
        "<svg XMLNS:xlink = 'http://www.w3.org/1999/xlink'>",
        "<VAST xsi:noNamespaceSchemaLocation='http://www.iab.com/vast.xsd'>",
        '<!doctype html SYSTEM "http://a.example.com/a.dtd" [ <!ENTITY x "http://a/"> ]>',
    ],
)
def test_names_that_look_like_addresses_are_secure(auction, markup):
    result = auction(reply("a", {"adm": markup, "mtype": 1}), imp={"secure": True})
    assert result.verdicts[0].fate is Fate.WON


def test_markup_made_to_be_slow_to_search_is_not():
    """Half a megabyte of beginnings that never end; a search that went back would take minutes."""
    for start in ("<!DOCTYPE [", "<!DOCTYPE ", 'xmlns="', "xmlns:", "xmlns  ", "schemaLocation='"):
        assert checks._insecure_part("http://" + start * (500_000 // len(start)))


def test_without_mtype_and_any_offer_no_type_can_be_told(auction):
    result = auction(reply("a", {"adm": "", "nurl": "https://a.example.com/"}), imps=[{"id": "1"}])
    assert result.verdicts[0].fate is Fate.MEDIA_TYPE
    assert result.verdicts[0].evidence.found is None
