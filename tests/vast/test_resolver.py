"""The resolver over documents in memory: limits, wishes, parts of the answer, and who is told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from structlog.testing import capture_logs

from vast.memory_upstream import (
    NOON,
    SECOND,
    Given,
    Led,
    Memory,
    Told,
    failed,
    inline,
    vast,
    wrapper,
)
from xsp.session.v1 import session_context_pb2
from xsp.vast.v1 import macros_pb2
from xsp.vast.v1 import resolution_pb2 as pb
from xsp.vast.v1 import resolve_options_pb2 as options_pb
from xsp.vast.v1 import vast_lists_pb2 as lists
from xsp_server.vast.parse import parse
from xsp_server.vast.resolver import (
    InvalidOptions,
    ResolverSettings,
    TagRefused,
    VastChainResolver,
)

Options = options_pb.ResolveOptions
Source = options_pb.VastSource
TAG = "http://ads.example/1"


def resolver(upstream: Memory, **settings: Any) -> VastChainResolver:
    """One whose clock is the test's and whose randomness is none."""
    fire = settings.pop("fire", None)
    return VastChainResolver(
        upstream,
        settings=ResolverSettings(**settings),
        fire=fire,
        wall=lambda: NOON,
        monotonic=lambda: upstream.now,
        randbits=lambda bits: (1 << bits) - 1,
    )


async def resolve(upstream: Memory, **options: Any) -> pb.Resolution:
    return await resolver(upstream).resolve(TAG, options=Options(**options))


def ids(resolution: pb.Resolution) -> list[str]:
    return [each.ad.id for each in resolution.ads]


def codes(resolution: pb.Resolution) -> list[int]:
    return [each.code for each in resolution.failures]


def reasons(resolution: pb.Resolution) -> list[int]:
    return [each.reason for each in resolution.failures]


def left_out(resolution: pb.Resolution) -> list[tuple[str, int]]:
    return [(each.ad.ad_id, each.reason) for each in resolution.left_out_ads]


# What a call starts from


async def test_a_tag_may_be_text_bytes_or_a_message() -> None:
    upstream = Memory({TAG: vast(inline("a"))})
    given = vast(inline("b")).encode()
    ours = resolver(upstream)
    assert ids(await ours.resolve(TAG)) == ["a"]
    assert ids(await ours.resolve(given)) == ["b"]
    assert ids(await ours.resolve(Source(document=given))) == ["b"]
    assert ids(await ours.resolve([Source(tag_uri=f" {TAG}\n")])) == ["a"]


async def test_without_a_source_the_upstreams_own_are_tried_in_turn() -> None:
    second = "http://ads.example/2"
    upstream = Memory(
        {TAG: vast(), second: vast(inline("a"))},
        sources=[Source(tag_uri=TAG), Source(tag_uri=second)],
    )
    resolution = await resolver(upstream).resolve(user_id="u-1")
    assert ids(resolution) == ["a"]
    assert resolution.source == 1
    assert upstream.opened == ["u-1"]
    assert [hop.source for hop in resolution.hops] == [0, 1]


async def test_a_call_needs_a_source_and_each_source_a_start() -> None:
    ours = resolver(Memory({}))
    with pytest.raises(InvalidOptions, match="sources: missing"):
        await ours.resolve()
    with pytest.raises(InvalidOptions, match=r"sources\[1\].start: missing"):
        await ours.resolve([Source(tag_uri=TAG), Source(base_uri=TAG)])
    with pytest.raises(InvalidOptions, match=r"sources\[0\].timeout: expected more than 0"):
        await ours.resolve([Source(tag_uri=TAG, timeout=Duration())])


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (Options(max_ads=0), "options.max_ads"),
        (Options(max_body_bytes=0), "options.max_body_bytes"),
        (Options(hop_timeout=Duration()), "options.hop_timeout"),
        (Options(total_timeout=Duration(seconds=-1)), "options.total_timeout"),
        (Options(parts=[0]), r"options.parts\[0\]"),
        (Options(parts=[1, 99]), r"options.parts\[1\]"),
        (Options(error_firing=9), "options.error_firing"),
        (Options(xml_version=21), "options.xml_version"),
        (Options(requested_with="a\r\nb"), "options.requested_with"),
        (Options(requirements={"linearity": 7}), "options.requirements.linearity"),
        (
            Options(requirements={"min_duration": Duration(seconds=-1)}),
            "options.requirements.min_duration",
        ),
        (
            Options(requirements={"max_duration": Duration(seconds=-1)}),
            "options.requirements.max_duration: expected 0 or more",
        ),
        (
            Options(
                requirements={
                    "min_duration": Duration(seconds=9),
                    "max_duration": Duration(seconds=8),
                }
            ),
            "options.requirements.max_duration: expected min_duration or more",
        ),
    ],
)
async def test_options_that_cannot_be_are_refused_by_name(options: Options, path: str) -> None:
    with pytest.raises(InvalidOptions, match=path):
        await resolver(Memory({})).resolve(TAG, options=options)


