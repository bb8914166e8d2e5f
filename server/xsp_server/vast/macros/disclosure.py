"""What privacy leaves of the values that tell who or where somebody is.

They are put where OpenRTB has them, in a request with the session's consent, and a judge makes of
it what may be seen. With the auction's privacy policy as the judge, a macro tells no more than a
bidder would be told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp.session.v1 import session_context_pb2 as pb
from xsp_server.vast.macros.values import Absence, Item, Value, Values

Judge = Callable[[BidRequest], BidRequest | None]
"""From a request to what of it may be seen: the request itself, or a copy with less in it; None:
nothing. It has to be pure."""


def careful(request: BidRequest) -> BidRequest:
    """The judge that reads no consent strings: where a law may forbid something, it is withheld.

    Ids, address and position are withheld under COPPA and the GDPR, on an opt-out of US privacy,
    under any section of a GPP string, and with limited ad tracking or "do not track".
    """
    regs, device = request.regs, request.device
    opts_out = regs.us_privacy[2:3].upper() not in ("", "N", "-")
    if not any((regs.coppa, regs.gdpr, opts_out, regs.gpp, regs.gpp_sid, device.lmt, device.dnt)):
        return request
    seen = BidRequest()
    seen.CopyFrom(request)
    for field in ("ifa", "ip", "ipv6", "geo"):
        seen.device.ClearField(field)
    seen.user.ClearField("id")
    seen.user.ClearField("buyeruid")
    return seen


_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "IFATYPE": ("device.ifa",),  # goes with what it is the type of
    "IFA": ("device.ifa",),
    "DEVICEIP": ("device.ip",),
    "DEVICEUA": ("device.ua",),
    "LATLONG": ("device.geo.lat", "device.geo.lon"),
    "PAGEURL": ("site.page",),
    "DOMAIN": ("site.domain",),
}
"""The fields of a request that macros stand for."""

PERSONAL: Final = frozenset(_PLACES)
"""Names whose values a judge decides on."""

_PROBE: Final[Mapping[str, tuple[Item, ...]]] = {
    "IFATYPE": ("?",),
    "LATLONG": (1.23456789, 1.23456789),
}
"""Stand for values that don't fit their fields. What is done to these is done to all."""

Known = Item | Sequence[Item]


def disclosed(values: Values, consent: pb.Consent, judge: Judge) -> Values:
    """Values of personal macros as they may be told, the others withheld.

    Args:
        values: by name; all of them in `PERSONAL`. Absent ones stay as they are.
        consent: of the user.
        judge: what privacy leaves.
    """
    known = {name: value for name, value in values.items() if not isinstance(value, Absence)}
    if not known:
        return values
    request = as_request(known, consent)
    seen = judge(request)
    if seen is request:
        return values
    judged = {
        name: Absence.WITHHELD if seen is None else _as_seen(name, value, seen)
        for name, value in known.items()
    }
    return {**values, **judged}


def as_request(values: Mapping[str, Known], consent: pb.Consent) -> BidRequest:
    """Values of personal macros, and the consent, in the places that OpenRTB 2.6 has for them.

    Args:
        values: by name.
        consent: of the user.
    """
    request = BidRequest()
    for name in _PLACES:
        if name in values:
            value = values[name]
            for path, content in zip(_places(name, value), _contents(name, value), strict=True):
                message, field = _parent(request, path)
                setattr(message, field, content)
    _tell(request, consent)
    return request


def _tell(request: BidRequest, consent: pb.Consent) -> None:
    """Puts the consent into a request. What is not known stays absent."""
    regs, device = request.regs, request.device
    if consent.HasField("coppa"):
        regs.coppa = consent.coppa
    if consent.HasField("gdpr_applies"):
        regs.gdpr = consent.gdpr_applies
    if consent.HasField("lmt"):
        device.lmt = consent.lmt
    if consent.HasField("dnt"):
        device.dnt = consent.dnt
    if consent.tcf_consent:
        request.user.consent = consent.tcf_consent
    if consent.us_privacy:
        regs.us_privacy = consent.us_privacy
    if consent.gpp:
        regs.gpp = consent.gpp
    regs.gpp_sid[:] = consent.gpp_sid


def _as_seen(name: str, value: Known, seen: BidRequest) -> Value:
    """One value, itself where nothing was changed in its place."""
    before = _contents(name, value)
    after: list[Item] = []
    for path in _places(name, value):
        message, field = _parent(seen, path)
        if not message.HasField(field):
            return Absence.WITHHELD
        after.append(getattr(message, field))
    if tuple(after) == before or name == "IFATYPE":
        return value
    if before is _PROBE.get(name):
        return Absence.WITHHELD
    return after[0] if len(after) == 1 else after


def _parent(request: BidRequest, path: str) -> tuple[Any, str]:
    """The message that has the last name of a path, and that name."""
    *outer, field = path.split(".")
    message: Any = request
    for name in outer:
        message = getattr(message, name)
    return message, field


def _places(name: str, value: Known) -> tuple[str, ...]:
    if name == "DEVICEIP" and ":" in str(value):
        return ("device.ipv6",)
    return _PLACES[name]


def _contents(name: str, value: Known) -> tuple[Item, ...]:
    """What a value is in its fields."""
    if name == "LATLONG":
        return _degrees(value) or _PROBE[name]
    if name in _PROBE:
        return _PROBE[name]
    return (_joined(value),)


def _joined(value: Known) -> str:
    """A value that has to be one, as text."""
    return str(value) if isinstance(value, str | int | float) else ",".join(map(str, value))


def _degrees(value: Known) -> tuple[float, float] | None:
    """Latitude and longitude; None: it is something else."""
    try:
        latitude, longitude = map(float, _joined(value).split(","))
    except ValueError:
        return None
    return latitude, longitude
