"""One ad opportunity: `SessionContext`, which never changes, and `Session`, the same under way.

`SessionContext.from_message` has the fill rules of `xsp.session.v1.SessionContext`: what a caller
left out comes from the call's metadata, from its OpenRTB request, or is made, once. What is made
takes its time and randomness from an `Origin`. Whatever tells who somebody is stays out of `repr`.
"""

import re
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.errors import InvalidField
from xsp_server.upstream import cookies, trace
from xsp_server.upstream.cookies import Clock, Cookie, CookieJar
from xsp_server.upstream.randomness import Randomness

RandBits = Callable[[int], int]
"""As many random bits as asked for, as a number."""

Trace = tuple[str, str | None]
"""A `traceparent` and the `tracestate` that goes with it; None: there is none."""

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session takes what nobody told.

    Attributes:
        clock: ns since 1970-01-01 UTC.
        randbits: randomness that nobody can guess.
        user_agent: the server's own name, for calls on behalf of a device that has none.
    """

    clock: Clock = time.time_ns
    randbits: RandBits = Randomness().bits
    user_agent: str = "XSP"


ORIGIN = Origin()
"""The system's clock and randomness."""


@dataclass(frozen=True, slots=True)
class DeviceId:
    """One id of a device besides the advertising id.

    Attributes:
        source: who gives it: a domain, or a name such as `idfv`.
        id: as the source writes it.
    """

    source: str
    id: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device that shows the ad.

    Attributes:
        ip: IPv4 or IPv6 address; None: unknown.
        user_agent: of the browser or app; the server's own name where it is unknown.
        ifa: advertising id; None: unknown.
        ifa_type: its kind, as `aaid`, in lower case; None: unknown.
        ids: other ids.
    """

    ip: str | None = field(default=None, repr=False)
    user_agent: str = field(default=ORIGIN.user_agent, repr=False)
    ifa: str | None = field(default=None, repr=False)
    ifa_type: str | None = None
    ids: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the user agreed to, and which laws hold. None: unknown, or none given.

    Attributes:
        gdpr_applies: whether GDPR holds.
        tcf_consent: consent string of IAB's Transparency and Consent Framework.
        us_privacy: US privacy string.
        gpp: Global Privacy Platform string.
        gpp_sid: its sections that hold; empty: unknown.
        coppa: whether the user falls under COPPA.
        lmt: whether ad tracking is limited on the device.
        dnt: whether the browser says "do not track".
        additional_consent: for vendors outside of the framework's list.
    """

    gdpr_applies: bool | None = None
    tcf_consent: str | None = field(default=None, repr=False)
    us_privacy: str | None = field(default=None, repr=False)
    gpp: str | None = field(default=None, repr=False)
    gpp_sid: tuple[int, ...] = ()
    coppa: bool | None = None
    lmt: bool | None = None
    dnt: bool | None = None
    additional_consent: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What belongs to one ad opportunity and is the same in every call of its session.

    Attributes:
        request_id: id of the session.
        correlator: ties together the ad requests of one page view or ad break.
        cachebusting: exactly 8 decimal digits.
        timestamp_ns: when the session began, ns since 1970-01-01 UTC.
        user_id: the user, as caps count; None: unknown.
        household_id: the household, as caps may count; None: unknown.
        visit_id: the visit that the ad opportunity is part of.
        cookies: those that it came with.
        device: the user's device.
        referrer: URL of the page that led here; None: unknown.
        consent: what the user agreed to.
        language: preferred, BCP 47; None: unknown.
        traceparent: W3C trace context; calls of the session are its children.
        tracestate: goes with it; None: there is none.
    """

    request_id: str
    correlator: str
    cachebusting: str
    timestamp_ns: int
    user_id: str | None = field(default=None, repr=False)
    household_id: str | None = field(default=None, repr=False)
    visit_id: str = field(repr=False)
    cookies: tuple[Cookie, ...] = field(default=(), repr=False)
    device: Device = field(default=Device(), repr=False)
    referrer: str | None = field(default=None, repr=False)
    consent: Consent = field(default=Consent(), repr=False)
    language: str | None = None
    traceparent: str
    tracestate: str | None = None

    @classmethod
    def from_message(
        cls,
        message: pb.SessionContext | None = None,
        *,
        metadata: Mapping[str, str] = MappingProxyType({}),
        request: BidRequest | None = None,
        origin: Origin = ORIGIN,
        path: str = "session",
    ) -> Self:
        """The context of a call, filled in as the contract says.

        What the message tells counts; only of the flags of consent the stricter one does, where
        the request tells another. Members of `regs` and `user` are also found where they stood
        before OpenRTB 2.6, in `ext`. A `traceparent` or `tracestate` that breaks W3C's rules counts
        as absent, and a `tracestate` is dropped where its trace is (sections 3.3 and 4.3).

        Args:
            message: what the caller told. None: nothing.
            metadata: of the call, by names in lower case.
            request: the OpenRTB request of the same call, if it has one.
            origin: where the rest comes from.
            path: where the message stands, for errors.

        Raises:
            InvalidField: a value is none that the contract allows.
            TooManyItems: there are more cookies than a session may have.
        """
        told = _NOTHING if message is None else message
        asked = _NO_REQUEST if request is None else request
        made = _Made(origin.randbits(_Made.BITS))
        request_id = _request_id(told, metadata, path) or new_id(origin.randbits)
        traceparent, tracestate = _trace(told, metadata, made)
        device = asked.device
        return cls(
            request_id=request_id,
            correlator=_checked(told, "correlator", path) or made.correlator(),
            cachebusting=_checked(told, "cachebusting", path) or made.cachebusting(),
            timestamp_ns=(
                cookies.nanoseconds(told.timestamp, f"{path}.timestamp")
                if told.HasField("timestamp")
                else origin.clock()
            ),
            user_id=_first(told, "user_id", asked.user.id),
            household_id=_first(told, "household_id"),
            visit_id=told.visit_id or request_id,
            cookies=cookies.read(told.cookies, f"{path}.cookies") if told.cookies else (),
            device=(
                _device(told.device, device, origin, f"{path}.device")
                if told.HasField("device") or request is not None
                else Device(user_agent=origin.user_agent)
            ),
            referrer=_first(told, "referrer", asked.site.page),
            consent=(
                _consent(told.consent, asked)
                if told.HasField("consent") or request is not None
                else _UNKNOWN
            ),
            language=_first(told, "language", device.langb, device.language),
            traceparent=traceparent,
            tracestate=tracestate,
        )

    def to_message(self) -> pb.SessionContext:
        """The contract's message, every field that is known filled in."""
        device, consent = self.device, self.consent
        return pb.SessionContext(
            request_id=self.request_id,
            correlator=self.correlator,
            cachebusting=self.cachebusting,
            timestamp=cookies.timestamp(self.timestamp_ns),
            user_id=self.user_id,
            household_id=self.household_id,
            visit_id=self.visit_id,
            cookies=[cookie.to_message() for cookie in self.cookies],
            device=pb.Device(
                ip=device.ip,
                user_agent=device.user_agent,
                ifa=device.ifa,
                ifa_type=device.ifa_type,
                ids=[pb.DeviceId(source=other.source, id=other.id) for other in device.ids],
            ),
            referrer=self.referrer,
            consent=None
            if consent == _UNKNOWN
            else pb.Consent(
                gdpr_applies=consent.gdpr_applies,
                tcf_consent=consent.tcf_consent,
                us_privacy=consent.us_privacy,
                gpp=consent.gpp,
                gpp_sid=consent.gpp_sid,
                coppa=consent.coppa,
                lmt=consent.lmt,
                dnt=consent.dnt,
                additional_consent=consent.additional_consent,
            ),
            language=self.language,
            traceparent=self.traceparent,
            tracestate=self.tracestate,
        )

    @property
    def timestamp(self) -> datetime:
        """When the session began, UTC, in whole microseconds."""
        return _EPOCH + timedelta(microseconds=self.timestamp_ns // 1000)

    def metadata(self, randbits: RandBits = ORIGIN.randbits) -> tuple[tuple[str, str], ...]:
        """Metadata of one gRPC call: the session's id, and a span of its own in its trace."""
        return _metadata(self.request_id, (self.traceparent, self.tracestate), randbits)

    def headers(self, randbits: RandBits = ORIGIN.randbits) -> dict[str, str]:
        """HTTP headers of one call: the same, with the page and the language.

        A referrer goes without fragment and user (RFC 9110 section 10.1.3), and as its origin alone
        above 4096 characters. What is no http(s) URL, or no language tag, is not sent.
        """
        headers = dict(self.metadata(randbits))
        if self.referrer and (referer := _referer(self.referrer)):
            headers["Referer"] = referer
        if self.language and _LANGUAGE.fullmatch(self.language):
            headers["Accept-Language"] = self.language
        return headers


class Session:
    """A session under way: its context, and its cookies as they grow.

    Attributes:
        request_id: id of the session.
        was_told: whether the caller told a session; if not, all of it is from the call's metadata
            and OpenRTB request, or made.
    """

    __slots__ = ("_alike", "_context", "_cookies", "_origin", "request_id", "was_told")

    def __init__(
        self,
        context: "SessionContext | Unmade",
        jar: CookieJar | None = None,
        origin: Origin = ORIGIN,
    ) -> None:
        """Begins, or goes on with the cookies of another view of the same session.

        Args:
            context: what belongs to the ad opportunity.
            jar: its cookies. Default: those of the context.
            origin: where time and randomness come from.
        """
        self.request_id = context.request_id
        self.was_told = not isinstance(context, Unmade)
        self._context = context
        self._cookies = jar
        self._origin = origin
        self._alike: Alike | None = None

    @property
    def context(self) -> SessionContext:
        """What is the same from the first call to the last notice."""
        if isinstance(self._context, Unmade):
            self._context = self._context.make()
        return self._context

    @property
    def cookies(self) -> CookieJar:
        """Those of this session alone."""
        if self._cookies is None:
            self._cookies = CookieJar(self.context.cookies, self._origin.clock)
        return self._cookies

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata of the next gRPC call."""
        context = self._context
        if isinstance(context, Unmade):  # and stays so: to make all of it takes ten times as long
            return _metadata(self.request_id, context.trace(), self._origin.randbits)
        return context.metadata(self._origin.randbits)

    def headers(self, url: str) -> dict[str, str]:
        """HTTP headers of the next call, Cookie among them if the URL's host has any.

        A page over https is not told over http (RFC 9110 section 10.1.3).
        """
        headers = dict(self.alike.headers_to(url))
        headers[TRACEPARENT] = self.span()
        if cookie := self.cookies.header(url):
            headers["Cookie"] = cookie
        return headers

    def lines(self, url: str) -> str:
        """The same as HTTP writes them: each `name: value` with its line end, names in lower case.

        What all calls say is checked and written once. What HTTP has no form for is left out.
        """
        lines = self.alike.lines_to(url)
        if self.alike.has_trace:
            lines = f"{TRACEPARENT}: {self.span()}\r\n{lines}"
        cookie = self.cookies.header(url)
        if cookie and _FIELD_VALUE.fullmatch(cookie):
            lines = f"{lines}cookie: {cookie}\r\n"
        return lines

    def span(self) -> str:
        """The `traceparent` of one more call: a span of its own in the session's trace."""
        before, after = self.alike.around_span
        return f"{before}{self._origin.randbits(64) or 1:016x}{after}"

    @property
    def alike(self) -> "Alike":
        """What all calls of the session say alike."""
        if self._alike is None:
            self._alike = Alike(self.context)
        return self._alike

    def took(self, url: str, set_cookie: Iterable[str]) -> None:
        """Keeps what the answer of a call set.

        Args:
            url: that was called; after a redirect, the one that answered.
            set_cookie: values of its Set-Cookie headers.
        """
        self.cookies.store(url, set_cookie)

    def seen_as(self, context: SessionContext, *, cookies: bool) -> "Session":
        """The same session as an upstream may see it.

        Args:
            context: with what it may know.
            cookies: whether it may have those of the session, and add to them.
        """
        jar = self.cookies if cookies else CookieJar((), self._origin.clock)
        return Session(context, jar, self._origin)

    def branch(self) -> "Session":
        """The same session for a chain that may be given up, with cookies that go on apart."""
        branch = Session(self.context, self.cookies.branch(), self._origin)
        branch.was_told = self.was_told
        return branch

    def join(self, branch: "Session") -> None:
        """Takes the cookies of a branch that was not given up."""
        self.cookies.join(branch.cookies)

    def snapshot(self) -> SessionContext:
        """The context with the cookies as they are now."""
        grown = self.cookies.cookies()
        if grown == self.context.cookies:
            return self.context
        return replace(self.context, cookies=grown)

    def to_message(self) -> pb.SessionContext:
        """The contract's message, for the calls that follow."""
        return self.snapshot().to_message()


class Alike:
    """The headers that all calls of a session have alike: all but traceparent and Cookie.

    A page over https is not told over http (RFC 9110 section 10.1.3); so there are two sets.

    Attributes:
        has_trace: whether calls can be children of the session's `traceparent`.
        around_span: what stands before and after the span in the `traceparent` of a call.
        made: what others made of them, by a key of their own; it goes with the session.
    """

    __slots__ = ("_headers", "_is_secret", "_lines", "around_span", "has_trace", "made")

    def __init__(self, context: SessionContext) -> None:
        """Works them out of the session's context."""
        headers = context.headers(lambda _: 1)
        del headers[TRACEPARENT]  # each call has a span of its own
        self.has_trace = trace.is_parent(context.traceparent)
        self.around_span = trace.around_span(context.traceparent)
        self.made: dict[Hashable, Any] = {}
        self._headers: list[Mapping[str, str]] = [headers]
        self._is_secret = headers.get("Referer", "").startswith("https:")
        if self._is_secret:
            public = {name: value for name, value in headers.items() if name != "Referer"}
            self._headers.append(public)
        self._lines: list[str | None] = [None] * len(self._headers)

    def headers_to(self, url: str) -> Mapping[str, str]:
        """Those of calls to a URL; the same mapping each time, and not to be changed."""
        return self._headers[self._place(url)]

    def lines_to(self, url: str) -> str:
        """The same as HTTP writes them, without what it has no form for."""
        place = self._place(url)
        lines = self._lines[place]
        if lines is None:
            lines = self._lines[place] = "".join(
                f"{name.lower()}: {value}\r\n"
                for name, value in self._headers[place].items()
                if _FIELD_VALUE.fullmatch(value)
            )
        return lines

    def _place(self, url: str) -> int:
        return int(self._is_secret and not url.startswith("https:") and _is_http(url))


def _is_http(url: str) -> bool:
    """Whether it is called over http, however it is written."""
    return url.lstrip()[:5].lower() == "http:"


_FIELD_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""No control characters but the tab (RFC 9110 section 5.5)."""


class Unmade:
    """A context that nobody has asked for yet, of a call whose caller told none.

    Plain auctions never ask whose bidders are in process or reached over gRPC. Id and time are
    those of the call.

    Attributes:
        request_id: id of the session.
    """

    __slots__ = ("_bits", "_metadata", "_now", "_origin", "_request", "_trace", "request_id")

    def __init__(
        self, metadata: Mapping[str, str], request: BidRequest | None, origin: Origin = ORIGIN
    ) -> None:
        """Takes what `SessionContext.from_message` does. The request must not change any more."""
        self.request_id = _request_id(_NOTHING, metadata) or new_id(origin.randbits)
        self._metadata = metadata
        self._request = request
        self._origin = origin
        self._now = origin.clock()
        self._bits: int | None = None
        self._trace: Trace | None = None

    def trace(self) -> "Trace":
        """The `traceparent` of the context, and its `tracestate`."""
        if self._trace is None:
            self._trace = _trace(_NOTHING, self._metadata, _Made(self._drawn()))
        return self._trace

    def make(self) -> SessionContext:
        """The context."""
        return SessionContext.from_message(
            metadata={**self._metadata, REQUEST_ID: self.request_id},
            request=self._request,
            origin=replace(self._origin, clock=lambda: self._now, randbits=lambda _: self._drawn()),
        )

    def _drawn(self) -> int:
        """The randomness that the context is made of: one draw, whoever asks first."""
        if self._bits is None:
            self._bits = self._origin.randbits(_Made.BITS)
        return self._bits


_NOTHING = pb.SessionContext()
_NO_REQUEST = BidRequest()
_UNKNOWN = Consent()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_CHECKED: Mapping[str, tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        "request_id": (re.compile(r"[\x20-\x7e]{1,128}"), "1 to 128 printable ASCII characters"),
        "correlator": (re.compile(r".{1,128}", re.DOTALL), "1 to 128 characters"),
        "cachebusting": (re.compile(r"[0-9]{8}"), "exactly 8 decimal digits"),
    }
)


class _Made:
    """What a new session is made of, cut out of one draw."""

    __slots__ = ("_bits",)
    BITS = 320

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def correlator(self) -> str:
        return f"{(self._bits >> 256) % 10**16:016d}"

    def cachebusting(self) -> str:
        return f"{(self._bits >> 192 & _64) % 10**8:08d}"

    def traceparent(self) -> str:
        return trace.new(self._bits >> 64 & _128, self._bits & _64)


_64 = (1 << 64) - 1
_128 = (1 << 128) - 1


def new_id(randbits: RandBits = ORIGIN.randbits) -> str:
    """A UUID of version 4 (RFC 9562), as text; `uuid.UUID` takes three times as long."""
    digits = f"{randbits(128) & _NO_VERSION | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_VERSION_4 = 0x4 << 76 | 0x2 << 62
_NO_VERSION = (1 << 128) - 1 & ~(0xF << 76 | 0x3 << 62)


def _request_id(
    told: pb.SessionContext, metadata: Mapping[str, str], path: str = "session"
) -> str | None:
    """That of the message, else that of the metadata where it is one."""
    if told.HasField("request_id"):
        return _checked(told, "request_id", path)
    value = metadata.get(REQUEST_ID)
    if value is None or not _CHECKED["request_id"][0].fullmatch(value):
        return None
    return value


def _checked(told: pb.SessionContext, name: str, path: str) -> str | None:
    """A field that has a form; None: it is absent."""
    message: Any = told
    if not message.HasField(name):
        return None
    pattern, expected = _CHECKED[name]
    value: str = getattr(told, name)
    if not pattern.fullmatch(value):
        raise InvalidField(f"{path}.{name}", f"expected {expected}")
    return value


def _metadata(request_id: str, of: Trace, randbits: RandBits) -> tuple[tuple[str, str], ...]:
    """Metadata of one gRPC call: the session's id, and a span of its own in its trace."""
    traceparent, tracestate = of
    pairs = ((REQUEST_ID, request_id), (TRACEPARENT, trace.child(traceparent, randbits(64))))
    return pairs if tracestate is None else (*pairs, (TRACESTATE, tracestate))


def _trace(told: pb.SessionContext, metadata: Mapping[str, str], made: _Made) -> Trace:
    around = metadata.get(TRACEPARENT, "")
    around = around if trace.is_parent(around) else ""
    parent = told.traceparent if trace.is_parent(told.traceparent) else around
    if not parent:
        return made.traceparent(), None
    if told.HasField("tracestate"):
        return parent, trace.state(told.tracestate)
    if around and not trace.is_same_trace(parent, around):
        return parent, None  # the metadata's state is of another trace
    return parent, trace.state(metadata.get(TRACESTATE, ""))


def _device(told: pb.Device, asked: BidRequest.Device, origin: Origin, path: str) -> Device:
    for index, other in enumerate(told.ids):
        for name in ("source", "id"):
            if not getattr(other, name):
                raise InvalidField(f"{path}.ids[{index}].{name}", "expected text, got none")
    return Device(
        ip=_first(told, "ip", asked.ip, asked.ipv6),
        user_agent=told.user_agent or asked.ua or origin.user_agent,
        ifa=_first(told, "ifa", asked.ifa),
        ifa_type=_first(told, "ifa_type"),
        ids=tuple(DeviceId(other.source, other.id) for other in told.ids),
    )


def _consent(told: pb.Consent, asked: BidRequest) -> Consent:
    regs, user, device = asked.regs, asked.user, asked.device
    return Consent(
        gdpr_applies=_stricter((told, "gdpr_applies"), (regs, "gdpr"), (regs.ext, "gdpr")),
        tcf_consent=_first(told, "tcf_consent", user.consent, user.ext.consent),
        us_privacy=_first(told, "us_privacy", regs.us_privacy, regs.ext.us_privacy),
        gpp=_first(told, "gpp", regs.gpp),
        gpp_sid=tuple(told.gpp_sid or regs.gpp_sid),
        coppa=_stricter((told, "coppa"), (regs, "coppa")),
        lmt=_stricter((told, "lmt"), (device, "lmt")),
        dnt=_stricter((told, "dnt"), (device, "dnt")),
        additional_consent=_first(told, "additional_consent"),
    )


def _first(told: Any, name: str, *others: str) -> str | None:
    """A string as it is told, also if it is empty; else the first of the others that isn't."""
    if told.HasField(name):
        value: str = getattr(told, name)
        return value
    return next(filter(None, others), None)


def _stricter(*places: tuple[Any, str]) -> bool | None:
    """True if any place says so; None if none says anything."""
    flags = [getattr(message, name) for message, name in places if message.HasField(name)]
    return any(flags) if flags else None


_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_URL_CHARACTERS = "%:/?#[]@!$&'()*+,;=-._~"
_LONGEST_REFERER = 4096
"""Above it the origin alone is sent, as W3C's Referrer Policy has it (section 8.4)."""


def _referer(page: str) -> str | None:
    try:
        parts = urlsplit(page)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in {"http", "https"} or not _AUTHORITY.fullmatch(host):
        return None
    origin = f"{parts.scheme}://{host}"
    query = f"?{parts.query}" if parts.query else ""
    rest = quote(f"{parts.path or '/'}{query}", safe=_URL_CHARACTERS)
    return f"{origin}{rest}" if len(origin) + len(rest) <= _LONGEST_REFERER else f"{origin}/"


_AUTHORITY = re.compile(r"[A-Za-z0-9_.:\[\]-]+")