@pytest.mark.parametrize(
    "reason", [lists.FAILURE_REASON_ADDRESS_REFUSED, lists.FAILURE_REASON_SCHEME_REFUSED]
)
async def test_a_callers_tag_that_must_not_be_reached_fails_the_call(
    reason: lists.FailureReason.ValueType,
) -> None:
    upstream = Memory({TAG: failed(reason, "ads.example: not public")})
    with pytest.raises(TagRefused, match=r"sources\[0\]: ads.example: not public") as caught:
        await resolver(upstream).resolve(TAG)
    assert caught.value.metadata == {"source": "0"}
    assert caught.value.status == "PERMISSION_DENIED"


async def test_a_redirect_of_the_callers_tag_that_is_refused_is_an_answer() -> None:
    refused = Given(
        reason=lists.FAILURE_REASON_ADDRESS_REFUSED,
        message="not public",
        http_status=302,
        redirects=[Led(302, "http://10.0.0.1/")],
    )
    resolution = await resolve(Memory({TAG: refused}))
    assert codes(resolution) == [300]
    assert resolution.outcome == pb.RESOLUTION_OUTCOME_ERROR
    (hop,) = resolution.hops
    assert [(each.http_status, each.url) for each in hop.redirects] == [(302, "http://10.0.0.1/")]


# Limits


async def test_without_hops_only_an_inline_of_the_first_document_is_taken() -> None:
    upstream = Memory({TAG: vast(wrapper("w", "http://b.example/"), inline("a"))})
    resolution = await resolver(upstream).resolve(TAG, max_hops=0)
    assert ids(resolution) == ["a"]
    assert reasons(resolution) == [lists.FAILURE_REASON_HOP_LIMIT]
    assert upstream.asked == [TAG]


async def test_options_go_before_the_argument_and_the_server_caps_both() -> None:
    chain = {
        f"http://c.example/{n}": vast(wrapper(f"w{n}", f"http://c.example/{n + 1}"))
        for n in range(30)
    }
    options = Options(max_hops=9)
    upstream = Memory(chain)
    await resolver(upstream).resolve("http://c.example/0", max_hops=2, options=options)
    assert len(upstream.asks) == 10
    upstream = Memory(chain)
    await resolver(upstream, max_hops=3).resolve("http://c.example/0", options=options)
    assert len(upstream.asks) == 4


async def test_requests_of_the_call_are_counted_over_all_sources() -> None:
    upstream = Memory({TAG: vast(), "http://b.example/": vast(inline("b"))})
    sources = [Source(tag_uri=TAG), Source(tag_uri="http://b.example/")]
    resolution = await resolver(upstream).resolve(sources, options=Options(max_fetches=1))
    assert reasons(resolution) == [lists.FAILURE_REASON_FETCH_LIMIT]
    assert codes(resolution) == [300]
    assert resolution.fetch_count == 1


async def test_documents_are_counted_even_when_the_cache_has_them_all() -> None:
    cached = {"request_count": 0, "cache": pb.CACHE_RESULT_HIT}
    fan = "".join(wrapper(f"w{n}", f"http://b.example/{n}") for n in range(5))
    upstream = Memory(
        {
            TAG: Given(vast(fan).encode(), **cached),
            **{
                f"http://b.example/{n}": Given(vast(inline(f"a{n}")).encode(), **cached)
                for n in range(5)
            },
        }
    )
    resolution = await resolver(upstream, max_documents=3).resolve(TAG)
    assert ids(resolution) == ["a0", "a1"]
    assert reasons(resolution) == [lists.FAILURE_REASON_FETCH_LIMIT] * 3
    assert resolution.fetch_count == 0


async def test_ads_of_a_document_and_of_the_answer_are_limited() -> None:
    many = vast(*(inline(f"a{n}") for n in range(5)))
    resolution = await resolve(Memory({TAG: many}), max_ads=2)
    limit = lists.FAILURE_REASON_AD_LIMIT
    assert ids(resolution) == ["a0", "a1"]
    assert left_out(resolution) == [("a2", limit), ("a3", limit), ("a4", limit)]
    flags = 'allowMultipleAds="true"'
    two = vast(
        wrapper("w1", "http://b.example/", flags=flags),
        wrapper("w2", "http://b.example/", flags=flags),
    )
    pair = vast(inline("x"), inline("y"))
    resolution = await resolve(Memory({TAG: two, "http://b.example/": pair}), max_ads=2)
    assert ids(resolution) == ["x", "y"]
    assert left_out(resolution) == [("x", limit), ("y", limit)]


async def test_a_body_above_the_limit_that_the_caller_gave_is_refused() -> None:
    document = vast(inline("a")).encode()
    options = Options(max_body_bytes=len(document) - 1)
    resolution = await resolver(Memory({})).resolve(document, options=options)
    assert codes(resolution) == [301]
    assert reasons(resolution) == [lists.FAILURE_REASON_BODY_TOO_LARGE]


async def test_an_ask_says_all_limits() -> None:
    upstream = Memory({TAG: vast(inline("a"))})
    await resolve(
        upstream,
        max_redirects=3,
        max_body_bytes=5000,
        hop_timeout=Duration(nanos=700_000_000),
        use_cache=False,
        requested_with="com.example.app",
    )
    (ask,) = upstream.asks
    assert (ask.max_redirects, ask.max_body_bytes, ask.timeout) == (3, 5000, 0.7)
    assert ask.use_cache is False
    assert ask.headers == {"X-Device-Requested-With": "com.example.app"}


