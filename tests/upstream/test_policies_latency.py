"""Latency that is learned, and what is made of it."""

import random

import pytest

from xsp_server.upstream.policies import (
    Hedge,
    HedgeSettings,
    LatencySettings,
    LatencyWindow,
    LearnedTimeout,
    LearnedTimeoutSettings,
)

STEP = 1.05
"""Buckets are 5 % wide: what is read back may be that much more."""


def window(**settings):
    return LatencyWindow(LatencySettings.model_validate({"least_calls": 1, **settings}))


def filled(*groups, **settings):
    """A window with (count, ms, answered) in it, shuffled."""
    calls = [(ms, answered) for count, ms, answered in groups for _ in range(count)]
    random.Random(1).shuffle(calls)
    made = window(calls=max(len(calls), 20), **settings)
    for ms, answered in calls:
        made.observe(0.0, ms, answered=answered)
    return made


def about(ms):
    """A time as it is read back from its bucket."""
    return pytest.approx(ms * STEP**0.5, rel=STEP**0.5 - 1 + 1e-9)


def test_a_share_of_calls_takes_as_long_as_the_slowest_of_them():
    curve = filled((90, 20, True), (9, 50, True), (1, 300, True)).curve(0.0)
    assert curve.wait_for(0.5) == about(20)
    assert curve.wait_for(0.9) == about(20)
    assert curve.wait_for(0.95) == about(50)
    assert curve.wait_for(0.999) == about(300)
    assert curve.share_within(20) == pytest.approx(0.9)
    assert curve.share_within(19) == 0
    assert curve.share_within(280) == pytest.approx(0.99)


@pytest.mark.parametrize("ms", [0.001, 0.1, 1, 20, 199.9, 1234.5, 59_999])
def test_a_latency_is_known_to_five_percent(ms):
    read = filled((10, ms, True)).curve(0.0).wait_for(1.0)
    assert max(ms, 0.1) <= read <= max(ms, 0.1) * STEP


def test_what_takes_longer_than_a_minute_takes_a_minute():
    assert filled((10, 1e9, True)).curve(0.0).wait_for(1.0) == about(60_000)


def test_a_call_that_was_cut_off_says_that_it_takes_longer():
    """Half the calls were cut at 30 ms; of those that were not, half took 20 ms, half 200."""
    curve = filled((25, 20, True), (25, 200, True), (50, 30, False)).curve(0.0)
    # 25 of 100 are in by 20 ms; of the 75 left 50 are cut, and all of the other 25 take 200 ms
    assert curve.share_within(30) == pytest.approx(0.25)
    assert curve.share_within(200) == pytest.approx(1.0)


def test_cut_calls_do_not_change_the_estimate():
    """Whoever is cut, at random, what is found is the latency of all (Kaplan and Meier)."""
    chance = random.Random(7)
    made = window(calls=20_000)
    for _ in range(20_000):
        ms, cut = chance.lognormvariate(3.5, 0.7), chance.uniform(5, 200)
        made.observe(0.0, min(ms, cut), answered=ms <= cut)
    curve = made.curve(0.0)
    for share, ms in ((0.25, 20.6), (0.5, 33.1), (0.9, 81.2)):
        assert curve.wait_for(share) == pytest.approx(ms, rel=0.08)


def test_calls_that_are_never_answered_leave_the_share_short_of_the_whole():
    curve = filled((60, 20, True), (40, 280, False)).curve(0.0)
    assert curve.share_within(1e6) == pytest.approx(0.6)
    assert curve.wait_for(0.6) == about(20)
    assert curve.wait_for(0.61) is None


def test_nothing_is_known_before_enough_calls():
    made = window(least_calls=3)
    for _ in range(2):
        made.observe(0.0, 20, answered=True)
        assert made.curve(0.0) is None
    made.observe(0.0, 20, answered=True)
    assert made.curve(0.0) is not None


def test_only_the_last_calls_count():
    made = window(calls=100)
    for ms in [200] * 500 + [20] * 100:
        made.observe(0.0, ms, answered=True)
    assert len(made) == 100
    assert made.curve(0.0).wait_for(1.0) == about(20)


def test_calls_are_forgotten_after_their_time():
    made = window(seconds=60)
    made.observe(0.0, 200, answered=True)
    made.observe(30.0, 20, answered=True)
    assert made.curve(60.0).wait_for(1.0) == about(200)
    assert made.curve(60.1).wait_for(1.0) == about(20)
    assert made.curve(90.1) is None
    assert len(made) == 0


