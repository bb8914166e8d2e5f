"""What can be wrong with a call about caps, campaigns, budgets and reservations."""

from collections.abc import Sequence

from xsp_server.errors import (
    CampaignNotFound,
    CurrencyMismatch,
    CurrencyUnknown,
    DuplicateId,
    InvalidField,
    InvalidRequest,
    RequestIdReused,
    TooManyItems,
    XspError,
)

__all__ = [
    "CampaignChanged",
    "CampaignCurrencyFixed",
    "CampaignHasChildren",
    "CampaignHasReservations",
    "CampaignKeyTaken",
    "CampaignNotFound",
    "CampaignParentInvalid",
    "CurrencyMismatch",
    "CurrencyUnknown",
    "DuplicateId",
    "InvalidField",
    "Overflow",
    "PageTokenInvalid",
    "RequestIdReused",
    "ReservationIdReused",
    "ReservationNotFound",
    "ReservationResolved",
    "TimeZoneUnknown",
    "TooManyItems",
    "check_distinct",
]


class PageTokenInvalid(InvalidRequest):
    """A page token is not one of this list."""

    reason = "PAGE_TOKEN_INVALID"


class TimeZoneUnknown(InvalidRequest):
    """A time zone is not in the IANA database."""

    reason = "TIME_ZONE_UNKNOWN"


class ReservationNotFound(XspError):
    """No reservation has this id, or it is forgotten."""

    status = "NOT_FOUND"
    reason = "RESERVATION_NOT_FOUND"


class ReservationIdReused(XspError):
    """A reservation_id came before with other content; `metadata` has what differs."""

    status = "ALREADY_EXISTS"
    reason = "RESERVATION_ID_REUSED"


class CampaignKeyTaken(XspError):
    """Another campaign has this key; `metadata` has its `campaign_id`."""

    status = "ALREADY_EXISTS"
    reason = "CAMPAIGN_KEY_TAKEN"


class ReservationResolved(XspError):
    """The reservation was resolved otherwise before; `metadata` has its `state`."""

    status = "FAILED_PRECONDITION"
    reason = "RESERVATION_RESOLVED"


class CampaignHasChildren(XspError):
    """The campaign is the parent of others."""

    status = "FAILED_PRECONDITION"
    reason = "CAMPAIGN_HAS_CHILDREN"


class CampaignHasReservations(XspError):
    """Reservations of the campaign are held."""

    status = "FAILED_PRECONDITION"
    reason = "CAMPAIGN_HAS_RESERVATIONS"


class CampaignParentInvalid(XspError):
    """The campaign can't have this parent."""

    status = "FAILED_PRECONDITION"
    reason = "CAMPAIGN_PARENT_INVALID"


class CampaignCurrencyFixed(XspError):
    """Money of the campaign moved, so its currency stays."""

    status = "FAILED_PRECONDITION"
    reason = "CAMPAIGN_CURRENCY_FIXED"


class CampaignChanged(XspError):
    """The campaign has another revision; `metadata` has the one in force."""

    status = "ABORTED"
    reason = "CAMPAIGN_CHANGED"


class Overflow(XspError):
    """A sum would leave the range that every store can count."""

    status = "OUT_OF_RANGE"
    reason = "OVERFLOW"


def check_distinct(path: str, ids: Sequence[str], field: str = "") -> None:
    """Raises DuplicateId where an id stands twice."""
    if len(set(ids)) == len(ids):
        return
    places: dict[str, int] = {}
    for place, id_ in enumerate(ids):
        first = places.setdefault(id_, place)
        if first != place:
            raise DuplicateId(path, first, place, field)


def check_number(path: str, number: int, most: int) -> None:
    """Raises InvalidField for none, TooManyItems for more than one call may have."""
    if number < 1:
        raise InvalidField(path, f"expected 1 to {most}, got none")
    if number > most:
        raise TooManyItems(f"{path}: expected 1 to {most}, got {number}", limit=most)