# Times


async def test_a_hop_has_its_time_and_the_call_what_is_left() -> None:
    upstream = Memory(
        {
            TAG: Given(vast(wrapper("w", "http://b.example/")).encode(), takes=0.9),
            "http://b.example/": Given(vast(inline("a")).encode(), takes=0.8),
        }
    )
    resolution = await resolve(upstream, total_timeout=Duration(seconds=1, nanos=500_000_000))
    assert [round(ask.timeout, 6) for ask in upstream.asks] == [1.0, 0.6]
    assert reasons(resolution) == [lists.FAILURE_REASON_TOTAL_TIMEOUT]
    assert codes(resolution) == [301]
    assert resolution.elapsed.ToTimedelta().total_seconds() == pytest.approx(1.5)


async def test_a_hop_that_is_late_says_so() -> None:
    upstream = Memory({TAG: Given(b"", takes=2.0)})
    assert reasons(await resolve(upstream)) == [lists.FAILURE_REASON_HOP_TIMEOUT]


async def test_when_the_time_is_over_nothing_more_is_asked() -> None:
    upstream = Memory({TAG: Given(vast(wrapper("w", "http://b.example/")).encode(), takes=0.5)})
    resolution = await resolver(upstream).resolve(TAG, timeout=0.5)
    assert upstream.asked == [TAG]
    assert reasons(resolution) == [lists.FAILURE_REASON_TOTAL_TIMEOUT]
    hop = resolution.hops[1]
    assert (hop.url, hop.request_count) == ("http://b.example/", 0)
    assert not hop.HasField("final_url")


async def test_a_source_that_is_slow_leaves_time_for_the_next_one() -> None:
    upstream = Memory(
        {TAG: Given(b"", takes=3.0), "http://b.example/": Given(vast(inline("b")).encode())}
    )
    sources = [
        Source(tag_uri=TAG, timeout=Duration(nanos=300_000_000)),
        Source(tag_uri="http://b.example/"),
    ]
    resolution = await resolver(upstream).resolve(sources)
    assert ids(resolution) == ["b"]
    assert reasons(resolution) == [lists.FAILURE_REASON_TOTAL_TIMEOUT]
    assert upstream.asks[0].timeout == pytest.approx(0.3)
    assert upstream.asks[1].timeout == pytest.approx(1.0)


# What is done at once


async def test_wrappers_of_a_pod_are_followed_at_once_within_the_places() -> None:
    wrappers = "".join(wrapper(f"w{n}", f"http://b.example/{n}", sequence=n) for n in range(1, 6))
    upstream = Memory(
        {
            TAG: vast(wrappers),
            **{f"http://b.example/{n}": vast(inline(f"a{n}")) for n in range(1, 6)},
        }
    )
    upstream.held_but = TAG
    call = asyncio.ensure_future(resolver(upstream, concurrency=3).resolve(TAG))
    await asyncio.wait([call], timeout=0)  # every task goes as far as it can
    for _ in range(10):
        await asyncio.sleep(0)
    assert upstream.under_way == 3
    upstream.gate.set()
    assert ids(await call) == ["a1", "a2", "a3", "a4", "a5"]
    assert upstream.most == 3


async def test_a_caller_that_walks_away_takes_all_fetches_along() -> None:
    pod = vast(
        wrapper("w1", "http://b.example/", sequence=1),
        wrapper("w2", "http://c.example/", sequence=2),
    )
    upstream = Memory({TAG: pod})
    reached = asyncio.Event()

    async def fetch(ask: Any) -> Given:
        if ask.url == TAG:
            return Given(pod.encode(), final_url=TAG)
        upstream.under_way += 1
        if upstream.under_way == 2:
            reached.set()
        try:
            await asyncio.Event().wait()
        finally:
            upstream.under_way -= 1
        raise AssertionError

    upstream.fetch = fetch  # type: ignore[method-assign]
    call = asyncio.ensure_future(resolver(upstream).resolve(TAG))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert upstream.under_way == 0


async def test_hops_are_told_as_they_end() -> None:
    upstream = Memory({TAG: vast(wrapper("w", "/2")), "http://ads.example/2": vast(inline("a"))})
    told: list[pb.Hop] = []
    resolution = await resolver(upstream).resolve(TAG, on_hop=told.append)
    assert [hop.index for hop in told] == [0, 1]
    assert told == list(resolution.hops)
    first, second = told
    assert not first.HasField("parent_hop")
    assert (second.parent_hop, second.parent_ad_index, second.depth) == (0, 0, 1)
    assert (second.tag_uri, second.url) == ("/2", "http://ads.example/2")
    assert (first.wrapper_count, second.inline_count, second.version) == (1, 1, "4.0")


