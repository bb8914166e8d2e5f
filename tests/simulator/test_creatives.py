"""Creatives fit what the imp accepts."""

import json
from xml.etree import ElementTree as ET

import pytest

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp_server.simulator import creatives
from xsp_server.simulator.draws import Draws
from xsp_server.simulator.native import native

WHO = "advertiser.example"
MP4 = {"mimes": ["video/mp4"]}
NAMESPACE = "{http://www.iab.com/VAST}"


def many(make, spec):
    """What the maker gives in a number of auctions; None among them if it had nothing."""
    return [make(spec, WHO, Draws(number)) for number in range(40)]


def one(make, spec):
    return make(spec, WHO, Draws("1"))


def banner(**fields):
    return BidRequest.Banner(**fields)


def video(**fields):
    return BidRequest.Video(**{**MP4, **fields})


def audio(**fields):
    return BidRequest.Audio(**fields)


class TestBanner:
    def test_has_the_size_of_the_imp_in_bid_and_markup(self):
        bid = one(creatives.banner, banner(w=300, h=250))
        assert (bid.mtype, bid.w, bid.h) == (1, 300, 250)
        assert 'width="300" height="250"' in bid.adm
        assert 'href="https://advertiser.example/"' in bid.adm

    def test_takes_any_of_the_sizes_in_format_and_not_w_and_h(self):
        formats = [{"w": 300, "h": 250}, {"w": 728, "h": 90}]
        made = many(creatives.banner, banner(format=formats, w=1, h=1))
        assert {(bid.w, bid.h) for bid in made} == {(300, 250), (728, 90)}

    def test_passes_over_sizes_given_as_ratio(self):
        formats = [{"wratio": 16, "hratio": 9, "wmin": 100}, {"w": 728, "h": 90}]
        made = many(creatives.banner, banner(format=formats))
        assert {(bid.w, bid.h) for bid in made} == {(728, 90)}

    @pytest.mark.parametrize("spec", [{}, {"w": 300}, {"format": [{"wratio": 1, "hratio": 1}]}])
    def test_is_not_made_for_an_unknown_size(self, spec):
        assert one(creatives.banner, banner(**spec)) is None

    def test_of_one_size_is_one_creative(self):
        made = many(creatives.banner, banner(w=300, h=250))
        assert {bid.crid for bid in made} == {"advertiser.example-banner-300x250"}


class TestVast:
    def parsed(self, bid, version):
        root = ET.fromstring(bid.adm)  # noqa: S314 - our own document
        namespace = NAMESPACE if version >= "4.0" else ""
        assert root.tag == f"{namespace}VAST"
        assert root.attrib["version"] == version
        return root, lambda path: root.find(
            ".//" + "/".join(namespace + step for step in path.split("/"))
        )

    def test_is_4_2_unless_the_imp_says_otherwise(self):
        bid = one(creatives.video, video())
        self.parsed(bid, "4.2")
        assert bid.protocol == 13

    @pytest.mark.parametrize(
        ("protocols", "protocol", "version"),
        [
            ([2, 3], 3, "3.0"),
            ([2], 2, "2.0"),
            ([7], 7, "4.0"),
            ([11], 11, "4.1"),
            ([15], 15, "4.3"),
            ([2, 3, 5, 6, 13, 14], 13, "4.2"),
        ],
    )
    def test_has_a_version_among_the_protocols(self, protocols, protocol, version):
        bid = one(creatives.video, video(protocols=protocols))
        assert bid.protocol == protocol
        _, find = self.parsed(bid, version)
        for path in ("AdSystem", "AdTitle", "Impression", "Linear/Duration", "Linear/MediaFiles"):
            assert find(path) is not None
        assert (find("AdServingId") is not None) == (version >= "4.1")
        assert (find("UniversalAdId") is not None) == (version >= "4.0")
        assert (find("Ad").get("adType") is not None) == (version >= "4.1")

    @pytest.mark.parametrize("protocols", [[14], [1], [9, 10]])
    def test_is_not_made_for_protocols_without_inline_vast_from_2_on(self, protocols):
        assert one(creatives.video, video(protocols=protocols)) is None

    def test_of_a_video_has_its_size_type_and_duration(self):
        bid = one(creatives.video, video(w=1920, h=1080, rqddurs=[75]))
        _, find = self.parsed(bid, "4.2")
        file = find("MediaFile")
        assert file.attrib == {
            "delivery": "progressive",
            "type": "video/mp4",
            "width": "1920",
            "height": "1080",
        }
        assert file.text == f"https://cdn.advertiser.example/{bid.crid}.mp4"
        assert find("Duration").text == "00:01:15"
        assert (bid.mtype, bid.w, bid.h, bid.dur) == (2, 1920, 1080, 75)

    def test_of_a_video_without_a_size_has_a_common_one(self):
        bid = one(creatives.video, video())
        assert (bid.w, bid.h) == creatives.PLAYER_SIZE

    def test_of_an_audio_ad_says_so_and_has_no_size(self):
        bid = one(creatives.audio, audio(mimes=["audio/mp4"], rqddurs=[15]))
        _, find = self.parsed(bid, "4.2")
        assert find("Ad").get("adType") == "audio"
        file = find("MediaFile").attrib
        assert (file["type"], file["width"], file["height"]) == ("audio/mp4", "0", "0")
        assert (bid.mtype, bid.dur, bid.protocol) == (3, 15, 13)
        assert not bid.HasField("w")

    def test_lasts_hours_if_asked_to(self):
        _, find = self.parsed(one(creatives.video, video(rqddurs=[3661])), "4.2")
        assert find("Duration").text == "01:01:01"

    def test_of_each_delivery_has_an_id_of_its_own(self):
        made = many(creatives.video, video(rqddurs=[15]))
        assert len({bid.adm for bid in made}) == len(made)
        assert len({bid.crid for bid in made}) == 1

    @pytest.mark.parametrize("mimes", [["video/x-flv"], ["application/javascript"]])
    def test_is_not_made_for_media_that_we_lack(self, mimes):
        assert one(creatives.video, video(mimes=mimes)) is None
        assert one(creatives.audio, audio(mimes=mimes)) is None

    def test_takes_a_media_type_that_the_player_plays(self):
        bid = one(creatives.video, video(mimes=["video/x-flv", "video/webm"]))
        assert 'type="video/webm"' in bid.adm

    @pytest.mark.parametrize(("linearity", "made"), [(1, True), (2, False)])
    def test_is_linear(self, linearity, made):
        assert (one(creatives.video, video(linearity=linearity)) is not None) is made


