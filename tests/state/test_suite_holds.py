"""Holds, their resolution and their expiry: the same on every store."""

import pytest

from state.play import (
    DAY,
    HOUR,
    T0,
    Play,
    check,
    commit,
    count,
    entry,
    hold,
    hourly,
    release,
    remove,
)
from xsp_server.state.backend import AMOUNT_MAX, DUE_AT_ONCE, HoldState, Numbers, Status, Why
from xsp_server.state.windows import NEVER, until

TTL = 600_000


async def test_what_is_held_counts_against_the_limit_until_it_is_released(play: Play):
    assert (await play(0, hold("h", entry(6, 10)))).numbers == (Numbers(0, 6),)
    assert (await play(1, count(entry(5, 10)))).status is Status.REFUSED
    released = await play(2, release("h"))
    assert (released.status, released.numbers) == (Status.APPLIED, (Numbers(0, 0),))
    assert (await play(3, count(entry(5, 10)))).status is Status.APPLIED


async def test_a_commit_counts_what_was_held(play: Play):
    await play(0, hold("h", entry(6, 10)))
    committed = await play(5, commit("h"))
    assert committed.status is Status.APPLIED
    assert committed.numbers == (Numbers(6, 0, 0, T0 + 5, T0 + 5, NEVER),)


@pytest.mark.parametrize("spent", [0, 4, 6])
async def test_a_commit_of_less_gives_the_rest_back(play: Play, spent):
    await play(0, hold("h", entry(6, 10)))
    assert (await play(1, commit("h", entry(spent)))).status is Status.APPLIED
    assert await play.read(2) == [(spent, 0)]


async def test_a_commit_of_more_needs_room_for_the_difference(play: Play):
    await play(0, hold("h", entry(6, 10)))
    await play(1, count(entry(3, 10)))
    refused = await play(2, commit("h", entry(8, 10)))
    assert (refused.status, refused.numbers[0].why) == (Status.REFUSED, Why.LIMIT)
    assert await play.read(3) == [(3, 6)]
    assert (await play(4, commit("h", entry(7, 10)))).status is Status.APPLIED
    assert await play.read(5) == [(10, 0)]


async def test_a_refused_commit_leaves_the_hold_to_be_committed_for_what_it_holds(play: Play):
    await play(0, hold("h", entry(6, 6)))
    assert (await play(1, commit("h", entry(7, 6)))).status is Status.REFUSED
    assert (await play(2, commit("h"))).status is Status.APPLIED


async def test_what_is_held_is_committed_although_the_limit_was_lowered(play: Play):
    await play(0, hold("h", entry(6, 10)))
    assert (await play(1, commit("h", entry(6, 2)))).status is Status.APPLIED


async def test_a_commit_may_bring_counters_that_the_hold_has_not(play: Play):
    await play(0, hold("h", entry(6)))
    full = await play(1, commit("h", entry(5), entry(5, 4, counter="hour")))
    assert [each.why for each in full.numbers] == [0, Why.LIMIT]
    done = await play(2, commit("h", entry(5), entry(5, 5, counter="hour")))
    assert [each.counted for each in done.numbers] == [5, 5]
    assert await play.read(3, entry(0), entry(0, counter="hour")) == [(5, 0), (5, 0)]


async def test_a_commit_of_more_heeds_the_soft_limit_but_no_cooldown(play: Play):
    await play(0, count(entry(1)))
    await play(0, hold("h", entry(6)))
    soft = await play(1, commit("h", entry(8, 99, soft=8, cooldown=HOUR)))
    assert soft.numbers[0].why == Why.SOFT
    assert (
        await play(1, commit("h", entry(8, 99, soft=9, cooldown=HOUR)))
    ).status is Status.APPLIED


async def test_a_forced_commit_of_more_asks_nobody(play: Play):
    await play(0, hold("h", entry(6, 6)))
    assert (await play(1, commit("h", entry(9, 6, forced=True)))).status is Status.APPLIED


async def test_a_commit_passes_no_greatest_amount(play: Play):
    await play(0, hold("h", entry(6)))
    await play(1, count(entry(AMOUNT_MAX - 6)))
    for more in (entry(7), entry(7, forced=True)):
        refused = await play(2, commit("h", more))
        assert (refused.numbers[0].why, refused.numbers[0].frees_at) == (Why.OVERFLOW, NEVER)
    assert (await play(3, commit("h"))).status is Status.APPLIED
    assert await play.read(4) == [(AMOUNT_MAX, 0)]


