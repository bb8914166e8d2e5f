"""Counting, judging and windows: the same on every store."""

import pytest

from state.play import DAY, HOUR, T0, Play, check, count, entry, hold, hourly, release
from xsp_server.state.backend import AMOUNT_MAX, Book, Numbers, Status, Why
from xsp_server.state.windows import FOREVER, NEVER, Window, first, refresh, sliding, until

MINUTE = 60_000


async def test_three_an_hour_the_fourth_blocked_after_the_hour_again(play: Play):
    capped = count(hourly(limit=3))
    for minute in (0, 10, 20):
        assert (await play(minute * MINUTE, capped)).status is Status.APPLIED
    fourth = await play(30 * MINUTE, capped)
    assert fourth.status is Status.REFUSED
    assert fourth.numbers == (
        Numbers(3, 0, 0, T0, T0 + 20 * MINUTE, T0 + HOUR, T0 + HOUR, Why.LIMIT),
    )
    assert (await play(HOUR - 1, capped)).status is Status.REFUSED
    again = await play(HOUR, capped)
    assert again.status is Status.APPLIED
    assert again.numbers == (Numbers(1, 0, 0, T0 + HOUR, T0 + HOUR, T0 + 2 * HOUR),)


async def test_a_thousand_less_two_and_a_half_leaves_997_and_a_half_and_zero_is_exhausted(play):
    def spend(micros: int):
        return count(entry(micros, 1_000_000_000))

    spent = await play(0, spend(2_500_000))
    assert 1_000_000_000 - spent.numbers[0].counted == 997_500_000
    assert (await play(1, spend(997_500_001))).status is Status.REFUSED
    assert (await play(2, spend(997_500_000))).status is Status.APPLIED
    assert (await play(3, spend(1))).status is Status.REFUSED
    assert await play.read(4) == [(1_000_000_000, 0)]


async def test_all_entries_or_none(play: Play):
    both = count(entry(1, 5, counter="a"), entry(1, 0, counter="b"))
    refused = await play(0, both)
    assert refused.status is Status.REFUSED
    assert [each.why for each in refused.numbers] == [0, Why.LIMIT]
    assert await play.read(1, entry(0, counter="a"), entry(0, counter="b")) == [(0, 0), (0, 0)]


async def test_every_entry_is_judged_although_one_refuses(play: Play):
    await play(0, count(hourly(2, counter="a"), entry(2, counter="b"), hourly(2, counter="c")))
    refused = await play(
        MINUTE,
        check(
            hourly(1, 2, counter="a"),
            entry(1, 2, counter="b"),
            hourly(1, None, counter="c", cooldown=2 * HOUR),
            entry(1, 1, counter="d"),
        ),
    )
    told = [(each.why, each.frees_at) for each in refused.numbers]
    assert told == [
        (Why.LIMIT, T0 + HOUR),
        (Why.LIMIT, NEVER),
        (Why.COOLDOWN, T0 + 2 * HOUR),
        (0, 0),
    ]


async def test_a_check_changes_nothing(play: Play):
    outcome = await play(0, check(entry(1, 1)))
    assert (outcome.status, outcome.numbers) == (Status.APPLIED, (Numbers(0, 0),))
    assert await play.read(0) == [(0, 0)]


async def test_moves_of_a_call_see_those_before_them(play: Play):
    outcomes = await play.all(0, *[count(entry(limit=2))] * 3)
    assert [each.status for each in outcomes] == [Status.APPLIED, Status.APPLIED, Status.REFUSED]
    assert [each.numbers[0].counted for each in outcomes] == [1, 2, 2]


async def test_forced_entries_are_counted_above_the_limit_and_tell_of_the_next(play: Play):
    forced = hourly(1, 1, forced=True, cooldown=2 * HOUR)
    for counted in (1, 2):
        outcome = await play(counted, count(forced))
        assert outcome.status is Status.APPLIED
        [numbers] = outcome.numbers
        assert (numbers.counted, numbers.why) == (counted, Why.LIMIT | Why.COOLDOWN)
        assert numbers.frees_at == T0 + counted + 2 * HOUR


async def test_a_forced_entry_below_its_limit_refuses_nothing_of_the_next(play: Play):
    [numbers] = (await play(0, count(entry(1, 2, forced=True)))).numbers
    assert (numbers.counted, numbers.why, numbers.frees_at) == (1, 0, 0)


