"""Who is asked for what."""

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.plan import Channel, Offering, Plan, SkippedImp, SkipReason, asked_for, plan
from xsp_server.auction.terms import MediaType

SITE = BidRequest(
    id="req",
    site={"domain": "news.example.com", "publisher": {"id": "p1"}},
    device={"geo": {"country": "DEU"}},
    imp=[
        {"id": "1", "banner": {}},
        {"id": "2", "video": {}},
        {"id": "3", "banner": {}, "audio": {}},
    ],
)
APP = BidRequest(id="req", app={"bundle": "com.example.game"}, imp=[{"id": "1", "native": {}}])


def planned(request, **offering):
    return plan(request, [Offering("a", **offering)])[0]


def test_a_bidder_that_takes_anything_is_asked_for_all_imps():
    assert planned(SITE) == Plan("a", ("1", "2", "3"))
    assert asked_for(SITE, planned(SITE)) is SITE


def test_imps_without_one_of_its_media_types_are_left_out():
    found = planned(SITE, media_types=frozenset({MediaType.VIDEO, MediaType.AUDIO}))
    assert found.imps == ("2", "3")
    assert found.skipped == (SkippedImp("1", SkipReason.MEDIA_TYPE),)
    assert found.reason is None
    asked = asked_for(SITE, found)
    assert [imp.id for imp in asked.imp] == ["2", "3"]
    assert asked.site == SITE.site
    assert len(SITE.imp) == 3


def test_a_bidder_with_no_imp_left_is_not_asked():
    found = planned(SITE, media_types=frozenset({MediaType.NATIVE}))
    assert (found.imps, found.reason) == ((), SkipReason.MEDIA_TYPE)


def test_where_nothing_is_for_sale_nobody_is_asked():
    found = planned(BidRequest(), media_types=frozenset({MediaType.NATIVE}))
    assert (found.imps, found.reason) == ((), SkipReason.NO_IMP)


@pytest.mark.parametrize(
    ("request_", "offering", "reason"),
    [
        (SITE, {"countries": {"DEU", "FRA"}}, None),
        (SITE, {"countries": {"FRA"}}, SkipReason.COUNTRY),
        (APP, {"countries": {"FRA"}}, SkipReason.COUNTRY),
        (SITE, {"blocked_countries": {"DEU"}}, SkipReason.COUNTRY),
        (APP, {"blocked_countries": {"DEU"}}, None),
        (SITE, {"currencies": {"USD"}}, None),
        (SITE, {"currencies": {"EUR"}}, SkipReason.CURRENCY),
        (SITE, {"channels": {Channel.SITE}}, None),
        (SITE, {"channels": {Channel.APP, Channel.DOOH}}, SkipReason.CHANNEL),
        (BidRequest(), {"channels": {Channel.APP}}, SkipReason.CHANNEL),
        (SITE, {"publishers": {"p1"}}, None),
        (SITE, {"publishers": {"p2"}}, SkipReason.PUBLISHER),
        (SITE, {"inventory": {"example.com"}}, None),
        (SITE, {"inventory": {"sport.example.com"}}, SkipReason.INVENTORY),
        (APP, {"inventory": {"com.example.game"}}, None),
        (APP, {"inventory": {"com.example.other"}}, SkipReason.INVENTORY),
    ],
)
def test_a_list_allows_what_is_in_it_and_an_unknown_is_not(request_, offering, reason):
    found = planned(request_, **{name: frozenset(values) for name, values in offering.items()})
    if reason is None:
        assert found.imps
        assert found.reason is None
    else:
        assert (found.imps, found.reason) == ((), reason)
        assert {skipped.reason for skipped in found.skipped} <= {reason}


def test_offerings_are_planned_in_their_order():
    plans = plan(SITE, [Offering("b"), Offering("a")])
    assert [one.bidder for one in plans] == ["b", "a"]


def test_reasons_have_the_codes_of_seat_non_bid():
    assert SkipReason.COUNTRY.nonbid == 200
    assert SkipReason.CHANNEL.nonbid == 201
    assert SkipReason.MEDIA_TYPE.nonbid == 202
