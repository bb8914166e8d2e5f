"""Who wins among eligible bids: groups, the seat limit, classes and values, pods."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from xsp_server.auction.bids import Bid, Group, best_first, worth
from xsp_server.auction.fates import Fate, Rule
from xsp_server.auction.pods import Pod, PodFilling, fill_pod, read_pods
from xsp_server.auction.terms import AuctionTerms

CONTEST_RULES = {
    rule.fate: rule
    for rule in (
        Rule("auction.won", Fate.WON, 0),
        Rule("auction.lost_group", Fate.LOST_GROUP, 102),
        Rule("auction.seat_limit", Fate.SEAT_LIMIT, 102),
        Rule("auction.lost_pod", Fate.LOST_POD, 102),
        Rule("auction.lost_deal", Fate.LOST_DEAL, 103),
        Rule("auction.lost_price", Fate.LOST_PRICE, 102),
    )
}
"""What becomes of an eligible bid, in the order in which the reasons count."""


MOST_GROUPS = 32
MOST_GROUPS_BESIDE_PODS = 8
"""Groups that compete in an auction: the greatest ones. Each is tried against all, so a bidder that
sent a thousand would hold everybody up; where there are pods a trial costs a hundred times more."""

_WON, _LOST_PRICE = Fate.WON, Fate.LOST_PRICE  # which Python 3.11 takes 8 times as long to find


@dataclass(slots=True)
class Settlement:
    """What a set of bids comes to.

    Attributes:
        winners: by imp id, in the order of their slots; imps that nobody won are absent.
        in_play: by imp id outside pods, the bids within the seat limit, best first.
        over_limit: the bids over it.
        fillings: of every pod that had a bid, by `podid`.
        has_groups: whether there were any.
        groups_out: the groups that were taken out.
        places: places of bids within their seats, once `explain` has asked for one.
    """

    winners: dict[str, list[Bid]] = field(default_factory=dict)
    in_play: dict[str, list[Bid]] = field(default_factory=dict)
    over_limit: set[Bid] = field(default_factory=set)
    fillings: dict[str, PodFilling] = field(default_factory=dict)
    has_groups: bool = False
    groups_out: set[Group] = field(default_factory=set)
    places: dict[Bid, int] = field(default_factory=dict)

    def fate(self, bid: Bid) -> Fate:
        """What became of one of the eligible bids."""
        winners = self.winners.get(bid.bid.impid, ())
        if bid in winners:
            return _WON
        if bid.group in self.groups_out:
            return Fate.LOST_GROUP
        if bid in self.over_limit:
            return Fate.SEAT_LIMIT
        if bid.imp is not None and bid.imp.pod is not None:
            return Fate.LOST_POD
        if winners and winners[0].rank_class > bid.rank_class:
            return Fate.LOST_DEAL
        return _LOST_PRICE


class Contest:
    """Decides one auction's imps; every call to `settle` decides them anew."""

    def __init__(self, auction: AuctionTerms) -> None:
        """Finds the pods of the request."""
        self.auction = auction
        self.pods = read_pods(auction)
        self._pod_of = {imp_id: pod for pod in self.pods for imp_id in pod.imps}

    def decide(self, eligible: Sequence[Bid]) -> Settlement:
        """Winners among eligible bids, with every group that can't win taken out.

        A group wins when each imp that it names is won by one of its bids. First each group has to
        win alone against the bids that are in no group. Then all is decided together; of the groups
        that don't win, the one with the smallest total goes out, and all is decided again. Of more
        than `MOST_GROUPS`, beside pods `MOST_GROUPS_BESIDE_PODS`, the smallest are out before.
        """
        members: dict[Group, list[Bid]] = defaultdict(list)
        for bid in eligible:
            if bid.group is not None:
                members[bid.group].append(bid)
        if not members:
            return self.settle(eligible)
        single = [bid for bid in eligible if bid.group is None]
        rivals = self._that_may_win(single)
        left = {
            group: bids
            for group, bids in self._greatest(members).items()
            if _wins(group, self.settle([*rivals, *bids]))
        }
        while True:
            in_groups = [bid for bids in left.values() for bid in bids]
            settlement = self.settle([*rivals, *in_groups])
            losers = [group for group in left if not _wins(group, settlement)]
            if not losers:
                settlement = self.settle([*single, *in_groups])
                settlement.has_groups = True
                settlement.groups_out = members.keys() - left.keys()
                return settlement
            del left[max(losers, key=lambda group: (-_total(left[group]), group.order))]

    def _greatest(self, members: dict[Group, list[Bid]]) -> dict[Group, list[Bid]]:
        """The groups that compete, with their bids."""
        most = MOST_GROUPS_BESIDE_PODS if self.pods else MOST_GROUPS
        if len(members) <= most:
            return members
        ranked = sorted(members, key=lambda group: (-_total(members[group]), group.order))
        return {group: members[group] for group in ranked[:most]}

    def _that_may_win(self, single: Sequence[Bid]) -> list[Bid]:
        """Of bids in no group those that may win: in pods any, else the best one of each imp."""
        by_imp: dict[str, list[Bid]] = defaultdict(list)
        for bid in single:
            by_imp[bid.bid.impid].append(bid)
        return [
            bid
            for imp_id, bids in by_imp.items()
            for bid in (bids if imp_id in self._pod_of else best_first(bids)[:1])
        ]

    def settle(self, bids: Iterable[Bid]) -> Settlement:
        """Winners among bids as they are, each imp or pod on its own."""
        settlement = Settlement()
        by_imp: dict[str, list[Bid]] = defaultdict(list)
        by_pod: dict[Pod, list[Bid]] = defaultdict(list)
        for bid in bids:
            pod = self._pod_of.get(bid.bid.impid)
            if pod is None:
                by_imp[bid.bid.impid].append(bid)
            else:
                by_pod[pod].append(bid)
        limit = self.auction.rules.max_bids_per_imp_per_seat
        for imp_id, imp_bids in by_imp.items():
            in_play = _within_limit(best_first(imp_bids), limit)
            settlement.in_play[imp_id] = in_play
            settlement.winners[imp_id] = in_play[:1]
            if len(in_play) < len(imp_bids):
                settlement.over_limit.update(set(imp_bids) - set(in_play))
        for pod, pod_bids in by_pod.items():
            filling = fill_pod(pod, pod_bids, self.auction.rules)
            settlement.fillings[pod.id] = filling
            settlement.winners |= filling.winners
        return settlement


def _within_limit(bids: Sequence[Bid], limit: int) -> list[Bid]:
    """The best bids of each seat, open ones and those of each deal counted apart.

    Args:
        bids: of one imp, best first.
        limit: how many of them stay in play.
    """
    if len({(bid.bidder, bid.seat) for bid in bids}) == len(bids):  # within any limit
        return list(bids)
    seen: dict[tuple[str, str | None, str], int] = defaultdict(int)
    in_play = []
    for bid in bids:
        key = (bid.bidder, bid.seat, bid.bid.dealid)
        seen[key] += 1
        if seen[key] <= limit:
            in_play.append(bid)
    return in_play


def _wins(group: Group, settlement: Settlement) -> bool:
    """Whether each of the group's imps is won by one of its bids."""
    return all(
        any(bid.group is group for bid in settlement.winners.get(imp_id, ()))
        for imp_id in group.imps
    )


def _total(bids: Iterable[Bid]) -> Fraction:
    """The sum over a group's imps of its greatest value there."""
    greatest: dict[str, Fraction] = {}
    for bid in bids:
        value = worth(bid)
        greatest[bid.bid.impid] = max(value, greatest.get(bid.bid.impid, value))
    return sum(greatest.values(), Fraction(0))
