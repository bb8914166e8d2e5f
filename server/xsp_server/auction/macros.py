"""Substitution macros of OpenRTB 2.6 (section 4.4) in notice URLs and markup.

`${AUCTION_PRICE}` is replaced by its value, `${AUCTION_PRICE:B64}` by its value in the encoding
that the parties agreed on under that name. Replacement is blind: plain text, nothing escaped, and
values are not searched for macros again. A macro without a value becomes the empty string, or AUDIT
when markup is rendered for a test. Text that isn't a defined macro, or asks for an encoding that
nobody agreed on, stays as it is.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from xsp.openrtb.v2.bid_response_pb2 import BidResponse
from xsp_server.auction import explain
from xsp_server.auction.bids import Bid
from xsp_server.auction.fates import Fate
from xsp_server.auction.result import BidVerdict, Result, Winner
from xsp_server.openrtb import money
from xsp_server.values import value

CARRIERS = ("nurl", "burl", "lurl", "adm")
"""Fields of a bid in which macros are replaced; `iurl` is none of them."""

Values = Mapping[str, str | None]
"""By the name of a macro without `${}`; None: there is no value."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a notice tells besides what the auction decided.

    Attributes:
        imp_ts_ms: when the impression was fulfilled, ms since epoch; None: just now.
        discount_percent: the seller's discount on the clearing price, in percent; None: none.
        impressions: how many impressions one play was; None: `Imp.qty.multiplier`, if there is one.
        loss_code: AdCOM Loss Reason Code; None: as the auction decided.
        price: clearing price in the bid's own terms; None: as the auction decided, which tells it
            to the winner alone.
    """

    imp_ts_ms: int | None = None
    discount_percent: Fraction | None = None
    impressions: Fraction | None = None
    loss_code: int | None = None
    price: Fraction | None = None


def _base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode("ascii")


ENCODINGS: Mapping[str, Callable[[str], str]] = MappingProxyType({"B64": _base64})
"""Encodings by the suffix that asks for them; B64 is RFC 4648 base64 of the UTF-8 text."""


def find_values(
    result: Result,
    verdict: BidVerdict,
    event: Event = Event(),
    texts: Iterable[str] | None = None,
) -> Values:
    """The value of every macro for one bid.

    Args:
        result: what the auction came to.
        verdict: the bid, won or lost.
        event: what the notice tells besides.
        texts: what the values are for: only the macros that stand in them are worked out. None: all
            of them.
    """
    won = verdict.fate is Fate.WON
    winner = next((w for w in result.winners if w.verdict is verdict), None) if won else None
    facts = _Facts(result, verdict, winner, event)
    if texts is None:
        return {name: value(facts) for name, value in _MACROS.items()}
    named = {match["name"] for text in texts for match in _MACRO.finditer(text)}
    return {name: _MACROS[name](facts) for name in named if name in _MACROS}


def fill(
    text: str,
    values: Values,
    encodings: Mapping[str, Callable[[str], str]] = ENCODINGS,
    *,
    audit: bool = False,
) -> str:
    """Text with its macros replaced.

    Args:
        text: a notice URL or markup of any kind.
        values: from `find_values`.
        encodings: those agreed with the bidder, by their suffix.
        audit: whether a macro without a value becomes AUDIT, for a rendering that is no impression.
    """

    def replaced(match: re.Match[str]) -> str:
        name, suffix = match["name"], match["suffix"]
        if name not in values or (suffix is not None and suffix not in encodings):
            return match[0]
        value = values[name]
        if value is None:
            value = "AUDIT" if audit else ""
        return value if suffix is None else encodings[suffix](value)

    return _MACRO.sub(replaced, text) if "${" in text else text


def texts_of(bid: BidResponse.Bid) -> list[str]:
    """The fields in which there may be macros to replace; most bids have none."""
    return [text for field in CARRIERS if "${" in (text := getattr(bid, field))]


def fill_bid(
    bid: BidResponse.Bid,
    values: Values,
    encodings: Mapping[str, Callable[[str], str]] = ENCODINGS,
) -> None:
    """Replaces the macros in every field of a bid that carries them, in place."""
    for field in CARRIERS:
        text = getattr(bid, field)
        filled = fill(text, values, encodings)
        if filled != text:
            setattr(bid, field, filled)


_MACRO = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<suffix>[^{}]*))?\}")


@value
class _Facts:
    """What the values of macros come from."""

    result: Result
    verdict: BidVerdict
    winner: Winner | None
    event: Event

    @property
    def bid(self) -> Bid:
        return self.verdict.facts

    @property
    def full_price(self) -> Fraction | None:
        """The clearing price before the seller's discount."""
        if self.event.price is not None:
            return self.event.price
        return self.winner.auction_price if self.winner else None

    @property
    def discount(self) -> Fraction | None:
        """The seller's discount as an amount."""
        if self.full_price is None or self.event.discount_percent is None:
            return None
        return self.full_price * self.event.discount_percent / 100

    @property
    def price(self) -> Fraction | None:
        """The clearing price after it."""
        if self.full_price is None:
            return None
        return self.full_price - (self.discount or 0)


def _price(facts: _Facts) -> str | None:
    return _decimal(facts.price)


def _market_bid_ratio(facts: _Facts) -> str | None:
    if facts.price is None or not facts.bid.price:
        return None
    return _decimal(facts.price / facts.bid.price)


def _min_to_win(facts: _Facts) -> str | None:
    return _decimal(explain.min_to_win(facts.result, facts.verdict))


def _multiplier(facts: _Facts) -> str | None:
    if facts.event.impressions is not None:
        return _decimal(facts.event.impressions, places=0)
    imp = facts.bid.imp.imp if facts.bid.imp else None
    if facts.winner is None or imp is None or not imp.qty.HasField("multiplier"):
        return None
    return f"{Decimal(repr(imp.qty.multiplier)).normalize():f}"


def _loss(facts: _Facts) -> str:
    told = facts.event.loss_code
    return str(facts.verdict.loss_code if told is None else told)


def _imp_ts(facts: _Facts) -> str | None:
    return None if facts.event.imp_ts_ms is None else str(facts.event.imp_ts_ms)


def _decimal(amount: Fraction | None, places: int = 2) -> str | None:
    """A decimal with up to six places, and at least `places`."""
    if amount is None:
        return None
    whole, _, part = money.to_text(amount).partition(".")
    part = part.rstrip("0").ljust(places, "0")
    return f"{whole}.{part}" if part else whole


_MACROS: Mapping[str, Callable[[_Facts], str | None]] = MappingProxyType(
    {
        "AUCTION_ID": lambda facts: facts.result.request_id or None,
        "AUCTION_BID_ID": lambda facts: facts.bid.response.bidid or None,
        "AUCTION_IMP_ID": lambda facts: facts.verdict.imp or None,
        "AUCTION_SEAT_ID": lambda facts: facts.verdict.seat,
        "AUCTION_AD_ID": lambda facts: facts.bid.bid.adid or None,
        "AUCTION_PRICE": _price,
        "AUCTION_CURRENCY": lambda facts: facts.verdict.bid_currency,
        "AUCTION_MBR": _market_bid_ratio,
        "AUCTION_LOSS": _loss,
        "AUCTION_MIN_TO_WIN": _min_to_win,
        "AUCTION_MULTIPLIER": _multiplier,
        "AUCTION_IMP_TS": _imp_ts,
        "AUCTION_DISCOUNT_CPM": lambda facts: _decimal(facts.discount),
        "AUCTION_DISCOUNT_PCT": lambda facts: _decimal(facts.event.discount_percent),
    }
)
"""Every macro of the specification, in its order there."""
