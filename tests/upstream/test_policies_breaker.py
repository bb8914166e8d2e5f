"""The circuit breaker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsp_server.openrtb.reply import Outcome, Reply
from xsp_server.upstream.policies import BreakerSettings, BreakerState, CircuitBreaker, Health
from xsp_server.upstream.policies import health as health_of

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
GOOD, BAD, UNKNOWN = Health.GOOD, Health.BAD, Health.UNKNOWN


def breaker(on_change=None, **settings):
    return CircuitBreaker(BreakerSettings.model_validate(settings), on_change)


def call(broken, health, now):
    """A call that enters and leaves at once; whether it was let in."""
    if not broken.admits(now):
        return False
    broken.leave(broken.enter(), health, now)
    return True


def opened(on_change=None, at=0.0, **settings):
    """A breaker that one failure has opened."""
    broken = breaker(on_change, consecutive_failures=1, **settings)
    call(broken, BAD, at)
    assert broken.state is OPEN
    return broken


def test_failures_in_a_row_open_it():
    broken = breaker(consecutive_failures=3)
    for health in (BAD, BAD, GOOD, BAD, BAD):
        call(broken, health, 0.0)
    assert broken.state is CLOSED
    call(broken, BAD, 0.0)
    assert broken.state is OPEN


def test_calls_that_tell_nothing_neither_break_nor_make_a_row():
    broken = breaker(consecutive_failures=3)
    for health in (BAD, UNKNOWN, BAD, UNKNOWN, UNKNOWN):
        call(broken, health, 0.0)
    assert broken.state is CLOSED
    call(broken, BAD, 0.0)
    assert broken.state is OPEN


def test_a_share_of_failures_opens_it_without_a_row():
    broken = breaker(failure_rate=0.5, least_calls=10, consecutive_failures=100)
    for number in range(9):
        call(broken, (BAD, GOOD)[number % 2], number / 10)
    assert broken.state is CLOSED
    call(broken, GOOD, 0.9)  # the tenth call: five of ten, but a success opens nothing
    assert broken.state is CLOSED
    call(broken, BAD, 0.9)
    assert broken.state is OPEN


def test_a_smaller_share_of_failures_does_not_open_it():
    broken = breaker(failure_rate=0.5, least_calls=10, consecutive_failures=100)
    for number in range(1000):
        call(broken, BAD if number % 5 > 2 else GOOD, number / 100)
    assert broken.state is CLOSED


def test_failures_older_than_the_window_are_forgotten():
    broken = breaker(failure_rate=0.5, least_calls=10, window_seconds=10, consecutive_failures=100)
    for _ in range(9):
        call(broken, BAD, 0.5)
    for _ in range(10):
        call(broken, GOOD, 9.5)
    call(broken, BAD, 10.5)
    assert broken.state is CLOSED  # 1 of 11; with the old ones it were 10 of 20
    for _ in range(9):
        call(broken, BAD, 10.5)
    assert broken.state is OPEN


def test_an_open_one_lets_nothing_in_until_its_time_is_over():
    broken = opened(at=100.0, open_seconds=5)
    assert not broken.admits(100.0)
    assert not broken.admits(104.999)
    assert broken.admits(105.0)
    assert broken.state is HALF_OPEN


def test_half_open_it_lets_in_only_as_many_probes_as_it_needs():
    broken = opened(open_seconds=5, probes=2)
    assert broken.admits(5.0)
    first, second = broken.enter(), broken.enter()
    assert first.is_probe
    assert not broken.admits(5.0)
    broken.leave(first, GOOD, 5.1)
    assert not broken.admits(5.1)
    broken.leave(second, GOOD, 5.1)
    assert broken.state is CLOSED
    assert not broken.enter().is_probe


def test_a_probe_that_tells_nothing_gives_its_place_to_another():
    broken = opened(open_seconds=5, probes=1)
    assert call(broken, UNKNOWN, 5.0)
    assert broken.state is HALF_OPEN
    assert call(broken, GOOD, 5.0)
    assert broken.state is CLOSED


def test_each_time_that_a_probe_fails_it_stays_open_twice_as_long_up_to_the_limit():
    broken = opened(open_seconds=5, max_open_seconds=30, probes=1)
    now = 0.0
    for seconds in (5, 10, 20, 30, 30):
        assert not broken.admits(now + seconds - 0.001)
        now += seconds
        assert call(broken, BAD, now)
        assert broken.state is OPEN
    now += 30
    assert call(broken, GOOD, now)
    call(broken, BAD, now)
    assert broken.state is OPEN
    assert broken.admits(now + 5)  # having been well, it starts anew


def test_calls_of_an_earlier_state_say_nothing_about_the_present_one():
    broken = breaker(consecutive_failures=2, open_seconds=5, probes=1)
    old = [broken.enter() for _ in range(4)]
    broken.leave(old[0], BAD, 0.0)
    broken.leave(old[1], BAD, 0.0)
    assert broken.state is OPEN
    assert broken.admits(5.0)
    broken.leave(old[2], GOOD, 5.0)
    assert broken.state is HALF_OPEN
    broken.leave(broken.enter(), GOOD, 5.0)
    broken.leave(old[3], BAD, 5.0)
    call(broken, BAD, 5.0)
    assert broken.state is CLOSED


def test_having_closed_it_has_forgotten_what_was():
    broken = breaker(consecutive_failures=3, failure_rate=0.5, least_calls=4, probes=1)
    for _ in range(3):
        call(broken, BAD, 0.0)
    call(broken, GOOD, 5.0)
    assert broken.state is CLOSED
    call(broken, BAD, 5.0)
    call(broken, BAD, 5.0)
    assert broken.state is CLOSED


def test_every_change_is_told():
    states = []
    broken = opened(states.append, open_seconds=1, probes=1)
    call(broken, BAD, 1.0)
    call(broken, GOOD, 3.0)
    assert states == [OPEN, HALF_OPEN, OPEN, HALF_OPEN, CLOSED]


@given(st.lists(st.tuples(st.sampled_from(Health), st.floats(0, 3), st.booleans()), max_size=200))
def test_whatever_happens_it_comes_back(events):
    """No course of calls leaves it shut for ever, or with more probes under way than it may."""
    broken = breaker(consecutive_failures=3, open_seconds=1, max_open_seconds=4, probes=2)
    now, inside = 0.0, []
    for health, seconds, stay in events:
        now += seconds
        if broken.admits(now):
            inside.append((broken.enter(), health))
            probes = [entry for entry, _ in inside if entry is inside[-1][0] and entry.is_probe]
            assert len(probes) <= 2
        if inside and not stay:
            broken.leave(*inside.pop(0), now)
    for entry, health in inside:
        broken.leave(entry, health, now)
    now += 4
    for _ in range(2):
        if broken.state is not CLOSED:
            assert call(broken, GOOD, now)
    assert broken.state is CLOSED


def shown(outcome, *, in_time=True, had_ms=100.0, **statuses):
    reply = Reply("a", outcome, 1.0, **statuses)
    return health_of(reply, in_time=in_time, had_ms=had_ms, timeout_from_ms=50)


@pytest.mark.parametrize(
    ("outcome", "statuses", "expected"),
    [
        (Outcome.BIDS, {}, GOOD),
        (Outcome.NO_BID, {}, GOOD),
        (Outcome.UNREACHABLE, {}, BAD),
        (Outcome.INVALID_RESPONSE, {}, BAD),
        (Outcome.ERROR, {}, BAD),
        (Outcome.ERROR, {"http_status": 500}, BAD),
        (Outcome.ERROR, {"http_status": 503}, BAD),
        (Outcome.ERROR, {"http_status": 302}, BAD),
        (Outcome.ERROR, {"http_status": 400}, GOOD),
        (Outcome.ERROR, {"http_status": 404}, GOOD),
        (Outcome.ERROR, {"http_status": 408}, BAD),
        (Outcome.ERROR, {"http_status": 429}, BAD),
        (Outcome.ERROR, {"grpc_status": "INVALID_ARGUMENT"}, GOOD),
        (Outcome.ERROR, {"grpc_status": "UNIMPLEMENTED"}, GOOD),
        (Outcome.ERROR, {"grpc_status": "RESOURCE_EXHAUSTED"}, BAD),
        (Outcome.ERROR, {"grpc_status": "INTERNAL"}, BAD),
        (Outcome.TIMEOUT, {}, BAD),
    ],
)
def test_what_the_end_of_a_call_says_about_the_bidder(outcome, statuses, expected):
    assert shown(outcome, **statuses) is expected


def test_a_timeout_with_little_time_tells_nothing():
    assert shown(Outcome.TIMEOUT, had_ms=49.9) is UNKNOWN
    assert shown(Outcome.TIMEOUT, had_ms=50) is BAD


def test_an_answer_after_the_deadline_is_a_timeout():
    assert shown(Outcome.BIDS, in_time=False) is BAD
    assert shown(Outcome.BIDS, in_time=False, had_ms=49.9) is UNKNOWN
