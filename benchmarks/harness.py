"""Honest timing on a noisy machine: rounds of every candidate in turn, medians compared.

results = compare({"ours": parse_ours, "json_format": parse_theirs}, rounds=30)
results["ours"].median, ratio(results, "json_format", "ours")
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUND_SECONDS = 0.05
"""How long a round of one candidate takes, about: longer than a time slice of the machine."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds a call, over all rounds.

    Attributes:
        median: of the rounds.
        p10: a good round.
        p90: a bad one; far from p10, the machine was busy.
    """

    median: float
    p10: float
    p90: float


def compare(candidates: Mapping[str, Callable[[], object]], rounds: int = 30) -> dict[str, Timing]:
    """Times each candidate in interleaved rounds, after one that only warms up."""
    counts = {name: _calibrate(call) for name, call in candidates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            count = counts[name]
            started = time.perf_counter()
            for _ in range(count):
                call()
            seconds[name].append((time.perf_counter() - started) / count)
    return {name: timing(values) for name, values in seconds.items()}


def timing(seconds: list[float]) -> Timing:
    """Median and spread of at least two measurements."""
    deciles = statistics.quantiles(seconds, n=10, method="inclusive")
    return Timing(statistics.median(seconds), deciles[0], deciles[-1])


def ratio(results: Mapping[str, Timing], slow: str, fast: str) -> float:
    """How many times as fast one is as the other."""
    return results[slow].median / results[fast].median


def _calibrate(call: Callable[[], object]) -> int:
    """Calls that fill a round."""
    count = 1
    while True:
        started = time.perf_counter()
        for _ in range(count):
            call()
        took = time.perf_counter() - started
        if took >= ROUND_SECONDS / 4:
            return max(round(count * ROUND_SECONDS / took), 1)
        count *= 2
