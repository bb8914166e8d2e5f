"""Campaigns: what they may say, where they stand, how they are found."""

from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration

from state.settings import World, campaign, cap, seconds, when
from xsp.money.v1.money_pb2 import Money
from xsp.state.v1.campaign_key_pb2 import CampaignKey
from xsp.state.v1.campaign_pb2 import BudgetLimits, CampaignStatus, Flight, Pacing, PacingPoint
from xsp.state.v1.frequency_pb2 import FrequencyCap, Window
from xsp_server.errors import InvalidRequest, MissingField
from xsp_server.state.backend import CampaignDocument, StoreAway
from xsp_server.state.campaigns import MAX_LEVELS, Campaigns
from xsp_server.state.faults import (
    CampaignChanged,
    CampaignCurrencyFixed,
    CampaignHasChildren,
    CampaignKeyTaken,
    CampaignNotFound,
    CampaignParentInvalid,
    PageTokenInvalid,
    RequestIdReused,
)


async def test_a_campaign_gets_revisions_and_times():
    world = World("2026-01-01T00:00:00")
    first, created = await world.campaigns.put(campaign(total=5, revision=77))
    assert (first.revision, created) == (1, True)
    world.clock.go(1000)
    second, created = await world.campaigns.put(campaign(total=6), expected_revision=1)
    assert (second.revision, created) == (2, False)
    assert second.create_time == first.create_time == when("2026-01-01T00:00:00")
    assert second.update_time == when("2026-01-01T00:00:01")
    assert (await world.campaigns.read("c1", None)).message == second


async def test_a_put_with_another_revision_changes_nothing():
    world = World()
    with pytest.raises(CampaignChanged):
        await world.campaigns.put(campaign(), expected_revision=1)
    await world.put()
    with pytest.raises(CampaignChanged) as refused:
        await world.campaigns.put(campaign(total=1), expected_revision=0)
    assert refused.value.metadata == {"revision": "1"}
    assert not (await world.campaigns.read("c1", None)).message.HasField("limits")


async def test_the_same_put_again_is_stored_once_and_another_one_is_refused():
    world = World()
    first, _ = await world.campaigns.put(campaign(total=5), "r1")
    again, created = await world.campaigns.put(campaign(total=5), "r1")
    assert (again, created) == (first, True)
    with pytest.raises(RequestIdReused) as refused:
        await world.campaigns.put(campaign(total=6), "r1")
    assert list(refused.value.metadata) == ["campaign.limits.total.micros"]


async def test_two_campaigns_do_not_share_a_key():
    world = World()
    await world.put("a")
    with pytest.raises(CampaignKeyTaken) as refused:
        await world.put("b", key=CampaignKey(cid="a"))
    assert refused.value.metadata == {"campaign_id": "a"}
    await world.put("b", key=CampaignKey(cid="a", seat="s"))


async def test_a_bid_finds_the_campaign_with_the_most_telling_key():
    world = World()
    keys = {"b+s": ("s", "b"), "s": ("s", ""), "b": ("", "b"), "any": ("", "")}
    for name, (seat, bidder) in keys.items():
        await world.put(name, key=CampaignKey(cid="x", seat=seat, bidder=bidder))

    def found(seat, bidder):
        return world.campaigns.find(CampaignKey(cid="x", seat=seat, bidder=bidder)).id

    assert found("s", "b") == "b+s"
    assert found("s", "other") == "s"
    assert found("other", "b") == "b"
    assert found("other", "other") == "any"
    with pytest.raises(CampaignNotFound) as refused:
        world.campaigns.find(CampaignKey(cid="y"))
    assert refused.value.metadata["cid"] == "y"


async def test_a_tree_has_eight_levels_at_most_also_if_put_from_below():
    world = World()
    await world.put("0")
    for level in range(1, MAX_LEVELS):
        await world.put(str(level), parent_id=str(level - 1))
    assert len(world.campaigns.lineage(world.campaigns.get("7"))) == 8
    with pytest.raises(CampaignParentInvalid):
        await world.put("8", parent_id="7")
    await world.put("top")
    with pytest.raises(CampaignParentInvalid):
        await world.put("0", parent_id="top")


