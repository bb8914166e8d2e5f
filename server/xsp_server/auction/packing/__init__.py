"""The best set of ads that fit together: an exact search, for pods.

Ads compete for *places*, the labels that one of them can hold (an imp, a domain, the first slot),
and for *supplies*, which several use up (the seconds of a break). If ads could be packed in part,
the best packing would be found by linear programming; what is scarce gets its price that way.
Whatever the prices are, all that there is at these prices bounds what any packing is worth
(Lagrangian relaxation), and each packing loses something known against that bound: the regret of
its ads and the price of what it leaves. The search looks for packings that lose little, then for
such that may lose more (branch and bound, by deepening). The first that it finds is close to the
best, and what is left to prove is little.

    problem     what is packed, and what there is of everything
    relaxation  what scarce things are worth: the simplex method
    goal        a bound in whole numbers, and the regrets against it
    ledger      what a partial packing has lost and used, as one number
    fillable    how many seconds ads can fill
    search      the way to the best packing
"""

from collections.abc import Sequence
from dataclasses import dataclass

from xsp_server.auction.packing.goal import Goal
from xsp_server.auction.packing.problem import Ad, Break, Problem
from xsp_server.auction.packing.search import Search

__all__ = ["Ad", "Break", "Packing", "pack"]


@dataclass(frozen=True, slots=True)
class Packing:
    """A set of ads that fit together.

    Attributes:
        chosen: their indexes, ascending.
        exact: whether no set is better.
        gap: how much the value of a class might lack to the best, at most; of the greatest class
            that might lack something. 0 when exact.
    """

    chosen: tuple[int, ...]
    exact: bool = True
    gap: int = 0


def pack(
    ads: Sequence[Ad],
    breaks: Sequence[Break],
    limit: int,
    forced: Sequence[int] = (),
    families: Sequence[int] = (),
) -> Packing | None:
    """The best packing: by value of each class from the greatest down, then seconds, then order.

    Args:
        ads: in the order that decides between packings of equal values and seconds: the packing
            that has the first ad which only one of them has is the better.
        breaks: the room that there is.
        limit: how many partial packings to look at before the best so far is taken.
        forced: indexes of ads that have to be in it.
        families: labels of which ads hold several, such as those of categories, as bits. They
            change nothing but the time that it takes.

    Returns:
        The packing; None where the forced ads don't fit together.
    """
    problem = Problem(ads, breaks, families)
    if min(problem.left(forced), default=0) < 0:
        return None
    known = forced
    goals: list[Goal] = []
    exact, gap = True, 0
    classes = sorted({ad.rank_class for ad in ads}, reverse=True)
    for rank_class in classes:
        last = rank_class == classes[-1]
        goal = Goal(problem, rank_class, last=last, known=known)
        goals.append(goal)
        search = Search(problem, goals, known, limit)
        known = search.maximize(forced, _filled_up(problem, goal, known))
        limit = search.steps
        gap = gap or goal.gap(search.bound, known)
        if last and exact and search.exact:
            known = search.settle_order(forced, known)
        exact = exact and search.exact
    return Packing(tuple(sorted(known)), exact, gap)


def _filled_up(problem: Problem, goal: Goal, known: Sequence[int]) -> Sequence[int]:
    """A good packing: ads by regret, by worth or by worth a second, as they fit."""
    worths, regrets, ads = goal.worths, goal.regrets, problem.ads
    worthy = [index for index, worth in enumerate(worths) if worth]
    orders = (
        sorted(worthy, key=lambda index: regrets[index]),
        sorted(worthy, key=lambda index: -worths[index]),
        sorted(worthy, key=lambda index: -worths[index] / max(1, ads[index].seconds)),
    )
    return max((problem.fill_up(known, order) for order in orders), key=goal.worth)