# Who may do what


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ["a"]), ({"allow_multiple_ads": True}, ["p", "a", "b"])],
)
async def test_the_caller_may_allow_several_ads_in_every_wrappers_place(
    options: dict[str, bool], expected: list[str]
) -> None:
    below = vast(inline("a"), inline("p", sequence=1), inline("b"))
    upstream = Memory({TAG: vast(wrapper("w", "http://b.example/")), "http://b.example/": below})
    assert ids(await resolve(upstream, **options)) == expected


async def test_the_caller_may_forbid_several_ads_and_further_wrappers() -> None:
    flags = 'allowMultipleAds="true" followAdditionalWrappers="true"'
    below = vast(wrapper("w2", "http://c.example/"), inline("a"), inline("b"))
    upstream = Memory(
        {TAG: vast(wrapper("w", "http://b.example/", flags=flags)), "http://b.example/": below}
    )
    resolution = await resolve(upstream, allow_multiple_ads=False, follow_additional_wrappers=False)
    assert ids(resolution) == ["a"]
    assert left_out(resolution) == [
        ("w2", lists.FAILURE_REASON_WRAPPER_NOT_ALLOWED),
        ("b", lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED),
    ]
    (url,) = resolution.error_plan
    assert (url.url, url.duty) == ("http://w2.example/e?300", pb.FIRING_DUTY_MAY)
    assert not url.HasField("failure")


async def test_the_caller_may_want_a_substitute_where_no_wrapper_does() -> None:
    upstream = Memory(
        {TAG: vast(wrapper("w", "http://b.example/"), inline("a")), "http://b.example/": vast()}
    )
    assert not (await resolve(upstream)).ads[0].HasField("fallback_for")
    resolution = await resolve(upstream, fallback_on_no_ad=True)
    assert resolution.ads[0].fallback_for == 0


async def test_an_ad_that_is_none_does_not_count_as_the_one_allowed() -> None:
    below = vast("<Ad id='none'/>", inline("a"), inline("b"))
    upstream = Memory({TAG: vast(wrapper("w", "http://b.example/")), "http://b.example/": below})
    resolution = await resolve(upstream)
    assert ids(resolution) == ["a"]
    assert codes(resolution) == [101]


async def test_an_ad_of_a_blocked_category_does_not_count_as_the_one_allowed() -> None:
    blocked = '<BlockedAdCategories authority="iab">1</BlockedAdCategories>'
    category = '<Category authority="iab">1</Category>'
    below = vast(inline("x", category), inline("y", category), inline("a"), inline("b"))
    upstream = Memory(
        {TAG: vast(wrapper("w", "http://b.example/", blocked)), "http://b.example/": below}
    )
    resolution = await resolve(upstream)
    assert ids(resolution) == ["a"]
    assert codes(resolution) == [205, 205]
    assert left_out(resolution) == [("b", lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED)]


async def test_ads_stand_in_for_those_before_them_each_for_one() -> None:
    lost = {"flags": 'fallbackOnNoAd="true"'}
    upstream = Memory(
        {
            TAG: vast(
                wrapper("p", "http://no.example/", sequence=1, **lost),
                inline("a"),
                wrapper("w1", "http://no.example/", **lost),
                wrapper("w2", "http://no.example/", **lost),
                inline("b"),
                wrapper("w3", "http://no.example/", **lost),
            ),
            "http://no.example/": failed(lists.FAILURE_REASON_DNS_FAILED),
        }
    )
    resolution = await resolve(upstream)
    stands_for = {
        each.ad.id: resolution.failures[each.fallback_for].chain[-1].ad_id
        for each in resolution.ads
        if each.HasField("fallback_for")
    }
    assert stands_for == {"a": "p", "b": "w1"}
    assert [each.ad.sequence for each in resolution.ads] == [1, 0]


async def test_the_one_ad_that_is_allowed_fails_alone() -> None:
    below = vast(wrapper("w2", "http://c.example/"), inline("b"))
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/")),
            "http://b.example/": below,
            "http://c.example/": failed(lists.FAILURE_REASON_DNS_FAILED),
        }
    )
    resolution = await resolve(upstream)
    assert ids(resolution) == []
    assert codes(resolution) == [301]
    assert left_out(resolution) == [("b", lists.FAILURE_REASON_MULTIPLE_ADS_NOT_ALLOWED)]


async def test_all_that_may_stand_in_can_fail_too() -> None:
    flags = 'fallbackOnNoAd="true"'
    below = vast(
        wrapper("w2", "http://c.example/", flags=flags), wrapper("w3", "http://c.example/")
    )
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/")),
            "http://b.example/": below,
            "http://c.example/": vast(),
        }
    )
    resolution = await resolve(upstream)
    assert [each.chain[-1].ad_id for each in resolution.failures] == ["w2", "w3"]
    assert not resolution.left_out_ads


async def test_ads_behind_a_wrapper_of_a_pod_all_take_its_place() -> None:
    flags = 'allowMultipleAds="true"'
    pod = vast(inline("z", sequence=3), wrapper("w", "http://b.example/", sequence=2, flags=flags))
    below = vast(inline("s"), inline("y", sequence=9), inline("x", sequence=4))
    resolution = await resolve(Memory({TAG: pod, "http://b.example/": below}))
    assert [(each.ad.id, each.ad.sequence) for each in resolution.ads] == [
        ("x", 2),
        ("y", 2),
        ("s", 2),
        ("z", 3),
    ]


