"""The best set of ads that fit together: an exact search, for pods.

Ads compete for *labels*, which one of them can hold (a place, a domain, the first slot), and for
the *room* of breaks (seconds, ads, end slots), which they use up. Both get prices. Whatever the
prices are, they give a bound that no packing passes (Lagrangian relaxation); subgradient steps make
it a close one. Against that bound each choice that a packing makes loses something known, its
regret. Partial packings are looked at in the order of what is left of the bound, so that the first
one that is complete is the best (A* search), and of those that leave the same to choose from only
the better goes on.

    problem     what is packed, and the state of a partial packing as one number
    prices      what scarce things are worth to the ads of one class
    scale       values, seconds and order as one number
    fillable    how much of a break can still be filled
    search      the way to the best packing
"""

from collections.abc import Sequence

from xsp_server.auction.packing.prices import Tier
from xsp_server.auction.packing.problem import Ad, Break, Partial, Problem
from xsp_server.auction.packing.search import Packing, Search

__all__ = ["Ad", "Break", "Packing", "pack"]


def pack(
    ads: Sequence[Ad], breaks: Sequence[Break], limit: int, forced: Sequence[int] = ()
) -> Packing | None:
    """The best packing: by value of each class from the greatest down, then seconds, then order.

    Args:
        ads: in the order that decides between packings of equal values and seconds: the packing
            that has the first ad which only one of them has is the better.
        breaks: the room that there is.
        limit: how many partial packings to look at before the best so far is taken.
        forced: indexes of ads that have to be in it.

    Returns:
        The packing; None where the forced ads don't fit together.
    """
    problem = Problem(ads, breaks)
    start = Partial(problem.empty, 0)
    for index in forced:
        if not problem.may_add(start, index):
            return None
        start = problem.added(start, index)
    tiers: list[Tier] = []
    best = start
    for rank_class in sorted({ad.rank_class for ad in ads}, reverse=True):
        tier = Tier(problem, rank_class, best)
        tier.find_prices()
        tiers.append(tier)
        best = tier.best
    return Search(problem, tiers, start, best).run(limit)
