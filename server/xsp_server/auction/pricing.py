"""What a winner pays."""

from collections.abc import Sequence
from fractions import Fraction

from xsp_server.auction.bids import FIXED_PRICE, Bid, worth
from xsp_server.auction.fates import PriceBasis
from xsp_server.values import value

SECOND_PRICE = 2
"""AdCOM auction type: the runner-up and an increment."""


@value
class Price:
    """A clearing price, CPM in the auction currency, exact.

    Attributes:
        amount: what the imp earns.
        basis: what made it.
        rival: the bid that set a second price; None where none did.
    """

    amount: Fraction
    basis: PriceBasis
    rival: Bid | None = None


def price_winner(winner: Bid, in_play: Sequence[Bid], increment: Fraction) -> Price:
    """The price of the winner of an imp outside pods, under the auction type that holds for it.

    An auction type that is neither second price nor a fixed price which the deal tells is first
    price.

    Args:
        winner: the winning bid.
        in_play: the imp's bids within the seat limit, best first.
        increment: what is added to the rival's value.
    """
    if winner.auction_type == SECOND_PRICE:
        return _second_price(winner, in_play, increment)
    return price_in_pod(winner)


def price_in_pod(winner: Bid) -> Price:
    """The price of a bid in a pod's filling: its value."""
    floor = winner.floor
    fixed = winner.auction_type == FIXED_PRICE and floor and floor.amount and floor.of_deal
    return Price(worth(winner), PriceBasis.AGREED if fixed else PriceBasis.OWN_PRICE)


def _second_price(winner: Bid, in_play: Sequence[Bid], increment: Fraction) -> Price:
    """The greater of rival and increment and of the own floor, never above the own price."""
    own, floor = worth(winner), winner.floor.amount if winner.floor else None
    rival = _best_rival(winner, in_play)
    if rival is not None:
        price = Price(worth(rival) + increment, PriceBasis.RIVAL, rival)
        if floor and floor > price.amount:
            price = Price(floor, PriceBasis.FLOOR)
    elif floor:
        price = Price(floor, PriceBasis.FLOOR)
    else:
        price = Price(increment, PriceBasis.INCREMENT)
    if price.amount > own:
        return Price(own, PriceBasis.CAPPED_AT_OWN_PRICE, price.rival)
    return price


def _best_rival(winner: Bid, in_play: Sequence[Bid]) -> Bid | None:
    """The bid of another seat that is worth most: the best of its class, as they are sorted."""
    bidder, seat = winner.bidder, winner.seat
    best_of_class: dict[int, Bid] = {}
    for bid in in_play:
        if bid.bidder != bidder or bid.seat != seat:
            best_of_class.setdefault(bid.rank_class, bid)
    best = list(best_of_class.values())
    return max(best, key=worth) if len(best) > 1 else best[0] if best else None