async def test_a_parent_must_be_there_of_the_same_currency_and_not_below():
    world = World()
    with pytest.raises(CampaignParentInvalid):
        await world.put("a", parent_id="none")
    await world.put("a")
    with pytest.raises(CampaignParentInvalid):
        await world.put("a", parent_id="a")
    with pytest.raises(CampaignParentInvalid):
        await world.put("b", parent_id="a", currency="EUR")
    await world.put("b", parent_id="a")
    with pytest.raises(CampaignParentInvalid):
        await world.put("a", parent_id="b")
    with pytest.raises(CampaignParentInvalid):
        await world.put("a", currency="EUR")


async def test_puts_that_raced_into_a_cycle_are_found_out():
    world = World()
    await world.put("a")
    await world.put("b", parent_id="a")
    other = Campaigns(world.backend, world.clock)
    await other.refresh()
    other._by_id["b"] = replace(other.get("b"), parent_id="")  # not seen yet: b is below a
    other._children.clear()
    other._version = await world.backend.campaigns_version()
    await other.put(campaign("a", parent_id="b"))
    await world.campaigns.refresh()
    with pytest.raises(CampaignParentInvalid):
        world.campaigns.lineage(world.campaigns.get("a"))


@pytest.mark.parametrize(
    ("parent", "error"), [("b", CampaignParentInvalid), ("gone", CampaignCurrencyFixed)]
)
async def test_what_raced_out_of_every_tree_is_put_right_where_its_money_is(parent, error):
    world = World()
    await world.put("a")
    await world.put("b", parent_id="a")
    await world.put("c")
    await world.spend("b", 1)
    document = CampaignDocument("a", "", campaign("a", parent_id=parent).SerializeToString())
    await world.backend.put_campaign(document, world.clock())
    with pytest.raises(CampaignParentInvalid):
        await world.put("a", parent_id="c")
    with pytest.raises(error):
        await world.put("b", currency="EUR")
    await world.put("a")
    assert [each.id for each in world.campaigns.lineage(world.campaigns.get("b"))] == ["b", "a"]
    assert (await world.budget("a")).spent.micros == 1_000_000


async def test_the_currency_stays_once_money_moved():
    world = World()
    await world.put()
    await world.put(currency="EUR")
    await world.put(currency="USD")
    await world.spend("c1", 1)
    with pytest.raises(CampaignCurrencyFixed):
        await world.put(currency="EUR")


async def test_a_campaign_stays_in_its_tree_once_money_moved():
    world = World()
    await world.put("a")
    await world.put("b")
    await world.put("b2", parent_id="b")
    await world.put("c", parent_id="a")
    await world.put("c", parent_id="b2")
    await world.spend("c", 1)
    await world.put("c", parent_id="b")
    with pytest.raises(CampaignParentInvalid):
        await world.put("c", parent_id="a")
    with pytest.raises(CampaignParentInvalid):
        await world.put("b", parent_id="a")


async def test_deleting_needs_no_children_and_the_right_revision():
    world = World()
    await world.put("a")
    await world.put("b", parent_id="a")
    with pytest.raises(CampaignHasChildren):
        await world.campaigns.delete("a")
    with pytest.raises(CampaignChanged):
        await world.campaigns.delete("b", 2)
    assert (await world.campaigns.delete("b", 1)).campaign_id == "b"
    assert (await world.campaigns.delete("a")).campaign_id == "a"
    with pytest.raises(CampaignNotFound):
        await world.campaigns.delete("a")


async def test_a_campaign_that_changes_while_it_is_deleted_stays():
    world = World()
    await world.put()
    other = Campaigns(world.backend, world.clock)

    async def put(_):
        await other.put(campaign(total=7))

    with pytest.raises(CampaignChanged):
        await world.campaigns.delete("c1", before=put)


