"""The TC string of IAB Europe's Transparency and Consent Framework, version 2.

Only the core segment is read: it holds all that a user decides about other parties. Source: IAB
Tech Lab, "Consent string and vendor list formats v2", release 2.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from xsp_server.auction.privacy.bits import Bits
from xsp_server.auction.privacy.refusals import BASIC_ADS, LOCATION, PERSONALISED, STORAGE

_VERSION: Final = 2

PURPOSE_STORAGE: Final = 1
"""Store and/or access information on a device. It rests on consent alone."""
PURPOSE_BASIC_ADS: Final = 2
"""Use limited data to select advertising."""
PURPOSE_PERSONALISED_ADS: Final = 4
"""Use profiles to select personalised advertising. Since TCF 2.2 it rests on consent alone."""
FEATURE_PRECISE_LOCATION: Final = 1
"""Special feature: use precise geolocation data."""

_BY_CONSENT_ALONE: Final = frozenset({1, 3, 4, 5, 6})


class Restriction(IntEnum):
    """What a publisher says about a purpose for some vendors."""

    NOT_ALLOWED = 0
    CONSENT_ONLY = 1
    LEGITIMATE_INTEREST_ONLY = 2


@dataclass(frozen=True, slots=True)
class Vendors:
    """A set of vendor ids, as a bit for each or as ranges."""

    bits: str
    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, vendor: int) -> bool:
        """Tells whether the vendor is in the set."""
        if self.bits[vendor - 1 : vendor] == "1":
            return True
        return any(first <= vendor <= last for first, last in self.ranges)


@dataclass(frozen=True, slots=True)
class TcString:
    """What a user decided.

    Attributes:
        policy_version: of the framework's policies when the user decided.
        features: special features opted in to, a bit each.
        consents: purposes consented to, a bit each.
        interests: purposes that rest on a legitimate interest, not objected to, a bit each.
        vendor_consents: vendors consented to.
        vendor_interests: vendors whose legitimate interest was told and not objected to.
        restrictions: purpose, restriction and the vendors that it is about.
    """

    policy_version: int
    features: str
    consents: str
    interests: str
    vendor_consents: Vendors
    vendor_interests: Vendors
    restrictions: tuple[tuple[int, Restriction, Vendors], ...]

    @classmethod
    def decode(cls, text: str) -> Self:
        """Reads a TC string.

        Raises:
            ValueError: it is no TC string of version 2, ends early, or is of global scope, which
                has been invalid since 2021.
        """
        bits = Bits(text.partition(".")[0])
        if (version := bits.integer(6)) != _VERSION:
            raise ValueError(f"version {version}; expected {_VERSION}")
        bits.take(36 + 36 + 12 + 12 + 6 + 12 + 12)  # times, CMP, screen, language, vendor list
        policy_version = bits.integer(6)
        if not bits.flag():
            raise ValueError("IsServiceSpecific is 0; expected 1")
        bits.take(1)  # UseNonStandardTexts
        features, consents, interests = bits.take(12), bits.take(24), bits.take(24)
        bits.take(1 + 12)  # PurposeOneTreatment, PublisherCC
        return cls(
            policy_version,
            features,
            consents,
            interests,
            vendor_consents=_vendors(bits),
            vendor_interests=_vendors(bits),
            restrictions=tuple(_restrictions(bits)),
        )

    def refused(self, vendor: int | None, *, counts: bool) -> int:
        """What the user keeps from a vendor, as bits of `refusals`.

        Args:
            vendor: its id in the Global Vendor List; None: it has none.
            counts: whether the user's choices count for a vendor without an id. Else it has
                no consent and no other legal basis.
        """
        if vendor is None:
            consented = told = counts
        else:
            consented, told = vendor in self.vendor_consents, vendor in self.vendor_interests

        def has_basis(purpose: int) -> bool:
            restricted = self._restrictions_of(vendor, purpose)
            if Restriction.NOT_ALLOWED in restricted:
                return False
            by_consent = consented and _has(self.consents, purpose)
            by_interest = told and _has(self.interests, purpose)
            return (by_consent and Restriction.LEGITIMATE_INTEREST_ONLY not in restricted) or (
                by_interest
                and Restriction.CONSENT_ONLY not in restricted
                and purpose not in _BY_CONSENT_ALONE
            )

        refused = 0
        for purpose, bit in _BIT_OF_PURPOSE.items():
            refused |= 0 if has_basis(purpose) else bit
        located = consented and _has(self.features, FEATURE_PRECISE_LOCATION)
        return refused if located else refused | LOCATION

    def _restrictions_of(self, vendor: int | None, purpose: int) -> set[Restriction]:
        if vendor is None:
            return set()
        return {
            what for about, what, who in self.restrictions if about == purpose and vendor in who
        }


_BIT_OF_PURPOSE: Final = {
    PURPOSE_STORAGE: STORAGE,
    PURPOSE_BASIC_ADS: BASIC_ADS,
    PURPOSE_PERSONALISED_ADS: PERSONALISED,
}


def _has(bits: str, number: int) -> bool:
    """Tells whether the bit of a purpose or a feature is set; they count from 1."""
    return bits[number - 1] == "1"


def _vendors(bits: Bits) -> Vendors:
    greatest = bits.integer(16)
    if not bits.flag():
        return Vendors(bits.take(greatest), ())
    return Vendors("", _ranges(bits))


def _ranges(bits: Bits) -> tuple[tuple[int, int], ...]:
    ranges = []
    for _ in range(bits.integer(12)):
        several = bits.flag()
        first = bits.integer(16)
        ranges.append((first, bits.integer(16) if several else first))
    return tuple(ranges)


def _restrictions(bits: Bits) -> Iterator[tuple[int, Restriction, Vendors]]:
    for _ in range(bits.integer(12)):
        purpose, what = bits.integer(6), bits.integer(2)
        vendors = Vendors("", _ranges(bits))
        if what in _RESTRICTIONS:  # 3 is not defined
            yield purpose, Restriction(what), vendors


_RESTRICTIONS: Final = frozenset(Restriction)
