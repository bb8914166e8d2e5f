"""What a request says about privacy, read once for all bidders."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from xsp.openrtb.v2.bid_request_pb2 import BidRequest
from xsp_server.auction.privacy import gpp, refusals
from xsp_server.auction.privacy.rules import GDPR_RULES, GPP_RULES, bit
from xsp_server.auction.privacy.tcf import TcString
from xsp_server.auction.privacy.words import Signal
from xsp_server.values import value


@dataclass(frozen=True, slots=True)
class Reading:
    """How signals are read where the standards leave it open.

    Attributes:
        assume_gdpr: whether the GDPR holds where `regs.gdpr` is absent.
        unlisted_vendors: whether a user's choices by purpose count for a bidder without a vendor
            id. If not, such a bidder has no consent and no other legal basis.
        tcf_policy_version: oldest version of TCF's policies under which consent counts.
        unreadable_refuses: whether US privacy and GPP strings that can't be read refuse all that
            they could. If not, they count for nothing. A TC string that can't be read is never
            consent.
        gpp_without_sid: whether all sections of a GPP string hold where `regs.gpp_sid` is absent,
            or 0, which means not known. If not, none does.
    """

    assume_gdpr: bool = False
    unlisted_vendors: bool = True
    tcf_policy_version: int = 4
    unreadable_refuses: bool = True
    gpp_without_sid: bool = True


@value
class Signals:
    """What a request says about privacy.

    Attributes:
        rules: bits of the rules that act for every bidder.
        gdpr: what the user decided bidder by bidder, where the GDPR holds.
        gpp: the same from the EU's section of GPP, where that holds.
    """

    rules: int
    gdpr: TcString | None = None
    gpp: TcString | None = None

    def rules_for(self, vendor: int | None, *, unlisted_vendors: bool) -> int:
        """Bits of the rules that act for a bidder with this id in the Global Vendor List."""
        rules = self.rules
        if self.gdpr is not None:
            rules |= GDPR_RULES[self.gdpr.refused(vendor, counts=unlisted_vendors)]
        if self.gpp is not None:
            rules |= GPP_RULES[self.gpp.refused(vendor, counts=unlisted_vendors)]
        return rules


_ALWAYS: Final = bit(Signal.POLICY)
_COPPA: Final = bit(Signal.COPPA)
_OPT_OUT: Final = bit(Signal.US_PRIVACY, "opt_out")
_GPC: Final = bit(Signal.US_PRIVACY, "gpc")
_LMT: Final = bit(Signal.LMT)
_DNT: Final = bit(Signal.DNT)
_NOTHING: Final = Signals(_ALWAYS)


def read(request: BidRequest, how: Reading) -> Signals:
    """Reads the signals of OpenRTB 2.6 sections 3.2.3, 3.2.18 and 3.2.20.

    Their places before 2.6, in `ext`, are read too. Where both places are filled and differ, the
    one that protects more counts; of two consent strings, that of 2.6.
    """
    rules = _ALWAYS
    if request.HasField("device"):
        device = request.device
        rules |= (_LMT if device.lmt else 0) | (_DNT if device.dnt else 0)
    if not request.HasField("regs") and not how.assume_gdpr:
        return _NOTHING if rules == _ALWAYS else Signals(rules)
    regs = _regs(request.regs)
    rules |= regs.rules | (_OPT_OUT if _opts_out(regs.us_privacy, how) else 0)
    gdpr = how.assume_gdpr if regs.gdpr is None else regs.gdpr
    if not (gdpr or regs.gpp or regs.sids):
        return Signals(rules)
    return _read_strings(request.user, regs, gdpr, how, rules)


def _read_strings(
    user: BidRequest.User, regs: "_Regs", gdpr: bool, how: Reading, rules: int
) -> Signals:
    """Adds what the TC string and the GPP string say."""
    sections, readable = _sections(regs.gpp)
    consent = user.consent or user.ext.consent or sections.get(gpp.TCF_EU, "")
    decided = decided_in_gpp = None
    if gdpr:
        decided = _decided(consent, how)
        rules |= 0 if decided else GDPR_RULES[refusals.CONSENT_FRAMEWORK]
    for section in _applying(regs, sections if readable else (_UNKNOWN,), how):
        text = sections.get(section, "")
        if section == gpp.TCF_EU:
            decided_in_gpp = _decided(text or consent, how)
            rules |= 0 if decided_in_gpp else GPP_RULES[refusals.CONSENT_FRAMEWORK]
        else:
            rules |= GPP_RULES[_refused(section, text, regs, how)]
    return Signals(rules, decided, decided_in_gpp)


@value
class _Regs:
    """The members of `regs` from both of their places.

    Attributes:
        rules: bits of the rules that follow from flags.
        gdpr: whether the GDPR holds; None: not told.
        us_privacy: every US privacy string that is there.
        gpp: the GPP string; empty: none.
        sids: ids of the sections that hold.
    """

    rules: int
    gdpr: bool | None
    us_privacy: tuple[str, ...]
    gpp: str
    sids: tuple[int, ...]


def _regs(regs: BidRequest.Regs) -> _Regs:
    rules = _COPPA if regs.coppa else 0
    gdpr = [regs.gdpr] if regs.HasField("gdpr") else []
    us_privacy = [regs.us_privacy]
    gpp_string, sids = regs.gpp, tuple(regs.gpp_sid)
    if regs.HasField("ext"):
        ext = regs.ext
        raw = _members(ext.raw_json)
        gdpr += [ext.gdpr] if ext.HasField("gdpr") else []
        gdpr += [_is_one(raw["gdpr"])] if "gdpr" in raw else []
        us_privacy.append(ext.us_privacy)
        rules |= _GPC if ext.gpc == "1" or _is_one(raw.get("gpc")) else 0
        gpp_string = gpp_string or _text(raw.get("gpp"))
        sids = sids or _integers(raw.get("gpp_sid"))
    return _Regs(
        rules,
        any(gdpr) if gdpr else None,
        tuple(text for text in us_privacy if text),
        gpp_string,
        sids,
    )


def _members(raw_json: str) -> Mapping[str, Any]:
    """The members of an `ext` that have no field, or came in a form that doesn't fit theirs."""
    try:
        members = orjson.loads(raw_json) if raw_json else {}
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _is_one(value: Any) -> bool:
    return value in (1, "1")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integers(value: Any) -> tuple[int, ...]:
    items = value if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, int))


