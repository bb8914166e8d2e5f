"""Rules that no schema has, and which events each kind of creative knows."""

from typing import Final

from xsp_server.vast.schema import Version

LINEAR: Final = "Linear"
NON_LINEAR: Final = "NonLinearAds"
COMPANION: Final = "CompanionAds"
VERIFICATION: Final = "AdVerifications"

_PLAYBACK: Final = (
    "start firstQuartile midpoint thirdQuartile complete mute unmute pause rewind resume "
)
_PLAYER: Final = _PLAYBACK + "skip progress playerExpand playerCollapse otherAdInteraction "
_LINEAR: Final[dict[Version, str]] = {
    20: _PLAYBACK + "creativeView fullscreen expand collapse acceptInvitation close",
    30: _PLAYBACK + "creativeView fullscreen exitFullscreen expand collapse"
    " acceptInvitationLinear closeLinear skip progress",
    40: _PLAYER + "acceptInvitationLinear timeSpentViewing",
    41: _PLAYER + "notUsed loaded closeLinear",
    42: _PLAYER + "notUsed loaded closeLinear interactiveStart",
    43: _PLAYER + "notUsed loaded closeLinear interactiveStart",
}
_NON_LINEAR: Final[dict[Version, str]] = {
    20: "expand collapse acceptInvitation close",
    30: "expand collapse acceptInvitation close",
    40: "creativeView acceptInvitation adExpand adCollapse minimize close overlayViewDuration"
    " otherAdInteraction",
}


def events_of(kind: str, version: Version) -> frozenset[str]:
    """The events that the text of a version has for a kind of creative."""
    if kind == COMPANION:
        return frozenset({"creativeView"})
    if kind == VERIFICATION:
        return frozenset({"verificationNotExecuted"})
    linear = frozenset(_LINEAR[version].split())
    if kind == LINEAR:
        return linear
    return linear | frozenset(_NON_LINEAR[min(version, 40)].split())
