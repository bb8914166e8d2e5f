"""Groups of tags over real HTTP: in what order they are asked, and what of them stays."""

import asyncio

import pytest

from vast.memory_upstream import Memory, inline, vast, wrapper
from vast.tag_server import (
    FIRST,
    PARALLEL,
    WATERFALL,
    Source,
    local_upstream,
    tag_server,
    timed,
)
from xsp.vast.v1 import resolution_pb2, vast_lists_pb2
from xsp.vast.v1 import resolve_options_pb2 as options_pb
from xsp_server.upstream.session import Session, SessionContext
from xsp_server.vast.parse import parse
from xsp_server.vast.resolver import (
    InvalidOptions,
    ResolverSettings,
    TagRefused,
    VastChainResolver,
)

NOT_NEEDED = vast_lists_pb2.FAILURE_REASON_NOT_NEEDED
Options = options_pb.ResolveOptions


@pytest.fixture
async def ads():
    async with tag_server() as server:
        server.documents = {f"/{name}": vast(inline(name)) for name in "abcdef"}
        server.documents["/none"] = vast(errors="<Error>http://none.example/e</Error>")
        yield server


@pytest.fixture
async def upstream():
    async with local_upstream() as made:
        yield made


@pytest.fixture
def resolve(upstream):
    """One resolution of sources, over the shared upstream."""

    def start(*sources, **more):
        return VastChainResolver(upstream).resolve(sources, **more)

    return start


class Ended:
    """Hops as they end."""

    def __init__(self):
        self.hops = []
        self._news = asyncio.Event()

    def add(self, hop):
        self.hops.append(hop)
        self._news.set()

    async def until(self, *paths):
        """Returns when the hops of these addresses have ended."""
        async with asyncio.timeout(10):
            while not all(any(hop.url.endswith(path) for hop in self.hops) for path in paths):
                self._news.clear()
                await self._news.wait()


def ids(resolution):
    return [each.ad.id for each in resolution.ads]


def hops(resolution):
    """The hops by the last part of their address."""
    return {hop.url.rpartition("/")[2]: hop for hop in resolution.hops}


def errors(resolution):
    return [(each.url, each.duty) for each in resolution.error_plan]


MUST, SHOULD = resolution_pb2.FIRING_DUTY_MUST, resolution_pb2.FIRING_DUTY_SHOULD


# Waterfall


async def test_a_waterfall_asks_the_next_member_only_where_those_before_gave_no_ad(ads, resolve):
    resolution = await resolve(ads.group(WATERFALL, "/none", "/gone", "/b", "/c"))
    assert ids(resolution) == ["b"]
    assert ads.paths == ["/none", "/gone", "/b"]
    assert resolution.source == resolution.ads[0].source == 2
    assert [hop.source for hop in resolution.hops] == [0, 1, 2]
    assert [failure.source for failure in resolution.failures] == [1]


async def test_what_failed_before_in_a_waterfall_keeps_its_error_urls(ads, resolve):
    ads.documents["/broken"] = vast(wrapper("w", f"{ads.address}/gone"))
    resolution = await resolve(ads.group(WATERFALL, "/none", "/broken", "/a"))
    assert ids(resolution) == ["a"]
    assert errors(resolution) == [
        ("http://w.example/e?301", MUST),
        ("http://none.example/e", SHOULD),
    ]


# Parallel


async def test_parallel_asks_all_at_once_and_gives_the_ads_in_the_order_of_the_members(
    ads, resolve
):
    ads.hold("/a", "/b", "/c")
    running = asyncio.ensure_future(resolve(ads.group(PARALLEL, "/a", "/b", "/c")))
    await ads.was_asked("/a", "/b", "/c")
    for path in ("/c", "/b", "/a"):
        ads.release(path)
    resolution = await running
    assert ids(resolution) == ["a", "b", "c"]
    assert [ad.source for ad in resolution.ads] == [0, 1, 2]
    assert resolution.source == 0
    assert [ad.id for ad in parse(resolution.xml.encode()).ads] == ["a", "b", "c"]


