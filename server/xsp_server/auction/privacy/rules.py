"""The rules of privacy and what they do by default.

The defaults follow the reasons that stand beside them. They are a careful start, not legal advice:
whoever runs an exchange has to know the laws that bind it, and sets the tables accordingly.

A rule acts when its signal does: one rule for a signal of one meaning, several for a consent
string, which can refuse several things (`refusals`). What several rules do to a field adds up to
the strictest.
"""

from dataclasses import dataclass, field
from typing import Final

from xsp_server.auction.privacy import refusals
from xsp_server.auction.privacy.paths import check
from xsp_server.auction.privacy.words import Action, Signal, Treatment

PREFIX: Final = "privacy."

Fields = tuple[tuple[str, Treatment], ...]
"""OpenRTB paths and what is done there. Where an array is on the way, each item is meant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done on one ground.

    Attributes:
        id: as reports have it, `privacy.gdpr.location`.
        signal: what calls for it.
        fields: what is done to the request.
        skip: whether the bidder is not asked at all.

    Raises:
        ValueError: a path leads nowhere, or to what can't be treated so.
    """

    id: str
    signal: Signal
    fields: Fields = ()
    skip: bool = False
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Checks the paths."""
        for path, treatment in self.fields:
            check(path, treatment)
        object.__setattr__(self, "_hash", hash((self.id, self.fields, self.skip)))

    def __hash__(self) -> int:
        """Worked out once: a bidder's plan is looked up by its rules, for every request."""
        return self._hash


_REMOVE: Final = Treatment(Action.REMOVE)
_TRUNCATE: Final = Treatment(Action.TRUNCATE)
_ROUND: Final = Treatment(Action.ROUND)

# What tells one person or one device from all others, for longer than this request. Members of
# `ext` without a name in OpenRTB may be ids just as well; nobody can tell.
_IDS: Final = (
    "user.id",
    "user.buyeruid",
    "user.eids",
    "user.customdata",
    "user.ext.eids",
    "user.ext.*",
    "device.ifa",
    "device.didsha1",
    "device.didmd5",
    "device.dpidsha1",
    "device.dpidmd5",
    "device.macsha1",
    "device.macmd5",
    "device.ext.ifv",
    "device.ext.*",
)

# What is known or guessed of the person.
_PROFILE: Final = ("user.yob", "user.gender", "user.keywords", "user.kwarray", "user.data")

_ADDRESSES: Final = ("device.ip", "device.ipv6")
_GEOS: Final = ("device.geo", "user.geo")
_COORDINATES: Final = tuple(f"{geo}.{name}" for geo in _GEOS for name in ("lat", "lon"))
# How the position was found, which can give it away, and areas as small as a street.
_FINE: Final = tuple(
    f"{geo}.{name}" for geo in _GEOS for name in ("accuracy", "lastfix", "zip", "ext.*")
)
_TOWN: Final = tuple(f"{geo}.{name}" for geo in _GEOS for name in ("city", "metro"))


def _all(treatment: Treatment, *paths: tuple[str, ...]) -> Fields:
    return tuple((path, treatment) for group in paths for path in group)


_NO_IDS: Final = _all(_REMOVE, _IDS)
_NO_PROFILE: Final = _all(_REMOVE, _IDS, _PROFILE)
# Two decimals are about a kilometre; /24 and /48 are a neighbourhood of an access network.
_ROUGH_PLACE: Final = (
    _all(_TRUNCATE, _ADDRESSES) + _all(_ROUND, _COORDINATES) + _all(_REMOVE, _FINE)
)
_NOTHING_PERSONAL: Final = _NO_PROFILE + _ROUGH_PLACE
_CHILD: Final = _NO_PROFILE + (
    _all(_TRUNCATE, _ADDRESSES) + _all(_REMOVE, _COORDINATES, _FINE, _TOWN)
)


def _rule(signal: Signal, name: str, fields: Fields) -> Rule:
    return Rule(f"{PREFIX}{signal}" + (f".{name}" if name else ""), signal, fields)


