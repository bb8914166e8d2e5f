"""The session of a call: read from it, judged by privacy, named in its logs."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.auction.privacy import Disclosure, Plan, Refusal
from xsp_server.upstream.session import (
    ORIGIN,
    REQUEST_ID,
    TRACEPARENT,
    TRACESTATE,
    Device,
    Origin,
    Session,
    SessionContext,
    Unmade,
)

_READ = frozenset({REQUEST_ID, TRACEPARENT, TRACESTATE})


def open_session(
    message: pb.SessionContext | None,
    metadata: Iterable[tuple[str, str | bytes]] | None,
    request: BidRequest | None,
    origin: Origin = ORIGIN,
) -> Session:
    """The session of a call; `to_message` gives it back, filled in and with the cookies set.

    Args:
        message: what the caller told. None: nothing.
        metadata: of the gRPC call.
        request: its OpenRTB request, if it has one.
        origin: where the rest comes from.

    Raises:
        InvalidField: a value of the message is none that the contract allows.
        TooManyItems: it has more cookies than a session may have.
    """
    told = _told(metadata)
    if message is None:
        return Session(Unmade(told, request, origin), origin=origin)
    context = SessionContext.from_message(message, metadata=told, request=request, origin=origin)
    return Session(context, origin=origin)


def session_headers(message: pb.SessionContext) -> dict[str, str]:
    """What goes along of a session that a call brings: its id and its trace, nothing personal.

    Raises:
        InvalidField, TooManyItems: as `open_session`.
    """
    return dict(open_session(message, None, None).metadata())


class logged:  # noqa: N801 - reads as what it is: `with logged(session)`
    """Within it every log event, also of tasks that begin there, has the session's request_id.

    It does what structlog's `bound_contextvars` does, in a third of the time: that one reads every
    variable of the context.
    """

    __slots__ = ("_before", "_request_id")

    def __init__(self, session: Session) -> None:
        """Takes the session."""
        self._request_id = session.request_id

    def __enter__(self) -> None:
        """Tells the log."""
        self._before = structlog.contextvars.bind_contextvars(request_id=self._request_id)

    def __exit__(self, *_: object) -> None:
        """Puts back what was there before."""
        structlog.contextvars.reset_contextvars(**self._before)


def signals_of(request: BidRequest, session: Session) -> BidRequest:
    """What request and session say about privacy together, for the rules to read and nobody else.

    Of flags the stricter one stands; a string of the session stands where the request has none.
    Only of US privacy strings both stand: the session's in the place before OpenRTB 2.6, if the
    request has another in the place of today. The rules read both.

    Args:
        request: as it came; it stays as it is, and is what comes back where no session was told.
        session: of the same call.
    """
    if not session.was_told:
        return request
    consent = session.context.consent
    said = BidRequest()
    if request.HasField("regs"):
        said.regs.CopyFrom(request.regs)
    for message, name, flag in (
        (said.regs, "gdpr", consent.gdpr_applies),
        (said.regs, "coppa", consent.coppa),
        (said.device, "lmt", consent.lmt),
        (said.device, "dnt", consent.dnt),
    ):
        if flag is not None:  # the stricter one already
            setattr(message, name, flag)
    user, regs = request.user, said.regs
    if tcf_consent := user.consent or user.ext.consent or consent.tcf_consent:
        said.user.consent = tcf_consent
    if consent.us_privacy and not regs.us_privacy:
        regs.us_privacy = consent.us_privacy
    elif consent.us_privacy and not regs.ext.us_privacy:
        regs.ext.us_privacy = consent.us_privacy
    if consent.gpp and not regs.gpp and '"gpp"' not in regs.ext.raw_json:
        regs.gpp = consent.gpp
        regs.gpp_sid[:] = consent.gpp_sid
    return said


def disclosed(session: Session, apply: Callable[[BidRequest], Disclosure | Refusal]) -> Session:
    """The session as one bidder may see it; itself where privacy takes nothing from it.

    Each value is judged by the rules for the OpenRTB field that means the same. The household goes
    with the user's id; the device's other ids go with its ifa; cookies, which tell a bidder its own
    id of the user, go with `user.buyeruid`: then none is sent and none is kept.

    Args:
        session: as it is.
        apply: what privacy does to a request for this bidder; where it refuses, nothing is seen.
    """
    context = session.context
    outcome = apply(_as_request(context))
    if isinstance(outcome, Refusal):
        seen = BidRequest()
    elif outcome.changes:
        seen = outcome.request
    else:
        return session
    device, known, has_ifa = seen.device, seen.user.HasField("id"), seen.device.HasField("ifa")
    view = replace(
        context,
        user_id=context.user_id if known else None,
        household_id=context.household_id if known else None,
        device=Device(
            ip=device.ip or device.ipv6 or None,
            user_agent=device.ua or ORIGIN.user_agent,
            ifa=context.device.ifa if has_ifa else None,
            ifa_type=context.device.ifa_type if has_ifa else None,
            ids=context.device.ids if has_ifa else (),
        ),
        referrer=seen.site.page or None,
        language=device.langb or None if device.HasField("language") else None,
        cookies=context.cookies if seen.user.HasField("buyeruid") else (),
    )
    return session.seen_as(view, cookies=seen.user.HasField("buyeruid"))


class Discretion:
    """A session, and what others may see of it and of all that is told beside it.

    Attributes:
        session: as it is.
        seen: what `disclosed` gives.
    """

    __slots__ = ("_plan", "seen", "session")

    def __init__(self, session: Session, plan: Plan) -> None:
        """Takes the session, and what privacy does for them."""
        self._plan = plan
        self.session = session
        self.seen = session if plan.takes_nothing else disclosed(session, plan.apply)

    def judge(self, request: BidRequest) -> BidRequest | None:
        """What they may see of a request; None: nothing."""
        outcome = self._plan.apply(request)
        return None if isinstance(outcome, Refusal) else outcome.request


class View:
    """A session as one bidder may see it, worked out when its transport asks.

    Transports in process never do. `upstream.transport.CallSession` says what others ask for.
    """

    __slots__ = ("_apply", "_seen", "_session")

    def __init__(
        self, session: Session, apply: Callable[[BidRequest], Disclosure | Refusal]
    ) -> None:
        """Takes what `disclosed` does."""
        self._session = session
        self._apply = apply
        self._seen: Session | None = None

    @property
    def seen(self) -> Session:
        """What `disclosed` gives."""
        if self._seen is None:
            self._seen = disclosed(self._session, self._apply)
        return self._seen

    def headers(self, url: str) -> dict[str, str]:
        """See `Session.headers`."""
        return self.seen.headers(url)

    def lines(self, url: str) -> str:
        """See `Session.lines`."""
        return self.seen.lines(url)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """See `Session.metadata`: of id and trace privacy takes nothing, so nothing is judged."""
        return self._session.metadata()

    def took(self, url: str, set_cookie: Iterable[str]) -> None:
        """See `Session.took`."""
        self.seen.took(url, set_cookie)


def _told(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    """What the metadata tells of the session; of several entries the first, of tracestate all."""
    told: dict[str, str] = {}
    for name, value in metadata or ():
        if name not in _READ or isinstance(value, bytes):
            continue
        if name == TRACESTATE and name in told:
            told[name] += f",{value}"
        else:
            told.setdefault(name, value)
    return told


def _as_request(context: SessionContext) -> BidRequest:
    """The values of a session in the places that OpenRTB has for them.

    An id that is unknown is there all the same: what goes with it is judged by it.
    """
    request = BidRequest()
    request.user.id = context.user_id or _UNKNOWN
    request.user.buyeruid = _UNKNOWN
    device, told = request.device, context.device
    if told.ip:
        setattr(device, "ipv6" if ":" in told.ip else "ip", told.ip)
    device.ua = told.user_agent
    device.ifa = told.ifa or _UNKNOWN
    device.langb = device.language = context.language or ""
    request.site.page = context.referrer or ""
    return request


_UNKNOWN = "?"