async def test_one_that_fails_takes_nothing_from_the_others_and_keeps_its_error_urls(ads, resolve):
    ads.documents["/broken"] = vast(wrapper("w", f"{ads.address}/gone"))
    resolution = await resolve(ads.group(PARALLEL, "/a", "/broken", "/none", "/b"))
    assert ids(resolution) == ["a", "b"]
    assert resolution.outcome == resolution_pb2.RESOLUTION_OUTCOME_AD
    assert [(each.code, each.source) for each in resolution.failures] == [(301, 1)]
    assert errors(resolution) == [
        ("http://w.example/e?301", MUST),
        ("http://none.example/e", SHOULD),
    ]


async def test_pods_of_several_members_become_one(ads, resolve):
    pod = vast(inline("x", sequence=1), inline("y", sequence=3), inline("z"))
    ads.documents |= {"/pod": pod, "/other": vast(inline("p", sequence=1), inline("q", sequence=2))}
    resolution = await resolve(ads.group(PARALLEL, "/a", "/pod", "/other"))
    found = [(each.ad.id, each.ad.sequence) for each in resolution.ads]
    assert found == [("a", 0), ("x", 1), ("y", 3), ("z", 0), ("p", 4), ("q", 5)]


async def test_each_source_of_a_group_has_its_own_allow_multiple_ads(ads, resolve):
    ads.documents["/many"] = vast(inline("x"), inline("y"))
    one = vast(wrapper("w", f"{ads.address}/many"))
    all_ = vast(wrapper("v", f"{ads.address}/many", flags='allowMultipleAds="true"'))
    ads.documents |= {"/one": one, "/all": all_}
    resolution = await resolve(ads.group(PARALLEL, "/one", "/all"))
    assert ids(resolution) == ["x", "x", "y"]
    assert [ad.source for ad in resolution.ads] == [0, 1, 1]


async def test_ads_of_all_members_count_against_the_most_that_are_wanted(ads, resolve):
    group = ads.group(PARALLEL, "/a", "/b", "/c")
    resolution = await resolve(group, options=Options(max_ads=2))
    assert ids(resolution) == ["a", "b"]
    assert [each.ad.ad_id for each in resolution.left_out_ads] == ["c"]


# First


async def test_the_first_with_an_ad_wins_and_the_others_leave_only_their_hops(ads, resolve):
    slow = vast(wrapper("w", f"{ads.address}/held"))
    ads.documents |= {"/slow": slow, "/held": vast(inline("late"))}
    ads.hold("/a", "/held", "/b")
    group = ads.group(FIRST, "/a", "/b", "/slow")
    running = asyncio.ensure_future(resolve(group))
    await ads.was_asked("/a", "/b", "/held")
    ads.release("/b")
    resolution = await running
    assert ids(resolution) == ["b"]
    assert resolution.source == 1
    assert not resolution.failures
    assert not resolution.error_plan
    assert not resolution.left_out_ads
    assert {name: hop.reason for name, hop in hops(resolution).items()} == {
        "a": NOT_NEEDED,
        "b": 0,
        "slow": 0,
        "held": NOT_NEEDED,
    }
    assert not any(hop.code for hop in resolution.hops)
    await ads.was_left("/a", "/held")


async def test_requests_of_those_given_up_are_counted(ads, resolve):
    ads.hold("/a", "/c", "/b")
    running = asyncio.ensure_future(resolve(ads.group(FIRST, "/a", "/b", "/c")))
    await ads.was_asked("/a", "/b", "/c")
    ads.release("/b")
    resolution = await running
    assert resolution.fetch_count == len(ads.asked) == 3
    assert [hop.request_count for hop in resolution.hops] == [1, 1, 1]


async def test_one_that_has_failed_by_then_keeps_its_error_urls(ads, resolve):
    ads.documents["/broken"] = vast(wrapper("w", f"{ads.address}/gone"))
    ads.hold("/a")
    ended = Ended()
    group = ads.group(FIRST, "/broken", "/a", "/none")
    running = asyncio.ensure_future(resolve(group, on_hop=ended.add))
    await ended.until("/gone", "/none")
    assert not running.done()  # a failure is no ad
    ads.release("/a")
    resolution = await running
    assert ids(resolution) == ["a"]
    assert errors(resolution) == [
        ("http://w.example/e?301", MUST),
        ("http://none.example/e", SHOULD),
    ]


