"""A session with an upstream: what it asks, and the caps and budgets that stand in for the state.

The stand-in's clock and the upstream are the test's own.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.errors import CampaignNotFound, InvalidField, SessionClosed
from xsp_server.openrtb.money import micros_told, to_decimal
from xsp_server.upstream.session import SessionContext
from xsp_server.upstream.upstream_session import (
    Budget,
    BudgetState,
    InMemoryState,
    UpstreamSession,
)

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
MOST = Decimal("9223372036854.775807")


@dataclass
class Upstream:
    """Remembers what it was asked."""

    asked: list[dict] = field(default_factory=list)

    async def fetch(self, request=None, *, params=None, session=None, timeout=None):
        self.asked.append(
            {"request": request, "params": params, "session": session, "timeout": timeout}
        )
        session.took("https://ads.example.com/", ["seen=1; Path=/"])
        return f"ad for {session.request_id}"


class Clock:
    def __init__(self):
        self.now = 5 * SECOND

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return InMemoryState(clock)


@pytest.fixture
def upstream():
    return Upstream()


@pytest.fixture
def session(upstream, state):
    return UpstreamSession(upstream, context("r-1"), state)


def context(request_id, **told):
    return SessionContext.from_message(pb.SessionContext(request_id=request_id, **told))


async def test_the_session_of_the_guide_works_as_it_is_written(upstream, state):
    state.put_campaign("c-1", Decimal("1000.00"))
    user_id, campaign_id = "u-1", "c-1"
    async with UpstreamSession(upstream, context("r-1"), state) as session:
        if await session.check_frequency_cap(user_id, limit=3):
            ad = await session.request()
            await session.track_budget(campaign_id, Decimal("2.50"))
        assert ad == "ad for r-1"
        assert (await session.get_budget(campaign_id)).remaining == Decimal("997.50")


async def test_request_hands_on_all_that_is_asked(session, upstream):
    request = BidRequest(id="1")
    assert await session.request(request, params={"a": "b"}, timeout=0.5) == "ad for r-1"
    (asked,) = upstream.asked
    assert asked["request"] is request
    assert (asked["params"], asked["timeout"]) == ({"a": "b"}, 0.5)
    assert asked["session"].context is not None
    assert asked["session"].headers("https://ads.example.com/")["Cookie"] == "seen=1"


async def test_an_upstream_that_takes_no_request_is_not_handed_one(session, upstream, monkeypatch):
    async def fetch(*, params, session, timeout):
        return params, session.request_id, timeout

    monkeypatch.setattr(upstream, "fetch", fetch, raising=False)
    assert await session.request(params={"a": "b"}, timeout=0.5) == ({"a": "b"}, "r-1", 0.5)


async def test_the_context_has_the_cookies_that_hosts_set(session):
    assert session.context.cookies == ()
    await session.request()
    assert [cookie.name for cookie in session.context.cookies] == ["seen"]
    assert session.context.request_id == "r-1"


async def test_one_upstream_carries_many_sessions(upstream, state):
    async with (
        UpstreamSession(upstream, context("r-1"), state) as one,
        UpstreamSession(upstream, context("r-2"), state) as two,
    ):
        answers = await asyncio.gather(one.request(), two.request())
    assert answers == ["ad for r-1", "ad for r-2"]
    assert upstream.asked[0]["session"] is not upstream.asked[1]["session"]


CALLS = {
    "request": lambda session: session.request(),
    "check_frequency_cap": lambda session: session.check_frequency_cap("u-1"),
    "track_budget": lambda session: session.track_budget("c-1", Decimal(1)),
    "get_budget": lambda session: session.get_budget("c-1"),
    "async with": lambda session: session.__aenter__(),
}


@pytest.mark.parametrize("called", CALLS)
async def test_a_closed_session_refuses_everything(session, called):
    async with session:
        pass
    await session.close()  # does no harm twice
    expected = f"{called}: session r-1 is closed; expected an open one"
    with pytest.raises(SessionClosed, match=f"^{expected}$"):
        await CALLS[called](session)


async def test_three_ads_an_hour_the_fourth_is_blocked_and_after_the_hour_again(session, clock):
    start = clock.now
    for minute in (0, 10, 59):
        clock.now = start + minute * 60 * SECOND
        assert await session.check_frequency_cap("u-1", limit=3)
    assert not await session.check_frequency_cap("u-1", limit=3)
    clock.now = start + HOUR - 1
    assert not await session.check_frequency_cap("u-1", limit=3)
    clock.now = start + HOUR  # from the first impression, not from the last
    assert [await session.check_frequency_cap("u-1", limit=3) for _ in range(4)] == [
        True,
        True,
        True,
        False,
    ]


async def test_three_an_hour_is_the_default(session):
    assert [await session.check_frequency_cap("u-1") for _ in range(4)].count(True) == 3


async def test_a_denial_counts_nothing_and_a_new_limit_holds_for_old_counts(session):
    for _ in range(3):
        await session.check_frequency_cap("u-1", limit=2)
    assert await session.check_frequency_cap("u-1", limit=3)
    assert not await session.check_frequency_cap("u-1", limit=3)


async def test_users_and_windows_are_counted_apart(session):
    assert await session.check_frequency_cap("u-1", limit=1)
    assert await session.check_frequency_cap("u-2", limit=1)
    assert await session.check_frequency_cap("u-1", limit=1, window="day")
    assert await session.check_frequency_cap("u-1", limit=1, window=timedelta(minutes=90))
    assert not await session.check_frequency_cap("u-2", limit=1)


async def test_all_sessions_count_together(upstream, state):
    one = UpstreamSession(upstream, context("r-1"), state)
    two = UpstreamSession(upstream, context("r-2"), state)
    assert await one.check_frequency_cap("u-1", limit=1)
    assert not await two.check_frequency_cap("u-1", limit=1)


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ("hour", timedelta(hours=1)),
        ("day", timedelta(hours=24)),
        ("week", timedelta(days=7)),
        (timedelta(seconds=1), timedelta(seconds=1)),
        (timedelta(milliseconds=90_001), timedelta(milliseconds=90_001)),
    ],
)
async def test_a_window_ends_to_the_nanosecond(session, clock, window, length):
    assert await session.check_frequency_cap("u-1", 1, window)
    clock.now += length // timedelta(microseconds=1) * 1000 - 1
    assert not await session.check_frequency_cap("u-1", 1, window)
    clock.now += 1
    assert await session.check_frequency_cap("u-1", 1, window)


async def test_a_lifetime_has_no_end(session, clock):
    assert await session.check_frequency_cap("u-1", 1, "lifetime")
    clock.now += 1000 * 24 * HOUR
    assert not await session.check_frequency_cap("u-1", 1, "lifetime")


async def test_the_window_session_is_the_visit_and_ends_a_day_after_its_last_impression(
    upstream, state, clock
):
    ad, next_ad, other = (
        UpstreamSession(upstream, context(request_id, visit_id=visit), state)
        for request_id, visit in (("r-1", "v-1"), ("r-2", "v-1"), ("r-3", "v-2"))
    )
    assert await ad.check_frequency_cap("u-1", 2, "session")
    assert await other.check_frequency_cap("u-1", 1, "session")
    clock.now += 23 * HOUR
    assert await next_ad.check_frequency_cap("u-1", 2, "session")
    clock.now += 23 * HOUR
    assert not await ad.check_frequency_cap("u-1", 2, "session")
    assert await other.check_frequency_cap("u-1", 1, "session")
    clock.now += HOUR
    assert await ad.check_frequency_cap("u-1", 2, "session")


async def test_nobody_known_is_denied_and_so_is_a_limit_of_nothing(session):
    assert not await session.check_frequency_cap("", limit=3)
    assert not await session.check_frequency_cap("u-1", limit=0)
    assert await session.check_frequency_cap("u-1", limit=1)


@pytest.mark.parametrize(
    ("limit", "window", "violation"),
    [
        (-1, "hour", "limit: expected 0 or more, got -1"),
        (
            3,
            "fortnight",
            'window: expected "hour", "day", "week", "lifetime", "session" or a timedelta',
        ),
        (3, timedelta(0), "window: expected whole ms from 1 s up, got 0:00:00"),
        (
            3,
            timedelta(seconds=1, microseconds=1),
            "window: expected whole ms from 1 s up, got 0:00:01.000001",
        ),
    ],
)
async def test_what_is_no_cap_is_refused(session, limit, window, violation):
    with pytest.raises(InvalidField) as caught:
        await session.check_frequency_cap("u-1", limit, window)
    assert str(caught.value).startswith(violation)
    assert str(caught.value).partition(", got ")[2]


async def test_no_cap_is_passed_whatever_runs_at_once(upstream, state):
    sessions = [UpstreamSession(upstream, context(f"r-{n}"), state) for n in range(200)]
    allowed = await asyncio.gather(*(s.check_frequency_cap("u-1", limit=7) for s in sessions))
    assert allowed.count(True) == 7


async def test_beyond_its_bound_it_denies_whom_it_cant_count(clock):
    state = InMemoryState(clock, max_counters=2)
    assert await state.check_and_increment("u-1", 5, "hour", "")
    assert await state.check_and_increment("u-2", 5, "day", "")
    assert not await state.check_and_increment("u-3", 5, "hour", "")
    assert await state.check_and_increment("u-1", 5, "hour", "")
    clock.now += HOUR
    assert await state.check_and_increment("u-3", 5, "hour", "")
    assert not await state.check_and_increment("u-1", 5, "hour", "")


async def test_windows_that_have_ended_leave_nothing_behind(clock):
    state = InMemoryState(clock)
    for n in range(100):
        await state.check_and_increment(f"u-{n}", 1, timedelta(seconds=1 + n), "")
    clock.now += HOUR
    await state.check_and_increment("u-1", 1, "hour", "")
    assert len(state._windows) == 1


async def test_a_thousand_less_two_fifty_leaves_997_50(session, state):
    state.put_campaign("c-1", Decimal("1000.00"))
    spend = await session.track_budget("c-1", Decimal("2.50"))
    assert spend.accepted
    assert str(spend.budget.remaining) == "997.50"
    assert str(spend.budget.spent) == "2.50"
    assert spend.budget == await session.get_budget("c-1")
    assert spend.budget == Budget("c-1", "USD", 2_500_000, 0, 997_500_000, BudgetState.ACTIVE)


async def test_a_budget_is_exhausted_at_nothing_left_and_pays_no_more(session, state):
    state.put_campaign("c-1", Decimal("5.00"))
    assert (await session.track_budget("c-1", Decimal("2.50"))).accepted
    assert (await session.get_budget("c-1")).state is BudgetState.ACTIVE
    spend = await session.track_budget("c-1", Decimal("2.50"))
    assert spend.accepted
    assert (spend.budget.state, str(spend.budget.remaining)) == (BudgetState.EXHAUSTED, "0.00")
    refused = await session.track_budget("c-1", Decimal("0.000001"))
    assert not refused.accepted
    assert refused.budget == spend.budget
    assert (await session.track_budget("c-1", Decimal(0))).accepted


async def test_more_than_remains_is_refused_as_a_whole(session, state):
    state.put_campaign("c-1", Decimal("5.00"))
    refused = await session.track_budget("c-1", Decimal("5.000001"))
    assert not refused.accepted
    assert refused.budget.remaining == Decimal(5)
    assert refused.budget.spent == 0


async def test_no_budget_is_passed_whatever_runs_at_once(session, state):
    state.put_campaign("c-1", Decimal("1.00"))
    spends = await asyncio.gather(
        *(session.track_budget("c-1", Decimal("0.03")) for _ in range(50))
    )
    assert [spend.accepted for spend in spends].count(True) == 33
    assert str((await session.get_budget("c-1")).remaining) == "0.01"


async def test_a_campaign_without_a_limit_pays_always(session, state):
    state.put_campaign("c-1", None, currency="EUR")
    spend = await session.track_budget("c-1", MOST)
    assert spend.accepted
    assert spend.budget.remaining is None
    assert (spend.budget.spent, spend.budget.currency) == (MOST, "EUR")
    assert spend.budget.reserved == 0


async def test_a_campaign_put_anew_keeps_what_it_spent(session, state):
    state.put_campaign("c-1", Decimal("10.00"))
    await session.track_budget("c-1", Decimal("4.00"))
    state.put_campaign("c-1", Decimal("5.00"))
    assert str((await session.get_budget("c-1")).remaining) == "1.00"
    state.put_campaign("c-1", Decimal("3.00"))
    budget = await session.get_budget("c-1")
    assert (str(budget.remaining), budget.state) == ("0.00", BudgetState.EXHAUSTED)


@pytest.mark.parametrize("cents", range(1, 2000, 7))
async def test_a_float_stands_for_the_decimal_that_it_is_written_as(session, state, cents):
    state.put_campaign("c-1", 1000)
    spend = await session.track_budget("c-1", cents / 100)
    assert spend.budget.spent == Decimal(cents) / 100
    assert (await session.track_budget("c-1", 1)).budget.spent == Decimal(cents) / 100 + 1


async def test_a_campaign_that_nobody_put_is_not_found(session):
    for call in (session.get_budget("c-9"), session.track_budget("c-9", Decimal(1))):
        with pytest.raises(CampaignNotFound, match=r'^no campaign has the id "c-9"$') as caught:
            await call
        assert caught.value.metadata == {"campaign_id": "c-9"}
        assert caught.value.status == "NOT_FOUND"


@pytest.mark.parametrize(
    ("amount", "violation"),
    [
        (Decimal("0.0000001"), "amount: expected at most 6 decimals, got 1E-7"),
        (Decimal("1.9999999"), "amount: expected at most 6 decimals, got 1.9999999"),
        (Decimal("1E-1000000"), "amount: expected at most 6 decimals, got 1E-1000000"),
        (Decimal("-0.01"), f"amount: expected 0 to {MOST}, got -0.01"),
        (MOST + Decimal("1E-6"), f"amount: expected 0 to {MOST}, got 9223372036854.775808"),
        (Decimal("1E+1000000"), f"amount: expected 0 to {MOST}, got 1E+1000000"),
        (Decimal("NaN"), f"amount: expected 0 to {MOST}, got NaN"),
        (Decimal("sNaN"), f"amount: expected 0 to {MOST}, got sNaN"),
        (Decimal("Infinity"), f"amount: expected 0 to {MOST}, got Infinity"),
        (Decimal("1." + "0" * 50 + "1"), f"amount: expected at most 6 decimals, got 1.{'0' * 50}1"),
        (0.1 + 0.2, "amount: expected at most 6 decimals, got 0.30000000000000004"),
        (float("nan"), f"amount: expected 0 to {MOST}, got NaN"),
        (True, 'amount: expected a number, such as Decimal("2.50"), got bool'),
        ("2.50", 'amount: expected a number, such as Decimal("2.50"), got str'),
        (None, 'amount: expected a number, such as Decimal("2.50"), got NoneType'),
    ],
)  # fmt: skip
async def test_what_is_no_amount_is_refused(session, state, amount, violation):
    state.put_campaign("c-1", None)
    with pytest.raises(InvalidField) as caught:
        await session.track_budget("c-1", amount)
    assert str(caught.value) == violation
    assert (await session.get_budget("c-1")).spent == 0


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        ("0", 0),
        ("-0", 0),
        ("2.50", 2_500_000),
        ("0.000001", 1),
        ("1.9999", 1_999_900),
        ("2.5000000000", 2_500_000),
        ("1E+3", 1_000_000_000),
        ("0E-1000", 0),
        (str(MOST), 2**63 - 1),
    ],
)
def test_amounts_are_whole_micros(amount, micros):
    assert micros_told(Decimal(amount)) == micros


@given(st.integers(0, 2**63 - 1))
def test_micros_and_amounts_name_the_same_money(micros):
    amount = to_decimal(micros)
    assert Fraction(amount) * 1_000_000 == micros
    assert micros_told(amount) == micros
