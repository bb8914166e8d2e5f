"""What the servers that are asked may see of a session that nobody has judged yet. Pure.

What a judge takes from macros has to stay out of headers and cookies too: one decision for all.
"""

from dataclasses import replace

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2
from xsp_server.vast.macros import Judge, as_request
from xsp_server.vast.macros.session import SERVER
from xsp_server.vast.resolver.fetcher import Session


def seen_by_servers(session: Session, judge: Judge) -> Session:
    """The session as servers may see it; itself where the judge takes nothing from it.

    The household and the device's other ids go with the ids that they belong to; cookies go with
    `user.buyeruid`, since they tell a server its own id of the user: then none is sent, and those
    that the chain sets end with it.

    Args:
        session: as it is.
        judge: what privacy leaves of a request.
    """
    request = _as_request(session.to_message())
    seen = judge(request)
    if seen is request:
        return session
    if seen is None:
        seen = BidRequest()
    context, device, keeps_cookies = session.context, seen.device, seen.user.HasField("buyeruid")
    is_known, has_ifa = seen.user.HasField("id"), device.HasField("ifa")
    view = replace(
        context,
        user_id=context.user_id if is_known else None,
        household_id=context.household_id if is_known else None,
        device=replace(
            context.device,
            ip=device.ip or device.ipv6 or None,
            user_agent=device.ua or SERVER,
            ifa=context.device.ifa if has_ifa else None,
            ifa_type=context.device.ifa_type if has_ifa else None,
            ids=context.device.ids if has_ifa else (),
        ),
        referrer=seen.site.page or None,
        language=device.language or None,
        cookies=context.cookies if keeps_cookies else (),
    )
    return session.seen_as(view, cookies=keeps_cookies)


def _as_request(session: session_context_pb2.SessionContext) -> BidRequest:
    """The values of a session in the places that OpenRTB has for them.

    An id that is unknown is there all the same: what goes with it is judged by it.
    """
    device = session.device
    told = {
        "DEVICEIP": device.ip,
        "DEVICEUA": device.user_agent,
        "PAGEURL": session.referrer,
    }
    request = as_request({name: value for name, value in told.items() if value}, session.consent)
    request.user.id = session.user_id or _UNKNOWN
    request.user.buyeruid = _UNKNOWN
    request.device.ifa = device.ifa or _UNKNOWN
    request.device.language = session.language
    return request


_UNKNOWN = "?"