async def test_categories_are_told_but_not_enforced_if_the_caller_wants_it_so() -> None:
    block = '<BlockedAdCategories authority="x">1</BlockedAdCategories>'
    below = vast(inline("a", '<Category authority="X">1</Category>'))
    tag = "http://b.example/?[BLOCKEDADCATEGORIES]"
    upstream = Memory({TAG: vast(wrapper("w", tag, block)), "http://b.example/?1,2": below})
    blocks = [options_pb.CategoryBlock(authority="y", codes=["2"])]
    resolution = await resolve(
        upstream, enforce_blocked_categories=False, blocked_categories=blocks
    )
    assert ids(resolution) == ["a"]
    resolution = await resolve(upstream, blocked_categories=blocks)
    assert codes(resolution) == [205]


async def test_a_category_that_nobody_blocks_is_taken() -> None:
    ad = inline("a", '<Category authority="x">1</Category>')
    assert ids(await resolve(Memory({TAG: vast(ad)}))) == ["a"]


# Addresses


@pytest.mark.parametrize(
    ("uri", "complete"),
    [
        ("//b.example/2", "http://b.example/2"),
        ("../2", "http://ads.example/2"),
        ("?x=1", "http://ads.example/a/1?x=1"),
        ("HTTP://B.example/[x]", "HTTP://B.example/[x]"),
    ],
)
async def test_addresses_are_relative_to_where_the_document_came_from(
    uri: str, complete: str
) -> None:
    moved = Given(vast(wrapper("w", uri)).encode(), final_url="http://ads.example/a/1")
    upstream = Memory({TAG: moved, complete: vast(inline("a"))})
    assert ids(await resolve(upstream)) == ["a"]
    assert upstream.asked == [TAG, complete]


@pytest.mark.parametrize("uri", ["//[::1/2", "//[[DOMAIN]/2"])
async def test_an_address_that_cannot_be_completed_is_300(uri: str) -> None:
    upstream = Memory({TAG: vast(wrapper("w", uri))})
    resolution = await resolve(upstream)
    assert codes(resolution) == [300]
    assert reasons(resolution) == [lists.FAILURE_REASON_URI_INVALID]


async def test_a_macro_may_stand_for_the_host_of_a_relative_address() -> None:
    upstream = Memory(
        {TAG: vast(wrapper("w", "//[DOMAIN]/2")), "http://b.example/2": vast(inline("a"))}
    )
    macros = macros_pb2.MacroOptions()
    macros.values["DOMAIN"].text = "b.example"
    assert ids(await resolver(upstream).resolve(TAG, macros=macros)) == ["a"]


async def test_a_chain_that_comes_back_by_a_redirect_is_a_loop() -> None:
    upstream = Memory(
        {
            TAG: Given(
                vast(wrapper("w", "http://b.example/")).encode(), final_url="http://b.example/"
            )
        }
    )
    resolution = await resolve(upstream)
    assert reasons(resolution) == [lists.FAILURE_REASON_LOOP]


@pytest.mark.parametrize("back", [TAG, f"{TAG}#again", "http://real.example/1"])
async def test_a_document_that_a_redirect_brings_back_is_not_used_again(back: str) -> None:
    upstream = Memory(
        {
            TAG: Given(
                vast(wrapper("w", "http://b.example/")).encode(), final_url="http://real.example/1"
            ),
            "http://b.example/": Given(
                vast(wrapper("w", "http://c.example/")).encode(), final_url=back
            ),
        }
    )
    resolution = await resolve(upstream)
    assert upstream.asked == [TAG, "http://b.example/"]
    assert reasons(resolution) == [lists.FAILURE_REASON_LOOP]
    assert [hop.reason for hop in resolution.hops] == [0, lists.FAILURE_REASON_LOOP]
    assert [url.url for url in resolution.error_plan] == ["http://w.example/e?302"]


async def test_an_address_that_redirects_to_itself_is_no_loop() -> None:
    way = [Led(302, "http://cookies.example/"), Led(302, "http://b.example/")]
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/")),
            "http://b.example/": Given(
                vast(inline("a")).encode(), final_url="http://b.example/", redirects=way
            ),
        }
    )
    assert ids(await resolve(upstream)) == ["a"]


async def test_what_a_redirect_brought_back_and_cannot_be_read_says_why() -> None:
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/")),
            "http://b.example/": Given(b"<VAST", final_url=TAG),
        }
    )
    assert reasons(await resolve(upstream)) == [lists.FAILURE_REASON_XML_MALFORMED]


# Macros


async def test_a_session_that_was_told_keeps_its_time_and_its_number() -> None:
    tag = "http://ads.example/?[CACHEBUSTING]&[TIMESTAMP]"
    message = session_context_pb2.SessionContext(cachebusting="00000042")
    message.timestamp.FromNanoseconds(NOON)
    upstream = Memory(
        {"http://ads.example/?00000042&2023-11-14T22%3A13%3A20.000%2B00%3A00": vast()}
    )
    await resolver(upstream).resolve(tag, session=Told(message))
    assert len(upstream.asks) == 1
    assert upstream.asks[0].session.message is message