async def test_nothing_added_is_never_refused_and_opens_no_window(play: Play):
    await play(0, count(entry(5)))
    assert (await play(1, count(entry(0, 3, soft=1, cooldown=HOUR)))).status is Status.APPLIED
    await play(2, count(hourly(0, counter="other")))
    outcome = await play(3, check(hourly(0, counter="other")))
    assert outcome.numbers == (Numbers(0, 0),)


async def test_soft_limits_are_told_apart(play: Play):
    await play(0, count(entry(5)))
    [soft] = (await play(1, check(entry(1, 10, soft=5)))).numbers
    assert (soft.why, soft.frees_at) == (Why.SOFT, 0)
    [both] = (await play(1, check(entry(6, 10, soft=5)))).numbers
    assert (both.why, both.frees_at) == (Why.SOFT | Why.LIMIT, NEVER)


async def test_no_sum_passes_the_greatest_amount(play: Play):
    assert (await play(0, count(entry(AMOUNT_MAX)))).status is Status.APPLIED
    for move in (count(entry(1)), count(entry(1, forced=True)), hold("h", entry(1))):
        refused = await play(1, move)
        assert refused.status is Status.REFUSED
        assert refused.numbers[0].why == Why.OVERFLOW
        assert refused.numbers[0].frees_at == NEVER
        assert refused.numbers[0].counted == AMOUNT_MAX


async def test_amounts_are_exact_beyond_double_precision(play: Play):
    odd = 2**53 + 1
    await play(0, count(entry(odd)))
    await play(1, count(entry(odd)))
    assert await play.read(2) == [(2 * odd, 0)]
    assert (await play(3, count(entry(1, 2 * odd)))).status is Status.REFUSED
    assert (await play(3, count(entry(1, 2 * odd + 1)))).status is Status.APPLIED
    assert (await play(3, count(entry(998_999_999, AMOUNT_MAX)))).status is Status.APPLIED
    assert await play.read(4) == [(2 * odd + 999_000_000, 0)]


@pytest.mark.parametrize("cooldown", [MINUTE, 3 * HOUR])
async def test_a_cooldown_holds_since_the_last_impression_also_beyond_the_window(play, cooldown):
    cooled = count(hourly(cooldown=cooldown))
    await play(0, cooled)
    refused = await play(cooldown - 1, cooled)
    assert refused.status is Status.REFUSED
    assert (refused.numbers[0].why, refused.numbers[0].frees_at) == (Why.COOLDOWN, T0 + cooldown)
    assert (await play(cooldown, cooled)).status is Status.APPLIED


async def test_a_hold_cools_as_an_impression_under_way(play: Play):
    await play(0, hold("h", entry(), ttl=MINUTE))
    refused = await play(1, count(entry(cooldown=10)))
    assert (refused.numbers[0].why, refused.numbers[0].frees_at) == (Why.COOLDOWN, T0 + MINUTE)
    assert (await play(MINUTE, count(entry(cooldown=10)))).status is Status.APPLIED


async def test_a_clock_that_is_behind_neither_opens_a_window_nor_ends_a_cooldown(play: Play):
    await play(10, count(hourly(cooldown=100)))
    refused = await play(5, count(hourly(cooldown=100)))
    assert refused.numbers[0].frees_at == T0 + 110
    behind = await play(5, count(hourly()))
    assert behind.numbers == (Numbers(2, 0, 0, T0 + 10, T0 + 10, T0 + 10 + HOUR),)


# Window, impressions (ms after T0), then (ms after T0, count) as it must be read.
WINDOWS = {
    "first: all end with the window": (
        first(1000),
        [0, 500, 999],
        [(999, 3), (1000, 0)],
    ),
    "first: the next opens with the next impression": (
        first(1000),
        [0, 1500],
        [(1500, 1), (2499, 1), (2500, 0)],
    ),
    "until: ends at its time": (until(T0 + 1000), [0, 999], [(999, 2), (1000, 0)]),
    "refresh: each impression moves the end": (
        refresh(1000),
        [0, 900, 1800],
        [(2799, 3), (2800, 0)],
    ),
    "refresh: starts anew": (refresh(1000), [0, 1000], [(1000, 1), (2000, 0)]),
    "forever": (FOREVER, [0, 400 * DAY], [(4000 * DAY, 2)]),
    # T0 is a multiple of 1000 = 60000 / 60, the step: an impression at 10 is of the step that
    # ends at 1000, so it counts until 1000 + 60000.
    "sliding: counts for its length and less than a step more": (
        sliding(60_000),
        [10],
        [(10, 1), (60_010, 1), (60_999, 1), (61_000, 0)],
    ),
    "sliding: forgets step by step": (
        sliding(60_000),
        [0, 1000, 1500, 30_000],
        [(60_999, 4), (61_000, 3), (61_999, 3), (62_000, 1), (90_999, 1), (91_000, 0)],
    ),
    # The step is 17 ms: ceil(1000 / 60); T0 is 4 into one.
    "sliding: the step is rounded up": (
        sliding(1000),
        [0],
        [(1000 + 17 - T0 % 17 - 1, 1), (1000 + 17 - T0 % 17, 0)],
    ),
}


