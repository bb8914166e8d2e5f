"""Frequency caps: what they allow, count, deny and tell."""

from datetime import timedelta

import pytest

from state.clock import Clock, Leaving
from state.play import DAY, HOUR, T0
from state.settings import World, candidate, cap, seconds
from xsp.state.v1.campaign_key_pb2 import CampaignKey
from xsp.state.v1.frequency_pb2 import (
    CapDenial,
    CapScope,
    CapSubject,
    Subject,
    Window,
    WindowAlignment,
    WindowUnit,
)
from xsp.state.v1.guarantee_pb2 import DecisionSource, Durability, FailPolicy
from xsp.state.v1.state_service_pb2 import (
    CheckFrequencyRequest,
    ListFrequencyCountsRequest,
    RecordFrequencyRequest,
    ResetFrequencyRequest,
)
from xsp_server.errors import InvalidRequest, MissingField, TooLarge
from xsp_server.state.backend import Book, StateBackend, StoreAway
from xsp_server.state.caps import FrequencyCap
from xsp_server.state.faults import CampaignNotFound, PageTokenInvalid, RequestIdReused
from xsp_server.state.messages import timestamp

CUSTOM = CapScope.CAP_SCOPE_CUSTOM
HOME = CapSubject.CAP_SUBJECT_HOUSEHOLD
BOTH = CapSubject.CAP_SUBJECT_USER_AND_HOUSEHOLD
OPEN = FailPolicy.FAIL_POLICY_FAIL_OPEN
CALENDAR = WindowAlignment.WINDOW_ALIGNMENT_CALENDAR
SLIDING = WindowAlignment.WINDOW_ALIGNMENT_SLIDING


def custom(limit=None, name="x", **more):
    return cap(limit, scope=CUSTOM, custom_scope=name, **more)


async def test_three_ads_an_hour_the_fourth_blocked_after_the_hour_again(backend: StateBackend):
    clock = Clock()
    frequency_cap = FrequencyCap(backend, clock)

    async def ask():
        return await frequency_cap.check_and_increment("user", limit=3, window="hour")

    assert [await ask() for _ in range(4)] == [True, True, True, False]
    clock.go(HOUR - 1)
    assert not await ask()
    clock.go(1)
    assert [await ask() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("window", "length"),
    [("day", DAY), ("week", 7 * DAY), (timedelta(seconds=90), 90_000), ("session", DAY)],
)
async def test_a_cap_holds_for_its_window(window, length):
    clock = Clock()
    frequency_cap = FrequencyCap(Leaving(), clock)

    async def ask(user="u"):
        return await frequency_cap.check_and_increment(user, 1, window, session_id="s")

    assert await ask()
    clock.go(length - 1)
    assert not await ask()
    assert await ask("another")
    clock.go(1)
    assert await ask()


async def test_counts_of_scopes_sessions_and_retries_are_apart():
    frequency_cap = FrequencyCap(Leaving(), Clock())
    ask = frequency_cap.check_and_increment
    assert await ask("u", 1, "lifetime")
    assert not await ask("u", 1, "lifetime")
    assert await ask("u", 1, "lifetime", scope="other")
    assert await ask("u", 1, "session", session_id="1")
    assert await ask("u", 1, "session", session_id="2")
    assert not await ask("u", 1, "session")
    assert not await ask("", 1)
    assert await ask("v", 1, request_id="r")
    assert await ask("v", 1, request_id="r")
    assert not await ask("v", 1)
    for wrong in ("month", "unspecified", timedelta(milliseconds=999)):
        with pytest.raises(InvalidRequest):
            await ask("u", 1, wrong)


async def test_while_the_store_is_away_a_cap_follows_its_policy():
    backend = Leaving()
    closed = FrequencyCap(backend, Clock())
    open_ = FrequencyCap(backend, Clock(), fail_policy=OPEN)
    backend.leave_after()
    assert not await closed.check_and_increment("u", 1)
    assert await open_.check_and_increment("u", 1)
    backend.come_back()
    assert await closed.check_and_increment("u", 1)


