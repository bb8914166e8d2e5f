"""The one error of the guard."""

from xsp_server.errors import XspError


class AddressRefused(XspError):
    """A URL leads to an address that the server must not reach, or can't be read with certainty.

    The message never repeats the URL: its path and query may carry ids and consent strings.

    Attributes:
        host: the host as far as it could be read; empty where it couldn't.
        rule: what refused it, such as `url.userinfo`, `port`, `address.loopback` or
            `redirect.downgrade`.
    """

    status = "PERMISSION_DENIED"
    reason = "ADDRESS_REFUSED"

    def __init__(self, host: str, rule: str, problem: str) -> None:
        """Names the host, the rule, and in English what was wrong and what would be right."""
        super().__init__(f"{host or 'URL'}: {problem} ({rule})", host=host, rule=rule)
        self.host = host
        self.rule = rule