async def test_where_none_has_an_ad_all_have_failed(ads, resolve):
    resolution = await resolve(ads.group(FIRST, "/gone", "/none", "/lost"))
    assert resolution.outcome == resolution_pb2.RESOLUTION_OUTCOME_ERROR
    assert [failure.source for failure in resolution.failures] == [0, 2]
    assert [hop.code for hop in resolution.hops] == [301, 0, 301]


async def test_of_two_that_end_at_once_the_first_member_wins():
    upstream = Memory({f"http://{name}.example/": vast(inline(name)) for name in "ab"})
    members = [Source(tag_uri=f"http://{name}.example/") for name in "ba"]
    group = options_pb.TagGroup(mode=FIRST, members=members)
    resolution = await VastChainResolver(upstream).resolve([Source(group=group)])
    assert ids(resolution) == ["b"]
    assert [hop.reason for hop in resolution.hops] == [0, 0]


async def test_cookies_of_those_given_up_are_not_kept_and_those_of_the_others_are(ads, resolve):
    held = f"{ads.address}/held"
    ads.documents |= {
        "/loser": vast(wrapper("w", held)),
        "/winner": vast(wrapper("v", f"{ads.address}/a")),
        "/broken": vast(wrapper("u", f"{ads.address}/gone")),
    }
    ads.cookies = {"/loser": "loser", "/winner": "winner", "/broken": "broken", "/a": "ad"}
    ads.hold("/held", "/a")
    session = Session(SessionContext.from_message())
    group = ads.group(FIRST, "/loser", "/winner", "/broken")
    ended = Ended()
    running = asyncio.ensure_future(resolve(group, session=session, on_hop=ended.add))
    await ads.was_asked("/held", "/a")
    await ended.until("/gone")
    ads.release("/a")
    resolution = await running
    assert ids(resolution) == ["a"]
    kept = {cookie.name for cookie in session.to_message().cookies}
    assert kept == {"winner", "broken", "ad"}
    # Nor did one of them see another's under way.
    assert dict(ads.asked)["/a"] == "winner=1"
    assert dict(ads.asked)["/held"] == "loser=1"


async def test_what_is_given_up_holds_no_connection_and_no_other_caller_up(ads):
    async with local_upstream(host_connections=2) as upstream:
        resolver = VastChainResolver(upstream)
        for _ in range(3):  # each of which would keep a connection
            ads.asked.clear()
            ads.hold("/a", "/b")
            running = asyncio.ensure_future(resolver.resolve([ads.group(FIRST, "/a", "/b")]))
            await ads.was_asked("/a", "/b")
            ads.release("/b")
            assert ids(await running) == ["b"]
        ads.hold("/a", "/b")
        group = ads.group(FIRST, "/a", "/b")
        losing = asyncio.ensure_future(resolver.resolve([group]))
        await ads.was_asked("/a", "/b")
        waiting = asyncio.ensure_future(resolver.resolve(f"{ads.address}/a"))  # for that fetch
        await asyncio.sleep(0)
        ads.release("/b")
        assert ids(await losing) == ["b"]
        ads.release("/a")
        assert ids(await waiting) == ["a"]


async def test_hops_that_are_given_up_are_told_as_they_end(ads, resolve):
    ended = Ended()
    ads.hold("/a", "/b")
    group = ads.group(FIRST, "/a", "/b")
    running = asyncio.ensure_future(resolve(group, on_hop=ended.add))
    await ads.was_asked("/a", "/b")
    ads.release("/b")
    resolution = await running
    assert sorted((hop.index, hop.reason) for hop in ended.hops) == [(0, NOT_NEEDED), (1, 0)]
    assert resolution.hops[0] in ended.hops


# Groups within groups


async def test_groups_nest(ads, resolve):
    inner = ads.group(FIRST, "/none", "/gone")
    resolution = await resolve(
        ads.group(WATERFALL, inner, ads.group(PARALLEL, "/a", ads.group(WATERFALL, "/none", "/b"))),
        ads.source("/c"),
    )
    assert ids(resolution) == ["a", "b"]
    assert [ad.source for ad in resolution.ads] == [2, 4]
    assert "/c" not in ads.paths


