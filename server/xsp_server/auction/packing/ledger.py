"""What partial packings have lost and used, as one number."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_

from xsp_server.auction.packing.fillable import Fillable
from xsp_server.auction.packing.goal import GRAIN, Goal
from xsp_server.auction.packing.problem import Bundles, Problem, Seconds


class Ledger:
    """The fields of a state: how much is lost of each goal, and used of each supply.

    States add up. Taken from the limits, a state that is within them leaves the guard bit above
    each field; what is left in a field can be read there. Sets of ads are numbers, too.

    Attributes:
        takes: by rank, the state of an ad.
        limits: of packings that may lose nothing of the last goal, and its whole bound otherwise.
        guards: the bits that taking a state from the limits has to leave.
        losses: by stock, the state of one of it that is left over.
        goal_bits: how many of the lowest bits are those of goals.
    """

    def __init__(
        self, problem: Problem, goals: Sequence[Goal], known: Sequence[int], ranked: Sequence[int]
    ) -> None:
        """Lays out the fields, that of the last goal in the lowest bits.

        Args:
            problem: what is packed.
            goals: the last one is searched for.
            known: a packing that has the most of the goals before it.
            ranked: the ads; the first has the lowest bit in a set.
        """
        self._ranked = ranked
        self.takes = [0] * len(ranked)
        self.losses = [0] * len(problem.stocks)
        self.limits = self.guards = self._end = 0
        self._fields: list[_Field] = []
        for goal in reversed(goals):
            for thing, price in enumerate(goal.prices):
                self.losses[thing] += price << self._end
            spare = 0 if goal is goals[-1] else goal.bound - goal.worth(known) * GRAIN
            self._add_field(spare, goal.bound, dict(enumerate(goal.regrets)))
        self.goal_bits = self._end
        fields = {
            thing: self._add_field(stock.capacity, stock.capacity, stock.uses)
            for thing, stock in enumerate(problem.stocks)
            if thing >= len(problem.places)
        }
        self._supplies = [
            _supply(problem, fields, thing, self.losses[thing])
            for thing in fields
            if self.losses[thing]
        ]
        self._times = [
            (fields[thing], _by_length(problem.stocks[thing].uses, ranked))
            for thing in fields
            if isinstance(problem.stocks[thing], Seconds)
            and len(problem.stocks[thing].uses) == len(ranked)
        ]

    def fitting(self, ads: int, left: int) -> int:
        """Those of a set of ads that are each within what is left."""
        for field in self._fields:
            ads &= field.ads[bisect_right(field.amounts, left >> field.first & field.bits) - 1]
        return ads

    def unusable(self, left: int, open_ads: int, ads: int, labels: int) -> int:
        """What is lost by supplies that can't be used up.

        Args:
            left: what is left of the limits.
            open_ads: that may come.
            ads: how many of them, at most.
            labels: that they may hold.
        """
        for time, lengths in self._times:
            ads = min(ads, _most_ads(left >> time.first & time.bits, lengths, open_ads))
        outlook = left, ads, labels
        lost = 0
        for supply in self._supplies:
            lost += supply.unusable(outlook)
        return lost

    def _add_field(self, limit: int, most: int, uses: Mapping[int, int]) -> "_Field":
        """Lays out a field above the others.

        Args:
            limit: what may be used of it.
            most: what `limit` can be at most.
            uses: by index of the ad.
        """
        sets = {0: 0}
        for rank, index in enumerate(self._ranked):
            amount = uses.get(index, 0)
            self.takes[rank] += amount << self._end
            sets[amount] = sets.get(amount, 0) | 1 << rank
        amounts = sorted(sets)
        width = max(most, amounts[-1]).bit_length()
        ads = list(accumulate((sets[amount] for amount in amounts), or_))
        field = _Field(self._end, (1 << width) - 1, amounts, ads)
        self._fields.append(field)
        self.limits += (1 << width) + limit << self._end
        self.guards += 1 << width << self._end
        self._end += width + 1
        return field


@dataclass(frozen=True, slots=True)
class _Field:
    """Where an amount is in a state.

    Attributes:
        first: its lowest bit.
        bits: its bits, from there.
        amounts: that ads use, ascending.
        ads: by amount, those that use no more.
    """

    first: int
    bits: int
    amounts: Sequence[int]
    ads: Sequence[int]


_Outlook = tuple[int, int, int]
"""What is left of the limits, how many ads may come at most, and the labels that they may hold."""


@dataclass(frozen=True, slots=True)
class _Supply:
    """A supply that is used by ads one by one.

    Attributes:
        first, bits: its field.
        loss: what is lost by one that is left over.
    """

    first: int
    bits: int
    loss: int

    def unusable(self, outlook: _Outlook) -> int:
        """What is lost by what can't be used of it; see `Ledger.unusable`."""
        rest = outlook[0] >> self.first & self.bits
        used = self.most(outlook)
        return (rest - used) * self.loss if used < rest else 0

    def most(self, outlook: _Outlook) -> int:
        """How much can still be used of it, at most."""
        _, ads, _ = outlook
        return ads


@dataclass(frozen=True, slots=True)
class _BundleSupply(_Supply):
    """Bundles: there are only as many as there are labels for.

    Attributes:
        family: the labels that make bundles.
        size: how many make one.
        each: how many bundles an ad holds, at most.
    """

    family: int
    size: int
    each: int

    def most(self, outlook: _Outlook) -> int:
        """How many bundles the labels make, and the ads can hold."""
        _, ads, labels = outlook
        return min((labels & self.family).bit_count() // self.size, ads * self.each)


@dataclass(frozen=True, slots=True)
class _TimeSupply(_Supply):
    """The seconds of a break.

    Attributes:
        fillable: how many seconds ads can fill.
        counts: fields of supplies of which each of its ads uses one or more.
    """

    fillable: Fillable
    counts: Sequence[_Field]

    def most(self, outlook: _Outlook) -> int:
        """How many seconds can be filled by as many ads as may come."""
        left, ads, _ = outlook
        for count in self.counts:
            ads = min(ads, left >> count.first & count.bits)
        return self.fillable.most(left >> self.first & self.bits, ads)


def _supply(problem: Problem, fields: Mapping[int, _Field], thing: int, loss: int) -> _Supply:
    stock, field = problem.stocks[thing], fields[thing]
    if isinstance(stock, Bundles):
        each = max(stock.uses.values())
        return _BundleSupply(field.first, field.bits, loss, stock.labels, stock.size, each)
    if isinstance(stock, Seconds):
        counts = [
            other
            for n, other in fields.items()
            if n != thing and stock.uses.keys() <= problem.stocks[n].uses.keys()
        ]
        fillable = Fillable(set(stock.uses.values()), stock.capacity)
        return _TimeSupply(field.first, field.bits, loss, fillable, counts)
    return _Supply(field.first, field.bits, loss)


def _by_length(seconds: Mapping[int, int], ranked: Sequence[int]) -> list[tuple[int, int]]:
    """The ads of each length, the shortest first."""
    sets: dict[int, int] = {}
    for rank, index in enumerate(ranked):
        sets[seconds[index]] = sets.get(seconds[index], 0) | 1 << rank
    return sorted(sets.items())


def _most_ads(seconds: int, lengths: Sequence[tuple[int, int]], ads: int) -> int:
    """How many of a set of ads fit into some seconds, the shortest first."""
    most = 0
    for length, of_length in lengths:
        count = min((ads & of_length).bit_count(), seconds // length)
        most += count
        seconds -= count * length
    return most
