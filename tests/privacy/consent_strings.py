"""Consent strings, written from what a user decided. The server only reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def packed(bits: str) -> str:
    """Bits as characters of six, the last one filled with zeros."""
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6))


def number(value: int, width: int) -> str:
    return f"{value:0{width}b}"


def chosen(ids: Iterable[int], width: int) -> str:
    """A bit for each id from 1 on."""
    ids = set(ids)
    return "".join("1" if place + 1 in ids else "0" for place in range(width))


def letters(text: str) -> str:
    return "".join(number(ord(letter) - ord("A"), 6) for letter in text.upper())


Ranges = Sequence[tuple[int, int]]


def entries(ranges: Ranges) -> str:
    bits = number(len(ranges), 12)
    for first, last in ranges:
        bits += "0" + number(first, 16) if first == last else ""
        bits += "1" + number(first, 16) + number(last, 16) if first != last else ""
    return bits


def vendor_section(vendors: Sequence[int] | Ranges) -> str:
    """A list of ids becomes a bit field, a list of pairs becomes ranges."""
    pairs = [pair for pair in vendors if isinstance(pair, tuple)]
    if pairs:
        return number(max(last for _, last in pairs), 16) + "1" + entries(pairs)
    ids = [vendor for vendor in vendors if isinstance(vendor, int)]
    most = max(ids, default=0)
    return number(most, 16) + "0" + chosen(ids, most)


@dataclass(frozen=True)
class Tc:
    """What a TC string says. By default: yes to everything, vendors 1 to 900."""

    consents: Iterable[int] = range(1, 12)
    interests: Iterable[int] = (2, 7, 8, 9, 10, 11)
    features: Iterable[int] = (1, 2)
    vendor_consents: Sequence[int] | Ranges = ((1, 900),)
    vendor_interests: Sequence[int] | Ranges = ((1, 900),)
    restrictions: Sequence[tuple[int, int, Ranges]] = field(default_factory=tuple)
    version: int = 2
    policy_version: int = 5
    service_specific: int = 1

    def bits(self) -> str:
        day = number(17_900_000_000, 36)  # tenths of a second since 1970: in 2026
        bits = number(self.version, 6) + day + day
        bits += number(300, 12) + number(1, 12) + number(2, 6) + letters("EN") + number(120, 12)
        bits += number(self.policy_version, 6) + str(self.service_specific) + "0"
        bits += chosen(self.features, 12) + chosen(self.consents, 24) + chosen(self.interests, 24)
        bits += "0" + letters("DE")
        bits += vendor_section(self.vendor_consents) + vendor_section(self.vendor_interests)
        bits += number(len(self.restrictions), 12)
        for purpose, what, ranges in self.restrictions:
            bits += number(purpose, 6) + number(what, 2) + entries(ranges)
        return bits

    def __str__(self) -> str:
        """The core, and after it a segment of disclosed vendors, as TCF 2.3 wants it."""
        disclosed = number(1, 3) + vendor_section(((1, 900),))
        return f"{packed(self.bits())}.{packed(disclosed)}"


def fibonacci(value: int) -> str:
    terms = [1, 2]
    while terms[-1] <= value:
        terms.append(terms[-1] + terms[-2])
    bits = ""
    for term in reversed(terms):
        bits = ("1" if term <= value else "0") + bits
        value -= term if term <= value else 0
    return bits.rstrip("0") + "1"


def header(ids: Sequence[int], *, kind: int = 3, version: int = 1) -> str:
    """The header of a GPP string; neighbouring ids become groups."""
    groups: list[list[int]] = []
    for section in ids:
        if groups and section == groups[-1][1] + 1:
            groups[-1][1] = section
        else:
            groups.append([section, section])
    bits = number(kind, 6) + number(version, 6) + number(len(groups), 12)
    last = 0
    for first, end in groups:
        bits += "0" if first == end else "1"
        bits += fibonacci(first - last)
        bits += fibonacci(end - first) if end > first else ""
        last = end
    return packed(bits)


def gpp(sections: Mapping[int, object]) -> str:
    return "~".join([header(sorted(sections)), *(str(sections[id_]) for id_ in sorted(sections))])


# The two-bit fields of US sections up to known children, as their specifications list them:
# a name and how many there are.
NOTICES_OF_STATES = ("notice", 1), ("sale_notice", 1), ("targeted_notice", 1)
OPT_OUTS_OF_STATES = ("sale", 1), ("targeted", 1)
NATIONAL = (
    ("notice", 6),
    ("sale", 1),
    ("sharing", 1),
    ("targeted", 1),
)
US_FIELDS = {
    7: (*NATIONAL, ("sensitive", 16), ("child", 3), ("tail", 4)),
    8: (("notice", 3), ("sale", 1), ("sharing", 1), ("sensitive", 9), ("child", 2), ("tail", 4)),
    9: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 3)),
    10: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 7), ("child", 1), ("tail", 3)),
    11: (("notice", 4), *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 3)),
    12: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 3), ("tail", 3)),
    13: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 3), ("tail", 4)),
    14: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 3), ("tail", 4)),
    15: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 11), ("child", 3), ("tail", 4)),
    16: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 4)),
    17: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 9), ("child", 5), ("tail", 4)),
    18: (("notice", 4), *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 3)),
    19: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 4)),
    20: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 3), ("tail", 4)),
    21: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 10), ("child", 5), ("tail", 4)),
    22: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 4)),
    23: (*NOTICES_OF_STATES, *OPT_OUTS_OF_STATES, ("sensitive", 8), ("child", 1), ("tail", 4)),
}
NATIONAL_2022 = (*NATIONAL, ("sensitive", 12), ("child", 2), ("tail", 4))
# Which of the sensitive data is the exact position; Colorado's section has none.
LOCATION_AT = dict.fromkeys(US_FIELDS, 8) | {8: 3, 15: 11}
del LOCATION_AT[10]

DID_NOT = 2


def us(
    section: int,
    values: Mapping[str | tuple[str, int], int] | None = None,
    *,
    version: int = 1,
    gpc: bool | None = None,
    fields: Sequence[tuple[str, int]] | None = None,
) -> str:
    """A US section in which the user refused nothing but what `values` says.

    A key is the name of a field, or the name and the place in the list, from 1.
    """
    values = values or {}
    bits = number(version, 6)
    for name, count in fields or US_FIELDS[section]:
        for place in range(1, count + 1):
            bits += number(values.get((name, place), values.get(name, DID_NOT)), 2)
    return packed(bits) + ("" if gpc is None else "." + packed("01" + str(int(gpc))))