async def test_a_candidate_counts_all_of_its_caps_or_none():
    world = World()
    both = (custom(5, "wide"), custom(1, "narrow"))
    assert await world.shown(candidate("a", *both)) == [True]
    assert await world.shown(candidate("a", *both)) == [False]
    [left] = await world.show(candidate("a", both[0]))
    assert left.caps[0].count == 2


async def test_a_candidate_sees_what_those_before_it_counted():
    world = World()
    same = custom(2)
    told = await world.show(*(candidate(name, same) for name in "abc"))
    assert [each.allowed for each in told] == [True, True, False]
    assert [each.caps[0].count for each in told] == [1, 2, 2]


async def test_checking_counts_nothing_and_judges_each_alone():
    world = World()
    same = custom(1)
    for _ in range(2):
        told = await world.check(candidate("a", same), candidate("b", same))
        assert [(each.allowed, each.caps[0].count) for each in told] == [(True, 0)] * 2
    await world.show(candidate("a", same))
    [told] = await world.check(candidate("a", same))
    assert not told.allowed
    assert told.basis.durability == Durability.DURABILITY_UNSPECIFIED


async def test_the_cap_that_frees_last_denies():
    world = World()
    hour, day = custom(1, "a"), custom(1, "b", window=WindowUnit.WINDOW_UNIT_DAY)
    await world.show(candidate("a", hour, day))
    [told] = await world.show(candidate("a", hour, day))
    assert told.denied_by.cap_id == "caps[1]"
    assert told.denied_by.denial == CapDenial.CAP_DENIAL_LIMIT
    assert told.denied_by.frees_at == timestamp(T0 + DAY)
    assert [each.frees_at.seconds * 1000 - T0 for each in told.caps] == [HOUR, DAY]
    forever = custom(1, "c", window=WindowUnit.WINDOW_UNIT_LIFETIME)
    await world.show(candidate("a", forever))
    [told] = await world.show(candidate("a", hour, forever, day))
    assert told.denied_by.cap_id == "caps[1]"
    assert not told.denied_by.HasField("frees_at")


async def test_a_cooldown_keeps_two_impressions_apart():
    world = World()
    resting = custom(cooldown=seconds(10))
    assert await world.shown(candidate("a", resting)) == [True]
    world.clock.go(9_999)
    [told] = await world.show(candidate("a", resting))
    assert told.denied_by.denial == CapDenial.CAP_DENIAL_COOLDOWN
    assert told.denied_by.frees_at == timestamp(T0 + 10_000)
    assert not told.denied_by.HasField("limit")
    world.clock.go(1)
    assert await world.shown(candidate("a", resting)) == [True]


def of_the_calendar(unit) -> Window:
    return Window(unit=unit, alignment=CALENDAR)


@pytest.mark.parametrize("limit", [5, None])
@pytest.mark.parametrize("unit", [WindowUnit.WINDOW_UNIT_HOUR, WindowUnit.WINDOW_UNIT_DAY])
async def test_a_cooldown_goes_on_where_a_window_of_the_calendar_ends(backend, limit, unit):
    world = World("2026-11-24 23:59:59", backend)
    resting = custom(limit, cooldown=seconds(1800), window=of_the_calendar(unit))
    began = world.clock.now_ms
    assert await world.shown(candidate("a", resting)) == [True]
    for now in (began + 500, began + 1000, began + 1_799_999):
        world.clock.now_ms = now
        [told] = await world.show(candidate("a", resting))
        assert told.denied_by.denial == CapDenial.CAP_DENIAL_COOLDOWN
        assert told.denied_by.frees_at == timestamp(began + 1_800_000)
    world.clock.go(1)
    assert await world.shown(candidate("a", resting)) == [True]
    counts, _ = await world.caps.page(ListFrequencyCountsRequest(subject=Subject(user_id="u")))
    assert [each.count for each in counts] == [1]  # today's; the cooldown's own is not told
    await world.caps.reset(ResetFrequencyRequest(subject=Subject(user_id="u")))
    assert await world.shown(candidate("a", resting)) == [True]


