"""Native requests: the JSON inside Imp.native.request, by the version that it says."""

from collections.abc import Callable
from typing import Final

import orjson

from xsp.openrtb.v2.bid_request_pb2 import BidRequest, NativeRequest
from xsp_server.errors import InvalidJson, TooDeep
from xsp_server.openrtb import codec
from xsp_server.openrtb.validation.findings import NO_INDEX, Findings, Place, shown
from xsp_server.openrtb.validation.formats import is_version
from xsp_server.openrtb.validation.plans import Across, Plan, inspect
from xsp_server.openrtb.validation.result import Severity, define

_ROOT_DROPPED: Final = (1, 1)
_EVENT_TRACKERS_SINCE: Final = (1, 2)
_LAYOUT_UNTIL: Final = (1, 1)

_JSON = define(
    "native.request.json",
    "request",
    "a native request as JSON",
    "3.2.9",
)
_VERSION = define(
    "native.request.version",
    "ver",
    "the version that native.ver says",
    "3.2.9",
)
_ROOT = define(
    "native.request.root",
    "request",
    "the root that its version has: an object `native` in 1.0, the request itself from 1.1",
    "3.2.9",
    Severity.WARNING,
)
_TRACKERS = define(
    "nativerequest.eventtrackers.version",
    "eventtrackers",
    "nothing before Native 1.2",
    "Native 1.2, 4.1",
    Severity.WARNING,
)
_LAYOUT = define(
    "nativerequest.layout.version",
    "layout",
    "context and plcmttype instead, since Native 1.1",
    "Native 1.1",
    Severity.WARNING,
)
_ADUNIT = define(
    "nativerequest.adunit.version",
    "adunit",
    "context and plcmttype instead, since Native 1.1",
    "Native 1.1",
    Severity.WARNING,
)
# What Native asks of a video and OpenRTB doesn't.
_VIDEO: Final = tuple(
    define(f"nativevideo.{name}.required", f"video.{name}", "a value", "Native 1.2, 4.5")
    for name in ("minduration", "maxduration", "protocols")
)


def across(plan: Plan) -> tuple[Across, ...]:
    """The checks of native requests.

    Args:
        plan: how a NativeRequest is walked.
    """
    return (
        Across(BidRequest.Native, ("request",), _embedded(plan)),
        Across(BidRequest.Native, ("request_native",), _check_typed),
        Across(NativeRequest, ("ver",), _check_generation),
        Across(NativeRequest.Asset, ("video",), _check_video),
    )


def _embedded(plan: Plan) -> Callable[[BidRequest.Native, Place, Findings], None]:
    """Reads the request inside the text and walks it."""

    def check(native: BidRequest.Native, place: Place, findings: Findings) -> None:
        request = _read(native.request, place, findings)
        if request is not None:
            wrapped = orjson.loads(native.request).get("native") is not None
            at = (place, "request", NO_INDEX)
            _check_root(native, request, wrapped, place, findings)
            _check_version(native, request, at, findings)
            inspect(plan, request, at, findings)

    return check


def _read(text: str, place: Place, findings: Findings) -> NativeRequest | None:
    try:
        return codec.parse_native_request(text).message
    except InvalidJson as error:
        for violation in error.violations:
            where = f"request.{violation.path}" if violation.path else "request"
            found = shown(text) if violation.path == "" else "another type"
            expected = f"{_JSON.expected}: {violation.description}"
            findings.report(_JSON, place, found, expected=expected, field=where)
    except TooDeep as error:
        findings.report(_JSON, place, str(error))
    return None


def _check_typed(native: BidRequest.Native, place: Place, findings: Findings) -> None:
    _check_version(native, native.request_native, (place, "request_native", NO_INDEX), findings)


def _check_root(
    native: BidRequest.Native,
    request: NativeRequest,
    wrapped: bool,
    place: Place,
    findings: Findings,
) -> None:
    said = request.ver or native.ver
    if is_version(said) and wrapped is (_version(said) >= _ROOT_DROPPED):
        root = "an object `native`" if wrapped else "the request itself"
        findings.report(_ROOT, place, f"{root} in {said}")


def _check_version(
    native: BidRequest.Native, request: NativeRequest, place: Place, findings: Findings
) -> None:
    outer, inner = native.ver, request.ver
    if is_version(outer) and is_version(inner) and _version(outer) != _version(inner):
        findings.report(_VERSION, place, shown(inner), expected=f"{shown(outer)}, as native.ver")


def _check_generation(request: NativeRequest, place: Place, findings: Findings) -> None:
    if not is_version(request.ver):
        return
    version = _version(request.ver)
    if version < _EVENT_TRACKERS_SINCE and request.eventtrackers:
        findings.report(_TRACKERS, place, f"eventtrackers in {request.ver}")
    if version >= _ROOT_DROPPED:
        if request.HasField("layout"):
            findings.report(_LAYOUT, place, f"layout in {request.ver}")
        if request.HasField("adunit"):
            findings.report(_ADUNIT, place, f"adunit in {request.ver}")


def _check_video(asset: NativeRequest.Asset, place: Place, findings: Findings) -> None:
    present = {descriptor.name for descriptor, _ in asset.video.ListFields()}
    for rule in _VIDEO:
        if rule.field.removeprefix("video.") not in present:
            findings.report(rule, place, "nothing")


def _version(text: str) -> tuple[int, ...]:
    """Comparable: 1 is 1.0."""
    numbers = [int(part) for part in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
