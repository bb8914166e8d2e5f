"""The string of IAB Tech Lab's Global Privacy Platform: its header and the US sections.

Source: IAB Tech Lab, "Global Privacy Platform String" 1.0 and the specifications of its sections.
Every US section begins with a version of six bits and goes on with fields of two bits each, in
which 0 means "not applicable", 1 "opted out" or "no consent", 2 the contrary. Lists of such fields
have no length before them. The sections of Maryland, Indiana, Kentucky and Rhode Island (24 to 27)
and that of Canada (5) are built otherwise and are not read: their format is not settled.
"""

from dataclasses import dataclass
from typing import Final

from xsp_server.auction.privacy.bits import Bits
from xsp_server.auction.privacy.refusals import CHILD, LOCATION, OPT_OUT

TCF_EU_V1: Final = 1
TCF_EU: Final = 2
TCF_CANADA: Final = 5
US_PRIVACY: Final = 6
US_SECTIONS: Final = range(7, 28)
NOT_SECTIONS: Final = frozenset({3, 4})
"""The header and the signature: ids that `gpp_sid` need not list."""

_HEADER_TYPE: Final = 3
_HEADER_VERSION: Final = 1
_GPC: Final = 1


def split(text: str) -> dict[int, str]:
    """The sections of a GPP string by their ids.

    Raises:
        ValueError: the header is none, or doesn't go with the sections.
    """
    header, *sections = text.split("~")
    ids = _ids(Bits(header), len(sections))
    if len(ids) != len(sections):
        raise ValueError(f"a header of {len(ids)} sections before {len(sections)}")
    return dict(zip(ids, sections, strict=True))


def us_refused(section: int, text: str) -> int:
    """What a US section refuses, as bits of `refusals`.

    A subsection with Global Privacy Control, where there is one, counts as an opt-out.

    Raises:
        ValueError: the section's format is not known, or it is broken.
    """
    core, *others = text.split(".")
    bits = Bits(core)
    layout = _layout(section, len(bits))
    if (version := bits.integer(6)) not in layout.versions:
        raise ValueError(f"version {version} of section {section}")
    refused = 0
    for kind in layout.fields:
        refused |= _REFUSED[kind] if bits.integer(2) in _NO else 0
    for other in others:
        subsection = Bits(other)
        if subsection.integer(2) == _GPC and subsection.flag():
            refused |= OPT_OUT
    return refused


def _ids(bits: Bits, most: int) -> list[int]:
    """The ids that a header lists; it may list `most` of them."""
    if bits.integer(6) != _HEADER_TYPE or bits.integer(6) != _HEADER_VERSION:
        raise ValueError("no GPP header of version 1")
    ids: list[int] = []
    last = 0
    for _ in range(bits.integer(12)):
        several = bits.flag()
        first = last + bits.fibonacci()
        last = first + bits.fibonacci() if several else first
        if len(ids) + last - first >= most:
            raise ValueError(f"a header of more than {most} sections")
        ids.extend(range(first, last + 1))
    return ids


@dataclass(frozen=True, slots=True)
class _Layout:
    """A US section up to its last field that matters here.

    Attributes:
        fields: a letter for each field after the version: `o` an opt-out of sale, sharing or
            targeted advertising, `l` the use of the exact position, `c` a known child, and `-`
            for all others: notices, and other sensitive data.
        versions: of the section that have this layout.
    """

    fields: str
    versions: frozenset[int] = frozenset({1})


_REFUSED: Final = {"o": OPT_OUT, "l": LOCATION, "c": CHILD, "-": 0}
_NO: Final = frozenset({1, 3})  # 3 is not defined; whoever wrote it did not say yes

_NATIONAL: Final = frozenset({1, 2})  # both numbers stand before either layout
_US_NATIONAL = _Layout("------ooo-------l--------ccc", _NATIONAL)
_US_NATIONAL_2022 = _Layout("------ooo-------l----cc", _NATIONAL)
_US_NATIONAL_BITS: Final = 70
_USUAL = "---oo-------l"

_LAYOUTS: Final = {
    8: _Layout("---oo--l------cc"),  # California
    9: _Layout(_USUAL + "c"),  # Virginia
    10: _Layout("---oo-------c"),  # Colorado
    11: _Layout("----oo-------lc"),  # Utah
    12: _Layout(_USUAL + "ccc"),  # Connecticut
    13: _Layout(_USUAL + "ccc"),  # Florida
    14: _Layout(_USUAL + "ccc"),  # Montana
    15: _Layout("---oo----------lccc"),  # Oregon
    16: _Layout(_USUAL + "c"),  # Texas
    17: _Layout(_USUAL + "-ccccc"),  # Delaware
    18: _Layout("----oo-------lc"),  # Iowa
    19: _Layout(_USUAL + "c"),  # Nebraska
    20: _Layout(_USUAL + "ccc"),  # New Hampshire
    21: _Layout(_USUAL + "--ccccc"),  # New Jersey
    22: _Layout(_USUAL + "c"),  # Tennessee
    23: _Layout(_USUAL + "c"),  # Minnesota
}


def _layout(section: int, bits: int) -> _Layout:
    if section == 7:
        return _US_NATIONAL if bits >= _US_NATIONAL_BITS else _US_NATIONAL_2022
    if section not in _LAYOUTS:
        raise ValueError(f"section {section} is of no known format")
    return _LAYOUTS[section]