async def test_of_limit_and_cooldown_apart_each_says_when_it_frees():
    world = World("2026-11-24 23:00")
    day = of_the_calendar(WindowUnit.WINDOW_UNIT_DAY)
    both = custom(2, cooldown=seconds(7200), window=day)
    began = world.clock.now_ms
    assert await world.shown(candidate("a", both)) == [True]
    [told] = await world.show(candidate("a", both))
    assert told.denied_by.denial == CapDenial.CAP_DENIAL_COOLDOWN
    assert told.denied_by.frees_at == timestamp(began + 2 * HOUR)
    await world.caps.record(
        RecordFrequencyRequest(
            request_id="r", subject=Subject(user_id="u"), candidates=[candidate("a", both)]
        )
    )
    [told] = await world.show(candidate("a", both))
    assert told.denied_by.denial == CapDenial.CAP_DENIAL_LIMIT
    assert told.denied_by.count == 2
    assert told.denied_by.frees_at == timestamp(began + 2 * HOUR)  # later than midnight


async def test_of_two_caps_on_one_counter_the_one_that_frees_last_denies():
    world = World()
    minute = Window(duration=seconds(60))
    wide = custom(5, cap_id="wide", cooldown=seconds(5), window=minute)
    narrow = custom(2, cap_id="narrow", window=minute)
    began = world.clock.now_ms
    assert await world.shown(candidate("a", wide, narrow)) == [True]
    world.clock.go(5000)
    assert await world.shown(candidate("a", wide, narrow)) == [True]
    [told] = await world.show(candidate("a", wide, narrow))
    assert told.denied_by.cap_id == "narrow"
    assert {each.cap_id: each.frees_at for each in told.caps} == {
        "wide": timestamp(began + 10_000),
        "narrow": timestamp(began + 60_000),
    }


async def test_more_counters_than_a_step_takes_are_refused_at_their_candidate():
    world = World()
    caps = [custom(1, str(number), cap_id=str(number)) for number in range(64)]
    parent = ""
    for level in range(8):
        lines = [custom(1, f"{level}.{number}", cap_id=str(number)) for number in range(64)]
        await world.put(f"c{level}", 1, parent_id=parent, caps=lines)
        parent = f"c{level}"
    scopes = {f"{level}.{number}": "x" for level in range(8) for number in range(64)}
    scopes |= {str(number): "x" for number in range(64)}
    with pytest.raises(InvalidRequest) as caught:
        await world.show(candidate("a", *caps, campaign_id="c7", custom_scopes=scopes))
    assert caught.value.violations[0].path == "candidates[0].caps"
    assert "at most 512 counters" in str(caught.value)


@pytest.mark.parametrize("name", ["\0", "a\0b", "ä", "x" * 5000, "\n", "=", "0" * 36])
async def test_a_candidate_may_have_any_name(name):
    world = World()
    told = candidate(name, custom(1))
    assert await world.shown(told, request_id="r") == [True]
    assert await world.shown(told, request_id="r") == [True]
    assert await world.shown(told, request_id="s") == [False]


async def test_what_is_too_long_for_a_counter_is_refused_at_its_candidate():
    world = World()
    told = candidate("a", cap(1, scope=CapScope.CAP_SCOPE_CREATIVE), creative_id="x" * 5000)
    with pytest.raises(InvalidRequest) as caught:
        await world.show(candidate("b", custom(1)), told)
    assert caught.value.violations[0].path == "candidates[1]"


