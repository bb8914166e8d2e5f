"""What can be wrong with a session; branches of the tree in `xsp_server.errors`."""

from typing import ClassVar

from xsp_server.errors import InvalidRequest, TooLarge, Violation, XspError


class InvalidField(InvalidRequest):
    """A field of XSP's own messages, or an argument in its place, has a value it can't have."""

    reason = "FIELD_INVALID"

    def __init__(self, path: str, description: str) -> None:
        """Names the field and says `expected …, got …`; never the value of personal data."""
        super().__init__(Violation(path, description))


class TooManyItems(TooLarge):
    """A list has more entries than one call may have."""

    reason = "TOO_MANY_ITEMS"


class SessionClosed(XspError):
    """A session was used after its end."""

    status = "FAILED_PRECONDITION"
    reason: ClassVar[str] = "INTERNAL_FAULT"  # a slip in our own code: no call ever sees it


class CampaignNotFound(XspError):
    """No campaign has this id."""

    status = "NOT_FOUND"
    reason: ClassVar[str] = "CAMPAIGN_NOT_FOUND"
