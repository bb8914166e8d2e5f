"""Headers of requests as HTTP writes them, for one call or for all of a session."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

_OWN: Final = {
    "user-agent": "User-Agent: xsp\r\n",
    "accept": "Accept: */*\r\n",
    "accept-encoding": "Accept-Encoding: gzip, deflate\r\n",
}
_FRAMING: Final = ("host", "content-length", "transfer-encoding")
_OF_ONE_HOST: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_VALUE: Final = re.compile("[\t\x20-\x7e\x80-\ud7ff\ue000-\U0010ffff]*")
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class HeaderLines:
    """Headers of a GET, written once. They go before our own, which are among them.

    What HTTP needs to frame the request (Host, Content-Length, Transfer-Encoding) is left out.

    Attributes:
        problem: why they can't be sent; empty: they can.
    """

    __slots__ = ("_elsewhere", "_extra", "_lines", "_without_cookie", "problem")

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Takes headers, names in any case."""
        self.problem = _problem(headers)
        self._extra = ""
        self._lines = self._elsewhere = self._without_cookie = _written(headers)
        if not _OF_ONE_HOST.isdisjoint(map(str.lower, headers)):
            self._elsewhere = _written(_less(headers, _OF_ONE_HOST))
            self._without_cookie = _written(_less(headers, {"cookie"}))

    def plus(self, line: str) -> "HeaderLines":
        """The same with one more for every host.

        Args:
            line: name, value and line end, as HTTP has them; no other header has the name.
        """
        other = HeaderLines.__new__(HeaderLines)
        other.problem = self.problem
        other._lines = self._lines  # noqa: SLF001 - of its own class
        other._elsewhere = self._elsewhere  # noqa: SLF001
        other._without_cookie = self._without_cookie  # noqa: SLF001
        other._extra = self._extra + line  # noqa: SLF001
        return other

    def for_host(self, *, is_first: bool, cookie: str) -> str:
        """The lines of one request.

        Args:
            is_first: whether it goes to the first host; others don't get what is meant for it.
            cookie: in the place of any other; empty: none.
        """
        if not cookie:
            return (self._lines if is_first else self._elsewhere) + self._extra
        lines = self._without_cookie if is_first else self._elsewhere
        return f"{lines}{self._extra}Cookie: {cookie}\r\n"


def _problem(headers: Mapping[str, str]) -> str:
    """A line break would let a value make further headers."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _is_value(value):
            return f"header {name!r}: expected a name and a value without control characters"
    return ""


def _is_value(value: str) -> bool:
    return (value.isascii() and value.isprintable()) or bool(_VALUE.fullmatch(value))


def _less(headers: Mapping[str, str], names: AbstractSet[str]) -> Mapping[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}


def _written(headers: Mapping[str, str]) -> str:
    own = dict(_OWN)
    for name, value in headers.items():
        own[name.lower()] = f"{name}: {value}\r\n"
    for name in _FRAMING:
        own.pop(name, None)
    return "".join(own.values())


NO_HEADERS: Final = HeaderLines({})
"""Our own alone."""
