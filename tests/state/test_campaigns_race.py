"""Servers that change campaigns at the same time: no tree comes to be that may not be."""

import asyncio

import pytest

from state.clock import Leaving
from state.settings import World, campaign
from xsp_server.errors import Overloaded, XspError
from xsp_server.state.backend import StateBackend
from xsp_server.state.campaigns import TRIES
from xsp_server.state.faults import CampaignChanged, CampaignHasChildren, CampaignParentInvalid


@pytest.fixture
def one(backend: StateBackend) -> World:
    return World(backend=backend)


@pytest.fixture
def other(backend: StateBackend) -> World:
    return World(backend=backend)


async def both(*calls) -> list[str]:
    """How calls that are made at once end, in the order of their names."""
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, XspError) for each in ends if isinstance(each, Exception))
    return sorted(type(each).__name__ for each in ends)


async def test_two_campaigns_do_not_become_parents_of_each_other(one: World, other: World):
    await one.put("y1")
    await one.put("y2")
    ends = await both(one.put("y1", parent_id="y2"), other.put("y2", parent_id="y1"))
    assert ends == ["Campaign", "CampaignParentInvalid"]
    await one.campaigns.refresh()
    assert {len(one.campaigns.lineage(one.campaigns.get(each))) for each in ("y1", "y2")} == {1, 2}


@pytest.mark.parametrize("first", [0, 1])
async def test_a_parent_and_its_child_keep_one_currency(one: World, other: World, first: int):
    await one.put("p")
    calls = [one.put("p", currency="EUR"), other.put("c", parent_id="p")]
    ends = await both(*(calls if first == 0 else reversed(calls)))
    assert ends == ["Campaign", "CampaignParentInvalid"]


async def test_a_parent_is_not_deleted_while_a_child_is_put_below_it(one: World, other: World):
    await one.put("p")
    ends = await both(one.campaigns.delete("p"), other.put("c", parent_id="p"))
    assert ends in (["Campaign", "CampaignHasChildren"], ["Campaign", "CampaignParentInvalid"])


async def test_a_tree_does_not_grow_too_high_from_two_sides(one: World, other: World):
    for stem in "ab":
        await one.put(f"{stem}1")
        for level in range(2, 6):
            await one.put(f"{stem}{level}", parent_id=f"{stem}{level - 1}")
    await one.put("top")
    ends = await both(one.put("b1", parent_id="a3"), other.put("a1", parent_id="top"))
    assert ends == ["Campaign", "CampaignParentInvalid"]


async def test_many_servers_put_and_delete_many_campaigns(backend: StateBackend):
    worlds = [World(backend=backend) for _ in range(3)]

    async def work(name: int, world: World) -> None:
        for number in range(5):
            await world.put(f"c-{name}-{number}", total=number)
        for number in range(5):
            await world.campaigns.delete(f"c-{name}-{number}")

    await asyncio.gather(*(work(name, world) for name, world in enumerate(worlds)))
    assert await backend.list_campaigns() == []


async def test_a_campaign_that_another_server_puts_first_is_replaced(one: World, other: World):
    ends = await asyncio.gather(one.put("c", total=1), other.put("c", total=2))
    assert sorted(each.revision for each in ends) == [1, 2]


async def test_a_revision_that_is_expected_is_not_looked_for_anew(one: World, other: World):
    await one.put("p")
    ends = await both(
        one.campaigns.put(campaign("c", parent_id="p"), expected_revision=0),
        other.campaigns.put(campaign("c", parent_id="p"), expected_revision=0),
    )
    assert ends == ["CampaignChanged", "tuple"]
    with pytest.raises(CampaignChanged):
        await one.campaigns.put(campaign("c", parent_id="p"), expected_revision=0)


class Crowded(Leaving):
    """Somebody else puts a campaign before each of our changes."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self.is_crowded = True

    async def put_campaign(self, document, now_ms, **expected):
        if document.campaign_id != "else" and self.is_crowded:
            await self._somebody_else()
        return await super().put_campaign(document, now_ms, **expected)

    async def delete_campaign(self, campaign_id, **expected):
        await self._somebody_else()
        return await super().delete_campaign(campaign_id, **expected)

    async def _somebody_else(self) -> None:
        self.tries += 1
        await World(backend=self).put("else")


async def test_who_never_comes_to_it_is_told_to_come_again():
    backend = Crowded()
    world = World(backend=backend)
    await world.put("p")
    assert backend.tries == 1  # one that stands alone depends on nobody
    with pytest.raises(Overloaded) as refused:
        await world.put("c", parent_id="p")
    assert (backend.tries, refused.value.retry_after > 0) == (1 + TRIES, True)
    with pytest.raises(Overloaded):
        await world.campaigns.delete("p")
    backend.is_crowded = False
    assert (await world.put("c", parent_id="p")).revision == 1
    with pytest.raises(CampaignHasChildren):
        await world.campaigns.delete("p")
    with pytest.raises(CampaignParentInvalid):
        await world.put("p", parent_id="c")
