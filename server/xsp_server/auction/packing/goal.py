"""What packings are to have the most of: a bound, and what each choice loses against it."""

import math
from collections.abc import Sequence

from xsp_server.auction.packing.problem import Problem
from xsp_server.auction.packing.relaxation import find_prices

GRAIN = 5040
"""Prices are whole numbers of this fraction of a unit: most of them are halves, thirds, fifths."""


class Goal:
    """The value of the ads of a class; of the last class, with the seconds of all ads below it.

    Whatever the prices of the stocks are, `bound` is what all of them cost together, and no packing
    is worth more (Lagrangian relaxation). A packing loses against it the regrets of its ads and the
    prices of what it leaves: `bound` less that is its worth. All are whole numbers, so none of it
    is rounded.

    Attributes:
        worths: by ad, in units.
        bound: in grains of a unit; so are regrets and prices.
        regrets: by ad, the price of what it uses less its worth.
        prices: by stock.
    """

    def __init__(
        self, problem: Problem, rank_class: int, *, last: bool, known: Sequence[int]
    ) -> None:
        """Sets the prices.

        Args:
            problem: what is packed.
            rank_class: whose values count.
            last: whether seconds count, too.
            known: the ads of greater classes, which leave the rest to this one.
        """
        ads = problem.ads
        values = [
            ad.value if fits and ad.rank_class == rank_class else 0
            for ad, fits in zip(ads, problem.fits, strict=True)
        ]
        self._unit = math.gcd(*values) or 1
        values = [value // self._unit for value in values]
        seconds = [
            ad.seconds if fits and last else 0 for ad, fits in zip(ads, problem.fits, strict=True)
        ]
        self._value = 1 + sum(seconds)
        self.worths = [v * self._value + s for v, s in zip(values, seconds, strict=True)]
        left = problem.left(known)
        by_value, by_second = find_prices(problem, left, (values, seconds))
        self.prices = [
            max(0, round(GRAIN * v) * self._value + round(GRAIN * s))
            for v, s in zip(by_value, by_second, strict=True)
        ]
        self.bound = sum(
            stock.capacity * price for stock, price in zip(problem.stocks, self.prices, strict=True)
        )
        losses = [
            sum(amount * self.prices[thing] for thing, amount in claims) - worth * GRAIN
            for claims, worth in zip(problem.claims, self.worths, strict=True)
        ]
        # Where prices are too low for an ad, the bound rises instead.
        self.bound -= sum(loss for loss in losses if loss < 0)
        self.regrets = [max(0, loss) for loss in losses]

    def worth(self, chosen: Sequence[int]) -> int:
        """Of a set of ads, in units."""
        return sum(self.worths[index] for index in chosen)

    def gap(self, bound: int, chosen: Sequence[int]) -> int:
        """How much value a set of ads lacks to a bound in units, in the unit of the ads."""
        return (bound // self._value - self.worth(chosen) // self._value) * self._unit
