"""The way to the best packing: partial ones in the order of their bounds."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from xsp_server.auction.packing.fillable import MOST_SECONDS, Fillable
from xsp_server.auction.packing.prices import FRACTION_BITS, Tier
from xsp_server.auction.packing.problem import ADS, KINDS, SECONDS, Partial, Problem
from xsp_server.auction.packing.scale import Choice, Scale

_DIVES = 50
"""How many partial packings are completed when a search is cut short."""

_CLEAR_BITS = 3
"""Regrets that differ by less than an eighth of a unit of value are as good as equal."""


@dataclass(frozen=True, slots=True)
class Packing:
    """A set of ads that fit together.

    Attributes:
        chosen: their indexes, ascending.
        exact: whether no set is better.
        gap: how much the value of a class might lack to the best, at most; of the greatest class
            whose bound is above its value. 0 when exact.
    """

    chosen: tuple[int, ...]
    exact: bool = True
    gap: int = 0


@dataclass(frozen=True, slots=True)
class _Stage:
    """A set of ads of which a packing has one at most.

    Attributes:
        choices: an ad of it or none, the least regret first: the regret, the labels that it sets
            and the room that it takes.
        closing: labels that no later stage wants, as bits of a state, and their price.
        open: the bits of a state that later stages look at.
    """

    choices: tuple[tuple[int, int, int], ...]
    closing: tuple[tuple[int, int], ...]
    open: int


class Search:
    """A* search over stages, in whole numbers: nothing is rounded."""

    def __init__(
        self, problem: Problem, tiers: Sequence[Tier], start: Partial, known: Partial
    ) -> None:
        """Works out the bound and the regret of every choice.

        Args:
            problem: what is packed.
            tiers: the classes, the greatest first, with their prices.
            start: what has to be in the packing.
            known: the best packing known.
        """
        self._problem = problem
        self._start = start
        self._scale = scale = Scale(problem, tiers, start)
        self._best = scale.weigh(problem.indexes(known.chosen))
        self._bound = scale.bound
        self._room_prices = [
            (kind, scale.prices[thing])
            for kind, thing in problem.room_things.items()
            if scale.prices[thing]
        ]
        stages = self._hopeful_stages()
        self._stages = self._connect(stages)
        self._breaks = self._find_fillable(stages)

    def run(self, limit: int) -> Packing:
        """The best packing, or the best found once `limit` partial ones have been looked at."""
        bound = self._look(limit)
        chosen = self._problem.indexes(self._best & ((1 << len(self._problem.ads)) - 1))
        if bound <= self._best:
            return Packing(chosen)
        return Packing(chosen, exact=False, gap=self._scale.gap(bound, self._best))

    def _hopeful_stages(self) -> list[list[Choice]]:
        """The stages, each with the choices that can lead to something better than is known.

        Those with the clearest choice come first, so that the others have fewer ways to begin with.
        Where choices are as good as equal, those with the first ads come first: they decide ties.
        """
        scale = self._scale
        equal = scale.order_bits + FRACTION_BITS - _CLEAR_BITS

        def clearness(stage: list[Choice]) -> tuple[int, int]:
            second = stage[1][0] >> equal if len(stage) > 1 else 0
            return -second, min((i for _, i in stage if i is not None), default=0)

        return [
            [choice for choice in stage if self._bound - choice[0] & scale.whole > self._best]
            for stage in sorted(scale.stages, key=clearness)
        ]

    def _connect(self, stages: Sequence[list[Choice]]) -> list[_Stage]:
        """Finds where each label is wanted for the last time: its price is lost there if unused."""
        problem = self._problem
        prices = {
            1 << (problem.label_shift + label): self._scale.prices[thing]
            for label, thing in problem.label_things.items()
            if self._scale.prices[thing]
        }
        unused = dict(prices)
        connected: list[_Stage] = []
        later = 0
        for stage in reversed(stages):
            choices = [
                (regret, 0, 0)
                if index is None
                else (regret, problem.labels[index], problem.takes[index])
                for regret, index in stage
            ]
            here = 0
            for _, labels, _ in choices:
                here |= labels
            closing = [(bit, unused.pop(bit)) for bit in prices if bit & here and bit in unused]
            room = (1 << problem.label_shift) - 1
            connected.append(_Stage(tuple(choices), tuple(closing), later | room))
            later |= here
        self._bound -= sum(price for bit, price in unused.items() if not self._start.state & bit)
        return connected[::-1]

    def _find_fillable(self, stages: Sequence[list[Choice]]) -> list[tuple[int, int, Fillable]]:
        """The breaks whose seconds have a price: the break, the price, and what can fill it."""
        problem, found = self._problem, []
        prices = dict(self._room_prices)
        for place, room in enumerate(problem.breaks):
            price = prices.get(KINDS * place + SECONDS)
            if price is not None and room.seconds <= MOST_SECONDS:
                here = [
                    {
                        problem.ads[i].seconds
                        for _, i in stage
                        if i is not None and problem.ads[i].room == place
                    }
                    for stage in stages
                ]
                found.append((KINDS * place, price, Fillable(here, room)))
        return found

    def _look(self, limit: int) -> int:
        """Goes on until no bound is above the best packing.

        Returns:
            The greatest bound that is left.
        """
        guards, whole, last = self._problem.guards, self._scale.whole, len(self._stages)
        heap = [(-(self._bound & whole), 0, self._start.state, self._bound)]
        seen: list[dict[int, int]] = [{} for _ in self._stages]
        while heap and -heap[0][0] > self._best:
            if not limit:
                return self._dive(heap)
            limit -= 1
            _, place, state, bound = heapq.heappop(heap)
            if seen[place].get(state, bound) > bound:
                continue
            stage = self._stages[place]
            place += 1
            for regret, labels, takes in stage.choices:
                after = state - takes
                if state & labels or after & guards != guards:
                    continue
                after |= labels
                rest = bound - regret
                for bit, price in stage.closing:
                    if not after & bit:
                        rest -= price
                after &= stage.open
                if place == last:
                    self._best = max(self._best, rest - self._unused_room(after))
                    continue
                hope = rest - self._unfillable_room(place, after) & whole
                if hope > self._best and seen[place].get(after, -1) < rest:
                    seen[place][after] = rest
                    heapq.heappush(heap, (-hope, place, after, rest))
        return 0

    def _dive(self, heap: list[tuple[int, int, int, int]]) -> int:
        """Completes the most hopeful partial packings by the choices of least regret.

        Returns:
            The greatest bound that is left.
        """
        for _, place, state, bound in heapq.nsmallest(_DIVES, heap):
            self._best = max(self._best, self._complete(place, state, bound))
        return -heap[0][0]

    def _complete(self, place: int, state: int, bound: int) -> int:
        """The weight of a packing that takes the least regret from stage to stage.

        Returns:
            The weight; -1 where a stage has no choice that fits.
        """
        for stage in self._stages[place:]:
            choice = next((c for c in stage.choices if self._fits(state, c)), None)
            if choice is None:
                return -1
            regret, labels, takes = choice
            state = state - takes | labels
            bound -= regret + sum(price for bit, price in stage.closing if not state & bit)
            state &= stage.open
        return bound - self._unused_room(state)

    def _fits(self, state: int, choice: tuple[int, int, int]) -> bool:
        _, labels, takes = choice
        guards = self._problem.guards
        return not state & labels and (state - takes) & guards == guards

    def _unfillable_room(self, place: int, state: int) -> int:
        """The price of the seconds that no ads of later stages can fill."""
        left = self._problem.room_left
        return sum(
            price * fillable.unfillable(place, left(state, kind + SECONDS), left(state, kind + ADS))
            for kind, price, fillable in self._breaks
        )

    def _unused_room(self, state: int) -> int:
        """The price of the room that a complete packing leaves."""
        return sum(
            price * self._problem.room_left(state, kind) for kind, price in self._room_prices
        )