async def test_the_sources_of_a_request_are_a_waterfall_of_groups(ads, resolve):
    resolution = await resolve(ads.group(PARALLEL, "/none", "/gone"), ads.source("/c"))
    assert ids(resolution) == ["c"]
    assert resolution.source == 2


async def test_giving_up_a_group_gives_up_all_within(ads, resolve):
    ads.hold("/a", "/b", "/c")
    inner = ads.group(PARALLEL, "/a", ads.group(FIRST, "/b", "/gone"))
    ended = Ended()
    running = asyncio.ensure_future(resolve(ads.group(FIRST, inner, "/c"), on_hop=ended.add))
    await ads.was_asked("/a", "/b", "/c")
    await ended.until("/gone")
    ads.release("/c")
    resolution = await running
    assert ids(resolution) == ["c"]
    assert not resolution.failures
    await ads.was_left("/a", "/b")
    reasons = {name: hop.reason for name, hop in hops(resolution).items()}
    assert reasons["a"] == reasons["b"] == NOT_NEEDED
    assert reasons["gone"] == vast_lists_pb2.FAILURE_REASON_HTTP_STATUS


async def test_giving_up_a_member_leaves_the_others_of_an_outer_group_alone(ads, resolve):
    ads.hold("/a", "/c")
    ended = Ended()
    group = ads.group(PARALLEL, ads.group(FIRST, "/a", "/b"), "/c")
    running = asyncio.ensure_future(resolve(group, on_hop=ended.add))
    await ads.was_asked("/c")
    await ended.until("/a", "/b")
    ads.release("/c")
    resolution = await running
    assert ids(resolution) == ["b", "c"]
    assert {name: hop.reason for name, hop in hops(resolution).items()} == {
        "a": NOT_NEEDED,
        "b": 0,
        "c": 0,
    }
    assert len(ended.hops) == 3


# Time


async def test_a_group_has_its_time_and_the_next_source_what_is_left(ads, resolve):
    ads.hold("/a", "/b")
    group = timed(ads.group(PARALLEL, "/a", "/b"), 60)
    resolution = await resolve(group, ads.source("/c"))
    assert ids(resolution) == ["c"]
    reasons = [failure.reason for failure in resolution.failures]
    assert reasons == [vast_lists_pb2.FAILURE_REASON_TOTAL_TIMEOUT] * 2


async def test_one_that_hangs_costs_a_parallel_group_its_time_and_no_ad(ads, resolve):
    ads.hold("/b")
    resolution = await resolve(timed(ads.group(PARALLEL, "/a", "/b", "/c"), 600))
    assert ids(resolution) == ["a", "c"]
    assert [failure.source for failure in resolution.failures] == [1]


async def test_no_member_has_longer_than_its_group_and_the_call(ads, resolve):
    ads.hold("/a")
    options = Options()
    options.total_timeout.FromMilliseconds(300)
    slow = timed(ads.group(WATERFALL, ads.source("/a", 9000), "/c"), 9000)
    resolution = await resolve(slow, options=options)
    assert not resolution.ads
    assert ads.paths == ["/a"]
    reasons = [failure.reason for failure in resolution.failures]
    assert reasons == [vast_lists_pb2.FAILURE_REASON_TOTAL_TIMEOUT] * 2


async def test_a_member_may_have_less_than_its_group(ads, resolve):
    ads.hold("/a")
    resolution = await resolve(ads.group(WATERFALL, ads.source("/a", 60), "/c"))
    assert ids(resolution) == ["c"]


# Fetches


@pytest.mark.parametrize("mode", [PARALLEL, FIRST, WATERFALL])
async def test_fetches_of_the_call_are_shared(ads, resolve, mode):
    for name in "abcdef":
        ads.documents[f"/{name}"] = vast(wrapper(name, f"{ads.address}/none"))
    group = ads.group(mode, *(f"/{name}" for name in "abcdef"))
    resolution = await resolve(group, options=Options(max_fetches=5, use_cache=False))
    assert len(ads.asked) == resolution.fetch_count == 5
    limit = vast_lists_pb2.FAILURE_REASON_FETCH_LIMIT
    assert sum(failure.reason == limit for failure in resolution.failures) >= 3


