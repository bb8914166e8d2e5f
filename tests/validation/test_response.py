"""What a bid response has to be, alone and as the answer to a request."""

import math

import pytest

from validation.messages import REQUESTS, RESPONSES, VAST, changed, request, response
from validation.response_cases import DOUBTFUL, INVALID
from xsp_server.openrtb.validation import BidResponseValidator, Severity

validate = BidResponseValidator().validate


def violations(answer, asked):
    result = validate(response(answer), None if asked is None else request(asked))
    return [(v.severity, v.path, v.rule) for v in result.violations]


def spoiled(case):
    answer, asked = RESPONSES[case.base], REQUESTS[case.base]
    if case.of == "request":
        return answer, changed(asked, case.edit)
    return changed(answer, case.edit), asked


@pytest.mark.parametrize("name", RESPONSES)
def test_a_valid_response_passes_without_a_word(name):
    assert violations(RESPONSES[name], REQUESTS[name]) == []
    assert violations(RESPONSES[name], None) == []


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.name)
def test_one_wrong_thing_refuses_a_response_at_its_path(case):
    assert violations(*spoiled(case)) == [(Severity.ERROR, case.path, case.rule)]


@pytest.mark.parametrize("case", DOUBTFUL, ids=lambda case: case.name)
def test_one_doubtful_thing_is_warned_about_at_its_path(case):
    assert violations(*spoiled(case)) == [(Severity.WARNING, case.path, case.rule)]


def test_enough_responses_are_refused():
    assert len(INVALID) >= 40
    assert len({case.name for case in [*INVALID, *DOUBTFUL]}) == len(INVALID) + len(DOUBTFUL)


def asked_for(imp, **request_fields):
    """A request of one imp."""
    return {"id": "r", "imp": [{"id": "1", **imp}], **request_fields}


def bid(**fields):
    """A response of one bid."""
    cur = {"cur": fields.pop("cur")} if "cur" in fields else {}
    only = {"id": "1", "impid": "1", "price": 1, "adm": "<b>ad</b>"} | fields
    return {"id": "r", **cur, "seatbid": [{"bid": [only]}]}


def errors(answer, asked):
    """Last parts of the paths, and rules."""
    result = validate(response(answer), request(asked))
    return [(v.path.rpartition("bid[0].")[2], v.rule) for v in result.errors]


RANGES = {
    "mimes": ["v"],
    "durfloors": [{"maxdur": 15, "bidfloor": 3}, {"mindur": 15, "bidfloor": 5}],
}
PER_SECOND = {"mimes": ["v"], "mincpmpersec": 0.1}


def deal(**terms):
    return {"deals": [{"id": "D", **terms}]}


FLOORS = {
    # what sets the floor: imp, bid, the floor
    "imp": ({"banner": {}, "bidfloor": 2}, {}, 2),
    "deal": (
        {"banner": {}, "bidfloor": 2, "pmp": deal(bidfloor=1.5)},
        {"dealid": "D"},
        1.5,
    ),
    "imp: the deal tells none": (
        {"banner": {}, "bidfloor": 2, "pmp": deal()},
        {"dealid": "D"},
        2,
    ),
    "range": ({"video": RANGES, "bidfloor": 9}, {"dur": 10}, 3),
    "the greater of two ranges": ({"video": RANGES, "bidfloor": 1}, {"dur": 15}, 5),
    "imp: length in no range": (
        {"video": {"mimes": ["v"], "durfloors": [{"mindur": 20, "bidfloor": 5}]}, "bidfloor": 1},
        {"dur": 10},
        1,
    ),
    "imp: length unknown": ({"video": RANGES, "bidfloor": 1}, {}, 1),
    "length assumed: maxduration": ({"video": PER_SECOND | {"maxduration": 30}}, {}, 3),
    "length assumed: rqddurs": ({"video": PER_SECOND | {"rqddurs": [10, 20]}}, {}, 2),
    "length assumed: poddur": ({"video": PER_SECOND | {"poddur": 60}}, {}, 6),
    "per second": ({"video": PER_SECOND, "bidfloor": 9}, {"dur": 25}, 2.5),
    "per second, exactly": ({"video": PER_SECOND}, {"dur": 3}, 0.3),
    "audio": ({"audio": PER_SECOND}, {"dur": 25}, 2.5),
    "imp: a banner beside a video with floors": (
        {"banner": {}, "video": PER_SECOND, "bidfloor": 1},
        {"mtype": 1, "dur": 90},
        1,
    ),
    "deal's range": (
        {"video": RANGES, "pmp": deal(durfloors=[{"maxdur": 60, "bidfloor": 4}])},
        {"dealid": "D", "dur": 10},
        4,
    ),
    "imp: in no range of the deal": (
        {"video": RANGES, "bidfloor": 1, "pmp": deal(durfloors=[{"mindur": 60, "bidfloor": 4}])},
        {"dealid": "D", "dur": 10},
        1,
    ),
    "deal per second": (
        {"video": RANGES, "pmp": deal(mincpmpersec=0.2)},
        {"dealid": "D", "dur": 10},
        2,
    ),
    "imp: the deal's is for video": (
        {"banner": {}, "bidfloor": 2, "pmp": deal(mincpmpersec=9)},
        {"dealid": "D"},
        2,
    ),
}