DEFAULTS: Final[tuple[Rule, ...]] = (
    # What an exchange never tells anybody is for itself to say.
    _rule(Signal.POLICY, "", ()),
    # COPPA (16 CFR 312.2) counts persistent ids, and a place as exact as street and town, as
    # personal information of a child, which needs a parent's consent.
    _rule(Signal.COPPA, "", _CHILD),
    # ePrivacy directive article 5(3), TCF purpose 1: no consent, no use of what is stored on the
    # device, which is where ids come from.
    _rule(Signal.GDPR, "storage", _NO_IDS),
    # TCF purpose 4: no profile may choose the ad, so neither it nor the key to it is told.
    _rule(Signal.GDPR, "personalised", _NO_PROFILE),
    # TCF special feature 1: without opting in, nothing more exact than about 500 m; that is two
    # decimals, and an IP address without its last part.
    _rule(Signal.GDPR, "location", _ROUGH_PLACE),
    # TCF purpose 2: without a basis even for plain ads (GDPR article 6), the request goes out
    # without personal data. `skip` keeps it from going out.
    _rule(Signal.GDPR, "basic_ads", _NOTHING_PERSONAL),
    # CCPA (Cal. Civ. Code 1798.120, 1798.140): who opted out of sale and sharing is not told of;
    # ids, and a place within 1,850 feet, are what the law protects most.
    _rule(Signal.US_PRIVACY, "opt_out", _NOTHING_PERSONAL),
    # 11 CCR 7025 takes Global Privacy Control (`regs.ext.gpc`) for an opt-out.
    _rule(Signal.US_PRIVACY, "gpc", _NOTHING_PERSONAL),
    # The same grounds, as the sections of a GPP string tell them.
    _rule(Signal.GPP, "storage", _NO_IDS),
    _rule(Signal.GPP, "personalised", _NO_PROFILE),
    _rule(Signal.GPP, "location", _ROUGH_PLACE),
    _rule(Signal.GPP, "basic_ads", _NOTHING_PERSONAL),
    _rule(Signal.GPP, "opt_out", _NOTHING_PERSONAL),
    # State laws ask consent for data of a known child, as COPPA does.
    _rule(Signal.GPP, "child", _CHILD),
    # OpenRTB 2.6 section 3.2.18 and the terms of the platforms: no tracking, by whatever means.
    _rule(Signal.LMT, "", _NOTHING_PERSONAL),
    # W3C Tracking Preference Expression: not to be tracked by third parties, which bidders are.
    _rule(Signal.DNT, "", _NOTHING_PERSONAL),
)

_PLACE: Final = {rule.id: place for place, rule in enumerate(DEFAULTS)}


def bit(signal: Signal, name: str = "") -> int:
    """The bit that stands for a rule, in numbers that say which rules act."""
    return 1 << _PLACE[f"{PREFIX}{signal}" + (f".{name}" if name else "")]


_NAMES: Final = {
    refusals.STORAGE: "storage",
    refusals.PERSONALISED: "personalised",
    refusals.LOCATION: "location",
    refusals.BASIC_ADS: "basic_ads",
    refusals.OPT_OUT: "opt_out",
    refusals.CHILD: "child",
}


def _by_refusal(signal: Signal, known: int) -> tuple[int, ...]:
    """For every number of refusals the bits of the rules that act."""
    return tuple(
        sum(bit(signal, name) for one, name in _NAMES.items() if number & one & known)
        for number in range(refusals.EVERYTHING + 1)
    )


GDPR_RULES: Final = _by_refusal(Signal.GDPR, refusals.CONSENT_FRAMEWORK)
GPP_RULES: Final = _by_refusal(Signal.GPP, refusals.EVERYTHING)

OF_SIGNAL: Final = {
    signal: sum(1 << place for place, rule in enumerate(DEFAULTS) if rule.signal is signal)
    for signal in Signal
}
"""The bits of each signal's rules."""