def _decided(consent: str, how: Reading) -> TcString | None:
    """A TC string that counts; None: there is no consent."""
    try:
        decided = TcString.decode(consent)
    except ValueError:
        return None
    return decided if decided.policy_version >= how.tcf_policy_version else None


_US_PRIVACY_STRING: Final = re.compile("1([YN-])([YN-])[YN-]", re.ASCII)


def _opted_out(us_privacy: str) -> bool:
    """Whether a US privacy string opts out of sale (IAB Tech Lab, US Privacy String 1.0).

    Raises:
        ValueError: it is none. Where the law holds, the opt-out has to be Y or N.
    """
    text = us_privacy.upper()
    if text == "1---":
        return False
    match = _US_PRIVACY_STRING.fullmatch(text)
    if match is None or match[2] == "-":
        raise ValueError("expected 1, then Y, N or - three times, and no - for the opt-out alone")
    return match[2] == "Y"


def _opts_out(us_privacy: Iterable[str], how: Reading) -> bool:
    """Tells whether one of the strings opts out, or may do so."""
    for text in us_privacy:
        try:
            if _opted_out(text):
                return True
        except ValueError:
            if how.unreadable_refuses:
                return True
    return False


def _sections(text: str) -> tuple[dict[int, str], bool]:
    """The sections of a GPP string, and whether it could be read."""
    try:
        return (gpp.split(text) if text else {}), True
    except ValueError:
        return {}, False


_UNKNOWN: Final = 0
"""A section of which not even the id is known."""
_NO_SECTION: Final = -1
"""In `gpp_sid`: no section holds."""


def _applying(regs: _Regs, there: Iterable[int], how: Reading) -> Iterable[int]:
    """The ids of the sections that hold, of those that are there or are told to hold."""
    told = {sid for sid in regs.sids if sid > 0} - gpp.NOT_SECTIONS
    if told or _NO_SECTION in regs.sids or not how.gpp_without_sid:
        return told
    return there


def _refused(section: int, text: str, regs: _Regs, how: Reading) -> int:
    """What a section other than the EU's refuses, as bits of `refusals`."""
    if section == gpp.US_PRIVACY:
        strings = (text,) if text else regs.us_privacy or ("",)
        return refusals.OPT_OUT if _opts_out(strings, how) else 0
    try:
        return gpp.us_refused(section, text)
    except ValueError:
        return _worst(section) if how.unreadable_refuses else 0


def _worst(section: int) -> int:
    """All that a section could refuse, if it could be read."""
    if section in gpp.US_SECTIONS:
        return refusals.US_PRIVACY
    return refusals.CONSENT_FRAMEWORK if section in _CONSENT_SECTIONS else refusals.EVERYTHING


_CONSENT_SECTIONS: Final = frozenset({gpp.TCF_EU_V1, gpp.TCF_CANADA})