@pytest.mark.parametrize(("imp", "fields", "floor"), FLOORS.values(), ids=FLOORS)
def test_the_price_reaches_the_floor_that_applies(imp, fields, floor):
    below = bid(**fields, price=floor - 0.000001)
    assert [path for path, _ in errors(below, asked_for(imp))] == ["price"]
    assert errors(bid(**fields, price=floor), asked_for(imp)) == []


def test_a_floor_in_another_currency_is_not_compared():
    asked = asked_for({"banner": {}, "bidfloor": 2, "bidfloorcur": "EUR"}, cur=["USD", "EUR"])
    assert errors(bid(price=1, cur="USD"), asked) == []
    assert errors(bid(price=1, cur="EUR"), asked) == [("price", "bid.price.floor")]


def test_a_deals_floor_does_not_inherit_the_imps_currency():
    deals = [{"id": "D", "bidfloor": 2}]
    imp = {"banner": {}, "bidfloorcur": "EUR", "pmp": {"deals": deals}}
    asked = asked_for(imp, cur=["USD", "EUR"])
    assert errors(bid(dealid="D", cur="EUR"), asked) == []
    assert errors(bid(dealid="D", cur="USD"), asked) == [("price", "bid.price.deal-floor")]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_price_is_a_number(number):
    message = response(bid())
    message.seatbid[0].bid[0].price = number
    result = validate(message, request(asked_for({"banner": {}, "bidfloor": 2})))
    assert [v.rule for v in result.errors] == ["bid.price.range"]


@pytest.mark.parametrize("floor", [math.nan, math.inf, -1.0])
def test_a_floor_that_is_no_price_stops_nobody(floor):
    asked = request(asked_for({"banner": {}}))
    asked.imp[0].bidfloor = floor
    assert validate(response(bid()), asked).ok


NO_MARKUP = {"adm": None, "nurl": "https://a.example"}
MEDIA = [
    # what the imp offers, bid, which of them it is judged by
    (["banner", "video"], {"adm": VAST}, "video"),
    (["banner", "audio"], {"adm": VAST}, "audio"),
    (["banner", "video"], {"adm": "<b>no <VASTNESS></b>"}, "banner"),
    (["video", "native"], {"adm": ' {"native":{}}'}, "native"),
    (["banner", "video"], {"adm": "<b></b>"}, "banner"),
    (["video", "audio"], NO_MARKUP, "video"),
    (["banner", "native"], NO_MARKUP, "banner"),
    (["video", "banner"], {"adm": VAST, "mtype": 1}, "banner"),
    (["native"], {"adm": "<b></b>"}, "native"),
]
NATIVE = {"request": '{"assets":[{"id":1,"title":{"len":1}}]}'}


def judged_by(media, offered):
    """An imp whose other objects block attribute 1."""
    objects = {
        "banner": {},
        "video": {"mimes": ["v"]},
        "audio": {"mimes": ["a"]},
        "native": NATIVE,
    }
    return {name: objects[name] | {"battr": [] if name == media else [1]} for name in offered}


@pytest.mark.parametrize(("offered", "fields", "media"), MEDIA)
def test_a_bid_is_judged_by_the_media_type_that_it_tells_or_shows(offered, fields, media):
    assert errors(bid(attr=[1], **fields), asked_for(judged_by(media, offered))) == []


def test_a_native_message_as_markup_is_native():
    answer = response(bid(attr=[1]))
    answer.seatbid[0].bid[0].adm_native.ver = "1.2"
    asked = request(asked_for(judged_by("native", ["banner", "native"])))
    assert validate(answer, asked).ok


