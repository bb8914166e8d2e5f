"""The fold of a chain, over messages: what is added, what is chosen, and where it came from."""

import random
from collections import Counter

import pytest

from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import vast_pb2
from xsp_server.vast.merge import Link, merge, way_of

Creative = vast_pb2.Creative


def url(text: str, id_: str | None = None) -> vast_pb2.IdentifiedUrl:
    return vast_pb2.IdentifiedUrl(url=text, id=id_)


def event(name: str, text: str) -> vast_pb2.Tracking:
    return vast_pb2.Tracking(event=name, url=text)


def wrapper(*creatives: Creative, **fields: object) -> vast_pb2.Ad:
    return vast_pb2.Ad(wrapper=vast_pb2.Wrapper(creatives=creatives, **fields))


def inline(*creatives: Creative, **fields: object) -> vast_pb2.Ad:
    return vast_pb2.Ad(inline=vast_pb2.InLine(creatives=creatives, **fields))


def chain(*ads: vast_pb2.Ad) -> list[Link]:
    """Links whose hops are 10, 11, ... so that no index passes for another."""
    return [Link(ad, 10 + index) for index, ad in enumerate(ads)]


def linear(*events: vast_pb2.Tracking, **fields: object) -> Creative:
    return Creative(linear=vast_pb2.Linear(tracking_events=events, **fields))


def urls(resolved: pb.ResolvedAd, kind: int) -> list[tuple[str, int]]:
    return [(each.url, each.hop) for each in resolved.tracking_urls if each.kind == kind]


def test_an_inline_alone_is_itself() -> None:
    ad = inline(linear(event("start", "s")), impressions=[url("i")], ad_title="t")
    resolved = merge(chain(ad))
    assert resolved.ad == ad
    assert resolved.wrapper_count == 0
    assert not resolved.HasField("inline_version")


def test_what_is_given_stays_as_it_is() -> None:
    first = wrapper(
        linear(event("start", "w")),
        impressions=[url("w")],
        extensions=[vast_pb2.Extension(type="x", xml="<a/>")],
        pricing=vast_pb2.Pricing(value="1"),
    )
    ads = [inline(linear(event("start", name)), impressions=[url(name)]) for name in "ab"]
    before = [vast_pb2.Ad.FromString(ad.SerializeToString()) for ad in (first, *ads)]
    one, other = (merge(chain(first, ad)) for ad in ads)
    one.ad.inline.impressions[0].url = "changed"
    one.ad.inline.creatives[0].linear.tracking_events[0].url = "changed"
    del one.ad.inline.extensions[:]
    assert [first, *ads] == before
    assert [each.url for each in other.ad.inline.impressions] == ["w", "b"]
    assert [each.url for each in other.ad.inline.creatives[0].linear.tracking_events] == ["w", "b"]
    assert len(other.ad.inline.extensions) == 1


@pytest.mark.parametrize(("given", "sequence"), [(None, 7), (3, None), (3, 7), (None, None)])
def test_the_sequence_is_that_of_the_players_pod(given: int | None, sequence: int | None) -> None:
    ad = inline()
    if given is not None:
        ad.sequence = given
    merged = merge(chain(wrapper(), ad), sequence=sequence).ad
    assert (merged.sequence if merged.HasField("sequence") else None) == sequence


def test_the_way_tells_each_link() -> None:
    first = wrapper(ad_system=vast_pb2.AdSystem(value="s"))
    first.id = "w"
    links = [Link(first, 4, 2, "3.0"), Link(inline(), 5, 0, None)]
    for resolved in (merge(links), way_of(links)):
        one, two = resolved.chain
        assert (one.hop, one.ad_index, one.ad_id, one.ad_system, one.version) == (
            *(4, 2, "w", "s"),
            "3.0",
        )
        assert [field.name for field, _ in two.ListFields()] == ["hop"]
    assert not way_of(links).HasField("ad")


def test_categories_are_blocked_by_authority_each_code_once() -> None:
    def block(authority: str | None, codes: str) -> vast_pb2.Ad:
        blocked = vast_pb2.BlockedAdCategories(authority=authority, value=codes)
        return wrapper(blocked_ad_categories=[blocked])

    links = chain(
        block("a", "1, 2"), block("b", " 1"), block("a", "2,3,,"), block(None, ""), inline()
    )
    assert [(each.authority, list(each.codes)) for each in merge(links).blocked_categories] == [
        ("a", ["1", "2", "3"]),
        ("b", ["1"]),
    ]


