"""The words of privacy: what called for it, what is done, and what is told of it."""

from dataclasses import dataclass
from enum import StrEnum


class Signal(StrEnum):
    """What calls for privacy."""

    POLICY = "policy"
    """A setting of the exchange, whatever the request says."""
    COPPA = "coppa"
    """`regs.coppa`."""
    GDPR = "gdpr"
    """`regs.gdpr` with `user.consent`."""
    US_PRIVACY = "us_privacy"
    """`regs.us_privacy`."""
    GPP = "gpp"
    """`regs.gpp` with `regs.gpp_sid`."""
    LMT = "lmt"
    """`device.lmt`."""
    DNT = "dnt"
    """`device.dnt`."""


class Action(StrEnum):
    """What is done to a field."""

    REMOVE = "remove"
    TRUNCATE = "truncate"
    """An IP address loses its last bits; what is no IP address is removed."""
    ROUND = "round"
    """A number loses decimals; what is not finite is removed."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How much is left of what is made less exact.

    Attributes:
        ipv4_bits: leading bits that a truncated IPv4 address keeps, 0 to 32.
        ipv6_bits: the same for IPv6, 0 to 128. The address tells which of the two it is, not the
            field that it stands in.
        decimals: decimal places that a rounded number keeps, -9 to 15; -1 rounds to tens.
    """

    ipv4_bits: int = 24
    ipv6_bits: int = 48
    decimals: int = 2


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a field, and how far.

    Attributes:
        action: what is done.
        precision: how much is left, where something is left.
    """

    action: Action
    precision: Precision = Precision()

    def stricter(self, other: "Treatment") -> "Treatment":
        """What both do, one after the other; `self` if `other` takes nothing more."""
        if self.action is Action.REMOVE:
            return self
        if other.action is Action.REMOVE:
            return other
        ours, theirs = self.precision, other.precision
        least = Precision(
            min(ours.ipv4_bits, theirs.ipv4_bits),
            min(ours.ipv6_bits, theirs.ipv6_bits),
            min(ours.decimals, theirs.decimals),
        )
        return Treatment(self.action, least)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was taken from a request, or made less exact. The value is not told.

    Attributes:
        path: where, as an OpenRTB path: `device.ip`, `user.ext.*` for all members of an `ext`
            that OpenRTB has no name for.
        action: what was done. A value that could not be truncated or rounded was removed.
        signal: what called for it.
        rule_id: the rule that did it, as `privacy.gdpr.location`.
    """

    path: str
    action: Action
    signal: Signal
    rule_id: str
