"""The error of a tag that leads where the server must not go."""

from xsp_server.errors import XspError


class TagRefused(XspError):
    """The caller's own tag is an address that the server must not reach.

    A Wrapper's address that is refused is no error of the call: its chain fails with 300.
    """

    status = "PERMISSION_DENIED"
    reason = "ADDRESS_REFUSED"

    def __init__(self, source: int, message: str) -> None:
        """Names the source, by its index in the request."""
        super().__init__(f"sources[{source}]: {message}", source=source)
