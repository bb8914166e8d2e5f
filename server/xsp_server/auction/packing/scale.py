"""Values, seconds and the order of ads as one number, in which bounds and regrets are exact."""

from collections.abc import Sequence
from dataclasses import dataclass

from xsp_server.auction.packing.prices import FRACTION_BITS, Tier
from xsp_server.auction.packing.problem import KINDS, SECONDS, Partial, Problem

Choice = tuple[int, int | None]
"""The regret of taking an ad of a stage, and the ad's index; None: of taking none."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the number: the value of a class, or seconds and order.

    Attributes:
        weights: by ad, what it adds to a packing.
        reduced: by ad, that less the price of what it uses.
        prices: of the problem's things.
    """

    weights: list[int]
    reduced: list[int]
    prices: list[int]

    def top(self, stage: Sequence[int]) -> int:
        """The most that an ad of a stage adds; taking none adds 0."""
        return max([0, *(self.reduced[index] for index in stage)])


class Scale:
    """The weight of packings, and the bound that prices set.

    A weight has in its highest bits the value of the greatest class, below it those of the other
    classes, then the seconds, then a bit for each ad, the first ad in the highest: comparing sums
    of weights compares packings. Below each value there are `FRACTION_BITS` more, as prices have
    fractions. The value of a packing has none, so they count for nothing when bounds are compared
    (`whole` cuts them off), but they add up on the way.

    Attributes:
        whole: the bits of a bound that count when it is compared.
        order_bits: how many of the lowest bits are those of seconds and order.
        bound: no packing weighs more.
        stages: the choices of each stage, the least regret first.
        prices: by thing, what it costs the bound when one of it is left over.
    """

    def __init__(self, problem: Problem, tiers: Sequence[Tier], start: Partial) -> None:
        """Lays out the parts of the number, each wide enough for its bound.

        Args:
            problem: what is packed.
            tiers: the classes, the greatest first, with their prices.
            start: what has to be in the packing.
        """
        self._tiers = tiers
        left = problem.left(start.state)
        given = problem.indexes(start.chosen)
        stages = [[i for i in stage if problem.may_add(start, i)] for stage in problem.stages]
        parts = [*(_value_part(problem, tier) for tier in tiers), _order_part(problem)]
        bounds = [
            sum(part.weights[index] for index in given)
            + sum(n * price for n, price in zip(left, part.prices, strict=True))
            + sum(map(part.top, stages))
            for part in parts
        ]
        widths = [bound.bit_length() + 1 for bound in bounds]
        shifts = [sum(widths[place + 1 :]) for place in range(len(parts))]
        self._values = list(zip(shifts[:-1], widths[:-1], strict=True))
        self.order_bits = widths[-1]
        fractions = sum(((1 << FRACTION_BITS) - 1) << shift for shift, _ in self._values)
        self.whole = ~fractions
        self.bound = _joined(bounds, shifts)
        self._weights = [
            _joined([part.weights[index] for part in parts], shifts)
            for index in range(len(problem.ads))
        ]
        self.prices = [
            _joined([part.prices[thing] for part in parts], shifts)
            for thing in range(len(problem.capacity))
        ]
        self.stages = [list(_choices(stage, parts, shifts)) for stage in stages]

    def weigh(self, indexes: Sequence[int]) -> int:
        """The weight of a set of ads."""
        return sum(self._weights[index] for index in indexes)

    def gap(self, bound: int, weight: int) -> int:
        """How far a bound is above a weight, in the greatest class where it is; 0: in none."""
        for tier, (shift, width) in zip(self._tiers, self._values, strict=True):
            over, value = (
                (number >> shift & ((1 << width) - 1)) >> FRACTION_BITS
                for number in (bound, weight)
            )
            if over > value:
                return (over - value) * tier.unit
        return 0


def _joined(amounts: Sequence[int], shifts: Sequence[int]) -> int:
    return sum(amount << shift for amount, shift in zip(amounts, shifts, strict=True))


def _choices(stage: Sequence[int], parts: Sequence[_Part], shifts: Sequence[int]) -> list[Choice]:
    """What each choice loses against the best ad of the stage, part by part."""
    tops = [part.top(stage) for part in parts]
    choices: list[Choice] = [(_joined(tops, shifts), None)]
    for index in stage:
        lost = [top - part.reduced[index] for top, part in zip(tops, parts, strict=True)]
        choices.append((_joined(lost, shifts), index))
    return sorted(choices, key=lambda choice: choice[0])


def _value_part(problem: Problem, tier: Tier) -> _Part:
    count = len(problem.ads)
    weights = [tier.values.get(index, 0) << FRACTION_BITS for index in range(count)]
    return _Part(weights, _less_prices(problem, weights, tier.prices), tier.prices)


def _order_part(problem: Problem) -> _Part:
    """Seconds above the bits of the ads.

    Where ads could overfill a break, every second of it is expected to be filled and costs as much
    as it brings: what counts is then which seconds stay empty, and the order is seen at once.
    """
    count = len(problem.ads)
    weights = [(ad.seconds << count) + problem.bit(i) for i, ad in enumerate(problem.ads)]
    prices = [0] * len(problem.capacity)
    for place, room in enumerate(problem.breaks):
        thing = problem.room_things.get(KINDS * place + SECONDS)
        if thing is not None and _longest(problem, place, room.ads) > room.seconds:
            prices[thing] = 1 << count
    return _Part(weights, _less_prices(problem, weights, prices), prices)


def _longest(problem: Problem, place: int, most: int) -> int:
    """How many seconds the longest ads for a break have, one of each stage."""
    ads = problem.ads
    lengths = (
        max((ads[index].seconds for index in stage if ads[index].room == place), default=0)
        for stage in problem.stages
    )
    return sum(sorted(lengths, reverse=True)[:most])


def _less_prices(problem: Problem, weights: Sequence[int], prices: Sequence[int]) -> list[int]:
    return [
        weight - sum(amount * prices[thing] for thing, amount in claims)
        for weight, claims in zip(weights, problem.claims, strict=True)
    ]