def test_the_curve_is_drawn_anew_when_a_thirtieth_of_the_window_has_changed():
    made = filled((300, 20, True), (1, 20, True))
    drawn = made.curve(0.0)
    for _ in range(5):  # each brings one call and drops one
        made.observe(0.0, 40, answered=True)
        assert made.curve(0.0) is drawn
    made.observe(0.0, 40, answered=True)
    assert made.curve(0.0) is not drawn


def test_memory_is_bounded_by_the_calls_that_are_remembered():
    made = window(calls=50)
    for number in range(10_000):
        made.observe(number / 1000, number % 700, answered=number % 3 > 0)
    assert len(made) == len(made._calls) == 50
    assert sum(made._answered) + sum(made._unanswered) == 50


def learned(made, **settings):
    settings = LearnedTimeoutSettings.model_validate({"enabled": True, **settings})
    return LearnedTimeout(settings, made)


def test_a_bidder_is_waited_for_as_long_as_all_but_its_slowest_few_take():
    made = filled((96, 20, True), (4, 200, True))
    assert learned(made, slow_share=0.05, slack=1.5).timeout_ms(0.0) == about(30)
    assert learned(made, slow_share=0.03, slack=1.5).timeout_ms(0.0) == about(300)


def test_it_is_never_more_than_the_bound_nor_less_than_the_least():
    slow, quick = filled((100, 90, True)), filled((100, 2, True))
    assert learned(slow, max_ms=100).timeout_ms(0.0) == 100
    assert learned(quick, min_ms=15).timeout_ms(0.0) == 15


def test_a_bidder_slower_than_the_bound_is_waited_for_no_longer_than_the_least():
    made = filled((98, 200, True), (2, 90, True))
    assert learned(made, min_ms=12, max_ms=100).timeout_ms(0.0) == 12
    assert learned(made, min_ms=12, max_ms=100, slow_share=0.01).timeout_ms(0.0) == 100


def test_of_a_bidder_that_is_half_quick_and_half_too_slow_the_quick_half_is_waited_for():
    made = filled((50, 20, True), (50, 200, True))
    assert learned(made, max_ms=100, slack=1.5).timeout_ms(0.0) == about(30)


def test_a_bidder_that_never_answers_is_waited_for_no_longer_than_the_least():
    assert learned(filled((100, 280, False)), min_ms=10).timeout_ms(0.0) == 10


def test_before_anything_is_learned_the_bound_holds():
    assert learned(window(least_calls=50), max_ms=120).timeout_ms(0.0) == 120
    assert learned(window(least_calls=50)).timeout_ms(0.0) is None


def test_what_was_learned_is_forgotten_with_the_calls():
    made = window(seconds=60)
    for _ in range(100):
        made.observe(0.0, 20, answered=True)
    timeout = learned(made, max_ms=150)
    assert timeout.timeout_ms(1.0) == about(30)
    assert timeout.timeout_ms(61.0) == 150


def test_a_bidder_that_recovers_has_its_timeout_back_within_a_tenth_of_the_window():
    made = window(calls=1000)
    timeout = learned(made, max_ms=100)
    for _ in range(1000):
        made.observe(0.0, 200, answered=True)
    assert timeout.timeout_ms(0.0) == 10
    for _ in range(100):
        made.observe(0.0, 20, answered=True)
    assert timeout.timeout_ms(0.0) == about(30)


def hedge(made, **settings):
    return Hedge(HedgeSettings.model_validate({"enabled": True, **settings}), made)


def delays(hedged, count):
    return [hedged.delay_ms(0.0) for _ in range(count)]


def test_a_second_try_starts_when_the_first_takes_longer_than_most():
    made = filled((95, 20, True), (5, 200, True))
    assert delays(hedge(made, after_share=0.9, share=0.5), 2) == [None, about(20)]


def test_a_second_try_starts_no_sooner_than_the_least():
    assert delays(hedge(filled((50, 2, True)), min_ms=7, share=0.5), 2)[-1] == 7


def test_nothing_known_no_second_try():
    assert set(delays(hedge(window(least_calls=5), share=0.5), 9)) == {None}


def test_no_second_try_where_too_few_are_ever_answered():
    assert set(delays(hedge(filled((50, 9, True), (50, 90, False)), share=0.5), 9)) == {None}


def test_second_tries_keep_to_their_share():
    hedged = hedge(filled((50, 20, True)), share=0.05)
    tries = sum(hedged.delay_ms(0.0) is not None and hedged.take() for _ in range(10_000))
    assert tries == pytest.approx(500, abs=1)


def test_after_a_calm_time_no_more_than_ten_come_in_a_row():
    hedged = hedge(filled((50, 20, True)), share=0.5)
    delays(hedged, 1000)
    assert sum(hedged.take() for _ in range(100)) == 10