async def test_lists_go_page_by_page_and_by_conditions():
    world = World()
    for name in ("d", "b", "a", "c"):
        await world.put(name)
    await world.put("e", parent_id="a", key=CampaignKey(cid="e", seat="s"))
    await world.put("f", status=CampaignStatus.CAMPAIGN_STATUS_PAUSED)

    async def ids(**conditions):
        found, token = [], ""
        while True:
            page, token = await world.campaigns.page(size=2, token=token, **conditions)
            found += [each.campaign_id for each in page]
            if not token:
                return "".join(found)

    assert await ids() == "abcdef"
    assert await ids(seat="s") == "e"
    assert await ids(seat="") == "abcdf"
    assert await ids(parent_id="a") == "e"
    assert await ids(status=CampaignStatus.CAMPAIGN_STATUS_ACTIVE) == "abcde"
    assert await ids(status=CampaignStatus.CAMPAIGN_STATUS_PAUSED) == "f"
    _, token = await world.campaigns.page(size=1)
    for token_, conditions in ((token, {"seat": "s"}), ("nonsense", {}), ("bnVsbA==", {})):
        with pytest.raises(PageTokenInvalid):
            await world.campaigns.page(token=token_, **conditions)
    world.clock.go(86_400_000)
    with pytest.raises(PageTokenInvalid):
        await world.campaigns.page(token=token)
    with pytest.raises(InvalidRequest):
        await world.campaigns.page(size=1001)


async def test_what_another_process_put_is_seen_at_once():
    world = World()
    await world.put("a")
    other = Campaigns(world.backend, world.clock)
    await other.put(campaign("b"))
    await other.put(campaign("a", total=3))
    await other.delete("b")
    await other.put(campaign("c"))
    assert (await world.campaigns.read("a", None)).total == 3_000_000
    assert world.campaigns.all_ids() == ("a", "c")
    await world.put("d")
    assert (await other.read(None, CampaignKey(cid="d"))).id == "d"
    with pytest.raises(MissingField):
        await other.read(None, None)


async def test_while_the_store_is_away_the_copy_serves_and_without_one_nothing_does():
    world = World()
    await world.put("a")
    world.backend.leave_after()
    assert isinstance(await world.campaigns.freshen(), StoreAway)
    assert world.campaigns.get("a").id == "a"
    with pytest.raises(StoreAway):
        await Campaigns(world.backend, world.clock).freshen()


EURO = Money(currency="EUR", micros=1)
BOTH = Flight(start_time=when("2026-01-01"), end_time=when("2026-02-01"))


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ({"id_": ""}, "campaign_id"),
        ({"id_": "x" * 129}, "campaign_id"),
        ({"parent_id": "é"}, "parent_id"),
        ({"currency": "EURO"}, "currency"),
        ({"time_zone": "Central Europe"}, "time_zone"),
        ({"time_zone": "../etc"}, "time_zone"),
        ({"status": 9}, "status"),
        ({"budget_fail_policy": 9}, "budget_fail_policy"),
        ({"reservation_ttl": seconds(0.5)}, "reservation_ttl"),
        ({"key": CampaignKey(seat="s")}, "key.cid"),
        ({"key": CampaignKey(cid="x" * 257)}, "key.cid"),
        ({"key": CampaignKey(cid="x", seat="\0")}, "key.seat"),
        ({"limits": BudgetLimits(total=EURO)}, "limits.total.currency"),
        ({"daily": -1}, "limits.daily.micros"),
        ({"flights": [Flight(start_time=when("2026-02-01"), end_time=when("2026-02-01"))]},
         "flights[0].end_time"),
        ({"flights": [BOTH] * 1001}, "flights"),
        ({"caps": [cap()]}, "caps[0].limit"),
        ({"caps": [cap(-1)]}, "caps[0].limit"),
        ({"caps": [cap(1)] * 65}, "caps"),
        ({"caps": [cap(1, cap_id="x"), cap(2, cap_id="x")]}, "caps[0].cap_id"),
        ({"caps": [cap(1, scope=6)]}, "caps[0].custom_scope"),
        ({"caps": [cap(1, scope=1, custom_scope="x")]}, "caps[0].custom_scope"),
        ({"caps": [cap(1, scope=99)]}, "caps[0].scope"),
        ({"caps": [cap(1, cooldown=Duration(nanos=1))]}, "caps[0].cooldown"),
        ({"caps": [FrequencyCap(limit=1, window=Window(unit=0))]}, "caps[0].window.unit"),
        ({"caps": [FrequencyCap(limit=1, window=Window(unit=99))]}, "caps[0].window.unit"),
        ({"caps": [cap(1, window=Window(duration=seconds(0.9)))]}, "caps[0].window.duration"),
        ({"caps": [cap(1, window=Window(unit=4, alignment=3))]}, "caps[0].window.alignment"),
        ({"caps": [cap(1, window=Window(alignment=9))]}, "caps[0].window.alignment"),
        ({"caps": [cap(1, window=Window(time_zone="UTC"))]}, "caps[0].window.time_zone"),
        ({"caps": [cap(1, window=Window(alignment=2, time_zone="?"))]},
         "caps[0].window.time_zone"),
        ({"pacing": Pacing(mode=9)}, "pacing.mode"),
        ({"pacing": Pacing(period=9)}, "pacing.period"),
        ({"pacing": Pacing(lookahead=seconds(-1))}, "pacing.lookahead"),
        ({"pacing": Pacing(mode=3)}, "pacing.curve"),
        ({"pacing": Pacing(mode=2, curve=[PacingPoint()])}, "pacing.curve"),
        ({"pacing": Pacing(mode=3, curve=[PacingPoint(elapsed_ppm=1_000_001)])},
         "pacing.curve[0].elapsed_ppm"),
        ({"pacing": Pacing(mode=3, curve=[PacingPoint(spend_ppm=2), PacingPoint(spend_ppm=1)])},
         "pacing.curve[1].spend_ppm"),
        ({"pacing": Pacing(mode=2, period=1)}, "limits.daily"),
        ({"pacing": Pacing(mode=2), "flights": [BOTH]}, "limits.total"),
        ({"pacing": Pacing(mode=2), "total": 1}, "flights"),
        ({"pacing": Pacing(mode=2), "total": 1, "flights": [Flight(end_time=when("2026-02-01"))]},
         "flights"),
    ],
)  # fmt: skip
async def test_what_a_campaign_may_not_say_is_told_with_its_path(told, path):
    world = World()
    with pytest.raises(InvalidRequest) as refused:
        await world.put(**told)
    assert refused.value.violations[0].path == f"campaign.{path}"
    assert world.campaigns.all_ids() == ()