async def test_a_commit_counts_in_the_window_that_is_open_then(play: Play):
    await play(0, hold("h", hourly(1)))
    committed = await play(1000, commit("h"))
    assert committed.numbers[0].ends_at == T0 + 1000 + HOUR


async def test_the_windows_end_leaves_what_is_held(play: Play):
    await play(0, count(hourly(2)))
    await play(0, hold("h", hourly(1), ttl=2 * HOUR))
    assert await play.read(HOUR, hourly(0)) == [(0, 1)]
    assert (await play(HOUR, count(hourly(3, 3)))).status is Status.REFUSED
    await play(HOUR, commit("h"))
    assert await play.read(HOUR, hourly(0)) == [(1, 0)]


async def test_a_period_that_is_over_keeps_its_count_while_something_is_held_of_it(play: Play):
    hour = until(T0 + HOUR)
    await play(0, count(entry(5, window=hour)))
    await play(0, hold("h", entry(3, window=hour), ttl=2 * HOUR))
    assert await play.read(HOUR, entry(0, window=hour)) == [(5, 3)]
    assert (await play(HOUR, commit("h", entry(6, 10, window=hour)))).status is Status.REFUSED
    done = await play(HOUR, commit("h", entry(5, 10, window=hour)))
    assert (done.status, done.numbers) == (Status.APPLIED, (Numbers(0, 0),))


async def test_a_hold_expires_by_itself(play: Play):
    await play(0, hold("h", entry(6, 10)))
    assert await play.read(TTL - 1) == [(0, 6)]
    assert await play.read(TTL) == [(0, 0)]
    assert (await play(TTL, count(entry(10, 10)))).status is Status.APPLIED


async def test_an_expired_hold_is_told_so(play: Play):
    await play(0, hold("h", entry(6)))
    assert (await play(TTL, release("h"))).status is Status.EXPIRED
    assert (await play(TTL + 1, commit("h"))).status is Status.EXPIRED
    assert await play.read(TTL + 2) == [(0, 0)]


async def test_a_late_commit_is_judged_anew_by_its_late_entries(play: Play):
    await play(0, hold("h", entry(6, 10)))
    await play(TTL, count(entry(8, 10)))
    late = commit("h", entry(6, 10), late=(entry(6, 10),), id="x")
    refused = await play(TTL, late)
    assert (refused.status, refused.numbers[0].why) == (Status.REFUSED, Why.LIMIT)
    done = await play(TTL, commit("h", late=(entry(2, 10), entry(1, 0, counter="f", forced=True))))
    assert done.status is Status.LATE
    assert [each.counted for each in done.numbers] == [10, 1]
    assert (await play(TTL, commit("h", late=(entry(0),)))).status is Status.COMMITTED
    assert (await play(TTL, release("h"))).status is Status.COMMITTED


async def test_late_entries_of_a_hold_that_is_held_are_not_counted(play: Play):
    await play(0, hold("h", entry(6)))
    await play(1, commit("h", late=(entry(6, counter="late"),)))
    assert await play.read(2, entry(0), entry(0, counter="late")) == [(6, 0), (0, 0)]


@pytest.mark.parametrize(
    ("end", "status"), [(commit, Status.COMMITTED), (release, Status.RELEASED)]
)
async def test_each_hold_is_resolved_once(play: Play, end, status):
    await play(0, hold("h", entry(6)))
    assert (await play(1, end("h"))).status is Status.APPLIED
    before = await play.read(2)
    for again in (commit("h"), release("h"), commit("h", late=(entry(6),))):
        outcome = await play(3, again)
        assert (outcome.status, outcome.numbers) == (status, ())
    assert await play.read(TTL) == before


async def test_what_is_no_hold_is_unknown(play: Play):
    await play(0, count(entry(5), id="count"))
    await play(0, hold("refused", entry(6, 10)))
    for of in ("nobody", "count", "refused"):
        for move in (commit(of), release(of)):
            outcome = await play(1, move)
            assert (outcome.status, outcome.numbers) == (Status.UNKNOWN, ())