async def test_caps_that_share_a_counter_are_told_apart():
    world = World()
    caps = (custom(5, cap_id="wide"), custom(1, cap_id="narrow"), custom(cooldown=seconds(1)))
    await world.show(candidate("a", *caps))
    world.clock.go(5000)
    [told] = await world.show(candidate("a", *caps))
    assert {each.cap_id: each.denial for each in told.caps} == {
        "wide": CapDenial.CAP_DENIAL_UNSPECIFIED,
        "narrow": CapDenial.CAP_DENIAL_LIMIT,
        "caps[2]": CapDenial.CAP_DENIAL_UNSPECIFIED,
    }
    assert [each.count for each in told.caps] == [1, 1, 1]


async def test_user_and_household_are_both_counted_or_neither():
    world = World()
    both = custom(2, subject=BOTH)
    assert await world.shown(candidate("a", both), user="u1", home="h") == [True]
    assert await world.shown(candidate("a", both), user="u2", home="h") == [True]
    [told] = await world.show(candidate("a", both), user="u3", home="h")
    assert told.denied_by.subject == HOME
    assert told.denied_by.count == 2
    [mine] = await world.check(candidate("a", custom(2)), user="u3", home="h")
    assert (mine.caps[0].count, mine.caps[0].reserved) == (0, 0)
    assert await world.shown(candidate("a", both), user="u1", home="h2") == [True]
    [told] = await world.show(candidate("a", both), user="u1", home="h3")
    assert told.denied_by.subject == CapSubject.CAP_SUBJECT_USER
    [home] = await world.check(candidate("a", custom(2, subject=HOME)), home="h3")
    assert home.caps[0].count == 0


async def test_a_counted_pair_is_told_as_counted_and_a_retry_counts_nothing():
    world = World()
    both = custom(3, subject=BOTH)
    [first] = await world.show(candidate("a", both), home="h", request_id="r")
    world.clock.go(60_000)
    [again] = await world.show(candidate("a", both), home="h", request_id="r")
    assert world.replayed
    assert first.caps == again.caps
    assert (first.caps[0].count, first.caps[0].reserved) == (1, 0)
    with pytest.raises(RequestIdReused):
        await world.show(candidate("a", both, impressions=2), home="h", request_id="r")
    with pytest.raises(MissingField):
        await world.show(candidate("a", both), home="h", request_id="")


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_pair_that_was_cut_off_passes_no_cap(calls):
    world = World()
    both = custom(1, subject=BOTH)
    world.backend.leave_after(calls)
    assert await world.shown(candidate("a", both), home="h", request_id="r") == [False]
    world.backend.come_back()
    assert await world.shown(candidate("a", both), home="h") == [False]
    world.clock.go(20_000)
    for _ in range(2):
        assert await world.shown(candidate("a", both), home="h", request_id="r") == [True]
    told = await world.check(candidate("a", both), home="h")
    assert [each.count for each in told[0].caps] == [1]


@pytest.mark.parametrize("calls", [1, 2])
async def test_a_pair_that_was_cut_off_is_refused_when_another_took_its_place(calls):
    world = World()
    both = custom(1, subject=BOTH)
    world.backend.leave_after(calls)
    assert await world.shown(candidate("a", both), home="h", request_id="r") == [False]
    world.backend.come_back()
    world.clock.go(20_000)
    assert await world.shown(candidate("a", both), home="other") == [True]
    for _ in range(2):
        assert await world.shown(candidate("a", both), home="h", request_id="r") == [False]
    told = await world.check(candidate("a", both), home="other")
    assert [each.count for each in told[0].caps] == [1]


async def test_candidates_of_mixed_books_see_each_other():
    world = World()
    told = await world.show(
        candidate("a", custom(1, subject=BOTH)), candidate("b", custom(1)), home="h"
    )
    assert [each.allowed for each in told] == [True, False]


