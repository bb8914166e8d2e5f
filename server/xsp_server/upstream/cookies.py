"""The cookies of one session: each goes back only to the host that set it, or the domain it chose.

RFC 6265, section 5, for a caller that is no browser: HttpOnly and SameSite mean nothing here, names
and values are printable ASCII, and the `__Secure-` and `__Host-` prefixes of its successor hold. A
jar belongs to one session; nothing in it reaches another one.

There is no list of all public suffixes in here. A domain that is a top level, that is known to be
one of a country's categories, or under which strangers host next to each other, can't be chosen; a
host alone always can.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from google.protobuf.timestamp_pb2 import Timestamp

from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.errors import InvalidField, TooManyItems

Clock = Callable[[], int]
"""Nanoseconds since 1970-01-01 UTC."""

MAX_COOKIES = 100
"""Of one session; the oldest go first."""
MAX_PER_HOST = 25
"""Set by one host; the oldest go first."""
MAX_BYTES = 64 * 1024
"""Names and values of a whole session."""
MAX_COOKIE_BYTES = 4096
"""Name and value of one cookie; a longer one is not taken (RFC 6265 section 6.1)."""
MAX_HEADER_BYTES = 8192
"""One Cookie header; what doesn't fit is left out. Servers refuse more."""
MAX_AGE = 400 * 24 * 3600
"""Seconds; whoever asks for more gets this."""
MAX_ATTRIBUTE = 1024
"""Characters of a domain or path."""

_SECOND = 1_000_000_000

_Key = tuple[str, str, str]
"""Name, domain and path: what a later cookie has to share to stand in the place of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """One cookie as a host set it.

    Attributes:
        name: printable ASCII without `=` and `;`.
        value: printable ASCII without `;`, as it was set. Never shown: it tells who somebody is.
        host: that set it, in lower case, without a port.
        domain: whose hosts get it back; None: `host` alone.
        path: below which it is sent.
        secure: over https only.
        expiry_ns: when it ends, ns since 1970; None: with the session.
    """

    name: str
    value: str = field(repr=False)
    host: str
    domain: str | None = None
    path: str = "/"
    secure: bool = False
    expiry_ns: int | None = None

    @classmethod
    def from_message(cls, message: pb.Cookie, path: str = "cookie") -> "Cookie":
        """A cookie out of the contract's message.

        Args:
            message: the cookie.
            path: where it stands, for errors.

        Raises:
            InvalidField: a field breaks a rule of the contract.
        """
        cookie = cls(
            name=message.name,
            value=message.value,
            host=message.host,
            domain=message.domain if message.HasField("domain") else None,
            path=message.path if message.HasField("path") else "/",
            secure=message.secure,
            expiry_ns=(
                nanoseconds(message.expiry, f"{path}.expiry")
                if message.HasField("expiry")
                else None
            ),
        )
        for name, expected in _broken_rules(cookie):
            raise InvalidField(f"{path}.{name}", f"expected {expected}")
        return cookie

    def to_message(self) -> pb.Cookie:
        """The contract's message."""
        message = pb.Cookie(name=self.name, value=self.value, host=self.host, domain=self.domain)
        if self.path != "/":
            message.path = self.path
        if self.secure:
            message.secure = True
        if self.expiry_ns is not None:
            message.expiry.CopyFrom(timestamp(self.expiry_ns))
        return message

    @property
    def size(self) -> int:
        """Bytes of name and value."""
        return len(self.name) + len(self.value)

    def has_ended(self, now_ns: int) -> bool:
        """Whether its time is over."""
        return self.expiry_ns is not None and self.expiry_ns <= now_ns


def read(messages: Sequence[pb.Cookie], path: str = "cookies") -> tuple[Cookie, ...]:
    """The cookies of a session's message.

    Raises:
        TooManyItems: there are more than a session may have.
        InvalidField: one breaks a rule of the contract, or they are too large together.
    """
    if len(messages) > MAX_COOKIES:
        raise TooManyItems(
            f"{path}: expected at most {MAX_COOKIES} cookies, got {len(messages)}",
            limit=MAX_COOKIES,
        )
    cookies = tuple(
        Cookie.from_message(message, f"{path}[{index}]") for index, message in enumerate(messages)
    )
    size = sum(cookie.size for cookie in cookies)
    if size > MAX_BYTES:
        raise InvalidField(path, f"expected at most {MAX_BYTES} bytes together, got {size}")
    return cookies


