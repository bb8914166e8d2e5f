"""What an ad says of itself, typed."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from vast.documents import inline
from xsp.vast.v1 import metadata_pb2 as pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.metadata import duration_of, metadata_of, micros_of, offset_of
from xsp_server.vast.parse import parse

COMPANION_PAGE = "<CompanionClickThrough>c</CompanionClickThrough>"
UNIT_PAGE = "<NonLinearClickThrough>n</NonLinearClickThrough>"


def facts(content, *, version="4.2", **options):
    return metadata_of(parse(inline(content, version)).ads[0], **options)


def creative_facts(content, version="4.2"):
    return facts(
        f"<Creatives><Creative>{content}</Creative></Creatives>", version=version
    ).creatives[0]


def wrapper(content=""):
    document = f'<VAST version="4.2"><Ad><Wrapper>{content}</Wrapper></Ad></VAST>'
    return parse(document.encode()).ads[0].wrapper


def test_the_ads_own_facts_are_read():
    read = facts(
        "<AdSystem>s</AdSystem><AdTitle>t</AdTitle><AdServingId>i</AdServingId>"
        "<Advertiser id='9'>a</Advertiser><Category authority='iab'>1-2</Category>"
        "<Expires>90</Expires>"
    )
    assert read == pb.AdMetadata(
        ad_id="1",
        ad_type="video",
        ad_system="s",
        ad_title="t",
        ad_serving_id="i",
        advertiser="a",
        advertiser_id="9",
        categories=[vast_pb2.Category(authority="iab", value="1-2")],
        expires=Duration(seconds=90),
    )


def test_what_the_ad_does_not_say_is_absent():
    assert metadata_of(vast_pb2.Ad()) == pb.AdMetadata(ad_type="video")
    read = metadata_of(vast_pb2.Ad(sequence=2, ad_type="Audio", inline=vast_pb2.InLine(expires=-1)))
    assert read == pb.AdMetadata(ad_type="audio", sequence=2)
    read = facts("<Advertiser>a</Advertiser>")
    assert not read.HasField("advertiser_id")


def test_a_wrapper_gives_the_facts_that_it_has():
    ad = vast_pb2.Ad(wrapper=wrapper("<AdSystem>s</AdSystem><Pricing model='cpm'>1</Pricing>"))
    read = metadata_of(ad)
    assert read.ad_system == "s"
    assert read.price == pb.Price(model="CPM", micros=1_000_000)


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("00:00:15", 15, 0),
        (" 01:02:03.5 ", 3723, 500_000_000),
        ("00:00:00.123456789", 0, 123_456_789),
        ("0:0:5", 5, 0),
        ("100:00:00", 360_000, 0),
    ],
)
def test_times_are_durations(text, seconds, nanos):
    assert duration_of(text) == Duration(seconds=seconds, nanos=nanos)


@pytest.mark.parametrize(
    "text", ["", "15", "00:60:00", "00:00:60", "-00:00:01", "0:15", "00:00:1\u0665"]
)
def test_other_texts_are_no_durations(text):
    assert duration_of(text) is None
    assert offset_of(text) is None


def test_offsets_are_times_or_percent():
    assert offset_of("00:00:05") == pb.TimeOffset(time=Duration(seconds=5))
    assert offset_of("12.5%") == pb.TimeOffset(percent=12.5)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("4.50", 4_500_000),
        ("25", 25_000_000),
        ("+1", 1_000_000),
        (" .5 ", 500_000),
        ("1.", 1_000_000),
        ("0.000001", 1),
        ("0", 0),
        ("999999999999.999999", 999_999_999_999_999_999),
    ],
)
def test_prices_are_exact_millionths(text, micros):
    assert micros_of(text) == micros


@pytest.mark.parametrize(
    "text", ["", ".", "1.0000001", "1,5", "-1", "1e3", "AAABZ8k", "9" * 13, "1.2.3", "\u0663"]
)
def test_other_prices_are_no_price(text):
    assert micros_of(text) is None


def test_the_first_price_from_the_outside_counts():
    price = "<Pricing model='{}' currency='{}'>{}</Pricing>"
    read = facts(
        price.format("cpm", "usd", "1"),
        wrappers=[
            wrapper(),
            wrapper(price.format("CPV", "eur", "2.5")),
            wrapper(price.format("cpc", "GBP", "3")),
        ],
        hops=[0, 1, 2, 3],
    )
    assert read.price == pb.Price(model="CPV", currency="EUR", micros=2_500_000, hop=1)
    empty = wrapper(price.format("CPM", "USD", " "))
    read = facts(price.format("cpm", "usd", "1"), wrappers=[empty], hops=[0, 1])
    assert read.price == pb.Price(model="CPM", currency="USD", micros=1_000_000, hop=1)
    assert not facts("", wrappers=[empty], hops=[0, 1]).HasField("price")
    read = facts(price.format("cpm", "usd", ""), wrappers=[empty], hops=[0, 1])
    assert read.price == pb.Price(model="CPM", currency="USD", hop=1)
    read = facts(price.format("", " ", "secret"))
    assert read.price == pb.Price()
    assert read.HasField("price")


def test_expiry_is_handed_on():
    assert facts("", expire_time=Timestamp(seconds=7)).expire_time == Timestamp(seconds=7)


def test_the_first_linear_creative_has_the_ads_duration():
    read = facts(
        "<Creatives><Creative><CompanionAds/></Creative><Creative><Linear><Duration>00:00:30"
        "</Duration></Linear></Creative><Creative><Linear><Duration>00:00:15</Duration></Linear>"
        "</Creative></Creatives>"
    )
    assert read.duration == Duration(seconds=30)
    assert [each.duration.seconds for each in read.creatives] == [0, 30, 15]
    assert not facts("").HasField("duration")


def test_a_linear_creative_is_described():
    read = facts(
        """<Creatives><Creative id="c" adId="a" apiFramework="x"><UniversalAdId idRegistry="r"
        idValue="v">u</UniversalAdId><Linear skipoffset="00:00:05"><Duration>00:00:30</Duration>
        <MediaFiles><MediaFile type="video/mp4" apiFramework="VPAID">1</MediaFile>
        <MediaFile type="video/webm"/><MediaFile type="video/mp4"/><InteractiveCreativeFile
        apiFramework="SIMID"/></MediaFiles><VideoClicks><ClickThrough>p</ClickThrough></VideoClicks>
        </Linear></Creative></Creatives>"""
    )
    assert read.creatives[0] == pb.CreativeMetadata(
        creative_id="c",
        ad_id="a",
        kind=lists.CREATIVE_KIND_LINEAR,
        duration=Duration(seconds=30),
        skip_offset=pb.TimeOffset(time=Duration(seconds=5)),
        universal_ad_ids=[vast_pb2.UniversalAdId(id_registry="r", id_value="v", value="u")],
        media_types=["video/mp4", "video/webm"],
        api_frameworks=["x", "VPAID", "SIMID"],
        click_through="p",
    )


@pytest.mark.parametrize(
    ("content", "kind", "page"),
    [
        ("", lists.CREATIVE_KIND_UNSPECIFIED, ""),
        (
            f"<CompanionAds><Companion/><Companion>{COMPANION_PAGE}</Companion></CompanionAds>",
            lists.CREATIVE_KIND_COMPANION,
            "c",
        ),
        (
            f"<CompanionAds/><NonLinearAds><NonLinear>{UNIT_PAGE}</NonLinear></NonLinearAds>",
            lists.CREATIVE_KIND_NON_LINEAR,
            "n",
        ),
        ("<CompanionAds/><NonLinearAds/><Linear/>", lists.CREATIVE_KIND_LINEAR, ""),
    ],
)
def test_the_kind_is_the_first_of_three_and_has_its_page(content, kind, page):
    read = creative_facts(content)
    assert read.kind == kind
    assert read.click_through == page
    assert read.HasField("click_through") == bool(page)


def test_a_click_without_page_opens_the_closest_wrappers():
    clicks = "<Linear><VideoClicks><ClickThrough>{}</ClickThrough></VideoClicks></Linear>"
    around = "<Creatives><Creative>{}</Creative></Creatives>"
    wrappers = [
        wrapper(around.format(clicks.format("far"))),
        wrapper(around.format(clicks.format("near"))),
        wrapper(around.format("<Linear/>")),
    ]
    read = facts(around.format("<Linear/>"), wrappers=wrappers, hops=[4, 5, 6, 7])
    assert (read.creatives[0].click_through, read.creatives[0].click_through_hop) == ("near", 5)
    read = facts(around.format(clicks.format("own")), wrappers=wrappers)
    assert read.creatives[0].click_through == "own"
    assert not read.creatives[0].HasField("click_through_hop")


def test_ids_in_extensions_of_2_0_go_to_the_creative_that_they_name():
    extension = "<Extension type='UniversalAdId'>{}</Extension>"
    read = facts(
        "<Creatives><Creative id='a'/><Creative id='b'/></Creatives><Extensions>"
        + extension.format("<UniversalAdId idRegistry='r' creativeId='b'> 2 </UniversalAdId>")
        + extension.format("<x:UniversalAdId xmlns:x='urn:x'>1</x:UniversalAdId><Other/>")
        + extension.format("none")
        + "<Extension type='x'><UniversalAdId>no</UniversalAdId></Extension></Extensions>",
        version="2.0",
    )
    assert [list(each.universal_ad_ids) for each in read.creatives] == [
        [vast_pb2.UniversalAdId(value="1")],
        [vast_pb2.UniversalAdId(id_registry="r", value="2")],
    ]


def test_ids_in_extensions_of_3_0_stand_in_their_creative():
    read = creative_facts(
        "<CreativeExtensions><CreativeExtension type='UniversalAdId'><UniversalAdId"
        " idRegistry='r'>1</UniversalAdId></CreativeExtension></CreativeExtensions><Linear/>",
        version="3.0",
    )
    assert list(read.universal_ad_ids) == [vast_pb2.UniversalAdId(id_registry="r", value="1")]


def test_an_extension_that_is_no_xml_has_no_ids():
    inline_ = vast_pb2.InLine(creatives=[vast_pb2.Creative()])
    inline_.extensions.add(type="UniversalAdId", xml="<UniversalAdId>")
    assert not metadata_of(vast_pb2.Ad(inline=inline_)).creatives[0].universal_ad_ids
