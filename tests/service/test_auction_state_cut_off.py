"""Auctions that are cut off at each of their steps, or whose store goes away at any call."""

import asyncio

import pytest

from service.test_auction_state import banner, usd, winners
from service.test_auction_state import house as house  # noqa: PLC0414 - a fixture
from service.test_auction_state import request_ as request_  # noqa: PLC0414 - a fixture
from state.clock import Leaving
from xsp.session.v1.session_context_pb2 import SessionContext
from xsp_server.auction import key_of, vast_unresolved
from xsp_server.service.exchange import without
from xsp_server.service.session import open_session

TTL_MS = 600_000
MOST_STEPS = 400


class Slow(Leaving):
    """A store each of whose calls waits a step before and after it is applied."""

    in_process = False

    async def apply(self, *arguments, **more):
        await asyncio.sleep(0)
        told = await super().apply(*arguments, **more)
        await asyncio.sleep(0)
        return told

    async def campaigns_version(self):
        await asyncio.sleep(0)
        return await super().campaigns_version()


@pytest.fixture
def imps(sample):
    """A video and a banner, by second price."""
    sample.at, sample.tmax = 2, 10_000
    return sample


async def crowded(house):
    """A house in whose auctions bids are refused by money and by caps, and then held."""
    here = house(backend=Slow())
    video = {"impid": "pre-roll", "crid": "v", "mtype": 2, "dur": 15, "protocol": 7}
    video |= {"adm": "<VAST version='4.2'/>", "adomain": ["v.example"]}
    here.bidder("high", banner(9, "poor"), video | {"price": 9, "cid": "once"})
    here.bidder("mid", banner(8, "once"), video | {"price": 8, "cid": "rich"})
    here.bidder("low", banner(7, "rich"), video | {"price": 7, "cid": "rich"})
    await here.campaign("top", limits={"total": usd(10)})
    await here.campaign("poor", limits={"total": usd(0.001)}, parent_id="top", caps=[{"limit": 9}])
    await here.campaign("once", caps=[{"limit": 1}], limits={"total": usd(1)}, parent_id="top")
    household = {"subject": "CAP_SUBJECT_USER_AND_HOUSEHOLD", "limit": 9}
    await here.campaign("rich", caps=[household], limits={"total": usd(1)}, parent_id="top")
    return here


async def auction(here, request):
    """One whose first winner's VAST has no ad."""
    run = await here.run(request, household_id="home")
    if not run.result.winners:
        return run
    try:
        winner = run.result.winners[0]
        key = key_of(winner.verdict.facts)
        run = without(run, {**run.withdrawn, key: vast_unresolved(303)})
        told = SessionContext(user_id="u", household_id="home")
        end = asyncio.get_running_loop().time() + 5
        return await here.state.settle(run, open_session(told, (), request), end)
    except BaseException:
        here.state.give_back(run.reserved.values())
        raise


async def held(here):
    return {each: (await here.money(each)).reserved.micros for each in ("poor", "once", "rich")}


async def test_an_auction_that_is_cut_off_at_any_step_leaves_nothing_held(house, imps):
    here = await crowded(house)
    for steps in range(MOST_STEPS):
        running = asyncio.create_task(auction(here, imps))
        for _ in range(steps):
            await asyncio.sleep(0)
        if running.done():
            break
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await here.state.close()
        assert await held(here) == {"poor": 0, "once": 0, "rich": 0}, steps
    run = await running
    assert steps > 30
    assert len(run.reserved) == 2
    await here.state.close()
    told = await held(here)
    assert sum(told.values()) == sum(each.cpm_micros for each in run.reserved.values()) // 1000


async def test_a_store_that_goes_away_at_any_call_passes_nothing_and_holds_for_a_time(house, imps):
    here = await crowded(house)
    store = here.accounts.backend
    for calls in range(MOST_STEPS):
        store.leave_after(calls)
        run = await auction(here, imps)
        was_away = store.gone()
        store.come_back()
        await here.state.close()
        for bidder, cid in winners(run):
            assert cid in {"once", "rich"}, bidder
        told = await held(here)
        assert sum(told.values()) >= sum(each.cpm_micros for each in run.reserved.values()) // 1000
        assert len(run.reserved) == len(winners(run))  # closed: who holds nothing doesn't win
        here.clock.go(TTL_MS)
        assert await held(here) == {"poor": 0, "once": 0, "rich": 0}
        here.clock.go(86_400_000)
        if not was_away:
            break
    assert calls > 10
