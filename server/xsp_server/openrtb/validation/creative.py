"""How the creative of a bid has to fit the banner, video, audio or native that the imp offers."""

import re
from collections.abc import Callable
from math import inf
from typing import Final

from xsp_server.openrtb.validation.asked import OnImp, Timed, duration, some
from xsp_server.openrtb.validation.findings import shown
from xsp_server.openrtb.validation.result import Severity, define

_SLOTS_FOR: Final = {1: {1, 2}, -1: {-1, 2}, 2: {1, -1, 2}}
"""By Bid.slotinpod: what the imp's slotinpod has to be. 0 and unknown values ask for nothing."""
_EXTENSION_UNLIMITED: Final = -1
_INSECURE: Final = re.compile(r"http(?:://|%3A%2F%2F)", re.IGNORECASE)
_NO_ADDRESS: Final = re.compile(
    r"""<!DOCTYPE[^<>\[]*(?:\[[^\[\]]*\]\s*)?> |
        (?:xmlns(?::[\w.-]{1,64})?|schemaLocation)\s*=\s*\\*(?:"[^"]*"|'[^']*')""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names that look like addresses but are never fetched. Linear in the length of the markup."""

_SECURE: Final = define("bid.adm.secure", "adm", "https only, since imp.secure is 1", "3.2.4")
_ATTRIBUTE: Final = define(
    "bid.attr.blocked", "attr", "an attribute that battr doesn't block", "3.2.6 to 3.2.9"
)
_API: Final = define("bid.apis.supported", "apis", "an API framework of the imp", "3.2.6 to 3.2.9")
_SIZE: Final = define("bid.size.offered", "w", "a size that the banner offers", "3.2.6, 3.2.10")
_DURATION: Final = define("bid.dur.allowed", "dur", "a duration that the imp allows", "3.2.7")
_POD_DURATION: Final = define("bid.dur.poddur", "dur", "at most the pod's poddur", "3.2.7")
_PROTOCOL: Final = define(
    "bid.protocol.supported", "protocol", "one of the imp's protocols", "3.2.7, 3.2.8"
)
_SLOT: Final = define(
    "bid.slotinpod.offered", "slotinpod", "a slot that the imp guarantees", "implementation 7.6"
)
_SLOT_OF_IMP: Final = define(
    "bid.slotinpod.dynamic",
    "slotinpod",
    "nothing: the imp is a single slot",
    "implementation 7.6",
    Severity.WARNING,
)


def check_creative(case: OnImp) -> None:
    """Reports where a creative does not fit."""
    _check_secure(case)
    if case.media in case.offered:
        for check in _CHECKS[case.media]:
            check(case)


def _check_secure(case: OnImp) -> None:
    bid = case.bid
    if not case.imp.secure or bid.HasField("adm_native"):
        return
    if bid.adm:
        insecure = _INSECURE.search(_NO_ADDRESS.sub("", bid.adm))
        if insecure:
            case.report(_SECURE, f"{shown(insecure[0])} in the markup")
    elif bid.nurl and not bid.nurl.lower().startswith("https://"):
        case.report(_SECURE, shown(bid.nurl), field="nurl")


def _check_attributes(case: OnImp) -> None:
    blocked = frozenset(case.offer.battr)
    for index, attribute in enumerate(case.bid.attr):
        if attribute in blocked:
            case.report(_ATTRIBUTE, shown(attribute), index=index)


def _check_apis(case: OnImp) -> None:
    """A list that isn't there supports no API at all."""
    bid, supported = case.bid, frozenset(case.offer.api)
    if bid.apis:
        for index, api in enumerate(bid.apis):
            if api not in supported:
                case.report(_API, shown(api), expected=_supported(supported), index=index)
    elif bid.HasField("api") and bid.api not in supported:
        case.report(_API, shown(bid.api), expected=_supported(supported), field="api")


def _supported(apis: frozenset[int]) -> str:
    return f"one of {some(apis)}" if apis else "none: the imp supports no API"


def _check_size(case: OnImp) -> None:
    """One of the pairs that the bid tells fits: width and height, or their ratio."""
    bid, banner = case.bid, case.offer
    fixed = {(size.w, size.h) for size in (banner, *banner.format) if size.w and size.h}
    flexible = [f for f in banner.format if f.wratio and f.hratio]
    size = (bid.w, bid.h) if bid.HasField("w") and bid.HasField("h") else None
    ratio = (bid.wratio, bid.hratio) if bid.wratio and bid.hratio else None
    if not (size or ratio) or not (fixed or flexible):
        return
    if size in fixed:
        return
    for pair in filter(None, (size, ratio)):
        for f in flexible:
            wide_enough = bid.w >= f.wmin or not bid.HasField("w")
            if pair[0] * f.hratio == pair[1] * f.wratio and wide_enough:
                return
    sizes = [f"{w}x{h}" for w, h in sorted(fixed)] + [f"{f.wratio}:{f.hratio}" for f in flexible]
    found = f"{size[0]}x{size[1]}" if size else f"{bid.wratio}:{bid.hratio}"
    case.report(_SIZE, found, expected=f"one of {some(sizes)}", field="w" if size else "wratio")


def _check_duration(case: OnImp) -> None:
    bid, timed = case.bid, case.offer
    if bid.HasField("dur"):
        longest = _longest(timed)
        if timed.rqddurs:
            if bid.dur not in timed.rqddurs:
                expected = f"one of {some(timed.rqddurs)} s"
                case.report(_DURATION, shown(bid.dur), expected=expected)
        elif not timed.minduration <= bid.dur <= longest:
            upper = "" if longest == inf else f", at most {longest} s"
            expected = f"at least {timed.minduration} s{upper}"
            case.report(_DURATION, shown(bid.dur), expected=expected)
    seconds = duration(bid, timed)
    if seconds is not None and timed.HasField("poddur") and seconds > timed.poddur:
        found = shown(seconds) if bid.HasField("dur") else f"nothing, so at most {seconds}"
        case.report(_POD_DURATION, found, expected=f"at most {timed.poddur} s")


def _longest(timed: Timed) -> float:
    if not timed.HasField("maxduration") or timed.maxextended == _EXTENSION_UNLIMITED:
        return inf
    return timed.maxduration + timed.maxextended


def _check_protocol(case: OnImp) -> None:
    bid, protocols = case.bid, case.offer.protocols
    if bid.HasField("protocol") and protocols and bid.protocol not in protocols:
        case.report(_PROTOCOL, shown(bid.protocol), expected=f"one of {some(protocols)}")


def _check_slot(case: OnImp) -> None:
    bid, timed = case.bid, case.offer
    if not (timed.podid and bid.slotinpod):
        return
    if timed.slotinpod not in _SLOTS_FOR.get(bid.slotinpod, {timed.slotinpod}):
        expected = f"a slot that slotinpod {timed.slotinpod} of the imp guarantees"
        case.report(_SLOT, shown(bid.slotinpod), expected=expected)
    elif not timed.HasField("poddur"):
        case.report(_SLOT_OF_IMP, shown(bid.slotinpod))


_COMMON: Final = (_check_attributes, _check_apis)
_TIMED: Final = (*_COMMON, _check_duration, _check_protocol, _check_slot)
_CHECKS: Final[dict[str, tuple[Callable[[OnImp], None], ...]]] = {
    "banner": (*_COMMON, _check_size),
    "video": _TIMED,
    "audio": _TIMED,
    "native": _COMMON,
}