@pytest.mark.parametrize(
    ("offered", "adm"),
    [
        (["banner", "native"], VAST),
        (["video", "native"], "<b></b>"),
        (["video", "audio"], '{"native":{}}'),
    ],
)
def test_markup_of_a_type_that_is_not_offered_is_refused(offered, adm):
    found = errors(bid(adm=adm), asked_for(judged_by("", offered)))
    assert found == [("mtype", "bid.mtype.offered")]


FLEXIBLE = {"format": [{"w": 300, "h": 250}, {"wratio": 16, "hratio": 9, "wmin": 320}]}


@pytest.mark.parametrize(
    ("banner", "size"),
    [
        (FLEXIBLE, {"w": 300, "h": 250}),
        (FLEXIBLE, {"w": 640, "h": 360}),
        (FLEXIBLE, {"wratio": 32, "hratio": 18}),
        (FLEXIBLE, {}),
        ({}, {"w": 1, "h": 1}),
        ({"w": 728, "h": 90, "format": [{"w": 300, "h": 250}]}, {"w": 728, "h": 90}),
        (
            {"w": 728, "h": 90, "format": [{"w": 300, "h": 250}]},
            {"wratio": 1, "hratio": 1, "w": 300, "h": 250},
        ),
    ],
)
def test_one_pair_that_the_bid_tells_fits_the_banner(banner, size):
    assert errors(bid(**size), asked_for({"banner": banner})) == []


@pytest.mark.parametrize(
    "size",
    [
        {"w": 300, "h": 251},
        {"w": 304, "h": 171},
        {"wratio": 4, "hratio": 3},
        {"wratio": 16, "hratio": 9, "w": 160, "h": 90},
    ],
)
def test_other_sizes_do_not_fit_the_banner(size):
    assert [rule for _, rule in errors(bid(**size), asked_for({"banner": FLEXIBLE}))] == [
        "bid.size.offered"
    ]


@pytest.mark.parametrize(
    "adm",
    [
        (
            '<?xml version="1.0"?><VAST xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xsi:noNamespaceSchemaLocation="http://x.example/vast.xsd"><Ad/></VAST>'
        ),
        "<svg xmlns='http://www.w3.org/2000/svg'></svg>",
        '{"html": "<svg xmlns=\\"http://www.w3.org/2000/svg\\">"}',
        '<!DOCTYPE VAST [<!ENTITY a SYSTEM "http://x.example/a">]><b></b>',
        '<!DOCTYPE html PUBLIC "-//W3C//DTD" "http://www.w3.org/TR/html4/strict.dtd"><html></html>',
        "plain text about http and https://a.example",
    ],
)
def test_names_that_look_like_addresses_are_secure(adm):
    assert errors(bid(adm=adm), asked_for({"banner": {}, "secure": 1})) == []


@pytest.mark.parametrize("secure", [{}, {"secure": 0}])
def test_http_is_fine_where_the_imp_is_not_secure(secure):
    assert (
        errors(bid(adm="<img src='http://x.example'>"), asked_for({"banner": {}, **secure})) == []
    )


def test_a_native_message_as_markup_is_not_searched_for_addresses():
    asked = asked_for({"native": NATIVE, "secure": 1})
    message = response(bid())
    message.seatbid[0].bid[0].adm_native.link.url = "http://x.example"
    assert validate(message, request(asked)).ok


@pytest.mark.parametrize(
    ("video", "seconds", "fits"),
    [
        ({"maxduration": 30, "maxextended": 10}, 40, True),
        ({"maxduration": 30, "maxextended": 10}, 41, False),
        ({"maxduration": 30, "maxextended": -1}, 999, True),
        ({"maxduration": 30}, 31, False),
        ({"minduration": 6}, 5, False),
        ({}, 999, True),
        ({"rqddurs": [15, 30]}, 30, True),
        ({"rqddurs": [15, 30]}, 20, False),
    ],
)
def test_durations_are_those_that_the_imp_allows(video, seconds, fits):
    asked = asked_for({"video": {"mimes": ["v"], **video}})
    assert errors(bid(dur=seconds), asked) == ([] if fits else [("dur", "bid.dur.allowed")])


def test_the_old_api_field_counts_where_apis_is_absent():
    asked = asked_for({"banner": {"api": [5]}})
    assert errors(bid(api=3), asked) == [("api", "bid.apis.supported")]
    assert errors(bid(api=3, apis=[5]), asked) == []