@pytest.mark.parametrize(("window", "impressions", "reads"), WINDOWS.values(), ids=WINDOWS)
async def test_windows(play: Play, window: Window, impressions, reads):
    times = sorted({*impressions, *(at for at, _ in reads)})
    for at in times:
        for _ in range(impressions.count(at)):
            await play(at, count(entry(window=window)))
        for read_at, counted in reads:
            if read_at == at:
                assert await play.read(at, entry(0, window=window)) == [(counted, 0)], at


async def test_a_sliding_window_tells_what_it_may_count_too_much_and_when_it_frees(play: Play):
    window = sliding(60_000)
    for at in (0, 100, 5000):
        await play(at, count(entry(window=window)))
    [numbers] = (await play(60_000, check(entry(1, 3, window=window)))).numbers
    assert numbers == Numbers(3, 0, 2, 0, T0 + 5000, T0 + 66_000, T0 + 61_000, Why.LIMIT)
    [two_more] = (await play(60_000, check(entry(3, 3, window=window)))).numbers
    assert two_more.frees_at == T0 + 66_000
    [exact] = (await play(59_999, check(entry(1, 4, window=window)))).numbers
    assert (exact.overcount, exact.why) == (0, 0)


async def test_no_stretch_of_a_sliding_window_has_more_than_the_limit(play: Play):
    window, limit = sliding(1000), 3
    shown = [
        at
        for at in range(0, 4000, 7)
        if (await play(at, count(entry(1, limit, window=window)))).status is Status.APPLIED
    ]
    assert all(
        later - earlier >= 1000 for earlier, later in zip(shown, shown[limit:], strict=False)
    )
    assert len(shown) >= limit * 3


async def test_a_limit_that_is_full_of_holds_frees_when_they_expire(play: Play):
    await play(
        0,
        hold("a", hourly(2), ttl=5 * MINUTE),
    )
    await play(0, hold("b", hourly(1), ttl=9 * MINUTE))
    [numbers] = (await play(1, check(hourly(1, 3)))).numbers
    assert (numbers.why, numbers.frees_at) == (Why.LIMIT, T0 + 9 * MINUTE)
    await play(2, count(hourly(3)))
    [numbers] = (await play(3, check(hourly(1, 4)))).numbers
    assert numbers.frees_at == T0 + 9 * MINUTE
    [numbers] = (await play(3, check(hourly(1, 3)))).numbers
    assert numbers.frees_at == T0 + 2 + HOUR


async def test_a_limit_frees_with_the_window_if_that_ends_before_the_holds(play: Play):
    await play(0, count(hourly(2)))
    await play(0, hold("h", hourly(1), ttl=2 * HOUR))
    [numbers] = (await play(1, check(hourly(1, 3)))).numbers
    assert numbers.frees_at == T0 + HOUR


async def test_a_limit_that_needs_both_frees_with_the_later(play: Play):
    await play(0, count(hourly(1)))
    await play(0, hold("h", hourly(1), ttl=2 * HOUR))
    [numbers] = (await play(1, check(hourly(3, 3)))).numbers
    assert numbers.frees_at == T0 + 2 * HOUR


async def test_holds_that_were_given_back_free_nothing_later(play: Play):
    await play.all(0, count(entry()), hold("long", entry(), ttl=2 * HOUR), release("long"))
    await play(1, hold("short", entry(), ttl=MINUTE))
    [numbers] = (await play(2, check(entry(1, 2)))).numbers
    assert numbers.frees_at == T0 + MINUTE


async def test_books_are_apart(play: Play):
    await play(0, count(entry()))
    other = Play(play.backend, Book("other"))
    assert await other.read(0) == [(0, 0)]


async def test_the_sequence_grows_with_each_change_and_only_then(play: Play):
    first_, checked, second = await play.all(0, count(entry()), check(entry(0)), count(entry()))
    assert first_.sequence == checked.sequence == T0 * 1000
    assert second.sequence == first_.sequence + 1
    refused = await play(0, count(entry(1, 1)))
    assert refused.sequence == second.sequence
    later = await play(5, count(entry()))
    assert (later.sequence, later.at) == ((T0 + 5) * 1000, T0 + 5)