def timestamp(time_ns: int) -> Timestamp:
    """Nanoseconds since 1970 as the contract's time."""
    seconds, nanos = divmod(time_ns, _SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def nanoseconds(message: Timestamp, path: str) -> int:
    """The contract's time as nanoseconds since 1970.

    Raises:
        InvalidField: it is none; `path` says where it stands.
    """
    try:
        return message.ToNanoseconds()
    except ValueError:
        raise InvalidField(
            path, "expected a time from year 1 to 9999, its nanos from 0 to 999999999"
        ) from None


class CookieJar:
    """The cookies of one session, as they grow."""

    __slots__ = ("_base", "_clock", "_cookies")

    def __init__(self, cookies: Iterable[Cookie] = (), clock: Clock = time.time_ns) -> None:
        """Takes the cookies that the session came with, and what tells when one has ended."""
        self._clock = clock
        self._cookies = {_key(cookie): cookie for cookie in cookies}
        self._base: Mapping[_Key, Cookie] = {}

    def cookies(self) -> tuple[Cookie, ...]:
        """Those that have not ended, oldest first."""
        if not self._cookies:
            return ()
        now = self._clock()
        return tuple(cookie for cookie in self._cookies.values() if not cookie.has_ended(now))

    def header(self, url: str) -> str:
        """The value of the Cookie header of a call; empty: there is none (section 5.4)."""
        if not self._cookies or (place := _place(url)) is None:
            return ""
        fitting = [cookie for cookie in self.cookies() if _goes_to(cookie, place)]
        fitting.sort(key=lambda cookie: -len(cookie.path))  # stable: of one length the older first
        pairs: list[str] = []
        left = MAX_HEADER_BYTES
        for cookie in fitting:
            pair = f"{cookie.name}={cookie.value}"
            left -= len(pair) + 2
            if left < 0:
                break
            pairs.append(pair)
        return "; ".join(pairs)

    def store(self, url: str, set_cookie: Iterable[str]) -> None:
        """Takes what a host set (section 5.3).

        Args:
            url: that was called.
            set_cookie: values of the Set-Cookie headers of its answer. One that can't be read, or
                that the host may not set, is passed over.
        """
        place = _place(url)
        if place is None:
            return
        for header in set_cookie:
            cookie = _parse(header, place, self._clock())
            if cookie is not None:
                self._put(cookie, place)

    def branch(self) -> "CookieJar":
        """A jar with the same cookies that goes on by itself: what it takes is not in this one."""
        branch = CookieJar(clock=self._clock)
        branch._cookies, branch._base = self._cookies.copy(), self._cookies.copy()
        return branch

    def join(self, branch: "CookieJar") -> None:
        """Takes what a branch of this jar took, and drops what it dropped."""
        dropped, taken = branch.changes()
        for key, there in dropped:
            if self._cookies.get(key) is there:  # else set anew meanwhile
                del self._cookies[key]
        for cookie, base in taken:
            before = self._cookies.get(_key(cookie))
            if before is not None and before.secure and not cookie.secure and before is not base:
                continue  # set over https meanwhile
            self._cookies[_key(cookie)] = cookie
            self._make_room(cookie.host)

    def changes(
        self,
    ) -> tuple[Iterable[tuple[_Key, Cookie]], Iterable[tuple[Cookie, Cookie | None]]]:
        """What a branch dropped, and what it took with what stood there when it began."""
        base = self._base
        dropped = [each for each in base.items() if each[0] not in self._cookies]
        taken = [(cookie, base.get(key)) for key, cookie in self._cookies.items()]
        return dropped, [each for each in taken if each[0] is not each[1]]

    def _put(self, cookie: Cookie, place: "_Place") -> None:
        key = _key(cookie)
        before = self._cookies.get(key)
        if before is not None and before.secure and not place.secure:
            return  # whoever listens in on http must not overwrite what came over https
        self._cookies[key] = cookie  # where it was, if it was: its age is that of the first
        self._drop_ended()
        self._make_room(cookie.host)

    def _drop_ended(self) -> None:
        now = self._clock()
        for key in [key for key, cookie in self._cookies.items() if cookie.has_ended(now)]:
            del self._cookies[key]

    def _make_room(self, host: str) -> None:
        own = [key for key, cookie in self._cookies.items() if cookie.host == host]
        for key in own[: max(len(own) - MAX_PER_HOST, 0)]:
            del self._cookies[key]
        size = sum(cookie.size for cookie in self._cookies.values())
        while len(self._cookies) > MAX_COOKIES or size > MAX_BYTES:
            size -= self._cookies.pop(next(iter(self._cookies))).size


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a call goes, as far as cookies care."""

    host: str
    path: str
    secure: bool


def _place(url: str) -> _Place | None:
    """None for what no cookie can go to."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        if host is not None and not host.isascii():
            host = host.encode("idna").decode("ascii")
    except ValueError:  # a port or an IPv6 address that is none, a label that is too long
        return None
    if not host:
        return None
    path = parts.path if parts.path.startswith("/") else "/"
    return _Place(host.removesuffix("."), path, parts.scheme in {"https", "wss"})


def _key(cookie: Cookie) -> _Key:
    return cookie.name, cookie.domain or cookie.host, cookie.path


def _goes_to(cookie: Cookie, place: _Place) -> bool:
    if cookie.domain is None:
        if place.host != cookie.host:
            return False
    elif not _lies_in(place.host, cookie.domain):
        return False
    return (place.secure or not cookie.secure) and _is_below(place.path, cookie.path)


def _lies_in(host: str, domain: str) -> bool:
    """Section 5.1.3: the same, or below it and no IP address."""
    return host == domain or (host.endswith(f".{domain}") and not _is_address(host))


def _is_below(path: str, above: str) -> bool:
    """Section 5.1.4: the same, or below it at a slash."""
    return path.startswith(above) and (
        len(path) == len(above) or above.endswith("/") or path[len(above)] == "/"
    )


def _parse(header: str, place: _Place, now_ns: int) -> Cookie | None:
    """One Set-Cookie header (section 5.2); None: it sets nothing here."""
    pair, *parts = header.split(";")
    name, equals, value = pair.partition("=")
    if not equals:
        return None
    attributes: dict[str, str] = {}
    for part in parts:
        attribute, _, text = part.partition("=")
        if len(text) <= MAX_ATTRIBUTE:
            attributes[attribute.strip(_BLANK).lower()] = text.strip(_BLANK)  # the last one counts
    path = attributes.get("path", "")
    cookie = Cookie(
        name=name.strip(_BLANK),
        value=value.strip(_BLANK),
        host=place.host,
        domain=attributes.get("domain", "").lower().removeprefix(".") or None,
        path=path if path.startswith("/") else place.path[: place.path.rfind("/")] or "/",
        secure="secure" in attributes,
        expiry_ns=_expiry(attributes, now_ns),
    )
    if cookie.domain == place.host and (_is_address(place.host) or is_public_suffix(place.host)):
        cookie = replace(cookie, domain=None)
    if any(_broken_rules(cookie)) or not _may_be_set(cookie, attributes, place):
        return None
    return cookie


_BLANK = " \t"


def _may_be_set(cookie: Cookie, attributes: dict[str, str], place: _Place) -> bool:
    """The rules for secure cookies, and for names that promise something."""
    name = cookie.name.lower()
    if cookie.secure and not place.secure:
        return False
    if name.startswith("__secure-"):
        return cookie.secure
    if name.startswith("__host-"):
        return cookie.secure and cookie.domain is None and attributes.get("path") == "/"
    return True


def _broken_rules(cookie: Cookie) -> Iterable[tuple[str, str]]:
    """Fields that can't be so, each with what is expected instead."""
    if not _NAME.fullmatch(cookie.name):
        yield "name", 'at least one character, printable ASCII without "=" and ";"'
    if not _VALUE.fullmatch(cookie.value):
        yield "value", 'printable ASCII without ";", and no blanks around it'
    if cookie.size > MAX_COOKIE_BYTES:
        yield "value", f"at most {MAX_COOKIE_BYTES} bytes together with the name"
    if not _is_host(cookie.host):
        yield "host", "a host in lower case, without a port"
    elif cookie.domain is not None:
        if not _lies_in(cookie.host, cookie.domain):
            yield "domain", f'a domain in lower case that {cookie.host} lies in, without "." before'
        elif is_public_suffix(cookie.domain):
            yield "domain", "no public suffix; leave it out for a cookie of the host alone"
    if not (_PATH.fullmatch(cookie.path) and len(cookie.path) <= MAX_ATTRIBUTE):
        yield "path", f'"/" and printable ASCII without ";", at most {MAX_ATTRIBUTE} characters'


_NAME = re.compile(r"(?! )[\x20-\x3a\x3c\x3e-\x7e]+(?<! )")
_VALUE = re.compile(r"(?! )[\x20-\x3a\x3c-\x7e]*(?<! )")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*(?:%[a-z0-9]+)?")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|.*:.*")


