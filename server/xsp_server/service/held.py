"""What is held for a winner until its billing: a reservation, and what its money is counted by."""

import math
from fractions import Fraction
from typing import Self

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb import money
from xsp_server.values import value

_ONE = Fraction(1)


@value
class Held:
    """A reservation that an auction made for a winner.

    Attributes:
        reservation_id: its id.
        currency: of the campaign; empty: no money is held, only impressions.
        rate: how much of it one unit of the bid's currency is.
        cpm_micros: clearing price in it, as it was reserved.
        impressions_micros: impressions of one play, in millionths.
    """

    reservation_id: str
    currency: str
    rate: Fraction
    cpm_micros: int
    impressions_micros: int

    def packed(self) -> tuple[str, str, int, int, int, int]:
        """It in plain values, as `unpacked` takes it."""
        rate = self.rate.as_integer_ratio()
        return self.reservation_id, self.currency, *rate, self.cpm_micros, self.impressions_micros

    @classmethod
    def unpacked(cls, row: tuple[str, str, int, int, int, int]) -> Self:
        """One that was packed."""
        reservation_id, currency, numerator, denominator, cpm, impressions = row
        return cls(reservation_id, currency, Fraction(numerator, denominator), cpm, impressions)

    def cpm_of(self, price: Fraction) -> int:
        """A CPM in the bid's own currency as micros of the campaign's."""
        return money.to_micros(price * self.rate)


def impressions_of(imp: BidRequest.Imp) -> Fraction:
    """How many impressions one play of an imp is: `Imp.qty.multiplier` (section 3.2.31), else 1."""
    if not imp.HasField("qty") or not imp.qty.multiplier > 0:  # nor for one that is no number
        return _ONE
    multiplier = imp.qty.multiplier
    return Fraction(repr(multiplier)) if math.isfinite(multiplier) else _ONE
