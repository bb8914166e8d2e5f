"""What scarce things are worth to the ads of one class."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xsp_server.auction.packing.problem import Partial, Problem

FRACTION_BITS = 16
"""Prices are whole numbers of this fraction of a unit of value."""

# What converges best on pods of 60 bids and 12 slots; any other numbers give valid prices, too.
_STEPS = 48
_TRY_EVERY = 8
_PATIENCE = 4
_SHORTEN = 0.6
_MOMENTUM = 0.5

_NOTHING: Sequence[tuple[int, int]] = ()


class Tier:
    """The ads of one class: their values, the prices that these set, and a good packing of them.

    Attributes:
        unit: what one unit of `values` is worth in that of the ads.
        values: by index.
        prices: of the problem's things, in fractions of a unit.
        best: the best packing met, on top of what the greater classes have.
    """

    def __init__(self, problem: Problem, rank_class: int, start: Partial) -> None:
        """Takes what is left by the greater classes: as they go first, prices are for the rest."""
        ads = problem.ads
        own = [index for index, ad in enumerate(ads) if ad.rank_class == rank_class]
        self.unit = math.gcd(*(ads[index].value for index in own))
        self.values = {index: ads[index].value // self.unit for index in own}
        self.prices = [0] * len(problem.capacity)
        self.best = start
        self._best_worth = (0, 0, start.chosen)
        self._problem = problem
        self._start = start
        self._left = problem.left(start.state)
        self._open = {index for index in own if problem.may_add(start, index)}
        stages = ([index for index in stage if index in self._open] for stage in problem.stages)
        self._stages = [
            [(index, float(self.values[index]), problem.claims[index]) for index in stage]
            for stage in stages
            if stage
        ]

    def find_prices(self) -> None:
        """Prices that bound the value of the class closely: subgradient steps of Polyak's length.

        A step raises the prices of what is wanted more than there is and lowers the others. It
        keeps some of the direction of the steps before, and gets shorter when nothing improves.
        """
        seconds = [max(ad.seconds, 1) for ad in self._problem.ads]
        self._try({index: self.values[index] for index in self._open})
        self._try({index: self.values[index] / seconds[index] for index in self._open})
        capacity = self._problem.capacity
        direction = [0.0] * len(capacity)
        best = now = self._relax(direction)
        length, stalled = 1.0, 0
        for step in range(1, _STEPS + 1):
            if best.bound - self._best_worth[0] < 1 / (1 << FRACTION_BITS):
                break
            direction = [
                (left - used) / n + _MOMENTUM * before
                for left, used, n, before in zip(
                    self._left, now.used, capacity, direction, strict=True
                )
            ]
            now = self._relax(self._step(now, direction, length))
            stalled = 0 if now.bound < best.bound * (1 - 1e-4) else stalled + 1
            if now.bound < best.bound:
                best = now
            if step % _TRY_EVERY == 0:
                self._try(now.reduced)
            if stalled == _PATIENCE:
                length, stalled, now = length * _SHORTEN, 0, best
        self._try(best.reduced)
        self.prices = self._rounded(best)

    def _step(self, now: "_Relaxed", direction: Sequence[float], length: float) -> Sequence[float]:
        """The prices after a step, none of them below 0."""
        moving = (d * d for d, p in zip(direction, now.prices, strict=True) if d < 0 or p > 0)
        norm = sum(moving)
        if not norm:
            return now.prices
        step = length * (now.bound - 0.999 * self._best_worth[0]) / norm
        return [
            max(0.0, price - step * d / n)
            for price, d, n in zip(now.prices, direction, self._problem.capacity, strict=True)
        ]

    def _relax(self, prices: Sequence[float]) -> "_Relaxed":
        """The bound that prices give: each stage takes its best ad, room or not."""
        bound = sum(left * price for left, price in zip(self._left, prices, strict=True))
        used = [0] * len(prices)
        reduced: dict[int, float] = {}
        for stage in self._stages:
            best, taken = 0.0, _NOTHING
            for index, value, claims in stage:
                rest = value
                for thing, amount in claims:
                    rest -= amount * prices[thing]
                reduced[index] = rest
                if rest > best:
                    best, taken = rest, claims
            bound += best
            for thing, amount in taken:
                used[thing] += amount
        return _Relaxed(prices, bound, reduced, used)

    def _try(self, scores: Mapping[int, float]) -> None:
        """Adds ads by score as long as they fit, and keeps the packing if it is the best so far."""
        problem, partial = self._problem, self._start
        value = seconds = 0
        for index in sorted(scores, key=scores.__getitem__, reverse=True):
            if problem.may_add(partial, index):
                partial = problem.added(partial, index)
                value += self.values[index]
                seconds += problem.ads[index].seconds
        if (value, seconds, partial.chosen) > self._best_worth:
            self._best_worth = value, seconds, partial.chosen
            self.best = partial

    def _rounded(self, best: "_Relaxed") -> list[int]:
        """Prices in whole fractions; rounder ones where that lowers the bound.

        Ads at a few round values, such as those of fixed-price deals, set round prices.
        """
        digit = 10.0 ** math.floor(math.log10(max([1.0, *best.prices])))
        for _ in range(5):
            rounder = self._relax([round(price / digit) * digit for price in best.prices])
            best = min(best, rounder, key=lambda relaxed: relaxed.bound)
            digit /= 10
        return [round(price * (1 << FRACTION_BITS)) for price in best.prices]


@dataclass(frozen=True, slots=True)
class _Relaxed:
    """What prices come to.

    Attributes:
        prices: the prices.
        bound: no packing is worth more.
        reduced: by ad, its value less the price of what it uses.
        used: how much of each thing the best ads of all stages use.
    """

    prices: Sequence[float]
    bound: float
    reduced: dict[int, float]
    used: list[int]