def _is_host(host: str) -> bool:
    return len(host) <= MAX_ATTRIBUTE and _HOST.fullmatch(host) is not None


def _is_address(host: str) -> bool:
    return _ADDRESS.fullmatch(host) is not None


def is_public_suffix(domain: str) -> bool:
    """Whether strangers own the names below it, as far as we can tell."""
    first, _, rest = domain.partition(".")
    if not rest:
        return True
    if len(rest) == 2 and first in _CATEGORIES:
        return True
    return any(domain == shared or domain.endswith(f".{shared}") for shared in _SHARED)


_CATEGORIES = frozenset(
    # Labels that countries sell names under: co.uk, com.br, or.jp.
    """
    ac biz co com edu go gob gouv gov gr id ind info lg ltd me mil mobi name ne net nhs nic nom or
    org plc police pro sch school tm tv web
    """.split()  # noqa: SIM905 - reads better than thirty quotes
)
_SHARED = (
    # Hosting and delivery networks; strangers sit next to each other, at whatever depth.
    "akamaihd.net",
    "akamaized.net",
    "amazonaws.com",
    "appspot.com",
    "azureedge.net",
    "azurefd.net",
    "azurewebsites.net",
    "b-cdn.net",
    "blogspot.com",
    "cloudapp.net",
    "cloudfront.net",
    "edgekey.net",
    "elasticbeanstalk.com",
    "fastly.net",
    "fastlylb.net",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "onrender.com",
    "pages.dev",
    "r2.dev",
    "run.app",
    "trafficmanager.net",
    "vercel.app",
    "web.app",
    "windows.net",
    "workers.dev",
)


def _expiry(attributes: dict[str, str], now_ns: int) -> int | None:
    """When it ends, ns since 1970: Max-Age before Expires (section 5.3, step 3)."""
    latest = now_ns + MAX_AGE * _SECOND
    age = attributes.get("max-age", "")
    if _AGE.fullmatch(age):
        if age.startswith("-"):
            return 0
        seconds = int(age) if len(age) <= 10 else MAX_AGE
        return min(now_ns + seconds * _SECOND, latest) if seconds else 0
    date = _date(attributes.get("expires", ""))
    return None if date is None else min(max(date * _SECOND, 0), latest)


_AGE = re.compile(r"-?[0-9]+")
_DELIMITER = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?")
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?")
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _date(text: str) -> int | None:
    """Seconds since 1970 of a date in any of the ways that servers write it (section 5.1.1)."""
    time_of_day = day = month = year = None
    for token in _DELIMITER.split(text):
        if time_of_day is None and (match := _TIME.fullmatch(token)):
            time_of_day = int(match[1]), int(match[2]), int(match[3])
        elif day is None and (match := _DAY.fullmatch(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.fullmatch(token)):
            year = int(match[1])
    if time_of_day is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    hour, minute, second = time_of_day
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None