async def test_a_retry_gets_the_first_answer_and_other_content_is_refused():
    world = World()
    [first] = await world.show(candidate("a", custom(1)), request_id="r")
    [again] = await world.show(candidate("a", custom(1)), request_id="r")
    assert world.replayed
    assert again.allowed
    assert first.caps == again.caps
    assert first.basis.durability == Durability.DURABILITY_PROCESS
    with pytest.raises(RequestIdReused):
        await world.show(candidate("a", custom(2)), request_id="r")
    assert await world.shown(candidate("a", custom(1))) == [False]


async def test_caps_of_the_campaign_and_its_parents_hold():
    world = World()
    await world.put("top", caps=[cap(2, cap_id="all")])
    await world.put("a", parent_id="top", caps=[cap(1)])
    await world.put("b", parent_id="top")
    a, b = candidate("a", campaign_id="a"), candidate("b", campaign_id="b")
    [told] = await world.show(a)
    assert [(each.campaign_id, each.scope_value) for each in told.caps] == [
        ("a", "a"),
        ("top", "top"),
    ]
    assert await world.shown(a, b, candidate("b2", campaign_id="b")) == [
        False, True, False,
    ]  # fmt: skip
    [unknown] = await world.show(candidate("x", campaign_id="none"))
    assert unknown[0] == "x"
    assert isinstance(unknown[1], CampaignNotFound)


async def test_each_scope_counts_its_own_value():
    world = World()
    await world.put("c", advertiser="ads.example", key=CampaignKey(cid="k", seat="s", bidder="b"))
    caps = [cap(9, scope=scope) for scope in range(1, 6)] + [custom(9, "genre")]
    told = await world.show(
        candidate("a", *caps, campaign_id="c", creative_id="cr", pod_id="p"),
        candidate(
            "b", *caps, campaign_key=CampaignKey(cid="k", seat="s", bidder="b"),
            creative_id="cr", pod_id="p", advertiser="other", seat="s2",
            custom_scopes={"genre": "news"},
        ),
    )  # fmt: skip
    assert [each.scope_value for each in told[0].caps] == [
        "c", "cr", "ads.example", "b/s", "p", "",
    ]  # fmt: skip
    assert [each.scope_value for each in told[1].caps] == ["c", "cr", "other", "b/s2", "p", "news"]


async def test_what_is_not_known_denies_or_passes_by_its_policy():
    world = World()
    deny = [custom(1), cap(1, scope=2), cap(1), custom(1, window=5), cap(1, scope=5)]
    told = await world.show(*(candidate(str(n), each) for n, each in enumerate(deny)), user="")
    assert {each.denied_by.denial for each in told} == {CapDenial.CAP_DENIAL_SUBJECT_MISSING}
    told = await world.show(*(candidate(str(n), each) for n, each in enumerate(deny)))
    assert [each.denied_by.denial for each in told] == [
        CapDenial.CAP_DENIAL_UNSPECIFIED,
        CapDenial.CAP_DENIAL_SCOPE_MISSING,
        CapDenial.CAP_DENIAL_SCOPE_MISSING,
        CapDenial.CAP_DENIAL_SUBJECT_MISSING,
        CapDenial.CAP_DENIAL_SCOPE_MISSING,
    ]
    [told] = await world.show(candidate("a", custom(9, "y"), cap(1, scope=2)))
    assert [each.HasField("count") for each in told.caps] == [True, False]
    assert told.caps[0].count == 0
    for _ in range(2):
        allow = cap(1, scope=2, missing_policy=2)
        assert await world.shown(candidate("a", allow)) == [True]


async def test_while_the_store_is_away_each_cap_follows_its_policy():
    world = World()
    await world.put(caps=[cap(1, fail_policy=OPEN)])
    world.backend.leave_after()
    asked = (
        candidate("open", campaign_id="c1"),
        candidate("closed", custom(1), campaign_id="c1"),
        candidate("none"),
    )
    for told in (await world.show(*asked), await world.check(*asked)):
        assert [each.allowed for each in told] == [True, False, True]
        assert [each.basis.source for each in told] == [
            DecisionSource.DECISION_SOURCE_FAIL_OPEN,
            DecisionSource.DECISION_SOURCE_FAIL_CLOSED,
            DecisionSource.DECISION_SOURCE_STORE,
        ]
        assert told[1].denied_by.denial == CapDenial.CAP_DENIAL_STORE_AWAY
        assert told[1].basis.failure
    with pytest.raises(StoreAway):
        await record(world, asked[0])