@pytest.mark.parametrize(("told", "guaranteed", "fits"), [
    (1, 1, True), (1, 2, True), (1, -1, False), (1, 0, False),
    (-1, -1, True), (-1, 2, True), (-1, 1, False),
    (2, 1, True), (2, -1, True), (2, 2, True), (2, 0, False),
    (0, 0, True), (7, 0, True),
])  # fmt: skip
def test_a_slot_is_one_that_the_imp_guarantees(told, guaranteed, fits):
    video = {"mimes": ["v"], "podid": "p", "poddur": 60, "slotinpod": guaranteed}
    found = errors(bid(slotinpod=told), asked_for({"video": video}))
    assert found == ([] if fits else [("slotinpod", "bid.slotinpod.offered")])


@pytest.mark.parametrize(
    ("request_fields", "fields"),
    [
        ({"bcat": ["2"], "cattax": 7}, {"cat": ["2-1", "21"], "cattax": 7}),
        ({"bcat": ["IAB25-3"]}, {"cat": ["IAB25", "IAB25-30"]}),
        ({"bcat": ["IAB25"]}, {"cat": ["IAB25"], "cattax": 6}),
        ({"acat": ["IAB1", "IAB2"]}, {"cat": ["IAB1-7", "IAB2"]}),
        ({"badv": ["b.example"]}, {"adomain": ["ab.example", "example"]}),
        ({"badv": ["b.example"]}, {}),
        ({"wlang": ["pt"]}, {"langb": "pt-BR"}),
        ({"wlang": ["PT"]}, {"language": "pt"}),
        ({"wlang": ["pt"]}, {"language": "xx"}),
        ({"wlang": ["pt"]}, {}),
        ({"wlangb": ["pt"]}, {"langb": "pt-BR"}),
        ({"bseat": ["s"]}, {}),
        ({"bapp": ["com.example"]}, {"bundle": "com.example.app"}),
    ],
)
def test_what_a_list_does_not_cover_passes(request_fields, fields):
    assert errors(bid(**fields), asked_for({"banner": {}}, **request_fields)) == []


def test_a_category_of_a_later_taxonomy_is_blocked_by_its_exact_id():
    asked = asked_for({"banner": {}}, bcat=["2"], cattax=7)
    assert errors(bid(cat=["2"], cattax=7), asked) == [("cat[0]", "bid.cat.blocked")]


def group(*bids):
    seatbid = {
        "group": 1,
        "bid": [{"id": str(i), "price": 1, "adm": "a"} | b for i, b in enumerate(bids)],
    }
    return {"id": "r", "seatbid": [seatbid]}


TWO_IMPS = {"id": "r", "imp": [{"id": "1", "banner": {}}, {"id": "2", "banner": {}, "bidfloor": 5}]}


def test_a_group_without_a_valid_bid_for_one_of_its_imps_is_refused_whole():
    result = validate(response(group({"impid": "1"}, {"impid": "2"})), request(TWO_IMPS))
    assert [(v.path, v.rule) for v in result.errors] == [
        ("seatbid[0].bid[1].price", "bid.price.floor"),
        ("seatbid[0].group", "seatbid.group.complete"),
    ]
    assert result.errors[1].found == 'no valid bid for imp "2"'


def test_a_group_may_have_a_second_bid_for_an_imp():
    answer = group({"impid": "1"}, {"impid": "2", "price": 6}, {"impid": "2"})
    result = validate(response(answer), request(TWO_IMPS))
    assert [v.rule for v in result.errors] == ["bid.price.floor"]


def test_bids_for_an_imp_that_offers_nothing_are_not_blamed_for_their_type():
    assert errors(bid(), {"id": "r", "imp": [{"id": "1"}]}) == []


def test_of_imps_that_share_an_id_the_first_counts():
    imps = [{"id": "1", "banner": {}, "bidfloor": 0.5}, {"id": "1", "banner": {}, "bidfloor": 9}]
    assert errors(bid(), {"id": "r", "imp": imps}) == []


def test_a_currency_without_bids_is_nobodys_business():
    assert errors({"id": "r", "cur": "CHF"}, asked_for({"banner": {}})) == []


def test_a_long_list_is_shortened_in_what_was_expected():
    asked = asked_for({"banner": {}}, wseat=[f"s{i}" for i in range(9)])
    (violation,) = validate(response(bid()), request(asked)).errors
    assert violation.expected.count(",") == 5
    assert violation.expected.endswith("…")