class TestDuration:
    @pytest.mark.parametrize(
        ("spec", "possible"),
        [
            ({}, {6, 10, 15, 20, 30}),
            ({"minduration": 5, "maxduration": 30}, {6, 10, 15, 20, 30}),
            ({"minduration": 15, "maxduration": 20}, {15, 20}),
            ({"minduration": 7, "maxduration": 9}, {7}),
            ({"minduration": 40}, {40}),
            ({"maxduration": 60, "poddur": 10}, {6, 10}),
            ({"poddur": 6}, {6}),
            ({"rqddurs": [13, 17]}, {13, 17}),
            ({"rqddurs": [0, 17]}, {17}),
            ({"minduration": 30, "maxduration": 15}, {None}),
            ({"maxduration": 0}, {None}),
            ({"rqddurs": [0]}, {None}),
        ],
    )
    def test_is_one_that_the_imp_accepts(self, spec, possible):
        made = [creatives.duration(video(**spec), Draws(number)) for number in range(80)]
        assert set(made) == possible

    def test_that_nothing_fits_leaves_the_imp_alone(self):
        assert one(creatives.video, video(maxduration=0)) is None


ASSETS = [
    {"id": 1, "required": 1, "title": {"len": 10}},
    {"id": 2, "required": 1, "img": {"type": 3, "w": 600, "h": 400}},
    {"id": 3, "img": {"type": 1, "wmin": 50, "hmin": 50}},
    {"id": 4, "img": {"type": 1}},
    {"id": 5, "img": {"type": 3, "mimes": ["image/gif"]}},
    {"id": 6, "required": 1, "data": {"type": 12}},
    {"id": 7, "data": {"type": 2, "len": 7}},
    {"id": 8, "video": {"mimes": ["video/mp4"], "rqddurs": [15]}},
]


class TestNative:
    def text(self, **request):
        return BidRequest.Native(request=json.dumps(request))

    def answer(self, spec):
        return json.loads(one(native, spec).adm)

    def test_answers_every_asset_by_its_id_and_kind(self):
        answer = self.answer(self.text(ver="1.2", assets=ASSETS))
        assert answer["ver"] == "1.2"
        assert answer["link"] == {"url": "https://advertiser.example/"}
        assets = {asset["id"]: asset for asset in answer["assets"]}
        assert set(assets) == {1, 2, 3, 4, 5, 6, 7, 8}
        assert assets[1]["title"] == {"text": "An offer m"}
        assert assets[2]["img"] == {
            "url": "https://cdn.advertiser.example/600x400.png",
            "w": 600,
            "h": 400,
        }
        assert (assets[3]["img"]["w"], assets[3]["img"]["h"]) == (50, 50)
        assert (assets[4]["img"]["w"], assets[4]["img"]["h"]) == (80, 80)
        assert assets[5]["img"]["url"].endswith("/1200x627.gif")
        assert assets[6]["data"] == {"value": "Learn more"}
        assert assets[7]["data"] == {"value": "Nothing"}
        assert "<Duration>00:00:15</Duration>" in assets[8]["video"]["vasttag"]

    def test_is_a_native_bid(self):
        bid = one(native, self.text(assets=ASSETS[:1]))
        assert (bid.mtype, bid.crid) == (4, "advertiser.example-native")

    def test_request_as_a_message_is_answered_as_text(self):
        request = NativeRequest(ver="1.1", assets=[{"id": 7, "title": {"len": 90}}])
        answer = self.answer(BidRequest.Native(request_native=request))
        assert (answer["ver"], answer["assets"][0]["id"]) == ("1.1", 7)

    def test_version_is_1_2_where_the_request_has_none(self):
        assert self.answer(self.text(assets=ASSETS[:1]))["ver"] == "1.2"

    def test_request_wrapped_in_native_is_answered_wrapped(self):
        answer = self.answer(self.text(native={"ver": "1.0", "assets": ASSETS[:1]}))
        assert answer["native"]["ver"] == "1.0"
        assert answer["native"]["assets"][0]["id"] == 1

    @pytest.mark.parametrize(
        "asset",
        [
            {"img": {"mimes": ["image/tiff"]}},
            {"data": {"type": 555}},
            {"video": {"mimes": ["video/x-flv"]}},
            {},
        ],
    )
    def test_is_not_made_when_a_required_asset_is_lacking(self, asset):
        title = {"id": 1, "title": {"len": 90}}
        lacking = {"id": 2, **asset}
        assert one(native, self.text(assets=[title, {**lacking, "required": 1}])) is None
        answer = self.answer(self.text(assets=[title, lacking]))
        assert [entry["id"] for entry in answer["assets"]] == [1]

    def test_is_not_made_without_an_asset_to_answer(self):
        assert one(native, self.text(assets=[])) is None

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"assets": 5}', '{"native": 5}'])
    def test_is_not_made_for_a_request_that_cannot_be_read(self, text):
        assert one(native, BidRequest.Native(request=text)) is None
