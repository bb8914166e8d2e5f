"""What can be wrong with a call about caps, campaigns, budgets and reservations."""

from collections.abc import Sequence

from xsp_server.errors import InvalidRequest, TooLarge, Violation, XspError


class FieldInvalid(InvalidRequest):
    """A field has a value that it can't have."""

    reason = "FIELD_INVALID"

    def __init__(self, path: str, description: str) -> None:
        """Names the field and says `expected …, got …`; never a user's or household's id."""
        super().__init__(Violation(path, description))


class DuplicateId(InvalidRequest):
    """An id stands twice in a list whose ids must differ."""

    reason = "DUPLICATE_ID"

    def __init__(self, path: str, first: int, second: int, field: str = "") -> None:
        """Names both places."""
        super().__init__(
            Violation(f"{path}[{first}]{field}", f"the same as {path}[{second}]{field}"),
            Violation(f"{path}[{second}]{field}", "named twice; expected an id of its own"),
        )


class PageTokenInvalid(InvalidRequest):
    """A page token is not one of this list."""

    reason = "PAGE_TOKEN_INVALID"


class CurrencyUnknown(InvalidRequest):
    """A currency is not three capital letters."""

    reason = "CURRENCY_UNKNOWN"


class CurrencyMismatch(InvalidRequest):
    """An amount is in another currency than its campaign; `metadata` has both."""

    reason = "CURRENCY_MISMATCH"

    def __init__(self, path: str, expected: str, found: str) -> None:
        """Keeps both currencies."""
        super().__init__(Violation(path, f"expected {expected}, as the campaign's, got {found}"))
        self.metadata = {"expected": expected, "found": found}


class TimeZoneUnknown(InvalidRequest):
    """A time zone is not in the IANA database."""

    reason = "TIME_ZONE_UNKNOWN"


class TooManyItems(TooLarge):
    """A list has more entries than one call may have."""

    reason = "TOO_MANY_ITEMS"


class CampaignNotFound(XspError):
    """No campaign has this id or key; `metadata` repeats it."""

    status = "NOT_FOUND"
    reason = "CAMPAIGN_NOT_FOUND"


class ReservationNotFound(XspError):
    """No reservation has this id, or it is forgotten."""

    status = "NOT_FOUND"
    reason = "RESERVATION_NOT_FOUND"


class RequestIdReused(XspError):
    """A request_id came before with other content; `metadata` has what differs."""

    status = "ALREADY_EXISTS"
    reason = "REQUEST_ID_REUSED"


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
    places: dict[str, int] = {}
    for place, id_ in enumerate(ids):
        first = places.setdefault(id_, place)
        if first != place:
            raise DuplicateId(path, first, place, field)


def check_number(path: str, number: int, most: int) -> None:
    """Raises FieldInvalid for none, TooManyItems for more than one call may have."""
    if number < 1:
        raise FieldInvalid(path, f"expected 1 to {most}, got none")
    if number > most:
        raise TooManyItems(f"{path}: expected 1 to {most}, got {number}", limit=most)
