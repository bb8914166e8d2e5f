"""Why a bid did not win, and what would have made it win. Worked out when asked, from a result."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType

from xsp_server.auction.bids import FIXED_PRICE, Bid, TieOrder, best_first, repriced, worth
from xsp_server.auction.checks import Checks
from xsp_server.auction.fates import Evidence, Fate, RankClass, Relation
from xsp_server.auction.pods import Pod, PodModel, seconds_in_pod
from xsp_server.auction.result import BidVerdict, Result, Winner
from xsp_server.auction.withdrawals import WITHDRAWN_FATES
from xsp_server.openrtb import money

MOST_BESIDE_GROUPS = 12
"""Bids on imps, where some are in groups, up to which the least price of one is worked out: it
takes a decision of the whole auction for each price at which something changes."""

MOST_IN_POD = 16
"""Bids on a pod up to which the least price of one is worked out: it takes two fillings."""

PRICE_RULES = frozenset({"bid.invalid_price", "bid.below_floor", "bid.below_deal_floor"})
"""Rules that a higher price satisfies."""


@dataclass(frozen=True, slots=True)
class LeastChange:
    """The least change of one bid, with all else as it was, that would have made it win.

    Attributes:
        price_micros: the price it would have had to have at least, in micros of a CPM in its own
            currency and before adjustment; None: the price need not change.
        arrival_ms: by when its reply would have had to come; None: that need not change.
        possible: whether any change of its price and arrival would have helped.
        known: whether that was worked out: not in a pod that was not searched to the end, or with
            more than `MOST_IN_POD` bids; of a pod, or of more than `MOST_BESIDE_GROUPS` bids, not
            where there are groups.
    """

    price_micros: int | None = None
    arrival_ms: float | None = None
    possible: bool = True
    known: bool = True


def comparison(result: Result, verdict: BidVerdict) -> Evidence | None:
    """What decided against a bid: the two values that its rule compared; None for a winner.

    Args:
        result: what the auction came to.
        verdict: one of its bids.
    """
    if verdict.evidence is not None:
        return verdict.evidence
    compare = _COMPARISONS.get(verdict.fate)
    return compare(result, verdict.facts) if compare else None


def least_change(result: Result, verdict: BidVerdict) -> LeastChange:
    """What would have made a bid win, as far as its price and its arrival go.

    Args:
        result: what the auction came to.
        verdict: one of its bids; for a winner nothing has to change.
    """
    if verdict.fate is Fate.WON:
        return LeastChange()
    if verdict.fate in WITHDRAWN_FATES:
        return LeastChange(possible=False)
    bid, arrival = verdict.facts, None
    if verdict.fate is Fate.LATE:
        arrival = result.auction.deadline_ms
        bid = replace(bid, arrived_ms=arrival or 0.0)
    try:
        least = _least_price(result, bid)
    except _UnknownError:
        return LeastChange(known=False)
    if least is None:
        return LeastChange(possible=False)
    enough = bid.price is not None and money.to_micros(bid.price) >= least
    return LeastChange(None if enough else least, arrival)


def would_win_at(result: Result, verdict: BidVerdict) -> int | None:
    """The least price at which this bid would win, with all else as it was.

    Args:
        result: what the auction came to.
        verdict: one of its bids. For a winner: the least price at which it still wins.

    Returns:
        Micros of a CPM in the bid's own currency, before adjustment. None where no price helps
        (late, refused for something else than its price, a higher class won, a fixed price that
        ranks too low), or where it was not worked out (see `LeastChange.known`).
    """
    if verdict.fate in _PRICELESS:
        return None
    try:
        return _least_price(result, verdict.facts)
    except _UnknownError:
        return None


def min_to_win(result: Result, verdict: BidVerdict) -> Fraction | None:
    """The value of `${AUCTION_MIN_TO_WIN}`: the lowest price that would have tied (2.6.md 4.4).

    For a bid that lost on price: the clearing price of the imp's winner, or its own floor if that
    is higher. For a winner: the highest value of another seat in its class, or its floor.

    Args:
        result: what the auction came to.
        verdict: one of its bids.

    Returns:
        CPM in the bid's own currency, before adjustment. None where price did not decide (refused
        for something else, a higher class won, a fixed price), in pods and for groups.
    """
    bid = verdict.facts
    if bid.imp is None or bid.imp.pod is not None or bid.group is not None or bid.rate is None:
        return None
    floor = verdict.floor or Fraction(0)
    if verdict.fate is Fate.WON:
        rivals = [other for other in _rivals(result, bid) if other.rank_class == bid.rank_class]
        best = max((worth(rival) for rival in rivals), default=floor)
        return bid.in_own_terms(floor if _is_fixed(bid) else max(best, floor))
    if verdict.fate not in _LOST_ON_PRICE or (_is_fixed(bid) and verdict.evidence is None):
        return None
    winner = _winner(result, verdict.imp)
    if winner is None:
        return bid.in_own_terms(floor)
    if winner.verdict.rank_class > bid.rank_class:
        return None
    return bid.in_own_terms(max(winner.clearing_price, floor))


_PRICELESS = WITHDRAWN_FATES | {Fate.LATE, Fate.WRONG_REQUEST_ID}
_LOST_ON_PRICE = frozenset(
    {Fate.BELOW_FLOOR, Fate.BELOW_DEAL_FLOOR, Fate.LOST_PRICE, Fate.SEAT_LIMIT}
)


def _rivals(result: Result, bid: Bid) -> list[Bid]:
    """The bids of other seats in play on the imp of a bid."""
    in_play = result._settlement.in_play.get(bid.bid.impid, ())  # noqa: SLF001 - of this package
    return [other for other in in_play if (other.bidder, other.seat) != (bid.bidder, bid.seat)]


def _winner(result: Result, imp_id: str) -> Winner | None:
    return next((winner for winner in result.winners if winner.imp == imp_id), None)


def _is_fixed(bid: Bid) -> bool:
    """Whether the bid is worth its deal's agreed price, whatever it bids."""
    floor = bid.floor
    return bid.auction_type == FIXED_PRICE and bool(floor and floor.of_deal and floor.amount)


