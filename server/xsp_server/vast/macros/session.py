"""The values that a session and its call know."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from xsp.openrtb.v2 import lists_pb2 as lists
from xsp.session.v1 import session_context_pb2 as pb
from xsp.vast.v1.resolve_options_pb2 import AdRequirements
from xsp_server.vast.macros.disclosure import PERSONAL, Judge, careful, disclosed
from xsp_server.vast.macros.values import NONE, MacroValues, Value, Values

SERVER: Final = "XSP"
"""The server's own name. Sessions of unknown devices have it as their User-Agent."""


class Asked(NamedTuple):
    """What a resolution is about, besides its session.

    Attributes:
        transaction_id: a UUID, the same for the whole chain.
        server: name and version of the product that asks.
        server_side: 1: it asks for a client that told it to; 2: for another server, or nobody
            knows.
        requirements: what an ad has to be.
    """

    transaction_id: str
    server: str = SERVER
    server_side: Value = 2
    requirements: AdRequirements = AdRequirements()


def values_of(
    session: pb.SessionContext,
    asked: Asked,
    *,
    given: Values = NONE,
    judge: Judge = careful,
) -> MacroValues:
    """The values of the URLs that the server requests in a session.

    CACHEBUSTING and TIMESTAMP are the session's, the same in all of its calls, although VAST wants
    them fresh for each request: the session says what belongs to one ad opportunity.

    Args:
        session: filled in, as answers return it.
        asked: what else is known.
        given: by the caller. They count before all others; privacy judges them all the same.
        judge: what privacy leaves.
    """
    personal = {name: given[name] for name in PERSONAL & given.keys()}
    others = {name: given[name] for name in given.keys() - PERSONAL}

    def work_out() -> Values:
        of_device = {**_of_device(session, asked.server), **personal}
        return {
            **_of_session(session),
            **_of_asked(asked),
            **disclosed(of_device, session.consent, judge),
        }

    return MacroValues(others, work_out=work_out)


def _of_session(session: pb.SessionContext) -> dict[str, Value]:
    """What is no secret: time, randomness, and what the law and the user say."""
    consent = session.consent
    values: dict[str, Value | None] = {
        "TIMESTAMP": _iso(session) if session.HasField("timestamp") else None,
        "CACHEBUSTING": session.cachebusting or None,
        "LIMITADTRACKING": int(consent.lmt) if consent.HasField("lmt") else None,
        "REGULATIONS": _regulations(consent),
        "GDPRCONSENT": consent.tcf_consent or None,
        "GPPSTRING": consent.gpp or None,
        "GPPSECTIONID": tuple(consent.gpp_sid) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _iso(session: pb.SessionContext) -> str:
    """ISO 8601 with milliseconds and the zone: 2016-01-17T13:15:07.127+00:00."""
    return session.timestamp.ToDatetime(UTC).isoformat(timespec="milliseconds")


def _regulations(consent: pb.Consent) -> tuple[str, ...] | None:
    """Those that hold; empty: none does; None: nobody knows of any, nor of all that none does."""
    flags = (("coppa", consent.coppa), ("gdpr", consent.gdpr_applies))
    holding = tuple(name for name, holds in flags if holds)
    known = consent.HasField("coppa") and consent.HasField("gdpr_applies")
    return holding if holding or known else None


def _of_asked(asked: Asked) -> dict[str, Value]:
    needs = asked.requirements
    values: dict[str, Value | None] = {
        "TRANSACTIONID": asked.transaction_id,
        "SERVERSIDE": asked.server_side,
        "SERVERUA": asked.server,
        "CLIENTUA": f"unknown {asked.server}",
        "MEDIAMIME": tuple(needs.media_types) or None,
        "APIFRAMEWORKS": _frameworks(needs.api_frameworks) or None,
    }
    if needs.HasField("min_duration"):
        shortest = needs.min_duration
        values["BREAKMINADLENGTH"] = shortest.seconds + (shortest.nanos > 0)
    if needs.HasField("max_duration"):
        values["BREAKMAXADLENGTH"] = needs.max_duration.seconds
    return {name: value for name, value in values.items() if value is not None}


_FRAMEWORKS: Mapping[str, tuple[int, ...]] = {
    "vpaid": (lists.API_FRAMEWORK_VPAID_1_0, lists.API_FRAMEWORK_VPAID_2_0),
    "mraid": (
        lists.API_FRAMEWORK_MRAID_1_0,
        lists.API_FRAMEWORK_MRAID_2_0,
        lists.API_FRAMEWORK_MRAID_3_0,
    ),
    "ormma": (lists.API_FRAMEWORK_ORMMA,),
    "omid": (lists.API_FRAMEWORK_OMID_1_0,),
    "simid": (lists.API_FRAMEWORK_SIMID_1_0, lists.API_FRAMEWORK_SIMID_1_1),
}
"""AdCOM's numbers of the names that documents have; a name stands for all of its versions."""


def _frameworks(names: Sequence[str]) -> tuple[int, ...]:
    found = {number for name in names for number in _FRAMEWORKS.get(name.strip().lower(), ())}
    return tuple(sorted(found))


def _of_device(session: pb.SessionContext, server: str) -> Values:
    """What the session knows of the device and the page."""
    device = session.device
    values = {
        "IFA": device.ifa,
        "IFATYPE": device.ifa_type,
        "DEVICEIP": device.ip,
        "DEVICEUA": "" if device.user_agent in (SERVER, server) else device.user_agent,
        "PAGEURL": session.referrer,
        "DOMAIN": _host(session.referrer),
    }
    return {name: value for name, value in values.items() if value}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