# Price, page, viewable impressions


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (("1", "2", "3"), "1"),
        ((None, "2", "3"), "2"),
        ((None, None, "3"), "3"),
        (("1", None, None), "1"),
        (("", " ", "3"), "3"),
        (("", "2", None), "2"),
    ],
)
def test_the_first_wrappers_price_counts(prices: tuple[str | None, ...], expected: str) -> None:
    def priced(price: str | None) -> vast_pb2.Pricing | None:
        return None if price is None else vast_pb2.Pricing(value=price)

    first, second, last = prices
    links = chain(
        wrapper(pricing=priced(first)),
        wrapper(pricing=priced(second)),
        inline(pricing=last and vast_pb2.Pricing(value=last, model="cpc", currency="EUR")),
    )
    merged = merge(links).ad.inline.pricing
    assert merged.value == expected
    assert merged.HasField("model") == (expected == "3"), "nothing of two prices is mixed"


def clicks(page: str | None = None, id_: str | None = None) -> vast_pb2.VideoClicks:
    page_url = None if page is None else url(page, id_)
    return vast_pb2.VideoClicks(click_through=page_url, click_trackings=[url("c")])


def test_a_page_is_never_put_together_from_two() -> None:
    links = chain(
        wrapper(linear(video_clicks=clicks("far", "far-id"))),
        wrapper(linear(video_clicks=clicks("close"))),
        wrapper(linear(video_clicks=clicks(""))),
        inline(linear()),
    )
    merged = merge(links).ad.inline.creatives[0].linear.video_clicks
    assert merged.click_through == url("close")
    assert len(merged.click_trackings) == 3
    links[-1] = Link(inline(linear(video_clicks=clicks("own"))), 13)
    assert merge(links).ad.inline.creatives[0].linear.video_clicks.click_through == url("own")


def test_an_empty_page_of_the_inline_is_none() -> None:
    closest = wrapper(
        linear(video_clicks=clicks("first", "id")), linear(video_clicks=clicks("second"))
    )
    links = chain(
        wrapper(linear(video_clicks=clicks("far"))),
        closest,
        inline(linear(video_clicks=clicks(""))),
    )
    merged = merge(links).ad.inline.creatives[0].linear.video_clicks
    assert merged.click_through == url("first", "id"), "of the closest, the first in its document"
    assert len(merged.click_trackings) == 4
    links[:2] = chain(wrapper(linear()), wrapper())
    assert merge(links).ad.inline.creatives[0].linear.video_clicks == clicks("")


def test_clicks_that_hold_nothing_leave_nothing() -> None:
    empty = wrapper(linear(video_clicks=vast_pb2.VideoClicks()))
    assert merge(chain(empty, inline(linear()))).ad == inline(linear())


def test_viewable_impressions_join_and_keep_the_closest_id() -> None:
    def viewable(id_: str | None, name: str) -> vast_pb2.ViewableImpression:
        return vast_pb2.ViewableImpression(
            id=id_,
            viewables=[name],
            view_undetermineds=[f"{name}-u"],
            unknown=[vast_pb2.UnknownContent(xml="<x/>")],
        )

    links = chain(
        wrapper(viewable_impression=viewable("1", "w1")),
        wrapper(viewable_impression=viewable("2", "w2")),
        inline(viewable_impression=viewable(None, "in")),
    )
    resolved = merge(links)
    merged = resolved.ad.inline.viewable_impression
    assert merged.id == "2"
    assert list(merged.viewables) == ["w1", "w2", "in"]
    assert len(merged.unknown) == 1, "the InLine's own"
    assert urls(resolved, pb.TRACKING_KIND_VIEWABLE) == [("w1", 10), ("w2", 11), ("in", 12)]
    assert urls(resolved, pb.TRACKING_KIND_VIEW_UNDETERMINED)[2] == ("in-u", 12)


# Linear and NonLinear


def test_a_wrapper_adds_trackers_to_a_linear_and_nothing_else() -> None:
    stray = linear(
        event("start", "w"),
        duration="00:00:01",
        skipoffset="1%",
        media_files=vast_pb2.MediaFiles(),
        ad_parameters=vast_pb2.AdParameters(value="p"),
        creative_extensions=[vast_pb2.Extension(xml="<x/>")],
        unknown=[vast_pb2.UnknownContent(xml="<x/>")],
    )
    merged = merge(chain(wrapper(stray), inline(linear(event("start", "i"))))).ad.inline
    assert merged.creatives[0] == linear(event("start", "w"), event("start", "i"))


