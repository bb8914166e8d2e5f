"""Video, audio and banner objects as a whole: ranges of durations, companions, pods."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.openrtb.validation.findings import NO_INDEX, ROOT, Findings, Place, shown
from xsp_server.openrtb.validation.plans import Across, repeated
from xsp_server.openrtb.validation.result import Severity, define

Timed: TypeAlias = BidRequest.Video | BidRequest.Audio

_TIMED: Final[tuple[tuple[str, type[Message], str], ...]] = (
    ("video", BidRequest.Video, "3.2.7"),
    ("audio", BidRequest.Audio, "3.2.8"),
)
_ENDS: Final = {1: "first", -1: "last"}
"""Slot positions of which a pod has only one each."""

_VCM = define(
    "banner.vcm.companion-only",
    "vcm",
    "nothing: it tells about companions of a video",
    "3.2.6",
    Severity.WARNING,
)
_BANNER_ID = define(
    "banner.id.unique",
    "id",
    "an id that no other banner of the imp has",
    "3.2.6",
    Severity.WARNING,
)
_PODSEQ = define(
    "imp.podseq.same-pod",
    "podseq",
    "the same podseq on all imps of a pod",
    "3.2.7, 3.2.8",
)
_SLOT = define(
    "imp.slotinpod.same-pod",
    "slotinpod",
    "a first or last slot that no other imp of the pod claims",
    "implementation 7.6",
)


def _ordered(name: str, message: type[Message], source: str, low: str, high: str) -> Across:
    """The lower bound of a range is not above the upper one."""
    rule = define(f"{name}.{low}.order", low, f"at most {high}", source)

    def check(bounds: Any, place: Place, findings: Findings) -> None:
        lowest, highest = getattr(bounds, low), getattr(bounds, high)
        if lowest > highest:
            findings.report(rule, place, shown(lowest), expected=f"at most {high} ({highest})")

    return Across(message, (low, high), check)


def _pod_takes_an_ad(name: str, message: type[Message], source: str) -> Across:
    """An ad of an allowed duration fits into a dynamic pod; the longest should fit, too."""
    too_short = define(f"{name}.poddur.shortest-ad", "poddur", "room for one ad", source)
    too_long = define(
        f"{name}.maxduration.poddur", "maxduration", "at most poddur", source, Severity.WARNING
    )

    def check(timed: Timed, place: Place, findings: Findings) -> None:
        if timed.poddur < 1:
            return  # another rule's business
        shortest = min(timed.rqddurs, default=timed.minduration)
        if timed.poddur < shortest:
            expected = f"at least {shortest}, the shortest ad allowed"
            findings.report(too_short, place, shown(timed.poddur), expected=expected)
        elif timed.poddur < timed.maxduration:
            expected = f"at most poddur ({timed.poddur})"
            findings.report(too_long, place, shown(timed.maxduration), expected=expected)

    return Across(message, ("poddur",), check)


def _banner_is_no_companion(imp: BidRequest.Imp, place: Place, findings: Findings) -> None:
    if imp.banner.HasField("vcm"):
        findings.report(_VCM, (place, "banner", NO_INDEX), shown(imp.banner.vcm))


def _audio_companions(audio: BidRequest.Audio, place: Place, findings: Findings) -> None:
    for index, banner in enumerate(audio.companionad):
        if banner.HasField("vcm"):
            findings.report(_VCM, (place, "companionad", index), shown(banner.vcm))


def _companion_ids(name: str) -> Callable[[BidRequest.Imp, Place, Findings], None]:
    """Checks that the imp's own banner and the companions have different ids."""

    def check(imp: BidRequest.Imp, place: Place, findings: Findings) -> None:
        companions = getattr(imp, name).companionad
        if not companions:
            return
        ids = [imp.banner.id, *(banner.id for banner in companions)]
        for index in repeated(ids):
            at = ((place, name, NO_INDEX), "companionad", index - 1)
            findings.report(_BANNER_ID, at, shown(ids[index]))

    return check


@dataclass(slots=True)
class _Pod:
    """What the imps of one pod have said so far."""

    podseq: int | None = None
    ends: set[int] = field(default_factory=set)


def check_pods(imps: Iterable[BidRequest.Imp], findings: Findings) -> None:
    """Imps of one pod agree on its place in the stream and don't claim the same end of it."""
    pods: dict[tuple[str, str], _Pod] = {}
    for index, imp in enumerate(imps):
        for name, _, _ in _TIMED:
            if not imp.HasField(name):  # type: ignore[arg-type] # the stub wants a literal
                continue
            timed: Timed = getattr(imp, name)
            if timed.podid:
                pod = pods.setdefault((name, timed.podid), _Pod())
                _check_pod(timed, pod, ((ROOT, "imp", index), name, NO_INDEX), findings)


def _check_pod(timed: Timed, pod: _Pod, place: Place, findings: Findings) -> None:
    if timed.HasField("podseq"):
        if pod.podseq is not None and pod.podseq != timed.podseq:
            expected = f"{pod.podseq}, as another imp of pod {shown(timed.podid)} has"
            findings.report(_PODSEQ, place, shown(timed.podseq), expected=expected)
        pod.podseq = timed.podseq
    slot = timed.slotinpod
    if slot in _ENDS:
        if slot in pod.ends:
            expected = f"another slot: an imp of pod {shown(timed.podid)} has the {_ENDS[slot]}"
            findings.report(_SLOT, place, shown(slot), expected=expected)
        pod.ends.add(slot)


ACROSS: Final = (
    *(_ordered(*timed, "minduration", "maxduration") for timed in _TIMED),
    *(_ordered(*timed, "minbitrate", "maxbitrate") for timed in _TIMED),
    _ordered("durfloors", BidRequest.DurFloors, "3.2.35", "mindur", "maxdur"),
    *(_pod_takes_an_ad(*timed) for timed in _TIMED),
    Across(BidRequest.Imp, ("banner",), _banner_is_no_companion),
    Across(BidRequest.Audio, ("companionad",), _audio_companions),
    *(Across(BidRequest.Imp, (name,), _companion_ids(name)) for name, _, _ in _TIMED),
)