async def test_a_store_that_leaves_between_campaigns_and_counts_leaves_a_check_to_the_policies():
    world = World()
    await world.put(caps=[cap(1)])
    world.backend.leave_after(1)
    [told] = await world.check(candidate("a", campaign_id="c1"))
    assert not told.allowed
    assert told.denied_by.denial == CapDenial.CAP_DENIAL_STORE_AWAY


async def record(world, *candidates, request_id="rec", include_caps=False, home="h"):
    request = RecordFrequencyRequest(
        request_id=request_id,
        subject=Subject(user_id="u", household_id=home),
        candidates=candidates,
        include_caps=include_caps,
    )
    return await world.caps.record(request)


async def test_recording_counts_above_the_limit_and_tells_that_it_is_reached():
    world = World()
    both = custom(2, subject=BOTH)
    [told], replayed = await record(world, candidate("a", both))
    assert (told.allowed, list(told.caps), replayed) == (True, [], False)
    [told], _ = await record(world, candidate("a", both, impressions=2), request_id="2")
    assert not told.allowed
    assert told.denied_by.count == 3
    assert told.denied_by.frees_at == timestamp(T0 + HOUR)
    assert len(told.caps) == 1
    _, replayed = await record(world, candidate("a", both, impressions=2), request_id="2")
    assert replayed
    [told] = await world.check(candidate("a", both), home="h")
    assert told.caps[0].count == 3
    with pytest.raises(MissingField):
        await world.caps.record(RecordFrequencyRequest(candidates=[candidate()]))


@pytest.mark.parametrize(
    ("window", "ends"),
    [
        (Window(unit=1, alignment=CALENDAR), "2026-03-28T23:00:00"),
        (Window(unit=2, alignment=CALENDAR, time_zone="Europe/Berlin"), "2026-03-28T23:00:00"),
        (Window(unit=3, alignment=CALENDAR), "2026-03-30T00:00:00"),
        (Window(duration=seconds(600), alignment=CALENDAR), "2026-03-28T22:40:00"),
    ],
)
async def test_calendar_windows_end_with_the_calendar(window, ends):
    from state.settings import at, when  # noqa: PLC0415

    world = World("2026-03-28T22:30:01")
    capped = candidate("a", custom(1, window=window))
    await world.show(capped)
    [told] = await world.show(capped)
    assert told.denied_by.frees_at == when(ends)
    world.clock.now_ms = at(ends)
    assert await world.shown(capped) == [True]


async def test_a_sliding_window_tells_by_how_much_it_may_count_too_much():
    world = World()
    window = Window(duration=seconds(60), alignment=SLIDING)
    world.clock.now_ms = 1_700_000_040_500
    await world.show(candidate("a", custom(1, window=window)))
    world.clock.go(60_100)
    [told] = await world.show(candidate("a", custom(1, window=window)))
    assert (told.allowed, told.caps[0].max_overcount) == (False, 1)
    world.clock.go(400)
    assert await world.shown(candidate("a", custom(1, window=window))) == [True]