def test_each_linear_of_an_ad_gets_the_wrappers_trackers() -> None:
    links = chain(wrapper(linear(event("start", "w"))), inline(linear(), Creative(), linear()))
    resolved = merge(links)
    assert [len(each.linear.tracking_events) for each in resolved.ad.inline.creatives] == [1, 0, 1]
    assert [each.creative_index for each in resolved.tracking_urls] == [0, 2]


def test_trackers_for_what_the_ad_is_not_join_nothing() -> None:
    overlay = Creative(non_linear_ads=vast_pb2.NonLinearAds(tracking_events=[event("close", "w")]))
    merged = merge(chain(wrapper(overlay, linear(event("start", "w"))), inline(Creative(id="c"))))
    assert merged.ad == inline(Creative(id="c"))
    assert not merged.tracking_urls


def test_a_nonlinears_own_events_join_each_nonlinear() -> None:
    def overlay(*names: str, track: str = "") -> Creative:
        units = [
            vast_pb2.NonLinear(
                id=name,
                tracking_events=[event("x", f"{name}-x")],
                non_linear_click_trackings=[url(f"{name}-c", "id")],
            )
            for name in names
        ]
        events = [event("close", track)] if track else []
        return Creative(
            non_linear_ads=vast_pb2.NonLinearAds(non_linears=units, tracking_events=events)
        )

    resolved = merge(
        chain(wrapper(overlay("w", track="wt")), inline(overlay("a", "b", track="it")))
    )
    units = resolved.ad.inline.creatives[0].non_linear_ads.non_linears
    assert [[each.url for each in unit.tracking_events] for unit in units] == [
        ["w-x", "a-x"],
        ["w-x", "b-x"],
    ]
    listed = [
        (each.url, each.hop, each.item_index if each.HasField("item_index") else None)
        for each in resolved.tracking_urls
    ]
    assert listed == [
        ("wt", 10, None),
        ("w-x", 10, 0),
        ("w-c", 10, 0),
        ("w-x", 10, 1),
        ("w-c", 10, 1),
        ("it", 11, None),
        ("a-x", 11, 0),
        ("a-c", 11, 0),
        ("b-x", 11, 1),
        ("b-c", 11, 1),
    ]


# Icons


def icon(program: str | None, name: str, ratio: str | None = None) -> vast_pb2.Icon:
    return vast_pb2.Icon(
        program=program,
        pxratio=ratio,
        icon_view_trackings=[name],
        icon_clicks=vast_pb2.IconClicks(icon_click_trackings=[url(f"{name}-c")]),
    )


def test_icons_of_one_program_come_from_one_document() -> None:
    links = chain(
        wrapper(linear(icons=[icon("A", "w1a"), icon("C", "w1c"), icon(None, "w1")])),
        wrapper(linear(icons=[icon("a", "w2a"), icon("B", "w2b"), icon(None, "w2")])),
        inline(linear(icons=[icon("B", "ib"), icon("B", "ib2", "2"), icon("B", "ib1", "1")])),
    )
    resolved = merge(links)
    merged = resolved.ad.inline.creatives[0].linear.icons
    assert [each.icon_view_trackings[0] for each in merged] == [
        "ib",
        "ib2",
        "w2a",
        "w2",
        "w1c",
        "w1",
    ]
    assert [(each.icon_index, each.hop) for each in resolved.icons] == [
        (0, 12),
        (1, 12),
        (2, 11),
        (3, 11),
        (4, 10),
        (5, 10),
    ]
    assert urls(resolved, pb.TRACKING_KIND_ICON_VIEW)[0] == ("w1c", 10)
    assert ("ib-c", 12) in urls(resolved, pb.TRACKING_KIND_ICON_CLICK)


def test_icons_of_one_document_stay_in_its_order() -> None:
    links = chain(
        wrapper(linear(icons=[icon("A", "far")])),
        wrapper(
            linear(icons=[icon("A", "a1"), icon(None, "n1")]),
            linear(icons=[icon("A", "a2"), icon("B", "b2")]),
        ),
        inline(linear()),
    )
    resolved = merge(links)
    merged = resolved.ad.inline.creatives[0].linear.icons
    assert [each.icon_view_trackings[0] for each in merged] == ["a1", "n1", "b2"]
    assert [each.hop for each in resolved.icons] == [11, 11, 11]


# Companions


