"""Limits: rates, shares, calls at once, and the order in which they are asked."""

import pytest
from pydantic import ValidationError

from xsp_server.openrtb.reply import NotAsked, Skipped
from xsp_server.upstream.policies import (
    Admission,
    BreakerSettings,
    Health,
    LatencySettings,
    LearnedTimeoutSettings,
    PolicySettings,
    Sampler,
    TokenBucket,
)


def taken(bucket, *times):
    return [bucket.take(time) for time in times]


def test_a_full_bucket_gives_its_burst_and_then_refuses():
    assert taken(TokenBucket(10, burst=3), 5, 5, 5, 5) == [True, True, True, False]


def test_a_bucket_fills_by_its_rate():
    bucket = TokenBucket(10, burst=3)
    taken(bucket, 0, 0, 0)
    assert taken(bucket, 0.05, 0.1, 0.15, 0.2, 0.25) == [False, True, False, True, False]


def test_a_pause_fills_a_bucket_no_further_than_its_burst():
    bucket = TokenBucket(10, burst=2)
    taken(bucket, 0, 0)
    assert taken(bucket, 1000, 1000, 1000) == [True, True, False]


@pytest.mark.parametrize(("qps", "burst"), [(1000, 100), (100, 10), (5, 1), (0.5, 1)])
def test_a_burst_is_a_tenth_of_a_second_unless_told(qps, burst):
    assert TokenBucket(qps).burst == burst


@pytest.mark.parametrize("qps", [0.5, 7, 333])
def test_over_time_a_bucket_gives_its_rate_whatever_is_asked(qps):
    bucket = TokenBucket(qps)
    given = sum(bucket.take(call / 1000) for call in range(60_000))
    assert given == pytest.approx(60 * qps, abs=bucket.burst + 1)


def picked(rate, seed="a", count=20_000):
    sampler = Sampler(rate, seed)
    return {number for number in range(count) if sampler.picks(f"auction-{number}")}


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_a_sampler_picks_its_share(rate):
    assert len(picked(rate)) == pytest.approx(20_000 * rate, abs=4 * (20_000 * rate) ** 0.5)


def test_nothing_of_no_share_and_all_of_the_whole():
    assert not picked(0)
    assert len(picked(1)) == 20_000


def test_the_same_request_is_always_in_or_always_out():
    assert picked(0.3) == picked(0.3)


def test_a_greater_share_only_adds():
    assert picked(0.2) < picked(0.4)


def test_bidders_are_sampled_independently_of_each_other():
    both = picked(0.5, "a") & picked(0.5, "b")
    assert len(both) == pytest.approx(5000, abs=300)


def admission(**settings):
    return Admission("acme", PolicySettings.model_validate(settings))


def reason(admitted):
    return admitted.reason if isinstance(admitted, Skipped) else None


def test_without_settings_everything_is_let_through():
    gate = admission()
    assert [reason(gate.admit("1", 0.0, 0.1)) for _ in range(100)] == [None] * 100


@pytest.mark.parametrize("left", [0.0, -1.0, 0.0299])
def test_with_too_little_time_left_a_bidder_is_not_asked(left):
    skipped = admission(least_time_ms=30).admit("1", 0.0, left)
    assert skipped == Skipped("acme", NotAsked.NO_TIME, f"{max(left, 0) * 1000:.1f} ms were left")
    assert reason(admission(least_time_ms=30).admit("1", 0.0, 0.031)) is None


def test_calls_at_once_are_refused_above_the_limit_until_one_ends():
    gate = admission(max_concurrent=2)
    assert [reason(gate.admit("1", 0.0, 1.0)) for _ in range(3)] == [
        None,
        None,
        NotAsked.CONCURRENCY_LIMIT,
    ]
    gate.attempt_ended()
    assert reason(gate.admit("1", 0.0, 1.0)) is None
    assert not gate.admit_again(0.0)


def test_calls_a_second_are_refused_above_the_limit():
    gate = admission(qps=10, burst=1)
    assert reason(gate.admit("1", 0.0, 1.0)) is None
    assert gate.admit("1", 0.0, 1.0) == Skipped("acme", NotAsked.RATE_LIMIT, "10 calls a second")
    assert not gate.admit_again(0.05)
    assert gate.admit_again(0.1)
    assert reason(gate.admit("1", 0.1, 1.0)) is NotAsked.RATE_LIMIT


def test_what_is_sampled_out_uses_up_no_limit():
    gate = admission(sample_rate=0.5, qps=1, burst=1, max_concurrent=1)
    names = [f"auction-{number}" for number in range(100)]
    first = [reason(gate.admit(name, 0.0, 1.0)) for name in names]
    assert first.count(None) == 1
    assert 30 < first.count(NotAsked.SAMPLED_OUT) < 70
    assert set(first[: first.index(None)]) <= {NotAsked.SAMPLED_OUT}


def test_an_open_breaker_uses_up_no_limit():
    gate = admission(qps=1, burst=2, breaker={"consecutive_failures": 1, "open_seconds": 5})
    entry = gate.admit("1", 0.0, 1.0)
    gate.attempt_ended()
    gate.call_ended(entry, Health.BAD, 0.0)
    assert gate.admit("1", 0.0, 1.0) == Skipped(
        "acme", NotAsked.BREAKER_OPEN, "the breaker is open"
    )
    assert gate.admit_again(0.0)


def test_a_limit_uses_up_no_probe_of_the_breaker():
    gate = admission(
        max_concurrent=1, breaker={"consecutive_failures": 1, "open_seconds": 1, "probes": 1}
    )
    entry = gate.admit("1", 0.0, 1.0)
    gate.call_ended(entry, Health.BAD, 0.0)
    assert reason(gate.admit("1", 2.0, 1.0)) is NotAsked.CONCURRENCY_LIMIT
    gate.attempt_ended()
    probe = gate.admit("1", 2.0, 1.0)
    assert probe.is_probe


def test_without_a_breaker_failures_change_nothing():
    gate = admission(breaker={"enabled": False})
    for _ in range(1000):
        entry = gate.admit("1", 0.0, 1.0)
        gate.attempt_ended()
        gate.call_ended(entry, Health.BAD, 0.0)
    assert reason(gate.admit("1", 0.0, 1.0)) is None


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (PolicySettings, {"burst": 3}, "expected qps together with burst"),
        (PolicySettings, {"sample_rate": 1.1}, "less than or equal to 1"),
        (PolicySettings, {"qsp": 1}, "Extra inputs are not permitted"),
        (LatencySettings, {"calls": 20, "least_calls": 21}, "expected least_calls of at most"),
        (LearnedTimeoutSettings, {"max_ms": 9}, "expected max_ms of at least min_ms"),
        (BreakerSettings, {"max_open_seconds": 1}, "expected max_open_seconds of at least 5"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(model, values, words):
    with pytest.raises(ValidationError, match=words):
        model.model_validate(values)


def test_every_setting_says_what_it_means():
    models = [PolicySettings]
    while models:
        for name, field in models.pop().model_fields.items():
            assert field.description, name
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                models.append(field.annotation)
