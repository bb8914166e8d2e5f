"""The error of a tag that leads where the server must not go."""

from xsp_server.errors import XspError


class TagRefused(XspError):
    """The caller's own tag is an address that the server must not reach.

    A Wrapper's address that is refused is no error of the call: its chain fails with 300.
    """

    status = "PERMISSION_DENIED"
    reason = "ADDRESS_REFUSED"

    def __init__(self, source: int, message: str, path: str) -> None:
        """Names the source, by its place among all of the request and by where it stands there."""
        super().__init__(f"{path}: {message}", source=source)
