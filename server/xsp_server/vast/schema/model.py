"""What an entry of the table of elements is, and how its figures are written down."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as with_default
from typing import Final

from xsp_server.vast.schema.versions import VERSIONS, Version, version_of

ALL: Final = "2.0-4.3"

Count = tuple[int, int | None]
"""Least and greatest number of an element under one parent; None: no greatest."""

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Attribute:
    """An attribute of one element.

    Attributes:
        name: as the versions that have it spell it; "*" stands for any.
        required: by version that has it, whether it must be there.
        type: "string", "integer", "boolean", "word", ...; see `lint.values`.
        words: by version, the words of its list; empty without a list.
        deprecated: the first version that calls it deprecated; 0 for none.
        from_text: versions whose schema lacks what the text says of it.
    """

    name: str
    required: Mapping[Version, bool]
    type: str = "string"
    words: Mapping[Version, tuple[str, ...]] = with_default(default_factory=dict)
    deprecated: Version = 0
    from_text: frozenset[Version] = frozenset()

    @property
    def field(self) -> str:
        """The field of the element's message that holds it."""
        return snake_case(self.name)


@dataclass(frozen=True)
class Element:
    """An element in one place.

    Attributes:
        name: without namespace.
        field: the field of the message around it; empty for an element that only groups others,
            whose children then have fields there.
        counts: by version that has it, how often it may stand there.
        type: what its text is: "string", "anyURI", "integer", ...; "container" without text,
            "xml" for content that is kept as it is.
        attributes: what the versions know on it.
        children: what the versions know in it, in the order of the schemas from 4.0 on.
        orders: the order of other schemas, by the first version that has it; None where a schema
            leaves the order free.
        many: the text of every version allows more of them than some of the schemas do.
        deprecated: the first version that calls it deprecated; 0 for none.
        from_text: in the text of the standard, but in none of its schemas.
    """

    name: str
    field: str
    counts: Mapping[Version, Count]
    type: str = "container"
    attributes: tuple[Attribute, ...] = ()
    children: tuple["Element", ...] = ()
    orders: Mapping[Version, tuple[str, ...] | None] = with_default(default_factory=dict)
    many: bool = False
    deprecated: Version = 0
    from_text: bool = False

    def order(self, version: Version) -> tuple[str, ...] | None:
        """Names of the children as the version's schema orders them; None where it doesn't."""
        known = [first for first in self.orders if first <= version]
        return self.orders[max(known)] if known else tuple(child.name for child in self.children)

    def most(self, version: Version) -> int | None:
        """The greatest number that the version allows under one parent; None: any."""
        return None if self.many else self.counts[version][1]


def snake_case(name: str) -> str:
    """The name of a field for the name of an attribute: `adSlotID` and `adSlotId` are one."""
    return _CAPITAL.sub("_", name).lower()


def attribute(  # noqa: PLR0913  (a row of the table)
    name: str,
    versions: str = ALL,
    type_: str = "string",
    *,
    words: str = "",
    deprecated: str = "",
    from_text: str = "",
) -> Attribute:
    """An attribute; `versions` as "3.0-4.3" or "required 2.0, optional 3.0-4.3"."""
    given = {version: word == "required" for version, word in _spans(versions, "optional")}
    listed = {
        version: tuple(each.split())
        for part in words.split(",")
        if part.strip()
        for version, each in _words(part.strip(), given)
    }
    text = frozenset(version for version, _ in _spans(from_text, "")) if from_text else frozenset()
    return Attribute(name, given, type_, listed, version_of(deprecated) or 0, text)


def element(  # noqa: PLR0913  (a row of the table)
    name: str,
    holder: str,
    counts: str,
    type_: str = "container",
    *parts: Attribute | Element,
    order: Mapping[str, str] | None = None,
    many: bool = False,
    deprecated: str = "",
    from_text: bool = False,
) -> Element:
    """An element; `counts` as "0..1" or "0..1 2.0-3.0, 0..* 4.0-4.3"."""
    return Element(
        name,
        holder,
        {version: _count(word) for version, word in _spans(counts, "")},
        type_,
        tuple(part for part in parts if isinstance(part, Attribute)),
        tuple(part for part in parts if isinstance(part, Element)),
        {
            version_of(first) or 0: tuple(names.split()) or None
            for first, names in (order or {}).items()
        },
        many,
        version_of(deprecated) or 0,
        from_text,
    )


def _spans(text: str, word: str) -> Iterable[tuple[Version, str]]:
    """Versions with the word before each range: "0..1 2.0-3.0, 0..* 4.0-4.3"."""
    for part in text.split(","):
        *given, last = part.split()
        if not last[-1].isdigit() or ".." in last:
            given, last = [last], ALL
        first, _, until = last.partition("-")
        for version in _between(first, until or first):
            yield version, given[0] if given else word


def _words(part: str, given: Iterable[Version]) -> Iterable[tuple[Version, str]]:
    """A list of words, for all versions or, after "3.0-4.3:", for some."""
    span, colon, words = part.rpartition(":")
    for version in given:
        first, _, until = span.partition("-")
        if not colon or version in _between(first, until or first):
            yield version, words


def _between(first: str, last: str) -> list[Version]:
    low, high = version_of(first) or 0, version_of(last) or 0
    return [version for version in VERSIONS if low <= version <= high]


def _count(word: str) -> Count:
    least, _, most = word.partition("..")
    return int(least), None if most == "*" else int(most)