class _UnknownError(Exception):
    """The least price was not worked out."""


def _least_price(result: Result, bid: Bid) -> int | None:
    """The least price at which a bid wins; None: there is none.

    Raises:
        _UnknownError: nobody knows.
    """
    if Checks().first_refusal(bid, without=PRICE_RULES):
        return None
    if _is_alone(result, bid):
        winners = result._settlement.winners.get(bid.bid.impid, ())  # noqa: SLF001 - of this package
        if not any(_same(winner, bid) for winner in winners):
            return _least_above(bid, winners[0] if winners else None)
    others = [v.facts for v in result.verdicts if v.evidence is None and not _same(v.facts, bid)]
    pod = next((pod for pod in result._contest.pods if bid.bid.impid in pod.imps), None)  # noqa: SLF001
    grouped = [other for other in [bid, *others] if other.group is not None]
    if pod is None:
        return _least_outside_pods(result, bid, others)
    if grouped:
        raise _UnknownError
    return _least_in_pod(result, pod, bid, [b for b in others if b.bid.impid in pod.imps])


def _same(bid: Bid, other: Bid) -> bool:
    return bid.bid is other.bid


def _is_alone(result: Result, bid: Bid) -> bool:
    """Whether only the bids on its own imp matter: no pod, and no groups in the auction."""
    imp_id = bid.bid.impid
    if any(imp_id in pod.imps for pod in result.pods):
        return False
    return bid.group is None and not result._settlement.has_groups  # noqa: SLF001 - of this package


def _least_above(bid: Bid, winner: Bid | None) -> int | None:
    """The least price at which a bid passes the winner of its imp, which is the best of all."""
    floor = bid.floor.amount if bid.floor and bid.floor.amount else Fraction(0)

    def wins(price: int) -> bool:
        changed = repriced(bid, Fraction(price, money.MICROS))
        return winner is None or best_first([winner, changed])[0] is changed

    prices = [_at_least(bid, floor)]  # of a higher class, or a fixed price: any price does, or none
    if winner is not None and worth(winner) >= floor and not _is_fixed(bid):
        prices += [_at_least(bid, worth(winner)), _above(bid, worth(winner))]
    return next(filter(wins, prices), None)