async def test_limits_of_zero_and_all_windows_are_allowed():
    caps = [cap(1, cap_id=str(unit), window=unit) for unit in range(1, 6)]
    caps.append(cap(0, window=Window(duration=seconds(90), alignment=3)))
    told = await World().put(total=0, caps=caps)
    assert len(told.caps) == 6


async def test_a_bid_s_campaign_is_looked_up_by_the_parts_of_its_key():
    world = World()
    await world.put("a", key=CampaignKey(cid="x", seat="s"))
    assert world.campaigns.search("x", "s", "any").id == "a"
    assert world.campaigns.search("x", "other", "any") is None
    await world.put("a", key=CampaignKey(cid="y"))
    assert world.campaigns.search("x", "s", "any") is None
    assert world.campaigns.search("y", "s", "any").id == "a"


async def test_the_campaigns_of_a_bidder_are_those_whose_key_names_it():
    world = World()
    for id_, bidder in (("c", "b"), ("a", "b"), ("d", "other"), ("e", "")):
        await world.put(id_, key=CampaignKey(cid=id_, bidder=bidder))

    def of(bidder):
        return [each.id for each in world.campaigns.of_bidder(bidder)]

    assert (of("b"), of("other"), of("none"), of("")) == (["a", "c"], ["d"], [], [])
    await world.put("c", key=CampaignKey(cid="c", bidder="other"))
    await world.campaigns.delete("d")
    assert (of("b"), of("other")) == (["a"], ["c"])
    elsewhere = Campaigns(world.backend, world.clock)
    await elsewhere.refresh()
    assert [each.id for each in elsewhere.of_bidder("other")] == ["c"]


async def test_the_copy_has_a_size_and_a_version_that_grows_with_each_change():
    world = World()
    assert (len(world.campaigns), world.campaigns.version) == (0, -1)
    versions = []
    for id_, size in (("a", 1), ("b", 2), ("a", 2)):
        await world.put(id_)
        assert len(world.campaigns) == size
        versions.append(world.campaigns.version)
    await world.campaigns.delete("a")
    assert len(world.campaigns) == 1
    versions.append(world.campaigns.version)
    assert versions == sorted(set(versions))
    await world.campaigns.refresh()
    assert world.campaigns.version == versions[-1]