def companion(name: str, *, resource: bool = True, **fields: object) -> vast_pb2.Companion:
    resources = [vast_pb2.StaticResource(url=name)] if resource else []
    return vast_pb2.Companion(
        static_resources=resources, companion_click_trackings=[url(f"{name}-c")], **fields
    )


def board(*companions: vast_pb2.Companion, required: str | None = None) -> Creative:
    return Creative(companion_ads=vast_pb2.CompanionAds(companions=companions, required=required))


def test_companions_of_wrappers_stand_behind_the_inlines_last_ones() -> None:
    links = chain(
        wrapper(board(companion("w1", width=1, height=1), required="all")),
        wrapper(board(companion("w2", width=2, height=2))),
        inline(board(companion("i")), linear(), board(companion("j"), required="any")),
    )
    resolved = merge(links)
    assert [
        (each.creative_index, each.companion_index, each.hop, each.preferred)
        for each in resolved.companions
    ] == [(0, 0, 12, True), (2, 0, 12, True), (2, 1, 11, True), (2, 2, 10, True)]
    assert resolved.ad.inline.creatives[2].companion_ads.required == "any"


def test_companions_of_one_wrapper_stay_in_its_order() -> None:
    links = chain(
        wrapper(board(companion("far"))),
        wrapper(board(companion("one"), required="any"), board(companion("two"), required="all")),
        inline(linear()),
    )
    (_, made) = merge(links).ad.inline.creatives
    shown = [each.static_resources[0].url for each in made.companion_ads.companions]
    assert shown == ["one", "two", "far"]
    assert made.companion_ads.required == "any"


def test_companions_of_wrappers_get_a_creative_where_the_inline_has_none() -> None:
    links = chain(
        wrapper(board(companion("w1", width=1, height=1), required="all")),
        wrapper(board(companion("w2", width=2, height=2), required="none")),
        inline(linear()),
    )
    resolved = merge(links)
    added = resolved.ad.inline.creatives[1].companion_ads
    assert added.required == "none"
    assert [each.static_resources[0].url for each in added.companions] == ["w2", "w1"]
    links[1] = Link(wrapper(board(companion("w2", width=2, height=2))), 11)
    assert not merge(links).ad.inline.creatives[1].companion_ads.HasField("required")


@pytest.mark.parametrize(
    ("slots", "preferred"),
    [
        (({"width": 1, "height": 2}, {"width": 1, "height": 2}), False),
        (({"width": 1, "height": 2}, {"width": 2, "height": 1}), True),
        (({"ad_slot_id": "x", "width": 1, "height": 1}, {"ad_slot_id": "x"}), False),
        (
            (
                {"ad_slot_id": "x", "width": 1, "height": 1},
                {"ad_slot_id": "y", "width": 1, "height": 1},
            ),
            True,
        ),
    ],
)
def test_companions_for_one_slot_are_in_conflict(
    slots: tuple[dict[str, object], dict[str, object]], preferred: bool
) -> None:
    own, other = slots
    links = chain(wrapper(board(companion("w", **other))), inline(board(companion("i", **own))))
    assert [each.preferred for each in merge(links).companions] == [True, preferred]


def test_a_companion_that_only_tracks_joins_those_below_it_alone() -> None:
    tracker = companion("t", resource=False, id="x")
    links = chain(
        wrapper(board(companion("w1", id="x", width=1, height=1))),
        wrapper(board(tracker)),
        wrapper(board(companion("w3", id="x", width=3, height=3))),
        inline(linear()),
    )
    companions = merge(links).ad.inline.creatives[1].companion_ads.companions
    assert [[each.url for each in one.companion_click_trackings] for one in companions] == [
        ["t-c", "w3-c"],
        ["w1-c"],
    ]


@pytest.mark.parametrize("fields", [{}, {"id": "no"}, {"width": 5, "height": 5}])
def test_a_companion_that_only_tracks_and_fits_none_joins_all_there_are(
    fields: dict[str, object],
) -> None:
    links = chain(
        wrapper(board(companion("t", resource=False, **fields))),
        wrapper(board(companion("w", width=1, height=1), companion("v", width=2, height=2))),
        inline(linear()),
    )
    resolved = merge(links)
    for each in resolved.ad.inline.creatives[1].companion_ads.companions:
        assert each.companion_click_trackings[0].url == "t-c"
    clicks = urls(resolved, pb.TRACKING_KIND_COMPANION_CLICK)
    assert clicks == [("t-c", 10), ("t-c", 10), ("w-c", 11), ("v-c", 11)]