def _least_outside_pods(result: Result, bid: Bid, others: Sequence[Bid]) -> int | None:
    """Tries the prices at which something changes: the floor, and where it passes other values."""
    no_groups = bid.group is None and all(other.group is None for other in others)
    if no_groups:
        others = [other for other in others if other.bid.impid == bid.bid.impid]
    elif len(others) > MOST_BESIDE_GROUPS:
        raise _UnknownError

    def wins(price: int) -> bool:
        changed = repriced(bid, Fraction(price, money.MICROS))
        settlement = result._contest.decide([*others, changed])  # noqa: SLF001 - of this package
        return changed in settlement.winners.get(bid.bid.impid, ())

    prices = _turning_prices(bid, others)
    if not no_groups:
        return next(filter(wins, prices), None)
    place = bisect_left(prices, True, key=wins)  # who wins at a price wins at every higher one
    return prices[place] if place < len(prices) else None


def _turning_prices(bid: Bid, others: Sequence[Bid]) -> list[int]:
    """Prices in micros, ascending: from the floor up, at and just above each value that counts."""
    floor = bid.floor.amount if bid.floor and bid.floor.amount else Fraction(0)
    values = {floor}
    if not _is_fixed(bid):
        values |= {worth(other) for other in others if other.bid.impid == bid.bid.impid}
        if bid.group is not None:
            values |= _values_that_match_totals(bid, others)
    prices = {_at_least(bid, value) for value in values if value >= floor}
    prices |= {_above(bid, value) for value in values if value >= floor}
    return sorted(prices)


def _values_that_match_totals(bid: Bid, others: Sequence[Bid]) -> set[Fraction]:
    """Values at which the bid's group is worth as much as another group."""
    totals: dict[object, dict[str, Fraction]] = {}
    for other in others:
        if other.group is not None:
            best = totals.setdefault(other.group, {})
            best[other.bid.impid] = max(worth(other), best.get(other.bid.impid, Fraction(0)))
    own = totals.pop(bid.group, {})
    rest = sum((v for imp, v in own.items() if imp != bid.bid.impid), Fraction(0))
    return {sum(best.values(), Fraction(0)) - rest for best in totals.values()}


def _at_least(bid: Bid, value: Fraction) -> int:
    """The least price in micros that is worth `value`; prices are above 0."""
    return max(1, math.ceil(bid.in_own_terms(value) * money.MICROS))


def _above(bid: Bid, value: Fraction) -> int:
    """The least price in micros that is worth more than `value`."""
    return math.floor(bid.in_own_terms(value) * money.MICROS) + 1


def _least_in_pod(result: Result, pod: Pod, bid: Bid, others: Sequence[Bid]) -> int | None:
    """Compares the best filling with the bid in it to the best without it.

    The bid's own value is the same in every filling that has it. So it has to make up for what the
    rest of that filling lacks in its class, and for more where the rest would lose a tie.
    """
    bid = bid if bid.value is not None else repriced(bid, Fraction(1))
    if len(others) > MOST_IN_POD:
        raise _UnknownError
    without = _best_filling(PodModel(pod, others, result.rules))
    with_bid = _best_filling(PodModel(pod, [bid, *others], result.rules), bid)
    if without is None or with_bid is None:
        return None
    rest = [other for other in with_bid if other is not bid]
    for rank_class in (RankClass.GUARANTEED, RankClass.DEAL):
        if rank_class > bid.rank_class and _total(rest, rank_class) < _total(without, rank_class):
            return None
    lacking = _total(without, bid.rank_class) - _total(rest, bid.rank_class)
    wins_ties = _below(pod, with_bid, bid.rank_class) > _below(pod, without, bid.rank_class)
    floor = bid.floor.amount if bid.floor and bid.floor.amount else Fraction(0)
    if _is_fixed(bid):
        enough = worth(bid) > lacking or (worth(bid) == lacking and wins_ties)
        return _at_least(bid, floor) if enough else None
    if lacking < floor or wins_ties:
        return _at_least(bid, max(lacking, floor))
    return _above(bid, lacking)


def _best_filling(model: PodModel, forced: Bid | None = None) -> list[Bid] | None:
    """The bids of the best filling, in tie order; None where what is forced doesn't fit.

    Raises:
        _UnknownError: it was not searched to the end.
    """
    packing = model.pack([model.bids.index(forced)] if forced else ())
    if packing is None:
        return None
    if not packing.exact:
        raise _UnknownError
    return [model.bids[index] for index in packing.chosen]