async def test_fetches_under_way_at_once_are_those_of_the_settings():
    names = [f"http://{n}.example/" for n in range(9)]
    upstream = Memory({name: vast(inline("x")) for name in names}, held_but="http://nobody/")
    settings = ResolverSettings(concurrency=3)
    members = [Source(tag_uri=name) for name in names]
    group = options_pb.TagGroup(mode=PARALLEL, members=members)
    resolver = VastChainResolver(upstream, settings=settings)
    running = asyncio.ensure_future(resolver.resolve([Source(group=group)]))
    for _ in range(20):  # every task goes as far as it can
        await asyncio.sleep(0)
    assert upstream.under_way == 3
    upstream.gate.set()
    assert len((await running).ads) == 9
    assert upstream.most == 3


# Settings


@pytest.mark.parametrize(
    ("ask", "found", "asked"),
    [
        ("waterfall", ["a"], ["/none", "/a"]),
        ("parallel", ["a", "b"], ["/a", "/b", "/none"]),
        ("first", ["a"], ["/a", "/b", "/none"]),
    ],
)
async def test_an_upstreams_own_tags_may_be_a_group(ads, ask, found, asked):
    if ask == "first":
        ads.hold("/a", "/b")
    tags = [f"{ads.address}{path}" for path in ("/none", "/a", "/b")]
    async with local_upstream(endpoint=tags[0], fallbacks=tuple(tags[1:]), ask=ask) as upstream:
        running = asyncio.ensure_future(VastChainResolver(upstream).resolve())
        await ads.was_asked(*asked)
        if ask == "first":
            ads.release("/a")
        resolution = await running
    assert ids(resolution) == found
    assert sorted(ads.paths) == sorted(asked)
    assert [hop.source for hop in resolution.hops] == [*range(len(asked))]


# Callers


async def test_a_caller_that_walks_away_ends_all_members(ads, resolve):
    ads.hold("/a", "/b")
    running = asyncio.ensure_future(resolve(ads.group(PARALLEL, "/a", "/b")))
    await ads.was_asked("/a", "/b")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await ads.was_left("/a", "/b")


@pytest.mark.parametrize("mode", [PARALLEL, FIRST])
async def test_a_tag_that_must_not_be_reached_fails_the_call_from_within_a_group(
    ads, resolve, mode
):
    ads.hold("/a")
    group = ads.group(mode, "/a", Source(tag_uri="http://10.0.0.1/"))
    with pytest.raises(TagRefused, match=r"sources\[0\].group.members\[1\]: ") as caught:
        await resolve(group)
    assert caught.value.metadata == {"source": "1"}


def nested(depth):
    source = Source(tag_uri="http://a.example/")
    for _ in range(depth):
        source = Source(group=options_pb.TagGroup(mode=FIRST, members=[source]))
    return source


@pytest.mark.parametrize(
    ("source", "path"),
    [
        (Source(group={}), r"sources\[0\].group.mode: expected 1 to 3"),
        (Source(group={"mode": 9}), r"sources\[0\].group.mode: .* got 9"),
        (Source(group={"mode": FIRST}), r"sources\[0\].group.members: missing"),
        (Source(group={"mode": FIRST, "members": [{}]}), r"group.members\[0\].start: missing"),
        (timed(nested(1), -1), r"sources\[0\].timeout: expected more than 0"),
        (nested(5), "expected at most 4 groups within each other"),
        (
            Source(group={"mode": FIRST, "members": [{"tag_uri": "http://a.example/"}] * 200}),
            "sources: expected at most 200 in all, those in groups counted; got 201",
        ),
    ],
)
async def test_groups_that_cannot_be_are_refused_by_name(source, path):
    with pytest.raises(InvalidOptions, match=path):
        await VastChainResolver(Memory({})).resolve([source])


async def test_two_hundred_sources_in_all_will_do():
    upstream = Memory({"http://a.example/": vast(inline("a"))})
    members = [Source(tag_uri="http://a.example/")] * 199
    group = options_pb.TagGroup(mode=WATERFALL, members=members)
    assert ids(await VastChainResolver(upstream).resolve([Source(group=group)])) == ["a"]


async def test_four_groups_within_each_other_will_do():
    upstream = Memory({"http://a.example/": vast(inline("a"))})
    assert ids(await VastChainResolver(upstream).resolve([nested(4)])) == ["a"]