def test_a_companion_that_only_tracks_nothing_leaves_nothing() -> None:
    links = chain(wrapper(board(companion("t", resource=False))), inline(linear()))
    assert merge(links).ad == inline(linear())


# Verifications and extensions


def test_a_verification_of_4_0_has_its_viewable_impression_listed() -> None:
    verification = vast_pb2.Verification(vendor="v", viewable_impression=url("vi", "id"))
    resolved = merge(chain(wrapper(), inline(ad_verifications=[verification])))
    (listed,) = resolved.tracking_urls
    assert (listed.kind, listed.url, listed.id, listed.hop, listed.item_index) == (
        *(pb.TRACKING_KIND_VERIFICATION_VIEWABLE, "vi", "id"),
        *(11, 0),
    )


@pytest.mark.parametrize(
    ("xml", "vendors"),
    [
        ("<Verification vendor='a'/><Verification vendor='b'/>", ["a", "b"]),
        ("<AdVerifications><Verification vendor='a'/></AdVerifications>", ["a"]),
        ("<other/>", []),
        ("not <closed", []),
        ("", []),
    ],
)
def test_verifications_are_read_out_of_extensions(xml: str, vendors: list[str]) -> None:
    given = vast_pb2.Extension(type="AdVerifications", xml=xml)
    resolved = merge(chain(wrapper(extensions=[given]), inline()))
    assert [each.verification.vendor for each in resolved.verifications] == vendors
    assert all(each.from_extension and each.hop == 10 for each in resolved.verifications)
    assert list(resolved.ad.inline.extensions) == [given]
    assert list(resolved.extension_hops) == [10]


def test_extensions_tell_their_hops() -> None:
    def extended(*types: str) -> list[vast_pb2.Extension]:
        return [vast_pb2.Extension(type=each) for each in types]

    links = chain(
        wrapper(extensions=extended("a", "b")), wrapper(), inline(extensions=extended("c"))
    )
    resolved = merge(links)
    assert [each.type for each in resolved.ad.inline.extensions] == ["a", "b", "c"]
    assert list(resolved.extension_hops) == [10, 10, 12]


# Origins


def test_events_that_stand_for_no_url_are_not_listed() -> None:
    assert not merge(chain(wrapper(), inline(linear(event("start", ""))))).tracking_urls


def test_urls_that_stand_for_none_are_not_listed_and_stay_in_the_ad() -> None:
    impressions = [url("about:blank"), url(""), url("i", "id")]
    resolved = merge(chain(wrapper(impressions=impressions), inline(errors=["", "about:blank"])))
    assert [(each.url, each.id) for each in resolved.tracking_urls] == [("i", "id")]
    assert list(resolved.ad.inline.impressions) == impressions


def test_without_origins_the_ad_is_the_same() -> None:
    links = chain(
        wrapper(linear(event("start", "w"), icons=[icon("A", "w")]), impressions=[url("w")]),
        inline(
            linear(event("start", "i"), icons=[icon("A", "i")]),
            Creative(non_linear_ads=vast_pb2.NonLinearAds()),
            extensions=[vast_pb2.Extension(type="AdVerifications", xml="<Verification/>")],
        ),
    )
    bare = merge(links, origins=False)
    assert bare.ad == merge(links).ad
    for name in ("tracking_urls", "icons", "companions", "verifications", "extension_hops"):
        assert not getattr(bare, name)


def test_every_url_of_random_chains_comes_out_once_with_its_hop() -> None:
    chance = random.Random(20)
    for _ in range(200):
        size = chance.randrange(1, 6)
        ads = []
        for place in range(size):
            name = f"http://{place}.example/"
            urls_ = [url(f"{name}{n}") for n in range(chance.randrange(3))]
            events = [event(chance.choice("ab"), f"{name}e{n}") for n in range(chance.randrange(4))]
            make = inline if place == size - 1 else wrapper
            ads.append(make(linear(*events), impressions=urls_, errors=[f"{name}err"]))
        resolved = merge(chain(*ads))
        merged = resolved.ad.inline
        found = Counter(
            [each.url for each in merged.impressions]
            + list(merged.errors)
            + [each.url for each in merged.creatives[0].linear.tracking_events]
        )
        assert found == Counter(each.url for each in resolved.tracking_urls)
        assert all(
            each.url.startswith(f"http://{each.hop - 10}.") for each in resolved.tracking_urls
        )
        hops = [each.hop for each in resolved.tracking_urls]
        assert hops == sorted(hops)