def _total(bids: Sequence[Bid], rank_class: RankClass) -> Fraction:
    return sum((worth(bid) for bid in bids if bid.rank_class is rank_class), Fraction(0))


def _below(pod: Pod, bids: Sequence[Bid], rank_class: RankClass) -> tuple[object, ...]:
    """What decides between fillings that are equal down to a class: the greater is the better."""
    lower = [
        _total(bids, other) for other in (RankClass.DEAL, RankClass.OPEN) if other < rank_class
    ]
    seconds = sum(seconds_in_pod(pod, bid) for bid in bids)
    return (*lower, seconds, _Earlier([bid.tie_order for bid in bids]))


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A list of tie orders, the smaller of which is the greater."""

    bids: list[TieOrder]

    def __lt__(self, other: "_Earlier") -> bool:
        return self.bids > other.bids


def _lost_price(result: Result, bid: Bid) -> Evidence:
    best = _best(result, bid)
    if bid.value == best.value:
        orders = (_order_text(bid), _order_text(best))
        return Evidence("tie_order", orders[0], Relation.BEFORE, "winner.tie_order", orders[1])
    return Evidence("rank_value", bid.value, Relation.ABOVE, "winner.rank_value", best.value)


def _best(result: Result, bid: Bid) -> Bid:
    """The winner of the imp of a bid that lost to it."""
    return result._settlement.winners[bid.bid.impid][0]  # noqa: SLF001 - of this package


def _order_text(bid: Bid) -> str:
    seat = "no seat" if bid.seat is None else bid.seat
    return f"{bid.arrived_ms} ms, {bid.bidder}, {seat}, {bid.id}"


def _lost_deal(result: Result, bid: Bid) -> Evidence:
    best = _best(result, bid).rank_class.value
    found = bid.rank_class.value
    return Evidence("rank_class", found, Relation.AT_LEAST, "winner.rank_class", best)


def _seat_limit(result: Result, bid: Bid) -> Evidence:
    places = result._settlement.places  # noqa: SLF001 - of this package
    if not places:
        places.update(_places(result))
    limit = result.rules.max_bids_per_imp_per_seat
    return Evidence(
        "place in its seat", places[bid], Relation.AT_MOST, "max_bids_per_imp_per_seat", limit
    )


def _places(result: Result) -> Iterator[tuple[Bid, int]]:
    """The place of each eligible bid among those of its seat on its imp, by deal."""
    of_seats: dict[tuple[str, str | None, str, str], list[Bid]] = defaultdict(list)
    for verdict in result.verdicts:
        if verdict.evidence is None and verdict.fate is not Fate.LOST_GROUP:
            bid = verdict.facts
            of_seats[bid.bidder, bid.seat, bid.bid.impid, bid.bid.dealid].append(bid)
    for bids in of_seats.values():
        for place, bid in enumerate(best_first(bids), 1):
            yield bid, place


def _lost_pod(result: Result, bid: Bid) -> Evidence:
    pod = next(pod for pod in result.pods if bid.bid.impid in pod.imps)
    filling = tuple(winner.verdict.key for winner in result.winners if winner.imp in pod.imps)
    key = f"{bid.bidder}/{bid.id}"
    return Evidence("bid", key, Relation.IN, f"best filling of pod {pod.id}", filling)


def _lost_group(result: Result, bid: Bid) -> Evidence:
    won = tuple(w.imp for w in result.winners if w.verdict.facts.group is bid.group)
    imps = tuple(sorted(bid.group.imps)) if bid.group else ()
    return Evidence("imps won by its group", won, Relation.EQUAL, "imps of its group", imps)


_COMPARISONS: Mapping[Fate, Callable[[Result, Bid], Evidence]] = MappingProxyType(
    {
        Fate.LOST_PRICE: _lost_price,
        Fate.LOST_DEAL: _lost_deal,
        Fate.SEAT_LIMIT: _seat_limit,
        Fate.LOST_POD: _lost_pod,
        Fate.LOST_GROUP: _lost_group,
    }
)
"""What the rules compare by which eligible bids lose."""