async def test_settled_macros_are_filled_in_trackers_where_the_caller_wants_it() -> None:
    trackers = (
        "<Impression><![CDATA[http://w.example/[ADSERVINGID]/[PODSEQUENCE]/[TRANSACTIONID]]]>"
        "</Impression><Error><![CDATA[http://w.example/[ERRORCODE]/[ADTYPE]]]></Error>"
        "<Creatives><Creative><Linear><VideoClicks>"
        "<ClickThrough><![CDATA[http://page.example/[ADSERVINGID]]]></ClickThrough>"
        "<ClickTracking><![CDATA[http://w.example/[ADSERVINGID]]]></ClickTracking>"
        "</VideoClicks></Linear></Creative></Creatives>"
    )
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/", trackers, sequence=3)),
            "http://b.example/": vast(inline("a", "<AdServingId>s 1</AdServingId>")),
        }
    )
    macros = macros_pb2.MacroOptions(
        tracker_macros=["ADSERVINGID", "PODSEQUENCE", "ADTYPE", "TRANSACTIONID"]
    )
    macros.values["TRANSACTIONID"].text = "t-1"
    resolution = await resolver(upstream).resolve(TAG, macros=macros)
    ad = resolution.ads[0].ad.inline
    assert ad.impressions[1].url == "http://w.example/s%201/3/t-1"
    assert ad.errors[1] == "http://w.example/[ERRORCODE]/video"
    clicks = ad.creatives[0].linear.video_clicks
    assert clicks.click_trackings[0].url == "http://w.example/s%201"
    assert clicks.click_through.url == "http://page.example/[ADSERVINGID]"
    assert resolution.transaction_id == "t-1"
    assert "http://w.example/s%201/3/t-1" in [url.url for url in resolution.ads[0].tracking_urls]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (macros_pb2.MacroValue(), "1,2"),
        (macros_pb2.MacroValue(text="9"), "1,2,9"),
        (macros_pb2.MacroValue(items=macros_pb2.MacroItems(items=["9", "1"])), "1,2,9"),
        (macros_pb2.MacroValue(absence=macros_pb2.MACRO_ABSENCE_WITHHELD), "1,2"),
    ],
)
async def test_blocked_categories_that_are_given_join_those_of_the_chain(
    given: macros_pb2.MacroValue, told: str
) -> None:
    blocked = '<BlockedAdCategories authority="iab">1</BlockedAdCategories>'
    below = f"http://b.example/{told}"
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/[BLOCKEDADCATEGORIES]", blocked)),
            below: vast(inline("a")),
        }
    )
    options = Options(blocked_categories=[options_pb.CategoryBlock(authority="iab", codes=["2"])])
    macros = macros_pb2.MacroOptions(values={"BLOCKEDADCATEGORIES": given})
    await resolver(upstream).resolve(TAG, options=options, macros=macros)
    assert upstream.asked == [TAG, below]


async def test_without_values_of_the_caller_a_transaction_gets_an_id() -> None:
    resolution = await resolve(Memory({TAG: vast()}))
    assert resolution.transaction_id == "ffffffff-ffff-4fff-bfff-ffffffffffff"


# The answer


Part = options_pb.ResolutionPart


def everything() -> Memory:
    failing = wrapper("w", "http://b.example/", sequence=1)
    return Memory({TAG: vast(inline("a"), failing), "http://b.example/": vast()})


@pytest.mark.parametrize(
    ("part", "has"),
    [
        ("ADS", lambda answer: answer.ads[0].HasField("ad")),
        ("XML", lambda answer: answer.HasField("xml")),
        ("ORIGINS", lambda answer: len(answer.ads[0].tracking_urls) > 0),
        ("METADATA", lambda answer: answer.ads[0].HasField("metadata")),
        ("HOPS", lambda answer: len(answer.hops) == 2),
        ("ERROR_PLAN", lambda answer: len(answer.error_plan) > 0),
    ],
)
async def test_an_answer_has_the_parts_that_are_wanted_and_no_others(part: str, has: Any) -> None:
    value = Part.Value(f"RESOLUTION_PART_{part}")
    others = [
        each for each in Part.values() if each not in (value, Part.RESOLUTION_PART_UNSPECIFIED)
    ]
    assert has(await resolve(everything(), parts=[value]))
    without = await resolve(everything(), parts=others)
    assert not has(without)
    assert without.ads[0].chain[0].ad_id == "a"
    assert has(await resolve(everything()))


async def test_documents_come_along_on_demand_only() -> None:
    assert not (await resolve(everything())).hops[0].HasField("document")
    resolution = await resolve(
        everything(), parts=[Part.RESOLUTION_PART_HOPS, Part.RESOLUTION_PART_SOURCE_DOCUMENTS]
    )
    assert [hop.document for hop in resolution.hops] == [
        vast(inline("a"), wrapper("w", "http://b.example/", sequence=1)).encode(),
        vast().encode(),
    ]


