"""The way to the best packing: depth first, where the fewest choices are left."""

from collections.abc import Iterable, Sequence

from xsp_server.auction.packing.goal import GRAIN, Goal
from xsp_server.auction.packing.ledger import Ledger
from xsp_server.auction.packing.problem import Ad, Problem, bits

_FIRST_LOSS = 2048
_WIDER = 4
"""A search may first lose one part in 2048 of the bound, then four times as much, and so on."""

_Place = tuple[int, int, int]
"""A label that an ad can hold: the ads that want it, what is lost if none gets it, its bit."""

_Partial = tuple[Sequence[_Place], int, int, int, int]
"""A partial packing: places that may be free, ads that may come, its state, its worth, its ads."""


class Search:
    """Looks for packings that don't lose too much.

    Sets of ads are numbers; the ad of the least regret has rank 0, the lowest bit.

    Attributes:
        steps: how many partial packings may still be looked at.
        exact: whether no search was cut short.
        bound: no packing is worth more.
    """

    def __init__(
        self, problem: Problem, goals: Sequence[Goal], known: Sequence[int], steps: int
    ) -> None:
        """Ranks the ads.

        Args:
            problem: what is packed.
            goals: the last one is what packings are to have the most of; those before it go first.
            known: a packing that has the most of the goals before the last.
            steps: how many partial packings may be looked at.
        """
        self.steps = steps
        self.exact = True
        self.bound = goals[-1].bound // GRAIN
        self._goal = goals[-1]
        self._ranked = sorted(range(len(problem.ads)), key=self._goal.regrets.__getitem__)
        self._rank = {index: rank for rank, index in enumerate(self._ranked)}
        self._ledger = ledger = Ledger(problem, goals, known, self._ranked)
        # The worth of a packing in all goals is one number, the last goal in the lowest bits.
        self._worths = [0] * len(self._ranked)
        self._own_worth = (1 << sum(self._goal.worths).bit_length()) - 1
        end = 0
        for goal in reversed(goals):
            for rank, index in enumerate(self._ranked):
                self._worths[rank] += goal.worths[index] << end
            end += sum(goal.worths).bit_length()
        self._places: list[_Place] = []
        self._keeps = [-1] * len(self._ranked)
        for place, loss in zip(problem.places, ledger.losses, strict=False):
            ads = self._set(place.uses)
            self._places.append((ads, loss, place.label))
            for index in place.uses:
                self._keeps[self._rank[index]] &= ~ads
        # Of places with as few choices, the dearest is looked at first.
        self._places.sort(key=lambda place: -place[1])
        self._leaves = self._without_twins(problem.ads)
        self._all = self._set(index for index, fits in enumerate(problem.fits) if fits)

    def maximize(self, start: Sequence[int], known: Sequence[int]) -> Sequence[int]:
        """The packing that is worth the most; `known` where none is worth more.

        Packings close to the bound are looked for first: where little may be lost, there are few
        ways. Only where there are none, more may be lost.

        Args:
            start: ads that have to be in it.
            known: a packing that has them.
        """
        least = self._goal.worth(known) + 1
        loss = self._goal.bound // _FIRST_LOSS
        while self.bound >= least:
            target = max(least, (self._goal.bound - loss) // GRAIN)
            found = self._look(self._partial(start), self._target(known, target), best=True)
            if found:
                known = self._indexes(found)
            if found or not self.exact:
                break
            self.bound = target - 1
            loss *= _WIDER
        if self.exact:
            self.bound = self._goal.worth(known)
        return known

    def settle_order(self, start: Sequence[int], known: Sequence[int]) -> Sequence[int]:
        """Of the packings that are worth as much as a known one, the one with the first ads.

        Args:
            start: ads that have to be in it.
            known: a packing that has them.
        """
        target = self._target(known, self._goal.worth(known))
        witness = self._set(known)
        fixed = self._partial(start)
        for index in range(len(self._ranked)):
            rank = self._rank[index]
            places, open_ads, state, worth, chosen = fixed
            if not open_ads >> rank & 1:
                continue
            with_it = self._added(fixed, rank)
            if not witness >> rank & 1:
                found = self._look(with_it, target, best=False)
                if not found:
                    fixed = places, open_ads & self._leaves[rank], state, worth, chosen
                    continue
                witness = found
            fixed = with_it
        return self._indexes(witness)

    def _look(self, start: _Partial, target: int, *, best: bool) -> int:
        """Goes on from a partial packing for as long as not too much is lost.

        Returns:
            The best packing that is worth the target, or the first one met; 0: there is none.
        """
        found, guards = 0, self._ledger.guards
        limits = self._limits(target)
        seen: dict[tuple[int, int], int] = {}
        stack = [start]
        while stack and limits:
            if not self.steps:
                self.exact = False
                break
            self.steps -= 1
            places, open_ads, state, worth, chosen = stack.pop()
            if (limits - state) & guards != guards:
                continue
            if worth >= target:
                found = chosen
                if not best:
                    break
                target = worth + 1
                limits = self._limits(target)
            open_ads = self._ledger.fitting(open_ads, limits - state)
            alike = open_ads, state >> self._ledger.goal_bits
            if seen.get(alike, -1) < worth:
                seen[alike] = worth
                stack += self._branches((places, open_ads, state, worth, chosen), limits)
        return found

    def _branches(self, now: _Partial, limits: int) -> Sequence[_Partial]:
        """What a partial packing can become at the place with the fewest choices; the best last."""
        places, open_ads, state, worth, chosen = now
        left = limits - state
        free: list[_Place] = []
        labels = 0
        for place in places:
            ads, loss, label = place
            if ads & open_ads:
                free.append(place)
                labels |= label
            elif not ads & chosen:
                state += loss
        hope = limits - state - self._ledger.unusable(left, open_ads, len(free), labels)
        choices, may_stay_free = self._fewest_choices(free, open_ads, hope)
        branches: list[_Partial] = []
        for rank in bits(choices):
            if open_ads >> rank & 1:
                branches.append(self._added((free, open_ads, state, worth, chosen), rank))
                # In the other branches it is left out, and its twins with it.
                open_ads &= self._leaves[rank]
        if may_stay_free:
            branches.append((free, open_ads, state, worth, chosen))
        return branches[::-1]

    def _fewest_choices(self, free: Sequence[_Place], open_ads: int, hope: int) -> tuple[int, bool]:
        """The ads for the place that has the fewest, and whether it may stay free.

        Args:
            free: the places.
            open_ads: that may come.
            hope: what is left of the limits, at most.
        """
        guards = self._ledger.guards
        fewest, choices, may_stay_free = len(self._ranked) + 2, 0, False
        if hope & guards == guards:
            for ads, loss, _ in free:
                here = open_ads & ads
                count = here.bit_count()
                if count < fewest:
                    may = (hope - loss) & guards == guards
                    if count + may < fewest:
                        fewest, choices, may_stay_free = count + may, here, may
        return choices, may_stay_free

    def _limits(self, target: int) -> int:
        """The limits of packings that reach a target; 0 where none can."""
        spare = self._goal.bound - (target & self._own_worth) * GRAIN
        return self._ledger.limits + spare if spare >= 0 else 0

    def _target(self, known: Sequence[int], worth: int) -> int:
        """A worth in the last goal, with what a packing has of the others."""
        others = sum(self._worths[self._rank[index]] for index in known) & ~self._own_worth
        return others + worth

    def _partial(self, start: Sequence[int]) -> _Partial:
        """The packing to start from."""
        now: _Partial = (self._places, self._all, 0, 0, 0)
        for index in start:
            now = self._added(now, self._rank[index])
        return now

    def _added(self, now: _Partial, rank: int) -> _Partial:
        """A partial packing with one more ad."""
        places, open_ads, state, worth, chosen = now
        return (
            places,
            open_ads & self._keeps[rank],
            state + self._ledger.takes[rank],
            worth + self._worths[rank],
            chosen | 1 << rank,
        )

    def _without_twins(self, ads: Sequence[Ad]) -> list[int]:
        """By rank, all ads but for that one and those after it that are the same in everything."""
        twins: dict[Ad, int] = {}
        leaves = [0] * len(ads)
        for rank in reversed(range(len(ads))):
            ad = ads[self._ranked[rank]]
            twins[ad] = twins.get(ad, 0) | 1 << rank
            leaves[rank] = ~twins[ad]
        return leaves

    def _set(self, indexes: Iterable[int]) -> int:
        return sum(1 << self._rank[index] for index in indexes)

    def _indexes(self, ads: int) -> list[int]:
        return sorted(self._ranked[rank] for rank in bits(ads))