async def test_a_hold_of_nothing_is_resolved_like_any_other(play: Play):
    assert (await play(0, hold("h", content="record"))).status is Status.APPLIED
    [known] = await play.backend.find(play.book.name, ["h"], T0)
    assert (known.content, known.hold) == ("record", HoldState.HELD)
    assert (await play(1, commit("h", content="paid"))).status is Status.APPLIED
    [known] = await play.backend.find(play.book.name, ["h"], T0 + 1)
    assert (known.hold, known.resolution) == (HoldState.COMMITTED, "paid")
    assert (await play(1, hold("other", entry(0)))).numbers == (Numbers(0, 0),)


async def test_hold_count_and_resolution_in_one_call(play: Play):
    outcomes = await play.all(
        0, hold("h", entry(6, 10)), count(entry(4, 10)), commit("h", entry(5)), count(entry(2, 10))
    )
    assert [each.status for each in outcomes] == [
        Status.APPLIED,
        Status.APPLIED,
        Status.APPLIED,
        Status.REFUSED,
    ]
    assert outcomes[-1].numbers[0].counted == 9


async def test_a_removed_counter_is_forgotten_and_its_holds_claim_nothing_of_it(play: Play):
    await play(0, count(entry(3), hourly(2, counter="d")))
    await play(0, hold("h", entry(4), hourly(1, counter="d")))
    removed = await play(1, remove("c", "nothing"))
    assert [(each.counted, each.held) for each in removed.numbers] == [(3, 4), (0, 0)]
    assert await play.read(2, entry(0), hourly(0, counter="d")) == [(0, 0), (2, 1)]
    await play(3, hold("other", entry(5)))
    assert (await play(4, commit("h"))).status is Status.APPLIED
    assert await play.read(5, entry(0), hourly(0, counter="d")) == [(4, 5), (3, 0)]


async def test_a_removal_leaves_holds_that_are_resolved_alone(play: Play):
    await play.all(0, hold("h", entry(4)), commit("h"), remove("c"), count(entry(1)))
    assert (await play(1, release("h"))).status is Status.COMMITTED
    assert await play.read(2) == [(1, 0)]


async def test_a_release_after_removal_gives_nothing_back(play: Play):
    await play(0, hold("h", entry(4)))
    await play.all(1, remove("c"), hold("other", entry(5)))
    assert (await play(2, release("h"))).numbers == (Numbers(0, 5),)
    assert await play.read(TTL) == [(0, 0)]


async def test_many_holds_that_are_due_expire_the_first_first_and_so_many_a_call(play: Play):
    most = DUE_AT_ONCE
    ids = [f"{number:04}" for number in range(most + 20)]
    await play.all(0, *(hold(id_, entry(), ttl=TTL - (id_ < "0010")) for id_ in ids))
    assert await play.read(TTL) == [(0, 20)]
    # What is due and not expired yet is expired by its own commit.
    assert (await play.all(TTL, commit(ids[-1])))[0].status is Status.EXPIRED
    assert await play.read(TTL) == [(0, 0)]


async def test_expiry_is_a_change_of_the_time_it_was_due(play: Play):
    await play.all(0, hold("a", entry()), hold("b", entry()))
    outcome = await play(TTL + 5000, check(entry(0)))
    assert outcome.sequence == (T0 + TTL) * 1000 + 1


async def test_a_hold_is_known_for_its_time_after_it_was_resolved(play: Play):
    find = play.backend.find
    await play.all(0, *(hold(id_, entry(), keep=1000) for id_ in ("done", "left")))
    await play(5000, commit("done"))
    assert (await play(5999, release("done"))).status is Status.COMMITTED
    assert (await play(6000, release("done"))).status is Status.UNKNOWN
    [left] = await find(play.book.name, ["left"], T0 + TTL + 999)
    assert (left.hold, left.expires_at) == (HoldState.EXPIRED, T0 + TTL)
    assert left.resolved_at == T0 + TTL
    assert await find(play.book.name, ["left"], T0 + TTL + 1000) == [None]
    assert (await play(TTL + 1000, commit("left", late=(entry(),)))).status is Status.UNKNOWN
    assert (await play(TTL + DAY, hold("left", entry(2), ttl=2 * DAY))).status is Status.APPLIED
