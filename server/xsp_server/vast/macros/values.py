"""Values of macros: known, not known or withheld; and their text, percent-encoded once."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from xsp_server.vast.macros.names import MACROS, Source


class Absence(Enum):
    """Why there is no value."""

    UNKNOWN = "-1"
    WITHHELD = "-2"
    """Known and not told."""


Item = str | int | float
Value = Item | Sequence[Item] | Absence
"""What a macro becomes: one value or several, not yet encoded, or none."""

Values = Mapping[str, Value]
"""By name, without brackets."""

NONE: Values = MappingProxyType({})

_OF_CHAIN: Final = frozenset({"ERRORCODE", "ADSERVINGID", "BLOCKEDADCATEGORIES"})
"""Names whose values nobody knows better than the chain: what it says of them is not overridden."""


class MacroValues:
    """The values of macros by name. It never changes. Names that VAST doesn't list do nothing.

    A text is worked out when it is first asked for, and kept.
    """

    __slots__ = ("_given", "_made", "_texts", "_work_out")

    def __init__(
        self, given: Values = NONE, *, work_out: Callable[[], Values] = lambda: NONE
    ) -> None:
        """Takes values.

        Args:
            given: those that count before all others.
            work_out: gives those of other names. It is called at most once, and only when one of
                them is asked for; so it has to be pure.
        """
        self._given = given
        self._made = NONE
        self._work_out = cache(work_out)
        self._texts: dict[str, str | None] = {}

    def made(self, values: Values) -> "MacroValues":
        """The same with more of them, such as ERRORCODE, which differ from URL to URL.

        They count before those that are worked out and those made earlier. Given ones stay, but for
        ERRORCODE, ADSERVINGID and BLOCKEDADCATEGORIES that are known.
        """
        known = {name for name in _OF_CHAIN & values.keys() if _is_known(values[name])}
        given = {name: value for name, value in self._given.items() if name not in known}
        other = MacroValues(given if known else self._given)
        other._made = {**self._made, **values}
        other._work_out = self._work_out
        other._texts = {
            name: text
            for name, text in self._texts.items()
            if name not in values or name in other._given
        }
        return other

    def text(self, name: str) -> str | None:
        """What stands in a URL for a macro; None: the macro stays as it is."""
        if name not in self._texts:
            self._texts[name] = _text(name, self.value(name))
        return self._texts[name]

    def value(self, name: str) -> Value | None:
        """What was given, made or worked out, in this order; None: nobody said anything."""
        for values in (self._given, self._made):
            if name in values:
                return values[name]
        return self._work_out().get(name)


def _is_known(value: Value) -> bool:
    return not isinstance(value, Absence)


def _text(name: str, value: Value | None) -> str | None:
    macro = MACROS.get(name)
    if macro is None:
        return None
    if value is None:
        if macro.source is Source.PLAYER:  # whoever requests the URL in time fills it
            return None
        value = Absence.UNKNOWN
    if isinstance(value, Absence):
        return value.value if macro.has_absence else None
    return encode(value)


def encode(value: Item | Sequence[Item]) -> str:
    """The text of a value, or of several with bare commas between them.

    All but the unreserved characters of RFC 3986 is percent-encoded. Numbers are decimal.
    """
    if isinstance(value, str | int | float):
        return _encode_item(value)
    return ",".join(map(_encode_item, value))


def _encode_item(item: Item) -> str:
    if isinstance(item, str):
        return quote(item, safe="", errors="replace")
    if isinstance(item, float):
        return format(Decimal(repr(item)), "f")  # 1e-07 is 0.0000001
    return str(int(item))