@pytest.mark.parametrize(
    ("versions", "wanted", "written"),
    [
        (("3.0", "2.0.1"), 0, "3.0"),
        (("2.0", "4.1"), 0, "4.1"),
        (("2.0", "4.1"), lists.VAST_VERSION_3_0, "3.0"),
        ((None, "4.9"), 0, "2.0"),
    ],
)
async def test_the_merged_xml_has_the_highest_version_on_the_way_that_holds_it(
    versions: Sequence[str | None], wanted: int, written: str
) -> None:
    first, second = versions
    silent = wrapper("w", "http://b.example/").replace("Error>", "Extensions>")
    upstream = Memory(
        {
            TAG: vast(silent, version=first),
            "http://b.example/": vast(inline("a"), version=second),
        }
    )
    resolution = await resolve(upstream, xml_version=wanted)
    assert f'version="{written}"' in resolution.xml
    assert resolution.ads[0].inline_version == second


@pytest.mark.parametrize("version", ["2.0", "3.0"])
async def test_the_merged_xml_is_of_a_version_that_holds_all_errors(version: str) -> None:
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/"), version=version),
            "http://b.example/": vast(inline("a"), version=version),
        }
    )
    with capture_logs() as logged:
        resolution = await resolve(upstream)
    assert list(parse(resolution.xml.encode()).ads[0].inline.errors) == [
        "http://w.example/e?[ERRORCODE]",
        "http://a.example/e?[ERRORCODE]",
    ]
    assert not logged


async def test_what_the_version_asked_for_cannot_hold_is_logged() -> None:
    upstream = Memory(
        {TAG: vast(wrapper("w", "http://b.example/")), "http://b.example/": vast(inline("a"))}
    )
    with capture_logs() as logged:
        resolution = await resolve(upstream, xml_version=lists.VAST_VERSION_3_0)
    assert resolution.xml.count("<Error>") == 1
    (event,) = logged
    assert event["log_level"] == "debug"
    assert event["left_out"] == 1
    assert event["paths"] == ["VAST/Ad[1]/InLine/Error[2]"]


async def test_without_ads_the_xml_is_empty() -> None:
    resolution = await resolve(Memory({TAG: vast(errors="<Error>http://e.example/</Error>")}))
    assert "<Ad" not in resolution.xml
    assert "<Error" not in resolution.xml
    assert "<VAST" in resolution.xml


async def test_deviations_are_listed_with_their_hop_where_wanted() -> None:
    upstream = everything()
    assert not any(hop.violations for hop in (await resolve(upstream)).hops)
    resolution = await resolve(upstream, strict=True)
    assert resolution.hops[0].violations
    assert ids(resolution) == ["a"]


async def test_the_earliest_expiry_on_the_way_counts() -> None:
    upstream = Memory(
        {
            TAG: Given(
                vast(wrapper("w", "http://b.example/")).encode(),
                cache_expires_ns=NOON + 90 * SECOND,
                requested_ns=NOON,
            ),
            "http://b.example/": Given(
                vast(inline("a", "<Expires>60</Expires>")).encode(), requested_ns=NOON - SECOND
            ),
        }
    )
    resolution = await resolve(upstream)
    assert resolution.expire_time.ToNanoseconds() == NOON + 59 * SECOND
    assert resolution.ads[0].metadata.expire_time == resolution.expire_time
    assert upstream.expiries == {"http://b.example/": NOON + 59 * SECOND}
    hop = resolution.hops[0]
    assert hop.cache_expire_time.ToNanoseconds() == NOON + 90 * SECOND


async def test_a_given_document_has_no_expiry_and_no_request() -> None:
    document = vast(inline("a", "<Expires>60</Expires>"))
    resolution = await resolver(Memory({})).resolve(document.encode())
    assert not resolution.HasField("expire_time")
    (hop,) = resolution.hops
    assert not hop.HasField("tag_uri")
    assert hop.body_bytes == len(document)
    assert resolution.fetch_count == 0


async def test_a_companion_of_a_wrapper_has_facts_of_its_own() -> None:
    page = "<CompanionClickThrough>http://page.example/</CompanionClickThrough>"
    companion = (
        '<Creatives><Creative><CompanionAds required="any"><Companion width="1" height="1">'
        f"<StaticResource>http://s.example/</StaticResource>{page}"
        "</Companion></CompanionAds></Creative></Creatives>"
    )
    upstream = Memory(
        {
            TAG: vast(wrapper("w0", "http://b.example/")),
            "http://b.example/": vast(wrapper("w", "http://c.example/", companion)),
            "http://c.example/": vast(inline("a")),
        }
    )
    facts = (await resolve(upstream)).ads[0].metadata.creatives
    assert [each.kind for each in facts] == [
        lists.CREATIVE_KIND_LINEAR,
        lists.CREATIVE_KIND_COMPANION,
    ]
    assert (facts[1].click_through, facts[1].click_through_hop) == ("http://page.example/", 1)
    without = companion.replace(
        "<CompanionClickThrough>http://page.example/</CompanionClickThrough>", ""
    )
    upstream.documents = {
        **upstream.documents,
        "http://b.example/": vast(wrapper("w", "http://c.example/", without)),
    }
    facts = (await resolve(upstream)).ads[0].metadata.creatives
    assert not facts[1].HasField("click_through_hop")


