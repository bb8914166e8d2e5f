"""The words of a verdict: fates, and the evidence that a rule leaves behind."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fractions import Fraction

from xsp_server.values import value


class Fate(StrEnum):
    """What became of a bid: refused by the first check that failed, won, or lost."""

    LATE = "late"
    WRONG_REQUEST_ID = "wrong_request_id"

    DUPLICATE_BID_ID = "duplicate_bid_id"
    CURRENCY_NOT_ALLOWED = "currency_not_allowed"
    NO_RATE = "no_rate"
    UNKNOWN_IMP = "unknown_imp"
    IMP_NOT_ASKED = "imp_not_asked"
    INVALID_PRICE = "invalid_price"
    MISSING_MARKUP = "missing_markup"
    SEAT_BLOCKED = "seat_blocked"
    BIDDER_NOT_ALLOWED = "bidder_not_allowed"
    UNKNOWN_DEAL = "unknown_deal"
    DEAL_SEAT = "deal_seat"
    DEAL_ADVERTISER = "deal_advertiser"
    PRIVATE_AUCTION = "private_auction"
    MEDIA_TYPE = "media_type"
    MISSING_ADOMAIN = "missing_adomain"
    BLOCKED_ADVERTISER = "blocked_advertiser"
    BLOCKED_CATEGORY = "blocked_category"
    BLOCKED_APP = "blocked_app"
    BLOCKED_ATTRIBUTE = "blocked_attribute"
    LANGUAGE = "language"
    NOT_SECURE = "not_secure"
    SIZE = "size"
    DURATION = "duration"
    PROTOCOL = "protocol"
    API = "api"
    SLOT_NOT_OFFERED = "slot_not_offered"
    BELOW_FLOOR = "below_floor"
    BELOW_DEAL_FLOOR = "below_deal_floor"

    CAPPED = "capped"
    """Withdrawn: a frequency cap of its campaign denies the user."""
    NO_BUDGET = "no_budget"
    """Withdrawn: its campaign, or a parent, has not enough money."""
    PACED = "paced"
    """Withdrawn: the pacing of its campaign holds the money back."""
    CAMPAIGN_INACTIVE = "campaign_inactive"
    """Withdrawn: its campaign is paused or not in flight."""
    STATE_UNAVAILABLE = "state_unavailable"
    """Withdrawn: caps and budgets could not be asked, and are to refuse then."""
    VAST_UNRESOLVED = "vast_unresolved"
    """Withdrawn: it won, but its VAST chain has no ad."""

    WON = "won"
    LOST_GROUP = "lost_group"
    SEAT_LIMIT = "seat_limit"
    LOST_POD = "lost_pod"
    LOST_DEAL = "lost_deal"
    LOST_PRICE = "lost_price"


class RankClass(IntEnum):
    """What ranks before any price; the greater class first."""

    OPEN = 0
    """An open bid, or a deal that competes by price."""
    DEAL = 1
    """A deal, where the policy puts deals first."""
    GUARANTEED = 2
    """A deal with `guar` 1."""


class FloorSource(StrEnum):
    """Where the floor of a bid comes from."""

    IMP = "imp.bidfloor"
    MEDIA_PER_SECOND = "media.mincpmpersec"
    """Of the imp's video or audio, times the duration of the bid."""
    MEDIA_DURATION = "media.durfloors"
    DEAL = "deal.bidfloor"
    DEAL_PER_SECOND = "deal.mincpmpersec"
    """Of the deal, times the duration of the bid."""
    DEAL_DURATION = "deal.durfloors"


class PriceBasis(StrEnum):
    """What made a clearing price."""

    OWN_PRICE = "own_price"
    """First price: the bid's own."""
    RIVAL = "rival"
    """Second price: the rival's value and the increment."""
    FLOOR = "floor"
    """Second price: the bid's own floor."""
    INCREMENT = "increment"
    """Second price without rival and floor: the increment alone."""
    CAPPED_AT_OWN_PRICE = "capped_at_own_price"
    """Second price that would have passed the bid's own price, and is that."""
    AGREED = "agreed"
    """Fixed price of the deal (`at` 3)."""


class Relation(StrEnum):
    """How the found value has to stand to the required one."""

    EQUAL = "equal"
    AT_LEAST = "at_least"
    ABOVE = "above"
    AT_MOST = "at_most"
    IN = "in"
    """The value found, or each of them, is among the required ones."""
    NOT_IN = "not_in"
    """No value found is among the required ones."""
    PRESENT = "present"
    """The value found is there; nothing is required of it."""
    BEFORE = "before"
    """The value found comes first in the tie order."""


Value = Fraction | float | int | str | tuple[str, ...] | tuple[int, ...] | None
"""What a rule looks at. A Fraction is a CPM in the auction currency, a float a time in ms."""


@value
class Evidence:
    """The two values that a rule compared when it decided against a bid.

    Attributes:
        name: what was found, as an OpenRTB path in the bidder's answer
            (`seatbid[0].bid[1].adomain`) or a name of the auction's own (`adjusted_price`).
        found: its value; None where it is absent.
        relation: how found would have to stand to required.
        against: what it was held against, as an OpenRTB path in the request (`imp[0].bidfloor`)
            or a name of the auction's own (`floor`).
        required: its value.
    """

    name: str
    found: Value
    relation: Relation
    against: str = ""
    required: Value = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rule book: what a decision is called.

    Attributes:
        id: stable name, as `bid.below_floor`; two rules can lead to the same fate.
        fate: what becomes of the bid.
        loss_code: AdCOM Loss Reason Code; 0 for a winner.
        nonbid: status code of the seat-non-bid extension; None for a bid without an entry there.
    """

    id: str
    fate: Fate
    loss_code: int
    nonbid: int | None = None