async def test_counters_of_a_subject_are_listed_page_by_page():
    world = World()
    caps = [
        custom(9, "x"),
        cap(9, scope=2, window=Window(duration=seconds(90), alignment=SLIDING)),
        custom(9, "s", window=WindowUnit.WINDOW_UNIT_SESSION),
        custom(9, "home", subject=HOME, window=Window(unit=4)),
    ]
    await world.show(candidate("a", *caps, creative_id="cr"), home="h", session="s1")

    async def counts(**subject):
        found, token = [], ""
        while True:
            request = ListFrequencyCountsRequest(
                subject=Subject(**subject), page_size=1, page_token=token
            )
            page, token = await world.caps.page(request)
            found += page
            if not token:
                return found

    told = await counts(user_id="u", household_id="h")
    assert [(each.subject, each.scope, each.custom_scope) for each in told] == [
        (1, 2, ""), (1, 6, "s"), (1, 6, "x"), (2, 6, "home"),
    ]  # fmt: skip
    assert told[0].window == caps[1].window
    assert told[1].window == caps[2].window
    assert (told[1].session_id, told[1].expires_at) == ("s1", timestamp(T0 + DAY))
    assert (told[2].count, told[2].first_at, told[2].last_at) == (
        1, timestamp(T0), timestamp(T0),
    )  # fmt: skip
    assert not told[3].HasField("expires_at")
    assert len(await counts(user_id="u", session_id="s1")) == 1
    request = ListFrequencyCountsRequest(subject=Subject(user_id="u"), page_size=1)
    _, token = await world.caps.page(request)
    for subject in (Subject(user_id="other"), Subject()):
        with pytest.raises((PageTokenInvalid, MissingField)):
            await world.caps.page(ListFrequencyCountsRequest(subject=subject, page_token=token))


async def test_resetting_forgets_what_is_meant_and_only_that():
    world = World()
    caps = [custom(1, "x"), cap(1, scope=2), custom(1, "home", subject=HOME)]
    session = custom(1, "s", window=WindowUnit.WINDOW_UNIT_SESSION)

    async def fill():
        for each in (*caps, session):
            await record(
                world, candidate("a", each, creative_id="cr"), request_id=str(world.clock.now_ms)
            )
            world.clock.go(1)

    async def reset(**more):
        subject = Subject(**{"user_id": "u", **more.pop("subject", {})})
        return await world.caps.reset(ResetFrequencyRequest(subject=subject, **more))

    await fill()
    assert await reset(scope=2, scope_value="other") == 0
    assert await reset(scope=2, scope_value="cr") == 1
    assert await world.shown(candidate("a", caps[1], creative_id="cr")) == [True]
    assert await world.shown(candidate("a", caps[0])) == [False]
    assert await reset(custom_scope="y") == 0
    assert await reset(custom_scope="x") == 1
    assert await reset(subject={"session_id": "none"}) == 0
    assert await reset() == 1
    assert await reset(subject={"household_id": "h"}) == 1
    with pytest.raises(MissingField):
        await reset(subject={"user_id": ""})
    with pytest.raises(MissingField):
        await reset(scope_value="x")


@pytest.mark.parametrize(
    ("candidates", "error"),
    [
        ([], InvalidRequest),
        ([candidate("a")] * 1001, TooLarge),
        ([candidate("")], MissingField),
        ([candidate("a"), candidate("b"), candidate("a")], InvalidRequest),
        ([candidate("a", impressions=0)], InvalidRequest),
        ([candidate("a", custom(-1))], InvalidRequest),
        ([candidate("a", cap(1, scope=2), creative_id="x" * 1024)], InvalidRequest),
    ],
)
async def test_what_a_request_may_not_be(candidates, error):
    with pytest.raises(error):
        await World().show(*candidates)


async def test_ids_of_people_have_a_longest_length_and_are_not_repeated_in_errors():
    with pytest.raises(InvalidRequest) as refused:
        await World().show(candidate(), user="secret" * 200)
    assert "secret" not in str(refused.value)


async def test_no_candidate_of_a_request_without_caps_touches_the_store():
    world = World()
    request = CheckFrequencyRequest(candidates=[candidate()])
    [told] = await world.caps.check(request)
    assert told.allowed
    assert world.backend.calls == 0
    assert await world.backend.counters(Book("user/u").name, T0) == []