# Error URLs


@pytest.mark.parametrize(
    ("firing", "fired"),
    [
        (options_pb.ERROR_FIRING_UNSPECIFIED, []),
        (options_pb.ERROR_FIRING_CALLER, []),
        (options_pb.ERROR_FIRING_SERVER_MUST, ["http://root.example/303"]),
        (
            options_pb.ERROR_FIRING_SERVER_MUST_AND_SHOULD,
            ["http://w.example/e?303", "http://root.example/303"],
        ),
    ],
)
async def test_the_server_requests_what_the_caller_leaves_to_it(
    firing: options_pb.ErrorFiring.ValueType, fired: list[str]
) -> None:
    root = "<Error><![CDATA[http://root.example/[ERRORCODE]]]></Error>"
    upstream = Memory(
        {
            TAG: vast(wrapper("w", "http://b.example/")),
            "http://b.example/": vast(errors=root),
        }
    )
    handed: list[pb.ErrorUrl] = []
    ours = resolver(upstream, fire=handed.extend)
    resolution = await ours.resolve(TAG, options=Options(error_firing=firing))
    assert [url.url for url in handed] == fired
    assert [url.url for url in resolution.error_plan if url.fired_by_server] == fired
    assert len(resolution.error_plan) == 2
    unseen = Options(error_firing=firing, parts=[Part.RESOLUTION_PART_ADS])
    handed.clear()
    assert not (await ours.resolve(TAG, options=unseen)).error_plan
    assert [url.url for url in handed] == fired


@pytest.mark.parametrize(
    "firing",
    [options_pb.ERROR_FIRING_SERVER_MUST, options_pb.ERROR_FIRING_SERVER_MUST_AND_SHOULD],
)
async def test_a_resolver_that_requests_nothing_refuses_to_have_it_left_to_it(
    firing: options_pb.ErrorFiring.ValueType,
) -> None:
    upstream = Memory({})
    with pytest.raises(InvalidOptions, match=r"options\.error_firing"):
        await resolve(upstream, error_firing=firing)
    assert not upstream.asks


async def test_an_error_url_without_a_macro_is_planned_and_a_blank_one_is_not() -> None:
    errors = "<Error>http://plain.example/</Error><Error>about:blank</Error><Error></Error>"
    upstream = Memory(
        {TAG: vast(wrapper("w", "http://b.example/", errors)), "http://b.example/": "<x/>"}
    )
    resolution = await resolve(upstream)
    assert [url.url for url in resolution.error_plan] == [
        "http://w.example/e?101",
        "http://plain.example/",
    ]


def side_of_errors() -> Memory:
    """A chain that fails; its Error URLs say who requests them."""
    tell = "<Error><![CDATA[http://w.example/s?[SERVERSIDE]]]></Error>"
    uri = "http://b.example/?[SERVERSIDE]"
    upstream = Memory({TAG: vast(wrapper("w", uri, tell))})
    upstream.documents |= {f"http://b.example/?{side}": vast() for side in ("1", "2", "-2")}
    return upstream


@pytest.mark.parametrize(
    ("given", "firing", "side"),
    [
        (None, options_pb.ERROR_FIRING_CALLER, "0"),
        ("1", options_pb.ERROR_FIRING_CALLER, "0"),
        (None, options_pb.ERROR_FIRING_SERVER_MUST_AND_SHOULD, "2"),
        ("1", options_pb.ERROR_FIRING_SERVER_MUST_AND_SHOULD, "1"),
        (None, options_pb.ERROR_FIRING_SERVER_MUST, "0"),  # these should be, not must
    ],
)
async def test_serverside_in_an_error_url_is_of_whoever_requests_it(
    given: str | None, firing: options_pb.ErrorFiring.ValueType, side: str
) -> None:
    upstream, handed = side_of_errors(), list[pb.ErrorUrl]()
    macros = macros_pb2.MacroOptions()
    if given is not None:
        macros.values["SERVERSIDE"].text = given
    resolution = await resolver(upstream, fire=handed.extend).resolve(
        TAG, options=Options(error_firing=firing), macros=macros
    )
    assert upstream.asked[1] == f"http://b.example/?{given or 2}"
    assert [url.url for url in resolution.error_plan][1] == f"http://w.example/s?{side}"
    assert len(handed) == (2 if side != "0" else 0)


async def test_serverside_is_the_clients_where_the_resolver_requests_nothing() -> None:
    resolution = await resolve(side_of_errors())
    assert [url.url for url in resolution.error_plan][1] == "http://w.example/s?0"


async def test_serverside_that_is_withheld_stays_so_whoever_requests() -> None:
    macros = macros_pb2.MacroOptions()
    macros.values["SERVERSIDE"].absence = macros_pb2.MACRO_ABSENCE_WITHHELD
    resolution = await resolver(side_of_errors()).resolve(TAG, macros=macros)
    assert [url.url for url in resolution.error_plan][1] == "http://w.example/s?-2"
